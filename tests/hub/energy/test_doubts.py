"""What is kept aside is listed with what it would book; what is decided, by readings or a person, is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hub.energy.counter import Why
from hub.energy.doubts import OpenDoubt, open_doubts
from hub.energy.slots import Readings, Rule
from hub.model.quality import ReadingFlag
from hub.model.series import Behaviour
from hub.model.units import Quantity
from tests.hub.energy.streams import ENERGY, PULSES, T0_MS, whole
from tests.hub.energy.test_counter import STEP_MS, shown, steady, total_wh
from tests.hub.energy.test_counter_faults import judged


def all_doubts(rule: Rule, readings: Readings) -> list[OpenDoubt]:
    return open_doubts(rule, readings, T0_MS, T0_MS + 10 * 86_400_000, from_first=True)


def jumped(by_wh: float) -> Readings:
    readings = steady()
    return replace(readings, value=readings.value + np.where(np.arange(400) < 200, 0.0, by_wh))


def test_a_jump_that_stays_waits_until_it_is_accepted_and_books_what_was_said() -> None:
    (doubt,) = all_doubts(ENERGY, jumped(9e6))
    at = T0_MS + 200 * STEP_MS
    assert doubt == OpenDoubt(at - STEP_MS, at, 100_995.0, 9_101_000.0, 9_000_005.0, Why.JUMP)

    accepted = judged(jumped(9e6), 200, ReadingFlag.ACCEPTED)
    assert all_doubts(ENERGY, accepted) == []
    gained = total_wh(whole(ENERGY, accepted).slots) - total_wh(whole(ENERGY, jumped(9e6)).slots)
    assert gained == doubt.amount


def test_a_fall_that_stays_waits() -> None:
    (doubt,) = all_doubts(ENERGY, jumped(-30_000.0))
    assert (doubt.before, doubt.after, doubt.why) == (100_995.0, 71_000.0, Why.FALL)
    assert all_doubts(ENERGY, judged(jumped(-30_000.0), 200, ReadingFlag.ACCEPTED)) == []


@pytest.mark.parametrize("values", [[0.0] * 10, [9e9], [50_000.0] * 5, [100_740.0]])
def test_what_readings_decided_is_not_listed(values: list[float]) -> None:
    assert all_doubts(ENERGY, shown(steady(), 150, values)) == []


def test_an_open_spike_waits_for_readings() -> None:
    (doubt,) = all_doubts(ENERGY, shown(steady(), 395, [9e6] * 5))
    assert (doubt.why, doubt.start_ms, doubt.end_ms) == (
        Why.WAITING, T0_MS + 394 * STEP_MS, T0_MS + 399 * STEP_MS,
    )  # fmt: skip
    assert doubt.amount == 9e6 - 101_970.0


def test_only_doubts_of_the_range_are_listed() -> None:
    at = T0_MS + 200 * STEP_MS
    assert open_doubts(ENERGY, jumped(9e6), at, at + 1, from_first=True) == []
    assert len(open_doubts(ENERGY, jumped(9e6), at - 1, at, from_first=True)) == 1


def test_values_and_amounts_beyond_the_limit_are_listed_until_judged() -> None:
    power = Rule(Behaviour.GAUGE, Quantity.POWER, physical_limit=5000.0)
    watts = Readings.of([T0_MS + i * 60_000 for i in range(5)], [1000.0, 1000.0, 9000.0, 1000.0, 1000.0])
    (doubt,) = all_doubts(power, watts)
    assert (doubt.before, doubt.after, doubt.amount, doubt.why) == (1000.0, 9000.0, None, Why.LIMIT)
    assert all_doubts(power, judged(watts, 2, ReadingFlag.REJECTED)) == []

    pulses = replace(PULSES, physical_limit=5000.0)
    amounts = Readings.of([T0_MS + i * 60_000 for i in range(4)], [1.0, 1.0, 900.0, 1.0])
    assert [one.amount for one in all_doubts(pulses, amounts)] == [900.0]
    assert all_doubts(pulses, judged(amounts, 2, ReadingFlag.ACCEPTED)) == []
