"""What each command answers, and what it refuses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hub.actors.device_requests import PatchDevice, RemoveDevice, ReportAvailability, ShowStale
from hub.actors.money_requests import CreateTariff
from hub.runtime.actor import request, tell

from .conftest import Live


async def test_ping_is_answered_with_the_same_id(live: Live) -> None:
    talk = await live.talk()

    assert await talk.ask("ping") == {"id": 1, "type": "pong"}


async def test_an_unknown_command_is_named_so(live: Live) -> None:
    talk = await live.talk()

    for kind in ("wattline/jobs", "wattline/log", "nonsense"):
        assert await talk.error(kind) == "unknown_command"


async def test_the_configuration_shows_the_site(live: Live) -> None:
    config = await (await live.talk()).result("get_config")

    assert (config["location_name"], config["time_zone"], config["currency"]) == (
        "Home",
        "Europe/Paris",
        "EUR",
    )
    assert (config["latitude"], config["longitude"], config["country"]) == (48.85, 2.35, "FR")
    assert config["state"] == "RUNNING"


async def test_the_current_user_is_the_owner_of_the_token(live: Live) -> None:
    viewer = await (await live.talk("viewer")).result("auth/current_user")
    admin = await (await live.talk("admin")).result("auth/current_user")

    assert (viewer["name"], viewer["is_admin"]) == ("viewer", False)
    assert (admin["name"], admin["is_admin"]) == ("admin", True)


async def test_services_are_none_and_cannot_be_called(live: Live) -> None:
    talk = await live.talk()

    assert await talk.result("get_services") == {}
    assert await talk.error("call_service", domain="light", service="turn_on") == "not_found"


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("call_service", {}),
        ("call_service", {"domain": 1, "service": "x"}),
        ("subscribe_entities", {"entity_ids": "sensor.x"}),
        ("subscribe_entities", {"include": {}}),
        ("subscribe_events", {"event_type": 7}),
        ("unsubscribe_events", {"subscription": "1"}),
        ("unsubscribe_events", {}),
        ("supported_features", {"features": []}),
        ("wattline/subscribe_series", {"series": {"a": 1}}),
    ],
)
async def test_a_command_of_the_wrong_form_is_refused(live: Live, kind: str, more: dict[str, Any]) -> None:
    assert await (await live.talk()).error(kind, **more) == "invalid_format"


async def test_states_carry_the_stored_number_and_the_usual_attributes(live: Live) -> None:
    power, energy = await live.declare("main-meter", "power", "energy_import", name="Main meter")
    await live.store((power, 1234.5678901234), (energy, 81_234_567.0))

    states = {one["entity_id"]: one for one in await (await live.talk()).result("get_states")}

    assert states["sensor.main_meter_power"]["state"] == "1234.5678901234"
    assert states["sensor.main_meter_power"]["attributes"] == {
        "friendly_name": "Main meter Power",
        "unit_of_measurement": "W",
        "device_class": "power",
        "state_class": "measurement",
        "series": "main-meter.power",
        "device": "main-meter",
        "quality": "measured",
    }
    assert states["sensor.main_meter_energy_import"]["state"] == "81234567"
    assert states["sensor.main_meter_energy_import"]["attributes"]["unit_of_measurement"] == "Wh"
    assert states["sensor.main_meter_energy_import"]["attributes"]["state_class"] == "total_increasing"


async def test_a_series_without_a_value_is_unknown(live: Live) -> None:
    await live.declare("meter", "power")

    (state,) = await (await live.talk()).result("get_states")

    assert (state["state"], state["attributes"]["quality"]) == ("unknown", None)


async def test_series_that_would_share_an_entity_id_are_told_apart(live: Live) -> None:
    first = await live.declare("a", "b_power")
    second = await live.declare("a_b", "power")
    await live.store((first[0], 1.0), (second[0], 2.0))

    states = await (await live.talk()).result("get_states")

    assert {(one["entity_id"], one["attributes"]["series"], one["state"]) for one in states} == {
        ("sensor.a_b_power", "a.b_power", "1"),
        ("sensor.a_b_power_2", "a_b.power", "2"),
    }


async def test_subscribed_entities_come_whole_and_then_as_changes(live: Live) -> None:
    power, voltage = await live.declare("meter", "power", "voltage")
    await live.store((power, 100.0), (voltage, 230.0), ts_ms=live.hub.clock.now_ms() - 1000)
    talk = await live.talk()

    await talk.result("subscribe_entities")
    first = (await talk.event())["a"]
    await live.store((power, 250.5))
    change = await talk.event()

    assert {name: one["s"] for name, one in first.items()} == {
        "sensor.meter_power": "100",
        "sensor.meter_voltage": "230",
    }
    assert set(change) == {"c"}
    assert change["c"]["sensor.meter_power"]["+"]["s"] == "250.5"
    assert change["c"]["sensor.meter_power"]["+"]["lc"] > first["sensor.meter_power"]["lc"]


async def test_the_same_value_again_moves_only_its_time(live: Live) -> None:
    (power,) = await live.declare("meter", "power")
    now_ms = live.hub.clock.now_ms()
    await live.store((power, 100.0), ts_ms=now_ms - 1000)
    talk = await live.talk()
    await talk.result("subscribe_entities")
    await talk.event()

    await live.store((power, 100.0), ts_ms=now_ms)

    assert await talk.event() == {"c": {"sensor.meter_power": {"+": {"lu": now_ms / 1000}}}}


async def test_a_filter_keeps_other_entities_out(live: Live) -> None:
    power, voltage = await live.declare("meter", "power", "voltage")
    talk = await live.talk()
    await talk.result("subscribe_entities", entity_ids=["sensor.meter_voltage"])
    assert set((await talk.event())["a"]) == {"sensor.meter_voltage"}

    await live.store((power, 1.0))
    await live.store((voltage, 231.0))

    assert set((await talk.event())["c"]) == {"sensor.meter_voltage"}


async def test_a_new_series_is_added_and_a_removed_device_leaves(live: Live) -> None:
    talk = await live.talk()
    await talk.result("subscribe_entities")
    assert await talk.event() == {"a": {}}

    await live.declare("meter", "power")
    added = await talk.event()
    await request(live.hub.device, RemoveDevice("meter"))
    removed = await talk.event()

    assert set(added["a"]) == {"sensor.meter_power"}
    assert removed == {"r": ["sensor.meter_power"]}


async def test_a_device_that_comes_back_is_added_again(live: Live) -> None:
    await live.declare("meter", "power")
    talk = await live.talk()
    await talk.result("subscribe_entities")
    await talk.event()

    await request(live.hub.device, RemoveDevice("meter"))
    await talk.event()
    await live.declare("meter", "power")

    assert set(await talk.event()) == {"a"}


async def test_a_renamed_device_shows_its_new_name(live: Live) -> None:
    await live.declare("meter", "power", name="Old")
    talk = await live.talk()
    await talk.result("subscribe_entities")
    await talk.event()

    await request(live.hub.device, PatchDevice("meter", {"name": "New"}))

    assert (await talk.event())["c"]["sensor.meter_power"]["+"]["a"]["friendly_name"] == "New Power"


async def test_a_device_that_is_offline_is_unavailable_until_a_newer_value(live: Live) -> None:
    (power,) = await live.declare("meter", "power")
    await live.store((power, 5.0), ts_ms=live.hub.clock.now_ms() - 1000)
    talk = await live.talk()
    await talk.result("subscribe_entities")
    await talk.event()

    tell(live.hub.device, ReportAvailability("meter", False))
    gone = await talk.event()
    await live.store((power, 6.0), ts_ms=live.hub.clock.now_ms() + 5)
    back = await talk.event()

    assert gone["c"]["sensor.meter_power"]["+"]["s"] == "unavailable"
    assert back["c"]["sensor.meter_power"]["+"]["s"] == "6"


async def test_a_retained_value_without_time_is_stale(live: Live) -> None:
    (power,) = await live.declare("meter", "power")
    talk = await live.talk()
    await talk.result("subscribe_entities")
    await talk.event()

    tell(live.hub.device, ShowStale(power, 7.0))
    shown = (await talk.event())["c"]["sensor.meter_power"]["+"]

    assert (shown["s"], shown["a"]["quality"]) == ("7", "stale")


async def test_state_changed_events_hold_the_state_before_and_after(live: Live) -> None:
    (power,) = await live.declare("meter", "power")
    await live.store((power, 1.0), ts_ms=live.hub.clock.now_ms() - 1000)
    talk = await live.talk()
    await talk.result("subscribe_events", event_type="state_changed")

    await live.store((power, 2.0))
    event = await talk.event()
    await request(live.hub.device, RemoveDevice("meter"))
    last = await talk.event()

    assert event["event_type"] == "state_changed"
    assert event["data"]["old_state"]["state"] == "1"
    assert event["data"]["new_state"]["state"] == "2"
    assert event["data"]["new_state"]["entity_id"] == event["data"]["entity_id"] == "sensor.meter_power"
    assert (last["data"]["old_state"]["state"], last["data"]["new_state"]) == ("2", None)


async def test_events_of_other_types_are_taken_and_quiet(live: Live) -> None:
    (power,) = await live.declare("meter", "power")
    talk = await live.talk()
    await talk.result("subscribe_events", event_type="core_config_updated")
    everything = await talk.send("subscribe_events")
    assert (await talk.read())["success"]

    await live.store((power, 2.0))

    assert (await talk.read())["id"] == everything


async def test_an_ended_subscription_is_quiet_and_cannot_end_twice(live: Live) -> None:
    (power,) = await live.declare("meter", "power")
    talk = await live.talk()
    ended = await talk.send("subscribe_entities")
    kept = await talk.send("wattline/subscribe_series")
    for _ in range(4):
        await talk.read()

    await talk.result("unsubscribe_events", subscription=ended)
    again = await talk.error("unsubscribe_events", subscription=ended)
    await live.store((power, 2.0))

    assert again == "not_found"
    assert (await talk.read())["id"] == kept


async def test_coalesced_messages_arrive_as_one_array(live: Live) -> None:
    power, voltage = await live.declare("meter", "power", "voltage")
    talk = await live.talk()
    await talk.result("supported_features", features={"coalesce_messages": 1})
    await talk.result("subscribe_events", event_type="state_changed")

    await live.store((power, 1.0), (voltage, 230.0))
    await talk.event()
    await talk.event()

    assert isinstance(talk.frames[-1], list)
    assert [one["event"]["data"]["entity_id"] for one in talk.frames[-1]] == [
        "sensor.meter_power",
        "sensor.meter_voltage",
    ]


async def test_subscribed_series_give_time_and_value(live: Live) -> None:
    power, voltage = await live.declare("meter", "power", "voltage")
    now_ms = live.hub.clock.now_ms()
    await live.store((power, 1.5), (voltage, 230.0), ts_ms=now_ms - 1000)
    talk = await live.talk()

    await talk.result("wattline/subscribe_series", series=["meter.power"])
    first = await talk.event()
    await live.store((power, 2.5), (voltage, 231.0), ts_ms=now_ms)
    second = await talk.event()
    await request(live.hub.device, RemoveDevice("meter"))

    assert first == {"series": {"meter.power": [now_ms - 1000, 1.5]}}
    assert second == {"series": {"meter.power": [now_ms, 2.5]}}
    assert await talk.event() == {"removed": ["meter.power"]}


async def test_a_series_that_is_not_there_cannot_be_subscribed(live: Live) -> None:
    assert await (await live.talk()).error("wattline/subscribe_series", series=["no.such"]) == "not_found"


async def test_the_live_balance_comes_at_once_and_after_changes(live: Live) -> None:
    (power,) = await live.declare("meter", "power")
    await request(live.hub.device, PatchDevice("meter", {"role": "grid"}))
    now_ms = live.hub.clock.now_ms()
    await live.store((power, 500.0), ts_ms=now_ms - 1000)
    talk = await live.talk()

    await talk.result("wattline/live")
    first = await talk.event()
    await live.store((power, 800.0), ts_ms=now_ms)
    second = await talk.event()

    assert (first["unit"], first["house_use"]) == ("W", 500.0)
    assert second["house_use"] == 800.0


async def test_the_live_balance_brings_the_price_and_the_peak_of_now(live: Live) -> None:
    power, _ = await live.declare("meter", "power", "energy_import")
    await request(live.hub.device, PatchDevice("meter", {"role": "grid"}))
    version = {"from": "2020-01-01", "import": [{"energy": "All", "price": "0.30"}]}
    await request(live.hub.processing, CreateTariff({"id": "home", "versions": [version]}))
    await live.store((power, 500.0), ts_ms=live.hub.clock.now_ms() - 1000)
    talk = await live.talk()
    await talk.result("wattline/live")

    shown = await talk.event()
    async with asyncio.timeout(30):
        while "peak" not in shown:
            shown = await talk.event()

    assert shown["price"] == {"tariff": "home", "currency": "EUR", "import": "0.30", "export": "0.00"}
    assert shown["peak"]["metering_point"] == "grid"
    assert shown["peak"]["power"] == 500.0


async def test_registries_name_entity_device_and_area(live: Live) -> None:
    await live.declare("meter", "power", name="Main", maker="Eastron", area="Cellar")
    talk = await live.talk()

    (entity,) = await talk.result("config/entity_registry/list")
    (device,) = await talk.result("config/device_registry/list")
    (area,) = await talk.result("config/area_registry/list")

    assert (entity["entity_id"], entity["device_id"]) == ("sensor.meter_power", device["id"])
    assert (device["name"], device["manufacturer"], device["area_id"]) == ("Main", "Eastron", area["area_id"])
    assert await talk.result("config/entity_registry/get", entity_id="sensor.meter_power") == entity
    assert await talk.error("config/entity_registry/get", entity_id="sensor.other") == "not_found"


async def test_subscriptions_per_connection_are_bounded(live: Live) -> None:
    talk = await live.talk()
    for _ in range(live.fanout.limits.subscriptions):
        await talk.result("subscribe_events", event_type="quiet")

    assert await talk.error("subscribe_events", event_type="quiet") == "limit_reached"


async def test_the_last_subscriber_takes_its_channel_with_it(live: Live) -> None:
    talk = await live.talk()
    await talk.result("subscribe_entities", entity_ids=["sensor.x"])
    assert len(live.fanout.channels) == 1

    await talk.socket.close()
    await live.alone()

    assert not live.fanout.channels
