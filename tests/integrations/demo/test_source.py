"""The running house: no gap, no jump, and faults exactly as they were scripted."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from hub.plugins.api import CannotConnect, QueueFull, Role
from hub.plugins.testing import MemoryIntake
from integrations.demo.house import House
from integrations.demo.schema import SCHEMA, site_of
from integrations.demo.source import SimulatedHouse, connect

NOW_MS = 1_764_000_000_000  # 2025-11-24 16:00 UTC
OPTIONS: dict[str, Any] = {"since": "2025-11-20", "seed": 4}
GRID = "grid.energy_import"


async def opened(intake: MemoryIntake, **options: Any) -> SimulatedHouse:
    house = SimulatedHouse(SCHEMA(OPTIONS | options))
    await house.open(intake)
    return house


async def passed(house: SimulatedHouse, intake: MemoryIntake, seconds: int, *, step_s: int = 10) -> None:
    """Let time pass, with a delivery every ``step_s``."""
    for _ in range(seconds // step_s):
        intake.clock_ms += step_s * 1000
        await house.deliver(intake)


def truth(start_ms: int, end_ms: int, name: str, step_s: int = 10) -> dict[int, float]:
    """What the house did, without any fault."""
    options = SCHEMA(OPTIONS)
    columns = House(options["seed"], site_of(options)).columns(start_ms, end_ms, step_s)
    return dict(zip(columns.ts_ms.tolist(), columns.values[name].tolist(), strict=True))


async def test_devices_have_names_roles_and_parents() -> None:
    intake = MemoryIntake(clock_ms=NOW_MS)
    await opened(intake)

    assert intake.devices["solar"].name == "Solar roof"
    assert intake.devices["heat-pump"].role is Role.HEAT_PUMP
    assert intake.devices["fridge"].parent == "kitchen"
    assert [one.role for one in intake.devices.values()].count(Role.GRID) == 1
    assert len(intake.infos) == 25


async def test_every_interval_is_delivered_with_its_own_time() -> None:
    intake = MemoryIntake(clock_ms=NOW_MS)
    house = await opened(intake)
    await passed(house, intake, 600)

    expected = truth(NOW_MS + 10_000, NOW_MS + 600_001, GRID)
    assert {ts_ms: value for ts_ms, value in intake.rows[GRID].items() if ts_ms > NOW_MS} == expected
    assert all(len(rows) == len(intake.rows[GRID]) for rows in intake.rows.values())


async def test_it_runs_by_itself() -> None:
    intake = MemoryIntake(clock_ms=NOW_MS + 9_999)
    async with connect(SCHEMA(OPTIONS)) as house:
        running = asyncio.create_task(house.run(intake))
        await intake.wait_rows(25)
        intake.clock_ms += 10_000
        await intake.wait_rows(50)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


@pytest.mark.parametrize("away_s", [60, 3_000, 20_000])
async def test_a_restart_leaves_no_gap_and_no_jump(away_s: int) -> None:
    intake = MemoryIntake(clock_ms=NOW_MS)
    await passed(await opened(intake), intake, 120)
    intake.clock_ms += away_s * 1000
    await (await opened(intake)).deliver(intake)

    times = np.array(sorted(intake.rows[GRID]))
    last_hour = times[times > intake.clock_ms - 3_600_000]
    values = np.array([intake.rows[GRID][ts_ms] for ts_ms in times.tolist()])
    expected = truth(NOW_MS, intake.clock_ms + 1, GRID)
    assert np.diff(times).max() <= 60_000
    assert np.diff(last_hour).max() == 10_000
    assert np.diff(values).min() >= 0
    assert all(expected[ts_ms] == intake.rows[GRID][ts_ms] for ts_ms in times.tolist() if ts_ms in expected)


async def test_what_the_hub_cannot_take_comes_again() -> None:
    intake = MemoryIntake(clock_ms=NOW_MS)
    house = await opened(intake)
    intake.failure = QueueFull("WL-ING-060", "full")
    await passed(house, intake, 60)
    held = dict(intake.rows)
    intake.failure = None
    await passed(house, intake, 10)

    assert held == {}
    assert set(intake.rows[GRID]) >= set(range(NOW_MS + 10_000, NOW_MS + 80_000, 10_000))


async def test_a_clock_that_is_set_back_repeats_nothing() -> None:
    intake = MemoryIntake(clock_ms=NOW_MS)
    house = await opened(intake)
    await passed(house, intake, 60)
    before = dict(intake.rows[GRID])
    intake.clock_ms -= 50_000
    await house.deliver(intake)

    assert intake.rows[GRID] == before


async def test_a_clock_before_the_house_was_built_is_no_connection() -> None:
    with pytest.raises(CannotConnect, match="before the simulated house was built"):
        await opened(MemoryIntake(clock_ms=NOW_MS), since="2026-01-01")


async def test_a_false_zero_shows_zero_and_then_the_register_again() -> None:
    intake = MemoryIntake(clock_ms=NOW_MS)
    fault = {"kind": "false_zero", "at": "+60s", "for": "20s", "device": "grid", "series": "energy_import"}
    await passed(await opened(intake, faults=[fault]), intake, 120)

    expected = truth(NOW_MS, NOW_MS + 120_001, GRID)
    zeros = {ts_ms for ts_ms, value in intake.rows[GRID].items() if value == 0}
    others = {ts_ms: value for ts_ms, value in intake.rows[GRID].items() if value != 0}
    assert zeros == {NOW_MS + 60_000, NOW_MS + 70_000}
    assert all(expected[ts_ms] == value for ts_ms, value in others.items())
    assert min(intake.rows["grid.energy_export"].values()) > 0


async def test_a_reset_begins_again_at_zero_for_good() -> None:
    intake = MemoryIntake(clock_ms=NOW_MS)
    fault = {"kind": "reset", "at": "+60s", "device": "grid"}
    await passed(await opened(intake, faults=[fault]), intake, 180)

    expected = truth(NOW_MS, NOW_MS + 180_001, GRID)
    shown = intake.rows[GRID]
    at_ms = NOW_MS + 60_000
    assert shown[at_ms] == 0
    assert shown[at_ms - 10_000] == expected[at_ms - 10_000]
    assert shown[at_ms + 120_000] == pytest.approx(expected[at_ms + 120_000] - expected[at_ms], abs=0.0005)


async def test_a_gap_is_lost_for_one_device_and_availability_stays() -> None:
    intake = MemoryIntake(clock_ms=NOW_MS)
    await passed(
        await opened(intake, faults=[{"kind": "gap", "at": "+60s", "for": "30s", "device": "solar"}]),
        intake,
        120,
    )

    lost = {NOW_MS + 60_000, NOW_MS + 70_000, NOW_MS + 80_000}
    assert set(intake.rows["grid.power"]) - set(intake.rows["solar.power"]) == lost
    assert intake.online["solar"]


async def test_late_readings_come_when_the_fault_is_over_with_their_own_times() -> None:
    intake = MemoryIntake(clock_ms=NOW_MS)
    house = await opened(intake, faults=[{"kind": "late", "at": "+30s", "for": "60s", "device": "battery"}])
    await passed(house, intake, 80)
    while_held = set(intake.rows["battery.soc"])
    await passed(house, intake, 40)

    assert max(while_held) == NOW_MS + 20_000
    assert set(intake.rows["battery.soc"]) == set(intake.rows["grid.power"])


async def test_a_silent_device_is_offline_until_it_speaks_again() -> None:
    intake = MemoryIntake(clock_ms=NOW_MS)
    house = await opened(intake, faults=[{"kind": "silent", "at": "+30s", "for": "60s", "device": "office"}])
    await passed(house, intake, 60)
    during = intake.online["office"], intake.online["grid"]
    await passed(house, intake, 60)

    assert during == (False, True)
    assert intake.online["office"]
    assert not {NOW_MS + 40_000, NOW_MS + 80_000} & set(intake.rows["office.power"])


async def test_a_fault_of_everything_hits_everything() -> None:
    intake = MemoryIntake(clock_ms=NOW_MS)
    await passed(await opened(intake, faults=[{"kind": "gap", "at": "+60s", "for": "10s"}]), intake, 90)

    assert all(NOW_MS + 60_000 not in rows for rows in intake.rows.values())
