"""Intervals between readings: which are gaps, how they fall into slots, and their exact shares.

An interval ``(t0, t1]`` is cut at the slot borders into *pieces*. What a piece gets is the difference of a
rounded running total at its two ends, so the pieces of an interval always add up to the whole interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.energy.slots import SLOT_MS, Float64, Int64, Ints, Rule

USUAL_OF = 16
"""The usual interval of a series is the median of up to this many intervals before."""

_WIDE = 1 << 62


class TimeClass(IntEnum):
    """Quality of the time between two readings, by the reading that closes it."""

    MEASURED = 0
    LATE = 1
    ESTIMATED = 2
    SUSPECT = 3
    MISSING = 4


@dataclass(frozen=True, slots=True)
class Pieces:
    """Intervals cut at slot borders, in time order.

    ``of`` is the interval's row, ``low_ms`` and ``high_ms`` count from the interval's beginning.
    """

    of: Int64
    slot_ms: Int64
    low_ms: Int64
    high_ms: Int64

    @property
    def length_ms(self) -> Int64:
        """Milliseconds of each piece."""
        return self.high_ms - self.low_ms


def slot_of(ts_ms: Int64) -> Int64:
    """Start of the slot that contains each instant."""
    return ts_ms - ts_ms % SLOT_MS


def cut(t0_ms: Int64, t1_ms: Int64) -> Pieces:
    """Cut intervals with ``t0 < t1``; a piece that would be empty (an end on a border) does not exist."""
    first, last = slot_of(t0_ms), slot_of(t1_ms - 1)
    extra = (last - first) // SLOT_MS
    if not extra.any():
        return Pieces(np.arange(len(t0_ms)), first, np.zeros(len(t0_ms), np.int64), t1_ms - t0_ms)
    parts = extra + 1
    of = np.repeat(np.arange(len(t0_ms)), parts)
    rank = np.arange(len(of)) - np.repeat(np.cumsum(parts) - parts, parts)
    slot_ms = first[of] + rank * SLOT_MS
    begin = t0_ms[of]
    low = np.maximum(slot_ms - begin, 0)
    high = np.minimum(slot_ms + SLOT_MS, t1_ms[of]) - begin
    return Pieces(of, slot_ms, low, high)


def usual_ms(ts_ms: Int64, at: Int64) -> Int64:
    """Median (the lower of two) of up to 16 intervals before each reading ``at``; 0 where there is none."""
    steps = np.diff(ts_ms)
    result = np.zeros(len(at), np.int64)
    full = at >= USUAL_OF
    if full.any():
        windows = np.lib.stride_tricks.sliding_window_view(steps, USUAL_OF)[at[full] - USUAL_OF]
        result[full] = np.partition(windows, (USUAL_OF - 1) // 2, axis=1)[:, (USUAL_OF - 1) // 2]
    for row in np.flatnonzero(~full & (at > 0)).tolist():
        before = np.sort(steps[: int(at[row])])
        result[row] = before[(len(before) - 1) // 2]
    return result


def gaps(rule: Rule, ts_ms: Int64, opening: Int64, length_ms: Int64) -> NDArray[np.bool_]:
    """Which intervals that begin at readings ``opening`` and last ``length_ms`` are gaps."""
    found = length_ms > rule.gap_floor_ms
    asked = np.flatnonzero(found)
    if len(asked):
        usual = np.minimum(usual_ms(ts_ms, opening[asked]), rule.longest_usual_ms)
        found[asked] = length_ms[asked] > rule.gap_factor * usual
    return found


def fixed_point(value: Float64, scale: int) -> Ints:
    """Finite values in whole fixed-point units; Python integers where one does not fit into 62 bits."""
    scaled = np.rint(value * scale)
    if len(scaled) and float(np.abs(scaled).max()) >= _WIDE:
        return np.array([int(number) for number in scaled.tolist()], dtype=object)
    return scaled.astype(np.int64)


def amount_pieces(amount: Int64, pieces: Pieces, length_ms: Int64) -> Int64:
    """Integer amounts spread flat over their intervals: the share of each piece, exact in sum."""
    result = amount[pieces.of]
    inner = np.flatnonzero(pieces.length_ms != length_ms[pieces.of])
    if len(inner):
        whole: Ints = result[inner]
        span: Ints = length_ms[pieces.of[inner]]
        if float(span.max()) ** 2 >= _WIDE:
            whole, span = whole.astype(object), span.astype(object)
        part = share(whole, span, pieces.high_ms[inner]) - share(whole, span, pieces.low_ms[inner])
        result[inner] = part.astype(np.int64)
    return result


def gauge_pieces(opening: Ints, closing: Ints, pieces: Pieces, length_ms: Int64, *, hold: bool) -> Ints:
    """Twice the integral of a fixed-point gauge over each piece (straight line, or the opening value held).

    Values must be Python integers where :func:`needs_wide` says so.
    """
    if hold:
        return 2 * opening[pieces.of] * pieces.length_ms
    result: Ints = ((opening + closing) * length_ms)[pieces.of]
    inner = np.flatnonzero(pieces.length_ms != length_ms[pieces.of])
    if len(inner):
        of = pieces.of[inner]
        first, rise, span = opening[of], closing[of] - opening[of], length_ms[of]
        high, low = pieces.high_ms[inner], pieces.low_ms[inner]
        result[inner] = line_total(first, rise, span, high) - line_total(first, rise, span, low)
    return result


def line_total(first: Ints, rise: Ints, span: Int64, at_ms: Int64) -> Ints:
    """Twice the integral of a straight line from its beginning up to ``at_ms``, rounded to a whole."""
    return 2 * first * at_ms + share(rise * at_ms, span, at_ms)


def needs_wide(value: Ints, longest_ms: int) -> bool:
    """Whether sums of this gauge over a slot or an interval could pass 62 bits."""
    if value.dtype == object or longest_ms**2 >= _WIDE:
        return True
    largest = max(abs(int(value.max())), abs(int(value.min()))) if len(value) else 0
    return 4 * largest * max(longest_ms, SLOT_MS) >= _WIDE


def share(whole: Ints, span: Any, at_ms: Int64) -> Ints:
    """``whole * at / span`` rounded half up, without a product of two large numbers."""
    quotient, rest = whole // span, whole % span
    result: Ints = quotient * at_ms + (rest * at_ms + span // 2) // span
    return result
