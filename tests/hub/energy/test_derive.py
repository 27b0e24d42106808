"""Any part of a stream derives to the same rows as the whole, and sums are the truth."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.slots import SLOT_MS, Readings, Rule, SlotColumns
from tests.hub.energy.streams import (
    ENERGY,
    GAS,
    POWER,
    PRICE,
    PULSES,
    TEMPERATURE,
    counter_streams,
    delta_streams,
    derive_part,
    gauge_streams,
    whole,
)


def assert_same_in_parts(rule: Rule, readings: Readings, cuts: list[int]) -> None:
    first = int(readings.ts_ms[0]) // SLOT_MS * SLOT_MS - SLOT_MS
    last = int(readings.ts_ms[-1]) + SLOT_MS
    last += -last % SLOT_MS
    slots = (last - first) // SLOT_MS
    borders = sorted({first, last, *(first + at % slots * SLOT_MS for at in cuts)})
    parts = [derive_part(rule, readings, start, end).slots for start, end in itertools.pairwise(borders)]
    joined = SlotColumns.joined(parts)
    assert joined.same_as(whole(rule, readings).slots)


@settings(max_examples=60, deadline=None)
@given(gauge_streams(), st.lists(st.integers(0, 10**6), max_size=4))
def test_parts_of_a_gauge_equal_the_whole(readings: Readings, cuts: list[int]) -> None:
    assert_same_in_parts(POWER, readings, cuts)
    assert_same_in_parts(TEMPERATURE, readings, cuts)
    assert_same_in_parts(PRICE, readings, cuts)


@settings(max_examples=100, deadline=None)
@given(counter_streams(), st.lists(st.integers(0, 10**6), max_size=6))
def test_parts_of_a_counter_equal_the_whole(readings: Readings, cuts: list[int]) -> None:
    assert_same_in_parts(ENERGY, readings, cuts)
    assert_same_in_parts(GAS, readings, cuts)


@settings(max_examples=60, deadline=None)
@given(delta_streams(), st.lists(st.integers(0, 10**6), max_size=4))
def test_parts_of_a_delta_series_equal_the_whole(readings: Readings, cuts: list[int]) -> None:
    assert_same_in_parts(PULSES, readings, cuts)
