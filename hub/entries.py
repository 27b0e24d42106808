"""The configured integration entries of a running hub: started, stopped, applied after a reload, looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hub.actors.intake import HubIntake
from hub.actors.integration import EntryStatus, IntegrationActor, PutToRest, RestartEntry
from hub.bus import EventBus
from hub.config.secret import revealed
from hub.config.settings import HubConfig
from hub.plugins.api import Endpoint, Integration, Options
from hub.plugins.manager import PluginManager
from hub.runtime.clock import Clock
from hub.runtime.supervisor import Supervisor

STOP_LIMIT_S = 2.0

MakeIntake = Callable[[str, str, Options], HubIntake]
"""``(entry_id, domain, options)`` → the entry's door into the hub."""


@dataclass(slots=True)
class _Entry:
    domain: str
    name: str
    options: Options
    integration: Integration
    intake: HubIntake
    status: EntryStatus


@dataclass(frozen=True, slots=True)
class EntryView:
    """A configured integration entry as people see it; ``readings`` counts stored values since the start."""

    entry_id: str
    domain: str
    name: str
    state: str
    detail: str
    code: str
    since_ms: int | None
    version: str
    quality: str
    readings: int
    last_stored_ms: int
    stack: str


class Entries:
    """Owns one :class:`IntegrationActor` per entry, by way of the supervisor."""

    def __init__(
        self,
        supervisor: Supervisor,
        plugins: PluginManager,
        bus: EventBus,
        clock: Clock,
        make_intake: MakeIntake,
    ) -> None:
        self._supervisor = supervisor
        self._plugins = plugins
        self._bus = bus
        self._clock = clock
        self._make_intake = make_intake
        self._entries: dict[str, _Entry] = {}

    def start_all(self, config: HubConfig) -> None:
        """Start what the configuration names, and every push format."""
        for entry_id, (domain, options) in self._wanted(config).items():
            self._start(entry_id, domain, options)

    async def stop_all(self) -> list[str]:
        """Stop all at once: a source that will not let go must not use up the time of those that still store.

        Returns:
            The names of those that had to be cancelled.
        """
        names = [_actor_name(entry_id) for entry_id in self._entries]
        ends = [self._supervisor.stop(name, timeout_s=STOP_LIMIT_S) for name in names]
        clean = await asyncio.gather(*ends)
        return [name for name, ended in zip(names, clean, strict=True) if not ended]

    async def apply(self, config: HubConfig) -> dict[str, list[str]]:
        """Stop what is no longer wanted, start what is new, restart what changed; the rest is not touched."""
        wanted = self._wanted(config)
        removed = [entry_id for entry_id in self._entries if entry_id not in wanted]
        changed = [
            entry_id
            for entry_id, entry in self._entries.items()
            if entry_id in wanted
            and (entry.domain, dict(entry.options)) != (wanted[entry_id][0], dict(wanted[entry_id][1]))
        ]
        added = [entry_id for entry_id in wanted if entry_id not in self._entries]
        for entry_id in (*removed, *changed):
            await self._stop(entry_id)
        for entry_id in (*changed, *added):
            self._start(entry_id, *wanted[entry_id])
        return {"added": added, "changed": changed, "removed": removed}

    def endpoints(self) -> list[tuple[Endpoint, HubIntake]]:
        """HTTP routes of the push formats, for web to mount behind its gate."""
        return [
            (endpoint, entry.intake)
            for entry in self._entries.values()
            for endpoint in entry.integration.endpoints
        ]

    def views(self) -> list[EntryView]:
        """State of every entry."""
        return [self._view(entry_id, entry) for entry_id, entry in self._entries.items()]

    def statuses(self) -> dict[str, EntryStatus]:
        """The status of every entry, as its actor keeps it."""
        return {entry_id: entry.status for entry_id, entry in self._entries.items()}

    def wake_users_of_the_broker(self) -> None:
        """The hub's own broker runs now: whoever waited for it connects again."""
        for entry_id, entry in self._entries.items():
            if entry.status.state == "needs_user" and entry.options.get("broker") == "embedded":
                self._tell(entry_id, RestartEntry())

    def put_to_rest(self, label: str, rest: PutToRest) -> None:
        """Disconnect the entries of a plugin that harms the others; ``label`` is the watchdog's name for it.

        What came with the hub may look guilty on a machine that is too slow, and people depend on it: it stays.
        """
        for entry_id, entry in self._entries.items():
            bundled = self._plugins.plugins[entry.domain].source == "bundled"
            if not bundled and label in (f"plugin:{entry.domain}", f"plugin:{entry_id}"):
                self._tell(entry_id, rest)

    def _tell(self, entry_id: str, message: object) -> None:
        self._supervisor.ref(_actor_name(entry_id)).tell(message)

    def _wanted(self, config: HubConfig) -> dict[str, tuple[str, Options]]:
        wanted: dict[str, tuple[str, Options]] = {
            entry.entry_id: (entry.domain, revealed(dict(entry.options))) for entry in config.integrations
        }
        configured = {domain for domain, _ in wanted.values()}
        for domain, plugin in self._plugins.plugins.items():
            if plugin.integration and plugin.integration.always and domain not in configured:
                wanted[domain] = (domain, plugin.integration.schema({}))
        return wanted

    def _start(self, entry_id: str, domain: str, options: Mapping[str, Any]) -> None:
        integration = self._plugins.integration(domain)
        if integration is None:
            return
        intake = self._make_intake(entry_id, domain, options)
        status = EntryStatus()
        name = str(options.get("name") or domain)
        self._entries[entry_id] = _Entry(domain, name, options, integration, intake, status)
        self._supervisor.start(
            _actor_name(entry_id),
            lambda: IntegrationActor(integration, options, intake, self._bus, self._clock, status=status),
        )

    async def _stop(self, entry_id: str) -> None:
        if self._entries.pop(entry_id, None) is not None:
            await self._supervisor.stop(_actor_name(entry_id))

    def _view(self, entry_id: str, entry: _Entry) -> EntryView:
        manifest = self._plugins.plugins[entry.domain].manifest
        status = entry.status
        return EntryView(
            entry_id,
            entry.domain,
            entry.name,
            status.state,
            status.detail,
            status.code,
            status.since_ms,
            manifest.version if manifest else "",
            manifest.quality if manifest else "",
            entry.intake.stored_values,
            entry.intake.last_stored_ms,
            status.stack,
        )


def _actor_name(entry_id: str) -> str:
    return f"entry:{entry_id}"
