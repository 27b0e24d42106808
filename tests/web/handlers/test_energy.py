"""The answers about energy over HTTP, for the simulated house, against its own truth."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.actors.device_requests import Declare, PatchDevice
from hub.actors.processing import WorkNow
from hub.actors.recorder import StoreReadings
from hub.model.reading import ReadingBatch
from hub.runtime.actor import request
from integrations.demo.devices import declarations
from integrations.demo.house import Columns, simulate
from integrations.demo.site import Site
from tests.web.conftest import House

ARROW = "application/vnd.apache.arrow.stream"
HOUR_MS = 3_600_000
DAYS = 2
STEP_S = 900
QUARTERS = DAYS * 96


def first_ms(house: House) -> int:
    """UTC midnight some days ago, so that whole local days lie inside."""
    now = datetime.fromtimestamp(house.hub.clock.now_ms() / 1000, UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return int((midnight - timedelta(days=DAYS + 1)).timestamp()) * 1000


async def move_in(house: House) -> Columns:
    """Two days of the simulated house, its registers and its battery's charge, stored and derived."""
    begin_ms = first_ms(house)
    since = datetime.fromtimestamp(begin_ms / 1000, UTC).date() - timedelta(days=3)
    truth = simulate(7, Site(since=since), begin_ms, begin_ms + QUARTERS * STEP_S * 1000 + 1, STEP_S)
    batch = ReadingBatch("test", house.hub.clock.now_ms())
    for declared in declarations(STEP_S):
        numbers = await request(house.hub.device, Declare(declared.device, declared.series, "test", "test"))
        for number, name in zip(numbers, declared.public_ids(), strict=True):
            assert number is not None
            for ts_ms, value in zip(truth.ts_ms.tolist(), truth.values[name].tolist(), strict=True):
                batch.series.append(number)
                batch.ts_ms.append(ts_ms)
                batch.values.append(value)
                batch.item.append(len(batch.item))
    await request(house.hub.recorder, StoreReadings(batch), timeout_s=60)
    await house.hub.wait_idle()
    await request(house.hub.processing, WorkNow(), timeout_s=60)
    return truth


def span_of(house: House) -> str:
    begin_ms = first_ms(house)
    return f"start={begin_ms}&end={begin_ms + QUARTERS * STEP_S * 1000}"


def used(truth: Columns, name: str) -> float:
    """Wh between the first and the last register."""
    register = truth.values[name]
    return float(register[-1] - register[0])


async def test_the_summary_is_the_truth_of_the_house(house: House) -> None:
    truth = await move_in(house)
    answer = (await house.get(f"/api/v1/energy/summary?{span_of(house)}")).json
    figures = {name: one["energy"] for name, one in answer["figures"].items()}

    for figure, register in (
        ("import", "grid.energy_import"), ("export", "grid.energy_export"), ("production", "solar.energy"),
        ("charge", "battery.energy_import"), ("discharge", "battery.energy_export"),
    ):  # fmt: skip
        assert figures[figure] == pytest.approx(used(truth, register), abs=0.01)
    consumption = float(truth.consumption_w[1:].sum()) * STEP_S / 3600
    assert figures["use"] == pytest.approx(consumption, abs=0.2)
    assert figures["other_source"] == pytest.approx(0.0, abs=0.2)
    own = 1 - figures["import"] / figures["use"]
    assert answer["self_sufficiency"] == pytest.approx(own, abs=0.02)
    assert answer["complete"] == 1.0
    assert answer["cost"] == {
        "import": None, "export": answer["cost"]["export"], "net": None,
        "pending_kwh": answer["cost"]["pending_kwh"], "export_pending_kwh": answer["cost"]["export_pending_kwh"],
    }  # fmt: skip
    assert float(answer["cost"]["pending_kwh"]) == pytest.approx(figures["import"] / 1000)
    assert answer["unit"] == {"energy": "Wh", "power": "W", "money": "EUR", "co2": "kg"}


async def test_bars_table_and_devices_have_the_same_sums(house: House) -> None:
    await move_in(house)
    span = span_of(house)
    bars = (await house.get(f"/api/v1/energy/balance?{span}&resolution=1h")).json
    lines = (await house.get(f"/api/v1/energy/devices?{span}")).json
    text = await house.get(f"/api/v1/energy/balance?{span}&resolution=1h", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(text.body.decode())))

    assert len(bars["buckets"]) == len(rows) == DAYS * 24
    assert [row["start"] for row in rows] == bars["buckets"]
    for name, column in bars["flows"].items():
        assert [float(row[f"{name}_wh"]) for row in rows] == column
        assert sum(column) == pytest.approx(bars["total"]["figures"][name]["energy"], abs=1e-6)
    for line in lines["devices"]:
        assert sum(bars["devices"][line["device"]]) == pytest.approx(line["energy"], abs=1e-6)
        assert sum(line["sources"].values()) == pytest.approx(line["energy"], abs=1e-6)
    whole = sum(line["energy"] for line in (*lines["devices"], lines["not_measured"]))
    assert whole == pytest.approx(bars["total"]["figures"]["use"]["energy"], abs=1e-6)
    assert rows[0]["quality"].startswith(("measured", "late"))


