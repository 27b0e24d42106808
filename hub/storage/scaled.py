"""Where the scale of a counter begins and ends: its stream is cut there, so that the register does not jump.

A person who scales a counter means what it counts from then on, not what it had counted before. The stream before
the border ends with the register as it stands there, the stream behind begins with the same register scaled, and
nothing is counted across. The register at the border lies on the straight line between the readings around it, so
it follows late readings as every figure does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hub.energy.corrections import OPEN_END_MS, Action, Correction, corrected
from hub.energy.installations import Cut
from hub.energy.slots import Readings, Rule
from hub.model.series import Behaviour, Series
from hub.storage.corrected import CorrectedReadings

LINEAR = (Action.SCALE, Action.OFFSET)
"""What scales and shifts a register; all other corrections come before, for the register at a border."""


def scale_cuts(series: Series, readings: CorrectedReadings, known: tuple[Cut, ...]) -> tuple[Cut, ...]:
    """Cuts at the borders of the scales of a counter, in order of time; none where one is ``known``."""
    scales = [one for one in readings.corrections if one.action is Action.SCALE and one.value != 1.0]
    if not scales or series.behaviour is not Behaviour.COUNTER:
        return ()
    borders = {at for one in scales for at in (one.start_ms, one.end_ms) if at < OPEN_END_MS}
    borders -= {cut.at_ms for cut in known}
    linear = tuple(one for one in readings.corrections if one.action in LINEAR)
    others = tuple(one for one in readings.corrections if one.action not in LINEAR)
    plain = replace(readings, corrections=others)
    found = (_cut_at(Rule.of(series), plain, linear, at_ms) for at_ms in sorted(borders))
    return tuple(cut for cut in found if cut is not None)


def _cut_at(rule: Rule, plain: CorrectedReadings, linear: tuple[Correction, ...], at_ms: int) -> Cut | None:
    """None where readings lie on one side only: nothing is counted across the border then."""
    around = _around(plain, at_ms)
    if around is None:
        return None
    first_ms, first, last_ms, last = around
    most = rule.steps_per_ms * (last_ms - first_ms) + rule.tolerance_steps
    if (last - first) * rule.scale > most:  # a false zero or a spike: what was counted here is not known
        return Cut(at_ms, None, None, swap=False)
    register = _between(around, at_ms)
    return Cut(at_ms, _at(linear, at_ms - 1, register), _at(linear, at_ms, register), swap=False)


def register_at(readings: CorrectedReadings, at_ms: int) -> float | None:
    """The register on the straight line between the readings around an instant.

    None outside of all readings, where nothing is to be shared out; a register that falls keeps its value.
    """
    around = _around(readings, at_ms)
    return None if around is None else _between(around, at_ms)


def _around(readings: CorrectedReadings, at_ms: int) -> tuple[int, float, int, float] | None:
    """Time and value of the last reading up to an instant, and of the first one behind it."""
    before, after = readings.before(at_ms + 1, 1), readings.after(at_ms, 1)
    if not len(before.ts_ms) or not len(after.ts_ms):
        return None
    return int(before.ts_ms[0]), float(before.values[0]), int(after.ts_ms[0]), float(after.values[0])


def _between(around: tuple[int, float, int, float], at_ms: int) -> float:
    first_ms, first, last_ms, last = around
    return first + max(last - first, 0.0) * (at_ms - first_ms) / (last_ms - first_ms)


def _at(linear: tuple[Correction, ...], at_ms: int, register: float) -> float:
    """The register as the scales and offsets that hold at an instant leave it."""
    one = Readings(np.array([at_ms], np.int64), np.array([register]), np.zeros(1, np.uint8))
    return float(corrected(one, linear, at_ms, at_ms + 1).value[0])
