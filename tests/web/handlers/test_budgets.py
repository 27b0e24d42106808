"""Budgets, invoices, what-if and the peak coach over HTTP against a real hub."""

from __future__ import annotations

from typing import Any

from tests.hub.energy.tariffs import CONTRACT
from tests.web.conftest import House
from tests.web.handlers.contract import (
    MARCH,
    QUARTER_MS,
    counters,
    local_ms,
    meter_of,
    send,
    spot,
    tariff,
)
from tests.web.handlers.test_money import DAY, FLAT

MARCH_RANGE = {"start": "2026-03-01", "end": "2026-04-01"}


def recent(house: House, days: int) -> tuple[int, int]:
    """The last whole days before the running slot."""
    end_ms = house.hub.clock.now_ms() // QUARTER_MS * QUARTER_MS
    return end_ms - days * 96 * QUARTER_MS, end_ms


async def test_a_budget_says_what_is_used_and_where_it_leads(house: House) -> None:
    await meter_of(house, counters(*recent(house, 62)))
    await tariff(house, FLAT)
    made = await house.post(
        "/api/v1/budgets", json={"id": "electricity", "name": "Power", "amount": "250.00"}
    )

    assert made.status == 201, made.body
    budget = made.json
    start_ms = local_ms(budget["start"][:10])
    hours = (recent(house, 0)[1] - start_ms) / 3_600_000
    whole = (local_ms(budget["end"][:10]) - start_ms) / 3_600_000
    assert abs(float(budget["used"]) - hours * 0.30) <= 0.1  # a quarter may end meanwhile
    assert budget["used_share"] == round(float(budget["used"]) / 250, 6)
    assert abs(float(budget["projected"]) - whole * 0.30) < 1.0  # 1 kW all the time
    assert float(budget["projected_low"]) <= float(budget["projected"]) <= float(budget["projected_high"])
    assert (budget["unit"], budget["kept_by"], budget["why"]) == ("EUR", "api", None)


async def test_a_budget_of_energy_needs_no_tariff(house: House) -> None:
    await meter_of(house, counters(*recent(house, 62)))
    budget = (await house.post("/api/v1/budgets", json={"id": "energy", "energy_kwh": 500})).json

    hours = (recent(house, 0)[1] - local_ms(budget["start"][:10])) / 3_600_000
    assert (budget["unit"], budget["amount"], budget["energy_kwh"]) == ("kWh", None, "500")
    assert abs(float(budget["used"]) - hours) <= 0.25
    assert float(budget["projected"]) >= hours


async def test_a_budget_without_a_meter_says_why_it_knows_nothing(house: House) -> None:
    budget = (await house.post("/api/v1/budgets", json={"id": "early", "amount": 10})).json

    assert budget["used"] is None
    assert "no device has the role grid" in budget["why"]


async def test_budgets_are_changed_listed_and_removed(house: House) -> None:
    await house.post("/api/v1/budgets", json={"id": "one", "amount": 10, "period": "year"})
    changed = await house.call("PATCH", "/api/v1/budgets/one", json={"energy_kwh": "5", "period": "day"})
    listed = await house.get("/api/v1/budgets")
    one = await house.get("/api/v1/budgets/one")
    gone = await house.call("DELETE", "/api/v1/budgets/one")
    missing = await house.get("/api/v1/budgets/one")

    assert (changed.json["amount"], changed.json["energy_kwh"], changed.json["period"]) == (None, "5", "day")
    assert [item["id"] for item in listed.json["items"]] == ["one"] == [one.json["id"]]
    assert (gone.status, missing.status) == (204, 404)


async def test_every_fault_of_a_budget_is_named(house: House) -> None:
    sent = {"id": "X", "period": "week", "amount": -1, "energy_kwh": 5, "perod": 1}
    answer = await house.post("/api/v1/budgets", json=sent)

    assert answer.status == 422
    assert {one["field"] for one in answer.json["errors"]} == {
        "id",
        "period",
        "amount",
        "energy_kwh",
        "perod",
    }


async def test_an_invoice_is_compared_with_the_own_bill(house: House) -> None:
    await meter_of(house, counters(*DAY))
    await tariff(house, FLAT)
    invoice: dict[str, Any] = {
        "number": "2026/03-17",
        "start": "2026-03-10",
        "end": "2026-03-11",
        "lines": [{"component": "All", "quantity": "25", "unit_price": "0.30", "amount": "7.50"}],
        "total": "7.50",
    }
    made = await house.post("/api/v1/invoices", json=invoice)
    stored = await house.post("/api/v1/bills/compare", by="viewer", json={"invoice": "2026-03-17"})
    loose = await house.post("/api/v1/bills/compare", by="viewer", json={"invoice": invoice})

    assert (made.status, made.json["id"]) == (201, "2026-03-17")
    assert made.json["start"] == "2026-03-10T00:00:00+01:00"
    assert stored.json["rows"] == loose.json["rows"]
    assert stored.json["difference"] == "0.30"
    assert stored.json["rows"][0]["reasons"][0] == "quantity"
    assert stored.json["bill"]["total"] == "7.20"


