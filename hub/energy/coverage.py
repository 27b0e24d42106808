"""Whether a group of lines prices every minute exactly once, and an example where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import numpy as np

from hub.energy.fields import Faults
from hub.energy.money import Bools
from hub.energy.when import DAYS_OF_YEAR, QUARTERS, Times, When, day_table, hour_table

_NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def check_coverage(
    group: str, lines: Sequence[tuple[str, Times, Faults]], types: tuple[str, ...], faults: Faults
) -> None:
    """Note ``WL-TAR-013`` at the group where a minute has no line, ``WL-TAR-014`` at the later of two lines.

    Every combination of weekday, day of the year (29 February too), holiday, kind of day and quarter hour is
    looked at. Days that the same lines price are looked at once.
    """
    owner = [number for number, (_, times, _) in enumerate(lines) for _ in times]
    parts = [when for _, times, _ in lines for when in times]
    days = np.stack([day_table(when, types).ravel() for when in parts])
    first = _different_columns(days)
    gap: tuple[int, Bools] | None = None
    overlaps: dict[int, tuple[int, int, Bools]] = {}
    for day in first:
        hours = _hours_of_day(parts, owner, np.flatnonzero(days[:, day]).tolist())
        covered = np.zeros(QUARTERS, np.bool_)
        for line, own in hours.items():
            twice = covered & own
            if twice.any() and line not in overlaps:
                other = next(one for one in hours if (hours[one] & twice).any())
                overlaps[line] = (other, day, hours[other] & twice)
            covered |= own
        if not covered.all() and gap is None:
            gap = (day, ~covered)
    for line, (other, day, quarters) in overlaps.items():
        text = f"{lines[line][0]!r} and {lines[other][0]!r} both price {moment(day, quarters, types)}"
        hint = "one line of a group holds at a time; lines that add up have different groups"
        lines[line][2].add("WL-TAR-014", text, hint=hint)
    if gap:
        where = f" of group {group!r}" if group else ""
        text = f"no energy line{where} prices {moment(*gap, types)}"
        faults.add("WL-TAR-013", text, hint='add a line with "when: otherwise"')


def _different_columns(table: Bools) -> list[int]:
    """Positions of the first of each set of equal columns, in their order."""
    packed = np.ascontiguousarray(np.packbits(table, axis=0).T)
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    return sorted(np.unique(keys, return_index=True)[1].tolist())


def _hours_of_day(parts: Sequence[When], owner: Sequence[int], active: Sequence[int]) -> dict[int, Bools]:
    """Quarters of each line on a day, of all its conditions that hold on it together."""
    found: dict[int, Bools] = {}
    for part in active:
        table = hour_table(parts[part])
        found[owner[part]] = found[owner[part]] | table if owner[part] in found else table
    return found


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
