"""Devices on a real broker, published with ``mosquitto_pub``: topics, discovery, inbox, retained values, wills."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.hub_process import HubProcess
from tests.contract.api.client import Api, eventually, now_ms
from tests.contract.api.conftest import begin, end
from tests.peers.mosquitto import Mosquitto, require_mosquitto

FIXTURES = Path(__file__).parents[4] / "shared" / "fixtures"
PUBLISH = shutil.which("mosquitto_pub")

CONFIG = """\
hub: {{name: Contract, time_zone: Europe/Paris, currency: EUR}}
mqtt_broker: {{mode: "off"}}
discovery: {discovery}
integrations:
  - mqtt:
      broker: mqtt://127.0.0.1:{port}
      topics:
        - {{topic: "meters/+/power", device: "{{1}}", series: power, unit: W, value: "{{{{ json.power }}}}"}}
        - {{topic: "plain/+/+", device: "{{1}}", series: "{{2}}"}}
        - {{topic: "kilo/+", device: "kilo-{{1}}", series: power, unit: kW}}
        - {{topic: "known/+", device: "{{1}}", values: known}}
        - topic: several/+
          device: "{{1}}"
          ts: "{{{{ json.time }}}}"
          values:
            power: "{{{{ json.p | float * 1000 }}}}"
            energy_import: {{value: "{{{{ json.e }}}}", unit: kWh}}
        - {{topic: "pulse/+", device: "{{1}}", series: flow, unit: Wh, kind: delta, value: "{{{{ json.flow }}}}"}}
"""


class Bench:
    """A hub, its broker, and a way to publish on it."""

    def __init__(self, api: Api, broker: Mosquitto, hub: HubProcess) -> None:
        self.api, self.broker, self.hub = api, broker, hub

    def say(self, topic: str, payload: Any, *, retain: bool = False, qos: int = 1) -> None:
        """Publish one message; anything but text is sent as JSON."""
        text = payload if isinstance(payload, str) else json.dumps(payload)
        words = [PUBLISH or "mosquitto_pub", "-p", str(self.broker.port), "-q", str(qos), "-t", topic]
        words += ["-n"] if text == "" else ["-m", text]
        subprocess.run([*words, *(["-r"] if retain else [])], check=True, timeout=120)

    def value(self, series: str, value: float, limit_s: float = 15.0) -> dict[str, Any]:
        """Wait until the newest value of a series is this one."""

        def check() -> Any:
            found = self.api.latest(series)
            return found if found is not None and found["value"] == pytest.approx(value) else None

        found: dict[str, Any] = eventually(check, limit_s)
        return found

    def waiting(self, name: str) -> dict[str, Any]:
        """Wait for a device of this name in the inbox."""

        def check() -> Any:
            items = self.api.get("devices/inbox", limit=1000)["items"]
            return next((item for item in items if name in (item["device"]["name"], item["id"])), None)

        found: dict[str, Any] = eventually(check)
        return found

    def add(self, name: str, **fields: Any) -> dict[str, Any]:
        """Take a device out of the inbox."""
        answer = self.api.ask("POST", f"/api/v1/devices/inbox/{self.waiting(name)['id']}/add", data=fields)
        assert answer.status == 200, answer.text
        added: dict[str, Any] = answer.json
        return added


def built(folder: Path, discovery: str) -> Iterator[Bench]:
    """A bench, gone afterwards."""
    require_mosquitto()
    (folder / "broker").mkdir()
    broker = Mosquitto(folder / "broker").start()
    hub = HubProcess(folder, CONFIG.format(port=broker.port, discovery=discovery))
    try:
        api = begin(hub)
        eventually(lambda: all(one["state"] == "running" for one in api.get("integrations")["items"]), 10.0)
        yield Bench(api, broker, hub)
    finally:
        end(hub)
        broker.stop()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Discovery into the inbox, as it is by default."""
    yield from built(tmp_path_factory.mktemp("mqtt"), "inbox")


