"""Energy that was kept aside: what only a person can decide, or readings that have not come yet.

A dip, a false zero or a spike that came back is decided and not listed. What a person accepted or rejected is
decided too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hub.energy import counter
from hub.energy.counter import Why
from hub.energy.derive import registers, usable
from hub.energy.slots import Readings, Rule
from hub.model.quality import ReadingFlag
from hub.model.series import Behaviour

_JUDGED = ReadingFlag.ACCEPTED | ReadingFlag.REJECTED


@dataclass(frozen=True, slots=True)
class OpenDoubt:
    """A suspicious change between two readings, the later one in question.

    ``before`` and ``after`` are the readings at ``start_ms`` and ``end_ms`` in the stored unit, ``before`` None where
    nothing stands before. ``amount`` is what would be booked if the later reading were accepted, None for gauges.
    """

    start_ms: int
    end_ms: int
    before: float | None
    after: float
    amount: float | None
    why: Why


def open_doubts(
    rule: Rule, readings: Readings, start_ms: int, end_ms: int, *, from_first: bool = False
) -> list[OpenDoubt]:
    """Doubts that overlap ``[start_ms, end_ms)``, in order of time.

    The readings bring the context with which :func:`hub.energy.derive.derive` was ``anchored`` and ``settled``.
    """
    if rule.behaviour is Behaviour.COUNTER:
        found = _of_counter(rule, readings, start_ms, from_first=from_first)
    else:
        found = _beyond_limit(rule, readings)
    return [one for one in found if one.start_ms < end_ms and one.end_ms > start_ms]


def _of_counter(rule: Rule, readings: Readings, start_ms: int, *, from_first: bool) -> list[OpenDoubt]:
    seen = registers(rule, readings)
    known = None if from_first else seen.anchor(start_ms)
    begin = known or 0
    said = None if seen.accepted is None else seen.accepted[begin:]
    decided = counter.decide(rule, seen.ts_ms[begin:], seen.steps[begin:], said)
    at = seen.at[begin:]
    ts_ms, value = readings.ts_ms[at].tolist(), readings.value[at].tolist()
    return [
        OpenDoubt(
            ts_ms[one.opening],
            ts_ms[one.closing],
            value[one.opening],
            value[one.closing],
            one.amount / rule.scale,
            one.why,
        )
        for one in decided.doubts
    ]


def _beyond_limit(rule: Rule, readings: Readings) -> list[OpenDoubt]:
    """Values of a gauge and amounts that are larger than the series allows."""
    good = usable(rule, readings)
    if not rule.is_gauge and len(readings) and rule.steps_per_ms != float("inf"):
        most = rule.steps_per_ms * np.diff(readings.ts_ms) + rule.tolerance_steps
        good[1:] &= np.abs(readings.value[1:] * rule.scale) <= most
    good |= (readings.flags & _JUDGED) != 0
    ts_ms, value = readings.ts_ms.tolist(), readings.value.tolist()
    return [
        OpenDoubt(
            ts_ms[at - 1] if at else ts_ms[at] - 1,
            ts_ms[at],
            value[at - 1] if at else None,
            value[at],
            None if rule.is_gauge else value[at],
            Why.LIMIT,
        )
        for at in np.flatnonzero(~good).tolist()
    ]
