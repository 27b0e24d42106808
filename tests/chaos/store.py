"""A look into a hub's store from outside, read only: what is stored, whether it is sound, whether it adds up."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from hub.energy.slots import SLOT_MS
from hub.storage import slots
from hub.storage.readings import read_columns, stat
from hub.storage.rederive import rederive
from hub.storage.registry import load_series

END_MS = 1 << 52
STEPS_PER_WH = 1000
"""Derived energy counts in mWh."""


@contextlib.contextmanager
def looking_into(path: Path) -> Iterator[sa.Connection]:
    """A read-only connection, beside a running hub or after its end."""
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(f"file:{path}?mode=ro", uri=True))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def stored_rows(path: Path, start_ms: int = 0) -> dict[str, list[tuple[int, float]]]:
    """Readings by public id, in time order."""
    found = {}
    with looking_into(path) as connection:
        for series in load_series(connection):
            columns = read_columns(connection, series.no, start_ms, END_MS)
            found[series.public_id] = list(zip(columns.ts_ms.tolist(), columns.values.tolist(), strict=True))
    return found


def damage(path: Path) -> str:
    """What ``PRAGMA integrity_check`` finds; ``ok`` is good."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return "; ".join(str(row[0]) for row in connection.execute("PRAGMA integrity_check"))


def count(path: Path, table: str) -> int:
    """Rows of a table."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def not_derived(path: Path) -> list[str]:
    """Series whose stored slots differ, in any bit, from one derivation of all their readings."""
    wrong = []
    with looking_into(path) as connection:
        for series in load_series(connection):
            found = stat(connection, series.no)
            if found.first_ms is None or found.last_ms is None:
                continue
            whole = rederive(connection, series, found.first_ms - SLOT_MS, found.last_ms + SLOT_MS)
            derived = slots.read(connection, [series.no], slots.SLOT, 0, END_MS)[series.no]
            if not derived.same_as(whole.derived.slots):
                wrong.append(series.public_id)
    return wrong


def energy_wh(path: Path, series_id: str) -> float:
    """Sum of the energy of all slots of a series."""
    with looking_into(path) as connection:
        series = next(one for one in load_series(connection) if one.public_id == series_id)
        columns = slots.read(connection, [series.no], slots.SLOT, 0, END_MS)[series.no]
    return int(columns.delta.sum()) / STEPS_PER_WH
