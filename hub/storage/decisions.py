"""What people decided about a series, as far as it makes figures where there may be no reading, and its marks."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from hub.energy.corrections import Action
from hub.energy.slots import SLOT_MS
from hub.storage import tables
from hub.storage.corrections import active_corrections
from hub.storage.metering import installations_of
from hub.storage.readings import END_OF_TIME_MS, read_before
from hub.storage.upserts import insert_new


def decided_extents(conn: sa.Connection, series: int) -> list[tuple[int, int]]:
    """Ranges ``(start_ms, end_ms)`` around the values that corrections and installations put into a series."""
    times = [
        ts_ms
        for one in active_corrections(conn, series)
        for ts_ms in ([one.start_ms] if one.action is Action.VALUE else [row[0] for row in one.rows])
    ]
    for one in installations_of(conn, series):
        times += [one.from_ms] if one.opening is not None else []
        times += [one.to_ms] if one.to_ms is not None and one.closing is not None else []
    return [(min(times), max(times) + 1)] if times else []


def mark_dirty(
    conn: sa.Connection, ranges: Iterable[tuple[int, int, int]], cause: str, created_ms: int
) -> None:
    """Mark ranges ``(series, start_ms, end_ms)`` as not derived; ``cause`` names one decision only."""
    rows = [
        {"series": series, "start_ms": start_ms, "end_ms": end_ms, "cause": cause, "created_ms": created_ms}
        for series, start_ms, end_ms in ranges
    ]
    insert_new(conn, tables.dirty_ranges, rows)


def dirty_until(conn: sa.Connection, series: int, start_ms: int, end_ms: int, now_ms: int) -> int:
    """End of what a change of ``[start_ms, end_ms)`` dirties: nothing lies behind now and the last reading."""
    newest = read_before(conn, series, END_OF_TIME_MS, 1).ts_ms
    last_ms = max(now_ms, int(newest[0]) if len(newest) else now_ms, start_ms) + SLOT_MS
    return min(end_ms, last_ms)
