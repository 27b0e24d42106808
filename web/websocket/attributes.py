"""What a series is called in the vocabulary of Home Assistant: device class, state class, unit, registries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hub.model.device import Device
from hub.model.series import Behaviour, Series
from hub.model.units import Quantity

DEVICE_CLASS: dict[Quantity, str] = {
    Quantity.POWER: "power",
    Quantity.APPARENT_POWER: "apparent_power",
    Quantity.REACTIVE_POWER: "reactive_power",
    Quantity.ENERGY: "energy",
    Quantity.REACTIVE_ENERGY: "reactive_energy",
    Quantity.VOLTAGE: "voltage",
    Quantity.CURRENT: "current",
    Quantity.FREQUENCY: "frequency",
    Quantity.POWER_FACTOR: "power_factor",
    Quantity.TEMPERATURE: "temperature",
    Quantity.HUMIDITY: "humidity",
    Quantity.IRRADIANCE: "irradiance",
    Quantity.STATE_OF_CHARGE: "battery",
    Quantity.GAS: "gas",
    Quantity.WATER: "water",
    Quantity.HEAT: "energy",
    Quantity.DURATION: "duration",
}
_AMOUNTS = frozenset({Quantity.ENERGY, Quantity.REACTIVE_ENERGY, Quantity.HEAT, Quantity.GAS, Quantity.WATER})
SOME_HAVE = ("unit_of_measurement", "device_class")
"""Attributes that an entity may lack."""
_SPELLING = {"m3": "m³", "W/m2": "W/m²"}


def attributes_of(series: Series, device: Device | None, quality: str | None) -> dict[str, Any]:
    """Attributes of the entity of a series; the unit is the stored one, so states are the stored numbers."""
    attributes: dict[str, Any] = {
        "friendly_name": _friendly_name(series, device),
        "state_class": _state_class(series),
        "series": series.public_id,
        "device": series.device_id,
        "quality": quality,
    }
    if series.unit:
        attributes["unit_of_measurement"] = _SPELLING.get(series.unit, series.unit)
    if series.quantity in DEVICE_CLASS:
        attributes["device_class"] = DEVICE_CLASS[series.quantity]
    return attributes


def entity_row(entity_id: str, series: Series, device: Device | None) -> dict[str, Any]:
    """One line of ``config/entity_registry/list``."""
    return {
        "entity_id": entity_id,
        "id": series.public_id,
        "unique_id": series.public_id,
        "platform": "wattline",
        "device_id": series.device_id,
        "area_id": None,
        "config_entry_id": device.integration or None if device else None,
        "config_subentry_id": None,
        "name": None,
        "original_name": _series_name(series),
        "has_entity_name": True,
        "translation_key": None,
        "icon": None,
        "entity_category": None,
        "disabled_by": None,
        "hidden_by": None,
        "labels": [],
        "categories": {},
        "options": {},
        "created_at": device.created_ms / 1000 if device else 0.0,
        "modified_at": device.created_ms / 1000 if device else 0.0,
    }


def device_row(device: Device) -> dict[str, Any]:
    """One line of ``config/device_registry/list``."""
    return {
        "id": device.id,
        "name": device.name,
        "name_by_user": None,
        "manufacturer": device.maker or None,
        "model": device.model or None,
        "model_id": None,
        "sw_version": device.firmware or None,
        "hw_version": None,
        "serial_number": device.serial or None,
        "area_id": device.area,
        "via_device_id": device.parent,
        "identifiers": [["wattline", device.id]],
        "connections": [],
        "config_entries": [device.integration] if device.integration else [],
        "config_entries_subentries": {},
        "primary_config_entry": device.integration or None,
        "configuration_url": None,
        "disabled_by": None,
        "entry_type": None,
        "labels": [],
        "created_at": device.created_ms / 1000,
        "modified_at": device.created_ms / 1000,
    }


def area_rows(devices: Iterable[Device]) -> list[dict[str, Any]]:
    """``config/area_registry/list``: the areas that devices are in."""
    return [
        {
            "area_id": area,
            "name": area,
            "aliases": [],
            "floor_id": None,
            "icon": None,
            "labels": [],
            "picture": None,
            "humidity_entity_id": None,
            "temperature_entity_id": None,
            "created_at": 0.0,
            "modified_at": 0.0,
        }
        for area in sorted({device.area for device in devices if device.area})
    ]


def _state_class(series: Series) -> str:
    if series.behaviour is Behaviour.COUNTER:
        return "total_increasing"
    amount = series.behaviour is Behaviour.DELTA or series.quantity in _AMOUNTS
    return "total" if amount else "measurement"


def _friendly_name(series: Series, device: Device | None) -> str:
    return f"{device.name if device else series.device_id} {_series_name(series)}"


def _series_name(series: Series) -> str:
    return series.name or series.key.replace("_", " ").capitalize()
