"""A stretch of a series as intervals of energy and of time, and its sums by slot."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hub.energy.intervals import Pieces, TimeClass, amount_pieces, cut, gauge_pieces, slot_of
from hub.energy.slots import Int64, Ints, Readings, Rule, SlotSums
from hub.energy.spread import Spread, steps_joined
from hub.model.quality import Flag
from hub.model.series import Behaviour


@dataclass(frozen=True, slots=True)
class Track:
    """Energy intervals and time intervals of a stretch, ready to be cut into slots.

    Energy: bounds as times, and amounts (or gauge values at both ends). Time: bounds and class. ``marks`` are
    (slot, flag), ``bookings`` (slot, amount) without time.
    """

    t0_ms: Int64
    t1_ms: Int64
    first: Ints
    second: Ints
    time_t0_ms: Int64
    time_t1_ms: Int64
    time_class: NDArray[np.uint8]
    gap: NDArray[np.bool_]
    marks: tuple[tuple[int, int], ...]
    book_slot_ms: Int64
    book_amount: Int64
    good: NDArray[np.bool_]
    points: Ints
    """Fixed-point values of the good readings."""
    last_good: int
    pending_ms: int | None
    anchored: bool
    decisions: tuple[tuple[int, int], ...] = ()
    """(time of the reading, flag): where the register was decided to be reset or to have rolled over."""


def joined(track: Track) -> Track:
    """A register's waiting for its next digit as one interval with the step."""
    t0_ms, t1_ms, amount = steps_joined(track.t0_ms, track.t1_ms, track.first)
    return replace(track, t0_ms=t0_ms, t1_ms=t1_ms, first=amount, second=amount)


def _spread(spread: Spread, track: Track, inside: NDArray[np.bool_], pieces: Pieces) -> Int64:
    """Amounts of the intervals' pieces by the rules of the counter."""
    t0_ms, t1_ms = track.t0_ms[inside], track.t1_ms[inside]
    until = np.concatenate([_ZERO, np.cumsum(track.gap)])
    first, end = np.searchsorted(track.time_t0_ms, t0_ms), np.searchsorted(track.time_t0_ms, t1_ms)
    return spread.amounts(track.first[inside], t0_ms, t1_ms, until[end] > until[first], pieces)


def summed(
    rule: Rule, readings: Readings, track: Track, start_ms: int, end_ms: int, spread: Spread | None = None
) -> SlotSums:
    """Everything of the track that falls into the range, summed by slot."""
    inside = (track.t1_ms > start_ms) & (track.t0_ms < end_ms)
    energy = cut(track.t0_ms[inside], track.t1_ms[inside])
    length = (track.t1_ms - track.t0_ms)[inside]
    if rule.is_gauge:
        acc = gauge_pieces(track.first[inside], track.second[inside], energy, length, hold=rule.hold)
    elif spread is not None and rule.behaviour is Behaviour.COUNTER:
        acc = _spread(spread, track, inside, energy)
    else:
        acc = amount_pieces(track.first[inside], energy, length)
    timed = (track.time_t1_ms > start_ms) & (track.time_t0_ms < end_ms)
    time = cut(track.time_t0_ms[timed], track.time_t1_ms[timed])
    low, high = np.searchsorted(readings.ts_ms, [start_ms, end_ms]).tolist()
    known = track.time_class[timed][time.of] != TimeClass.MISSING
    point_slot = slot_of(readings.ts_ms[low:high])
    rows = np.unique(
        np.concatenate(
            [_distinct(s) for s in (point_slot, energy.slot_ms, time.slot_ms[known], track.book_slot_ms)]
        )
    )
    rows = rows[(rows >= start_ms) & (rows < end_ms)]
    sums = SlotSums.empty(len(rows), wide=acc.dtype == object or track.points.dtype == object)
    sums.start_ms[:] = rows
    _add_points(sums, readings, track, point_slot, low, gauge=rule.is_gauge)
    _add(sums, sums.acc, energy.slot_ms, acc)
    _add(sums, sums.covered_ms, energy.slot_ms, energy.length_ms)
    _add_time(sums, time, track.time_class[timed])
    _mark_gaps(sums, track, timed)
    _book(sums, track)
    return sums


def _add_points(
    sums: SlotSums, readings: Readings, track: Track, point_slot: Int64, low: int, *, gauge: bool
) -> None:
    high = low + len(point_slot)
    _add(sums, sums.count, point_slot, np.ones(len(point_slot), np.int64))
    good = track.good[low:high]
    skipped = int(np.count_nonzero(track.good[:low]))
    points = track.points[skipped : skipped + int(np.count_nonzero(good))]
    slot, value = point_slot[good], readings.value[low:high][good]
    if not len(slot):
        return
    first = _run_starts(slot)
    at = np.searchsorted(sums.start_ms, slot[first])
    sums.good[at] = np.diff(np.append(first, len(slot)))
    if gauge:
        sums.points[at] = np.add.reduceat(points, first)
    sums.min[at] = np.minimum.reduceat(value, first)
    sums.max[at] = np.maximum.reduceat(value, first)
    sums.last[at] = value[np.append(first[1:], len(slot)) - 1]


def _add_time(sums: SlotSums, time: Pieces, time_class: NDArray[np.uint8]) -> None:
    columns = {
        TimeClass.MEASURED: sums.measured_ms,
        TimeClass.LATE: sums.late_ms,
        TimeClass.ESTIMATED: sums.estimated_ms,
        TimeClass.SUSPECT: sums.suspect_ms,
    }
    present = np.flatnonzero(np.bincount(time_class, minlength=len(TimeClass))).tolist()
    for code in present:
        if code == TimeClass.MISSING:
            continue
        if len(present) == 1:
            _add(sums, columns[TimeClass(code)], time.slot_ms, time.length_ms)
        else:
            of_code = time_class[time.of] == code
            _add(sums, columns[TimeClass(code)], time.slot_ms[of_code], time.length_ms[of_code])


def _mark_gaps(sums: SlotSums, track: Track, timed: NDArray[np.bool_]) -> None:
    gap = track.gap & timed
    if gap.any():
        touched = _distinct(cut(track.time_t0_ms[gap], track.time_t1_ms[gap]).slot_ms)
        sums.flags[np.isin(sums.start_ms, touched)] |= Flag.GAP
    for slot_ms, flag in track.marks:
        sums.flags[sums.start_ms == slot_ms] |= flag


def _book(sums: SlotSums, track: Track) -> None:
    for slot_ms, amount in zip(track.book_slot_ms.tolist(), track.book_amount.tolist(), strict=True):
        at = sums.start_ms == slot_ms
        sums.acc[at] += amount
        sums.booked[at] = True


def _add(sums: SlotSums, column: Ints, slot_ms: Int64, amount: Ints) -> None:
    """Add amounts, given in time order, to the rows of their slots; slots without a row are left out."""
    if not len(slot_ms):
        return
    first = _run_starts(slot_ms)
    slot = slot_ms[first]
    at = np.searchsorted(sums.start_ms, slot)
    at[at == len(sums.start_ms)] = 0
    here = sums.start_ms[at] == slot if len(sums.start_ms) else np.zeros(len(slot), np.bool_)
    column[at[here]] += np.add.reduceat(amount, first)[here]


def _run_starts(slot_ms: Int64) -> Int64:
    return np.concatenate([_ZERO, np.flatnonzero(slot_ms[1:] != slot_ms[:-1]) + 1])


def _distinct(slot_ms: Int64) -> Int64:
    return slot_ms[_run_starts(slot_ms)] if len(slot_ms) else slot_ms


_ZERO: Int64 = np.zeros(1, np.int64)