def test_a_template_picks_the_number(bench: Bench) -> None:
    bench.say("meters/plug/power", {"power": 55.5, "other": 1})
    assert bench.value("plug.power", 55.5)["unit"] == "W"
    bench.say("meters/plug/power", {"other": 1})
    bench.say("meters/plug/power", "{broken")
    bench.say("meters/plug/power", {"power": "nan"})
    bench.say("meters/plug/power", {"power": 56})
    bench.value("plug.power", 56)
    assert [value for _, value in bench.api.readings("plug.power")] == [55.5, 56.0]


@pytest.mark.parametrize(
    "payload", ["nan", "inf", "0x10", "1_000", "1,5", "٣", "on", "", " ", "true", "1e400"]
)
def test_what_is_no_number_is_not_stored(bench: Bench, payload: str) -> None:
    bench.say("plain/refused/power", payload)
    bench.say("plain/marker/power", "1")
    bench.value("marker.power", 1)
    assert bench.api.latest("refused.power") is None


def test_plain_numbers_with_white_space_and_well_known_keys(bench: Bench) -> None:
    bench.say("plain/meter/energy_import", " 12.5 \n")
    assert bench.value("meter.energy_import", 12_500)["unit"] == "Wh"
    bench.say("kilo/one", "1.5")
    bench.value("kilo-one.power", 1500)
    bench.say("known/sensor", {"temperature": 21.5, "humidity": 50, "linkquality": 3})
    bench.value("sensor.temperature", 21.5)
    keys = {item["key"] for item in bench.api.get("series", device="sensor")["items"]}
    assert keys == {"temperature", "humidity"}


def test_several_values_with_the_device_s_time(bench: Bench) -> None:
    ts = now_ms() // 1000 - 30
    bench.say("several/inverter", {"p": "1.25", "e": 7, "time": ts})
    bench.value("inverter.power", 1250)
    assert bench.api.readings("inverter.power") == [(ts * 1000, 1250.0)]
    bench.value("inverter.energy_import", 7000)


def test_amounts_need_a_time(bench: Bench) -> None:
    ts = now_ms() - 1000
    bench.say("pulse/gate", {"flow": 5})
    bench.say("pulse/gate", {"flow": 6, "ts": ts})
    eventually(lambda: bench.api.latest("gate.flow") is not None)
    assert bench.api.readings("gate.flow") == [(ts, 6.0)]


def test_a_retained_value_is_shown_as_stale_and_not_stored(bench: Bench) -> None:
    bench.say("meters/kept/power", {"power": 77}, retain=True)
    bench.value("kept.power", 77)
    stored = bench.api.readings("kept.power")
    assert len(stored) == 1
    bench.hub.process.send_signal(1)  # type: ignore[union-attr]  # SIGHUP with an unchanged file changes nothing
    bench.say("meters/kept/power", "", retain=True)


PLUG = {
    "~": "plugs/fridge", "name": "Power", "uniq_id": "fridge_p", "stat_t": "~/tele", "val_tpl": "{{ value_json.p }}",
    "dev_cla": "power", "unit_of_meas": "W", "stat_cla": "measurement", "avty_t": "~/lwt", "pl_avail": "Online",
    "pl_not_avail": "Offline", "dev": {"ids": ["fridge"], "name": "Fridge", "mf": "ACME", "mdl": "P1"},
}  # fmt: skip
ENERGY = PLUG | {"name": "Energy", "uniq_id": "fridge_e", "val_tpl": "{{ value_json.e }}", "dev_cla": "energy",
                 "unit_of_meas": "kWh", "stat_cla": "total_increasing"}  # fmt: skip


