"""The book of marks: each slot with underived readings has its mark, exactly as long as it needs it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub.actors.marks import SLOT_MS, MarkBook


def needed(book: MarkBook, rows: list[tuple[int, int]], seq: int) -> list[tuple[int, int]]:
    marks = book.needed(
        np.array([series for series, _ in rows], np.int32),
        np.array([slot * SLOT_MS + 5 for _, slot in rows], np.int64),
        seq,
    )
    return [(mark.series, mark.start_ms // SLOT_MS) for mark in marks]


def test_a_series_marks_a_slot_once() -> None:
    book = MarkBook()
    assert needed(book, [(1, 10), (1, 10), (2, 10)], 1) == [(1, 10), (2, 10)]
    assert needed(book, [(1, 10), (2, 10)], 2) == []


def test_a_slot_that_goes_on_is_not_cleared() -> None:
    book = MarkBook()
    needed(book, [(1, 10)], 1)
    assert not book.clear(1, 10 * SLOT_MS, 1)
    needed(book, [(1, 11)], 2)
    assert book.clear(1, 10 * SLOT_MS, 2)


def test_a_late_row_after_the_derivation_saw_it_keeps_its_mark() -> None:
    book = MarkBook()
    needed(book, [(1, 10)], 1)
    needed(book, [(1, 11)], 2)
    needed(book, [(1, 10)], 3)
    assert not book.clear(1, 10 * SLOT_MS, 2)
    assert book.clear(1, 10 * SLOT_MS, 3)
    assert needed(book, [(1, 10)], 4) == [(1, 10)]


def test_a_failed_commit_marks_again() -> None:
    book = MarkBook()
    marks = book.needed(np.array([1, 1], np.int32), np.array([0, 3 * SLOT_MS], np.int64), 1)
    book.forget(marks)
    assert needed(book, [(1, 0), (1, 3)], 2) == [(1, 0), (1, 3)]


step: st.SearchStrategy[tuple[str, list[tuple[int, int]]]] = st.one_of(
    st.tuples(st.just("commit"), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=6)),
    st.tuples(st.just("fail"), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=6)),
    st.tuples(st.just("clear"), st.builds(list[tuple[int, int]])),
)


@given(st.lists(step, max_size=25))
def test_the_store_always_holds_a_mark_for_what_is_not_derived(
    steps: list[tuple[str, list[tuple[int, int]]]],
) -> None:
    book, store, underived = MarkBook(), set[tuple[int, int]](), set[tuple[int, int]]()
    seq = 0
    for kind, rows in steps:
        if kind == "clear":
            cleared = [mark for mark in book.past(seq) if book.clear(*mark, seq)]
            store -= {(series, start_ms // SLOT_MS) for series, start_ms in cleared}
            underived &= store
            continue
        marks = book.needed(
            np.array([series for series, _ in rows], np.int32),
            np.array([slot * SLOT_MS for _, slot in rows], np.int64),
            seq + 1,
        )
        if kind == "fail":
            book.forget(marks)
            continue
        seq += 1
        store |= {(mark.series, mark.start_ms // SLOT_MS) for mark in marks}
        underived |= set(rows)
        assert underived <= store
