"""What goes into one append and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hub.errors import Bug

STORED, DUPLICATE, CONFLICT = 0, 1, 2
QUARANTINE_LIMIT = 100_000
CONFLICT_LIMIT = 1_000_000
"""The oldest rows beyond these limits are dropped: a broken clock must not fill the disk."""

QUARANTINE_PAYLOAD_BYTES = 4096


class Mark(NamedTuple):
    """Figures of ``series`` in ``[start_ms, end_ms)`` must be derived again because of ``cause``."""

    series: int
    start_ms: int
    end_ms: int
    cause: str


class ConflictRow(NamedTuple):
    """Another value for a key that is stored already; ``kept`` stays."""

    series: int
    ts_ms: int
    kept: float
    other: float
    source: str
    arrival_ms: int


class QuarantineRow(NamedTuple):
    """A reading that was not stored, with its reason; ``payload`` is cut to 4 KiB."""

    source: str
    arrival_ms: int
    series: int | None
    ts_ms: int | None
    value: str | None
    code: str
    text: str
    field: str = ""
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class AppendRows:
    """Readings of one group commit, as columns in order of arrival, and what is stored with them.

    Args:
        arrival_ms: wall clock of the batch, for conflicts and marks.
        series, ts_ms, values, flags: the columns; values are finite.
        fresh: True where the caller knows that ``ts_ms`` is newer than anything stored for the series. A
            wrong True costs time, never correctness.
        marks: dirty ranges recorded in the same transaction.
        conflicts, quarantine: rows that the caller decided by itself.
        source: who sent the readings; ``sources`` (one per row) rules where it is given.
    """

    arrival_ms: int
    series: NDArray[np.int32]
    ts_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    flags: NDArray[np.uint8]
    fresh: NDArray[np.bool_]
    marks: Sequence[Mark] = ()
    conflicts: Sequence[ConflictRow] = ()
    quarantine: Sequence[QuarantineRow] = ()
    source: str = ""
    sources: Sequence[str] = field(default=())

    def __len__(self) -> int:
        return len(self.series)

    def check(self) -> None:
        """Raise :class:`Bug` ``WL-STO-030`` for columns that could not be stored as they are."""
        lengths = {len(self.series), len(self.ts_ms), len(self.values), len(self.flags), len(self.fresh)}
        if len(lengths) != 1 or (self.sources and len(self.sources) != len(self.series)):
            raise Bug("WL-STO-030", "columns of an append differ in length", where="append")
        if not np.isfinite(self.values).all():
            raise Bug("WL-STO-030", "an append holds values that are not finite", where="append")

    def source_of(self, row: int) -> str:
        """Who sent the row."""
        return self.sources[row] if self.sources else self.source


@dataclass(frozen=True, slots=True)
class AppendOutcome:
    """Per row: 0 stored, 1 duplicate (the same value was there), 2 conflict (another value was there)."""

    outcome: NDArray[np.uint8]

    @property
    def stored(self) -> NDArray[np.bool_]:
        """Mask of the new rows."""
        mask: NDArray[np.bool_] = self.outcome == STORED
        return mask


class Decision(NamedTuple):
    """First value wins: which rows to insert, what each row is, and the value that a conflict lost to."""

    insert: NDArray[np.intp]
    outcome: NDArray[np.uint8]
    kept: NDArray[np.float64]


Lookup = Callable[[NDArray[np.int32], NDArray[np.int64]], tuple[NDArray[np.bool_], NDArray[np.float64]]]
"""Keys → (is it stored, the stored value)."""


def decide(
    series: NDArray[np.int32], ts_ms: NDArray[np.int64], values: NDArray[np.float64], stored: Lookup
) -> Decision:
    """Decide rows in order of arrival against what is stored and against each other."""
    count = len(series)
    order = np.lexsort((np.arange(count), ts_ms, series))
    s, t = series[order], ts_ms[order]
    first = np.ones(count, dtype=np.bool_)
    first[1:] = (s[1:] != s[:-1]) | (t[1:] != t[:-1])
    group = np.cumsum(first) - 1
    leaders = order[first]
    found, old = stored(series[leaders], ts_ms[leaders])
    reference = np.where(found, old, values[leaders])[group]
    outcome = np.empty(count, dtype=np.uint8)
    outcome[order] = np.where(values[order] == reference, DUPLICATE, CONFLICT)
    insert = np.sort(leaders[~found])
    outcome[insert] = STORED
    kept = np.empty(count, dtype=np.float64)
    kept[order] = reference
    return Decision(insert, outcome, kept)


def lost_rows(rows: AppendRows, positions: NDArray[np.intp], decision: Decision) -> list[ConflictRow]:
    """StateConflict rows of a decision about the rows at ``positions``."""
    lost = np.flatnonzero(decision.outcome == CONFLICT)
    return [
        ConflictRow(
            int(rows.series[row]),
            int(rows.ts_ms[row]),
            float(decision.kept[at]),
            float(rows.values[row]),
            rows.source_of(row),
            rows.arrival_ms,
        )
        for at, row in zip(lost.tolist(), positions[lost].tolist(), strict=True)
    ]
