"""Why a figure of the balance, or of a device, is what it is: flows → devices → the series that decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

import numpy as np

from hub.actors.energy_months import Factor, Stretch, allocated
from hub.actors.explain_series import SeriesTrees
from hub.actors.registry import Registry
from hub.energy.allocation import Allocation
from hub.energy.exact import Ints
from hub.energy.explain import (
    KWH,
    MONEY_DIGITS,
    WH,
    Node,
    Op,
    Stored,
    Timeline,
    Unit,
    negated,
    rounded,
    with_rest,
)
from hub.energy.site_balance import RESIDUALS, Source, UseKind
from hub.energy.site_meters import CONSUMERS, SiteMeter, Term
from hub.energy.slots import SLOT_MS
from hub.model.quality import Quality, shares
from hub.model.series import Role, Series
from hub.storage.metering import load_installations

E14_TO_VALUE: Final = 10 ** (MONEY_DIGITS - 14)
_FLOW_OF: Final = {
    Source.GRID: "import", Source.SOLAR: "production", Source.BATTERY: "discharge", Source.OTHER: "other_source",
}  # fmt: skip
_SOURCE_OF: Final = {name: source for source, name in _FLOW_OF.items()}
Column = Callable[[Allocation], Ints]
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
        self._registry = registry
        self._price_node = price_node
        self._money = Unit(currency, MONEY_DIGITS)
        self._price_unit = Unit(f"{currency}/kWh", 8)
        self._parts = [
            (one, allocated(trees.conn, one.layout, one.day_ms, one.end_ms, one.prices, one.stock))
            for one in stretches
        ]
        self._sides = SideTrees(trees, registry, stretches[0].layout.factors if stretches else ())

    # --- figures

    def figure(self, name: str, start_ms: int, end_ms: int) -> Node:
        """One of :data:`hub.actors.explain_requests.FIGURES`."""
        if name == "self_consumption":
            return self._self_consumption(start_ms, end_ms)
        return self._flow(name, start_ms, end_ms)

    def _flow(self, name: str, start_ms: int, end_ms: int) -> Node:
        roles = _ROLES_OF.get(name)
        meters = [one for one in self._parts[0][0].layout.meters if roles is None or one.role in roles]
        line = self._timeline(_column(name), lambda slot_ms: self._flow_parts(name, slot_ms), meters)
        return self._root(name, name.replace("_", " "), line, start_ms, end_ms)

    def _self_consumption(self, start_ms: int, end_ms: int) -> Node:
        at_once = self._cells(Source.SOLAR, [0], "sun exported at once", start_ms, end_ms, "export")
        stored = self._cells(Source.BATTERY, [0], "exported out of the battery", start_ms, end_ms, "export")
        production = self._flow("production", start_ms, end_ms)
        grid = self._total(lambda one: one.from_grid_mwh[0] - one.fed_mwh[Source.GRID, 0], start_ms, end_ms)
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
        found = self._at(slot_ms)
        if found is None:
            return []
        one, at = found
        if name in _SOURCE_OF:
            return self._source_parts(one, at, _SOURCE_OF[name])
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
        meter = next(one for stretch, _ in self._parts for one in stretch.layout.meters if one.device == name)
        rows = [at for at, use in enumerate(self._parts[0][1].balance.uses) if use.device == name]
        children = []
        if rows:
            line = self._timeline(
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
            children.append(self._cost(rows, start_ms, end_ms))
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

        line = self._timeline(column, lambda slot_ms: self._own_at(slot_ms, meter, given=given), [meter])
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
            found = self._at(slot_ms)
            return [] if found is None else [self._cell(*found, source, rows)]

        return self._root(key, label, self._timeline(column, parts), start_ms, end_ms, kind="share")

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

    def _cost(self, rows: list[int], start_ms: int, end_ms: int) -> Node:
        def column(one: Allocation) -> Ints:
            return np.asarray(one.cost[rows].sum(axis=0) * E14_TO_VALUE)

        pending = self._total(lambda one: one.unpriced_mwh[rows].sum(axis=0), start_ms, end_ms)
        line = self._timeline(column, lambda slot_ms: self._cost_parts(slot_ms, rows), unit=self._money)
        facts: dict[str, Any] = {"pending_kwh": KWH.text(pending)} if pending else {}
        return self._root("cost", "what it cost", line, start_ms, end_ms, kind="cost", facts=facts)

    def _cost_parts(self, slot_ms: int, rows: list[int]) -> list[Node]:
        found = self._at(slot_ms)
        if found is None:
            return []
        one, at = found
        bought = int(one.bought[rows, at].sum()) * E14_TO_VALUE
        stored = int(one.cost[rows, at].sum()) * E14_TO_VALUE - bought
        nodes = []
        if bought:
            energy = self._cell(one, at, Source.GRID, rows, KWH)
            price = self._price(slot_ms, bought, energy.value)
            nodes.append(
                Node("grid", "cost", "energy from the grid x price", bought, self._money, op=Op.PRODUCT,
                     formula="kWh x price", parts=lambda: [energy, price])
            )  # fmt: skip
        if stored:
            nodes.append(
                Node("battery", "cost", "energy from the battery", stored, self._money, op=Op.FORMULA,
                     formula="by weighted average of what it cost to charge",
                     parts=lambda: [self._cell(one, at, Source.BATTERY, rows)])
            )  # fmt: skip
        return nodes

    def _price(self, slot_ms: int, amount: int, energy_mwh: int) -> Node:
        price_e8 = amount // E14_TO_VALUE // energy_mwh
        if self._price_node is not None:
            return self._price_node(slot_ms, price_e8)
        return Node("price", "price", "price of the grid's energy", price_e8, self._price_unit)

    # --- own energy of a meter

    def _own_at(self, slot_ms: int, meter: SiteMeter, *, given: bool) -> list[Node]:
        found = self._at(slot_ms)
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

    # --- columns

    def _timeline(
        self,
        column: Column,
        parts: Callable[[int], list[Node]],
        meters: Sequence[SiteMeter] = (),
        unit: Unit = WH,
    ) -> Timeline:
        columns = [np.asarray(column(found)) for _, found in self._parts]

        def total(start_ms: int, end_ms: int) -> tuple[int, Quality | None]:
            return self._summed(columns, start_ms, end_ms), self._quality(meters, start_ms, end_ms)

        def slot_nodes(start_ms: int, end_ms: int) -> list[Node]:
            nodes = []
            for values, (stretch, found) in zip(columns, self._parts, strict=True):
                low, high = _rows(found, max(start_ms, stretch.start_ms), min(end_ms, stretch.end_ms))
                for at in (low + np.flatnonzero(values[low:high])).tolist():
                    slot_ms = found.balance.site.start_ms + at * SLOT_MS
                    nodes.append(self._slot(slot_ms, int(values[at]), unit, parts))
            return nodes

        return Timeline(self._trees.zone, unit, total, slot_nodes)

    def _slot(self, slot_ms: int, value: int, unit: Unit, parts: Callable[[int], list[Node]]) -> Node:
        return Node(
            str(slot_ms), "slot", self._trees.clock(slot_ms), value, unit, span=(slot_ms, slot_ms + SLOT_MS),
            parts=lambda: parts(slot_ms),
        )  # fmt: skip

    def _total(self, column: Column, start_ms: int, end_ms: int) -> int:
        return self._summed([np.asarray(column(found)) for _, found in self._parts], start_ms, end_ms)

    def _summed(self, columns: Sequence[Ints], start_ms: int, end_ms: int) -> int:
        total = 0
        for values, (stretch, found) in zip(columns, self._parts, strict=True):
            low, high = _rows(found, max(start_ms, stretch.start_ms), min(end_ms, stretch.end_ms))
            total += int(values[low:high].astype(object).sum()) if high > low else 0
        return total

    def _quality(self, meters: Sequence[SiteMeter], start_ms: int, end_ms: int) -> Quality | None:
        """How well the meters of a figure are known; None where it is about none."""
        if not meters:
            return None
        times = np.zeros(4, np.int64)
        for stretch, found in self._parts:
            low, high = _rows(found, max(start_ms, stretch.start_ms), min(end_ms, stretch.end_ms))
            site = found.balance.site
            rows = [row for meter in meters if (row := site.row(meter.device)) is not None]
            if rows and high > low:
                times += site.times_ms[rows, :, low:high].sum(axis=(0, 2), dtype=np.int64)
        return shares((end_ms - start_ms) * len(meters), *times.tolist())

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

    def _at(self, slot_ms: int) -> tuple[Allocation, int] | None:
        for stretch, found in self._parts:
            if stretch.start_ms <= slot_ms < stretch.end_ms:
                return found, (slot_ms - found.balance.site.start_ms) // SLOT_MS
        return None


class SideTrees:
    """What a meter says of one side in one slot: the first series that is known decides."""

    def __init__(self, trees: SeriesTrees, registry: Registry, factors: Sequence[Factor] = ()) -> None:
        self._trees = trees
        self._registry = registry
        self._factors = factors

    def side(self, meter: SiteMeter, given: bool, slot_ms: int, value: int, unit: Unit) -> Node:
        """The side as a node whose children are the series of the term that decides."""
        word = "gives" if given else "takes"
        return Node(
            f"{meter.device}-{word}", "device", f"{meter.device} {word}", value, unit,
            formula="the first of its series that is known in this quarter of an hour",
            span=(slot_ms, slot_ms + SLOT_MS),
            parts=lambda: self._decided(meter.give if given else meter.take, slot_ms, value, unit),
        )  # fmt: skip

    def counted(self, meter: SiteMeter, given: bool, slot_ms: int, unit: Unit) -> Node:
        """The same where nobody knows the value yet."""
        nodes = self._terms(meter.give if given else meter.take, slot_ms, unit)
        return self.side(meter, given, slot_ms, max(sum(node.value for node in nodes), 0), unit)

    def _decided(self, terms: Sequence[Term], slot_ms: int, value: int, unit: Unit) -> list[Node]:
        label = "no less than nothing: what is below zero is the other side's"
        nodes = self._terms(terms, slot_ms, unit)
        return with_rest(nodes, Node("limit", "limit", label, value, unit))

    def _terms(self, terms: Sequence[Term], slot_ms: int, unit: Unit) -> list[Node]:
        for term in terms:
            found = [self._slot(number, slot_ms, unit) for number in term.series]
            known = [node for node in found if node is not None]
            if len(known) == len(found):
                return known if term.sign > 0 else [negated(node) for node in known]
        return []

    def _slot(self, number: int, slot_ms: int, unit: Unit) -> Node | None:
        series = self._registry.by_no(number)
        if series is None:
            return None
        node = self._trees.slot(series, slot_ms, unit)
        if node is None:
            return None
        for one in self._factors:
            if one.series == number and one.from_ms <= slot_ms < one.to_ms:
                node = multiplied(self._trees, series, one.from_ms, one.factor, node, unit)
        return replace(node, key=series.public_id)


def multiplied(
    trees: SeriesTrees, series: Series, from_ms: int, factor: Fraction, register: Node, unit: Unit
) -> Node:
    """What a register counted in a slot, times the factor of its installation."""
    value = rounded(register.value * factor.numerator, factor.denominator)

    def parts() -> list[Node]:
        found = [
            Node(
                f"installation-{row.id}", "installation", f"factor {factor} of the installation",
                rounded(factor.numerator * 10**12, factor.denominator), Unit("", 12),
                stored=Stored("installations", {"id": row.id, "metering_point": row.metering_point}),
            )
            for row in load_installations(trees.conn, series=series.no)
            if row.installation.from_ms == from_ms
        ]  # fmt: skip
        return [register, *found]

    return Node(
        register.key, "register", f"{register.label} x {factor}", value, unit, op=Op.FORMULA,
        formula="what the register counted, times the factor of its installation",
        span=register.span, parts=parts,
    )  # fmt: skip


def _rows(found: Allocation, start_ms: int, end_ms: int) -> tuple[int, int]:
    site = found.balance.site
    low, high = ((ms - site.start_ms) // SLOT_MS for ms in (start_ms, end_ms))
    return max(low, 0), max(min(high, site.count), 0)


def _column(name: str) -> Column:
    """A flow per slot."""
    if name in _SOURCE_OF:
        return lambda one: one.balance.sources_mwh[_SOURCE_OF[name]]
    if name == "use":
        kinds = (UseKind.EXPORT, UseKind.CHARGE)
        return lambda one: one.balance.used_mwh[
            [at for at, use in enumerate(one.balance.uses) if use.kind not in kinds]
        ].sum(axis=0)
    row = {"export": 0, "charge": 1, "not_measured": -1}[name]
    return lambda one: one.balance.used_mwh[row]


_ROLES_OF: Final = {
    "import": (Role.GRID,), "export": (Role.GRID,), "production": (Role.SOLAR,),
    "charge": (Role.BATTERY,), "discharge": (Role.BATTERY,),
}  # fmt: skip
_NAMES: Final = {
    Source.GRID: "the grid", Source.SOLAR: "the sun", Source.BATTERY: "the battery", Source.OTHER: "elsewhere",
}  # fmt: skip
