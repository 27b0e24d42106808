"""The written past of the simulated house is what a running hub would have made of the same readings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from hub.actors.derivation import COMPACT_AFTER_MS, DAYS
from hub.actors.history import HistoryReader, day_rows
from hub.actors.registry import Registry
from hub.cli.demo_history import DONE, STATE_KEY, WRITING, Past, begun_ms, past_of, state_of, write_past
from hub.energy.calendar import local_days
from hub.energy.derive import derive
from hub.energy.slots import SLOT_MS, Readings, Rule, SlotColumns, step_of
from hub.errors import AskUser
from hub.model.quality import Quality
from hub.model.series import Series
from hub.runtime.clock import FakeClock
from hub.storage import metering, registry, sealing, slots, tables
from hub.storage.codec import Columns
from hub.storage.database import Database
from hub.storage.readings import read_columns, stat
from hub.storage.rederive import Rederived, rederive
from integrations.demo.devices import declarations
from integrations.demo.house import simulate
from integrations.demo.site import Site

ZONE = "Europe/Paris"
DAY_MS = 86_400_000
NOW_MS = int(datetime(2025, 4, 5, 12, 34, 20, tzinfo=UTC).timestamp()) * 1000
LENGTH_DAYS = 40
"""Two months end inside it, and the clocks of Paris change."""
PAST = past_of(2, Site(), ZONE, LENGTH_DAYS, NOW_MS)


async def opened(data_dir: Path) -> Database:
    return await Database.open("sqlite:///hub.db", data_dir, clock=FakeClock(NOW_MS))


async def written(data_dir: Path, past: Past) -> int:
    database = await opened(data_dir)
    try:
        return await write_past(database, past, declarations(10), "demo", lambda done, months: None)
    finally:
        await database.close()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the past in it; tests only read it."""
    data_dir = tmp_path_factory.mktemp("demo")
    asyncio.run(written(data_dir, PAST))
    return data_dir


@pytest.fixture
async def database(prepared: Path) -> AsyncIterator[Database]:
    """The prepared store."""
    store = await opened(prepared)
    yield store
    await store.close()


async def all_series(database: Database) -> list[Series]:
    return await database.read(registry.load_series)


async def derived_rows(
    database: Database, series: Series, resolution: str, start_ms: int = 0, end_ms: int = NOW_MS
) -> SlotColumns:
    found = await database.read(lambda conn: slots.read(conn, [series.no], resolution, start_ms, end_ms))
    return found[series.no]


async def readings_of(database: Database, series: Series) -> Columns:
    return await database.read(lambda conn: read_columns(conn, series.no, 0, NOW_MS))


async def rebuilt(database: Database, series: Series) -> Rederived:
    return await database.read(lambda conn: rederive(conn, series, PAST.start_ms, PAST.end_ms))


async def test_a_rebuild_would_change_no_slot(database: Database) -> None:
    for series in await all_series(database):
        made = await rebuilt(database, series)
        stored = await derived_rows(database, series, slots.SLOT, made.start_ms, made.end_ms)
        assert stored.same_as(made.derived.slots), series.public_id


async def test_slots_are_derived_from_the_stored_readings(database: Database) -> None:
    for series in (await all_series(database))[::6]:
        readings = Readings(*await readings_of(database, series))
        made = derive(
            Rule.of(series), readings, PAST.start_ms, PAST.end_ms, from_first=True, to_last=True
        ).slots
        assert len(made) > LENGTH_DAYS * 96
        assert (await derived_rows(database, series, slots.SLOT)).same_as(made), series.public_id


async def test_every_day_is_the_sum_of_its_slots(database: Database) -> None:
    days = local_days(ZONE, PAST.start_ms, PAST.end_ms)
    for series in await all_series(database):
        stored = await derived_rows(database, series, slots.DAY)
        assert stored.start_ms.tolist() == days.start_ms[:-1].tolist()
        for at in (0, 20, 33, LENGTH_DAYS - 1):
            start_ms, end_ms = int(days.start_ms[at]), int(days.end_ms[at])
            inside = await derived_rows(database, series, slots.SLOT, start_ms, end_ms)
            summed = day_rows(inside, np.array([start_ms]), np.array([end_ms]))
            assert stored.take([at]).same_as(summed), (series.public_id, at)


async def test_readings_are_those_of_the_simulation(database: Database) -> None:
    truth = simulate(PAST.seed, PAST.site, PAST.start_ms, PAST.end_ms, 60)
    for series in await all_series(database):
        columns = await readings_of(database, series)
        assert np.array_equal(columns.ts_ms, truth.ts_ms)
        assert np.array_equal(columns.values, truth.values[series.public_id])


async def test_the_newest_reading_is_of_this_minute(database: Database) -> None:
    newest = await database.read(lambda conn: stat(conn, 1).last_ms)

    assert newest == NOW_MS // 60_000 * 60_000


async def test_housekeeping_finds_nothing_to_do(database: Database) -> None:
    month_ms = slots.period_of(slots.SLOT, NOW_MS - COMPACT_AFTER_MS)

    assert await database.read(lambda conn: sealing.days_to_seal(conn, NOW_MS)) == []
    assert await database.read(lambda conn: slots.periods_to_compact(conn, slots.SLOT, month_ms)) == []
    assert (
        await database.read(lambda conn: slots.periods_to_compact(conn, slots.DAY, month_ms - 2 * DAY_MS))
        == []
    )


