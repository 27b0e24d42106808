"""Faults of real meters, each with the energy that really flowed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hub.energy.counter import CONFIRM_MS, CONFIRM_READINGS
from hub.energy.slots import SLOT_MS, Readings, Rule, SlotColumns
from hub.model.quality import Flag, ReadingFlag
from hub.model.series import Behaviour
from hub.model.units import Quantity
from tests.hub.energy.streams import ENERGY, HOUR_MS, T0_MS, whole
from tests.hub.energy.test_counter import STEP_MS, flags, shown, steady, total_wh

WATER = Rule(Behaviour.COUNTER, Quantity.WATER)
RATED = replace(ENERGY, physical_limit=11_000.0)


def minutes(slots: SlotColumns, quality: str) -> float:
    return int(getattr(slots, quality).sum(dtype=np.int64)) / 60_000


def late_by(readings: Readings, at: int, gap_ms: int) -> Readings:
    """A gap before position ``at``."""
    return replace(readings, ts_ms=readings.ts_ms + np.where(np.arange(len(readings)) >= at, gap_ms, 0))


# --- false zeros


@pytest.mark.parametrize("step_ms", [1000, 10_000, 60_000, 300_000, 900_000])
@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_false_zeros_at_any_pace(step_ms: int, count: int) -> None:
    slots = whole(ENERGY, shown(steady(step_ms=step_ms), 150, [0.0] * count)).slots

    assert total_wh(slots) == 399 * 5.0
    assert minutes(slots, "suspect_ms") == count * step_ms / 60_000
    assert Flag.RESET not in flags(slots)


@pytest.mark.parametrize("hours", [0.5, 3, 10, 16])
def test_a_register_that_shows_zero_all_night_and_comes_back(hours: float) -> None:
    count = round(hours * 60)
    night = steady(count=count + 400, step_ms=60_000)
    slots = whole(ENERGY, shown(night, 200, [0.0] * count)).slots

    assert total_wh(slots) == (count + 399) * 5.0
    assert minutes(slots, "suspect_ms") == count
    assert flags(slots) is Flag.NONE


@pytest.mark.parametrize("count", [1, 2, 10, 200])
def test_false_zeros_at_the_very_start_invent_nothing(count: int) -> None:
    slots = whole(ENERGY, shown(steady(), 0, [0.0] * count)).slots

    assert total_wh(slots) == (399 - count) * 5.0
    assert minutes(slots, "measured_ms") == (399 - count) / 6


def test_false_zeros_at_the_very_start_are_no_standstill_of_the_register_after_them() -> None:
    """A rise too fast for its time, right after the first true value, is not spread back over the zeros."""
    register = [0.0] * 120 + [1e6] + (1_001_100.0 + 3.0 * np.arange(199)).tolist()
    ts_ms = [T0_MS + 10_000 * row for row in range(len(register))]
    slots = whole(ENERGY, Readings.of(ts_ms, register)).slots

    assert total_wh(slots) == 1100.0 + 198 * 3.0


def test_zero_then_a_slow_rise_is_a_reset() -> None:
    slots = whole(ENERGY, shown(steady(), 150, (0.05 * np.arange(250)).tolist())).slots

    assert total_wh(slots) == pytest.approx(149 * 5 + 249 * 0.05)
    assert flags(slots) is Flag.RESET


def test_a_ramp_back_from_zero_that_physics_forbids_is_no_reset() -> None:
    slots = whole(ENERGY, shown(steady(), 150, [0.0, 2e4, 4e4, 6e4, 8e4])).slots

    assert total_wh(slots) == 399 * 5.0
    assert flags(slots) is Flag.NONE


def test_a_false_zero_after_which_the_register_shows_a_little_less() -> None:
    still = steady(rise_wh=0.0, first=230.4)
    slots = whole(ENERGY, shown(still, 150, [0.0, *([230.2] * 249)])).slots

    assert total_wh(slots) == 0
    assert flags(slots) is Flag.NONE


def test_an_open_zero_is_no_reset_until_it_counts() -> None:
    open_end = whole(ENERGY, shown(steady(), 200, [0.0] * 200))
    assert total_wh(open_end.slots) == 199 * 5.0
    assert not open_end.tail.ready

    counts = whole(ENERGY, shown(steady(count=800), 200, [0.0] * 200 + (5.0 * np.arange(1, 401)).tolist()))
    assert total_wh(counts.slots) == 199 * 5.0 + 400 * 5.0
    assert flags(counts.slots) is Flag.RESET


# --- resets, rollovers, registers that were exchanged


@pytest.mark.parametrize("left_wh", [0.0, 0.3, 4.9])
def test_reset_to_a_small_value(left_wh: float) -> None:
    slots = whole(ENERGY, shown(steady(), 200, (left_wh + 5.0 * np.arange(200)).tolist())).slots

    assert 0 <= 399 * 5.0 - total_wh(slots) <= 5.0
    assert flags(slots) is Flag.RESET


def test_reset_and_the_old_register_again_after_hours() -> None:
    low = 5.0 * np.arange(1, 1081)  # three hours
    readings = shown(steady(count=2000), 400, low.tolist())
    slots = whole(ENERGY, readings).slots

    assert total_wh(slots) == 399 * 5.0 + 1080 * 5.0 + 519 * 5.0
    assert minutes(slots, "suspect_ms") == 1 / 6
    assert flags(slots) is Flag.RESET


def test_a_register_set_back_to_what_it_had_saved_books_nothing_twice() -> None:
    saved = steady()
    slots = whole(ENERGY, replace(saved, value=saved.value - np.where(np.arange(400) < 200, 0, 9000.0))).slots

    assert total_wh(slots) == 398 * 5.0
    assert minutes(slots, "suspect_ms") == 1 / 6


@pytest.mark.parametrize("gap_ms", [6 * HOUR_MS, 40 * 24 * HOUR_MS])
def test_another_register_after_a_gap_is_not_booked(gap_ms: int) -> None:
    far = late_by(shown(steady(first=2e7), 200, (9e6 + 5.0 * np.arange(200)).tolist()), 200, gap_ms)
    assert total_wh(whole(ENERGY, far).slots) == 398 * 5.0


def test_reset_inside_a_gap_books_what_was_counted_since() -> None:
    readings = late_by(shown(steady(), 200, (3600.0 + 5.0 * np.arange(200)).tolist()), 200, 6 * HOUR_MS)
    slots = whole(ENERGY, readings).slots

    assert total_wh(slots) == 398 * 5.0 + 3600.0
    assert flags(slots) == Flag.RESET | Flag.GAP


@pytest.mark.parametrize("gap_ms", [0, 6 * HOUR_MS])
@pytest.mark.parametrize("width_wh", [65_536.0, 2.0**32, 1e9])
def test_rollover_at_any_width_and_over_a_gap(width_wh: float, gap_ms: int) -> None:
    straight = steady(first=width_wh - 777.0)
    readings = late_by(replace(straight, value=straight.value % width_wh), 156, gap_ms)
    slots = whole(replace(ENERGY, register_width=width_wh), readings).slots

    assert total_wh(slots) == 399 * 5.0
    assert Flag.ROLLOVER in flags(slots)


def test_a_reset_in_a_long_gap_is_no_rollover_of_a_large_register() -> None:
    readings = shown(steady(first=8e8), 200, (100.0 + 5.0 * np.arange(200)).tolist())
    slots = whole(replace(ENERGY, register_width=1e9), late_by(readings, 200, 40 * 24 * HOUR_MS)).slots

    assert total_wh(slots) == 398 * 5.0 + 100.0
    assert flags(slots) == Flag.RESET | Flag.GAP


def test_rollover_of_an_unknown_width_costs_one_interval() -> None:
    straight = steady(first=1e9 - 777.0)
    slots = whole(ENERGY, replace(straight, value=straight.value % 1e9)).slots

    assert 0 <= 399 * 5.0 - total_wh(slots) <= 5.0


# --- spikes


@pytest.mark.parametrize("rule", [ENERGY, RATED])
@pytest.mark.parametrize(
    "values",
    [
        pytest.param([1e9], id="once"),
        pytest.param([1e9, 2e9], id="two in a row"),
        pytest.param([1e9, 101_000.0, 1e9], id="again at once"),
        pytest.param([1e9] * 80, id="for a while"),
        pytest.param([140_000.0] * 80, id="that physics would allow later"),
    ],
)
def test_spikes_that_come_back(rule: Rule, values: list[float]) -> None:
    slots = whole(rule, shown(steady(), 150, values)).slots
    assert total_wh(slots) == 399 * 5.0


@pytest.mark.parametrize("jump_wh", [10_000.0, 50_000.0, 1e6, 1e9])
def test_spikes_that_stay_are_not_booked(jump_wh: float) -> None:
    high = steady()
    slots = whole(ENERGY, replace(high, value=high.value + np.where(np.arange(400) < 200, 0, jump_wh))).slots

    assert total_wh(slots) == 398 * 5.0
    assert minutes(slots, "suspect_ms") == 1 / 6


def test_a_meter_that_sends_another_unit_is_not_booked() -> None:
    value = steady().value
    slots = whole(RATED, replace(steady(), value=np.where(np.arange(400) < 200, value, value * 1000))).slots

    assert total_wh(slots) == 199 * 5.0
    assert minutes(slots, "suspect_ms") == 200 / 6


def test_the_first_reading_of_all_may_be_the_spike() -> None:
    slots = whole(ENERGY, shown(steady(), 0, [1e9])).slots
    assert total_wh(slots) == 398 * 5.0


def test_spikes_of_a_water_meter() -> None:
    readings = steady(rise_wh=0.002, first=431.7)
    slots = whole(WATER, shown(readings, 150, [1e9, 0.0])).slots
    assert int(slots.delta.sum()) == 399 * 2000


def test_readings_that_came_in_one_burst() -> None:
    readings = steady()
    ts = readings.ts_ms.copy()
    ts[100:160] = ts[160] - 60 + np.arange(60)
    slots = whole(RATED, replace(readings, ts_ms=ts)).slots

    assert total_wh(slots) == 399 * 5.0
    assert minutes(slots, "suspect_ms") == 0


# --- standstills and coarse registers


@pytest.mark.parametrize("rule", [ENERGY, RATED])
def test_a_register_that_stands_for_hours_and_jumps(rule: Rule) -> None:
    count = 5 * 360
    stood_wh = 100_745.0
    values = [stood_wh] * (count - 1) + [stood_wh + 45_000.0]
    readings = shown(steady(count=count + 400), 150, values)
    value = readings.value.copy()
    value[149 + count :] = values[-1] + 5.0 * np.arange(len(value) - 149 - count)
    slots = whole(rule, replace(readings, value=value)).slots

    assert total_wh(slots) == value[-1] - value[0]
    assert slots.delta.max() / 1000 <= 45_000 / 4 / 5 * 1.01 + 450
    assert minutes(slots, "suspect_ms") == 0
    assert minutes(slots, "estimated_ms") == pytest.approx(5 * 60, abs=1)


@pytest.mark.parametrize("first_wh", [0.0, 1000.0, 5_000_000.0])
@pytest.mark.parametrize("resolution", [None, 1000.0])
@pytest.mark.parametrize("power_w", [150.0, 1000.0, 9000.0])
def test_whole_kilowatt_hours_every_ten_seconds(
    first_wh: float, resolution: float | None, power_w: float
) -> None:
    ts = T0_MS + STEP_MS * np.arange(12 * 360)
    true_wh = first_wh + power_w * np.arange(12 * 360) / 360
    readings = Readings.of(ts.tolist(), (np.floor(true_wh / 1000) * 1000).tolist())
    slots = whole(replace(ENERGY, resolution=resolution), readings).slots

    assert total_wh(slots) == readings.value[-1] - first_wh
    assert minutes(slots, "suspect_ms") == 0
    assert flags(slots) is Flag.NONE


def test_a_coarse_digit_that_flickers() -> None:
    value = np.repeat([5000.0, 6000.0, 7000.0], 360)
    value[358], value[361] = 6000.0, 5000.0
    readings = Readings.of((T0_MS + STEP_MS * np.arange(1080)).tolist(), value.tolist())

    for rule in (ENERGY, RATED):
        slots = whole(rule, readings).slots
        assert total_wh(slots) == 2000.0


# --- noise, direction, sign


def test_noise_of_a_standing_register_is_not_counted_again_and_again() -> None:
    noise = np.random.default_rng(3).uniform(-100, 100, 8640)
    readings = Readings.of((T0_MS + STEP_MS * np.arange(8640)).tolist(), (1e6 + noise).tolist())
    slots = whole(ENERGY, readings).slots

    assert total_wh(slots) <= 500  # a few times its height in a day, not once every minute
    assert minutes(slots, "suspect_ms") == 0


def test_tiny_noise_on_a_counting_register_costs_nothing() -> None:
    readings = steady(count=2000, rise_wh=0.5)
    noise = np.random.default_rng(4).uniform(-0.002, 0.002, 2000)
    slots = whole(ENERGY, replace(readings, value=readings.value + noise)).slots

    assert total_wh(slots) == pytest.approx(1999 * 0.5, abs=0.01)


def test_a_counter_that_counts_down_gives_no_energy_and_is_suspect() -> None:
    slots = whole(ENERGY, steady(rise_wh=-5.0)).slots

    assert total_wh(slots) == 0
    assert minutes(slots, "suspect_ms") > 40


def test_negative_registers_count_as_others() -> None:
    readings = shown(steady(first=-1000.0), 100, [-501.0, 9e9])
    slots = whole(ENERGY, readings).slots

    assert total_wh(slots) == 399 * 5.0
    assert flags(slots) is Flag.NONE


# --- time


@pytest.mark.parametrize("gap_ms", [6 * HOUR_MS, 40 * 24 * HOUR_MS])
def test_gaps_of_any_length_are_real_and_estimated(gap_ms: int) -> None:
    readings = late_by(steady(), 200, gap_ms - STEP_MS)
    value = readings.value + np.where(np.arange(400) < 200, 0, 7000.0)
    slots = whole(ENERGY, replace(readings, value=value)).slots

    assert total_wh(slots) == 399 * 5.0 + 7000.0
    assert minutes(slots, "estimated_ms") == gap_ms / 60_000
    assert Flag.GAP in flags(slots)


def test_a_clock_that_runs_back_for_a_while_changes_no_sum() -> None:
    readings = steady(count=800)
    back = np.arange(400, 440)
    ts = readings.ts_ms.copy()
    ts[back] -= HOUR_MS + 3000
    slots = whole(ENERGY, Readings.of(ts.tolist(), readings.value.tolist())).slots

    assert total_wh(slots) == 799 * 5.0
    assert slots.delta.min() >= 0


def test_duplicates_and_three_days_of_delay_change_no_energy() -> None:
    readings = steady()
    rows = list(zip(readings.ts_ms.tolist(), readings.value.tolist(), [0] * 400, strict=True))
    late = [(ts, value, ReadingFlag.LATE) for ts, value, _ in rows[100:200]]
    again = [(ts, value + 1000, 0) for ts, value, _ in rows[::7]]
    arrived = Readings.of(*zip(*(rows[:100] + rows[200:] + late + again), strict=True))
    slots = whole(ENERGY, arrived).slots

    assert total_wh(slots) == 399 * 5.0
    assert minutes(slots, "late_ms") == 100 / 6


def test_the_confirm_window_is_the_longer_of_three_readings_and_a_quarter() -> None:
    assert (CONFIRM_READINGS, CONFIRM_MS) == (3, 15 * 60_000)
    for step_ms, within in ((10_000, 90), (HOUR_MS, 3)):
        low = (50_000.0 + 5.0 * np.arange(within + 1)).tolist()  # neither near zero nor noise
        rule = replace(ENERGY, physical_limit=2000.0)
        inside = whole(rule, shown(steady(step_ms=step_ms), 150, low[:within])).slots
        outside = whole(rule, shown(steady(step_ms=step_ms), 150, low)).slots

        assert total_wh(inside) == 399 * 5.0
        assert flags(inside) in (Flag.NONE, Flag.GAP)
        assert total_wh(outside) < 399 * 5.0
        assert Flag.RESET in flags(outside)


@pytest.mark.parametrize(
    ("step_ms", "gap_ms", "is_gap"),
    [
        (10_000, 300_000, False),
        (10_000, 300_001, True),
        (200_000, 600_000, False),
        (200_000, 600_001, True),
    ],
)
def test_a_gap_is_longer_than_three_usual_intervals_and_than_five_minutes(
    step_ms: int, gap_ms: int, is_gap: bool
) -> None:
    slots = whole(ENERGY, late_by(steady(step_ms=step_ms), 200, gap_ms - step_ms)).slots
    assert (minutes(slots, "estimated_ms") > 0) is is_gap


def test_a_counter_without_a_rating_counts_up_to_250_kilowatts() -> None:
    for rise_wh, booked in ((250_000 / 360, True), (250_000 / 360 + 1, False)):
        slots = whole(ENERGY, steady(rise_wh=round(rise_wh, 3))).slots
        assert (total_wh(slots) > 0) is booked


# --- a person decides


def judged(readings: Readings, at: int, flag: ReadingFlag, count: int = 1) -> Readings:
    marks = readings.flags.copy()
    marks[at : at + count] |= np.uint8(flag)
    return replace(readings, flags=marks)


def test_an_accepted_jump_is_booked() -> None:
    high = steady()
    jumped = replace(high, value=high.value + np.where(np.arange(400) < 200, 0, 1e6))
    slots = whole(ENERGY, judged(jumped, 200, ReadingFlag.ACCEPTED)).slots

    assert total_wh(slots) == 399 * 5.0 + 1e6
    assert minutes(slots, "suspect_ms") == 0
    assert flags(slots) is Flag.NONE


def test_an_accepted_spike_counts_though_the_register_came_back() -> None:
    slots = whole(ENERGY, judged(shown(steady(), 150, [4e6]), 150, ReadingFlag.ACCEPTED)).slots
    assert total_wh(slots) == pytest.approx(4e6 - 100_000 + 249 * 5.0, abs=5)


def test_an_accepted_fall_begins_again_there() -> None:
    lower = shown(steady(), 200, (60_000 + 5.0 * np.arange(200)).tolist())
    slots = whole(ENERGY, judged(lower, 200, ReadingFlag.ACCEPTED)).slots

    assert total_wh(slots) == 398 * 5.0
    assert minutes(slots, "suspect_ms") == 0


def test_rejected_readings_are_ignored_though_they_look_plausible() -> None:
    slots = whole(ENERGY, judged(shown(steady(), 150, [100_800.0]), 150, ReadingFlag.REJECTED)).slots

    assert total_wh(slots) == 399 * 5.0
    assert minutes(slots, "suspect_ms") == 1 / 6
    assert int(slots.count.sum()) == 400


def test_a_person_may_also_judge_power_and_amounts() -> None:
    power = Rule(Behaviour.GAUGE, Quantity.POWER, physical_limit=5000.0)
    watts = Readings.of([T0_MS + i * 60_000 for i in range(15)], [1000.0] * 7 + [9000.0] + [1000.0] * 7)
    assert whole(power, watts).slots.max[0] == 1000.0
    assert whole(power, judged(watts, 7, ReadingFlag.ACCEPTED)).slots.max[0] == 9000.0
    assert whole(power, judged(watts, 0, ReadingFlag.REJECTED, 7)).slots.count[0] == 15

    pulses = Rule(Behaviour.DELTA, Quantity.ENERGY, physical_limit=5000.0)
    amounts = Readings.of([T0_MS + i * 60_000 for i in range(14)], [10.0] * 7 + [900.0] + [10.0] * 6)
    assert total_wh(whole(pulses, amounts).slots) == 130
    assert total_wh(whole(pulses, judged(amounts, 7, ReadingFlag.ACCEPTED)).slots) == 1030


def test_slots_carry_the_whole_of_their_time() -> None:
    slots = whole(ENERGY, late_by(shown(steady(), 150, [0.0] * 5), 300, 2 * HOUR_MS)).slots
    known = slots.measured_ms + slots.late_ms + slots.estimated_ms + slots.suspect_ms
    assert set(known[1:-1].tolist()) == {SLOT_MS}
