"""Periodic and loose background work."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from hub.errors import RetryLater
from hub.runtime.clock import FakeClock
from hub.runtime.jobs import BackgroundTasks, PeriodicTask
from tests.hub.runtime.actors import turns

Start = Callable[..., PeriodicTask]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(monotonic_s=0.0)


@pytest.fixture
async def start(clock: FakeClock) -> AsyncIterator[Start]:
    jobs: list[PeriodicTask] = []

    def start(work: Callable[[], Awaitable[object]], *, at_once: bool = False) -> PeriodicTask:
        job = PeriodicTask("prune", 10, work, clock, at_once=at_once)
        job.start()
        jobs.append(job)
        return job

    yield start
    for job in jobs:
        await job.stop()


async def test_a_job_runs_at_each_tick(clock: FakeClock, start: Start) -> None:
    ran_at: list[float] = []

    async def work() -> None:
        ran_at.append(clock.monotonic_s())

    start(work)
    await clock.run_for(35)
    assert ran_at == [10, 20, 30]


async def test_a_job_may_run_at_once_too(clock: FakeClock, start: Start) -> None:
    ran_at: list[float] = []

    async def work() -> None:
        ran_at.append(clock.monotonic_s())

    start(work, at_once=True)
    await clock.run_for(10)
    assert ran_at == [0, 10]


async def test_slow_work_never_overlaps_and_keeps_the_grid(clock: FakeClock, start: Start) -> None:
    began_at: list[float] = []
    busy = 0

    async def work() -> None:
        nonlocal busy
        busy += 1
        assert busy == 1
        began_at.append(clock.monotonic_s())
        await clock.sleep(25)
        busy -= 1

    job = start(work)
    await clock.run_for(100)
    assert began_at == [10, 40, 70, 100]
    assert job.health().skipped == 6
    assert job.health().failures == 0


async def test_an_error_is_logged_when_it_begins_and_when_it_is_over(
    clock: FakeClock, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    errors = iter([OSError("disk 1"), OSError("disk 2"), RetryLater("WL-X-1", "away"), None, None])

    async def work() -> None:
        error = next(errors)
        if error is not None:
            raise error

    job = start(work)
    await clock.run_for(50)
    assert [record.getMessage() for record in caplog.records] == [
        "job prune failed: OSError: disk 1",
        "job prune failed: RetryLater: WL-X-1 away",
        "job prune works again",
    ]
    assert (job.health().runs, job.health().failures, job.health().last_error) == (5, 3, "")


async def test_an_exit_in_a_job_stops_neither_the_job_nor_the_loop(clock: FakeClock, start: Start) -> None:
    async def work() -> None:
        raise SystemExit(1)

    job = start(work)
    await clock.run_for(20)
    assert job.health().failures == 2
    assert job.health().last_error == "SystemExit: 1"


async def test_a_stopped_job_has_ended_when_stop_returns(clock: FakeClock, start: Start) -> None:
    ended = False

    async def work() -> None:
        nonlocal ended
        try:
            await clock.sleep(1_000)
        finally:
            ended = True

    job = start(work)
    await clock.run_for(10)
    await job.stop()
    assert ended
    assert clock.sleepers == 0
    await job.stop()


def test_an_interval_must_be_positive(clock: FakeClock) -> None:
    async def work() -> None:
        return None

    with pytest.raises(ValueError, match="not positive"):
        PeriodicTask("never", 0, work, clock)


async def test_background_tasks_are_held_until_they_end() -> None:
    tasks = BackgroundTasks("plugin:demo")
    done = asyncio.Event()

    async def work() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, future.set_result, None)
        await future
        done.set()

    name = tasks.spawn(work(), name="poll").get_name()
    gc.collect()
    await asyncio.wait_for(done.wait(), 30)
    await turns()
    assert name == "plugin:demo:poll"
    assert len(tasks) == 0


async def test_a_failing_background_task_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    tasks = BackgroundTasks("web")

    async def work() -> None:
        raise OSError("broken pipe")

    tasks.spawn(work(), name="push")
    await turns()
    assert "background task web:push failed" in caplog.text
    assert "broken pipe" in caplog.text


async def test_an_exit_in_a_background_task_does_not_stop_the_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks = BackgroundTasks("web")

    async def work() -> None:
        raise SystemExit(1)

    tasks.spawn(work(), name="push")
    await turns()
    assert "SystemExit" in caplog.text


async def test_close_cancels_all_and_counts_those_that_refuse() -> None:
    tasks = BackgroundTasks("web")
    freed = asyncio.Event()

    async def polite() -> None:
        await asyncio.Event().wait()

    async def stubborn() -> None:
        while not freed.is_set():
            try:
                await freed.wait()
            except asyncio.CancelledError:
                continue

    tasks.spawn(polite(), name="polite")
    tasks.spawn(stubborn(), name="stubborn")
    await turns()
    assert await tasks.close(timeout_s=0.01) == 1
    freed.set()
    await turns()
    assert await tasks.close() == 0
