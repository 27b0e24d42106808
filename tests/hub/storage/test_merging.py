"""First value wins, in columns as in a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub.storage.batches import CONFLICT, DUPLICATE, STORED, decide
from hub.storage.codec import Columns
from hub.storage.merging import between, first_of_each, merge

Rows = list[tuple[int, float]]
rows = st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0.0, 1.0, 2.5])), max_size=25)
keyed = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.sampled_from([1.0, 2.0])), max_size=30)


def columns(pairs: Rows) -> Columns:
    return Columns(
        np.array([ts for ts, _ in pairs], np.int64),
        np.array([value for _, value in pairs], np.float64),
        np.array([ts % 2 for ts, _ in pairs], np.uint8),
    )


def as_pairs(found: Columns) -> Rows:
    return list(zip(found.ts_ms.tolist(), found.values.tolist(), strict=True))


@given(rows)
def test_the_first_of_equal_times_is_taken(pairs: Rows) -> None:
    expected: dict[int, float] = {}
    for ts, value in pairs:
        expected.setdefault(ts, value)

    assert as_pairs(first_of_each(columns(pairs))) == sorted(expected.items())


@given(rows, rows)
def test_a_merge_is_a_union_in_which_the_first_wins(one: Rows, two: Rows) -> None:
    first, later = first_of_each(columns(one)), first_of_each(columns(two))

    merged = merge(first, later)

    was, came = dict(as_pairs(first)), dict(as_pairs(later))
    assert as_pairs(merged.columns) == sorted({**came, **was}.items())
    assert merged.duplicates == sum(1 for ts in came if ts in was and was[ts] == came[ts])
    assert as_pairs(merged.lost) == sorted((ts, came[ts]) for ts in came if ts in was and was[ts] != came[ts])
    assert merged.kept.tolist() == [was[ts] for ts in merged.lost.ts_ms.tolist()]


@given(rows, st.integers(-1, 31), st.integers(-1, 31))
def test_a_range_holds_its_start_and_not_its_end(pairs: Rows, start: int, end: int) -> None:
    all_rows = first_of_each(columns(pairs))

    assert as_pairs(between(all_rows, start, max(start, end))) == [
        (ts, value) for ts, value in as_pairs(all_rows) if start <= ts < end
    ]


@given(keyed, st.dictionaries(st.tuples(st.integers(0, 2), st.integers(0, 6)), st.sampled_from([1.0, 2.0])))
def test_rows_are_decided_one_after_the_other(
    batch: list[tuple[int, int, float]], stored: dict[tuple[int, int], float]
) -> None:
    series = np.array([row[0] for row in batch], np.int32)
    ts_ms = np.array([row[1] for row in batch], np.int64)
    values = np.array([row[2] for row in batch], np.float64)

    decision = decide(
        series,
        ts_ms,
        values,
        lambda s, t: (
            np.array([(a, b) in stored for a, b in zip(s.tolist(), t.tolist(), strict=True)], np.bool_),
            np.array([stored.get((a, b), 0.0) for a, b in zip(s.tolist(), t.tolist(), strict=True)]),
        ),
    )

    state = dict(stored)
    expected = [
        STORED if state.setdefault((a, b), v) is v and (a, b) not in seen and (a, b) not in stored
        else (DUPLICATE if state[a, b] == v else CONFLICT)
        for (a, b, v), seen in ((row, {r[:2] for r in batch[:at]}) for at, row in enumerate(batch))
    ]  # fmt: skip
    assert decision.outcome.tolist() == expected
    assert decision.insert.tolist() == [at for at, what in enumerate(expected) if what == STORED]
    assert decision.kept.tolist() == [state[a, b] for a, b, _ in batch]
