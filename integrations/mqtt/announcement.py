"""Home Assistant discovery messages → announced sensors.

``<prefix>/<component>/[<node>/]<object>/config`` announces one sensor, ``<prefix>/device/…/config`` a device with
all its components. Only sensors with numbers matter here; other components are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import voluptuous as vol

from hub.plugins.api import DeviceInfo, SeriesInfo, WattlineError, device_id, series_key
from integrations.mqtt.abbreviations import expand
from integrations.mqtt.meaning import NO_NUMBER_CLASSES, QUANTITY_OF_CLASS, meaning
from integrations.mqtt.numbers import Unreadable
from integrations.mqtt.schema import plain_topic
from integrations.mqtt.templates import ValueTemplate, compile_template

MAX_MEMBERS = 500
_MAX_NAME_CHARS = 120
_LEVEL = re.compile(r"[A-Za-z0-9_-]+\Z")
_INHERITED = (
    "state_topic", "availability", "availability_topic", "availability_template", "availability_mode",
    "payload_available", "payload_not_available", "qos", "encoding",
)  # fmt: skip
_OTHER_CLASSES = frozenset((
    "absolute_humidity", "aqi", "area", "atmospheric_pressure", "blood_glucose_concentration", "carbon_dioxide",
    "carbon_monoxide", "conductivity", "data_rate", "data_size", "distance", "energy_distance", "illuminance",
    "moisture", "nitrogen_dioxide", "nitrogen_monoxide", "nitrous_oxide", "ozone", "ph", "pm1", "pm10", "pm25",
    "pm4", "precipitation", "precipitation_intensity", "pressure", "signal_strength", "sound_pressure", "speed",
    "sulphur_dioxide", "temperature_delta", "volatile_organic_compounds", "volatile_organic_compounds_parts",
    "volume", "volume_flow_rate", "volume_storage", "weight", "wind_direction", "wind_speed",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Availability:
    """One topic that says whether a sensor can be reached; ``assumed`` is what counts while it says nothing."""

    topic: str
    online: str = "online"
    offline: str = "offline"
    template: ValueTemplate | None = None
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class Sensor:
    """An announced sensor. ``identity`` is component, node, object and member, as the topic says it."""

    identity: tuple[str, ...]
    device: DeviceInfo
    info: SeriesInfo
    state_topic: str
    template: ValueTemplate | None = None
    availability: tuple[Availability, ...] = ()
    mode: str = "latest"
    expire_after_s: float | None = None


def identity_of(prefix: str, topic: str) -> tuple[str, str, str]:
    """Component, node and object of a discovery topic.

    Raises:
        Unreadable: ``WL-MQT-013``, the topic has not the shape of one.
    """
    levels = topic[len(prefix) + 1 :].split("/")
    if len(levels) in (3, 4) and levels[-1] == "config" and all(map(_LEVEL.match, levels[:-1])):
        return levels[0], levels[1] if len(levels) == 4 else "", levels[-2]
    raise Unreadable("WL-MQT-013", "not a discovery topic: <prefix>/<component>/[<node>/]<object>/config")


def sensors_of(identity: tuple[str, str, str], payload: bytes) -> list[Sensor]:
    """The sensors that a message announces; an empty list takes back what it announced before.

    Raises:
        Unreadable: ``WL-MQT-013`` no JSON object, ``WL-MQT-014`` a refused configuration; what was announced
            before stays.
    """
    component, node, object_id = identity
    if not payload:
        return []
    if component not in ("sensor", "device"):
        return []
    try:
        config = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Unreadable("WL-MQT-013", f"the announcement is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise Unreadable("WL-MQT-013", "the announcement is not a JSON object")
    config = expand(config)
    if component == "device":
        return _members(identity, config)
    sensor = _sensor(identity, config, node, object_id)
    return [] if sensor is None else [sensor]


def _members(identity: tuple[str, str, str], config: dict[str, Any]) -> list[Sensor]:
    members, origin = config.get("components"), config.get("origin")
    if not isinstance(config.get("device"), dict):
        raise Unreadable("WL-MQT-014", "a device announcement needs a device", "device")
    if not isinstance(origin, Mapping) or not origin.get("name"):
        raise Unreadable("WL-MQT-014", "a device announcement needs an origin with a name", "origin")
    if not isinstance(members, dict) or len(members) > MAX_MEMBERS:
        raise Unreadable("WL-MQT-014", f"components must be an object of at most {MAX_MEMBERS}", "components")
    shared = {key: config[key] for key in (*_INHERITED, "device") if key in config}
    sensors = []
    for name, member in members.items():
        if not isinstance(member, dict):
            raise Unreadable("WL-MQT-014", "a component is not a JSON object", f"components.{name[:40]}")
        long = expand({**({"~": config["~"]} if "~" in config else {}), **member})
        if long.get("platform") != "sensor" or len(long) == 1:  # the platform alone takes a member back
            continue
        if not long.get("unique_id"):
            raise Unreadable("WL-MQT-014", "a component needs a unique_id", f"components.{name[:40]}")
        if "availability_topic" in long or "availability" in long:
            kept = {k: v for k, v in shared.items() if k not in ("availability", "availability_topic")}
        else:
            kept = shared
        sensor = _sensor((*identity, name), {**kept, **long}, identity[1], name)
        if sensor is not None:
            sensors.append(sensor)
    return sensors


def _sensor(identity: tuple[str, ...], config: dict[str, Any], node: str, object_id: str) -> Sensor | None:
    """None for sensors without numbers, and for those that are switched off or only tell of the device."""
    device_class = _text(config, "device_class")
    unit = _text(config, "unit_of_measurement")
    state_class = _text(config, "state_class")
    if device_class in NO_NUMBER_CLASSES or not (device_class or unit or state_class):
        return None
    if device_class and device_class not in QUANTITY_OF_CLASS and device_class not in _OTHER_CLASSES:
        raise Unreadable("WL-MQT-014", f"unknown device class {device_class[:40]!r}", "device_class")
    if config.get("enabled_by_default") is False:
        return None
    device = _device(config.get("device"), node or object_id)
    key = _key(object_id, node, device)
    info = meaning(key, device_class, unit, state_class, _plain(config.get("name")))
    if config.get("entity_category") and device_class not in QUANTITY_OF_CLASS:
        return None  # signal strength and uptime of the gadget itself
    mode = config.get("availability_mode", "latest")
    return Sensor(
        identity,
        device,
        info,
        _topic(config, "state_topic"),
        _template(config, "value_template"),
        tuple(_availability(config)),
        mode if mode in ("all", "any", "latest") else "latest",
        _seconds(config.get("expire_after")),
    )


def _device(config: Any, fallback: str) -> DeviceInfo:
    """The id comes from an identifier, else the serial number, else a connection, else the name.

    Raises:
        Unreadable: ``WL-MQT-014``, the device block has neither identifiers nor connections.
    """
    if config is None:
        return DeviceInfo(_first_id([fallback]), name=fallback[:_MAX_NAME_CHARS])
    if not isinstance(config, dict):
        raise Unreadable("WL-MQT-014", "device is not a JSON object", "device")
    identifiers = config.get("identifiers") or []
    identifiers = identifiers if isinstance(identifiers, list) else [identifiers]
    connections = [
        pair[1]
        for pair in config.get("connections") or []
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], str)
    ] if isinstance(config.get("connections"), list) else []  # fmt: skip
    if not identifiers and not connections:
        raise Unreadable("WL-MQT-014", "a device needs identifiers or connections", "device")
    candidates = [*identifiers, config.get("serial_number"), *connections, config.get("name")]
    return DeviceInfo(
        _first_id([str(one) for one in candidates if isinstance(one, str | int) and str(one)]),
        name=_plain(config.get("name")),
        maker=_plain(config.get("manufacturer")),
        model=_plain(config.get("model")),
        firmware=_plain(config.get("sw_version")),
        serial=_plain(config.get("serial_number")),
    )


def _first_id(candidates: list[str]) -> str:
    for candidate in candidates:
        try:
            return device_id(candidate)
        except WattlineError:
            continue
    raise Unreadable("WL-MQT-014", "nothing of the device can serve as its id", "device")


def _key(object_id: str, node: str, device: DeviceInfo) -> str:
    """The object id, without the name of the device that many firmwares put in front of it."""
    try:
        key = series_key(object_id)
    except WattlineError as error:
        raise Unreadable(error.code, error.message, "object_id") from error
    for prefix in (device.id, device.name, node):
        try:
            start = series_key(prefix) + "_" if prefix else ""
        except WattlineError:
            continue
        if start and key.startswith(start) and len(key) > len(start):
            return key[len(start) :]
    return key


def _availability(config: dict[str, Any]) -> list[Availability]:
    online, offline = config.get("payload_available"), config.get("payload_not_available")
    entries = config.get("availability")
    if isinstance(config.get("availability_topic"), str):
        entries = [
            {
                "topic": config["availability_topic"],
                "value_template": config.get("availability_template"),
                "payload_available": online,
                "payload_not_available": offline,
            }
        ]
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Unreadable("WL-MQT-014", "availability is not a list of topics", "availability")
    return [
        Availability(
            _topic(entry, "topic"),
            _word(entry.get("payload_available"), "online"),
            _word(entry.get("payload_not_available"), "offline"),
            _template(entry, "value_template"),
        )
        for entry in entries[:20]
    ]


def _word(value: Any, default: str) -> str:
    return value if isinstance(value, str) else default


def _topic(config: Mapping[str, Any], member: str) -> str:
    try:
        return plain_topic(config.get(member))
    except (vol.Invalid, UnicodeEncodeError) as error:
        raise Unreadable("WL-MQT-014", f"{member}: {error}", member) from error


def _template(config: Mapping[str, Any], member: str) -> ValueTemplate | None:
    source = config.get(member)
    if source is None or source == "":
        return None
    if not isinstance(source, str):
        raise Unreadable("WL-MQT-014", f"{member} is no text", member)
    return compile_template(source)


def _text(config: Mapping[str, Any], member: str) -> str | None:
    value = config.get(member)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > 64:
        raise Unreadable("WL-MQT-014", f"{member} is no short text", member)
    return value


def _plain(value: Any) -> str:
    """A name for people: short, without control characters."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    return "".join(char for char in str(value) if char.isprintable())[:_MAX_NAME_CHARS]


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e7:
        return None
    return float(value)
