"""The past of the simulated house: written straight into a store that no hub uses yet.

Readings go into sealed blocks and, for the days that are still open, into rows; slots and days are derived by the
functions that derive them in a running hub, so that a rebuild finds nothing to change. An attempt that was
interrupted is begun anew.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import wait
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.actors.derivation import COMPACT_AFTER_MS, DAYS
from hub.actors.history import day_rows
from hub.energy.calendar import local_days, zone_version
from hub.energy.derive import derive
from hub.energy.installations import Installation
from hub.energy.slots import SLOT_MS, Readings, Rule, SlotColumns
from hub.errors import AskUser
from hub.model.device import Device
from hub.model.series import Series
from hub.model.units import STORED_UNIT
from hub.storage import metering, registry, sealing, slots, tables
from hub.storage.batches import AppendRows
from hub.storage.codec import CODEC_VERSION, Columns, encode
from hub.storage.database import Database
from hub.storage.sealed import DAY_MS
from integrations.demo.devices import CONNECTION, Declaration
from integrations.demo.house import simulate
from integrations.demo.site import Site

STEP_S: Final = 60
"""Distance of the readings of the past."""
STATE_KEY: Final = "demo.history"
WRITING: Final = "writing"
DONE: Final = "done"
_MARGIN_MS: Final = DAY_MS
_APPEND_ROWS: Final = 20_000
_WORKERS: Final = 2
_FEW_MONTHS: Final = 2
_AHEAD: Final = 3
"""Months that may be made before they are written: more would only fill the memory."""

Progress = Callable[[int, int], None]
"""Called with how many months are written, of how many."""


@dataclass(frozen=True, slots=True)
class Past:
    """What to write: the house, the range ``[start_ms, end_ms)`` of its past, and where its days begin.

    Days before ``sealed_before_ms`` become blocks, later ones rows.
    """

    seed: int
    site: Site
    start_ms: int
    end_ms: int
    zone: str
    sealed_before_ms: int


@dataclass(frozen=True, slots=True)
class _Month:
    """What a worker is asked for: one UTC month, cut to the past; ``series`` by public id."""

    past: Past
    start_ms: int
    end_ms: int
    series: tuple[tuple[str, Series], ...]


@dataclass(frozen=True, slots=True)
class _Made:
    """What a worker gives back: rows of ``reading_blocks``, readings of open days, slots; by series number."""

    month: _Month
    blocks: list[dict[str, Any]]
    open_ts_ms: NDArray[np.int64]
    open_values: dict[int, NDArray[np.float64]]
    slots: dict[int, SlotColumns]

    @property
    def readings(self) -> int:
        """How many there are."""
        sealed: int = sum(block["count"] for block in self.blocks)
        return sealed + len(self.open_ts_ms) * len(self.open_values)


def past_of(
    seed: int, site: Site, zone: str, days: int, now_ms: int, seal_after_ms: int = sealing.SEAL_AFTER_MS
) -> Past:
    """The last ``days`` local days before today, and today up to the last full minute.

    Raises:
        AskUser: ``WL-DEM-003`` the house was not built yet when the past would begin.
    """
    end_ms = now_ms // (STEP_S * 1000) * (STEP_S * 1000) + 1
    today = local_days(zone, now_ms, now_ms + 1).start_ms
    before = local_days(zone, int(today[0]) - (days + 1) * DAY_MS, int(today[0]))
    start_ms = int(before.start_ms[-days]) if days else int(today[0])
    if start_ms < site.first_ms + STEP_S * 1000:
        raise AskUser(
            "WL-DEM-003",
            f"the simulated house was built on {site.since}, so it has no {days} days of history",
            where="--days",
            hint="ask for fewer days, or set an earlier `since` for the demo integration",
        )
    sealed_before_ms = (now_ms - seal_after_ms) // DAY_MS * DAY_MS
    return Past(seed, site, start_ms, end_ms, zone, sealed_before_ms)


async def state_of(database: Database) -> str | None:
    """``writing``, ``done``, or None where no history was ever written.

    Raises:
        AskUser: ``WL-DEM-002`` the store holds the series of another house.
    """

    def job(conn: sa.Connection) -> tuple[Any, int]:
        series = conn.execute(sa.select(sa.func.count()).select_from(tables.series)).scalar_one()
        return registry.load_setting(conn, STATE_KEY), series

    state, series = await database.read(job)
    if state is None and series:
        raise AskUser(
            "WL-DEM-002",
            "the data directory holds the readings of another house",
            where=str(database.data_dir),
            hint="name an empty directory with --data",
        )
    return None if state is None else str(state)


def begun_ms(conn: sa.Connection) -> int | None:
    """When the written history begins: its oldest device is as old; None where all were removed."""
    found: int | None = conn.execute(sa.select(sa.func.min(tables.devices.c.created_ms))).scalar()
    return found


async def write_past(
    database: Database, past: Past, declared: Sequence[Declaration], entry_id: str, progress: Progress
) -> int:
    """Register the house and write its past → number of readings.

    Raises:
        WattlineError: the store refuses; what was written stays and may be written again.
    """
    await database.write(_begin_anew)
    series = await database.write(lambda conn: _registered(conn, declared, entry_id, past.start_ms))
    months = [
        _Month(past, max(start_ms, past.start_ms), min(end_ms, past.end_ms), series)
        for start_ms, end_ms in _months(past.start_ms, past.end_ms)
    ]
    rows = 0
    progress(0, len(months))
    with _workers(len(months)) as pool:
        waiting: deque[asyncio.Future[_Made]] = deque()
        for at in range(len(months) + _AHEAD):
            if at < len(months):
                waiting.append(asyncio.get_running_loop().run_in_executor(pool, _make, months[at]))
            if at >= _AHEAD:
                made = await waiting.popleft()
                await _write_month(database, made)
                rows += made.readings
                progress(at - _AHEAD + 1, len(months))
    await _write_days(database, past, [one.no for _, one in series])
    await database.write(lambda conn: registry.save_setting(conn, STATE_KEY, DONE))
    return rows


@contextmanager
def _workers(tasks: int) -> Iterator[Executor]:
    if tasks <= _FEW_MONTHS:  # to start processes would take longer than the work
        with ThreadPoolExecutor(1) as one:
            yield one
        return
    pool = ProcessPoolExecutor(
        min(_WORKERS, tasks),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin_work,
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _months(start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """UTC months that touch the range, the periods of slot blocks."""
    while start_ms < end_ms:
        period_ms = slots.period_of(slots.SLOT, start_ms)
        start_ms = slots.period_end(slots.SLOT, period_ms)
        yield period_ms, start_ms


def _registered(
    conn: sa.Connection, declared: Sequence[Declaration], entry_id: str, created_ms: int
) -> tuple[tuple[str, Series], ...]:
    """All series by public id; those that are missing are registered."""
    known = {one.public_id: one for one in registry.load_series(conn)}
    for one in declared:
        info = one.device
        assert info.role is not None
        device = Device(
            info.id, info.name, entry_id, info.kind, info.maker, info.model, role=info.role,
            parent=info.parent, created_ms=created_ms,
        )  # fmt: skip
        registry.save_device(conn, device)
        new = [series for series in one.series if f"{info.id}.{series.key}" not in known]
        units = [STORED_UNIT[series.quantity] for series in new]
        made = registry.insert_series(conn, info.id, new, units, created_ms)
        known.update((series.public_id, series) for series in made)
    wanted = [public_id for one in declared for public_id in one.public_ids()]
    _connect(conn, [known[name] for name in CONNECTION.registers], created_ms)
    return tuple((public_id, known[public_id]) for public_id in wanted)


def _connect(conn: sa.Connection, registers: Sequence[Series], since_ms: int) -> None:
    """The grid connection as a bill sees it: a metering point, with the meter that stands there."""
    if metering.find_point(conn, CONNECTION.id) is not None:
        return
    point = metering.MeteringPoint(CONNECTION.id, CONNECTION.name, code=CONNECTION.code, created_ms=since_ms)
    metering.save_point(conn, point)
    for series in registers:
        row = metering.InstallationRow(0, point.id, Installation(series.no, since_ms), created_ms=since_ms)
        metering.insert_installation(conn, row)


# --- in the workers


def _begin_work() -> None:
    """Ctrl-C reaches every process of a terminal, but the parent ends the others; a killed one leaves no orphan."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _make(month: _Month) -> _Made:
    """Simulate and derive one month, with as much before and after it as the derivation asks for."""
    past, margin_ms = month.past, _MARGIN_MS
    while True:
        low_ms = max(month.start_ms - margin_ms, past.start_ms)
        high_ms = min(month.end_ms + margin_ms, past.end_ms)
        columns = simulate(past.seed, past.site, low_ms, high_ms, STEP_S)
        flags = np.zeros(len(columns.ts_ms), np.uint8)
        derived = {
            series.no: derive(
                Rule.of(series),
                Readings(columns.ts_ms, columns.values[public_id], flags),
                month.start_ms,
                month.end_ms,
                from_first=low_ms == past.start_ms,
                to_last=high_ms == past.end_ms,
            )
            for public_id, series in month.series
        }
        enough_before = low_ms == past.start_ms or all(one.anchored for one in derived.values())
        enough_after = high_ms == past.end_ms or all(one.settled for one in derived.values())
        if enough_before and enough_after:
            break
        margin_ms *= 4
    borders = [month.start_ms, past.sealed_before_ms, month.end_ms]
    low, middle, high = np.searchsorted(columns.ts_ms, borders).tolist()
    middle = min(max(middle, low), high)
    values = {series.no: columns.values[public_id] for public_id, series in month.series}
    return _Made(
        month,
        [block for no, column in values.items() for block in _blocks(no, columns.ts_ms, column, low, middle)],
        columns.ts_ms[middle:high],
        {number: column[middle:high] for number, column in values.items()},
        {number: one.slots for number, one in derived.items()},
    )


