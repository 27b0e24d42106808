"""What the house says of its devices: names for people, roles for the balance, series for the recorder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hub.plugins.api import Behaviour, DeviceInfo, Role, SeriesInfo, known_series

REGISTER_RESOLUTION_WH = 0.001


@dataclass(frozen=True, slots=True)
class Declaration:
    """A device and its series, as an integration declares them."""

    device: DeviceInfo
    series: tuple[SeriesInfo, ...]

    def public_ids(self) -> Sequence[str]:
        """``grid.power`` and so on, in the order of ``series``."""
        return [f"{self.device.id}.{info.key}" for info in self.series]


_MAKER = "Wattline"
# id, name, kind, model, role, parent, keys
_HOUSE: tuple[tuple[str, str, str, str, Role, str | None, tuple[str, ...]], ...] = (
    ("grid", "Grid meter", "meter", "Simulated smart meter", Role.GRID, None,
     ("power", "energy_import", "energy_export", "voltage")),
    ("solar", "Solar roof", "inverter", "Simulated 6.5 kW roof", Role.SOLAR, None, ("power", "energy")),
    ("battery", "Home battery", "battery", "Simulated 9.6 kWh battery", Role.BATTERY, None,
     ("power", "soc", "energy_import", "energy_export")),
    ("ev-charger", "Wallbox", "charger", "Simulated 7.4 kW wallbox", Role.EV, None, ("power", "energy")),
    ("heat-pump", "Heat pump", "heat_pump", "Simulated air heat pump", Role.HEAT_PUMP, None,
     ("power", "energy", "temperature")),
    ("kitchen", "Kitchen circuit", "meter", "Simulated circuit meter", Role.LOAD, None, ("power", "energy")),
    ("fridge", "Fridge", "plug", "Simulated plug", Role.LOAD, "kitchen", ("power", "energy")),
    ("dishwasher", "Dishwasher", "plug", "Simulated plug", Role.LOAD, "kitchen", ("power", "energy")),
    ("washing-machine", "Washing machine", "plug", "Simulated plug", Role.LOAD, None, ("power", "energy")),
    ("office", "Home office", "plug", "Simulated plug", Role.LOAD, None, ("power", "energy")),
)  # fmt: skip
_NAMES = {"heat-pump.temperature": "Outdoor temperature", "battery.soc": "State of charge"}


@dataclass(frozen=True, slots=True)
class Connection:
    """The metering point of the house: what its supplier sees."""

    id: str
    name: str
    code: str
    registers: tuple[str, ...]


CONNECTION = Connection(
    "grid", "Grid connection", "00000000000001", ("grid.energy_import", "grid.energy_export")
)


def declarations(interval_s: int) -> tuple[Declaration, ...]:
    """All devices of the house, parents before what hangs on them."""
    return tuple(
        Declaration(
            DeviceInfo(id=device, name=name, kind=kind, maker=_MAKER, model=model, role=role, parent=parent),
            tuple(_series(device, key, interval_s) for key in keys),
        )
        for device, name, kind, model, role, parent, keys in _HOUSE
    )


def _series(device: str, key: str, interval_s: int) -> SeriesInfo:
    info = replace(known_series(key), interval_ms=interval_s * 1000, name=_NAMES.get(f"{device}.{key}", ""))
    if info.behaviour is Behaviour.COUNTER:
        # the registers are told in Wh, so that a whole mWh stays a whole mWh on its way into the store
        return replace(info, unit="Wh", resolution=REGISTER_RESOLUTION_WH)
    return info
