"""The recorder's promises: acknowledged is stored, first value wins, refused is named, overload is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hub.actors.recorder import GetRecorderState, StoreReadings
from hub.errors import QueueFull
from hub.model.events import ReadingsStored
from hub.model.reading import NO_TIME, ReadingBatch, Stored
from hub.runtime.actor import request
from hub.storage.quarantine import read_quarantine
from hub.storage.readings import read_columns
from tests.hub.actors.house import NOW_MS, running_house


async def test_an_acknowledged_batch_is_in_the_store(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        assert await house.store([(power, NOW_MS, 1.5), (power, NOW_MS + 1, 2.5)]) == Stored(accepted=2)
        columns = await house.database.read(lambda conn: read_columns(conn, power, 0, NOW_MS + 10))
        assert columns.ts_ms.tolist() == [NOW_MS, NOW_MS + 1]
        assert columns.values.tolist() == [1.5, 2.5]


async def test_repeats_count_as_committed_and_another_value_is_a_conflict(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        await house.store([(power, NOW_MS, 1.0)])
        answer = await house.store([(power, NOW_MS, 1.0), (power, NOW_MS, 2.0), (power, NOW_MS + 5, 3.0)])
        assert (answer.accepted, answer.duplicates) == (1, 1)
        assert [(one.index, one.code) for one in answer.rejections] == [(1, "WL-ING-043")]
        state = await request(house.ref("recorder"), GetRecorderState())
        assert (state.committed, state.deduplicated, state.conflicts) == (2, 1, 1)


async def test_refused_items_are_named_and_their_neighbours_stored(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        answer = await house.store([(power, NOW_MS, float("nan")), (power, 12, 1.0), (power, NOW_MS, 7.0)])
        assert answer.accepted == 1
        assert [(one.index, one.code, one.quarantined) for one in answer.rejections] == [
            (0, "WL-ING-040", False),
            (1, "WL-ING-033", True),
        ]
        assert answer.rejections[0].field == "meter.power"


async def test_a_backlog_with_a_wrong_clock_is_kept_aside_as_a_whole(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        answer = await house.store([(power, number, 1.0) for number in range(3000)])
        assert all(one.quarantined for one in answer.rejections)
        kept = await house.database.read(lambda conn: read_quarantine(conn, limit=10_000))
        assert sorted(one.ts_ms for one in kept if one.ts_ms is not None) == list(range(3000))


async def test_what_is_not_kept_aside_is_not_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.actors.recorder.HELD_PER_COMMIT", 2)
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        answer = await house.store([(power, number, 1.0) for number in range(4)])
        assert [one.quarantined for one in answer.rejections] == [True, True, False, False]
        assert len(await house.database.read(lambda conn: read_quarantine(conn, limit=10))) == 2


async def test_each_new_row_is_announced_exactly_once(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        seen: list[tuple[int, float]] = []
        house.bus.subscribe(
            ReadingsStored,
            lambda event: seen.extend(zip(event.ts_ms.tolist(), event.values.tolist(), strict=True)),
        )
        await house.store([(power, NOW_MS, 1.0), (power, NOW_MS, 1.0)])
        await house.store([(power, NOW_MS, 1.0), (power, NOW_MS + 1, 2.0)])
        assert seen == [(NOW_MS, 1.0), (NOW_MS + 1, 2.0)]


async def test_readings_without_time_never_collide(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        for _ in range(3):
            answer = await house.store([(power, NO_TIME, 5.0), (power, NO_TIME, 5.0)])
            assert answer.accepted == 2
        columns = await house.database.read(lambda conn: read_columns(conn, power, 0, 1 << 52))
        assert columns.ts_ms.tolist() == [NOW_MS + at for at in range(6)]


async def test_a_full_queue_refuses_with_a_time_to_come_back(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        house.load.limit = 1000
        batches = []
        for first in range(0, 2000, 100):
            batch = ReadingBatch("test", NOW_MS)
            batch.series += [power] * 100
            batch.ts_ms += range(NOW_MS + first, NOW_MS + first + 100)
            batch.values += [1.0] * 100
            batch.item += range(100)
            batches.append(request(house.ref("recorder"), StoreReadings(batch)))
        answers = await asyncio.gather(*batches, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, QueueFull)]
        stored = [answer for answer in answers if isinstance(answer, Stored)]
        assert refused
        assert len(refused) + len(stored) == len(answers)
        assert all(answer.retry_after_s > 0 for answer in refused)
        rows = await house.database.read(lambda conn: read_columns(conn, power, 0, 1 << 52))
        assert len(rows.ts_ms) == 100 * len(stored)
        assert house.load.values == 0


@pytest.mark.parametrize("series_count", [1, 40])
async def test_a_restarted_recorder_knows_what_is_stored(tmp_path: Path, series_count: int) -> None:
    keys = [f"k{number}" for number in range(series_count)]
    async with running_house(tmp_path) as house:
        numbers = await house.declare("meter", *keys)
        await house.store([(number, NOW_MS, 1.0) for number in numbers])
    async with running_house(tmp_path) as house:
        numbers = await house.declare("meter", *keys)
        answer = await house.store([(number, NOW_MS, 1.0) for number in numbers])
        assert answer == Stored(accepted=0, duplicates=series_count)
