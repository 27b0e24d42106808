"""Derive a range of one series again from its stored readings: fetch enough context, then the pure function.

What a reading changes reaches from the reading before it to the one after it, and for counters as far as a
decision about a dip or a spike may still be revised. The range is widened to that before it is derived, so that
rows written before and after fit together without a seam.

The readings are the *corrected* ones, and dated installations and scaled stretches cut the stream
(:mod:`hub.energy.corrections`, :mod:`hub.energy.installations`, :mod:`hub.storage.scaled`); a series without
either is derived from what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.energy.corrections import Correction, Span, flagged, touched
from hub.energy.derive import (
    LOOKAHEAD_MS,
    LOOKAHEAD_READINGS,
    LOOKBACK_MS,
    LOOKBACK_READINGS,
    Derived,
)
from hub.energy.doubts import OpenDoubt, open_doubts
from hub.energy.installations import Cut, cuts_of, derive_cut, parts_of
from hub.energy.intervals import USUAL_OF
from hub.energy.reach import Reach, reach
from hub.energy.slots import SLOT_MS, Readings, Rule
from hub.energy.spread import Spread
from hub.energy.trace import Piece, pieces_of
from hub.model.series import Behaviour, Series
from hub.storage.corrected import CorrectedReadings
from hub.storage.counting import FLAT, Counting, load_counting, spread_of
from hub.storage.metering import installations_of
from hub.storage.readings import Columns, read_before
from hub.storage.scaled import scale_cuts

FIRST_MS = 0
LAST_MS = 1 << 53
_WIDEN = 4
_SEEN_TAIL = 4096


@dataclass(frozen=True, slots=True)
class Rederived:
    """Fresh rows of ``[start_ms, end_ms)``: they replace everything that was there.

    ``seen_ms`` are the times of the newest stored readings that went in, so that the caller can tell a reading
    that is already part of the result from one that came since. ``at_tail`` says that the readings reach the
    end, ``may_fold`` that readings to come are neither corrected nor cut off from those.
    """

    series: int
    start_ms: int
    end_ms: int
    derived: Derived
    seen_ms: NDArray[np.int64]
    at_tail: bool
    may_fold: bool = True


def rederive(conn: sa.Connection, series: Series, start_ms: int, end_ms: int) -> Rederived:
    """Derive the slots of ``[start_ms, end_ms)`` and whatever their readings touch beside them."""
    stream = Stream.of(conn, series)
    start_ms, end_ms = touched_range(stream, start_ms, end_ms)
    return stream.derived(start_ms, end_ms)


def doubts_in(conn: sa.Connection, series: Series, start_ms: int, end_ms: int) -> list[OpenDoubt]:
    """What of a series is kept aside in ``[start_ms, end_ms)`` for a person or later readings to decide."""
    stream = Stream.of(conn, series)
    found = stream.found(start_ms, end_ms).fetched
    return [
        doubt
        for part, from_first in parts_of(found.readings, stream.cuts_in(found), from_first=found.from_first)
        for doubt in open_doubts(Rule.of(series), part, start_ms, end_ms, from_first=from_first)
    ]


@dataclass(frozen=True, slots=True)
class Stream:
    """What the figures of a series are derived from: its corrected readings and its cuts."""

    series: Series
    readings: CorrectedReadings
    cuts: tuple[Cut, ...]
    counting: Counting = FLAT

    @classmethod
    def of(cls, conn: sa.Connection, series: Series) -> Stream:
        """As people decided until now."""
        readings = CorrectedReadings.of(conn, series.no)
        return cls(
            series,
            readings,
            _cuts(series, readings),
            load_counting(conn, series.no) if series.behaviour is Behaviour.COUNTER else FLAT,
        )

    def with_corrections(self, corrections: tuple[Correction, ...]) -> Stream:
        """As other decisions would leave it."""
        readings = replace(self.readings, corrections=corrections)
        return replace(self, readings=readings, cuts=_cuts(self.series, readings))

    def derived(self, start_ms: int, end_ms: int, within: Span | None = None) -> Rederived:
        """Derive ``[start_ms, end_ms)``, with as much context as it takes.

        ``within`` leaves out parts of the stream that lie outside of it, so that of a slot in which a meter was
        swapped only one meter is seen.
        """
        found = self.found(start_ms, end_ms, within)
        derived = flagged(found.derived, touched(found.fetched.readings, self.readings.corrections))
        return Rederived(
            self.series.no,
            start_ms,
            end_ms,
            derived,
            self._seen(found.fetched),
            found.fetched.to_last,
            self._may_fold(derived),
        )

    def pieces(self, slot_ms: int) -> list[Piece]:
        """The intervals behind one slot, with the part that each has in it."""
        found = self.found(slot_ms, slot_ms + SLOT_MS).fetched
        cuts = self.cuts_in(found)
        spread = self._spread(found.readings, cuts)
        pieces: list[Piece] = []
        parts = parts_of(found.readings, cuts, from_first=found.from_first)
        for (before, after), (part, from_first) in zip(pairwise([None, *cuts, None]), parts, strict=True):
            values = [before.at_ms] if before is not None and before.opening is not None else []
            values += [after.at_ms] if after is not None and after.closing is not None else []
            rule = Rule.of(self.series)
            pieces += pieces_of(rule, part, slot_ms, from_first=from_first, spread=spread, cuts=values)
        return pieces

    def found(self, start_ms: int, end_ms: int, within: Span | None = None) -> _Found:
        """The range derived, and what it was derived from."""
        rule = Rule.of(self.series)
        back, ahead = LOOKBACK_READINGS, LOOKAHEAD_READINGS
        while True:
            fetched = _fetch(self.readings, start_ms, end_ms, back, ahead)
            cuts = self.cuts_in(fetched)
            derived = derive_cut(
                rule,
                fetched.readings,
                cuts,
                start_ms,
                end_ms,
                from_first=fetched.from_first,
                to_last=fetched.to_last,
                spread=self._spread(fetched.readings, cuts),
                within=within,
            )
            if (derived.anchored or fetched.from_first) and (derived.settled or fetched.to_last):
                return _Found(fetched, derived)
            back *= 1 if derived.anchored else _WIDEN
            ahead *= 1 if derived.settled else _WIDEN

    def cuts_in(self, fetched: _Fetched) -> list[Cut]:
        """Cuts with no reading left out between them and the fetched ones."""
        return [cut for cut in self.cuts if fetched.covers(cut.at_ms)]

    def _spread(self, readings: Readings, cuts: list[Cut]) -> Spread | None:
        """How amounts are spread between these readings and the values at the cuts."""
        if self.counting == FLAT:
            return None
        times = [*readings.ts_ms[:1].tolist(), *readings.ts_ms[-1:].tolist(), *(cut.at_ms for cut in cuts)]
        ends = [min(times), max(times)] if times else []
        span = Readings.of(ends, [0.0] * len(ends))
        return spread_of(self.readings.conn, self.series, self.counting, span)

    def _seen(self, found: _Fetched) -> NDArray[np.int64]:
        """Times of the newest stored readings that went in, those too that corrections leave out."""
        if not self.readings.corrections:
            return found.readings.ts_ms[-_SEEN_TAIL:]
        stored = self.readings
        newest = read_before(stored.conn, stored.series, found.to_ms, _SEEN_TAIL)
        return newest.ts_ms

    def _may_fold(self, derived: Derived) -> bool:
        """Whether the next reading belongs to the same stream and nobody corrected it beforehand."""
        last_ms = derived.tail.last_ts_ms
        open_ms = last_ms - last_ms % SLOT_MS
        return all(one.end_ms <= last_ms for one in self.readings.corrections) and all(
            cut.at_ms < open_ms for cut in self.cuts
        )


def _cuts(series: Series, readings: CorrectedReadings) -> tuple[Cut, ...]:
    """All cuts of a stream in order of time."""
    swaps = cuts_of(installations_of(readings.conn, series.no))
    scales = scale_cuts(series, readings, swaps)
    return tuple(sorted((*swaps, *scales), key=lambda cut: cut.at_ms)) if scales else swaps


def touched_range(stream: Stream, start_ms: int, end_ms: int) -> tuple[int, int]:
    """The slot-aligned range that readings inside the given one can change."""
    rule = Rule.of(stream.series)
    back, ahead = LOOKBACK_READINGS, LOOKAHEAD_READINGS + USUAL_OF
    while True:
        fetched = _fetch(stream.readings, start_ms, end_ms, back, ahead)
        found = _reach_of_parts(rule, fetched, stream.cuts_in(fetched), start_ms, end_ms)
        if found.enough_before and found.enough_after:
            break
        back *= 1 if found.enough_before else _WIDEN
        ahead *= 1 if found.enough_after else _WIDEN
    start_ms, end_ms = min(start_ms, found.start_ms), max(end_ms, found.end_ms)
    start_ms, end_ms = _up_to_cuts(stream, start_ms, end_ms)
    return max(start_ms - start_ms % SLOT_MS, FIRST_MS), end_ms + -end_ms % SLOT_MS


def _reach_of_parts(rule: Rule, fetched: _Fetched, cuts: Sequence[Cut], start_ms: int, end_ms: int) -> Reach:
    """How far a change reaches in the stream as it is read, and in each part that cuts make of it.

    A part begins with decisions of its own about the value at its cut, which the uncut stream knows nothing of.
    """
    whole = reach(rule, fetched.readings, start_ms, end_ms - 1)
    found = [
        replace(
            whole,
            enough_before=whole.enough_before or fetched.from_first,
            enough_after=whole.enough_after or fetched.to_last,
        )
    ]
    parts = parts_of(fetched.readings, cuts, from_first=fetched.from_first) if cuts else []
    for (part, from_first), (before, after) in zip(parts, pairwise([None, *cuts, None]), strict=bool(cuts)):
        if (before is not None and before.at_ms >= end_ms) or (after is not None and after.at_ms < start_ms):
            continue
        one = reach(rule, part, start_ms, end_ms - 1)
        enough_after = one.enough_after or after is not None or fetched.to_last
        found.append(replace(one, enough_before=one.enough_before or from_first, enough_after=enough_after))
    return Reach(
        min(one.start_ms for one in found),
        max(one.end_ms for one in found),
        all(one.enough_before for one in found),
        all(one.enough_after for one in found),
    )


def _up_to_cuts(stream: Stream, start_ms: int, end_ms: int) -> tuple[int, int]:
    """Where no reading bounds the range, the value at a cut does."""
    earlier = [cut.at_ms for cut in stream.cuts if cut.at_ms < start_ms]
    if earlier and not len(stream.readings.before(start_ms, 1).ts_ms):
        start_ms = earlier[-1]
    later = [cut.at_ms for cut in stream.cuts if cut.at_ms >= end_ms]
    if later and not len(stream.readings.after(end_ms - 1, 1).ts_ms):
        end_ms = later[0] + 1
    return start_ms, end_ms


@dataclass(frozen=True, slots=True)
class _Found:
    """A derivation and its readings."""

    fetched: _Fetched
    derived: Derived


@dataclass(frozen=True, slots=True)
class _Fetched:
    """Readings with context up to ``to_ms``, and whether they begin with the first and end with the last one."""

    readings: Readings
    from_first: bool
    to_last: bool
    to_ms: int

    def covers(self, at_ms: int) -> bool:
        """Whether no reading between these and ``at_ms`` is left out."""
        ts_ms = self.readings.ts_ms
        after = self.from_first or (len(ts_ms) > 0 and at_ms >= int(ts_ms[0]))
        return after and (self.to_last or (len(ts_ms) > 0 and at_ms <= int(ts_ms[-1])))


def _fetch(source: CorrectedReadings, start_ms: int, end_ms: int, back: int, ahead: int) -> _Fetched:
    scale = back // LOOKBACK_READINGS
    before = source.before(start_ms, back)
    from_ms = start_ms - LOOKBACK_MS * scale
    if len(before.ts_ms):
        from_ms = min(from_ms, int(before.ts_ms[0]))
    scale = ahead // LOOKAHEAD_READINGS
    after = source.after(end_ms - 1, ahead)
    to_ms = end_ms + LOOKAHEAD_MS * scale
    if len(after.ts_ms):
        to_ms = max(to_ms, int(after.ts_ms[-1]) + 1)
    columns = source.columns(max(from_ms, FIRST_MS), to_ms)
    first = columns.ts_ms[0] if len(columns.ts_ms) else from_ms
    from_first = not len(source.before(int(first), 1).ts_ms)
    to_last = not len(source.after(to_ms - 1, 1).ts_ms)
    return _Fetched(_readings(columns), from_first, to_last, to_ms)


def _readings(columns: Columns) -> Readings:
    return Readings(columns.ts_ms, columns.values, columns.flags)
