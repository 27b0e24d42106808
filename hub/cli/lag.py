"""How long an event loop was held by what runs on it, told apart from a machine that had no time for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STEP_S = 0.02


class LagWatch:
    """``worst_s`` is the longest time for which the loop was held, as far as it was watched."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    async def watch(self) -> None:
        """Watch the running loop until cancelled.

        A late turn counts as far as this process lived meanwhile: it used the processor, or a thread beside the
        loop went on.
        """
        loop = asyncio.get_running_loop()
        with _beats() as beats:
            while True:
                due_s, cpu_s, before = loop.time() + _STEP_S, time.process_time(), beats()
                await asyncio.sleep(_STEP_S)
                alive_s = max(time.process_time() - cpu_s, (beats() - before) * _STEP_S)
                self.worst_s = max(self.worst_s, min(loop.time() - due_s, alive_s))


@contextmanager
def _beats() -> Iterator[Callable[[], int]]:
    """Counts the steps of a thread, which goes on while the loop is held by something that sleeps."""
    over, count = threading.Event(), 0

    def beat() -> None:
        nonlocal count
        while not over.wait(_STEP_S):
            count += 1

    thread = threading.Thread(target=beat, name="lag-beats", daemon=True)
    thread.start()
    try:
        yield lambda: count
    finally:
        over.set()
        thread.join()
