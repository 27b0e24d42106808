"""Counters that a power series or a profile shapes, and what waits for a person: with real actors and a store."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from hub.actors.counting import CountingView, GetCounting, SetCounting
from hub.actors.doubts import GetSuspects
from hub.energy.counter import Why
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.errors import NotFound, Refused
from hub.model.series import SeriesInfo, known_series
from hub.runtime.actor import request
from hub.storage import slots
from hub.storage.rederive import rederive
from tests.hub.actors.house import NOW_MS, House, running_house

HOUR_MS = 3_600_000
START_MS = (NOW_MS - 12 * HOUR_MS) // HOUR_MS * HOUR_MS
LOAD_W = [0.0, 2000.0, 6000.0, 0.0]
Row = tuple[int, int, float]


async def stored(house: House, number: int) -> SlotColumns:
    found = await house.database.read(lambda conn: slots.read(conn, [number], slots.SLOT, 0, 1 << 52))
    return found[number]


async def rebuilt(house: House, number: int) -> SlotColumns:
    series = house.registry.by_no(number)
    assert series is not None
    whole = await house.database.read(
        lambda conn: rederive(conn, series, START_MS - 9 * 24 * HOUR_MS, NOW_MS + HOUR_MS)
    )
    return whole.derived.slots


def hourly(register: int, hours: int) -> list[Row]:
    return [(register, START_MS + hour * HOUR_MS, 5e6 + 2100.0 * hour) for hour in range(hours + 1)]


def quarterly_power(power: int, hours: int, step_ms: int = 60_000) -> list[Row]:
    count = hours * HOUR_MS // step_ms
    return [
        (power, START_MS + row * step_ms, LOAD_W[row * step_ms // SLOT_MS % 4]) for row in range(count + 1)
    ]


async def choose(house: House, **choice: str) -> CountingView:
    view = await request(house.ref("processing"), SetCounting("meter.energy_import", **choice))
    await house.work()
    return view


async def test_power_of_the_device_shapes_its_hourly_counter_from_then_on(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        power, register = await house.declare("meter", "power", "energy_import")
        await house.store(hourly(register, 3) + quarterly_power(power, 3))
        await house.work()
        assert set((await stored(house, register)).delta[:12].tolist()) == {525_000}

        view = await choose(house, shape="power")
        assert view == CountingView("meter.energy_import", "flat", "power", "meter.power")
        assert (await stored(house, register)).delta[:12].tolist() == [0, 525_000, 1_575_000, 0] * 3

        await house.store(hourly(register, 6)[4:] + quarterly_power(power, 6)[181:])
        await house.work()
        assert (await stored(house, register)).delta[:24].tolist() == [0, 525_000, 1_575_000, 0] * 6

        await choose(house, shape="none")
        assert set((await stored(house, register)).delta[:24].tolist()) == {525_000}


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_of_power_and_counter_and_a_restart_give_the_rebuilt_rows(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    async with running_house(tmp_path) as house:
        power, register = await house.declare("meter", "power", "energy_import")
        await choose(house, shape="power")
        rows = hourly(register, 8) + quarterly_power(power, 8)
        if seed % 2:
            chance.shuffle(rows)
        else:  # nearly in order: power lags behind the counter
            rows.sort(key=lambda row: row[1] + chance.randint(0, 400_000))
        at = 0
        while at < len(rows):
            size = chance.choice([1, 7, 40, 90])
            await house.store(rows[at : at + size])
            at += size
            if chance.random() < 0.5:
                await house.work()
        await house.work()
        found = await stored(house, register)
        assert found.same_as(await rebuilt(house, register))
        assert found.delta[:32].tolist() == [0, 525_000, 1_575_000, 0] * 8
    async with running_house(tmp_path) as house:
        assert (await stored(house, register)).same_as(found)
        view = await request(house.ref("processing"), GetCounting("meter.energy_import"))
        assert view.shape == "power"
        await house.store([(register, START_MS + 9 * HOUR_MS, 5e6 + 9 * 2100.0)])
        await house.work()
        assert (await stored(house, register)).same_as(await rebuilt(house, register))


async def test_whole_kilowatt_hours_are_shaped_as_they_come(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        coarse = SeriesInfo(**{
            **{name: getattr(known_series("energy_import"), name) for name in
               ("key", "quantity", "behaviour", "unit", "direction")}, "resolution": 1000.0,
        })  # fmt: skip
        power, register = await house.declare("meter", "power", coarse)
        await choose(house, shape="power")
        wh = 0.0
        for quarter in range(24):
            rows: list[Row] = []
            for row in range(15):
                ts_ms, watts = START_MS + quarter * SLOT_MS + row * 60_000, LOAD_W[quarter % 4]
                rows += [(power, ts_ms, watts), (register, ts_ms, 1000.0 * (7 + wh // 1000))]
                wh += watts / 60
            await house.store(rows)
            await house.work()
        found = await stored(house, register)
        assert found.same_as(await rebuilt(house, register))
        assert int(found.delta.sum()) == 1000 * round(rows[-1][2] - 7000.0)
        true_wh = np.array(LOAD_W * 6) / 4
        assert np.abs(found.delta[2:20] / 1000 - true_wh[2:20]).max() < 110  # a step is seen a minute late


async def test_a_profile_needs_a_week_and_shapes_gaps(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (register,) = await house.declare("meter", "energy_import")
        with pytest.raises(Refused, match="less than a week"):
            await choose(house, gap="profile")
        day_ms = 24 * HOUR_MS
        rows: list[Row] = []
        wh = 1e6
        for at in range(20 * 96):
            ts_ms = NOW_MS - 20 * day_ms + at * SLOT_MS
            wh += 1000.0 if ts_ms // HOUR_MS % 24 == 18 else 10.0
            rows.append((register, ts_ms, wh))
        cut = [row for row in rows if not NOW_MS - 5 * day_ms < row[1] < NOW_MS - 3 * day_ms]
        await house.store(cut)
        await house.work()
        view = await choose(house, gap="profile")

        assert (view.gap, view.shape) == ("profile", "none")
        found = await stored(house, register)
        assert found.same_as(await rebuilt_from(house, register, NOW_MS - 21 * day_ms))
        gap = found.estimated_ms == SLOT_MS
        evening = gap & np.isin(found.start_ms // HOUR_MS % 24, (17, 18))
        assert int(found.delta[evening].sum()) > 0.8 * int(found.delta[gap].sum())
        assert int(found.delta.sum()) == round((wh - rows[0][2]) * 1000)


async def rebuilt_from(house: House, number: int, start_ms: int) -> SlotColumns:
    series = house.registry.by_no(number)
    assert series is not None
    whole = await house.database.read(lambda conn: rederive(conn, series, start_ms, NOW_MS + HOUR_MS))
    return whole.derived.slots


async def test_only_counters_with_something_to_spread_by_can_be_chosen(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        await house.declare("meter", "energy_import", "temperature")
        with pytest.raises(Refused, match="no power series"):
            await choose(house, shape="power")
        with pytest.raises(Refused, match="no counter"):
            await request(house.ref("processing"), GetCounting("meter.temperature"))
        with pytest.raises(NotFound):
            await request(house.ref("processing"), GetCounting("meter.nothing"))


async def test_what_waits_for_a_person_is_listed_and_what_is_decided_is_not(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        register, other = await house.declare("meter", "energy_import", "energy_export")
        rows: list[Row] = []
        for at in range(720):
            value = 1e5 + 5.0 * at + (9e6 if at >= 400 else 0.0)
            rows.append((register, START_MS + at * 10_000, 0.0 if 100 <= at < 110 else value))
            rows.append((other, START_MS + at * 10_000, 3.0 * at))
        await house.store(rows)
        await house.work()
        found = await request(house.ref("processing"), GetSuspects(None, START_MS, NOW_MS))

        assert [(one.series, one.unit, one.doubt.why) for one in found] == [
            ("meter.energy_import", "Wh", Why.JUMP)
        ]
        (doubt,) = [one.doubt for one in found]
        assert (doubt.start_ms, doubt.end_ms) == (START_MS + 399 * 10_000, START_MS + 400 * 10_000)
        assert (doubt.before, doubt.after, doubt.amount) == (101_995.0, 9_102_000.0, 9_000_005.0)
        before = GetSuspects(("meter.energy_import",), START_MS, START_MS + HOUR_MS)
        assert await request(house.ref("processing"), before) == []
