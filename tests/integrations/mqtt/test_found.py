"""Devices that announce themselves, against a real mosquitto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.plugins.api import Behaviour, Quantity
from hub.plugins.testing import MemoryIntake
from tests.integrations.mqtt.running import Running, publisher, running
from tests.peers.mosquitto import Mosquitto

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "ha_mqtt_discovery"
PLUG = {
    "~": "plugs/7",
    "name": "Power",
    "uniq_id": "plug7_p",
    "stat_t": "~/tele",
    "val_tpl": "{{ value_json.p }}",
    "dev_cla": "power",
    "unit_of_meas": "kW",
    "stat_cla": "measurement",
    "avty_t": "~/lwt",
    "dev": {"ids": ["plug7"], "name": "Plug 7", "mf": "ACME", "sw": "1.0"},
}
PLUG_TOPIC = "homeassistant/sensor/plug7/power/config"


async def announce(run: Running, topic: str, config: Any) -> None:
    await run.publish(topic, json.dumps(config) if config else "", retain=True)


async def until_subscribed(run: Running, topic: str) -> None:
    await run.until(lambda: f"\t{topic} (QoS 1)" in run.broker.log)


async def test_an_announced_sensor_is_registered_and_read(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, discovery="auto") as run:
        await announce(run, PLUG_TOPIC, PLUG)
        await until_subscribed(run, "plugs/7/tele")
        await run.publish("plugs/7/tele", '{"p": 1.5}')
        assert await run.value("plug7.power") == 1500.0
        device = run.intake.devices["plug7"]
        assert (device.name, device.maker, device.firmware) == ("Plug 7", "ACME", "1.0")
        assert run.intake.infos["plug7.power"].quantity is Quantity.POWER


async def test_what_waits_in_the_inbox_is_read_from_the_moment_it_is_added(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, MemoryIntake(discovery="inbox"), discovery="inbox") as run:
        await announce(run, PLUG_TOPIC, PLUG)
        await until_subscribed(run, "plugs/7/tele")
        await run.publish("plugs/7/lwt", "online")
        await run.publish("plugs/7/tele", '{"p": 1}')
        await run.passed()
        assert "plug7.power" not in run.intake.rows
        assert PLUG_TOPIC in run.intake.inbox["plug7"][2]
        run.intake.add("plug7")
        await run.publish("plugs/7/tele", '{"p": 2}')
        assert await run.value("plug7.power") == 2000.0
        assert run.intake.online == {"plug7": True}


async def test_after_a_restart_a_backlog_waits_for_the_announcements(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, discovery="auto") as run:
        await announce(run, PLUG_TOPIC, PLUG)
        await until_subscribed(run, "plugs/7/tele")
    async with publisher(mosquitto) as client:
        for value in range(1200):
            await client.publish("plugs/7/tele", json.dumps({"p": value}), qos=1)
    async with running(mosquitto, discovery="auto") as run:
        await run.until(lambda: len(run.intake.rows.get("plug7.power", {})) == 1200)
        assert list(run.intake.rows["plug7.power"].values()) == [value * 1000.0 for value in range(1200)]


async def test_a_removed_sensor_is_not_read_any_more_and_an_update_counts_at_once(
    mosquitto: Mosquitto,
) -> None:
    async with running(mosquitto, discovery="auto") as run:
        await announce(run, PLUG_TOPIC, PLUG)
        await until_subscribed(run, "plugs/7/tele")
        await announce(run, PLUG_TOPIC, {**PLUG, "unit_of_meas": "W", "stat_t": "~/now"})
        await until_subscribed(run, "plugs/7/now")
        await run.publish("plugs/7/now", '{"p": 5}')
        assert await run.value("plug7.power") == 5.0
        await announce(run, PLUG_TOPIC, None)
        await run.until(lambda: "Sending UNSUBACK" in mosquitto.log)
        await run.publish("plugs/7/now", '{"p": 6}')
        await run.passed()
        assert list(run.intake.rows["plug7.power"].values()) == [5.0]


async def test_another_quantity_under_the_same_name_is_another_series(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, discovery="auto") as run:
        await announce(run, PLUG_TOPIC, PLUG)
        await until_subscribed(run, "plugs/7/tele")
        await announce(run, PLUG_TOPIC, {**PLUG, "dev_cla": "voltage", "unit_of_meas": "V"})
        await run.until(lambda: "plug7.power_v" in run.intake.infos)
        await run.publish("plugs/7/tele", '{"p": 230}')
        assert await run.value("plug7.power_v") == 230.0


async def test_a_broken_announcement_keeps_the_former_one(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, discovery="auto") as run:
        await announce(run, PLUG_TOPIC, PLUG)
        await until_subscribed(run, "plugs/7/tele")
        for broken in ("{broken", "[]", json.dumps({**PLUG, "dev": {"name": "no identifiers"}})):
            await run.publish(PLUG_TOPIC, broken)
        await run.publish("homeassistant/sensor/bad topic/config", "{}")
        await run.publish("plugs/7/tele", '{"p": 3}')
        assert await run.value("plug7.power") == 3000.0
        assert [one.code for one in run.intake.rejected] == [
            "WL-MQT-013", "WL-MQT-013", "WL-MQT-014", "WL-MQT-013",
        ]  # fmt: skip


async def test_a_device_with_all_its_components_in_one_message(mosquitto: Mosquitto) -> None:
    config = {
        "dev": {"ids": "inv-1", "name": "Inverter", "sn": "SN 1"},
        "o": {"name": "maker"},
        "stat_t": "inv/1/state",
        "avty": [{"t": "inv/1/lwt", "val_tpl": "{{ value_json.s }}", "pl_avail": "up", "pl_not_avail": "down"}],
        "cmps": {
            "p1": {"p": "sensor", "uniq_id": "a", "dev_cla": "power", "unit_of_meas": "W",
                   "val_tpl": "{{ value_json.p }}"},
            "total": {"p": "sensor", "uniq_id": "b", "dev_cla": "energy", "unit_of_meas": "kWh",
                      "stat_cla": "total_increasing", "val_tpl": "{{ value_json.e }}"},
            "led": {"p": "switch", "uniq_id": "c", "cmd_t": "inv/1/led"},
            "gone": {"p": "sensor"},
        },
    }  # fmt: skip
    async with running(mosquitto, discovery="auto") as run:
        await announce(run, "homeassistant/device/inv-1/config", config)
        await until_subscribed(run, "inv/1/lwt")
        await run.publish("inv/1/lwt", '{"s": "up"}')
        await run.publish("inv/1/state", '{"p": 400, "e": 1.5}')
        assert await run.value("inv-1.total") == 1500.0
        assert await run.value("inv-1.p1") == 400.0
        assert run.intake.online == {"inv-1": True}
        assert run.intake.infos["inv-1.total"].behaviour is Behaviour.COUNTER
        del config["cmps"]["p1"]  # type: ignore[attr-defined]  # a nested literal
        await announce(run, "homeassistant/device/inv-1/config", config)
        await run.publish("inv/1/state", '{"p": 500, "e": 2.5}')
        assert await run.value("inv-1.total", 2) == 2500.0
        assert list(run.intake.rows["inv-1.p1"].values()) == [400.0]


async def test_a_sensor_that_expires_takes_its_device_offline(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.mqtt.found.EXPIRY_STEP_S", 0.02)
    config = {key: value for key, value in PLUG.items() if key != "avty_t"} | {"exp_aft": 2.0}
    async with running(mosquitto, discovery="auto") as run:
        await announce(run, PLUG_TOPIC, config)
        await until_subscribed(run, "plugs/7/tele")
        await run.publish("plugs/7/tele", '{"p": 1}')
        await run.until(lambda: run.intake.online == {"plug7": True})
        await run.until(lambda: run.intake.online == {"plug7": False})
        await run.publish("plugs/7/tele", '{"p": 1}')
        await run.until(lambda: run.intake.online == {"plug7": True})


async def test_discovery_that_is_off_hears_nothing(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, discovery="off") as run:
        await announce(run, PLUG_TOPIC, PLUG)
        await run.passed()
        assert "plug7" not in run.intake.devices
        assert (
            "homeassistant" not in run.broker.log.replace("Received PUBLISH from", "").partition("marker")[0]
        )


def recorded(name: str) -> Iterator[dict[str, Any]]:
    path = FIXTURES / name
    if not path.exists():
        pytest.skip(f"recording {name} is not here")
    for line in path.read_text().splitlines():
        yield json.loads(line)


async def test_values_and_availability_follow_home_assistant_step_by_step(mosquitto: Mosquitto) -> None:
    """Each step of a recording of Home Assistant 2024.3.3: what it shows is what we store or tell."""
    shown: list[str] = []
    async with running(mosquitto, discovery="auto") as run:
        for step in recorded("ha_2024.3.3_oracle.jsonl"):
            if "topic" in step:
                await run.publish(step["topic"], step["payload"], retain=step["retain"])
                if step["topic"].endswith("/config"):
                    await until_subscribed(run, "plugs/plug2/tele")
                await run.passed()
                continue
            state = step["states"]["sensor.plug_2_power"]["state"]
            shown.append(state)
            rows = list(run.intake.rows.get("plug2.power", {}).values())
            online = run.intake.online.get("plug2", False)
            assert online is (state != "unavailable")
            assert state in ("unavailable", "unknown") or rows[-1] == float(state)
        assert list(run.intake.rows["plug2.power"].values()) == [42.5, 43.0, 44.0]
        assert len({one.code for one in run.intake.rejected}) == 2
    assert shown[:3] == ["unavailable", "unknown", "42.5"]


async def test_the_recording_of_a_publisher_is_understood(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, discovery="auto") as run:
        for one in recorded("ha-mqtt-discoverable_0.26.jsonl"):
            await run.publish(one["topic"], one["payload"], retain=one["retain"])
            if one["topic"].endswith("sensor/Solar-inverter-A/Grid-voltage/config"):
                await until_subscribed(run, "hmd/sensor/Solar-inverter-A/Grid-voltage/state")
        await run.passed()
        assert {name: list(rows.values()) for name, rows in run.intake.rows.items() if "inv" in name} == {
            "inv-a1.yield_total": [8_123_456.0, 8_123_460.0, 8_123_464.0],
            "inv-a1.ac_power": [1500.5, 1490.5, 1480.5],
            "inv-a1.grid_voltage": [231.2, 231.29999999999998, 231.39999999999998],
        }
        assert run.intake.devices["inv-a1"].name == "Solar inverter A"


async def test_tasmota_is_found_by_its_own_discovery(mosquitto: Mosquitto) -> None:
    config = {
        "dn": "Boiler", "fn": ["Boiler"], "hn": "boiler", "mac": "AABBCCDDEEFF", "md": "Plug", "sw": "13.1",
        "t": "boiler", "ft": "%topic%/%prefix%/", "tp": ["cmnd", "stat", "tele"], "onln": "Online",
        "ofln": "Offline",
    }  # fmt: skip
    sample = {"Time": "2026-01-01T00:00:00", "ENERGY": {
        "TotalStartTime": "2025-01-01T00:00:00", "Total": 1.5, "Today": 0.1, "Power": [8, 0], "Voltage": 230,
    }}  # fmt: skip
    async with running(mosquitto, discovery="auto") as run:
        await announce(run, "tasmota/discovery/AABBCCDDEEFF/config", config)
        await announce(run, "tasmota/discovery/AABBCCDDEEFF/sensors", {"sn": sample, "ver": 1})
        await until_subscribed(run, "boiler/tele/LWT")
        await run.publish("boiler/tele/LWT", "Online")
        await run.publish("boiler/tele/SENSOR", json.dumps(sample))
        assert await run.value("tasmota-aabbccddeeff.energy") == 1500.0
        await run.publish("boiler/tele/SENSOR", '{"ENERGY": {"Power": nan}}')
        await run.passed()
        assert {name: list(rows.values()) for name, rows in run.intake.rows.items() if "tas" in name} == {
            "tasmota-aabbccddeeff.energy": [1500.0],
            "tasmota-aabbccddeeff.power_l1": [8.0],
            "tasmota-aabbccddeeff.power_l2": [0.0],
            "tasmota-aabbccddeeff.voltage": [230.0],
        }
        assert run.intake.online == {"tasmota-aabbccddeeff": True}
        assert run.intake.devices["tasmota-aabbccddeeff"].name == "Boiler"


async def test_zigbee2mqtt_is_found_by_its_bridge_and_by_discovery_without_doubles(
    mosquitto: Mosquitto,
) -> None:
    exposes = [
        {"type": "numeric", "property": "power", "unit": "W", "access": 5},
        {"type": "numeric", "property": "energy", "unit": "kWh", "access": 1},
        {"type": "numeric", "property": "countdown", "unit": "s", "access": 2},
        {"type": "switch", "features": [{"type": "binary", "property": "state", "access": 7}]},
    ]
    devices = [
        {"ieee_address": "0x00aa", "friendly_name": "office/plug", "type": "Router",
         "definition": {"vendor": "V", "model": "M", "exposes": exposes}},
        {"ieee_address": "0x0000", "friendly_name": "Coordinator", "type": "Coordinator", "definition": None},
    ]  # fmt: skip
    entity = {
        "device": {"identifiers": ["zigbee2mqtt_0x00aa"], "name": "office/plug"},
        "device_class": "power", "unit_of_measurement": "W", "state_topic": "zigbee2mqtt/office/plug",
        "value_template": "{{ value_json['power'] }}", "unique_id": "0x00aa_power",
    }  # fmt: skip
    async with running(mosquitto, discovery="auto") as run:
        await announce(run, "zigbee2mqtt/bridge/devices", devices)
        await announce(run, "homeassistant/sensor/0x00aa/power/config", entity)
        await until_subscribed(run, "zigbee2mqtt/office/plug")
        await run.publish("zigbee2mqtt/bridge/state", '{"state": "online"}', retain=True)
        await run.publish("zigbee2mqtt/office/plug", '{"power": 12, "energy": null, "linkquality": 90}')
        await run.publish("zigbee2mqtt/office/plug", '{"power": 13, "energy": 0.5}')
        assert await run.value("zigbee2mqtt_0x00aa.energy") == 500.0
        assert list(run.intake.rows["zigbee2mqtt_0x00aa.power"].values()) == [12.0, 13.0]
        await run.until(lambda: run.intake.online == {"zigbee2mqtt_0x00aa": True})
        await run.publish("zigbee2mqtt/office/plug/availability", '{"state": "offline"}', retain=True)
        await run.until(lambda: run.intake.online == {"zigbee2mqtt_0x00aa": False})
        await run.publish("zigbee2mqtt/office/plug/availability", "online", retain=True)
        await run.until(lambda: run.intake.online == {"zigbee2mqtt_0x00aa": True})
        assert not run.intake.rejected
