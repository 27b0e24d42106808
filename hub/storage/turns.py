"""Turns at the one writer: who asks first goes first, but readings go before everything else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """A lock with two queues. A waiter that is cancelled gives its place away."""

    def __init__(self) -> None:
        self._taken = False
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._normal: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return sum(1 for place in (*self._urgent, *self._normal) if not place.done())

    @property
    def idle(self) -> bool:
        """True while nobody has the turn."""
        return not self._taken

    @asynccontextmanager
    async def take(self, *, urgent: bool) -> AsyncIterator[None]:
        """Wait for the turn and hold it inside the block."""
        await self._acquire(self._urgent if urgent else self._normal)
        try:
            yield
        finally:
            self._pass_on()

    async def _acquire(self, queue: deque[asyncio.Future[None]]) -> None:
        if not self._taken:
            self._taken = True
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # the turn came in the moment of cancelling
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        for queue in (self._urgent, self._normal):
            while queue:
                place = queue.popleft()
                if not place.done():
                    place.set_result(None)
                    return
        self._taken = False
