"""Compares stored figures with figures derived again from the same readings, value for value.

Nothing is written. Ranges that are marked as not derived yet are left out with all that they can still change: they
wait, they do not differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.actors.history import day_rows
from hub.energy.calendar import local_days
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.model.series import Series
from hub.storage import slots, tables
from hub.storage.database import Database
from hub.storage.decisions import decided_extents
from hub.storage.readings import stat
from hub.storage.rederive import Stream, rederive

CHUNK_MS = 31 * 86_400_000
LONGEST_DAY_MS = 26 * 3_600_000
MAX_SHOWN = 20
_NAMES = tuple(column.name for column in fields(SlotColumns) if column.name != "start_ms")


@dataclass(frozen=True, slots=True)
class Difference:
    """One derived value that is not what the readings give; None where a row is missing on that side."""

    series: str
    resolution: str
    start_ms: int
    column: str
    stored: float | None
    derived: float | None


@dataclass(slots=True)
class CheckedSeries:
    """What became of the rows of one series; at most :data:`MAX_SHOWN` differences are kept, all are counted."""

    series: str
    rows: int = 0
    waiting: int = 0
    different: int = 0
    shown: list[Difference] = field(default_factory=list)


async def check_derived(database: Database, series: Series, zone: str) -> CheckedSeries:
    """Compare every slot and every day of a series with what its readings give now.

    Reads a month at a time, each in one snapshot, so that a hub may go on meanwhile.

    Raises:
        StorageAway, StorageCorrupt: the store cannot be read.
    """
    found = CheckedSeries(series.public_id)
    extent = await database.read(lambda conn: _extent(conn, series.no))
    if extent is None:
        return found
    now_ms = database.now_ms()
    for start_ms, end_ms in _chunks(*extent):
        part = await database.read(
            lambda conn, start_ms=start_ms, end_ms=end_ms: _check_chunk(  # type: ignore[misc]  # bound per turn
                conn, series, start_ms, end_ms, zone, now_ms
            )
        )
        found.rows += part.rows
        found.waiting += part.waiting
        found.different += part.different
        found.shown = [*found.shown, *part.shown][:MAX_SHOWN]
    return found


def _extent(conn: sa.Connection, number: int) -> tuple[int, int] | None:
    """From the first to the last reading or stored row of a series, in whole slots."""
    readings = stat(conn, number)
    rows, blocks = tables.energy_metrics.c, tables.metric_blocks.c
    first_row, last_row = conn.execute(
        sa.select(sa.func.min(rows.start_ms), sa.func.max(rows.end_ms)).where(rows.series == number)
    ).one()
    # the resolution of a block is "15m.delta": its end is the end of its period
    periods = conn.execute(
        sa.select(blocks.resolution, sa.func.min(blocks.period_ms), sa.func.max(blocks.period_ms))
        .where(blocks.series == number)
        .group_by(blocks.resolution)
    ).all()
    starts = [readings.first_ms, first_row, *(first for _, first, _ in periods)]
    ends = [
        None if readings.last_ms is None else readings.last_ms + 1,
        last_row,
        *(slots.period_end(name.partition(".")[0], last) for name, _, last in periods),
    ]
    for first_ms, last_ms in decided_extents(conn, number):
        starts.append(first_ms)
        ends.append(last_ms)
    known_starts = [ms for ms in starts if ms is not None]
    known_ends = [ms for ms in ends if ms is not None]
    if not known_starts:
        return None
    start_ms, end_ms = min(known_starts), max(known_ends)
    # a day belongs to the month in which it begins, so the first one must begin inside
    start_ms = max(start_ms - LONGEST_DAY_MS, 0)
    return start_ms - start_ms % SLOT_MS, end_ms + -end_ms % SLOT_MS


def _chunks(start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    for first_ms in range(start_ms, end_ms, CHUNK_MS):
        yield first_ms, min(first_ms + CHUNK_MS, end_ms)


def _check_chunk(
    conn: sa.Connection, series: Series, start_ms: int, end_ms: int, zone: str, now_ms: int
) -> CheckedSeries:
    found = CheckedSeries(series.public_id)
    waiting = _waiting(conn, series, start_ms, end_ms)
    stored = slots.read(conn, [series.no], slots.SLOT, start_ms, end_ms)[series.no]
    fresh = Stream.of(conn, series).derived(start_ms, end_ms).derived.slots  # not what it touches beside it
    inside = (fresh.start_ms >= start_ms) & (fresh.start_ms < end_ms)
    _compare(found, slots.SLOT, _settled(stored, waiting, found), _settled(fresh.take(inside), waiting))
    _check_days(found, conn, series, (start_ms, end_ms), zone, now_ms)
    return found


def _waiting(conn: sa.Connection, series: Series, start_ms: int, end_ms: int) -> list[tuple[int, int]]:
    """Ranges whose slots may still change, because readings in them or beside them are not derived yet."""
    marks = tables.dirty_ranges.c
    rows = conn.execute(
        sa.select(marks.start_ms, marks.end_ms)
        .where(marks.series == series.no, marks.cause != "days")
        .order_by(marks.start_ms)
    ).all()
    joined: list[tuple[int, int]] = []
    for first_ms, last_ms in rows:
        if joined and first_ms <= joined[-1][1] + SLOT_MS:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last_ms))
        else:
            joined.append((first_ms, last_ms))
    touched = [rederive(conn, series, first_ms, last_ms) for first_ms, last_ms in joined]
    return [(one.start_ms, one.end_ms) for one in touched if one.start_ms < end_ms and one.end_ms > start_ms]


def _settled(
    columns: SlotColumns, waiting: list[tuple[int, int]], count: CheckedSeries | None = None
) -> SlotColumns:
    """The rows that do not wait; those that do are counted."""
    keep = np.ones(len(columns), np.bool_)
    for start_ms, end_ms in waiting:
        keep &= (columns.start_ms < start_ms) | (columns.start_ms >= end_ms)
    if count is not None:
        count.waiting += int((~keep).sum())
    return columns.take(keep)


def _check_days(
    found: CheckedSeries,
    conn: sa.Connection,
    series: Series,
    span: tuple[int, int],
    zone: str,
    now_ms: int,
) -> None:
    """Days that begin in the span against the sums of the stored slots, which were checked themselves."""
    days = local_days(zone, *span)
    marks = tables.dirty_ranges.c
    marked = conn.execute(
        sa.select(marks.start_ms, marks.end_ms).where(
            marks.series == series.no,
            marks.start_ms < int(days.end_ms[-1]),
            marks.end_ms > int(days.start_ms[0]),
        )
    ).all()
    due = (days.start_ms >= span[0]) & (days.end_ms <= now_ms) & (days.end_ms > days.start_ms)
    for start_ms, end_ms in marked:
        due &= (days.end_ms <= start_ms) | (days.start_ms >= end_ms)
    starts, ends = days.start_ms[due], days.end_ms[due]
    if not len(starts):
        return
    first_ms, last_ms = int(starts[0]), int(ends[-1])
    rows = slots.read(conn, [series.no], slots.SLOT, first_ms, last_ms)[series.no]
    stored = slots.read(conn, [series.no], slots.DAY, first_ms, last_ms)[series.no]
    stored = stored.take(np.isin(stored.start_ms, starts))
    _compare(found, slots.DAY, stored, day_rows(rows, starts, ends))


def _compare(found: CheckedSeries, resolution: str, stored: SlotColumns, fresh: SlotColumns) -> None:
    """Count the rows and note what differs."""
    found.rows += len(stored)
    both, at_stored, at_fresh = np.intersect1d(
        stored.start_ms, fresh.start_ms, assume_unique=True, return_indices=True
    )
    for start_ms in np.setdiff1d(stored.start_ms, both).tolist():
        _note(found, Difference(found.series, resolution, start_ms, "row", 1.0, None))
    for start_ms in np.setdiff1d(fresh.start_ms, both).tolist():
        _note(found, Difference(found.series, resolution, start_ms, "row", None, 1.0))
    for name in _NAMES:
        left, right = _values(stored, name)[at_stored], _values(fresh, name)[at_fresh]
        for row in np.flatnonzero(_differs(left, right)).tolist():
            _note(
                found,
                Difference(
                    found.series, resolution, int(both[row]), name, _plain(left[row]), _plain(right[row])
                ),
            )


def _values(columns: SlotColumns, name: str) -> NDArray[np.generic]:
    """A column; an amount that is not there counts as zero, for its number means nothing."""
    column: NDArray[np.generic] = getattr(columns, name)
    return np.where(columns.has_delta, column, 0) if name == "delta" else column


def _differs(left: NDArray[np.generic], right: NDArray[np.generic]) -> NDArray[np.bool_]:
    both_missing = (left != left) & (right != right)
    return np.asarray((left != right) & ~both_missing, np.bool_)


def _plain(value: np.generic) -> float | None:
    number = float(value)
    return None if number != number else number


def _note(found: CheckedSeries, difference: Difference) -> None:
    found.different += 1
    if len(found.shown) < MAX_SHOWN:
        found.shown.append(difference)
