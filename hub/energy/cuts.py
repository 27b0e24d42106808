"""Slots that an asked range cuts: what lies inside of it, in proportion to time.

Slots are the finest figures that are kept for ever, so a part of one is its amount spread evenly. A slot that
still runs reaches to now: a range that ends now holds all of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hub.energy.slots import SLOT_MS, SlotColumns

_TIMES: Final = ("measured_ms", "late_ms", "estimated_ms", "suspect_ms")


def slot_floor(ts_ms: int) -> int:
    """Begin of the slot that an instant lies in."""
    return ts_ms - ts_ms % SLOT_MS


def share(slot_ms: int, start_ms: int, end_ms: int, now_ms: int) -> tuple[int, int]:
    """``(inside, whole)`` milliseconds of the slot that begins at ``slot_ms``, for the range ``[start, end)``."""
    whole_ms = min(now_ms - slot_ms, SLOT_MS) if now_ms > slot_ms else SLOT_MS
    inside_ms = min(end_ms - slot_ms, whole_ms) - max(start_ms - slot_ms, 0)
    return max(inside_ms, 0), whole_ms


def part_of(amounts: NDArray[Any], inside_ms: int, whole_ms: int) -> NDArray[np.int64]:
    """Whole numbers times ``inside / whole``, to the nearest whole number."""
    return (amounts.astype(np.int64) * (2 * inside_ms) + whole_ms) // (2 * whole_ms)


def cut_slots(rows: SlotColumns, start_ms: int, end_ms: int, now_ms: int) -> SlotColumns:
    """Slots in time order that reach into ``[start_ms, end_ms)``, the first and the last reduced to the range.

    A reduced first slot begins at ``start_ms``. Mean, extremes, count and last value stay those of the slot.
    """
    if not len(rows):
        return rows
    columns = {name: getattr(rows, name).copy() for name in ("start_ms", "delta", *_TIMES)}
    for at in sorted({0, len(rows) - 1}):
        slot_ms = int(rows.start_ms[at])
        inside_ms, whole_ms = share(slot_ms, start_ms, end_ms, now_ms)
        if inside_ms < whole_ms:
            for name in ("delta", *_TIMES):
                columns[name][at] = part_of(columns[name][at : at + 1], inside_ms, whole_ms)[0]
            columns["start_ms"][at] = max(slot_ms, start_ms)
    return replace(rows, **columns)
