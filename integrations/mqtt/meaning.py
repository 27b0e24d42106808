"""Device class, unit and state class of an announced sensor → quantity, behaviour and unit of a series."""

from __future__ import annotations

from collections.abc import Mapping

from hub.plugins.api import (
    Behaviour,
    Direction,
    Quantity,
    SeriesInfo,
    WattlineError,
    conversion,
    known_series,
    quantity_of_unit,
)

QUANTITY_OF_CLASS: Mapping[str, Quantity] = {
    "apparent_power": Quantity.APPARENT_POWER,
    "battery": Quantity.STATE_OF_CHARGE,
    "current": Quantity.CURRENT,
    "duration": Quantity.DURATION,
    "energy": Quantity.ENERGY,
    "energy_storage": Quantity.ENERGY,
    "frequency": Quantity.FREQUENCY,
    "gas": Quantity.GAS,
    "humidity": Quantity.HUMIDITY,
    "irradiance": Quantity.IRRADIANCE,
    "monetary": Quantity.PRICE,
    "power": Quantity.POWER,
    "power_factor": Quantity.POWER_FACTOR,
    "reactive_energy": Quantity.REACTIVE_ENERGY,
    "reactive_power": Quantity.REACTIVE_POWER,
    "temperature": Quantity.TEMPERATURE,
    "voltage": Quantity.VOLTAGE,
    "water": Quantity.WATER,
}
_REGISTERS = frozenset(
    (Quantity.ENERGY, Quantity.REACTIVE_ENERGY, Quantity.GAS, Quantity.WATER, Quantity.HEAT, Quantity.OTHER)
)
NO_NUMBER_CLASSES = frozenset(("date", "enum", "timestamp", "uptime"))


def meaning(
    key: str, device_class: str | None, unit: str | None, state_class: str | None, name: str
) -> SeriesInfo:
    """What an announced sensor measures. A unit that does not fit its class makes an "other" series."""
    quantity = QUANTITY_OF_CLASS.get(device_class or "", Quantity.OTHER)
    if quantity is Quantity.OTHER and unit and not device_class:
        quantity = quantity_of_unit(unit)
    if not _fits(quantity, unit):
        quantity = quantity_of_unit(unit) if unit else Quantity.OTHER
    return SeriesInfo(
        key,
        quantity,
        _behaviour(quantity, device_class, state_class),
        unit,
        _direction(key, quantity),
        name=name,
    )


def _fits(quantity: Quantity, unit: str | None) -> bool:
    try:
        conversion(quantity, unit)
    except WattlineError:
        return False
    return True


def _behaviour(quantity: Quantity, device_class: str | None, state_class: str | None) -> Behaviour:
    """``total`` may fall as well (a net meter); as a register it is a counter, which knows resets both ways.

    A device that says nothing of its energy sensor means a register, unless it is what a battery holds.
    """
    if state_class in ("total", "total_increasing"):
        return Behaviour.COUNTER if quantity in _REGISTERS else Behaviour.GAUGE
    registers = quantity in _REGISTERS and quantity is not Quantity.OTHER
    if state_class is None and registers and device_class != "energy_storage":
        return Behaviour.COUNTER
    return Behaviour.GAUGE


def _direction(key: str, quantity: Quantity) -> Direction:
    try:
        known = known_series(key)
    except WattlineError:
        return Direction.BOTH
    return known.direction if known.quantity is quantity else Direction.BOTH
