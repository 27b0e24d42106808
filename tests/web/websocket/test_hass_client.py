"""The public Python client for Home Assistant connects unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from .conftest import Live

hass_client = pytest.importorskip("hass_client", reason="hass-client is not installed")


@pytest.fixture
async def client(live: Live) -> AsyncIterator[Any]:
    async with hass_client.HomeAssistantClient(live.url, live.tokens["viewer"], live.session) as client:
        yield client


async def test_it_reads_states_configuration_and_registries(live: Live, client: Any) -> None:
    (power,) = await live.declare("meter", "power", name="Meter", area="Cellar")
    await live.store((power, 42.5))

    (state,) = await client.get_states()
    (entity,) = await client.get_entity_registry()
    (device,) = await client.get_device_registry()
    (area,) = await client.get_area_registry()

    assert (state["entity_id"], state["state"]) == ("sensor.meter_power", "42.5")
    assert (entity["device_id"], device["area_id"]) == (device["id"], area["area_id"])
    assert await client.get_entity_registry_entry("sensor.meter_power") == entity
    assert (await client.get_config())["location_name"] == "Home"
    assert await client.get_services() == {}
    assert client.version == "2026.11.0"


async def test_it_follows_entities_until_it_unsubscribes(live: Live, client: Any) -> None:
    (power,) = await live.declare("meter", "power")
    events: asyncio.Queue[Any] = asyncio.Queue()
    remove = await client.subscribe_entities(events.put_nowait, ["sensor.meter_power"])
    first = await asyncio.wait_for(events.get(), 30)

    await live.store((power, 7.0))
    second = await asyncio.wait_for(events.get(), 30)
    remove()
    await client.get_services()
    await live.store((power, 8.0))
    await client.get_services()

    assert first["a"]["sensor.meter_power"]["s"] == "unknown"
    assert second["c"]["sensor.meter_power"]["+"]["s"] == "7"
    assert events.empty()


async def test_it_follows_events(live: Live, client: Any) -> None:
    (power,) = await live.declare("meter", "power")
    await client.get_states()
    events: asyncio.Queue[Any] = asyncio.Queue()
    await client.subscribe_events(events.put_nowait)

    await live.store((power, 7.0))
    event = await asyncio.wait_for(events.get(), 30)

    assert event["data"]["new_state"]["state"] == "7"


async def test_it_hears_that_a_service_is_not_there(client: Any) -> None:
    with pytest.raises(hass_client.exceptions.FailedCommand, match=r"light\.turn_on"):
        await client.call_service("light", "turn_on", target={"entity_id": "light.x"})


async def test_it_hears_that_a_token_is_wrong(live: Live) -> None:
    with pytest.raises(hass_client.exceptions.AuthenticationFailed):
        await hass_client.HomeAssistantClient(live.url, "wrong", live.session).connect()
