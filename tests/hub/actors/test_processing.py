"""Derivation: incremental equals rebuild bit for bit, whatever the order, the faults and the restarts."""

from __future__ import annotations

import asyncio
import random
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.actors import derivation
from hub.actors.history import History
from hub.actors.processing import GetDerivationState, GetHistory, KeepHouse, RebuildDerived
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.model.events import SlotsDerived
from hub.model.quality import Quality
from hub.model.series import Series
from hub.runtime.actor import request
from hub.storage import slots
from hub.storage.failures import away
from hub.storage.rederive import Rederived, rederive
from tests.hub.actors.house import NOW_MS, House, running_house

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def figures(history: History, name: str, column: str) -> NDArray[np.float64]:
    """A numeric column of an answer."""
    values = history.series[name][column]
    assert isinstance(values, np.ndarray)
    return values


async def derived(house: House, number: int) -> SlotColumns:
    """Rows as they are stored."""
    found = await house.database.read(lambda conn: slots.read(conn, [number], slots.SLOT, 0, 1 << 52))
    return found[number]


async def rebuilt(house: House, number: int) -> SlotColumns:
    """Rows as one derivation of everything gives them."""
    series = house.registry.by_no(number)
    assert series is not None
    whole = await house.database.read(
        lambda conn: rederive(conn, series, NOW_MS - 9 * DAY_MS, NOW_MS + DAY_MS)
    )
    return whole.derived.slots


