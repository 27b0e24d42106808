"""The watchdog names whoever holds the event loop."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hub.runtime.actor import AsyncActor, stop
from hub.runtime.watchdog import LAG_BUCKETS_S, OUTSIDE, LagMeter, LoopBlocked, OwnerMap, Watchdog


class Reports:
    """Collects events and lets a test wait for the next one."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[LoopBlocked] = asyncio.Queue()

    def __call__(self, event: LoopBlocked) -> None:
        self._queue.put_nowait(event)

    async def named(self, label: str, block: Callable[[], object]) -> LoopBlocked:
        """The event of this label that a block of the loop brings.

        Where the machine gives the watching thread no time while the loop is held, nobody can be named: then
        the loop is held again.
        """
        async with asyncio.timeout(60):
            while True:
                block()
                event = await self._queue.get()
                while event.label != label and not self._queue.empty():
                    event = self._queue.get_nowait()
                if event.label == label:
                    return event


class CountingMeter(LagMeter):
    """Lets a test wait for a number of measurements."""

    def __init__(self, until: int) -> None:
        super().__init__()
        self._left = until
        self.full = asyncio.Event()

    def add(self, lag_s: float) -> None:
        super().add(lag_s)
        self._left -= 1
        if self._left == 0:
            self.full.set()


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
async def watchdog(reports: Reports) -> AsyncIterator[Watchdog]:
    watchdog = Watchdog(reports, interval_s=0.02, late_s=0.05, dump_s=0.15)
    watchdog.start()
    yield watchdog
    await watchdog.stop()


class Blocker(AsyncActor):
    """Blocks the loop for as long as it is told."""

    async def on_receive(self, message: Any) -> None:
        time.sleep(message)  # noqa: ASYNC251 - the evil under test


def block_in_a_callback() -> None:
    time.sleep(0.4)


