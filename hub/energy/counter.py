"""The counter state machine: register readings in time order → intervals of energy, each decided once.

A pure function of sorted columns; event time only. The normal case (the register rises within the physical
limit) is one vector comparison; each departure from it is decided by :class:`hub.energy.machine.Machine` from the
readings of a *confirm window* after it, the longer of 3 readings and 15 minutes:

* the register comes back to the last good value or above it: a dip, a false zero or jitter; nothing is
  invented, the difference is booked from the last good value. A register that stands at zero without counting
  is given a day to come back;
* it stays low near the top of a known width: a rollover; near zero and counting: a reset, what was counted since
  zero is booked; by no more than noise: the lower register is taken over with no energy; anywhere else: an
  unknown change, the register is taken over, no energy is booked and the time is suspect;
* it rises faster than physics allows and falls back: the readings between are ignored. A register that stood
  still before (a slow gateway, a coarse digit) may catch up: the rise is spread over the standstill. If it
  stays high without an explanation, it is taken over like an unknown change.

A person may decide otherwise: a reading that was *accepted* is good whatever physics says.

After one calm stretch the state is the same wherever the reading of the stream began (:mod:`hub.energy.windows`).
Dated installations (a meter swap by opening and closing values) come in from outside as a cut of the stream: each
side is a stream of its own.
"""

from __future__ import annotations

import numpy as np

from hub.energy.decided import Decided, Doubt, Why
from hub.energy.machine import Machine
from hub.energy.slots import Int64, Rule
from hub.energy.windows import (
    CONFIRM_MS,
    CONFIRM_READINGS,
    STALL_MS,
    STILL_MS,
    Bools,
    anchor,
    calm_after,
    normal_pairs,
    same_after,
)

__all__ = [
    "CONFIRM_MS",
    "CONFIRM_READINGS",
    "STALL_MS",
    "STILL_MS",
    "Decided",
    "Doubt",
    "Why",
    "anchor",
    "calm_after",
    "decide",
    "normal_pairs",
    "same_after",
]


def decide(rule: Rule, ts_ms: Int64, register: Int64, accepted: Bools | None = None) -> Decided:
    """Run the machine over usable readings; the first one is taken as good.

    Args:
        rule: how the series is read.
        ts_ms: times, rising.
        register: the readings in steps.
        accepted: readings that a person said are good; None for none of them.
    """
    size = len(ts_ms)
    normal = normal_pairs(rule, ts_ms, register, accepted)
    if normal.all():
        steps = np.arange(max(size - 1, 0))
        nothing = np.zeros(size, np.bool_)
        return Decided(steps, steps + 1, np.diff(register), nothing, (), (), (), size - 1, pending=False)
    machine = Machine(
        ts_ms,
        register,
        np.zeros(size, np.bool_),
        accepted=np.flatnonzero(accepted) if accepted is not None else np.empty(0, np.int64),
        steps_per_ms=rule.steps_per_ms,
        is_rated=rule.physical_limit is not None,
        tolerance_steps=rule.tolerance_steps,
        resolution_steps=rule.resolution_steps,
        width_steps=round((rule.register_width or 0.0) * rule.scale),
    )
    machine.run(np.flatnonzero(~normal))
    return machine.decided()