async def test_open_days_are_rows_and_older_ones_blocks(database: Database) -> None:
    found = await database.read(lambda conn: stat(conn, 1))
    sealed_ms = PAST.sealed_before_ms

    assert found.hot == (PAST.end_ms - 1 - sealed_ms) // 60_000 + 1
    assert found.sealed == (sealed_ms - PAST.start_ms) // 60_000


async def test_only_today_waits_for_its_sum(database: Database) -> None:
    rows = await database.read(
        lambda conn: conn.execute(
            sa.select(
                tables.dirty_ranges.c.start_ms, tables.dirty_ranges.c.end_ms, tables.dirty_ranges.c.cause
            )
        ).fetchall()
    )
    today = local_days(ZONE, NOW_MS, NOW_MS + 1)

    assert {tuple(row) for row in rows} == {(int(today.start_ms[0]), int(today.end_ms[0]), DAYS)}
    assert len(rows) == 25


class Days:
    """Which days are open: today, as the marks in the store say."""

    def dirty(self, number: int) -> list[tuple[int, int]]:
        today = local_days(ZONE, NOW_MS, NOW_MS + 1)
        return [(int(today.start_ms[0]), int(today.end_ms[0]))]


async def test_history_answers_days_with_the_energy_of_the_registers(database: Database) -> None:
    things = Registry()
    things.load(await database.read(registry.load_devices), series := await all_series(database))
    reader = HistoryReader(database, things, Days(), ZONE)
    end_ms = PAST.end_ms + -PAST.end_ms % SLOT_MS  # a slot that is cut counts in proportion only
    answer = await reader.history(
        ["grid.energy_import", "solar.energy"], PAST.start_ms, end_ms, "1d", ["energy", "quality"]
    )

    grid = next(one for one in series if one.public_id == "grid.energy_import")
    columns = await readings_of(database, grid)
    energy = np.asarray(answer.series["grid.energy_import"]["energy"])
    assert len(energy) == LENGTH_DAYS + 1
    assert energy.sum() == pytest.approx(columns.values[-1] - columns.values[0], abs=step_of(grid.quantity))
    shares = [one.measured for one in answer.series["solar.energy"]["quality"] if isinstance(one, Quality)]
    assert shares[:-1] == [1.0] * LENGTH_DAYS  # the last minute of today is not over


async def test_devices_belong_to_the_entry_that_feeds_them(database: Database) -> None:
    devices = {one.id: one for one in await database.read(registry.load_devices)}

    assert {one.integration for one in devices.values()} == {"demo"}
    assert devices["grid"].role == "grid"
    assert devices["fridge"].parent == "kitchen"
    assert await state_of(database) == DONE


async def test_the_grid_connection_is_a_metering_point_since_the_history_began(database: Database) -> None:
    point = await database.read(lambda conn: metering.find_point(conn, "grid"))
    rows = await database.read(lambda conn: metering.load_installations(conn, point="grid"))
    numbers = {int(one.no): one.public_id for one in await all_series(database)}
    begun = await database.read(begun_ms)

    assert point is not None
    assert point.kind == "electricity"
    assert [numbers[row.installation.series] for row in rows] == ["grid.energy_import", "grid.energy_export"]
    assert {row.installation.from_ms for row in rows} == {begun} == {PAST.start_ms}


async def test_an_interrupted_attempt_is_begun_anew(tmp_path: Path) -> None:
    past = past_of(2, Site(), ZONE, 1, NOW_MS)
    first = await written(tmp_path, past)
    database = await opened(tmp_path)
    await database.write(lambda conn: registry.save_setting(conn, STATE_KEY, WRITING))
    await database.close()

    again = await written(tmp_path, past)
    database = await opened(tmp_path)
    found = await database.read(lambda conn: stat(conn, 1))
    await database.close()
    assert first == again == (found.hot + found.sealed) * 25


async def test_a_store_of_another_house_is_left_alone(tmp_path: Path) -> None:
    database = await opened(tmp_path)
    one = declarations(10)[0]
    await database.write(
        lambda conn: registry.insert_series(conn, "real-meter", one.series[:1], ["W"], NOW_MS)
    )

    with pytest.raises(AskUser) as refused:
        await state_of(database)
    await database.close()
    assert refused.value.code == "WL-DEM-002"


async def test_an_empty_store_has_no_state(tmp_path: Path) -> None:
    database = await opened(tmp_path)
    state = await state_of(database)
    await database.close()

    assert state is None


def test_the_past_begins_at_a_local_midnight() -> None:
    assert datetime.fromtimestamp(PAST.start_ms / 1000, UTC).isoformat() == "2025-02-23T23:00:00+00:00"
    assert past_of(2, Site(), ZONE, 0, NOW_MS).start_ms == int(
        local_days(ZONE, NOW_MS, NOW_MS + 1).start_ms[0]
    )


def test_a_past_before_the_house_was_built_is_refused() -> None:
    with pytest.raises(AskUser) as refused:
        past_of(2, Site(), ZONE, 100, NOW_MS)

    assert refused.value.code == "WL-DEM-003"


def test_progress_is_told_month_by_month(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    async def write() -> None:
        database = await opened(tmp_path)
        past = past_of(2, Site(), ZONE, 6, NOW_MS)
        await write_past(database, past, declarations(10), "demo", lambda *step: told.append(step))
        await database.close()

    asyncio.run(write())
    assert told == [(0, 2), (1, 2), (2, 2)]
