"""Clocks: the only door through which time enters the runtime and the actors.

Two times exist and must not be mixed: the *wall* clock (UTC epoch milliseconds, may jump when NTP or a
person sets it) stamps facts; the *monotonic* clock (seconds from an arbitrary origin, never jumps) measures
durations.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Protocol


class Clock(Protocol):
    """What code that needs time asks for."""

    def now_ms(self) -> int:
        """Wall clock: milliseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that only grow, for durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Pause the caller; a value of zero or less only lets others run."""
        ...


class SystemClock:
    """The clocks of the machine."""

    def now_ms(self) -> int:
        """Wall clock in UTC epoch milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop."""
        await asyncio.sleep(max(seconds, 0.0))


class FakeClock:
    """A clock that moves only when told to, for tests.

    Args:
        now_ms: wall clock at the start (default 2024-01-01T00:00:00Z).
        monotonic_s: monotonic clock at the start.
    """

    def __init__(self, now_ms: int = 1_704_067_200_000, monotonic_s: float = 1_000.0) -> None:
        self._wall_origin_ms = float(now_ms)
        self._start_s = monotonic_s
        self._monotonic_s = monotonic_s
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._watchers: list[tuple[int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        """Wall clock in UTC epoch milliseconds."""
        return round(self._wall_origin_ms + (self._monotonic_s - self._start_s) * 1000.0)

    def monotonic_s(self) -> float:
        """Monotonic seconds."""
        return self._monotonic_s

    @property
    def sleepers(self) -> int:
        """How many callers are asleep on this clock."""
        return sum(1 for _, _, sleeper in self._sleepers if not sleeper.done())

    async def sleep(self, seconds: float) -> None:
        """Sleep until :meth:`advance` has moved the clock far enough."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._monotonic_s + seconds, next(self._order), sleeper)
        heapq.heappush(self._sleepers, entry)
        self._tell_watchers()
        try:
            await sleeper
        finally:
            if entry in self._sleepers:  # cancelled while asleep
                self._sleepers.remove(entry)
                heapq.heapify(self._sleepers)

    def advance(self, seconds: float) -> None:
        """Move both clocks forward and wake every sleeper whose time has come, in order of their deadlines.

        Raises:
            ValueError: for a negative step; use :meth:`jump_wall` to set the wall clock back.
        """
        if seconds < 0:
            raise ValueError(f"monotonic time cannot go back by {seconds} s")
        self._monotonic_s += seconds
        while self._sleepers and self._sleepers[0][0] <= self._monotonic_s + 1e-9:
            _, _, sleeper = heapq.heappop(self._sleepers)
            if not sleeper.done():
                sleeper.set_result(None)

    def jump_wall(self, delta_ms: int) -> None:
        """Shift the wall clock, as NTP or a person does; the monotonic clock does not notice."""
        self._wall_origin_ms += delta_ms

    async def run_for(self, seconds: float, *, turns: int = 20) -> None:
        """Advance from deadline to deadline and let tasks run in between, so that each tick happens.

        Args:
            seconds: how far to go.
            turns: loop turns granted to the tasks after each step.
        """
        end_s = self._monotonic_s + seconds
        while True:
            await _loop_turns(turns)
            next_s = self._sleepers[0][0] if self._sleepers else end_s
            if next_s > end_s:
                break
            self.advance(max(next_s - self._monotonic_s, 0.0))
            if next_s == end_s and not self._due_by(end_s):
                break
        self.advance(max(end_s - self._monotonic_s, 0.0))
        await _loop_turns(turns)

    async def until_asleep(self, count: int = 1) -> None:
        """Wait until ``count`` callers are asleep: the safe moment for a test to call :meth:`advance`."""
        while self.sleepers < count:
            watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._watchers.append((count, watcher))
            await watcher

    def _due_by(self, end_s: float) -> bool:
        return bool(self._sleepers) and self._sleepers[0][0] <= end_s

    def _tell_watchers(self) -> None:
        asleep = self.sleepers
        for count, watcher in self._watchers:
            if asleep >= count and not watcher.done():
                watcher.set_result(None)
        self._watchers = [entry for entry in self._watchers if not entry[1].done()]


async def _loop_turns(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
