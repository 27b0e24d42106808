"""Why a figure of the balance, or of a device, is what it is: flows → devices → the series that decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from hub.actors.energy_months import Stretch
from hub.actors.explain_carbon import CO2, INTENSITY, CarbonTrees
from hub.actors.explain_columns import Column, SiteColumns
from hub.actors.explain_series import SeriesTrees
from hub.actors.explain_sides import SideTrees
from hub.actors.explain_stock import Along, StockTrees
from hub.actors.registry import Registry
from hub.energy.allocation import Allocation
from hub.energy.exact import Ints, product
from hub.energy.explain import (
    KWH,
    MONEY_DIGITS,
    WH,
    Node,
    Op,
    Timeline,
    Unit,
    negated,
    with_rest,
)
from hub.energy.site_balance import RESIDUALS, Source, UseKind
from hub.energy.site_meters import CONSUMERS, SiteMeter
from hub.energy.slots import SLOT_MS
from hub.energy.stock import CARRIED
from hub.model.series import Role

E14_TO_VALUE: Final = 10 ** (MONEY_DIGITS - 14)
_FLOW_OF: Final = {
    Source.GRID: "import", Source.SOLAR: "production", Source.BATTERY: "discharge", Source.OTHER: "other_source",
}  # fmt: skip
_SOURCE_OF: Final = {name: source for source, name in _FLOW_OF.items()}
PriceNode = Callable[[int, int], Node]
"""``(slot_ms, price_e8)`` → why a kWh from the grid cost that in this slot."""


class BalanceTrees:
    """Trees of one site over one range, on the connection of ``trees``."""

    def __init__(
        self,
        trees: SeriesTrees,
        registry: Registry,
        stretches: Sequence[Stretch],
        currency: str,
        price_node: PriceNode | None = None,
    ) -> None:
        self._trees = trees
        price_unit = Unit(f"{currency}/kWh", 8)
        self._columns = SiteColumns(trees, stretches)
        layout = stretches[0].layout if stretches else None
        self._sides = SideTrees(trees, registry, layout.factors if layout else ())
        self._stock = StockTrees(trees, registry, self._columns, self._flow_node, self._cell)
        self._cost = Along(
            "cost", "what it cost", "price", CARRIED.index("cost"), Unit(currency, MONEY_DIGITS), price_unit,
            E14_TO_VALUE, lambda one: one.cost, lambda one: one.bought, lambda one: one.unpriced_mwh,
            price_node or (lambda _, price: Node("price", "price", "price of the grid's energy", price, price_unit)),
        )  # fmt: skip
        self._co2 = Along(
            "co2", "CO2 of it", "carbon intensity", CARRIED.index("co2"), CO2, INTENSITY, 1,
            lambda one: one.co2, lambda one: one.emitted, lambda one: one.uncounted_mwh,
            CarbonTrees(trees, registry, layout).intensity,
        )  # fmt: skip

    # --- figures

    def figure(self, name: str, start_ms: int, end_ms: int) -> Node:
        """One of :data:`hub.actors.explain_requests.FIGURES`."""
        if name == "self_consumption":
            return self._self_consumption(start_ms, end_ms)
        if name == "co2":
            return self._emitted(start_ms, end_ms)
        return self._flow(name, start_ms, end_ms)

    def _flow(self, name: str, start_ms: int, end_ms: int) -> Node:
        roles = _ROLES_OF.get(name)
        meters = [one for one in self._columns.meters if roles is None or one.role in roles]
        line = self._columns.timeline(_column(name), lambda slot_ms: self._flow_parts(name, slot_ms), meters)
        return self._root(name, name.replace("_", " "), line, start_ms, end_ms)

    def _self_consumption(self, start_ms: int, end_ms: int) -> Node:
        at_once = self._cells(Source.SOLAR, [0], "sun exported at once", start_ms, end_ms, "export")
        stored = self._cells(Source.BATTERY, [0], "exported out of the battery", start_ms, end_ms, "export")
        production = self._flow("production", start_ms, end_ms)
        grid = self._columns.total(
            lambda one: one.from_grid_mwh[0] - one.fed_mwh[Source.GRID, 0], start_ms, end_ms
        )
        from_grid = Node(
            "stored_from_grid", "battery", "of that, energy that the battery had from the grid", grid, WH,
            formula="by weighted average of what was stored",
        )  # fmt: skip
        away = at_once.value + max(stored.value - grid, 0)
        share = max(1 - away / production.value, 0.0) if production.value else 0.0
        children = [one for one in (production, at_once, stored, from_grid) if one.value or one is production]
        return Node(
            "self_consumption", "figure", "self-consumption", round(share * 1_000_000), Unit("", 6),
            op=Op.FORMULA, formula="1 - sun that was exported, at once or through the battery / production",
            span=(start_ms, end_ms), parts=lambda: children,
        )  # fmt: skip

    def _flow_parts(self, name: str, slot_ms: int) -> list[Node]:
        """What makes a flow in one slot."""
        found = self._columns.at(slot_ms)
        if found is None:
            return []
        one, at = found
        if name in _SOURCE_OF:
            return self._source_parts(one, at, _SOURCE_OF[name])
        if name == "battery_loss":
            return self._stock.loss(one, at)
        if name == "stock_change":
            return self._stock.change(one, at)
        if name == "export":
            return self._sided(one, at, given=False, roles=(Role.GRID,))
        if name == "charge":
            return self._sided(one, at, given=False, roles=(Role.BATTERY,))
        signed = [self._flow_node(source, one, at) for source in _FLOW_OF.values()]
        signed += [negated(self._flow_node(name, one, at)) for name in ("export", "charge")]
        if name == "not_measured":
            own = [meter for meter in one.balance.site.meters if meter.role not in (Role.GRID, Role.BATTERY)]
            signed += [negated(self._own(one, at, meter, given=False)) for meter in own]
        kept = [node for node in signed if node.value]
        value = int(_column(name)(one)[at])
        return with_rest(kept, Node("limit", "limit", "no more than nothing", value, WH))

    def _flow_node(self, name: str, one: Allocation, at: int) -> Node:
        slot_ms = one.balance.site.start_ms + at * SLOT_MS
        value = int(_column(name)(one)[at])
        return Node(
            name, "flow", name.replace("_", " "), value, WH, span=(slot_ms, slot_ms + SLOT_MS),
            parts=lambda: self._flow_parts(name, slot_ms),
        )  # fmt: skip

    def _source_parts(self, one: Allocation, at: int, source: Source) -> list[Node]:
        if source is Source.GRID:
            return self._sided(one, at, given=True, roles=(Role.GRID,))
        if source is Source.BATTERY:
            return self._sided(one, at, given=True, roles=(Role.BATTERY,))
        if source is Source.SOLAR:
            return self._sided(one, at, given=True, roles=(Role.SOLAR, *sorted(CONSUMERS)))
        return self._residuals(one, at)

    def _residuals(self, one: Allocation, at: int) -> list[Node]:
        """Sources that no meter shows, by their reason; they follow from all meters together."""
        closed = one.balance

        def behind() -> list[Node]:
            every = closed.site.meters
            nodes = [self._own(one, at, meter, given=given) for meter in every for given in (True, False)]
            return [node for node in nodes if node.value]

        return [
            Node(
                reason.value, "residual", reason.value.replace("_", " "), int(closed.residual_mwh[row, at]), WH,
                op=Op.FORMULA, formula="what was used and given away, less what the meters of sources show",
                parts=behind,
            )
            for row, reason in enumerate(RESIDUALS)
            if closed.residual_mwh[row, at]
        ]  # fmt: skip

    def _sided(self, one: Allocation, at: int, *, given: bool, roles: Sequence[Role]) -> list[Node]:
        site = one.balance.site
        nodes = [self._own(one, at, meter, given=given) for meter in site.meters if meter.role in roles]
        return [node for node in nodes if node.value]

    # --- devices

    def device(self, name: str, start_ms: int, end_ms: int) -> Node:
        """Energy of a device, what it came from and what it cost."""
        meter = next(one for one in self._columns.meters if one.device == name)
        rows = [at for at, use in enumerate(self._columns.parts[0][1].balance.uses) if use.device == name]
        children = []
        if rows:
            line = self._columns.timeline(
                lambda one: one.balance.used_mwh[rows].sum(axis=0),
                lambda slot_ms: self._own_at(slot_ms, meter, given=False),
                [meter],
            )
            children.append(
                self._root("energy", "what it used itself", line, start_ms, end_ms, kind="energy")
            )
            for source in Source:
                label = f"of that from {_NAMES[source]}"
                children.append(self._cells(source, rows, label, start_ms, end_ms, source.name.lower()))
            children += [self._carried(one, rows, start_ms, end_ms) for one in (self._cost, self._co2)]
        children += [
            self._side_root(meter, start_ms, end_ms, given=given)
            for given in (True, False)
            if given or not rows
        ]
        kept = [node for at, node in enumerate(children) if node.value or not at]
        return Node(
            name, "figure", name, kept[0].value, WH, op=Op.FORMULA, formula=f"{kept[0].label}; beside it, its sources"
            " and cost", span=(start_ms, end_ms), quality=kept[0].quality, parts=lambda: kept,
        )  # fmt: skip

    def _side_root(self, meter: SiteMeter, start_ms: int, end_ms: int, *, given: bool) -> Node:
        def column(one: Allocation) -> Ints:
            row = one.balance.site.row(meter.device)
            return (one.balance.give_mwh if given else one.balance.take_mwh)[row]

        line = self._columns.timeline(
            column, lambda slot_ms: self._own_at(slot_ms, meter, given=given), [meter]
        )
        key = "gives" if given else "takes"
        return self._root(
            key, f"what it {key} the house" if given else "what it takes", line, start_ms, end_ms
        )

    def _cells(
        self, source: Source, rows: list[int], label: str, start_ms: int, end_ms: int, key: str
    ) -> Node:
        """What a source fed into some uses."""

        def column(one: Allocation) -> Ints:
            return np.asarray(one.fed_mwh[source][rows].sum(axis=0))

        def parts(slot_ms: int) -> list[Node]:
            found = self._columns.at(slot_ms)
            return [] if found is None else [self._cell(*found, source, rows)]

        return self._root(key, label, self._columns.timeline(column, parts), start_ms, end_ms, kind="share")

    def _cell(self, one: Allocation, at: int, source: Source, rows: list[int], unit: Unit = WH) -> Node:
        """Who shared a source in one slot: it is divided among its uses in whole mWh."""
        closed = one.balance
        value = int(one.fed_mwh[source][rows, at].sum())

        def parts() -> list[Node]:
            children = [self._flow_node(_FLOW_OF[source], one, at)]
            children += [self._flow_node(name, one, at) for name in ("use", "export", "charge")]
            own = [use.device for row, use in enumerate(closed.uses) if row in rows and use.device]
            meters = [meter for meter in closed.site.meters if meter.device in own]
            children += [self._own(one, at, meter, given=False) for meter in meters]
            return [node for node in children if node.value]

        return Node(
            f"from_{source.name.lower()}", "share", f"from {_NAMES[source]}", value, unit, op=Op.FORMULA,
            formula="the sources of this quarter of an hour, shared among its uses", parts=parts,
        )  # fmt: skip

    def _carried(self, along: Along, rows: list[int], start_ms: int, end_ms: int) -> Node:
        """What some uses cost, or emitted."""

        def column(one: Allocation) -> Ints:
            return product(along.whole(one)[rows].sum(axis=0), np.array([along.scale]))

        line = self._columns.timeline(
            column, lambda slot_ms: self._carried_parts(along, slot_ms, rows), unit=along.unit
        )
        pending = self._columns.total(lambda one: along.unknown(one)[rows].sum(axis=0), start_ms, end_ms)
        facts: dict[str, Any] = {"pending_kwh": KWH.text(pending)} if pending else {}
        return self._root(along.name, along.asked, line, start_ms, end_ms, kind=along.name, facts=facts)

    def _carried_parts(self, along: Along, slot_ms: int, rows: list[int]) -> list[Node]:
        found = self._columns.at(slot_ms)
        if found is None:
            return []
        one, at = found
        direct = int(along.direct(one)[rows, at].sum())
        stored = int(along.whole(one)[rows, at].sum()) - direct
        nodes = [self._from_grid(along, one, at, rows, direct)] if direct else []
        if stored:
            nodes.append(self._stock.passed_on(along, one, at, rows, stored * along.scale))
        return nodes

    def _from_grid(self, along: Along, one: Allocation, at: int, rows: list[int], direct: int) -> Node:
        energy = self._cell(one, at, Source.GRID, rows, KWH)
        rate = along.rate(one.balance.site.start_ms + at * SLOT_MS, direct // energy.value)
        return Node(
            "grid", along.name, f"energy from the grid x {along.label}", direct * along.scale, along.unit,
            op=Op.PRODUCT, formula=f"kWh x {along.label}", parts=lambda: [energy, rate],
        )  # fmt: skip

    def _emitted(self, start_ms: int, end_ms: int) -> Node:
        """CO2 of the energy from the grid."""
        along = self._co2
        meters = [one for one in self._columns.meters if one.role is Role.GRID]

        def parts(slot_ms: int) -> list[Node]:
            found = self._columns.at(slot_ms)
            if found is None:
                return []
            one, at = found
            every = list(range(len(one.balance.uses)))
            return [self._from_grid(along, one, at, every, int(one.import_co2[at]))]

        line = self._columns.timeline(lambda one: one.import_co2, parts, meters, CO2)
        unknown = self._columns.total(
            lambda one: (one.uncounted_mwh - one.uncounted_stock_mwh).sum(axis=0), start_ms, end_ms
        )
        facts: dict[str, Any] = {"pending_kwh": KWH.text(unknown)} if unknown else {}
        return self._root("co2", "CO2 of energy from the grid", line, start_ms, end_ms, facts=facts)

    # --- own energy of a meter

    def _own_at(self, slot_ms: int, meter: SiteMeter, *, given: bool) -> list[Node]:
        found = self._columns.at(slot_ms)
        if found is None:
            return []
        node = self._own(*found, meter, given=given)
        return [node] if node.value else []

    def _own(self, one: Allocation, at: int, meter: SiteMeter, *, given: bool) -> Node:
        """What a device itself gives or takes: its meter, less the meters behind it."""
        closed, site = one.balance, one.balance.site
        row = site.row(meter.device)
        value = int((closed.give_mwh if given else closed.take_mwh)[row, at])
        behind = [child for child in site.meters if child.parent == meter.device]
        slot_ms = site.start_ms + at * SLOT_MS
        if not behind:
            return self._sides.side(meter, given, slot_ms, value, WH)

        def parts() -> list[Node]:
            net = self._net(one, at, meter, with_own=True)
            return with_rest(
                net if not given else [negated(node) for node in net],
                Node(
                    "limit", "limit", "no less than nothing: what is below zero counts elsewhere", value, WH
                ),
            )

        word = "gives" if given else "takes"
        return Node(
            f"{meter.device}-{word}", "device", f"{meter.device} itself {word}", value, WH,
            formula="its meter less the meters behind it", span=(slot_ms, slot_ms + SLOT_MS), parts=parts,
        )  # fmt: skip

    def _net(self, one: Allocation, at: int, meter: SiteMeter, *, with_own: bool) -> list[Node]:
        """Take less give of a device's own meter; ``with_own`` less those behind it, too."""
        site = one.balance.site
        row, slot_ms = site.row(meter.device), site.start_ms + at * SLOT_MS
        assert row is not None
        behind = [child for child in site.meters if child.parent == meter.device]
        inner = [node for child in behind for node in self._net(one, at, child, with_own=False)]
        if behind and not site.known[row, at]:
            return [] if with_own else inner
        sides = [
            self._sides.side(meter, False, slot_ms, int(site.take_mwh[row, at]), WH),
            negated(self._sides.side(meter, True, slot_ms, int(site.give_mwh[row, at]), WH)),
        ]
        own = [node for node in sides if node.value]
        return [*own, *(negated(node) for node in inner)] if with_own else own

    def _root(
        self,
        key: str,
        label: str,
        line: Timeline,
        start_ms: int,
        end_ms: int,
        *,
        kind: str = "figure",
        facts: dict[str, Any] | None = None,
    ) -> Node:
        value, quality = line.total(start_ms, end_ms)
        return Node(
            key, kind, label, value, line.unit, span=(start_ms, end_ms), quality=quality, facts=facts or {},
            parts=lambda: line.parts(start_ms, end_ms),
        )  # fmt: skip


def _column(name: str) -> Column:
    """A flow per slot."""
    if name in _SOURCE_OF:
        return lambda one: one.balance.sources_mwh[_SOURCE_OF[name]]
    if name == "use":
        kinds = (UseKind.EXPORT, UseKind.CHARGE)
        return lambda one: one.balance.used_mwh[
            [at for at, use in enumerate(one.balance.uses) if use.kind not in kinds]
        ].sum(axis=0)
    if name == "battery_loss":
        return lambda one: one.stock.loss_mwh
    if name == "stock_change":
        return lambda one: one.stock_change("energy")
    row = {"export": 0, "charge": 1, "not_measured": -1}[name]
    return lambda one: one.balance.used_mwh[row]


_ROLES_OF: Final = {
    "import": (Role.GRID,), "export": (Role.GRID,), "production": (Role.SOLAR,),
    "charge": (Role.BATTERY,), "discharge": (Role.BATTERY,), "battery_loss": (Role.BATTERY,),
    "stock_change": (Role.BATTERY,),
}  # fmt: skip
_NAMES: Final = {
    Source.GRID: "the grid", Source.SOLAR: "the sun", Source.BATTERY: "the battery", Source.OTHER: "elsewhere",
}  # fmt: skip
