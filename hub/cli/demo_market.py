"""The day-ahead market of the simulated house: a year of prices behind it, and each day those of the next.

Price series of demo.yaml with ``source: demo`` are filled; others belong to whoever runs the demo.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hub.actors.money_requests import GetPriceSeries, PriceView, PutPriceRows, SentPrice
from hub.config.settings import HubConfig
from hub.errors import WattlineError
from hub.runtime.actor import Ref, request
from hub.runtime.clock import Clock
from hub.storage.database import Database
from hub.storage.prices import ROWS_PER_JOB, PriceRow, write_prices
from integrations.demo.market import HOUR_MS, day_ahead, known_until_ms
from integrations.demo.site import Site

LOGGER = logging.getLogger(__name__)
SOURCE: Final = "demo"
_LOOK_EVERY_S: Final = 600.0
_E8_PER_CENT_A_MWH: Final = 1_000


@dataclass(frozen=True, slots=True)
class Market:
    """One market, and the ids of the price series that show it."""

    seed: int
    site: Site
    series: tuple[str, ...]

    @classmethod
    def of(cls, config: HubConfig, seed: int, site: Site) -> Market:
        """The market of a configuration."""
        listed: Sequence[Any] = config.kept.get("prices") or ()
        return cls(seed, site, tuple(one["id"] for one in listed if one.get("source") == SOURCE))

    def rows(self, start_ms: int, now_ms: int) -> Iterator[PriceRow]:
        """What is published at ``now_ms`` of the hours from ``start_ms`` on."""
        hours, prices = day_ahead(self.seed, self.site, start_ms, known_until_ms(self.site, now_ms))
        for hour_ms, price in zip(hours.tolist(), prices.tolist(), strict=True):
            yield PriceRow(hour_ms, hour_ms + HOUR_MS, round(price * 100) * _E8_PER_CENT_A_MWH)


async def write_market(database: Database, market: Market, start_ms: int) -> None:
    """Write the prices from ``start_ms`` on into a store that no hub uses; what stands there stays."""
    now_ms = database.now_ms()
    rows = list(market.rows(start_ms, now_ms))
    for price_id in market.series:
        for first in range(0, len(rows), ROWS_PER_JOB):
            part = rows[first : first + ROWS_PER_JOB]
            await database.write(
                lambda conn, price_id=price_id, part=part: write_prices(conn, price_id, part, SOURCE, now_ms),  # type: ignore[misc]  # bound per turn
                label="demo prices",
            )


async def keep_market(money: Ref, clock: Clock, market: Market) -> None:
    """Publish each day's prices in a running hub until cancelled."""
    while True:
        try:
            await publish(money, clock.now_ms(), market)
        except WattlineError as error:
            LOGGER.warning("the prices of the simulated market wait: %s", error)
        await asyncio.sleep(_LOOK_EVERY_S)


async def publish(money: Ref, now_ms: int, market: Market) -> int:
    """Send the hours that are published and not stored yet → how many rows that were.

    Raises:
        WattlineError: the hub does not take them now.
    """
    sent = 0
    for view in await request(money, GetPriceSeries()):
        if view.series.id in market.series and view.end_ms is not None:
            rows = [_sent(view, row) for row in market.rows(view.end_ms, now_ms)]
            if rows:
                sent += (await request(money, PutPriceRows(view.series.id, rows))).stored
    return sent


def _sent(view: PriceView, row: PriceRow) -> SentPrice:
    return SentPrice(row.start_ms, row.end_ms, view.series.unit.text_of(row.price_e8))
