"""What the fields of a Shelly's components mean: devices, series, units and signs. Pure.

Energies are Wh (``by_minute`` is mWh and is not read), powers W. Channel 0 is the device itself
(``shellyplus1pm-<mac>``), channel N the device ``<id>-chN``: each channel measures another circuit. Where a
profile exchanges the components at run time (three phases or three meters, switches or a cover), the second
profile's channels are devices of their own (``<id>-ch0``…, ``<id>-cover0``), so that no series ever changes
its meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hub.plugins.api import MAX_ABS_VALUE, DeviceInfo, Options, Role, SeriesInfo, device_id, known_series
from integrations.shelly.status import METERING

Fields = Mapping[str, Any]

_USELESS = ("power_meter_failure", "ct_type_not_set")
"""Members of ``errors`` that make everything of the component worthless."""

_OUT_OF_RANGE = {
    "act_power": "act_power",
    "active_power": "act_power",
    "apower": "apower",
    "aprt_power": "aprt_power",
    "apparent_power": "aprt_power",
    "voltage": "voltage",
    "current": "current",
}


@dataclass(frozen=True, slots=True)
class Value:
    """One measured value of a component, in ``unit``."""

    key: str
    unit: str
    value: float


@dataclass(frozen=True, slots=True)
class _Measure:
    """How a value is found: ``take`` gets the merged fields, ``fields`` are those it looks at."""

    key: str
    unit: str
    fields: tuple[str, ...]
    take: Callable[[Fields], float | None]


@dataclass(frozen=True, slots=True)
class Identity:
    """What ``GET /shelly`` says of a device, and what the user calls it."""

    id: str
    name: str
    model: str
    firmware: str
    mac: str
    has_profiles: bool
    options: Options

    def device(self, component: str) -> DeviceInfo:
        """The device to which the values of a component belong."""
        kind, index = _kind_and_index(component)
        wish: Mapping[str, Any] = self.options["channels"].get(index, {})
        role = wish.get("role") or (self.options.get("role") if index == 0 else None)
        suffix = self._suffix(kind, index)
        own_id = device_id(self.id[: 64 - len(suffix)] + suffix)
        return DeviceInfo(
            id=own_id,
            name=wish.get("name") or (f"{self.name} {index}" if self.name and index else self.name),
            kind="meter" if kind.startswith("em") or kind == "pm1" else kind,
            maker="Shelly",
            model=self.model,
            firmware=self.firmware,
            serial=self.mac,
            role=Role(role) if role else None,
            area=wish.get("area") or self.options.get("area"),
        )

    def _suffix(self, kind: str, index: int) -> str:
        if self.has_profiles and kind == "cover":
            return f"-cover{index}"
        if index or (self.has_profiles and kind in ("em1", "em1data")):
            return f"-ch{index}"
        return ""


def identity_of(info: Mapping[str, Any], options: Options) -> Identity:
    """Who a device is, by its answer to ``GET /shelly``.

    Raises:
        ValueError: the answer has no usable ``id``.
    """
    hardware_id = info.get("id")
    if not isinstance(hardware_id, str) or not 0 < len(hardware_id) <= 64:
        raise ValueError("the answer has no device id")
    return Identity(
        id=device_id(options.get("id") or hardware_id.lower()),
        name=options.get("name") or _text(info.get("name")),
        model=_text(info.get("model")),
        firmware=_text(info.get("ver")),
        mac=_text(info.get("mac")),
        has_profiles=info.get("profile") is not None,
        options=options,
    )


def values_of(component: str, fields: Fields, changed: Collection[str], *, reverse: bool) -> list[Value]:
    """Values of a component that look at a changed field and are valid now.

    A value is left out where a field is null, no finite number, or marked invalid by an ``errors`` member.
    """
    kind, _ = _kind_and_index(component)
    found = []
    for measure in _MEASURES[kind]:
        if not any(field in changed for field in measure.fields) or _invalid(measure, fields):
            continue
        value = measure.take(fields)
        if value is not None:
            found.append(_from_other_side(measure, value, fields) if reverse else _as_is(measure, value))
    return found


def measures(component: str, fields: Fields) -> bool:
    """Whether a component measures energy flows at all (a switch need not)."""
    kind, _ = _kind_and_index(component)
    return any(field in fields for one in _MEASURES[kind] if one.key != "temperature" for field in one.fields)


def series_of(value: Value, interval_s: float) -> SeriesInfo:
    """What the hub has to know of a value's series."""
    info = known_series(value.key, unit=value.unit)
    return SeriesInfo(
        key=info.key,
        quantity=info.quantity,
        behaviour=info.behaviour,
        unit=info.unit,
        direction=info.direction,
        interval_ms=round(interval_s * 1000),
    )