async def test_a_kilowatt_for_an_hour_is_a_kilowatt_hour(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        start_ms = NOW_MS - 2 * HOUR_MS
        await house.store([(power, start_ms + at * 10_000, 1000.0) for at in range(361)])
        await house.work()
        history = await request(
            house.ref("processing"),
            GetHistory(("meter.power",), start_ms, start_ms + HOUR_MS, "1h", ("energy", "mean", "quality")),
        )
        columns = history.series["meter.power"]
        assert list(columns["energy"]) == [1000.0]
        assert list(columns["mean"]) == [1000.0]
        assert columns["quality"] == [Quality(0.0, 1.0, 0.0, 0.0, 0.0)]


async def test_history_of_days_is_the_sum_of_their_hours(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (register,) = await house.declare("meter", "energy_import")
        first_ms = NOW_MS - 4 * DAY_MS
        await house.store([(register, first_ms + at * 60_000, 5000.0 + at * 7.25) for at in range(5000)])
        await house.work()
        ask = (("meter.energy_import",), first_ms - DAY_MS, NOW_MS)
        days = await request(house.ref("processing"), GetHistory(*ask, "1d"))
        hours = await request(house.ref("processing"), GetHistory(*ask, "1h"))
        day_sum = np.nansum(figures(days, "meter.energy_import", "energy"))
        assert day_sum == pytest.approx(4999 * 7.25, abs=1e-9)
        assert day_sum == pytest.approx(np.nansum(figures(hours, "meter.energy_import", "energy")), abs=1e-9)
        assert days.units == {"meter.energy_import": "Wh"}


async def test_closed_months_read_the_same_after_compaction(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        power, register = await house.declare("meter", "power", "energy_import")
        first_ms = NOW_MS - 60 * DAY_MS
        rows = [(power, first_ms + at * 600_000, 400.0 + at % 13) for at in range(6000)]
        rows += [(register, first_ms + at * 600_000, 10.0 * at) for at in range(6000)]
        await house.store(rows)
        await house.work()
        ask = GetHistory(
            ("meter.power", "meter.energy_import"), first_ms, NOW_MS, "1d", ("energy", "mean", "quality")
        )
        before = await request(house.ref("processing"), ask)
        assert await request(house.ref("processing"), KeepHouse(), timeout_s=60) > 0
        after = await request(house.ref("processing"), ask)
        for name, columns in before.series.items():
            assert columns["quality"] == after.series[name]["quality"]
            np.testing.assert_array_equal(figures(before, name, "energy"), figures(after, name, "energy"))
        assert figures(before, "meter.power", "mean").tolist()[2:30] == pytest.approx([406.0] * 28, abs=1.0)
        np.testing.assert_array_equal(
            figures(before, "meter.power", "mean"), figures(after, "meter.power", "mean")
        )


async def test_a_range_of_many_months_is_derived_part_by_part(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        first_ms = NOW_MS - 100 * DAY_MS
        await house.store([(power, first_ms + at * 1_200_000, 250.0 + at % 5) for at in range(7200)])
        await house.work()
        series = house.registry.by_no(power)
        assert series is not None
        whole = await house.database.read(lambda conn: rederive(conn, series, first_ms, NOW_MS))
        assert (await derived(house, power)).same_as(whole.derived.slots)


async def test_a_rebuild_gives_the_same_rows(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (register,) = await house.declare("meter", "energy_import")
        chance = random.Random(5)
        first_ms = NOW_MS - 2 * DAY_MS
        await house.store(
            [(register, first_ms + at * 30_000 + chance.randrange(9000), at * 1.7) for at in range(4000)]
        )
        await house.work()
        before = await derived(house, register)
        await request(house.ref("processing"), RebuildDerived(), timeout_s=60)
        assert (await derived(house, register)).same_as(before)


async def test_a_rebuild_takes_away_rows_that_no_reading_stands_behind(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        first_ms = NOW_MS - 3 * DAY_MS
        await house.store([(power, first_ms + at * 60_000, 100.0) for at in range(60)])
        await house.work()
        good = await derived(house, power)
        for shift_ms in (-90 * DAY_MS, 2 * DAY_MS):
            moved = SlotColumns.joined([replace(good, start_ms=good.start_ms + shift_ms)])
            rows = slots.MetricRows(
                slots.SLOT, np.full(len(moved), power, np.int32), moved.start_ms + SLOT_MS, moved, 1
            )
            await house.database.write(
                lambda conn, rows=rows: slots.replace(  # type: ignore[misc]  # bound per turn
                    conn,
                    power,
                    rows,
                    int(rows.columns.start_ms[0]),
                    int(rows.end_ms[-1]),
                    NOW_MS - 30 * DAY_MS,
                )
            )
        assert len(await derived(house, power)) == 3 * len(good)
        await request(house.ref("processing"), RebuildDerived(), timeout_s=60)
        assert (await derived(house, power)).same_as(good)


reading = st.tuples(
    st.integers(0, 400),  # position in time: 30 s each, so late and double ones happen
    st.integers(0, 2),  # series
    st.sampled_from(["rise", "same", "zero", "reset", "spike"]),
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=(Phase.generate,)
)
@given(st.lists(st.lists(reading, min_size=1, max_size=40), min_size=1, max_size=8), st.integers(0, 255))
async def test_any_order_and_any_restart_gives_the_rows_of_one_rebuild(
    batches: list[list[tuple[int, int, str]]], restarts: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pending = list(enumerate(batches))
        while pending:
            async with running_house(Path(folder)) as house:
                numbers = await house.declare("meter", "power", "energy_import", "temperature")
                while pending:
                    position, batch = pending.pop(0)
                    await house.store([_row(numbers, *one) for one in batch])
                    if position % 2:
                        await house.work()
                    if restarts >> (position % 8) & 1:
                        break
        async with running_house(Path(folder)) as house:
            numbers = await house.declare("meter", "power", "energy_import", "temperature")
            await house.work()
            for number in numbers:
                assert (await derived(house, number)).same_as(await rebuilt(house, number))


def _row(numbers: list[int], position: int, which: int, kind: str) -> tuple[int, int, float]:
    register = {"rise": 1000.0 + position, "same": 1000.0, "zero": 0.0, "reset": position / 10, "spike": 9e6}
    values = (500.0 + position, register[kind], 20.0)
    return numbers[which], NOW_MS - 4 * HOUR_MS + position * 30_000, values[which]


async def test_a_late_reading_changes_its_slot_after_the_day_was_sealed(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (register,) = await house.declare("meter", "energy_import")
        first_ms = NOW_MS - 5 * DAY_MS
        await house.store([(register, first_ms + at * 60_000, float(at)) for at in range(600) if at != 300])
        await house.work()
        await request(house.ref("processing"), KeepHouse(), timeout_s=60)
        await house.store([(register, first_ms + 300 * 60_000, 299.25)])
        await house.work()
        assert (await derived(house, register)).same_as(await rebuilt(house, register))
        state = await request(house.ref("processing"), GetDerivationState())
        assert state.dirty_series == 0


async def test_another_time_zone_sums_the_days_by_its_own_midnights(tmp_path: Path) -> None:
    first_ms = NOW_MS - 4 * DAY_MS
    async with running_house(tmp_path) as house:
        (register,) = await house.declare("meter", "energy_import")
        await house.store([(register, first_ms + at * 60_000, float(at)) for at in range(5000)])
        await house.work()
    async with running_house(tmp_path, zone="Asia/Kathmandu") as house:
        ask = GetHistory(("meter.energy_import",), first_ms - DAY_MS, NOW_MS, "1d")
        before_work = await request(house.ref("processing"), ask)
        await house.work()
        history = await request(house.ref("processing"), ask)
        assert all(label.endswith("T00:00:00+05:45") for label in history.labels)
        energy = history.series["meter.energy_import"]["energy"]
        np.testing.assert_array_equal(before_work.series["meter.energy_import"]["energy"], energy)
        assert np.nansum(np.asarray(energy, np.float64)) == pytest.approx(4999.0, abs=1e-9)
        whole_days = [value for value in np.asarray(energy, np.float64).tolist() if value == 1440.0]
        assert len(whole_days) >= 2


async def test_after_work_no_marks_are_left_but_those_of_open_slots(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        power, register = await house.declare("meter", "power", "energy_import")
        first_ms = NOW_MS - 6 * HOUR_MS
        for at in range(0, 700, 50):
            await house.store(
                [
                    (number, first_ms + (at + k) * 30_000, 5.0 + at + k)
                    for k in range(50)
                    for number in (power, register)
                ]
            )
            await house.work()
        await house.work()
        state = await request(house.ref("processing"), GetDerivationState())
        assert (state.dirty_series, state.live_series) == (0, 2)
        assert state.marks == 2


async def test_slots_that_are_folded_but_not_written_are_told(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        first_ms = NOW_MS - HOUR_MS
        await house.store([(power, first_ms + at * 30_000, 5.0) for at in range(10)])
        await house.work()
        before = await request(house.ref("processing"), GetDerivationState())
        await house.store([(power, first_ms + at * 30_000, 5.0) for at in range(10, 20)])
        folded = await request(house.ref("processing"), GetDerivationState())
        await house.work()
        after = await request(house.ref("processing"), GetDerivationState())
        assert (before.dirty_series, before.unwritten_slots) == (0, 0)
        assert folded.dirty_series + folded.unwritten_slots > 0
        assert (after.dirty_series, after.unwritten_slots) == (0, 0)


async def test_two_readings_a_year_apart_are_derived_once_not_once_a_month(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (register,) = await house.declare("meter", "energy_import")
        times: list[SlotsDerived] = []
        house.bus.subscribe(SlotsDerived, times.append)
        await house.store(
            [(register, NOW_MS - 360 * DAY_MS, 0.0), (register, NOW_MS - 2 * DAY_MS, 358_000.0)]
        )
        await house.work()
        rows = await derived(house, register)
        assert int(rows.delta.sum()) == 358_000_000
        assert 0 < len(times) <= 2
        assert (await request(house.ref("processing"), GetDerivationState())).dirty_series == 0


async def test_readings_that_come_while_a_derivation_fails_are_derived_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_work, stored = threading.Event(), threading.Event()

    def fail_once(conn: sa.Connection, series: Series, start_ms: int, end_ms: int) -> Rederived:
        monkeypatch.setattr(derivation, "rederive", rederive)
        in_work.set()
        stored.wait(30)
        raise away("hub.db", "injected")

    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        await house.store([(power, NOW_MS - 2 * HOUR_MS + at * 60_000, 1000.0) for at in range(60)])
        await house.work()

        monkeypatch.setattr(derivation, "rederive", fail_once)
        await house.store([(power, NOW_MS - 3 * HOUR_MS, 500.0)])
        work = asyncio.create_task(house.work())
        assert await asyncio.to_thread(in_work.wait, 30)
        await house.store([(power, NOW_MS - 26 * HOUR_MS + at * 60_000, 700.0) for at in range(30)])
        await request(house.ref("processing"), GetDerivationState())
        stored.set()
        await work
        await house.work()

        rows = await derived(house, power)
        assert rows.start_ms.min() <= NOW_MS - 26 * HOUR_MS
        assert rows.same_as(await rebuilt(house, power))