async def test_invoices_are_replaced_listed_and_removed(house: House) -> None:
    sent = {"id": "jan", "start": "2026-01-01", "end": "2026-02-01", "total": "10"}
    await house.post("/api/v1/invoices", json=sent)
    again = await house.post("/api/v1/invoices", json=sent)
    put = await house.call("PUT", "/api/v1/invoices/jan", json={**sent, "total": "11"})
    listed = await house.get("/api/v1/invoices")
    gone = await house.call("DELETE", "/api/v1/invoices/jan")
    wrong = await house.post("/api/v1/invoices", json={"id": "x", "start": "2026-02-01", "end": "2026-01-01"})

    assert (again.status, put.json["total"], gone.status) == (409, "11", 204)
    assert [one["total"] for one in listed.json["items"]] == ["11"]
    assert wrong.status == 422
    assert (await house.get("/api/v1/invoices/jan")).status == 404


async def test_nothing_different_is_the_actual_bill(house: House) -> None:
    await meter_of(house, counters(*MARCH))
    await spot(house, *MARCH)
    await tariff(house)
    actual = (await house.get("/api/v1/bills?start=2026-03-01&end=2026-04-01")).json
    same = (await house.post("/api/v1/bills/what-if", by="viewer", json=MARCH_RANGE)).json

    assert same["scenario"] == same["actual"] == actual
    assert same["saving"] == "0.00"


async def test_another_tariff_and_a_battery_are_tried_on_the_own_history(house: House) -> None:
    await meter_of(house, counters(*MARCH))
    await spot(house, *MARCH)
    await tariff(house)
    other = await house.post("/api/v1/bills/what-if", json={**MARCH_RANGE, "tariff": {**FLAT, "id": "new"}})
    battery = {"capacity_kwh": "5", "power_kw": "2.5"}
    stored = await house.post("/api/v1/bills/what-if", json={**MARCH_RANGE, "battery": battery})
    wrong = await house.post(
        "/api/v1/bills/what-if", json={"start": "2026-03-01", "battery": {"capacity_kwh": -1}, "pv": 2}
    )

    assert other.json["scenario"]["total"] == "222.90"  # 743 kWh x 0.30
    assert other.json["saving"] == "201.73"
    assert stored.status == 200, stored.body
    assert {one["field"] for one in wrong.json["errors"]} == {
        "end", "battery.capacity_kwh", "battery.power_kw", "pv",
    }  # fmt: skip


async def test_a_wrong_tariff_of_a_what_if_is_explained(house: House) -> None:
    await meter_of(house, counters(*DAY))
    await tariff(house, FLAT)
    broken = {"versions": [{"from": "2026-01-01", "import": [{"energy": "All"}]}]}
    answer = await house.post("/api/v1/bills/what-if", json={**MARCH_RANGE, "tariff": broken})

    assert (answer.status, answer.code) == (422, "WL-TAR-003")


async def test_the_peak_coach_knows_the_power_and_what_is_at_stake(house: House) -> None:
    start_ms, end_ms = recent(house, 40)
    await meter_of(house, counters(start_ms, end_ms))
    await tariff(house)
    now_ms = house.hub.clock.now_ms()
    await send(house, [{"device": "main-meter", "ts": now_ms, "values": {"power": 60_000}}])
    peak = (await house.get("/api/v1/peak")).json

    assert (peak["metering_point"], peak["tariff"], peak["currency"]) == ("grid", "home", "EUR")
    assert peak["power"] == 60_000
    assert peak["billed_peak"] == 2500  # the least that the contract bills
    assert peak["month_peak"]["power"] == 1000
    assert peak["headroom"] == peak["allowed"] - peak["power"]


async def test_without_a_tariff_the_peak_of_the_month_is_told(house: House) -> None:
    await meter_of(house, counters(*recent(house, 3)))
    peak = (await house.get("/api/v1/peak")).json
    missing = await house.get("/api/v1/peak?metering_point=nowhere")

    assert (peak["tariff"], peak["at_stake"]) == (None, None)
    assert (missing.status, missing.code) == (404, "WL-MNY-010")


async def test_the_contract_is_the_one_of_the_design(house: House) -> None:
    shown = (await tariff(house)).json

    assert [line["price"] for line in shown["versions"][0]["import"][:2]] == ["0.312", "0.245"]
    assert shown["versions"][0]["from"] == CONTRACT["versions"][0]["from"]
