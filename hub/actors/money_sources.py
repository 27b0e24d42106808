"""What answers about money are made of: a tariff, the calendar, and columns of one moment of the store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import sqlalchemy as sa

from hub.actors.money_book import MoneyBook
from hub.actors.money_columns import PriceOrigin, read_price_columns
from hub.actors.money_points import PointMeter, point_meter, read_usage
from hub.actors.registry import Registry
from hub.energy.calendar import local_date
from hub.energy.money_entries import PriceSeries
from hub.energy.price_grid import price_unit
from hub.energy.public_holidays import holidays_between
from hub.energy.slots import SLOT_MS
from hub.energy.tariff import Tariff
from hub.energy.usage import Calendar, PriceColumn, Usage
from hub.errors import NotFound, Refused
from hub.model.series import Series
from hub.storage.database import Database
from hub.storage.metering import find_point, load_installations

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Columns of one metering point over whole slots, and the calendar of that time."""

    usage: Usage
    prices: Mapping[str, PriceColumn]
    calendar: Calendar


class MoneySources:
    """Where bills, budgets and peaks find what they need."""

    def __init__(self, database: Database, registry: Registry, book: MoneyBook, zone: str) -> None:
        self.database = database
        self.registry = registry
        self.book = book
        self.zone = zone

    async def point(self, point: str) -> PointMeter:
        """The meter of a metering point. Raises as :func:`hub.actors.money_points.point_meter`."""
        rows, found = await self.database.read(
            lambda conn: (load_installations(conn, point=point), find_point(conn, point))
        )
        return point_meter(self.registry, point, rows, found is not None, self.database.now_ms())

    def tariff_for(self, point: str, end_ms: int, tariff_id: str | None) -> Tariff:
        """The tariff asked for, else the one of the metering point.

        Raises:
            NotFound: ``WL-MNY-011``, no tariff names this metering point.
        """
        if tariff_id is not None:
            return self.book.tariff(tariff_id).tariff
        found = self.book.tariff_of(point, end_ms, self.local_date)
        if found is None:
            raise NotFound(
                "WL-MNY-011",
                f"no tariff names the metering point {point[:80]!r}",
                where="metering_point",
                hint="add a tariff with this metering_point to the configuration or by POST /api/v1/tariffs",
            )
        return found

    def local_date(self, ts_ms: int) -> date:
        """The site-local date of an instant."""
        return local_date(self.zone, ts_ms)

    async def calendar(self, start_ms: int, end_ms: int) -> Calendar:
        """The site's clock with the holidays of a range; a thread, because the first look-up imports a package."""
        country = self.book.settings.country
        found = await asyncio.to_thread(holidays_between, country, self.zone, max(start_ms, 0), end_ms)
        return Calendar(self.zone, found)

    def price_origins(self, *tariffs: Tariff) -> dict[str, PriceOrigin]:
        """Where the prices come from that tariffs name; a name that nobody knows stays without price.

        Raises:
            Refused: ``WL-MNY-015``, a price series is in another currency than its tariff.
        """
        found: dict[str, PriceOrigin] = {}
        for tariff in tariffs:
            for name in tariff.price_names():
                series = self.book.price_named(name)
                if series is None:
                    continue
                if series.unit.currency not in ("", tariff.currency):
                    raise Refused(
                        "WL-MNY-015",
                        f"the price series {series.id} is in {series.unit.currency}, the tariff {tariff.id} in "
                        f"{tariff.currency}",
                        where="tariff",
                        hint="prices are not converted between currencies; write both in one",
                    )
                found[name] = self._origin(series)
        return found

    def number_of(self, series: PriceSeries) -> int | None:
        """Number of the hub's own series that carries these prices; None where rows do."""
        source = self._carrier(series)
        return None if source is None else int(source.no)

    def _carrier(self, series: PriceSeries) -> Series | None:
        if series.series is None:
            return None
        device, _, key = series.series.partition(".")
        return self.registry.find(device, key)

    def _origin(self, series: PriceSeries) -> PriceOrigin:
        source = self._carrier(series)
        if source is None:
            return PriceOrigin(series.id, series.unit)
        unit = series.unit
        try:
            unit = price_unit(source.unit)
        except Refused:
            pass  # the series does not say a unit that we know: what was configured holds
        return PriceOrigin(series.id, unit, source.no)

    async def read(
        self,
        point: PointMeter,
        tariff: Tariff | None,
        origins: Mapping[str, PriceOrigin],
        from_ms: int,
        until_ms: int,
    ) -> Ingredients:
        """Columns over whole slots that hold ``[from_ms, until_ms)``, of one moment of the store.

        The newest version of the tariff says whether the phases are set off against each other.
        """
        per_phase = tariff is not None and tariff.versions[-1].netting.phases == "per_phase"
        first_ms, end_ms = from_ms - from_ms % SLOT_MS, until_ms + -until_ms % SLOT_MS

        def job(conn: sa.Connection) -> tuple[Usage, dict[str, PriceColumn]]:
            usage = read_usage(conn, point, first_ms, end_ms, per_phase=per_phase)
            return usage, read_price_columns(conn, origins, first_ms, end_ms)

        usage, prices = await self.database.read(job)
        return Ingredients(usage, prices, await self.calendar(first_ms, end_ms))
