"""What if: another tariff, a battery, more or fewer panels, over the own history through the same engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from hub.energy.bill import Bill
from hub.energy.money import Int64
from hub.energy.tariff import Tariff
from hub.energy.usage import Calendar, PriceColumn, Usage


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery that is not there yet; ``efficiency`` is AC to AC over a whole cycle."""

    capacity_mwh: int
    power_w: int
    efficiency: Fraction = Fraction(9, 10)
    strategy: Literal["self_consumption", "price"] = "self_consumption"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is different; nothing by default, which gives the actual bill exactly.

    ``pv_scale`` multiplies the own production (``production_mwh`` per slot of the usage).
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
    """The bill as it was and as it would have been."""
    raise NotImplementedError
