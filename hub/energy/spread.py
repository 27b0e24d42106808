"""How the amount of a counter is spread inside an interval that crosses slot borders.

The counter decides how much; this decides only when. Flat is the rule without anything else. A *profile* (what the
same hours of the week usually take) shapes gaps; a *power* series of the same device shapes any interval, whether
the meter is read once an hour or counts whole kilowatt hours. Weights are integers, and an interval's amount is
divided by running totals, so its parts always add up to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from hub.energy.calendar import WEEK_HOURS, week_hours
from hub.energy.intervals import Pieces, amount_pieces
from hub.energy.slots import SLOT_MS, Int64, Ints, Readings, Rule, SlotColumns
from hub.energy.windows import STILL_MS, Bools
from hub.model.series import Direction

_LARGEST_W = 1_000_000
_LARGEST_WEIGHT = 1_000_000
_PROFILE_MS = 86_400_000 * 7
"""Least known time of which a profile is made."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Weight of each hour of the local week (0: Monday's first), whole numbers up to a million."""

    zone: str
    weights: tuple[int, ...]

    @classmethod
    def of(cls, slots: SlotColumns, zone: str) -> Self | None:
        """What the hours of the week took on average; None where less than a week of slots was measured."""
        known = slots.has_delta & (slots.measured_ms + slots.late_ms == SLOT_MS) & (slots.delta >= 0)
        rows = slots.take(known)
        if len(rows) * SLOT_MS < _PROFILE_MS:
            return None
        hour = week_hours(zone, rows.start_ms)
        count = np.bincount(hour, minlength=WEEK_HOURS)
        total = np.bincount(hour, rows.delta.astype(np.float64), minlength=WEEK_HOURS)
        mean = np.where(count > 0, total / np.maximum(count, 1), total.sum() / count.sum())
        if not mean.max() > 0:
            return None
        return cls(zone, tuple(np.rint(mean / mean.max() * _LARGEST_WEIGHT).astype(np.int64).tolist()))

    def weight(self, pieces: Pieces) -> Int64:
        """Weight of each piece: that of its hour times its length."""
        hours = week_hours(self.zone, pieces.slot_ms)
        return np.asarray(np.array(self.weights, np.int64)[hours] * pieces.length_ms, np.int64)


@dataclass(frozen=True, slots=True)
class PowerShape:
    """Power of the counted direction as a running total: each value holds until the next, for a while at most.

    ``hold_ms`` is how long each value counts. What lies between two instants depends on the readings up to the
    later one alone, so power that arrives in order never changes an interval that is over.
    """

    ts_ms: Int64
    power_mw: Int64
    hold_ms: Int64

    @classmethod
    def of(cls, rule: Rule, readings: Readings, direction: Direction, *, is_signed: bool) -> Self:
        """From readings of a power series.

        Args:
            rule: how the power series is read.
            readings: sorted; values that cannot be a measurement must be left out by the caller.
            direction: of the counter. A signed power exports below zero.
            is_signed: the power series tells both directions by its sign.
        """
        sign = -1.0 if is_signed and direction is Direction.EXPORT else 1.0
        watts = np.clip(sign * readings.value, 0.0, _LARGEST_W)
        limit_ms = max(rule.gap_floor_ms, SLOT_MS)
        hold = np.append(np.minimum(np.diff(readings.ts_ms), limit_ms), limit_ms)[: len(readings)]
        return cls(readings.ts_ms, np.rint(watts * 1000).astype(np.int64), hold)

    def weight(self, pieces: Pieces, t0_ms: Int64) -> tuple[Int64, Bools]:
        """Weight of each piece, and whether power is known for at least half of its interval.

        Time without power counts with the mean of the interval's other time.
        """
        begin = t0_ms[pieces.of]
        energy, known = self._between(begin + pieces.low_ms, begin + pieces.high_ms)
        intervals = len(t0_ms)
        all_energy, all_known = (
            _by_interval(energy, pieces, intervals),
            _by_interval(known, pieces, intervals),
        )
        length = _by_interval(pieces.length_ms, pieces, intervals)
        mean = all_energy / np.maximum(all_known, 1)
        filled = energy + np.rint(mean[pieces.of] * (pieces.length_ms - known)).astype(np.int64)
        return filled, np.asarray((2 * all_known >= length) & (all_energy > 0))

    def _between(self, low_ms: Int64, high_ms: Int64) -> tuple[Int64, Int64]:
        if not len(self.ts_ms):
            return np.zeros(len(low_ms), np.int64), np.zeros(len(low_ms), np.int64)
        energy = np.concatenate([_ZERO, np.cumsum(self.power_mw * self.hold_ms)])
        known = np.concatenate([_ZERO, np.cumsum(self.hold_ms)])
        low, high = self._at(low_ms, energy, known), self._at(high_ms, energy, known)
        return high[0] - low[0], high[1] - low[1]

    def _at(self, at_ms: Int64, energy: Int64, known: Int64) -> tuple[Int64, Int64]:
        row = np.searchsorted(self.ts_ms, at_ms, side="right") - 1
        held = np.maximum(row, 0)
        passed = np.where(row < 0, 0, np.minimum(at_ms - self.ts_ms[held], self.hold_ms[held]))
        return energy[held] + self.power_mw[held] * passed, known[held] + passed


