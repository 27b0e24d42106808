"""Why this number? Every figure of a real hub leads to stored rows, and every node is what its children make."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Any
from urllib.parse import urlencode

import pytest

from hub.energy.explain import COMPUTED
from tests.web.conftest import House
from tests.web.handlers.contract import MARCH, QUARTER_MS, counters, local_ms, meter_of, spot, tariff

DAY = (local_ms("2026-03-10"), local_ms("2026-03-11"))


async def explain(house: House, metric: str, **query: Any) -> dict[str, Any]:
    """The node that was asked for."""
    answer = await house.get(f"/api/v1/explain?{urlencode({'metric': metric, **query})}", by="viewer")
    assert answer.status == 200, answer.body
    node: dict[str, Any] = answer.json["node"]
    return node


def proven(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Every leaf of a tree, after checking each node against its children."""
    children = node.get("children")
    if not children:
        return [node]
    values = [Fraction(child["value"]) for child in children]
    if node["op"] == "sum":
        assert sum(values) == Fraction(node["value"]), node["path"]
    if node["op"] == "product":
        assert prod(values) == Fraction(node["value"]), node["path"]
    return [leaf for child in children for leaf in proven(child)]


def rooted(leaves: list[dict[str, Any]]) -> bool:
    """Whether all leaves are stored rows, or plainly computed."""
    return all("stored" in leaf or leaf["kind"] in COMPUTED for leaf in leaves)


async def test_a_day_of_a_counter_is_explained_down_to_its_readings(house: House) -> None:
    await meter_of(house, counters(*DAY))

    node = await explain(
        house, "energy", series="main-meter.energy_import", start=DAY[0], end=DAY[1], depth=9
    )
    leaves = proven(node)

    assert (node["value"], node["unit"], node["count"]) == ("24000", "Wh", 96)
    assert rooted(leaves)
    assert {leaf["stored"]["table"] for leaf in leaves} == {"readings"}
    assert len(leaves) == 2 * 96


async def test_a_bill_is_explained_down_to_readings_prices_and_rules(house: House) -> None:
    await meter_of(house, counters(*MARCH))
    await spot(house, *MARCH)
    await tariff(house)

    node = await explain(house, "bill", start=MARCH[0], end=MARCH[1], depth=2, limit=40)
    proven(node)

    assert node["value"] == "424.63"
    for line in node["children"]:
        path = line["path"]
        deep = await explain(house, "bill", start=MARCH[0], end=MARCH[1], path=path, depth=12, limit=2)
        leaves = [leaf for leaf in proven(deep) if leaf["kind"] != "rest"]
        assert rooted([leaf for leaf in leaves if leaf.get("children", True)]), path


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("metric=weather", 400, "WL-API-400"),
        ("metric=energy", 400, "WL-API-400"),
        ("metric=energy&series=main-meter.energy_import&depth=x", 400, "WL-API-400"),
        ("metric=energy&series=main-meter.energy_import&offset=-1", 400, "WL-API-400"),
        ("metric=energy&series=main-meter.nothing", 404, "WL-API-404"),
        ("metric=energy&series=main-meter.energy_import&path=no/where", 404, "WL-NRG-010"),
        ("metric=figure&figure=luck", 422, "WL-NRG-012"),
        ("metric=figure&figure=use&start=2024-01-01&end=2026-01-01", 422, "WL-API-031"),
        ("metric=device&device=nobody", 404, "WL-API-404"),
        ("metric=bill&metering_point=nowhere", 404, "WL-MNY-010"),
    ],
)
async def test_what_cannot_be_explained_says_so(house: House, query: str, status: int, code: str) -> None:
    await meter_of(house, counters(DAY[0], DAY[0] + 4 * QUARTER_MS))
    answer = await house.get(f"/api/v1/explain?{query}", by="viewer")

    assert (answer.status, answer.code) == (status, code)


async def test_a_viewer_may_ask_and_a_stranger_may_not(house: House) -> None:
    assert (await house.get("/api/v1/explain?metric=figure&figure=use", by="viewer")).status == 200
    assert (await house.get("/api/v1/explain?metric=figure&figure=use", by=None)).status == 401


