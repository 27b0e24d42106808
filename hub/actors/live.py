"""The house now: newest powers by device, balanced by the pure function in ``hub.energy``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hub.actors.board import LatestBoard
from hub.actors.registry import Registry
from hub.energy.balance import Flow, LiveBalance, PowerInput
from hub.energy.balance import live_balance as balance
from hub.model.device import Device
from hub.model.series import Behaviour, Role, Series
from hub.model.units import Quantity

STALE_AFTER_MS = 90_000
INTERVALS_TO_STALE = 3
_PHASES = ("power_l1", "power_l2", "power_l3")


@dataclass(frozen=True, slots=True)
class LiveView:
    """The balance at ``ts_ms`` with the charge of the batteries."""

    ts_ms: int
    balance: LiveBalance
    soc: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Powers in W; both sides have the same sum, the remainder included."""
        live = self.balance
        return {
            "ts": self.ts_ms,
            "unit": "W",
            "complete": live.complete,
            "sources": [_plain(share) for share in live.sources],
            "uses": [_plain(share) for share in live.uses],
            "totals": {flow.value: live.flow_mw(flow) / 1000 for flow in Flow},
            "house_use": live.house_use_mw / 1000,
            "residual": live.residual_mw / 1000,
            "stale": list(live.stale),
            "unknown": list(live.unknown),
            "soc": self.soc,
        }


def live_view(registry: Registry, board: LatestBoard, now_ms: int) -> LiveView:
    """Balance of all devices that have a role in the house."""
    devices = [device for device in registry.devices.values() if device.role is not Role.NONE]
    inputs = [_power_of(device, registry, board) for device in devices]
    slowest_ms = max((_usual_ms(one) for d in devices for one in registry.of_device(d.id)), default=0)
    stale_after_ms = max(STALE_AFTER_MS, INTERVALS_TO_STALE * slowest_ms)
    soc = {
        device.id: newest[1]
        for device in devices
        if (series := _of(registry, device, Quantity.STATE_OF_CHARGE)) is not None
        and (newest := board.newest(series.no)) is not None
    }
    known = [one for one in inputs if one is not None]
    return LiveView(now_ms, balance(known, now_ms=now_ms, stale_after_ms=stale_after_ms), soc)


def _plain(share: Any) -> dict[str, Any]:
    return {"flow": share.flow.value, "device": share.device, "power": share.power_w}


def _power_of(device: Device, registry: Registry, board: LatestBoard) -> PowerInput | None:
    """Newest power of a device: its total, else its phases summed, or the difference of an import and an export.

    The two are named as the device sees them: what a roof or a battery exports is production or discharge.
    """
    phases = [one for key in _PHASES if (one := registry.find(device.id, key)) is not None]
    total = registry.find(device.id, "power") or _of(registry, device, Quantity.POWER)
    drawn, fed = registry.find(device.id, "power_import"), registry.find(device.id, "power_export")
    if drawn is not None and registry.find(device.id, "power") is None:
        newest = board.newest(drawn.no)
        back = board.newest(fed.no) if fed is not None else (0, 0.0)
        if newest is None or back is None:
            return PowerInput(device.id, device.role, None, 0, device.parent)
        sign = -1 if fed is not None and device.role in (Role.SOLAR, Role.BATTERY) else 1
        return PowerInput(device.id, device.role, sign * (newest[1] - back[1]), newest[0], device.parent)
    if phases and registry.find(device.id, "power") is None:
        found = [board.newest(one.no) for one in phases]
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            return PowerInput(device.id, device.role, None, 0, device.parent)
        power_w = sum(value for _, value in known)
        return PowerInput(device.id, device.role, power_w, min(ts_ms for ts_ms, _ in known), device.parent)
    if total is None:
        return None
    newest = board.newest(total.no)
    if newest is None:
        return PowerInput(device.id, device.role, None, 0, device.parent)
    return PowerInput(device.id, device.role, newest[1], newest[0], device.parent)


def _of(registry: Registry, device: Device, quantity: Quantity) -> Series | None:
    for series in registry.of_device(device.id):
        if series.quantity is quantity and series.behaviour is Behaviour.GAUGE:
            return series
    return None


def _usual_ms(series: Series) -> int:
    return series.interval_ms or 0
