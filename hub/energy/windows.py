"""How far a decision about a counter looks: confirm window, standstill, and where a reader may begin.

Every decision looks at a bounded stretch of readings: the *confirm window* after a departure, and the time for
which the register *stood still* (before a rise that is too fast, or at zero after a fall), a day at most. So after
one calm window in which the register moved, the state is the same wherever the reading of the stream began.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub.energy.slots import Int64, Rule

CONFIRM_MS = 900_000
CONFIRM_READINGS = 3
STALL_MS = 900_000
"""A shorter standstill is the digit of a register; the rise of a longer one is real, but its times are estimated."""

STILL_MS = 86_400_000
"""How long a register that stands still is watched: a sleeping inverter shows zero for a whole winter night."""

NOISE_DIVISOR = 1000
"""Falls up to 0.1 % of the register are jitter."""

_RESTLESS_MS = 2 * CONFIRM_MS
_RESTLESS_READINGS = 2 * (CONFIRM_READINGS + 1)

Bools = NDArray[np.bool_]


def normal_pairs(rule: Rule, ts_ms: Int64, register: Int64, accepted: Bools | None = None) -> Bools:
    """Which neighbours rise (or stand still) within the physical limit, or because a person says so."""
    rise = np.diff(register)
    limit = rule.steps_per_ms
    if limit == float("inf"):
        return np.asarray(rise >= 0)
    fits = rise <= limit * np.diff(ts_ms) + rule.tolerance_steps
    if accepted is not None:
        fits |= accepted[1:]
    return np.asarray((rise >= 0) & fits)


def calm_after(ts_ms: Int64, begin: int) -> int:
    """First position whose reading lies beyond the confirm window of ``begin``; it may not exist yet."""
    by_time = int(np.searchsorted(ts_ms, ts_ms[begin] + CONFIRM_MS, side="right"))
    return max(by_time, begin + CONFIRM_READINGS + 1)


def anchor(
    ts_ms: Int64,
    register: Int64,
    normal: Bools,
    before_ms: int,
    resolution_steps: int = 0,
    accepted: Bools | None = None,
) -> int | None:
    """Latest reading from which the machine may begin so that all it says after ``before_ms`` is final.

    It lies in a run of normal pairs: behind a whole confirm window of the run and behind its first rise (or a day),
    so every decision begun before the run was made inside it; and the register rose after it and not after
    ``before_ms`` (or a day passed), so a standstill is seen as far back as it counts. A register that always shivers
    or always falls has no such run: there a new height, or any reading of the fall, is where every decision before
    it ends. None if the readings hold neither.
    """
    last = int(np.searchsorted(ts_ms, before_ms, side="right")) - 1
    breaks = np.flatnonzero(~normal)
    while last > CONFIRM_READINGS:
        known = int(np.searchsorted(breaks, last))
        begin = int(breaks[known - 1]) + 1 if known else 0
        at = max(
            begin + int(np.searchsorted(register[begin : last + 1], register[last])) - 1,
            int(np.searchsorted(ts_ms, ts_ms[last] - STILL_MS)) - 1,
        )
        if at >= max(calm_after(ts_ms, begin), moved_after(ts_ms, register, begin, last)):
            return at
        last = begin - 1
    return _restless_anchor(ts_ms, register, normal, before_ms, resolution_steps, accepted)


def _restless_anchor(
    ts_ms: Int64,
    register: Int64,
    normal: Bools,
    before_ms: int,
    resolution_steps: int,
    accepted: Bools | None,
) -> int | None:
    last = int(np.searchsorted(ts_ms, before_ms, side="right")) - 1
    if last < 2 * _RESTLESS_READINGS:
        return None
    said = np.empty(0, np.int64) if accepted is None else np.flatnonzero(accepted[: last + 1])
    unjudged = int(said[-1]) + 1 if len(said) else 0
    found = [
        _falling(ts_ms, register, unjudged, last),
        _at_new_height(ts_ms, register, normal, last, resolution_steps),
    ]
    return max((one for one in found if one is not None), default=None)


def _falling(ts_ms: Int64, register: Int64, begin: int, last: int) -> int | None:
    """A reading of a long fall without any rise: from each of them the machine goes on to the next.

    The fall goes on for a whole confirm window after it, so nothing brings the register back. It is looked at from
    ``begin`` on, behind every reading that a person accepted: to those the machine goes straight.
    """
    rises = np.flatnonzero(np.diff(register[begin : last + 1]) > 0)
    begin += int(rises[-1]) + 1 if len(rises) else 0
    at = min(int(np.searchsorted(ts_ms, ts_ms[last] - CONFIRM_MS)) - 2, last - CONFIRM_READINGS - 2)
    if at < begin or register[at] == register[last]:
        return None
    long_enough = at - begin >= _RESTLESS_READINGS and ts_ms[at] - ts_ms[begin] >= _RESTLESS_MS
    return at if long_enough and 2 * int(register[last]) > int(register[begin]) else None


def _at_new_height(
    ts_ms: Int64, register: Int64, normal: Bools, last: int, resolution_steps: int
) -> int | None:
    """The height before the last one, both the highest of a long time in which the register only shivered.

    Whatever was good before, its window ends within that time, and from then on nothing is above the new height, so
    the machine comes to it; the second height makes sure that nothing which follows looks back behind the first.
    """
    heights: list[int] = []
    for at in range(last, 2 * _RESTLESS_READINGS, -1):
        low = min(int(np.searchsorted(ts_ms, ts_ms[at] - _RESTLESS_MS)) - 1, at - _RESTLESS_READINGS)
        if low < 0:
            return None
        before = register[low:at]
        if register[at] <= before.max() or (heights and register[at] >= register[heights[-1]]):
            continue
        noise = max(resolution_steps, int(register[at]) // NOISE_DIVISOR)
        rising = np.diff(register[low : at + 1]) > 0
        if before.min() >= register[at] - noise and normal[low:at][rising].all():
            heights.append(at)
            if len(heights) == 2:
                return at
        else:
            return None
    return None


def moved_after(ts_ms: Int64, register: Int64, begin: int, last: int) -> int:
    """First position in the run ``[begin, last]`` above its beginning, or a day later; it may lie behind ``last``."""
    risen = begin + int(np.searchsorted(register[begin : last + 1], register[begin], side="right"))
    return min(risen, int(np.searchsorted(ts_ms, ts_ms[begin] + STILL_MS, side="right")))


def same_after(ts_ms: Int64, register: Int64, normal: Bools) -> int | None:
    """First reading from which the machine says the same, whatever stood before these readings; None if none is."""
    begin = 0
    for end in [*np.flatnonzero(~normal).tolist(), len(ts_ms) - 1]:
        calm = max(calm_after(ts_ms, begin), moved_after(ts_ms, register, begin, end))
        if calm <= end:
            same = moved_after(ts_ms, register, calm, end)
            if same <= end:
                return same
        begin = end + 1
    return None
