"""The desk of money on real actors: what is remembered, what is forgotten, and where figures come from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.actors.device_requests import PatchDevice
from hub.actors.money import MoneyDesk
from hub.actors.money_memory import BillKey, BillMemory
from hub.actors.money_points import PointMeter, point_meter
from hub.actors.money_requests import (
    ChangeTariff,
    CreateBudget,
    CreatePriceSeries,
    CreateTariff,
    DropPriceRows,
    GetBill,
    GetBudgets,
    GetPriceNow,
    GetTariffs,
    MoneySettings,
    PutPriceRows,
    RemoveTariff,
    SentPrice,
    SetMoney,
)
from hub.energy.bill import Bill
from hub.energy.installations import Installation
from hub.errors import NotFound, Refused, StateConflict
from hub.model.quality import Quality
from hub.model.series import known_series
from hub.runtime.actor import request
from hub.storage.database import Database
from hub.storage.metering import (
    InstallationRow,
    MeteringPoint,
    delete_point,
    insert_installation,
    save_point,
)
from hub.storage.money import TariffRow, save
from tests.hub.actors.house import NOW_MS, House, running_house

SLOT_MS = 900_000
START_MS = NOW_MS - NOW_MS % 86_400_000 - 7 * 86_400_000
END_MS = START_MS + 96 * SLOT_MS
FLAT: dict[str, Any] = {
    "id": "flat",
    "versions": [{"from": "2020-01-01", "import": [{"energy": "All", "price": "0.30"}]}],
}
MARKET: dict[str, Any] = {
    "id": "market",
    "versions": [{"from": "2020-01-01", "import": [{"energy": "All", "formula": "spot"}]}],
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A house whose clock stands still."""
    async with running_house(tmp_path) as made:
        yield made


async def metered(house: House, *keys: str, role: str = "grid") -> list[int]:
    """The grid meter's series."""
    numbers = await house.declare("meter", *keys)
    await request(house.ref("device"), PatchDevice("meter", {"role": role}))
    return numbers


async def counted(house: House, number: int, wh_per_slot: float = 250.0, slots: int = 96) -> None:
    """A counter that rises evenly over the day."""
    rows = [(number, START_MS + at * SLOT_MS, at * wh_per_slot) for at in range(slots + 1)]
    await house.store(rows)
    await house.work()


async def ask(house: House, question: Any) -> Any:
    return await request(house.ref("processing"), question, timeout_s=60)


async def bill(house: House, **more: Any) -> Bill:
    made: Bill = await ask(house, GetBill("grid", START_MS, END_MS, **more))
    return made


async def test_a_closed_bill_is_remembered_until_something_changes(house: House) -> None:
    (number,) = await metered(house, "energy_import")
    await counted(house, number)
    await ask(house, CreateTariff(FLAT))
    first = await bill(house)

    assert await bill(house) is first
    await ask(house, ChangeTariff("flat", {"name": "Other"}))
    assert await bill(house) is not first
    assert (await bill(house)).total_e8 == first.total_e8


async def test_a_budget_or_a_reload_without_change_forgets_nothing(house: House) -> None:
    (number,) = await metered(house, "energy_import")
    await counted(house, number)
    await ask(house, CreateTariff(FLAT))
    first = await bill(house)
    await ask(house, CreateBudget({"id": "money", "amount": "100"}))
    await ask(house, SetMoney(MoneySettings()))

    assert await bill(house) is first
    await ask(house, SetMoney(MoneySettings(country="FR")))
    assert await bill(house) is not first


async def test_a_bill_that_still_runs_is_made_anew(house: House) -> None:
    (number,) = await metered(house, "energy_import")
    await counted(house, number)
    await ask(house, CreateTariff(FLAT))
    question = GetBill("grid", START_MS, START_MS + 60 * 86_400_000)

    assert await ask(house, question) is not await ask(house, question)


async def test_late_energy_is_in_the_next_bill(house: House) -> None:
    (number,) = await metered(house, "energy_import")
    await counted(house, number, slots=48)
    await ask(house, CreateTariff(FLAT))
    half = await bill(house)
    await house.store([(number, START_MS + at * SLOT_MS, at * 250.0) for at in range(49, 97)])
    await house.work()

    assert half.total_e8 == 360_000_000
    assert (await bill(house)).total_e8 == 720_000_000


