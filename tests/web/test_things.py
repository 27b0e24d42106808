"""Devices, series, readings and history over HTTP, with a real hub behind."""

from __future__ import annotations

import csv
import io

import pytest

from hub.actors.device import Declare
from hub.actors.recorder import StoreReadings
from hub.model.device import DeviceInfo
from hub.model.reading import ReadingBatch
from hub.model.series import SeriesInfo, known_series
from hub.runtime.actor import request
from tests.web.conftest import House

DAY_MS = 86_400_000
COUNT = 25


async def measure(house: House) -> int:
    """A meter with an hourly counter and power; returns the time of its first reading."""
    infos: tuple[SeriesInfo, ...] = (known_series("energy_import"), known_series("power"))
    numbers = await request(
        house.hub.device,
        Declare(DeviceInfo("main-meter", name="<img src=x>"), infos, "test", "test"),
    )
    start_ms = house.hub.clock.now_ms() // 3_600_000 * 3_600_000 - COUNT * 3_600_000
    batch = ReadingBatch("test", house.hub.clock.now_ms())
    for hour in range(COUNT):
        for number, value in zip(numbers, (1000.0 * hour, 1000.0), strict=True):
            assert number is not None
            batch.series.append(number)
            batch.ts_ms.append(start_ms + hour * 3_600_000)
            batch.values.append(value)
            batch.item.append(hour)
    await request(house.hub.recorder, StoreReadings(batch))
    await house.hub.wait_idle()
    return start_ms


async def test_devices_are_created_changed_listed_and_removed(house: House) -> None:
    made = await house.post("/api/v1/devices", json={"name": "Wärmepumpe Keller", "role": "heat_pump"})
    changed = await house.call(
        "PATCH", f"/api/v1/devices/{made.json['id']}", json={"name": "Cellar", "area": None}
    )
    listed = await house.get("/api/v1/devices")
    removed = await house.call("DELETE", f"/api/v1/devices/{made.json['id']}")

    assert (made.status, made.json["id"], made.json["role"]) == (201, "warmepumpe-keller", "heat_pump")
    assert changed.json["name"] == "Cellar"
    assert listed.json == {"items": [changed.json], "next": None}
    assert removed.status == 204
    assert (await house.get(f"/api/v1/devices/{made.json['id']}")).status == 404


@pytest.mark.parametrize(
    "body", [{}, {"id": "../x"}, {"name": "..."}, {"name": "x", "role": "king"}, {"id": 5}, []]
)
async def test_a_device_that_makes_no_sense_is_refused(house: House, body: object) -> None:
    answer = await house.post("/api/v1/devices", json=body)

    assert answer.status in (201, 422)
    assert answer.status == 422 or answer.json["id"] == "x"


async def test_latest_has_the_shape_of_the_contract(house: House) -> None:
    start_ms = await measure(house)
    every = await house.get("/api/v1/latest")
    one = await house.get("/api/v1/latest?series=main-meter.power")
    (item,) = one.json["items"]

    assert {row["series"] for row in every.json["items"]} == {"main-meter.energy_import", "main-meter.power"}
    assert list(item) == ["series", "value", "unit", "ts", "age_s", "quality"]
    assert (item["series"], item["value"], item["unit"]) == ("main-meter.power", 1000.0, "W")
    assert item["ts"] == start_ms + (COUNT - 1) * 3_600_000
    assert (await house.get("/api/v1/latest?series=nothing.here")).status == 404


async def test_readings_come_in_pages(house: House) -> None:
    start_ms = await measure(house)
    path = f"/api/v1/series/main-meter.energy_import/readings?start={start_ms}&limit=10"
    pages = [(await house.get(path)).json]
    while pages[-1]["next"] is not None:
        pages.append((await house.get(f"{path}&cursor={pages[-1]['next']}")).json)

    assert [len(page["ts"]) for page in pages] == [10, 10, 5]
    assert list(pages[0]) == ["ts", "value", "next"]
    assert [value for page in pages for value in page["value"]] == [1000.0 * n for n in range(COUNT)]
    assert (await house.get("/api/v1/series/no.such/readings")).status == 404


async def test_history_has_the_shape_of_the_contract(house: House) -> None:
    start_ms = await measure(house)
    query = f"series=main-meter.energy_import&start={start_ms}&end={start_ms + 4 * 3_600_000}&resolution=1h"
    answer = (await house.get(f"/api/v1/history?{query}&columns=energy,quality")).json

    assert list(answer) == ["resolution", "unit", "start", "series"]
    assert answer["resolution"] == "1h"
    assert answer["unit"] == {"main-meter.energy_import": "Wh"}
    assert len(answer["start"]) == 4
    assert answer["series"]["main-meter.energy_import"]["energy"] == [1000.0] * 4
    assert set(answer["series"]["main-meter.energy_import"]["quality"][1]) <= {
        "measured",
        "late",
        "estimated",
    }


async def test_history_shows_what_belongs_to_each_kind_and_no_quality_unasked(house: House) -> None:
    await measure(house)
    answer = (
        await house.get("/api/v1/history?series=main-meter.energy_import,main-meter.power&resolution=1h")
    ).json

    assert {name: list(columns) for name, columns in answer["series"].items()} == {
        "main-meter.energy_import": ["energy"],
        "main-meter.power": ["mean", "energy"],
    }


