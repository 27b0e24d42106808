"""Streams of readings for the tests of the energy core: with known true energy, and with faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.energy.derive import (
    LOOKAHEAD_MS,
    LOOKAHEAD_READINGS,
    LOOKBACK_MS,
    LOOKBACK_READINGS,
    Derived,
    derive,
)
from hub.energy.slots import SLOT_MS, Readings, Rule
from hub.energy.spread import Spread
from hub.model.series import Behaviour
from hub.model.units import Quantity

UNDER_LOAD = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
"""A busy machine must not fail a property."""

MANY = 400


def holds(
    few: int, *strategies: st.SearchStrategy[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A property that is costly to try: a few examples in each run of the tests, :data:`MANY` in the slow ones."""

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        def test(examples: int) -> None:
            settings(UNDER_LOAD, max_examples=examples)(given(*strategies)(check))()

        test.__name__, test.__qualname__, test.__module__ = (
            check.__name__,
            check.__qualname__,
            check.__module__,
        )
        runs = [pytest.param(few, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.slow)]
        return pytest.mark.parametrize("examples", runs)(test)

    return decorate


T0_MS = 1_764_547_200_000  # 2025-12-01 00:00 UTC
HOUR_MS = 3_600_000
POWER = Rule(Behaviour.GAUGE, Quantity.POWER)
TEMPERATURE = Rule(Behaviour.GAUGE, Quantity.TEMPERATURE)
PRICE = Rule(Behaviour.GAUGE, Quantity.PRICE, hold=True)
ENERGY = Rule(Behaviour.COUNTER, Quantity.ENERGY)
GAS = Rule(Behaviour.COUNTER, Quantity.GAS)
PULSES = Rule(Behaviour.DELTA, Quantity.ENERGY)


@dataclass(frozen=True, slots=True)
class Range:
    """A slot-aligned range of a stream."""

    start_ms: int
    end_ms: int


def whole(rule: Rule, readings: Readings) -> Derived:
    """Everything of a stream."""
    first, last = int(readings.ts_ms[0]) - SLOT_MS, int(readings.ts_ms[-1]) + SLOT_MS
    return derive(rule, readings, first, last, from_first=True, to_last=True)


def derive_part(
    rule: Rule, stored: Readings, start_ms: int, end_ms: int, spread: Spread | None = None
) -> Derived:
    """As a caller does it over a store: ask with the published context, and for more until it is enough."""
    back, ahead = 1, 1
    while True:
        low, low_ms = stored.ts_ms.searchsorted([start_ms, start_ms - back * LOOKBACK_MS]).tolist()
        high, high_ms = stored.ts_ms.searchsorted([end_ms, end_ms + ahead * LOOKAHEAD_MS]).tolist()
        low = max(min(low - back * LOOKBACK_READINGS, low_ms), 0)
        high = min(max(high + ahead * LOOKAHEAD_READINGS, high_ms), len(stored))
        found = derive(
            rule,
            stored.rows(low, high),
            start_ms,
            end_ms,
            from_first=low == 0,
            to_last=high == len(stored),
            spread=spread,
        )
        if found.anchored and found.settled:
            return found
        back, ahead = back * (1 if found.anchored else 3), ahead * (1 if found.settled else 3)


STEPS_MS = st.one_of(
    st.sampled_from([1000, 10_000, 10_000, 10_000, 60_000, 60_000, 300_000]),
    st.integers(1, 400_000),
    st.sampled_from([300_001, 900_000, 1_200_000, 3_600_000, 20_000_000]),
)
ORDINARY_STEPS_MS = st.one_of(st.sampled_from([1000, 10_000, 60_000, 300_000]), st.integers(1, 300_000))
FLAGS = st.sampled_from([0, 0, 0, 0, 0, 0, 0, 1])