def load_plugin(folder: Path) -> ModuleType:
    """A plugin on disk that blocks the loop."""
    file = folder / "evil" / "client.py"
    file.parent.mkdir()
    file.write_text("import time\n\n\ndef poll(seconds):\n    time.sleep(seconds)\n")
    spec = importlib.util.spec_from_file_location("evil_client", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_an_actor_that_blocks_is_named_with_its_stack(watchdog: Watchdog, reports: Reports) -> None:
    ref = Blocker.start()
    event = await reports.named("actor:Blocker", lambda: ref.tell(0.4))
    assert "time.sleep(message)" in event.stack
    assert event.duration_s > 0.05
    assert watchdog.blocked >= 1
    await stop(ref)


async def test_a_plugin_is_named_by_its_folder_whatever_task_runs_it(
    watchdog: Watchdog, reports: Reports, tmp_path: Path
) -> None:
    module = load_plugin(tmp_path)
    watchdog.owners.add(str(tmp_path / "evil"), "plugin:evil")

    tasks: list[asyncio.Task[None]] = []

    async def poll() -> None:
        module.poll(0.4)

    event = await reports.named(
        "plugin:evil", lambda: tasks.append(asyncio.create_task(poll(), name="actor:integration.evil"))
    )
    await asyncio.gather(*tasks)
    assert event.task == "actor:integration.evil"
    assert "client.py" in event.stack


async def test_a_named_task_and_a_bare_callback_are_named_too(watchdog: Watchdog, reports: Reports) -> None:
    async def work() -> None:
        time.sleep(0.4)  # noqa: ASYNC251 - the evil under test

    tasks: list[asyncio.Task[None]] = []
    event = await reports.named(
        "job:prune", lambda: tasks.append(asyncio.create_task(work(), name="job:prune"))
    )
    assert event.task == "job:prune"
    await asyncio.gather(*tasks)
    line = block_in_a_callback.__code__.co_firstlineno + 1
    event = await reports.named(
        f"hub/runtime/test_watchdog.py:{line} block_in_a_callback",
        lambda: asyncio.get_running_loop().call_soon(block_in_a_callback),
    )
    assert event.task == ""


async def test_a_long_block_dumps_all_stacks_once(
    watchdog: Watchdog, reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    parked, free = threading.Event(), threading.Event()

    def park() -> None:
        parked.set()
        free.wait(60)

    thread = threading.Thread(target=park, name="parked-thread")
    thread.start()
    parked.wait(60)
    ref = Blocker.start()
    await reports.named("actor:Blocker", lambda: ref.tell(0.4))
    free.set()
    thread.join()
    messages = [record.getMessage() for record in caplog.records]
    dumps = [text for text in messages if "by actor:Blocker; all stacks" in text]
    assert dumps
    assert len(dumps) == len([text for text in messages if text.startswith("actor:Blocker held")])
    assert "--- thread parked-thread" in dumps[0]
    await stop(ref)


async def test_a_free_loop_is_measured_and_not_reported(reports: Reports) -> None:
    watchdog = Watchdog(reports, interval_s=0.001, late_s=2.0)
    meter = watchdog.meter = CountingMeter(5)
    watchdog.start()
    watchdog.start()
    await asyncio.wait_for(meter.full.wait(), 30)
    assert 0 <= watchdog.lag_p99_s() < 2.0
    assert watchdog.blocked == 0
    await watchdog.stop()


async def test_stop_ends_the_thread_and_the_timer() -> None:
    before = set(threading.enumerate())
    watchdog = Watchdog()
    watchdog.start()
    assert {thread.name for thread in set(threading.enumerate()) - before} == {"loop-watchdog"}
    await watchdog.stop()
    assert "loop-watchdog" not in {thread.name for thread in threading.enumerate()}
    await watchdog.stop()


async def test_a_listener_that_raises_does_not_end_the_measuring(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_: LoopBlocked) -> None:
        raise RuntimeError("listener")

    watchdog = Watchdog(broken, interval_s=0.01, late_s=0.02)
    meter = watchdog.meter = CountingMeter(3)
    watchdog.start()
    time.sleep(0.08)  # noqa: ASYNC251 - the evil under test
    await asyncio.wait_for(meter.full.wait(), 30)
    await watchdog.stop()
    assert watchdog.blocked >= 1
    assert "a listener failed" in caplog.text


def test_the_histogram_is_cumulative_and_the_quantile_covers_its_share() -> None:
    meter = LagMeter()
    assert meter.quantile_s(0.99) == 0.0
    for lag_s in [0.0005] * 98 + [0.3, 9.0]:
        meter.add(lag_s)
    histogram = meter.histogram()
    assert histogram.bounds_s == LAG_BUCKETS_S
    assert (histogram.counts[0], histogram.counts[-1], histogram.count) == (98, 99, 100)
    assert histogram.sum_s == pytest.approx(9.349)
    assert meter.quantile_s(0.5) == 0.0005
    assert meter.quantile_s(0.99) == 9.0


def test_built_in_integrations_are_known_by_their_folder(tmp_path: Path) -> None:
    owners = OwnerMap(tmp_path / "integrations")
    stack = traceback.StackSummary.from_list(
        [
            ("/usr/lib/python3.11/asyncio/events.py", 80, "_run", ""),
            (str(tmp_path / "integrations" / "shelly" / "client.py"), 12, "poll", ""),
            (str(tmp_path / "hub" / "plugins" / "api.py"), 3, "decode", ""),
        ]
    )
    assert owners.label_of(stack, "actor:integration.shelly") == "plugin:shelly"


def test_a_loop_that_only_waits_for_input_is_not_to_blame() -> None:
    stack = traceback.StackSummary.from_list(
        [("/opt/hub/cli/run.py", 7, "main", ""), ("/usr/lib/python3.11/selectors.py", 468, "select", "")]
    )
    assert OwnerMap().label_of(stack, "") == OUTSIDE


def test_code_without_task_or_plugin_is_named_by_its_place() -> None:
    stack = traceback.StackSummary.from_list(
        [("/opt/hub/hub/app.py", 7, "tick", ""), ("/usr/lib/python3.11/json/decoder.py", 1, "decode", "")]
    )
    assert OwnerMap().label_of(stack, "Task-12") == "hub/hub/app.py:7 tick"
    assert OwnerMap().label_of(traceback.StackSummary.from_list([]), "") == "unknown code"
