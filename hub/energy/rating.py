"""The price of each slot: for bills, and for the cost of devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hub.energy.money import Bools, Int64
from hub.energy.tariff import Tariff
from hub.energy.usage import Calendar, PriceColumn, Usage


@dataclass(frozen=True, slots=True)
class SlotPrices:
    """What one more kWh costs (import) or brings (export) in each slot, in 1e-8 currency per kWh.

    Energy lines, running tiers, taxes per kWh, caps, floors, discounts and percentages that apply to them are
    in it; standing and capacity charges are not. Not ``known`` where a price is still pending.
    """

    first_ms: int
    import_e8: Int64
    import_known: Bools
    export_e8: Int64
    export_known: Bools


def slot_prices(
    tariff: Tariff,
    prices: Mapping[str, PriceColumn],
    calendar: Calendar,
    first_ms: int,
    slots: int,
    usage: Usage | None = None,
) -> SlotPrices:
    """Marginal prices over a grid of slots; tiers need ``usage``, without it the first block counts."""
    raise NotImplementedError
