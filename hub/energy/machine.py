"""What departs from a steady rise of a register, decided case by case (the table is in :mod:`hub.energy.counter`)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hub.energy.decided import Decided, Doubt, Why
from hub.energy.ledger import Ledger
from hub.energy.slots import Int64
from hub.energy.windows import NOISE_DIVISOR, STALL_MS, STILL_MS, Bools, calm_after
from hub.model.quality import Flag

_CLIMB_FACTOR = 4.0
_CATCH_UP_MS = 60_000
"""A rise that physics allows in this time may be early (readings that came in one burst); a larger one is a spike."""

_SURELY_MS = 90_000
_SMALL_DIVISOR = 20
"""After a reset an unrated register shows up to 6 kWh, or up to 5 % of what it had (62 kWh at most)."""

_NEAR_ZERO_DIVISOR = 100  # what a register without any limit may show after a reset
_COARSE_DIGITS = tuple(10**power for power in range(4, 13))


@dataclass(slots=True)
class Machine:
    """Walks from departure to departure; ``run`` once, then ask what was ``decided``."""

    ts_ms: Int64
    register: Int64
    suspect: Bools
    accepted: Int64
    steps_per_ms: float
    is_rated: bool
    tolerance_steps: float
    resolution_steps: int
    width_steps: int
    good: int = 0
    clean_from: int = 0
    """Since this reading every pair was normal, or the register was taken over here."""
    pending: bool = False
    booked: Ledger = field(default_factory=Ledger)
    doubtful: list[int] = field(default_factory=list)
    estimated: list[int] = field(default_factory=list)
    flags: list[tuple[int, Flag]] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)

    def run(self, breaks: Int64) -> None:
        """Decide everything; ``breaks`` are the positions before each pair that is not normal."""
        last = len(self.ts_ms) - 1
        places = breaks.tolist()
        while not self.pending:
            row = int(np.searchsorted(breaks, self.good))
            self.clean_from = self.good
            if row == len(places):
                self.booked.run(self.good, last)
                self.good = last
                return
            self.good = places[row]
            if self.register[self.good + 1] < self.register[self.good]:
                self.booked.run(self.clean_from, self.good)
                self._fall()
            else:
                self._rise()

    def decided(self) -> Decided:
        """The result."""
        return Decided(
            *self.booked.columns(self.register),
            self.suspect,
            tuple(self.doubtful),
            tuple(self.estimated),
            tuple(self.flags),
            self.good,
            self.pending,
            tuple(self.doubts),
        )

    # --- moving on

    def _accept(self, at: int, amount: int | None = None) -> None:
        self.booked.one(self.good, at, amount)
        self.good = at

    def _take_over(self, at: int, why: Why, amount: int) -> None:
        """The register changed in a way that tells nothing about energy: go on from here."""
        self.flags.append((at, Flag.RESET))
        self.doubtful.append(at)
        self.doubts.append(Doubt(self.good, at, amount, why))
        self.good = at

    # --- what is looked at

    def _window_end(self, first: int) -> int:
        """Position after the last reading that may still bring the register back."""
        return calm_after(self.ts_ms, first)

    def _said_good(self, first: int, end: int) -> int | None:
        """First reading of ``[first, end)`` that a person accepted."""
        row = int(np.searchsorted(self.accepted, first))
        found = row < len(self.accepted) and self.accepted[row] < end
        return int(self.accepted[row]) if found else None

    def _highest(self, at: slice | int) -> NDArray[np.float64]:
        """Largest rise since the last good reading that physics allows."""
        passed = self.ts_ms[at] - self.ts_ms[self.good]
        return np.asarray(self.steps_per_ms * passed + self.tolerance_steps)

    def _fits(self, first: int, end: int) -> Int64:
        """Readings after ``first`` that fit the last good one."""
        later = slice(first + 1, end)
        rise = self.register[later] - self.register[self.good]
        return first + 1 + np.flatnonzero((rise >= 0) & (rise <= self._highest(later)))

    def _noise(self) -> int:
        return max(self.resolution_steps, abs(int(self.register[self.good])) // NOISE_DIVISOR)

    def _counted(self, at: int) -> float:
        """Largest rise up to there that is believed without seeing it rise: over a gap, without a rating, a day's."""
        passed = int(self.ts_ms[at] - self.ts_ms[self.good])
        return self.steps_per_ms * (passed if self.is_rated else min(passed, STILL_MS)) + self.tolerance_steps

    def _near_zero(self, at: int) -> bool:
        """Whether the register shows there what it may have counted since it began again at zero."""
        value, before = int(self.register[at]), int(self.register[self.good])
        if self.steps_per_ms == float("inf"):
            return 0 <= value <= before // _NEAR_ZERO_DIVISOR
        counted = min(self._counted(at), self.steps_per_ms * STILL_MS + self.tolerance_steps)
        if (
            not self.is_rated
        ):  # the default limit is far above what a house draws: be stricter over long times
            small, large = self.steps_per_ms * _SURELY_MS, self.steps_per_ms * STALL_MS
            counted = min(counted, max(small, min(large, before // _SMALL_DIVISOR)))
        return 0 <= value <= min(counted, before // 2)

    # --- falls

    def _shivered(self) -> bool:
        """The everyday jitter, one reading below by noise: decided without arrays, as :meth:`_fall` would."""
        back = self.good + 2
        if back >= len(self.ts_ms) or len(self.accepted):
            return False
        before, low, after = self.register[self.good : back + 1].tolist()
        if low < before - self._noise() or low <= before // 2 or after < before:
            return False
        if after - before > float(self._highest(back)):
            return False
        self._accept(back)
        return True

    def _fall(self) -> None:
        if self._shivered():
            return
        first = self.good + 1
        end = self._window_end(first)
        said = self._said_good(first, end)
        floor = int(self.register[self.good]) - self._noise()
        fits = self._fits(first, end if said is None else min(end, said))
        back = int(fits[0]) if len(fits) else None
        if back is not None and not self._climbed(first, back):
            self._ignore_between(first, back, floor)
            self._accept(back)
        elif back is not None:
            self._stayed_low(first, back + 1, floor)
        elif said is not None:
            self._believe(first, said, floor)
        elif end >= len(self.ts_ms):
            self._wait(first, floor)
        else:
            self._stayed_low(first, end, floor)

    def _ignore_between(self, first: int, back: int, floor: int) -> None:
        between = slice(first, back)
        self.suspect[between] = self.register[between] < floor
        self.suspect[between] |= self.register[between] > self.register[back]

    def _believe(self, first: int, said: int, floor: int) -> None:
        """A person accepted a reading that does not fit: what it shows is booked, or nothing if it is lower."""
        self._ignore_between(first, said, floor)
        if self.register[said] >= self.register[self.good]:
            self._accept(said)
            return
        self.flags.append((said, Flag.RESET))
        self._accept(said, int(self.register[said]) if self._near_zero(said) else 0)

    def _climbed(self, first: int, back: int) -> bool:
        """Whether the register came back by counting up steadily from near zero: then it was reset."""
        if not self._near_zero(first):
            return False
        low = slice(first, back + 1)
        since_zero = self.register[first] / (self.ts_ms[first] - self.ts_ms[self.good])
        rises, steps_ms = np.diff(self.register[low]), np.diff(self.ts_ms[low])
        if (rises > self.steps_per_ms * steps_ms + self.tolerance_steps).any():
            return False
        pace = rises / steps_ms
        usual = max(float(since_zero), float(pace[:-1].max(initial=0.0)))
        return bool(pace.min() >= 0 and usual > 0 and pace[-1] <= _CLIMB_FACTOR * usual)

    def _stayed_low(self, first: int, end: int, floor: int) -> None:
        value, before = int(self.register[first]), int(self.register[self.good])
        if value >= floor:
            self._shifted(first, end, floor)
            return
        if self._came_back_lower(first, end, floor):
            return
        width = self.width_steps
        wrapped = value + width - before
        if width and 0 <= wrapped <= min(self._counted(first), width // 4):
            self.flags.append((first, Flag.ROLLOVER))
            self._accept(first, wrapped)
        elif self._near_zero(first):
            if self._stood_at_zero(first, end):
                return
            self.flags.append((first, Flag.RESET))
            self.estimated.append(first)
            self._accept(first, value)
        else:
            self._take_over(first, Why.FALL, max(value, 0))

    def _came_back_lower(self, first: int, end: int, floor: int) -> bool:
        """A false value after which the register shows less than before by noise: true if that decided."""
        window = self.register[first:end]
        near = np.flatnonzero((window >= floor) & (window <= self.register[self.good]))
        if not len(near) or self._climbed(first, first + int(near[0])):
            return False
        back = first + int(near[0])
        self._ignore_between(first, back, floor)
        self._accept(back, 0)
        return True

    def _shifted(self, first: int, end: int, floor: int) -> None:
        """Lower by noise for the whole window: go on from there without energy.

        A register that counts on from the lower value was set back. One that shivers is taken at its highest,
        so that its noise is not counted again and again. One that goes on falling is no counter.
        """
        window = self.register[first:end]
        outside = np.flatnonzero((window < floor) | (window > self.register[self.good]))
        inside = window[: int(outside[0])] if len(outside) else window
        steps = np.diff(inside)
        falls_on = len(outside) > 0 and window[outside[0]] < floor
        if falls_on and len(steps) > 0 and bool((steps < 0).all()):
            self._take_over(first, Why.FALL, 0)
            return
        at = first if bool((steps >= 0).all()) else first + int(np.argmax(inside))
        self._accept(at, 0)

    def _stood_at_zero(self, first: int, end: int) -> bool:
        """A register that stands near zero without counting may still come back: true if that decided.

        It is watched for a day. The first other value decides: back at the last good value, it was a long false
        zero; counted up, it was reset.
        """
        value = self.register[first]
        if (self.register[first:end] != value).any():
            return False
        until = int(np.searchsorted(self.ts_ms, self.ts_ms[first] + STILL_MS, side="right"))
        moved = np.flatnonzero(self.register[first:until] != value)
        if len(moved):
            at = first + int(moved[0])
            rise = int(self.register[at] - self.register[self.good])
            if not -self._noise() <= rise <= float(self._highest(at)):
                return False
            self.suspect[first:at] = True
            self._accept(at, max(rise, 0))
            return True
        if until < len(self.ts_ms):
            return False
        self._wait(first, int(self.register[self.good]))
        return True

    # --- rises

    def _rise(self) -> None:
        first = self.good + 1
        begin = self._stood_still_since(first)
        if begin is not None:
            self._catch_up(begin, first)
            return
        self.booked.run(self.clean_from, self.good)
        end = self._window_end(first)
        said = self._said_good(first, end)
        fits = self._fits(first, end if said is None else min(end, said))
        fell = fits[self.register[fits] < self.register[first]]
        is_early = self.register[first] - self.register[self.good] <= (
            self.steps_per_ms * _CATCH_UP_MS + self.tolerance_steps
        )
        if len(fell):
            self._return_to(first, int(fell[0]))
        elif said is not None:
            self._believe(first, said, int(self.register[self.good]))
        elif end >= len(self.ts_ms):
            self._wait(first, int(self.register[self.good]))
        elif len(fits) and is_early:
            self._return_to(first, int(fits[0]))
        else:
            self._jumped(first)

    def _return_to(self, first: int, back: int) -> None:
        self._ignore_between(first, back, int(self.register[self.good]))
        self._accept(back)

    def _jumped(self, first: int) -> None:
        level = int(self.register[self.good])
        if (
            level == 0
        ):  # it showed zero until now, and then a register that nothing explains: the zeros were false
            begin = self._still_from(first)
            self.booked.take_back(begin)
            self.suspect[begin:first] = True
        self._take_over(first, Why.JUMP, int(self.register[first]) - level)

    def _still_from(self, first: int) -> int:
        """Reading since which the register stands at the last good value; ignored readings do not count."""
        before = self.good - 1
        if before >= 0 and not self.suspect[before] and self.register[before] != self.register[self.good]:
            return self.good  # it moved just now, as most do
        soonest = int(np.searchsorted(self.ts_ms, self.ts_ms[first] - STILL_MS))
        soonest = min(soonest, self.good)
        part = slice(soonest, self.good + 1)
        differs = np.flatnonzero((self.register[part] != self.register[self.good]) & ~self.suspect[part])
        part = slice(soonest + (int(differs[-1]) + 1 if len(differs) else 0), self.good + 1)
        # not at an ignored reading: before a register that was taken over, false zeros show no standing
        stands = np.flatnonzero((self.register[part] == self.register[self.good]) & ~self.suspect[part])
        return self.booked.border(part.start + int(stands[0]))

    def _stood_still_since(self, first: int) -> int | None:
        """Reading since which the register stood, if that leaves time for the rise and nothing refutes it."""
        level, jump = int(self.register[self.good]), int(self.register[first] - self.register[self.good])
        if level < 0 or (level == 0 and not self._is_digit(jump)):
            return None
        begin = self._still_from(first)
        stood_ms = int(self.ts_ms[first] - self.ts_ms[begin])
        allowed = self.steps_per_ms * (stood_ms if self.is_rated else min(stood_ms, STALL_MS))
        if jump > allowed + self.tolerance_steps:
            return None
        refuted = self.register[first + 1 : self._window_end(first)] < self.register[first]
        return None if refuted.any() else begin

    def _is_digit(self, jump: int) -> bool:
        """Whether a rise is one digit of a coarse register, though nobody told its resolution."""
        return jump == self.resolution_steps or jump in _COARSE_DIGITS

    def _catch_up(self, begin: int, first: int) -> None:
        """Spread a rise over the time for which the register stood still."""
        if begin < self.clean_from:
            self.booked.take_back(begin)
        else:
            self.booked.run(self.clean_from, begin)
        jump = int(self.register[first] - self.register[self.good])
        if self.ts_ms[first] - self.ts_ms[begin] > STALL_MS and not self._is_digit(jump):
            self.estimated.extend(range(begin + 1, first + 1))
        self.booked.one(begin, first)
        self.good = first

    # --- not decided yet

    def _wait(self, first: int, floor: int) -> None:
        """The window is still open: what follows the last good reading stays in doubt."""
        self.pending = True
        rest = self.register[first:]
        if bool(((rest >= floor) & (rest <= self.register[self.good])).all()):
            self.booked.one(self.good, len(self.ts_ms) - 1, 0)  # jitter so far
        else:
            self.suspect[first:] = True
            last = len(self.ts_ms) - 1
            amount = max(int(self.register[last] - self.register[self.good]), 0)
            self.doubts.append(Doubt(self.good, last, amount, Why.WAITING))