def number_of(value: object) -> float | None:
    """A JSON number as float; None for null, booleans, text, NaN and what is too large to be a measurement."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -MAX_ABS_VALUE < value < MAX_ABS_VALUE else None


def _kind_and_index(component: str) -> tuple[str, int]:
    found = METERING.match(component)
    if found is None:
        raise ValueError(f"{component[:40]!r} is no measuring component")
    return found[1], int(found[2])


def _as_is(measure: _Measure, value: float) -> Value:
    return Value(measure.key, measure.unit, value)


def _from_other_side(measure: _Measure, value: float, fields: Fields) -> Value:
    if measure.unit == "W":
        return Value(measure.key, measure.unit, -value)
    # Without ret_aenergy the register counts both directions alike, so there is nothing to swap.
    if measure.unit == "Wh" and not (measure.take is _imported and "ret_aenergy" not in fields):
        return Value(_swapped(measure.key), measure.unit, value)
    return _as_is(measure, value)


def _swapped(key: str) -> str:
    if "import" in key:
        return key.replace("import", "export")
    return key.replace("export", "import")


def _invalid(measure: _Measure, fields: Fields) -> bool:
    general = _errors(fields, "errors")
    if any(error in _USELESS for error in general):
        return True
    for field in measure.fields:
        prefix = field[:2] if field[:2] in ("a_", "b_", "c_", "n_") else ""
        name = field.removeprefix(prefix).removeprefix("total_")
        if name in _bad_fields(fields, f"{prefix}errors", "errors"):
            return True
        # A sum is no better than its worst phase.
        if field.startswith("total_") and name in _bad_fields(
            fields, "a_errors", "b_errors", "c_errors", "total_errors"
        ):
            return True
    return False


def _bad_fields(fields: Fields, *lists: str) -> set[str]:
    """Fields that an error such as ``out_of_range:voltage`` in one of these lists speaks of."""
    bad = set()
    for name in lists:
        for error in _errors(fields, name):
            kind, _, field = error.partition(":")
            if kind == "out_of_range":
                bad.add(_OUT_OF_RANGE.get(field, field))
            elif kind in _USELESS:
                bad.update((*_OUT_OF_RANGE.values(), "pf", "freq"))
    return bad


def _errors(fields: Fields, name: str) -> list[str]:
    errors = fields.get(name)
    return [one for one in errors if isinstance(one, str)] if isinstance(errors, list) else []


def _text(value: object) -> str:
    """Names as the device tells them, without control characters and lone surrogates."""
    return "".join(char for char in value[:100] if char.isprintable()) if isinstance(value, str) else ""


def _field(key: str, field: str, unit: str) -> _Measure:
    return _Measure(key, unit, (field,), lambda fields: number_of(fields.get(field)))


def _inner(fields: Fields, outer: str, inner: str) -> float | None:
    nested = fields.get(outer)
    return number_of(nested.get(inner)) if isinstance(nested, dict) else None


def _imported(fields: Fields) -> float | None:
    """``aenergy`` counts both directions, ``ret_aenergy`` the returned share: import is what remains.

    Older firmware has no ``ret_aenergy``; its ``aenergy`` is taken as it is.
    """
    both = _inner(fields, "aenergy", "total")
    if both is None or "ret_aenergy" not in fields:
        return both
    returned = _inner(fields, "ret_aenergy", "total")
    if returned is None or returned > both:
        return None
    return round(both - returned, 3)


def _exported(fields: Fields) -> float | None:
    return _inner(fields, "ret_aenergy", "total")


_SWITCH = (
    _field("power", "apower", "W"),
    _field("apparent_power", "aprtpower", "VA"),
    _field("voltage", "voltage", "V"),
    _field("current", "current", "A"),
    _field("power_factor", "pf", ""),
    _field("frequency", "freq", "Hz"),
    _Measure("temperature", "°C", ("temperature",), lambda fields: _inner(fields, "temperature", "tC")),
    _Measure("energy_import", "Wh", ("aenergy", "ret_aenergy"), _imported),
    _Measure("energy_export", "Wh", ("ret_aenergy",), _exported),
)
_EM1 = (
    _field("power", "act_power", "W"),
    _field("apparent_power", "aprt_power", "VA"),
    _field("voltage", "voltage", "V"),
    _field("current", "current", "A"),
    _field("power_factor", "pf", ""),
    _field("frequency", "freq", "Hz"),
)
_EM1DATA = (
    _field("energy_import", "total_act_energy", "Wh"),
    _field("energy_export", "total_act_ret_energy", "Wh"),
)
_PHASES = (("a", "l1"), ("b", "l2"), ("c", "l3"))
_EM = (
    _field("power", "total_act_power", "W"),
    _field("apparent_power", "total_aprt_power", "VA"),
    _field("current", "total_current", "A"),
    _field("current_n", "n_current", "A"),
    _field("frequency", "a_freq", "Hz"),
    *(_field(f"power_{line}", f"{phase}_act_power", "W") for phase, line in _PHASES),
    *(_field(f"apparent_power_{line}", f"{phase}_aprt_power", "VA") for phase, line in _PHASES),
    *(_field(f"voltage_{line}", f"{phase}_voltage", "V") for phase, line in _PHASES),
    *(_field(f"current_{line}", f"{phase}_current", "A") for phase, line in _PHASES),
    *(_field(f"power_factor_{line}", f"{phase}_pf", "") for phase, line in _PHASES),
)
_EMDATA = (
    _field("energy_import", "total_act", "Wh"),
    _field("energy_export", "total_act_ret", "Wh"),
    *(_field(f"energy_import_{line}", f"{phase}_total_act_energy", "Wh") for phase, line in _PHASES),
    *(_field(f"energy_export_{line}", f"{phase}_total_act_ret_energy", "Wh") for phase, line in _PHASES),
)
_MEASURES: Mapping[str, tuple[_Measure, ...]] = {
    "em": _EM,
    "emdata": _EMDATA,
    "em1": _EM1,
    "em1data": _EM1DATA,
    **dict.fromkeys(("pm1", "switch", "cover", "light", "rgb", "rgbw", "cct"), _SWITCH),
}