async def test_a_correction_shows_who_made_it(house: House) -> None:
    await meter_of(house, counters(*DAY))
    body = {
        "series": "main-meter.energy_import", "action": "value", "start": DAY[0] + 4 * QUARTER_MS, "value": 1010.0,
        "reason": "display was misread",
    }  # fmt: skip
    made = await house.post("/api/v1/corrections", json=body)
    assert made.status == 201, made.body
    await house.hub.wait_idle()

    node = await explain(
        house, "energy", series="main-meter.energy_import", start=DAY[0], end=DAY[1], depth=9
    )
    found = [leaf for leaf in proven(node) if leaf["kind"] == "correction"]

    assert [leaf["value"] for leaf in found] == ["10", "-10"]  # it closes an interval and opens the next one
    assert {(leaf["by"], leaf["reason"]) for leaf in found} == {("admin", "display was misread")}
    assert all(
        leaf["stored"] == {"table": "corrections", "id": made.json["id"], "action": "value"} for leaf in found
    )


def battery_day() -> list[dict[str, Any]]:
    """Charged from the grid from midnight to four, giving it back to a heater from six to nine in the evening."""
    kwh = {"main-meter": {"energy_import": 0.0}, "store": {"energy_import": 0.0, "energy_export": 0.0}}
    kwh["heater"] = {"energy_import": 0.0}
    items = []
    for at, ts_ms in enumerate(range(DAY[0], DAY[1] + 1, QUARTER_MS)):
        items += [
            {"device": name, "ts": ts_ms, "values": {key: round(kwh, 6) for key, kwh in one.items()}}
            for name, one in kwh.items()
        ]
        night, evening = at < 16, 72 <= at < 84
        kwh["store"]["energy_import"] += 0.25 if night else 0.0
        kwh["store"]["energy_export"] += 0.25 if evening else 0.0
        kwh["heater"]["energy_import"] += 0.3 if evening else 0.0
        kwh["main-meter"]["energy_import"] += 0.25 if night else 0.05 if evening else 0.0
    return items


async def test_co2_and_cost_of_energy_out_of_a_battery_lead_to_its_charges(house: House) -> None:
    await meter_of(house, battery_day())
    for device, role in (("store", "battery"), ("heater", "load")):
        answer = await house.call("PATCH", f"/api/v1/devices/{device}", json={"role": role})
        assert answer.status == 200, answer.body
    version = {"from": "2026-01-01", "import": [
        {"energy": "Night", "price": "0.20", "when": {"hours": "00:00-06:00"}},
        {"energy": "Day", "price": "0.40", "when": "otherwise"},
    ]}  # fmt: skip
    await tariff(house, {"id": "t", "metering_point": "grid", "currency": "EUR", "versions": [version]})
    path = house.hub.config_dir / "hub.yaml"
    path.write_text(path.read_text().replace("currency: EUR}", "currency: EUR, co2_factor: 50}"))
    assert (await house.post("/api/v1/config/reload")).status == 200
    span = {"start": DAY[0], "end": DAY[1], "limit": 1000}

    heater = await explain(house, "device", device="heater", depth=1, **span)
    parts = {part["path"]: part["value"] for part in heater["children"]}
    # 3 kWh at the night's price and 0.6 kWh at the day's
    assert (parts["cost"], parts["co2"], parts["battery"]) == ("0.84", "0.18", "3000")
    for carried in ("cost", "co2"):
        top = await explain(house, "device", device="heater", path=carried, depth=1, **span)
        last = top["children"][-1]["path"]
        deep = await explain(house, "device", device="heater", path=f"{last}/battery", depth=20, **span)
        assert rooted(proven(deep)), last
    for figure, value in (("co2", "0.23"), ("stock_change", "1000"), ("battery_loss", "0")):
        node = await explain(house, "figure", figure=figure, depth=20, **span)
        assert node["value"] == value
        assert rooted([leaf for leaf in proven(node) if leaf["value"] != "0" or leaf["kind"] != "figure"])
