"""The prices of the demo house: a year behind it, and what a running hub is told day by day."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.actors.money_requests import GetPriceSeries, PriceView
from hub.app import Hub, HubOptions
from hub.cli.demo import MAIN_FILE
from hub.cli.demo_market import Market, publish, write_market
from hub.config.loader import load
from hub.plugins.manager import PluginManager
from hub.runtime.actor import request
from hub.runtime.clock import FakeClock
from hub.storage.database import Database
from hub.storage.prices import PriceRow, read_prices, write_prices
from integrations.demo.site import DAY_MS, Site

CONFIG = Path(__file__).parents[3] / "config"
MORNING_MS = 1_795_849_200_000
"""2026-11-28 08:00 in Paris."""
MIDNIGHT_MS = 1_795_906_800_000
SINCE_MS = MORNING_MS - 20 * DAY_MS
MARKET = Market(1, Site(), ("spot",))

CONFIGURATION = """
hub: {name: Home, time_zone: Europe/Paris, currency: EUR}
mqtt_broker: {mode: "off"}
prices:
  - {id: spot, unit: EUR/MWh, source: demo}
  - {id: own, unit: EUR/MWh, source: nordpool}
"""


def test_the_shipped_configuration_names_the_market() -> None:
    plugins = PluginManager()
    plugins.load()
    config = load(CONFIG, plugins.schemas(), main_file=MAIN_FILE)

    assert Market.of(config, 1, Site()).series == ("spot",)


async def opened(data_dir: Path) -> Database:
    return await Database.open("sqlite:///hub.db", data_dir, clock=FakeClock(MORNING_MS))


async def test_every_hour_up_to_midnight_has_one_price(tmp_path: Path) -> None:
    database = await opened(tmp_path)
    await write_market(database, MARKET, SINCE_MS)
    rows = await database.read(lambda conn: read_prices(conn, "spot", 0, MIDNIGHT_MS + DAY_MS))
    await database.close()

    assert (int(rows.start_ms[0]), int(rows.end_ms[-1])) == (SINCE_MS, MIDNIGHT_MS)
    assert (rows.start_ms[1:] == rows.end_ms[:-1]).all()
    assert [
        PriceRow(*one)
        for one in zip(*(part.tolist() for part in (rows.start_ms, rows.end_ms, rows.price_e8)), strict=True)
    ] == list(MARKET.rows(SINCE_MS, MORNING_MS))


async def test_written_again_nothing_changes(tmp_path: Path) -> None:
    database = await opened(tmp_path)
    await write_market(database, MARKET, SINCE_MS)
    rows = list(MARKET.rows(SINCE_MS, MORNING_MS))
    changed = await database.write(lambda conn: write_prices(conn, "spot", rows, "demo", MORNING_MS))
    await database.close()

    assert changed == 0


async def series_of(hub: Hub) -> dict[str, PriceView]:
    return {view.series.id: view for view in await request(hub.processing, GetPriceSeries())}


@pytest.mark.timeout(120)
async def test_a_running_hub_is_told_tomorrow_once_it_is_published(tmp_path: Path) -> None:
    (tmp_path / "hub.yaml").write_text(CONFIGURATION)
    data_dir = tmp_path / "data"
    database = await opened(data_dir)
    await write_market(database, MARKET, SINCE_MS)
    await database.close()
    hub = Hub(HubOptions(tmp_path, data_dir, port=0), FakeClock(MORNING_MS))
    await hub.start()
    try:
        early = await publish(hub.processing, MORNING_MS, MARKET)
        later = await publish(hub.processing, MORNING_MS + 6 * 3_600_000, MARKET)
        again = await publish(hub.processing, MORNING_MS + 6 * 3_600_000, MARKET)
        found = await series_of(hub)
    finally:
        await hub.stop()

    assert (early, later, again) == (0, 24, 0)
    assert found["spot"].end_ms == MIDNIGHT_MS + DAY_MS
    assert found["own"].rows == 0
