"""Texts that a database does not take must not stop the readings of others: NUL, surrogates, control characters."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.hub_process import HubProcess
from tests.contract.api.client import Api, eventually, now_ms
from tests.contract.api.conftest import begin, end
from tests.contract.api.test_mqtt import PUBLISH
from tests.peers.mosquitto import Mosquitto, require_mosquitto
from tests.peers.postgres import postgres_server, postgres_url  # noqa: F401

CONFIG = """\
hub: {{name: Contract, time_zone: Europe/Paris, currency: EUR}}
mqtt_broker: {{mode: "off"}}
discovery: {discovery}
storage: {{url: "{url}"}}
integrations:
  - mqtt:
      broker: mqtt://127.0.0.1:{port}
      topics: [{{topic: "meters/+/power", device: "{{1}}", series: power}}, {{topic: "known/+", values: known}}]
"""
NUL = "a\x00b\x1b[31m\u2028"
ENTITY = {
    "name": NUL, "uniq_id": "evil", "stat_t": "evil/state", "unit_of_meas": "\x00W", "stat_cla": "measurement",
    "dev": {"ids": ["evil"], "name": NUL, "mf": NUL, "mdl": NUL, "sw": NUL, "sn": NUL},
}  # fmt: skip


@pytest.fixture(params=["inbox", "auto"])
def discovery(request: pytest.FixtureRequest) -> str:
    """How found devices are treated."""
    return str(request.param)


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, discovery: str) -> Iterator[tuple[Api, Mosquitto]]:
    """A hub on either store, and its broker."""
    require_mosquitto()
    url = "sqlite:///hub.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker").start()
    process = HubProcess(tmp_path, CONFIG.format(url=url, port=broker.port, discovery=discovery))
    try:
        yield begin(process), broker
    finally:
        end(process)
        broker.stop()


def say(broker: Mosquitto, topic: str, payload: str) -> None:
    words = [PUBLISH or "mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", topic, "-s"]
    subprocess.run(words, input=payload.encode(), check=True, timeout=10)


def test_hostile_texts_stop_nobody(bench: tuple[Api, Mosquitto]) -> None:
    api, broker = bench
    devices = [
        {"ieee_address": "0x01", "friendly_name": "plug" + NUL[1:], "definition": {"vendor": NUL, "model": NUL,
         "exposes": [{"type": "numeric", "property": "power", "unit": "W", "access": 1}]}},
    ]  # fmt: skip
    say(broker, "homeassistant/sensor/evil/config", json.dumps(ENTITY))
    say(broker, "zigbee2mqtt/bridge/devices", json.dumps(devices))
    say(
        broker,
        "tasmota/discovery/AABBCCDDEEFF/config",
        json.dumps({"dn": NUL, "t": "x", "sw": NUL, "md": NUL}),
    )
    say(broker, "tasmota/discovery/AABBCCDDEEFF/sensors", json.dumps({"sn": {"ENERGY": {"Power": 1}}}))
    say(broker, "shellies/announce", json.dumps({"id": "x", "model": NUL, "mac": NUL}))
    say(broker, "shellies/x/relay/0/power", "1")
    say(broker, "evil/state", "5")
    say(broker, "meters/a/power", "\x00")
    say(broker, "meters/a/power", json.dumps({"power": "\x00"}))
    say(broker, "known/a", json.dumps({"power": NUL, "voltage\x00": 5, "\x00": NUL}))
    evil = [
        {"device": NUL, "values": {"power": 1}},
        {"device": "b", "values": {NUL: 1}},
        {"device": "b", "values": {"x": 1}, "units": {"x": NUL}},
        {"device": "b", "values": {"x": 1}, "kinds": {"x": NUL}},
        {"device": "b", "values": {"power": NUL}},
        {"device": "b", "values": {"power": 1}, "name": NUL},
        {"device": "b", "values": {"power": 1}, "id": NUL},
        {"device": "b", "values": {"power": 1}, "ts": NUL},
        {"device": "b", "values": {"power": 1}, NUL: 1},
    ]
    assert api.send(evil).status == 422
    line = b"grid\x00,host=a\x00 power\x00=1\x00 \x00\ngrid,host=a power=\x00\nok,host=a power=1\n"
    assert api.ask("POST", "/write?db=x", line).status == 400
    assert api.ask("POST", "/emoncms/input/post?node=a%00b&fulljson=%7B%22a%00%22%3A1%7D").status == 200
    assert api.ask("POST", "/api/v1/devices", data={"id": "c", "name": NUL}).status == 422
    assert api.ask("POST", "/api/v1/devices", data={"id": "d", "name": "d", "maker": NUL}).status == 422
    api.stored("good", now_ms(), power=1)
    assert api.ask("PATCH", "/api/v1/devices/good", data={"name": NUL}).status == 422
    assert api.ask("PATCH", "/api/v1/devices/good", data={"area": NUL}).status == 422
    say(broker, "meters/good/power", "7")
    eventually(lambda: (api.latest("good.power") or {}).get("value") == 7.0, 15.0)
    shown = [
        api.get(path, limit=1000)["items"] for path in ("quarantine", "devices", "devices/inbox", "series")
    ]
    shown[0] = [{name: value for name, value in one.items() if name != "payload"} for one in shown[0]]
    assert "\\u0000" not in json.dumps(shown)
