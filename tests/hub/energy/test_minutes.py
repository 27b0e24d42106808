"""How much of each minute's time was measured, and how much came late."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub.energy.minutes import minute_columns, minute_times
from tests.hub.energy.streams import ENERGY

MINUTE_MS = 60_000
GRID = np.arange(10, dtype=np.int64) * MINUTE_MS


def times(ts_ms: list[int], late: list[bool] | None = None) -> tuple[list[int], list[int]]:
    """Measured and late times of ten minutes from 0 on."""
    flags = np.array(late if late is not None else [False] * len(ts_ms), np.bool_)
    measured, told_late = minute_times(ENERGY, np.array(ts_ms, np.int64), flags, GRID, GRID + MINUTE_MS)
    return measured.tolist(), told_late.tolist()


def test_minutes_between_two_readings_are_measured_although_none_lies_inside() -> None:
    assert times([0, 300_000])[0] == [MINUTE_MS] * 5 + [0] * 5


def test_time_before_a_late_reading_is_late() -> None:
    assert times([30_000, 90_000, 150_000], [False, True, False]) == (
        [0, 30_000, 30_000] + [0] * 7,
        [30_000, 30_000] + [0] * 8,
    )


def test_a_gap_and_a_single_reading_cover_nothing() -> None:
    assert times([0, 300_001]) == times([60_000]) == times([]) == ([0] * 10, [0] * 10)


@given(st.lists(st.integers(-200_000, 800_000), max_size=20, unique=True), st.data())
def test_no_minute_holds_more_than_itself(ts_ms: list[int], data: st.DataObject) -> None:
    late = data.draw(st.lists(st.booleans(), min_size=len(ts_ms), max_size=len(ts_ms)))
    measured, told_late = times(sorted(ts_ms), late)

    assert all(
        good >= 0 and bad >= 0 and good + bad <= MINUTE_MS
        for good, bad in zip(measured, told_late, strict=True)
    )


def test_a_spike_is_no_energy_of_its_minutes() -> None:
    ts = np.arange(0, 600_001, 10_000, dtype=np.int64)
    register = (5e6 + 5.0 * np.arange(len(ts))).astype(np.float64)
    register[15:27] = 9e8
    amount = minute_columns(ENERGY, ts, register, GRID, GRID + MINUTE_MS)["amount"]

    assert np.isnan(amount).tolist() == [False, False, True, False, True] + [False] * 5
    assert amount[[0, 1, 3, 5]].tolist() == [30.0, 30.0, 0.0, 30.0]
