"""Periods as people ask for them: the day, week, month or year of a date, and what it is compared with.

Borders are site-local. A comparison keeps the calendar position: the same date or month, for weeks the same
weekdays. What still runs is compared with as much of the other period as has passed of it.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from hub.energy.calendar import local_date, local_days, zone_info
from hub.energy.slots import SLOT_MS
from hub.errors import Refused

PERIODS: Final = ("day", "week", "month", "year", "billing")
CUSTOM: Final = "custom"
COMPARISONS: Final = ("previous", "week", "year")
RESOLUTION: Final = {"day": "15m", "week": "1h", "month": "1d", "billing": "1d", "year": "1mo"}
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Asked:
    """``[start_ms, end_ms)`` with its first and last+1 local date; ``note`` says what could not be kept."""

    period: str
    first: date
    after: date
    start_ms: int
    end_ms: int
    note: str = ""


def asked(zone: str, period: str, at: date) -> Asked:
    """The period that holds a date. A billing period is the calendar month while none is agreed.

    Raises:
        Refused: ``WL-API-060``, there is no such period.
    """
    if period == "day":
        first, after = at, at + timedelta(days=1)
    elif period == "week":
        first = at - timedelta(days=at.weekday())
        after = first + timedelta(days=7)
    elif period in ("month", "billing"):
        first = at.replace(day=1)
        after = _months_on(first, 1)
    elif period == "year":
        first, after = date(at.year, 1, 1), date(at.year + 1, 1, 1)
    else:
        raise Refused(
            "WL-API-060", f"period {period[:20]!r} is not known", where="period",
            hint="one of " + ", ".join(PERIODS),
        )  # fmt: skip
    return between(zone, period, first, after)


def between(zone: str, period: str, first: date, after: date, note: str = "") -> Asked:
    """Whole local days ``[first, after)``."""
    return Asked(period, first, after, day_start_ms(zone, first), day_start_ms(zone, after), note)


def day_start_ms(zone: str, day: date) -> int:
    """First instant of a local day; of a day that the zone skipped, the instant at which it would have begun."""
    noon_ms = (day - date(1970, 1, 1)).days * _DAY_MS + _DAY_MS // 2
    days = local_days(zone, noon_ms - 2 * _DAY_MS, noon_ms + 2 * _DAY_MS)
    wanted = day.isoformat()
    for label, start_ms in zip(days.label, days.start_ms.tolist(), strict=True):
        if label.startswith(wanted):
            return int(start_ms)
    raise Refused("WL-NRG-003", f"{wanted} lies outside the calendar", where="at")


def compared(zone: str, one: Asked, how: str, now_ms: int) -> Asked:
    """The period to compare with: the one before, that of the same weekdays before, or that of a year before.

    Raises:
        Refused: ``WL-API-061``, there is no such comparison.
    """
    if how not in COMPARISONS:
        raise Refused(
            "WL-API-061", f"comparison {how[:20]!r} is not known", where="compare",
            hint="one of " + ", ".join(COMPARISONS),
        )  # fmt: skip
    if one.period == CUSTOM:
        return _beside(zone, one, how)
    first, after, note = _other(one, how)
    other = between(zone, one.period, first, after, note)
    if one.end_ms <= now_ms or one.start_ms >= now_ms:
        return other
    cut_ms = _same_moment_ms(zone, one, other, now_ms)
    return Asked(other.period, first, after, other.start_ms, cut_ms, note or "as far as this period has come")


def custom(zone: str, start_ms: int, end_ms: int) -> Asked:
    """Any range; its dates are those of its borders."""
    return Asked(CUSTOM, local_date(zone, start_ms), local_date(zone, end_ms), start_ms, end_ms)


def _beside(zone: str, one: Asked, how: str) -> Asked:
    """The same dates and clocks of the year before; or what goes before, of as many days where days are whole."""
    info = zone_info(zone)
    begin, end = (datetime.fromtimestamp(ms // 1000, info) for ms in (one.start_ms, one.end_ms))
    if how == "year":
        return custom(zone, *(_moment_ms(_months_on(at.date(), -12), at.time(), info) for at in (begin, end)))
    if how == "week":
        weeks = timedelta(weeks=-(-(end.date() - begin.date()).days // 7) or 1)
        return custom(zone, *(_moment_ms(at.date() - weeks, at.time(), info) for at in (begin, end)))
    if begin.time() == end.time():
        days = end.date() - begin.date()
        return custom(zone, _moment_ms(begin.date() - days, begin.time(), info), one.start_ms)
    return custom(zone, 2 * one.start_ms - one.end_ms, one.start_ms)


def _moment_ms(day: date, clock: time, info: ZoneInfo) -> int:
    ms = int(datetime.combine(day, clock, info).timestamp()) * 1000
    return max(ms - ms % SLOT_MS, 0)


def _other(one: Asked, how: str) -> tuple[date, date, str]:
    days = (one.after - one.first).days
    if one.period in ("month", "billing", "year"):
        months = 12 if how == "year" or one.period == "year" else 1
        return _months_on(one.first, -months), _months_on(one.after, -months), ""
    if how == "week":
        weeks = timedelta(weeks=-(-days // 7))
        return one.first - weeks, one.after - weeks, ""
    if how == "previous":
        return one.first - timedelta(days=days), one.first, ""
    if one.period == "week":
        note = "week 53 has no namesake in the year before" if one.first.isocalendar().week == 53 else ""
        return one.first - timedelta(weeks=52), one.after - timedelta(weeks=52), note
    first = _months_on(one.first, -12)
    note = "29 February is compared with the 28th" if first.day != one.first.day else ""
    return first, first + timedelta(days=days), note


def _same_moment_ms(zone: str, one: Asked, other: Asked, now_ms: int) -> int:
    """As many days and as much of the clock into the other period, on a slot's border."""
    info = zone_info(zone)
    clock = datetime.fromtimestamp(now_ms // 1000, info)
    day = min(other.first + (local_date(zone, now_ms) - one.first), other.after)
    return min(max(_moment_ms(day, clock.time(), info), other.start_ms), other.end_ms)


def _months_on(day: date, months: int) -> date:
    """The same day so many months later, or the last of that month."""
    at = day.year * 12 + day.month - 1 + months
    year, month = divmod(at, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
