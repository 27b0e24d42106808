"""The discovery inbox: devices that nobody configured wait here for a person; nothing of them is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hub.actors.registry import InboxItem, Registry
from hub.bus import EventBus
from hub.errors import NotFound
from hub.model.device import DeviceInfo
from hub.model.events import InboxChanged
from hub.model.series import SeriesInfo
from hub.runtime.clock import Clock
from hub.storage import registry as rows
from hub.storage.database import Database

INBOX_LIMIT = 1_000
SERIES_PER_ITEM = 1_000
SAMPLE_CHARS = 500


class DiscoveryInbox:
    """Part of the device actor: the waiting and the ignored devices, in the store and in the registry."""

    def __init__(self, database: Database, bus: EventBus, clock: Clock, registry: Registry) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._registry = registry

    def items(self) -> tuple[InboxItem, ...]:
        """What waits and what is ignored, oldest first."""
        return tuple(self._registry.inbox.values())

    async def put(
        self, device: DeviceInfo, series: Sequence[SeriesInfo], *, entry_id: str, domain: str, sample: str
    ) -> None:
        """Let a found device wait, or add to what is known of it; ignored sources and a full inbox take nothing."""
        inbox, now_ms = self._registry.inbox, self._clock.now_ms()
        item = inbox.get(device.id)
        if item is None:
            if entry_id in self._registry.ignored_sources or len(inbox) >= INBOX_LIMIT:
                return
            item = InboxItem(device, entry_id, domain, [], sample[:SAMPLE_CHARS], now_ms, now_ms, 0)
        item.last_ms, item.count = now_ms, item.count + 1
        known = {one.key for one in item.series}
        fresh = [info for info in series if info.key not in known]
        if not fresh and device.id in inbox:
            return
        item.series += fresh[: SERIES_PER_ITEM - len(item.series)]
        inbox[device.id] = item
        await self._save(item)

    def waiting(self, device_id: str) -> InboxItem:
        """The item of a device.

        Raises:
            NotFound: no such device was found.
        """
        item = self._registry.inbox.get(device_id)
        if item is None:
            raise NotFound("WL-API-404", f"no device {device_id[:80]!r} waits in the inbox", where="device")
        return item

    async def take_out(self, device_id: str) -> None:
        """The device was added: it waits no more."""
        await self._database.write(lambda conn: rows.delete_inbox(conn, device_id), label="inbox")
        del self._registry.inbox[device_id]
        self._registry.version += 1
        self._tell()

    async def ignore(self, device_id: str) -> None:
        """Keep the device out of sight. Raises as :meth:`waiting`."""
        item = self.waiting(device_id)
        item.state = "ignored"
        await self._save(item)

    async def ignore_source(self, entry_id: str, *, ignored: bool) -> None:
        """Take nothing more from an integration entry, or take it again; what waits from it goes away."""
        after = self._registry.ignored_sources | {entry_id}
        if not ignored:
            after = self._registry.ignored_sources - {entry_id}
        dropped = [
            device for device, item in self._registry.inbox.items() if ignored and item.entry_id == entry_id
        ]

        def job(conn: Any) -> None:
            rows.save_ignored_sources(conn, after)
            for device in dropped:
                rows.delete_inbox(conn, device)

        await self._database.write(job, label="inbox")
        self._registry.ignored_sources.clear()
        self._registry.ignored_sources.update(after)
        for device in dropped:
            del self._registry.inbox[device]
        self._tell()

    async def _save(self, item: InboxItem) -> None:
        values = {
            "entry_id": item.entry_id,
            "domain": item.domain,
            "state": item.state,
            "info": rows.plain_device(item.device),
            "series": [rows.plain_series(info) for info in item.series],
            "sample": item.sample,
            "first_ms": item.first_ms,
            "last_ms": item.last_ms,
            "count": item.count,
        }
        await self._database.write(lambda conn: rows.save_inbox(conn, item.device.id, values), label="inbox")
        self._tell()

    def _tell(self) -> None:
        waiting = sum(item.state == "waiting" for item in self._registry.inbox.values())
        self._bus.publish(InboxChanged(waiting))