async def test_prices_that_are_changed_or_taken_away_count_at_once(house: House) -> None:
    (number,) = await metered(house, "energy_import")
    await counted(house, number)
    await ask(house, CreateTariff(MARKET))
    totals = []
    for price in ("0.10", "0.20"):
        await ask(house, PutPriceRows("spot", [SentPrice(START_MS, END_MS, price)]))
        totals.append((await bill(house)).total_e8)
    await ask(house, DropPriceRows("spot", START_MS, START_MS + 48 * SLOT_MS))
    half = await bill(house)

    assert totals == [240_000_000, 480_000_000]
    assert (half.total_e8, half.pending_mwh) == (240_000_000, 12_000_000)


async def test_a_name_that_nobody_knows_leaves_energy_pending(house: House) -> None:
    (number,) = await metered(house, "energy_import")
    await counted(house, number)
    await ask(house, CreateTariff(MARKET))

    assert (await bill(house)).pending_mwh == 24_000_000


async def test_prices_of_a_series_that_comes_later_count(house: House) -> None:
    (number,) = await metered(house, "energy_import")
    await counted(house, number)
    await ask(house, CreateTariff(MARKET))
    await ask(house, CreatePriceSeries({"id": "spot", "series": "market.price"}))
    before = await bill(house)
    (price,) = await house.declare("market", known_series("price", unit="EUR/kWh"))
    await house.store([(price, START_MS + at * SLOT_MS, 0.25) for at in range(97)])
    await house.work()

    assert before.pending_mwh == 24_000_000
    assert (await bill(house)).total_e8 == 600_000_000


async def test_power_alone_is_split_by_its_sign(house: House) -> None:
    (number,) = await metered(house, "power")
    rows = [(number, START_MS + at * 60_000, 1000.0 if at < 720 else -400.0) for at in range(24 * 60 + 1)]
    await house.store(rows)
    await house.work()
    body = {
        "id": "both",
        "versions": [{**FLAT["versions"][0], "export": [{"energy": "Fed", "price": "0.10"}]}],
    }
    await ask(house, CreateTariff(body))
    lines = {line.component: line.quantity for line in (await bill(house)).lines}

    assert float(lines["All"]) == pytest.approx(12.0, abs=0.02)
    assert float(lines["Fed"]) == pytest.approx(4.8, abs=0.02)


async def test_phases_count_by_themselves_where_the_contract_says_so(house: House) -> None:
    keys = [f"energy_{side}_l{phase}" for side in ("import", "export") for phase in (1, 2, 3)]
    numbers = await metered(house, "energy_import", "energy_export", *keys)
    # 1 kW on one phase, 0.4 kW fed in on another: the meter's own registers set both off, those of phases do not
    for number, wh_per_slot in zip(numbers, (150, 0, 250, 0, 0, 0, 100, 0), strict=True):
        await counted(house, number, wh_per_slot)
    await ask(house, CreateTariff(FLAT))
    summed = await bill(house)
    version = {**FLAT["versions"][0], "netting": "per_phase", "export": [{"energy": "Fed", "price": "0.10"}]}
    await ask(house, ChangeTariff("flat", {"versions": [version]}))
    lines = {line.component: float(line.quantity) for line in (await bill(house)).lines}

    assert summed.total_e8 == 432_000_000  # 14.4 kWh
    assert lines == {"All": 24.0, "Fed": 9.6}


async def test_holidays_are_those_of_the_country(house: House) -> None:
    (number,) = await metered(house, "energy_import")
    armistice_ms = 1_762_815_600_000  # 2025-11-11 00:00 in Paris, a Tuesday
    await house.store([(number, armistice_ms + at * SLOT_MS, at * 250.0) for at in range(97)])
    await house.work()
    day = {"energy": "Day", "price": "0.40", "when": {"days": "mon-fri", "holidays": "exclude"}}
    night = {"energy": "Night", "price": "0.10", "when": "otherwise"}
    await ask(house, CreateTariff({"id": "t", "versions": [{"from": "2020-01-01", "import": [day, night]}]}))
    totals = []
    for country in (None, "FR", "DE", "XX"):
        await ask(house, SetMoney(MoneySettings(country=country)))
        made = await ask(house, GetBill("grid", armistice_ms, armistice_ms + 96 * SLOT_MS))
        totals.append(made.total_e8)

    assert totals == [960_000_000, 240_000_000, 960_000_000, 960_000_000]