async def test_every_node_of_the_flows_is_balanced(house: House) -> None:
    await move_in(house)
    graph = (await house.get(f"/api/v1/energy/flows?{span_of(house)}")).json
    names = {node["id"]: node["name"] for node in graph["nodes"]}
    into, out = ({one["id"]: 0.0 for one in graph["nodes"]} for _ in range(2))
    for link in graph["links"]:
        out[link["source"]] += link["energy"]
        into[link["target"]] += link["energy"]

    inner = [name for name in names if into[name] and out[name]]
    assert {"home", "battery", "device:kitchen"} <= set(inner)
    assert [into[name] for name in inner] == pytest.approx([out[name] for name in inner], abs=1e-6)
    assert names["device:kitchen"] == "Kitchen circuit"
    assert ("device:kitchen", "device:fridge") in {
        (link["source"], link["target"]) for link in graph["links"]
    }


async def test_a_month_of_co2_and_a_comparison_that_says_why_not(house: House) -> None:
    await move_in(house)
    answer = (await house.get("/api/v1/energy/summary?period=day&compare=previous")).json

    assert answer["compare"]["comparable"] is False
    assert "complete" in answer["compare"]["why"]
    assert "change" not in answer["compare"]


async def test_a_carbon_factor_counts_at_once(house: House) -> None:
    await move_in(house)
    path = house.hub.config_dir / "hub.yaml"
    path.write_text(path.read_text().replace("currency: EUR}", "currency: EUR, co2_factor: 50}"))
    before = (await house.get(f"/api/v1/energy/summary?{span_of(house)}")).json
    assert (await house.post("/api/v1/config/reload")).status == 200
    after = (await house.get(f"/api/v1/energy/summary?{span_of(house)}")).json
    lines = (await house.get(f"/api/v1/energy/devices?{span_of(house)}")).json

    assert before["co2"]["kg"] is None
    assert after["co2"]["kg"] == pytest.approx(after["figures"]["import"]["energy"] / 1000 * 0.05)
    rest = [lines[name]["co2"] for name in ("not_measured", "export", "battery_loss", "stock_change")]
    assert sum([one["co2"] for one in lines["devices"]] + rest) == pytest.approx(after["co2"]["kg"], abs=1e-9)


async def test_heat_maps_and_sessions_and_setup(house: House) -> None:
    truth = await move_in(house)
    span = span_of(house)
    heat = (await house.get(f"/api/v1/energy/heatmap?{span}&flow=production")).json
    sessions = (await house.get(f"/api/v1/energy/sessions?{span}")).json["items"]
    setup = (await house.get(f"/api/v1/energy/setup-check?{span}")).json["items"]

    assert sum(heat["days"]["energy"]) == pytest.approx(used(truth, "solar.energy"), abs=0.01)
    assert len(heat["hours"]) == 7
    assert {len(day) for day in heat["hours"]} == {24}
    charged = sum(one["energy"] for one in sessions)
    assert charged == pytest.approx(used(truth, "ev-charger.energy"), abs=200.0)
    assert setup == []


async def test_the_setup_check_misses_the_grid_meter(house: House) -> None:
    await move_in(house)
    await request(house.hub.device, PatchDevice("grid", {"role": "none"}))
    found = (await house.get(f"/api/v1/energy/setup-check?{span_of(house)}")).json["items"]

    assert [one["code"] for one in found] == ["no_grid_meter"]
    assert found[0]["evidence"]["energy_of_others"] > 0


async def test_tables_come_as_csv_with_comma_and_as_arrow(house: House) -> None:
    nanoarrow: Any = pytest.importorskip("nanoarrow", reason="nanoarrow is not installed")
    await move_in(house)
    await request(house.hub.device, PatchDevice("fridge", {"name": "=HYPERLINK(1)"}))
    span = span_of(house)
    comma = await house.get(f"/api/v1/energy/devices?{span}&decimal=comma", headers={"Accept": "text/csv"})
    arrow = await house.get(f"/api/v1/energy/balance?{span}&resolution=1d", headers={"Accept": ARROW})
    rows = list(csv.DictReader(io.StringIO(comma.body.decode()), delimiter=";"))
    table = nanoarrow.ArrayStream.from_readable(io.BytesIO(arrow.body)).read_all()

    fridge = next(row for row in rows if row["device"] == "fridge")
    assert fridge["name"] == "'=HYPERLINK(1)"
    assert "," in fridge["energy_wh"]
    assert [row["role"] for row in rows][-4:] == ["not_measured", "export", "battery_loss", "stock_change"]
    assert arrow.headers["Content-Type"] == ARROW
    assert len(table) in (DAYS, DAYS + 1)


async def test_other_media_are_told_in_their_units(house: House) -> None:
    assert (await house.get("/api/v1/energy/media?period=month")).json["meters"] == []


async def test_a_hub_without_devices_answers_that_nothing_is_known(house: House) -> None:
    summary = (await house.get("/api/v1/energy/summary")).json
    bars = (await house.get("/api/v1/energy/balance?period=year")).json
    graph = (await house.get("/api/v1/energy/flows?period=month")).json

    assert {one["energy"] for one in summary["figures"].values()} == {None}
    assert summary["self_sufficiency"] is None
    assert len(bars["buckets"]) == 12
    assert graph["links"] == []


@pytest.mark.parametrize(
    "query",
    ["period=fortnight", "at=2026-13-01", "at=yesterday", "compare=neighbour", "start=5&end=4",
     "resolution=2h", "resolution=1m", "period=year&resolution=15m", "at=0001-01-01"],
)  # fmt: skip
async def test_what_cannot_be_asked_is_refused(house: House, query: str) -> None:
    answer = await house.get(f"/api/v1/energy/balance?{query}")
    assert answer.status in (400, 422)
    assert answer.code.startswith("WL-API-")
