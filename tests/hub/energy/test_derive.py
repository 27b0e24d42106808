"""Any part of a stream derives to the same rows as the whole, and sums are the truth."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.derive import derive
from hub.energy.slots import SLOT_MS, Readings, Rule, SlotColumns
from hub.model.quality import Flag, ReadingFlag
from tests.hub.energy.streams import (
    ENERGY,
    GAS,
    HOUR_MS,
    LATE_ONLY,
    POWER,
    PRICE,
    PULSES,
    T0_MS,
    TEMPERATURE,
    UNDER_LOAD,
    counter_streams,
    delta_streams,
    derive_part,
    gauge_streams,
    holds,
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


@settings(UNDER_LOAD, max_examples=40)
@given(gauge_streams(), st.lists(st.integers(0, 10**6), max_size=4))
def test_parts_of_a_gauge_equal_the_whole(readings: Readings, cuts: list[int]) -> None:
    assert_same_in_parts(POWER, readings, cuts)
    assert_same_in_parts(TEMPERATURE, readings, cuts)
    assert_same_in_parts(PRICE, readings, cuts)


@holds(40, counter_streams(), st.lists(st.integers(0, 10**6), max_size=6))
def test_parts_of_a_counter_equal_the_whole(readings: Readings, cuts: list[int]) -> None:
    assert_same_in_parts(ENERGY, readings, cuts)
    assert_same_in_parts(GAS, readings, cuts)


@settings(UNDER_LOAD, max_examples=40)
@given(delta_streams(), st.lists(st.integers(0, 10**6), max_size=4))
def test_parts_of_a_delta_series_equal_the_whole(readings: Readings, cuts: list[int]) -> None:
    assert_same_in_parts(PULSES, readings, cuts)


def test_constant_power_is_power_times_time() -> None:
    ts = [T0_MS + 1234 + i * 7001 for i in range(1000)]
    slots = whole(POWER, Readings.of(ts, [230.1] * 1000)).slots

    assert int(slots.delta[1]) == round(230.1 * 250)
    assert set(slots.mean.tolist()) == {230.1}
    assert int(slots.measured_ms.sum()) == ts[-1] - ts[0]
    assert int(slots.count.sum()) == 1000


def test_a_straight_line_is_integrated_exactly_across_the_border() -> None:
    ts = [T0_MS + SLOT_MS - 60_000, T0_MS + SLOT_MS + 120_000]
    slots = whole(POWER, Readings.of(ts, [0.0, 3600.0])).slots

    # 0…1200 W in the first minute, 1200…3600 W in the two after the border
    assert slots.delta.tolist() == [10_000, 80_000]
    assert slots.mean.tolist() == [600.0, 2400.0]
    assert slots.measured_ms.tolist() == [60_000, 120_000]


def test_a_reading_on_the_border_belongs_to_the_slot_it_begins() -> None:
    slots = whole(POWER, Readings.of([T0_MS + SLOT_MS - 60_000, T0_MS + SLOT_MS], [60.0, 60.0])).slots

    assert slots.count.tolist() == [1, 1]
    assert slots.has_delta.tolist() == [True, False]
    assert slots.measured_ms.tolist() == [60_000, 0]
    assert slots.mean.tolist() == [60.0, 60.0]


def test_a_held_value_lasts_until_the_next() -> None:
    ts = [T0_MS + SLOT_MS - 60_000, T0_MS + SLOT_MS + 60_000]
    slots = whole(PRICE, Readings.of(ts, [0.25, 0.75])).slots
    assert slots.mean.tolist() == [0.25, 0.25]
    assert slots.last.tolist() == [0.25, 0.75]


def test_a_price_is_valid_from_its_first_hour_on_and_for_a_day_at_most() -> None:
    hours = [0, 1, 2, 26, 51]
    prices = Readings.of([T0_MS + at * HOUR_MS for at in hours], [0.25, 0.5, 0.75, 1.0, 1.25])
    slots = whole(PRICE, prices).slots

    known = slots.measured_ms == SLOT_MS
    assert slots.start_ms[known].tolist() == [T0_MS + at * SLOT_MS for at in range(26 * 4)]
    assert slots.mean[:12].tolist() == [0.25] * 4 + [0.5] * 4 + [0.75] * 4
    assert_same_in_parts(PRICE, prices, [3, 30, 107])


def test_nothing_is_invented_across_a_gap_of_a_gauge() -> None:
    ts = [T0_MS + i * 10_000 for i in range(30)]
    ts += [ts[-1] + HOUR_MS + i * 10_000 for i in range(30)]
    slots = whole(POWER, Readings.of(ts, [1000.0] * 60)).slots

    assert int(slots.measured_ms.sum()) == 2 * 290_000
    assert int(slots.estimated_ms.sum()) == 0
    assert len(slots) == 2
    assert set(slots.flags.tolist()) == {int(Flag.GAP)}


def test_slow_series_have_no_gaps_at_their_own_pace() -> None:
    ts = [T0_MS + i * HOUR_MS for i in range(48)]
    learned = whole(POWER, Readings.of(ts, [100.0] * 48)).slots
    told = whole(replace(POWER, interval_ms=HOUR_MS), Readings.of(ts, [100.0] * 48)).slots

    assert (
        int(learned.measured_ms.sum()) == 46 * HOUR_MS
    )  # the first interval of all has nothing to compare with
    assert int(told.measured_ms.sum()) == 47 * HOUR_MS
    assert set(told.delta[:-1].tolist()) == {25_000}


def test_late_readings_make_their_time_late() -> None:
    ts = [T0_MS + i * 60_000 for i in range(11)]
    slots = whole(POWER, Readings.of(ts, [500.0] * 11, [0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0])).slots
    assert slots.late_ms.tolist() == [120_000]
    assert slots.measured_ms.tolist() == [480_000]


def test_values_over_the_limit_of_a_gauge_are_suspect() -> None:
    ts = [T0_MS + i * 60_000 for i in range(11)]
    value = [500.0] * 11
    value[5] = 90_000.0
    slots = whole(replace(POWER, physical_limit=20_000.0), Readings.of(ts, value)).slots

    assert slots.max.tolist() == [500.0]
    assert slots.delta.tolist() == [round(500 * 1000 / 6)]
    assert slots.suspect_ms.tolist() == [120_000]
    assert slots.count.tolist() == [11]


def test_the_largest_values_neither_crash_nor_wrap() -> None:
    ts = [T0_MS + i * 300_000 for i in range(7)]
    slots = whole(POWER, Readings.of(ts, [1e15] * 7)).slots
    assert slots.delta.tolist()[:2] == [250 * 10**15] * 2
    assert slots.mean.tolist()[:2] == [1e15] * 2

    swing = whole(TEMPERATURE, Readings.of(ts, [1e15, -1e15] * 3 + [1e15])).slots
    assert np.abs(swing.mean[:2]).max() <= 1e15


def test_first_amount_is_booked_before_its_reading_and_later_ones_spread() -> None:
    ts = [T0_MS + SLOT_MS, T0_MS + SLOT_MS + 60_000]
    slots = whole(PULSES, Readings.of(ts, [7.0, 2.0])).slots
    assert slots.start_ms.tolist() == [T0_MS, T0_MS + SLOT_MS]
    assert slots.delta.tolist() == [7000, 2000]
    assert slots.has_delta.tolist() == [True, True]
    assert slots.measured_ms.tolist() == [0, 60_000]


def test_an_amount_after_a_gap_keeps_its_sum_but_not_its_time() -> None:
    ts = [T0_MS + i * 60_000 for i in range(10)] + [T0_MS + 3 * HOUR_MS + 1]
    slots = whole(PULSES, Readings.of(ts, [1.0] * 10 + [5.0])).slots
    assert int(slots.delta.sum()) == 15_000
    assert int(slots.measured_ms.sum()) == 540_000
    assert slots.flags[-1] == Flag.GAP


def test_any_order_of_arrival_gives_the_same_columns() -> None:
    rows = [(T0_MS + i * 10_000, float(i)) for i in range(100)]
    shuffled = [rows[i * 37 % 100] for i in range(100)]
    forward = Readings.of([t for t, _ in rows], [v for _, v in rows])
    other = Readings.of([t for t, _ in shuffled], [v for _, v in shuffled])
    assert whole(ENERGY, other).slots.same_as(whole(ENERGY, forward).slots)


def test_the_first_value_of_a_time_wins() -> None:
    readings = Readings.of([5, 5, 4], [1.0, 2.0, 3.0])
    assert readings.ts_ms.tolist() == [4, 5]
    assert readings.value.tolist() == [3.0, 1.0]


def test_no_readings_give_no_rows() -> None:
    for rule in (POWER, ENERGY, PULSES):
        found = derive(rule, Readings.of([], []), T0_MS, T0_MS + SLOT_MS, from_first=True, to_last=True)
        assert len(found.slots) == 0
        assert not found.tail.ready


@settings(UNDER_LOAD, max_examples=40)
@given(gauge_streams(largest=1e15))
def test_energy_is_the_sum_of_the_trapezoids(readings: Readings) -> None:
    """Python integers are the oracle, up to values for which 64 bits are too few."""
    value = np.where(np.abs(readings.value) <= 1e15, readings.value, 0.0)
    slots = whole(replace(POWER, gap_min_ms=10**12), replace(readings, value=value)).slots

    ts, milliwatts = readings.ts_ms.tolist(), [round(watts * 1000) for watts in value.tolist()]
    doubled = sum(
        (p0 + p1) * (t1 - t0) for (p0, t0), (p1, t1) in itertools.pairwise(zip(milliwatts, ts, strict=True))
    )
    error = abs(sum(slots.delta.tolist()) * 7_200_000 - doubled)
    assert error <= len(slots) * 7_200_000
    assert int(slots.measured_ms.sum(dtype=np.int64) + slots.late_ms.sum(dtype=np.int64)) == ts[-1] - ts[0]


@settings(UNDER_LOAD, max_examples=60)
@given(counter_streams(LATE_ONLY))
def test_no_slot_is_negative_or_above_the_limit(readings: Readings) -> None:
    slots = whole(ENERGY, readings).slots
    tolerance_steps = 1 + int(slots.count.max())
    assert slots.delta.min() >= 0
    assert slots.delta.max() <= 62_500_000 + tolerance_steps
    known = slots.measured_ms.astype(np.int64) + slots.late_ms + slots.estimated_ms + slots.suspect_ms
    assert known.max() <= SLOT_MS
    assert known.sum() == readings.ts_ms[-1] - readings.ts_ms[0]


@holds(15, st.integers(0, 2**32 - 1), st.lists(st.integers(0, 10**6), min_size=1, max_size=4))
def test_parts_of_a_restless_counter_equal_the_whole(seed: int, cuts: list[int]) -> None:
    """Registers that shiver, or fall, all day: a part of them needs no more than hours of context."""
    random = np.random.default_rng(seed)
    step_ms = int(random.choice([10_000, 60_000, 300_000]))
    count = 20_000_000 // step_ms
    pace = float(random.choice([-3.0, -0.5, 0.0, 0.02, 0.5, 5.0]))
    value = (
        1e5 + pace * np.arange(count) + random.uniform(-1, 1, count) * random.choice([0.0, 0.01, 3.0, 90.0])
    )
    value[random.random(count) < 0.01] = random.choice([0.0, 5e7, 99_000.0])
    ts = T0_MS + step_ms * np.arange(count) + np.cumsum(random.random(count) < 0.003) * 2_000_000
    assert_same_in_parts(ENERGY, Readings.of(ts.tolist(), np.round(value, 2).tolist()), cuts)


@pytest.mark.parametrize("pace", [-5.0, 0.3])
def test_a_restless_counter_is_derived_from_a_few_hours(pace: float) -> None:
    count = 30 * 360
    noise = np.random.default_rng(5).uniform(-1, 1, count)
    ts = T0_MS + 10_000 * np.arange(count)
    readings = Readings.of(ts.tolist(), (1e5 + pace * np.arange(count) + noise).tolist())
    context = readings.rows(count - 360 * 6, count)

    assert derive(ENERGY, context, int(ts[-60]), int(ts[-1]) + 1, to_last=True).anchored


def test_a_rise_a_day_later_is_waited_for_until_it_is_refuted_or_not() -> None:
    hour, minute = HOUR_MS, 60_000
    still = [T0_MS + at * hour for at in range(30)]
    rise = [*still, still[-1] + 10_000, still[-1] + 2 * hour, still[-1] + 2 * hour + minute]
    back = [rise[-1] + at * minute for at in range(1, 6)]
    values = [50_000.0] * len(still) + [50_900.0] * 3 + [50_000.0] * len(back)
    readings = Readings.of(rise + back, values)

    for slot in range(0, 4 * 40, 8):
        assert_same_in_parts(ENERGY, readings, [slot])


def test_a_long_fall_in_which_a_person_accepted_a_reading_has_no_seam() -> None:
    ts = [T0_MS + at * 60_000 for at in range(240)]
    values = [1e6 - 300.0 * at for at in range(240)]
    for said in (25, 39, 53):
        flags = [0] * 240
        flags[said] = int(ReadingFlag.ACCEPTED)
        readings = Readings.of(ts, values, flags)
        assert_same_in_parts(ENERGY, readings, [3, 5, 7])


def test_zeros_that_turn_out_false_after_hours_reach_back_into_the_time_before_them() -> None:
    minutes = [0, 1620, 2160, 2220, 2243, 2303, 2308, 2313, 2328, 2333, 2334]
    values = [-2376.0, *[0.0] * 5, *[27_624.0] * 4, 0.0]
    readings = Readings.of([T0_MS + at * 60_000 for at in minutes], values)

    for slot in range(1, 12):
        assert_same_in_parts(ENERGY, readings, [slot])
