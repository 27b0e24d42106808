"""First value wins: bring columns of one series together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hub.storage.codec import Columns, no_rows


class Merged(NamedTuple):
    """The union, and the rows of the later columns that lost: equal ones and conflicts with what was kept."""

    columns: Columns
    duplicates: int
    lost: Columns
    kept: NDArray[np.float64]


def merge(first: Columns, later: Columns) -> Merged:
    """Union of two ascending columns; where both know a time, ``first`` is kept."""
    none_lost = no_rows()
    if not len(first.ts_ms) or not len(later.ts_ms):
        return Merged(later if not len(first.ts_ms) else first, 0, none_lost, none_lost.values)
    if first.ts_ms[-1] < later.ts_ms[0]:
        return Merged(joined([first, later]), 0, none_lost, none_lost.values)
    at = np.searchsorted(first.ts_ms, later.ts_ms)
    inside = at < len(first.ts_ms)
    hit = inside.copy()
    hit[inside] = first.ts_ms[at[inside]] == later.ts_ms[inside]
    kept = first.values[at[hit]]
    again = taken(later, hit)
    conflict = ~((again.values == kept) | (np.isnan(again.values) & np.isnan(kept)))
    return Merged(
        _inserted(first, at[~hit], taken(later, ~hit)),
        int(np.count_nonzero(~conflict)),
        taken(again, conflict),
        kept[conflict],
    )


def first_of_each(columns: Columns) -> Columns:
    """Rows in any order → ascending, the first of equal times."""
    ts_ms = columns.ts_ms
    if len(ts_ms) < 2 or bool((ts_ms[1:] > ts_ms[:-1]).all()):
        return columns
    _, positions = np.unique(ts_ms, return_index=True)
    return taken(columns, positions)


def taken(columns: Columns, which: slice | NDArray[np.bool_] | NDArray[np.intp]) -> Columns:
    """Some rows of columns."""
    return Columns(columns.ts_ms[which], columns.values[which], columns.flags[which])


def joined(parts: list[Columns]) -> Columns:
    """Columns one after the other."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return no_rows()
    return Columns(
        np.concatenate([part.ts_ms for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.flags for part in parts]),
    )


def between(columns: Columns, start_ms: int, end_ms: int) -> Columns:
    """Rows of ascending columns in ``[start_ms, end_ms)``."""
    low, high = np.searchsorted(columns.ts_ms, (start_ms, end_ms)).tolist()
    return taken(columns, slice(low, high))


def _inserted(into: Columns, at: NDArray[np.intp], new: Columns) -> Columns:
    return Columns(
        np.insert(into.ts_ms, at, new.ts_ms),
        np.insert(into.values, at, new.values),
        np.insert(into.flags, at, new.flags),
    )
