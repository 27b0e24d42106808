"""Clocks: two kinds of time, and a fake one that moves only when told to."""

from __future__ import annotations

import asyncio

import pytest

from hub.runtime.clock import Clock, FakeClock, SystemClock


def test_the_system_clock_counts_milliseconds_since_1970() -> None:
    year_2020_ms, year_2200_ms = 1_577_836_800_000, 7_258_118_400_000
    assert year_2020_ms < SystemClock().now_ms() < year_2200_ms


def test_both_clocks_fit_the_protocol() -> None:
    clocks: list[Clock] = [SystemClock(), FakeClock()]
    assert all(isinstance(clock.now_ms(), int) for clock in clocks)


async def test_sleeping_no_time_on_the_system_clock_lets_others_run() -> None:
    ran: list[str] = []
    asyncio.get_running_loop().call_soon(ran.append, "other")
    await SystemClock().sleep(-1)
    assert ran == ["other"]


def test_advance_moves_both_times() -> None:
    clock = FakeClock(now_ms=1_000, monotonic_s=5.0)
    clock.advance(1.5)
    assert (clock.now_ms(), clock.monotonic_s()) == (2_500, 6.5)


def test_many_small_steps_add_up_without_drift() -> None:
    clock = FakeClock(now_ms=0, monotonic_s=0.0)
    for _ in range(10_000):
        clock.advance(0.0001)
    assert clock.now_ms() == 1_000


def test_a_jump_of_the_wall_leaves_durations_alone() -> None:
    clock = FakeClock(now_ms=10_000, monotonic_s=7.0)
    clock.jump_wall(-9_000)
    assert (clock.now_ms(), clock.monotonic_s()) == (1_000, 7.0)


def test_monotonic_time_refuses_to_go_back() -> None:
    with pytest.raises(ValueError, match="cannot go back"):
        FakeClock().advance(-0.1)


async def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    clock, woken = FakeClock(), list[str]()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    tasks = [asyncio.create_task(sleeper("late", 3)), asyncio.create_task(sleeper("early", 1))]
    await clock.until_asleep(2)
    clock.advance(5)
    await asyncio.gather(*tasks)
    assert woken == ["early", "late"]


async def test_a_sleeper_whose_time_has_not_come_sleeps_on() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(10))
    await clock.until_asleep()
    clock.advance(9.9)
    assert clock.sleepers == 1
    clock.advance(0.1)
    await task
    assert clock.sleepers == 0


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(10))
    await clock.until_asleep()
    task.cancel()
    await asyncio.wait({task})
    assert clock.sleepers == 0
    clock.advance(20)


async def test_run_for_stops_at_each_deadline_on_the_way() -> None:
    clock, seen = FakeClock(monotonic_s=0.0), list[float]()

    async def every_two() -> None:
        while True:
            await clock.sleep(2)
            seen.append(clock.monotonic_s())

    task = asyncio.create_task(every_two())
    await clock.run_for(7)
    assert seen == [2, 4, 6]
    assert clock.monotonic_s() == 7
    await clock.run_for(1)
    assert seen == [2, 4, 6, 8]
    task.cancel()
