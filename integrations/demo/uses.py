"""What every meter of the house draws, minute by minute of a UTC day."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from integrations.demo.family import DayPlan, Family, Run
from integrations.demo.noise import Float64, Int64, Noise
from integrations.demo.site import MINUTES_PER_DAY, Site
from integrations.demo.sky import Sky

MEASURED = ("ev-charger", "heat-pump", "kitchen", "fridge", "dishwasher", "washing-machine", "office")
"""Uses with a meter of their own; the kitchen circuit contains fridge and dishwasher."""

_STANDBY_W = {"dishwasher": 0.7, "washing-machine": 0.9, "office": 9.0, "ev-charger": 4.0}
_HEATS_BELOW = 15.5
_ROOM = 19.5
_GAINS_K = 3.0
"""What people, sun and appliances warm the house by."""
_WARM_WATER_W = 1450.0


class Uses:
    """Renders the plans of the family and everything that runs by itself."""

    def __init__(self, noise: Noise, site: Site) -> None:
        self._noise = noise
        self._site = site
        self._family = Family(noise, site)
        self._plans: dict[int, DayPlan] = {}

    def of_day(self, day: int, sky: Sky) -> tuple[dict[str, Float64], Float64]:
        """(W per measured use, W of the whole house) per minute of a UTC day (days since 1970)."""
        minute = day * MINUTES_PER_DAY + np.arange(MINUTES_PER_DAY, dtype=np.int64)
        plans = self._plans_around(int(minute[0]), int(minute[-1]))
        drawn = {name: np.full(MINUTES_PER_DAY, watts) for name, watts in _STANDBY_W.items()}
        drawn["cooking"] = np.zeros(MINUTES_PER_DAY)
        drawn["rest"] = np.zeros(MINUTES_PER_DAY)
        for plan in plans:
            for run in plan.runs:
                _add(drawn[run.use], run, int(minute[0]))
        people = _people(plans, int(minute[0]))
        home = _somebody_home(plans, self._family, minute)
        drawn["fridge"] = self._fridge(minute, people)
        drawn["heat-pump"] = self._heat_pump(minute, sky, home, self._family.wall_minutes(minute))
        drawn["office"] += 14.0 * np.clip(people, 0.0, 1.0)
        drawn["kitchen"] = drawn["fridge"] + drawn["dishwasher"] + drawn.pop("cooking") + 6.0
        drawn["rest"] += self._background(minute, people, sky)
        whole = sum(
            (
                drawn[name]
                for name in ("ev-charger", "heat-pump", "kitchen", "washing-machine", "office", "rest")
            ),
            np.zeros(MINUTES_PER_DAY),
        )
        return {name: drawn[name] for name in MEASURED}, whole

    def _plans_around(self, first_min: int, last_min: int) -> list[DayPlan]:
        """Plans of every local day that can reach into these minutes."""
        day = self._family.local_day(first_min) - timedelta(days=1)
        last = self._family.local_day(last_min)
        plans = []
        while day <= last:
            key = day.toordinal()
            if key not in self._plans:
                if len(self._plans) > 8:
                    self._plans.clear()
                self._plans[key] = self._family.plan(day)
            plans.append(self._plans[key])
            day += timedelta(days=1)
        return plans

    def _fridge(self, minute: Int64, people: Float64) -> Float64:
        """A compressor that runs a third of the time, longer where the door is opened."""
        place = minute / 47.0 + 0.35 * self._noise.smooth("fridge", minute, 700.0)
        running = place % 1.0 < 0.3 + 0.08 * np.clip(people, 0.0, 1.0)
        warm = self._noise.smooth("fridge load", minute, 300.0)
        defrosts = minute % 2_580 < 16
        return np.where(defrosts, 165.0, np.where(running, 82.0 + 5.0 * warm, 1.4)) * self._site.scale

    def _heat_pump(self, minute: Int64, sky: Sky, home: Float64, wall: Float64) -> Float64:
        """Heats by the outdoor temperature, cycles where little is wanted, and makes warm water twice a day."""
        setback = np.where((wall >= 23 * 60) | (wall < 5 * 60), 0.72, 1.0) * (0.62 + 0.38 * home)
        lacking = np.maximum(_ROOM - _GAINS_K - sky.slow_temperature, 0.0) * (
            sky.slow_temperature < _HEATS_BELOW
        )
        heat_w = self._site.heat_loss_w_per_k * lacking * setback
        yield_of = np.clip(3.35 + 0.075 * sky.temperature, 1.9, 4.8)
        wanted = heat_w / yield_of
        least = 430.0
        place = minute / 52.0 + 0.5 * self._noise.smooth("heat pump", minute, 400.0)
        cycling = np.where(place % 1.0 < wanted / least, least, 0.0)
        steady = wanted * (1.0 + 0.04 * self._noise.smooth("compressor", minute, 9.0))
        heating = np.where(wanted >= least, steady, cycling)
        longer = np.clip(50.0 - 1.2 * sky.slow_temperature, 18.0, 60.0)
        water = ((wall >= 13 * 60 + 10) & (wall < 13 * 60 + 10 + longer) & (home > 0.0)) | (
            (wall >= 5 * 60 + 20) & (wall < 5 * 60 + 20 + 0.4 * longer) & (home > 0.0)
        )
        return (np.where(water, _WARM_WATER_W, heating) + 11.0) * self._site.scale

    def _background(self, minute: Int64, people: Float64, sky: Sky) -> Float64:
        """What never sleeps, light where it is dark, and the small things of people who are awake."""
        always = 96.0 + 7.0 * self._noise.smooth("standby", minute, 2_000.0)
        dark = np.clip(1.0 - (sky.sun - 0.02) / 0.22, 0.0, 1.0)
        light = 115.0 * dark * people
        busy = people * np.maximum(48.0 + 38.0 * self._noise.smooth("small things", minute, 13.0), 0.0)
        flicker = 5.0 * self._noise.normal("flicker", minute)
        return np.maximum(always + light + busy + flicker, 25.0) * self._site.scale


def _add(column: Float64, run: Run, first_min: int) -> None:
    low, high = max(run.start_min, first_min), min(run.end_min, first_min + len(column))
    if low < high:
        column[low - first_min : high - first_min] += run.power_w[low - run.start_min : high - run.start_min]


def _people(plans: list[DayPlan], first_min: int) -> Float64:
    """Share of the family that is at home and awake."""
    people = np.zeros(MINUTES_PER_DAY)
    for plan in plans:
        for start, end, share in plan.awake:
            low, high = max(start - first_min, 0), min(end - first_min, MINUTES_PER_DAY)
            if low < high:
                people[low:high] = share
    return people


def _somebody_home(plans: list[DayPlan], family: Family, minute: Int64) -> Float64:
    """1 on days at home, 0 on days away, by local days."""
    first = family.local_day(int(minute[0]))
    midnight = family.minute_of(first + timedelta(days=1), 0)
    today, tomorrow = plans[1], plans[min(2, len(plans) - 1)]
    return np.where(minute < midnight, float(not today.away), float(not tomorrow.away))
