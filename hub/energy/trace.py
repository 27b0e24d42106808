"""How a slot came to its amount: the intervals between readings that reach into it, and the part of each.

The same intervals and the same integers as in :func:`hub.energy.derive.derive`; here they are kept apart and named by
the readings that open and close them, instead of being summed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from hub.energy.corrections import Correction, corrected
from hub.energy.derive import track_of
from hub.energy.intervals import TimeClass, amount_pieces, cut, gauge_pieces
from hub.energy.slots import SLOT_MS, Int64, Readings, Rule
from hub.energy.spread import Spread
from hub.energy.track import Track
from hub.model.quality import Flag
from hub.model.series import Behaviour

HALF_MW_MS_PER_MWH = 7_200_000
"""A gauge's sums count half a mW for a millisecond."""
_MS_PER_HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Point:
    """A reading as figures were derived from it, after corrections. ``cut`` marks a value of an installation."""

    ts_ms: int
    value: float
    flags: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Interval:
    """From one reading to another one: ``amount`` in steps (twice fixed point x ms for a gauge).

    ``opening`` is None for an amount whose beginning nobody knows. ``ignored`` are readings between the two that
    were not believed. ``classes`` tell how well the time between them is known.
    """

    t0_ms: int
    t1_ms: int
    opening: Point | None
    closing: Point
    amount: int
    flags: Flag
    classes: tuple[TimeClass, ...]
    ignored: tuple[Point, ...] = ()

    @property
    def length_ms(self) -> int:
        """Milliseconds of the interval."""
        return self.t1_ms - self.t0_ms


@dataclass(frozen=True, slots=True)
class Piece:
    """What an interval gives to a slot: its milliseconds ``[low, high)`` from the interval's begin, and its part."""

    interval: Interval
    low_ms: int
    high_ms: int
    part: int

    @property
    def is_whole(self) -> bool:
        """Whether all of the interval lies in the slot."""
        return self.high_ms - self.low_ms == self.interval.length_ms

    @property
    def share(self) -> Fraction:
        """The part of the interval by time."""
        return Fraction(self.high_ms - self.low_ms, max(self.interval.length_ms, 1))


def pieces_of(
    rule: Rule,
    readings: Readings,
    slot_ms: int,
    *,
    from_first: bool = False,
    spread: Spread | None = None,
    cuts: Sequence[int] = (),
) -> list[Piece]:
    """The pieces of all intervals that reach into the slot that begins at ``slot_ms``, in time order.

    Args:
        rule: how the series is read.
        readings: with as much context as derivation takes.
        slot_ms: begin of the slot.
        from_first: as for derivation.
        spread: as for derivation.
        cuts: times of the readings that are values of an installation.
    """
    track = track_of(rule, readings, slot_ms, from_first=from_first, spread=spread)
    rows = np.flatnonzero((track.t1_ms > slot_ms) & (track.t0_ms < slot_ms + SLOT_MS))
    namer = _Namer(rule, readings, track, frozenset(cuts))
    found = [namer.booked(at) for at in np.flatnonzero(track.book_slot_ms == slot_ms).tolist()]
    if len(rows):
        found += _cut(rule, track, rows, slot_ms, spread, namer)
    return sorted(found, key=lambda one: one.interval.t1_ms)


def _cut(
    rule: Rule, track: Track, rows: Int64, slot_ms: int, spread: Spread | None, namer: _Namer
) -> list[Piece]:
    t0_ms, t1_ms = track.t0_ms[rows], track.t1_ms[rows]
    pieces, length = cut(t0_ms, t1_ms), t1_ms - t0_ms
    if rule.is_gauge:
        first, second = track.first[rows], track.second[rows]
        parts = gauge_pieces(first, second, pieces, length, hold=rule.hold)
    elif spread is not None and rule.behaviour is Behaviour.COUNTER:
        until = np.concatenate([np.zeros(1, np.int64), np.cumsum(track.gap)])
        begin, end = np.searchsorted(track.time_t0_ms, t0_ms), np.searchsorted(track.time_t0_ms, t1_ms)
        parts = spread.amounts(track.first[rows], t0_ms, t1_ms, until[end] > until[begin], pieces)
    else:
        parts = amount_pieces(track.first[rows], pieces, length)
    inside = np.flatnonzero(pieces.slot_ms == slot_ms)
    return [
        Piece(
            namer.interval(int(rows[pieces.of[at]])),
            int(pieces.low_ms[at]),
            int(pieces.high_ms[at]),
            int(parts[at]),
        )
        for at in inside.tolist()
    ]


