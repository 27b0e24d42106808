"""What was kept aside and how counters are spread, over HTTP."""

from __future__ import annotations

import pytest

from hub.actors.device_requests import Declare
from hub.actors.recorder import StoreReadings
from hub.model.device import DeviceInfo
from hub.model.reading import ReadingBatch
from hub.model.series import known_series
from hub.runtime.actor import request
from tests.web.conftest import House
from tests.web.meter import measure

STEP_MS = 10_000


async def jumping_meter(house: House) -> int:
    """A counter that jumps by 9 MWh after an hour and stays there; returns the time of the jump."""
    info = (known_series("energy_import"),)
    (number,) = await request(house.hub.device, Declare(DeviceInfo("meter"), info, "test", "test"))
    assert number is not None
    start_ms = house.hub.clock.now_ms() // STEP_MS * STEP_MS - 2 * 3_600_000
    batch = ReadingBatch("test", house.hub.clock.now_ms())
    for at in range(720):
        batch.series.append(number)
        batch.ts_ms.append(start_ms + at * STEP_MS)
        batch.values.append(1e5 + 5.0 * at + (9e6 if at >= 360 else 0.0))
        batch.item.append(at)
    await request(house.hub.recorder, StoreReadings(batch))
    await house.hub.wait_idle()
    return start_ms + 360 * STEP_MS


async def test_suspect_changes_tell_what_they_would_book(house: House) -> None:
    jump_ms = await jumping_meter(house)
    listed = (await house.get("/api/v1/suspect")).json
    named = (await house.get(f"/api/v1/suspect?series=meter.energy_import&end={jump_ms - 60_000}")).json

    assert listed == {
        "items": [
            {
                "series": "meter.energy_import",
                "start_ms": jump_ms - STEP_MS,
                "end_ms": jump_ms,
                "before": 101_795.0,
                "after": 9_101_800.0,
                "amount": 9_000_005.0,
                "unit": "Wh",
                "why": "jump",
            }
        ]
    }
    assert named == {"items": []}
    assert (await house.get("/api/v1/suspect?series=no.such")).status == 404


async def test_power_shapes_a_counter_when_asked(house: House) -> None:
    await measure(house)
    path = "/api/v1/series/main-meter.energy_import/counting"
    before = await house.get(path)
    changed = await house.call("PATCH", path, json={"shape": "power"})
    after = await house.get(path)

    assert before.json == {
        "series": "main-meter.energy_import", "gap": "flat", "shape": "none", "power": None,
    }  # fmt: skip
    assert (changed.status, changed.json["power"]) == (200, "main-meter.power")
    assert after.json == changed.json


@pytest.mark.parametrize("body", [{"gap": "guess"}, {"shape": 5}, {"gap": "profile"}, {"what": "power"}])
async def test_a_choice_that_cannot_be_is_refused(house: House, body: object) -> None:
    await measure(house)
    answer = await house.call("PATCH", "/api/v1/series/main-meter.energy_import/counting", json=body)

    assert answer.status == 422
    assert (await house.get("/api/v1/series/main-meter.power/counting")).status == 422
