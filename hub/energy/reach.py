"""How far a change among stored readings reaches: which slots have to be derived again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hub.energy import counter
from hub.energy.derive import REVISION_MS, registers, usable
from hub.energy.intervals import USUAL_OF
from hub.energy.slots import SLOT_MS, Readings, Rule
from hub.model.series import Behaviour


@dataclass(frozen=True, slots=True)
class Reach:
    """Slots in ``[start_ms, end_ms)`` may differ; none outside, if the context was enough on that side.

    Where ``enough_before`` (or ``enough_after``) is false and more readings are stored there, ask again with
    more of them, as for :func:`hub.energy.derive.derive`.
    """

    start_ms: int
    end_ms: int
    enough_before: bool
    enough_after: bool


def reach(rule: Rule, readings: Readings, first_ms: int, last_ms: int) -> Reach:
    """Reach of readings that were added, removed or replaced at times in ``[first_ms, last_ms]``.

    Args:
        rule: how the series is read.
        readings: the stored neighbours of the change, sorted: those before and after it are looked at.
        first_ms: time of the first changed reading.
        last_ms: time of the last changed reading.
    """
    low = int(np.searchsorted(readings.ts_ms, first_ms))
    high = int(np.searchsorted(readings.ts_ms, last_ms, side="right"))
    before, after = readings.rows(0, low), readings.rows(high, len(readings))
    if rule.behaviour is Behaviour.COUNTER:
        start_ms, enough_before = _decided_before(rule, before, first_ms)
        end_ms, enough_after = _decided_after(rule, after, last_ms)
    else:
        good = np.flatnonzero(usable(rule, before))
        enough_before = len(good) > 0
        start_ms = min(_first_of(before.rows(good[-1] if enough_before else 0, low), first_ms), first_ms - 1)
        end_ms, enough_after = last_ms, bool(usable(rule, after).any())
    # the usual interval, by which gaps are judged, looks back over this many intervals
    if len(after) > USUAL_OF:
        end_ms = max(end_ms, int(after.ts_ms[USUAL_OF]))
    else:
        enough_after = False
        end_ms = max(end_ms, int(after.ts_ms[-1])) if len(after) else end_ms
    end_ms += 1
    return Reach(start_ms - start_ms % SLOT_MS, end_ms + -end_ms % SLOT_MS, enough_before, enough_after)


def _decided_before(rule: Rule, before: Readings, first_ms: int) -> tuple[int, bool]:
    """Time up to which every decision was made without the change."""
    found = registers(rule, before)
    known = found.anchor(first_ms)
    # without an anchor even the first reading may turn out false, and the time before it is suspect then
    earliest_ms = _first_of(before, first_ms) if known is None else int(found.ts_ms[known])
    return min(earliest_ms, first_ms - REVISION_MS), known is not None


def _first_of(readings: Readings, otherwise_ms: int) -> int:
    return int(readings.ts_ms[0]) if len(readings) else otherwise_ms


def _decided_after(rule: Rule, after: Readings, last_ms: int) -> tuple[int, bool]:
    """Time from which the state is the same with and without the change."""
    found = registers(rule, after)
    if not len(found.at):
        return last_ms, False
    same = counter.same_after(found.ts_ms, found.steps, found.normal)
    return int(found.ts_ms[-1 if same is None else same]), same is not None
