"""Small batches for the storage tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from hub.storage.batches import AppendRows, ConflictRow, Mark, QuarantineRow
from hub.storage.readings import read_columns

DAY_MS = 86_400_000
T0 = 20_400 * DAY_MS
"""Midnight UTC of a day in November 2025."""

Row = tuple[int, int, float]


def batch(
    rows: Sequence[Row],
    *,
    fresh: bool | Sequence[bool] = False,
    flags: Sequence[int] | None = None,
    marks: Sequence[Mark] = (),
    conflicts: Sequence[ConflictRow] = (),
    quarantine: Sequence[QuarantineRow] = (),
    source: str = "test",
    sources: Sequence[str] = (),
    arrival_ms: int = T0,
) -> AppendRows:
    """(series, ts_ms, value) rows as the columns of one append."""
    return AppendRows(
        arrival_ms=arrival_ms,
        series=np.array([row[0] for row in rows], np.int32),
        ts_ms=np.array([row[1] for row in rows], np.int64),
        values=np.array([row[2] for row in rows], np.float64),
        flags=np.array(flags if flags is not None else [0] * len(rows), np.uint8),
        fresh=np.full(len(rows), fresh) if isinstance(fresh, bool) else np.array(fresh, np.bool_),
        marks=marks,
        conflicts=conflicts,
        quarantine=quarantine,
        source=source,
        sources=sources,
    )


def pairs(connection: sa.Connection, series: int) -> list[tuple[int, float]]:
    """All readings of a series, as (ts_ms, value)."""
    columns = read_columns(connection, series, 0, T0 + 10_000 * DAY_MS)
    return list(zip(columns.ts_ms.tolist(), columns.values.tolist(), strict=True))
