"""When a line of a tariff holds: weekdays, hours, months, dates, holidays and kinds of days, on the local clock.

A condition is a rectangle: a set of days times a set of quarter hours. ``hours`` are looked at on the clock of
each day by itself: ``23:00-07:00`` on Saturdays means Saturday before 07:00 and Saturday from 23:00.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hub.energy.fields import Faults, Fields, is_list, shown, text_of
from hub.energy.money import Bools

QUARTERS: Final = 96
DAYS_OF_YEAR: Final = 366
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_WORDS: Final = {"all": range(7), "weekdays": range(5), "weekend": range(5, 7)}
WHEN_KEYS: Final = ("days", "hours", "months", "dates", "holidays", "day_types")
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})", re.ASCII)
_DATES: Final = re.compile(r"(\d{2})-(\d{2})\s*\.\.\s*(\d{2})-(\d{2})", re.ASCII)
_LEAP: Final = 2024
_MAX_ALTERNATIVES: Final = 12


@dataclass(frozen=True, slots=True)
class When:
    """All conditions hold together. Empty ``dates`` and ``day_types`` mean any.

    ``hours`` are pairs of quarters of the day ``[from, to)``; ``dates`` pairs of days of a leap year (0…365),
    both inclusive. ``or_holiday`` lets a holiday count as one of ``days``.
    """

    days: frozenset[int] = frozenset(range(7))
    or_holiday: bool = False
    holidays: str = "include"
    hours: tuple[tuple[int, int], ...] = ((0, QUARTERS),)
    months: frozenset[int] = frozenset(range(1, 13))
    dates: tuple[tuple[int, int], ...] = ()
    day_types: frozenset[str] = frozenset()


Times = tuple[When, ...]
"""A line holds when any of these does."""
ALWAYS: Final[Times] = (When(),)
_ANY: Final = When()


@lru_cache(maxsize=256)
def day_table(when: When, types: tuple[str, ...]) -> Bools:
    """Days on which it holds, of shape (kinds of days, holiday, weekday, day of a leap year)."""
    weekday = np.isin(np.arange(7), list(when.days))
    by_weekday = np.stack([weekday, weekday | when.or_holiday])
    if when.holidays == "exclude":
        by_weekday[1] = False
    elif when.holidays == "only":
        by_weekday[0] = False
    dated = np.isin(month_of_day(), list(when.months))
    if when.dates:
        day = np.arange(DAYS_OF_YEAR)
        dated &= np.any([(day >= a) & (day <= b) for a, b in when.dates], axis=0)
    kinds = np.array([not when.day_types or kind in when.day_types for kind in types or ("",)])
    return _frozen(kinds[:, None, None, None] & by_weekday[None, :, :, None] & dated[None, None, None, :])


@lru_cache(maxsize=1024)
def hour_table(when: When) -> Bools:
    """Quarters of the day in which it holds."""
    quarter = np.arange(QUARTERS)
    return _frozen(np.any([(quarter >= a) & (quarter < b) for a, b in when.hours], axis=0))


@lru_cache(maxsize=1)
def month_of_day() -> NDArray[np.int64]:
    """Month 1…12 of each day of a leap year."""
    first = date(_LEAP, 1, 1)
    return np.array([(first + timedelta(days=day)).month for day in range(DAYS_OF_YEAR)])


def day_of_year(month: int, day: int) -> int:
    """Position of a date in a leap year, so that 1 March is 60 in every year."""
    return (date(_LEAP, month, day) - date(_LEAP, 1, 1)).days


def parse_when(value: object, faults: Faults, day_types: Collection[str]) -> Times:
    """``{days: mon-fri, hours: "07:00-23:00"}``, or a list of which any may hold; faults are noted."""
    if not is_list(value):
        return (_when(value, faults, day_types),)
    items: Sequence[Any] = value  # type: ignore[assignment]  # just asked
    if not 0 < len(items) <= _MAX_ALTERNATIVES:
        text = f"a list under 'when' has 1 to {_MAX_ALTERNATIVES} entries"
        faults.add("WL-TAR-011", text, hint="leave 'when' out for always")
        return ALWAYS
    return tuple(_when(item, faults.at(index), day_types) for index, item in enumerate(items))


def _when(value: object, faults: Faults, day_types: Collection[str]) -> When:
    if not isinstance(value, Mapping):
        faults.add(
            "WL-TAR-001",
            '"when" must be a mapping',
            hint='{days: mon-fri, hours: "07:00-23:00"} or otherwise',
        )
        return _ANY
    fields = Fields(value, faults, WHEN_KEYS)
    days, or_holiday = _days(value.get("days"), faults.at("days"))
    holidays = fields.choice("holidays", ("include", "exclude", "only"), "include")
    if or_holiday and holidays == "exclude":
        faults.at("holidays").add(
            "WL-TAR-034", "days name holidays which are excluded", hint="remove one of the two"
        )
    return When(
        days=days,
        or_holiday=or_holiday,
        holidays=holidays,
        hours=_hours(value.get("hours"), faults.at("hours")),
        months=_months(value.get("months"), faults.at("months")),
        dates=_dates(value.get("dates"), faults.at("dates")),
        day_types=_types(value.get("day_types"), faults.at("day_types"), day_types),
    )


def _listed(value: object, faults: Faults) -> Sequence[Any]:
    items: Sequence[Any] = value if is_list(value) else [value]  # type: ignore[assignment]  # just asked
    if not items:
        faults.add("WL-TAR-011", "an empty list never holds", hint="leave the key out for all")
    return items


def _days(value: object, faults: Faults) -> tuple[frozenset[int], bool]:
    if value is None:
        return _ANY.days, False
    days: set[int] = set()
    or_holiday = False
    for item in _listed(value, faults):
        word = item.strip().lower() if isinstance(item, str) else ""
        if word in ("holiday", "holidays"):
            or_holiday = True
        elif word in _WORDS:
            days.update(_WORDS[word])
        else:
            found = _span(word, _DAYS)
            if found is None:
                hint = "mon-fri, [sat, sun], weekdays, weekend, holiday"
                faults.add("WL-TAR-011", f"{shown(item)} names no days", hint=hint)
            days.update(found or ())
    return frozenset(days), or_holiday


def _months(value: object, faults: Faults) -> frozenset[int]:
    if value is None:
        return _ANY.months
    months: set[int] = set()
    for item in _listed(value, faults):
        word = str(item).strip().lower() if isinstance(item, int | str) and not isinstance(item, bool) else ""
        found = _span(re.sub(r"\d+", lambda match: _month_name(match[0]), word), _MONTHS)
        if found is None:
            faults.add(
                "WL-TAR-011", f"{shown(item)} names no months", hint="such as 4-9, [1, 2, 11-12] or oct-mar"
            )
        months.update(month + 1 for month in found or ())
    return frozenset(months) or _ANY.months


def _month_name(number: str) -> str:
    return _MONTHS[int(number) - 1] if len(number) <= 2 and 1 <= int(number) <= 12 else number


def _span(word: str, names: Sequence[str]) -> list[int] | None:
    """``fri-mon`` → positions, round the end if need be; None where a name is not known."""
    by_name = {name: at for at, name in enumerate(names)} | {name[:3]: at for at, name in enumerate(names)}
    ends = [by_name.get(part.strip()) for part in word.split("-")]
    first, last = ends[0], ends[-1]
    if len(ends) > 2 or first is None or last is None:
        return None
    return [(first + step) % len(names) for step in range((last - first) % len(names) + 1)]


def _hours(value: object, faults: Faults) -> tuple[tuple[int, int], ...]:
    if value is None:
        return _ANY.hours
    found: list[tuple[int, int]] = []
    for item in _listed(value, faults):
        match = _CLOCK.fullmatch(item.strip()) if isinstance(item, str) else None
        if match is None:
            faults.add("WL-TAR-011", f"{shown(item)} are no hours", hint='such as "07:00-23:00"')
            continue
        start, end = _minute(match[1], match[2]), _minute(match[3], match[4])
        if (
            max(start, end) > 1440
            or start == 1440
            or start == end
            or int(match[2]) > 59
            or int(match[4]) > 59
        ):
            faults.add("WL-TAR-011", f"{shown(item)} are no hours of a day", hint='from "00:00" to "24:00"')
        elif start % 15 or end % 15:
            faults.add(
                "WL-TAR-012", f"{shown(item)} does not fall on quarter hours", hint="use :00, :15, :30 or :45"
            )
        else:
            found.extend(_inside_day(start // 15, end // 15))
    return tuple(sorted(found)) or _ANY.hours


def _minute(hour: str, minute: str) -> int:
    return int(hour) * 60 + int(minute)


def _inside_day(start: int, end: int) -> list[tuple[int, int]]:
    if start < end:
        return [(start, end)]
    return [(0, end), (start, QUARTERS)] if end else [(start, QUARTERS)]


def _dates(value: object, faults: Faults) -> tuple[tuple[int, int], ...]:
    if value is None:
        return ()
    found: list[tuple[int, int]] = []
    for item in _listed(value, faults):
        match = _DATES.fullmatch(item.strip()) if isinstance(item, str) else None
        try:
            if match is None:
                raise ValueError
            first, last = day_of_year(int(match[1]), int(match[2])), day_of_year(int(match[3]), int(match[4]))
        except ValueError:
            faults.add("WL-TAR-011", f"{shown(item)} is no range of dates", hint='such as "06-01..09-30"')
            continue
        found.extend([(first, last)] if first <= last else [(0, last), (first, DAYS_OF_YEAR - 1)])
    return tuple(sorted(found))


def _types(value: object, faults: Faults, known: Collection[str]) -> frozenset[str]:
    if value is None:
        return frozenset()
    found: set[str] = set()
    for item in _listed(value, faults):
        name = text_of(item, faults)
        if name and name not in known:
            hint = f"known: {', '.join(known)}" if known else 'name them under "day_types" of the version'
            faults.add("WL-TAR-016", f"unknown kind of day {shown(name)}", hint=hint)
        elif name:
            found.add(name)
    return frozenset(found)


def _frozen(column: Bools) -> Bools:
    result = np.ascontiguousarray(column)
    result.flags.writeable = False
    return result
