"""Device actor: the registry of devices and series, latest values, silence, and the discovery inbox.

In: :class:`hub.model.events.ReadingsStored`, declarations of integrations, commands of people.
Out: ``StatesChanged``, ``SeriesAdded``, ``DeviceChanged``, ``AvailabilityChanged``, ``InboxChanged``.

Every change is in the store before it is in the registry, so nothing is known that a restart would forget.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hub.actors.board import LatestBoard
from hub.actors.device_requests import (
    MANUAL,
    AddFromInbox,
    ApplyDevices,
    CheckSilence,
    CreateDevice,
    Declare,
    DeviceView,
    FindSeries,
    GetDevice,
    GetDevices,
    GetInbox,
    GetLatest,
    GetSeries,
    IgnoreInbox,
    IgnoreSource,
    LatestRow,
    PatchDevice,
    PatchSeries,
    RemoveDevice,
    ReportAvailability,
    ShowStale,
)
from hub.actors.device_rules import checked_changes, merged
from hub.actors.inbox import DiscoveryInbox
from hub.actors.registry import Registry
from hub.actors.series_edit import changed_series, rewrite_series
from hub.bus import EventBus
from hub.errors import Refused
from hub.model.device import Availability, Device, DeviceInfo
from hub.model.events import (
    AvailabilityChanged,
    DeviceChanged,
    RangesDirtied,
    ReadingsStored,
    SeriesAdded,
    StatesChanged,
)
from hub.model.quality import ReadingFlag
from hub.model.series import Series, SeriesInfo
from hub.model.units import conversion
from hub.runtime.actor import AsyncActor
from hub.runtime.clock import Clock
from hub.storage import registry as rows
from hub.storage.database import Database

LOGGER = logging.getLogger(__name__)

SILENT_AFTER_MS = 15 * 60_000
DEVICE_LIMIT = 10_000
SERIES_PER_DEVICE = 1_000


class DeviceActor(AsyncActor):
    """Sole writer of the registry and of the board of latest values."""

    inbox_limit = 20_000

    def __init__(
        self,
        database: Database,
        bus: EventBus,
        clock: Clock,
        *,
        registry: Registry,
        board: LatestBoard,
        discovery: str = "inbox",
    ) -> None:
        super().__init__()
        self._database = database
        self._bus = bus
        self._clock = clock
        self._registry = registry
        self._board = board
        self._discovery = discovery
        self._availability: dict[str, Availability] = {}
        self._inbox = DiscoveryInbox(database, bus, clock, registry)
        subscription = bus.subscribe(ReadingsStored, self.ref)
        self.at_end(subscription.cancel)

    async def on_receive(self, message: Any) -> Any:
        """One line per request."""
        match message:
            case ReadingsStored():
                self._show(message)
            case Declare():
                return await self._declare(message)
            case ReportAvailability(device, online):
                self._set_availability(device, Availability.ONLINE if online else Availability.OFFLINE)
            case ShowStale(number, value):
                self._show_stale(number, value)
            case CheckSilence():
                self._check_silence()
            case GetLatest(wanted):
                return self._latest(wanted)
            case GetDevices():
                return tuple(self._view(device) for device in self._registry.devices.values())
            case GetDevice(device):
                return self._view(self._registry.device(device))
            case CreateDevice(info):
                return await self._create(info)
            case PatchDevice(device, changes):
                return await self._patch(device, changes)
            case RemoveDevice(device):
                await self._remove(device)
            case GetSeries():
                return self._registry.all_series()
            case FindSeries(public_id):
                return self._registry.by_public_id(public_id)
            case PatchSeries(public_id, changes):
                return await self._patch_series(public_id, changes)
            case GetInbox():
                return self._inbox.items()
            case AddFromInbox():
                return await self._add_from_inbox(message)
            case IgnoreInbox(device):
                await self._inbox.ignore(device)
            case IgnoreSource(entry_id, ignored):
                await self._inbox.ignore_source(entry_id, ignored=ignored)
            case ApplyDevices(devices, discovery):
                self._discovery = discovery
                await self._apply(devices)
            case _:
                return super().on_receive(message)
        return None

    # --- latest values

    def _show(self, event: ReadingsStored) -> None:
        changed = self._board.take(event.series, event.ts_ms, event.values, event.flags)
        if not len(changed):
            return
        self._bus.publish(
            StatesChanged(
                tuple(changed.tolist()),
                tuple(self._board.ts_ms[changed].tolist()),
                tuple(self._board.value[changed].tolist()),
            )
        )
        if self._availability:
            self._wake_silent(changed.tolist())

    def _show_stale(self, number: int, value: float) -> None:
        if self._registry.by_no(number) is not None and self._board.newest(number) is None:
            self._board.stale[number] = (value, self._clock.now_ms())
            self._bus.publish(StatesChanged((number,), (self._clock.now_ms(),), (value,)))

    def _latest(self, wanted: tuple[str, ...] | None) -> tuple[LatestRow, ...]:
        if wanted is None:
            series = self._registry.all_series()
        else:
            series = tuple(self._registry.by_public_id(public_id) for public_id in wanted)
        now_ms = self._clock.now_ms()
        found = (self._latest_row(one, now_ms) for one in series)
        return tuple(row for row in found if row is not None)

    def _latest_row(self, series: Series, now_ms: int) -> LatestRow | None:
        newest = self._board.newest(series.no)
        if newest is None:
            stale = self._board.stale.get(series.no)
            if stale is None:
                return None
            return LatestRow(series, stale[0], stale[1], (now_ms - stale[1]) / 1000, "stale")
        ts_ms, value = newest
        age_ms = max(now_ms - ts_ms, 0)
        late = bool(self._board.flags[series.no] & ReadingFlag.LATE)
        quality = "stale" if age_ms > _silent_after_ms(series) else "late" if late else "measured"
        return LatestRow(series, value, ts_ms, age_ms / 1000, quality)

    # --- availability

    def _set_availability(self, device_id: str, availability: Availability) -> None:
        known = device_id in self._registry.devices
        if not known or self._availability.get(device_id) is availability:
            return
        before = self._availability.get(device_id)
        self._availability[device_id] = availability
        if before is not None or availability is not Availability.ONLINE:
            LOGGER.info("device %s is %s", device_id, availability.value, extra={"device": device_id})
        self._bus.publish(AvailabilityChanged(device_id, availability.value, self._clock.now_ms()))

    def _check_silence(self) -> None:
        now_ms = self._clock.now_ms()
        for device_id in self._registry.devices:
            if self._availability.get(device_id) is Availability.OFFLINE:
                continue
            if self._registry.devices[device_id].integration == MANUAL:
                continue  # a person reads it when a person has time
            last_ms = self._last_ms(device_id)
            if last_ms is None:
                continue
            limit_ms = max(_silent_after_ms(one) for one in self._registry.of_device(device_id))
            if now_ms - last_ms > limit_ms:
                self._set_availability(device_id, Availability.SILENT)

    def _wake_silent(self, numbers: Sequence[int]) -> None:
        silent = {device for device, state in self._availability.items() if state is Availability.SILENT}
        if silent:
            devices = {series.device_id for no in numbers if (series := self._registry.by_no(no))}
            for device_id in devices & silent:
                self._set_availability(device_id, Availability.ONLINE)

    def _last_ms(self, device_id: str) -> int | None:
        times = [
            newest[0]
            for series in self._registry.of_device(device_id)
            if (newest := self._board.newest(series.no)) is not None
        ]
        return max(times, default=None)

    # --- registry

    def _view(self, device: Device) -> DeviceView:
        last_ms = self._last_ms(device.id)
        known = Availability.UNKNOWN if last_ms is None else Availability.ONLINE
        return DeviceView(
            device,
            self._availability.get(device.id, known),
            last_ms,
            self._registry.of_device(device.id),
        )

    async def _declare(self, wanted: Declare) -> tuple[int | None, ...]:
        units = [conversion(info.quantity, info.unit).unit for info in wanted.series]
        self._check_known(wanted)
        if wanted.found and wanted.device.id not in self._registry.devices:
            policy = wanted.discovery or self._discovery
            if policy != "auto":
                if policy == "inbox":
                    await self._inbox.put(
                        wanted.device,
                        wanted.series,
                        entry_id=wanted.entry_id,
                        domain=wanted.domain,
                        sample=wanted.sample,
                    )
                return (None,) * len(wanted.series)
        await self._register(wanted.device, wanted.entry_id, wanted.series, units)
        found = (self._registry.find(wanted.device.id, info.key) for info in wanted.series)
        return tuple(one.no if one else None for one in found)

    def _check_known(self, wanted: Declare) -> None:
        known_device = wanted.device.id in self._registry.devices
        if not known_device and len(self._registry.devices) >= DEVICE_LIMIT:
            raise Refused(
                "WL-DEV-003",
                f"there are {DEVICE_LIMIT} devices already",
                hint="is a changing value part of the device name?",
            )
        for info in wanted.series:
            known = self._registry.find(wanted.device.id, info.key)
            if known is not None and known.quantity is not info.quantity:
                raise Refused(
                    "WL-ING-022",
                    f"{known.public_id} measures {known.quantity.value}, not {info.quantity.value}",
                    where=known.public_id,
                    hint="send it under another name, or remove the device first",
                )

    async def _register(
        self, info: DeviceInfo, entry_id: str, series: Sequence[SeriesInfo], units: Sequence[str]
    ) -> None:
        """Write what is not known yet, then tell; known things cost nothing."""
        before = self._registry.devices.get(info.id)
        device = merged(before, info, entry_id, self._clock.now_ms())
        new: dict[str, tuple[SeriesInfo, str]] = {}
        for one, unit in zip(series, units, strict=True):
            if self._registry.find(info.id, one.key) is None:
                new.setdefault(one.key, (one, unit))
        if len(self._registry.of_device(info.id)) + len(new) > SERIES_PER_DEVICE:
            raise Refused(
                "WL-DEV-004",
                f"device {info.id} has {SERIES_PER_DEVICE} series already",
                where=info.id,
                hint="is a changing value part of the series name?",
            )
        if device == before and not new:
            return
        created_ms = self._clock.now_ms()

        def job(conn: Any) -> list[Series]:
            if device != before:
                rows.save_device(conn, device)
            return rows.insert_series(
                conn,
                info.id,
                [one for one, _ in new.values()],
                [unit for _, unit in new.values()],
                created_ms,
            )

        made = await self._database.write(job, label="register")
        if device != before:
            self._registry.put_device(device)
            if before is None:
                LOGGER.info("device %s added", device.id, extra={"device": device.id})
            self._bus.publish(DeviceChanged(device))
        for one_made in made:
            self._registry.put(one_made)
            self._bus.publish(SeriesAdded(one_made))

    async def _create(self, info: DeviceInfo) -> DeviceView:
        if info.id in self._registry.devices:
            raise Refused("WL-DEV-002", f"device {info.id} exists already", where="id")
        await self._register(info, "", (), ())
        return self._view(self._registry.device(info.id))

    async def _patch(self, device_id: str, changes: dict[str, str | None]) -> DeviceView:
        before = self._registry.device(device_id)
        after = replace(before, **checked_changes(changes))
        if after.parent is not None:
            self._check_parent(device_id, after.parent)
        await self._database.write(lambda conn: rows.save_device(conn, after), label="device")
        self._registry.put_device(after)
        self._bus.publish(DeviceChanged(after))
        return self._view(after)

    def _check_parent(self, device_id: str, parent: str | None) -> None:
        seen = {device_id}
        while parent is not None:
            if parent in seen:
                raise Refused("WL-DEV-005", "a device cannot be its own parent", where="parent")
            seen.add(parent)
            parent = self._registry.device(parent).parent

    async def _patch_series(self, public_id: str, changes: Mapping[str, Any]) -> Series:
        before = self._registry.by_public_id(public_id)
        after = changed_series(before, changes)
        cause = f"series {uuid.uuid4().hex[:12]}"
        dirty = await self._database.write(
            lambda conn: rewrite_series(conn, before, after, cause, self._clock.now_ms()), label="series"
        )
        self._registry.put(after)
        self._bus.publish(SeriesAdded(after))
        if dirty is not None:
            self._bus.publish(RangesDirtied((after.no,), *dirty, cause))
        return after

    async def _remove(self, device_id: str) -> None:
        device = self._registry.device(device_id)
        await self._database.write(lambda conn: rows.delete_device(conn, device_id), label="device")
        self._registry.drop_device(device_id)
        self._availability.pop(device_id, None)
        LOGGER.info("device %s removed", device_id, extra={"device": device_id})
        self._bus.publish(DeviceChanged(device, removed=True))

    async def _apply(self, devices: tuple[DeviceInfo, ...]) -> None:
        for info in devices:
            known = self._registry.devices.get(info.id)
            if known is None:
                await self._register(info, "", (), ())
                continue
            wanted = {
                name: value
                for name in ("name", "role", "area", "parent")
                if (value := getattr(info, name)) not in (None, "")
            }
            after = replace(known, **wanted)
            if after != known:
                await self._database.write(lambda conn, row=after: rows.save_device(conn, row))  # type: ignore[misc]  # bound per turn
                self._registry.put_device(after)
                self._bus.publish(DeviceChanged(after))

    async def _add_from_inbox(self, wanted: AddFromInbox) -> DeviceView:
        item = self._inbox.waiting(wanted.device_id)
        changes = {
            name: value
            for name, value in (("name", wanted.name), ("role", wanted.role), ("area", wanted.area))
            if value is not None
        }
        info = replace(item.device, **checked_changes(changes))
        units = [conversion(one.quantity, one.unit).unit for one in item.series]
        await self._register(info, item.entry_id, item.series, units)
        await self._inbox.take_out(wanted.device_id)
        return self._view(self._registry.device(info.id))


def _silent_after_ms(series: Series) -> int:
    """A series is stale after five of its usual intervals, at least a quarter of an hour."""
    return max(5 * (series.interval_ms or 0), SILENT_AFTER_MS)
