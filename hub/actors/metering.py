"""Metering actor: metering points, dated installations, replaced devices, and meters that people read.

In: requests of people. Out: ``RangesDirtied`` for series whose stream an installation cuts. It stands above the
device actor and the recorder, as an integration does, and asks them down for devices and for storing readings.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from hub.actors.device_requests import MANUAL, Declare
from hub.actors.metering_requests import (
    AddInstallation,
    GetInstallation,
    GetPoint,
    GetPointHistory,
    ImportQuarantined,
    InstallationView,
    ListInstallations,
    ListPoints,
    PatchInstallation,
    PointView,
    RemoveInstallation,
    RemovePoint,
    ReplaceDevice,
    SavePoint,
    StoreManual,
)
from hub.actors.metering_rules import (
    checked_installation,
    checked_point,
    manual_series,
    refuse_overlap,
)
from hub.actors.point_history import PointFigures, point_history
from hub.actors.recorder import StoreReadings
from hub.actors.registry import Registry
from hub.actors.replacement import Replacement
from hub.bus import EventBus
from hub.energy.installations import Installation, cuts_of
from hub.errors import NotFound, Refused
from hub.model.device import DeviceInfo
from hub.model.events import RangesDirtied
from hub.model.names import device_id
from hub.model.reading import ReadingBatch, SeriesHandle, Stored
from hub.model.series import Series, SeriesNo
from hub.model.units import conversion
from hub.runtime.actor import AsyncActor, Ref, request
from hub.runtime.clock import Clock
from hub.storage import metering as rows
from hub.storage.database import Database
from hub.storage.decisions import mark_dirty
from hub.storage.metering import InstallationRow, MeteringPoint
from hub.storage.points import point_unit
from hub.storage.quarantine import delete_quarantined, find_quarantined

DECLARE_TIMEOUT_S: Final = 30.0
STORE_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Change:
    """Installations as they become: to be written, and to be taken away; new points come first."""

    save: tuple[InstallationRow, ...] = ()
    remove: tuple[InstallationRow, ...] = ()
    points: tuple[MeteringPoint, ...] = ()


class MeteringActor(AsyncActor):
    """Sole writer of metering points and installations."""

    def __init__(
        self,
        database: Database,
        bus: EventBus,
        clock: Clock,
        *,
        registry: Registry,
        device: Ref,
        recorder: Ref,
        zone: str,
    ) -> None:
        super().__init__()
        self._database = database
        self._bus = bus
        self._clock = clock
        self._registry = registry
        self._device = device
        self._recorder = recorder
        self._zone = zone
        self._replacement = Replacement(database, clock, registry, device)

    async def on_receive(self, message: Any) -> Any:
        """One line per request."""
        match message:
            case ListPoints():
                return await self._points()
            case GetPoint(id_):
                return await self._point(id_)
            case SavePoint(id_, changes, new):
                return await self._save_point(id_, changes, new=new)
            case RemovePoint(id_):
                await self._remove_point(id_)
            case ListInstallations(point):
                return await self._installations(point)
            case GetInstallation(id_):
                return self._shown(await self._installation(id_))
            case AddInstallation():
                return await self._add(message)
            case PatchInstallation(id_, fields):
                return await self._patch(id_, fields)
            case RemoveInstallation(id_):
                await self._change(_Change(remove=(await self._installation(id_),)))
            case ReplaceDevice():
                return await self._replace(message)
            case StoreManual():
                return await self._store_manual(message)
            case ImportQuarantined(id_):
                return await self._import_quarantined(id_)
            case GetPointHistory():  # it may take long, and others want to write
                return asyncio.get_running_loop().create_task(self._history(message))
            case _:
                return super().on_receive(message)
        return None

    def _by_no(self, number: int) -> Series | None:
        return self._registry.by_no(SeriesNo(number))

    # --- points

    async def _points(self) -> tuple[PointView, ...]:
        points, installed = await self._database.read(
            lambda conn: (rows.load_points(conn), rows.load_installations(conn))
        )
        return tuple(self._point_view(point, installed) for point in points)

    async def _point(self, id_: str) -> PointView:
        point = await self._found_point(id_)
        installed = await self._database.read(lambda conn: rows.load_installations(conn, point=id_))
        return self._point_view(point, installed)

    def _point_view(self, point: MeteringPoint, installed: Sequence[InstallationRow]) -> PointView:
        mine = [self._shown(row) for row in installed if row.metering_point == point.id]
        return PointView(point, tuple(mine))

    async def _found_point(self, id_: str) -> MeteringPoint:
        point = await self._database.read(lambda conn: rows.find_point(conn, id_))
        if point is None:
            raise NotFound(
                "WL-API-404",
                f"there is no metering point {id_[:80]!r}",
                where="metering_point",
                hint="GET /api/v1/metering-points lists them",
            )
        return point

    async def _save_point(self, id_: str, changes: Mapping[str, Any], *, new: bool) -> PointView:
        known = await self._database.read(lambda conn: rows.find_point(conn, id_))
        if new and known is not None:
            raise Refused("WL-MET-001", f"metering point {id_} exists already", where="id")
        if known is None and not new:
            await self._found_point(id_)
        before = known or MeteringPoint(id_, id_, created_ms=self._clock.now_ms())
        point = checked_point(replace(before, **changes))
        await self._database.write(lambda conn: rows.save_point(conn, point), label="metering point")
        return await self._point(id_)

    async def _remove_point(self, id_: str) -> None:
        view = await self._point(id_)
        await self._change(_Change(remove=tuple(one.row for one in view.installations)))
        await self._database.write(lambda conn: rows.delete_point(conn, id_), label="metering point")

    async def _history(self, wanted: GetPointHistory) -> PointFigures:
        await self._found_point(wanted.id)
        return await point_history(
            self._database,
            self._by_no,
            wanted.id,
            self._zone,
            wanted.start_ms,
            wanted.end_ms,
            wanted.resolution,
        )

    # --- installations

    async def _installations(self, point: str | None) -> tuple[InstallationView, ...]:
        if point is not None:
            await self._found_point(point)
        found = await self._database.read(lambda conn: rows.load_installations(conn, point=point))
        return tuple(self._shown(row) for row in found)

    async def _installation(self, id_: int) -> InstallationRow:
        row = await self._database.read(lambda conn: rows.find_installation(conn, id_))
        if row is None:
            raise NotFound("WL-API-404", f"there is no installation {id_}", where="id")
        return row

    def _shown(self, row: InstallationRow) -> InstallationView:
        return InstallationView(row, self._by_no(row.installation.series))

    async def _add(self, wanted: AddInstallation) -> InstallationView:
        await self._found_point(wanted.metering_point)
        series = self._registry.by_public_id(wanted.series)
        blank = Installation(series.no, int(wanted.fields["from_ms"]))
        installed, note = checked_installation(blank, wanted.fields, series)
        row = InstallationRow(0, wanted.metering_point, installed, note, self._clock.now_ms())
        (saved,) = await self._change(_Change(save=(row,)))
        return self._shown(saved)

    async def _patch(self, id_: int, fields: Mapping[str, Any]) -> InstallationView:
        before = await self._installation(id_)
        series = self._by_no(before.installation.series)
        if series is None:
            raise NotFound("WL-API-404", "the series of this installation was removed", where="series")
        installed, note = checked_installation(before.installation, {"note": before.note, **fields}, series)
        (saved,) = await self._change(_Change(save=(replace(before, installation=installed, note=note),)))
        return self._shown(saved)

    async def _change(self, change: _Change) -> list[InstallationRow]:
        """Write rows with the marks of the streams that they cut otherwise than before, and tell."""
        now_ms = self._clock.now_ms()
        cause = f"installation {uuid.uuid4().hex[:12]}"

        def job(conn: sa.Connection) -> tuple[list[InstallationRow], list[tuple[int, int, int]]]:
            touched = {row.installation.series for row in (*change.save, *change.remove)}
            before = {number: cuts_of(rows.installations_of(conn, number)) for number in touched}
            for point in change.points:
                rows.save_point(conn, point)
            for row in change.remove:
                rows.delete_installation(conn, row.id)
            saved = []
            for row in change.save:
                if row.id:
                    rows.update_installation(conn, row)
                else:
                    row = replace(row, id=rows.insert_installation(conn, row))
                saved.append(row)
            for number in touched:
                refuse_overlap(rows.load_installations(conn, series=number))
            for id_ in {row.metering_point for row in saved}:
                point_unit(rows.load_installations(conn, point=id_), self._by_no)
            dirty = [
                (number, cut.at_ms - 1, cut.at_ms + 1)
                for number in sorted(touched)
                for cut in set(before[number]) ^ set(cuts_of(rows.installations_of(conn, number)))
            ]
            mark_dirty(conn, dirty, cause, now_ms)
            return saved, dirty

        saved, dirty = await self._database.write(job, label="installations")
        for number, start_ms, end_ms in dirty:
            self._bus.publish(RangesDirtied((number,), start_ms, end_ms, cause))
        return saved

    # --- replacing a device

    async def _replace(self, wanted: ReplaceDevice) -> PointView:
        planned = await self._replacement.plan(wanted)
        await self._change(_Change(save=planned.save, points=planned.points))
        await self._replacement.inherit(wanted)
        return await self._point(planned.main)

    # --- meters that people read

    async def _store_manual(self, wanted: StoreManual) -> Stored:
        if wanted.series is not None:
            series = self._registry.by_public_id(wanted.series)
        else:
            series = await self._register_at(wanted)
        unit = wanted.unit if wanted.unit is not None else series.sent_unit or None
        change = conversion(series.quantity, unit)
        batch = ReadingBatch(MANUAL, self._clock.now_ms(), imported=True)
        handle = SeriesHandle(series.no, change.factor, change.offset)
        for position, one in enumerate(wanted.readings):
            batch.add(handle, one.ts_ms, one.value, position)
        return await request(self._recorder, StoreReadings(batch), timeout_s=STORE_TIMEOUT_S)

    async def _import_quarantined(self, id_: int) -> Stored:
        kept = await self._database.read(lambda conn: find_quarantined(conn, id_))
        if kept is None:
            raise NotFound("WL-API-404", f"nothing is kept under {id_}", where="id")
        series = None if kept.series is None else self._by_no(kept.series)
        if series is None or kept.ts_ms is None or kept.value is None:
            raise Refused(
                "WL-MET-008", "this was never a reading of a series, only a message", where="id",
                hint="send it again once its source is put right",
            )  # fmt: skip
        batch = ReadingBatch(kept.source, self._clock.now_ms(), imported=True)
        batch.add(SeriesHandle(series.no), kept.ts_ms, float(kept.value))
        stored = await request(self._recorder, StoreReadings(batch), timeout_s=STORE_TIMEOUT_S)
        if not stored.rejections:
            await self._database.write(lambda conn: delete_quarantined(conn, id_), label="quarantine")
        return stored

    async def _register_at(self, wanted: StoreManual) -> Series:
        """The register of the point that is installed when the first value was read; made where none ever was."""
        view = await self._point(wanted.metering_point or "")
        first_ms = min(one.ts_ms for one in wanted.readings)
        known = [(one.row.installation, one.series) for one in view.installations if one.series is not None]
        if not known:
            return await self._new_manual(view.point, wanted, first_ms)
        now = [series for one, series in known if one.from_ms <= first_ms < one.end_ms] or [
            series for one, series in known if first_ms < one.from_ms
        ][:1]
        named = [one for one in now if wanted.register in (None, one.key, one.public_id)]
        if len(named) != 1:
            raise Refused(
                "WL-MET-007",
                f"{view.point.id} has {len(named)} registers that fit at that time",
                where="register",
                hint="of " + ", ".join(sorted({series.key for _, series in known})),
            )
        return named[0]

    async def _new_manual(self, point: MeteringPoint, wanted: StoreManual, first_ms: int) -> Series:
        info = manual_series(point.kind, wanted.register, wanted.unit)
        device = device_id(point.id)
        if device in self._registry.devices and self._registry.devices[device].integration != MANUAL:
            device = f"{device[:57]}-manual"
        declared = Declare(DeviceInfo(device, point.name, kind="manual meter"), (info,), MANUAL, MANUAL)
        await request(self._device, declared, timeout_s=DECLARE_TIMEOUT_S)
        series = self._registry.find(device, info.key)
        assert series is not None
        row = InstallationRow(0, point.id, Installation(series.no, first_ms), created_ms=self._clock.now_ms())
        await self._change(_Change(save=(row,)))
        return series
