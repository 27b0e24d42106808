"""Peaks of months and the power that a capacity charge is about; kilowatts are exact, in mW."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from hub.energy.clock import SlotClock, month_text, steps_of
from hub.energy.components import Basis, Capacity
from hub.energy.money import E8, Bools, Int64
from hub.energy.slots import SLOT_MS

_MW_PER_KW: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class MonthPeak:
    """The highest mean power of a month: ``start_ms`` is the begin of its quarter (or hour)."""

    month: str
    start_ms: int
    power_mw: int


@dataclass(frozen=True, slots=True)
class Peak:
    """What counts of one month: the mean of the ``top`` highest intervals, and the highest of them.

    ``counted`` are all of these as (day since 1970, mW), the highest first.
    """

    power_mw: Fraction
    highest: MonthPeak
    counted: tuple[tuple[int, int], ...]


def month_peaks(line: Capacity, clock: SlotClock, energy_mwh: Int64, holds: Bools) -> dict[int, Peak]:
    """Peaks by month number; ``holds`` marks the slots that are known and count. Months without any are absent.

    Of equal intervals the first is named.
    """
    start, power, counts = _intervals(line.interval_minutes, clock, energy_mwh, holds)
    if not counts.any():
        return {}
    start, power = start[counts], power[counts]
    month, day = clock.month[start], clock.day[start].astype(np.int64)
    found: dict[int, Peak] = {}
    for low, high in steps_of(month):
        rows = _highest(power[low:high], day[low:high], line) + low
        first = int(rows[0])
        number = int(month[first])
        named = MonthPeak(month_text(number), clock.first_ms + int(start[first]) * SLOT_MS, int(power[first]))
        counted = tuple(zip(day[rows].tolist(), power[rows].tolist(), strict=True))
        found[number] = Peak(Fraction(int(power[rows].sum()), len(rows)), named, counted)
    return found


def _highest(power: Int64, day: Int64, line: Capacity) -> Int64:
    """Rows of the highest intervals, the highest first."""
    if line.top == 1:
        return np.array([int(np.argmax(power))])
    order = np.argsort(-power, kind="stable")
    if line.different_days:
        _, first = np.unique(day[order], return_index=True)
        order = order[np.sort(first)]
    return np.asarray(order[: line.top])


def _intervals(minutes: int, clock: SlotClock, energy_mwh: Int64, holds: Bools) -> tuple[Int64, Int64, Bools]:
    """First slot, mean power in mW and whether it counts, of each interval of the wall clock."""
    slots = minutes // 15
    if slots == 1:
        return np.arange(len(clock)), energy_mwh * 4, holds
    number = (clock.day * 96 + clock.quarter) // slots
    changes = (np.diff(number) != 0) | (np.diff(clock.offset_s) != 0)
    start = np.concatenate([[0], np.flatnonzero(changes) + 1]) if len(clock) else np.zeros(0, np.int64)
    if not len(start):
        return start, start, np.zeros(0, np.bool_)
    length = np.diff(np.append(start, len(clock)))
    energy = np.add.reduceat(np.where(holds, energy_mwh, 0), start)
    return start, (energy * 8 + length) // (2 * length), np.logical_or.reduceat(holds, start)


def charge(line: Capacity, power_mw: Fraction) -> Fraction:
    """What one period of a whole price costs at a power, in currency: by the kW, or by the step."""
    if not line.steps:
        return power_mw / _MW_PER_KW * Fraction(line.price_e8, E8)
    step = next(one for one in line.steps if one.limit_mwh is None or power_mw <= one.limit_mwh)
    return Fraction(step.price_e8, E8)


def basis_mw(line: Capacity, month: int, peaks: Mapping[int, Peak]) -> Fraction:
    """The power that is billed for a month; 0 or the minimum where nothing is known."""
    if line.basis is Basis.CONTRACTED:
        return Fraction(line.contracted_mw)
    least = Fraction(line.minimum_mw)
    own = max(peaks[month].power_mw, least) if month in peaks else least
    if line.basis is Basis.MEAN_OF_MONTHLY_PEAKS:
        months = [month - back for back in range(line.months)]
        counted = [max(peaks[one].power_mw, least) for one in months if one in peaks]
        return sum(counted, Fraction(0)) / len(counted) if counted else own
    if line.basis is Basis.BILLING_DEMAND:
        before = [peaks[month - back].power_mw for back in range(1, line.months + 1) if month - back in peaks]
        return max(own, line.ratchet * max(before, default=Fraction(0)))
    return own
