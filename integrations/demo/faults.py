"""Faults on purpose: what meters and networks do to readings, at times that a script names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from integrations.demo.noise import Float64, Int64


class FaultKind(StrEnum):
    """What goes wrong."""

    FALSE_ZERO = "false_zero"
    """registers read zero while it lasts, then go on as before"""
    RESET = "reset"
    """registers begin again at zero, for good"""
    GAP = "gap"
    """readings are lost while it lasts"""
    LATE = "late"
    """readings are held back while it lasts, and come with their own times when it is over"""
    SILENT = "silent"
    """as a gap, and the device is reported offline"""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``at_ms`` is UTC, or milliseconds after the start of the simulation where ``relative``.

    ``device`` and ``series`` (a key) None means all of them.
    """

    kind: FaultKind
    at_ms: int
    lasts_ms: int
    relative: bool = False
    device: str | None = None
    series: str | None = None

    @property
    def end_ms(self) -> int:
        """When it is over."""
        return self.at_ms + self.lasts_ms

    def started(self, start_ms: int) -> Fault:
        """With an absolute time."""
        return replace(self, at_ms=self.at_ms + start_ms, relative=False) if self.relative else self

    def hits(self, device: str, key: str) -> bool:
        """Whether it concerns this series; zeros and resets concern registers only."""
        register = key.startswith("energy")
        if self.kind in (FaultKind.FALSE_ZERO, FaultKind.RESET) and not register:
            return False
        return self.device in (None, device) and self.series in (None, key)

    def at(self, ts_ms: Int64) -> NDArray[np.bool_]:
        """While it lasts."""
        return np.asarray((ts_ms >= self.at_ms) & (ts_ms < self.end_ms))


def distorted(
    faults: Sequence[Fault], ts_ms: Int64, values: Float64, register_at: Callable[[int], float]
) -> Float64:
    """What the meter shows. ``register_at`` tells the true register at a time (one row or later)."""
    shown = values
    for fault in sorted(faults, key=lambda one: one.at_ms):
        if fault.kind is FaultKind.RESET and len(ts_ms) and ts_ms[-1] >= fault.at_ms:
            shown = np.where(ts_ms >= fault.at_ms, np.round(values - register_at(fault.at_ms), 3), shown)
    for fault in faults:
        if fault.kind is FaultKind.FALSE_ZERO:
            shown = np.where(fault.at(ts_ms), 0.0, shown)
    return shown


def delivered(faults: Sequence[Fault], ts_ms: Int64, now_ms: int) -> NDArray[np.bool_]:
    """Which of these readings have come by ``now_ms``."""
    come = np.asarray(ts_ms <= now_ms)
    for fault in faults:
        if fault.kind in (FaultKind.GAP, FaultKind.SILENT) or (
            fault.kind is FaultKind.LATE and now_ms < fault.end_ms
        ):
            come = come & ~fault.at(ts_ms)
    return come
