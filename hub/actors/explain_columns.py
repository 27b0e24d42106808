"""The columns of a site over a range, year by year, and how a figure of them falls into months, days and slots."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hub.actors.energy_months import Stretch, allocated
from hub.actors.explain_series import SeriesTrees
from hub.energy.allocation import Allocation
from hub.energy.exact import Ints
from hub.energy.explain import WH, Node, Timeline, Unit
from hub.energy.site_meters import SiteMeter
from hub.energy.slots import SLOT_MS
from hub.energy.stock import Stock
from hub.model.quality import Quality, shares

Column = Callable[[Allocation], Ints]
"""Values per slot of an allocation."""


class SiteColumns:
    """Allocations of the stretches of a range, made once on the connection of ``trees``."""

    def __init__(self, trees: SeriesTrees, stretches: Sequence[Stretch]) -> None:
        self._trees = trees
        self.parts = [
            (one, allocated(trees.conn, one.layout, one.day_ms, one.end_ms, one.prices, one.stock))
            for one in stretches
        ]

    @property
    def meters(self) -> tuple[SiteMeter, ...]:
        """The devices of the balance."""
        return self.parts[0][0].layout.meters

    def at(self, slot_ms: int) -> tuple[Allocation, int] | None:
        """The allocation that holds a slot, and the slot's position in it."""
        for _, found in self.parts:  # a stretch is allocated from the begin of its first day on
            site = found.balance.site
            if site.start_ms <= slot_ms < site.end_ms:
                return found, (slot_ms - site.start_ms) // SLOT_MS
        return None

    def stock(self, allocation: Allocation) -> Stock:
        """What the batteries held where an allocation begins."""
        return next(stretch.stock for stretch, found in self.parts if found is allocation)

    def timeline(
        self,
        column: Column,
        parts: Callable[[int], list[Node]],
        meters: Sequence[SiteMeter] = (),
        unit: Unit = WH,
    ) -> Timeline:
        """A figure by months, days and slots.

        Args:
            column: its values per slot.
            parts: what makes it in the slot that begins at an instant.
            meters: whose quality is that of the figure.
            unit: of the values.
        """
        columns = [np.asarray(column(found)) for _, found in self.parts]

        def summed(start_ms: int, end_ms: int) -> tuple[int, Quality | None]:
            return self._summed(columns, start_ms, end_ms), self._quality(meters, start_ms, end_ms)

        def slot_nodes(start_ms: int, end_ms: int) -> list[Node]:
            nodes = []
            for values, (stretch, found) in zip(columns, self.parts, strict=True):
                low, high = _rows(found, max(start_ms, stretch.start_ms), min(end_ms, stretch.end_ms))
                for at in (low + np.flatnonzero(values[low:high])).tolist():
                    slot_ms = found.balance.site.start_ms + at * SLOT_MS
                    nodes.append(self._slot(slot_ms, int(values[at]), unit, parts))
            return nodes

        return Timeline(self._trees.zone, unit, summed, slot_nodes)

    def _slot(self, slot_ms: int, value: int, unit: Unit, parts: Callable[[int], list[Node]]) -> Node:
        return Node(
            str(slot_ms), "slot", self._trees.clock(slot_ms), value, unit, span=(slot_ms, slot_ms + SLOT_MS),
            parts=lambda: parts(slot_ms),
        )  # fmt: skip

    def total(self, column: Column, start_ms: int, end_ms: int) -> int:
        """The sum of a column."""
        return self._summed([np.asarray(column(found)) for _, found in self.parts], start_ms, end_ms)

    def _summed(self, columns: Sequence[Ints], start_ms: int, end_ms: int) -> int:
        total = 0
        for values, (stretch, found) in zip(columns, self.parts, strict=True):
            low, high = _rows(found, max(start_ms, stretch.start_ms), min(end_ms, stretch.end_ms))
            total += int(values[low:high].astype(object).sum()) if high > low else 0
        return total

    def _quality(self, meters: Sequence[SiteMeter], start_ms: int, end_ms: int) -> Quality | None:
        """How well the meters of a figure are known; None where it is about none."""
        if not meters:
            return None
        times = np.zeros(4, np.int64)
        for stretch, found in self.parts:
            low, high = _rows(found, max(start_ms, stretch.start_ms), min(end_ms, stretch.end_ms))
            site = found.balance.site
            rows = [at for meter in meters if (at := site.row(meter.device)) is not None]
            if rows and high > low:
                times += site.times_ms[rows, :, low:high].sum(axis=(0, 2), dtype=np.int64)
        return shares((end_ms - start_ms) * len(meters), *times.tolist())


def _rows(found: Allocation, start_ms: int, end_ms: int) -> tuple[int, int]:
    site = found.balance.site
    low, high = ((ms - site.start_ms) // SLOT_MS for ms in (start_ms, end_ms))
    return max(low, 0), max(min(high, site.count), 0)