def test_a_discovered_device_waits_and_is_read_once_added(bench: Bench) -> None:
    bench.say("homeassistant/sensor/fridge/power/config", PLUG, retain=True)
    bench.say("homeassistant/sensor/fridge/energy/config", ENERGY, retain=True)
    bench.say("plugs/fridge/lwt", "Online", retain=True)
    bench.say("plugs/fridge/tele", {"p": 80, "e": 1.5})
    eventually(lambda: len(bench.waiting("Fridge")["series"]) == 2)
    assert bench.waiting("Fridge")["device"]["maker"] == "ACME"
    assert "fridge" not in {item["id"] for item in bench.api.get("devices", limit=1000)["items"]}
    device = bench.add("Fridge", role="load", area="kitchen")["id"]
    bench.say("plugs/fridge/tele", {"p": 88, "e": 1.6})
    bench.value(f"{device}.power", 88)
    bench.value(f"{device}.energy", 1600)
    assert bench.api.get(f"series/{device}.energy")["kind"] == "counter"
    assert "Fridge" not in {item["device"]["name"] for item in bench.api.get("devices/inbox")["items"]}
    bench.say("plugs/fridge/lwt", "Offline", retain=True)
    eventually(lambda: bench.api.get(f"devices/{device}")["availability"] == "offline")
    bench.say("plugs/fridge/lwt", "Online", retain=True)
    eventually(lambda: bench.api.get(f"devices/{device}")["availability"] == "online")


def test_a_changed_unit_is_converted_and_not_mixed(bench: Bench) -> None:
    config = PLUG | {"~": "plugs/oven", "uniq_id": "oven_p", "dev": {"ids": ["oven"], "name": "Oven"}}
    del config["avty_t"]
    bench.say("homeassistant/sensor/oven/power/config", config)
    device = bench.add("Oven")["id"]
    bench.say("plugs/oven/tele", {"p": 500})
    bench.value(f"{device}.power", 500)
    bench.say("homeassistant/sensor/oven/power/config", config | {"unit_of_meas": "kW"})
    bench.say("plugs/oven/tele", {"p": 0.25})
    assert bench.value(f"{device}.power", 250)["unit"] == "W"


def test_an_ignored_device_does_not_come_back(bench: Bench) -> None:
    config = {
        "name": "P",
        "uniq_id": "bell",
        "stat_t": "bell/state",
        "unit_of_meas": "W",
        "dev": {"ids": "bell", "name": "Bell"},
    }
    bench.say("homeassistant/sensor/bell/config", config)
    found = bench.waiting("Bell")
    assert bench.api.ask("POST", f"/api/v1/devices/inbox/{found['id']}/ignore", data={}).status in {200, 204}
    bench.say("homeassistant/sensor/bell/config", config)
    bench.say("plain/marker/power", "2")
    bench.value("marker.power", 2)
    waiting = [item for item in bench.api.get("devices/inbox")["items"] if item["state"] == "waiting"]
    assert "Bell" not in {item["device"]["name"] for item in waiting}


def test_an_ignored_source_is_silent_until_it_is_taken_again(bench: Bench) -> None:
    config = {"name": "P", "stat_t": "door/state", "unit_of_meas": "W"}

    def announced(name: str) -> None:
        bench.say(
            f"homeassistant/sensor/{name}/config",
            config | {"uniq_id": name, "dev": {"ids": name, "name": name}},
        )

    def ignore(ignored: bool) -> None:
        data = {"source": source, "ignored": ignored}
        assert bench.api.ask("POST", "/api/v1/devices/inbox/ignore-source", data=data).status == 204

    announced("door1")
    source = bench.waiting("door1")["entry"]
    ignore(True)
    announced("door2")
    bench.say("plain/marker/power", "4")
    bench.value("marker.power", 4)
    assert bench.api.get("devices/inbox")["items"] == []
    ignore(False)
    announced("door3")
    bench.waiting("door3")


