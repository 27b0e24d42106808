"""zigbee2mqtt without Home Assistant discovery: the list of devices that its bridge keeps.

Series come from the numeric ``exposes`` that a device publishes; the key of a series is the property.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import voluptuous as vol

from hub.plugins.api import DeviceInfo, Quantity, WattlineError, device_id, series_key
from integrations.mqtt.announcement import Availability, Sensor
from integrations.mqtt.meaning import QUANTITY_OF_CLASS, meaning
from integrations.mqtt.numbers import Unreadable
from integrations.mqtt.schema import plain_topic
from integrations.mqtt.templates import compile_template

BASE = "zigbee2mqtt"
DEVICES_TOPIC = f"{BASE}/bridge/devices"
_STATE = compile_template("{{ value_json.state if value_json is defined else value }}")
_BRIDGE_STATE = Availability(f"{BASE}/bridge/state", template=_STATE)
_PUBLISHED = 1
_CLASSES = {"produced_energy": "energy", "consumed_energy": "energy", "ac_frequency": "frequency"}


def bridge_sensors(payload: bytes) -> list[Sensor]:
    """All sensors of the devices in ``bridge/devices``.

    Raises:
        Unreadable: ``WL-MQT-013``, the payload is no list of devices.
    """
    if not payload:
        return []
    try:
        devices = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Unreadable("WL-MQT-013", f"the list of devices is not JSON: {error}") from error
    if not isinstance(devices, list):
        raise Unreadable("WL-MQT-013", "the list of devices is not a JSON list")
    return [sensor for device in devices if isinstance(device, dict) for sensor in _sensors(device)]


def _sensors(device: dict[str, Any]) -> Iterator[Sensor]:
    address, name, definition = (
        device.get("ieee_address"),
        device.get("friendly_name"),
        device.get("definition"),
    )
    if not isinstance(address, str) or not isinstance(name, str) or not isinstance(definition, dict):
        return
    try:
        topic = plain_topic(f"{BASE}/{name}")
        info = DeviceInfo(
            device_id(f"{BASE}_{address}"),
            name=name[:120],
            maker=str(definition.get("vendor") or "")[:120],
            model=str(definition.get("model") or "")[:120],
            serial=address[:40],
        )
    except (vol.Invalid, WattlineError):
        return
    # the bridge watches its devices only where it was asked to
    reach = (_BRIDGE_STATE, Availability(f"{topic}/availability", template=_STATE, assumed=True))
    for exposed in _numeric(definition.get("exposes")):
        prop, unit = str(exposed["property"]), exposed.get("unit")
        try:
            series = meaning(
                series_key(prop), _class_of(prop), unit if isinstance(unit, str) and unit else None, None, ""
            )
            template = compile_template("{{ value_json[" + repr(prop) + "] }}")
        except (WattlineError, Unreadable):
            continue
        if series.quantity is not Quantity.OTHER:
            yield Sensor((BASE, "", address, prop), info, series, topic, template, reach, "all")


def _numeric(exposes: Any) -> Iterator[Mapping[str, Any]]:
    """Numeric exposes that the device publishes, also those inside of composite ones."""
    for exposed in exposes if isinstance(exposes, list) else ():
        if not isinstance(exposed, dict):
            continue
        if isinstance(exposed.get("features"), list):
            yield from _numeric(exposed["features"])
        access = exposed.get("access")
        if (
            exposed.get("type") == "numeric"
            and isinstance(exposed.get("property"), str)
            and isinstance(access, int)
            and access & _PUBLISHED
        ):
            yield exposed


def _class_of(prop: str) -> str | None:
    """``power_phase_b`` → ``power``; properties without a known name have no class."""
    for name in (prop, *(prop.rsplit("_", count)[0] for count in (1, 2))):
        if name in QUANTITY_OF_CLASS:
            return name
        if name in _CLASSES:
            return _CLASSES[name]
    return None
