"""Minutes of recent readings for a fine chart: plain statistics, and amounts between minute borders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub.energy.slots import Float64, Int64, Rule
from hub.model.series import Behaviour
from hub.model.units import Quantity

_MS_PER_HOUR = 3_600_000.0


def minute_columns(
    rule: Rule, ts_ms: Int64, value: Float64, start_ms: Int64, end_ms: Int64
) -> dict[str, NDArray[np.float64]]:
    """``mean, min, max, last, count`` and ``amount`` (Wh, or the unit of the counter) per bucket.

    Readings are sorted and reach beyond the buckets on both sides. An amount is known where both borders lie
    between readings that are no gap apart; a counter that falls, or rises faster than physics allows, gives none for
    that minute.
    """
    low, high = np.searchsorted(ts_ms, start_ms), np.searchsorted(ts_ms, end_ms)
    count = (high - low).astype(np.float64)
    some = np.flatnonzero(high > low)
    result = {name: np.full(len(start_ms), np.nan) for name in ("mean", "min", "max", "last", "amount")}
    result["count"] = count
    if len(some):
        first = low[some]
        end = int(high[some[-1]])
        inside = value[:end]
        result["min"][some] = _by_run(np.minimum, inside, first, high[some])
        result["max"][some] = _by_run(np.maximum, inside, first, high[some])
        result["mean"][some] = _by_run(np.add, inside, first, high[some]) / count[some]
        result["last"][some] = value[high[some] - 1]
    if rule.has_energy and len(ts_ms) > 1:
        result["amount"] = _amounts(rule, ts_ms, value, start_ms, end_ms)
    return result


def minute_times(
    rule: Rule, ts_ms: Int64, late: NDArray[np.bool_], start_ms: Int64, end_ms: Int64
) -> tuple[Int64, Int64]:
    """Measured and late milliseconds of each bucket: the time between readings that are no gap apart.

    As in slots, the time before a reading that came late is late.
    """
    if len(ts_ms) < 2:
        return np.zeros(len(start_ms), np.int64), np.zeros(len(start_ms), np.int64)
    steps = np.diff(ts_ms)
    covered = steps <= rule.gap_floor_ms
    measured, told_late = np.where(covered & ~late[1:], steps, 0), np.where(covered & late[1:], steps, 0)
    return (
        _until(ts_ms, measured, end_ms) - _until(ts_ms, measured, start_ms),
        _until(ts_ms, told_late, end_ms) - _until(ts_ms, told_late, start_ms),
    )


def _until(ts_ms: Int64, counted_ms: Int64, at_ms: Int64) -> Int64:
    """Counted time between the first reading and some instants; an interval counts wholly or not at all."""
    at_ms = np.clip(at_ms, ts_ms[0], ts_ms[-1])
    left = np.clip(np.searchsorted(ts_ms, at_ms, side="right") - 1, 0, len(ts_ms) - 2)
    total = np.concatenate([[0], np.cumsum(counted_ms)])
    return np.asarray(total[left] + np.where(counted_ms[left] > 0, at_ms - ts_ms[left], 0), np.int64)


def _by_run(ufunc: np.ufunc, column: Float64, first: Int64, end: Int64) -> Float64:
    bounds = np.column_stack([first, end]).ravel()
    padded = np.append(column, column[-1:])
    runs: Float64 = ufunc.reduceat(padded, bounds)[::2]
    return runs


def _amounts(rule: Rule, ts_ms: Int64, value: Float64, start_ms: Int64, end_ms: Int64) -> Float64:
    at_start, start_known = _running_total(rule, ts_ms, value, start_ms)
    at_end, end_known = _running_total(rule, ts_ms, value, end_ms)
    amount = at_end - at_start
    known = start_known & end_known & ((amount >= 0) | rule.is_gauge)
    if rule.behaviour is Behaviour.COUNTER:  # a spike is no energy, however fine the chart
        most = (rule.steps_per_ms * (end_ms - start_ms) + 2 * rule.tolerance_steps) / rule.scale
        known &= amount <= most
    return np.where(known, amount, np.nan)


def _running_total(
    rule: Rule, ts_ms: Int64, value: Float64, at_ms: Int64
) -> tuple[Float64, NDArray[np.bool_]]:
    """The register, or the energy since the first reading, at some instants; and whether it is known there."""
    after = np.searchsorted(ts_ms, at_ms, side="left")
    inside = (at_ms >= ts_ms[0]) & (at_ms <= ts_ms[-1])
    right = np.clip(after, 1, len(ts_ms) - 1)
    left = right - 1
    length = (ts_ms[right] - ts_ms[left]).astype(np.float64)
    known = inside & (length <= rule.gap_floor_ms)
    share = (at_ms - ts_ms[left]) / length
    if not rule.is_gauge:
        register = np.cumsum(value) if rule.behaviour.value == "delta" else value
        return register[left] + share * (register[right] - register[left]), known
    steps = np.diff(ts_ms).astype(np.float64)
    pieces = (value[1:] + value[:-1]) / 2 * steps
    pieces[steps > rule.gap_floor_ms] = 0.0
    total = np.concatenate([[0.0], np.cumsum(pieces)])
    here = value[left] + share * (value[right] - value[left])
    partial = (value[left] + here) / 2 * share * length
    scale = _MS_PER_HOUR if rule.quantity is Quantity.POWER else 1.0
    return (total[left] + partial) / scale, known