async def test_any_device_is_a_metering_point_of_its_own(house: House) -> None:
    (number,) = await metered(house, "energy", role="load")
    await counted(house, number)
    await ask(house, CreateTariff({**FLAT, "metering_point": "meter"}))

    assert (await ask(house, GetBill("meter", START_MS, END_MS))).total_e8 == 720_000_000
    with pytest.raises(NotFound, match="WL-MNY-010"):
        await bill(house)


async def test_the_grid_is_the_device_that_had_the_role_first(house: House) -> None:
    await metered(house, "energy_import")
    house.clock.advance(1000)
    await house.declare("second", "energy_import")
    await request(house.ref("device"), PatchDevice("second", {"role": "grid"}))

    assert point_meter(house.registry, "grid", (), False, NOW_MS).device == "meter"


async def install(house: House, *rows: Installation, point: str = "grid") -> None:
    """A metering point with these registers, in the place of those it had."""

    def job(conn: sa.Connection) -> None:
        delete_point(conn, point)
        save_point(conn, MeteringPoint(point, point, created_ms=1))
        for one in rows:
            insert_installation(conn, InstallationRow(0, point, one))

    await house.database.write(job)


async def test_a_swapped_meter_is_one_metering_point(house: House) -> None:
    (old,) = await metered(house, "energy_import")
    (new,) = await house.declare("successor", "energy_import")
    noon_ms = START_MS + 48 * SLOT_MS
    await house.store([(old, START_MS + at * SLOT_MS, 5_000.0 + at * 250.0) for at in range(49)])
    await house.store([(new, START_MS + at * SLOT_MS, (at - 48) * 250.0) for at in range(48, 97)])
    await house.work()
    await install(house, Installation(old, 0, noon_ms), Installation(new, noon_ms))
    await ask(house, CreateTariff(FLAT))

    assert (await bill(house)).total_e8 == 720_000_000


async def test_a_factor_that_changes_counts_in_the_next_bill(house: House) -> None:
    (number,) = await metered(house, "energy_import")
    await counted(house, number)
    await ask(house, CreateTariff(FLAT))
    totals = []
    for factor in (1.0, 40.0, 1.0):
        await install(house, Installation(number, 0, factor=factor))
        totals.append((await bill(house)).total_e8)

    assert totals == [720_000_000, 28_800_000_000, 720_000_000]


async def test_gas_is_billed_in_kwh_by_its_calorific_value(house: House) -> None:
    (number,) = await house.declare("gas-meter", "gas")
    await house.store([(number, START_MS + at * SLOT_MS, at * 0.1) for at in range(97)])
    await house.work()
    await ask(house, CreateTariff({**FLAT, "metering_point": "gas"}))
    question = GetBill("gas", START_MS, END_MS)
    await install(house, Installation(number, 0), point="gas")
    with pytest.raises(Refused, match="WL-MNY-017"):
        await ask(house, question)
    await install(house, Installation(number, 0, calorific_value=10.0), point="gas")

    assert (await ask(house, question)).total_e8 == 2_880_000_000  # 9.6 m3, 96 kWh


