"""Prices of tariffs, read from the store and laid on the grid of slots.

Runs inside a reader's job: no actor's state is touched here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from hub.energy.price_grid import E8, MAX_PRICE_E8, PriceUnit, price_slots
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.energy.usage import PriceColumn
from hub.storage import slots
from hub.storage.prices import read_prices


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
