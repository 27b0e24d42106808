"""Tariffs, prices and bills over HTTP against a real hub; numbers are checked by hand."""

from __future__ import annotations

import copy
import csv
import io
import json
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from hub.actors.money_requests import GetBill, MoneySettings, SetMoney
from hub.app import Hub, HubOptions
from hub.runtime.actor import request
from tests.hub.energy.tariffs import CONTRACT
from tests.web.conftest import House
from tests.web.handlers.contract import (
    MARCH,
    QUARTER_MS,
    amounts,
    bill,
    counters,
    local_ms,
    meter_of,
    send,
    spot,
    tariff,
)
from web.money_json import bill_json
from web.zone import site_zone

DAY = (local_ms("2026-03-10"), local_ms("2026-03-11"))
FLAT: dict[str, Any] = {
    "id": "flat",
    "versions": [{"from": "2026-01-01", "import": [{"energy": "All", "price": "0.30"}]}],
}


async def test_the_contract_of_the_design_is_billed_as_by_hand(house: House) -> None:
    await meter_of(house, counters(*MARCH))
    await spot(house, *MARCH)
    await tariff(house)

    answer = await bill(house)

    # March 2026 has 743 hours of 1 kW import and 0.4 kW export; 22 working days of 16 hours are day time
    assert amounts(answer) == [
        ("Day", "109.82"),  # 352 kWh x 0.3120
        ("Night", "95.80"),  # 391 kWh x 0.2450 = 95.795
        ("Market", "87.15"),  # 743 kWh x (0.1 x 1.05 + 0.0123)
        ("Network", "8.00"),  # 200 kWh x 0.04
        ("Network", "29.87"),  # 543 kWh x 0.055 = 29.865
        ("Meter rent", "13.95"),  # 31 days
        ("Peak", "11.03"),  # 52.95 / 12 x 2.5 kW
        ("Energy tax", "15.23"),  # 743 x 0.0205
        ("VAT", "77.88"),  # 21 % of 370.85
        ("Ceiling", "0.00"),
        ("Feed-in", "-24.10"),  # 297.2 x 0.0811
    ]
    assert answer.json["total"] == "424.63"
    assert answer.json["quality"]["late"] > 0.999  # all of it was sent months later


async def test_a_bill_has_the_shape_of_the_contract(house: House) -> None:
    await meter_of(house, counters(*MARCH))
    await spot(house, *MARCH)
    await tariff(house)

    shown = (await bill(house)).json
    line = shown["lines"][0]

    assert {key: shown[key] for key in ("metering_point", "tariff", "currency", "start", "end")} == {
        "metering_point": "grid",
        "tariff": "home",
        "currency": "EUR",
        "start": "2026-03-01T00:00:00+01:00",
        "end": "2026-04-01T00:00:00+02:00",
    }
    assert shown["pending_kwh"] == "0"
    assert {key: line[key] for key in ("component", "side", "kind", "quantity", "unit", "unit_price")} == {
        "component": "Day",
        "side": "import",
        "kind": "energy",
        "quantity": "352.000",
        "unit": "kWh",
        "unit_price": "0.3120",
    }
    assert (line["amount"], line["pending_kwh"]) == ("109.82", "0")


async def test_energy_without_a_price_is_pending_and_a_late_price_shows_at_once(house: House) -> None:
    await meter_of(house, counters(*DAY))
    await tariff(house)
    before = await bill(house, "2026-03-10", "2026-03-11")

    await spot(house, *DAY)
    after = await bill(house, "2026-03-10", "2026-03-11")

    assert before.json["pending_kwh"] == "24.000"
    assert dict(amounts(before))["Market"] == "0.00"
    assert after.json["pending_kwh"] == "0"
    assert dict(amounts(after))["Market"] == "2.82"  # 24 x 0.1173 = 2.8152


async def test_a_changed_price_shows_at_once(house: House) -> None:
    await meter_of(house, counters(*DAY))
    await tariff(house)
    await spot(house, *DAY, price="0.1000")
    await bill(house, "2026-03-10", "2026-03-11")

    await spot(house, *DAY, price="0.2000")

    # 24 x (0.2 x 1.05 + 0.0123) = 5.3352
    assert dict(amounts(await bill(house, "2026-03-10", "2026-03-11")))["Market"] == "5.34"


