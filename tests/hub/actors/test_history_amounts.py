"""Amounts of many series by buckets, against the summary of each series on its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.actors.history import day_rows
from hub.actors.history_amounts import amounts_from_days, amounts_from_slots, by_positions, summed_days
from hub.energy.calendar import buckets
from hub.energy.cuts import cut_slots, slot_floor
from hub.energy.periods import aggregate
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.runtime.clock import SystemClock
from hub.storage import slots
from hub.storage.database import Database

ZONE = "Europe/Paris"
DAY_MS = 86_400_000
FIRST_MS = 1_772_323_200_000  # 2026-03-01 UTC: the clocks change on the 29th
APRIL_MS = 1_775_001_600_000
END_MS = FIRST_MS + 45 * DAY_MS
NOW_MS = END_MS + DAY_MS
NUMBERS = [7, 3, 12]


def some_slots(seed: int, *, holes: bool, largest: int = 90_000) -> SlotColumns:
    """Slots of 45 days, with or without slots that are missing or hold no amount."""
    random = np.random.default_rng(seed)
    start_ms = FIRST_MS + np.arange(45 * 96, dtype=np.int64) * SLOT_MS
    if holes:
        start_ms = start_ms[random.random(len(start_ms)) > 0.2]
    count = len(start_ms)
    known = random.random(count) > 0.1 if holes else np.ones(count, np.bool_)
    unknown, nothing = np.full(count, np.nan), np.zeros(count, np.int32)
    delta: NDArray[np.int64] = np.where(known, random.integers(0, largest, count), 0)
    return SlotColumns(
        start_ms, delta, known, np.ones(count, np.int32), unknown, unknown, unknown, unknown,
        np.full(count, SLOT_MS, np.int32), nothing, nothing, nothing, nothing,
    )  # fmt: skip


def rows_of(number: int, columns: SlotColumns, resolution: str = slots.SLOT) -> slots.MetricRows:
    owner = np.full(len(columns), number, np.int32)
    return slots.MetricRows(resolution, owner, columns.start_ms + SLOT_MS, columns, 1)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """March of each series in a block, April in rows; 3 has holes, 12 large amounts, 7 corrections over its block."""
    opened = await Database.open("sqlite:///hub.db", tmp_path, clock=SystemClock())

    def fill(conn: sa.Connection) -> None:
        for number in NUMBERS:
            columns = some_slots(number, holes=number == 3, largest=10**11 if number == 12 else 90_000)
            slots.write_rows(conn, rows_of(number, columns))
            slots.compact(conn, number, slots.SLOT, FIRST_MS, APRIL_MS)
        corrected = some_slots(99, holes=True).take(slice(100, 300))
        slots.write_rows(conn, rows_of(7, corrected))
        for number, columns in slots.read(conn, NUMBERS, slots.SLOT, FIRST_MS, END_MS).items():
            days = buckets(ZONE, "1d", FIRST_MS + DAY_MS, END_MS - DAY_MS)
            summed = day_rows(columns, days.start_ms, days.end_ms)
            slots.write_rows(conn, rows_of(number, summed, slots.DAY))

    await opened.write(fill)
    yield opened
    await opened.close()


@pytest.mark.parametrize("resolution", ["15m", "1h", "1d", "1mo"])
async def test_slots_sum_to_what_each_series_sums_to(database: Database, resolution: str) -> None:
    start_ms, end_ms = FIRST_MS + 7 * 60_000, END_MS - 3 * 60_000
    grid, _ = buckets(ZONE, resolution, start_ms, end_ms).clipped(start_ms, end_ms)

    def both(conn: sa.Connection) -> None:
        found = amounts_from_slots(conn, NUMBERS, grid.start_ms, grid.end_ms, NOW_MS)
        alone = slots.read(conn, NUMBERS, slots.SLOT, slot_floor(start_ms), end_ms, ("delta",))
        for row, number in enumerate(NUMBERS):
            rows = cut_slots(alone[number], start_ms, end_ms, NOW_MS)
            expected = aggregate(rows, grid.start_ms, grid.end_ms)
            np.testing.assert_array_equal(found.known[row], expected.has_delta)
            np.testing.assert_array_equal(found.steps[row], expected.delta)

    await database.read(both)


@pytest.mark.parametrize("resolution", ["1d", "1mo", "1y"])
async def test_days_with_loose_ones_sum_to_what_the_slots_sum_to(database: Database, resolution: str) -> None:
    start_ms, end_ms = FIRST_MS + 5 * 3_600_000, END_MS - 30 * 60_000
    days, cut = buckets(ZONE, "1d", start_ms, end_ms).clipped(start_ms, end_ms)
    grid, _ = buckets(ZONE, resolution, start_ms, end_ms).clipped(start_ms, end_ms)
    last = len(days) - 1
    loose = {7: [*cut[:1], 4, 5, 20, last - 1, last], 3: [0, last - 1, last], 12: list(range(len(days)))}

    def both(conn: sa.Connection) -> None:
        sums = amounts_from_days(conn, NUMBERS, days, loose, NOW_MS)
        found = sums if resolution == "1d" else summed_days(sums, days, grid.start_ms, grid.end_ms)
        expected = amounts_from_slots(conn, NUMBERS, grid.start_ms, grid.end_ms, NOW_MS)
        np.testing.assert_array_equal(found.known, expected.known)
        np.testing.assert_array_equal(found.steps, np.where(expected.known, expected.steps, 0))

    await database.read(both)


async def test_a_row_without_an_amount_hides_the_one_in_the_block(database: Database) -> None:
    slot_ms = FIRST_MS + 10 * SLOT_MS
    one = some_slots(12, holes=False).take(slice(10, 11))
    nothing = replace(one, has_delta=np.zeros(1, np.bool_))
    await database.write(lambda conn: slots.write_rows(conn, rows_of(12, nothing)))

    starts = np.array([slot_ms, slot_ms + SLOT_MS], np.int64)
    found = await database.read(lambda conn: amounts_from_slots(conn, [12], starts, starts + SLOT_MS, NOW_MS))

    assert found.known.tolist() == [[False, True]]
    assert found.steps[0, 0] == 0


async def test_a_series_without_rows_knows_nothing(database: Database) -> None:
    starts = np.array([FIRST_MS], np.int64)
    found = await database.read(lambda conn: amounts_from_slots(conn, [55], starts, starts + DAY_MS, NOW_MS))
    assert (found.known.tolist(), found.steps.tolist()) == ([[False]], [[0]])


def test_series_with_the_same_loose_days_are_read_together() -> None:
    assert by_positions({1: [0, 3], 2: [], 5: [0, 3], 9: [1]}) == {(0, 3): [1, 5], (1,): [9]}
