"""The running simulation: readings in real time, and after a pause those of the pause."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from hub.plugins.api import CannotConnect, Intake, Options, RetryLater, SeriesHandle, Source
from integrations.demo.devices import Declaration, declarations
from integrations.demo.faults import Fault
from integrations.demo.house import House
from integrations.demo.meters import Heard, Meters
from integrations.demo.schema import faults_of, site_of

ROWS_PER_BATCH = 200
_RECENT_MS = 3_600_000
_CATCH_UP = ((14 * 86_400_000, 60), (90 * 86_400_000, 300))
"""(how long ago, step in s): what was missed is filled in by the minute, long ago more coarsely."""
_COARSEST_S = 900


@asynccontextmanager
async def connect(options: Options) -> AsyncIterator[Source]:
    """Build the house; there is nothing to reach, so nothing can fail but a clock before the house was built."""
    yield SimulatedHouse(options)


class SimulatedHouse:
    """A house that measures itself every ``interval``, at whole multiples of it."""

    def __init__(self, options: Options) -> None:
        self._interval_s: int = options["interval"]
        self._house = House(options["seed"], site_of(options))
        self._script: tuple[Fault, ...] = faults_of(options)
        self._declared = declarations(self._interval_s)
        self._meters = Meters(self._house, self._declared, ())
        self._handles: dict[str, SeriesHandle] = {}
        self._online: dict[str, bool] = {}
        self._done_ms = 0

    async def run(self, intake: Intake) -> None:
        """Deliver until cancelled."""
        await self.open(intake)
        while True:
            await self.deliver(intake)
            step_ms = self._interval_s * 1000
            await asyncio.sleep((step_ms - intake.now_ms() % step_ms) / 1000)

    async def open(self, intake: Intake) -> None:
        """Declare the devices and find out where the stored readings end.

        Raises:
            CannotConnect: the hub's clock stands before the house was built.
        """
        now_ms = intake.now_ms()
        if now_ms < self._house.site.first_ms + 86_400_000:
            raise CannotConnect(
                f"the clock stands before the simulated house was built ({self._house.site.since})",
                code="WL-DEM-001",
                hint="set the clock of this machine, or an earlier `since`",
            )
        self._meters = Meters(self._house, self._declared, [fault.started(now_ms) for fault in self._script])
        for one in self._declared:
            await self._declare(intake, one)
        # the days up to now cost some seconds once: not on the event loop
        await asyncio.to_thread(self._house.prepare, now_ms // 86_400_000)
        self._done_ms = self._last_stored_ms(intake) or now_ms - self._interval_s * 1000

    async def deliver(self, intake: Intake) -> None:
        """Store everything that was measured since the last delivery; what the hub cannot take comes again."""
        now_ms = intake.now_ms()
        if now_ms <= self._done_ms:  # the clock was set back: wait until it is new again
            return
        try:
            for start_ms, end_ms in self._meters.held_until(self._done_ms, now_ms):
                for heard in self._batches(start_ms, end_ms, self._interval_s, now_ms):
                    await self._store(intake, heard)
            for start_ms, end_ms, step_s in self._stretches(self._done_ms + 1, now_ms + 1):
                for heard in self._batches(start_ms, end_ms, step_s, now_ms):
                    await self._store(intake, heard)
            self._done_ms = now_ms
        except RetryLater:
            return
        for one in self._declared:
            self._tell_availability(intake, one.device.id, not self._meters.offline(one.device.id, now_ms))

    async def _declare(self, intake: Intake, one: Declaration) -> None:
        handles = await intake.declare(one.device, one.series)
        for public_id, handle in zip(one.public_ids(), handles, strict=True):
            if handle is not None:
                self._handles[public_id] = handle

    def _last_stored_ms(self, intake: Intake) -> int | None:
        stored = [
            newest[0]
            for one in self._declared
            for info in one.series
            if (newest := intake.last_reading(one.device.id, info.key)) is not None
        ]
        return max(stored, default=None)

    def _stretches(self, start_ms: int, end_ms: int) -> Iterator[tuple[int, int, int]]:
        """``(start_ms, end_ms, step_s)``: long ago by the minute or coarser, the last hour as always."""
        recent_ms = max(end_ms - _RECENT_MS, start_ms)
        missed_ms = recent_ms - start_ms
        if missed_ms:
            step_s = next((step for limit_ms, step in _CATCH_UP if missed_ms <= limit_ms), _COARSEST_S)
            yield start_ms, recent_ms, max(step_s, self._interval_s)
        yield recent_ms, end_ms, self._interval_s

    def _batches(self, start_ms: int, end_ms: int, step_s: int, now_ms: int) -> Iterator[list[Heard]]:
        length_ms = ROWS_PER_BATCH * step_s * 1000
        for first_ms in range(start_ms, end_ms, length_ms):
            yield self._meters.between(first_ms, min(first_ms + length_ms, end_ms), step_s, now_ms)

    async def _store(self, intake: Intake, heard: list[Heard]) -> None:
        batch = intake.batch()
        batch.imported = True  # a house that was off for years may still tell what it missed
        for one in heard:
            handle = self._handles.get(one.public_id)
            if handle is None:
                continue
            for ts_ms, value in zip(one.ts_ms.tolist(), one.values.tolist(), strict=True):
                batch.add(handle, ts_ms, value)
        if len(batch):
            await intake.store(batch)

    def _tell_availability(self, intake: Intake, device: str, online: bool) -> None:
        if self._online.get(device) is not online:
            self._online[device] = online
            intake.set_availability(device, online)
