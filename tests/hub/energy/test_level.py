"""The level of the coming days and how far off it usually is."""

from __future__ import annotations

import numpy as np
import pytest

from hub.energy.level import DayTotals, level, spread


def days(energy: list[float], first: int = 100) -> DayTotals:
    """Days of a row; every sixth and seventh is a rest day."""
    numbers = np.arange(first, first + len(energy))
    return DayTotals(numbers, np.array(energy, np.float64), (numbers - first) % 7 >= 5)


def test_workdays_and_rest_days_have_levels_of_their_own() -> None:
    found = level(days([10, 10, 10, 10, 10, 30, 30] * 4), 128, np.array([False, True]))

    assert found.tolist() == pytest.approx([10, 30])


def test_the_last_days_weigh_most() -> None:
    found = level(days([10.0] * 21 + [20.0] * 7), 128, np.array([False]))

    assert 14 < found[0] < 20


def test_days_ahead_of_the_origin_are_not_looked_at() -> None:
    assert level(days([10.0] * 7 + [99.0] * 7), 107, np.array([False, True])).tolist() == [10, 10]


def test_a_steady_home_has_no_spread_and_a_moody_one_has_some() -> None:
    moody = np.random.default_rng(3).uniform(5, 15, 56).tolist()

    assert spread(days([10.0] * 56), 156, 20) == pytest.approx(0, abs=1e-9)
    assert 0.03 < spread(days(moody), 156, 20) < 0.35


@pytest.mark.parametrize("count", [0, 1, 9])
def test_little_history_has_a_wide_range(count: int) -> None:
    assert spread(days([10.0] * count), 100 + count, 20) == pytest.approx(0.35)


def test_nothing_is_known_of_a_new_home() -> None:
    assert level(days([]), 100, np.array([True, False])).tolist() == [0, 0]
