"""A cancellation that a library lost is raised after all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heeding_cancellation() -> Iterator[None]:
    """Around an await of foreign code: whoever cancels the task meanwhile is heeded.

    ``asyncio.wait_for`` of Python 3.11 gives its result, and forgets the cancellation, where both come in the
    same turn of the loop. aiomqtt waits with it for every answer of the broker, and a task that is told to stop
    in the turn of such an answer would work on for ever.

    Raises:
        asyncio.CancelledError: the task was cancelled within the block, whatever came out of it.
    """
    task = asyncio.current_task()
    if task is None:
        yield
        return
    before = task.cancelling()
    try:
        yield
    finally:
        if task.cancelling() > before:
            raise asyncio.CancelledError
