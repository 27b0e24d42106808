"""Metering points as bills see them: dated installations where there are any, else the meter of a device.

``grid`` is the grid connection: the point of this id once registers are installed there, until then the first
device with the role grid. The id of any device is a metering point of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.actors.registry import Registry
from hub.energy.installations import together
from hub.energy.netting import net_phases
from hub.energy.site_meters import SiteMeter, site_meters
from hub.energy.site_slots import SiteSlots, site_slots
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.energy.usage import Usage
from hub.errors import NotFound, Refused
from hub.model.device import Device
from hub.model.series import Direction, Role, Series
from hub.storage import slots
from hub.storage.metering import InstallationRow
from hub.storage.points import installed_slots, point_unit

GRID: Final = "grid"
_FAMILIES: Final = ("delta", "quality")


@dataclass(frozen=True, slots=True)
class PointMeter:
    """What a metering point is read from.

    ``installed`` registers decide where there are any. Else ``meter`` does, which gives what is imported and takes
    what is exported; ``phases`` are the same of each of three phases, empty where they are not measured.
    """

    device: str
    installed: tuple[tuple[InstallationRow, Series], ...] = ()
    meter: SiteMeter | None = None
    phases: tuple[SiteMeter, ...] = ()

    def series(self) -> frozenset[int]:
        """Numbers of all series that may decide."""
        meters = [one for one in (self.meter, *self.phases) if one is not None]
        numbers = {number for one in meters for number in one.series()}
        return frozenset(numbers | {int(series.no) for _, series in self.installed})


def point_meter(
    registry: Registry, point: str, rows: Sequence[InstallationRow], configured: bool, now_ms: int
) -> PointMeter:
    """The meter of a metering point.

    Args:
        registry: the things of the house.
        point: id of a metering point or a device.
        rows: installations at the point.
        configured: whether there is a metering point of this id.
        now_ms: whose register counts as the present one.

    Raises:
        NotFound: ``WL-MNY-010``, there is no such point, or nothing measures energy there.
        Refused: ``WL-MNY-017``, its registers count no energy.
    """
    if rows:
        return _installed(registry, point, rows, now_ms)
    device = _device_of(registry, point)
    if device is None:
        why = "no device has the role grid" if point == GRID else "no device has this id"
        raise _no_point(point, "no register is installed there" if configured else why)
    series = registry.of_device(device.id)
    found = _as_grid(device, series)
    if not found:
        raise _no_point(point, f"nothing of {device.id} measures energy")
    phases = [_as_grid(device, [one for one in series if one.key.endswith(f"_l{n}")]) for n in (1, 2, 3)]
    whole = all(phase and phase[0].give and phase[0].take for phase in phases)
    return PointMeter(device.id, (), found[0], tuple(phase[0] for phase in phases) if whole else ())


def _installed(registry: Registry, point: str, rows: Sequence[InstallationRow], now_ms: int) -> PointMeter:
    unit = point_unit(rows, registry.by_no)
    if unit != "Wh":
        raise Refused(
            "WL-MNY-017",
            f"the registers of {point} count {unit}, and a bill is about kWh",
            where="metering_point",
            hint="give its installations a calorific value",
        )
    known = [(row, series) for row in rows if (series := registry.by_no(row.installation.series)) is not None]
    if not known:
        raise _no_point(point, "all registers that were installed there were removed")
    now = [series for row, series in known if row.installation.from_ms <= now_ms < row.installation.end_ms]
    return PointMeter((now or [known[-1][1]])[0].device_id, tuple(known))


def _as_grid(device: Device, series: Sequence[Series]) -> tuple[SiteMeter, ...]:
    meter = replace(device, role=Role.GRID, parent=None)
    return site_meters([meter], {meter.id: series})


def _no_point(point: str, why: str) -> NotFound:
    return NotFound(
        "WL-MNY-010",
        f"there is no metering point {point[:80]!r}: {why}",
        where="metering_point",
        hint="give the grid meter the role grid, or name a device that measures energy",
    )


def _device_of(registry: Registry, point: str) -> Device | None:
    meters = [one for one in registry.devices.values() if one.role is Role.GRID]
    if point == GRID and meters:
        return min(meters, key=lambda one: (one.created_ms, one.id))
    return registry.devices.get(point)


# --- energy


def read_usage(
    conn: sa.Connection, point: PointMeter, first_ms: int, end_ms: int, *, per_phase: bool = False
) -> Usage:
    """Energy of ``[first_ms, end_ms)``, both on whole slots; unknown slots are 0 and not ``known``.

    ``per_phase`` lets each phase count by itself, where the phases are measured: what one of them feeds in is
    not set off against what the others take.
    """
    if point.meter is None:
        return _of_registers(conn, point, first_ms, end_ms)
    if per_phase and point.phases:
        return _of_phases([_of_meter(conn, phase, first_ms, end_ms) for phase in point.phases])
    return _of_meter(conn, point.meter, first_ms, end_ms)


def _of_registers(conn: sa.Connection, point: PointMeter, first_ms: int, end_ms: int) -> Usage:
    """Registers as long as each was installed, times their factors; those without a direction count as import."""
    parts: dict[bool, list[SlotColumns]] = {False: [], True: []}
    for row, series in point.installed:
        one = row.installation
        if one.from_ms < end_ms and one.end_ms > first_ms:
            exported = series.direction is Direction.EXPORT
            parts[exported].append(installed_slots(conn, series, one, first_ms, end_ms))
    count = (end_ms - first_ms) // SLOT_MS
    taken, given = (together(parts[exported]) for exported in (False, True))
    imports, imports_known = _laid(taken, first_ms, count)
    exports, exports_known = _laid(given, first_ms, count)
    has_export = any(series.direction is Direction.EXPORT for _, series in point.installed)
    has_import = any(series.direction is not Direction.EXPORT for _, series in point.installed)
    return Usage(
        first_ms, imports, exports,
        imports_known if has_import else exports_known, exports_known if has_export else imports_known,
        *_times(taken if has_import else given, first_ms, count),
    )  # fmt: skip


def _laid(rows: SlotColumns, first_ms: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    amounts, known = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    at = (rows.start_ms - first_ms) // SLOT_MS
    amounts[at] = np.maximum(np.where(rows.has_delta, rows.delta, 0), 0)
    known[at] = rows.has_delta
    return amounts, known


def _times(rows: SlotColumns, first_ms: int, count: int) -> list[NDArray[np.int64]]:
    at = (rows.start_ms - first_ms) // SLOT_MS
    laid = []
    for column in (rows.measured_ms, rows.late_ms, rows.estimated_ms, rows.suspect_ms):
        cells = np.zeros(count, np.int64)
        cells[at] = column
        laid.append(cells)
    return laid


def _of_phases(phases: Sequence[Usage]) -> Usage:
    """Known where all three are; the quality is that of the phase that is known least."""
    taken, given = net_phases(
        [one.import_mwh for one in phases], [one.export_mwh for one in phases], summed=False
    )
    known = np.logical_and.reduce([one.import_known for one in phases])
    names = ("measured_ms", "late_ms", "estimated_ms", "suspect_ms")
    times = [np.minimum.reduce([getattr(one, name) for one in phases]) for name in names]
    return Usage(
        phases[0].first_ms, np.where(known, taken, 0), np.where(known, given, 0), known, known, *times
    )


def _of_meter(conn: sa.Connection, meter: SiteMeter, first_ms: int, end_ms: int) -> Usage:
    site = _site(conn, [meter], first_ms, end_ms)
    times = site.times_ms[0].astype(np.int64)
    return Usage(
        first_ms,
        np.where(site.known[0], site.give_mwh[0], 0),
        np.where(site.known[0], site.take_mwh[0], 0),
        site.known[0],
        site.known[0],
        *times,
    )


def solar_meters(registry: Registry) -> tuple[SiteMeter, ...]:
    """The devices that produce."""
    meters = site_meters(
        registry.devices.values(), {name: registry.of_device(name) for name in registry.devices}
    )
    return tuple(one for one in meters if one.role is Role.SOLAR)


def read_production(
    conn: sa.Connection, meters: Sequence[SiteMeter], first_ms: int, end_ms: int
) -> NDArray[np.int64]:
    """What all of them produced, mWh per slot; 0 where it is not known."""
    site = _site(conn, meters, first_ms, end_ms)
    return np.asarray(np.where(site.known, site.give_mwh, 0).sum(axis=0, dtype=np.int64))


def _site(conn: sa.Connection, meters: Sequence[SiteMeter], first_ms: int, end_ms: int) -> SiteSlots:
    numbers = sorted({number for meter in meters for number in meter.series()})
    found = slots.read(conn, numbers, slots.SLOT, first_ms, end_ms, _FAMILIES)
    return site_slots(meters, first_ms, (end_ms - first_ms) // SLOT_MS, found)