def test_device_based_discovery(bench: Bench) -> None:
    config = {
        "dev": {"ids": ["hub5"], "name": "Five"}, "o": {"name": "bridge"}, "stat_t": "five/state",
        "cmps": {
            "p": {"p": "sensor", "name": "Power", "uniq_id": "five_p", "dev_cla": "power", "unit_of_meas": "W",
                  "val_tpl": "{{ value_json.p }}"},
            "s": {"p": "switch", "uniq_id": "five_s", "cmd_t": "five/set"},
        },
    }  # fmt: skip
    bench.say("homeassistant/device/five/config", config)
    device = bench.add("Five")["id"]
    bench.say("five/state", {"p": 5})
    bench.value(f"{device}.p", 5)


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="recordings of real devices are not there")
def test_recorded_discovery_of_a_real_publisher(bench: Bench) -> None:
    lines = (FIXTURES / "ha_mqtt_discovery" / "ha-mqtt-discoverable_0.26.jsonl").read_text().splitlines()
    recorded = [json.loads(line) for line in lines]
    for one in recorded:
        bench.say(one["topic"], one["payload"], retain=one.get("retain", False))
    found = bench.waiting("Solar inverter A")
    assert {one["unit"] for one in found["series"]} == {"W", "kWh", "V"}
    device = bench.add("Solar inverter A", role="solar")["id"]
    bench.say("hmd/sensor/Solar-inverter-A/Yield-total/state", "9000.5")
    energy = next(
        item["id"] for item in bench.api.get("series", device=device)["items"] if item["quantity"] == "energy"
    )
    bench.value(energy, 9_000_500)
    bench.say("hmd/sensor/Solar-inverter-A/AC-power/state", "812.5")
    eventually(lambda: bench.api.get("energy/live")["totals"]["production"] == 812.5)


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="recordings of real devices are not there")
def test_zigbee2mqtt_devices(bench: Bench) -> None:
    names = ("aqara_wsdcgq12lm", "innr_rb_249_t")
    definitions = [
        json.loads((FIXTURES / "zigbee2mqtt" / "exposes" / f"{name}.json").read_text()) for name in names
    ]
    devices = [
        {"ieee_address": f"0x00{n}", "friendly_name": f"house/room {n}", "type": "EndDevice",
         "definition": {"vendor": "V", "model": "M", "exposes": one}, "supported": True, "interview_completed": True}
        for n, one in enumerate(definitions)
    ]  # fmt: skip
    plug = {"vendor": "Plug", "model": "P", "exposes": [
        {"type": "numeric", "property": "power", "name": "power", "unit": "W", "access": 5},
        {"type": "numeric", "property": "energy", "name": "energy", "unit": "kWh", "access": 1},
    ]}  # fmt: skip
    devices.append({"ieee_address": "0x0099", "friendly_name": "plug", "type": "Router", "definition": plug})
    bench.say("zigbee2mqtt/bridge/state", {"state": "online"}, retain=True)
    bench.say("zigbee2mqtt/bridge/devices", devices, retain=True)
    climate = bench.add("house/room 0")["id"]
    bench.say(
        "zigbee2mqtt/house/room 0", {"temperature": 21.75, "humidity": 40, "linkquality": 5, "battery": None}
    )
    bench.value(f"{climate}.temperature", 21.75)
    metered = bench.add("plug", role="load")["id"]
    bench.say("zigbee2mqtt/plug", {"power": 12, "energy": 3.5, "state": "ON"})
    bench.value(f"{metered}.power", 12)
    bench.value(f"{metered}.energy", 3500)
    bench.say("zigbee2mqtt/plug/availability", {"state": "offline"}, retain=True)
    eventually(lambda: bench.api.get(f"devices/{metered}")["availability"] == "offline")


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="recordings of real devices are not there")
def test_tasmota_devices(bench: Bench) -> None:
    about = {"ip": "192.0.2.3", "dn": "Washer", "fn": ["Washer"], "hn": "washer", "mac": "AABBCCDDEEFF", "md": "Plug",
             "ofln": "Offline", "onln": "Online", "state": ["OFF", "ON"], "sw": "14.2.0", "t": "washer",
             "ft": "%topic%/%prefix%/", "tp": ["cmnd", "stat", "tele"], "rl": [1], "ver": 1}  # fmt: skip
    lines = (FIXTURES / "tasmota" / "evcc_statussns.jsonl").read_text().splitlines()
    sensors = [json.loads(line)["payload"]["StatusSNS"] for line in lines]
    one = next(s for s in sensors if isinstance(s["ENERGY"]["Power"], float))
    bench.say("tasmota/discovery/AABBCCDDEEFF/config", about, retain=True)
    bench.say("tasmota/discovery/AABBCCDDEEFF/sensors", {"sn": one, "ver": 1}, retain=True)
    device = bench.add("Washer", role="load")["id"]
    bench.say("washer/tele/LWT", "Online", retain=True)
    bench.say("washer/tele/SENSOR", one)
    bench.value(f"{device}.power", one["ENERGY"]["Power"])
    bench.value(f"{device}.energy", one["ENERGY"]["Total"] * 1000)
    two = next(s for s in sensors if isinstance(s["ENERGY"]["Power"], list))
    about2 = about | {"dn": "Twin", "mac": "AABBCCDDEE00", "t": "twin"}
    bench.say("tasmota/discovery/AABBCCDDEE00/config", about2)
    bench.say("tasmota/discovery/AABBCCDDEE00/sensors", {"sn": two, "ver": 1})
    twin = bench.add("Twin")["id"]
    bench.say("twin/tele/SENSOR", two)

    def values() -> bool:
        items = bench.api.get("latest")["items"]
        return 8.15 in {item["value"] for item in items if item["series"].startswith(f"{twin}.")}

    eventually(values)


