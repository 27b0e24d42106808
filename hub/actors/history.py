"""Answers about the past: which rows a chart needs, read and summed in a reader thread.

``15m`` and ``1h`` are sums of slots, ``1d``, ``1mo`` and ``1y`` sums of day rows; a day that is not summed yet, or
that the asked range cuts, is summed from its slots on the way. ``1m`` and ``raw`` come from the readings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.actors.history_amounts import Grid, amounts_from_days, amounts_from_slots, by_positions, summed_days
from hub.actors.registry import Registry
from hub.energy.calendar import Buckets, buckets, label_of
from hub.energy.cuts import cut_slots, slot_floor
from hub.energy.minutes import minute_columns, minute_times
from hub.energy.periods import PeriodColumns, aggregate, aggregate_each
from hub.energy.slots import Rule, SlotColumns, step_of
from hub.errors import Refused
from hub.model.quality import Quality, ReadingFlag, shares
from hub.model.series import Behaviour, Series
from hub.model.units import STORED_UNIT, Quantity
from hub.storage import slots
from hub.storage.codec import Columns
from hub.storage.corrected import CorrectedReadings
from hub.storage.database import Database
from hub.storage.metric_codec import FAMILIES
from hub.storage.readings import read_columns

DAY_MS: Final = 86_400_000
RESOLUTIONS: Final = ("auto", "raw", "1m", "15m", "1h", "1d", "1mo", "1y")
COLUMNS: Final = ("energy", "delta", "mean", "min", "max", "last", "count", "quality")
_AUTO: Final = ((6 * 3_600_000, "1m"), (3 * DAY_MS, "15m"), (62 * DAY_MS, "1h"), (3 * 366 * DAY_MS, "1d"))
CELL_LIMIT: Final = 20_000_000
RAW_LIMIT: Final = 100_000
MINUTE_SPAN_MS: Final = 31 * DAY_MS

Column = NDArray[np.float64] | list[Quality]


@dataclass(frozen=True, slots=True)
class History:
    """Figures by bucket. ``series[id][column]`` has one entry per label, NaN where nothing is known.

    ``energy`` is in Wh, ``delta`` in the unit of the series (m3), the rest in the unit of the series.
    ``partial`` are the positions of buckets that the asked range cuts.
    """

    resolution: str
    labels: tuple[str, ...]
    start_ms: NDArray[np.int64]
    end_ms: NDArray[np.int64]
    partial: tuple[int, ...]
    units: dict[str, str]
    series: dict[str, dict[str, Column]]


@dataclass(frozen=True, slots=True)
class ReadingsPage:
    """Raw readings; ``next`` is the cursor of the following page, None at the end."""

    ts_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    next: int | None


@dataclass(frozen=True, slots=True)
class _Wanted:
    series: tuple[Series, ...]
    columns: Mapping[int, tuple[str, ...]]
    grid: Buckets
    start_ms: int
    end_ms: int
    now_ms: int

    def families(self) -> tuple[str, ...]:
        """Families of blocks that the columns need."""
        names = {name for columns in self.columns.values() for name in columns}
        wanted = {"delta"} if names & {"energy", "delta"} else set()
        wanted |= {"gauge", "quality"} if names & {"mean", "min", "max", "last"} else set()
        wanted |= {"quality"} if names & {"quality", "count"} else set()
        return tuple(family for family in FAMILIES if family in wanted)


class DayBook(Protocol):
    """Which local days of a series are not summed yet."""

    def dirty(self, number: int) -> Collection[tuple[int, int]] | None:
        """``(start_ms, end_ms)`` of the days; None where no day row of the series can be used."""


class HistoryReader:
    """Reads what the processing actor is asked for."""

    def __init__(self, database: Database, registry: Registry, days: DayBook, zone: str) -> None:
        self._database = database
        self._registry = registry
        self._days = days
        self._zone = zone

    async def readings(
        self, series: str, start_ms: int, end_ms: int, limit: int, cursor: int | None, corrected: bool
    ) -> ReadingsPage:
        """A page of readings in ``[start_ms, end_ms)``: raw, or as corrections leave them."""
        one = self._registry.by_public_id(series)
        limit = max(1, min(limit, RAW_LIMIT))
        first_ms = start_ms if cursor is None else max(start_ms, cursor)

        def job(conn: sa.Connection) -> Columns:
            if corrected:
                return CorrectedReadings.of(conn, one.no).page(first_ms, end_ms, limit + 1)
            return read_columns(conn, one.no, first_ms, end_ms, limit=limit + 1)

        columns = await self._database.read(job)
        more = len(columns.ts_ms) > limit
        return ReadingsPage(
            columns.ts_ms[:limit], columns.values[:limit], int(columns.ts_ms[limit]) if more else None
        )

    async def history(
        self,
        series: Sequence[str],
        start_ms: int,
        end_ms: int,
        resolution: str,
        columns: Sequence[str],
    ) -> History:
        """Figures of some series in ``[start_ms, end_ms)``."""
        found = tuple(self._registry.by_public_id(one) for one in dict.fromkeys(series))
        resolution = checked_resolution(resolution, start_ms, end_ms)
        by_series: dict[int, tuple[str, ...]] = {one.no: _checked_columns(one, columns) for one in found}
        if resolution == "raw":
            return await self._raw(found, start_ms, end_ms, tuple(dict.fromkeys(columns)) or ("mean",))
        whole = buckets(self._zone, resolution, start_ms, end_ms)
        if len(whole) * max(len(found), 1) > CELL_LIMIT:
            raise Refused(
                "WL-API-031",
                f"{len(whole)} buckets of {len(found)} series are more than one answer holds",
                where="resolution",
                hint="ask for a coarser resolution or a shorter range",
            )
        grid, partial = whole.clipped(start_ms, end_ms)
        wanted = _Wanted(found, by_series, grid, start_ms, end_ms, self._database.now_ms())
        figures = await self._figures(wanted, resolution)
        return History(
            resolution,
            grid.label,
            grid.start_ms,
            grid.end_ms,
            tuple(partial),
            {one.public_id: _unit(one, by_series[one.no]) for one in found},
            {one.public_id: figures[one.no] for one in found},
        )

    async def _figures(self, wanted: _Wanted, resolution: str) -> dict[int, dict[str, Column]]:
        if not wanted.series or not len(wanted.grid):
            return {one.no: {name: _empty(name) for name in wanted.columns[one.no]} for one in wanted.series}
        if resolution == "1m":
            return await self._database.read(lambda conn: _minutes(conn, wanted))
        if resolution in ("15m", "1h"):
            return await self._database.read(lambda conn: _from_slots(conn, wanted))
        whole_days = buckets(self._zone, "1d", wanted.start_ms, wanted.end_ms)
        days, cut = whole_days.clipped(wanted.start_ms, wanted.end_ms)
        loose: dict[int, list[int]] = {
            one.no: _loose_days(days, cut, self._days.dirty(one.no)) for one in wanted.series
        }
        if wanted.families() == ("delta",):
            return await self._database.read(
                lambda conn: _amounts_of_days(conn, wanted, days, loose, resolution)
            )
        return await self._database.read(lambda conn: _from_days(conn, wanted, days, loose, resolution))

    async def _raw(
        self, series: Sequence[Series], start_ms: int, end_ms: int, names: Sequence[str]
    ) -> History:
        """Readings of several series on the union of their times."""

        def job(conn: sa.Connection) -> list[Columns]:
            return [read_columns(conn, one.no, start_ms, end_ms, limit=RAW_LIMIT + 1) for one in series]

        found = await self._database.read(job)
        for one, readings in zip(series, found, strict=True):
            if len(readings.ts_ms) > RAW_LIMIT:
                raise Refused(
                    "WL-API-031",
                    f"{one.public_id} has more than {RAW_LIMIT:,} readings in this range",
                    where="resolution",
                    hint="ask for 1m, for a shorter range, or for the readings of the series page by page",
                )
        times = np.unique(np.concatenate([one.ts_ms for one in found])) if found else np.empty(0, np.int64)
        figures: dict[str, dict[str, Column]] = {}
        for one, readings in zip(series, found, strict=True):
            at = np.searchsorted(times, readings.ts_ms)
            figures[one.public_id] = {name: _raw_cells(name, readings, at, len(times)) for name in names}
        return History(
            "raw",
            tuple(label_of(self._zone, ts_ms) for ts_ms in times.tolist()),
            times,
            times,
            (),
            {one.public_id: one.unit for one in series},
            figures,
        )


def _raw_cells(name: str, readings: Columns, at: NDArray[np.intp], size: int) -> Column:
    """A column of single readings: each is its own mean, extremes and last value; amounts lie between readings."""
    if name == "quality":
        qualities = [Quality(0.0, 0.0, 0.0, 0.0, 1.0)] * size
        for place, late in zip(at.tolist(), _is_late(readings).tolist(), strict=True):
            qualities[place] = Quality(float(not late), float(late), 0.0, 0.0, 0.0)
        return qualities
    cells = np.full(size, np.nan)
    if name == "count":
        cells[:] = 0.0
        cells[at] = 1.0
    elif name not in ("energy", "delta"):
        cells[at] = readings.values
    return cells


def _is_late(readings: Columns) -> NDArray[np.bool_]:
    return np.asarray((readings.flags & ReadingFlag.LATE) != 0, np.bool_)


def checked_resolution(resolution: str, start_ms: int, end_ms: int) -> str:
    """The resolution that is meant, ``auto`` by the length of the range.

    Raises:
        Refused: ``WL-API-030`` to ``-032``.
    """
    if resolution not in RESOLUTIONS:
        raise Refused(
            "WL-API-030",
            f"resolution {resolution[:20]!r} is not known",
            where="resolution",
            hint="one of " + ", ".join(RESOLUTIONS),
        )
    if end_ms <= start_ms:
        raise Refused("WL-API-032", "end does not lie after start", where="end")
    if resolution == "auto":
        span_ms = end_ms - start_ms
        return next((name for limit_ms, name in _AUTO if span_ms <= limit_ms), "1mo")
    if resolution == "1m" and end_ms - start_ms > MINUTE_SPAN_MS:
        raise Refused(
            "WL-API-031", "minutes are given for 31 days at most", where="resolution", hint="ask for 15m"
        )
    return resolution


def _checked_columns(series: Series, columns: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        raise Refused(
            "WL-API-033",
            f"column {unknown[0][:20]!r} is not known",
            where="columns",
            hint="of " + ", ".join(COLUMNS),
        )
    return tuple(dict.fromkeys(columns)) or default_columns(series)


def default_columns(series: Series) -> tuple[str, ...]:
    """What a chart of this series shows when nothing else is asked for."""
    if series.behaviour is not Behaviour.GAUGE:
        return ("energy",) if _is_energy(series) else ("delta",)
    return ("mean", "energy") if series.quantity is Quantity.POWER else ("mean", "min", "max")


def _is_energy(series: Series) -> bool:
    return STORED_UNIT[series.quantity] == "Wh" or series.quantity is Quantity.POWER


def _unit(series: Series, columns: Sequence[str]) -> str:
    only_energy = "energy" in columns and not {"mean", "min", "max", "last"} & set(columns)
    return "Wh" if only_energy and _is_energy(series) else series.unit


def _empty(name: str) -> Column:
    return [] if name == "quality" else np.empty(0)


def _delta_name(series: Series, name: str) -> bool:
    """Whether this column is the amount of the series: ``energy`` for energy, ``delta`` for everything."""
    return name == "delta" or (name == "energy" and _is_energy(series))


def _from_slots(conn: sa.Connection, wanted: _Wanted) -> dict[int, dict[str, Column]]:
    numbers = [one.no for one in wanted.series]
    if wanted.families() == ("delta",):
        grid = wanted.grid
        return _amounts(wanted, amounts_from_slots(conn, numbers, grid.start_ms, grid.end_ms, wanted.now_ms))
    first_ms = int(wanted.grid.start_ms[0])
    found = _slots_in(conn, numbers, first_ms, wanted.end_ms, wanted.now_ms, wanted.families())
    return {one.no: _cells(one, found[one.no], wanted) for one in wanted.series}


def _slots_in(
    conn: sa.Connection,
    numbers: Sequence[int],
    start_ms: int,
    end_ms: int,
    now_ms: int,
    families: Sequence[str],
) -> dict[int, SlotColumns]:
    """Slots of a range; those that it cuts are reduced to what lies inside."""
    found = slots.read(conn, numbers, slots.SLOT, slot_floor(start_ms), end_ms, families)
    return {number: cut_slots(rows, start_ms, end_ms, now_ms) for number, rows in found.items()}


def _cells(series: Series, rows: SlotColumns, wanted: _Wanted) -> dict[str, Column]:
    """Columns of one series, summed into the grid."""
    periods = aggregate(rows, wanted.grid.start_ms, wanted.grid.end_ms)
    return {name: _cell(series, name, periods, wanted.now_ms) for name in wanted.columns[series.no]}


def _cell(series: Series, name: str, periods: PeriodColumns, now_ms: int) -> Column:
    if name == "quality":
        known = periods.until(now_ms)
        return [known.quality(row) for row in range(len(known))]
    if _delta_name(series, name):
        return _in_units(periods.delta, periods.has_delta, series)
    if name == "count":
        return periods.count.astype(np.float64)
    if name in ("mean", "min", "max", "last"):
        values: NDArray[np.float64] = getattr(periods, name)
        return values
    return np.full(len(periods), np.nan)


def _amounts(wanted: _Wanted, sums: Grid) -> dict[int, dict[str, Column]]:
    """Columns of series of which only amounts are asked for."""
    result: dict[int, dict[str, Column]] = {}
    for row, one in enumerate(wanted.series):
        values = _in_units(sums.steps[row], sums.known[row], one)
        result[one.no] = {
            name: values if _delta_name(one, name) else np.full(len(values), np.nan)
            for name in wanted.columns[one.no]
        }
    return result


def _in_units(steps: NDArray[np.int64], known: NDArray[np.bool_], series: Series) -> NDArray[np.float64]:
    """Steps → amounts; a quotient is the nearest number, which a product is not, and reads shorter."""
    return np.where(known, steps / round(1 / step_of(series.quantity)), np.nan)


# --- days


def _loose_days(days: Buckets, cut: Sequence[int], dirty: Collection[tuple[int, int]] | None) -> list[int]:
    """Positions of days whose row must not be used: cut by the range, or not summed yet."""
    if dirty is None:
        return list(range(len(days)))
    loose = set(cut)
    if dirty:
        starts = {start_ms for start_ms, _ in dirty}
        loose |= {at for at, start_ms in enumerate(days.start_ms.tolist()) if start_ms in starts}
    return sorted(loose)


def _from_days(
    conn: sa.Connection, wanted: _Wanted, days: Buckets, loose: Mapping[int, list[int]], resolution: str
) -> dict[int, dict[str, Column]]:
    numbers = [one.no for one in wanted.series]
    families = wanted.families()
    found = slots.read(conn, numbers, slots.DAY, wanted.start_ms, wanted.end_ms, families)
    for positions, together in by_positions(loose).items():
        found |= _patched(conn, together, found, days, list(positions), families, wanted.now_ms)
    figures: dict[int, dict[str, Column]] = {}
    for one in wanted.series:
        rows = found[one.no]
        if resolution == "1d" and not set(wanted.columns[one.no]) & {"quality"}:
            figures[one.no] = _placed(one, rows, wanted)
        else:
            figures[one.no] = _cells(one, rows, wanted)
    return figures


def _amounts_of_days(
    conn: sa.Connection, wanted: _Wanted, days: Buckets, loose: Mapping[int, list[int]], resolution: str
) -> dict[int, dict[str, Column]]:
    sums = amounts_from_days(conn, [one.no for one in wanted.series], days, loose, wanted.now_ms)
    if resolution != "1d":
        sums = summed_days(sums, days, wanted.grid.start_ms, wanted.grid.end_ms)
    return _amounts(wanted, sums)


def _placed(series: Series, rows: SlotColumns, wanted: _Wanted) -> dict[str, Column]:
    """Day rows as they are, each at its day: nothing to sum."""
    at = np.searchsorted(wanted.grid.start_ms, rows.start_ms, side="right") - 1
    placed: dict[str, Column] = {}
    for name in wanted.columns[series.no]:
        values = np.full(len(wanted.grid), np.nan)
        if _delta_name(series, name):
            values[at] = _in_units(rows.delta, rows.has_delta, series)
        elif name in ("mean", "min", "max", "last", "count"):
            values[at] = getattr(rows, name)
        placed[name] = values
    return placed


def _patched(
    conn: sa.Connection,
    numbers: Sequence[int],
    found: Mapping[int, SlotColumns],
    days: Buckets,
    loose: list[int],
    families: Sequence[str],
    now_ms: int,
) -> dict[int, SlotColumns]:
    """Day rows of some series with their loose days summed from slots instead."""
    starts, ends = days.start_ms[loose], days.end_ms[loose]
    # where every day is loose, rows may be left that were summed by the borders of another zone
    keep_rows = len(loose) < len(days)
    parts: dict[int, list[SlotColumns]] = {number: [] for number in numbers}
    for start_ms, end_ms in _runs(starts, ends):
        inside = _slots_in(conn, numbers, start_ms, end_ms, now_ms, families)
        within = (starts >= start_ms) & (ends <= end_ms)
        for number, rows in _day_rows_of_each(inside, starts[within], ends[within]).items():
            parts[number].append(rows)
    return {
        number: _joined(found[number], parts[number], starts)
        if keep_rows
        else SlotColumns.joined(parts[number])
        for number in numbers
    }


def _joined(rows: SlotColumns, parts: list[SlotColumns], starts: NDArray[np.int64]) -> SlotColumns:
    """Day rows without the days that begin at ``starts``, and the parts that stand for those."""
    old = rows
    if len(rows) and rows.start_ms[-1] >= starts[0]:
        old = rows.take(~np.isin(rows.start_ms, starts))
    pieces = [part for part in (old, *parts) if len(part)]
    if not pieces:
        return SlotColumns.empty()
    joined = SlotColumns.joined(pieces) if len(pieces) > 1 else pieces[0]
    in_order = bool((joined.start_ms[1:] > joined.start_ms[:-1]).all())
    return joined if in_order else joined.take(np.argsort(joined.start_ms, kind="stable"))


def _runs(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Stretches of days that follow each other."""
    runs: list[tuple[int, int]] = []
    for start_ms, end_ms in zip(starts.tolist(), ends.tolist(), strict=True):
        if runs and runs[-1][1] == start_ms:
            runs[-1] = (runs[-1][0], end_ms)
        else:
            runs.append((start_ms, end_ms))
    return runs


