"""Hostile bodies over the real paths: nothing breaks, nothing of a reject is stored, the hub stays quick."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.chaos import store
from tests.chaos.deadline import on_this_machine, until
from tests.chaos.hub_process import HubProcess, quiet_config
from tests.peers.mosquitto import Mosquitto, require_mosquitto

QUICK_S = 2.0
"""For one answer on a machine that runs other tests as well."""

_DEEP = "[" * 100_000 + "]" * 100_000
REFUSED_JSON: dict[str, bytes] = {
    "nothing": b"",
    "spaces": b" \n ",
    "no JSON": b"power=12",
    "half": b'{"device":"evil","values":{"power":1',
    "NaN": b'{"device":"evil","values":{"power":NaN}}',
    "infinity": b'{"device":"evil","values":{"power":Infinity}}',
    "minus infinity": b'{"device":"evil","values":{"power":-Infinity}}',
    "too large": b'{"device":"evil","values":{"power":1e308}}',
    "beyond floats": b'{"device":"evil","values":{"power":1e999}}',
    "400 digits": b'{"device":"evil","values":{"power":' + b"9" * 400 + b"}}",
    "digits and underscores": b'{"device":"evil","values":{"power":1_000}}',
    "text": b'{"device":"evil","values":{"power":"lots"}}',
    "text with underscore": b'{"device":"evil","values":{"power":"1_000"}}',
    "boolean list": b'{"device":"evil","values":{"power":[true]}}',
    "object": b'{"device":"evil","values":{"power":{"__proto__":1}}}',
    "null": b'{"device":"evil","values":{"power":null}}',
    "deep lists": _DEEP.encode(),
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep value": b'{"device":"evil","values":{"power":' + _DEEP.encode() + b"}}",
    "invalid UTF-8": b'{"device":"ev\xff\xfeil","values":{"power":1}}',
    "lone surrogate": b'{"device":"\\ud800","values":{"power":1}}',
    "only a mark": b"\xef\xbb\xbf",
    "NUL": b'{"device":"evil\x00","values":{"power":1}}',
    "UTF-16": '{"device":"evil","values":{"power":1}}'.encode("utf-16"),
    "list of lists": b"[[[]]]",
    "numbers": b"[1,2,3]",
    "no values": b'{"device":"evil"}',
    "values is a list": b'{"device":"evil","values":[1]}',
    "no device": b'{"values":{"power":1}}',
    "device is a number": b'{"device":7,"values":{"power":1}}',
    "device of dots": b'{"device":"../..","values":{"power":1}}',
    "naive time": b'{"device":"evil","ts":"2026-11-22T10:00:00","values":{"power":1}}',
    "time is text": b'{"device":"evil","ts":"yesterday","values":{"power":1}}',
    "time is negative": b'{"device":"evil","ts":-5,"values":{"power":1}}',
    "time is 1970": b'{"device":"evil","ts":1,"values":{"power":1}}',
    "time is the year 33658": b'{"device":"evil","ts":999999999999999,"values":{"power":1}}',
    "time is endless": b'{"device":"evil","ts":1e400,"values":{"power":1}}',
    "time has 400 digits": b'{"device":"evil","ts":' + b"1" * 400 + b',"values":{"power":1}}',
    "time is an object": b'{"device":"evil","ts":{},"values":{"power":1}}',
    "unit that does not fit": b'{"device":"evil","values":{"power":1},"units":{"power":"kg"}}',
    "unit is a number": b'{"device":"evil","values":{"power":1},"units":{"power":5}}',
    "kind unknown": b'{"device":"evil","values":{"x":1},"kinds":{"x":"banana"}}',
    "delta without time": b'{"device":"evil","values":{"x":1},"kinds":{"x":"delta"},"units":{"x":"kWh"}}',
}
REFUSED_LINES: dict[str, bytes] = {
    "no field": b"evil",
    "no value": b"evil power=",
    "NaN": b"evil power=NaN",
    "infinity": b"evil power=+Inf",
    "too large": b"evil power=1e308",
    "underscores": b"evil power=1_000",
    "400 digits": b"evil power=" + b"9" * 400,
    "time is text": b"evil power=1 now",
    "time is too long": b"evil power=1 " + b"9" * 60,
    "invalid UTF-8": b"ev\xffil power=1",
    "NUL": b"ev\x00il power=1",
    "deep escapes": b"evil," + b"\\,=" * 5_000 + b" power=1",
}


@pytest_asyncio.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubProcess]:
    """A hub that has one good reading."""
    made = HubProcess(tmp_path, quiet_config())
    try:
        await made.start()
        assert (await made.ingest({"device": "good", "values": {"power": 1}})).status == 204
        yield made
    finally:
        await made.close()


async def assert_well(hub: HubProcess) -> None:
    """Alive, ready, quick, sound, without a crash in the log, and with the good reading alone."""
    began_s = time.monotonic()
    assert (await hub.ask("GET", "/readyz", login=False)).status == 200
    assert (await hub.ingest({"device": "good", "values": {"power": 2}})).status == 204
    assert time.monotonic() - began_s < on_this_machine(QUICK_S)
    rows = await asyncio.to_thread(store.stored_rows, hub.database_path)
    assert {name: [value for _, value in found] for name, found in rows.items() if found} == {
        "good.power": [1.0, 2.0]
    }
    assert "Traceback" not in hub.log


async def test_hostile_json_is_refused_with_a_stable_code(hub: HubProcess) -> None:
    answers = {}
    for name, body in REFUSED_JSON.items():
        began_s = time.monotonic()
        reply = await hub.ask("POST", "/api/v1/ingest", data=body)
        took_s = time.monotonic() - began_s
        codes = reply.body.count(b'"code":"WL-')
        answers[name] = (reply.status, bool(codes), took_s < on_this_machine(QUICK_S))
    strange = {
        name: a for name, a in answers.items() if a[0] not in (207, 400, 413, 422) or not a[1] or not a[2]
    }
    assert strange == {}
    await assert_well(hub)


async def test_hostile_lines_are_refused_as_influx_clients_expect(hub: HubProcess) -> None:
    answers = {}
    for name, body in REFUSED_LINES.items():
        reply = await hub.ask("POST", "/write?db=x", data=body)
        answers[name] = (reply.status, b'"error"' in reply.body)
    assert {name: a for name, a in answers.items() if a[0] not in (400, 413, 422) or not a[1]} == {}
    await assert_well(hub)


async def test_what_is_only_odd_is_stored_once_and_exactly(hub: HubProcess) -> None:
    odd = [
        b'\xef\xbb\xbf{"device":"odd","ts":1795000000000,"values":{"power":5}}',
        b'{"device":"odd","ts":1795000001000,"values":{"power":1,"power":6}}',
        json.dumps(
            {"device": "odd", "ts": 1_795_000_002_000, "values": {"x" * 5000: 1, "power": 7}}
        ).encode(),
        json.dumps({"device": "d" * 100_000, "values": {"power": 1}}).encode(),
    ]
    for body in odd:
        reply = await hub.ask("POST", "/api/v1/ingest", data=body)
        assert reply.status in (204, 207, 400, 422), (reply.status, reply.body[:200])
    assert (await hub.ask("GET", "/readyz", login=False)).status == 200
    assert "Traceback" not in hub.log


async def test_compressed_bombs_and_wrong_lengths_do_no_harm(hub: HubProcess) -> None:
    bomb = gzip.compress(b" " * 200_000_000, 9)
    for path in ("/api/v1/ingest", "/write?db=x"):
        reply = await hub.ask("POST", path, data=bomb, headers={"Content-Encoding": "gzip"})
        assert reply.status == 413, (path, reply.status)
        reply = await hub.ask("POST", path, data=b"\x1f\x8bnot gzip", headers={"Content-Encoding": "gzip"})
        assert reply.status == 400, (path, reply.status)
    for head in (
        b"Content-Length: 999999\r\n\r\n{}",
        b"Content-Length: -1\r\n\r\n{}",
        b"Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n{}",
    ):
        await _raw(
            hub,
            b"POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
            + hub.token.encode()
            + b"\r\n"
            + head,
        )
    await assert_well(hub)


async def _raw(hub: HubProcess, request: bytes) -> None:
    """Send bytes, and hang up as soon as an answer comes or after a moment."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(request)
    try:
        async with asyncio.timeout(0.5):
            assert not (await reader.read(65536)).startswith(b"HTTP/1.1 5")
    except TimeoutError:
        pass
    finally:
        writer.close()


