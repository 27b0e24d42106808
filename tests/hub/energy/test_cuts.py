"""Parts of slots: in proportion, exact at the borders, and never more than the whole."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub.energy.cuts import cut_slots, part_of, share, slot_floor
from hub.energy.slots import SLOT_MS, SlotColumns

LATER_MS = 10**13


def slots(count: int) -> SlotColumns:
    """Slots from 0 on of 900,000 steps each, fully measured."""
    start_ms = np.arange(count, dtype=np.int64) * SLOT_MS
    whole = np.full(count, SLOT_MS, np.int32)
    none = np.zeros(count, np.int32)
    level = np.full(count, 5.0)
    return SlotColumns(
        start_ms, np.full(count, 900_000, np.int64), np.ones(count, np.bool_), none + 15,
        level, level, level, level, whole, none, none, none, none,
    )  # fmt: skip


def test_both_edges_are_reduced_and_the_rest_stays() -> None:
    cut = cut_slots(slots(4), 300_000, 3 * SLOT_MS + 90_000, LATER_MS)

    assert cut.delta.tolist() == [600_000, 900_000, 900_000, 90_000]
    assert cut.measured_ms.tolist() == [600_000, SLOT_MS, SLOT_MS, 90_000]
    assert cut.start_ms.tolist() == [300_000, SLOT_MS, 2 * SLOT_MS, 3 * SLOT_MS]
    assert cut.mean.tolist() == [5.0] * 4


def test_a_range_inside_of_one_slot() -> None:
    assert cut_slots(slots(1), 300_000, 400_000, LATER_MS).delta.tolist() == [100_000]


def test_whole_slots_and_no_slots_stay_as_they_are() -> None:
    assert cut_slots(slots(3), 0, 3 * SLOT_MS, LATER_MS).same_as(slots(3))
    assert len(cut_slots(slots(0), 5, 10, LATER_MS)) == 0


def test_a_running_slot_reaches_to_now() -> None:
    assert share(0, 0, 300_000, 300_000) == (300_000, 300_000)
    assert share(0, 0, 150_000, 300_000) == (150_000, 300_000)
    assert share(0, 0, SLOT_MS, -5) == (SLOT_MS, SLOT_MS)


@given(st.integers(-(10**9), 10**9), st.integers(0, SLOT_MS))
def test_two_parts_make_the_whole_to_one_step(amount: int, border_ms: int) -> None:
    amounts = np.array([amount])
    parts = [
        int(part_of(amounts, *share(0, low, high, LATER_MS))[0])
        for low, high in ((0, border_ms), (border_ms, SLOT_MS))
    ]

    assert abs(sum(parts) - amount) <= 1
    assert slot_floor(border_ms % SLOT_MS) == 0
