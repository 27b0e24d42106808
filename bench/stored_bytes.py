"""Bytes on disk per stored value: rows as they arrive, and sealed blocks.

Half of the series are powers with one decimal and noise, half registers in whole Wh, a reading each 10 s. Hot rows
come interleaved, 1,000 to a commit, as the hub stores them. Whatever an empty store weighs is taken off; derived
rows are not in it. The floor is the same rows in a bare SQLite table keyed (series, time).
"""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import numpy as np

from bench.floor_sqlite import opened
from bench.prepared import DAY_MS, ENERGY, POWER, readings_of, register, today_ms, written
from bench.rows import Context, Row
from hub.storage.batches import AppendRows
from hub.storage.codec import Columns
from hub.storage.database import Database
from hub.storage.sealing import seal_day

DEVICES = 10
ROWS_A_DAY = 8_640
SERIES_PER_COMMIT = 1_000


def run(context: Context) -> list[Row]:
    """One or some days of 20 series, hot first, then sealed."""
    days = 1 if context.quick else 4
    last_day = today_ms() // DAY_MS - 4
    with context.directory("bytes") as directory:
        written(directory / "data", lambda database: _append(database, last_day, days))
        values = DEVICES * 2 * days * ROWS_A_DAY
        empty = _empty_bytes(directory / "empty")
        hot = _bytes(directory / "data") - empty
        floor = _bare_bytes(directory, last_day, days)
        written(directory / "data", lambda database: _seal(database, last_day, days))
        packed = directory / "packed.db"
        _vacuum(directory / "data" / "hub.db", packed)
        sealed = packed.stat().st_size - empty
    return [
        Row("bytes per value, hot", hot / values, "bytes", "lower", floor / values, "bare SQLite table", 25.0,
            note=f"{values:,} values"),
        Row("bytes per value, sealed", sealed / values, "bytes", "lower", floor / values, "bare SQLite table", 5.0,
            note="lossless, as a backup or VACUUM leaves it; freed pages of the live file are used again"),
    ]  # fmt: skip


async def _append(database: Database, last_day: int, days: int) -> None:
    numbers = await database.write(lambda conn: register(conn, DEVICES, [POWER, ENERGY], ["W", "Wh"]))
    columns = _interleaved(len(numbers), last_day, days)
    series = np.tile(np.array(numbers, np.int32), len(columns[0].ts_ms))
    ts_ms = np.stack([one.ts_ms for one in columns], axis=1).ravel()
    values = np.stack([one.values for one in columns], axis=1).ravel()
    for low in range(0, len(series), SERIES_PER_COMMIT):
        part = slice(low, low + SERIES_PER_COMMIT)
        count = len(series[part])
        await database.append(
            AppendRows(0, series[part], ts_ms[part], values[part], np.zeros(count, np.uint8),
                       np.ones(count, np.bool_))
        )  # fmt: skip


def _interleaved(count: int, last_day: int, days: int) -> list[Columns]:
    return [readings_of(seed, days * ROWS_A_DAY, (last_day + 1) * DAY_MS) for seed in range(count)]


async def _seal(database: Database, last_day: int, days: int) -> None:
    for number in range(1, DEVICES * 2 + 1):
        for day in range(last_day - days + 1, last_day + 1):
            left = True
            while left:
                left = (
                    await database.write(lambda conn, number=number, day=day: seal_day(conn, number, day))  # type: ignore[misc]
                ).left


async def _nothing(database: Database) -> None:
    await asyncio.sleep(0)


def _empty_bytes(data_dir: Path) -> int:
    written(data_dir, _nothing)
    return _bytes(data_dir)


def _bare_bytes(directory: Path, last_day: int, days: int) -> int:
    path = directory / "bare.db"
    raw = opened(path)
    raw.execute("PRAGMA synchronous=OFF").fetchall()
    raw.execute("BEGIN")
    columns = _interleaved(DEVICES * 2, last_day, days)
    for at in range(days * ROWS_A_DAY):
        raw.executemany(
            "INSERT INTO readings VALUES (?, ?, ?, 0)",
            [(number, int(one.ts_ms[at]), float(one.values[at])) for number, one in enumerate(columns)],
        )
    raw.execute("COMMIT")
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    raw.close()
    return path.stat().st_size


def _bytes(data_dir: Path) -> int:
    return sum(file.stat().st_size for file in data_dir.glob("hub.db*"))


def _vacuum(source: Path, target: Path) -> None:
    raw = sqlite3.connect(source)
    try:
        raw.execute("VACUUM INTO ?", (str(target),))
    finally:
        raw.close()
