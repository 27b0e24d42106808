"""Readings of one series → its 15-minute slots, for any slot-aligned range.

A range derived alone equals the same range of the whole history, bit for bit, provided the readings bring
enough context. A caller fetches :data:`LOOKBACK_MS` and at least :data:`LOOKBACK_READINGS` before the range,
:data:`LOOKAHEAD_MS` and at least :data:`LOOKAHEAD_READINGS` after it, and looks at the answer: where it is
not ``anchored`` and older readings exist, it asks again with several times the lookback; where it is not
``settled`` and later readings exist, with more lookahead. Clean streams need one round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.energy import counter
from hub.energy.intervals import (
    USUAL_OF,
    TimeClass,
    fixed_point,
    gaps,
    needs_wide,
    slot_of,
)
from hub.energy.slots import MAX_REGISTER, SLOT_MS, Int64, Readings, Rule, SlotColumns, SlotSums, finish
from hub.energy.spread import Spread
from hub.energy.track import Track, joined, summed
from hub.model.quality import ReadingFlag
from hub.model.reading import MAX_ABS_VALUE
from hub.model.series import Behaviour

LOOKBACK_MS = 2 * (counter.CONFIRM_MS + counter.STALL_MS)
LOOKBACK_READINGS = 32
LOOKAHEAD_MS = counter.CONFIRM_MS + counter.STALL_MS
LOOKAHEAD_READINGS = 8
REVISION_MS = counter.CONFIRM_MS + counter.STALL_MS
"""A new reading in order of a register that moves changes nothing older than this before the last good one."""

MAX_DELTA = 1 << 41
"""Largest single amount of a delta series in steps (2.2 GWh); a larger one is left out as suspect."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Where the stream stands at its last reading, for going on from there.

    ``ready``: the state is ordinary (the last reading is good, nothing is pending), so live readings can be
    folded onto ``sums``, the one open slot. ``stable_ms``: rows of slots before it are not changed by readings
    that arrive in order, but for a counter that stood still or at zero: :func:`hub.energy.reach.reach` tells.
    """

    ready: bool
    last_ts_ms: int
    last_value: int
    stable_ms: int
    sums: SlotSums


@dataclass(frozen=True, slots=True)
class Derived:
    """Rows of the range, the tail, and whether the context was enough on either side (see the module)."""

    slots: SlotColumns
    tail: Tail
    anchored: bool
    settled: bool


@dataclass(frozen=True, slots=True)
class Registers:
    """Usable readings of a counter: positions, times, steps, which a person accepted, which pairs are normal."""

    at: Int64
    ts_ms: Int64
    steps: Int64
    accepted: NDArray[np.bool_] | None
    normal: NDArray[np.bool_]
    resolution_steps: int

    def anchor(self, before_ms: int) -> int | None:
        """Where the machine may begin (:func:`hub.energy.windows.anchor`)."""
        return counter.anchor(
            self.ts_ms, self.steps, self.normal, before_ms, self.resolution_steps, self.accepted
        )


def derive(
    rule: Rule,
    readings: Readings,
    start_ms: int,
    end_ms: int,
    *,
    from_first: bool = False,
    to_last: bool = False,
    spread: Spread | None = None,
) -> Derived:
    """Slots that begin in ``[start_ms, end_ms)``; both are taken down or up to slot borders.

    Args:
        rule: how this series is read.
        readings: sorted, unique; with context before and after the range.
        from_first: the readings begin with the very first of the series, so no lookback is missing.
        to_last: the readings end with the last one stored, so nothing more can be asked for.
        spread: how a counter's amounts are spread inside their intervals; flat without it. A power series must
            cover all the readings that are given.

    The rows are the best these readings allow; ``anchored`` and ``settled`` say whether they are final.
    """
    start_ms -= start_ms % SLOT_MS
    end_ms += -end_ms % SLOT_MS
    track = track_of(rule, readings, start_ms, from_first=from_first, spread=spread)
    sums = summed(rule, readings, track, start_ms, end_ms, spread)
    slots = finish(sums, rule.scale, gauge=rule.is_gauge, power=rule.is_gauge and rule.has_energy)
    return Derived(
        slots,
        _tail(readings, track, sums, end_ms),
        anchored=track.anchored,
        settled=to_last or _settled(rule, readings, track, end_ms),
    )


def track_of(
    rule: Rule, readings: Readings, start_ms: int, *, from_first: bool = False, spread: Spread | None = None
) -> Track:
    """The intervals of energy and of time that :func:`derive` sums; arguments as there."""
    if rule.behaviour is Behaviour.GAUGE:
        track = _gauge_track(rule, readings, start_ms, from_first=from_first)
    elif rule.behaviour is Behaviour.COUNTER:
        track = _counter_track(rule, readings, start_ms, from_first=from_first)
    else:
        track = _delta_track(rule, readings, start_ms, from_first=from_first)
    return joined(track) if spread is not None and spread.power is not None else track


def usable(rule: Rule, readings: Readings) -> NDArray[np.bool_]:
    """Readings whose value can be a measurement of this series at all."""
    size = np.abs(readings.value)
    if rule.is_gauge:
        good = size <= min(rule.value_limit, MAX_ABS_VALUE)
    else:
        good = size < (MAX_DELTA if rule.behaviour is Behaviour.DELTA else MAX_REGISTER) / rule.scale
    if not (readings.flags & _JUDGED).any():
        return np.asarray(good)
    said_good = (readings.flags & ReadingFlag.ACCEPTED) != 0
    good |= said_good & (size <= MAX_ABS_VALUE) & rule.is_gauge
    return np.asarray(good & ((readings.flags & ReadingFlag.REJECTED) == 0))


def accepted(readings: Readings) -> NDArray[np.bool_] | None:
    """Readings that a person said are good; None where there is none."""
    said = (readings.flags & ReadingFlag.ACCEPTED) != 0
    return said if said.any() else None


def registers(rule: Rule, readings: Readings) -> Registers:
    """What the counter state machine sees of the readings."""
    at = np.flatnonzero(usable(rule, readings))
    ts_ms = readings.ts_ms[at]
    steps = np.rint(readings.value[at] * rule.scale).astype(np.int64)
    said = accepted(readings)
    said_at = None if said is None else said[at]
    normal = counter.normal_pairs(rule, ts_ms, steps, said_at)
    return Registers(at, ts_ms, steps, said_at, normal, rule.resolution_steps)


def _classes(readings: Readings) -> NDArray[np.uint8]:
    """Class of the time before each reading but the first, by lateness alone."""
    late = (readings.flags[1:] & ReadingFlag.LATE) != 0
    return np.where(late, np.uint8(TimeClass.LATE), np.uint8(TimeClass.MEASURED))


def _enough_before(ts_ms: Int64, start_ms: int, *, from_first: bool) -> bool:
    """Whether the first reading that closes an interval inside the range has its usual interval known."""
    before = int(np.searchsorted(ts_ms, start_ms, side="right"))
    return from_first or before > USUAL_OF + 1


def _gauge_track(rule: Rule, readings: Readings, start_ms: int, *, from_first: bool) -> Track:
    good = usable(rule, readings)
    at = np.flatnonzero(good)
    ts = readings.ts_ms[at]
    points = fixed_point(readings.value[at], rule.scale)
    length = np.diff(ts)
    if needs_wide(points, int(length.max()) if len(length) else 0):
        points = points.astype(object)
    gap = gaps(rule, readings.ts_ms, at[:-1], length)
    skipped = np.diff(at) > 1
    time_class = _classes(readings)[at[1:] - 1] if len(at) > 1 else np.empty(0, np.uint8)
    time_class[skipped] = TimeClass.SUSPECT
    time_class[gap] = TimeClass.MISSING
    joined = ~gap
    opens = int(np.searchsorted(ts, start_ms, side="right")) - 1
    anchored = from_first or (opens >= 0 and int(at[opens]) > USUAL_OF)
    return Track(
        ts[:-1][joined], ts[1:][joined], points[:-1][joined], points[1:][joined],
        ts[:-1], ts[1:], time_class, gap, (), _NONE, _NONE, good, points,
        int(at[-1]) if len(at) else -1, None, anchored,
    )  # fmt: skip


def _counter_track(rule: Rule, readings: Readings, start_ms: int, *, from_first: bool) -> Track:
    found = registers(rule, readings)
    begin, anchored = 0, from_first
    if not from_first and len(found.at):
        known = found.anchor(start_ms)
        anchored = known is not None and int(found.at[known]) > USUAL_OF
        begin = known if known is not None else 0
    said = None if found.accepted is None else found.accepted[begin:]
    decided = counter.decide(rule, found.ts_ms[begin:], found.steps[begin:], said)
    at_run = found.at[begin:]
    good = np.zeros(len(readings), np.bool_)
    good[found.at] = True
    good[at_run] = ~decided.suspect
    length = np.diff(readings.ts_ms)
    gap = gaps(rule, readings.ts_ms, np.arange(len(length)), length)
    time_class = _classes(readings)
    time_class[gap] = TimeClass.ESTIMATED
    time_class[at_run[list(decided.estimated)] - 1] = TimeClass.ESTIMATED
    time_class[at_run[list(decided.doubtful)] - 1] = TimeClass.SUSPECT
    time_class[~good[1:]] = TimeClass.SUSPECT
    opening, closing = at_run[decided.opening], at_run[decided.closing]
    slots = slot_of(readings.ts_ms)
    marks = tuple((int(slots[at_run[row]]), int(flag)) for row, flag in decided.flags)
    last = int(at_run[decided.good]) if len(at_run) else -1
    pending_ms = int(readings.ts_ms[last]) if decided.pending else None
    return Track(
        readings.ts_ms[opening], readings.ts_ms[closing], decided.amount, decided.amount,
        readings.ts_ms[:-1], readings.ts_ms[1:], time_class, gap, marks, _NONE, _NONE,
        good, np.rint(readings.value[good] * rule.scale).astype(np.int64), last, pending_ms, anchored,
        tuple((int(readings.ts_ms[at_run[row]]), int(flag)) for row, flag in decided.flags),
    )  # fmt: skip


def _delta_track(rule: Rule, readings: Readings, start_ms: int, *, from_first: bool) -> Track:
    """An amount belongs to the time since the reading before.

    The very first amount, and one after a gap, cover a time that nobody knows: they are booked whole in the
    slot that contains the millisecond before the reading, and their time stays missing.
    """
    good = usable(rule, readings)
    length = np.diff(readings.ts_ms)
    amount = np.rint(np.where(good, readings.value, 0.0) * rule.scale).astype(np.int64)
    if rule.steps_per_ms != float("inf"):
        plausible = np.abs(amount[1:]) <= rule.steps_per_ms * length + rule.tolerance_steps
        good[1:] &= plausible | ((readings.flags[1:] & ReadingFlag.ACCEPTED) != 0)
    gap = gaps(rule, readings.ts_ms, np.arange(len(length)), length)
    time_class = _classes(readings)
    time_class[~good[1:]] = TimeClass.SUSPECT
    time_class[gap] = TimeClass.MISSING
    spread = np.flatnonzero(good[1:] & ~gap)
    lone = good.copy()
    lone[1:] &= gap
    lone[:1] &= from_first
    book_slot = slot_of(readings.ts_ms[lone] - 1)
    return Track(
        readings.ts_ms[spread], readings.ts_ms[spread + 1], amount[spread + 1], amount[spread + 1],
        readings.ts_ms[:-1], readings.ts_ms[1:], time_class, gap, (), book_slot, amount[lone],
        good, amount[good], len(readings) - 1, None,
        _enough_before(readings.ts_ms, start_ms, from_first=from_first),
    )  # fmt: skip


def _settled(rule: Rule, readings: Readings, track: Track, end_ms: int) -> bool:
    if track.last_good < 0 or (track.pending_ms is not None and track.pending_ms < end_ms):
        return False
    if rule.behaviour is Behaviour.COUNTER:
        return int(readings.ts_ms[-1]) >= end_ms + LOOKAHEAD_MS and _moved(readings, track, end_ms)
    return int(readings.ts_ms[track.last_good]) >= end_ms


def _moved(readings: Readings, track: Track, end_ms: int) -> bool:
    """Whether the register left the value it had after the range for good: nothing later reaches back into it."""
    ts_ms = readings.ts_ms[track.good]
    at = min(int(np.searchsorted(ts_ms, end_ms)), len(ts_ms) - 1)
    other = np.flatnonzero(track.points[at:] != track.points[at])
    if len(other) and counter.calm_after(ts_ms, at + int(other[0])) < len(ts_ms):
        return True
    # a rise up to a day later may say that this reading was false, and with it the time before; what follows
    # may refute that
    latest = int(np.searchsorted(ts_ms, ts_ms[at] + counter.STILL_MS, side="right")) - 1
    return counter.calm_after(ts_ms, latest) < len(ts_ms)


def _tail(readings: Readings, track: Track, sums: SlotSums, end_ms: int) -> Tail:
    last = len(readings) - 1
    last_ts = int(readings.ts_ms[-1]) if last >= 0 else 0
    open_slot = last_ts - last_ts % SLOT_MS
    inside = len(sums) > 0 and int(sums.start_ms[-1]) == open_slot and last_ts < end_ms
    ready = inside and track.last_good == last and track.pending_ms is None
    good_ms = int(readings.ts_ms[track.last_good]) if track.last_good >= 0 else last_ts
    stable = good_ms - REVISION_MS
    return Tail(
        ready=ready,
        last_ts_ms=last_ts,
        last_value=int(track.points[-1]) if ready and len(track.points) else 0,
        stable_ms=stable - stable % SLOT_MS,
        sums=sums.take(slice(len(sums) - 1, None)) if ready else SlotSums.empty(0),
    )


_JUDGED = ReadingFlag.ACCEPTED | ReadingFlag.REJECTED
_NONE: Int64 = np.empty(0, np.int64)
