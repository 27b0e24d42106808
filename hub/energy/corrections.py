"""Corrections: what people decided about stored readings → the readings that figures are derived from.

Raw readings never change. A correction is an event; those that are *active* (nobody took them back) are applied
in the order in which they were made. Each of them acts on single readings by their time only, so a range
corrected alone equals the same range of the whole history, whenever its readings arrived, and without an active
correction the columns are the stored ones, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.energy.derive import Derived
from hub.energy.slots import SLOT_MS, Float64, Int64, Readings
from hub.model.quality import Flag, ReadingFlag

Flags = NDArray[Any]

OPEN_END_MS = 1 << 53
"""The end of a correction that holds from its start on, for readings to come too."""


class Action(StrEnum):
    """What a correction does to the readings in its range."""

    VALUE = "value"
    """one reading has this value; it is put in where there was none"""
    DELETE = "delete"
    """the readings are left out"""
    REPLACE = "replace"
    """the readings are left out, and the given rows stand for them"""
    OFFSET = "offset"
    """this is added to each value"""
    SCALE = "scale"
    """each value is multiplied by this"""
    ACCEPT = "accept"
    """suspect readings are right: a person knows why they are unusual"""
    REJECT = "reject"
    """the readings are wrong and ignored, though they look plausible"""


@dataclass(frozen=True, slots=True)
class Correction:
    """An active correction of one series in ``[start_ms, end_ms)``; ``id`` rises in the order of making.

    ``value`` belongs to value, offset and scale, in the stored unit; ``rows`` (time, value) to replace, in the
    order of time and inside the range.
    """

    id: int
    action: Action
    start_ms: int
    end_ms: int
    value: float = 0.0
    rows: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """Times in ``[start_ms, end_ms)``."""

    start_ms: int
    end_ms: int


def corrected(readings: Readings, corrections: Sequence[Correction], start_ms: int, end_ms: int) -> Readings:
    """What the readings of ``[start_ms, end_ms)`` are after the corrections.

    Args:
        readings: all stored readings of the range, and none outside of it; sorted, unique.
        corrections: the active ones of the series in any order; those that lie elsewhere do nothing.
        start_ms: first time of the range.
        end_ms: end of the range, exclusive.
    """
    touching = [one for one in corrections if one.start_ms < end_ms and one.end_ms > start_ms]
    for one in sorted(touching, key=lambda each: each.id):
        readings = _applied(readings, one, start_ms, end_ms)
    return readings


def _applied(readings: Readings, one: Correction, start_ms: int, end_ms: int) -> Readings:
    low, high = np.searchsorted(readings.ts_ms, (one.start_ms, one.end_ms)).tolist()
    match one.action:
        case Action.VALUE:
            flags = readings.flags[low:high]
            return _spliced(readings, low, high, [(one.start_ms, one.value)], flags)
        case Action.DELETE:
            return _spliced(readings, low, high, [])
        case Action.REPLACE:
            inside = [row for row in one.rows if start_ms <= row[0] < end_ms]
            return _spliced(readings, low, high, inside)
        case Action.OFFSET:
            return _changed(readings, low, high, readings.value[low:high] + one.value)
        case Action.SCALE:
            return _changed(readings, low, high, readings.value[low:high] * one.value)
        case Action.ACCEPT:
            return _judged(readings, low, high, ReadingFlag.ACCEPTED, ReadingFlag.REJECTED)
        case Action.REJECT:
            return _judged(readings, low, high, ReadingFlag.REJECTED, ReadingFlag.ACCEPTED)


def _spliced(
    readings: Readings,
    low: int,
    high: int,
    rows: Sequence[tuple[int, float]],
    flags: NDArray[np.uint8] | None = None,
) -> Readings:
    """Rows for the readings at ``[low, high)``; ``flags`` are kept where one row takes the place of another."""
    ts_ms = np.array([ts for ts, _ in rows], np.int64)
    values = np.array([value for _, value in rows], np.float64)
    marks = flags if flags is not None and len(flags) == len(rows) else np.zeros(len(rows), np.uint8)
    return Readings(
        np.concatenate([readings.ts_ms[:low], ts_ms, readings.ts_ms[high:]]),
        np.concatenate([readings.value[:low], values, readings.value[high:]]),
        np.concatenate([readings.flags[:low], marks, readings.flags[high:]]),
    )


def _changed(readings: Readings, low: int, high: int, values: Float64) -> Readings:
    if low == high:
        return readings
    column = readings.value.copy()
    column[low:high] = values
    return replace(readings, value=column)


def _judged(readings: Readings, low: int, high: int, word: ReadingFlag, other: ReadingFlag) -> Readings:
    """What a person says of readings; the later word counts."""
    flags = readings.flags.copy()
    flags[low:high] = flags[low:high] & ~np.uint8(other) | np.uint8(word)
    return replace(readings, flags=flags)


def touched(readings: Readings, corrections: Iterable[Correction]) -> list[Span]:
    """Times whose figures a correction takes part in: from the reading before its range to the one after it.

    Args:
        readings: corrected readings with their neighbours on both sides.
        corrections: the active ones.
    """
    spans = []
    for one in corrections:
        low, high = np.searchsorted(readings.ts_ms, (one.start_ms, one.end_ms)).tolist()
        first_ms = int(readings.ts_ms[low - 1]) if low else one.start_ms
        last_ms = int(readings.ts_ms[high]) if high < len(readings) else one.end_ms
        spans.append(Span(first_ms, max(last_ms, first_ms + 1)))
    return spans


def flagged(derived: Derived, spans: Sequence[Span], flag: Flag = Flag.CORRECTED) -> Derived:
    """The same rows with ``flag`` on all that overlap a span; the open slot carries it on."""
    if not spans:
        return derived
    slots, sums = derived.slots, derived.tail.sums
    slots = replace(slots, flags=_marked(slots.start_ms, slots.flags, spans, flag))
    open_sums = sums.take(slice(None))
    open_sums.flags = _marked(sums.start_ms, sums.flags, spans, flag)
    return replace(derived, slots=slots, tail=replace(derived.tail, sums=open_sums))


def _marked(start_ms: Int64, flags: Flags, spans: Sequence[Span], flag: Flag) -> Flags:
    marked = flags.copy()
    for span in spans:
        marked[(start_ms < span.end_ms) & (start_ms + SLOT_MS > span.start_ms)] |= int(flag)
    return marked
