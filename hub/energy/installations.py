"""Dated installations: which register stood at a metering point when, and how its energy becomes the point's.

A row says that the register of a series is attached to a point in ``[from_ms, to_ms)``. A swap of the meter, of
a factor or of a calorific value is another row, never an edit of an old one. The energy of the point is the sum
over its rows of (closing - opening) x factor.

Where the cut is made: an opening or closing value cuts the *stream of its series*. The stream before a closing
value ends with it, the stream after an opening value begins with it, and nothing is counted across the cut. So
one rule serves both ways of swapping: another device with a series of its own, and another meter behind the same
series, whose register falls in the middle of the stream. A row without values does not cut: the register went on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hub.energy.corrections import Span, flagged
from hub.energy.derive import Derived, derive
from hub.energy.slots import SLOT_MS, Readings, Rule, SlotColumns
from hub.energy.spread import Spread
from hub.model.quality import Flag, ReadingFlag

FOR_EVER_MS = 1 << 53


@dataclass(frozen=True, slots=True)
class Installation:
    """A register at a point in ``[from_ms, to_ms)``; None as ``to_ms``: until further notice.

    ``opening`` and ``closing`` are register values in the stored unit of the series, ``factor`` is that of
    transformers, ``calorific_value`` (kWh per m3) and ``state_number`` turn a volume of gas into energy.
    """

    series: int
    from_ms: int
    to_ms: int | None = None
    factor: float = 1.0
    opening: float | None = None
    closing: float | None = None
    calorific_value: float | None = None
    state_number: float | None = None

    @property
    def end_ms(self) -> int:
        """The end, far in the future where it is open."""
        return FOR_EVER_MS if self.to_ms is None else self.to_ms

    @property
    def multiplier(self) -> Fraction:
        """By which the steps of the series are multiplied, exactly as the decimals were written."""
        whole = Fraction(1)
        for part in (self.factor, self.calorific_value, self.state_number):
            if part is not None:
                whole *= Fraction(repr(part))
        return whole


@dataclass(frozen=True, slots=True)
class Cut:
    """At ``at_ms`` a stream ends with ``closing`` and another begins with ``opening`` (None: not known).

    A cut that is no ``swap`` only shares the register out between two sides.
    """

    at_ms: int
    closing: float | None
    opening: float | None
    swap: bool = True


def cuts_of(installations: Sequence[Installation]) -> tuple[Cut, ...]:
    """The cuts of one series' stream, in order of time."""
    closing = {one.to_ms: one.closing for one in installations if one.to_ms is not None}
    opening = {one.from_ms: one.opening for one in installations}
    values = [(at, closing.get(at), opening.get(at)) for at in sorted({*closing, *opening})]
    return tuple(Cut(*one) for one in values if one[1] is not None or one[2] is not None)


def derive_cut(
    rule: Rule,
    readings: Readings,
    cuts: Sequence[Cut],
    start_ms: int,
    end_ms: int,
    *,
    from_first: bool = False,
    to_last: bool = False,
    spread: Spread | None = None,
    within: Span | None = None,
) -> Derived:
    """As :func:`hub.energy.derive.derive` for a stream that is cut: each part is a stream of its own.

    Slots that hold a cut carry the flag ``swapped`` and the sums of both parts, or only of the parts that lie
    in ``within``.
    """
    if not cuts:
        return derive(rule, readings, start_ms, end_ms, from_first=from_first, to_last=to_last, spread=spread)
    asked = Span(start_ms, end_ms)
    parts: list[Derived] = []
    for before, after in pairwise([None, *cuts, None]):
        if _apart(before, after, asked) or (within is not None and _apart(before, after, within)):
            continue
        first, last = before is not None or from_first, after is not None or to_last
        part = _part(readings, before, after)
        parts.append(derive(rule, part, start_ms, end_ms, from_first=first, to_last=last, spread=spread))
    spans = [Span(one.at_ms - (one.closing is not None), one.at_ms + 1) for one in cuts if one.swap]
    whole = Derived(
        _summed([one.slots for one in parts]),
        parts[-1].tail,
        anchored=all(one.anchored for one in parts),
        settled=all(one.settled for one in parts),
    )
    return flagged(whole, spans, Flag.SWAPPED)


def parts_of(readings: Readings, cuts: Sequence[Cut], *, from_first: bool) -> list[tuple[Readings, bool]]:
    """The streams that cuts make of readings, each with whether nothing of it is missing before its first."""
    return [
        (_part(readings, before, after), before is not None or from_first)
        for before, after in pairwise([None, *cuts, None])
    ]


