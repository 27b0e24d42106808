"""Quantities, their one stored unit, and the exact factors of the units that devices send."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hub.errors import Refused


class Quantity(StrEnum):
    """What a series measures; each has exactly one stored unit (:data:`STORED_UNIT`)."""

    POWER = "power"
    APPARENT_POWER = "apparent_power"
    REACTIVE_POWER = "reactive_power"
    ENERGY = "energy"
    REACTIVE_ENERGY = "reactive_energy"
    VOLTAGE = "voltage"
    CURRENT = "current"
    FREQUENCY = "frequency"
    POWER_FACTOR = "power_factor"
    TEMPERATURE = "temperature"
    HUMIDITY = "humidity"
    IRRADIANCE = "irradiance"
    STATE_OF_CHARGE = "state_of_charge"
    GAS = "gas"
    WATER = "water"
    HEAT = "heat"
    PRICE = "price"
    CARBON_INTENSITY = "carbon_intensity"
    DURATION = "duration"
    OTHER = "other"


STORED_UNIT: Mapping[Quantity, str] = {
    Quantity.POWER: "W",
    Quantity.APPARENT_POWER: "VA",
    Quantity.REACTIVE_POWER: "var",
    Quantity.ENERGY: "Wh",
    Quantity.REACTIVE_ENERGY: "varh",
    Quantity.VOLTAGE: "V",
    Quantity.CURRENT: "A",
    Quantity.FREQUENCY: "Hz",
    Quantity.POWER_FACTOR: "",
    Quantity.TEMPERATURE: "°C",
    Quantity.HUMIDITY: "%",
    Quantity.IRRADIANCE: "W/m2",
    Quantity.STATE_OF_CHARGE: "%",
    Quantity.GAS: "m3",
    Quantity.WATER: "m3",
    Quantity.HEAT: "Wh",
    Quantity.PRICE: "",
    Quantity.CARBON_INTENSITY: "g/kWh",
    Quantity.DURATION: "s",
    Quantity.OTHER: "",
}


@dataclass(frozen=True, slots=True)
class Conversion:
    """From a sent unit to the stored one: ``stored = sent * factor + offset``."""

    unit: str
    factor: float
    offset: float = 0.0

    @property
    def is_identity(self) -> bool:
        """True where the stored value is the sent value."""
        return self.factor == 1.0 and self.offset == 0.0


_ENERGY_WH: Mapping[str, float] = {
    "mWh": 1e-3, "Wh": 1.0, "kWh": 1e3, "MWh": 1e6, "GWh": 1e9, "TWh": 1e12,
    "J": 1 / 3600, "kJ": 1 / 3.6, "MJ": 1000 / 3.6, "GJ": 1e6 / 3.6,
    "cal": 4.184 / 3600, "kcal": 4.184 / 3.6, "Mcal": 4184 / 3.6, "Gcal": 4.184e6 / 3.6,
    "BTU": 1055.05585262 / 3600, "kBTU": 1055.05585262 / 3.6, "therm": 105505585.262 / 3600,
    "Wmin": 1 / 60, "Ws": 1 / 3600,
}  # fmt: skip
_VOLUME_M3: Mapping[str, float] = {
    "m3": 1.0, "m³": 1.0, "L": 1e-3, "l": 1e-3, "mL": 1e-6, "ml": 1e-6, "dm3": 1e-3, "dm³": 1e-3,
    "ft3": 0.028316846592, "ft³": 0.028316846592, "CCF": 2.8316846592, "MCF": 28.316846592,
    "gal": 0.003785411784, "fl. oz.": 2.95735295625e-5,
}  # fmt: skip
_FACTORS: Mapping[Quantity, Mapping[str, float]] = {
    Quantity.POWER: {
        "mW": 1e-3,
        "W": 1.0,
        "kW": 1e3,
        "MW": 1e6,
        "GW": 1e9,
        "TW": 1e12,
        "BTU/h": 0.29307107017222,
    },
    Quantity.APPARENT_POWER: {"mVA": 1e-3, "VA": 1.0, "kVA": 1e3, "MVA": 1e6},
    Quantity.REACTIVE_POWER: {"mvar": 1e-3, "var": 1.0, "kvar": 1e3, "Mvar": 1e6},
    Quantity.ENERGY: _ENERGY_WH,
    Quantity.REACTIVE_ENERGY: {"varh": 1.0, "kvarh": 1e3, "Mvarh": 1e6},
    Quantity.HEAT: _ENERGY_WH,
    Quantity.VOLTAGE: {"µV": 1e-6, "μV": 1e-6, "mV": 1e-3, "V": 1.0, "kV": 1e3},
    Quantity.CURRENT: {"mA": 1e-3, "A": 1.0, "kA": 1e3},
    Quantity.FREQUENCY: {"mHz": 1e-3, "Hz": 1.0, "kHz": 1e3},
    Quantity.POWER_FACTOR: {"": 1.0, "1": 1.0, "%": 1e-2},
    Quantity.TEMPERATURE: {"°C": 1.0, "C": 1.0, "℃": 1.0, "K": 1.0, "°F": 5 / 9, "F": 5 / 9},
    Quantity.HUMIDITY: {"%": 1.0, "%RH": 1.0},
    Quantity.IRRADIANCE: {"W/m2": 1.0, "W/m²": 1.0, "kW/m2": 1e3, "kW/m²": 1e3},
    Quantity.STATE_OF_CHARGE: {"%": 1.0, "1": 100.0},
    Quantity.GAS: _VOLUME_M3,
    Quantity.WATER: _VOLUME_M3,
    Quantity.CARBON_INTENSITY: {"g/kWh": 1.0, "gCO2/kWh": 1.0, "gCO2eq/kWh": 1.0, "kg/kWh": 1e3},
    Quantity.DURATION: {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0},
}
_OFFSETS: Mapping[tuple[Quantity, str], float] = {
    (Quantity.TEMPERATURE, "K"): -273.15,
    (Quantity.TEMPERATURE, "°F"): -160 / 9,
    (Quantity.TEMPERATURE, "F"): -160 / 9,
}


_PRICE = re.compile(r"([A-Z]{3}|ct|c)/[kM]?Wh\Z")
"""Money per energy: held until the next price, not a line from one to the other."""


def conversion(quantity: Quantity, sent_unit: str | None) -> Conversion:
    """Factor and offset from ``sent_unit`` to the stored unit of ``quantity``.

    ``None`` means the device said nothing: the stored unit is taken. Prices and other quantities keep
    whatever unit they came with.

    Raises:
        Refused: ``WL-ING-020`` where the unit does not belong to the quantity (``V`` for a power).
    """
    if quantity in (Quantity.OTHER, Quantity.PRICE):
        return Conversion(sent_unit or "", 1.0)
    stored = STORED_UNIT[quantity]
    if sent_unit is None or sent_unit == stored:
        return Conversion(stored, 1.0)
    factors = _FACTORS[quantity]
    known = sent_unit if sent_unit in factors else _by_letter_case(sent_unit, factors)
    if known is None:
        raise Refused(
            "WL-ING-020",
            f"unit {sent_unit[:24]!r} does not measure {quantity.value}",
            hint=f"one of {', '.join(sorted(u for u in factors if u))}",
        )
    return Conversion(stored, factors[known], _OFFSETS.get((quantity, known), 0.0))


def _by_letter_case(sent_unit: str, factors: Mapping[str, float]) -> str | None:
    """``KWH`` or ``kwh`` for ``kWh``: taken only where exactly one unit has these letters."""
    folded = sent_unit.strip().casefold()
    found = [unit for unit in factors if unit.casefold() == folded]
    return found[0] if len(found) == 1 else None


def quantity_of_unit(unit: str) -> Quantity:
    """The quantity a unit belongs to without doubt, else ``OTHER`` (``%`` and ``m3`` stay open)."""
    if _PRICE.match(unit):
        return Quantity.PRICE
    found = [q for q, factors in _FACTORS.items() if unit in factors and unit]
    if found == [Quantity.ENERGY, Quantity.HEAT]:
        return Quantity.ENERGY
    return found[0] if len(found) == 1 else Quantity.OTHER
