"""Derived rows: 15-minute slots and local days of every series, the newest in rows, all older ones in blocks.

``energy_metrics`` rows are the truth where they exist; blocks (slots by UTC month, days by UTC year) hold what
:func:`compact` moved out of them a day or two later, and what :func:`replace` derived again in that past.
Readers see one table: :func:`read`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from dataclasses import replace as replace_fields
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.energy.slots import SlotColumns
from hub.storage import metric_codec, tables
from hub.storage.metric_codec import FAMILIES
from hub.storage.metric_writes import COLUMNS, upsert_rows

SLOT: Final = "15m"
DAY: Final = "1d"
_NAMES: Final = tuple(column.name for column in fields(SlotColumns))
_NUMBERS_IN_TEXT: Final = 5_000


@dataclass(frozen=True, slots=True)
class MetricRows:
    """Rows of one resolution to write: ``series`` and ``end_ms`` stand beside the columns of the slots.

    ``zone`` and ``zone_version`` belong to days, which a change of either makes wrong.
    """

    resolution: str
    series: NDArray[np.int32]
    end_ms: NDArray[np.int64]
    columns: SlotColumns
    revision: int
    zone: str | None = None
    zone_version: str | None = None

    def __len__(self) -> int:
        return len(self.series)

    def take(self, rows: NDArray[np.bool_]) -> MetricRows:
        """The rows that a mask names."""
        return replace_fields(
            self, series=self.series[rows], end_ms=self.end_ms[rows], columns=self.columns.take(rows)
        )


def write_rows(conn: sa.Connection, rows: MetricRows) -> None:
    """Insert rows or replace those of the same key."""
    if not len(rows):
        return
    columns, count = rows.columns, len(rows)
    given = {
        "series": rows.series.tolist(),
        "resolution": [rows.resolution] * count,
        "end_ms": rows.end_ms.tolist(),
        "start_ms": columns.start_ms.tolist(),
        "delta": _or_nothing(columns.delta, columns.has_delta),
        "revision": [rows.revision] * count,
        "zone": [rows.zone] * count,
        "zone_version": [rows.zone_version] * count,
        **{name: getattr(columns, name).tolist() for name in FAMILIES["quality"]},
        **{
            name: _or_nothing(gauge := getattr(columns, name), ~np.isnan(gauge)) for name in FAMILIES["gauge"]
        },
    }
    upsert_rows(conn, [given[name] for name in COLUMNS])


def delete_rows(conn: sa.Connection, series: int, resolution: str, start_ms: int, end_ms: int) -> None:
    """Take away derived rows that start in ``[start_ms, end_ms)``, in blocks too."""
    _delete_open_rows(conn, series, resolution, start_ms, end_ms)
    _cut_blocks(conn, series, resolution, start_ms, end_ms)


def _delete_open_rows(conn: sa.Connection, series: int, resolution: str, start_ms: int, end_ms: int) -> None:
    table = tables.energy_metrics
    conn.execute(
        sa.delete(table).where(
            table.c.series == series,
            table.c.resolution == resolution,
            table.c.start_ms >= start_ms,
            table.c.start_ms < end_ms,
        )
    )


def _cut_blocks(conn: sa.Connection, series: int, resolution: str, start_ms: int, end_ms: int) -> None:
    if start_ms >= end_ms:
        return
    for period_ms in _periods_with_blocks(conn, series, resolution, start_ms, end_ms):
        kept = _block_columns(conn, series, resolution, period_ms)
        outside = (kept.start_ms < start_ms) | (kept.start_ms >= end_ms)
        if not outside.all():
            write_block(conn, series, resolution, period_ms, kept.take(outside), revision=0)


def replace(
    conn: sa.Connection, number: int, rows: MetricRows, start_ms: int, end_ms: int, closed_before_ms: int
) -> None:
    """Put rows of one series in the place of everything of it that starts in ``[start_ms, end_ms)``.

    What starts before ``closed_before_ms`` goes into blocks at once, so that a year that comes late does not
    pass through the table of rows.
    """
    border_ms = min(max(closed_before_ms, start_ms), end_ms)
    open_rows = rows.columns.start_ms >= border_ms
    _delete_open_rows(conn, number, rows.resolution, start_ms, end_ms)
    _cut_blocks(conn, number, rows.resolution, border_ms, end_ms)
    write_rows(conn, rows if open_rows.all() else rows.take(open_rows))
    if start_ms < border_ms:
        _put_into_blocks(conn, number, rows, start_ms, border_ms)


def _put_into_blocks(conn: sa.Connection, number: int, rows: MetricRows, start_ms: int, end_ms: int) -> None:
    period_ms = period_of(rows.resolution, start_ms)
    while period_ms < end_ms:
        after_ms = period_end(rows.resolution, period_ms)
        kept = _block_columns(conn, number, rows.resolution, period_ms)
        kept = kept.take((kept.start_ms < start_ms) | (kept.start_ms >= end_ms))
        starts = rows.columns.start_ms
        new = rows.columns.take((starts >= max(period_ms, start_ms)) & (starts < min(after_ms, end_ms)))
        merged = SlotColumns.joined([part for part in (kept, new) if len(part)])
        order = np.argsort(merged.start_ms, kind="stable")
        write_block(conn, number, rows.resolution, period_ms, merged.take(order), revision=rows.revision)
        period_ms = after_ms


def read(
    conn: sa.Connection,
    series: Sequence[int],
    resolution: str,
    start_ms: int,
    end_ms: int,
    families: Iterable[str] = ("delta", "quality", "gauge"),
) -> dict[int, SlotColumns]:
    """Derived rows that start in ``[start_ms, end_ms)``, per series in time order.

    Columns of families that were not asked for are zero or NaN. A series without rows has an empty entry.
    """
    families = tuple(families)
    parts: dict[int, list[dict[str, NDArray[Any]]]] = {number: [] for number in series}
    for number, columns in _from_blocks(conn, series, resolution, start_ms, end_ms, families):
        parts[number].append(columns)
    over = _from_rows(conn, series, resolution, start_ms, end_ms, families)
    return {number: _overlaid(parts[number], over.get(number), families) for number in series}


def write_block(
    conn: sa.Connection, series: int, resolution: str, period_ms: int, columns: SlotColumns, *, revision: int
) -> None:
    """Replace the block of a period; no rows take it away."""
    table = tables.metric_blocks
    names = [f"{resolution}.{family}" for family in FAMILIES]
    conn.execute(
        sa.delete(table).where(
            table.c.series == series, table.c.resolution.in_(names), table.c.period_ms == period_ms
        )
    )
    if not len(columns):
        return
    plain = {name: getattr(columns, name) for name in _NAMES}
    conn.execute(
        sa.insert(table),
        [
            {
                "series": series,
                "resolution": f"{resolution}.{family}",
                "period_ms": period_ms,
                "count": len(columns),
                "codec": metric_codec.CODEC,
                "revision": revision,
                "data": metric_codec.encode(family, columns.start_ms, plain),
            }
            for family in FAMILIES
            if family != "gauge" or not np.isnan(columns.last).all()
        ],
    )


def compact(conn: sa.Connection, series: int, resolution: str, period_ms: int, before_ms: int) -> int:
    """Move rows of a period that start before ``before_ms`` into its block, over what the block holds.

    Returns how many rows moved.
    """
    end_ms = min(period_end(resolution, period_ms), before_ms)
    over = _from_rows(conn, [series], resolution, period_ms, end_ms, tuple(FAMILIES)).get(series)
    if over is None:
        return 0
    block = _block_columns(conn, series, resolution, period_ms)
    merged = _overlaid([_plain(block)] if len(block) else [], over, tuple(FAMILIES))
    write_block(conn, series, resolution, period_ms, merged, revision=0)
    table = tables.energy_metrics
    conn.execute(
        sa.delete(table).where(
            table.c.series == series,
            table.c.resolution == resolution,
            table.c.start_ms >= period_ms,
            table.c.start_ms < end_ms,
        )
    )
    return len(over["start_ms"])


def periods_to_compact(
    conn: sa.Connection, resolution: str, before_ms: int, limit: int = 500
) -> list[tuple[int, int]]:
    """``(series, period_ms)`` of closed periods that still have rows, oldest first."""
    table = tables.energy_metrics
    oldest = conn.execute(
        sa.select(table.c.series, sa.func.min(table.c.start_ms))
        .where(table.c.resolution == resolution, table.c.start_ms < before_ms)
        .group_by(table.c.series)
        .limit(limit)
    )
    return [(number, period_of(resolution, start_ms)) for number, start_ms in oldest]


def extent(conn: sa.Connection, series: int, resolution: str) -> tuple[int, int] | None:
    """First and last start of the stored rows of a series, in rows or blocks; None where there is none."""
    rows, blocks = tables.energy_metrics, tables.metric_blocks
    found = conn.execute(
        sa.select(sa.func.min(rows.c.start_ms), sa.func.max(rows.c.start_ms)).where(
            rows.c.series == series, rows.c.resolution == resolution
        )
    ).one()
    periods = conn.execute(
        sa.select(sa.func.min(blocks.c.period_ms), sa.func.max(blocks.c.period_ms)).where(
            blocks.c.series == series, blocks.c.resolution == f"{resolution}.quality"
        )
    ).one()
    starts = [value for value in (found[0], periods[0]) if value is not None]
    ends = [found[1]] if found[1] is not None else []
    ends += [period_end(resolution, periods[1]) - 1] if periods[1] is not None else []
    return (min(starts), max(ends)) if starts else None


def period_of(resolution: str, start_ms: int) -> int:
    """Beginning of the block that holds a row: the UTC month of a slot, the UTC year of a day."""
    moment = datetime.fromtimestamp(start_ms // 1000, UTC)
    month = moment.month if resolution == SLOT else 1
    return int(datetime(moment.year, month, 1, tzinfo=UTC).timestamp()) * 1000


def period_end(resolution: str, period_ms: int) -> int:
    """End of a block's period, exclusive."""
    moment = datetime.fromtimestamp(period_ms // 1000, UTC)
    whole_year = resolution == DAY or moment.month == 12
    after = datetime(moment.year + whole_year, 1 if whole_year else moment.month + 1, 1, tzinfo=UTC)
    return int(after.timestamp()) * 1000


def _from_blocks(
    conn: sa.Connection,
    series: Sequence[int],
    resolution: str,
    start_ms: int,
    end_ms: int,
    families: Sequence[str],
) -> Iterable[tuple[int, dict[str, NDArray[Any]]]]:
    """Columns of each block in the range, cut to it; families of one block joined."""
    table = tables.metric_blocks
    found: dict[tuple[int, int], dict[str, NDArray[Any]]] = {}
    for family in families:
        query = (
            sa.select(table.c.series, table.c.period_ms, table.c.data)
            .where(
                table.c.series.in_(series),
                table.c.resolution == f"{resolution}.{family}",
                table.c.period_ms >= period_of(resolution, start_ms),
                table.c.period_ms < end_ms,
            )
            .order_by(table.c.series, table.c.period_ms)
        )
        for number, period_ms, data in conn.execute(query):
            found.setdefault((number, period_ms), {}).update(metric_codec.decode(family, data))
    for (number, _), columns in sorted(found.items()):
        starts = columns["start_ms"]
        low, high = np.searchsorted(starts, [start_ms, end_ms]).tolist()
        if (low, high) != (0, len(starts)):
            columns = {name: column[low:high] for name, column in columns.items()}
        yield number, columns


def _from_rows(
    conn: sa.Connection,
    series: Sequence[int],
    resolution: str,
    start_ms: int,
    end_ms: int,
    families: Sequence[str],
) -> dict[int, dict[str, NDArray[Any]]]:
    """Rows of ``energy_metrics`` as columns per series."""
    names = [name for family in families for name in FAMILIES[family] if name != "has_delta"]
    rows = _fetch_rows(conn, series, resolution, start_ms, end_ms, names)
    if not rows:
        return {}
    plain = list(zip(*rows, strict=True))
    columns: dict[str, NDArray[Any]] = {"start_ms": np.array(plain[1], np.int64)}
    for name, column in zip(names, plain[2:], strict=True):
        columns.update(_typed(name, column))
    numbers = np.array(plain[0], np.int64)
    borders = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]]).tolist()
    return {
        int(numbers[low]): {name: column[low:high] for name, column in columns.items()}
        for low, high in zip(borders, [*borders[1:], len(numbers)], strict=True)
    }


