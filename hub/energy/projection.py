"""The bill at the end of a period, with a range, from the own history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hub.energy.bill import Bill
from hub.energy.tariff import Tariff
from hub.energy.usage import Calendar, PriceColumn, Usage


@dataclass(frozen=True, slots=True)
class Projection:
    """``so_far`` until now, ``expected`` at the end, and totals between which four of five ends lie."""

    so_far: Bill
    expected: Bill
    low_e8: int
    high_e8: int
    days_of_history: int


def project(
    tariff: Tariff,
    usage: Usage,
    prices: Mapping[str, PriceColumn],
    calendar: Calendar,
    start_ms: int,
    end_ms: int,
    now_ms: int,
) -> Projection:
    """Fill the rest of the period by the profile of the last weeks (weekdays, weekends) and bill it.

    ``usage`` should reach eight weeks back from ``now_ms``. Missing future prices are those of the same quarter
    of such days.
    """
    raise NotImplementedError
