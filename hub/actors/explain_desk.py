"""Why this number? Reads what a figure is made of and shows a part of its tree.

Owned by the processing actor. A tree is made and walked inside one read of the store, so that all of its parts are of
one moment; only what was asked for is looked into.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import sqlalchemy as sa

from hub.actors.energy_desk import EnergyDesk
from hub.actors.explain_balance import BalanceTrees
from hub.actors.explain_bill import BillTrees
from hub.actors.explain_prices import BillAsked, PriceTrees, bill_asked
from hub.actors.explain_requests import FIGURES, Explain, Explanation
from hub.actors.explain_series import SeriesTrees, unit_of
from hub.actors.money_points import GRID
from hub.actors.money_sources import MoneySources
from hub.actors.registry import Registry
from hub.energy.cuts import slot_floor
from hub.energy.explain import Node, Shown, explained
from hub.energy.slots import SLOT_MS, Rule
from hub.errors import NotFound, Refused
from hub.storage.database import Database

DAY_MS: Final = 86_400_000
LONGEST_MS: Final = 3_700 * DAY_MS
LONGEST_OF_SITE_MS: Final = 400 * DAY_MS
BACK_MS: Final = 14 * DAY_MS
"""What is in a battery is told by its charges of so many days before."""

Root = Callable[[SeriesTrees], Node]


class ExplainDesk:
    """Answers :class:`Explain`."""

    def __init__(
        self, database: Database, registry: Registry, zone: str, energy: EnergyDesk, money: MoneySources
    ) -> None:
        self._database = database
        self._registry = registry
        self._zone = zone
        self._energy = energy
        self._money = money

    async def explain(self, asked: Explain) -> Explanation:
        """The part of the tree that was asked for."""
        start_ms, end_ms = self._borders(asked)
        match asked.metric:
            case "energy":
                root = self._series(asked.name, start_ms, end_ms)
            case "figure":
                root = await self._figure(asked.name, start_ms, end_ms)
            case "device":
                root = await self._device(asked.name, start_ms, end_ms)
            case _:
                root = await self._bill(asked, start_ms, end_ms)
        return Explanation(asked.metric, asked.name, start_ms, end_ms, await self._shown(asked, root))

    async def _shown(self, asked: Explain, root: Root) -> Shown:
        view = asked.view

        def job(conn: sa.Connection) -> Shown:
            node = root(SeriesTrees(conn, self._zone))
            return explained(node, path=view.path, depth=view.depth, limit=view.limit, offset=view.offset)

        return await self._database.read(job)

    def _borders(self, asked: Explain) -> tuple[int, int]:
        """On slots: a begin inside one goes back, an end too, but for the slot that still runs."""
        start_ms, end_ms = slot_floor(asked.start_ms), slot_floor(asked.end_ms)
        if asked.end_ms % SLOT_MS and asked.end_ms >= slot_floor(self._database.now_ms()):
            end_ms += SLOT_MS
        if end_ms <= start_ms:
            raise Refused("WL-API-032", "end does not lie after start", where="end")
        longest_ms = LONGEST_OF_SITE_MS if asked.metric in ("figure", "device") else LONGEST_MS
        if end_ms - start_ms > longest_ms:
            days = longest_ms // DAY_MS
            raise Refused("WL-API-031", f"this is explained for {days} days at most", where="start")
        return start_ms, end_ms

    def _series(self, name: str, start_ms: int, end_ms: int) -> Root:
        series = self._registry.by_public_id(name)
        if not Rule.of(series).has_energy:
            raise Refused(
                "WL-NRG-011",
                f"{name[:80]} is a state, it does not add up to an amount",
                where="series",
                hint="ask for a counter, an amount or a power; GET /api/v1/readings has the values of all series",
            )
        unit = unit_of(series)

        def root(trees: SeriesTrees) -> Node:
            line = trees.timeline(series, start_ms, end_ms, unit)
            value, quality = line.total(start_ms, end_ms)
            return Node(
                name, "figure", f"energy of {name}" if unit.name == "Wh" else f"amount of {name}",
                value, unit, span=(start_ms, end_ms), quality=quality,
                parts=lambda: line.parts(start_ms, end_ms),
            )  # fmt: skip

        return root

    async def _figure(self, name: str, start_ms: int, end_ms: int) -> Root:
        if name not in FIGURES:
            raise Refused(
                "WL-NRG-012",
                f"{name[:40]!r} is no figure that can be explained",
                where="figure",
                hint="one of " + ", ".join(FIGURES),
            )
        balance = await self._balance(start_ms, end_ms, priced=False)
        return lambda trees: balance(trees).figure(name, start_ms, end_ms)

    async def _device(self, name: str, start_ms: int, end_ms: int) -> Root:
        if all(meter.device != name for meter in self._energy.meters()):
            known = name in self._registry.devices
            raise NotFound(
                "WL-API-404",
                f"{name[:80]} does not count in the balance"
                if known
                else f"there is no device {name[:80]!r}",
                where="device",
                hint="give it a role, and a power or energy" if known else "",
            )
        balance = await self._balance(start_ms, end_ms, priced=True)
        return lambda trees: balance(trees).device(name, start_ms, end_ms)

    async def _balance(
        self, start_ms: int, end_ms: int, *, priced: bool
    ) -> Callable[[SeriesTrees], BalanceTrees]:
        from_ms = max(start_ms - BACK_MS, 0)
        stretches = await self._energy.stretches(from_ms, end_ms)
        tariff = await self._grid_tariff(from_ms, end_ms) if priced else None
        currency = self._money.book.settings.currency if tariff is None else tariff.tariff.currency

        def made(trees: SeriesTrees) -> BalanceTrees:
            price_node = None if tariff is None else PriceTrees(trees, self._registry, tariff).marginal
            return BalanceTrees(trees, self._registry, stretches, currency, price_node)

        return made

    async def _grid_tariff(self, start_ms: int, end_ms: int) -> BillAsked | None:
        """What energy from the grid is priced by; None where nothing is agreed, or it cannot be applied."""
        try:
            return await bill_asked(self._money, GRID, None, start_ms, end_ms)
        except (NotFound, Refused):
            return None

    async def _bill(self, asked: Explain, start_ms: int, end_ms: int) -> Root:
        wanted = await bill_asked(self._money, asked.name, asked.tariff, start_ms, end_ms)
        return lambda trees: BillTrees(trees, self._registry, wanted).bill()
