"""Readings of a series, whichever tier they are in.

Every function takes the connection of a :meth:`hub.storage.database.Database.read` or ``write`` job. In a
sealed day the block holds the first values; hot rows of the day came later: equal ones are duplicates, others
conflicts, and neither is seen here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from hub.storage import tables as t
from hub.storage.codec import Columns, decode, no_rows
from hub.storage.merging import between, joined, merge, taken
from hub.storage.sealed import DAY_MS

__all__ = ["Columns", "SeriesStat", "last_rows", "read_after", "read_before", "read_columns", "stat"]

END_OF_TIME_MS = 253_402_300_800_000
"""10000-01-01: nothing is stored after it."""

_KEYS_PER_QUERY = 500
_r, _b = t.readings.c, t.reading_blocks.c
_SERIES = sa.bindparam("series", type_=sa.Integer)
_START = sa.bindparam("start_ms", type_=sa.BigInteger)
_END = sa.bindparam("end_ms", type_=sa.BigInteger)
_FIRST_DAY = sa.bindparam("first_day", type_=sa.Integer)
_LAST_DAY = sa.bindparam("last_day", type_=sa.Integer)
_COUNT = sa.bindparam("count", type_=sa.Integer)

_HOT = (
    sa.select(_r.ts_ms, _r.value, _r.flags)
    .where(_r.series == _SERIES, _r.ts_ms >= _START, _r.ts_ms < _END)
    .order_by(_r.ts_ms)
)
_HOT_FIRST = _HOT.limit(_COUNT)
_HOT_LAST = (
    sa.select(_r.ts_ms, _r.value, _r.flags)
    .where(_r.series == _SERIES, _r.ts_ms < _END)
    .order_by(_r.ts_ms.desc())
    .limit(_COUNT)
)
_BLOCKS = (
    sa.select(_b.day, _b.data)
    .where(_b.series == _SERIES, _b.day >= _FIRST_DAY, _b.day <= _LAST_DAY)
    .order_by(_b.day)
)
_BLOCK_SIZES = (
    sa.select(_b.day, _b.count)
    .where(_b.series == _SERIES, _b.day >= _FIRST_DAY, _b.day <= _LAST_DAY)
    .order_by(_b.day)
)
_BLOCK_BEFORE = (
    sa.select(_b.day, _b.last_ms)
    .where(_b.series == _SERIES, _b.day <= _LAST_DAY)
    .order_by(_b.day.desc())
    .limit(1)
)


class SeriesStat(NamedTuple):
    """Rows of a series by tier; times are ``None`` where there is no row.

    ``hot`` counts late repeats of sealed rows too, until their day is sealed again.
    """

    hot: int
    sealed: int
    first_ms: int | None
    last_ms: int | None


def read_columns(
    connection: sa.Connection, series: int, start_ms: int, end_ms: int, *, limit: int | None = None
) -> Columns:
    """Readings in ``[start_ms, end_ms)``, ascending; the first ``limit`` of them if it is given.

    Raises:
        StorageCorrupt: ``WL-STO-011`` a block of the range is damaged.
    """
    if end_ms <= start_ms or (limit is not None and limit <= 0):
        return no_rows()
    first_day, last_day = start_ms // DAY_MS, (end_ms - 1) // DAY_MS
    if limit is not None:
        last_day = _last_day_needed(connection, series, first_day, last_day, limit)
    sealed = between(_sealed(connection, series, first_day, last_day), start_ms, end_ms)
    bounds = {"series": series, "start_ms": start_ms, "end_ms": end_ms}
    hot = (
        _hot(connection, _HOT, bounds)
        if limit is None
        else _hot(connection, _HOT_FIRST, {**bounds, "count": limit})
    )
    columns = merge(sealed, hot).columns
    return columns if limit is None else taken(columns, slice(0, limit))


def read_before(connection: sa.Connection, series: int, ts_ms: int, count: int) -> Columns:
    """The last ``count`` readings before ``ts_ms``, ascending. Raises as :func:`read_columns`."""
    if count <= 0:
        return no_rows()
    newest = _hot(connection, _HOT_LAST, {"series": series, "end_ms": ts_ms, "count": count})
    columns = taken(newest, slice(None, None, -1))
    day = (ts_ms - 1) // DAY_MS
    while True:
        block = connection.execute(_BLOCK_BEFORE, {"series": series, "last_day": day}).first()
        complete = len(columns.ts_ms) >= count
        if block is None or (complete and block.last_ms < int(columns.ts_ms[-count])):
            return taken(columns, slice(max(len(columns.ts_ms) - count, 0), None))
        sealed = _sealed(connection, series, block.day, block.day)
        columns = merge(between(sealed, -END_OF_TIME_MS, ts_ms), columns).columns
        day = block.day - 1


def read_after(connection: sa.Connection, series: int, ts_ms: int, count: int) -> Columns:
    """The first ``count`` readings after ``ts_ms``, ascending. Raises as :func:`read_columns`."""
    return read_columns(connection, series, ts_ms + 1, END_OF_TIME_MS, limit=count)


def last_rows(connection: sa.Connection, series_nos: Iterable[int]) -> dict[int, tuple[int, float, int]]:
    """Newest reading per series as ``(ts_ms, value, flags)``; series without any are left out.

    Key lookups only, whatever the size of the tables. Raises as :func:`read_columns`.
    """
    numbers = sorted(set(series_nos))
    newest: dict[int, tuple[int, float, int]] = {}
    for at in range(0, len(numbers), _KEYS_PER_QUERY):
        newest.update(_last_of(connection, numbers[at : at + _KEYS_PER_QUERY]))
    return newest


def stat(connection: sa.Connection, series: int) -> SeriesStat:
    """Count the rows of a series; reads the hot keys, not the blocks."""
    hot = connection.execute(
        sa.select(sa.func.count(), sa.func.min(_r.ts_ms), sa.func.max(_r.ts_ms)).where(_r.series == series)
    ).one()
    sealed = connection.execute(
        sa.select(sa.func.sum(_b.count), sa.func.min(_b.first_ms), sa.func.max(_b.last_ms)).where(
            _b.series == series
        )
    ).one()
    firsts = [ts for ts in (hot[1], sealed[1]) if ts is not None]
    lasts = [ts for ts in (hot[2], sealed[2]) if ts is not None]
    return SeriesStat(int(hot[0]), int(sealed[0] or 0), min(firsts, default=None), max(lasts, default=None))


def hot_rows(
    connection: sa.Connection, series: int, start_ms: int, end_ms: int, *, limit: int | None = None
) -> Columns:
    """Rows of the hot tier alone, for sealing."""
    bounds = {"series": series, "start_ms": start_ms, "end_ms": end_ms}
    if limit is None:
        return _hot(connection, _HOT, bounds)
    return _hot(connection, _HOT_FIRST, {**bounds, "count": limit})


def sealed_rows(connection: sa.Connection, series: int, day: int) -> Columns:
    """The block of one day, without rows where there is none."""
    return _sealed(connection, series, day, day)


def _hot(
    connection: sa.Connection, statement: sa.Select[tuple[int, float, int]], bounds: dict[str, int]
) -> Columns:
    # the driver's own rows: toolkit rows cost as much again, and there may be a million
    rows = connection.execute(statement, bounds).cursor.fetchall()
    if not rows:
        return no_rows()
    ts_ms, values, flags = zip(*rows, strict=True)
    return Columns(np.array(ts_ms, np.int64), np.array(values, np.float64), np.array(flags, np.uint8))


def _sealed(connection: sa.Connection, series: int, first_day: int, last_day: int) -> Columns:
    if last_day < first_day:
        return no_rows()
    days = {"series": series, "first_day": first_day, "last_day": last_day}
    rows = connection.execute(_BLOCKS, days).cursor.fetchall()
    return joined([decode(data, where=f"reading_blocks series {series} day {day}") for day, data in rows])


def _last_day_needed(
    connection: sa.Connection, series: int, first_day: int, last_day: int, limit: int
) -> int:
    """The day by which the blocks hold ``limit`` rows, so that no more of them are read."""
    days = {"series": series, "first_day": first_day, "last_day": last_day}
    rows = 0
    for day, count in connection.execute(_BLOCK_SIZES, days):
        rows += count if day > first_day else 0  # the range may begin inside the first day
        if rows >= limit:
            return int(day)
    return last_day


def _last_of(connection: sa.Connection, numbers: Sequence[int]) -> dict[int, tuple[int, float, int]]:
    """Newest rows of at most :data:`_KEYS_PER_QUERY` series."""
    keys = ", ".join(f"({int(number)})" for number in numbers)
    newest = connection.exec_driver_sql(
        f"WITH k(no) AS (VALUES {keys}) SELECT k.no,"
        " (SELECT max(ts_ms) FROM readings WHERE series = k.no),"
        " (SELECT max(day) FROM reading_blocks WHERE series = k.no) FROM k"
    ).all()
    found: dict[int, tuple[int, float, int]] = {}
    hot = [(no, ts_ms) for no, ts_ms, _ in newest if ts_ms is not None]
    if hot:
        keys = ", ".join(f"({int(no)}, {int(ts_ms)})" for no, ts_ms in hot)
        rows = connection.exec_driver_sql(
            f"WITH k(no, ts) AS (VALUES {keys}) SELECT r.series, r.ts_ms, r.value, r.flags"
            " FROM k CROSS JOIN readings r WHERE r.series = k.no AND r.ts_ms = k.ts"
        )
        found = {int(no): (int(ts_ms), float(value), int(flags)) for no, ts_ms, value, flags in rows}
    for no, ts_ms, day in newest:
        # a late row may lie hot in an old day while newer rows are sealed already
        if day is not None and (ts_ms is None or ts_ms < (day + 1) * DAY_MS):
            block = sealed_rows(connection, no, day)
            if ts_ms is None or int(block.ts_ms[-1]) >= ts_ms:
                found[no] = (int(block.ts_ms[-1]), float(block.values[-1]), int(block.flags[-1]))
    return found
