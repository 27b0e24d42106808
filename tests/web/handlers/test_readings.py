"""Newest values and raw readings in the shapes of the API."""

from __future__ import annotations

from tests.web.conftest import House
from tests.web.meter import COUNT, measure


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


async def test_what_was_kept_aside_is_listed_with_its_reason(house: House) -> None:
    sent = [{"device": "m", "ts": "1999-01-01T00:00:00Z", "values": {"power": n}} for n in range(3)]
    pushed = await house.post("/api/v1/ingest", json=sent)
    first = (await house.get("/api/v1/quarantine?limit=2")).json
    second = (await house.get(f"/api/v1/quarantine?limit=2&cursor={first['next']}")).json

    assert pushed.status in (207, 422)
    assert [item["series"] for item in first["items"] + second["items"]] == ["m.power"] * 3
    assert all(item["code"].startswith("WL-") and item["detail"] for item in first["items"])
    assert second["next"] is None
