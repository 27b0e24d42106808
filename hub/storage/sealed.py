"""What sealed blocks say about single keys, for rows that arrive late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.storage.batches import Lookup
from hub.storage.codec import decode

DAY_MS = 86_400_000
MAX_BLOCKS_PER_APPEND = 200
"""More days than this in one append stay provisional: they are decided when their day is sealed again."""

BLOCK_OF_DAY = "SELECT data FROM reading_blocks WHERE series = ? AND day = ?"


def sealed_lookup(execute: Callable[[str, tuple[int, int]], Any]) -> Lookup:
    """A lookup of keys in sealed blocks; ``execute`` runs a statement with two ``?`` and gives a cursor."""

    def lookup(
        series: NDArray[np.int32], ts_ms: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        found = np.zeros(len(series), np.bool_)
        values = np.zeros(len(series), np.float64)
        for number, day in days_of(series, ts_ms):
            row = execute(BLOCK_OF_DAY, (number, day)).fetchone()
            if row is not None:
                look_into(row[0], number, day, series, ts_ms, found, values)
        return found, values

    return lookup


def days_of(series: NDArray[np.int32], ts_ms: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The distinct (series, UTC day) of keys, newest days last, at most :data:`MAX_BLOCKS_PER_APPEND`."""
    pairs = np.unique(np.stack((series.astype(np.int64), ts_ms // DAY_MS), axis=1), axis=0)
    return [(number, day) for number, day in pairs[:MAX_BLOCKS_PER_APPEND].tolist()]


def look_into(
    block: bytes,
    number: int,
    day: int,
    series: NDArray[np.int32],
    ts_ms: NDArray[np.int64],
    found: NDArray[np.bool_],
    values: NDArray[np.float64],
) -> None:
    """Complete ``found`` and ``values`` by one block."""
    columns = decode(block, where=f"reading_blocks series {number} day {day}")
    mine = np.flatnonzero((series == number) & (ts_ms // DAY_MS == day))
    at = np.searchsorted(columns.ts_ms, ts_ms[mine])
    at[at == len(columns.ts_ms)] = 0
    hit = columns.ts_ms[at] == ts_ms[mine]
    found[mine[hit]] = True
    values[mine[hit]] = columns.values[at[hit]]
