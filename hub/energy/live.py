"""Live fold: ordinary readings of many series into their open slots, a whole batch at a time.

The fast path knows one thing only: the next reading of a series came in order, on time, within the gap limit
and, for a counter, rose within the physical limit. Whatever else happens makes the series *leave*: its rows
are then derived from storage by :func:`hub.energy.derive.derive`, and it starts again from that tail. Both
paths use the same integer arithmetic, so their rows are equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.energy.derive import MAX_DELTA, REVISION_MS, Derived
from hub.energy.intervals import line_total, share, slot_of
from hub.energy.slots import (
    MAX_REGISTER,
    SLOT_MS,
    Float64,
    Int64,
    Rule,
    SlotColumns,
    SlotSums,
    finish,
)
from hub.model.series import Behaviour

Bools = NDArray[np.bool_]

_MAX_GAUGE = 10**12  # in fixed point: 4 x this x 15 min stays below 2^62
_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fold could not do: series that ``left``, and for those that had been started ``dirty_from_ms``.

    Rows of slots from there on have to be derived again from storage. A row that came late may reach back
    further: see :func:`hub.energy.reach.reach`.
    """

    left: set[int]
    dirty_from_ms: dict[int, int]


@dataclass(frozen=True, slots=True)
class ChangedSlots:
    """Rows with absolute values, sorted by series and time: ``series[i]`` owns row ``i`` of ``slots``."""

    series: Int64
    slots: SlotColumns

    def __len__(self) -> int:
        return len(self.series)


