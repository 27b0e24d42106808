"""What a meter says of one side of the house in a slot: the first of its series that is known decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from hub.actors.energy_months import Factor
from hub.actors.explain_series import SeriesTrees
from hub.actors.registry import Registry
from hub.energy.explain import Node, Op, Stored, Unit, negated, rounded, with_rest
from hub.energy.site_meters import SiteMeter, Term
from hub.energy.slots import SLOT_MS
from hub.model.series import Series
from hub.storage.metering import load_installations


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
