"""Derived rows into ``energy_metrics``: insert, or replace those of the same key.

A thousand of them are written every two seconds while readings are followed live, and commits of readings wait
for it. So SQLite gets them as bare values, many rows a statement: the toolkit takes as long again to name them,
and the driver gives up the interpreter's lock at each statement, beside a loop that is glad to take it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

COLUMNS: Final = (
    *("series", "resolution", "start_ms", "end_ms", "delta", "count", "mean", "min", "max", "last"),
    *("measured_ms", "late_ms", "estimated_ms", "suspect_ms", "flags", "revision", "zone", "zone_version"),
)
"""What :func:`upsert_rows` takes, in this order."""

_KEY: Final = ("series", "resolution", "start_ms")
_INSERT: Final = f"INSERT INTO energy_metrics ({', '.join(COLUMNS)}) VALUES "
_REPLACE: Final = f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in COLUMNS if name not in _KEY
)
_ROW: Final = f"({', '.join('?' * len(COLUMNS))})"
_ROWS_PER_STATEMENT: Final = 50  # below 999 variables, the limit of old builds of SQLite
_ONE: Final = _INSERT + _ROW + _REPLACE
_MANY: Final = _INSERT + ", ".join([_ROW] * _ROWS_PER_STATEMENT) + _REPLACE
_NAMED: Final = sa.text(f"{_INSERT}({', '.join(f':{name}' for name in COLUMNS)}){_REPLACE}")
_ROW_CHUNK: Final = 500


def upsert_rows(conn: sa.Connection, columns: Sequence[Sequence[Any]]) -> None:
    """Write rows, given as one list of plain values for each of :data:`COLUMNS`."""
    if conn.dialect.name == "sqlite":
        _into_sqlite(conn.connection.driver_connection, columns)
        return
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*columns, strict=True)]
    for first in range(0, len(rows), _ROW_CHUNK):
        conn.execute(_NAMED, rows[first : first + _ROW_CHUNK])


def _into_sqlite(raw: Any, columns: Sequence[Sequence[Any]]) -> None:
    cells: list[Any] = [None] * (len(COLUMNS) * len(columns[0]))
    for at, column in enumerate(columns):
        cells[at :: len(COLUMNS)] = column
    width = len(COLUMNS) * _ROWS_PER_STATEMENT
    whole = len(cells) // width * width
    raw.executemany(_MANY, (cells[at : at + width] for at in range(0, whole, width)))
    rest = range(whole, len(cells), len(COLUMNS))
    raw.executemany(_ONE, (cells[at : at + len(COLUMNS)] for at in rest))
