"""Noise by place: one index, one number."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from integrations.demo.noise import Noise

NOISE = Noise(5)
PLACES = np.arange(20_000, dtype=np.int64)


@given(st.integers(-(10**12), 10**12), st.integers(1, 50))
def test_a_number_does_not_depend_on_its_neighbours(index: int, count: int) -> None:
    row = np.arange(index, index + count, dtype=np.int64)

    assert NOISE.uniform("x", row)[-1] == NOISE.uniform("x", row[-1:])[0]


def test_numbers_are_even_and_streams_independent() -> None:
    one, other = NOISE.uniform("one", PLACES), NOISE.uniform("other", PLACES)

    assert abs(one.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.03


def test_normal_noise_has_deviation_one() -> None:
    drawn = NOISE.normal("n", PLACES)

    assert abs(drawn.mean()) < 0.03
    assert abs(drawn.std() - 1.0) < 0.03


def test_smooth_noise_remembers_its_period_and_no_longer() -> None:
    wandering = NOISE.smooth("s", PLACES, 100.0)

    assert np.abs(np.diff(wandering)).max() < 0.15
    assert abs(wandering.std() - 1.0) < 0.15
    assert abs(np.corrcoef(wandering[300:], wandering[:-300])[0, 1]) < 0.15


def test_smooth_noise_is_the_same_in_every_part() -> None:
    whole = NOISE.smooth("s", PLACES, 37.0)

    assert np.array_equal(NOISE.smooth("s", PLACES[777:1234], 37.0), whole[777:1234])


def test_weather_lasts_for_days() -> None:
    days = NOISE.weather("w", np.arange(5_000, dtype=np.int64), 0.8)

    assert abs(days.std() - 1.0) < 0.1
    assert 0.7 < np.corrcoef(days[1:], days[:-1])[0, 1] < 0.9
