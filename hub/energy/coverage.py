"""Whether a group of lines prices every minute exactly once, and an example where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import numpy as np

from hub.energy.fields import Faults
from hub.energy.money import Bools
from hub.energy.when import DAYS_OF_YEAR, QUARTERS, When, day_table, hour_table

_NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def check_coverage(
    group: str, lines: Sequence[tuple[str, When, Faults]], types: tuple[str, ...], faults: Faults
) -> None:
    """Note ``WL-TAR-013`` at the group where a minute has no line, ``WL-TAR-014`` at the later of two lines.

    Every combination of weekday, day of the year (29 February too), holiday, kind of day and quarter hour is
    looked at. Days that the same lines price are looked at once.
    """
    days = np.stack([day_table(when, types).ravel() for _, when, _ in lines])
    hours = np.stack([hour_table(when) for _, when, _ in lines])
    kinds, first = np.unique(days, axis=1, return_index=True)
    gap: tuple[int, Bools] | None = None
    overlaps: dict[int, tuple[int, int, Bools]] = {}
    for lines_of_day, day in sorted(zip(kinds.T, first.tolist(), strict=True), key=lambda one: one[1]):
        active = np.flatnonzero(lines_of_day)
        covered = np.zeros(QUARTERS, np.bool_)
        for line in active.tolist():
            twice = covered & hours[line]
            if twice.any() and line not in overlaps:
                other = next(one for one in active.tolist() if (hours[one] & twice).any())
                overlaps[line] = (other, day, hours[other] & twice)
            covered |= hours[line]
        if not covered.all() and gap is None:
            gap = (day, ~covered)
    for line, (other, day, quarters) in overlaps.items():
        text = f"{lines[line][0]!r} and {lines[other][0]!r} both price {moment(day, quarters, types)}"
        lines[line][2].add(
            "WL-TAR-014",
            text,
            hint="one line of a group holds at a time; lines that add up have different groups",
        )
    if gap:
        where = f" of group {group!r}" if group else ""
        text = f"no energy line{where} prices {moment(*gap, types)}"
        faults.add("WL-TAR-013", text, hint='add a line with "when: otherwise"')


def complement(
    lines: Sequence[When], types: tuple[str, ...], day_class: np.ndarray, quarter: np.ndarray
) -> Bools:
    """Slots in which none of the lines holds."""
    result = np.ones(len(quarter), np.bool_)
    for when in lines:
        result &= ~(day_table(when, types).ravel()[day_class] & hour_table(when)[quarter])
    return result


def moment(day: int, quarters: Bools, types: tuple[str, ...]) -> str:
    """``Saturday 3 January from 23:00 to 24:00``: the first stretch of the marked quarters."""
    rest, date_of_year = divmod(day, DAYS_OF_YEAR)
    rest, weekday = divmod(rest, 7)
    kind, holiday = divmod(rest, 2)
    marked = np.flatnonzero(quarters)
    start = int(marked[0])
    end = start
    while end < QUARTERS and quarters[end]:
        end += 1
    named = date(2024, 1, 1) + timedelta(days=date_of_year)
    text = f"{_NAMES[weekday]} {named.day} {named:%B} from {_clock(start)} to {_clock(end)}"
    return text + (" (a holiday)" if holiday else "") + (f" (kind {types[kind]!r})" if types else "")


def _clock(quarter: int) -> str:
    return f"{quarter // 4:02d}:{quarter % 4 * 15:02d}"
