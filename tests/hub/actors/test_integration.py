"""The life of one entry: a source is told to stop once, and ends, whatever it makes of that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import voluptuous as vol

from hub.actors import integration as integration_module
from hub.actors.board import LatestBoard
from hub.actors.intake import HubIntake
from hub.actors.integration import EntryStatus, IntegrationActor, RestartEntry
from hub.actors.recorder import IngestLoad
from hub.actors.registry import Registry
from hub.bus import EventBus
from hub.plugins.api import CannotConnect, Intake, Integration, Options
from hub.runtime.actor import Ref, new_ref, request, stop
from hub.runtime.clock import FakeClock

Run = Callable[[], Awaitable[None]]


class Source:
    """Runs what a test wants."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def run(self, intake: Intake) -> None:
        await self._run()


def actor(run: Run, status: EntryStatus) -> Ref:
    """The actor of an entry whose source does this."""

    @asynccontextmanager
    async def connect(options: Options) -> AsyncIterator[Source]:
        yield Source(run)

    clock = FakeClock()
    intake = HubIntake(
        "an-entry", "test", recorder=new_ref("recorder"), device=new_ref("device"), registry=Registry(),
        board=LatestBoard(), load=IngestLoad(), clock=clock, broker=lambda: None,
    )  # fmt: skip
    integration = Integration("test", vol.Schema({}), connect)
    return IntegrationActor.start(integration, {}, intake, EventBus(), clock, status=status)


async def returns() -> None:
    """Ends as if nothing had been said."""


async def fails() -> None:
    raise CannotConnect("the cancellation met the end of the connection")


@pytest.mark.parametrize("ends", [returns, fails])
async def test_a_source_that_makes_something_else_of_its_cancellation_is_not_started_again(
    ends: Run, caplog: pytest.LogCaptureFixture
) -> None:
    running, starts = asyncio.Event(), 0

    async def run() -> None:
        nonlocal starts
        starts += 1
        running.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await ends()

    status = EntryStatus()
    ref = actor(run, status)
    await running.wait()
    await stop(ref, timeout_s=30)
    assert (starts, status.state) == (1, "stopped")
    assert not asyncio.all_tasks() - {asyncio.current_task()}
    assert not caplog.records


async def test_a_source_that_lost_its_cancellation_is_told_again_and_connects_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(integration_module, "FINISH_S", 0.05)
    monkeypatch.setattr(integration_module, "LET_GO_S", 30.0)
    caplog.set_level(logging.INFO)
    running, starts = asyncio.Event(), 0

    async def run() -> None:
        nonlocal starts
        starts += 1
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            if starts == 1:
                await asyncio.Event().wait()

    status = EntryStatus()
    ref = actor(run, status)
    await running.wait()
    running.clear()
    await request(ref, RestartEntry(), timeout_s=30)
    await running.wait()
    assert (starts, status.state) == (2, "running")
    assert not [record for record in caplog.records if "left behind" in record.message]
    await stop(ref, timeout_s=30)
    assert not asyncio.all_tasks() - {asyncio.current_task()}