async def test_a_backdated_tariff_change_shows_at_once(house: House) -> None:
    await meter_of(house, counters(*DAY))
    await tariff(house, FLAT)
    before = await bill(house, "2026-03-10", "2026-03-11")
    versions = [*FLAT["versions"], {"from": "2026-02-01", "import": [{"energy": "All", "price": "0.50"}]}]

    changed = await house.call("PATCH", "/api/v1/tariffs/flat", json={"versions": versions})
    after = await bill(house, "2026-03-10", "2026-03-11")

    assert changed.status == 200
    assert (before.json["total"], after.json["total"]) == ("7.20", "12.00")


async def test_late_readings_show_in_the_next_bill(house: House) -> None:
    items = counters(*DAY)
    await meter_of(house, [items[0], items[-1]])
    await tariff(house, FLAT)
    first = await bill(house, "2026-03-10", "2026-03-11")

    await send(house, items[1:-1])
    second = await bill(house, "2026-03-10", "2026-03-11")

    assert (first.json["total"], second.json["total"]) == ("7.20", "7.20")
    assert first.json["quality"].get("late", 0.0) < 0.1 < 0.9 < second.json["quality"]["late"]


async def test_a_correction_is_previewed_in_money_and_the_bill_follows_it(house: House) -> None:
    await meter_of(house, counters(*DAY))
    await tariff(house, FLAT)
    before = (await bill(house, "2026-03-10", "2026-03-11")).json["total"]
    doubled = {
        "series": "main-meter.energy_import", "action": "scale", "start": "2026-03-10", "end": "2026-03-11",
        "value": 2,
    }  # fmt: skip
    shown = await house.post("/api/v1/corrections/preview", json=doubled)
    made = await house.post("/api/v1/corrections", json={**doubled, "reason": "the transformer"})
    await house.hub.wait_idle()
    after = (await bill(house, "2026-03-10", "2026-03-11")).json["total"]
    await house.call("DELETE", f"/api/v1/corrections/{made.json['id']}", json={"reason": "it was right"})
    await house.hub.wait_idle()

    total = shown.json["total"]
    assert (total["cost_before"], total["cost_after"]) == (before, after)
    assert 14.0 < float(after) <= 14.4  # twice as much, but for the steps across the borders
    assert (await bill(house, "2026-03-10", "2026-03-11")).json["total"] == "7.20"


async def test_devices_cost_what_the_tariff_says(house: House) -> None:
    await meter_of(house, counters(*DAY, export_kwh=0.0))
    await tariff(house, FLAT)
    path = "/api/v1/energy/summary?period=day&at=2026-03-10"
    cost = (await house.get(path)).json
    await house.call("PATCH", "/api/v1/tariffs/flat", json={"versions": [
        {"from": "2026-01-01", "import": [{"energy": "All", "price": "0.60"}]}
    ]})  # fmt: skip
    dearer = (await house.get(path)).json

    assert "7.2" in json.dumps(cost)
    assert "14.4" in json.dumps(dearer)


async def test_a_new_reading_after_the_end_of_the_stored_ones_is_billed(house: House) -> None:
    items = counters(*DAY)
    await meter_of(house, items[:49])
    await tariff(house, FLAT)
    half = await bill(house, "2026-03-10", "2026-03-11")

    await send(house, items[49:])

    assert half.json["total"] == "3.60"
    assert (await bill(house, "2026-03-10", "2026-03-11")).json["total"] == "7.20"


async def test_any_order_of_energy_price_and_tariff_gives_the_same_bill(house: House) -> None:
    seen = []
    for order in permutations(("energy", "price", "tariff")):
        for step in order:
            if step == "energy":
                await meter_of(house, counters(*DAY))
            elif step == "price":
                await spot(house, *DAY)
            else:
                await tariff(house)
        seen.append((await bill(house, "2026-03-10", "2026-03-11")).json)
        for path in ("devices/main-meter", "prices/spot", "tariffs/home"):
            assert (await house.call("DELETE", f"/api/v1/{path}")).status == 204

    assert len(seen) == 6
    assert all(one == seen[0] for one in seen)


async def test_a_restart_changes_nothing_of_a_bill(house: House) -> None:
    await meter_of(house, counters(*DAY))
    await spot(house, *DAY)
    await tariff(house)
    before = (await bill(house, "2026-03-10", "2026-03-11")).json
    await house.server.stop()
    await house.hub.stop()

    again = Hub(HubOptions(house.hub.config_dir, house.hub.data_dir))
    await again.start()
    after = bill_json(await request(again.processing, GetBill("grid", *DAY)), site_zone(again))
    await again.stop()

    assert after == before


