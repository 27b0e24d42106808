"""Intervals that the counter state machine has booked, in order of time."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np

from hub.energy.slots import Int64


@dataclass(slots=True)
class Ledger:
    """Positions of the readings that open and close each interval."""

    opening: list[int] = field(default_factory=list)
    closing: list[int] = field(default_factory=list)
    other_amount: dict[int, int] = field(default_factory=dict)
    """Amounts that are not the difference of the registers, by position in the intervals."""

    def run(self, begin: int, end: int) -> None:
        """One interval for each neighbouring pair of readings in ``[begin, end]``."""
        self.opening.extend(range(begin, end))
        self.closing.extend(range(begin + 1, end + 1))

    def one(self, begin: int, end: int, amount: int | None = None) -> None:
        """One interval; without an ``amount`` it is the difference of the registers."""
        if amount is not None:
            self.other_amount[len(self.opening)] = amount
        self.opening.append(begin)
        self.closing.append(end)

    def take_back(self, begin: int) -> None:
        """Take back the intervals from ``begin`` on: the register stood still there, so they are empty."""
        while self.opening and self.opening[-1] >= begin:
            self.opening.pop()
            self.closing.pop()
            self.other_amount.pop(len(self.opening), None)

    def border(self, at: int) -> int:
        """The reading ``at``, or the end of the interval inside of which it lies."""
        row = bisect_left(self.closing, at)
        inside = row < len(self.closing) and self.opening[row] < at
        return self.closing[row] if inside else at

    def columns(self, register: Int64) -> tuple[Int64, Int64, Int64]:
        """Opening, closing and amount of each interval."""
        opening, closing = np.array(self.opening, np.int64), np.array(self.closing, np.int64)
        amount = register[closing] - register[opening]
        amount[list(self.other_amount)] = list(self.other_amount.values())
        return opening, closing, amount