async def test_history_as_csv_and_arrow(house: House) -> None:
    await measure(house)
    path = "/api/v1/history?series=main-meter.energy_import&resolution=1d&columns=energy"
    text = await house.get(path, headers={"Accept": "text/csv"})
    arrow = await house.get(path, headers={"Accept": "application/vnd.apache.arrow.stream"})

    assert next(csv.reader(io.StringIO(text.body.decode()))) == ["start", "series", "energy"]
    assert arrow.headers["Content-Type"] == "application/vnd.apache.arrow.stream"
    assert arrow.body[:4] == b"\xff\xff\xff\xff"


@pytest.mark.parametrize(
    "query",
    ["", "series=", "series=main-meter.power&resolution=2h", "series=main-meter.power&columns=median",
     "series=main-meter.power&start=tomorrow", "series=main-meter.power&start=5&end=4", "series=no.such"],
)  # fmt: skip
async def test_a_history_that_cannot_be_is_refused(house: House, query: str) -> None:
    await measure(house)
    answer = await house.get(f"/api/v1/history?{query}")

    assert answer.status in (400, 404, 422)
    assert answer.json["detail"]


async def test_found_devices_are_added_or_ignored(house: House) -> None:
    for name in ("plug-a", "plug-b"):
        info = (known_series("power"),)
        await request(
            house.hub.device, Declare(DeviceInfo(name), info, "mqtt", "mqtt", found=True, sample="{}")
        )
    waiting = (await house.get("/api/v1/devices/inbox")).json["items"]
    added = await house.post("/api/v1/devices/inbox/plug-a/add", json={"name": "Plug", "role": "load"})
    ignored = await house.post("/api/v1/devices/inbox/plug-b/ignore")
    source = await house.post("/api/v1/devices/inbox/ignore-source", json={"source": "mqtt"})

    assert [one["id"] for one in waiting] == ["plug-a", "plug-b"]
    assert (added.status, added.json["name"], added.json["role"]) == (200, "Plug", "load")
    assert (ignored.status, source.status) == (204, 204)
    assert (await house.post("/api/v1/devices/inbox/nothing/add")).status == 404


async def test_lists_are_paged(house: House) -> None:
    for n in range(5):
        await house.post("/api/v1/devices", json={"name": f"plug {n}"})
    first = (await house.get("/api/v1/devices?limit=3")).json
    second = (await house.get(f"/api/v1/devices?limit=3&cursor={first['next']}")).json

    assert [one["id"] for one in first["items"] + second["items"]] == [f"plug-{n}" for n in range(5)]
    assert second["next"] is None


async def test_the_hub_tells_how_it_is(house: House) -> None:
    health = await house.get("/api/v1/health")
    ready = await house.get("/readyz", by=None)

    assert health.json["status"] in ("ok", "degraded")
    assert {"ok", "code", "detail"} <= set(health.json["parts"]["recorder"])
    assert (await house.get("/healthz", by=None)).json == {"status": "alive"}
    assert (ready.status == 200) == ready.json["ready"]
    assert (await house.get("/api/v1/version")).json["version"] == house.hub.version
    assert (await house.get("/api/v1/energy/live")).json["unit"] == "W"
    assert (await house.get("/api/v1/quarantine")).json == {"items": [], "next": None}
    assert (await house.get("/api/v1/integrations")).status == 200
    assert (await house.get("/api/v1/plugins")).json["items"]


async def test_the_configuration_is_shown_without_its_secrets(house: House) -> None:
    path = house.hub.config_dir / "hub.yaml"
    path.write_text(path.read_text() + "notify: {email: {host: h, password: canary-in-config}}\n")
    reloaded = await house.post("/api/v1/config/reload")
    shown = await house.get("/api/v1/config")
    path.write_text("hub: {nme: x}\n")
    broken = await house.post("/api/v1/config/reload")

    assert reloaded.status == 200
    assert shown.json["config"]["notify"]["email"]["password"] == "••••"
    assert b"canary-in-config" not in shown.body
    assert (broken.status, broken.code) == (422, "WL-API-423")
    assert broken.json["errors"][0]["file"]


async def test_a_backup_is_made_and_listed(house: House) -> None:
    made = await house.post("/api/v1/backups")
    listed = await house.get("/api/v1/backups")

    assert made.status == 201
    assert [one["id"] for one in listed.json["items"]] == [made.json["id"]]
    assert (await house.get("/api/v1/backups", by="manager")).status == 403


async def test_sites_and_areas_are_listed(house: House) -> None:
    await house.post("/api/v1/devices", json={"name": "Boiler", "area": "cellar"})
    (site,) = (await house.get("/api/v1/sites")).json["items"]
    areas = (await house.get("/api/v1/areas")).json["items"]

    assert (site["id"], site["name"], site["time_zone"]) == ("home", "Home", "Europe/Paris")
    assert areas == [{"id": "cellar", "name": "cellar", "parent": None, "kind": ""}]
