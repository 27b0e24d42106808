"""What fits together: points, installations and the registers at them. Pure; raises what people can put right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from hub.energy.installations import Installation
from hub.errors import Refused
from hub.model.names import DEVICE_ID, series_key
from hub.model.series import Behaviour, Series, SeriesInfo, known_series
from hub.model.times import MS_2000
from hub.model.units import Quantity, conversion
from hub.storage.metering import InstallationRow, MeteringPoint

KINDS: Final = ("electricity", "gas", "water", "heat", "other")
_KEY_OF_KIND: Final = {"electricity": "energy_import", "gas": "gas", "water": "water", "heat": "heat"}
_KIND_OF: Final = {Quantity.GAS: "gas", Quantity.WATER: "water", Quantity.HEAT: "heat"}
_OVER_ZERO: Final = ("factor", "calorific_value", "state_number")


def kind_of(quantity: Quantity) -> str:
    """Kind of the point that a register of this quantity stands at."""
    return _KIND_OF.get(quantity, "electricity")


def checked_point(point: MeteringPoint) -> MeteringPoint:
    """A point whose fields fit.

    Raises:
        Refused: ``WL-MET-001``.
    """
    if not DEVICE_ID.match(point.id):
        raise Refused("WL-MET-001", "an id holds a-z, 0-9, _ and - only, at most 64", where="id")
    if point.kind not in KINDS:
        raise Refused("WL-MET-001", f"kind is one of {', '.join(KINDS)}", where="kind")
    if not point.name.strip():
        raise Refused("WL-MET-001", "a metering point needs a name", where="name")
    return point


def checked_installation(
    before: Installation, fields: Mapping[str, Any], series: Series
) -> tuple[Installation, str]:
    """An installation with ``fields`` changed, and its note; ``unit`` is that of opening and closing.

    Raises:
        Refused: ``WL-MET-002``, ``WL-ING-020`` for a unit.
    """
    unit = fields.get("unit")
    values = {name: value for name, value in fields.items() if name in Installation.__slots__}
    for name in ("opening", "closing"):
        if name in values:
            values[name] = stored_value(series, values[name], unit)
    if values.get("factor", 1.0) is None:
        values["factor"] = 1.0
    installed = replace(before, **values)
    _check_times(installed)
    _check_numbers(installed)
    _check_register(installed, series)
    return installed, str(fields.get("note") or "")


def _check_times(one: Installation) -> None:
    if one.from_ms < MS_2000:
        raise Refused("WL-MET-002", "an installation begins in 2000 or later", where="from")
    if one.to_ms is not None and one.to_ms <= one.from_ms:
        raise Refused("WL-MET-002", "to does not lie after from", where="to")
    if one.closing is not None and one.to_ms is None:
        raise Refused("WL-MET-002", "a register closes when it goes: closing needs to", where="closing")


def _check_numbers(one: Installation) -> None:
    for name in _OVER_ZERO:
        value = getattr(one, name)
        if value is not None and not (math.isfinite(value) and 0 < value <= 1e6):
            raise Refused("WL-MET-002", f"{name} must be above 0 and at most 1e6", where=name)
    for name in ("opening", "closing"):
        value = getattr(one, name)
        if value is not None and not (math.isfinite(value) and abs(value) <= 1e15):
            raise Refused("WL-MET-002", f"{name} is no value of a register", where=name)


def _check_register(one: Installation, series: Series) -> None:
    if series.behaviour is Behaviour.GAUGE:
        raise Refused(
            "WL-MET-002", f"{series.public_id} is a state, not a register that counts", where="series"
        )
    cut = one.opening is not None or one.closing is not None
    if cut and series.behaviour is not Behaviour.COUNTER:
        raise Refused("WL-MET-002", f"{series.public_id} has no register to open or close", where="opening")
    falls = one.opening is not None and one.closing is not None and one.closing < one.opening
    if falls and series.register_width is None:
        raise Refused(
            "WL-MET-002",
            "closing lies below opening",
            where="closing",
            hint="if the register rolled over, set register_width of the series",
        )
    gas = one.calorific_value is not None or one.state_number is not None
    if gas and series.quantity is not Quantity.GAS:
        raise Refused("WL-MET-002", "only gas has a calorific value", where="calorific_value")
    if one.state_number is not None and one.calorific_value is None:
        raise Refused("WL-MET-002", "a state number needs a calorific value", where="state_number")


def refuse_overlap(installed: Sequence[InstallationRow]) -> None:
    """Raise where one register is installed twice at a time.

    Raises:
        Refused: ``WL-MET-003``.
    """
    ordered = sorted(installed, key=lambda row: (row.installation.from_ms, row.id))
    for first, second in pairwise(ordered):
        if first.installation.end_ms > second.installation.from_ms:
            raise Refused(
                "WL-MET-003",
                f"the register is installed at {first.metering_point} at that time"
                f" (installation {first.id or 'before'})",
                where="from",
                hint="end that installation first",
            )


def stored_value(series: Series, value: float | None, unit: str | None) -> float | None:
    """A register value in the stored unit of its series.

    Raises:
        Refused: ``WL-ING-020``.
    """
    if value is None or unit is None:
        return value
    change = conversion(series.quantity, unit)
    return value if change.is_identity else round(value * change.factor + change.offset, 6)


def manual_series(kind: str, register: str | None, unit: str | None) -> SeriesInfo:
    """The register of a meter that nobody but a person reads.

    Raises:
        Refused: ``WL-ING-011`` a name that makes no key, ``WL-ING-020`` a unit, ``WL-MET-007`` no usual register.
    """
    key = register or _KEY_OF_KIND.get(kind)
    if key is None:
        raise Refused("WL-MET-007", "say which register this is", where="register")
    return known_series(series_key(key), unit=unit, kind=Behaviour.COUNTER.value)
