"""Slots: what 15 minutes of a series hold, as columns; and the exact sums from which they are made.

All energy is integer: a counter in smallest steps (:func:`step_of`), a gauge as twice its value in fixed
point times milliseconds (a trapezoid halves, so the doubled sum stays whole). Integers add up the same in any
order, so batches, restarts and re-derivation give the same rows bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hub.model.series import Behaviour, Series
from hub.model.units import Quantity

SLOT_MS = 900_000
"""15 minutes: every zone offset is a multiple of it, and demand tariffs settle on it."""

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Ints = NDArray[Any]
"""int64, or Python integers (dtype object) where products would not fit into 64 bits."""

_STEPS_PER_UNIT = {
    Quantity.ENERGY: 1000,
    Quantity.REACTIVE_ENERGY: 1000,
    Quantity.HEAT: 1000,
    Quantity.POWER: 1000,
}
_COARSE = frozenset({Quantity.POWER, Quantity.APPARENT_POWER, Quantity.REACTIVE_POWER, Quantity.OTHER})
_HELD = frozenset({Quantity.PRICE, Quantity.CARBON_INTENSITY})
_HELD_MS = 86_400_000
_DEFAULT_LIMIT = {
    Quantity.ENERGY: 250_000.0,
    Quantity.REACTIVE_ENERGY: 250_000.0,
    Quantity.HEAT: 250_000.0,
    Quantity.GAS: 25.0,
    Quantity.WATER: 25.0,
}
"""Fastest rise of a counter without a rating per hour: 250 kWh, or 25 m3 (gas of that heat, a DN 40 water pipe)."""
_LONGEST_USUAL_MS = 7_200_000
MAX_REGISTER = 1 << 61
"""Largest register in steps; a value beyond it (over 2e15 Wh) is no measurement and left out as suspect."""


def step_of(quantity: Quantity) -> float:
    """Smallest step of ``delta``: 1e-3 Wh (for power too: its delta is energy), else 1e-6 of the unit."""
    return 1.0 / _STEPS_PER_UNIT.get(quantity, 1_000_000)


@dataclass(frozen=True, slots=True)
class Rule:
    """How the readings of one series become slots.

    ``physical_limit`` is W for energy and heat counters, else stored units per hour for counters, and the
    largest absolute value for gauges. ``resolution`` and ``register_width`` are in the stored unit.
    ``hold`` keeps the last value until the next (prices) instead of the straight line between two.
    """

    behaviour: Behaviour
    quantity: Quantity
    register_width: float | None = None
    resolution: float | None = None
    physical_limit: float | None = None
    interval_ms: int | None = None
    gap_min_ms: int = 300_000
    gap_factor: int = 3
    hold: bool = False

    @classmethod
    def of(cls, series: Series) -> Self:
        """The rule of a registered series, with the defaults of its quantity."""
        return cls(
            behaviour=series.behaviour,
            quantity=series.quantity,
            register_width=series.register_width,
            resolution=series.resolution,
            physical_limit=series.physical_limit,
            interval_ms=series.interval_ms,
            hold=series.quantity in _HELD,
        )

    @property
    def is_gauge(self) -> bool:
        """A state with a mean, minimum and maximum; counters and deltas have amounts only."""
        return self.behaviour is Behaviour.GAUGE

    @property
    def has_energy(self) -> bool:
        """Whether slots carry a ``delta``: counters, deltas, and power, which integrates to energy."""
        return not self.is_gauge or self.quantity is Quantity.POWER

    @property
    def scale(self) -> int:
        """Fixed-point units per stored unit: 1,000 or 1,000,000."""
        if self.is_gauge:
            return 1000 if self.quantity in _COARSE else 1_000_000
        return _STEPS_PER_UNIT.get(self.quantity, 1_000_000)

    @property
    def steps_per_ms(self) -> float:
        """Fastest plausible rise of a counter in steps per millisecond; infinite without a limit."""
        limit = self.physical_limit
        if limit is None:
            limit = _DEFAULT_LIMIT.get(self.quantity)
        return float("inf") if limit is None else limit * self.scale / 3_600_000.0

    @property
    def tolerance_steps(self) -> float:
        """What rounding alone may add to a rise: the register's resolution, at least one step."""
        return max((self.resolution or 0.0) * self.scale, 1.0)

    @property
    def resolution_steps(self) -> int:
        """The register's resolution in steps, 0 where it is not known."""
        return round((self.resolution or 0.0) * self.scale)

    @property
    def value_limit(self) -> float:
        """Largest absolute value of a gauge in its stored unit; infinite without a limit."""
        if self.is_gauge and self.physical_limit is not None:
            return self.physical_limit
        return float("inf")

    @property
    def longest_usual_ms(self) -> int:
        """A register that is read more rarely says nothing about a quarter of an hour: what it counted between
        two readings is spread, and the spreading is an estimate, however usual the interval is."""
        return _LONGEST_USUAL_MS if self.behaviour is Behaviour.COUNTER else 1 << 53

    @property
    def gap_floor_ms(self) -> int:
        """No interval up to this length is a gap, whatever came before it.

        A value that is held, as a price, is valid until the next one, for a day at least.
        """
        least_ms = _HELD_MS if self.hold else self.gap_min_ms
        return max(least_ms, self.gap_factor * (self.interval_ms or 0))


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of one series in time order, one per ``ts_ms``; ``flags`` are ``ReadingFlag``."""

    ts_ms: Int64
    value: Float64
    flags: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.ts_ms)

    @classmethod
    def of(cls, ts_ms: Sequence[int], value: Sequence[float], flags: Sequence[int] | None = None) -> Self:
        """Columns from sequences, sorted by time; of two readings with one time the first given stays."""
        ts, first = np.unique(np.asarray(ts_ms, dtype=np.int64), return_index=True)
        marks = np.zeros(len(ts_ms), np.uint8) if flags is None else np.asarray(flags, dtype=np.uint8)
        return cls(ts, np.asarray(value, dtype=np.float64)[first], marks[first])

    def between(self, start_ms: int, end_ms: int) -> Self:
        """Those in ``[start_ms, end_ms)``."""
        low, high = np.searchsorted(self.ts_ms, [start_ms, end_ms]).tolist()
        return self.rows(low, high)

    def rows(self, low: int, high: int) -> Self:
        """Those at positions ``[low, high)``."""
        part = slice(max(low, 0), max(high, 0))
        return replace(self, ts_ms=self.ts_ms[part], value=self.value[part], flags=self.flags[part])


@dataclass(frozen=True, slots=True)
class SlotColumns:
    """Slots in time order; only slots that hold a reading, an amount or known time have a row.

    ``delta`` counts :func:`step_of` steps and means nothing where ``has_delta`` is false. ``mean``, ``min``
    and ``max`` belong to gauges, NaN where unknown; ``last`` is the last good value inside the slot. The four
    times tell the quality of the slot's milliseconds; what they leave of 900,000 is missing. ``flags`` are
    :class:`hub.model.quality.Flag`.
    """

    start_ms: Int64
    delta: Int64
    has_delta: NDArray[np.bool_]
    count: NDArray[np.int32]
    mean: Float64
    min: Float64
    max: Float64
    last: Float64
    measured_ms: NDArray[np.int32]
    late_ms: NDArray[np.int32]
    estimated_ms: NDArray[np.int32]
    suspect_ms: NDArray[np.int32]
    flags: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.start_ms)

    def take(self, rows: Any) -> SlotColumns:
        """The rows a numpy index or mask names."""
        return SlotColumns(*(getattr(self, column.name)[rows] for column in fields(self)))

    @classmethod
    def empty(cls) -> SlotColumns:
        """No slot."""
        return finish(SlotSums.empty(0), 1, gauge=False, power=False)

    @classmethod
    def joined(cls, parts: Sequence[SlotColumns]) -> SlotColumns:
        """Parts one after the other."""
        if not parts:
            return cls.empty()
        return cls(
            *(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(cls))
        )

    def same_as(self, other: SlotColumns) -> bool:
        """Equal bit for bit, NaN equal to NaN."""
        return all(
            np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f")
            for mine, theirs in ((getattr(self, c.name), getattr(other, c.name)) for c in fields(self))
        )


@dataclass(slots=True)
class SlotSums:
    """The exact sums behind slots, still open for more.

    ``acc`` is steps for counters and deltas, twice fixed point x ms for gauges; ``covered_ms`` the time that
    went into it; ``booked`` marks amounts without time (a first delta). ``good`` and ``points`` count and sum
    the usable readings in fixed point, for a mean where no time is covered.
    """

    start_ms: Int64
    acc: Ints
    covered_ms: Int64
    booked: NDArray[np.bool_]
    count: Int64
    good: Int64
    points: Ints
    min: Float64
    max: Float64
    last: Float64
    measured_ms: Int64
    late_ms: Int64
    estimated_ms: Int64
    suspect_ms: Int64
    flags: Int64

    def __len__(self) -> int:
        return len(self.start_ms)

    @classmethod
    def empty(cls, size: int, *, wide: bool = False) -> SlotSums:
        """``size`` slots without anything; ``wide`` for Python integers."""
        ints: Any = object if wide else np.int64

        def zeros() -> Int64:
            return np.zeros(size, np.int64)

        def unknown() -> Float64:
            return np.full(size, np.nan)

        return cls(
            zeros(), np.zeros(size, ints), zeros(), np.zeros(size, np.bool_), zeros(), zeros(),
            np.zeros(size, ints), unknown(), unknown(), unknown(), zeros(), zeros(), zeros(), zeros(), zeros(),
        )  # fmt: skip

    def take(self, rows: Any) -> SlotSums:
        """A copy of the rows that a numpy index names."""
        return SlotSums(*(getattr(self, column.name)[rows] for column in fields(self)))


def finish(sums: SlotSums, scale: int | Int64, *, gauge: Any, power: Any) -> SlotColumns:
    """Sums → rows. ``scale``, ``gauge`` and ``power`` are one value for all rows, or a column."""
    gauge_at = np.broadcast_to(np.asarray(gauge, np.bool_), sums.start_ms.shape)
    power_at = np.broadcast_to(np.asarray(power, np.bool_), sums.start_ms.shape)
    scale_at = np.broadcast_to(np.asarray(scale, np.float64), sums.start_ms.shape)
    acc = sums.acc
    # 7,200,000 = 2 (doubled) x 3,600,000 (ms per hour): half a mW ms -> mWh, rounded half up
    delta = np.where(power_at, (acc + 3_600_000) // 7_200_000, np.where(gauge_at, 0, acc))
    has_delta = (power_at | ~gauge_at) & ((sums.covered_ms > 0) | sums.booked)
    covered = gauge_at & (sums.covered_ms > 0)
    pointed = gauge_at & (sums.good > 0) & ~covered
    mean = np.full(len(sums), np.nan)
    if covered.any():
        weight = 2.0 * scale_at[covered] * sums.covered_ms[covered]
        mean[covered] = acc[covered].astype(np.float64) / weight
    if pointed.any():
        mean[pointed] = sums.points[pointed].astype(np.float64) / (scale_at[pointed] * sums.good[pointed])
    return SlotColumns(
        start_ms=sums.start_ms,
        delta=np.where(has_delta, delta, 0).astype(np.int64),
        has_delta=has_delta,
        count=sums.count.astype(np.int32),
        mean=mean,
        min=np.where(gauge_at, sums.min, np.nan),
        max=np.where(gauge_at, sums.max, np.nan),
        last=sums.last,
        measured_ms=sums.measured_ms.astype(np.int32),
        late_ms=sums.late_ms.astype(np.int32),
        estimated_ms=sums.estimated_ms.astype(np.int32),
        suspect_ms=sums.suspect_ms.astype(np.int32),
        flags=sums.flags.astype(np.int32),
    )
