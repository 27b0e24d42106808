"""Which 15-minute slots hold readings that are not derived yet, as the store knows it: one book in memory.

A mark is a row of ``dirty_ranges``, written in the transaction of the reading that needs it, so that a killed
hub knows what to derive again. The book spares the writes: a series that reports into its current slot
has its mark already. It lives on the event loop; recorder and processing share it, and the one database
writer keeps the order in which they decide.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub.storage.batches import Mark

SLOT_MS = 900_000
CAUSE = "readings"


class MarkBook:
    """The marks in the store, and the commit that touched each of them last."""

    def __init__(self) -> None:
        self._current = np.empty(0, np.int64)
        self._touched = np.empty(0, np.int64)
        self._others: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self._others) + int((self._current >= 0).sum())

    def cover(self, series_count: int) -> None:
        """Make room for series numbers below ``series_count``."""
        missing = series_count - len(self._current)
        if missing > 0:
            room = max(missing, len(self._current) // 2, 64)
            self._current = np.concatenate([self._current, np.full(room, -1, np.int64)])
            self._touched = np.concatenate([self._touched, np.zeros(room, np.int64)])

    def load(self, marks: list[tuple[int, int]]) -> None:
        """Marks found in the store at start: ``(series, start_ms)``."""
        for series, start_ms in marks:
            self._others[series, start_ms // SLOT_MS] = 0

    def needed(self, series: NDArray[np.int32], ts_ms: NDArray[np.int64], seq: int) -> list[Mark]:
        """Marks to write with commit ``seq`` that holds these rows; they count as written from now on."""
        if not len(series):
            return []
        self.cover(int(series.max()) + 1)
        slots = ts_ms // SLOT_MS
        known = self._current[series] == slots
        self._touched[series[known]] = seq
        if known.all():
            return []
        pairs = np.unique(np.stack([series[~known].astype(np.int64), slots[~known]]), axis=1)
        return [
            Mark(number, slot * SLOT_MS, (slot + 1) * SLOT_MS, CAUSE)
            for number, slot in zip(pairs[0].tolist(), pairs[1].tolist(), strict=True)
            if self._touch(number, slot, seq)
        ]

    def forget(self, marks: list[Mark]) -> None:
        """The commit of these marks failed: the store does not have them."""
        for series, start_ms, _, _ in marks:
            slot = start_ms // SLOT_MS
            self._others.pop((series, slot), None)
            if self._current[series] == slot:
                self._current[series] = -1

    def clear(self, series: int, start_ms: int, seen_seq: int) -> bool:
        """True if the mark may be deleted: its slot is past, and no commit after ``seen_seq`` touched it.

        The caller must hand the deletion to the writer before the loop turns again.
        """
        key = (series, start_ms // SLOT_MS)
        touched = self._others.get(key)
        if touched is None or touched > seen_seq:
            return False
        del self._others[key]
        return True

    def past(self, seen_seq: int) -> list[tuple[int, int]]:
        """``(series, start_ms)`` of marked slots that are past and were not touched after ``seen_seq``."""
        return [
            (series, slot * SLOT_MS)
            for (series, slot), touched in self._others.items()
            if touched <= seen_seq
        ]

    def _touch(self, series: int, slot: int, seq: int) -> bool:
        """Note that ``seq`` touches this slot; True where the store has no mark for it yet."""
        current = int(self._current[series])
        if slot == current:
            self._touched[series] = seq
            return False
        new = (series, slot) not in self._others
        if slot > current:
            if current >= 0:
                self._others[series, current] = int(self._touched[series])
            self._others.pop((series, slot), None)
            self._current[series], self._touched[series] = slot, seq
        else:
            self._others[series, slot] = seq
        return new