def day_rows(rows: SlotColumns, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> SlotColumns:
    """Slots summed by day, without the days that hold nothing."""
    return _known_days(aggregate(rows, starts, ends))[0]


def _day_rows_of_each(
    series: Mapping[int, SlotColumns], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> dict[int, SlotColumns]:
    """:func:`day_rows` of every series, with the same days."""
    if not series:
        return {}
    rows, kept = _known_days(aggregate_each(list(series.values()), starts, ends))
    borders = np.searchsorted(kept, np.arange(len(series) + 1) * len(starts)).tolist()
    return {
        number: rows.take(slice(low, high))
        for number, low, high in zip(series, borders[:-1], borders[1:], strict=True)
    }


def _known_days(periods: PeriodColumns) -> tuple[SlotColumns, NDArray[np.intp]]:
    """Days that hold something as rows, and their positions."""
    known_ms = periods.measured_ms + periods.late_ms + periods.estimated_ms + periods.suspect_ms
    some = np.flatnonzero((periods.count > 0) | periods.has_delta | (known_ms > 0))
    rows = SlotColumns(
        start_ms=periods.start_ms[some],
        delta=periods.delta[some],
        has_delta=periods.has_delta[some],
        count=periods.count[some].astype(np.int32),
        mean=periods.mean[some],
        min=periods.min[some],
        max=periods.max[some],
        last=periods.last[some],
        measured_ms=periods.measured_ms[some].astype(np.int32),
        late_ms=periods.late_ms[some].astype(np.int32),
        estimated_ms=periods.estimated_ms[some].astype(np.int32),
        suspect_ms=periods.suspect_ms[some].astype(np.int32),
        flags=periods.flags[some],
    )
    return rows, some


# --- minutes


def _minutes(conn: sa.Connection, wanted: _Wanted) -> dict[int, dict[str, Column]]:
    margin_ms = 3_600_000
    figures: dict[int, dict[str, Column]] = {}
    for one in wanted.series:
        readings = CorrectedReadings.of(conn, one.no)
        columns = readings.columns(wanted.start_ms - margin_ms, wanted.end_ms + margin_ms)
        cells = minute_columns(
            Rule.of(one), columns.ts_ms, columns.values, wanted.grid.start_ms, wanted.grid.end_ms
        )
        figures[one.no] = {
            name: _minute_qualities(one, columns, wanted)
            if name == "quality"
            else _minute_cell(one, name, cells, len(wanted.grid))
            for name in wanted.columns[one.no]
        }
    return figures


def _minute_qualities(series: Series, readings: Columns, wanted: _Wanted) -> list[Quality]:
    """Shares of each minute's time, as far as it has passed."""
    grid = wanted.grid
    measured_ms, late_ms = minute_times(
        Rule.of(series),
        readings.ts_ms,
        _is_late(readings),
        grid.start_ms,
        np.minimum(grid.end_ms, wanted.now_ms),
    )
    length_ms = np.maximum(np.minimum(grid.end_ms, wanted.now_ms) - grid.start_ms, 0)
    known = zip(length_ms.tolist(), measured_ms.tolist(), late_ms.tolist(), strict=True)
    return [shares(whole, max(good, 0), max(behind, 0), 0, 0, 0) for whole, good, behind in known]


def _minute_cell(series: Series, name: str, cells: dict[str, NDArray[np.float64]], size: int) -> Column:
    if _delta_name(series, name):
        return cells["amount"]
    values: NDArray[np.float64] = cells.get(name, np.full(size, np.nan))
    return values
