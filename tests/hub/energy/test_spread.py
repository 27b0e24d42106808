"""How the amount of a counter is spread inside its intervals: the sum is the counter's, the shape another's."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.calendar import WEEK_HOURS, week_hours
from hub.energy.derive import derive, usable
from hub.energy.intervals import cut
from hub.energy.slots import SLOT_MS, Readings, SlotColumns
from hub.energy.spread import PowerShape, Profile, Spread, shaped_by, steps_joined
from hub.model.series import Direction
from tests.hub.energy.streams import (
    ENERGY,
    HOUR_MS,
    POWER,
    T0_MS,
    UNDER_LOAD,
    counter_streams,
    derive_part,
    gauge_streams,
    whole,
)

DAY_MS = 24 * HOUR_MS
EVENING = Profile("Europe/Paris", tuple(1000 if hour % 24 == 19 else 10 for hour in range(WEEK_HOURS)))


def shape_of(
    watts: Readings, direction: Direction = Direction.IMPORT, *, is_signed: bool = True
) -> PowerShape:
    good = usable(POWER, watts)
    kept = Readings(watts.ts_ms[good], watts.value[good], watts.flags[good])
    return PowerShape.of(POWER, kept, direction, is_signed=is_signed)


def shaped(counter: Readings, spread: Spread) -> SlotColumns:
    first, last = int(counter.ts_ms[0]) - SLOT_MS, int(counter.ts_ms[-1]) + SLOT_MS
    return derive(ENERGY, counter, first, last, from_first=True, to_last=True, spread=spread).slots


def watts_of(load: list[float], step_ms: int = 10_000, start_ms: int = T0_MS) -> Readings:
    """A value per quarter of an hour, sent every ``step_ms``."""
    count = SLOT_MS // step_ms
    values = np.repeat(load, count)
    return Readings.of((start_ms + step_ms * np.arange(len(values))).tolist(), values.tolist())


def test_power_shapes_an_hourly_counter_and_the_counter_keeps_the_sum() -> None:
    load = [0.0, 2000.0, 6000.0, 0.0] * 24
    hourly = Readings.of([T0_MS + h * HOUR_MS for h in range(25)], [5e6 + 2100.0 * h for h in range(25)])
    slots = shaped(hourly, Spread(power=shape_of(watts_of(load))))

    # power says 2,000 Wh an hour, the counter 2,100: a quarter and three quarters of these
    assert slots.delta[:-1].tolist() == [0, 525_000, 1_575_000, 0] * 24
    flat = whole(ENERGY, hourly).slots
    assert np.array_equal(slots.measured_ms, flat.measured_ms)
    assert np.array_equal(slots.estimated_ms, flat.estimated_ms)
    assert np.array_equal(slots.flags, flat.flags)


def test_power_shapes_whole_kilowatt_hours_sent_every_ten_seconds() -> None:
    load = ([200.0] * 4 + [3400.0] * 4) * 6
    watts = watts_of(load)
    true_wh = 1_000_000 + np.concatenate([[0.0], np.cumsum(watts.value[:-1] / 360)])
    coarse = replace(watts, value=np.floor(true_wh / 1000) * 1000)
    first_step = int(np.flatnonzero(np.diff(coarse.value))[0]) + 1
    last_step = int(np.flatnonzero(np.diff(coarse.value))[-1]) + 1

    for rule in (ENERGY, replace(ENERGY, resolution=1000.0)):
        slots = derive(
            rule, coarse, T0_MS, T0_MS + 12 * HOUR_MS, from_first=True, to_last=True,
            spread=Spread(power=shape_of(watts)),
        ).slots  # fmt: skip
        inside = (slots.start_ms >= coarse.ts_ms[first_step]) & (
            slots.start_ms + SLOT_MS <= coarse.ts_ms[last_step]
        )
        true = np.array(load)[(slots.start_ms - T0_MS) // SLOT_MS] / 4
        assert np.abs(slots.delta[inside] / 1000 - true[inside]).max() < 10  # a step is seen up to 10 s late
        assert int(slots.delta.sum()) / 1000 == coarse.value[-1] - coarse.value[0]


def test_a_signed_power_shapes_the_export_below_zero() -> None:
    load = [-4000.0, 1000.0, 0.0, -1000.0] * 6
    hourly = Readings.of([T0_MS + h * HOUR_MS for h in range(7)], [1250.0 * h for h in range(7)])

    exported = shaped(hourly, Spread(power=shape_of(watts_of(load), Direction.EXPORT)))
    assert exported.delta[:-1].tolist() == [1_000_000, 0, 0, 250_000] * 6
    imported = shaped(hourly, Spread(power=shape_of(watts_of(load))))
    assert imported.delta[:-1].tolist() == [0, 1_250_000, 0, 0] * 6
    unsigned = shape_of(watts_of([4000.0, 0.0, 0.0, 1000.0] * 6), Direction.EXPORT, is_signed=False)
    assert shaped(hourly, Spread(power=unsigned)).delta[:-1].tolist() == [1_000_000, 0, 0, 250_000] * 6


def test_power_that_is_mostly_missing_or_zero_leaves_the_hour_flat() -> None:
    hourly = Readings.of([T0_MS + h * HOUR_MS for h in range(4)], [2000.0 * h for h in range(4)])
    short = watts_of([9000.0])
    nothing = watts_of([0.0] * 12)
    for watts in (short, nothing, Readings.of([], [])):
        assert shaped(hourly, Spread(power=shape_of(watts))).same_as(whole(ENERGY, hourly).slots)


def test_time_without_power_counts_with_the_mean_of_the_rest() -> None:
    hourly = Readings.of([T0_MS + h * HOUR_MS for h in range(3)], [2000.0 * h for h in range(3)])
    watts = watts_of([1000.0, 3000.0, 0.0, 0.0] * 2)
    known = watts.ts_ms < T0_MS + HOUR_MS + HOUR_MS // 2 - SLOT_MS
    half = Readings(watts.ts_ms[known], watts.value[known], watts.flags[known])
    slots = shaped(hourly, Spread(power=shape_of(half)))

    assert slots.delta[:4].tolist() == [500_000, 1_500_000, 0, 0]
    # 15 minutes of 1,000 W, held for 15 more, then unknown
    assert slots.delta[4:8].tolist() == [500_000] * 4


def test_power_that_comes_later_in_order_changes_nothing() -> None:
    hourly = Readings.of([T0_MS + h * HOUR_MS for h in range(4)], [2000.0 * h for h in range(4)])
    watts = watts_of([1000.0, 3000.0, 500.0, 0.0] * 4)
    known = watts.ts_ms <= T0_MS + 3 * HOUR_MS
    so_far = Readings(watts.ts_ms[known], watts.value[known], watts.flags[known])

    assert shaped(hourly, Spread(power=shape_of(so_far))).same_as(
        shaped(hourly, Spread(power=shape_of(watts)))
    )


def test_a_profile_shapes_gaps_by_the_hours_of_the_week() -> None:
    ts = [T0_MS + i * 60_000 for i in range(60)]
    ts += [ts[-1] + DAY_MS + i * 60_000 for i in range(60)]
    counter = Readings.of(ts, [1e6 + i for i in range(60)] + [1e6 + 12_000 + i for i in range(60)])
    slots = shaped(counter, Spread(profile=EVENING))
    flat = whole(ENERGY, counter).slots

    assert int(slots.delta.sum()) == int(flat.delta.sum())
    assert np.array_equal(slots.estimated_ms, flat.estimated_ms)
    at_evening = week_hours("Europe/Paris", slots.start_ms) % 24 == 19
    assert np.ptp(slots.delta[at_evening]) <= 1
    assert abs(int(slots.delta[at_evening].sum()) - 11_941_000 * 1000 / 1230) <= 1
    outside_gap = slots.estimated_ms == 0
    assert np.array_equal(slots.delta[outside_gap], flat.delta[outside_gap])


def test_a_profile_is_what_the_hours_took_and_needs_a_week() -> None:
    count = 14 * 96
    hours = week_hours("Europe/Paris", T0_MS + SLOT_MS * np.arange(count))
    watts = np.where(hours % 24 == 19, 4000.0, 400.0)
    counter = Readings.of(
        (T0_MS + SLOT_MS * np.arange(count + 1)).tolist(),
        np.concatenate([[1e6], 1e6 + np.cumsum(watts / 4)]).tolist(),
    )
    slots = whole(replace(ENERGY, interval_ms=SLOT_MS), counter).slots
    profile = Profile.of(slots, "Europe/Paris")

    assert profile is not None
    assert [profile.weights[hour] for hour in (18, 19, 20, 43)] == [100_000, 1_000_000, 100_000, 1_000_000]
    assert Profile.of(slots.take(slice(0, 600)), "Europe/Paris") is None


def test_weeks_of_zones_with_half_hours_and_changes() -> None:
    monday = 1_764_547_200_000  # 2025-12-01 00:00 UTC
    assert week_hours("UTC", np.array([monday, monday - 1])).tolist() == [0, 167]
    assert week_hours(
        "Asia/Kathmandu", np.array([monday + 15 * 60_000 - 1, monday + 15 * 60_000])
    ).tolist() == [5, 6]
    sunday = 1_774_746_000_000  # 2026-03-29 01:00 UTC, when Paris goes from 2 to 3
    assert week_hours("Europe/Paris", np.array([sunday - 1, sunday])).tolist() == [145, 147]


def test_joined_steps_keep_sums_and_end_at_the_step() -> None:
    t0 = np.array([0, 10, 20, 30, 50, 60])
    t1 = np.array([10, 20, 30, 40, 60, 70])
    opens, ends, amount = steps_joined(t0, t1, np.array([0, 0, 7, 0, 0, 5]))

    assert opens.tolist() == [0, 30, 50]
    assert ends.tolist() == [30, 40, 70]
    assert amount.tolist() == [7, 0, 5]


@settings(UNDER_LOAD, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 4_000_000), st.integers(0, 10**12)), min_size=1, max_size=12),
    st.integers(0, 2**32 - 1),
)
def test_shares_add_up_and_are_never_negative(intervals: list[tuple[int, int]], seed: int) -> None:
    ends = T0_MS + np.cumsum([length for length, _ in intervals])
    t0 = np.concatenate([[T0_MS], ends[:-1]])
    amount = np.array([whole for _, whole in intervals])
    pieces = cut(t0, ends)
    weight = np.random.default_rng(seed).integers(0, 10**15, len(pieces.of))
    parts = shaped_by(pieces, amount, weight)

    assert np.bincount(pieces.of, parts.astype(np.float64)).tolist() == amount.astype(np.float64).tolist()
    assert parts.min() >= 0


@settings(UNDER_LOAD, max_examples=40)
@given(counter_streams(), gauge_streams(), st.lists(st.integers(0, 10**6), max_size=4))
def test_parts_of_a_shaped_counter_equal_the_whole(
    counter: Readings, watts: Readings, cuts: list[int]
) -> None:
    spread = Spread(EVENING, shape_of(watts))
    first = int(counter.ts_ms[0]) // SLOT_MS * SLOT_MS - SLOT_MS
    last = int(counter.ts_ms[-1]) + SLOT_MS
    last += -last % SLOT_MS
    borders = sorted({first, last, *(first + at % ((last - first) // SLOT_MS) * SLOT_MS for at in cuts)})
    parts = [derive_part(ENERGY, counter, a, b, spread).slots for a, b in itertools.pairwise(borders)]
    everything = shaped(counter, spread)

    assert SlotColumns.joined(parts).same_as(everything)
    assert int(everything.delta.sum()) == int(whole(ENERGY, counter).slots.delta.sum())