@dataclass(frozen=True, slots=True)
class _Namer:
    """Intervals of a track with their readings."""

    rule: Rule
    readings: Readings
    track: Track
    cuts: frozenset[int]

    def interval(self, row: int) -> Interval:
        track = self.track
        t0_ms, t1_ms = int(track.t0_ms[row]), int(track.t1_ms[row])
        low, high = np.searchsorted(self.readings.ts_ms, [t0_ms, t1_ms]).tolist()
        amount = int(track.first[row])
        if self.rule.is_gauge:
            first, second = int(track.first[row]), int(track.second[row])
            amount = (2 * first if self.rule.hold else first + second) * (t1_ms - t0_ms)
        flags = Flag.NONE
        for ts_ms, flag in track.decisions:
            if t0_ms < ts_ms <= t1_ms:
                flags |= Flag(flag)
        ignored = tuple(self._point(at) for at in range(low + 1, high) if not track.good[at])
        classes, gap = self._time(t0_ms, t1_ms)
        return Interval(
            t0_ms, t1_ms, self._point(low), self._point(high), amount,
            flags | (Flag.GAP if gap else Flag.NONE), classes, ignored,
        )  # fmt: skip

    def booked(self, at: int) -> Piece:
        """An amount without time: it lies in the slot that holds the millisecond before its reading."""
        amount = int(self.track.book_amount[at])
        good = np.flatnonzero(self.track.good)
        slot_ms = int(self.track.book_slot_ms[at])
        before = self.readings.ts_ms[good] - 1
        here = good[(before >= slot_ms) & (before < slot_ms + SLOT_MS)]
        # amounts without time in one slot are told apart by their place among them
        same = np.flatnonzero(self.track.book_slot_ms[:at] == slot_ms)
        lone = [row for row in here.tolist() if self._is_lone(row)]
        point = self._point(lone[len(same)])
        return Piece(
            Interval(point.ts_ms - 1, point.ts_ms, None, point, amount, Flag.GAP, (TimeClass.MISSING,)),
            0,
            1,
            amount,
        )

    def _is_lone(self, row: int) -> bool:
        return not (self.track.t1_ms == self.readings.ts_ms[row]).any()

    def _point(self, at: int) -> Point:
        ts_ms = int(self.readings.ts_ms[at])
        return Point(ts_ms, float(self.readings.value[at]), int(self.readings.flags[at]), ts_ms in self.cuts)

    def _time(self, t0_ms: int, t1_ms: int) -> tuple[tuple[TimeClass, ...], bool]:
        track = self.track
        here = (track.time_t0_ms >= t0_ms) & (track.time_t1_ms <= t1_ms)
        codes = np.unique(track.time_class[here]).tolist()
        return tuple(TimeClass(code) for code in codes), bool(track.gap[here].any())


@dataclass(frozen=True, slots=True)
class Weights:
    """How the two readings of an interval count in a piece, in steps per step."""

    opening: Fraction
    closing: Fraction

    def of_opening(self, rule: Rule) -> Callable[[float], int]:
        """What a value of the opening reading adds, in whole steps."""
        return lambda value: weighted(self.opening, steps_of(rule, value))

    def of_closing(self, rule: Rule) -> Callable[[float], int]:
        """What a value of the closing reading adds, in whole steps."""
        return lambda value: weighted(self.closing, steps_of(rule, value))


def weights_of(rule: Rule, piece: Piece) -> Weights:
    """How the readings of a piece's interval count in it: mWh for a power, steps for all others."""
    if rule.is_gauge:
        length = piece.high_ms - piece.low_ms
        if rule.hold:
            return Weights(Fraction(length, _MS_PER_HOUR), Fraction(0))
        rise = Fraction(piece.high_ms**2 - piece.low_ms**2, 2 * piece.interval.length_ms)
        return Weights((length - rise) / _MS_PER_HOUR, rise / _MS_PER_HOUR)
    share = _share(piece)
    return Weights(-share if rule.behaviour is Behaviour.COUNTER else Fraction(0), share)


def _share(piece: Piece) -> Fraction:
    """By time; where another rule spread the interval, what the part is of the whole."""
    amount, flat = piece.interval.amount, piece.share
    if piece.interval.opening is None or not amount or abs(piece.part - flat * amount) <= 1:
        return flat
    return Fraction(piece.part, amount)


def steps_of(rule: Rule, value: float) -> int:
    """A value in whole fixed-point steps."""
    return int(np.rint(value * rule.scale))


def weighted(weight: Fraction, steps: int) -> int:
    """A share of steps to the nearest whole one, halves up."""
    return (2 * weight.numerator * steps + weight.denominator) // (2 * weight.denominator)


@dataclass(frozen=True, slots=True)
class Changed:
    """What one correction made of the reading of an instant; None where there was, or is, none."""

    correction: Correction
    before: float | None
    after: float | None
    is_word: bool
    """It says something about the reading (accepted, rejected) and leaves its value."""


def changes_at(
    stored: Readings, corrections: Sequence[Correction], ts_ms: int
) -> tuple[float | None, list[Changed]]:
    """The stored value at ``ts_ms`` (None without a row) and what each correction made of it, in their order."""
    now = stored.between(ts_ms, ts_ms + 1)
    raw = float(now.value[0]) if len(now) else None
    changes = []
    for one in sorted(corrections, key=lambda each: each.id):
        if not one.start_ms <= ts_ms < one.end_ms:
            continue
        after = corrected(now, [replace(one)], ts_ms, ts_ms + 1)
        values = [float(rows.value[0]) if len(rows) else None for rows in (now, after)]
        told = len(now) == len(after) and bool((now.flags != after.flags).any())
        if values[0] != values[1] or told:
            changes.append(Changed(one, values[0], values[1], told and values[0] == values[1]))
        now = after
    return raw, changes
