"""The live fold gives the rows of a derivation, bit for bit, in any batches and through any fault."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.live import LiveSlots
from hub.energy.slots import SLOT_MS, Readings, Rule, SlotColumns
from tests.hub.energy.streams import (
    ENERGY,
    GAS,
    ORDINARY_STEPS_MS,
    POWER,
    PRICE,
    PULSES,
    TEMPERATURE,
    counter_streams,
    delta_streams,
    derive_part,
    gauge_streams,
    times,
    whole,
)

Rows = dict[int, SlotColumns]


class Store:
    """What a hub does around the fold: keeps readings and rows, derives again what left the fast path."""

    def __init__(self, rules: dict[int, Rule]) -> None:
        self.rules = rules
        self.live = LiveSlots(capacity=2)
        self.readings: dict[int, tuple[list[int], list[float], list[int]]] = {
            no: ([], [], []) for no in rules
        }
        self.rows: dict[int, Rows] = {no: {} for no in rules}
        self.stable_ms: dict[int, int] = {}
        self.left = 0

    def arrive(self, batch: list[tuple[int, int, float, int]], *, take: bool) -> None:
        for no, ts_ms, value, flag in batch:
            columns = self.readings[no]
            columns[0].append(ts_ms)
            columns[1].append(value)
            columns[2].append(flag)
        columns_of = [np.array(column) for column in zip(*batch, strict=True)]
        outcome = self.live.fold(*columns_of)
        for no in sorted(outcome.left):
            self.left += 1
            self._derive(no, outcome.dirty_from_ms.get(no))
        if take:
            self.take()

    def take(self) -> None:
        changed = self.live.take_changed()
        for row, no in enumerate(changed.series.tolist()):
            self.rows[no][int(changed.slots.start_ms[row])] = changed.slots.take(slice(row, row + 1))

    def _derive(self, no: int, dirty_from_ms: int | None) -> None:
        readings = Readings.of(*self.readings[no])
        first_ms = int(readings.ts_ms[0]) // SLOT_MS * SLOT_MS - SLOT_MS
        start = self.stable_ms.get(no, first_ms) if dirty_from_ms is None else dirty_from_ms
        found = derive_part(self.rules[no], readings, start, int(readings.ts_ms[-1]) + SLOT_MS)
        self.stable_ms[no] = found.tail.stable_ms
        self.rows[no] = {at: row for at, row in self.rows[no].items() if at < start}
        for row, at in enumerate(found.slots.start_ms.tolist()):
            self.rows[no][at] = found.slots.take(slice(row, row + 1))
        self.live.start(no, self.rules[no], found)

    def assert_true(self) -> None:
        self.take()
        for no, rule in self.rules.items():
            readings = Readings.of(*self.readings[no])
            kept = SlotColumns.joined([row for _, row in sorted(self.rows[no].items())])
            assert not len(readings) or kept.same_as(whole(rule, readings).slots)


@st.composite
def batches(draw: st.DrawFn, streams: list[Readings]) -> list[list[tuple[int, int, float, int]]]:
    """Streams merged by time, cut into batches anywhere."""
    rows = sorted(
        (int(ts), no, float(value), int(flag))
        for no, stream in enumerate(streams)
        for ts, value, flag in zip(stream.ts_ms, stream.value, stream.flags, strict=True)
    )
    result: list[list[tuple[int, int, float, int]]] = [[]]
    cuts = draw(st.lists(st.integers(1, 30), min_size=1, max_size=40))
    for ts, no, value, flag in rows:
        result[-1].append((no, ts, value, flag))
        if len(result[-1]) >= cuts[len(result) % len(cuts)]:
            result.append([])
    return [batch for batch in result if batch]


@st.composite
def ordinary(draw: st.DrawFn, rule: Rule) -> Readings:
    size = draw(st.integers(1, 60))
    ts = draw(times(ORDINARY_STEPS_MS, size))
    value = np.array(draw(st.lists(st.floats(0, 0.05), min_size=size, max_size=size)))
    if rule is ENERGY:
        value = 5000 + np.round(np.cumsum(value), 3)
    return Readings.of(ts, value.tolist())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_ordinary_streams_stay_on_the_fast_path(data: st.DataObject) -> None:
    rules = dict(enumerate([POWER, ENERGY, TEMPERATURE, PULSES, PRICE]))
    streams = [data.draw(ordinary(rule)) for rule in rules.values()]
    store = Store(rules)
    for batch in data.draw(batches(streams)):
        store.arrive(batch, take=len(batch) % 2 == 0)
    store.assert_true()
    assert store.left == len(rules)  # each once, to begin


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_faulty_streams_give_the_derived_rows(data: st.DataObject) -> None:
    rules = dict(enumerate([POWER, ENERGY, GAS, PULSES]))
    streams = [
        data.draw(gauge_streams()),
        data.draw(counter_streams()),
        data.draw(counter_streams()),
        data.draw(delta_streams()),
    ]
    store = Store(rules)
    for batch in data.draw(batches(streams)):
        store.arrive(batch, take=len(batch) % 2 == 0)
    store.assert_true()
