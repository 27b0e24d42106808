"""Slots summed to hours, days, months and years of a calendar; whole numbers, so sums of sums are exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.energy.slots import SLOT_MS, Float64, Int64, SlotColumns
from hub.model.quality import Quality, shares

_FEW_SLOTS = 8
"""Up to here a sum by columns is faster than one by buckets."""


@dataclass(frozen=True, slots=True)
class PeriodColumns:
    """One row per bucket, also for those without any slot.

    Columns mean what they mean in :class:`hub.energy.slots.SlotColumns`; ``mean`` is weighted by the known
    time of the slots. Quality is told against the bucket's whole length.
    """

    start_ms: Int64
    end_ms: Int64
    delta: Int64
    has_delta: NDArray[np.bool_]
    count: Int64
    mean: Float64
    min: Float64
    max: Float64
    last: Float64
    measured_ms: Int64
    late_ms: Int64
    estimated_ms: Int64
    suspect_ms: Int64
    flags: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.start_ms)

    def quality(self, row: int) -> Quality:
        """Shares of a bucket's time; a bucket of no length is wholly missing."""
        return shares(
            int(self.end_ms[row] - self.start_ms[row]),
            int(self.measured_ms[row]),
            int(self.late_ms[row]),
            int(self.estimated_ms[row]),
            int(self.suspect_ms[row]),
            int(self.flags[row]),
        )

    def until(self, now_ms: int) -> PeriodColumns:
        """The same sums, with ends not after ``now_ms``: what lies ahead is not missing yet."""
        return replace(self, end_ms=np.maximum(np.minimum(self.end_ms, now_ms), self.start_ms))


def aggregate(slots: SlotColumns, bucket_starts_ms: Int64, bucket_ends_ms: Int64) -> PeriodColumns:
    """Sum slots, in time order, into buckets ``[start, end)``; a slot belongs to the bucket it begins in.

    Buckets are in time order and do not overlap, but may leave holes. Borders of a calendar in any zone since
    1972 are slot borders, so nothing is split.
    """
    low = np.searchsorted(slots.start_ms, bucket_starts_ms)
    high = np.searchsorted(slots.start_ms, bucket_ends_ms)
    return _summed(slots, low, high, bucket_starts_ms, bucket_ends_ms)


def aggregate_each(
    series: Sequence[SlotColumns], bucket_starts_ms: Int64, bucket_ends_ms: Int64
) -> PeriodColumns:
    """As :func:`aggregate` of many short series, with the buckets of one after those of the other.

    The slots of all are summed at once: a few days of one are soon summed, but not so soon asked for.
    """
    base = np.cumsum([0, *(len(one) for one in series)])[:-1]
    low = [np.searchsorted(one.start_ms, bucket_starts_ms) for one in series]
    high = [np.searchsorted(one.start_ms, bucket_ends_ms) for one in series]
    count = len(bucket_starts_ms)
    shift = np.repeat(base, count)
    return _summed(
        SlotColumns.joined(series),
        np.concatenate(low) + shift,
        np.concatenate(high) + shift,
        np.tile(bucket_starts_ms, len(series)),
        np.tile(bucket_ends_ms, len(series)),
    )


def _summed(
    slots: SlotColumns, low: Int64, high: Int64, bucket_starts_ms: Int64, bucket_ends_ms: Int64
) -> PeriodColumns:
    """Rows ``[low, high)`` of each bucket, summed; neither falls from one bucket to the next."""
    known_ms = _known_ms(slots)
    weighable = ~np.isnan(slots.mean)
    weight = np.where(weighable, known_ms, 0).astype(np.float64)
    plain = np.where(weighable, slots.count, 0).astype(np.float64)
    value = np.where(weighable, slots.mean, 0.0)
    return PeriodColumns(
        start_ms=bucket_starts_ms,
        end_ms=bucket_ends_ms,
        delta=_sum(np.where(slots.has_delta, slots.delta, 0), low, high),
        has_delta=_sum(slots.has_delta, low, high) > 0,
        count=_sum(slots.count, low, high),
        mean=_mean(value, weight, plain, slots.mean, low, high),
        min=_reduce(np.fmin, slots.min, low, high, np.nan),
        max=_reduce(np.fmax, slots.max, low, high, np.nan),
        last=_last(slots.last, low, high),
        measured_ms=_sum(slots.measured_ms, low, high),
        late_ms=_sum(slots.late_ms, low, high),
        estimated_ms=_sum(slots.estimated_ms, low, high),
        suspect_ms=_sum(slots.suspect_ms, low, high),
        flags=_reduce(np.bitwise_or, slots.flags, low, high, 0).astype(np.int32),
    )


