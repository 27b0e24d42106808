"""Kinds of days that a contract names, such as the blue, white and red days of Tempo.

They come from a price series that holds a code for each slot (the supplier says the colour a day ahead), or from
lists of dates. A slot whose code is not known yet has no kind, and what depends on it is pending.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from hub.energy.fields import Faults, Fields, date_of, shown, text_of

_MAX_TYPES: Final = 12
_MAX_DATES: Final = 2000


@dataclass(frozen=True, slots=True)
class DayTypes:
    """``names`` in order. With ``series``, ``codes_e8`` are its values by name; else ``dates`` by name.

    Dates that no name lists are of ``names[0]``. A day of this kind begins at quarter ``starts`` of its date.
    """

    names: tuple[str, ...] = ()
    series: str = ""
    codes_e8: tuple[int, ...] = ()
    dates: tuple[frozenset[date], ...] = ()
    starts: int = 0


NO_TYPES: Final = DayTypes()


def parse_day_types(fields: Fields) -> DayTypes:
    """``day_types:`` of a version; faults are noted."""
    data = fields.mapping("day_types")
    if data is None:
        return NO_TYPES
    own = Fields(data, fields.faults.at("day_types"), ("series", "codes", "dates", "otherwise", "starts"))
    if own.has("series"):
        for key in ("dates", "otherwise", "starts"):
            if own.has(key):
                own.faults.at(key).add(
                    "WL-TAR-034", f"'series' and {key!r} exclude each other", hint="remove one"
                )
        return _by_series(own)
    return _by_dates(own)


def _by_series(own: Fields) -> DayTypes:
    codes = own.mapping("codes") if own.need("codes", hint="{blue: 1, white: 2, red: 3}") else None
    place = own.faults.at("codes")
    names = _names(codes or {}, place)
    values = Fields(codes or {}, place, names)
    steps = tuple(values.price(name) for name in names)
    if len(set(steps)) < len(steps):
        place.add("WL-TAR-034", "two kinds of days have one code", hint="give each its own number")
    return DayTypes(names, own.text("series").replace("-", "_"), steps)


def _by_dates(own: Fields) -> DayTypes:
    own.need("otherwise", hint="the kind of all other days")
    dates = (own.mapping("dates") if own.need("dates", hint="{red: [2026-01-12]}") else None) or {}
    default = own.text("otherwise", "-")
    listed = _names(dates, own.faults.at("dates"))
    days = [_dates(dates[name], own.faults.at("dates", name)) for name in listed]
    seen: set[date] = set()
    for name, some in zip(listed, days, strict=True):
        if seen & some:
            text = f"{min(seen & some)} is listed under two kinds of days"
            own.faults.at("dates", name).add("WL-TAR-034", text, hint="a day is of one kind")
        seen |= some
    others = [(name, some) for name, some in zip(listed, days, strict=True) if name != default]
    names = (default, *(name for name, _ in others))
    return DayTypes(names, dates=(frozenset(), *(some for _, some in others)), starts=_starts(own))


def _names(data: Mapping[Any, Any], faults: Faults) -> tuple[str, ...]:
    if len(data) > _MAX_TYPES:
        faults.add("WL-TAR-040", f"{len(data)} kinds of days, at most {_MAX_TYPES}")
        return ()
    return tuple(name for name in data if text_of(name, faults))


def _dates(value: object, faults: Faults) -> frozenset[date]:
    if not isinstance(value, list | tuple) or len(value) > _MAX_DATES:
        faults.add(
            "WL-TAR-001", f"must be a list of at most {_MAX_DATES} dates", hint="[2026-01-12, 2026-01-13]"
        )
        return frozenset()
    found = [date_of(item, faults.at(index)) for index, item in enumerate(value)]
    return frozenset(day for day in found if day)


def _starts(own: Fields) -> int:
    if not own.has("starts"):
        return 0
    hour, _, minute = str(own.data["starts"]).partition(":")
    if hour.isascii() and hour.isdigit() and minute in ("00", "15", "30", "45") and int(hour) < 24:
        return int(hour) * 4 + int(minute) // 15
    own.faults.at("starts").add(
        "WL-TAR-011", f"{shown(own.data['starts'])} is no quarter hour", hint='such as "06:00"'
    )
    return 0
