"""Amounts of many series by buckets: grids of whole numbers instead of a summary per series.

Energy in all resolutions is what charts ask for most, and for the most series at once. Sums are exact: they stay
in steps (:func:`hub.energy.slots.step_of`) until the caller divides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.energy.calendar import Buckets
from hub.energy.cuts import part_of, share
from hub.energy.periods import GridSums
from hub.energy.slots import SLOT_MS
from hub.storage import slots
from hub.storage.amounts import Amounts, read_amounts


class Grid(NamedTuple):
    """Sums in steps, one row per series and one column per bucket; ``known`` is false where nothing is known."""

    steps: NDArray[np.int64]
    known: NDArray[np.bool_]


def amounts_from_slots(
    conn: sa.Connection,
    numbers: Sequence[int],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    now_ms: int,
) -> Grid:
    """Slots summed into buckets that follow each other, in time order; what the range cuts is reduced to it."""
    asked = int(starts[0]), int(ends[-1])
    starts, ends = starts - starts % SLOT_MS, ends + -ends % SLOT_MS
    first_ms, end_ms = int(starts[0]), int(ends[-1])
    width = (end_ms - first_ms) // SLOT_MS
    sums = GridSums(width, first_ms, starts, ends)
    grid = Grid(
        np.zeros((len(numbers), len(starts)), np.int64), np.zeros((len(numbers), len(starts)), np.bool_)
    )
    rows = {number: row for row, number in enumerate(numbers)}
    # one series after the other: a year of one fits where the processor finds it again, that of all does not
    deltas, known = np.empty((1, width), np.int64), np.empty((1, width), np.bool_)
    for number, pieces in read_amounts(conn, numbers, slots.SLOT, first_ms, end_ms):
        deltas[:], known[:] = 0, False
        for piece in pieces:
            at = _places(piece, first_ms)
            known[0, at] = piece.known
            deltas[0, at] = piece.delta if piece.known.all() else np.where(piece.known, piece.delta, 0)
        _reduce_edges(deltas, first_ms, asked, now_ms)
        row = rows[number]
        grid.steps[row] = sums.of(deltas)[0]
        grid.known[row] = ends > starts if known.all() else sums.of(known.view(np.int8))[0] > 0
    return grid


def _reduce_edges(
    deltas: NDArray[np.integer[Any]], first_ms: int, asked: tuple[int, int], now_ms: int
) -> None:
    """Reduce the first and the last slot to the asked range, in place."""
    for at in sorted({0, deltas.shape[1] - 1}):
        inside_ms, whole_ms = share(first_ms + at * SLOT_MS, *asked, now_ms)
        if inside_ms < whole_ms:
            deltas[:, at] = part_of(deltas[:, at], inside_ms, whole_ms)


def amounts_from_days(
    conn: sa.Connection,
    numbers: Sequence[int],
    days: Buckets,
    loose: Mapping[int, Sequence[int]],
    now_ms: int,
) -> Grid:
    """Day rows of consecutive days; ``loose`` days of a series (by position) are summed from its slots."""
    shape = (len(numbers), len(days))
    steps, known = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    rows = {number: row for row, number in enumerate(numbers)}
    wanted = [number for number in numbers if len(loose[number]) < len(days)]
    first_ms, end_ms = int(days.start_ms[0]), int(days.end_ms[-1])
    for number, pieces in read_amounts(conn, wanted, slots.DAY, first_ms, end_ms) if wanted else ():
        for piece in pieces:
            at = np.searchsorted(days.start_ms, piece.start_ms, side="right") - 1
            steps[rows[number], at] = piece.delta
            known[rows[number], at] = piece.known
    for positions, together in by_positions(loose).items():
        at_rows = np.array([rows[number] for number in together])
        for low, high in _runs(positions):
            part = amounts_from_slots(conn, together, days.start_ms[low:high], days.end_ms[low:high], now_ms)
            steps[at_rows, low:high], known[at_rows, low:high] = part.steps, part.known
    return Grid(np.where(known, steps, 0), known)


def summed_days(grid: Grid, days: Buckets, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Grid:
    """Days summed into months or years; a day belongs to the bucket it begins in."""
    low, high = np.searchsorted(days.start_ms, starts), np.searchsorted(days.start_ms, ends)
    return Grid(_between(grid.steps, low, high), _between(grid.known, low, high) > 0)


def _between(
    cells: NDArray[np.int64] | NDArray[np.bool_], low: NDArray[np.intp], high: NDArray[np.intp]
) -> NDArray[np.int64]:
    total = np.zeros((cells.shape[0], cells.shape[1] + 1), np.int64)
    np.cumsum(cells, axis=1, dtype=np.int64, out=total[:, 1:])
    return total[:, high] - total[:, low]


def _places(piece: Amounts, origin_ms: int) -> slice | NDArray[np.int64]:
    """Columns of these slots; most pieces have no hole and are copied as one stretch."""
    first, count = (piece.first_ms - origin_ms) // SLOT_MS, len(piece.delta)
    even = piece.starts is None and piece.step_ms == SLOT_MS
    if even or int(piece.start_ms[-1]) - piece.first_ms == (count - 1) * SLOT_MS:
        return slice(first, first + count)
    return (piece.start_ms - origin_ms) // SLOT_MS


def by_positions(loose: Mapping[int, Sequence[int]]) -> dict[tuple[int, ...], list[int]]:
    """Series by the days that must be summed for them: most often all have the same."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, positions in loose.items():
        if positions:
            groups.setdefault(tuple(positions), []).append(number)
    return groups


def _runs(positions: Sequence[int]) -> list[tuple[int, int]]:
    """Rising positions as stretches ``[low, high)``."""
    runs: list[tuple[int, int]] = []
    for position in positions:
        if runs and runs[-1][1] == position:
            runs[-1] = (runs[-1][0], position + 1)
        else:
            runs.append((position, position + 1))
    return runs
