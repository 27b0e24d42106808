"""Derive a range of one series again from its stored readings: fetch enough context, then the pure function.

What a reading changes reaches from the reading before it to the one after it, and for counters as far as a
decision about a dip or a spike may still be revised. The range is widened to that before it is derived, so that
rows written before and after fit together without a seam.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.energy.derive import (
    LOOKAHEAD_MS,
    LOOKAHEAD_READINGS,
    LOOKBACK_MS,
    LOOKBACK_READINGS,
    Derived,
    derive,
)
from hub.energy.doubts import OpenDoubt, open_doubts
from hub.energy.intervals import USUAL_OF
from hub.energy.reach import reach
from hub.energy.slots import SLOT_MS, Readings, Rule
from hub.model.series import Behaviour, Series
from hub.storage.counting import FLAT, load_counting, spread_of
from hub.storage.readings import Columns, read_after, read_before, read_columns

FIRST_MS = 0
LAST_MS = 1 << 53
_WIDEN = 4
_SEEN_TAIL = 4096


@dataclass(frozen=True, slots=True)
class Rederived:
    """Fresh rows of ``[start_ms, end_ms)``: they replace everything that was there.

    ``seen_ms`` are the times of the newest readings that went in, so that the caller can tell a reading that
    is already part of the result from one that came since. ``at_tail`` says that the readings reach the end.
    """

    series: int
    start_ms: int
    end_ms: int
    derived: Derived
    seen_ms: NDArray[np.int64]
    at_tail: bool


def rederive(conn: sa.Connection, series: Series, start_ms: int, end_ms: int) -> Rederived:
    """Derive the slots of ``[start_ms, end_ms)`` and whatever their readings touch beside them."""
    start_ms, end_ms = _touched(conn, series, start_ms, end_ms)
    found = _derived(conn, series, start_ms, end_ms)
    seen_ms = found.readings.ts_ms[-_SEEN_TAIL:]
    return Rederived(series.no, start_ms, end_ms, found.derived, seen_ms, found.to_last)


def doubts_in(conn: sa.Connection, series: Series, start_ms: int, end_ms: int) -> list[OpenDoubt]:
    """What of a series is kept aside in ``[start_ms, end_ms)`` for a person or later readings to decide."""
    found = _derived(conn, series, start_ms, end_ms)
    return open_doubts(Rule.of(series), found.readings, start_ms, end_ms, from_first=found.from_first)


@dataclass(frozen=True, slots=True)
class _Found:
    readings: Readings
    derived: Derived
    from_first: bool
    to_last: bool


def _derived(conn: sa.Connection, series: Series, start_ms: int, end_ms: int) -> _Found:
    """The range derived, with as much context as it needs."""
    rule = Rule.of(series)
    counting = load_counting(conn, series.no) if series.behaviour is Behaviour.COUNTER else FLAT
    back, ahead = LOOKBACK_READINGS, LOOKAHEAD_READINGS
    while True:
        readings, from_first, to_last = _fetch(conn, series.no, start_ms, end_ms, back, ahead)
        spread = spread_of(conn, series, counting, readings) if counting != FLAT else None
        derived = derive(
            rule, readings, start_ms, end_ms, from_first=from_first, to_last=to_last, spread=spread
        )
        if (derived.anchored or from_first) and (derived.settled or to_last):
            return _Found(readings, derived, from_first, to_last)
        back *= 1 if derived.anchored else _WIDEN
        ahead *= 1 if derived.settled else _WIDEN


def _touched(conn: sa.Connection, series: Series, start_ms: int, end_ms: int) -> tuple[int, int]:
    """The slot-aligned range that readings inside the given one can change."""
    rule = Rule.of(series)
    back, ahead = LOOKBACK_READINGS, LOOKAHEAD_READINGS + USUAL_OF
    while True:
        readings, from_first, to_last = _fetch(conn, series.no, start_ms, end_ms, back, ahead)
        found = reach(rule, readings, start_ms, end_ms - 1)
        if (found.enough_before or from_first) and (found.enough_after or to_last):
            break
        back *= 1 if found.enough_before else _WIDEN
        ahead *= 1 if found.enough_after else _WIDEN
    start_ms, end_ms = min(start_ms, found.start_ms), max(end_ms, found.end_ms)
    return max(start_ms - start_ms % SLOT_MS, FIRST_MS), end_ms + -end_ms % SLOT_MS


def _fetch(
    conn: sa.Connection, number: int, start_ms: int, end_ms: int, back: int, ahead: int
) -> tuple[Readings, bool, bool]:
    """Readings with context, and whether they begin with the first and end with the last of the series."""
    scale = back // LOOKBACK_READINGS
    before = read_before(conn, number, start_ms, back)
    from_ms = start_ms - LOOKBACK_MS * scale
    if len(before.ts_ms):
        from_ms = min(from_ms, int(before.ts_ms[0]))
    scale = ahead // LOOKAHEAD_READINGS
    after = read_after(conn, number, end_ms - 1, ahead)
    to_ms = end_ms + LOOKAHEAD_MS * scale
    if len(after.ts_ms):
        to_ms = max(to_ms, int(after.ts_ms[-1]) + 1)
    columns = read_columns(conn, number, max(from_ms, FIRST_MS), to_ms)
    first = columns.ts_ms[0] if len(columns.ts_ms) else from_ms
    from_first = not len(read_before(conn, number, int(first), 1).ts_ms)
    to_last = not len(read_after(conn, number, to_ms - 1, 1).ts_ms)
    return _readings(columns), from_first, to_last


def _readings(columns: Columns) -> Readings:
    return Readings(columns.ts_ms, columns.values, columns.flags)