def _fetch_rows(
    conn: sa.Connection,
    series: Sequence[int],
    resolution: str,
    start_ms: int,
    end_ms: int,
    names: Sequence[str],
) -> Sequence[Sequence[Any]]:
    """Plain tuples of ``series, start_ms, *names`` in order of the key.

    SQLite's own cursor is asked where there is one: tens of thousands of rows for a chart, and SQLAlchemy's
    result takes three times as long.
    """
    table = tables.energy_metrics
    if conn.dialect.name == "sqlite" and len(series) <= _NUMBERS_IN_TEXT:
        numbers = ", ".join(str(int(number)) for number in series)
        text = (
            f"SELECT series, start_ms{''.join(', ' + name for name in names)} FROM energy_metrics"
            f" WHERE series IN ({numbers}) AND resolution = ? AND start_ms >= ? AND start_ms < ?"
            " ORDER BY series, start_ms"
        )
        raw: Any = conn.connection.driver_connection
        found: list[tuple[Any, ...]] = raw.execute(text, (resolution, start_ms, end_ms)).fetchall()
        return found
    query = (
        sa.select(table.c.series, table.c.start_ms, *(table.c[name] for name in names))
        .where(
            table.c.series.in_(series),
            table.c.resolution == resolution,
            table.c.start_ms >= start_ms,
            table.c.start_ms < end_ms,
        )
        .order_by(table.c.series, table.c.start_ms)
    )
    return conn.execute(query).fetchall()


