"""Which part of each slot's energy falls into which block of a tier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hub.energy.clock import SlotClock, days_within, period_of, share_of_period, steps_of
from hub.energy.components import Block, Per
from hub.energy.money import Int64, Rounding, round_fraction
from hub.energy.slots import SLOT_MS


@dataclass(frozen=True, slots=True)
class Counting:
    """Slots ``[low, high)`` that are counted from zero, and the limits (mWh) of all blocks but the last."""

    low: int
    high: int
    limits: tuple[int, ...]


def countings(clock: SlotClock, per: Per, blocks: Sequence[Block], *, prorate: bool) -> list[Counting]:
    """The periods of a clock. Without ``prorate`` limits are those of whole periods, however little is there."""
    found: list[Counting] = []
    for low, high in steps_of(clock.period(per)):
        start_ms, end_ms = clock.first_ms + low * SLOT_MS, clock.first_ms + high * SLOT_MS
        first_ms, last_ms = period_of(clock.zone, start_ms, per)
        if not prorate:
            start_ms, end_ms = first_ms, last_ms
        days = days_within(clock.zone, start_ms, end_ms)
        part = share_of_period(clock.zone, first_ms, last_ms, start_ms, end_ms)
        limits = tuple(_limit(block, days, part) for block in blocks[:-1])
        found.append(Counting(low, high, limits))
    return found


def _limit(block: Block, days: Fraction, part: Fraction) -> int:
    limit = Fraction(block.limit_mwh or 0)
    return round_fraction(limit * (days if block.per_day else part), Rounding.HALF_EVEN)


def split(energy_mwh: Int64, parts: Sequence[Counting], blocks: int) -> list[Int64]:
    """Energy of each block per slot; their sum is the energy, slot by slot."""
    total = np.concatenate([_ZERO, np.cumsum(energy_mwh, dtype=np.int64)])
    result = [np.zeros(len(energy_mwh), np.int64) for _ in range(blocks)]
    for part in parts:
        reached = total[part.low : part.high + 1] - total[part.low]
        low = 0
        for number, limit in enumerate(part.limits):
            result[number][part.low : part.high] = np.diff(np.clip(reached, low, max(limit, low)))
            low = max(limit, low)
        result[-1][part.low : part.high] = np.diff(np.maximum(reached, low))
    return result


def marginal_block(energy_mwh: Int64, parts: Sequence[Counting], blocks: int) -> Int64:
    """Number of the block that one more mWh at the end of each slot would fall into."""
    total = np.concatenate([_ZERO, np.cumsum(energy_mwh, dtype=np.int64)])
    result = np.zeros(len(energy_mwh), np.int64)
    for part in parts:
        reached = total[part.low + 1 : part.high + 1] - total[part.low]
        number = np.searchsorted(np.array(part.limits, np.int64), reached, side="right")
        result[part.low : part.high] = np.minimum(number, blocks - 1)
    return result


_ZERO: Int64 = np.zeros(1, np.int64)
