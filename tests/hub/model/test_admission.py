"""Admission: what is taken, at which time, and what is surely new."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub.model.admission import Admitted, Frontier, TimeLimits, admit
from hub.model.reading import NO_TIME

NOW = 1_764_000_000_000
LIMITS = TimeLimits()


def take(
    frontier: Frontier, rows: list[tuple[int, int, float]], arrival_ms: int = NOW, imported: bool = False
) -> Admitted:
    frontier.cover(max((row[0] for row in rows), default=0) + 1)
    return admit(
        frontier,
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
        np.full(len(rows), arrival_ms, np.int64),
        np.full(len(rows), imported),
        LIMITS,
    )


def test_values_that_are_no_measurement_are_refused_and_the_others_stay() -> None:
    taken = take(Frontier(), [(0, NOW, 1.0), (0, NOW + 1, float("nan")), (1, NOW, 1e308), (1, NOW, 2.0)])
    assert taken.row.tolist() == [0, 3]
    assert [(one.row, one.code) for one in taken.refused] == [(1, "WL-ING-040"), (2, "WL-ING-041")]


def test_unbelievable_times_are_quarantined_with_their_reason() -> None:
    day = 86_400_000
    taken = take(Frontier(), [(0, 5, 1.0), (0, NOW - 401 * day, 1.0), (0, NOW + 301_000, 1.0), (0, NOW, 1.0)])
    assert [one.code for one in taken.refused] == ["WL-ING-033", "WL-ING-034", "WL-ING-035"]
    assert all(one.quarantined for one in taken.refused)
    assert taken.ts_ms.tolist() == [NOW]


def test_numbers_that_no_series_has_are_refused() -> None:
    frontier = Frontier()
    frontier.cover(1)
    beyond = len(frontier.last_ms) + 5
    taken = admit(
        frontier,
        np.array([-1, 0, beyond], np.int32),
        np.array([NOW, NOW, NO_TIME], np.int64),
        np.array([1.0, 2.0, float("nan")]),
        np.full(3, NOW, np.int64),
        np.zeros(3, np.bool_),
        LIMITS,
    )
    assert taken.row.tolist() == [1]
    assert [(one.row, one.code) for one in taken.refused] == [(0, "WL-ING-045"), (2, "WL-ING-045")]


def test_an_amount_without_a_time_is_refused() -> None:
    frontier = Frontier()
    frontier.cover(2)
    taken = admit(
        frontier,
        np.array([0, 1, 1], np.int32),
        np.array([NO_TIME, NO_TIME, NOW], np.int64),
        np.array([1.0, 2.0, 3.0]),
        np.full(3, NOW, np.int64),
        np.zeros(3, np.bool_),
        LIMITS,
        {1},
    )
    assert taken.row.tolist() == [0, 2]
    assert [(one.row, one.code) for one in taken.refused] == [(1, "WL-ING-044")]


def test_an_import_may_reach_back_for_years() -> None:
    old = NOW - 3000 * 86_400_000
    assert take(Frontier(), [(0, old, 1.0)], imported=True).ts_ms.tolist() == [old]


def test_late_is_more_than_a_quarter_behind_the_arrival() -> None:
    taken = take(Frontier(), [(0, NOW - 900_000, 1.0), (1, NOW - 900_001, 1.0)])
    assert taken.flags.tolist() == [0, 1]


def test_a_key_twice_in_one_commit_is_fresh_once() -> None:
    taken = take(Frontier(), [(0, NOW, 1.0), (1, NOW, 1.0), (0, NOW, 2.0)])
    assert taken.fresh.tolist() == [True, True, False]


def test_a_time_at_or_behind_the_frontier_is_looked_up() -> None:
    frontier = Frontier()
    take(frontier, [(0, NOW, 1.0)])
    assert take(frontier, [(0, NOW, 1.0), (0, NOW - 1, 1.0), (0, NOW + 1, 1.0)]).fresh.tolist() == [
        False,
        False,
        True,
    ]


rows = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.one_of(st.just(NO_TIME), st.integers(NOW - 50, NOW + 50)),
        st.floats(-1e6, 1e6),
    ),
    max_size=40,
)


@given(st.lists(rows, max_size=5), st.lists(st.integers(-20, 20), min_size=5, max_size=5))
def test_arrival_times_are_unique_and_fresh_rows_are_truly_new(
    commits: list[list[tuple[int, int, float]]], arrivals: list[int]
) -> None:
    frontier = Frontier()
    seen: set[tuple[int, int]] = set()
    for commit, arrival in zip(commits, arrivals, strict=False):
        taken = take(frontier, commit, NOW + arrival)
        keys = list(zip(taken.series.tolist(), taken.ts_ms.tolist(), strict=True))
        stamped = [key for key, given_row in zip(keys, commit, strict=True) if given_row[1] == NO_TIME]
        assert len(set(stamped)) == len(stamped)
        assert not set(stamped) & seen
        assert all(ts >= NOW + arrival for _, ts in stamped)
        fresh = [key for key, is_fresh in zip(keys, taken.fresh.tolist(), strict=True) if is_fresh]
        assert len(set(fresh)) == len(fresh)
        assert not set(fresh) & seen
        seen.update(keys)
        newest = {series: max(ts for number, ts in seen if number == series) for series, _ in seen}
        assert all(frontier.last_ms[series] == ts for series, ts in newest.items())
