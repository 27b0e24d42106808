"""What the store did so far, for metrics and health: plain numbers, cheap to keep."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper borders of the histograms; one more bucket takes everything above."""


@dataclass(slots=True)
class Histogram:
    """Counts per bucket of :data:`BUCKETS_S` (not cumulated), with sum and count."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    total_s: float = 0.0
    count: int = 0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.total_s += seconds
        self.count += 1


@dataclass(slots=True)
class StorageStatistics:
    """Counters of one process since its start.

    ``rows_stored``, ``rows_duplicate`` and ``rows_conflict`` count readings by what became of them;
    ``last_commit_ms`` is wall clock, 0 before the first; ``failures`` counts operations that the store
    failed, ``last_failure`` is the code of the newest, empty again after the next commit.
    """

    commits: int = 0
    rows_stored: int = 0
    rows_duplicate: int = 0
    rows_conflict: int = 0
    last_commit_ms: int = 0
    commit_s: Histogram = field(default_factory=Histogram)
    append_wait_s: Histogram = field(default_factory=Histogram)
    write_wait_s: Histogram = field(default_factory=Histogram)
    reads: int = 0
    read_s: Histogram = field(default_factory=Histogram)
    failures: int = 0
    last_failure: str = ""

    def committed(self, seconds: float, now_ms: int) -> None:
        """Count one commit that took ``seconds`` from begin to end."""
        self.commits += 1
        self.commit_s.add(seconds)
        self.last_commit_ms = now_ms
        self.last_failure = ""

    def failed(self, code: str) -> None:
        """Count an operation that the store failed."""
        self.failures += 1
        self.last_failure = code