def test_hostile_announcements_leave_the_hub_well(bench: Bench) -> None:
    endless = {"val_tpl": "{% for i in range(10**9) %}x{% endfor %}", "uniq_id": "l", "dev": {"ids": ["l"]}}
    escape = {"val_tpl": "{{ ''.__class__.__mro__ }}", "uniq_id": "m", "dev": {"ids": ["m"]}}
    for topic, payload in (
        ("homeassistant/sensor/x/config", "{"),
        ("homeassistant/sensor/x/config", "[]"),
        ("homeassistant/sensor/x/config", {"stat_t": "a/#", "uniq_id": "x", "dev": {"ids": ["x"]}}),
        ("homeassistant/sensor/bad id/config", PLUG),
        ("homeassistant/sensor/loop/config", PLUG | endless),
        ("homeassistant/sensor/esc/config", PLUG | escape),
        ("homeassistant/device/x/config", {"cmps": 5}),
        ("zigbee2mqtt/bridge/devices", {"a": 1}),
        ("tasmota/discovery/00/config", "nonsense"),
    ):  # fmt: skip
        bench.say(topic, payload)
    bench.say("plain/marker/power", "3")
    bench.value("marker.power", 3)
    assert all(one["state"] == "running" for one in bench.api.get("integrations")["items"])


def test_values_survive_a_restart_of_the_broker(bench: Bench) -> None:
    bench.broker.stop()
    bench.broker.start()
    for number in range(40):
        bench.say("plain/after/power", str(number + 1))
        found = bench.api.latest("after.power")
        if found is not None and found["value"] == number + 1:
            break
    bench.value("after.power", number + 1, 10.0)


def announced_to(bench: Bench) -> set[str]:
    """Announce a device, let it speak, wait until the hub has heard it; names of all devices then."""
    config = {"name": "Power", "uniq_id": "a", "stat_t": "a/state", "dev_cla": "power", "unit_of_meas": "W",
              "dev": {"ids": ["a"], "name": "Auto"}}  # fmt: skip
    bench.say("homeassistant/sensor/a/power/config", config)
    bench.say("a/state", "5")
    bench.say("plain/marker/power", "1")
    bench.value("marker.power", 1)
    return {item["name"] for item in bench.api.get("devices")["items"]}


def test_discovery_auto_adds_devices_itself(tmp_path: Path) -> None:
    for bench in built(tmp_path, "auto"):
        assert "Auto" in announced_to(bench)
        bench.say("a/state", "6")
        bench.value("a.power", 6)
        assert bench.api.get("devices/inbox")["items"] == []


def test_discovery_off_is_deaf(tmp_path: Path) -> None:
    for bench in built(tmp_path, "off"):
        assert "Auto" not in announced_to(bench)
        assert bench.api.get("devices/inbox")["items"] == []
