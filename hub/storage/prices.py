"""Prices by time: rows that never overlap, because what is written cuts what was there.

The newest insert wins for its own time and leaves the rest of an older row in force, so reading needs no rule
about overlaps, and writing the same rows again changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.storage import tables

ROWS_PER_JOB = 1_000
_p = tables.prices.c


class PriceRow(NamedTuple):
    """The price in 1e-8 currency per kWh from ``start_ms`` to ``end_ms``, exclusive."""

    start_ms: int
    end_ms: int
    price_e8: int


@dataclass(frozen=True, slots=True)
class PriceColumns:
    """Rows of one series in time order, without overlaps."""

    start_ms: NDArray[np.int64]
    end_ms: NDArray[np.int64]
    price_e8: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start_ms)


def read_prices(
    conn: sa.Connection, price_id: str, start_ms: int, end_ms: int, limit: int | None = None
) -> PriceColumns:
    """Rows that reach into ``[start_ms, end_ms)``, uncut."""
    query = (
        sa.select(_p.start_ms, _p.end_ms, _p.price_e8)
        .where(_p.id == price_id, _p.end_ms > start_ms, _p.start_ms < end_ms)
        .where(_p.start_ms >= _first_start(conn, price_id, start_ms))
        .order_by(_p.start_ms)
        .limit(limit)
    )
    # the driver's own rows: those of the toolkit cost three times as much, and a year of hours is 8,760
    rows = conn.execute(query).cursor.fetchall()
    if not rows:
        return PriceColumns(*(np.empty(0, np.int64) for _ in range(3)))
    return PriceColumns(*(np.array(column, np.int64) for column in zip(*rows, strict=True)))


def write_prices(
    conn: sa.Connection, price_id: str, rows: Sequence[PriceRow], source: str, now_ms: int
) -> int:
    """Put rows (in time order, without overlaps) in the place of what was there; returns how many changed.

    A row that is stored just so stays as it is, with the time and source of its first arrival.
    """
    if not rows:
        return 0
    stored = _stored(conn, price_id, rows[0].start_ms, rows[-1].end_ms)
    known = {(row["start_ms"], row["end_ms"], row["price_e8"]) for row in stored}
    new = [row for row in rows if tuple(row) not in known]
    if not new:
        return 0
    _replace(conn, price_id, stored, _rest_of(stored, new))
    values = [{"id": price_id, **row._asdict(), "source": source, "created_ms": now_ms} for row in new]
    conn.execute(sa.insert(tables.prices), values)
    return len(new)


def delete_prices(conn: sa.Connection, price_id: str, start_ms: int, end_ms: int) -> int:
    """Take the prices of ``[start_ms, end_ms)`` away; returns how many rows that touched."""
    stored = _stored(conn, price_id, start_ms, end_ms)
    _replace(conn, price_id, stored, _rest_of(stored, [PriceRow(start_ms, end_ms, 0)]))
    return len(stored)


def price_extent(conn: sa.Connection) -> dict[str, tuple[int, int, int]]:
    """``id`` → first start, last end and count of its rows."""
    query = sa.select(_p.id, sa.func.min(_p.start_ms), sa.func.max(_p.end_ms), sa.func.count()).group_by(
        _p.id
    )
    return {price_id: (first, last, count) for price_id, first, last, count in conn.execute(query)}


def _first_start(conn: sa.Connection, price_id: str, start_ms: int) -> int:
    """Start of the one row that may begin before ``start_ms`` and still hold then."""
    query = sa.select(sa.func.max(_p.start_ms)).where(_p.id == price_id, _p.start_ms <= start_ms)
    found = conn.execute(query).scalar()
    return start_ms if found is None else int(found)


def _stored(conn: sa.Connection, price_id: str, start_ms: int, end_ms: int) -> list[dict[str, Any]]:
    query = (
        sa.select(tables.prices)
        .where(_p.id == price_id, _p.end_ms > start_ms, _p.start_ms < end_ms)
        .where(_p.start_ms >= _first_start(conn, price_id, start_ms))
        .order_by(_p.start_ms)
    )
    return [dict(row) for row in conn.execute(query).mappings()]


def _rest_of(stored: Sequence[dict[str, Any]], new: Sequence[PriceRow]) -> list[dict[str, Any]]:
    """What new rows leave of the stored ones; both in time order."""
    left: list[dict[str, Any]] = []
    at = 0
    for row in stored:
        begin_ms, end_ms = row["start_ms"], row["end_ms"]
        while at < len(new) and new[at].end_ms <= begin_ms:
            at += 1
        behind = at
        while behind < len(new) and new[behind].start_ms < end_ms:
            if begin_ms < new[behind].start_ms:
                left.append(row | {"start_ms": begin_ms, "end_ms": new[behind].start_ms})
            begin_ms = max(begin_ms, new[behind].end_ms)
            behind += 1
        if begin_ms < end_ms:
            left.append(row | {"start_ms": begin_ms, "end_ms": end_ms})
    return left


def _replace(
    conn: sa.Connection, price_id: str, stored: Sequence[dict[str, Any]], rest: Sequence[dict[str, Any]]
) -> None:
    """Stored rows → what is left of them, touching only those that differ."""
    kept = {(row["start_ms"], row["end_ms"]) for row in rest}
    gone = [row["start_ms"] for row in stored if (row["start_ms"], row["end_ms"]) not in kept]
    whole = {(row["start_ms"], row["end_ms"]) for row in stored}
    for first in range(0, len(gone), 500):
        part = gone[first : first + 500]
        conn.execute(sa.delete(tables.prices).where(_p.id == price_id, _p.start_ms.in_(part)))
    parts = [row for row in rest if (row["start_ms"], row["end_ms"]) not in whole]
    if parts:
        conn.execute(sa.insert(tables.prices), parts)
