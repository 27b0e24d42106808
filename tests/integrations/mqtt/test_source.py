"""The source against a real mosquitto: acknowledged means stored, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiomqtt
import pytest
from amqtt.broker import Broker

from hub.errors import QueueFull
from hub.plugins.api import BrokerAddress, CannotConnect, InvalidAuth
from hub.plugins.testing import MemoryIntake
from integrations.mqtt.source import connect
from tests.integrations.mqtt.running import publisher, running, subscribed
from tests.peers.mosquitto import Mosquitto
from tests.peers.ports import free_port

METERS = [{"topic": "meters/+/power", "device": "{1}", "series": "power", "unit": "W"}]
METERS_JSON = [{**METERS[0], "value": "{{ json.power }}"}]
HUB = "wattline-test-entry"


def pubacks(broker: Mosquitto) -> int:
    return broker.log.count(f"Received PUBACK from {HUB}")


async def test_configured_topics_become_devices_and_readings(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, topics=METERS_JSON) as run:
        await run.publish("meters/Main Meter/power", '{"power": 1234.5}')
        assert await run.value("main-meter.power") == 1234.5
        assert run.intake.devices["main-meter"].name == "Main Meter"


async def test_several_values_of_one_message_with_units_and_device_time(mosquitto: Mosquitto) -> None:
    topic = {
        "topic": "grid",
        "device": "main-meter",
        "role": "grid",
        "ts": "{{ json.time }}",
        "values": {"power": "{{ json.p / 10 }}", "energy_import": {"value": "{{ json.e }}", "unit": "kWh"}},
    }
    async with running(mosquitto, topics=[topic]) as run:
        await run.publish("grid", json.dumps({"p": 50, "e": 12.5, "time": "2026-01-02T03:04:05+01:00"}))
        assert await run.value("main-meter.power") == 5.0
        assert run.intake.rows["main-meter.energy_import"] == {1_767_319_445_000: 12_500.0}


async def test_all_known_members_of_an_object_are_taken(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, topics=[{"topic": "s/+", "device": "{1}", "values": "known"}]) as run:
        await run.publish("s/a", '{"power": 5, "voltage_l1": 230, "uptime": 7, "ts": 1764000000}')
        await run.publish("s/a", '{"energy_import": 1.5, "ts": 1764000001}')
        assert await run.value("a.energy_import") == 1500.0
        assert {name: list(rows) for name, rows in run.intake.rows.items()} == {
            "a.power": [1_764_000_000_000],
            "a.voltage_l1": [1_764_000_000_000],
            "a.energy_import": [1_764_000_001_000],
        }


async def test_no_puback_leaves_before_the_commit(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, topics=METERS) as run:
        run.intake.gate.clear()
        for value in range(5):
            await run.publish("meters/a/power", str(value))
        await run.until(lambda: mosquitto.log.count(f"Sending PUBLISH to {HUB}") == 5)
        assert pubacks(mosquitto) == 0
        run.intake.gate.set()
        await run.until(lambda: pubacks(mosquitto) == 5)
        assert list(run.intake.rows["a.power"].values()) == [0, 1, 2, 3, 4]


async def test_a_message_redelivered_after_a_lost_connection_is_stored_once(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, topics=METERS) as run:
        run.intake.gate.clear()
        for value in range(50):
            await run.publish("meters/a/power", str(value))
        await run.until(lambda: mosquitto.log.count(f"Sending PUBLISH to {HUB}") == 50)
        await take_over(mosquitto)
        await run.until(lambda: mosquitto.log.count(f"Sending CONNACK to {HUB}") == 3)
        await run.until(lambda: mosquitto.log.rpartition("Sending CONNACK")[2].count("Sending PUBLISH") == 50)
        assert pubacks(mosquitto) == 0
        run.intake.gate.set()
        await run.until(lambda: pubacks(mosquitto) >= 50)
        assert list(run.intake.rows["a.power"].values()) == list(range(50))


async def take_over(broker: Mosquitto) -> None:
    """Throw the source out, as a second client with its id does that reads nothing; the session stays."""
    name = HUB.encode()
    body = b"\x00\x04MQTT\x04\x00\x00\x3c" + len(name).to_bytes(2, "big") + name
    reader, writer = await asyncio.open_connection(broker.host, broker.port)
    writer.write(b"\x10" + bytes([len(body)]) + body)
    assert (await reader.readexactly(4))[:2] == b"\x20\x02"
    writer.close()


async def test_what_waited_for_the_store_survives_a_restart_of_the_broker(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, topics=METERS) as run:
        run.intake.gate.clear()
        for value in range(20):
            await run.publish("meters/a/power", str(value))
        await run.until(lambda: mosquitto.log.count(f"Sending PUBLISH to {HUB}") == 20)
        mosquitto.stop()
        mosquitto.start()
        run.intake.gate.set()
        await run.until(lambda: mosquitto.log.count(f"Sending CONNACK to {HUB}") == 2)
        await run.until(lambda: subscribed(mosquitto, run) and pubacks(mosquitto) >= 20)
        await run.passed()
        assert list(run.intake.rows["a.power"].values()) == list(range(20))


async def test_a_broker_that_forgot_the_session_loses_nothing_that_was_delivered(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, extra="persistence false").start()
    try:
        async with running(broker, topics=METERS) as run:
            run.intake.gate.clear()
            for value in range(20):
                await run.publish("meters/a/power", str(value))
            await run.until(lambda: broker.log.count(f"Sending PUBLISH to {HUB}") == 20)
            await run.until(lambda: run.source.received == 20)
            broker.kill()
            broker.start()
            await run.until(lambda: broker.log.count(f"Sending CONNACK to {HUB}") == 2)
            await run.until(lambda: subscribed(broker, run))
            run.intake.gate.set()
            await run.passed()
            assert list(run.intake.rows["a.power"].values()) == list(range(20))
    finally:
        broker.stop()


async def test_messages_sent_while_the_hub_was_away_come_in_order(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, topics=METERS):
        pass
    async with publisher(mosquitto) as client:
        await asyncio.gather(*(client.publish("meters/a/power", str(i), qos=1) for i in range(3000)))
    async with running(mosquitto, topics=METERS) as run:
        await run.until(lambda: len(run.intake.rows.get("a.power", {})) == 3000)
        assert list(run.intake.rows["a.power"].values()) == list(range(3000))


async def test_what_was_acknowledged_does_not_come_again_after_a_restart_of_the_hub(
    mosquitto: Mosquitto,
) -> None:
    async with running(mosquitto, topics=METERS) as run:
        await run.publish("meters/a/power", "1")
        await run.until(lambda: pubacks(mosquitto) == 1)
    async with running(mosquitto, topics=METERS) as run:
        await run.passed()
        assert "a.power" not in run.intake.rows


async def test_stopping_the_hub_finishes_what_is_in_hand(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.mqtt.source._FINISH_S", 30.0)
    intake = MemoryIntake()
    async with running(mosquitto, intake, topics=METERS) as run:
        intake.gate.clear()
        await run.publish("meters/a/power", "7")
        await run.until(lambda: "a.power" in intake.infos)
        asyncio.get_running_loop().call_later(0.05, intake.gate.set)
    assert list(intake.rows["a.power"].values()) == [7]
    async with running(mosquitto, intake, topics=METERS) as run:
        await run.passed()
    assert list(intake.rows["a.power"].values()) == [7]
    assert pubacks(mosquitto) >= 1


async def test_while_the_store_says_later_nothing_is_acknowledged_and_nothing_lost(
    mosquitto: Mosquitto,
) -> None:
    intake = MemoryIntake(failure=QueueFull("WL-ING-050", "full"))
    async with running(mosquitto, intake, topics=METERS) as run:
        async with publisher(mosquitto) as client:
            await asyncio.gather(*(client.publish("meters/a/power", str(i), qos=1) for i in range(1500)))
        await run.until(lambda: mosquitto.log.count(f"Sending PUBLISH to {HUB}") == 1000)
        assert pubacks(mosquitto) == 0
        intake.failure = None
        await run.until(lambda: len(intake.rows.get("a.power", {})) == 1500)
        assert list(intake.rows["a.power"].values()) == list(range(1500))


async def test_a_congested_hub_is_left_in_peace(mosquitto: Mosquitto) -> None:
    intake = MemoryIntake(congested=True)
    async with running(mosquitto, intake, topics=METERS) as run:
        await run.publish("meters/a/power", "1")
        await run.until(lambda: mosquitto.log.count(f"Sending PUBLISH to {HUB}") == 1)
        assert pubacks(mosquitto) == 0
        intake.congested = False
        assert await run.value("a.power") == 1


async def test_a_flood_of_poison_does_not_close_the_window(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, topics=METERS) as run:
        async with publisher(mosquitto) as client:
            await asyncio.gather(*(client.publish("meters/a/power", f"x{i}", qos=1) for i in range(2500)))
        await run.publish("meters/a/power", "5")
        assert await run.value("a.power") == 5
        assert len(run.intake.rejected) == 2500
        assert {rejection.code for rejection in run.intake.rejected} == {"WL-MQT-002"}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"nan", "WL-MQT-002"),
        (b"-Infinity", "WL-MQT-002"),
        (b"1_000", "WL-MQT-002"),
        (b"0x10", "WL-MQT-002"),
        (b"1,5", "WL-MQT-002"),
        ("１２".encode(), "WL-MQT-002"),
        (b"true", "WL-MQT-002"),
        (b"\xff\xfe", "WL-MQT-001"),
        (b"1e308", "WL-ING-040"),
        (b"9" * 90, "WL-ING-040"),
        (b"{", "WL-MQT-003"),
        (b'{"power": true}', "WL-MQT-004"),
        (b'{"power": [1]}', "WL-MQT-004"),
        (b'{"other": 1}', "WL-MQT-005"),
        (b"1" * 70_000, "WL-MQT-006"),
        (b'{"power": 1, "power": 2}', "WL-ING-005"),
        (b'{"power": 1, "p\\u006fwer": 2}', "WL-ING-005"),
        (b'{"power": 1, "a": {"b": 1, "b": 1}}', "WL-ING-005"),
    ],
)
async def test_each_refusal_has_a_code_a_text_and_a_place(
    mosquitto: Mosquitto, payload: bytes, code: str
) -> None:
    async with running(mosquitto, topics=METERS) as run:
        await run.publish("meters/a/power", payload)
        await run.passed()
        (rejection,) = run.intake.rejected
        assert rejection.code == code
        assert rejection.text.startswith("meters/a/power: ")
        assert rejection.field
        assert "a.power" not in run.intake.rows


@pytest.mark.parametrize("bad", ["NaN", "-Infinity", "1e999", "9" * 400, "1e308", "true", '"1_000"'])
async def test_the_good_values_beside_a_bad_one_are_stored(mosquitto: Mosquitto, bad: str) -> None:
    topic = {
        "topic": "meters/+/all",
        "device": "{1}",
        "values": {"power": "{{ json.p }}", "voltage": "{{ json.v }}"},
    }
    known = {"topic": "sensors/+", "device": "{1}", "values": "known"}
    async with running(mosquitto, topics=[topic, known]) as run:
        await run.publish("meters/a/all", f'{{"p": {bad}, "v": 230}}')
        await run.publish("sensors/b", f'{{"voltage": 231, "power": {bad}, "power_l1": 5}}')
        await run.passed()
        stored = {name: list(rows.values()) for name, rows in run.intake.rows.items() if "marker" not in name}
        assert stored == {"a.voltage": [230.0], "b.voltage": [231.0], "b.power_l1": [5.0]}
        assert [one.field for one in run.intake.rejected][:1] == ["power"]


async def test_a_retained_value_is_shown_as_old_and_not_stored(mosquitto: Mosquitto) -> None:
    async with publisher(mosquitto) as client:
        await client.publish("meters/a/power", "17", qos=1, retain=True)
        await client.publish("meters/b/power", '{"power": 18, "ts": 1764000000}', qos=1, retain=True)
    async with running(mosquitto, topics=METERS) as run:
        await run.until(lambda: "a.power" in run.intake.stale)
        assert run.intake.stale == {"a.power": 17.0}
        assert await run.value("b.power") == 18.0
        assert "a.power" not in run.intake.rows


async def test_an_amount_of_energy_without_a_device_time_is_refused(mosquitto: Mosquitto) -> None:
    topic = {"topic": "d", "device": "d", "series": "energy", "kind": "delta", "unit": "Wh"}
    async with running(mosquitto, topics=[topic]) as run:
        await run.publish("d", "5")
        await run.publish("d", '{"energy": 6, "ts": 1764000000}')
        assert await run.value("d.energy") == 6.0
        assert [rejection.code for rejection in run.intake.rejected] == ["WL-MQT-007"]


async def test_qos_0_beyond_the_limit_is_dropped_and_said_once(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.mqtt.inflow.QOS0_LIMIT", 100)
    intake = MemoryIntake(congested=True)
    async with running(mosquitto, intake, topics=METERS) as run:
        async with publisher(mosquitto) as client:
            for value in range(1000):
                await client.publish("meters/a/power", str(value), qos=0)
        await run.until(lambda: mosquitto.log.count(f"Sending PUBLISH to {HUB}") == 1000)
        await run.until(lambda: intake.rejected)
        intake.congested = False
        await run.passed()
        stored = list(intake.rows["a.power"].values())
        assert stored == list(range(len(stored)))
        assert 0 < len(stored) < 1000
        assert [rejection.code for rejection in intake.rejected] == ["WL-MQT-016"]


async def test_a_device_name_without_letters_is_refused_and_the_rest_goes_on(mosquitto: Mosquitto) -> None:
    async with running(mosquitto, topics=METERS) as run:
        await run.publish("meters/.../power", "1")
        await run.publish("meters/ok/power", "2")
        assert await run.value("ok.power") == 2
        assert [rejection.code for rejection in run.intake.rejected] == ["WL-ING-010"]


async def test_a_topic_of_two_overlapping_filters_comes_once(mosquitto: Mosquitto) -> None:
    wide = {"topic": "meters/#", "device": "wide", "series": "power"}
    async with running(mosquitto, topics=[*METERS, wide]) as run:
        await run.publish("meters/a/power", "3")
        assert await run.value("wide.power") == 3
        assert len(run.intake.rows["a.power"]) == len(run.intake.rows["wide.power"]) == 1


async def test_nobody_at_the_address_is_to_be_retried(tmp_path: Path) -> None:
    with pytest.raises(CannotConnect) as raised:
        async with connect({"broker": f"127.0.0.1:{free_port()}"}):
            pass
    assert raised.value.code == "WL-MQT-011"


async def test_wrong_credentials_wait_for_a_person(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    broker = Mosquitto(tmp_path, extra=f"allow_anonymous false\npassword_file {passwords}").start()
    try:
        with pytest.raises(InvalidAuth) as raised:
            async with connect({"broker": broker.url, "username": "hub", "password": "s3cret"}):
                pass
        assert raised.value.code == "WL-MQT-020"
        assert "s3cret" not in str(raised.value)
    finally:
        broker.stop()


async def test_a_broker_of_mqtt_3_keeps_a_persistent_session_too(mosquitto: Mosquitto) -> None:
    intake = MemoryIntake(broker=BrokerAddress("127.0.0.1", mosquitto.port, mqtt5=False))
    async with running(mosquitto, intake, embedded=True, topics=METERS) as run:
        await run.publish("meters/a/power", "4")
        assert await run.value("a.power") == 4
        assert f"as {HUB} (p2, c0" in mosquitto.log


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
async def test_a_broker_that_refuses_mqtt_5_gets_mqtt_3(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    intake = MemoryIntake()
    try:
        async with connect({"broker": f"127.0.0.1:{port}", "discovery": "off", "topics": METERS}) as source:
            task = asyncio.create_task(source.run(intake))
            async with aiomqtt.Client("127.0.0.1", port) as client, asyncio.timeout(30):
                while not intake.rows:
                    await client.publish("meters/a/power", "4", qos=1)
            task.cancel()
            await asyncio.wait([task])
    finally:
        await broker.shutdown()
    assert intake.rows["a.power"]
    assert sum("does not speak MQTT 5" in record.message for record in caplog.records) == 1


async def test_the_birth_is_announced_and_no_will_is_left(mosquitto: Mosquitto) -> None:
    async with publisher(mosquitto) as client:
        await client.subscribe("homeassistant/status")
        async with running(mosquitto, discovery="inbox"):
            async with asyncio.timeout(30):
                assert (await anext(client.messages)).payload == b"online"
    assert mosquitto.log.count("No will message specified") == mosquitto.log.count("Sending CONNACK")
