"""What energy costs before and after a correction: slots times the prices of the grid connection's contract."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np

from hub.actors.correction_preview import Pricer
from hub.actors.money_requests import GetSlotPrices
from hub.energy.cuts import slot_floor
from hub.energy.money import E8, MWH_PER_KWH, decimal_text, exact_dot
from hub.energy.rating import SlotPrices
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.model.series import Behaviour, Direction, Series
from hub.model.units import Quantity
from hub.runtime.actor import Ref, request

LIMIT_S: Final = 60.0


def pricer_of(processing: Ref) -> Pricer:
    """A pricer that asks the processing actor; what is fed in brings money and counts below zero.

    It counts what each kWh more or less costs: standing and capacity charges stay out of it.
    """

    async def price(series: Series, start_ms: int, end_ms: int, rows: SlotColumns) -> str | None:
        if not _is_energy(series) or not len(rows):
            return None
        first_ms = slot_floor(start_ms)
        count = -(-(end_ms - first_ms) // SLOT_MS)
        prices = await request(processing, GetSlotPrices(first_ms, count), timeout_s=LIMIT_S)
        return None if prices is None else _cost(series, prices, rows)

    return price


def _is_energy(series: Series) -> bool:
    return series.quantity is Quantity.POWER or (
        series.quantity is Quantity.ENERGY and series.behaviour is not Behaviour.GAUGE
    )


def _cost(series: Series, prices: SlotPrices, rows: SlotColumns) -> str | None:
    """Decimal text; None where some of the energy has no price yet."""
    at = (rows.start_ms - prices.first_ms) // SLOT_MS
    inside = (at >= 0) & (at < len(prices.import_e8)) & rows.has_delta
    at, energy = at[inside], rows.delta[inside]
    exported = series.direction is Direction.EXPORT
    price, known = (
        (prices.export_e8, prices.export_known) if exported else (prices.import_e8, prices.import_known)
    )
    if bool(((energy != 0) & ~known[at]).any()):
        return None
    steps = exact_dot(price[at], np.asarray(energy, np.int64))
    return decimal_text(Fraction(-steps if exported else steps, E8 * MWH_PER_KWH), least=2, most=2)
