"""Actors of the hub's runtime: tell, ask, and a hop through the event bus, beside bare asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bench.rows import Context, Row
from hub.bus import EventBus
from hub.runtime.actor import AsyncActor, Request, request, stop, tell_wait

BURST = 1_000


@dataclass(frozen=True, slots=True)
class Count:
    """A fact to count."""

    number: int


@dataclass(frozen=True, slots=True)
class HowMany(Request[int]):
    """How many were counted?"""


class Counter(AsyncActor):
    """Counts."""

    def __init__(self, bus: EventBus | None = None) -> None:
        super().__init__()
        self._count = 0
        if bus is not None:
            self.at_end(bus.subscribe(Count, self.ref).cancel)

    def on_receive(self, message: Any) -> Any:
        """Count or answer."""
        match message:
            case Count():
                self._count += 1
            case HowMany():
                return self._count
            case _:
                return super().on_receive(message)
        return None


async def _told(count: int) -> None:
    counter = Counter.start()
    for _ in range(count // BURST):
        for number in range(BURST):
            counter.tell(Count(number))
        await request(counter, HowMany())  # an inbox is bounded: let it drain
    await stop(counter)


async def _told_with_back_pressure(count: int) -> None:
    counter = Counter.start()
    for number in range(count):
        await tell_wait(counter, Count(number))
    assert await request(counter, HowMany()) == count
    await stop(counter)


async def _asked(count: int) -> None:
    counter = Counter.start()
    for _ in range(count):
        await request(counter, HowMany())
    await stop(counter)


async def _published(count: int) -> None:
    bus = EventBus()
    counter = Counter.start(bus)
    for _ in range(count // BURST):
        for number in range(BURST):
            bus.publish(Count(number))
        await request(counter, HowMany())  # an inbox is bounded: let it drain
    await stop(counter)


async def _queued(count: int) -> None:
    queue: asyncio.Queue[Count | None] = asyncio.Queue()

    async def take() -> None:
        while await queue.get() is not None:
            pass

    taker = asyncio.create_task(take())
    for _ in range(count // BURST):
        for number in range(BURST):
            queue.put_nowait(Count(number))
        await asyncio.sleep(0)
    queue.put_nowait(None)
    await taker


async def _ping_pong(count: int) -> None:
    questions: asyncio.Queue[asyncio.Future[int] | None] = asyncio.Queue()

    async def answer() -> None:
        while (asker := await questions.get()) is not None:
            asker.set_result(1)

    taker = asyncio.create_task(answer())
    loop = asyncio.get_running_loop()
    for _ in range(count):
        reply: asyncio.Future[int] = loop.create_future()
        questions.put_nowait(reply)
        await reply
    questions.put_nowait(None)
    await taker


def run(context: Context) -> list[Row]:
    """Messages a second on the loop that the hub runs on."""
    count = 50_000 if context.quick else 200_000
    queue, future = _per_s(_queued, count), _per_s(_ping_pong, count // 4)
    return [
        Row("actor, tell", _per_s(_told, count), "messages/s", floor=queue, floor_name="asyncio.Queue"),
        Row("actor, tell with back-pressure", _per_s(_told_with_back_pressure, count), "messages/s", floor=queue,
            floor_name="asyncio.Queue"),
        Row("actor, by the event bus", _per_s(_published, count), "messages/s", floor=queue,
            floor_name="asyncio.Queue"),
        Row("actor, ask", _per_s(_asked, count // 4), "questions/s", floor=future,
            floor_name="asyncio.Queue and a future"),
    ]  # fmt: skip


def _per_s(work: Callable[[int], Awaitable[None]], count: int) -> float:
    async def timed() -> float:
        begin_s = time.perf_counter()
        await work(count)
        return count / (time.perf_counter() - begin_s)

    try:
        import uvloop
    except ImportError:
        return max(asyncio.run(timed()) for _ in range(3))
    return max(uvloop.run(timed()) for _ in range(3))