@dataclass(frozen=True, slots=True)
class Spread:
    """The rules of one counter; an empty one is flat."""

    profile: Profile | None = None
    power: PowerShape | None = None

    def amounts(self, amount: Int64, t0_ms: Int64, t1_ms: Int64, gap: Bools, pieces: Pieces) -> Int64:
        """What each piece gets: by power where that is known, gaps by the profile, else flat."""
        result = amount_pieces(amount, pieces, t1_ms - t0_ms)
        if self.profile is not None and gap.any():
            weight = self.profile.weight(pieces)
            result = _shaped(result, amount, pieces, weight, gap)
        if self.power is not None:
            weight, known = self.power.weight(pieces, t0_ms)
            result = _shaped(result, amount, pieces, weight, known)
        return result


def steps_joined(t0_ms: Int64, t1_ms: Int64, amount: Int64) -> tuple[Int64, Int64, Int64]:
    """Intervals in which a register only waited for its next digit become one with the step that ends them.

    A register of whole kilowatt hours stands for an hour and steps in ten seconds; what it counts belongs to all
    of the hour. Intervals are joined where one begins as the other ends, over a day at most.
    """
    step = np.flatnonzero(amount != 0)
    if not len(step):
        return t0_ms, t1_ms, amount
    begins = np.concatenate([_ZERO, np.flatnonzero(t0_ms[1:] != t1_ms[:-1]) + 1])
    first = begins[np.searchsorted(begins, step, side="right") - 1]
    first = np.maximum(first, np.concatenate([_ZERO, step[:-1] + 1]))
    first = np.maximum(first, np.searchsorted(t0_ms, t1_ms[step] - STILL_MS))
    first = np.minimum(first, step)
    inside = np.zeros(len(amount) + 1, np.int64)
    np.add.at(inside, first, 1)
    np.add.at(inside, step, -1)
    keep = np.cumsum(inside[:-1]) == 0
    opens = t0_ms.copy()
    opens[step] = t0_ms[first]
    return opens[keep], t1_ms[keep], amount[keep]


def shaped_by(pieces: Pieces, amount: Int64, weight: Int64) -> Int64:
    """Integer amounts divided among the pieces of their intervals by weight, exact in sum.

    An interval whose weights are all zero gives everything to its last piece: ask for it only where they are not.
    """
    running = np.cumsum(weight)
    starts = _starts(pieces)
    base = (running - weight)[starts][_rank(pieces)]
    total = _by_interval(weight, pieces, len(amount))[pieces.of]
    share = (running - base) / np.maximum(total, 1)
    whole: Ints = amount[pieces.of]
    upto = np.minimum(np.floor(whole * share + 0.5).astype(np.int64), whole)
    ends = np.append(pieces.of[1:] != pieces.of[:-1], True) if len(pieces.of) else np.empty(0, np.bool_)
    upto[ends] = whole[ends]
    before = np.concatenate([_ZERO, upto[:-1]])[: len(upto)]
    before[starts] = 0
    return np.asarray(upto - before, np.int64)


def _shaped(result: Int64, amount: Int64, pieces: Pieces, weight: Int64, chosen: Bools) -> Int64:
    """``result`` with the pieces of the chosen intervals by weight, where there is any."""
    has_weight = _by_interval(weight, pieces, len(amount)) > 0
    return np.where((chosen & has_weight)[pieces.of], shaped_by(pieces, amount, weight), result)


def _by_interval(column: Int64, pieces: Pieces, count: int) -> Int64:
    result = np.zeros(count, np.int64)
    starts = _starts(pieces)
    if len(starts):
        result[pieces.of[starts]] = np.add.reduceat(column, starts)
    return result


def _starts(pieces: Pieces) -> Int64:
    if not len(pieces.of):
        return np.empty(0, np.int64)
    return np.concatenate([_ZERO, np.flatnonzero(pieces.of[1:] != pieces.of[:-1]) + 1])


def _rank(pieces: Pieces) -> Int64:
    return np.cumsum(np.append(False, pieces.of[1:] != pieces.of[:-1])[: len(pieces.of)])


_ZERO: Int64 = np.zeros(1, np.int64)
