"""A battery that is not there yet, played slot by slot over the own history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from hub.energy.clock import SlotClock, steps_of
from hub.energy.money import Bools, Int64
from hub.energy.usage import Usage
from hub.errors import Refused


@dataclass(frozen=True, slots=True)
class Battery:
    """``efficiency`` is AC to AC over a whole cycle; ``power_w`` limits charging and discharging alike.

    ``self_consumption`` stores what would be fed in and covers what would be taken. ``price`` also charges from
    the grid in the cheapest slots of a day and keeps its content for those that are dear enough to repay it.

    Raises:
        Refused: ``WL-TAR-062`` for a size below zero or an efficiency outside 0…1.
    """

    capacity_mwh: int
    power_w: int
    efficiency: Fraction = Fraction(9, 10)
    strategy: Literal["self_consumption", "price"] = "self_consumption"

    def __post_init__(self) -> None:
        if self.capacity_mwh < 0 or self.power_w < 0 or not 0 < self.efficiency <= 1:
            raise Refused(
                "WL-TAR-062", "a battery has a size of 0 or more and an efficiency up to 1", where="battery"
            )

    @property
    def slot_mwh(self) -> int:
        """What goes in or out in 15 minutes at most."""
        return self.power_w * 250


@dataclass(frozen=True, slots=True)
class Plan:
    """Per slot: may it charge from the grid, may it discharge."""

    charge: Bools
    discharge: Bools


def always(slots: int) -> Plan:
    """Never from the grid, discharging whenever something is taken."""
    return Plan(np.zeros(slots, np.bool_), np.ones(slots, np.bool_))


def plan_by_price(battery: Battery, clock: SlotClock, price_e8: Int64, known: Bools) -> Plan:
    """For each local day: the cheapest slots that fill the battery, and all slots that repay their price.

    A day whose prices are not all known, or do not differ enough, is as :func:`always`.
    """
    plan = always(len(clock))
    if not battery.slot_mwh:
        return plan
    needed = battery.capacity_mwh / battery.efficiency
    fill = int(-(-needed // battery.slot_mwh))
    for low, high in steps_of(clock.day):
        if not known[low:high].all():
            continue
        prices = price_e8[low:high]
        cheapest = np.argsort(prices, kind="stable")[: min(fill, len(prices))]
        dearest_bought = int(prices[cheapest].max(initial=0))
        numerator, denominator = battery.efficiency.numerator, battery.efficiency.denominator
        worth = prices * numerator > dearest_bought * denominator
        worth[cheapest] = False
        if worth.any():
            plan.charge[low + cheapest] = True
            plan.discharge[low:high] = worth
    return plan


def with_battery(battery: Battery, usage: Usage, plan: Plan) -> Usage:
    """The usage as it would have been; the battery is empty at first. Losses are taken when charging.

    In slots that are not known nothing happens. Energy is conserved: import and discharge grow or shrink by what
    is stored, in whole mWh, losses rounded against the battery.
    """
    if not battery.capacity_mwh or not battery.slot_mwh:
        return usage
    known = (usage.import_known & usage.export_known).tolist()
    taken, given = usage.import_mwh.tolist(), usage.export_mwh.tolist()
    charge, discharge = plan.charge.tolist(), plan.discharge.tolist()
    _play(battery, taken, given, known, charge, discharge)
    return replace(usage, import_mwh=np.array(taken, np.int64), export_mwh=np.array(given, np.int64))


def _play(
    battery: Battery,
    taken: list[int],
    given: list[int],
    known: Sequence[bool],
    charge: Sequence[bool],
    discharge: Sequence[bool],
) -> None:
    """One slot after the other, in place: what is stored decides what the next can do."""
    gain, parts = battery.efficiency.numerator, battery.efficiency.denominator
    most, capacity = battery.slot_mwh, battery.capacity_mwh
    stored = 0
    for slot, there in enumerate(known):
        if not there:
            continue
        power = min(most, (capacity - stored) * parts // gain)
        surplus = min(given[slot], power)
        if surplus:
            given[slot] -= surplus
            stored += surplus * gain // parts
        if charge[slot]:
            bought = max(power - surplus, 0)
            taken[slot] += bought
            stored += bought * gain // parts
        elif discharge[slot]:  # in one slot both may happen, one after the other
            covered = min(taken[slot], most - surplus, stored)
            taken[slot] -= covered
            stored -= covered