def _typed(name: str, column: Sequence[Any]) -> dict[str, NDArray[Any]]:
    if name == "delta":
        known = np.array([value is not None for value in column], np.bool_)
        return {
            "delta": np.array([value or 0 for value in column], np.int64),
            "has_delta": known,
        }
    if name in FAMILIES["gauge"]:
        return {name: np.array(column, np.float64)}  # None becomes NaN
    return {name: np.array(column, np.int32 if max(column) < 2**31 else np.int64)}


def _overlaid(
    parts: list[dict[str, NDArray[Any]]], over: dict[str, NDArray[Any]] | None, families: Sequence[str]
) -> SlotColumns:
    """Blocks one after the other, rows over them."""
    if over is not None:
        starts = over["start_ms"]
        under = [_without(part, starts) for part in parts]
        parts = [part for part in (*under, over) if len(part["start_ms"])]
    if not parts:
        return SlotColumns.empty()
    filled = [_filled(part) for part in parts]
    columns = {
        name: filled[0][name] if len(filled) == 1 else np.concatenate([part[name] for part in filled])
        for name in _NAMES
    }
    if over is not None and len(parts) > 1:
        order = np.argsort(columns["start_ms"], kind="stable")
        columns = {name: column[order] for name, column in columns.items()}
    return SlotColumns(**columns)