async def test_what_people_made_is_there_after_a_restart(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (number,) = await metered(house, "energy_import")
        await counted(house, number)
        await ask(house, CreateTariff(MARKET))
        await ask(house, CreatePriceSeries({"id": "spot", "unit": "EUR/MWh"}))
        await ask(house, PutPriceRows("spot", [SentPrice(START_MS, END_MS, 100)]))
        before = await bill(house)
    async with running_house(tmp_path) as again:
        after = await bill(again)

    assert after == before
    assert after.total_e8 == 240_000_000


async def test_a_stored_tariff_that_cannot_be_read_does_not_stop_the_hub(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        await _save(house.database, TariffRow("odd", "", "grid", "EUR", {"id": "odd", "versions": 7}, 1, 1))
        await ask(house, CreateTariff(FLAT))
    async with running_house(tmp_path) as again:
        assert [view.tariff.id for view in await ask(again, GetTariffs())] == ["flat"]


async def _save(database: Database, row: TariffRow) -> None:
    await database.write(lambda conn: save(conn, row))


async def test_the_configuration_wins_and_gives_back_what_it_hid(house: House) -> None:
    await ask(house, CreateTariff(FLAT))
    await ask(house, SetMoney(MoneySettings(tariffs=({**FLAT, "name": "File"},))))
    (hidden,) = await ask(house, GetTariffs())
    with pytest.raises(StateConflict, match="WL-MNY-012"):
        await ask(house, RemoveTariff("flat"))
    await ask(house, SetMoney(MoneySettings()))
    (back,) = await ask(house, GetTariffs())

    assert (hidden.tariff.name, hidden.source) == ("File", "yaml")
    assert (back.tariff.name, back.source) == ("flat", "api")


async def test_of_several_tariffs_the_newest_that_has_begun_counts(house: House) -> None:
    (number,) = await metered(house, "energy_import")
    await counted(house, number)
    for name, begin in (("old", "2020-01-01"), ("new", "2025-01-01"), ("future", "2030-01-01")):
        await ask(house, CreateTariff({"id": name, "versions": [{**FLAT["versions"][0], "from": begin}]}))

    assert (await bill(house)).tariff == "new"
    assert (await bill(house, tariff="old")).tariff == "old"


async def test_the_price_of_now_follows_the_tariff(house: House) -> None:
    await metered(house, "energy_import")
    assert await ask(house, GetPriceNow("grid")) is None
    await ask(house, CreateTariff(MARKET))
    pending = await ask(house, GetPriceNow("grid"))
    await ask(house, PutPriceRows("spot", [SentPrice(NOW_MS - SLOT_MS, NOW_MS + 4 * SLOT_MS, "0.25")]))

    assert (pending.import_e8, (await ask(house, GetPriceNow("grid"))).import_e8) == (None, 25_000_000)


async def test_prices_of_slots_follow_tariff_rows_and_the_hubs_own_series(house: House) -> None:
    await metered(house, "energy_import")
    (price,) = await house.declare("market", known_series("price", unit="EUR/kWh"))
    desk = MoneyDesk(house.database, house.registry, house.board, house.zone)
    assert await desk.prices.slot_prices(START_MS, 4) is None
    await desk.answer(CreateTariff(MARKET))
    await desk.answer(CreatePriceSeries({"id": "spot", "series": "market.price"}))
    await house.store([(price, START_MS + at * SLOT_MS, 0.1 + at) for at in range(6)])
    await house.work()
    before = desk.prices.revision
    desk.note([price], START_MS, END_MS)
    found = await desk.prices.slot_prices(START_MS + SLOT_MS, 2)

    assert desk.prices.revision == before + 1
    assert found is not None
    assert found.import_e8.tolist() == [110_000_000, 210_000_000]
    assert found.import_known.all()


async def test_a_budget_counts_what_its_period_has_cost(house: House) -> None:
    (number,) = await metered(house, "energy_import")
    await counted(house, number)
    await ask(house, CreateTariff(FLAT))
    await ask(house, CreateBudget({"id": "money", "amount": "100"}))
    await ask(house, CreateBudget({"id": "energy", "energy_kwh": "96"}))
    energy, money = await ask(house, GetBudgets(("energy", "money")))

    assert (money.state.used_e8, energy.state.used_e8) == (720_000_000, 24_000_000)
    assert (money.state.used_share, energy.state.used_share) == (0.072, 0.25)


def test_a_bill_in_work_while_its_slots_change_is_not_remembered() -> None:
    memory, key = BillMemory(), BillKey(PointMeter("meter"), "flat", 0, 10, (), 1)
    made = Bill("grid", "flat", "EUR", 0, 10, (), 0, Quality(1, 0, 0, 0, 0), ())
    watched = memory.begin([1, 2], 0, 10)
    memory.note([2], 5, 6)
    memory.end(watched, key, made)
    assert memory.find(key) is None

    memory.end(memory.begin([1, 2], 0, 10), key, made)
    memory.note([3], 5, 6)
    memory.note([1], 10, 20)
    assert memory.find(key) is made
    memory.note([1], 9, 20)
    assert memory.find(key) is None


async def test_money_is_the_same_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    async with running_house(tmp_path, url=postgres_url) as house:
        (number,) = await metered(house, "energy_import")
        await counted(house, number)
        await install(house, Installation(number, 0, factor=2.0))
        await ask(house, CreateTariff(MARKET))
        await ask(house, PutPriceRows("spot", [SentPrice(START_MS, END_MS, "0.10")]))
        await ask(house, PutPriceRows("spot", [SentPrice(START_MS, START_MS + 48 * SLOT_MS, "0.30")]))
        await ask(house, CreateBudget({"id": "money", "amount": "100"}))
        before = await bill(house)
    async with running_house(tmp_path, url=postgres_url) as again:
        (budget,) = await ask(again, GetBudgets(("money",)))
        after = await bill(again)

    assert after == before
    assert after.total_e8 == 960_000_000  # 24 kWh at 0.30 and 24 at 0.10
    assert budget.state.used_e8 == 960_000_000
