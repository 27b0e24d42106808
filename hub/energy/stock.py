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

from hub.energy.exact import Ints, narrow
from hub.energy.slots import SLOT_MS, Float64

CARRIED: Final = ("grid", "cost", "co2", "unpriced", "uncounted")
"""What a stored mWh carries: mWh from the grid, cost, CO2, mWh whose price (whose CO2) is not known yet."""

LEARNT_POINTS: Final = 50.0
PLAY: Final = 0.05
QUIET_DAYS: Final = 14
_DAY_MS: Final = 86_400_000
_NEAR_MS: Final = 4 * SLOT_MS
_NOTHING: Final = (0,) * len(CARRIED)


@dataclass(frozen=True, slots=True)
class Stock:
    """What is in the batteries by the book (``energy_mwh``, and ``carried`` in the order of :data:`CARRIED`).

    The rest is what was learnt: energy and percent points of discharges, the last charge and its time, the lowest
    books of the last days.
    """

    energy_mwh: int = 0
    carried: tuple[int, ...] = _NOTHING
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
    count = len(charged_mwh)
    loss, opening = [0] * count, [0] * count
    out, lost = ([[0] * count for _ in CARRIED] for _ in range(2))
    active = np.flatnonzero((charged_mwh != 0) | (discharged_mwh != 0)).tolist()
    charged, discharged = charged_mwh.tolist(), discharged_mwh.tolist()
    incoming, percent = carried.tolist(), soc.tolist()
    book = _Book(stock)
    found: list[Stock] = []
    for at in active:
        while len(found) < len(stops) and stops[len(found)] <= at:
            found.append(book.closed())
        slot_ms = start_ms + at * SLOT_MS
        written_off, gone = book.new_day(slot_ms)
        book.put(charged[at], [row[at] for row in incoming])
        opening[at], left = book.take(discharged[at])
        book.learn(slot_ms, charged[at], discharged[at], percent[at])
        over, also_gone = book.settle(percent[at])
        loss[at] = written_off + over
        for row in range(len(CARRIED)):
            out[row][at] = left[row]
            lost[row][at] = gone[row] + also_gone[row]
    after = book.closed()
    found += [after] * (len(stops) - len(found))
    return StockWalk(_ints(loss), _ints(opening), _rows(out), _rows(lost), after, tuple(found))


class _Book:
    """The running book; Python integers, for what is carried has no limit."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._energy, self._carried = stock.energy_mwh, list(stock.carried)
        self._out, self._points, self._soc, self._seen_ms = (
            stock.out_mwh,
            stock.points,
            stock.soc,
            stock.seen_ms,
        )
        self._day, self._low, self._lows = stock.day, stock.low_mwh, list(stock.lows)

    def new_day(self, slot_ms: int) -> tuple[int, list[int]]:
        """Close the day before where another began; returns what it writes off."""
        day = slot_ms // _DAY_MS
        if day == self._day:
            return 0, list(_NOTHING)
        if self._day >= 0:
            self._lows = [*self._lows, self._low][-QUIET_DAYS:]
        self._day, self._low = day, self._energy
        if self._points >= LEARNT_POINTS or len(self._lows) < QUIET_DAYS:
            return 0, list(_NOTHING)
        dead = min(min(self._lows), self._energy)
        if dead <= 0:
            return 0, list(_NOTHING)
        self._lows = [low - dead for low in self._lows]
        self._low -= dead
        return dead, self._remove(dead)

    def put(self, energy: int, carried: list[int]) -> None:
        self._energy += energy
        for row, amount in enumerate(carried):
            self._carried[row] += amount

    def take(self, energy: int) -> tuple[int, list[int]]:
        """Take out by weighted average; returns what was not there, and what the rest carries."""
        there = min(energy, self._energy)
        left = self._remove(there)
        self._low = min(self._low, self._energy)
        return energy - there, left

    def learn(self, slot_ms: int, charged: int, discharged: int, soc: float) -> None:
        """Energy per percent from slots that only discharge."""
        if soc != soc:
            return
        fell = self._soc - soc
        if fell > 0 and discharged and not charged and slot_ms - self._seen_ms <= _NEAR_MS:
            self._out += discharged
            self._points += fell
        self._soc, self._seen_ms = soc, slot_ms

    def settle(self, soc: float) -> tuple[int, list[int]]:
        """Write off what the charge says cannot be there."""
        if soc != soc or self._points < LEARNT_POINTS:
            return 0, list(_NOTHING)
        most = int(self._out / self._points * (soc + 100.0 * PLAY))
        over = max(self._energy - most, 0)
        return over, self._remove(over)

    def closed(self) -> Stock:
        return replace(
            self._stock,
            energy_mwh=self._energy,
            carried=tuple(self._carried),
            out_mwh=self._out,
            points=self._points,
            soc=self._soc,
            seen_ms=self._seen_ms,
            day=self._day,
            low_mwh=self._low,
            lows=tuple(self._lows),
        )

    def _remove(self, energy: int) -> list[int]:
        if energy <= 0:
            return list(_NOTHING)
        if energy == self._energy:
            left, self._carried = self._carried, list(_NOTHING)
        else:
            left = [amount * energy // self._energy for amount in self._carried]
            self._carried = [amount - gone for amount, gone in zip(self._carried, left, strict=True)]
        self._energy -= energy
        return left


def _ints(column: list[int]) -> Ints:
    return narrow(np.array(column, dtype=object)) if column else np.zeros(0, np.int64)


def _rows(rows: list[list[int]]) -> Ints:
    return narrow(np.array(rows, dtype=object).reshape(len(CARRIED), -1))
