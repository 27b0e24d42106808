"""Readings travel as columns, never as one object each.

The sign of a power is said once, in :mod:`hub.model`. A batch holds values in *stored* units (W, Wh, m3 …):
:class:`SeriesHandle` carries the factor of the unit that the device sends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hub.errors import Rejection

NO_TIME = -(1 << 62)
"""In ``ts_ms``: the device gave no time; the hub takes the arrival, made unique per series."""

MAX_ABS_VALUE = 1e15
"""Larger magnitudes are no measurement (a petawatt); they are refused, so that sums cannot overflow."""


@dataclass(frozen=True, slots=True)
class SeriesHandle:
    """A registered series as one sender sees it: number, and ``stored = sent * factor + offset``."""

    no: int
    factor: float = 1.0
    offset: float = 0.0

    def stored(self, sent: float) -> float:
        """Sent value → stored value, rounded to 1e-6 of the stored unit where a factor is applied."""
        if self.factor == 1.0 and self.offset == 0.0:
            return sent
        return round(sent * self.factor + self.offset, 6)


@dataclass(slots=True)
class ReadingBatch:
    """Columns of readings of one sender, all answered together.

    ``item`` is the position of each reading in what the sender sent (a message, a line, a list entry), so
    that a refusal can name it. ``imported`` batches may reach back before ``past_limit``.
    """

    source: str
    arrival_ms: int
    series: list[int] = field(default_factory=list)
    ts_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    item: list[int] = field(default_factory=list)
    imported: bool = False

    def __len__(self) -> int:
        return len(self.series)

    def add(self, handle: SeriesHandle, ts_ms: int, sent: float, item: int = 0) -> None:
        """Append one value as the device sent it; ``ts_ms`` may be :data:`NO_TIME`."""
        self.series.append(handle.no)
        self.ts_ms.append(ts_ms)
        self.values.append(
            sent
            if handle.factor == 1.0 and handle.offset == 0.0
            else round(sent * handle.factor + handle.offset, 6)
        )
        self.item.append(item)


class ReadingColumns(NamedTuple):
    """The readings of a batch as they go into a commit."""

    series: NDArray[np.int32]
    ts_ms: NDArray[np.int64]
    values: NDArray[np.float64]


def columns_of(batch: ReadingBatch) -> ReadingColumns:
    """A batch as arrays.

    Raises:
        OverflowError, TypeError, ValueError: it holds what is no reading.
    """
    return ReadingColumns(
        np.array(batch.series, np.int32), np.array(batch.ts_ms, np.int64), np.array(batch.values, np.float64)
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch, known only after the commit that holds it (fsynced).

    ``accepted`` counts new rows, ``duplicates`` identical repeats (they count as committed). Everything else
    is in ``rejections``, by the item that carried it.
    """

    accepted: int = 0
    duplicates: int = 0
    rejections: tuple[Rejection, ...] = ()
