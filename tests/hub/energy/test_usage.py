"""Prices and usage on a grid of slots, whatever rows they come from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.usage import PriceColumn, Usage
from hub.errors import Refused
from tests.hub.energy.streams import UNDER_LOAD
from tests.hub.energy.tariffs import SLOT_MS

MINUTE_MS = 60_000


def prices(rows: list[tuple[int, int, int]], slots: int = 4) -> list[int | None]:
    """Rows in minutes → one price per slot, None where it is not known."""
    column = PriceColumn.of_rows([(a * MINUTE_MS, b * MINUTE_MS, price) for a, b, price in rows], 0, slots)
    return [int(price) if known else None for price, known in zip(column.price_e8, column.known, strict=True)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], [None, None, None, None]),
        ([(0, 60, 7)], [7, 7, 7, 7]),
        ([(30, 60, 8), (0, 30, 7)], [7, 7, 8, 8]),
        ([(-60, 15, 7), (45, 120, 8)], [7, None, None, 8]),
        ([(0, 5, 3), (5, 10, 6), (10, 15, 9)], [6, None, None, None]),
        ([(0, 10, 3)], [None, None, None, None]),
        ([(0, 60, 7), (15, 30, 1)], [7, 1, 7, 7]),
        ([(15, 30, 1), (0, 60, 7)], [7, 1, 7, 7]),
        ([(0, 60, 7), (15, 120, 1), (20, 40, 4)], [7, 3, 3, 1]),
        ([(5, 5, 9), (0, 15, 2)], [2, None, None, None]),
    ],
)
def test_rows_become_slots(rows: list[tuple[int, int, int]], expected: list[int | None]) -> None:
    assert prices(rows) == expected


@given(
    rows=st.lists(
        st.tuples(st.integers(-3, 26), st.integers(1, 12), st.integers(-9, 9)).map(
            lambda row: (row[0] * 5, (row[0] + row[1]) * 5, row[2])
        ),
        max_size=12,
    ),
    data=st.data(),
)
@settings(parent=UNDER_LOAD, max_examples=150)
def test_of_overlapping_rows_the_last_to_start_counts_in_any_order(
    rows: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    by_start = sorted(set(rows), key=lambda row: (row[0], -row[1], row[2]))
    five = [
        next((row[2] for row in reversed(by_start) if row[0] <= at < row[1]), None) for at in range(0, 120, 5)
    ]
    expected: list[int | None] = []
    for slot in range(0, 24, 3):
        parts = [one for one in five[slot : slot + 3] if one is not None]
        whole, rest = divmod(sum(parts), 3)
        expected.append(whole + (rest == 2) if len(parts) == 3 else None)

    assert prices(data.draw(st.permutations(rows)), 8) == expected


def test_another_grid_keeps_what_it_holds_and_knows_no_more() -> None:
    usage = Usage.measured(10 * SLOT_MS, [1, 2, 3], [4, 5, 6])

    wider = usage.grid(8 * SLOT_MS, 6)

    assert wider.import_mwh.tolist() == [0, 0, 1, 2, 3, 0]
    assert wider.export_known.tolist() == [False, False, True, True, True, False]
    assert wider.measured_ms.tolist() == [0, 0, SLOT_MS, SLOT_MS, SLOT_MS, 0]
    assert usage.grid(12 * SLOT_MS, 1).import_mwh.tolist() == [3]
    assert usage.grid(20 * SLOT_MS, 2).import_known.tolist() == [False, False]


def test_grids_that_do_not_fit_are_refused() -> None:
    with pytest.raises(Refused, match="quarter hour"):
        Usage.measured(0, [1]).grid(1, 1)


def test_columns_of_measured_usage_are_its_own() -> None:
    usage = Usage.measured(0, np.array([1, 2]))
    usage.late_ms[0] = 5

    assert usage.estimated_ms.tolist() == [0, 0]
