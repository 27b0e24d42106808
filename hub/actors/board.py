"""Newest value of every series, as arrays: what the live view, the API and the websocket read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEVER = -1


class LatestBoard:
    """Written by the device actor on the event loop, read by anyone there."""

    def __init__(self) -> None:
        self.ts_ms = np.empty(0, np.int64)
        self.value = np.empty(0, np.float64)
        self.flags = np.empty(0, np.uint8)
        self.stale: dict[int, tuple[float, int]] = {}

    def cover(self, series_count: int) -> None:
        """Make room for series numbers below ``series_count``."""
        missing = series_count - len(self.ts_ms)
        if missing > 0:
            room = max(missing, len(self.ts_ms) // 2, 64)
            self.ts_ms = np.concatenate([self.ts_ms, np.full(room, NEVER, np.int64)])
            self.value = np.concatenate([self.value, np.full(room, np.nan)])
            self.flags = np.concatenate([self.flags, np.zeros(room, np.uint8)])

    def set(self, number: int, ts_ms: int, value: float, flags: int) -> None:
        """One row, at start."""
        self.cover(number + 1)
        self.ts_ms[number], self.value[number], self.flags[number] = ts_ms, value, flags

    def take(
        self,
        series: NDArray[np.int32],
        ts_ms: NDArray[np.int64],
        values: NDArray[np.float64],
        flags: NDArray[np.uint8],
    ) -> NDArray[np.int32]:
        """Take over what is newer; returns the numbers of the series that changed, each once."""
        self.cover(int(series.max()) + 1)
        newer = ts_ms > self.ts_ms[series]
        if not newer.all():
            series, ts_ms, values, flags = series[newer], ts_ms[newer], values[newer], flags[newer]
        if not len(series):
            return series
        np.maximum.at(self.ts_ms, series, ts_ms)
        newest = ts_ms == self.ts_ms[series]
        changed: NDArray[np.int32] = series[newest]
        self.value[changed] = values[newest]
        self.flags[changed] = flags[newest]
        if self.stale:
            for number in changed.tolist():
                self.stale.pop(number, None)
        return changed

    def newest(self, number: int) -> tuple[int, float] | None:
        """``(ts_ms, value)`` of a series, None where nothing is stored."""
        if number >= len(self.ts_ms) or self.ts_ms[number] == NEVER:
            return None
        return int(self.ts_ms[number]), float(self.value[number])
