"""The scenario of a what-if, read with every fault at once."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from hub.actors.money_requests import AskWhatIf
from hub.energy.money import exact_decimal
from hub.energy.whatif import Battery
from web.problems import RefusedInParts

_KEYS: Final = ("metering_point", "start", "end", "tariff", "battery", "pv_scale")
_BATTERY_KEYS: Final = ("capacity_kwh", "power_kw", "efficiency", "strategy")
MAX_PV_SCALE: Final = 1_000


def scenario_of(sent: Any) -> AskWhatIf:
    """A sent what-if whose times are epoch milliseconds already.

    Raises:
        RefusedInParts: ``WL-API-422``, with the path of every fault.
    """
    faults: list[dict[str, object]] = []
    if not isinstance(sent, dict):
        raise _refused([_fault("", "the body must be a JSON object")])
    faults += [_fault(str(key)[:100], "is not known here") for key in sent if key not in _KEYS]
    faults += [_fault(name, "is required") for name in ("start", "end") if sent.get(name) is None]
    point, tariff = sent.get("metering_point", "grid"), sent.get("tariff")
    if not isinstance(point, str):
        faults.append(_fault("metering_point", "must be text"))
    if tariff is not None and not isinstance(tariff, str | dict):
        faults.append(_fault("tariff", "must be the id of a tariff, or a whole one"))
    battery = _battery(sent.get("battery"), faults)
    scale = _number(sent, "pv_scale", "pv_scale", faults, Fraction(1), most=MAX_PV_SCALE)
    if not faults and sent["start"] >= sent["end"]:
        faults.append(_fault("end", "does not lie after start"))
    if faults:
        raise _refused(faults)
    return AskWhatIf(str(point), sent["start"], sent["end"], tariff, battery, str(scale))


def _battery(sent: Any, faults: list[dict[str, object]]) -> Battery | None:
    if sent is None:
        return None
    if not isinstance(sent, dict):
        faults.append(_fault("battery", "must be an object"))
        return None
    before = len(faults)
    faults += [
        _fault(f"battery.{str(key)[:60]}", "is not known here") for key in sent if key not in _BATTERY_KEYS
    ]
    faults += [
        _fault(f"battery.{key}", "is required")
        for key in ("capacity_kwh", "power_kw")
        if sent.get(key) is None
    ]
    capacity = _number(sent, "capacity_kwh", "battery.capacity_kwh", faults, Fraction(0), most=10**6)
    power = _number(sent, "power_kw", "battery.power_kw", faults, Fraction(0), most=10**6)
    efficiency = _number(sent, "efficiency", "battery.efficiency", faults, Fraction(9, 10), most=1)
    if efficiency <= 0:
        faults.append(_fault("battery.efficiency", "must be above 0"))
    strategy = sent.get("strategy", "self_consumption")
    if strategy not in ("self_consumption", "price"):
        faults.append(_fault("battery.strategy", "must be self_consumption or price"))
    if len(faults) > before:
        return None
    return Battery(round(capacity * 10**6), round(power * 1000), efficiency, strategy)


def _number(
    sent: Mapping[str, Any],
    key: str,
    path: str,
    faults: list[dict[str, object]],
    default: Fraction,
    *,
    most: int,
) -> Fraction:
    value = sent.get(key)
    if value is None:
        return default
    try:
        number = Fraction(exact_decimal(value))
    except ValueError as error:
        faults.append(_fault(path, str(error)))
        return default
    if not 0 <= number <= most:
        faults.append(_fault(path, f"must be between 0 and {most:,}"))
    return number


def _fault(field: str, detail: str) -> dict[str, object]:
    return {"field": field, "detail": detail}


def _refused(faults: list[dict[str, object]]) -> RefusedInParts:
    return RefusedInParts("WL-API-422", str(faults[0]["detail"]), faults, where=str(faults[0]["field"]))