def _blocks(
    number: int, ts_ms: NDArray[np.int64], values: NDArray[np.float64], low: int, high: int
) -> Iterator[dict[str, Any]]:
    """Rows ``low`` to ``high`` as sealed days."""
    days = ts_ms[low:high] // DAY_MS
    for first, last in pairwise([*np.flatnonzero(np.diff(days, prepend=-1)).tolist(), len(days)]):
        part = slice(low + first, low + last)
        data = encode(Columns(ts_ms[part], values[part], np.zeros(last - first, np.uint8)))
        yield {
            "series": number,
            "day": int(days[first]),
            "first_ms": int(ts_ms[part][0]),
            "last_ms": int(ts_ms[part][-1]),
            "count": last - first,
            "codec": CODEC_VERSION,
            "data": data,
        }


# --- into the store


def _begin_anew(conn: sa.Connection) -> None:
    """Note that a history is being written; what an earlier attempt left is taken away."""
    registry.save_setting(conn, STATE_KEY, WRITING)
    for table in (
        tables.readings,
        tables.reading_blocks,
        tables.energy_metrics,
        tables.metric_blocks,
        tables.dirty_ranges,
    ):
        conn.execute(sa.delete(table))


async def _write_month(database: Database, made: _Made) -> None:
    closed_before_ms = slots.period_of(slots.SLOT, database.now_ms() - COMPACT_AFTER_MS)

    def job(conn: sa.Connection) -> None:
        if made.blocks:  # one statement for all: the store is ours alone, so no block needs to be looked up
            conn.execute(sa.insert(tables.reading_blocks), made.blocks)
        for number, columns in made.slots.items():
            _write_slots(conn, number, made.month.start_ms, columns, closed_before_ms)

    await database.write(job, label="demo month")
    if len(made.open_ts_ms):
        await _append(database, made)


