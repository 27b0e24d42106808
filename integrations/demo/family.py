"""The people of the house: when they are home, away or asleep, and what they switch on that day.

Each local day is planned on its own from noise, so that any day can be had without the days before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from integrations.demo import appliances
from integrations.demo.noise import Float64, Int64, Noise
from integrations.demo.site import Site

_DRAWS = 48
_WEEKEND_TRIP = 0.09
_HOME_OFFICE = 0.38


@dataclass(frozen=True, slots=True)
class Run:
    """Something that runs: ``use`` names the meter, ``start_min`` counts UTC minutes since 1970, W per minute."""

    use: str
    start_min: int
    power_w: Float64

    @property
    def end_min(self) -> int:
        """First minute after it."""
        return self.start_min + len(self.power_w)


@dataclass(frozen=True, slots=True)
class DayPlan:
    """A local day. ``awake`` are (from, to, people) in UTC minutes; ``runs`` may reach into the next day."""

    away: bool
    awake: tuple[tuple[int, int, float], ...]
    runs: tuple[Run, ...]


class Draws:
    """The random numbers of one day, one after the other."""

    def __init__(self, values: list[float]) -> None:
        self._values = values
        self._at = -1

    def next(self) -> float:
        """In [0, 1)."""
        self._at += 1
        return self._values[self._at]

    def chance(self, share: float) -> bool:
        """True in ``share`` of the cases."""
        return self.next() < share

    def between(self, low: float, high: float) -> float:
        """Evenly in [low, high)."""
        return low + (high - low) * self.next()

    def around(self, middle: float, spread: float) -> float:
        """Near ``middle``; ``spread`` is about one deviation."""
        return middle + spread * 1.7 * (self.next() + self.next() - 1.0) * 1.45


class Family:
    """Two adults who work and two children, in a house that knows school holidays."""

    def __init__(self, noise: Noise, site: Site) -> None:
        self._noise = noise
        self._site = site
        self._zone = ZoneInfo(site.time_zone)

    def local_day(self, minute: int) -> date:
        """Local date of a UTC minute."""
        return datetime.fromtimestamp(minute * 60, self._zone).date()

    def minute_of(self, day: date, clock_min: float) -> int:
        """UTC minute of a local wall clock, given in minutes after midnight (may pass 1,440)."""
        wall = datetime(day.year, day.month, day.day, tzinfo=self._zone) + timedelta(minutes=round(clock_min))
        return int(wall.timestamp()) // 60

    def wall_minutes(self, minute: Int64) -> Float64:
        """Local minutes after midnight per UTC minute; ``minute`` covers whole half hours (offsets change there)."""
        starts = minute[::30].tolist()
        offsets = []
        for start in starts:
            offset = datetime.fromtimestamp(start * 60, self._zone).utcoffset() or timedelta()
            offsets.append(int(offset.total_seconds()) // 60)
        return np.asarray((minute + np.repeat(offsets, 30)) % 1440, np.float64)

    def away(self, day: date) -> bool:
        """Whether the house is empty all day: two weeks in summer, one in winter, some weekends."""
        year = np.array([day.year, day.year + 5000], np.int64)
        shift = self._noise.uniform("holidays", year)
        summer = _saturday(date(day.year, 7, 18) + timedelta(days=int(shift[0] * 21)))
        winter = _saturday(date(day.year, 2, 10) + timedelta(days=int(shift[1] * 14)))
        if summer <= day < summer + timedelta(days=15) or winter <= day < winter + timedelta(days=8):
            return True
        return day.weekday() >= 5 and self._weekend_trip(day)

    def _weekend_trip(self, day: date) -> bool:
        week = np.array([(day.toordinal() - 1) // 7], np.int64)
        return bool(self._noise.uniform("weekend trips", week)[0] < _WEEKEND_TRIP)

    def plan(self, day: date) -> DayPlan:
        """What happens on a local day."""
        if self.away(day):
            return DayPlan(True, (), ())
        index = day.toordinal() * _DRAWS + np.arange(_DRAWS, dtype=np.int64)
        draw = Draws(self._noise.uniform("plans", index).tolist())
        return self._workday(day, draw) if day.weekday() < 5 else self._weekend(day, draw)

    def _workday(self, day: date, draw: Draws) -> DayPlan:
        wake, leave = draw.around(398, 12), draw.around(478, 10)
        back, sleep = draw.around(1052, 28), draw.around(1372, 22)
        at_home = draw.chance(_HOME_OFFICE)
        spells = [(wake, leave, 1.0), (leave, back, 0.45 if at_home else 0.0), (back, sleep, 1.0)]
        runs = [*self._breakfast(day, wake, draw), *self._dinner(day, back + 45, draw)]
        if at_home:
            runs += self._work(day, leave + 25, back - 20, draw)
            if draw.chance(0.6):
                runs.append(self._run("cooking", day, draw.around(745, 15), appliances.lunch(draw.next())))
        runs += self._car(day, back, 0.62 if not at_home else 0.2, draw)
        if draw.chance(0.32):
            runs += self._laundry(day, back + draw.around(30, 15), draw)
        return self._planned(day, spells, runs)

    def _weekend(self, day: date, draw: Draws) -> DayPlan:
        wake, sleep = draw.around(512, 25), draw.around(1405, 25)
        out, back = draw.around(840, 40), draw.around(1010, 40)
        goes_out = draw.chance(0.65)
        spells = [(wake, out, 1.0), (out, back, 0.25 if goes_out else 1.0), (back, sleep, 1.0)]
        runs = [*self._breakfast(day, wake + 20, draw), *self._dinner(day, draw.around(1125, 25), draw)]
        if draw.chance(0.75):
            runs.append(self._run("cooking", day, draw.around(740, 20), appliances.lunch(draw.next())))
        for first, chance in ((draw.around(600, 25), 0.85), (draw.around(730, 30), 0.45)):
            if draw.chance(chance):
                runs += self._laundry(day, first, draw)
        runs += self._car(day, back if goes_out else 680, 0.4, draw)
        if draw.chance(0.4):
            runs.append(self._run("rest", day, draw.around(650, 40), appliances.vacuum(draw.next())))
        return self._planned(day, spells, runs)

    def _planned(self, day: date, spells: list[tuple[float, float, float]], runs: list[Run]) -> DayPlan:
        awake = tuple(
            (self.minute_of(day, first), self.minute_of(day, last), people)
            for first, last, people in spells
            if people and last > first
        )
        return DayPlan(False, awake, tuple(runs))

    def _run(self, use: str, day: date, clock_min: float, power_w: Float64) -> Run:
        return Run(use, self.minute_of(day, clock_min), power_w * self._site.scale)

    def _breakfast(self, day: date, wake: float, draw: Draws) -> list[Run]:
        return [
            self._run("cooking", day, wake + draw.between(8, 20), appliances.kettle(draw.next())),
            self._run("cooking", day, wake + draw.between(20, 35), appliances.toaster()),
            self._run("rest", day, wake + draw.between(5, 30), appliances.hair_dryer(draw.next())),
        ]

    def _dinner(self, day: date, begin: float, draw: Draws) -> list[Run]:
        runs = [self._run("cooking", day, begin, appliances.hob(draw.next()))]
        if draw.chance(0.4):
            runs.append(self._run("cooking", day, begin - 5, appliances.oven(draw.next())))
        if draw.chance(0.78):
            start = begin + draw.between(60, 130)
            runs.append(self._run("dishwasher", day, start, appliances.dishwasher(draw.next())))
        runs.append(self._run("rest", day, begin + 70, appliances.television(draw.next())))
        return runs

    def _work(self, day: date, begin: float, end: float, draw: Draws) -> list[Run]:
        lunch = draw.around(740, 12)
        level = draw.next()
        return [
            self._run("office", day, begin, appliances.desk(level, max(int(lunch - begin), 1))),
            self._run("office", day, lunch + 40, appliances.desk(level, max(int(end - lunch - 40), 1))),
        ]

    def _laundry(self, day: date, begin: float, draw: Draws) -> list[Run]:
        wash = appliances.washing_machine(draw.next())
        runs = [self._run("washing-machine", day, begin, wash)]
        if draw.chance(0.45):
            runs.append(self._run("rest", day, begin + len(wash) + 12, appliances.tumble_dryer(draw.next())))
        return runs

    def _car(self, day: date, back: float, chance: float, draw: Draws) -> list[Run]:
        """Charges after coming home, or from half past ten by its timer, until the car has what it drove."""
        charges, far, driven, timed = draw.chance(chance), draw.chance(0.15), draw.next(), draw.chance(0.5)
        if not charges:
            return []
        wanted_wh = 6_000 + 12_000 * driven + 14_000 * far
        power_w = appliances.car(wanted_wh, self._site.wallbox_w, driven)
        begin = 22 * 60 + 32.0 if timed else back + draw.between(3, 15)
        return [self._run("ev-charger", day, begin, power_w)]


def _saturday(day: date) -> date:
    """The Saturday on or after a date."""
    return day + timedelta(days=(5 - day.weekday()) % 7)
