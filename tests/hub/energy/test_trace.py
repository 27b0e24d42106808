"""The intervals behind a slot add up to what derivation stored, whatever the stream looks like."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.corrections import Action, Correction
from hub.energy.derive import derive
from hub.energy.slots import SLOT_MS, Int64, Readings, Rule
from hub.energy.spread import Spread
from hub.energy.trace import HALF_MW_MS_PER_MWH, Piece, changes_at, pieces_of
from hub.model.quality import Flag
from tests.hub.energy.streams import (
    ENERGY,
    POWER,
    PULSES,
    T0_MS,
    UNDER_LOAD,
    counter_streams,
    gauge_streams,
    whole,
)

MINUTE_MS = 60_000


def some(column: Int64) -> list[int]:
    """At most this many, evenly from the first to the last: a year of one interval has many slots."""
    return column[np.unique(np.linspace(0, len(column) - 1, 16).astype(int))].tolist() if len(column) else []


def traced(rule: Rule, readings: Readings, slot_ms: int) -> list[Piece]:
    return pieces_of(rule, readings, slot_ms, from_first=True)


@settings(UNDER_LOAD, max_examples=25)
@given(counter_streams())
def test_pieces_of_a_counter_add_up_to_every_slot(readings: Readings) -> None:
    slots = whole(ENERGY, readings).slots
    for start_ms, delta in zip(some(slots.start_ms), some(slots.delta), strict=True):
        assert sum(one.part for one in traced(ENERGY, readings, start_ms)) == delta


@settings(UNDER_LOAD, max_examples=25)
@given(gauge_streams())
def test_pieces_of_a_power_add_up_to_every_slot(readings: Readings) -> None:
    slots = whole(POWER, readings).slots
    for start_ms, delta in zip(some(slots.start_ms), some(slots.delta), strict=True):
        total = sum(one.part for one in traced(POWER, readings, start_ms))
        assert (total + HALF_MW_MS_PER_MWH // 2) // HALF_MW_MS_PER_MWH == delta


@settings(UNDER_LOAD, max_examples=25)
@given(gauge_streams(largest=50.0))
def test_pieces_of_amounts_add_up_to_every_slot(readings: Readings) -> None:
    slots = whole(PULSES, readings).slots
    for start_ms, delta in zip(some(slots.start_ms), some(slots.delta), strict=True):
        assert sum(one.part for one in traced(PULSES, readings, start_ms)) == delta


@settings(UNDER_LOAD, max_examples=25)
@given(counter_streams())
def test_every_interval_is_named_by_two_readings_of_the_stream(readings: Readings) -> None:
    known = dict(zip(readings.ts_ms.tolist(), readings.value.tolist(), strict=True))
    for start_ms in some(whole(ENERGY, readings).slots.start_ms):
        for piece in traced(ENERGY, readings, start_ms):
            one = piece.interval
            assert one.opening is not None
            assert known[one.t0_ms] == one.opening.value
            assert known[one.t1_ms] == one.closing.value
            assert all(one.t0_ms < point.ts_ms < one.t1_ms for point in one.ignored)


def test_a_dip_is_named_as_ignored_and_the_interval_spans_it() -> None:
    readings = Readings.of(
        [T0_MS + at * MINUTE_MS for at in range(6)], [1000.0, 1010.0, 0.0, 1020.0, 1030.0, 1040.0]
    )
    found = next(one.interval for one in traced(ENERGY, readings, T0_MS) if one.interval.ignored)

    assert [point.value for point in found.ignored] == [0.0]
    assert (found.amount, found.opening and found.opening.value, found.closing.value) == (
        10_000,
        1010.0,
        1020.0,
    )


def test_a_reset_is_told_by_its_flag() -> None:
    values = [90_000.0 + at * 10 for at in range(30)] + [float(at * 10) for at in range(1, 60)]
    readings = Readings.of([T0_MS + at * MINUTE_MS for at in range(len(values))], values)
    slot_ms = T0_MS + SLOT_MS

    flags = {one.interval.closing.value: one.interval.flags for one in traced(ENERGY, readings, slot_ms)}
    assert Flag.RESET in flags[10.0]


def test_a_part_is_the_share_of_the_time() -> None:
    readings = Readings.of(
        [T0_MS - 5 * MINUTE_MS, T0_MS + 15 * MINUTE_MS, T0_MS + 35 * MINUTE_MS], [0, 4000, 8000]
    )
    piece = traced(ENERGY, readings, T0_MS)[0]

    assert (piece.share, piece.part, piece.is_whole) == (Fraction(3, 4), 3_000_000, False)


def test_a_spread_leaves_the_sum_as_it_is() -> None:
    readings = Readings.of([T0_MS, T0_MS + 4 * SLOT_MS], [0.0, 4000.0])
    slots = derive(
        ENERGY, readings, T0_MS, T0_MS + 4 * SLOT_MS, from_first=True, to_last=True, spread=Spread()
    ).slots
    parts = [
        sum(one.part for one in pieces_of(ENERGY, readings, ms, from_first=True, spread=Spread()))
        for ms in slots.start_ms.tolist()
    ]

    assert parts == slots.delta.tolist()


ACTIONS = st.sampled_from(list(Action))


@UNDER_LOAD
@given(st.lists(st.tuples(ACTIONS, st.integers(0, 5), st.floats(-9, 9)), max_size=6), st.booleans())
def test_changes_lead_from_the_stored_value_to_the_corrected_one(
    made: list[tuple[Action, int, float]], there: bool
) -> None:
    stored = Readings.of([T0_MS], [7.0]) if there else Readings.of([], [])
    corrections = [
        Correction(number, action, T0_MS - before, T0_MS + 1, value, ((T0_MS, value),))
        for number, (action, before, value) in enumerate(made, 1)
    ]
    raw, changes = changes_at(stored, corrections, T0_MS)

    assert raw == (7.0 if there else None)
    value = raw
    for one in changes:
        assert one.before == value
        value = one.after
    assert np.array_equal(
        [one.correction.id for one in changes], sorted(one.correction.id for one in changes)
    )
