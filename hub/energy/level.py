"""How much energy the coming days will take, and how far off that usually is.

The level is a mean of the days before with a half-life of six days, of workdays and of rest days by themselves.
How far off it is comes from doing the same at days of the last weeks and comparing with what followed. The half-life
and the allowance were chosen on seventeen open series of homes and buildings (a year each, seen from the 5th and the
15th of the months): 82 % of the months ended within the range, and the level was nearer than the pace of the month.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hub.energy.money import Bools, Int64

HALF_LIFE_DAYS: Final = 6.0
_SHORTEST: Final = 14
"""Origins of the comparison lie at least so far back, or the horizon if that is shorter."""
_FIRST: Final = 7
_P90: Final = 1.28
_MORE: Final = 0.04
"""Few origins understate how far off a level can be; this much is added, or as much again."""
_LITTLE: Final = 0.35
"""Half a range where there is too little history to tell."""


@dataclass(frozen=True, slots=True)
class DayTotals:
    """Whole days of the past, oldest first: number since 1970, energy, and whether it is a weekend or holiday."""

    day: Int64
    energy: NDArray[np.float64]
    rest: Bools

    def before(self, day: int) -> DayTotals:
        """Those before a day."""
        count = int(np.searchsorted(self.day, day))
        return DayTotals(self.day[:count], self.energy[:count], self.rest[:count])


def level(days: DayTotals, at_day: int, rest_ahead: Bools) -> NDArray[np.float64]:
    """Energy of each coming day, seen from the begin of ``at_day``; ``rest_ahead`` says which are rest days."""
    past = days.before(at_day)
    if not len(past.day):
        return np.zeros(len(rest_ahead))
    weight = 0.5 ** ((at_day - past.day) / HALF_LIFE_DAYS)
    mean = float(np.average(past.energy, weights=weight))
    of_kind = [mean, mean]
    for kind in (0, 1):
        rows = past.rest == bool(kind)
        if np.count_nonzero(rows) >= 2:
            of_kind[kind] = float(np.average(past.energy[rows], weights=weight[rows]))
    return np.where(rest_ahead, of_kind[1], of_kind[0])


def spread(days: DayTotals, at_day: int, horizon: int) -> float:
    """Half a range around the level of the next ``horizon`` days, as a logarithm: 0.1 is about ± 10 %."""
    if not len(days.day):
        return _LITTLE
    first = int(days.day[0]) + _FIRST
    errors = []
    for origin in range(first, at_day - min(horizon, _SHORTEST) + 1, 2):
        within = (days.day >= origin) & (days.day < origin + horizon)
        actual = float(days.energy[within].sum())
        seen = float(level(days, origin, days.rest[within]).sum())
        if actual > 0 and seen > 0:
            errors.append(np.log(actual / seen))
    if len(errors) < 5:
        return _LITTLE
    usual = float(np.sqrt(np.mean(np.square(errors))))
    return _P90 * usual + min(_MORE, usual)
