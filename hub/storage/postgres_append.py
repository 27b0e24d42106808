"""The hot path into PostgreSQL: COPY where all rows are new, else arrays and ON CONFLICT."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import numpy as np
from numpy.typing import NDArray

from hub.storage.batches import (
    CONFLICT_LIMIT,
    QUARANTINE_LIMIT,
    QUARANTINE_PAYLOAD_BYTES,
    AppendRows,
    ConflictRow,
    Decision,
    Mark,
    QuarantineRow,
    decide,
    lost_rows,
)
from hub.storage.sealed import days_of, look_into

COLUMNS = ("series", "ts_ms", "value", "flags")
_BLOCKS = (
    "SELECT b.series, b.day, b.data FROM unnest($1::int[], $2::int[]) AS k(no, day)"
    " JOIN reading_blocks b ON b.series = k.no AND b.day = k.day"
)
_STORED_VALUES = (
    "SELECT k.at, r.value FROM unnest($1::int[], $2::bigint[]) WITH ORDINALITY AS k(no, ts, at)"
    " JOIN readings r ON r.series = k.no AND r.ts_ms = k.ts"
)
_INSERT = (
    "INSERT INTO readings (series, ts_ms, value, flags)"
    " SELECT * FROM unnest($1::int[], $2::bigint[], $3::float8[], $4::int2[])"
    " ON CONFLICT DO NOTHING RETURNING series, ts_ms"
)
# looks first, for ON CONFLICT alone would use up a row number each time the same conflict comes
_INSERT_CONFLICT = (
    "INSERT INTO conflicts (series, ts_ms, kept, other, source, arrival_ms)"
    " SELECT $1::int, $2::bigint, $3::float8, $4::float8, $5::text, $6::bigint WHERE NOT EXISTS"
    " (SELECT 1 FROM conflicts WHERE series = $1::int AND ts_ms = $2::bigint AND other = $4::float8)"
    " ON CONFLICT DO NOTHING"
)
_TRIM_CONFLICTS = "DELETE FROM conflicts WHERE id <= (SELECT max(id) FROM conflicts) - $1::bigint"
_INSERT_QUARANTINE = (
    "INSERT INTO quarantine (source, arrival_ms, series, ts_ms, value, code, text, field, payload)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
)
_TRIM_QUARANTINE = "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - $1::bigint"
_MARK_DIRTY = (
    "INSERT INTO dirty_ranges (series, start_ms, end_ms, cause, created_ms) VALUES ($1, $2, $3, $4, $5)"
    " ON CONFLICT (series, start_ms, end_ms, cause)"
    " DO UPDATE SET created_ms = greatest(excluded.created_ms, dirty_ranges.created_ms + 1)"
)


async def append_postgres(raw: asyncpg.Connection, rows: AppendRows) -> NDArray[np.uint8]:
    """Store a batch inside the open transaction of ``raw`` → what became of each row.

    Raises:
        asyncpg.UniqueViolationError: a row was called fresh and is not, or another hub stored it meanwhile;
            roll back and append again with nothing called fresh.
    """
    outcome = np.zeros(len(rows), dtype=np.uint8)
    lost: list[ConflictRow] = []
    checked = np.flatnonzero(~rows.fresh)
    if len(checked):
        lost = await _append_checked(raw, rows, checked, outcome)
    fresh = np.flatnonzero(rows.fresh)
    if len(fresh):
        await raw.copy_records_to_table("readings", records=_records(rows, fresh), columns=COLUMNS)
    await _write_conflicts(raw, (*rows.conflicts, *lost))
    await _write_quarantine(raw, rows.quarantine)
    await _mark_dirty(raw, rows.marks, rows.arrival_ms)
    return outcome


async def _append_checked(
    raw: asyncpg.Connection, rows: AppendRows, positions: NDArray[np.intp], outcome: NDArray[np.uint8]
) -> list[ConflictRow]:
    """Insert what is new among the rows at ``positions`` and fill their ``outcome``."""
    series, ts_ms = rows.series[positions], rows.ts_ms[positions]
    found, values = await _look_up(raw, series, ts_ms)

    def stored(
        leader_series: NDArray[np.int32], leader_ts_ms: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        at = _positions(series, ts_ms, leader_series, leader_ts_ms)
        return found[at], values[at]

    decision = decide(series, ts_ms, rows.values[positions], stored)
    await _insert(raw, rows, positions, decision)
    outcome[positions] = decision.outcome
    return lost_rows(rows, positions, decision)


def _positions(
    series: NDArray[np.int32],
    ts_ms: NDArray[np.int64],
    wanted_series: NDArray[np.int32],
    wanted_ts_ms: NDArray[np.int64],
) -> NDArray[np.intp]:
    """Where each wanted key stands among the keys."""
    place = {key: at for at, key in enumerate(zip(series.tolist(), ts_ms.tolist(), strict=True))}
    keys = zip(wanted_series.tolist(), wanted_ts_ms.tolist(), strict=True)
    return np.fromiter((place[key] for key in keys), np.intp, len(wanted_series))


async def _look_up(
    raw: asyncpg.Connection, series: NDArray[np.int32], ts_ms: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Stored values of keys, sealed before hot."""
    found = np.zeros(len(series), np.bool_)
    values = np.zeros(len(series), np.float64)
    for at, value in await raw.fetch(_STORED_VALUES, series.tolist(), ts_ms.tolist()):
        found[at - 1] = True
        values[at - 1] = value
    days = days_of(series, ts_ms)
    blocks = await raw.fetch(_BLOCKS, [number for number, _ in days], [day for _, day in days])
    for number, day, data in blocks:
        look_into(data, number, day, series, ts_ms, found, values)
    return found, values


async def _insert(
    raw: asyncpg.Connection, rows: AppendRows, positions: NDArray[np.intp], decision: Decision
) -> None:
    """Insert the rows that are new."""
    new = positions[decision.insert]
    if not len(new):
        return
    inserted = await raw.fetch(
        _INSERT,
        rows.series[new].tolist(),
        rows.ts_ms[new].tolist(),
        rows.values[new].tolist(),
        rows.flags[new].tolist(),
    )
    if len(inserted) != len(new):
        raise asyncpg.UniqueViolationError("another hub stored some of the rows meanwhile")


def _records(rows: AppendRows, which: NDArray[np.intp]) -> list[tuple[int, int, float, int]]:
    return list(
        zip(
            rows.series[which].tolist(),
            rows.ts_ms[which].tolist(),
            rows.values[which].tolist(),
            rows.flags[which].tolist(),
            strict=True,
        )
    )


async def _write_conflicts(raw: asyncpg.Connection, conflicts: Sequence[ConflictRow]) -> None:
    if conflicts:
        await raw.executemany(_INSERT_CONFLICT, conflicts)
        await raw.execute(_TRIM_CONFLICTS, CONFLICT_LIMIT)


async def _mark_dirty(raw: asyncpg.Connection, marks: Sequence[Mark], now_ms: int) -> None:
    if marks:
        await raw.executemany(_MARK_DIRTY, [(*mark, now_ms) for mark in marks])


async def _write_quarantine(raw: asyncpg.Connection, quarantine: Sequence[QuarantineRow]) -> None:
    if not quarantine:
        return
    rows = [
        (*row[:-1], None if row.payload is None else row.payload[:QUARANTINE_PAYLOAD_BYTES])
        for row in quarantine
    ]
    await raw.executemany(_INSERT_QUARANTINE, rows)
    await raw.execute(_TRIM_QUARANTINE, QUARANTINE_LIMIT)
