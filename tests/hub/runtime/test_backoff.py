"""Back-off: grows, has a cap, scatters, starts small again."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.runtime.backoff import Backoff


@given(st.floats(0.01, 10), st.floats(10, 1000), st.floats(1, 5), st.integers(1, 200), st.integers())
def test_no_wait_leaves_its_bounds(base_s: float, cap_s: float, factor: float, count: int, seed: int) -> None:
    backoff = Backoff(base_s, cap_s, factor=factor, rng=random.Random(seed))
    for attempt in range(count):
        ceiling_s = backoff.ceiling_s
        assert ceiling_s == pytest.approx(min(cap_s, base_s * factor**attempt))
        assert 0 <= backoff.next_s() <= ceiling_s
    assert backoff.attempts == count


def test_ceilings_grow_up_to_the_cap() -> None:
    backoff = Backoff(1, 8)
    ceilings = []
    for _ in range(6):
        ceilings.append(backoff.ceiling_s)
        backoff.next_s()
    assert ceilings == [1, 2, 4, 8, 8, 8]


def test_reset_starts_small_again() -> None:
    backoff = Backoff(1, 60)
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert (backoff.attempts, backoff.ceiling_s) == (0, 1)


def test_thousands_of_failures_do_not_overflow() -> None:
    backoff = Backoff(1, 60, factor=10)
    assert max(backoff.next_s() for _ in range(5_000)) <= 60


def test_equal_seeds_wait_equally_and_different_ones_scatter() -> None:
    waits = [[Backoff(1, 60, rng=random.Random(seed)).next_s() for _ in range(3)] for seed in (1, 1, 2, 3, 4)]
    assert waits[0] == waits[1]
    assert all(a != b for a, b in pairwise(waits[1:]))


def test_a_floor_keeps_a_broken_server_from_being_hammered() -> None:
    backoff = Backoff(1, 4, floor_s=0.5, rng=random.Random(7))
    assert min(backoff.next_s() for _ in range(1_000)) >= 0.5


@pytest.mark.parametrize(
    ("base_s", "cap_s", "factor", "floor_s"), [(0, 1, 2, 0), (2, 1, 2, 0), (1, 2, 0.5, 0), (1, 2, 2, 1.5)]
)
def test_contradicting_bounds_are_refused(base_s: float, cap_s: float, factor: float, floor_s: float) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Backoff(base_s, cap_s, factor=factor, floor_s=floor_s)
