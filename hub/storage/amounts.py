"""Amounts alone, of many series at once: what a chart of energy reads.

:func:`hub.storage.slots.read` gives whole rows per series. Here the stored pieces come as they lie, to be put
straight into a grid: a year of 200 series is 2,400 blocks, and nothing of it is copied twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.storage import metric_codec, tables
from hub.storage.slots import period_of

_FAMILY = "delta"
_b, _m = tables.metric_blocks.c, tables.energy_metrics.c
_SERIES = sa.bindparam("series", expanding=True, type_=sa.Integer)
_RESOLUTION = sa.bindparam("resolution", type_=sa.Text)
_FIRST, _END = sa.bindparam("first_ms", type_=sa.BigInteger), sa.bindparam("end_ms", type_=sa.BigInteger)
_BLOCKS = (
    sa.select(_b.series, _b.data)
    .where(_b.series.in_(_SERIES), _b.resolution == _RESOLUTION, _b.period_ms >= _FIRST, _b.period_ms < _END)
    .order_by(_b.series, _b.period_ms)
)
_ROWS = (
    sa.select(_m.series, _m.start_ms, _m.delta)
    .where(_m.series.in_(_SERIES), _m.resolution == _RESOLUTION, _m.start_ms >= _FIRST, _m.start_ms < _END)
    .order_by(_m.series, _m.start_ms)
)


class Amounts(NamedTuple):
    """Rows of one series in time order; ``delta`` means nothing where ``known`` is false."""

    series: int
    start_ms: NDArray[np.int64]
    delta: NDArray[np.integer]
    known: NDArray[np.bool_]


def read_amounts(
    conn: sa.Connection, series: Sequence[int], resolution: str, start_ms: int, end_ms: int
) -> Iterator[Amounts]:
    """Pieces with the amounts that start in ``[start_ms, end_ms)``: those out of blocks first, then rows.

    Where two pieces of a series name the same start, the later one is right.

    Raises:
        StorageCorrupt: ``WL-STO-012``, a block is damaged.
    """
    bounds = {"series": list(series), "end_ms": end_ms}
    blocks = {"resolution": f"{resolution}.{_FAMILY}", "first_ms": period_of(resolution, start_ms)}
    for number, data in conn.execute(_BLOCKS, bounds | blocks).cursor.fetchall():
        columns = metric_codec.decode(_FAMILY, data)
        piece = Amounts(number, columns["start_ms"], columns["delta"], columns["has_delta"])
        inside = _inside(piece, start_ms, end_ms)
        if len(inside.start_ms):
            yield inside
    # the driver's own rows: toolkit rows cost as much again, and there may be a hundred thousand
    rows = conn.execute(_ROWS, bounds | {"resolution": resolution, "first_ms": start_ms}).cursor.fetchall()
    if rows:
        yield from _by_series(*zip(*rows, strict=True))


def _inside(piece: Amounts, start_ms: int, end_ms: int) -> Amounts:
    starts = piece.start_ms
    if starts[0] >= start_ms and starts[-1] < end_ms:
        return piece
    low, high = np.searchsorted(starts, [start_ms, end_ms]).tolist()
    return Amounts(piece.series, starts[low:high], piece.delta[low:high], piece.known[low:high])


def _by_series(
    numbers: Sequence[int], starts: Sequence[int], deltas: Sequence[int | None]
) -> Iterator[Amounts]:
    if None in deltas:
        known = np.array([delta is not None for delta in deltas], np.bool_)
        delta = np.array([delta or 0 for delta in deltas], np.int64)
    else:
        known = np.ones(len(deltas), np.bool_)
        delta = np.array(deltas, np.int64)
    series, start_ms = np.array(numbers, np.int64), np.array(starts, np.int64)
    borders = np.flatnonzero(np.r_[True, series[1:] != series[:-1]]).tolist()
    for low, high in zip(borders, [*borders[1:], len(series)], strict=True):
        yield Amounts(int(series[low]), start_ms[low:high], delta[low:high], known[low:high])