def _apart(before: Cut | None, after: Cut | None, span: Span) -> bool:
    """Whether the stretch between two cuts lies outside of a span."""
    behind = before is not None and before.at_ms >= span.end_ms
    return behind or (after is not None and after.at_ms <= span.start_ms)


def _part(readings: Readings, before: Cut | None, after: Cut | None) -> Readings:
    """The readings between two cuts with the values at both, which stand for any reading at the same time."""
    low, high = 0, len(readings)
    parts: list[Readings] = []
    if before is not None and before.opening is not None:
        low = int(np.searchsorted(readings.ts_ms, before.at_ms, side="right"))
        parts.append(_decided(before.at_ms, before.opening))
    elif before is not None:
        low = int(np.searchsorted(readings.ts_ms, before.at_ms))
    if after is not None:
        high = int(np.searchsorted(readings.ts_ms, after.at_ms))
    parts.append(readings.rows(min(low, high), high))
    if after is not None and after.closing is not None:
        parts.append(_decided(after.at_ms, after.closing))
    return Readings(
        np.concatenate([one.ts_ms for one in parts]),
        np.concatenate([one.value for one in parts]),
        np.concatenate([one.flags for one in parts]),
    )


def _decided(at_ms: int, value: float) -> Readings:
    """The value that a person read off at a cut: it is right, however the readings before it look."""
    return Readings.of([at_ms], [value], [int(ReadingFlag.ACCEPTED)])


def _summed(parts: Sequence[SlotColumns]) -> SlotColumns:
    """Parts in order of time, one row for each slot: amounts and times are added, the later last value stays."""
    rows = SlotColumns.joined([part for part in parts if len(part)])
    again = np.flatnonzero(rows.start_ms[1:] == rows.start_ms[:-1])
    if not len(again):
        return rows
    kept = np.ones(len(rows), np.bool_)
    for at in again.tolist():
        _add_row(rows, at, at + 1)
        kept[at] = False
    return rows.take(kept)


_TIMES = ("measured_ms", "late_ms", "estimated_ms", "suspect_ms")


def _add_row(rows: SlotColumns, first: int, second: int) -> None:
    """Add the row at ``first`` to the one at ``second``."""
    rows.delta[second] += rows.delta[first]
    rows.has_delta[second] |= rows.has_delta[first]
    rows.flags[second] |= rows.flags[first]
    for name in ("count", *_TIMES):
        column = getattr(rows, name)
        column[second] += column[first]
    for name, pick in (("min", np.fmin), ("max", np.fmax)):
        column = getattr(rows, name)
        column[second] = pick(column[first], column[second])
    if np.isnan(rows.last[second]):
        rows.last[second] = rows.last[first]
    if np.isnan(rows.mean[second]):
        rows.mean[second] = rows.mean[first]


# --- the energy of a point


def multiplied(amounts: NDArray[np.int64], multiplier: Fraction) -> NDArray[np.int64]:
    """Steps of a register, from the beginning of its installation on, → steps of the point.

    Each is the difference of the rounded running total, so that any stretch from the beginning adds up to
    (closing - opening) x multiplier, rounded once. The step of a gas volume (1e-6 m3) times kWh per m3 is the
    step of energy (1e-3 Wh), so no other factor comes in.
    """
    if multiplier == 1:
        return amounts
    up, down = multiplier.numerator, multiplier.denominator
    total = np.cumsum(amounts).astype(object)
    running = (2 * total * up + down) // (2 * down)
    return np.diff(running, prepend=0).astype(np.int64)


def together(parts: Sequence[SlotColumns]) -> SlotColumns:
    """Registers of a point in one: amounts add up.

    Times add up too where one register follows another inside a slot; of registers that ran side by side the
    first tells the quality.
    """
    rows = SlotColumns.joined([part for part in parts if len(part)])
    order = np.argsort(rows.start_ms, kind="stable")
    ordered = rows.take(order)
    if not len(ordered) or bool((np.diff(ordered.start_ms) > 0).all()):
        return ordered
    kept = np.ones(len(ordered), np.bool_)
    for at in np.flatnonzero(np.diff(ordered.start_ms) == 0).tolist():
        times = [getattr(ordered, name)[at] for name in _TIMES]
        _add_row(ordered, at, at + 1)
        if sum(int(getattr(ordered, name)[at + 1]) for name in _TIMES) > SLOT_MS:
            for name, time in zip(_TIMES, times, strict=True):
                getattr(ordered, name)[at + 1] = time
        kept[at] = False
    return ordered.take(kept)
