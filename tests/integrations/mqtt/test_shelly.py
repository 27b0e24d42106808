"""Shelly devices over MQTT, against a real mosquitto."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hub.plugins.api import NO_TIME, Behaviour
from hub.plugins.testing import MemoryIntake
from integrations.mqtt.message import Message
from integrations.mqtt.numbers import Unreadable
from integrations.mqtt.shelly import MAX_DEVICES, ShellyDevices, notification_time
from tests.integrations.mqtt.running import Running, running
from tests.peers.mosquitto import Mosquitto

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "shelly"
TS = 1_763_999_990.25


def notice(src: str, **components: Any) -> str:
    params = {"ts": TS, **{name.replace("_", ":"): fields for name, fields in components.items()}}
    return json.dumps({"src": src, "dst": f"{src}/events", "method": "NotifyStatus", "params": params})


def values(run: Running, device: str) -> dict[str, list[float]]:
    return {
        name.partition(".")[2]: list(rows.values())
        for name, rows in run.intake.rows.items()
        if name.startswith(f"{device}.")
    }


async def said(run: Running, topic: str, payload: str, times: int = 2) -> None:
    """The first message of its kind announces, the next ones are stored."""
    for _ in range(times):
        await run.publish(topic, payload)
        await run.passed()
        run.intake.clock_ms += 1000


async def test_notifications_of_a_plug_are_read_with_their_own_time(mosquitto: Mosquitto) -> None:
    plug = "shellyplusplugs-a8032abe54dc"
    async with running(mosquitto, discovery="auto") as run:
        message = notice(
            plug,
            switch_0={"id": 0, "apower": 8.9, "aenergy": {"total": 6.532, "by_minute": [45.199]}},
            wifi={"rssi": -60},
        )
        await said(run, f"{plug}/events/rpc", message, 3)
        assert values(run, plug) == {"power": [8.9], "energy_import": [6.532]}
        assert list(run.intake.rows[f"{plug}.power"]) == [round(TS * 1000)]
        assert run.intake.infos[f"{plug}.energy_import"].behaviour is Behaviour.COUNTER
        await run.publish(f"{plug}/online", "true", retain=True)
        await run.until(lambda: run.intake.online == {plug: True})
        await run.publish(f"{plug}/online", "false", retain=True)
        await run.until(lambda: run.intake.online == {plug: False})
        device = run.intake.devices[plug]
        assert (device.maker, device.model, device.serial) == ("Shelly", "shellyplusplugs", "A8032ABE54DC")
        assert not run.intake.rejected


async def test_a_status_topic_is_read_until_notifications_say_the_same(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, discovery="auto") as run:
        status = {"id": 1, "apower": 100, "voltage": 230.5, "current": None, "pf": "x", "output": True}
        await said(run, "house/kitchen/status/switch:1", json.dumps(status))
        assert values(run, "house-kitchen-ch1") == {"power": [100.0], "voltage": [230.5]}
        await said(run, "house/kitchen/events/rpc", notice("shelly1", switch_1={"apower": 90}))
        await said(run, "house/kitchen/status/switch:1", json.dumps({**status, "apower": 90}))
        assert values(run, "house-kitchen-ch1") == {"power": [100.0, 90.0], "voltage": [230.5] * 3}


async def test_import_is_what_remains_of_both_directions(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, discovery="auto") as run:
        energy = {"aenergy": {"total": 1000.5}, "ret_aenergy": {"total": 400.25}}
        await said(run, "shellypmmini-1234567890ab/events/rpc", notice("x", pm1_0=energy))
        found = values(run, "shellypmmini-1234567890ab")
        assert found == {"energy_import": [600.25], "energy_export": [400.25]}


async def test_what_the_device_doubts_is_left_out_until_it_says_otherwise(mosquitto: Mosquitto) -> None:
    meter = "shellypro3em-aabbccddeeff"
    async with running(mosquitto, discovery="auto") as run:
        em = {"total_act_power": 500.0, "a_act_power": 300.0, "b_act_power": 200.0, "a_voltage": 231.0}
        await said(run, f"{meter}/status/em:0", json.dumps(em))
        await said(run, f"{meter}/status/em:0", json.dumps({**em, "a_errors": ["out_of_range:act_power"]}), 1)
        assert {key: len(rows) for key, rows in values(run, meter).items()} == {
            "power": 1, "power_l1": 1, "power_l2": 2, "voltage_l1": 2,
        }  # fmt: skip
        await said(run, f"{meter}/status/em:0", json.dumps(em), 1)
        assert {key: len(rows) for key, rows in values(run, meter).items()} == {
            "power": 2, "power_l1": 2, "power_l2": 3, "voltage_l1": 3,
        }  # fmt: skip


async def test_first_generation_counts_relays_in_watt_minutes_and_meters_in_watt_hours(
    mosquitto: Mosquitto,
) -> None:
    async with running(mosquitto, discovery="auto") as run:
        hello = {"id": "shellyem-B9F2A1", "model": "SHEM", "mac": "AABBCCB9F2A1", "fw_ver": "v1.14.0"}
        await run.publish("shellies/announce", json.dumps(hello))
        for topic, payload in (
            ("shellyem-B9F2A1/emeter/0/power", "-412.55"),
            ("shellyem-B9F2A1/emeter/0/total", "1234567.8"),
            ("shellyem-B9F2A1/emeter/1/total_returned", "12.5"),
            ("shellyem-B9F2A1/emeter/0/pf", "-0.87"),
            ("shellyem-B9F2A1/emeter/0/energy", "77"),
            ("shellyplug-s-DDEEFF/relay/0", "on"),
            ("shellyplug-s-DDEEFF/relay/0/power", "60.00"),
            ("shellyplug-s-DDEEFF/relay/0/energy", "2632"),
        ):
            await said(run, f"shellies/{topic}", payload)
        assert values(run, "shellyem-b9f2a1") == {
            "power": [-412.55], "energy_import": [1234567.8], "power_factor": [-0.87],
        }  # fmt: skip
        assert values(run, "shellyem-b9f2a1-ch1") == {"energy_export": [12.5]}
        assert values(run, "shellyplug-s-ddeeff") == {
            "power": [60.0],
            "energy": [pytest.approx(2632 / 60, abs=1e-6)],
        }
        assert run.intake.devices["shellyem-b9f2a1"].model == "SHEM"
        assert not run.intake.rejected


async def test_a_found_shelly_waits_in_the_inbox(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, MemoryIntake(discovery="inbox"), discovery="inbox") as run:
        plug = "shellyplus1pm-aabbccddeeff"
        await said(run, f"{plug}/events/rpc", notice(plug, switch_0={"apower": 5}))
        assert values(run, plug) == {}
        device, series, sample = run.intake.inbox[plug]
        assert device.maker == "Shelly"
        assert [one.key for one in series] == ["power"]
        assert sample.startswith(f"{plug}/events/rpc")
        run.intake.add(plug)
        await said(run, f"{plug}/events/rpc", notice(plug, switch_0={"apower": 6}), 1)
        assert values(run, plug) == {"power": [6.0]}


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("x/events/rpc", "no json"),
        ("x/events/rpc", "[1]"),
        ("x/events/rpc", '{"method": 1, "params": {}}'),
        ("x/status/switch:0", '{"apower": nan}'),
        ("shellies/x/relay/0/power", "nan"),
        ("shellies/x/relay/0/power", "1_000"),
        ("shellies/x/emeter/0/power", "9" * 400),
        ("shellies/announce", "{}"),
        ("shellies/announce", '{"id": 5}'),
    ],
)
async def test_what_no_shelly_sends_is_refused_with_a_code(
    mosquitto: Mosquitto, topic: str, payload: str
) -> None:
    async with running(mosquitto, discovery="auto") as run:
        await run.publish(topic, payload)
        await run.passed()
        assert [one.code for one in run.intake.rejected]
        assert set(run.intake.devices) == {"marker"}


async def test_other_topics_of_the_same_shape_are_left_alone(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, discovery="auto") as run:
        await run.publish("frigate/status/camera", "online")
        await run.publish("x/status/sys", "{}")
        await run.publish("x/status/input:0", '{"id": 0}')
        await run.publish("x/events/rpc", '{"method": "NotifyEvent", "params": {"events": []}}')
        await run.passed()
        assert not run.intake.rejected
        assert set(run.intake.devices) == {"marker"}


def test_no_more_devices_than_a_house_has() -> None:
    devices = ShellyDevices()
    for number in range(MAX_DEVICES):
        devices.hear(f"shellies/x{number}/relay/0/power", Message(b"1"))
    with pytest.raises(Unreadable) as refused:
        devices.hear("shellies/one-more/relay/0/power", Message(b"1"))
    assert refused.value.code == "WL-MQT-009"


@pytest.mark.parametrize("ts", [None, 12.0, "x", True, 1e300])
def test_a_clock_that_was_never_set_tells_no_time(ts: Any) -> None:
    assert notification_time(Message(json.dumps({"params": {"ts": ts}}).encode())) == NO_TIME


@pytest.mark.parametrize("name", ["Plus_1PM_SNSW", "Plus_Plug_S", "Pro_3EM", "Pro_3_SPSW", "BLU_Gateway"])
async def test_recorded_states_are_understood(mosquitto: Mosquitto, name: str) -> None:
    paths = sorted(FIXTURES.glob(f"gen2_*{name}*.json"))
    if not paths:
        pytest.skip("the recordings of Shelly devices are not here")
    status = json.loads(paths[0].read_text())["status"]
    async with running(mosquitto, discovery="auto") as run:
        for component, fields in status.items():
            await said(run, f"shellyx/status/{component}", json.dumps(fields))
        found = values(run, "shellyx")
        assert not run.intake.rejected
    if name == "Pro_3EM":
        assert found["power"] == [558.965]
        assert found["energy_import"] == [2589773.39]
        assert found["energy_export_l3"] == [985.91]
        assert "current_n" not in found
    elif name == "Plus_Plug_S":
        assert (found["power"], found["energy_import"]) == ([2.7], [7258.589])