async def test_a_bill_as_csv_holds_no_formula(house: House) -> None:
    await meter_of(house, counters(*DAY))
    body = copy.deepcopy(FLAT)
    body["versions"][0]["import"][0]["energy"] = "=HYPERLINK(0)"
    body["versions"][0]["export"] = [{"energy": "Feed-in", "price": "0.08"}]
    await tariff(house, body)

    answer = await bill(house, "2026-03-10", "2026-03-11", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))

    assert answer.headers["Content-Type"].startswith("text/csv")
    assert [row["component"] for row in rows] == ["'=HYPERLINK(0)", "Feed-in", "Total"]
    assert [row["amount"] for row in rows] == ["7.20", "-0.77", "6.43"]


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("", 400, "start"),
        ("start=2026-03-01", 400, "end"),
        ("start=2026-03-02&end=2026-03-01", 400, "end"),
        ("start=2026-03-01T00:07&end=2026-03-02", 422, "start"),
        ("start=2026-03-01&end=2026-03-02&metering_point=nowhere", 404, "metering_point"),
        ("start=2026-03-01&end=2026-03-02&tariff=nothing", 404, "id"),
        ("start=1990-01-01&end=2026-03-02", 422, "end"),
    ],
)
async def test_a_bill_that_cannot_be_says_why(house: House, query: str, status: int, field: str) -> None:
    await meter_of(house, counters(*DAY)[:2])
    await tariff(house, FLAT)
    answer = await house.get(f"/api/v1/bills?{query}")

    assert (answer.status, answer.json["field"]) == (status, field)


async def test_without_a_meter_or_a_tariff_a_bill_is_missing(house: House) -> None:
    no_meter = await house.get("/api/v1/bills?start=2026-03-01&end=2026-03-02")
    await meter_of(house, counters(*DAY)[:2])
    no_tariff = await house.get("/api/v1/bills?start=2026-03-01&end=2026-03-02")

    assert (no_meter.status, no_meter.code) == (404, "WL-MNY-010")
    assert (no_tariff.status, no_tariff.code) == (404, "WL-MNY-011")


async def test_tariffs_are_made_changed_and_removed(house: House) -> None:
    made = await tariff(house)
    again = await house.post("/api/v1/tariffs", json=CONTRACT)
    got = await house.get("/api/v1/tariffs/home")
    put = await house.call("PUT", "/api/v1/tariffs/home", json={**got.json, "name": "Other"})
    listed = await house.get("/api/v1/tariffs")
    gone = await house.call("DELETE", "/api/v1/tariffs/home")
    missing = await house.get("/api/v1/tariffs/home")

    assert made.json["kept_by"] == "api"
    assert got.json["versions"][0]["import"][0]["price"] == "0.312"
    assert (again.status, again.code) == (409, "WL-MNY-014")
    assert put.json["name"] == "Other"
    assert [one["id"] for one in listed.json["items"]] == ["home"]
    assert (gone.status, missing.status) == (204, 404)


async def test_everything_that_is_wrong_with_a_tariff_is_said_at_once(house: House) -> None:
    body = copy.deepcopy(CONTRACT)
    lines = body["versions"][0]["import"]
    lines[0]["price"] = "much"
    lines[3]["blocks"] = []
    lines[4]["perr"] = "day"

    answer = await house.post("/api/v1/tariffs", json=body)

    assert answer.status == 422
    fields = {one["field"] for one in answer.json["errors"]}
    assert {"versions.0.import.0.price", "versions.0.import.3.blocks", "versions.0.import.4.perr"} <= fields
    assert all(one["code"].startswith("WL-TAR-") for one in answer.json["errors"])
    assert (await house.get("/api/v1/tariffs")).json["items"] == []


WRITES = (
    ("POST", "tariffs"), ("PUT", "tariffs/x"), ("PATCH", "tariffs/x"), ("DELETE", "tariffs/x"),
    ("POST", "prices"), ("POST", "prices/x"), ("DELETE", "prices/x"), ("POST", "budgets"),
    ("PATCH", "budgets/x"), ("DELETE", "budgets/x"), ("POST", "invoices"), ("PUT", "invoices/x"),
    ("DELETE", "invoices/x"),
)  # fmt: skip


@pytest.mark.parametrize("by", ["viewer", "operator", "read", "ingest"])
async def test_only_a_manager_changes_money(house: House, by: str) -> None:
    answers = [await house.call(method, f"/api/v1/{path}", by=by, data=b"{") for method, path in WRITES]

    assert {answer.status for answer in answers} == {403}


async def test_writes_are_in_the_audit_trail(house: House) -> None:
    await tariff(house)
    await spot(house, *DAY)

    actions = [line["action"] for line in (await house.get("/api/v1/audit")).json["items"]]

    assert {"POST tariffs", "POST prices/{prices}"} <= set(actions)


