"""The local clock of a grid of slots, as columns: quarter of the day, day, month, year, holiday."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hub.energy.calendar import local_days, local_months, local_years, offsets_s
from hub.energy.components import Per
from hub.energy.slots import SLOT_MS, Int64
from hub.energy.usage import Calendar
from hub.energy.when import DAYS_OF_YEAR, day_of_year
from hub.model.times import utc

_BORDERS: Final = {Per.DAY: local_days, Per.MONTH: local_months, Per.YEAR: local_years}
_DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1)
_LAST_MS: Final = (date(2200, 1, 1) - _EPOCH).days * _DAY_MS  # where the calendar ends
Int32 = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class SlotClock:
    """Columns with one row per slot. ``day`` counts local dates since 1970-01-01.

    ``day_class`` is the flat position in one kind's part of :func:`hub.energy.when.day_table`: holiday, weekday
    and day of a leap year. ``month`` is ``12 * year + month - 1``.
    """

    zone: str
    first_ms: int
    quarter: Int32
    day: Int32
    month: Int32
    year: Int32
    day_class: Int32
    offset_s: Int32

    def __len__(self) -> int:
        return len(self.quarter)

    def part(self, low: int, high: int) -> SlotClock:
        """Slots ``[low, high)``."""
        return SlotClock(
            self.zone,
            self.first_ms + low * SLOT_MS,
            *(getattr(self, name)[low:high] for name in _COLUMNS),
        )

    def period(self, per: Per) -> Int32:
        """Number of each slot's day, month or year; rises with time."""
        return {Per.DAY: self.day, Per.MONTH: self.month, Per.YEAR: self.year}[per]


_COLUMNS: Final = ("quarter", "day", "month", "year", "day_class", "offset_s")


@lru_cache(maxsize=4)
def slot_clock(calendar: Calendar, first_ms: int, slots: int) -> SlotClock:
    """The clock of ``slots`` slots from ``first_ms`` on; kept for the next question about the same grid."""
    start_ms = first_ms + np.arange(slots, dtype=np.int64) * SLOT_MS
    offset_s = offsets_s(calendar.zone, start_ms)
    days = local_days(calendar.zone, first_ms, first_ms + max(slots, 1) * SLOT_MS)
    # the last of equal starts: a day that the zone skipped holds no slot
    at = np.searchsorted(days.start_ms, start_ms, side="right") - 1
    dates = [date.fromisoformat(label[:10]) for label in days.label]
    by_day: dict[str, Int32] = {
        "day": np.array([(one - _EPOCH).days for one in dates], np.int32),
        "month": np.array([12 * one.year + one.month - 1 for one in dates], np.int32),
        "year": np.array([one.year for one in dates], np.int32),
        "day_class": np.array([_class_of(one, one in calendar.holidays) for one in dates], np.int32),
    }
    columns = {name: column[at] for name, column in by_day.items()}
    quarter = ((start_ms // 1000 + offset_s) % 86_400 // 900).astype(np.int32)
    clock = SlotClock(calendar.zone, first_ms, quarter, offset_s=offset_s.astype(np.int32), **columns)
    for name in _COLUMNS:
        getattr(clock, name).flags.writeable = False
    return clock


def _class_of(day: date, holiday: bool) -> int:
    return (int(holiday) * 7 + day.weekday()) * DAYS_OF_YEAR + day_of_year(day.month, day.day)


DAY_CLASSES: Final = 2 * 7 * DAYS_OF_YEAR


@lru_cache(maxsize=64)
def _borders(zone: str, per: Per, first_year: int, last_year: int) -> tuple[Int64, Int64]:
    """Starts and ends of all local days, months or years of some years; without days that the zone skipped."""
    start_ms = (date(first_year, 1, 1) - _EPOCH).days * _DAY_MS - 2 * _DAY_MS
    end_ms = (date(last_year + 1, 1, 1) - _EPOCH).days * _DAY_MS + 2 * _DAY_MS
    found = _BORDERS[per](zone, max(start_ms, 0), min(end_ms, _LAST_MS))
    there = found.start_ms < found.end_ms
    return found.start_ms[there], found.end_ms[there]


def _around(zone: str, start_ms: int, end_ms: int, per: Per) -> tuple[Int64, Int64, int, int]:
    """Borders of whole years, and the rows ``[low, high)`` of them that touch ``[start, end)``."""
    starts, ends = _borders(zone, per, utc(start_ms).year, utc(end_ms).year)
    low, high = ends.searchsorted(start_ms, "right"), starts.searchsorted(end_ms, "left")
    return starts, ends, int(low), int(high)


def midnight_ms(zone: str, day: date) -> int:
    """The instant a local date begins."""
    middle = (day - _EPOCH).days * _DAY_MS
    found = local_days(zone, middle - 2 * _DAY_MS, middle + 2 * _DAY_MS)
    row = [label[:10] for label in found.label].index(day.isoformat())
    return int(found.start_ms[row])


def period_of(zone: str, ts_ms: int, per: Per) -> tuple[int, int]:
    """``(start, end)`` of the local day, month or year that an instant lies in."""
    return periods(zone, ts_ms, ts_ms + 1, per)[0]


def periods(zone: str, start_ms: int, end_ms: int, per: Per) -> list[tuple[int, int]]:
    """Whole local days, months or years that ``[start, end)`` touches; skipped days are left out."""
    starts, ends, low, high = _around(zone, start_ms, end_ms, per)
    return list(zip(starts[low:high].tolist(), ends[low:high].tolist(), strict=True))


def days_within(zone: str, start_ms: int, end_ms: int) -> Fraction:
    """Length of a range in local days: a day of 23 or 25 hours is one day, a part of it counts by its time."""
    if start_ms >= end_ms:
        return Fraction(0)
    starts, ends, low, high = _around(zone, start_ms, end_ms, Per.DAY)
    total = Fraction(high - low)
    for row, cut_ms in ((low, start_ms - int(starts[low])), (high - 1, int(ends[high - 1]) - end_ms)):
        if cut_ms:
            total -= Fraction(cut_ms, int(ends[row] - starts[row]))
    return total


def share_of(zone: str, start_ms: int, end_ms: int, per: Per) -> Fraction:
    """Length of a range in days, months or years, parts by days."""
    if start_ms >= end_ms:
        return Fraction(0)
    if per is Per.DAY:
        return days_within(zone, start_ms, end_ms)
    whole = periods(zone, start_ms, end_ms, per)
    shares = (share_of_period(zone, a, b, start_ms, end_ms) for a, b in whole)
    return sum(shares, Fraction(0))


def share_of_period(zone: str, first_ms: int, last_ms: int, start_ms: int, end_ms: int) -> Fraction:
    """Which part of the period ``[first, last)`` lies in ``[start, end)``, by days."""
    low, high = max(first_ms, start_ms), min(last_ms, end_ms)
    if (low, high) == (first_ms, last_ms):
        return Fraction(1)
    return days_within(zone, low, high) / days_within(zone, first_ms, last_ms)


def steps_of(number: NDArray[Any]) -> list[tuple[int, int]]:
    """Stretches ``[low, high)`` of rows with one number."""
    if not len(number):
        return []
    borders = np.flatnonzero(np.diff(number)) + 1
    return list(pairwise([0, *borders.tolist(), len(number)]))


def month_text(month: int) -> str:
    """``2026-03`` of a month's number."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