@dataclass(slots=True)
class _States:
    """One row per started series."""

    no: Int64
    last_ts_ms: Int64
    last_value: Int64
    open_row: Int64
    gauge: Bools
    power: Bools
    delta: Bools
    hold: Bools
    scale: Int64
    gap_ms: Int64
    steps_per_ms: Float64
    tolerance: Float64
    value_limit: Float64


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows of a fold sorted by state row, each with the reading before it."""

    state: Int64
    ts_ms: Int64
    value: Float64
    flags: NDArray[np.uint8]
    first: Bools
    before_ms: Int64


class LiveSlots:
    """Open slots of many series, and closed ones until they are taken."""

    def __init__(self, *, capacity: int = 64) -> None:
        self._at = np.full(capacity, _UNKNOWN, np.int64)  # series number -> state row
        self._states = _new_states(capacity)
        self._free_states = list(range(capacity - 1, -1, -1))
        self._sums = SlotSums.empty(capacity)
        self._owner = np.full(capacity, _UNKNOWN, np.int64)  # slot row -> state row
        self._changed = np.zeros(capacity, np.bool_)
        self._free_rows = np.arange(capacity - 1, -1, -1, dtype=np.int64)
        self._free_count = capacity

    def __contains__(self, no: int) -> bool:
        return 0 <= no < len(self._at) and bool(self._at[no] >= 0)

    @property
    def size(self) -> int:
        """Slot rows that memory is held for."""
        return len(self._owner)

    @property
    def unwritten(self) -> int:
        """Slot rows that were touched since the last take."""
        return int(np.count_nonzero(self._changed))

    def start(self, no: int, rule: Rule, derived: Derived) -> bool:
        """Go on from the tail of a derivation; False where the tail is not ordinary yet (derive again later)."""
        self.forget(no)
        tail = derived.tail
        largest = _largest(rule)
        if not tail.ready or abs(tail.last_value) > largest:
            return False
        if max(abs(int(tail.sums.acc[0])), abs(int(tail.sums.points[0]))) >= 1 << 62:
            return False
        if no >= len(self._at):
            self._at = _grown(self._at, no + 1, _UNKNOWN)
        row = self._new_state()
        slot_row = int(self._new_rows(1)[0])
        for column in fields(SlotSums):
            getattr(self._sums, column.name)[slot_row] = getattr(tail.sums, column.name)[0]
        self._owner[slot_row] = row
        states = self._states
        states.no[row], states.last_ts_ms[row], states.last_value[row] = no, tail.last_ts_ms, tail.last_value
        states.open_row[row] = slot_row
        states.gauge[row], states.power[row] = rule.is_gauge, rule.is_gauge and rule.has_energy
        states.delta[row] = rule.behaviour is Behaviour.DELTA
        states.hold[row] = rule.is_gauge and rule.hold
        states.scale[row] = rule.scale
        states.gap_ms[row] = min(rule.gap_floor_ms, SLOT_MS)
        states.steps_per_ms[row] = np.inf if rule.is_gauge else rule.steps_per_ms
        states.tolerance[row] = rule.tolerance_steps
        states.value_limit[row] = min(rule.value_limit, largest / rule.scale)
        self._at[no] = row
        return True

    def forget(self, no: int) -> None:
        """Drop a series with its open and untaken slots; unknown ones are ignored."""
        if no not in self:
            return
        row = int(self._at[no])
        self._release(np.flatnonzero(self._owner == row))
        self._at[no] = _UNKNOWN
        self._free_states.append(row)

    def fold(
        self, series: NDArray[Any], ts_ms: NDArray[Any], value: NDArray[Any], flags: NDArray[Any]
    ) -> Outcome:
        """Add readings in order of arrival; series that meet anything not ordinary leave, with all their rows."""
        outcome = Outcome(set(), {})
        columns = (
            np.asarray(series, np.int64),
            np.asarray(ts_ms, np.int64),
            np.asarray(value, np.float64),
            np.asarray(flags, np.uint8),
        )
        while len(columns[0]):
            state = self._rows_of(columns[0])
            if int(state.min()) < 0:
                bad = np.unique(columns[0][state < 0])
            else:
                batch = self._sorted(state, *columns[1:])
                bad = self._fold_sorted(batch)
            if not len(bad):
                break
            self._leave(bad.tolist(), columns[0], columns[1], outcome)
            keep = ~np.isin(columns[0], bad)
            columns = (columns[0][keep], columns[1][keep], columns[2][keep], columns[3][keep])
        return outcome

    def take_changed(self) -> ChangedSlots:
        """Rows touched since the last take; closed slots are dropped after it."""
        rows = np.flatnonzero(self._changed)
        owner = self._owner[rows]
        series = self._states.no[owner]
        order = np.lexsort((self._sums.start_ms[rows], series))
        rows, owner = rows[order], owner[order]
        slots = self._finished(rows, owner)
        self._changed[rows] = False
        self._release(rows[self._states.open_row[owner] != rows])
        return ChangedSlots(series[order], slots)

    def open_slots(self, no: int) -> SlotColumns:
        """The slot of a started series that is still open (one row), else none."""
        if no not in self:
            return SlotColumns.empty()
        row = int(self._at[no])
        return self._finished(self._states.open_row[row : row + 1], np.array([row]))

    def _finished(self, rows: Int64, owner: Int64) -> SlotColumns:
        states = self._states
        return finish(
            self._sums.take(rows), states.scale[owner], gauge=states.gauge[owner], power=states.power[owner]
        )

    def _rows_of(self, series: Int64) -> Int64:
        known = self._at
        if int(series.max()) < len(known) and int(series.min()) >= 0:
            return known[series]
        inside = (series >= 0) & (series < len(known))
        return np.where(inside, known[np.where(inside, series, 0)], _UNKNOWN)

    def _sorted(self, state: Int64, ts_ms: Int64, value: Float64, flags: NDArray[np.uint8]) -> _Batch:
        # small integers sort by radix: several times faster than by comparison
        key = state.astype(np.int16) if len(self._states.no) < 1 << 15 else state
        order = np.argsort(key, kind="stable")
        state, ts = state[order], ts_ms[order]
        first = np.empty(len(state), np.bool_)
        first[0] = True
        np.not_equal(state[1:], state[:-1], out=first[1:])
        before = np.empty_like(ts)
        before[1:] = ts[:-1]
        before[first] = self._states.last_ts_ms[state[first]]
        return _Batch(state, ts, value[order], flags[order], first, before)

    def _fold_sorted(self, batch: _Batch) -> Int64:
        """Fold if every row is ordinary; else nothing is changed and the series with others are returned."""
        states, state = self._states, batch.state
        passed = batch.ts_ms - batch.before_ms
        ordinary = (passed > 0) & (passed <= states.gap_ms[state]) & (batch.flags == 0)
        ordinary &= np.abs(batch.value) <= states.value_limit[state]
        if not ordinary.all():
            return np.unique(states.no[state[~ordinary]])
        value = np.rint(batch.value * states.scale[state]).astype(np.int64)
        before = np.empty_like(value)
        before[1:] = value[:-1]
        before[batch.first] = states.last_value[state[batch.first]]
        delta = states.delta[state]
        amount = np.where(delta, value, value - before)
        gauge = states.gauge[state]
        rise = np.where(delta, np.abs(amount), amount)
        plausible = (rise >= 0) & (rise <= states.steps_per_ms[state] * passed + states.tolerance[state])
        plausible |= gauge
        if not plausible.all():
            return np.unique(states.no[state[~plausible]])
        whole = np.where(gauge, (before + value) * passed, amount)
        self._add(batch, value, before, amount, whole, passed)
        return _NONE

    def _add(
        self, batch: _Batch, value: Int64, before: Int64, amount: Int64, whole: Int64, passed: Int64
    ) -> None:
        states, sums, state = self._states, self._sums, batch.state
        held = states.hold[state]
        if held.any():
            whole = np.where(held, 2 * before * passed, whole)
        slot = slot_of(batch.ts_ms)
        crossing = slot != slot_of(batch.before_ms)
        crossed = np.flatnonzero(crossing)
        head, head_ms = self._before_border(batch, crossed, slot, before, value, amount, passed)
        time = passed.copy()
        whole[crossed] -= head
        time[crossed] -= head_ms

        first = np.flatnonzero(batch.first | crossing)
        owner = state[first]
        goes_on = ~crossing[first]
        rows = np.empty(len(first), np.int64)
        rows[goes_on] = states.open_row[owner[goes_on]]
        fresh = ~goes_on
        if fresh.any():
            rows[fresh] = self._new_rows(int(np.count_nonzero(fresh)))
            sums = self._sums
            sums.start_ms[rows[fresh]] = slot[first[fresh]]
            self._owner[rows[fresh]] = owner[fresh]
            at = np.flatnonzero(fresh)
            earlier = np.where(batch.first[first[at]], states.open_row[owner[at]], rows[at - 1])
            sums.acc[earlier] += head
            sums.covered_ms[earlier] += head_ms
            sums.measured_ms[earlier] += head_ms
            self._changed[earlier] = True
        end = np.append(first[1:], len(state))
        counted = end - first
        covered = np.add.reduceat(time, first)
        sums.acc[rows] += np.add.reduceat(whole, first)
        sums.covered_ms[rows] += covered
        sums.measured_ms[rows] += covered
        sums.count[rows] += counted
        sums.good[rows] += counted
        sums.points[rows] += np.add.reduceat(value, first)
        sums.min[rows] = np.fmin(sums.min[rows], np.minimum.reduceat(batch.value, first))
        sums.max[rows] = np.fmax(sums.max[rows], np.maximum.reduceat(batch.value, first))
        sums.last[rows] = batch.value[end - 1]
        self._changed[rows] = True

        ends = np.flatnonzero(np.append(owner[1:] != owner[:-1], True))
        states.open_row[owner[ends]] = rows[ends]
        final = end[ends] - 1
        states.last_ts_ms[owner[ends]] = batch.ts_ms[final]
        states.last_value[owner[ends]] = value[final]

    def _before_border(
        self,
        batch: _Batch,
        crossed: Int64,
        slot: Int64,
        before: Int64,
        value: Int64,
        amount: Int64,
        passed: Int64,
    ) -> tuple[Int64, Int64]:
        """What rows that cross a slot border leave in the slot before it: amounts and milliseconds."""
        head_ms = slot[crossed] - batch.before_ms[crossed]
        state, span = batch.state[crossed], passed[crossed]
        opening, closing = before[crossed], value[crossed]
        line = line_total(opening, closing - opening, span, head_ms)
        flat = share(amount[crossed], span, head_ms)
        gauge_head = np.where(self._states.hold[state], 2 * opening * head_ms, line)
        return np.where(self._states.gauge[state], gauge_head, flat), head_ms

    def _leave(self, numbers: Iterable[int], series: Int64, ts_ms: Int64, outcome: Outcome) -> None:
        for no in numbers:
            outcome.left.add(no)
            if no not in self:
                continue
            row = int(self._at[no])
            mine = self._sums.start_ms[self._owner == row]
            earliest = min(int(self._states.last_ts_ms[row]), int(ts_ms[series == no].min())) - REVISION_MS
            earliest = min(earliest, int(mine.min()))
            outcome.dirty_from_ms[no] = earliest - earliest % SLOT_MS
            self.forget(no)

    def _release(self, rows: Int64) -> None:
        """Give slot rows back, emptied."""
        if not len(rows):
            return
        empty = SlotSums.empty(1)
        for column in fields(SlotSums):
            getattr(self._sums, column.name)[rows] = getattr(empty, column.name)[0]
        self._owner[rows] = _UNKNOWN
        self._changed[rows] = False
        self._free_rows[self._free_count : self._free_count + len(rows)] = rows
        self._free_count += len(rows)

    def _new_rows(self, count: int) -> Int64:
        if count > self._free_count:
            self._grow_rows(count)
        self._free_count -= count
        return self._free_rows[self._free_count : self._free_count + count].copy()

    def _grow_rows(self, count: int) -> None:
        size = len(self._owner)
        larger = max(2 * size, size + count)
        more = SlotSums.empty(larger - size)
        self._sums = SlotSums(
            *(np.concatenate([getattr(self._sums, c.name), getattr(more, c.name)]) for c in fields(SlotSums))
        )
        self._owner = _grown(self._owner, larger, _UNKNOWN)
        self._changed = np.concatenate([self._changed, np.zeros(larger - size, np.bool_)])
        free = np.empty(larger, np.int64)
        free[: self._free_count] = self._free_rows[: self._free_count]
        free[self._free_count : self._free_count + larger - size] = np.arange(size, larger)
        self._free_rows = free
        self._free_count += larger - size

    def _new_state(self) -> int:
        if not self._free_states:
            size = len(self._states.no)
            more = _new_states(size)
            self._states = _States(
                *(
                    np.concatenate([getattr(self._states, c.name), getattr(more, c.name)])
                    for c in fields(_States)
                )
            )
            self._free_states = list(range(2 * size - 1, size - 1, -1))
        return self._free_states.pop()


def _largest(rule: Rule) -> int:
    """Largest fixed-point value that the 64-bit sums of the fast path may meet."""
    if rule.is_gauge:
        return _MAX_GAUGE
    return MAX_DELTA - 1 if rule.behaviour is Behaviour.DELTA else MAX_REGISTER - (1 << 20)


def _new_states(size: int) -> _States:
    def ints() -> Int64:
        return np.zeros(size, np.int64)

    def bools() -> Bools:
        return np.zeros(size, np.bool_)

    return _States(
        ints(), ints(), ints(), ints(), bools(), bools(), bools(), bools(), ints(), ints(),
        np.zeros(size), np.zeros(size), np.zeros(size),
    )  # fmt: skip


def _grown(column: Int64, size: int, fill: int) -> Int64:
    larger = np.full(max(size, 2 * len(column)), fill, np.int64)
    larger[: len(column)] = column
    return larger


_NONE: Int64 = np.empty(0, np.int64)