async def test_hostile_mqtt_messages_are_acknowledged_and_not_stored(tmp_path: Path) -> None:
    require_mosquitto()
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker").start()
    topics = "{topic: 'h/+/power', device: '{1}', series: power, unit: W}"
    entry = f"mqtt: {{broker: '{broker.url}', client_id: hub, discovery: inbox, topics: [{topics}]}}"
    hub = HubProcess(tmp_path, quiet_config(entry))
    client = paho.Client(CallbackAPIVersion.VERSION2, "evil")
    client.max_inflight_messages_set(100)
    try:
        await hub.start()

        async def subscribed() -> bool:
            return "hub 1 h/+/power" in broker.log

        await until(subscribed, 20, "the hub has subscribed")
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        payloads = [
            b"",
            b"nan",
            b"inf",
            b"1e308",
            b"9" * 400,
            b"1_000",
            b"\xff\xfe\x00",
            b"\xef\xbb\xbf",
            b"{",
            b"null",
        ]
        payloads += [
            _DEEP.encode()[:60_000],
            b'{"value":' * 9000,
            b'{"power":"x"}',
            b"x" * 200_000,
            b"on",
            b"--1",
            b"0x10",
        ]
        for number, payload in enumerate(payloads):
            client.publish("h/evil/power", payload, qos=1)
            client.publish(f"homeassistant/sensor/evil{number}/config", payload, qos=1)
            client.publish(
                f"homeassistant/sensor/a/{number}/config", b'{"name":' + payload[:30_000] + b"}", qos=1
            )
        for topic in (
            "h//power",
            "h/../power",
            "h/%00/power",
            "h/" + "x" * 5000 + "/power",
            "h/\u202eevil/power",
        ):
            client.publish(topic, b"NaN", qos=1)
        client.publish("h/good/power", b"1", qos=1).wait_for_publish(10)

        async def came() -> bool:
            rows = await asyncio.to_thread(store.stored_rows, hub.database_path)
            return "good.power" in rows and len(rows["good.power"]) == 1

        await until(came, 20, "the good message behind the bad ones is stored", step_s=0.1)
        assert (await hub.ingest({"device": "good", "values": {"power": 2}})).status == 204
        await assert_alone(hub)
        held = (await hub.get("/api/v1/quarantine"))["items"]
        assert {item["code"][:7] for item in held} <= {"WL-MQT-", "WL-ING-"}
        assert len(held) >= len(payloads)
    finally:
        client.disconnect()
        client.loop_stop()
        await hub.close()
        broker.stop()


async def assert_alone(hub: HubProcess) -> None:
    """Only the device that sent numbers has readings."""
    rows = await asyncio.to_thread(store.stored_rows, hub.database_path)
    assert {name for name, found in rows.items() if found} == {"good.power"}
    assert "Traceback" not in hub.log
