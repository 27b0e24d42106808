"""Connections that are unusual: encrypted, taken over, silent, and a broker that stays away."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from hub.plugins.api import CannotConnect, InvalidAuth
from hub.plugins.testing import MemoryIntake
from integrations.mqtt import source as source_module
from integrations.mqtt.connection import open_link
from integrations.mqtt.dial import Target
from integrations.mqtt.source import connect
from tests.integrations.mqtt.running import Running, publisher, running
from tests.peers.mosquitto import Mosquitto
from tests.peers.ports import free_port

POWER = [{"topic": "meters/+/power", "device": "{1}", "series": "power"}]


def certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        [program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


async def test_readings_come_over_tls_in_bulk(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    tls_port = free_port()
    broker = Mosquitto(
        tmp_path, extra=f"listener {tls_port} 127.0.0.1\ncertfile {cert}\nkeyfile {key}\n"
    ).start()
    try:
        options = {"broker": f"mqtts://localhost:{tls_port}", "tls": {"ca": str(cert)}, "discovery": "off"}
        async with connect({**options, "topics": POWER}) as source:
            intake = MemoryIntake()
            task = asyncio.create_task(source.run(intake))
            run = Running(broker, intake, source, task)
            await run.until(lambda: "Sending SUBACK to wattline-test-entry" in broker.log)
            async with publisher(broker) as client:
                await asyncio.gather(
                    *(
                        client.publish("meters/a/power", f"{value}.0" + " " * 900, qos=1)
                        for value in range(1500)
                    )
                )
            await run.until(lambda: len(intake.rows.get("a.power", {})) == 1500)
            assert list(intake.rows["a.power"].values()) == list(range(1500))
            task.cancel()
            await asyncio.wait([task])
    finally:
        broker.stop()


async def test_a_certificate_nobody_vouches_for_is_said_to_be_one(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    tls_port = free_port()
    broker = Mosquitto(
        tmp_path, extra=f"listener {tls_port} 127.0.0.1\ncertfile {cert}\nkeyfile {key}\n"
    ).start()
    try:
        with pytest.raises(CannotConnect) as raised:
            async with connect({"broker": f"mqtts://localhost:{tls_port}"}):
                pass
        assert raised.value.code == "WL-MQT-021"
    finally:
        broker.stop()


async def test_a_ca_file_that_is_not_there_waits_for_a_person() -> None:
    with pytest.raises(InvalidAuth) as raised:
        async with connect({"broker": "mqtts://127.0.0.1:1", "tls": {"ca": "/nowhere/ca.pem"}}):
            pass
    assert raised.value.code == "WL-MQT-021"


async def test_a_second_client_with_our_id_is_named_as_the_cause() -> None:
    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Accepts, then says what MQTT 5 brokers say to a client whose session another one takes over."""
        await reader.read(1000)
        writer.write(b"\x20\x03\x00\x00\x00" + b"\xe0\x02\x8e\x00")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    async with server:
        target = Target("127.0.0.1", server.sockets[0].getsockname()[1], "the-same")
        async with open_link(target, lambda: None) as link:
            with pytest.raises(CannotConnect) as raised:
                await link.lost()
    assert raised.value.code == "WL-MQT-012"
    assert "client_id" in raised.value.hint


async def test_something_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.mqtt.connection.CONNECT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(CannotConnect) as raised:
        async with connect({"broker": f"127.0.0.1:{silent.getsockname()[1]}"}):
            pass
    assert raised.value.code == "WL-MQT-011"


async def test_an_outage_is_logged_once_and_the_devices_are_offline_meanwhile(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(source_module, "_AWAY_S", 0.1)
    caplog.set_level(logging.INFO)
    async with running(mosquitto, topics=POWER) as run:
        await run.publish("meters/a/power", "1")
        assert await run.value("a.power") == 1
        mosquitto.stop()
        await run.until(lambda: run.intake.online.get("a") is False)
        mosquitto.start()
        await run.until(lambda: run.intake.online.get("a") is True)
        await run.publish("meters/a/power", "2")
        assert await run.value("a.power", 2) == 2
    ours = [record.message for record in caplog.records if record.name.startswith("integrations.mqtt")]
    assert len(ours) == 2
    assert "lost" in ours[0]
    assert "again" in ours[1]


async def test_a_broker_that_stays_away_is_left_to_the_hub(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "PATIENCE_S", 0.2)
    async with connect({"broker": mosquitto.url}) as source:
        task = asyncio.create_task(source.run(MemoryIntake()))
        await Running(mosquitto, MemoryIntake(), source, task).until(lambda: "SUBACK" in mosquitto.log)
        mosquitto.stop()
        await asyncio.wait([task], timeout=15)
        assert isinstance(task.exception(), CannotConnect)


async def test_a_hub_without_a_broker_of_its_own_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "OWN_BROKER_S", 0.2)
    async with connect({}) as source:
        with pytest.raises(InvalidAuth) as raised:
            await source.run(MemoryIntake())
    assert raised.value.code == "WL-MQT-010"
