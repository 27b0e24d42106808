"""How the hub is: every part that said it is ill, and what stands against taking readings now."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hub.actors.integration import EntryStatus
from hub.actors.recorder import IngestLoad
from hub.bus import EventBus
from hub.config.errors import ConfigErrors
from hub.model.events import HealthChanged
from hub.runtime.clock import Clock
from hub.runtime.supervisor import Supervisor
from hub.runtime.watchdog import LoopBlocked

LOGGER = logging.getLogger(__name__)

SANE_CLOCK_MS: Final = 1_767_225_600_000
"""2026-01-01: no hub of this version ran before it, so an earlier clock is not set."""

WRITE_WAIT_LIMIT_S: Final = 5.0
BLOCKS_KEPT: Final = 20
_GIB: Final = 1 << 30
_LOW_DISK: Final = (("WL-SYS-002", 0.05, 2 * _GIB), ("WL-SYS-001", 0.15, 10 * _GIB))
"""Code, share and size below which a disk is called nearly full, or filling up; both must be met."""

Part = dict[str, Any]


class HubHealth:
    """Notes what the parts say of themselves; a part that says nothing is well."""

    def __init__(
        self, supervisor: Supervisor, load: IngestLoad, bus: EventBus, clock: Clock, data_dir: Path
    ) -> None:
        self._supervisor = supervisor
        self._load = load
        self._bus = bus
        self._clock = clock
        self._data_dir = data_dir
        self._ill: dict[str, HealthChanged] = {}
        self.blocked: list[LoopBlocked] = []
        bus.subscribe(HealthChanged, self.note)

    def note(self, event: HealthChanged) -> None:
        """A part became well or ill."""
        if event.ok:
            self._ill.pop(event.part, None)
        else:
            self._ill[event.part] = event

    def is_ill(self, part: str) -> bool:
        """Whether a part said so."""
        return part in self._ill

    def note_blocked(self, event: LoopBlocked) -> None:
        """Somebody held the event loop for over 50 ms; the last few are kept."""
        self.blocked = [*self.blocked[1 - BLOCKS_KEPT :], event]

    def check_disk(self) -> None:
        """Warn once when the disk of the data fills up, and say when there is room again."""
        usage = shutil.disk_usage(self._data_dir)
        code = low_disk_code(usage.free, usage.total)
        before = self._ill.get("disk")
        if code and (before is None or before.code != code):
            detail = f"{usage.free / usage.total:.0%} of the disk is free ({usage.free // 1_000_000} MB)"
            LOGGER.warning("%s", detail)
            self._bus.publish(HealthChanged("disk", False, code, detail))
        elif not code and before is not None:
            LOGGER.info("the disk has room again")
            self._bus.publish(HealthChanged("disk", True))

    def parts(self, entries: Mapping[str, EntryStatus], safe_mode: ConfigErrors | None) -> dict[str, Part]:
        """``{"recorder": {"ok": true, "code": "", "detail": ""}, …}``."""
        parts = {name: _part() for name in ("recorder", "disk", "broker", "clock")}
        for actor in self._supervisor.health():
            ok = actor.state in ("running", "starting")
            parts[actor.name] = _part() if ok else _part("WL-RUN-004", actor.last_error)
        for entry_id, status in entries.items():
            if status.state in ("retrying", "needs_user", "quarantined"):
                parts[f"entry:{entry_id}"] = _part(status.code, status.detail)
        for name, event in self._ill.items():
            parts[name] = _part(event.code, event.detail)
        if not self._clock_is_sane():
            parts["clock"] = _part("WL-SYS-003", "the clock of this machine is not set")
        if safe_mode is not None:
            parts["configuration"] = _part(
                "WL-CFG-000", f"safe mode: {len(safe_mode.errors)} errors in the configuration"
            )
        return parts

    def ready(self) -> tuple[bool, list[str]]:
        """Whether readings are taken and stored in time, and what stands against it."""
        reasons = []
        since_s = self._load.oldest_since_s
        if since_s is not None and self._clock.monotonic_s() - since_s > WRITE_WAIT_LIMIT_S:
            reasons.append("a write has waited longer than 5 s")
        if self._load.congested:
            reasons.append("the ingest queue is over 80 % full")
        if not self._clock_is_sane():
            reasons.append("the clock of this machine is not set")
        for part in ("recorder", "disk"):
            event = self._ill.get(part)
            if event is not None and event.code != "WL-SYS-001":
                reasons.append(event.detail)
        return not reasons, reasons

    def _clock_is_sane(self) -> bool:
        return self._clock.now_ms() >= SANE_CLOCK_MS


def low_disk_code(free_bytes: int, total_bytes: int) -> str:
    """``WL-SYS-002`` for a disk that is nearly full, ``WL-SYS-001`` for one that fills up, else nothing."""
    share = free_bytes / max(total_bytes, 1)
    return next((code for code, low, size in _LOW_DISK if share < low and free_bytes < size), "")


def _part(code: str = "", detail: str = "") -> Part:
    return {"ok": not code, "code": code, "detail": detail}
