"""The live fold gives the rows of a derivation, bit for bit, in any batches and through any fault."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import strategies as st

from hub.energy.live import LiveSlots
from hub.energy.reach import reach
from hub.energy.slots import SLOT_MS, Readings, Rule, SlotColumns
from tests.hub.energy.streams import (
    ENERGY,
    GAS,
    ORDINARY_STEPS_MS,
    POWER,
    PRICE,
    PULSES,
    T0_MS,
    TEMPERATURE,
    counter_streams,
    delta_streams,
    derive_part,
    gauge_streams,
    holds,
    times,
    whole,
)


class Store:
    """What a hub does around the fold: keeps readings and rows, derives again what left the fast path."""

    def __init__(self, rules: dict[int, Rule]) -> None:
        self.rules = rules
        self.live = LiveSlots(capacity=2)
        self.readings: dict[int, tuple[list[int], list[float], list[int]]] = {
            no: ([], [], []) for no in rules
        }
        self.rows = {no: SlotColumns.empty() for no in rules}
        self.stable_ms: dict[int, int] = {}
        self.marks: dict[int, list[int]] = {no: [] for no in rules}
        self.left = 0

    def arrive(self, batch: list[tuple[int, int, float, int]], *, take: bool) -> None:
        for no, ts_ms, value, flag in batch:
            columns = self.readings[no]
            columns[0].append(ts_ms)
            columns[1].append(value)
            columns[2].append(flag)
            self.marks[no].append(ts_ms)
        columns_of = [np.array(column) for column in zip(*batch, strict=True)]
        outcome = self.live.fold(*columns_of)
        for no in sorted(outcome.left):
            self.left += 1
            came = [row[1] for row in batch if row[0] == no]
            self._derive(no, outcome.dirty_from_ms.get(no), min(came))
        if take:
            self.take()

    def restart(self) -> None:
        """Killed: memory is gone, stored are the readings, the rows that were taken, and marks of the others."""
        self.live = LiveSlots(capacity=2)
        for no, marks in self.marks.items():
            self.stable_ms[no] = 1 << 53
            if marks:
                self._derive(no, None, min(marks), max(marks))

    def take(self) -> None:
        self.marks = {no: [] for no in self.rules}
        changed = self.live.take_changed()
        for no in set(changed.series.tolist()):
            new = changed.slots.take(changed.series == no)
            kept = self.rows[no].take(~np.isin(self.rows[no].start_ms, new.start_ms))
            rows = SlotColumns.joined([kept, new])
            self.rows[no] = rows.take(np.argsort(rows.start_ms))

    def _derive(self, no: int, dirty_from_ms: int | None, came_ms: int, last_ms: int | None = None) -> None:
        readings = Readings.of(*self.readings[no])
        first_ms = int(readings.ts_ms[0]) // SLOT_MS * SLOT_MS - SLOT_MS
        start = self.stable_ms.get(no, first_ms) if dirty_from_ms is None else dirty_from_ms
        start = min(start, reach(self.rules[no], readings, came_ms, last_ms or came_ms).start_ms)
        found = derive_part(self.rules[no], readings, start, int(readings.ts_ms[-1]) + SLOT_MS)
        self.stable_ms[no] = found.tail.stable_ms
        before = self.rows[no].take(self.rows[no].start_ms < start)
        self.rows[no] = SlotColumns.joined([before, found.slots])
        self.live.start(no, self.rules[no], found)

    def assert_true(self) -> None:
        self.take()
        for no, rule in self.rules.items():
            readings = Readings.of(*self.readings[no])
            assert not len(readings) or self.rows[no].same_as(whole(rule, readings).slots)


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


@holds(12, st.data())
def test_ordinary_streams_stay_on_the_fast_path(data: st.DataObject) -> None:
    rules = dict(enumerate([POWER, ENERGY, TEMPERATURE, PULSES, PRICE]))
    streams = [data.draw(ordinary(rule)) for rule in rules.values()]
    store = Store(rules)
    for batch in data.draw(batches(streams)):
        store.arrive(batch, take=len(batch) % 2 == 0)
    store.assert_true()
    assert store.left == len(rules)  # each once, to begin


@holds(12, st.data())
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


@holds(12, st.data())
def test_late_and_shuffled_arrivals_end_in_the_same_rows(data: st.DataObject) -> None:
    rules = dict(enumerate([POWER, ENERGY, PULSES]))
    streams = [data.draw(gauge_streams()), data.draw(counter_streams()), data.draw(delta_streams())]
    arrivals = data.draw(batches(streams))
    moves = data.draw(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=8))
    for source, target in moves:
        arrivals.insert(target % len(arrivals), arrivals.pop(source % len(arrivals)))
    store = Store(rules)
    for batch in arrivals:
        store.arrive(batch, take=len(batch) % 2 == 0)
    store.assert_true()


@holds(12, st.data(), st.randoms(use_true_random=False))
def test_any_restarts_and_delays_end_in_the_same_rows(data: st.DataObject, chance: Random) -> None:
    rules = dict(enumerate([POWER, ENERGY, GAS, PULSES]))
    streams = [
        data.draw(gauge_streams()),
        data.draw(counter_streams()),
        data.draw(counter_streams()),
        data.draw(delta_streams()),
    ]
    arrivals = data.draw(batches(streams))
    late = [arrivals.pop(chance.randrange(len(arrivals))) for _ in range(min(3, len(arrivals) - 1))]
    store = Store(rules)
    for batch in arrivals + late:
        store.arrive(batch, take=chance.random() < 0.3)
        if chance.random() < 0.2:
            store.restart()
    store.assert_true()


def test_a_series_that_left_says_from_where_to_derive() -> None:
    live = LiveSlots()
    ts = [T0_MS + i * 10_000 for i in range(200)]
    assert live.start(7, POWER, whole(POWER, Readings.of(ts, [100.0] * 200)))
    assert 7 in live
    assert live.open_slots(7).count.tolist() == [20]

    outcome = live.fold(np.array([7, 8]), np.array([T0_MS + 5, 1]), np.array([1.0, 1.0]), np.array([1, 0]))

    assert outcome.left == {7, 8}
    assert outcome.dirty_from_ms == {7: T0_MS - 2 * SLOT_MS}
    assert 7 not in live
    assert len(live.take_changed()) == 0
    assert len(live.open_slots(7)) == 0


def test_closed_slots_are_dropped_once_taken() -> None:
    live = LiveSlots(capacity=2)
    assert live.start(0, POWER, whole(POWER, Readings.of([T0_MS], [100.0])))
    most = 0
    for hour in range(200):
        ts = T0_MS + hour * 3_600_000 + np.arange(1, 61) * 60_000
        assert not live.fold(np.zeros(60), ts, np.full(60, 100.0), np.zeros(60)).left
        taken = live.take_changed()
        most = max(most, live.size)
        assert len(taken) >= 4
    assert most <= 16


def test_a_stream_in_doubt_does_not_start() -> None:
    ts = [T0_MS + i * 10_000 for i in range(5)]
    in_dip = whole(ENERGY, Readings.of(ts, [5e5, 5e5, 5e5, 0.0, 0.0]))
    assert not LiveSlots().start(0, ENERGY, in_dip)
