"""The counter table of the design, row by row, and streams with a known true energy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.slots import SLOT_MS, Readings, Rule, SlotColumns
from hub.model.quality import Flag
from tests.hub.energy.streams import ENERGY, GAS, HOUR_MS, T0_MS, UNDER_LOAD, whole

STEP_MS = 10_000
START_WH = 100_000.0


def steady(
    count: int = 400, step_ms: int = STEP_MS, rise_wh: float = 5.0, first: float = START_WH
) -> Readings:
    """A register that counts evenly."""
    ts = T0_MS + step_ms * np.arange(count)
    return Readings.of(ts.tolist(), (first + rise_wh * np.arange(count)).tolist())


def shown(readings: Readings, at: int, values: list[float]) -> Readings:
    """The same with other values shown from position ``at``."""
    value = readings.value.copy()
    value[at : at + len(values)] = values
    return replace(readings, value=value)


def total_wh(slots: SlotColumns) -> float:
    return int(slots.delta.sum()) / 1000


def flags(slots: SlotColumns) -> Flag:
    return Flag(int(np.bitwise_or.reduce(slots.flags)))


TRUE_WH = 399 * 5.0


@pytest.mark.parametrize(
    ("values", "suspect_readings"),
    [
        pytest.param([0.0], 1, id="one false zero"),
        pytest.param([0.0] * 3, 3, id="three false zeros"),
        pytest.param([0.0] * 90, 90, id="false zeros for 15 minutes"),
        pytest.param([50_000.0, 80_000.0], 2, id="dip"),
        pytest.param([4e6], 1, id="spike"),
        pytest.param([4e6, 0.0, 9e7], 3, id="nonsense both ways"),
        pytest.param([float("nan")], 1, id="no number"),
        pytest.param([1e300], 1, id="no measurement"),
    ],
)
def test_readings_that_are_taken_back_cost_no_energy(values: list[float], suspect_readings: int) -> None:
    slots = whole(ENERGY, shown(steady(), 150, values)).slots

    assert total_wh(slots) == TRUE_WH
    assert int(slots.suspect_ms.sum()) == suspect_readings * STEP_MS
    assert int((slots.measured_ms + slots.suspect_ms).sum()) == 399 * STEP_MS
    assert flags(slots) is Flag.NONE


def test_jitter_costs_nothing_and_is_not_suspect() -> None:
    clean = steady(rise_wh=0.0)
    slots = whole(ENERGY, shown(clean, 100, [START_WH - 50, START_WH, START_WH - 99.0, START_WH - 1.0])).slots

    assert total_wh(slots) == 0
    assert int(slots.suspect_ms.sum()) == 0


def test_resolution_widens_what_counts_as_jitter() -> None:
    coarse = replace(ENERGY, resolution=1000.0)
    clean = steady(rise_wh=0.0)
    slots = whole(coarse, shown(clean, 100, [START_WH - 1000.0])).slots

    assert total_wh(slots) == 0
    assert int(slots.suspect_ms.sum()) == 0


def test_a_fall_by_noise_that_stays_is_taken_over_without_energy() -> None:
    slow = steady(rise_wh=0.05)
    readings = replace(slow, value=slow.value - np.where(np.arange(400) < 200, 0.0, 60.0))
    slots = whole(ENERGY, readings).slots

    assert total_wh(slots) == pytest.approx(398 * 0.05)
    assert flags(slots) is Flag.NONE


def test_reset_books_what_was_counted_since_zero() -> None:
    readings = shown(steady(), 200, (2.0 + 5.0 * np.arange(200)).tolist())
    slots = whole(ENERGY, readings).slots

    assert total_wh(slots) == TRUE_WH - 3.0
    assert flags(slots) is Flag.RESET
    assert int(slots.estimated_ms.sum()) == STEP_MS
    assert slots.flags[np.searchsorted(slots.start_ms, T0_MS + 200 * STEP_MS, side="right") - 1] == Flag.RESET


def test_reset_of_a_small_register_that_soon_passes_its_old_value() -> None:
    readings = shown(steady(first=0.0), 20, (2.0 + 5.0 * np.arange(380)).tolist())
    slots = whole(ENERGY, readings).slots

    assert total_wh(slots) == pytest.approx(TRUE_WH, abs=5.0)
    assert flags(slots) is Flag.RESET


@pytest.mark.parametrize("width_wh", [65_536.0, 2.0**32])
def test_rollover_of_a_known_width_is_exact(width_wh: float) -> None:
    straight = steady(first=width_wh - 777.0)
    readings = replace(straight, value=straight.value % width_wh)
    slots = whole(replace(ENERGY, register_width=width_wh), readings).slots

    assert total_wh(slots) == TRUE_WH
    assert flags(slots) is Flag.ROLLOVER


def test_rise_over_a_gap_is_real_and_estimated() -> None:
    ts = [T0_MS + STEP_MS * i for i in range(60)]
    after = ts[-1] + 6 * HOUR_MS
    ts += [after + STEP_MS * i for i in range(60)]
    value = [START_WH + i for i in range(60)] + [START_WH + 6059 + i for i in range(60)]
    slots = whole(ENERGY, Readings.of(ts, value)).slots

    assert total_wh(slots) == 6118
    assert int(slots.estimated_ms.sum()) == 6 * HOUR_MS
    between = slots.take((slots.estimated_ms == SLOT_MS).nonzero()[0])
    assert len(between) == 23
    assert set(between.delta.tolist()) == {250_000}
    assert set(between.flags.tolist()) == {int(Flag.GAP)}


def test_a_jump_that_stays_is_never_booked() -> None:
    readings = shown(steady(), 200, (9e6 + 5.0 * np.arange(200)).tolist())
    slots = whole(ENERGY, readings).slots

    assert total_wh(slots) == TRUE_WH - 5.0
    assert int(slots.suspect_ms.sum()) == STEP_MS
    assert flags(slots) is Flag.RESET


def test_a_register_that_stood_still_may_catch_up() -> None:
    readings = shown(steady(), 200, [START_WH + 200 * 5.0] * 80)
    limit_w = 5_000.0
    slots = whole(replace(ENERGY, physical_limit=limit_w), readings).slots

    assert total_wh(slots) == TRUE_WH
    assert int(slots.suspect_ms.sum()) == 0
    assert slots.delta.max() / 1000 <= limit_w / 4


def test_a_coarse_digit_without_known_resolution_loses_nothing() -> None:
    ts = T0_MS + 1000 * np.arange(4000)
    true_wh = 4_000_000.0 + np.arange(4000) * 3000 / 3600
    readings = Readings.of(ts.tolist(), (np.floor(true_wh / 100) * 100).tolist())
    slots = whole(ENERGY, readings).slots

    assert total_wh(slots) == readings.value[-1] - readings.value[0]


def test_an_open_dip_waits_and_invents_nothing() -> None:
    readings = shown(steady(), 395, [0.0] * 5)
    found = whole(ENERGY, readings)

    assert total_wh(found.slots) == 394 * 5.0
    assert int(found.slots.suspect_ms.sum()) == 5 * STEP_MS
    assert not found.tail.ready


def test_registers_up_to_the_largest_value_neither_wrap_nor_crash() -> None:
    slots = whole(ENERGY, steady(first=9e14, rise_wh=64.0)).slots
    assert total_wh(slots) == 399 * 64.0

    slots = whole(GAS, Readings.of([T0_MS, T0_MS + 1000, T0_MS + 2000], [1e15, 1.0, 1e15])).slots
    assert int(slots.delta.sum()) == 0
    assert int(slots.suspect_ms.sum()) == 1000


@dataclass(frozen=True, slots=True)
class Truth:
    """A faulty stream beside what really flowed."""

    readings: Readings
    energy_wh: float
    resets: int
    largest_interval_wh: float


EXACT = ["zero", "long zero", "dip", "jitter", "spike", "spikes", "late", "gap", "stall", "burst", "rollover"]
WIDTH_WH = 1e6


@st.composite
def true_streams(draw: st.DrawFn, faults: list[str]) -> Truth:
    """Consumption up to 20 kW, metered every step, with faults at least half an hour apart."""
    step_ms = draw(st.sampled_from([10_000, 30_000, 60_000]))
    apart = 2_400_000 // step_ms
    chosen = draw(st.lists(st.sampled_from(faults), min_size=1, max_size=6))
    count = apart * (len(chosen) + 1)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    used = np.round(random.uniform(0, 20_000, count) * step_ms / 3_600_000, 3)
    used[0] = 0.0
    wraps = int(random.integers(1, count - apart // 2)) if "rollover" in chosen else 0
    first = WIDTH_WH - float(np.cumsum(used)[wraps]) if wraps else 200_000.0
    shown = np.round((first + np.cumsum(used)) % WIDTH_WH, 3)
    ts = T0_MS + step_ms * np.arange(count)
    late = np.zeros(count, np.uint8)
    resets = 0
    for number, fault in enumerate(chosen, start=1):
        at = number * apart + int(random.integers(0, 20))
        if abs(at - wraps) < apart // 2 and fault != "reset":
            continue
        rows = slice(at, at + draw(st.integers(1, 3)))
        match fault:
            case "zero":
                shown[rows] = 0.0
            case "long zero":
                shown[at : at + 1_200_000 // step_ms] = 0.0
            case "dip":
                shown[rows] -= np.abs(shown[rows]) * random.uniform(0.01, 0.9)
            case "jitter":
                shown[rows] = shown[rows.start - 1] * (1 - random.uniform(0, 0.0009))
            case "spike":
                shown[rows] += random.uniform(1e5, 1e8)
            case "spikes":
                shown[rows] += random.uniform(1e5, 1e8, len(shown[rows]))
            case "late":
                late[rows] = 1
            case "gap":
                ts[at:] += int(random.integers(300_001, 40 * 86_400_000))
            case "stall":
                shown[at : at + 600_000 // step_ms] = shown[at]
            case "burst":
                ts[rows] = ts[rows.stop] - np.arange(rows.stop - rows.start, 0, -1)
            case "reset":
                left = random.uniform(0, 1) * used[at]
                shown[at:] = np.round(np.cumsum(used[at:]) - used[at] + left, 3)
                resets += 1
            case _:
                pass
    largest = 20_000 * step_ms / 3_600_000
    return Truth(Readings.of(ts.tolist(), shown.tolist(), late.tolist()), float(used.sum()), resets, largest)


RATED = replace(ENERGY, register_width=WIDTH_WH, physical_limit=25_000.0)


@settings(UNDER_LOAD, max_examples=150)
@given(true_streams(EXACT), st.sampled_from([RATED, replace(ENERGY, register_width=WIDTH_WH)]))
def test_faults_that_are_taken_back_have_no_error(truth: Truth, rule: Rule) -> None:
    slots = whole(rule, truth.readings).slots

    assert total_wh(slots) == pytest.approx(truth.energy_wh, abs=0.002)
    assert slots.delta.min() >= 0
    assert slots.delta.max() / 1000 <= (rule.physical_limit or 250_000) / 4 + 0.1


@settings(UNDER_LOAD, max_examples=100)
@given(true_streams(["reset", "reset", "late", "jitter"]))
def test_each_reset_costs_at_most_one_interval(truth: Truth) -> None:
    slots = whole(ENERGY, truth.readings).slots

    missing_wh = truth.energy_wh - total_wh(slots)
    assert -0.002 <= missing_wh <= truth.resets * truth.largest_interval_wh + 0.002
    assert slots.delta.min() >= 0
