"""The counter state machine: register readings in time order → intervals of energy, each decided once.

A pure function of sorted columns; event time only. The normal case (the register rises within the physical
limit) is one vector comparison; each departure from it is decided by the readings of a *confirm window* after
it, the longer of 3 readings and 15 minutes:

* the register comes back to the last good value or above it: a dip, a false zero or jitter; nothing is
  invented, the difference is booked from the last good value;
* it stays low near the top of a known width: a rollover; near zero: a reset, what was counted since zero is
  booked; by no more than noise: the lower register is taken over with no energy; anywhere else: an unknown
  change, the register is taken over, no energy is booked and the time is suspect;
* it rises faster than physics allows and falls back: the readings between are ignored. A register that stood
  still before (a slow gateway, a coarse digit) may catch up: the rise is spread over the standstill. If it
  stays high without an explanation, it is taken over like an unknown change.

Every decision looks at a bounded stretch of readings, so after one clean confirm window the state is the same
wherever the reading of the stream began (:func:`anchor`). Dated installations (a meter swap by opening and
closing values) come in from outside as a cut of the stream: each side is a stream of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hub.energy.slots import Int64, Rule
from hub.model.quality import Flag

CONFIRM_MS = 900_000
CONFIRM_READINGS = 3
STALL_MS = 900_000
"""How far a rise too fast for its own interval may be spread back over a register that stood still."""

_NOISE_DIVISOR = 1000  # falls up to 0.1 % of the register are jitter
_CLIMB_FACTOR = 4.0


@dataclass(frozen=True, slots=True)
class Decided:
    """What the machine made of the readings (positions are positions in its input).

    ``opening`` and ``closing`` readings bound an interval whose energy is ``amount`` steps; stretches without
    an interval have unknown energy. ``suspect`` readings were ignored; ``doubtful`` and ``estimated`` mark
    readings whose *time before* is suspect or estimated though they were taken over. ``flags`` are
    (reading, flag). ``good`` is the last accepted reading; while ``pending``, later readings may still change
    what stands after it.
    """

    opening: Int64
    closing: Int64
    amount: Int64
    suspect: NDArray[np.bool_]
    doubtful: tuple[int, ...]
    estimated: tuple[int, ...]
    flags: tuple[tuple[int, Flag], ...]
    good: int
    pending: bool


def normal_pairs(rule: Rule, ts_ms: Int64, register: Int64) -> NDArray[np.bool_]:
    """Which neighbours rise (or stand still) within the physical limit."""
    rise = np.diff(register)
    limit = rule.steps_per_ms
    if limit == float("inf"):
        return np.asarray(rise >= 0)
    return np.asarray((rise >= 0) & (rise <= limit * np.diff(ts_ms) + rule.tolerance_steps))


def anchor(ts_ms: Int64, normal: NDArray[np.bool_], before_ms: int) -> int | None:
    """Latest reading from which the machine may begin so that all it says after ``before_ms`` is final.

    It lies in a run of normal pairs: behind a whole confirm window of the run, so every decision begun before
    the run was made inside it, and with a whole stall window of the run after it but not after ``before_ms``,
    so a standstill is seen as far back as it counts. None if the readings hold no such run.
    """
    last = int(np.searchsorted(ts_ms, before_ms, side="right")) - 1
    breaks = np.flatnonzero(~normal)
    while last > CONFIRM_READINGS:
        known = int(np.searchsorted(breaks, last))
        begin = int(breaks[known - 1]) + 1 if known else 0
        at = int(np.searchsorted(ts_ms, ts_ms[last] - STALL_MS)) - 1
        if at >= calm_after(ts_ms, begin):
            return at
        last = begin - 1
    return None


def calm_after(ts_ms: Int64, begin: int) -> int:
    """First position whose reading lies beyond the confirm window of ``begin``; it may not exist yet."""
    by_time = int(np.searchsorted(ts_ms, ts_ms[begin] + CONFIRM_MS, side="right"))
    return max(by_time, begin + CONFIRM_READINGS + 1)


def decide(rule: Rule, ts_ms: Int64, register: Int64) -> Decided:
    """Run the machine over usable readings; the first one is taken as good."""
    size = len(ts_ms)
    normal = normal_pairs(rule, ts_ms, register)
    if normal.all():
        steps = np.arange(max(size - 1, 0))
        nothing = np.zeros(size, np.bool_)
        return Decided(steps, steps + 1, np.diff(register), nothing, (), (), (), size - 1, pending=False)
    machine = _Machine(
        ts_ms,
        register,
        np.zeros(size, np.bool_),
        steps_per_ms=rule.steps_per_ms,
        tolerance_steps=rule.tolerance_steps,
        resolution_steps=round((rule.resolution or 0.0) * rule.scale),
        width_steps=round((rule.register_width or 0.0) * rule.scale),
    )
    machine.run(np.flatnonzero(~normal))
    return machine.decided()


@dataclass(slots=True)
class _Machine:
    ts_ms: Int64
    register: Int64
    suspect: NDArray[np.bool_]
    steps_per_ms: float
    tolerance_steps: float
    resolution_steps: int
    width_steps: int
    good: int = 0
    clean_from: int = 0
    """Since this reading every pair was normal, or the register was taken over here."""
    taken_over: bool = False
    pending: bool = False
    opening: list[int] = field(default_factory=list)
    closing: list[int] = field(default_factory=list)
    other_amount: dict[int, int] = field(default_factory=dict)
    """Amounts that are not the difference of the registers, by position in the intervals."""
    doubtful: list[int] = field(default_factory=list)
    estimated: list[int] = field(default_factory=list)
    flags: list[tuple[int, Flag]] = field(default_factory=list)

    def run(self, breaks: Int64) -> None:
        last = len(self.ts_ms) - 1
        places = breaks.tolist()
        while not self.pending:
            row = int(np.searchsorted(breaks, self.good))
            self.clean_from = self.good
            if row == len(places):
                self._book_run(self.good, last)
                self.good = last
                return
            self.good = places[row]
            if self.register[self.good + 1] < self.register[self.good]:
                self._book_run(self.clean_from, self.good)
                self._fall()
            else:
                self._rise()

    def decided(self) -> Decided:
        opening, closing = np.array(self.opening, np.int64), np.array(self.closing, np.int64)
        amount = self.register[closing] - self.register[opening]
        amount[list(self.other_amount)] = list(self.other_amount.values())
        return Decided(
            opening,
            closing,
            amount,
            self.suspect,
            tuple(self.doubtful),
            tuple(self.estimated),
            tuple(self.flags),
            self.good,
            self.pending,
        )

    def _book_run(self, begin: int, end: int) -> None:
        self.opening.extend(range(begin, end))
        self.closing.extend(range(begin + 1, end + 1))

    def _book(self, begin: int, end: int, amount: int | None = None) -> None:
        """One interval; without an ``amount`` it is the difference of the registers."""
        if amount is not None:
            self.other_amount[len(self.opening)] = amount
        self.opening.append(begin)
        self.closing.append(end)

    def _window_end(self, first: int) -> int:
        """Position after the last reading that may still bring the register back."""
        return calm_after(self.ts_ms, first)

    def _highest(self, at: slice | int) -> NDArray[np.float64]:
        """Largest rise since the last good reading that physics allows."""
        passed = self.ts_ms[at] - self.ts_ms[self.good]
        return np.asarray(self.steps_per_ms * passed + self.tolerance_steps)

    def _return(self, first: int, end: int) -> int | None:
        """First reading after ``first`` that fits the last good one."""
        later = slice(first + 1, end)
        rise = self.register[later] - self.register[self.good]
        fits = np.flatnonzero((rise >= 0) & (rise <= self._highest(later)))
        return first + 1 + int(fits[0]) if len(fits) else None

    def _noise(self) -> int:
        return max(self.resolution_steps, abs(int(self.register[self.good])) // _NOISE_DIVISOR)

    def _shivered(self) -> bool:
        """The everyday jitter, one reading below by noise: decided without arrays, as :meth:`_fall` would."""
        back = self.good + 2
        if back >= len(self.ts_ms):
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
        back = self._return(first, end)
        floor = int(self.register[self.good]) - self._noise()
        if back is not None and not self._climbed(first, back):
            between = slice(first, back)
            self.suspect[between] = self.register[between] < floor
            self.suspect[between] |= self.register[between] > self.register[back]
            self._accept(back)
        elif end >= len(self.ts_ms) and back is None:
            self._wait(first, floor)
        else:
            self._stayed_low(first, floor)

    def _climbed(self, first: int, back: int) -> bool:
        """Whether the register came back by counting up steadily from near zero: then it was reset."""
        if self.register[first] > min(int(self.register[self.good]) // 2, float(self._highest(first))):
            return False
        low = slice(first, back + 1)
        since_zero = self.register[first] / (self.ts_ms[first] - self.ts_ms[self.good])
        pace = np.diff(self.register[low]) / np.diff(self.ts_ms[low])
        usual = max(float(since_zero), float(pace[:-1].max(initial=0.0)))
        return bool(pace.min() >= 0 and usual > 0 and pace[-1] <= _CLIMB_FACTOR * usual)

    def _stayed_low(self, first: int, floor: int) -> None:
        value, before = int(self.register[first]), int(self.register[self.good])
        highest = float(self._highest(first))
        if value >= floor:
            self._accept(first, 0)
            return
        width = self.width_steps
        wrapped = value + width - before
        if width and 0 <= wrapped <= min(highest, width // 4):
            self.flags.append((first, Flag.ROLLOVER))
            self._accept(first, wrapped)
        elif 0 <= value <= min(highest, before // 2):
            self.flags.append((first, Flag.RESET))
            self.estimated.append(first)
            self._accept(first, value)
        else:
            self._take_over(first)
        self.taken_over = True

    def _rise(self) -> None:
        first = self.good + 1
        begin = self._stood_still_since(first)
        if begin is not None:
            self._book_run(self.clean_from, begin)
            self._book(begin, first)
            self._move_to(first)
            return
        self._book_run(self.clean_from, self.good)
        end = self._window_end(first)
        back = self._return(first, end)
        if back is not None:
            between = slice(first, back)
            self.suspect[between] = self.register[between] > self.register[back]
            self.suspect[between] |= self.register[between] < self.register[self.good]
            self._accept(back)
        elif end >= len(self.ts_ms):
            self._wait(first, int(self.register[self.good]))
        else:
            self._take_over(first)

    def _stood_still_since(self, first: int) -> int | None:
        """Reading since which the register stood, if that leaves time for the rise and nothing refutes it."""
        level = int(self.register[self.good])
        if level <= 0:
            return None
        soonest = int(np.searchsorted(self.ts_ms, self.ts_ms[first] - STALL_MS))
        soonest = max(soonest, self.clean_from + (1 if self.taken_over else 0))
        if soonest > self.good:
            return None
        differs = np.flatnonzero(self.register[soonest : self.good + 1] != level)
        begin = soonest + (int(differs[-1]) + 1 if len(differs) else 0)
        allowed = self.steps_per_ms * float(self.ts_ms[first] - self.ts_ms[begin])
        if self.register[first] - level > allowed + self.tolerance_steps:
            return None
        until = int(np.searchsorted(self.ts_ms, self.ts_ms[first] + CONFIRM_MS, side="right"))
        refuted = self.register[first + 1 : until] < self.register[first]
        return None if refuted.any() else begin

    def _accept(self, at: int, amount: int | None = None) -> None:
        self._book(self.good, at, amount)
        self._move_to(at)

    def _take_over(self, at: int) -> None:
        """The register changed in a way that tells nothing about energy: go on from here."""
        self.flags.append((at, Flag.RESET))
        self.doubtful.append(at)
        self._move_to(at)
        self.taken_over = True

    def _move_to(self, at: int) -> None:
        self.good = at
        self.taken_over = False

    def _wait(self, first: int, floor: int) -> None:
        """The window is still open: what follows the last good reading stays in doubt."""
        self.pending = True
        rest = self.register[first:]
        if bool(((rest >= floor) & (rest <= self.register[self.good])).all()):
            self._book(self.good, len(self.ts_ms) - 1, 0)  # jitter so far
        else:
            self.suspect[first:] = True
