"""How big the store is, how fast it grows, and whether it is whole."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from hub.errors import StorageCorrupt
from hub.storage import tables as t
from hub.storage.codec import decode
from hub.storage.sealed import DAY_MS

_RATE_DAYS = 7
_USUAL_BYTES_PER_VALUE = 3.0  # sealed power and counter readings, before there are any of our own to measure

# Key lookups per series: counting all rows by time would read the whole table.
_HOT_BOUNDS = sa.text(
    """
    WITH RECURSIVE s(no) AS (
        SELECT min(series) FROM readings
        UNION ALL
        SELECT (SELECT min(series) FROM readings WHERE series > s.no) FROM s WHERE s.no IS NOT NULL
    )
    SELECT (SELECT min(ts_ms) FROM readings WHERE series = s.no),
           (SELECT max(ts_ms) FROM readings WHERE series = s.no)
    FROM s WHERE s.no IS NOT NULL
    """
)
_HOT_SINCE = sa.text(
    """
    WITH RECURSIVE s(no) AS (
        SELECT min(series) FROM readings
        UNION ALL
        SELECT (SELECT min(series) FROM readings WHERE series > s.no) FROM s WHERE s.no IS NOT NULL
    )
    SELECT (SELECT count(*) FROM readings WHERE series = s.no AND ts_ms > :since_ms),
           (SELECT min(ts_ms) FROM readings WHERE series = s.no AND ts_ms > :since_ms)
    FROM s WHERE s.no IS NOT NULL
    """
).bindparams(sa.bindparam("since_ms", type_=sa.BigInteger))
_b = t.reading_blocks.c


class StorageStats(NamedTuple):
    """Sizes of the two tiers and what they lead to.

    ``rows_per_day`` is the mean of the newest seven days with readings; ``forecast_bytes_per_year`` is that
    rate kept for 365 days in sealed blocks. Both are ``None`` before there is anything to measure.
    """

    rows_hot: int
    rows_sealed: int
    blocks: int
    bytes_total: int
    bytes_sealed: int
    bytes_per_hot_value: float | None
    bytes_per_sealed_value: float | None
    rows_per_day: float | None
    forecast_bytes_per_year: int | None
    first_ms: int | None
    last_ms: int | None


def stats(connection: sa.Connection) -> StorageStats:
    """Measure the store; counts the hot rows, so about 0.1 s per million of them."""
    hot = connection.execute(sa.select(sa.func.count()).select_from(t.readings)).scalar_one()
    bounds = connection.execute(_HOT_BOUNDS).all()
    hot_first_ms = min((first for first, _ in bounds), default=None)
    hot_last_ms = max((last for _, last in bounds), default=None)
    blocks, sealed, sealed_bytes, first_ms, last_ms = connection.execute(
        sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(_b.count), 0),
            sa.func.coalesce(sa.func.sum(sa.func.length(_b.data)), 0),
            sa.func.min(_b.first_ms),
            sa.func.max(_b.last_ms),
        ).select_from(t.reading_blocks)
    ).one()
    total_bytes = _total_bytes(connection)
    newest_ms = max((ts for ts in (hot_last_ms, last_ms) if ts is not None), default=None)
    per_sealed = float(sealed_bytes) / int(sealed) if sealed else None
    per_hot = _hot_bytes(connection, int(hot), total_bytes - int(sealed_bytes))
    rate = None if newest_ms is None else _rows_per_day(connection, newest_ms)
    per_value = per_sealed or _USUAL_BYTES_PER_VALUE
    return StorageStats(
        rows_hot=int(hot),
        rows_sealed=int(sealed),
        blocks=int(blocks),
        bytes_total=total_bytes,
        bytes_sealed=int(sealed_bytes),
        bytes_per_hot_value=per_hot,
        bytes_per_sealed_value=per_sealed,
        rows_per_day=rate,
        forecast_bytes_per_year=None if rate is None else round(rate * 365 * per_value),
        first_ms=min((ts for ts in (hot_first_ms, first_ms) if ts is not None), default=None),
        last_ms=newest_ms,
    )


def quick_check(connection: sa.Connection) -> list[str]:
    """What SQLite finds wrong with the file's structure, nothing for a sound one.

    PostgreSQL checks its pages as it reads them, so there is nothing to ask for.
    """
    if connection.dialect.name != "sqlite":
        return []
    found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check(20)")]
    return [] if found == ["ok"] else found


def check_blocks(
    connection: sa.Connection, after: tuple[int, int] | None = None, *, at_most: int = 500
) -> tuple[list[str], tuple[int, int] | None]:
    """Decode blocks in order of their key → (damaged ones, the key to go on after, ``None`` at the end).

    One call is one slice: 500 blocks take about 30 ms.
    """
    statement = sa.select(_b.series, _b.day, _b.count, _b.data).order_by(_b.series, _b.day).limit(at_most)
    if after is not None:
        statement = statement.where(sa.tuple_(_b.series, _b.day) > sa.tuple_(*after))
    rows = connection.execute(statement).all()
    damaged = [problem for row in rows if (problem := _damage(*row))]
    return damaged, (rows[-1][0], rows[-1][1]) if len(rows) == at_most else None


def _damage(series: int, day: int, count: int, data: bytes) -> str:
    where = f"reading_blocks series {series} day {day}"
    try:
        found = len(decode(data, where=where).ts_ms)
    except StorageCorrupt as error:
        return str(error)
    return "" if found == count else f"{where}: {found} rows instead of {count}"


def _total_bytes(connection: sa.Connection) -> int:
    if connection.dialect.name == "sqlite":
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
    return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())


def _hot_bytes(connection: sa.Connection, rows: int, rest_bytes: int) -> float | None:
    """Bytes per hot row; in SQLite an upper border: the other tables are in it."""
    if rows < 10_000:  # too few to tell them from the rest of the file
        return None
    if connection.dialect.name == "sqlite":
        return rest_bytes / rows
    size = connection.exec_driver_sql("SELECT pg_total_relation_size('readings')").scalar_one()
    return int(size) / rows


def _rows_per_day(connection: sa.Connection, newest_ms: int) -> float:
    """Mean over the newest days, clipped to the time there is."""
    since_ms = newest_ms - _RATE_DAYS * DAY_MS
    recent = connection.execute(_HOT_SINCE, {"since_ms": since_ms}).all()
    hot = sum(int(count) for count, _ in recent)
    first_hot_ms = min((first for _, first in recent if first is not None), default=None)
    sealed, first_sealed_ms = connection.execute(
        sa.select(sa.func.coalesce(sa.func.sum(_b.count), 0), sa.func.min(_b.first_ms)).where(
            _b.day > since_ms // DAY_MS
        )
    ).one()
    first_ms = min(ts for ts in (first_hot_ms, first_sealed_ms, newest_ms) if ts is not None)
    days: float = max((newest_ms - first_ms) / DAY_MS, 1 / 24)
    return (hot + int(sealed)) / days