@st.composite
def times(draw: st.DrawFn, steps: st.SearchStrategy[int], size: int) -> list[int]:
    """Increasing times from about T0 on."""
    ts = T0_MS + draw(st.integers(0, SLOT_MS))
    result = []
    for step in draw(st.lists(steps, min_size=size, max_size=size)):
        result.append(ts)
        ts += step
    return result


@st.composite
def gauge_streams(draw: st.DrawFn, largest: float = 1e4) -> Readings:
    """A gauge with gaps, late readings and now and then nonsense."""
    size = draw(st.integers(1, 80))
    value = st.one_of(st.floats(-largest, largest), st.sampled_from([0.0, 1000.0, float("nan"), 1e15, -1e15]))
    return Readings.of(
        draw(times(STEPS_MS, size)),
        draw(st.lists(value, min_size=size, max_size=size)),
        draw(st.lists(FLAGS, min_size=size, max_size=size)),
    )


RISES_WH = {
    "run": [0.0, 2.0, 3.25, 100.0],
    "reset": [0.0, 2.0, 3.25, 100.0],
    "calm": [0.0, 2.0, 3.25, 100.0],
    "digits": [0.0, 0.0, 0.0, 1000.0],
    "down": [-2.0, -40.0],
}
SHOWN: dict[str, Callable[[float, int], float]] = {
    "zero": lambda level, _: 0.0,
    "sleep": lambda level, _: 0.0,
    "dip": lambda level, _: level - 500.0,
    "jump": lambda level, _: level + 5e5,
    "noise": lambda level, _: level - level / 2000,
    "shiver": lambda level, row: level - level * (row * 7 % 5) / 8000,
}
LATE_ONLY, JUDGED = (0, 0, 0, 0, 0, 0, 0, 1), (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4)


@st.composite
def counter_streams(draw: st.DrawFn, flags: tuple[int, ...] = JUDGED) -> Readings:
    """A register in Wh that counts, stands, sleeps, jumps, dips, resets and shivers, and calms down between."""
    stamps: list[int] = []
    values: list[float] = []
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ts, level = T0_MS + draw(st.integers(0, SLOT_MS)), draw(st.sampled_from([0.0, 3.0, 60_000.0, 1e6]))
    faults = ["run", "run", "calm", "zero", "dip", "jump", "reset", "noise", "stand", "sleep", "digits"]
    for _ in range(draw(st.integers(1, 14))):
        fault = draw(st.sampled_from([*faults, "shiver", "down"]))
        step_ms = draw(st.sampled_from([10_000, 10_000, 60_000, 300_000, 1_800_000]))
        count = draw(st.integers(1, 8))
        if fault in ("calm", "sleep", "shiver"):
            count = max(draw(st.sampled_from([1_200_000, 4_000_000])) // step_ms, 4)
        for row, rise in enumerate(random.choice(RISES_WH.get(fault, [0.0]), count).tolist()):
            ts += step_ms
            level = rise if fault == "reset" and not values else level + rise
            stamps.append(ts)
            values.append(SHOWN[fault](level, row) if fault in SHOWN else level)
        ts += draw(st.sampled_from([0, 0, 0, 2_000_000, 30_000_000, 100_000_000]))
        if fault == "reset":
            level = draw(st.sampled_from([0.0, 5.0]))
        if fault == "stand":
            level += draw(st.sampled_from([0.0, 1000.0, 30_000.0]))
    return Readings.of(stamps, values, random.choice(flags, len(stamps)).tolist())


@st.composite
def delta_streams(draw: st.DrawFn) -> Readings:
    """Amounts in Wh."""
    size = draw(st.integers(1, 60))
    value = st.one_of(st.floats(0, 500), st.sampled_from([0.0, 1e7, float("inf"), -3.0]))
    return Readings.of(
        draw(times(STEPS_MS, size)),
        draw(st.lists(value, min_size=size, max_size=size)),
        draw(st.lists(FLAGS, min_size=size, max_size=size)),
    )