async def test_prices_are_stored_once_however_often_they_are_sent(house: House) -> None:
    rows = [
        {"start": "2026-03-10T00:00:00+01:00", "end": "2026-03-10T01:00:00+01:00", "price": "0.0871"},
        {"start": DAY[0] + 4 * QUARTER_MS, "end": DAY[0] + 8 * QUARTER_MS, "price": "-0.0100"},
    ]
    first = await house.post("/api/v1/prices/spot", json=rows)
    again = await house.post("/api/v1/prices/spot", json=rows)
    read = await house.get("/api/v1/prices/spot?start=2026-03-10&end=2026-03-11")

    assert first.json == {"received": 2, "stored": 2, "created": True}
    assert again.json == {"received": 2, "stored": 0, "created": False}
    assert read.json["unit"] == "EUR/kWh"
    assert [(one["start"], one["price"]) for one in read.json["items"]] == [
        ("2026-03-10T00:00:00+01:00", "0.0871"),
        ("2026-03-10T01:00:00+01:00", "-0.01"),
    ]


async def test_pages_of_prices_follow_each_other(house: House) -> None:
    rows = [
        {"start": DAY[0] + n * QUARTER_MS, "end": DAY[0] + (n + 1) * QUARTER_MS, "price": n}
        for n in range(10)
    ]
    await house.post("/api/v1/prices/spot", json=rows)

    path, seen, cursor = "/api/v1/prices/spot?start=2026-03-10&end=2026-03-11&limit=4", [], ""
    for _ in range(3):
        answer = (await house.get(path + cursor)).json
        seen += [one["price"] for one in answer["items"]]
        cursor = f"&cursor={answer['next']}"

    assert seen == [str(n) for n in range(10)]
    assert cursor == "&cursor=None"


async def test_every_fault_of_sent_prices_is_named_and_nothing_is_stored(house: House) -> None:
    rows: list[Any] = [
        {"start": DAY[0], "end": DAY[1], "price": "0.1"},
        {"start": "tomorrow", "end": DAY[1], "price": "0.1"},
        {"start": DAY[0], "end": DAY[1]},
        {"start": DAY[0], "end": DAY[1], "price": "0.1", "prize": 1},
        7,
    ]
    answer = await house.post("/api/v1/prices/spot", json=rows)
    overlap = await house.post("/api/v1/prices/spot", json=[rows[0], {**rows[0], "price": "0.2"}])
    absurd = await house.post("/api/v1/prices/spot", json=[{**rows[0], "price": "abc"}])
    finer = await house.post("/api/v1/prices/spot", json=[{**rows[0], "price": "0.123456789"}])

    assert answer.status == 422
    assert [one["field"] for one in answer.json["errors"]] == ["1.start", "2.price", "3.prize", "4"]
    assert [one["field"] for one in overlap.json["errors"]] == ["1.start"]
    assert [one["field"] for one in absurd.json["errors"]] == ["0.price"]
    assert (finer.status, finer.code, finer.json["field"]) == (422, "WL-MNY-002", "0.price")
    assert (await house.get("/api/v1/prices/spot")).status == 404


async def test_a_year_of_quarters_is_one_message(house: House) -> None:
    first_ms = local_ms("2026-01-01")
    rows = [
        {
            "start": first_ms + n * QUARTER_MS,
            "end": first_ms + (n + 1) * QUARTER_MS,
            "price": f"{n % 100 / 500:.4f}",
        }
        for n in range(365 * 96)
    ]
    headers = {"Content-Type": "application/json"}
    body = io.BytesIO(json.dumps(rows).encode())
    answer = await house.post("/api/v1/prices/spot", data=body, headers=headers)
    too_many = await house.post("/api/v1/prices/spot", json=[{}] * 40_001)

    assert answer.json == {"received": 35_040, "stored": 35_040, "created": True}
    assert too_many.status == 422


ODD_BODIES = (
    b"[" * 900 + b"]" * 900, b'{"id":' * 300 + b"1" + b"}" * 300, b"7", b"null", b'"a"', b"[]", b"{}",
)  # fmt: skip


async def test_odd_bodies_are_refused_in_order(house: House) -> None:
    paths = ("tariffs", "prices", "prices/spot", "budgets", "invoices", "bills/what-if", "bills/compare")
    headers = {"Content-Type": "application/json"}
    answers = [
        await house.post(f"/api/v1/{path}", data=body, headers=headers)
        for path in paths
        for body in ODD_BODIES
    ]

    assert {answer.status for answer in answers} == {400, 422}


