"""A meter takes the place of another: which installations close, which open, and what the new device takes over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import sqlalchemy as sa

from hub.actors.device_requests import Declare, GetDevice, PatchDevice
from hub.actors.metering_requests import Register, ReplaceDevice
from hub.actors.metering_rules import checked_installation, checked_point, kind_of, stored_value
from hub.actors.registry import Registry
from hub.energy.installations import Installation
from hub.errors import Refused
from hub.model.device import DeviceInfo
from hub.model.series import Behaviour, Role, Series, SeriesInfo
from hub.runtime.actor import Ref, request
from hub.runtime.clock import Clock
from hub.storage import metering as rows
from hub.storage.corrected import CorrectedReadings
from hub.storage.database import Database
from hub.storage.metering import InstallationRow, MeteringPoint

DECLARE_TIMEOUT_S: Final = 30.0
AHEAD_MS: Final = 300_000


@dataclass(frozen=True, slots=True)
class Planned:
    """Rows to write, points to make before, and the id of the point that goes on (that of electricity)."""

    save: tuple[InstallationRow, ...]
    points: tuple[MeteringPoint, ...]
    main: str


class Replacement:
    """Plans a replacement by what the registry and the store know; writes nothing but the new device."""

    def __init__(self, database: Database, clock: Clock, registry: Registry, device: Ref) -> None:
        self._database = database
        self._clock = clock
        self._registry = registry
        self._device = device

    async def plan(self, wanted: ReplaceDevice) -> Planned:
        """What has to be written.

        Raises:
            NotFound: no such device. Refused: ``WL-MET-001``, ``-002``, ``-004``, ``WL-ING-020``.
        """
        old = self._registry.device(wanted.device)
        registers = wanted.registers or tuple(
            Register(one.key)
            for one in self._registry.of_device(old.id)
            if one.behaviour is Behaviour.COUNTER
        )
        if not registers:
            raise Refused("WL-MET-004", f"{old.id} has no register to close", where="registers")
        if wanted.at_ms > self._clock.now_ms() + AHEAD_MS:
            raise Refused("WL-MET-004", "a device cannot be replaced in the future yet", where="at")
        pairs = [(self._old_register(old.id, one), one) for one in registers]
        fresh = await self._new_registers(wanted.new_device, pairs)
        kinds = [kind_of(series.quantity) for series, _ in pairs]
        main = "electricity" if "electricity" in kinds else kinds[0]
        points: dict[str, tuple[MeteringPoint, bool]] = {}
        save: list[InstallationRow] = []
        for (series, register), new in zip(pairs, fresh, strict=True):
            kind = kind_of(series.quantity)
            if kind not in points:
                mine = [one for one, _ in pairs if kind_of(one.quantity) == kind]
                points[kind] = await self._point_of(wanted, mine, is_main=kind == main)
            save += await self._swap(points[kind][0].id, series, new, register, wanted)
        made = tuple(point for point, known in points.values() if not known)
        return Planned(tuple(save), made, points[main][0].id)

    async def inherit(self, wanted: ReplaceDevice) -> None:
        """Role, area and parent of the old device where the new one has none."""
        if wanted.new_device == wanted.device:
            return
        old = self._registry.device(wanted.device)
        new = (await request(self._device, GetDevice(wanted.new_device))).device
        changes: dict[str, str | None] = {}
        if new.role is Role.NONE and old.role is not Role.NONE:
            changes["role"] = old.role.value
        if new.area is None and old.area:
            changes["area"] = old.area
        if new.parent is None and old.parent and old.parent != new.id:
            changes["parent"] = old.parent
        if changes:
            await request(self._device, PatchDevice(new.id, changes))

    def _old_register(self, device: str, register: Register) -> Series:
        series = self._registry.find(device, register.key)
        if series is None or series.behaviour is not Behaviour.COUNTER:
            raise Refused("WL-MET-004", f"{device} has no register {register.key[:80]!r}", where="registers")
        return series

    async def _new_registers(self, device: str, pairs: Sequence[tuple[Series, Register]]) -> list[Series]:
        """The new device's registers; they are declared where the device has not spoken yet."""
        infos = [
            SeriesInfo(
                register.new_key or old.key, old.quantity, old.behaviour, old.sent_unit or None, old.direction
            )
            for old, register in pairs
        ]
        if any(self._registry.find(device, info.key) is None for info in infos):
            await request(
                self._device,
                Declare(DeviceInfo(device), tuple(infos), "", "", discovery="auto"),
                timeout_s=DECLARE_TIMEOUT_S,
            )
        found = []
        for info in infos:
            series = self._registry.find(device, info.key)
            if (
                series is None
                or series.quantity is not info.quantity
                or series.behaviour is not info.behaviour
            ):
                raise Refused("WL-MET-004", f"{device}.{info.key} is no such register", where="registers")
            found.append(series)
        return found

    async def _point_of(
        self, wanted: ReplaceDevice, series: Sequence[Series], *, is_main: bool
    ) -> tuple[MeteringPoint, bool]:
        """The point that these registers are installed at, else the one named, else a new one.

        A device that measures several things, such as electricity and gas, stands at a point for each.
        """
        for one in series:
            installed = await self._database.read(
                lambda conn, no=one.no: rows.load_installations(conn, series=no)  # type: ignore[misc]  # bound per turn
            )
            for row in installed:
                if row.installation.from_ms <= wanted.at_ms < row.installation.end_ms:
                    return await self._stored_point(row.metering_point), True
        kind = kind_of(series[0].quantity)
        id_ = wanted.metering_point or wanted.device
        id_ = id_ if is_main else f"{id_[:55]}-{kind}"
        known = await self._database.read(lambda conn: rows.find_point(conn, id_))
        if known is not None:
            return known, True
        name = self._registry.device(wanted.device).name
        return checked_point(MeteringPoint(id_, name, kind, created_ms=self._clock.now_ms())), False

    async def _swap(
        self, point: str, old: Series, new: Series, register: Register, wanted: ReplaceDevice
    ) -> list[InstallationRow]:
        """The row that closes and the row that opens."""
        at_ms, now_ms = wanted.at_ms, self._clock.now_ms()

        def job(conn: sa.Connection) -> tuple[list[InstallationRow], int, float | None]:
            readings = CorrectedReadings.of(conn, old.no)
            first = readings.after(-1, 1)
            last = readings.before(at_ms + 1, 1)
            return (
                rows.load_installations(conn, series=old.no),
                int(first.ts_ms[0]) if len(first.ts_ms) else at_ms - 1,
                float(last.values[0]) if len(last.values) else None,
            )

        installed, first_ms, last_value = await self._database.read(job)
        here = [row for row in installed if row.installation.from_ms <= at_ms < row.installation.end_ms]
        began = here[0] if here else InstallationRow(
            0, point, Installation(old.no, min(first_ms, at_ms - 1)), created_ms=now_ms
        )  # fmt: skip
        closing = stored_value(old, register.closing, register.unit)
        opening = stored_value(new, register.opening, register.unit)
        closed, note = checked_installation(
            began.installation,
            {"to_ms": at_ms, "closing": last_value if closing is None else closing, "note": began.note},
            old,
        )
        opened, _ = checked_installation(
            Installation(new.no, at_ms, factor=began.installation.factor,
                         calorific_value=began.installation.calorific_value,
                         state_number=began.installation.state_number),
            {"opening": opening}, new,
        )  # fmt: skip
        if began.id and began.installation.to_ms is not None:
            opened = replace(opened, to_ms=began.installation.to_ms)
        return [
            replace(began, installation=closed, note=note),
            InstallationRow(0, point, opened, wanted.note, now_ms),
        ]

    async def _stored_point(self, id_: str) -> MeteringPoint:
        """A point that an installation names: the foreign key says that it is there."""
        point = await self._database.read(lambda conn: rows.find_point(conn, id_))
        assert point is not None
        return point
