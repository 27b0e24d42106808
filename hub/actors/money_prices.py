"""Prices per slot by the contract of the grid connection: what one more kWh costs or brings, now and in the past."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from hub.actors.money_points import GRID
from hub.actors.money_requests import PriceNow
from hub.actors.money_sources import DAY_MS, MoneySources
from hub.energy.bill import needed_ms
from hub.energy.cuts import slot_floor
from hub.energy.rating import SlotPrices, slot_prices
from hub.energy.slots import SLOT_MS
from hub.energy.tariff import Tariff
from hub.errors import Refused


class SitePrices:
    """The price book of the site, for the cost of devices too.

    ``revision`` changes whenever any answer may: with the book of money, and with slots of the hub's own price
    series.
    """

    def __init__(self, sources: MoneySources) -> None:
        self._sources = sources
        self._changes = 0

    @property
    def revision(self) -> int:
        """Rises with everything that an answer is made of, but the energy of running tiers."""
        return self._sources.book.revision + self._changes

    def note(self, series: Iterable[int]) -> None:
        """Slots of these series changed."""
        own = {self._sources.number_of(one) for one, _ in self._sources.book.prices.values()}
        self._changes += not own.isdisjoint(series)

    async def slot_prices(self, first_ms: int, count: int) -> SlotPrices | None:
        """Prices of ``count`` slots from ``first_ms``; None where no tariff names the grid connection.

        None too where the tariff cannot be applied (no grid meter, prices in another currency): a bill says why.
        """
        end_ms = first_ms + count * SLOT_MS
        tariff = self._sources.book.tariff_of(GRID, end_ms, self._sources.local_date)
        if tariff is None:
            return None
        try:
            return await self._priced(tariff, GRID, first_ms, count)
        except Refused:
            return None

    async def now(self, point: str) -> PriceNow | None:
        """What one more kWh costs and brings at this moment; None without a tariff."""
        now_ms = self._sources.database.now_ms()
        tariff = self._sources.book.tariff_of(point, now_ms, self._sources.local_date)
        if tariff is None:
            return None
        found = await self._priced(tariff, point, slot_floor(now_ms), 1)
        return PriceNow(
            tariff.id,
            tariff.currency,
            int(found.import_e8[0]) if found.import_known[0] else None,
            int(found.export_e8[0]) if found.export_known[0] else None,
        )

    async def _priced(self, tariff: Tariff, point: str, first_ms: int, count: int) -> SlotPrices:
        sources, end_ms = self._sources, first_ms + count * SLOT_MS
        meter = await sources.point(point)
        calendar = await sources.calendar(first_ms - 400 * DAY_MS, end_ms)
        from_ms, _ = needed_ms(tariff, calendar, first_ms, end_ms)
        made = await sources.read(meter, tariff, sources.price_origins(tariff), from_ms, end_ms)
        return await asyncio.to_thread(
            slot_prices, tariff, made.prices, made.calendar, first_ms, count, made.usage
        )
