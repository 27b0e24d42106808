"""Devices, the inbox, sites and areas over HTTP."""

from __future__ import annotations

import pytest

from hub.actors.device_requests import Declare
from hub.model.device import DeviceInfo
from hub.model.series import known_series
from hub.runtime.actor import request
from tests.web.conftest import House


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


async def test_only_a_source_that_exists_can_be_ignored(house: House) -> None:
    unknown = await house.post("/api/v1/devices/inbox/ignore-source", json={"source": "nobody"})
    entry = (await house.get("/api/v1/integrations")).json["items"][0]["id"]
    known = await house.post("/api/v1/devices/inbox/ignore-source", json={"source": entry})

    assert (unknown.status, unknown.code, unknown.json["field"]) == (404, "WL-API-404", "source")
    assert known.status == 204


async def test_lists_are_paged(house: House) -> None:
    for n in range(5):
        await house.post("/api/v1/devices", json={"name": f"plug {n}"})
    first = (await house.get("/api/v1/devices?limit=3")).json
    second = (await house.get(f"/api/v1/devices?limit=3&cursor={first['next']}")).json

    assert [one["id"] for one in first["items"] + second["items"]] == [f"plug-{n}" for n in range(5)]
    assert second["next"] is None


async def test_sites_and_areas_are_listed(house: House) -> None:
    await house.post("/api/v1/devices", json={"name": "Boiler", "area": "cellar"})
    (site,) = (await house.get("/api/v1/sites")).json["items"]
    areas = (await house.get("/api/v1/areas")).json["items"]

    assert (site["id"], site["name"], site["time_zone"]) == ("home", "Home", "Europe/Paris")
    assert areas == [{"id": "cellar", "name": "cellar", "parent": None, "kind": ""}]