class GridSums:
    """Sums of a dense grid of slots from ``first_ms`` on into buckets, for many series with the same grid.

    Buckets follow each other without holes; parts outside the grid count as nothing.
    """

    def __init__(self, slots: int, first_ms: int, bucket_starts_ms: Int64, bucket_ends_ms: Int64) -> None:
        low = np.clip((bucket_starts_ms - first_ms) // SLOT_MS, 0, slots)
        high = np.clip((bucket_ends_ms - first_ms) // SLOT_MS, 0, slots)
        self._filled = np.flatnonzero(high > low)
        self._low = low[self._filled]
        self._end = int(high[self._filled[-1]]) if len(self._filled) else 0
        self._buckets = len(low)
        self._width = self._even_width(low, high)

    def _even_width(self, low: Int64, high: Int64) -> int:
        """Slots of every bucket but the first and the last, where these are few and the same; else 0."""
        if len(low) < 4 or len(self._filled) < len(low):
            return 0
        widths = high[1:-1] - low[1:-1]
        return int(widths[0]) if widths[0] <= _FEW_SLOTS and (widths == widths[0]).all() else 0

    def of(self, deltas: NDArray[np.integer[Any]]) -> Int64:
        """Grids (one row each) → int64 of shape (series, buckets)."""
        result = np.zeros((deltas.shape[0], self._buckets), np.int64)
        if self._width:
            self._add_evenly(deltas, result)
        elif len(self._filled):
            inside = deltas[:, : self._end]
            result[:, self._filled] = np.add.reduceat(inside, self._low, axis=1, dtype=np.int64)
        return result

    def _add_evenly(self, deltas: NDArray[np.integer[Any]], result: Int64) -> None:
        """A few additions of whole columns: a tenth of what the sum of every bucket on its own costs."""
        first, second, last = int(self._low[0]), int(self._low[1]), int(self._low[-1])
        inner = result[:, 1:-1]
        for at in range(second, second + self._width):
            inner += deltas[:, at : last : self._width]
        result[:, 0] = deltas[:, first:second].sum(axis=1, dtype=np.int64)
        result[:, -1] = deltas[:, last : self._end].sum(axis=1, dtype=np.int64)


def aggregate_many(
    deltas: NDArray[np.integer[Any]], first_ms: int, bucket_starts_ms: Int64, bucket_ends_ms: Int64
) -> Int64:
    """Slot deltas of many series (one row each, a dense grid of slots from ``first_ms``) summed into buckets.

    Buckets follow each other without holes; parts outside the grid count as nothing. Returns int64 of shape
    (series, buckets).
    """
    return GridSums(deltas.shape[1], first_ms, bucket_starts_ms, bucket_ends_ms).of(deltas)


def _known_ms(slots: SlotColumns) -> Int64:
    return slots.measured_ms.astype(np.int64) + slots.late_ms + slots.estimated_ms + slots.suspect_ms


def _sum(column: NDArray[Any], low: Int64, high: Int64) -> Int64:
    # differences of a running total: exact for whole numbers, and empty buckets cost nothing
    total = np.concatenate([_ZERO, np.cumsum(column, dtype=np.int64)])
    return np.asarray(total[high] - total[low])


def _reduce(ufunc: np.ufunc, column: NDArray[Any], low: Int64, high: Int64, empty: float) -> NDArray[Any]:
    result = np.full(len(low), empty, dtype=column.dtype)
    filled = np.flatnonzero(high > low)
    if len(filled):
        bounds = np.column_stack([low[filled], high[filled]]).ravel()
        padded = np.append(column, column[-1:])  # reduceat wants every bound inside
        result[filled] = ufunc.reduceat(padded, bounds)[::2]
    return result


def _mean(value: Float64, weight: Float64, plain: Float64, mean: Float64, low: Int64, high: Int64) -> Float64:
    """By known time; where no time is known, by the number of readings."""
    by_time = _reduce(np.add, weight, low, high, 0.0)
    by_count = _reduce(np.add, plain, low, high, 0.0)
    timed = by_time > 0
    weighted = np.where(
        timed, _reduce(np.add, value * weight, low, high, 0.0), _reduce(np.add, value * plain, low, high, 0.0)
    )
    weights = np.where(timed, by_time, by_count)
    result = np.full(len(low), np.nan)
    known = weights > 0
    result[known] = weighted[known] / weights[known]
    # rounding must not carry the mean of equal values away from them
    lowest, highest = _reduce(np.fmin, mean, low, high, np.nan), _reduce(np.fmax, mean, low, high, np.nan)
    result[known] = np.clip(result[known], lowest[known], highest[known])
    return result


def _last(column: Float64, low: Int64, high: Int64) -> Float64:
    rows = np.where(np.isnan(column), -1, np.arange(len(column)))
    newest = np.maximum.accumulate(rows) if len(rows) else rows
    result = np.full(len(low), np.nan)
    filled = np.flatnonzero(high > low)
    at = newest[high[filled] - 1]
    inside = at >= low[filled]
    result[filled[inside]] = column[at[inside]]
    return result


_ZERO: Int64 = np.zeros(1, np.int64)
