"""History in its three forms, with a real hub behind."""

from __future__ import annotations

import csv
import io

import pytest

from tests.web.conftest import House
from tests.web.meter import measure


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
