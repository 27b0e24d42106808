"""Move readings of past days from rows into blocks: ten times smaller, ten times quicker to read.

Each function is one slice of the writer and crash-safe as a whole: the block is written and the rows are
deleted in the transaction of the caller. Late rows of a sealed day land hot again and are merged when the day
is sealed anew; in a block the first value stays, another one is kept as a conflict.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from hub.errors import Bug
from hub.storage import tables as t
from hub.storage.batches import ConflictRow
from hub.storage.codec import CODEC_VERSION, Columns, encode
from hub.storage.merging import Merged, between, first_of_each, merge
from hub.storage.readings import hot_rows, sealed_rows
from hub.storage.sealed import DAY_MS
from hub.storage.upserts import insert_new, upsert

SEAL_AFTER_MS = 48 * 3_600_000
SLICE_ROWS = 4_000
"""Rows that one slice moves: about 12 ms on a small machine."""

_r, _b = t.readings.c, t.reading_blocks.c

# Skips from day to day by key, so that the cost follows the number of days, not of rows.
_HOT_DAYS = sa.text(
    """
    WITH RECURSIVE s(no) AS (
        SELECT min(series) FROM readings
        UNION ALL
        SELECT (SELECT min(series) FROM readings WHERE series > s.no) FROM s WHERE s.no IS NOT NULL
    ), d(no, ts) AS (
        SELECT s.no, (SELECT min(ts_ms) FROM readings WHERE series = s.no AND ts_ms < :before_ms)
        FROM s WHERE s.no IS NOT NULL
        UNION ALL
        SELECT d.no, (
            SELECT min(ts_ms) FROM readings
            WHERE series = d.no AND ts_ms >= (d.ts / 86400000 + 1) * 86400000 AND ts_ms < :before_ms
        ) FROM d WHERE d.ts IS NOT NULL
    )
    SELECT no, ts / 86400000 FROM d WHERE ts IS NOT NULL LIMIT :at_most
    """
).bindparams(sa.bindparam("before_ms", type_=sa.BigInteger), sa.bindparam("at_most", type_=sa.Integer))


class Sealed(NamedTuple):
    """What one slice did: rows of the block now, what was lost against it, and whether hot rows are left."""

    rows: int
    bytes: int
    moved: int
    duplicates: int
    conflicts: int
    left: bool


def days_to_seal(
    connection: sa.Connection,
    now_ms: int,
    seal_after_ms: int = SEAL_AFTER_MS,
    *,
    touched_ms: Mapping[tuple[int, int], int] | None = None,
    at_most: int = 1_000,
) -> list[tuple[int, int]]:
    """(series, UTC day) pairs with hot rows whose day ended ``seal_after_ms`` ago.

    Args:
        touched_ms: when rows of a day last arrived, as far as the caller knows: such a day waits until it has
            been quiet for ``seal_after_ms``. To seal too early costs work, nothing else.
    """
    before_ms = (now_ms - seal_after_ms) // DAY_MS * DAY_MS
    rows = connection.execute(_HOT_DAYS, {"before_ms": before_ms, "at_most": at_most})
    touched = touched_ms or {}
    return [
        (int(series), int(day))
        for series, day in rows
        if touched.get((series, day), -seal_after_ms) + seal_after_ms <= now_ms
    ]


def seal_day(
    connection: sa.Connection,
    series: int,
    day: int,
    *,
    slice_rows: int = SLICE_ROWS,
    now_ms: int | None = None,
) -> Sealed:
    """Move the first ``slice_rows`` hot rows of a day into its block; call again while ``left``.

    ``now_ms`` stamps conflicts that come to light (default: the machine's wall clock).

    Raises:
        StorageCorrupt: the existing block is damaged; the rows stay hot and nothing is lost.
    """
    start_ms, end_ms = day * DAY_MS, (day + 1) * DAY_MS
    hot = hot_rows(connection, series, start_ms, end_ms, limit=slice_rows + 1)
    left = len(hot.ts_ms) > slice_rows
    if left:
        end_ms = int(hot.ts_ms[slice_rows])
        hot = between(hot, start_ms, end_ms)
    block = sealed_rows(connection, series, day)
    if not len(hot.ts_ms):
        return Sealed(len(block.ts_ms), 0, 0, 0, 0, left)
    merged = merge(block, hot)
    size = _write_block(connection, series, day, merged.columns)
    connection.execute(
        sa.delete(t.readings).where(_r.series == series, _r.ts_ms >= start_ms, _r.ts_ms < end_ms)
    )
    _keep_conflicts(connection, series, merged, "late", now_ms)
    return Sealed(
        len(merged.columns.ts_ms), size, len(hot.ts_ms), merged.duplicates, len(merged.lost.ts_ms), left
    )


def write_sealed(
    connection: sa.Connection,
    series: int,
    day: int,
    columns: Columns,
    *,
    source: str = "import",
    now_ms: int | None = None,
) -> Sealed:
    """Add rows of one UTC day straight to its block; whatever was stored before, in either tier, is first.

    Raises:
        Bug: ``WL-STO-032`` a row lies outside the day or is not finite.
    """
    new = first_of_each(columns)
    _check_day(day, new)
    start_ms, end_ms = day * DAY_MS, (day + 1) * DAY_MS
    hot = hot_rows(connection, series, start_ms, end_ms)
    before = merge(sealed_rows(connection, series, day), hot)
    merged = merge(before.columns, new)
    size = _write_block(connection, series, day, merged.columns)
    if len(hot.ts_ms):
        _delete_hot(connection, series, day)
        _keep_conflicts(connection, series, before, "late", now_ms)
    _keep_conflicts(connection, series, merged, source, now_ms)
    return Sealed(
        len(merged.columns.ts_ms), size, len(new.ts_ms), merged.duplicates, len(merged.lost.ts_ms), False
    )


def rewrite_day(connection: sa.Connection, series: int, day: int, columns: Columns) -> None:
    """Put ``columns`` in the place of all readings of a day; without rows the day is emptied.

    Readings are immutable: this is for retention and for repair, and its caller keeps the record of why.
    Raises as :func:`write_sealed`.
    """
    rows = first_of_each(columns)
    _check_day(day, rows)
    _delete_hot(connection, series, day)
    if len(rows.ts_ms):
        _write_block(connection, series, day, rows)
    else:
        connection.execute(sa.delete(t.reading_blocks).where(_b.series == series, _b.day == day))


def _check_day(day: int, columns: Columns) -> None:
    if len(columns.ts_ms) and not (
        day * DAY_MS <= int(columns.ts_ms[0]) and int(columns.ts_ms[-1]) < (day + 1) * DAY_MS
    ):
        raise Bug("WL-STO-032", "rows of another day were given to a block", where=f"day {day}")
    if not np.isfinite(columns.values).all():
        raise Bug("WL-STO-032", "values of a block must be finite", where=f"day {day}")


def _delete_hot(connection: sa.Connection, series: int, day: int) -> None:
    connection.execute(
        sa.delete(t.readings).where(
            _r.series == series, _r.ts_ms >= day * DAY_MS, _r.ts_ms < (day + 1) * DAY_MS
        )
    )


def _write_block(connection: sa.Connection, series: int, day: int, columns: Columns) -> int:
    """Write or replace the block of a day → its bytes."""
    if not len(columns.ts_ms):
        return 0
    data = encode(columns)
    upsert(
        connection,
        t.reading_blocks,
        [
            {
                "series": series,
                "day": day,
                "first_ms": int(columns.ts_ms[0]),
                "last_ms": int(columns.ts_ms[-1]),
                "count": len(columns.ts_ms),
                "codec": CODEC_VERSION,
                "data": data,
            }
        ],
    )
    return len(data)


def _keep_conflicts(
    connection: sa.Connection, series: int, merged: Merged, source: str, now_ms: int | None
) -> None:
    arrival_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    rows = [
        ConflictRow(series, ts_ms, kept, other, source, arrival_ms)._asdict()
        for ts_ms, kept, other in zip(
            merged.lost.ts_ms.tolist(), merged.kept.tolist(), merged.lost.values.tolist(), strict=True
        )
    ]
    insert_new(connection, t.conflicts, rows)
