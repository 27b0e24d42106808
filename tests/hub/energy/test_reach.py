"""Deriving again what a change reaches gives the rows of the changed stream."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from hub.energy.derive import LOOKAHEAD_MS, LOOKAHEAD_READINGS, LOOKBACK_MS, LOOKBACK_READINGS
from hub.energy.reach import Reach, reach
from hub.energy.slots import Readings, Rule, SlotColumns
from hub.model.quality import ReadingFlag
from tests.hub.energy.streams import (
    ENERGY,
    GAS,
    POWER,
    PULSES,
    T0_MS,
    TEMPERATURE,
    counter_streams,
    delta_streams,
    derive_part,
    gauge_streams,
    holds,
    whole,
)


def reach_in(rule: Rule, stored: Readings, first_ms: int, last_ms: int) -> Reach:
    """As a caller asks over a store: with some context, and with more until it is enough."""
    factor = 1
    while True:
        low, low_ms = stored.ts_ms.searchsorted([first_ms, first_ms - factor * LOOKBACK_MS]).tolist()
        high, high_ms = stored.ts_ms.searchsorted([last_ms + 1, last_ms + factor * LOOKAHEAD_MS]).tolist()
        low = max(min(low - factor * LOOKBACK_READINGS, low_ms), 0)
        high = min(max(high + factor * LOOKAHEAD_READINGS, high_ms), len(stored))
        found = reach(rule, stored.rows(low, high), first_ms, last_ms)
        if (found.enough_before or low == 0) and (found.enough_after or high == len(stored)):
            return found
        factor *= 3


def assert_late_rows_reach_no_further(rule: Rule, full: Readings, at: int, count: int) -> None:
    at = at % len(full)
    end = min(at + count, len(full))
    keep = np.ones(len(full), np.bool_)
    keep[at:end] = False
    old = Readings(full.ts_ms[keep], full.value[keep], full.flags[keep])
    found = reach_in(rule, full, int(full.ts_ms[at]), int(full.ts_ms[end - 1]))
    rows = whole(rule, old).slots if len(old) else SlotColumns.empty()
    before = rows.take(rows.start_ms < found.start_ms)
    after = rows.take(rows.start_ms >= found.end_ms)
    middle = derive_part(rule, full, found.start_ms, found.end_ms).slots
    assert SlotColumns.joined([before, middle, after]).same_as(whole(rule, full).slots)


@holds(30, gauge_streams(), st.integers(0, 1000), st.integers(1, 9))
def test_late_gauge_readings(full: Readings, at: int, count: int) -> None:
    assert_late_rows_reach_no_further(POWER, full, at, count)
    assert_late_rows_reach_no_further(TEMPERATURE, full, at, count)


@holds(40, counter_streams(), st.integers(0, 1000), st.integers(1, 9))
def test_late_counter_readings(full: Readings, at: int, count: int) -> None:
    assert_late_rows_reach_no_further(ENERGY, full, at, count)
    assert_late_rows_reach_no_further(GAS, full, at, count)


@holds(30, delta_streams(), st.integers(0, 1000), st.integers(1, 9))
def test_late_amounts(full: Readings, at: int, count: int) -> None:
    assert_late_rows_reach_no_further(PULSES, full, at, count)


def test_a_first_reading_that_a_person_rejected_before_zeros_that_turn_out_false() -> None:
    minute_ms = 60_000
    zeros = [30, 60, 90, 91, 92, 93]
    ts_ms = [T0_MS + at * minute_ms for at in [0, *zeros, *range(94, 130)]]
    values = [0.0] * (1 + len(zeros)) + [104.0 + at for at in range(36)]
    flags = [int(ReadingFlag.REJECTED)] + [0] * (len(ts_ms) - 1)
    full = Readings.of(ts_ms, values, flags)

    for at in range(1, 6):
        assert_late_rows_reach_no_further(GAS, full, at, 5)


def test_amounts_behind_readings_that_are_nonsense() -> None:
    hours = Readings.of([T0_MS + at * 3_600_000 for at in range(6)], [float("inf")] * 2 + [5.0] * 4)

    for at in range(1, 6):
        assert_late_rows_reach_no_further(PULSES, hours, at, 1)
