"""Which series decide the energy of a device, and where the device stands in the house.

Every device of the balance *gives* to the house (grid import, production, discharge) or *takes* from it (export,
charge, consumption). For each side a :class:`SiteMeter` lists terms in order of trust: a counter decides where
there is one, then its phases or tariff registers summed, then power integrated by its sign.

Slots keep only the *signed net* of a power series. A power that changes its sign inside a quarter of an hour
shows the difference on one side and nothing on the other, where two counters show both. Nothing is lost of the
balance by that: the same amount is missing on both of its sides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hub.model.device import Device
from hub.model.series import Behaviour, Direction, Role, Series
from hub.model.units import Quantity

CONSUMERS = frozenset({Role.LOAD, Role.EV, Role.HEAT_PUMP})
ELECTRIC = frozenset({Role.GRID, Role.SOLAR, Role.BATTERY, *CONSUMERS})
_PART = re.compile(r"^(?P<base>.+)_(?P<kind>[lt])(?P<number>[1-9])$")


_INTO = frozenset(
    {"import", "imported", "consumed", "consumption", "charge", "charged", "delivered", "forward"}
)
_OUT = frozenset(
    {"export", "exported", "produced", "production", "discharge", "discharged", "returned", "reverse"}
)


@dataclass(frozen=True, slots=True)
class Term:
    """Series that are added up; ``sign`` +1 takes what is above zero of the sum, -1 what is below it."""

    series: tuple[int, ...]
    sign: int = 1
    by_power: bool = False


@dataclass(frozen=True, slots=True)
class SiteMeter:
    """A device of the balance. In each slot the first term of a side that is known decides.

    ``parent`` is the nearest device of the balance whose meter contains this one; what hangs on a grid meter
    directly hangs on the house and has none. ``soc`` is the series of a battery's charge in percent.
    """

    device: str
    role: Role
    parent: str | None
    give: tuple[Term, ...]
    take: tuple[Term, ...]
    soc: int | None = None

    def series(self) -> tuple[int, ...]:
        """Numbers of all series that may decide, without repeats."""
        numbers = [number for term in (*self.give, *self.take) for number in term.series]
        return tuple(dict.fromkeys(numbers if self.soc is None else [*numbers, self.soc]))


def site_meters(devices: Iterable[Device], series: Mapping[str, Sequence[Series]]) -> tuple[SiteMeter, ...]:
    """Devices that count in the balance, by id; ``series`` are those of each device.

    Devices without an electric role, or without any energy or power that counts, are left out, and so is a
    grid meter behind another grid meter.
    """
    every = {device.id: device for device in devices}
    sides = {
        device.id: _sides(device.role, [one for one in series.get(device.id, ()) if one.in_balance])
        for device in every.values()
        if device.role in ELECTRIC
    }
    inside = {name for name, (give, take) in sides.items() if give or take}
    meters = []
    for name in sorted(inside):
        device, above = every[name], _above(name, every, inside)
        if device.role is Role.GRID and any(every[one].role is Role.GRID for one in above):
            continue
        parent = above[0] if above and every[above[0]].role is not Role.GRID else None
        soc = _soc(series.get(name, ())) if device.role is Role.BATTERY else None
        meters.append(SiteMeter(name, device.role, parent, *sides[name], soc))
    return tuple(meters)


def _above(name: str, devices: Mapping[str, Device], inside: set[str]) -> list[str]:
    """Ancestors in the balance, the nearest first; none where the chain bites its tail."""
    found: list[str] = []
    seen, at = {name}, devices[name].parent
    while at is not None and at in devices:
        if at in seen:
            return []
        seen.add(at)
        if at in inside:
            found.append(at)
        at = devices[at].parent
    return found


def _sides(role: Role, series: Sequence[Series]) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """Terms for (give, take) by role: registers are named as the device sees them, powers by the sign rule."""
    into, out = _counters(series, Direction.IMPORT), _counters(series, Direction.EXPORT)
    either, both_ways = _counters(series, Direction.BOTH), _deltas(series)
    drawn, fed = _powers(series, Direction.IMPORT), _powers(series, Direction.EXPORT)
    power, negative = _powers(series, Direction.BOTH), _powers(series, Direction.BOTH, -1)
    if role is Role.GRID:
        return (*into, *either, *drawn, *power), (*out, *both_ways, *fed, *negative)
    if role is Role.SOLAR:
        alone = not (out or either)
        lone_power = not (fed or power)
        give = (*out, *either, *(into if alone else ()), *fed, *power, *(drawn if lone_power else ()))
        return give, (*(into if out else ()), *(() if lone_power else drawn), *negative)
    if role is Role.BATTERY:
        return (*out, *fed, *power), (*into, *drawn, *negative)
    return (*out, *both_ways, *fed, *negative), (*into, *either, *drawn, *power)


def _counters(series: Sequence[Series], direction: Direction) -> tuple[Term, ...]:
    found = [
        one
        for one in series
        if one.quantity is Quantity.ENERGY
        and one.behaviour is not Behaviour.GAUGE
        and _direction(one) is direction
    ]
    return tuple(Term(numbers) for numbers in _wholes(found))


def _deltas(series: Sequence[Series]) -> tuple[Term, ...]:
    """Signed amounts since the reading before: what is below zero flowed the other way."""
    found = [
        one
        for one in series
        if one.quantity is Quantity.ENERGY
        and one.behaviour is Behaviour.DELTA
        and _direction(one) is Direction.BOTH
    ]
    return tuple(Term(numbers, -1) for numbers in _wholes(found))


def _powers(series: Sequence[Series], direction: Direction, sign: int = 1) -> tuple[Term, ...]:
    found = [
        one
        for one in series
        if one.quantity is Quantity.POWER and one.behaviour is Behaviour.GAUGE and one.direction is direction
    ]
    return tuple(Term(numbers, sign, by_power=True) for numbers in _wholes(found))


def _direction(series: Series) -> Direction:
    """As declared; where that is open, as the words of the key say it, seen from the device."""
    if series.direction is not Direction.BOTH:
        return series.direction
    words = set(series.key.split("_"))
    into, out = bool(words & _INTO), bool(words & _OUT)
    if into == out:
        return Direction.BOTH
    return Direction.IMPORT if into else Direction.EXPORT


_USUAL = ("energy_import", "energy_export", "energy", "power", "power_import", "power_export")


def _wholes(series: Sequence[Series]) -> list[tuple[int, ...]]:
    """One total where there is one, then sums of phases (``_l1`` …), then of tariff registers (``_t1`` …)."""
    totals = [one for one in series if _PART.match(one.key) is None]
    totals.sort(key=lambda one: (one.key not in _USUAL, "total" not in one.key, one.no))
    parts: dict[tuple[str, str], list[int]] = {}
    for one in sorted(series, key=lambda one: one.key):
        match = _PART.match(one.key)
        if match is not None:
            parts.setdefault((match["kind"], match["base"]), []).append(int(one.no))
    first = [(int(totals[0].no),)] if totals else []
    return [*first, *(tuple(numbers) for _, numbers in sorted(parts.items()))]


def _soc(series: Sequence[Series]) -> int | None:
    return next((int(one.no) for one in series if one.quantity is Quantity.STATE_OF_CHARGE), None)
