"""The floor of storing: bare rows into the same kind of table, in the order of its key, synced at each commit."""

from __future__ import annotations

import sqlite3
import time
from itertools import chain
from pathlib import Path

_TABLE = (
    "CREATE TABLE readings (series INTEGER NOT NULL, ts_ms INTEGER NOT NULL, value REAL NOT NULL,"
    " flags INTEGER NOT NULL, PRIMARY KEY (series, ts_ms)) WITHOUT ROWID"
)
_INSERT = "INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?)"
_ROWS_PER_STATEMENT = 240
_INSERT_MANY = _INSERT + ", (?, ?, ?, ?)" * (_ROWS_PER_STATEMENT - 1)

Rows = list[tuple[int, int, float, int]]


def opened(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """A database with the pragmas that durability needs."""
    raw = sqlite3.connect(path, isolation_level=None, check_same_thread=not any_thread)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-32000", "wal_autocheckpoint=4000"):
        raw.execute(f"PRAGMA {pragma}").fetchall()
    raw.execute(_TABLE)
    return raw


def commit(raw: sqlite3.Connection, rows: Rows) -> None:
    """One transaction; sorted and many rows a statement, which is what SQLite likes best."""
    rows.sort()
    whole = len(rows) // _ROWS_PER_STATEMENT * _ROWS_PER_STATEMENT
    raw.execute("BEGIN IMMEDIATE")
    for first in range(0, whole, _ROWS_PER_STATEMENT):
        part = rows[first : first + _ROWS_PER_STATEMENT]
        raw.execute(_INSERT_MANY, list(chain.from_iterable(part)))
    raw.executemany(_INSERT, rows[whole:])
    raw.execute("COMMIT")


def rows_per_s(directory: Path, rows_per_commit: int, count: int, series: int = 1000) -> float:
    """Rows a second, so many to a commit."""
    raw = opened(directory / "floor.db")
    commits = max(count // rows_per_commit, 1)
    batches = [
        [
            (row % series, 1_700_000_000_000 + row // series * 1000, 230.0 + row % 97, 0)
            for row in range(first, first + rows_per_commit)
        ]
        for first in range(0, commits * rows_per_commit, rows_per_commit)
    ]
    begin_s = time.perf_counter()
    for batch in batches:
        commit(raw, batch)
    taken_s = time.perf_counter() - begin_s
    raw.close()
    return commits * rows_per_commit / taken_s
