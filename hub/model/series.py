"""Series: one measured quantity of a device, and what well-known names mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from hub.errors import Refused
from hub.model.units import Quantity, conversion, quantity_of_unit

SeriesNo = NewType("SeriesNo", int)
"""Row number of a series: small, dense, never reused; the key of every hot table."""


class Behaviour(StrEnum):
    """How values of a series follow each other."""

    GAUGE = "gauge"
    """a state: power, voltage, temperature"""
    COUNTER = "counter"
    """a register that only rises, but for resets and rollovers"""
    DELTA = "delta"
    """an amount since the reading before"""


class Role(StrEnum):
    """What a device is in the house."""

    GRID = "grid"
    SOLAR = "solar"
    BATTERY = "battery"
    LOAD = "load"
    EV = "ev"
    HEAT_PUMP = "heat_pump"
    GAS = "gas"
    WATER = "water"
    HEAT = "heat"
    NONE = "none"


class Direction(StrEnum):
    """Which way the energy of a series flows, seen by the sign rule of :mod:`hub.model`."""

    IMPORT = "import"
    EXPORT = "export"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What an integration says of a series when it first names it.

    ``unit`` is the unit the device *sends*; the hub stores the unit of the quantity.
    ``interval_ms`` is the usual distance of two readings if it is known (a poll interval).
    """

    key: str
    quantity: Quantity
    behaviour: Behaviour
    unit: str | None = None
    direction: Direction = Direction.BOTH
    name: str = ""
    register_width: float | None = None
    resolution: float | None = None
    physical_limit: float | None = None
    interval_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A registered series. ``public_id`` (``main-meter.power``) is stable through renames.

    ``sent_unit`` is the unit its sender named when the series was first seen: a later message that names none
    means the same one.
    """

    no: SeriesNo
    device_id: str
    key: str
    quantity: Quantity
    unit: str
    behaviour: Behaviour
    direction: Direction = Direction.BOTH
    name: str = ""
    register_width: float | None = None
    resolution: float | None = None
    physical_limit: float | None = None
    interval_ms: int | None = None
    in_balance: bool = True
    sent_unit: str = ""

    @property
    def public_id(self) -> str:
        """``<device>.<key>``."""
        return f"{self.device_id}.{self.key}"


_PHASE = re.compile(r"^(?P<base>.+)_l[123]$")
_KNOWN: dict[str, tuple[Quantity, Behaviour, str, Direction]] = {
    "power": (Quantity.POWER, Behaviour.GAUGE, "W", Direction.BOTH),
    "power_import": (Quantity.POWER, Behaviour.GAUGE, "W", Direction.IMPORT),
    "power_export": (Quantity.POWER, Behaviour.GAUGE, "W", Direction.EXPORT),
    "apparent_power": (Quantity.APPARENT_POWER, Behaviour.GAUGE, "VA", Direction.BOTH),
    "reactive_power": (Quantity.REACTIVE_POWER, Behaviour.GAUGE, "var", Direction.BOTH),
    "energy": (Quantity.ENERGY, Behaviour.COUNTER, "kWh", Direction.BOTH),
    "energy_import": (Quantity.ENERGY, Behaviour.COUNTER, "kWh", Direction.IMPORT),
    "energy_export": (Quantity.ENERGY, Behaviour.COUNTER, "kWh", Direction.EXPORT),
    "voltage": (Quantity.VOLTAGE, Behaviour.GAUGE, "V", Direction.BOTH),
    "current": (Quantity.CURRENT, Behaviour.GAUGE, "A", Direction.BOTH),
    "frequency": (Quantity.FREQUENCY, Behaviour.GAUGE, "Hz", Direction.BOTH),
    "power_factor": (Quantity.POWER_FACTOR, Behaviour.GAUGE, "", Direction.BOTH),
    "temperature": (Quantity.TEMPERATURE, Behaviour.GAUGE, "°C", Direction.BOTH),
    "humidity": (Quantity.HUMIDITY, Behaviour.GAUGE, "%", Direction.BOTH),
    "irradiance": (Quantity.IRRADIANCE, Behaviour.GAUGE, "W/m2", Direction.BOTH),
    "soc": (Quantity.STATE_OF_CHARGE, Behaviour.GAUGE, "%", Direction.BOTH),
    "gas": (Quantity.GAS, Behaviour.COUNTER, "m3", Direction.IMPORT),
    "water": (Quantity.WATER, Behaviour.COUNTER, "m3", Direction.IMPORT),
    "heat": (Quantity.HEAT, Behaviour.COUNTER, "kWh", Direction.IMPORT),
}  # fmt: skip
_BEHAVIOUR_OF_QUANTITY = {
    Quantity.ENERGY: Behaviour.COUNTER,
    Quantity.REACTIVE_ENERGY: Behaviour.COUNTER,
    Quantity.HEAT: Behaviour.COUNTER,
    Quantity.GAS: Behaviour.COUNTER,
    Quantity.WATER: Behaviour.COUNTER,
}

_STATES = frozenset((
    Quantity.POWER, Quantity.APPARENT_POWER, Quantity.REACTIVE_POWER, Quantity.VOLTAGE, Quantity.CURRENT,
    Quantity.FREQUENCY, Quantity.POWER_FACTOR, Quantity.TEMPERATURE, Quantity.HUMIDITY, Quantity.IRRADIANCE,
    Quantity.STATE_OF_CHARGE, Quantity.CARBON_INTENSITY,
))  # fmt: skip


def known_series(key: str, *, unit: str | None = None, kind: str | None = None) -> SeriesInfo:
    """What a pushed key means: ``energy_import`` is a kWh counter, ``power_l1`` a W gauge, others gauges.

    Args:
        key: series key as :func:`hub.model.names.series_key` gives it.
        unit: the unit the sender named, else the usual one of the key.
        kind: ``gauge``, ``counter`` or ``delta`` where the sender says more than the name.

    Raises:
        Refused: ``WL-ING-020`` for a unit that does not fit, ``WL-ING-021`` for an unknown kind, ``WL-ING-025``
            for a register of what is a state (a counter of watts).
    """
    if kind is not None and kind not in {b.value for b in Behaviour}:
        raise Refused(
            "WL-ING-021", f"kind {kind[:24]!r} is none of gauge, counter, delta", where=f"kinds.{key}"
        )
    phase = _PHASE.match(key)
    known = _KNOWN.get(phase["base"] if phase else key)
    if known is not None:
        quantity, behaviour, usual_unit, direction = known
        sent = unit if unit is not None else usual_unit
        conversion(quantity, sent)
        _refuse_register(key, quantity, kind)
        return SeriesInfo(key, quantity, Behaviour(kind) if kind else behaviour, sent, direction)
    quantity = quantity_of_unit(unit) if unit else Quantity.OTHER
    _refuse_register(key, quantity, kind)
    behaviour = Behaviour(kind) if kind else _BEHAVIOUR_OF_QUANTITY.get(quantity, Behaviour.GAUGE)
    return SeriesInfo(key, quantity, behaviour, unit)


def same_kind(key: str, known: Behaviour | None, kind: str | None) -> None:
    """A sender that names a kind has to name the one of the series.

    Raises:
        Refused: ``WL-ING-025``: amounts taken for register readings, or the reverse, would be false energy.
    """
    if kind is not None and known is not None and known.value != kind:
        raise Refused(
            "WL-ING-025",
            f"{key} is a {known.value}, not a {kind}",
            where=f"kinds.{key}",
            hint="send it under another name, or leave the kind out",
        )


def _refuse_register(key: str, quantity: Quantity, kind: str | None) -> None:
    if kind in ("counter", "delta") and quantity in _STATES:
        raise Refused(
            "WL-ING-025",
            f"{quantity.value} is a state and no {kind}",
            where=f"kinds.{key}",
            hint="a register has a unit such as kWh or m3",
        )
