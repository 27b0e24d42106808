"""What a battery holds, loses and passes on, by the charges that are still in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from hub.actors.explain_columns import SiteColumns
from hub.actors.explain_series import SeriesTrees
from hub.actors.registry import Registry
from hub.energy.allocation import Allocation
from hub.energy.exact import Ints
from hub.energy.explain import KWH, WH, Node, Op, Stored, Unit, negated, rounded, with_rounding
from hub.energy.site_balance import Source
from hub.energy.slots import SLOT_MS
from hub.energy.stock import QUIET_DAYS, Held, Layers, Replay, Stock, most_mwh, walk
from hub.storage import slots

BLOCK_SLOTS: Final = 14 * 96
"""Charges are told apart for one to two of these blocks before a slot; slots of one block share their walk."""
_CHARGE: Final = 1
_PERCENT: Final = Unit("%", 6)


class CellNode(Protocol):
    """What a source fed into some uses in one slot."""

    def __call__(self, one: Allocation, at: int, source: Source, rows: list[int], unit: Unit) -> Node: ...


FlowNode = Callable[[str, Allocation, int], Node]
RateNode = Callable[[int, int], Node]
"""``(slot_ms, rate)`` → why a kWh from the grid carried that in this slot."""


@dataclass(frozen=True, slots=True)
class Along:
    """What energy carries: cost, or CO2.

    ``row`` is that of :data:`hub.energy.stock.CARRIED`; a ``unit`` counts ``1 / scale`` of what allocations count.
    ``whole`` is what uses carry per slot, ``direct`` the part that came from the grid at once.
    """

    name: str
    asked: str
    label: str
    row: int
    unit: Unit
    rate_unit: Unit
    scale: int
    whole: Callable[[Allocation], Ints]
    direct: Callable[[Allocation], Ints]
    unknown: Callable[[Allocation], Ints]
    rate: RateNode


class StockTrees:
    """Trees of the inventory of one site."""

    def __init__(
        self, trees: SeriesTrees, registry: Registry, columns: SiteColumns, flow: FlowNode, cell: CellNode
    ) -> None:
        self._trees = trees
        self._registry = registry
        self._columns = columns
        self._flow = flow
        self._cell = cell
        self._walks = lru_cache(maxsize=4)(self._begun)

    # --- energy

    def loss(self, one: Allocation, at: int) -> list[Node]:
        """What was written off in a slot, by the rules of the inventory."""
        place, found = self._at(one, at)
        nodes = []
        if found.unmoved_mwh:
            nodes.append(
                Node(
                    "unmoved", "written_off", f"in the book, but never taken out on {QUIET_DAYS} days",
                    found.unmoved_mwh, WH, op=Op.FORMULA,
                    formula="the least that the book held on any of the last days with traffic",
                    parts=lambda: [self._book(place, found.begin, WH)],
                )
            )  # fmt: skip
        if found.over_mwh:
            nodes.append(
                Node(
                    "over", "written_off", "in the book, but more than the state of charge allows", found.over_mwh,
                    WH, formula="book less the most that can be there",
                    parts=lambda: [self._book(place, found.drawn, WH), negated(self._most(one, at, found))],
                )
            )  # fmt: skip
        return nodes

    def change(self, one: Allocation, at: int) -> list[Node]:
        """Charge less discharge less loss, and what a battery gave that the book did not know of."""
        nodes = [self._flow("charge", one, at), negated(self._flow("discharge", one, at))]
        loss, opening = int(one.stock.loss_mwh[at]), int(one.stock.opening_mwh[at])
        nodes.append(
            Node(
                "loss",
                "flow",
                "battery loss",
                -loss,
                WH,
                parts=lambda: [negated(n) for n in self.loss(one, at)],
            )
        )
        if opening:
            nodes.append(self._opening(one, at, opening))
        return [node for node in nodes if node.value]

    def _opening(self, one: Allocation, at: int, value: int) -> Node:
        place, found = self._at(one, at)
        return Node(
            "opening_stock", "opening_stock", "given from before the book was opened", value, WH, op=Op.FORMULA,
            formula="what was taken out, less what the book held",
            parts=lambda: [self._flow("discharge", one, at), self._book(place, found.charged, WH)],
        )  # fmt: skip

    def _most(self, one: Allocation, at: int, found: Held) -> Node:
        """The most that a state of charge allows."""
        book, site = found.drawn.book, one.balance.site
        value = most_mwh(book.out_mwh, book.points, float(site.soc[at]))
        return Node(
            "most", "limit_of_charge", "the most that can be there", value, WH, op=Op.FORMULA,
            formula="energy / percent points of discharges so far x (state of charge + 5), rounded down",
            parts=lambda: [
                Node("learnt-energy", "learnt", "energy of discharges so far", book.out_mwh, WH),
                Node("learnt-points", "learnt", "percent points of them", round(book.points * 10**6), _PERCENT),
                *self._charges(one, at),
            ],
        )  # fmt: skip

    def _charges(self, one: Allocation, at: int) -> list[Node]:
        """The state of charge at the end of a slot, as it is stored for every battery."""
        site, nodes = one.balance.site, []
        slot_ms = site.start_ms + at * SLOT_MS
        for meter in site.meters:
            series = None if meter.soc is None else self._registry.by_no(meter.soc)
            if series is None:
                continue
            rows = slots.read(
                self._trees.conn, [series.no], slots.SLOT, slot_ms, slot_ms + SLOT_MS, ("gauge",)
            )[series.no]
            if not len(rows) or not 0 <= float(rows.last[0]) <= 100:
                continue
            last = float(rows.last[0])
            row = {"series": series.public_id, "resolution": slots.SLOT, "start": slot_ms, "last": last}
            nodes.append(
                Node(
                    series.public_id, "state_of_charge", f"{series.public_id} at the end", round(last * 10**6),
                    _PERCENT, stored=Stored("energy_metrics", row),
                )
            )  # fmt: skip
        return nodes

    # --- what is carried

    def passed_on(self, along: Along, one: Allocation, at: int, rows: list[int], value: int) -> Node:
        """Cost or CO2 of what a battery gave to some uses in a slot."""
        mean = int(one.stock.out[along.row][at]) // int(one.drawn_mwh[at])

        def parts() -> list[Node]:
            energy = self._cell(one, at, Source.BATTERY, rows, KWH)
            rate = self._mean(along, one, at, mean)
            product = Node(
                "share", along.name, "energy from the battery x mean of the inventory",
                energy.value * mean * along.scale, along.unit, op=Op.PRODUCT, parts=lambda: [energy, rate],
            )  # fmt: skip
            text = "what was taken out carries whole steps, shared among its uses along a running total"
            return with_rounding([product], value, along.unit, text)

        return Node(
            "battery", along.name, "energy from the battery", value, along.unit,
            formula="by weighted average of what it carried when it was charged", parts=parts,
        )  # fmt: skip

    def _mean(self, along: Along, one: Allocation, at: int, mean: int) -> Node:
        """What a kWh out of the battery carried: what the book carried / what it held."""
        place, found = self._at(one, at)

        def parts() -> list[Node]:
            nodes = [self._carried(along, place, found.charged), self._book(place, found.charged, KWH)]
            opening = int(one.stock.opening_mwh[at])
            return [*nodes, self._opening(one, at, opening)] if opening else nodes

        return Node(
            "mean", "mean", f"mean {along.label} of a kWh in the battery", mean, along.rate_unit, op=Op.FORMULA,
            formula="what the book carried / the energy in it, and what was given from before the book was opened,"
            " rounded down", parts=parts,
        )  # fmt: skip

    def _carried(self, along: Along, place: _Place, layers: Layers) -> Node:
        """What the book carries: of every charge that is still in it what came from the grid x its rate."""
        value = layers.book.carried[along.row] * along.scale
        text = "what is left of charges is whole mWh"

        def parts() -> list[Node]:
            nodes = [self._charge_carried(along, place, *layer) for layer in layers.left]
            return with_rounding([node for node in nodes if node.value], value, along.unit, text)

        return Node(
            "carried", "inventory", f"{along.label} of what is in the battery", value, along.unit, parts=parts
        )

    def _charge_carried(self, along: Along, place: _Place, slot: int, left: int) -> Node:
        if slot < 0:
            begun = place.stock
            value = rounded(begun.carried[along.row] * along.scale * left, max(begun.energy_mwh, 1))
            return self._before(place, value, along.unit)
        one, at = place.one, place.first + slot
        bought = int(one.fed_mwh[Source.GRID, _CHARGE, at])
        rate = int(along.direct(one)[_CHARGE, at]) // bought if bought else 0
        slot_ms = one.balance.site.start_ms + at * SLOT_MS
        from_grid = rounded(left * bought, int(one.stored_mwh[at]))

        def parts() -> list[Node]:
            energy = Node(
                "left", "share", "from the grid, still there", from_grid, KWH, op=Op.FORMULA,
                formula="what is left of the charge x its part from the grid",
                parts=lambda: [
                    self._layer(place, slot, left, KWH), self._cell(one, at, Source.GRID, [_CHARGE], KWH),
                ],
            )  # fmt: skip
            return [energy, along.rate(slot_ms, rate)]

        return Node(
            str(slot_ms), "charge", f"charged from {self._trees.clock(slot_ms)}",
            from_grid * rate * along.scale, along.unit, op=Op.PRODUCT, span=(slot_ms, slot_ms + SLOT_MS), parts=parts,
        )  # fmt: skip

    # --- the book

    def _book(self, place: _Place, layers: Layers, unit: Unit) -> Node:
        """The energy in the book by the charges that are still in it."""
        return Node(
            "book", "inventory", "in the battery by the book", layers.book.energy_mwh, unit,
            parts=lambda: [self._layer(place, slot, left, unit) for slot, left in layers.left],
        )  # fmt: skip

    def _layer(self, place: _Place, slot: int, left: int, unit: Unit) -> Node:
        if slot < 0:
            return self._before(place, left, unit)
        one, at = place.one, place.first + slot
        slot_ms = one.balance.site.start_ms + at * SLOT_MS
        return Node(
            str(slot_ms), "charge", f"left of what was charged from {self._trees.clock(slot_ms)}", left, unit,
            op=Op.FORMULA, formula="all that is in the battery shrinks by the same share when something is taken out",
            span=(slot_ms, slot_ms + SLOT_MS), parts=lambda: [self._flow("charge", one, at)],
        )  # fmt: skip

    def _before(self, place: _Place, value: int, unit: Unit) -> Node:
        begin_ms = place.one.balance.site.start_ms + place.first * SLOT_MS
        label = f"left of what was in the battery at {self._trees.clock(begin_ms)}"
        return Node("before", "stock", label, value, unit, facts={"at": begin_ms})

    def _at(self, one: Allocation, at: int) -> tuple[_Place, Held]:
        number = next(row for row, (_, found) in enumerate(self._columns.parts) if found is one)
        place, replay = self._walks(number, max(at // BLOCK_SLOTS - 1, 0) * BLOCK_SLOTS)
        return place, replay.held(at - place.first)

    def _begun(self, number: int, first: int) -> tuple[_Place, Replay]:
        """The inventory from a slot on, for two blocks."""
        one = self._columns.parts[number][1]
        stock, start_ms = self._columns.stock(one), one.balance.site.start_ms
        into, out, carried, soc = one.stored_mwh, one.drawn_mwh, one.stock_in, one.balance.site.soc
        if first:
            early = slice(0, first)
            stock = walk(stock, start_ms, into[early], out[early], carried[:, early], soc[early]).after
        late, start_ms = slice(first, first + 2 * BLOCK_SLOTS), start_ms + first * SLOT_MS
        replay = Replay(stock, start_ms, into[late], out[late], carried[:, late], soc[late])
        return _Place(one, first, stock), replay


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a replay begins: position in the allocation, and what the book held there."""

    one: Allocation
    first: int
    stock: Stock
