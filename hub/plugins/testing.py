"""Conformance kit for integrations: a small real intake in memory that behaves as the hub's own does."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from hub.errors import Refused, Rejection, WattlineError
from hub.model.device import DeviceInfo
from hub.model.reading import MAX_ABS_VALUE, NO_TIME, ReadingBatch, SeriesHandle, Stored
from hub.model.series import Behaviour, SeriesInfo
from hub.model.units import conversion
from hub.plugins.api import BrokerAddress


@dataclass(slots=True)
class MemoryIntake:
    """An :class:`hub.plugins.api.Intake` that keeps everything in dictionaries.

    ``rows`` maps public series ids to ``{ts_ms: value}``. ``discovery`` decides what happens to found devices
    (``auto``, ``inbox``, ``off``); :meth:`add` is the click on Add. ``failure`` is raised by the next stores
    until it is taken away. ``gate`` cleared holds every store back, as a slow disk does.
    """

    entry_id: str = "test-entry"
    clock_ms: int = 1_764_000_000_000
    discovery: str = "auto"
    broker: BrokerAddress | None = None
    congested: bool = False
    failure: WattlineError | None = None
    registry_version: int = 0
    rows: dict[str, dict[int, float]] = field(default_factory=dict)
    devices: dict[str, DeviceInfo] = field(default_factory=dict)
    infos: dict[str, SeriesInfo] = field(default_factory=dict)
    inbox: dict[str, tuple[DeviceInfo, list[SeriesInfo], str]] = field(default_factory=dict)
    online: dict[str, bool] = field(default_factory=dict)
    stale: dict[str, float] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _numbers: dict[str, int] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    def now_ms(self) -> int:
        """The clock of the test."""
        return self.clock_ms

    def batch(self) -> ReadingBatch:
        """As the hub's: empty, stamped with now."""
        return ReadingBatch(self.entry_id, self.clock_ms)

    def handle(self, device: str, key: str) -> SeriesHandle | None:
        """Handle in the unit of the first message."""
        name = f"{device}.{key}"
        if name not in self._numbers:
            return None
        change = conversion(self.infos[name].quantity, self.infos[name].unit)
        return SeriesHandle(self._numbers[name], change.factor, change.offset)

    def behaviour(self, device: str, key: str) -> Behaviour | None:
        """As declared first."""
        info = self.infos.get(f"{device}.{key}")
        return None if info is None else info.behaviour

    async def declare(
        self, device: DeviceInfo, series: Sequence[SeriesInfo], *, found: bool = False, sample: str = ""
    ) -> list[SeriesHandle | None]:
        """As the hub's, without durability."""
        for info in series:
            conversion(info.quantity, info.unit)
        if found and device.id not in self.devices and self.discovery != "auto":
            if self.discovery == "inbox":
                self._wait_in_inbox(device, series, sample)
            return [None] * len(series)
        if device.id not in self.devices:
            self.devices[device.id] = device
            self.registry_version += 1
        return [self._register(device, info) for info in series]

    def add(self, device: str) -> None:
        """A person adds a waiting device."""
        info, series, _ = self.inbox.pop(device)
        self.devices[device] = info
        for one in series:
            self._register(info, one)
        self.registry_version += 1

    async def store(self, batch: ReadingBatch) -> Stored:
        """First value of a key wins; NaN, infinity and absurd sizes are refused item by item."""
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        accepted = duplicates = 0
        rejections: list[Rejection] = []
        for number, ts_ms, value, item in zip(
            batch.series, batch.ts_ms, batch.values, batch.item, strict=True
        ):
            name = self._names[number]
            if not math.isfinite(value) or abs(value) > MAX_ABS_VALUE:
                rejections.append(Rejection(item, "WL-ING-040", "value is no finite measurement", name))
                continue
            rows = self.rows.setdefault(name, {})
            at_ms = ts_ms if ts_ms != NO_TIME else max(batch.arrival_ms, max(rows, default=-1) + 1)
            if at_ms in rows and rows[at_ms] != value:
                rejections.append(
                    Rejection(item, "WL-ING-043", "another value is stored for this time", name)
                )
                continue
            duplicates += at_ms in rows
            accepted += at_ms not in rows
            rows[at_ms] = value
        async with self.changed:
            self.changed.notify_all()
        return Stored(accepted, duplicates, tuple(rejections))

    async def wait_rows(self, count: int, timeout_s: float = 30.0) -> None:
        """Return as soon as ``count`` rows are stored.

        Raises:
            TimeoutError: they did not come.
        """
        async with asyncio.timeout(timeout_s), self.changed:
            await self.changed.wait_for(lambda: sum(len(rows) for rows in self.rows.values()) >= count)

    def show_stale(self, handle: SeriesHandle, sent: float) -> None:
        """Kept in ``stale``, not in ``rows``."""
        self.stale[self._names[handle.no]] = handle.stored(sent)

    def set_availability(self, device: str, online: bool) -> None:
        """Kept in ``online``."""
        self.online[device] = online

    def last_reading(self, device: str, key: str) -> tuple[int, float] | None:
        """Newest row."""
        rows = self.rows.get(f"{device}.{key}")
        return max(rows.items()) if rows else None

    def reject(self, rejections: Sequence[Rejection], payload: bytes = b"") -> None:
        """Kept in ``rejected``."""
        self.rejected.extend(rejections)

    def _wait_in_inbox(self, device: DeviceInfo, series: Sequence[SeriesInfo], sample: str) -> None:
        waiting = self.inbox.setdefault(device.id, (device, [], sample))[1]
        waiting.extend(info for info in series if info.key not in {one.key for one in waiting})

    def _register(self, device: DeviceInfo, info: SeriesInfo) -> SeriesHandle:
        name = f"{device.id}.{info.key}"
        known = self.infos.get(name)
        if known is not None and known.quantity != info.quantity:
            raise Refused("WL-ING-022", f"{name} is known as {known.quantity}, not {info.quantity}")
        if known is None:
            self.infos[name] = info
            self._numbers[name] = len(self._names)
            self._names.append(name)
            self.registry_version += 1
        change = conversion(info.quantity, info.unit)
        return SeriesHandle(self._numbers[name], change.factor, change.offset)
