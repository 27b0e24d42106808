"""Background work: periodic tasks and loose tasks, each with a strong reference, a name and an end.

asyncio keeps only a weak reference to a task, so one that nobody holds can vanish in the middle of its work;
and one that fails unobserved stays silent until it is collected. Everything here is held, logged and
cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from hub.errors import RetryLater
from hub.runtime.clock import Clock

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobHealth:
    """Counters of a periodic task; ``skipped`` ticks came while the run before was still busy."""

    name: str
    runs: int
    failures: int
    skipped: int
    last_error: str
    last_run_ms: int | None


class PeriodicTask:
    """Runs a coroutine function every ``interval_s`` seconds, never two at a time.

    Ticks lie on a fixed grid from the start on, so the work itself does not shift them; ticks that pass
    during a long run are skipped, not made up for. An error does not end the task: it is logged when it
    begins, when its kind changes, and when it is over.

    Args:
        name: for the log and the task list.
        interval_s: distance of the ticks.
        work: what to do.
        clock: whose seconds count.
        at_once: run at the start too, instead of first after one interval.
    """

    def __init__(
        self,
        name: str,
        interval_s: float,
        work: Callable[[], Awaitable[object]],
        clock: Clock,
        *,
        at_once: bool = False,
    ) -> None:
        if interval_s <= 0:
            raise ValueError(f"{name}: an interval of {interval_s} s is not positive")
        self.name = name
        self._interval_s = interval_s
        self._work = work
        self._clock = clock
        self._at_once = at_once
        self._task: asyncio.Task[None] | None = None
        self._runs = 0
        self._failures = 0
        self._skipped = 0
        self._last_error = ""
        self._last_run_ms: int | None = None

    def start(self) -> None:
        """Begin; without effect when it runs already."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tick(), name=f"job:{self.name}")

    async def stop(self) -> None:
        """Cancel the wait or the work and return when it has ended."""
        task, self._task = self._task, None
        if task is not None:
            await _end({task}, timeout_s=None)

    def health(self) -> JobHealth:
        """Counters since the start."""
        return JobHealth(
            self.name, self._runs, self._failures, self._skipped, self._last_error, self._last_run_ms
        )

    async def _tick(self) -> None:
        next_s = self._clock.monotonic_s()
        if not self._at_once:
            next_s += self._interval_s
        while True:
            wait_s = next_s - self._clock.monotonic_s()
            if wait_s > 0:
                await self._clock.sleep(wait_s)
            await self._run_once()
            next_s += self._interval_s
            late_s = self._clock.monotonic_s() - next_s
            if late_s > 0:
                missed = int(late_s // self._interval_s) + 1
                self._skipped += missed
                next_s += missed * self._interval_s

    async def _run_once(self) -> None:
        self._last_run_ms = self._clock.now_ms()
        self._runs += 1
        try:
            await self._work()
        except Exception as error:  # noqa: BLE001 - a border like that of an actor: the task must go on
            self._note_failure(error)
            return
        except (SystemExit, KeyboardInterrupt) as error:  # leaving a task they would stop the event loop
            self._note_failure(error)
            return
        if self._last_error:
            LOGGER.info("job %s works again", self.name)
            self._last_error = ""

    def _note_failure(self, error: BaseException) -> None:
        self._failures += 1
        text = f"{type(error).__name__}: {error}"
        # by kind, as texts may carry something that differs each time
        is_news = text.partition(":")[0] != self._last_error.partition(":")[0]
        self._last_error = text
        if is_news:
            expected = isinstance(error, RetryLater)
            LOGGER.warning("job %s failed: %s", self.name, text, exc_info=None if expected else error)


class BackgroundTasks:
    """Holds loose tasks until they end, logs those that fail and cancels the rest at the end."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, object], *, name: str) -> asyncio.Task[Any]:
        """Run a coroutine beside everything else.

        The watchdog finds its owner by the task's name, ``<owner>:<name>``.
        """
        task = asyncio.create_task(_contained(work), name=f"{self._owner}:{name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self, *, timeout_s: float = 2.0) -> int:
        """Cancel what still runs and wait for its end.

        Returns:
            how many tasks ignored their cancellation for ``timeout_s``; they are given up.
        """
        return await _end(set(self._tasks), timeout_s=timeout_s)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            LOGGER.error("background task %s failed", task.get_name(), exc_info=error)


async def _contained(work: Coroutine[Any, Any, object]) -> object:
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:  # leaving a task they would stop the event loop
        raise RuntimeError(f"a background task raised {type(error).__name__}") from error


async def _end(tasks: set[asyncio.Task[Any]], *, timeout_s: float | None) -> int:
    tasks.discard(asyncio.current_task())  # a task may end its own group
    for task in tasks:
        task.cancel()
    if not tasks:
        return 0
    _, stubborn = await asyncio.wait(tasks, timeout=timeout_s)
    return len(stubborn)
