"""The store over HTTP: sizes, whether it is whole, whether its figures are right, and who may ask."""

from __future__ import annotations

import time

import pytest

from hub.energy.slots import SLOT_MS
from hub.storage import slots
from tests.web.conftest import House

BEGIN_MS = (time.time_ns() // 1_000_000 - 86_400_000) // SLOT_MS * SLOT_MS


async def fill(house: House) -> None:
    """Six hours of power of yesterday, derived."""
    items = [
        {"device": "meter", "ts": BEGIN_MS + step * 60_000, "values": {"power": 100 + step}}
        for step in range(360)
    ]
    assert (await house.post("/api/v1/ingest", json=items)).status == 204


async def test_the_size_of_the_store_is_told(house: House) -> None:
    await fill(house)
    stats = (await house.get("/api/v1/storage")).json

    assert stats["engine"] == "sqlite"
    assert stats["rows_hot"] + stats["rows_sealed"] == 360
    assert stats["first_ms"] == BEGIN_MS


async def test_a_sound_store_has_no_problems(house: House) -> None:
    await fill(house)

    assert (await house.post("/api/v1/storage/check")).json == {"problems": []}


async def test_figures_are_compared_with_their_readings(house: House) -> None:
    await fill(house)
    right = (await house.post("/api/v1/derived/check/meter.power")).json
    await house.hub.database.write(
        lambda conn: slots.delete_rows(conn, 1, slots.SLOT, BEGIN_MS + SLOT_MS, BEGIN_MS + 2 * SLOT_MS)
    )
    wrong = (await house.post("/api/v1/derived/check/meter.power")).json
    rebuilt = await house.post("/api/v1/derived/rebuild")
    mended = (await house.post("/api/v1/derived/check/meter.power")).json

    assert right["different"] == 0
    assert right["rows"] >= 20
    assert wrong["shown"][0]["start_ms"] == BEGIN_MS + SLOT_MS
    assert wrong["shown"][0]["stored"] is None
    assert rebuilt.json == {"series": 1}
    assert mended["different"] == 0
    assert (await house.get("/api/v1/derived")).json["dirty_series"] == 0


async def test_a_series_that_is_not_there_is_not_found(house: House) -> None:
    assert (await house.post("/api/v1/derived/check/nothing.power")).status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/storage"),
        ("POST", "/api/v1/storage/check"),
        ("GET", "/api/v1/derived"),
        ("POST", "/api/v1/derived/check/meter.power"),
    ],
)
async def test_only_who_manages_the_hub_may_ask(house: House, method: str, path: str) -> None:
    assert (await house.call(method, path, by="manager")).status == 403
    assert (await house.call(method, path, by=None)).status == 401