async def test_rows_for_a_price_that_a_series_carries_are_refused(house: House) -> None:
    await house.post("/api/v1/prices", json={"id": "spot", "series": "market.price"})
    rows = [{"start": DAY[0], "end": DAY[1], "price": "0.1"}]
    answer = await house.post("/api/v1/prices/spot", json=rows)

    assert (answer.status, answer.code) == (409, "WL-MNY-016")


async def test_prices_of_a_time_are_taken_away(house: House) -> None:
    await spot(house, *DAY)
    hole = "start=2026-03-10T06:00&end=2026-03-10T07:00"
    gone = await house.call("DELETE", f"/api/v1/prices/spot?{hole}")
    left = await house.get("/api/v1/prices/spot?start=2026-03-10&end=2026-03-11")

    assert gone.status == 204
    assert [(one["start"][11:16], one["end"][11:16]) for one in left.json["items"]] == [
        ("00:00", "06:00"),
        ("07:00", "00:00"),
    ]


async def test_a_price_series_in_another_unit_is_billed_per_kwh(house: House) -> None:
    made = await house.post("/api/v1/prices", json={"id": "spot", "unit": "EUR/MWh", "name": "Day ahead"})
    await meter_of(house, counters(*DAY))
    await tariff(house)
    await spot(house, *DAY, price="100")

    assert made.status == 201
    assert dict(amounts(await bill(house, "2026-03-10", "2026-03-11")))["Market"] == "2.82"


async def test_prices_in_another_currency_are_not_mixed_in(house: House) -> None:
    await house.post("/api/v1/prices", json={"id": "spot", "unit": "GBP/kWh"})
    await meter_of(house, counters(*DAY)[:2])
    await tariff(house)
    answer = await house.get("/api/v1/bills?start=2026-03-10&end=2026-03-11")

    assert (answer.status, answer.code) == (422, "WL-MNY-015")


async def test_a_series_of_the_hub_can_carry_the_prices(house: House) -> None:
    items = [
        {"device": "market", "ts": ts_ms, "values": {"price": 0.1}, "units": {"price": "EUR/kWh"}}
        for ts_ms in range(DAY[0] - 16 * QUARTER_MS, DAY[1] + 1, 4 * QUARTER_MS)
    ]
    await meter_of(house, counters(*DAY) + items)
    await house.post("/api/v1/prices", json={"id": "spot", "series": "market.price"})
    await tariff(house)

    assert dict(amounts(await bill(house, "2026-03-10", "2026-03-11")))["Market"] == "2.82"


async def test_what_the_configuration_says_is_read_only(house: House) -> None:
    config = house.hub.config_dir / "hub.yaml"
    config.write_text(
        config.read_text()
        + "tariffs: [{id: yaml, versions: [{from: 2026-01-01, import: [{energy: All, price: 0.30}]}]}]\n"
        "prices: [{id: spot, unit: EUR/MWh, source: nordpool-nl}]\n"
        "budgets: [{id: electricity, amount: 120}]\n"
    )
    assert (await house.hub.reload())["applied"]

    listed = await house.get("/api/v1/tariffs")
    refused = [
        await house.call("PATCH", "/api/v1/tariffs/yaml", json={"name": "x"}),
        await house.call("DELETE", "/api/v1/tariffs/yaml"),
        await house.call("DELETE", "/api/v1/prices/spot"),
        await house.call("PATCH", "/api/v1/budgets/electricity", json={"amount": "1"}),
    ]
    rows = await spot(house, *DAY, price="100")
    await meter_of(house, counters(*DAY))

    assert [(one["id"], one["kept_by"]) for one in listed.json["items"]] == [("yaml", "yaml")]
    assert [(one.status, one.code) for one in refused] == [(409, "WL-MNY-012")] * 4
    assert rows.json["created"] is False
    assert (await bill(house, "2026-03-10", "2026-03-11")).json["total"] == "7.20"


async def test_a_reload_brings_the_next_tariff(house: House) -> None:
    await meter_of(house, counters(*DAY))
    await tariff(house, {**FLAT, "id": "yaml"})
    settings = MoneySettings.of(house.hub.config)
    dearer = [{"from": "2026-01-01", "import": [{"energy": "All", "price": "1"}]}]
    other: dict[str, Any] = {"id": "yaml", "versions": dearer}

    await request(house.hub.processing, SetMoney(replace(settings, tariffs=(other,))))
    over = await bill(house, "2026-03-10", "2026-03-11")
    await request(house.hub.processing, SetMoney(settings))
    back = await bill(house, "2026-03-10", "2026-03-11")

    assert (over.json["total"], back.json["total"]) == ("24.00", "7.20")
