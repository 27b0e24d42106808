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
    """Rows of one series in time order; ``delta`` means nothing where ``known`` is false.

    They are ``step_ms`` apart from ``first_ms`` on; where that is 0, ``starts`` says when each begins.
    """

    first_ms: int
    step_ms: int
    delta: NDArray[np.integer]
    known: NDArray[np.bool_]
    starts: NDArray[np.int64] | None = None

    @property
    def start_ms(self) -> NDArray[np.int64]:
        """When each row begins."""
        if self.starts is not None:
            return self.starts
        return self.first_ms + self.step_ms * np.arange(len(self.delta), dtype=np.int64)


def read_amounts(
    conn: sa.Connection, series: Sequence[int], resolution: str, start_ms: int, end_ms: int
) -> Iterator[tuple[int, list[Amounts]]]:
    """Each series that has amounts that start in ``[start_ms, end_ms)``, with the pieces of them.

    Where two pieces name the same start, the later one is right. A block is unpacked when its series is
    asked for: the next one finds the memory of this one still near.

    Raises:
        StorageCorrupt: ``WL-STO-012``, a block is damaged.
    """
    bounds = {"series": list(series), "end_ms": end_ms}
    wanted = {"resolution": f"{resolution}.{_FAMILY}", "first_ms": period_of(resolution, start_ms)}
    blocks: dict[int, list[bytes]] = {}
    # the driver's own rows: toolkit rows cost as much again, and there may be a hundred thousand
    for number, data in conn.execute(_BLOCKS, bounds | wanted).cursor.fetchall():
        blocks.setdefault(number, []).append(data)
    found = conn.execute(_ROWS, bounds | {"resolution": resolution, "first_ms": start_ms}).cursor.fetchall()
    rows = dict(_by_series(*zip(*found, strict=True))) if found else {}
    for number in sorted(blocks.keys() | rows.keys()):
        pieces = [_inside(_unpacked(data), start_ms, end_ms) for data in blocks.get(number, ())]
        if number in rows:
            pieces.append(rows[number])
        yield number, [piece for piece in pieces if len(piece.delta)]


def _unpacked(data: bytes) -> Amounts:
    run = metric_codec.decode_run(_FAMILY, data)
    columns = run.columns
    return Amounts(run.first_ms, run.step_ms, columns["delta"], columns["has_delta"], columns.get("start_ms"))


def _inside(piece: Amounts, start_ms: int, end_ms: int) -> Amounts:
    count = len(piece.delta)
    if piece.starts is None:
        last_ms = piece.first_ms + piece.step_ms * (count - 1)
        if piece.first_ms >= start_ms and last_ms < end_ms:
            return piece
    starts = piece.start_ms
    low, high = np.searchsorted(starts, [start_ms, end_ms]).tolist()
    first_ms = int(starts[low]) if low < count else end_ms
    cut = None if piece.starts is None else starts[low:high]
    return Amounts(first_ms, piece.step_ms, piece.delta[low:high], piece.known[low:high], cut)


def _by_series(
    numbers: Sequence[int], starts: Sequence[int], deltas: Sequence[int | None]
) -> Iterator[tuple[int, Amounts]]:
    if None in deltas:
        known = np.array([delta is not None for delta in deltas], np.bool_)
        delta = np.array([delta or 0 for delta in deltas], np.int64)
    else:
        known = np.ones(len(deltas), np.bool_)
        delta = np.array(deltas, np.int64)
    series, start_ms = np.array(numbers, np.int64), np.array(starts, np.int64)
    borders = np.flatnonzero(np.r_[True, series[1:] != series[:-1]]).tolist()
    for low, high in zip(borders, [*borders[1:], len(series)], strict=True):
        yield (
            int(series[low]),
            Amounts(int(start_ms[low]), 0, delta[low:high], known[low:high], start_ms[low:high]),
        )
