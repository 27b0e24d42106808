"""Which readings of a commit are taken, at what time, and which of them are surely new: pure columns.

The frontier is the newest stored time per series. A reading beyond it is *fresh*: no row of its key can be
there, so the writer need not look. Everything else is stored too, but by way of a look-up. The frontier may run
ahead of the store (a commit that failed), never behind it; ahead costs a look-up, behind would cost a row.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hub.model.quality import ReadingFlag
from hub.model.reading import MAX_ABS_VALUE, NO_TIME
from hub.model.times import MS_2000

UNSEEN: Final = -1
"""In the frontier: nothing is known to be stored for this series."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Which device times are believed; all in milliseconds, relative to the arrival."""

    late_after_ms: int = 15 * 60_000
    past_limit_ms: int = 400 * 86_400_000
    ahead_ms: int = 5 * 60_000


@dataclass(slots=True)
class Frontier:
    """Newest time per series number; grows with the registry."""

    last_ms: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def cover(self, series_count: int) -> None:
        """Make room for series numbers below ``series_count``."""
        missing = series_count - len(self.last_ms)
        if missing > 0:
            room = max(missing, len(self.last_ms) // 2, 64)
            self.last_ms = np.concatenate([self.last_ms, np.full(room, UNSEEN, np.int64)])

    def note(self, series: NDArray[np.int32], ts_ms: NDArray[np.int64]) -> None:
        """Move the frontier to these times where they are newer."""
        np.maximum.at(self.last_ms, series, ts_ms)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Row ``row`` of the columns is not stored; ``quarantined`` rows may be imported again later."""

    row: int
    code: str
    text: str
    quarantined: bool


@dataclass(frozen=True, slots=True)
class Admitted:
    """The rows to write, and where each came from (``row`` points into the columns given)."""

    row: NDArray[np.intp]
    series: NDArray[np.int32]
    ts_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    flags: NDArray[np.uint8]
    fresh: NDArray[np.bool_]
    refused: tuple[Refusal, ...]


def admit(
    frontier: Frontier,
    series: NDArray[np.int32],
    ts_ms: NDArray[np.int64],
    values: NDArray[np.float64],
    arrival_ms: NDArray[np.int64],
    imported: NDArray[np.bool_],
    limits: TimeLimits,
    deltas: Collection[int] = (),
) -> Admitted:
    """Check, stamp and sort out one commit's columns, and move the frontier.

    Rows without a time get their arrival, made unique: at least 1 ms after the newest of their series.
    Order is kept. Refused are values that are not finite or larger than 1e15 (``WL-ING-040``, ``-041``) and
    numbers that no series has (``-045``); into quarantine go times before 2000 (``WL-ING-033``), too far
    behind (``-034``) or ahead (``-035``).
    Series in ``deltas`` need a time (``-044``): an amount that is sent twice would otherwise count twice.
    """
    refused: list[Refusal] = []
    strange = (series < 0) | (series >= len(frontier.last_ms))
    if strange.any():
        series = np.where(strange, 0, series).astype(np.int32)
    with np.errstate(invalid="ignore"):
        good = np.abs(values) <= MAX_ABS_VALUE
    if not good.all():
        refused += [_value_refusal(int(row), float(values[row])) for row in np.flatnonzero(~good & ~strange)]
    if strange.any():
        text = "no series has this number; the source must look its handles up again"
        refused += [Refusal(int(row), "WL-ING-045", text, False) for row in np.flatnonzero(strange)]
        good &= ~strange
    timed = ts_ms != NO_TIME
    if deltas and not timed.all():
        good = _check_deltas(good, timed, series, deltas, refused)
    good = _check_times(good, timed, ts_ms, arrival_ms, imported, limits, refused)
    if refused:
        row = np.flatnonzero(good)
        series, ts_ms, values = series[row], ts_ms[row], values[row]
        arrival_ms, timed = arrival_ms[row], timed[row]
    else:
        row = np.arange(len(series))
    if not timed.all():
        ts_ms = _stamp(frontier, series, ts_ms, arrival_ms, timed)
    flags = np.where(arrival_ms - ts_ms > limits.late_after_ms, np.uint8(ReadingFlag.LATE), np.uint8(0))
    fresh = _fresh(frontier, series, ts_ms)
    frontier.note(series, ts_ms)
    return Admitted(row, series, ts_ms, values, flags.astype(np.uint8), fresh, tuple(refused))


def _check_times(
    good: NDArray[np.bool_],
    timed: NDArray[np.bool_],
    ts_ms: NDArray[np.int64],
    arrival_ms: NDArray[np.int64],
    imported: NDArray[np.bool_],
    limits: TimeLimits,
    refused: list[Refusal],
) -> NDArray[np.bool_]:
    """``good`` without the rows whose time is not believed; appends a refusal for each."""
    unset = timed & (ts_ms < MS_2000)
    behind = timed & ~unset & ~imported & (ts_ms < arrival_ms - limits.past_limit_ms)
    ahead = timed & (ts_ms > arrival_ms + limits.ahead_ms)
    for mask, code, text in (
        (unset, "WL-ING-033", "time lies before the year 2000: the device's clock is not set"),
        (behind, "WL-ING-034", f"time lies more than {limits.past_limit_ms // 86_400_000} days behind"),
        (
            ahead,
            "WL-ING-035",
            f"time lies more than {limits.ahead_ms // 60_000} min ahead of the hub's clock",
        ),
    ):
        if mask.any():
            refused += [Refusal(int(row), code, text, True) for row in np.flatnonzero(mask & good)]
            good = good & ~mask
    return good


def _check_deltas(
    good: NDArray[np.bool_],
    timed: NDArray[np.bool_],
    series: NDArray[np.int32],
    deltas: Collection[int],
    refused: list[Refusal],
) -> NDArray[np.bool_]:
    """``good`` without amounts that carry no time; appends a refusal for each."""
    loose = good & ~timed & np.isin(series, list(deltas))
    text = "an amount (kind delta) needs the time it was measured at, or a repeat would count twice"
    refused += [Refusal(int(row), "WL-ING-044", text, False) for row in np.flatnonzero(loose)]
    return good & ~loose


def _value_refusal(row: int, value: float) -> Refusal:
    if value != value or value in (float("inf"), float("-inf")):
        return Refusal(row, "WL-ING-040", "value is not a finite number", False)
    return Refusal(row, "WL-ING-041", f"value {value:.3g} is beyond any measurement (limit 1e15)", False)


def _stamp(
    frontier: Frontier,
    series: NDArray[np.int32],
    ts_ms: NDArray[np.int64],
    arrival_ms: NDArray[np.int64],
    timed: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Fill in missing times: max(arrival, newest + 1 ms), the k-th of a series k ms later."""
    newest = frontier.last_ms
    if timed.any():
        newest = newest.copy()
        np.maximum.at(newest, series[timed], ts_ms[timed])
    open_rows = np.flatnonzero(~timed)
    order = open_rows[np.argsort(series[open_rows], kind="stable")]
    numbers = series[order]
    first = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])
    rank = np.arange(len(order)) - np.repeat(first, np.diff(np.r_[first, len(order)]))
    # a later row of the same series may have arrived later than its predecessor's stamp: never fall behind it
    ahead = np.maximum(arrival_ms[order], newest[numbers] + 1) - rank
    climbed = _running_max_by_group(ahead, first)
    stamped = ts_ms.copy()
    stamped[order] = climbed + rank
    return stamped


def _running_max_by_group(values: NDArray[np.int64], first: NDArray[np.intp]) -> NDArray[np.int64]:
    """Running maximum that begins anew at each index of ``first``."""
    if len(first) == len(values):
        return values
    span = int(values.max()) - int(values.min()) + 1
    group = np.repeat(np.arange(len(first), dtype=np.int64), np.diff(np.r_[first, len(values)]))
    lifted = np.maximum.accumulate(values + group * span)
    return lifted - group * span


def _fresh(frontier: Frontier, series: NDArray[np.int32], ts_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows beyond the frontier whose key appears for the first time in these columns."""
    fresh = ts_ms > frontier.last_ms[series]
    if len(series) > 1:
        order = np.lexsort((ts_ms, series))  # stable: of equal keys the first to arrive stays first
        same = (series[order][1:] == series[order][:-1]) & (ts_ms[order][1:] == ts_ms[order][:-1])
        if same.any():
            fresh = fresh.copy()
            fresh[order[1:][same]] = False
    return fresh
