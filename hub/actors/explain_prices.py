"""Why a kWh cost what it did in a slot: the line of the tariff, its formula, and the rows of price series."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hub.actors.explain_series import SeriesTrees
from hub.actors.money_columns import PriceOrigin, read_price_columns
from hub.actors.money_points import PointMeter
from hub.actors.money_sources import DAY_MS, MoneySources
from hub.actors.registry import Registry
from hub.energy.bill import needed_ms
from hub.energy.bill_lines import Side
from hub.energy.bill_texts import block_text, formula_text
from hub.energy.clock import slot_clock
from hub.energy.components import Component, Discount, Energy, Limit, Tax, Tier
from hub.energy.explain import Node, Op, Stored, Unit
from hub.energy.money import E8, decimal_text
from hub.energy.rating import Rated, Rating, price_columns, rate, stretches
from hub.energy.slots import SLOT_MS
from hub.energy.tariff import Tariff, Version
from hub.energy.usage import Calendar, PriceColumn
from hub.storage import slots
from hub.storage.prices import read_prices

PERCENT: Final = Unit("", 10)


@dataclass(frozen=True, slots=True)
class BillAsked:
    """A bill to be explained: what it is read from and by which rules."""

    point: str
    meter: PointMeter
    tariff: Tariff
    kept_by: str
    origins: Mapping[str, PriceOrigin]
    calendar: Calendar
    start_ms: int
    end_ms: int
    from_ms: int
    until_ms: int


async def bill_asked(
    money: MoneySources, point: str, tariff_id: str | None, start_ms: int, end_ms: int
) -> BillAsked:
    """Look up the meter, the tariff and the calendar. Raises as a bill does."""
    meter = await money.point(point)
    tariff = money.tariff_for(point, end_ms, tariff_id)
    calendar = await money.calendar(start_ms - 400 * DAY_MS, end_ms)
    from_ms, until_ms = await asyncio.to_thread(needed_ms, tariff, calendar, start_ms, end_ms)
    return BillAsked(
        point, meter, tariff, money.book.tariff(tariff.id).source, money.price_origins(tariff), calendar,
        start_ms, end_ms, from_ms - from_ms % SLOT_MS, until_ms + -until_ms % SLOT_MS,
    )  # fmt: skip


class PriceTrees:
    """Prices per kWh of one tariff, on the connection of ``trees``."""

    def __init__(self, trees: SeriesTrees, registry: Registry, asked: BillAsked) -> None:
        self._trees = trees
        self._registry = registry
        self._asked = asked
        self.unit = Unit(f"{asked.tariff.currency}/kWh", 8)
        self.columns: dict[str, PriceColumn] = read_price_columns(
            trees.conn, asked.origins, asked.from_ms, asked.until_ms
        )

    def rule(self, version: Version, side: Side, name: str, value: int, unit: Unit, label: str) -> Node:
        """A number that stands in the tariff."""
        asked = self._asked
        row = {
            "id": asked.tariff.id, "kept_by": asked.kept_by, "from": version.valid_from.isoformat(),
            "side": str(side), "line": name,
        }  # fmt: skip
        return Node("rule", "rule", label, value, unit, stored=Stored("tariffs", row))

    def marginal(self, slot_ms: int, price_e8: int) -> Node:
        """What one more kWh from the grid cost in a slot: all lines that have a price per kWh."""

        def parts() -> list[Node]:
            nodes = []
            for version, _, _ in stretches(
                self._asked.tariff, self._asked.calendar.zone, slot_ms, slot_ms + SLOT_MS
            ):
                for number, line in enumerate(version.imports):
                    nodes += self._any(version, line, number, slot_ms)
            return nodes

        return Node(
            "price", "price", "price of one more kWh from the grid", price_e8, self.unit, op=Op.FORMULA,
            formula="the lines of the tariff that hold in this quarter of an hour, with their percentages",
            parts=parts,
        )  # fmt: skip

    def _any(self, version: Version, line: Component, number: int, slot_ms: int) -> list[Node]:
        key = f"line-{number}"
        rated = self._rated(version, Side.IMPORT, slot_ms)
        if line.name in rated:
            one = rated[line.name]
            if not bool(one.holds[0]):
                return []
            return [self.price(version, Side.IMPORT, line, slot_ms, int(one.price_e8[0]), key=key)]
        if isinstance(line, Tax | Discount) and line.share is not None:
            sign = 1 if isinstance(line, Tax) else -1
            node = self.rule(
                version,
                Side.IMPORT,
                line.name,
                int(line.share * 10**10) * sign,
                PERCENT,
                f"{line.name}: a share",
            )
            return [replace(node, key=key)]
        if isinstance(line, Tier):
            block = line.blocks[0]
            label = f"{line.name}: {block_text(line, 0)}, and the blocks above"
            node = self.rule(version, Side.IMPORT, line.name, block.price_e8, self.unit, label)
            return [replace(node, key=key)]
        return []

    def price(
        self, version: Version, side: Side, line: Component, slot_ms: int, price_e8: int,
        *, block: int = 0, key: str = "price",
    ) -> Node:  # fmt: skip
        """The price of one line in a slot."""
        match line:
            case Energy(formula=None) | Tax() | Discount():
                text = formula_text(line)
            case Tier():
                text = block_text(line, block)
            case _:
                return self._made(version, side, line, slot_ms, price_e8, key)
        node = self.rule(version, side, line.name, price_e8, self.unit, f"{line.name}: {text}")
        return replace(node, key=key)

    def _made(
        self, version: Version, side: Side, line: Component, slot_ms: int, price_e8: int, key: str
    ) -> Node:
        """A price that follows from others: a formula over price series, a cap or a floor."""

        def parts() -> list[Node]:
            nodes = [self._rule_of(version, side, line)]
            if isinstance(line, Energy) and line.formula is not None:
                return nodes + [self._series_price(name, slot_ms) for name in sorted(line.formula.names)]
            components = version.imports if side is Side.IMPORT else version.exports
            rated = self._rated(version, side, slot_ms)
            for number, other in enumerate(components):
                if other.name == line.name:
                    break
                if other.name in rated and bool(rated[other.name].holds[0]):
                    price = int(rated[other.name].price_e8[0])
                    nodes.append(self.price(version, side, other, slot_ms, price, key=f"line-{number}"))
            return nodes

        return Node(
            key, "price", f"{line.name}: {formula_text(line)}", price_e8, self.unit, op=Op.FORMULA,
            formula=formula_text(line), span=(slot_ms, slot_ms + SLOT_MS), parts=parts,
        )  # fmt: skip

    def _rule_of(self, version: Version, side: Side, line: Component) -> Node:
        value = line.per_kwh_e8 if isinstance(line, Limit) else 0
        return self.rule(version, side, line.name, value, self.unit, f"the tariff says: {formula_text(line)}")

    def _rated(self, version: Version, side: Side, slot_ms: int) -> dict[str, Rated]:
        """Lines with a price per kWh in one slot, by name."""
        rating = Rating.of(
            version, slot_clock(self._asked.calendar, slot_ms, 1), price_columns(self.columns, slot_ms, 1)
        )
        components: Sequence[Component] = version.imports if side is Side.IMPORT else version.exports
        rated: dict[str, Rated] = {}
        for line in components:
            one = rate(line, rating, components, rated)
            if one is not None:
                rated[line.name] = one
        return rated

    def _series_price(self, name: str, slot_ms: int) -> Node:
        """A price series in one slot, from its rows."""
        column = self.columns.get(name)
        at = -1 if column is None else (slot_ms - column.first_ms) // SLOT_MS
        if column is None or not 0 <= at < len(column) or not column.known[at]:
            return Node(name, "unknown", f"{name}: no price", 0, self.unit)
        value = int(column.price_e8[at])
        origin = self._asked.origins[name]
        text = decimal_text(value, least=0, most=0) if origin.unit.text == "1" else self.unit.text(value)
        return Node(
            name, "price_series", f"{name} = {text}", value, self.unit, op=Op.FORMULA,
            formula="mean of its rows by time", span=(slot_ms, slot_ms + SLOT_MS),
            parts=lambda: self._price_rows(origin, slot_ms),
        )  # fmt: skip

    def _price_rows(self, origin: PriceOrigin, slot_ms: int) -> list[Node]:
        end_ms = slot_ms + SLOT_MS
        if origin.series is not None:
            return self._gauge_price(origin, slot_ms)
        rows = read_prices(self._trees.conn, origin.id, slot_ms, end_ms)
        return [
            Node(
                f"row-{start}", "price_row", f"{origin.id} from {self._trees.clock(start)}", price, self.unit,
                span=(start, end), stored=Stored("prices", {"id": origin.id, "start": start, "end": end}),
            )
            for start, end, price in zip(
                rows.start_ms.tolist(), rows.end_ms.tolist(), rows.price_e8.tolist(), strict=True
            )
        ]  # fmt: skip

    def _gauge_price(self, origin: PriceOrigin, slot_ms: int) -> list[Node]:
        """The mean of a slot of the hub's own price series, as it is stored."""
        assert origin.series is not None
        series = self._registry.by_no(origin.series)
        if series is None:
            return []
        conn = self._trees.conn
        rows = slots.read(conn, [series.no], slots.SLOT, slot_ms, slot_ms + SLOT_MS, ("gauge", "quality"))
        means = rows[series.no].mean
        row = {
            "series": series.public_id,
            "resolution": slots.SLOT,
            "start": slot_ms,
            "mean": float(means[0]),
        }
        value = int(np.rint(means[0] * float(origin.unit.per_kwh) * E8))
        return [
            Node(
                "mean", "price_row", f"mean of {series.public_id}", value, self.unit,
                stored=Stored("energy_metrics", row),
            )
        ]  # fmt: skip
