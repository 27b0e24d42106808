"""What if: another tariff, a battery, more or fewer panels, over the own history through the same engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from hub.energy.battery import Battery, always, plan_by_price, with_battery
from hub.energy.bill import Bill, bill
from hub.energy.clock import slot_clock
from hub.energy.money import Int64, Rounding, round_fraction
from hub.energy.rating import slot_prices
from hub.energy.tariff import Tariff
from hub.energy.usage import Calendar, PriceColumn, Usage
from hub.errors import Refused

__all__ = ["Battery", "Scenario", "WhatIf", "scaled_production", "what_if"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is different; nothing by default, which gives the actual bill exactly.

    ``pv_scale`` multiplies the own production (``production_mwh`` per slot of the usage); 0 takes it away.
    """

    tariff: Tariff | None = None
    battery: Battery | None = None
    pv_scale: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Both bills and the usage of the scenario."""

    actual: Bill
    scenario: Bill
    usage: Usage

    @property
    def saving_e8(self) -> int:
        """Above zero where the scenario is cheaper."""
        return self.actual.total_e8 - self.scenario.total_e8


def what_if(
    tariff: Tariff,
    scenario: Scenario,
    usage: Usage,
    production_mwh: Int64 | None,
    prices: Mapping[str, PriceColumn],
    calendar: Calendar,
    start_ms: int,
    end_ms: int,
) -> WhatIf:
    """The bill as it was and as it would have been.

    ``usage`` should reach over what both tariffs need (:func:`hub.energy.bill.needed_ms`); the scenario is played
    over all of it, so that peaks of earlier months change too. A battery with the strategy ``price`` does what
    is cheaper over the whole period: following prices, or plain self-consumption.

    Raises:
        Refused: ``WL-TAR-060`` where panels are to be scaled and no production is known, ``WL-TAR-063`` where the
            scale is not within 0…100; and as :func:`hub.energy.bill.bill`.
    """
    contract = scenario.tariff or tariff
    actual = bill(tariff, usage, prices, calendar, start_ms, end_ms)
    sunny = scaled_production(usage, production_mwh, scenario.pv_scale)
    if scenario.battery is None:
        return WhatIf(actual, bill(contract, sunny, prices, calendar, start_ms, end_ms), sunny)
    played = [
        WhatIf(actual, bill(contract, found, prices, calendar, start_ms, end_ms), found)
        for found in _stored(scenario.battery, contract, sunny, prices, calendar)
    ]
    return max(played, key=lambda one: one.saving_e8)


def _stored(
    battery: Battery,
    tariff: Tariff,
    usage: Usage,
    prices: Mapping[str, PriceColumn],
    calendar: Calendar,
) -> list[Usage]:
    """The usage with the battery, for each way of running it that the strategy allows."""
    found = [with_battery(battery, usage, always(len(usage)))]
    if battery.strategy == "price":
        marginal = slot_prices(tariff, prices, calendar, usage.first_ms, len(usage), usage)
        clock = slot_clock(calendar, usage.first_ms, len(usage))
        plan = plan_by_price(battery, clock, marginal.import_e8, marginal.import_known)
        found.append(with_battery(battery, usage, plan))
    return found


def scaled_production(usage: Usage, production_mwh: Int64 | None, scale: Fraction) -> Usage:
    """The usage with ``scale`` times the production: more of it first replaces import, the rest is fed in.

    Less of it is first fed in less, then taken from the grid. Slots that are not known stay as they are.
    """
    if scale == 1:
        return usage
    if production_mwh is None:
        raise Refused("WL-TAR-060", "no production is known that could be scaled", where="pv_scale")
    if not 0 <= scale <= 100:
        raise Refused("WL-TAR-063", "panels can be scaled by 0 to 100", where="pv_scale")
    known = usage.import_known & usage.export_known
    more = np.where(known, _times(production_mwh, scale) - production_mwh, 0)
    saved = np.minimum(np.maximum(more, 0), usage.import_mwh)
    fed_in_less = np.minimum(np.maximum(-more, 0), usage.export_mwh)
    return replace(
        usage,
        import_mwh=usage.import_mwh - saved + np.maximum(-more, 0) - fed_in_less,
        export_mwh=usage.export_mwh - fed_in_less + np.maximum(more, 0) - saved,
    )


def _times(production_mwh: Int64, scale: Fraction) -> Int64:
    values, at = np.unique(production_mwh, return_inverse=True)
    scaled = [round_fraction(value * scale, Rounding.HALF_EVEN) for value in values.tolist()]
    return np.array(scaled, np.int64)[at]