def _without(part: dict[str, NDArray[Any]], starts: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    if not len(part["start_ms"]) or part["start_ms"][-1] < starts[0]:
        return part
    kept = ~np.isin(part["start_ms"], starts)
    return {name: column[kept] for name, column in part.items()}


_DTYPES: Final = {
    "delta": np.int64, "has_delta": np.bool_, "mean": np.float64, "min": np.float64, "max": np.float64,
    "last": np.float64,
}  # fmt: skip


def _filled(part: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """All columns of a slot, those not read as zero or NaN."""
    rows = len(part["start_ms"])
    whole = dict(part)
    for name in _NAMES:
        if name in whole:
            continue
        whole[name] = blank(np.dtype(_DTYPES.get(name, np.int32)), rows)
    return whole


def blank(dtype: np.dtype[Any], rows: int) -> NDArray[Any]:
    """Zeros (NaN for floats) for columns that nobody asked for: a slice of one shared read-only array."""
    known = _BLANKS.get(dtype)
    if known is None or len(known) < rows:
        known = (
            np.zeros(max(rows, 65_536), dtype) if dtype.kind != "f" else np.full(max(rows, 65_536), np.nan)
        )
        known.flags.writeable = False
        _BLANKS[dtype] = known
    return known[:rows]


_BLANKS: dict[np.dtype[Any], NDArray[Any]] = {}


def _plain(columns: SlotColumns) -> dict[str, NDArray[Any]]:
    return {name: getattr(columns, name) for name in _NAMES}


def _block_columns(conn: sa.Connection, series: int, resolution: str, period_ms: int) -> SlotColumns:
    end_ms = period_end(resolution, period_ms)
    found = list(_from_blocks(conn, [series], resolution, period_ms, end_ms, tuple(FAMILIES)))
    return _overlaid([columns for _, columns in found], None, tuple(FAMILIES))


def _periods_with_blocks(
    conn: sa.Connection, series: int, resolution: str, start_ms: int, end_ms: int
) -> list[int]:
    table = tables.metric_blocks
    found = conn.execute(
        sa.select(table.c.period_ms).where(
            table.c.series == series,
            table.c.resolution == f"{resolution}.quality",
            table.c.period_ms >= period_of(resolution, start_ms),
            table.c.period_ms < end_ms,
        )
    )
    return [period_ms for (period_ms,) in found]


def _or_nothing(column: NDArray[Any], known: NDArray[np.bool_]) -> list[Any]:
    """Plain values, None where nothing is known."""
    plain = column.astype(object)
    plain[~known] = None
    return list(plain.tolist())
