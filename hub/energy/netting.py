"""Import and export set off against each other: the three phases of a slot, and a whole period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.energy.clock import steps_of
from hub.energy.money import Int64
from hub.energy.usage import Usage


def net_phases(
    import_mwh: Sequence[Int64], export_mwh: Sequence[Int64], *, summed: bool
) -> tuple[Int64, Int64]:
    """Registers of the phases → import and export of the connection, per slot.

    ``summed``: what one phase feeds in is set off against what the others take in the same slot (most meters do
    so within a second, so this is the upper bound where only slots of phases are known). Else each phase counts
    by itself.
    """
    taken: Int64 = np.stack(list(import_mwh)).sum(axis=0, dtype=np.int64)
    given: Int64 = np.stack(list(export_mwh)).sum(axis=0, dtype=np.int64)
    if not summed:
        return taken, given
    net = taken - given
    return np.maximum(net, 0), np.maximum(-net, 0)


def net_period(usage: Usage, period: NDArray[Any], register: Int64) -> Usage:
    """What was fed in cancels what was taken, within each period and register (slots of one price).

    The cancelled energy is taken from all slots in proportion, in whole mWh, so that sums stay exact. Peaks are
    not a matter of this: they are read from the usage as it was.
    """
    taken, given = usage.import_mwh.copy(), usage.export_mwh.copy()
    for low, high in steps_of(period):
        for number in np.unique(register[low:high]).tolist():
            rows = low + np.flatnonzero(register[low:high] == number)
            cancelled = min(int(taken[rows].sum()), int(given[rows].sum()))
            taken[rows] -= _spread(taken[rows], cancelled)
            given[rows] -= _spread(given[rows], cancelled)
    return replace(usage, import_mwh=taken, export_mwh=given)


def _spread(energy: Int64, amount: int) -> Int64:
    """``amount`` divided in proportion to ``energy``, which is at least as much in sum; never more than a row has."""
    total = int(energy.sum())
    if total == 0:
        return np.zeros(len(energy), np.int64)
    reached = np.cumsum(energy).astype(object) * amount // total
    return np.diff(np.concatenate([[0], reached])).astype(np.int64)
