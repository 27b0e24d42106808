"""A store filled beforehand through the hub's own storage functions, much faster than through its doors."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.energy.calendar import local_days
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.model.device import Device
from hub.model.series import Behaviour, Direction, SeriesInfo
from hub.model.units import Quantity
from hub.runtime.clock import SystemClock
from hub.storage import registry, slots
from hub.storage.codec import Columns
from hub.storage.database import Database
from hub.storage.sealing import write_sealed
from hub.storage.sqlite_append import INSERT_READING

ZONE = "Europe/Paris"
DAY_MS = 86_400_000
YEAR_DAYS = 365
ENERGY = SeriesInfo("energy_import", Quantity.ENERGY, Behaviour.COUNTER, "kWh", Direction.IMPORT)
POWER = SeriesInfo("power", Quantity.POWER, Behaviour.GAUGE, "W")
_ROWS_PER_TRANSACTION = 200_000


def written(data_dir: Path, job: Callable[[Database], object]) -> None:
    """Open a store, run a coroutine function with it, and close it."""

    async def work() -> None:
        database = await Database.open("sqlite:///hub.db", data_dir, clock=SystemClock())
        try:
            outcome = job(database)
            assert asyncio.iscoroutine(outcome)
            await outcome
        finally:
            await database.close()

    data_dir.mkdir(parents=True, exist_ok=True)
    asyncio.run(work())


def register(conn: sa.Connection, devices: int, infos: list[SeriesInfo], units: list[str]) -> list[int]:
    """Devices ``b000`` … with these series → their numbers."""
    numbers: list[int] = []
    for at in range(devices):
        name = f"b{at:03d}"
        registry.save_device(conn, Device(name, name, "bench", created_ms=1_700_000_000_000))
        made = registry.insert_series(conn, name, infos, units, 1_700_000_000_000)
        numbers += [int(one.no) for one in made]
    return numbers


def today_ms() -> int:
    """UTC midnight of today."""
    now = datetime.now(UTC)
    return int(datetime(now.year, now.month, now.day, tzinfo=UTC).timestamp()) * 1000


def slots_of_a_year(seed: int, *, gauge: bool) -> SlotColumns:
    """A year of 15-minute slots up to midnight, as a household's meter gives them."""
    count = YEAR_DAYS * 96
    start_ms = today_ms() - YEAR_DAYS * DAY_MS + np.arange(count, dtype=np.int64) * SLOT_MS
    random = np.random.default_rng(seed)
    hour = start_ms // 3_600_000 % 24
    power_w = np.round(150 + 600 * (np.abs(hour - 19) < 3) + random.gamma(1.5, 120, count), 1)
    nothing = np.zeros(count, np.int32)
    unknown = np.full(count, np.nan)
    return SlotColumns(
        start_ms=start_ms,
        delta=np.round(power_w * 250).astype(np.int64),  # a quarter of an hour, in thousandths of a Wh
        has_delta=np.ones(count, np.bool_),
        count=np.full(count, 90, np.int32),
        mean=power_w if gauge else unknown,
        min=np.round(power_w * 0.6, 1) if gauge else unknown,
        max=np.round(power_w * 1.9, 1) if gauge else unknown,
        last=np.round(power_w * 1.1, 1),
        measured_ms=np.full(count, SLOT_MS, np.int32),
        late_ms=nothing, estimated_ms=nothing, suspect_ms=nothing, flags=nothing,
    )  # fmt: skip


def days_of(columns: SlotColumns) -> tuple[SlotColumns, NDArray[np.int64]]:
    """Day rows of the site's days that lie wholly inside, and the ends of the days."""
    from hub.actors.history import day_rows

    first_ms, end_ms = int(columns.start_ms[0]), int(columns.start_ms[-1]) + SLOT_MS
    days = local_days(ZONE, first_ms, end_ms)
    whole = (days.start_ms >= first_ms) & (days.end_ms <= end_ms)
    return day_rows(columns, days.start_ms[whole], days.end_ms[whole]), days.end_ms[whole]


async def fill_year(database: Database, devices: int) -> None:
    """Energy and power of so many devices over a year: in blocks but for the last days, which are rows."""
    infos = [ENERGY, POWER]
    numbers = await database.write(lambda conn: register(conn, devices, infos, ["Wh", "W"]))
    for at, number in enumerate(numbers):
        await write_year(database, number, slots_of_a_year(at, gauge=at % 2 == 1))