def _write_slots(
    conn: sa.Connection, number: int, start_ms: int, columns: SlotColumns, closed_before_ms: int
) -> None:
    """As housekeeping would leave them: closed months in a block, the open one in rows."""
    period_ms = slots.period_of(slots.SLOT, start_ms)
    if slots.period_end(slots.SLOT, period_ms) <= closed_before_ms:
        slots.write_block(conn, number, slots.SLOT, period_ms, columns, revision=0)
        return
    numbers = np.full(len(columns), number, np.int32)
    slots.write_rows(
        conn, slots.MetricRows(slots.SLOT, numbers, columns.start_ms + SLOT_MS, columns, revision=1)
    )


async def _append(database: Database, made: _Made) -> None:
    """Rows of days that are not sealed yet, in order of time."""
    ts_ms = made.open_ts_ms
    numbers = np.array(list(made.open_values), np.int32)
    values = np.stack(list(made.open_values.values()), axis=1)
    step = max(_APPEND_ROWS // len(numbers), 1)
    for first in range(0, len(ts_ms), step):
        part = slice(first, first + step)
        rows = len(ts_ms[part]) * len(numbers)
        await database.append(
            AppendRows(
                database.now_ms(),
                np.tile(numbers, len(ts_ms[part])),
                np.repeat(ts_ms[part], len(numbers)),
                values[part].ravel(),
                np.zeros(rows, np.uint8),
                np.ones(rows, np.bool_),
                source="demo",
            )
        )


async def _write_days(database: Database, past: Past, numbers: Sequence[int]) -> None:
    """Sums of the local days that are over, and a mark for the one that is not."""
    days = local_days(past.zone, past.start_ms, past.end_ms)
    now_ms = database.now_ms()
    over = days.end_ms <= now_ms
    closed_before_ms = slots.period_of(slots.SLOT, now_ms - COMPACT_AFTER_MS) - 2 * DAY_MS

    def job(conn: sa.Connection, number: int) -> None:
        columns = slots.read(conn, [number], slots.SLOT, int(days.start_ms[0]), int(days.end_ms[-1]))[number]
        rows = day_rows(columns, days.start_ms[over], days.end_ms[over])
        _write_day_rows(conn, number, past.zone, rows, days.start_ms, days.end_ms, closed_before_ms)
        for start_ms, end_ms in zip(days.start_ms[~over].tolist(), days.end_ms[~over].tolist(), strict=True):
            mark = {"series": number, "start_ms": start_ms, "end_ms": end_ms, "cause": DAYS}
            conn.execute(sa.insert(tables.dirty_ranges).values(mark | {"created_ms": now_ms}))

    for number in numbers:
        await database.write(lambda conn, number=number: job(conn, number), label="demo days")  # type: ignore[misc]  # bound per turn


def _write_day_rows(
    conn: sa.Connection,
    number: int,
    zone: str,
    rows: SlotColumns,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    closed_before_ms: int,
) -> None:
    period_of_row = np.array(
        [slots.period_of(slots.DAY, start) for start in rows.start_ms.tolist()], np.int64
    )
    closed = rows.start_ms < closed_before_ms
    for period_ms in np.unique(period_of_row[closed]).tolist():
        block = rows.take(closed & (period_of_row == period_ms))
        slots.write_block(conn, number, slots.DAY, period_ms, block, revision=0)
    open_rows = rows.take(~closed)
    end_ms = ends[np.searchsorted(starts, open_rows.start_ms)]
    numbers = np.full(len(open_rows), number, np.int32)
    slots.write_rows(
        conn,
        slots.MetricRows(slots.DAY, numbers, end_ms, open_rows, 1, zone, zone_version()),
    )
