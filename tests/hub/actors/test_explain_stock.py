"""CO2, and what a battery holds, loses and passes on: trees on a real store that add up to what the balance tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.actors.energy_months import EnergySettings
from hub.actors.energy_requests import GetEnergySums
from hub.actors.explain_requests import View
from hub.actors.money_requests import CreateTariff
from hub.energy.explain import Shown
from hub.energy.figures import flow_mwh
from hub.energy.site_sums import SiteSums
from hub.model.series import Behaviour, SeriesInfo
from hub.model.units import Quantity
from hub.runtime.actor import request
from tests.hub.actors.house import NOW_MS, House, running_house
from tests.hub.actors.test_explain_desk import complete, explain, leaves, metered, unstored

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DAYS = 20
BEGIN_MS = NOW_MS - NOW_MS % DAY_MS - DAYS * DAY_MS
END_MS = BEGIN_MS + DAYS * DAY_MS
TARIFF: dict[str, Any] = {
    "id": "home",
    "versions": [
        {
            "from": "2020-01-01",
            "import": [
                {"energy": "Day", "price": "0.31", "when": {"hours": "07:00-23:00"}},
                {"energy": "Night", "price": "0.2345", "when": "otherwise"},
            ],
        }
    ],
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running_house(tmp_path) as made:
        yield made


async def battery(house: House, *, soc: bool) -> None:
    """Charged at night from the grid and at noon by the sun, empty in the evening; a tenth of it is lost."""
    house.ref("processing").tell(EnergySettings(co2_g_per_kwh=56.0))
    (grid,) = await metered(house, "grid", "grid", "energy_import")
    (sun,) = await metered(house, "roof", "solar", "energy_export")
    into, out, *charge = await metered(
        house, "store", "battery", "energy_import", "energy_export", *(["soc"] if soc else [])
    )
    (plug,) = await metered(house, "plug", "load", "energy_import")
    info = SeriesInfo("carbon", Quantity.CARBON_INTENSITY, Behaviour.GAUGE, interval_ms=HOUR_MS)
    (carbon,) = await house.declare("market", info)
    total, percent, rows = dict.fromkeys((grid, sun, into, out, plug), 0.0), 10.0, []
    for at in range(DAYS * 24 + 1):
        hour, ts_ms = at % 24, BEGIN_MS + at * HOUR_MS
        rows += [(number, ts_ms, round(value, 3)) for number, value in total.items()]
        if at >= 24 * (DAYS // 2):
            rows.append((carbon, ts_ms, 40.0 + at % 7 * 12.5))
        rows += [(number, ts_ms, percent) for number in charge]
        night, noon, evening = hour in (2, 3), hour in (12, 13), hour in (18, 19, 20)
        total[into] += 1000.7 if night else 700.3 if noon else 0
        total[sun] += 900.0 if noon else 0
        total[out] += 990.1 if evening else 0
        total[plug] += 1200.0 if evening else 150.0
        total[grid] += 1150.7 if night else 209.9 if evening else 0 if noon else 150.0
        percent += 20.0 if night else 14.0 if noon else -22.0 if evening else 0.0
        percent = min(max(percent, 5.0), 95.0)
    await house.store(rows)
    await house.work()
    await request(house.ref("processing"), CreateTariff(TARIFF))


async def told(house: House, start_ms: int = BEGIN_MS) -> SiteSums:
    return (await request(house.ref("processing"), GetEnergySums(start_ms, END_MS, "1d"))).whole


async def proven(
    house: House, metric: str, name: str, start_ms: int, path: str = "", depth: int = 3
) -> set[str]:
    """Kinds of the leaves under some of the nodes; every node on the way was checked against its parts."""
    top = await explain(house, metric, name, start_ms, END_MS, View(path, depth, 1000))
    paths = [one.path for one in leaves(top) if one.node.parts is not None]
    seen: set[str] = set()
    for each in dict.fromkeys([*paths[:: max(len(paths) // 4, 1)], *paths[-1:]]):
        found = complete(await explain(house, metric, name, start_ms, END_MS, View(each, 30, 1000)))
        assert await unstored(house, found) == []
        seen |= {one.node.kind for one in found}
    return seen


def part(shown: Shown, key: str) -> Shown:
    return next(one for one in shown.children or () if one.node.key == key)


async def test_co2_is_import_times_the_row_or_the_factor_of_its_slot(house: House) -> None:
    await battery(house, soc=False)
    start_ms = BEGIN_MS + (DAYS // 2 - 1) * DAY_MS
    shown = await explain(house, "figure", "co2", start_ms, END_MS, View(depth=1))

    assert shown.node.value == int((await told(house, start_ms)).import_co2[0]) > 0
    for day, table in ((0, "configuration"), (-1, "energy_metrics")):
        path = [one for one in shown.children or () if one.node.value][day].path
        deep = complete(await explain(house, "figure", "co2", start_ms, END_MS, View(path, 30, 3)))
        assert table in {
            one.node.stored.table for one in deep if one.node.kind == "carbon_intensity" and one.node.stored
        }
    assert await proven(house, "figure", "co2", start_ms, depth=2) >= {"carbon_intensity", "reading"}


@pytest.mark.parametrize("soc", [True, False])
async def test_losses_and_the_change_of_the_stock_are_what_decided_them(house: House, soc: bool) -> None:
    await battery(house, soc=soc)
    sums = await told(house)

    for figure in ("battery_loss", "stock_change"):
        shown = await explain(house, "figure", figure, BEGIN_MS, END_MS, View(depth=0))
        assert shown.node.value == int(flow_mwh(sums, figure)[0])
    assert int(flow_mwh(sums, "battery_loss")[0]) > 0
    seen = await proven(house, "figure", "battery_loss", BEGIN_MS)
    assert ({"state_of_charge", "learnt"} <= seen) is soc
    assert "reading" in await proven(house, "figure", "stock_change", BEGIN_MS)


@pytest.mark.parametrize("soc", [True, False])
@pytest.mark.parametrize("carried", ["cost", "co2"])
async def test_energy_out_of_a_battery_carries_the_mean_of_the_charges_in_it(
    house: House, soc: bool, carried: str
) -> None:
    await battery(house, soc=soc)
    start_ms = END_MS - 2 * DAY_MS
    sums = await told(house, start_ms)
    (row,) = [at for at, use in enumerate(sums.uses) if use.device == "plug"]
    whole = await explain(house, "device", "plug", start_ms, END_MS, View(carried, 3, 1000))

    scale = {"cost": 10_000, "co2": 1}[carried]
    assert whole.node.value == int(getattr(sums, carried)[row, 0]) * scale
    direct = getattr(sums, {"cost": "bought", "co2": "emitted"}[carried])
    stored = int(getattr(sums, carried)[row, 0] - direct[row, 0])
    slots = [slot for day in whole.children or () for slot in day.children or ()]
    found = [one for slot in slots for one in slot.children or () if one.node.key == "battery"]
    assert sum(one.node.value for one in found) == stored * scale > 0
    for one in (found[0], found[-1]):
        deep = await explain(house, "device", "plug", start_ms, END_MS, View(one.path, 30, 2))
        every = [each for each in complete(deep) if each.node.kind != "rest"]
        assert await unstored(house, every) == []
        seen = {each.node.kind for each in every}
        assert seen >= {"rule" if carried == "cost" else "carbon_intensity", "reading"}
        path = f"{one.path}/share/mean/carried"
        book = await explain(house, "device", "plug", start_ms, END_MS, View(path, 1, 1000))
        parts = book.children or ()
        assert {each.node.kind for each in parts} <= {"charge", "stock", "rounding"}
        assert any(each.node.kind == "charge" for each in parts)
        rest = sum(abs(each.node.value) for each in parts if each.node.kind == "rounding")
        assert rest < book.node.value / 10_000


async def test_the_cost_of_a_factory_is_exact(house: House) -> None:
    (grid,) = await metered(house, "grid", "grid", "energy_import")
    (oven,) = await metered(house, "oven", "load", "energy_import")
    start_ms = END_MS - DAY_MS
    rows = [(number, start_ms + at * HOUR_MS, at * 200_000.0) for number in (grid, oven) for at in range(5)]
    await house.store(rows)
    await house.work()
    await request(house.ref("processing"), CreateTariff(TARIFF))

    sums = await told(house, start_ms)
    (row,) = [at for at, use in enumerate(sums.uses) if use.device == "oven"]
    top = await explain(house, "device", "oven", start_ms, END_MS, View(depth=4, limit=1000))
    assert part(top, "cost").node.value == int(sums.cost[row, 0]) * 10_000 > 100 * 10**18
