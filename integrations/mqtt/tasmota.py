"""Tasmota's own discovery: ``tasmota/discovery/<mac>/config`` says how, ``…/sensors`` what a device sends.

Times in its telegrams are local and without an offset, so the arrival counts. ``Today``, ``Yesterday`` and
``Period`` are no registers and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import voluptuous as vol

from hub.plugins.api import DeviceInfo, WattlineError, device_id, known_series, series_key
from integrations.mqtt.announcement import Availability, Sensor
from integrations.mqtt.meaning import meaning
from integrations.mqtt.numbers import Unreadable
from integrations.mqtt.schema import plain_topic
from integrations.mqtt.templates import compile_template

PREFIX = "tasmota/discovery"
_ENERGY = {
    "Power": ("power", "W"),
    "ApparentPower": ("apparent_power", "VA"),
    "ReactivePower": ("reactive_power", "var"),
    "Factor": ("power_factor", ""),
    "Voltage": ("voltage", "V"),
    "Current": ("current", "A"),
    "Frequency": ("frequency", "Hz"),
    "Total": ("energy", "kWh"),
    "ImportActive": ("energy_import", "kWh"),
    "ExportActive": ("energy_export", "kWh"),
}
_OTHERS = {"Temperature": ("temperature", None), "Humidity": ("humidity", "%")}
_NOT_SENSORS = frozenset(("Time", "TempUnit", "PressureUnit", "SpeedUnit", "Switch1", "Switch2"))
_MAX_SENSORS = 100


class TasmotaDevices:
    """Puts the two announcements of each device together."""

    def __init__(self) -> None:
        self._configs: dict[str, dict[str, Any]] = {}
        self._samples: dict[str, dict[str, Any]] = {}

    def hear(self, topic: str, payload: bytes) -> tuple[str, list[Sensor]]:
        """The device's name in discovery, and all of its sensors as far as they are known.

        Raises:
            Unreadable: ``WL-MQT-013``, the message is not what Tasmota sends.
        """
        levels = topic.split("/")
        if len(levels) != 4 or levels[3] not in ("config", "sensors"):
            raise Unreadable("WL-MQT-013", "not a discovery topic of Tasmota")
        mac = levels[2]
        kept = self._configs if levels[3] == "config" else self._samples
        if not payload:
            kept.pop(mac, None)
        else:
            kept[mac] = _object(payload)
        config, sample = self._configs.get(mac), self._samples.get(mac, {}).get("sn")
        if config is None or not isinstance(sample, dict):
            return mac, []
        return mac, _sensors(mac, config, sample)


def _object(payload: bytes) -> dict[str, Any]:
    try:
        data = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Unreadable("WL-MQT-013", f"the announcement is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise Unreadable("WL-MQT-013", "the announcement is not a JSON object")
    return data


def _sensors(mac: str, config: dict[str, Any], sample: dict[str, Any]) -> list[Sensor]:
    topics = _Topics(config)
    state, will = topics.telemetry("SENSOR"), topics.telemetry("LWT")
    availability = (Availability(will, _text(config, "onln", "Online"), _text(config, "ofln", "Offline")),)
    names = config.get("fn")
    name = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""
    try:
        device = DeviceInfo(
            device_id(f"tasmota-{mac}"),
            name=(_text(config, "dn", "") or name)[:120],
            maker="Tasmota",
            model=_text(config, "md", ""),
            firmware=_text(config, "sw", ""),
            serial=mac[:40],
        )
    except WattlineError as error:
        raise Unreadable("WL-MQT-013", error.message) from error
    temperature = "°F" if sample.get("TempUnit") == "F" else "°C"
    return [
        Sensor(
            ("tasmota", "", mac, key),
            device,
            meaning(key, _class_of(key), temperature if unit is None else unit, None, ""),
            state,
            compile_template("{{ value_json" + "".join(f"[{step!r}]" for step in path) + " }}"),
            availability,
        )
        for key, unit, path in list(_members(sample))[:_MAX_SENSORS]
    ]


def _class_of(key: str) -> str | None:
    quantity = known_series(key).quantity.value
    return None if quantity == "other" else quantity


class _Topics:
    """Topics by the device's own pattern: the prefix may stand second, and all words can be renamed."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._pattern = _text(config, "ft", "%prefix%/%topic%/")
        self._topic = _text(config, "t", "")
        words = config.get("tp")
        self._tele = words[2] if isinstance(words, list) and len(words) > 2 else "tele"
        self._host = _text(config, "hn", "")
        self._id = _text(config, "mac", "")[-6:]

    def telemetry(self, command: str) -> str:
        filled = (
            self._pattern.replace("%prefix%", str(self._tele))
            .replace("%topic%", self._topic)
            .replace("%hostname%", self._host)
            .replace("%id%", self._id)
        )
        try:
            return plain_topic(f"{filled.rstrip('/')}/{command}")
        except vol.Invalid as error:
            raise Unreadable("WL-MQT-014", f"the device's topic cannot be used: {error}", "ft") from error


def _members(sample: dict[str, Any]) -> Iterator[tuple[str, str | None, tuple[str | int, ...]]]:
    """(series key, unit, path) of all that is worth keeping of a telegram."""
    for group, members in sample.items():
        if group in _NOT_SENSORS or not isinstance(members, dict):
            continue
        for member, value in members.items():
            known = _ENERGY.get(member) if group == "ENERGY" else _OTHERS.get(member)
            if known is None:
                continue
            key, unit = known
            prefix = "" if group == "ENERGY" else series_key(group) + "_"
            if group != "ENERGY" and _same_everywhere(sample, member):
                prefix = ""
            for suffix, path in _phases(value):
                yield prefix + key + suffix, unit, (group, member, *path)


def _same_everywhere(sample: dict[str, Any], member: str) -> bool:
    """Whether only one group has this member, so that its plain name is clear."""
    return sum(isinstance(group, dict) and member in group for group in sample.values()) == 1


def _phases(value: Any) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """A value may be a scalar, a list with one entry a phase or channel, or an object ``Phase1`` …."""
    if isinstance(value, list):
        for number in range(min(len(value), 3)):
            yield f"_l{number + 1}", (number,)
    elif isinstance(value, dict):
        for number in range(1, 4):
            if f"Phase{number}" in value:
                yield f"_l{number}", (f"Phase{number}",)
    elif not isinstance(value, str | bool):
        yield "", ()


def _text(config: dict[str, Any], member: str, default: str) -> str:
    value = config.get(member)
    return value if isinstance(value, str) else default
