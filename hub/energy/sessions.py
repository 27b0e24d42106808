"""Charging sessions of a car: runs of slots in which its charger draws, with what they cost and where it came from.

A session begins and ends on quarters of an hour, the finest that is kept for ever. A pause of up to half an hour
belongs to it: chargers wait for the sun.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hub.energy.site_balance import Source, UseKind
from hub.energy.site_sums import SiteSums

LEAST_W: Final = 200
PAUSE_SLOTS: Final = 2
LEAST_SESSION_MWH: Final = 100_000


@dataclass(frozen=True, slots=True)
class Session:
    """``fed_mwh`` has one entry per :class:`hub.energy.allocation.Source`; ``cost`` is in 1e-14 of the currency,
    ``co2`` in ng. ``running`` is true where the last slot of what was looked at still charges."""

    device: str
    start_ms: int
    end_ms: int
    energy_mwh: int
    fed_mwh: tuple[int, int, int, int]
    cost: int
    unpriced_mwh: int
    co2: int
    uncounted_mwh: int
    peak_w: float
    running: bool = False

    @property
    def solar_share(self) -> float:
        """Share that came from the sun at once, in 0…1."""
        return self.fed_mwh[Source.SOLAR] / self.energy_mwh if self.energy_mwh else 0.0


def sessions(sums: SiteSums, device: str) -> tuple[Session, ...]:
    """Sessions of a device in sums by slot (``15m``), in time order."""
    rows = [
        at
        for at, use in enumerate(sums.uses)
        if use.device == device and use.kind in (UseKind.CONSUMPTION, UseKind.MISSING_CHILD)
    ]
    if not rows or not len(sums):
        return ()
    energy = sums.fed_mwh[:, rows].sum(axis=(0, 1))
    length_h = np.maximum(sums.end_ms - sums.start_ms, 1) / 3_600_000
    power_w = energy.astype(np.float64) / 1000 / length_h
    active = np.flatnonzero(power_w >= LEAST_W)
    if not len(active):
        return ()
    found = []
    for run in np.split(active, np.flatnonzero(np.diff(active) > PAUSE_SLOTS + 1) + 1):
        one = _session(sums, device, rows, int(run[0]), int(run[-1]) + 1, float(power_w[run].max()))
        if one.energy_mwh >= LEAST_SESSION_MWH:
            found.append(one)
    return tuple(found)


def _session(sums: SiteSums, device: str, rows: list[int], low: int, high: int, peak_w: float) -> Session:
    span = slice(low, high)
    fed = [int(sums.fed_mwh[source, rows, span].sum()) for source in Source]
    return Session(
        device=device,
        start_ms=int(sums.start_ms[low]),
        end_ms=int(sums.end_ms[high - 1]),
        energy_mwh=sum(fed),
        fed_mwh=(fed[0], fed[1], fed[2], fed[3]),
        cost=int(sums.cost[rows, span].sum()),
        unpriced_mwh=int(sums.unpriced_mwh[rows, span].sum()),
        co2=int(sums.co2[rows, span].sum()),
        uncounted_mwh=int(sums.uncounted_mwh[rows, span].sum()),
        peak_w=peak_w,
        running=high == len(sums),
    )