async def write_year(database: Database, number: int, columns: SlotColumns) -> None:
    """Slots of a series and the days made of them, where the hub's own housekeeping leaves them."""
    open_ms = (database.now_ms() - DAY_MS) // DAY_MS * DAY_MS
    days, _ = days_of(columns)

    def job(conn: sa.Connection) -> None:
        _write(conn, number, slots.SLOT, columns, open_ms)
        _write(conn, number, slots.DAY, days, open_ms - 2 * DAY_MS)

    await database.write(job)


def _write(conn: sa.Connection, number: int, resolution: str, columns: SlotColumns, open_ms: int) -> None:
    period_ms = slots.period_of(resolution, int(columns.start_ms[0]))
    while period_ms < open_ms:
        end_ms = min(slots.period_end(resolution, period_ms), open_ms)
        inside = (columns.start_ms >= period_ms) & (columns.start_ms < end_ms)
        slots.write_block(conn, number, resolution, period_ms, columns.take(inside), revision=1)
        period_ms = slots.period_end(resolution, period_ms)
    rest = columns.take(columns.start_ms >= open_ms)
    step_ms = SLOT_MS if resolution == slots.SLOT else DAY_MS
    zone = (ZONE, "bench") if resolution == slots.DAY else (None, None)
    slots.write_rows(
        conn,
        slots.MetricRows(
            resolution, np.full(len(rest), number, np.int32), rest.start_ms + step_ms, rest, 1, *zone
        ),
    )


def readings_of(seed: int, count: int, end_ms: int, step_ms: int = 10_000) -> Columns:
    """Readings of one series: power with one decimal for even seeds, a register in Wh for odd ones."""
    random = np.random.default_rng(seed)
    late_ms = random.integers(0, 120, count)  # devices are never quite in time
    ts_ms = end_ms - (count - np.arange(count, dtype=np.int64)) * step_ms + late_ms
    hour = ts_ms // 3_600_000 % 24
    base_w = (
        150 + 600 * (np.abs(hour - 19) < 3) + np.repeat(random.gamma(1.5, 120, count // 30 + 1), 30)[:count]
    )
    power_w = np.round(base_w + random.normal(0, 4, count), 1)
    values = power_w if seed % 2 == 0 else np.round(1e6 + np.cumsum(power_w) * step_ms / 3.6e6, 0)
    return Columns(ts_ms, values, np.zeros(count, np.uint8))


async def fill_readings(database: Database, devices: int, hot: int, sealed_days: int = 0) -> int:
    """``hot`` rows over energy and power of so many devices, and whole sealed days before them → rows."""
    numbers = await database.write(lambda conn: register(conn, devices, [POWER, ENERGY], ["W", "Wh"]))
    now_ms = database.now_ms() // 1000 * 1000
    each = hot // len(numbers)
    await database.backend.with_writer(lambda raw: _insert_hot(raw, numbers, each, now_ms))  # type: ignore[union-attr]
    rows = each * len(numbers)
    today = today_ms() // DAY_MS
    for at, number in enumerate(numbers) if sealed_days else ():
        for day in range(today - 3 - sealed_days, today - 3):
            columns = readings_of(at, 8_640, (day + 1) * DAY_MS)
            await database.write(
                lambda conn, number=number, day=day, columns=columns: write_sealed(conn, number, day, columns)  # type: ignore[misc]
            )
            rows += len(columns.ts_ms)
    return rows


def _insert_hot(raw: sqlite3.Connection, numbers: list[int], each: int, now_ms: int) -> None:
    """In key order and big transactions: how the rows came is not what is measured with them."""
    raw.execute("PRAGMA synchronous=OFF").fetchall()
    for at, number in enumerate(numbers):
        columns = readings_of(at, each, now_ms)
        if at * each // _ROWS_PER_TRANSACTION != (at - 1) * each // _ROWS_PER_TRANSACTION or not at:
            if raw.in_transaction:
                raw.execute("COMMIT")
            raw.execute("BEGIN IMMEDIATE")
        raw.executemany(
            INSERT_READING,
            zip([number] * each, columns.ts_ms.tolist(), columns.values.tolist(), [0] * each, strict=True),
        )
    raw.execute("COMMIT")
    raw.execute("PRAGMA synchronous=FULL").fetchall()
