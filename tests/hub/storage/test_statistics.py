"""Numbers for metrics."""

from __future__ import annotations

import pytest

from hub.storage.statistics import BUCKETS_S, Histogram, StorageStatistics


def test_each_duration_falls_into_the_bucket_whose_border_it_does_not_exceed() -> None:
    histogram = Histogram()
    for seconds in (0.0, 0.001, 0.0011, 3.0, 99.0):
        histogram.add(seconds)

    assert histogram.counts[0] == 2
    assert histogram.counts[1] == 1
    assert histogram.counts[BUCKETS_S.index(5.0)] == 1
    assert histogram.counts[-1] == 1
    assert histogram.count == 5
    assert histogram.total_s == pytest.approx(102.0021)


def test_a_commit_clears_the_last_failure() -> None:
    counted = StorageStatistics()
    counted.failed("WL-STO-007")
    counted.committed(0.002, 5)

    assert (counted.failures, counted.last_failure, counted.last_commit_ms) == (1, "", 5)
