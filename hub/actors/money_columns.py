"""What a bill is made from, read from the store: energy of a metering point and prices, on one grid of slots.

Runs inside a reader's job: no actor's state is touched here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.actors.registry import Registry
from hub.energy.netting import net_phases
from hub.energy.price_grid import E8, MAX_PRICE_E8, PriceUnit, price_slots
from hub.energy.site_meters import SiteMeter, site_meters
from hub.energy.site_slots import SiteSlots, site_slots
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.energy.usage import PriceColumn, Usage
from hub.errors import NotFound
from hub.model.device import Device
from hub.model.series import Role, Series
from hub.storage import slots
from hub.storage.prices import read_prices

GRID = "grid"


@dataclass(frozen=True, slots=True)
class PointMeter:
    """What a metering point is read from: it gives what is imported, takes what is exported.

    ``phases`` are the same of each of three phases, empty where they are not measured in both directions.
    """

    meter: SiteMeter
    phases: tuple[SiteMeter, ...] = ()

    @property
    def device(self) -> str:
        """The device that measures."""
        return self.meter.device

    def series(self) -> frozenset[int]:
        """Numbers of all series that may decide."""
        return frozenset(number for one in (self.meter, *self.phases) for number in one.series())


def series_of_point(registry: Registry, point: str) -> PointMeter:
    """The meter of a metering point.

    ``grid`` is the first device with the role grid; the id of any device is a metering point of its own.

    Raises:
        NotFound: ``WL-MNY-010``, there is no such point, or nothing measures energy there.
    """
    device = _device_of(registry, point)
    if device is None:
        why = "no device has the role grid" if point == GRID else "no device has this id"
        raise _no_point(point, why)
    series = registry.of_device(device.id)
    found = _as_grid(device, series)
    if not found:
        raise _no_point(point, f"nothing of {device.id} measures energy")
    phases = [_as_grid(device, [one for one in series if one.key.endswith(f"_l{n}")]) for n in (1, 2, 3)]
    whole = all(phase and phase[0].give and phase[0].take for phase in phases)
    return PointMeter(found[0], tuple(phase[0] for phase in phases) if whole else ())


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


def read_usage(
    conn: sa.Connection, point: PointMeter, first_ms: int, end_ms: int, *, per_phase: bool = False
) -> Usage:
    """Energy of ``[first_ms, end_ms)``, both on whole slots; unknown slots are 0 and not ``known``.

    ``per_phase`` lets each phase count by itself, where the phases are measured: what one of them feeds in is
    not set off against what the others take.
    """
    if per_phase and point.phases:
        return _of_phases([_usage_of(conn, phase, first_ms, end_ms) for phase in point.phases])
    return _usage_of(conn, point.meter, first_ms, end_ms)


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


def _usage_of(conn: sa.Connection, meter: SiteMeter, first_ms: int, end_ms: int) -> Usage:
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
    found = slots.read(conn, numbers, slots.SLOT, first_ms, end_ms, ("delta", "quality"))
    return site_slots(meters, first_ms, (end_ms - first_ms) // SLOT_MS, found)


@dataclass(frozen=True, slots=True)
class PriceOrigin:
    """Where the prices of a name come from: rows of the table ``id``, or series number ``series``."""

    id: str
    unit: PriceUnit
    series: int | None = None


def read_price_columns(
    conn: sa.Connection, origins: Mapping[str, PriceOrigin], first_ms: int, end_ms: int
) -> dict[str, PriceColumn]:
    """Prices by name on the grid of ``[first_ms, end_ms)``."""
    return {name: _price_column(conn, origin, first_ms, end_ms) for name, origin in origins.items()}


def _price_column(conn: sa.Connection, origin: PriceOrigin, first_ms: int, end_ms: int) -> PriceColumn:
    count = (end_ms - first_ms) // SLOT_MS
    if origin.series is not None:
        found = slots.read(conn, [origin.series], slots.SLOT, first_ms, end_ms, ("quality", "gauge"))
        return _from_gauge(found[origin.series], origin.unit, first_ms, count)
    rows = read_prices(conn, origin.id, first_ms, end_ms)
    return PriceColumn(first_ms, *price_slots(rows.start_ms, rows.end_ms, rows.price_e8, first_ms, count))


def _from_gauge(rows: SlotColumns, unit: PriceUnit, first_ms: int, count: int) -> PriceColumn:
    """Means of slots, as the series' unit says them; a mean that is no sensible price is none."""
    price, known = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    steps = rows.mean * (float(unit.per_kwh) * E8)
    usable = np.isfinite(steps) & (np.abs(np.where(np.isfinite(steps), steps, 0)) <= MAX_PRICE_E8)
    at = ((rows.start_ms - first_ms) // SLOT_MS)[usable]
    price[at], known[at] = np.rint(steps[usable]).astype(np.int64), True
    return PriceColumn(first_ms, price, known)
