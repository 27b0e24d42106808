"""Bills that were computed before, under everything that they were made of.

A bill is remembered with the registers it was read from, the origins of its prices and the revision of the book of
money in its key, and dropped as soon as slots of its series change in the time that it read; one that was in work
meanwhile is not remembered at all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from hub.actors.money_columns import PriceOrigin
from hub.actors.money_points import PointMeter
from hub.energy.bill import Bill

MOST: Final = 128


class BillKey(NamedTuple):
    """A question with everything it was asked under but the slots: registers and their factors, tariffs, prices."""

    meter: PointMeter
    tariff: str
    start_ms: int
    end_ms: int
    prices: tuple[tuple[str, PriceOrigin], ...]
    book: int


@dataclass(slots=True, eq=False)
class Ingredients:
    """Slots that a bill is made of; ``stale`` once one of them has changed."""

    series: frozenset[int]
    from_ms: int
    until_ms: int
    stale: bool = False

    def holds(self, series: Iterable[int], start_ms: int, end_ms: int) -> bool:
        """Whether any of these slots is among them."""
        return start_ms < self.until_ms and end_ms > self.from_ms and not self.series.isdisjoint(series)


class BillMemory:
    """The bills that were asked for last."""

    def __init__(self) -> None:
        self._bills: OrderedDict[BillKey, tuple[Bill, Ingredients]] = OrderedDict()
        self._in_work: set[Ingredients] = set()

    def find(self, key: BillKey) -> Bill | None:
        """A remembered bill."""
        found = self._bills.get(key)
        if found is None:
            return None
        self._bills.move_to_end(key)
        return found[0]

    def begin(self, series: Iterable[int], from_ms: int, until_ms: int) -> Ingredients:
        """Watch these slots from now on: called before they are read, ended by :meth:`end`."""
        watched = Ingredients(frozenset(series), from_ms, until_ms)
        self._in_work.add(watched)
        return watched

    def end(self, watched: Ingredients, key: BillKey | None = None, bill: Bill | None = None) -> None:
        """Stop watching; remember the bill unless a slot changed meanwhile."""
        self._in_work.discard(watched)
        if key is None or bill is None or watched.stale:
            return
        self._bills[key] = bill, watched
        while len(self._bills) > MOST:
            self._bills.popitem(last=False)

    def note(self, series: Iterable[int], start_ms: int, end_ms: int) -> None:
        """Slots of these series changed in ``[start_ms, end_ms)``."""
        numbers = frozenset(series)
        for watched in self._in_work:
            watched.stale |= watched.holds(numbers, start_ms, end_ms)
        gone = [key for key, (_, one) in self._bills.items() if one.holds(numbers, start_ms, end_ms)]
        for key in gone:
            del self._bills[key]
