"""The ledger of what was sent and acknowledged, and the verdicts over what a store holds.

LOST: acknowledged and absent. PHANTOM: stored and never sent (or with another value). DUP: a key twice. All three
must be zero, whatever was done to the hub. The ledger is a file of its own, synced before a batch is sent and
after it was acknowledged, so that it can be judged even if the judge is killed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Sent(NamedTuple):
    """One reading: public id of the series, device time, value in stored units."""

    series: str
    ts_ms: int
    value: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge found; empty lists everywhere are what was promised."""

    lost: list[Sent]
    phantom: list[Sent]
    double: list[Sent]
    acked: int
    stored: int

    @property
    def clean(self) -> bool:
        """Nothing to complain about."""
        return not (self.lost or self.phantom or self.double)

    def __str__(self) -> str:
        parts = f"acked={self.acked} stored={self.stored}"
        for name in ("lost", "phantom", "double"):
            rows: list[Sent] = getattr(self, name)
            parts += f" {name.upper()}={len(rows)}" + (f" e.g. {rows[:3]}" if rows else "")
        return parts


@dataclass
class Ledger:
    """Written by several loads at once, also from threads; ``path`` None keeps it in memory only."""

    path: Path | None = None
    sent: dict[tuple[str, int], float] = field(default_factory=dict)
    acked: set[tuple[str, int]] = field(default_factory=set)
    untimed: dict[str, set[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if self.path else None

    def note_sent(self, rows: Sequence[Sent]) -> None:
        """Before these leave. The same again (a repeated batch) is fine."""
        with self._lock:
            for row in rows:
                self.sent[row.series, row.ts_ms] = row.value
            self._write("S", rows)

    def note_acked(self, rows: Sequence[Sent]) -> None:
        """After they were acknowledged."""
        with self._lock:
            self.acked.update((row.series, row.ts_ms) for row in rows)
            self._write("A", rows)

    def note_served(self, series: str, value: float) -> None:
        """A device showed this to a poll: it may be stored, with the arrival time, once."""
        with self._lock:
            self.untimed.setdefault(series, set()).add(value)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def judge(self, stored: Mapping[str, Sequence[tuple[int, float]]]) -> Verdict:
        """Compare with ``series -> [(ts_ms, value), …]`` as the store has it, duplicates included."""
        with self._lock:
            sent, acked = dict(self.sent), set(self.acked)
            untimed = {series: set(values) for series, values in self.untimed.items()}
        rows = [Sent(series, *row) for series, found in stored.items() for row in found]
        keys = {(row.series, row.ts_ms) for row in rows}
        return Verdict(
            lost=[Sent(*key, sent[key]) for key in sorted(acked - keys)],
            phantom=[
                row for row in rows
                if sent.get((row.series, row.ts_ms)) != row.value and row.value not in untimed.get(row.series, ())
            ],
            double=_repeated(rows) + _repeated_values(rows, untimed),
            acked=len(acked),
            stored=len(rows),
        )  # fmt: skip

    def _write(self, mark: str, rows: Iterable[Sent]) -> None:
        if self._file is not None:
            text = "".join(f"{mark} {row.series} {row.ts_ms} {row.value!r}\n" for row in rows)
            os.write(self._file, text.encode())
            os.fdatasync(self._file)


def _repeated(rows: Sequence[Sent]) -> list[Sent]:
    seen: set[tuple[str, int]] = set()
    twice = []
    for row in rows:
        if (row.series, row.ts_ms) in seen:
            twice.append(row)
        seen.add((row.series, row.ts_ms))
    return twice


def _repeated_values(rows: Sequence[Sent], untimed: Mapping[str, set[float]]) -> list[Sent]:
    """Each value that a polled device shows is shown once, so it can be stored once."""
    seen: set[tuple[str, float]] = set()
    twice = []
    for row in rows:
        if row.series in untimed:
            if (row.series, row.value) in seen:
                twice.append(row)
            seen.add((row.series, row.value))
    return twice
