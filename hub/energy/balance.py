"""The live balance: latest powers → sources, uses and the named remainder that nobody measured.

Signs as in :mod:`hub.model`: import, production, discharge and consumption are positive. Powers become whole
milliwatts before they are added, so ``sum(sources) == sum(uses)`` holds exactly, remainder included.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from hub.model.reading import MAX_ABS_VALUE
from hub.model.series import Role

_CONSUMERS = frozenset({Role.LOAD, Role.EV, Role.HEAT_PUMP})


class Flow(StrEnum):
    """Where power comes from or goes to."""

    IMPORT = "import"
    PRODUCTION = "production"
    DISCHARGE = "discharge"
    EXPORT = "export"
    CHARGE = "charge"
    CONSUMPTION = "consumption"
    NOT_MEASURED = "not_measured"


@dataclass(frozen=True, slots=True)
class PowerInput:
    """The latest power of one device; ``power_w`` is None where nothing is known.

    ``parent`` names the device whose meter already contains this one (a plug behind a sub-meter), so that its
    power is not counted twice.
    """

    device: str
    role: Role
    power_w: float | None
    ts_ms: int
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """A part of one side, in milliwatts, always above zero; ``device`` is empty for the remainder."""

    flow: Flow
    device: str
    power_mw: int

    @property
    def power_w(self) -> float:
        """The same in watts."""
        return self.power_mw / 1000


@dataclass(frozen=True, slots=True)
class LiveBalance:
    """Both sides of the balance at one moment.

    ``stale`` devices were left at their last value though it is old; ``unknown`` ones have none, so the
    balance holds without them. ``complete`` is false where either is the case. ``residual_mw`` is signed:
    above zero is use that no device measures, below zero a source that none measures (or a wrong sign).
    """

    sources: tuple[Share, ...]
    uses: tuple[Share, ...]
    residual_mw: int
    stale: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every input is known and fresh."""
        return not self.stale and not self.unknown

    def total_mw(self) -> int:
        """Size of the balance; both sides have it."""
        return sum(share.power_mw for share in self.sources)

    def flow_mw(self, flow: Flow) -> int:
        """What flows under one name, over all devices and both sides."""
        return sum(share.power_mw for share in (*self.sources, *self.uses) if share.flow is flow)

    @property
    def house_use_mw(self) -> int:
        """What the house consumes: measured devices and the rest that none measures."""
        return self.flow_mw(Flow.CONSUMPTION) + max(self.residual_mw, 0)


def live_balance(inputs: Iterable[PowerInput], *, now_ms: int, stale_after_ms: int = 90_000) -> LiveBalance:
    """Put latest powers into balance.

    Roles without electric power (gas, water, heat, none) are left out, and so are devices whose ``parent`` is a
    consumer in the list: the parent's power contains them. Roofs and batteries behind a consumer count beside it,
    and what they give is added to what its meter shows. Without a grid input the house is an island, and
    what its sources give beyond the measured uses is still ``not_measured``.

    Args:
        inputs: at most one per device.
        now_ms: the moment of the balance.
        stale_after_ms: an older value is used but reported as stale.
    """
    given = list(inputs)
    counted, behind = _counted(given), _behind(given)
    sources: list[Share] = []
    uses: list[Share] = []
    stale: list[str] = []
    unknown: list[str] = []
    for one in counted:
        power_mw = _milliwatts(one.power_w)
        if power_mw is None:
            unknown.append(one.device)
            continue
        if now_ms - one.ts_ms > stale_after_ms:
            stale.append(one.device)
        power_mw += behind.get(one.device, 0)
        side, flow = _flow(one.role, power_mw)
        if power_mw:
            (sources if side else uses).append(Share(flow, one.device, abs(power_mw)))
    residual_mw = sum(s.power_mw for s in sources) - sum(u.power_mw for u in uses)
    if residual_mw > 0:
        uses.append(Share(Flow.NOT_MEASURED, "", residual_mw))
    elif residual_mw < 0:
        sources.append(Share(Flow.NOT_MEASURED, "", -residual_mw))
    return LiveBalance(tuple(sources), tuple(uses), residual_mw, tuple(stale), tuple(unknown))


def _counted(inputs: list[PowerInput]) -> list[PowerInput]:
    consumers = {
        one.device for one in inputs if one.role in _CONSUMERS and _milliwatts(one.power_w) is not None
    }
    electric = {Role.GRID, Role.SOLAR, Role.BATTERY, *_CONSUMERS}
    return [
        one
        for one in inputs
        if one.role in electric and not (one.role in _CONSUMERS and one.parent in consumers - {one.device})
    ]


def _behind(inputs: list[PowerInput]) -> dict[str, int]:
    """What roofs and batteries behind a consumer's meter give: it shows its use less that, and used it all."""
    by_device = {one.device: one for one in inputs}
    found: dict[str, int] = {}
    for one in inputs:
        power_mw = _milliwatts(one.power_w)
        if one.role not in (Role.SOLAR, Role.BATTERY) or power_mw is None:
            continue
        top, at, seen = None, one.parent, {one.device}
        while at is not None and at in by_device and at not in seen:
            seen.add(at)
            meter = by_device[at]
            if meter.role in _CONSUMERS and _milliwatts(meter.power_w) is not None:
                top = at
            at = meter.parent
        if top is not None:
            found[top] = found.get(top, 0) + power_mw
    return found


def _milliwatts(power_w: float | None) -> int | None:
    if power_w is None or not math.isfinite(power_w) or abs(power_w) > MAX_ABS_VALUE:
        return None
    return round(power_w * 1000)


def _flow(role: Role, power_mw: int) -> tuple[bool, Flow]:
    """(is a source, name) by role and sign."""
    match role:
        case Role.GRID:
            return (True, Flow.IMPORT) if power_mw > 0 else (False, Flow.EXPORT)
        case Role.SOLAR:  # at night an inverter consumes
            return (True, Flow.PRODUCTION) if power_mw > 0 else (False, Flow.CONSUMPTION)
        case Role.BATTERY:
            return (True, Flow.DISCHARGE) if power_mw > 0 else (False, Flow.CHARGE)
        case _:  # a plug that feeds in, such as a balcony panel, produces
            return (False, Flow.CONSUMPTION) if power_mw > 0 else (True, Flow.PRODUCTION)
