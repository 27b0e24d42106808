"""What a bill is made from, read from the store: energy of a metering point and prices, on one grid of slots.

Runs inside a reader's job: no actor's state is touched here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.actors.registry import Registry
from hub.energy.price_grid import E8, MAX_PRICE_E8, PriceUnit, price_slots
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.energy.usage import PriceColumn, Usage
from hub.errors import NotFound
from hub.model.device import Device
from hub.model.series import Behaviour, Role, Series
from hub.model.units import Quantity
from hub.storage import slots
from hub.storage.prices import read_prices

GRID = "grid"


@dataclass(frozen=True, slots=True)
class PointSeries:
    """Series numbers of a metering point; ``power`` splits by its sign where there is no counter."""

    imports: tuple[int, ...] = ()
    exports: tuple[int, ...] = ()
    power: int | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """All of them."""
        return (*self.imports, *self.exports, *(() if self.power is None else (self.power,)))


def series_of_point(registry: Registry, point: str) -> PointSeries:
    """Which series a metering point is read from.

    ``grid`` is the first device with the role grid; the id of any device is its own metering point.

    Raises:
        NotFound: ``WL-MNY-010``, there is no such point, or nothing measures energy there.
    """
    device = _device_of(registry, point)
    found = _series_of(registry, device) if device is not None else PointSeries()
    if not found.numbers:
        what = "no device has the role grid" if point == GRID and device is None else "nothing measures energy"
        raise NotFound(
            "WL-MNY-010",
            f"there is no metering point {point[:80]!r}: {what}"
            if device is not None or point == GRID
            else f"there is no metering point {point[:80]!r}",
            where="metering_point",
            hint="give the grid meter the role grid, or name a device that measures energy",
        )
    return found


def _device_of(registry: Registry, point: str) -> Device | None:
    if point == GRID:
        meters = [one for one in registry.devices.values() if one.role is Role.GRID]
        return min(meters, key=lambda one: (one.created_ms, one.id), default=None)
    return registry.devices.get(point)


def _series_of(registry: Registry, device: Device) -> PointSeries:
    """Counters of both directions, else powers of both directions, else one signed power."""
    for taken, given in (("energy_import", "energy_export"), ("power_import", "power_export")):
        imported, exported = registry.find(device.id, taken), registry.find(device.id, given)
        if imported is None and taken == "energy_import":
            imported = registry.find(device.id, "energy")
        if imported is not None and _is_energy(imported):
            return PointSeries((imported.no,), (exported.no,) if exported and _is_energy(exported) else ())
    power = registry.find(device.id, "power")
    return PointSeries(power=power.no if power is not None and _is_energy(power) else None)


def _is_energy(series: Series) -> bool:
    if series.quantity is Quantity.POWER:
        return series.behaviour is Behaviour.GAUGE
    return series.quantity is Quantity.ENERGY and series.behaviour is not Behaviour.GAUGE


def read_usage(conn: sa.Connection, point: PointSeries, first_ms: int, end_ms: int) -> Usage:
    """Energy of ``[first_ms, end_ms)``, both on whole slots; unknown slots are 0 and not ``known``."""
    count = (end_ms - first_ms) // SLOT_MS
    found = slots.read(conn, point.numbers, slots.SLOT, first_ms, end_ms, ("delta", "quality"))
    if point.power is not None:
        return _from_power(found[point.power], first_ms, count)
    taken, taken_known = _summed([found[no] for no in point.imports], first_ms, count)
    given, given_known = _summed([found[no] for no in point.exports], first_ms, count)
    if not point.exports:  # a meter without such a register feeds nothing in
        given_known = taken_known
    times = _times(found[(point.imports or point.exports)[0]], first_ms, count)
    return Usage(first_ms, taken, given, taken_known, given_known, *times)


def _from_power(rows: SlotColumns, first_ms: int, count: int) -> Usage:
    energy, known = _summed([rows], first_ms, count, signed=True)
    zero = np.zeros(count, np.int64)
    return Usage(
        first_ms, np.maximum(energy, zero), np.maximum(-energy, zero), known, known,
        *_times(rows, first_ms, count),
    )  # fmt: skip


def _summed(
    columns: Sequence[SlotColumns], first_ms: int, count: int, *, signed: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Amounts on the grid; known where every series is."""
    total, known = np.zeros(count, np.int64), np.full(count, bool(columns))
    for rows in columns:
        at = (rows.start_ms - first_ms) // SLOT_MS
        here = np.zeros(count, np.bool_)
        here[at] = rows.has_delta
        amounts = np.where(rows.has_delta, rows.delta, 0)
        total[at] += amounts if signed else np.maximum(amounts, 0)
        known &= here
    return total, known


def _times(rows: SlotColumns, first_ms: int, count: int) -> list[NDArray[np.int64]]:
    at = (rows.start_ms - first_ms) // SLOT_MS
    laid = []
    for column in (rows.measured_ms, rows.late_ms, rows.estimated_ms, rows.suspect_ms):
        cells = np.zeros(count, np.int64)
        cells[at] = column
        laid.append(cells)
    return laid


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
