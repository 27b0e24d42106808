"""The battery as an inventory: what is stored carries cost and CO2 by weighted average.

Energy goes in whole and comes out whole; a battery gives back less than it took, so the book of the inventory
would rise for ever. What cannot be there any more is booked as *loss* in the slot in which that is known:

* with a state of charge: the book may not hold more than the charge says. The energy of one percent is learnt from
  discharges so far (after 50 percent points of them), with 5 % of the capacity left as play;
* without one: what the book never fell below on the last 14 days with any traffic is not in the battery.

Both look back only, so a slot's loss does not change when time goes on. A battery that gives more than the book
holds had it from before the book was opened: *opening stock*, which carries neither cost nor CO2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hub.energy.exact import Ints, spread
from hub.energy.slots import SLOT_MS, Float64, Int64

CARRIED: Final = ("grid", "cost", "co2", "unpriced", "uncounted")
"""What a stored mWh carries: mWh from the grid, cost, CO2, mWh whose price (whose CO2) is not known yet."""

Carried = tuple[int, int, int, int, int]
_NONE: Final[Carried] = (0, 0, 0, 0, 0)
LEARNT_POINTS: Final = 50.0
PLAY: Final = 0.05
QUIET_DAYS: Final = 14
_DAY_MS: Final = 86_400_000
_NEAR_MS: Final = 4 * SLOT_MS


@dataclass(frozen=True, slots=True)
class Stock:
    """What is in the batteries by the book (``energy_mwh``, and ``carried`` in the order of :data:`CARRIED`).

    The rest is what was learnt: energy and percent points of discharges, the last charge and its time, the lowest
    books of the last days.
    """

    energy_mwh: int = 0
    carried: Carried = (0, 0, 0, 0, 0)
    out_mwh: int = 0
    points: float = 0.0
    soc: float = float("nan")
    seen_ms: int = 0
    day: int = -1
    low_mwh: int = 0
    lows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StockWalk:
    """The inventory over slots, in mWh and in what is carried (rows as :data:`CARRIED`).

    Per slot: charged - discharged - ``loss`` + ``opening`` is the change of the stock, for what is carried
    accordingly (an opening stock carries nothing). ``after`` is the stock at the end, ``at`` that before each of
    the stops that were asked for.
    """

    loss_mwh: Ints
    opening_mwh: Ints
    out: Ints
    lost: Ints
    after: Stock
    at: tuple[Stock, ...] = ()


def walk(
    stock: Stock,
    start_ms: int,
    charged_mwh: Ints,
    discharged_mwh: Ints,
    carried: Ints,
    soc: Float64,
    stops: Sequence[int] = (),
) -> StockWalk:
    """Walk the inventory from ``stock`` over slots; ``carried`` (5, slots) comes in with what is charged.

    ``stops`` are positions of slots, rising.
    """
    active = np.flatnonzero((charged_mwh != 0) | (discharged_mwh != 0))
    charged, discharged = charged_mwh[active].tolist(), discharged_mwh[active].tolist()
    incoming, percent = carried[:, active].T.tolist(), soc[active].tolist()
    book, found = _Book(stock), list[Stock]()
    loss, opening, out, lost = [], [], [], []
    for row, at in enumerate(active.tolist()):
        while len(found) < len(stops) and stops[len(found)] <= at:
            found.append(book.closed())
        over, gone = book.new_day(start_ms + at * SLOT_MS)
        if charged[row]:
            book.put(charged[row], incoming[row])
        missing, left = book.take(discharged[row])
        if percent[row] == percent[row]:
            book.learn(start_ms + at * SLOT_MS, charged[row], discharged[row], percent[row])
            more, also = book.settle(percent[row])
            if more:
                over, gone = over + more, _added(gone, also)
        loss.append(over)
        opening.append(missing)
        out.append(left)
        lost.append(gone)
    after = book.closed()
    found += [after] * (len(stops) - len(found))
    count = len(charged_mwh)
    return StockWalk(
        _placed(loss, active, (count,)), _placed(opening, active, (count,)),
        _placed(out, active, (len(CARRIED), count)), _placed(lost, active, (len(CARRIED), count)),
        after, tuple(found),
    )  # fmt: skip


def most_mwh(out_mwh: int, points: float, soc: float) -> int:
    """What a state of charge allows to be in the book, by what discharges told so far."""
    return int(out_mwh / points * (soc + 100.0 * PLAY))


@dataclass(frozen=True, slots=True)
class Layers:
    """A book and what it is made of: ``left`` are ``(slot, mWh)`` of charges, slot -1 for the book at the begin."""

    book: Stock
    left: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Held:
    """What a battery held in one slot, and how the slot's loss was found.

    ``begin`` is the book before the slot, ``charged`` after charging, ``drawn`` after discharging, with what was
    learnt by then. ``unmoved_mwh`` was written off as never used, ``over_mwh`` by the state of charge.
    """

    begin: Layers
    charged: Layers
    drawn: Layers
    unmoved_mwh: int
    over_mwh: int


class Replay:
    """Walks as :func:`walk` and tells charges apart: all of them shrink by the same share when energy leaves.

    Slots that are asked for in time order cost one walk together.
    """

    def __init__(
        self,
        stock: Stock,
        start_ms: int,
        charged_mwh: Ints,
        discharged_mwh: Ints,
        carried: Ints,
        soc: Float64,
    ) -> None:
        self._stock, self._start_ms = stock, start_ms
        self._charged, self._discharged = charged_mwh, discharged_mwh
        self._carried, self._soc = carried, soc
        self._next = 0
        self._restart()

    def held(self, at: int) -> Held:
        """What the battery held in the slot at a position."""
        if at < self._next:
            self._restart()
        span = slice(self._next, at)
        active = np.flatnonzero((self._charged[span] != 0) | (self._discharged[span] != 0))
        for slot in (active + self._next).tolist():
            self._step(slot)
        begin = self._pile.layers(self._book)
        unmoved = self._charge(at)
        charged = self._pile.layers(self._book)
        self._discharge(at)
        drawn = self._pile.layers(self._book)
        self._next = at + 1
        return Held(begin, charged, drawn, unmoved, self._settle(at))

    def _restart(self) -> None:
        self._book, self._pile = _Book(self._stock), _Pile(self._stock.energy_mwh)
        self._next = 0

    def _step(self, slot: int) -> None:
        self._charge(slot)
        self._discharge(slot)
        self._settle(slot)

    def _charge(self, slot: int) -> int:
        unmoved, _ = self._book.new_day(self._start_ms + slot * SLOT_MS)
        self._pile.shrink(self._book)
        energy = int(self._charged[slot])
        if energy:
            self._book.put(energy, [int(value) for value in self._carried[:, slot]])
            self._pile.put(slot, energy)
        return unmoved

    def _discharge(self, slot: int) -> None:
        energy, percent = int(self._discharged[slot]), float(self._soc[slot])
        self._book.take(energy)
        self._pile.shrink(self._book)
        if percent == percent:
            self._book.learn(self._start_ms + slot * SLOT_MS, int(self._charged[slot]), energy, percent)

    def _settle(self, slot: int) -> int:
        percent = float(self._soc[slot])
        over = self._book.settle(percent)[0] if percent == percent else 0
        self._pile.shrink(self._book)
        return over


class _Pile:
    """Charges that are still in the book, oldest first."""

    def __init__(self, energy: int) -> None:
        self._slots, self._left = [-1], np.array([[energy]], np.int64)

    def put(self, slot: int, energy: int) -> None:
        self._slots.append(slot)
        self._left = np.vstack([self._left, np.array([[energy]], np.int64)])

    def shrink(self, book: _Book) -> None:
        """To what the book holds, each by the same share."""
        whole = self._left.sum(axis=0)
        if int(whole[0]) == book.energy_mwh:
            return
        left = spread(np.array([book.energy_mwh], np.int64), self._left, whole)
        kept = left[:, 0] > 0
        self._slots = [slot for slot, keep in zip(self._slots, kept.tolist(), strict=True) if keep]
        self._left = left[kept]

    def layers(self, book: _Book) -> Layers:
        left = zip(self._slots, self._left[:, 0].tolist(), strict=True)
        return Layers(book.closed(), tuple((slot, energy) for slot, energy in left if energy))


class _Book:
    """The running book in Python integers, for what is carried has no limit; called once per active slot."""

    __slots__ = (
        "_carried", "_day", "_energy", "_low", "_lows", "_out", "_points", "_seen_ms", "_soc", "_stock",
    )  # fmt: skip

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._energy, self._carried = stock.energy_mwh, stock.carried
        self._out, self._points = stock.out_mwh, stock.points
        self._soc, self._seen_ms = stock.soc, stock.seen_ms
        self._day, self._low, self._lows = stock.day, stock.low_mwh, list(stock.lows)

    @property
    def energy_mwh(self) -> int:
        return self._energy

    def new_day(self, slot_ms: int) -> tuple[int, Carried]:
        """Close the day before where another began; returns what it writes off."""
        day = slot_ms // _DAY_MS
        if day == self._day:
            return 0, _NONE
        if self._day >= 0:
            self._lows = [*self._lows, self._low][-QUIET_DAYS:]
        self._day, self._low = day, self._energy
        if self._points >= LEARNT_POINTS or len(self._lows) < QUIET_DAYS:
            return 0, _NONE
        dead = min(min(self._lows), self._energy)
        if dead <= 0:
            return 0, _NONE
        self._lows = [low - dead for low in self._lows]
        self._low -= dead
        return dead, self._remove(dead)

    def put(self, energy: int, carried: Sequence[int]) -> None:
        self._energy += energy
        a, b, c, d, e = self._carried
        v, w, x, y, z = carried
        self._carried = a + v, b + w, c + x, d + y, e + z

    def take(self, energy: int) -> tuple[int, Carried]:
        """Take out by weighted average; returns what was not there, and what the rest carries."""
        if not energy:
            return 0, _NONE
        there = min(energy, self._energy)
        left = self._remove(there)
        if self._energy < self._low:
            self._low = self._energy
        return energy - there, left

    def learn(self, slot_ms: int, charged: int, discharged: int, soc: float) -> None:
        """Energy per percent from slots that only discharge."""
        fell = self._soc - soc
        if fell > 0 and discharged and not charged and slot_ms - self._seen_ms <= _NEAR_MS:
            self._out += discharged
            self._points += fell
        self._soc, self._seen_ms = soc, slot_ms

    def settle(self, soc: float) -> tuple[int, Carried]:
        """Write off what the charge says cannot be there."""
        if self._points < LEARNT_POINTS:
            return 0, _NONE
        over = self._energy - most_mwh(self._out, self._points, soc)
        return (over, self._remove(over)) if over > 0 else (0, _NONE)

    def closed(self) -> Stock:
        return replace(
            self._stock,
            energy_mwh=self._energy,
            carried=self._carried,
            out_mwh=self._out,
            points=self._points,
            soc=self._soc,
            seen_ms=self._seen_ms,
            day=self._day,
            low_mwh=self._low,
            lows=tuple(self._lows),
        )

    def _remove(self, energy: int) -> Carried:
        whole = self._energy
        if energy >= whole:
            left, self._carried, self._energy = self._carried, _NONE, 0
            return left
        a, b, c, d, e = self._carried
        v, w, x, y, z = left = (
            a * energy // whole, b * energy // whole, c * energy // whole, d * energy // whole, e * energy // whole,
        )  # fmt: skip
        self._carried = a - v, b - w, c - x, d - y, e - z
        self._energy = whole - energy
        return left


def _added(one: Carried, other: Carried) -> Carried:
    a, b, c, d, e = one
    v, w, x, y, z = other
    return a + v, b + w, c + x, d + y, e + z


def _placed(rows: Sequence[int] | Sequence[Carried], active: Int64, shape: tuple[int, ...]) -> Ints:
    """Values of the active slots among all of them, int64 where they fit; tuples become rows."""
    try:
        values = np.array(rows, np.int64)
    except OverflowError:
        values = np.array(rows, object)
    column: Ints = np.zeros(shape, values.dtype)
    if len(active):
        column[..., active] = values.T
    return column
