"""Waiting for something to become true, with an end; the tests of this folder know no other waits."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
_STEP_S = 0.02


class TooLate(AssertionError):
    """What was waited for did not come."""


def on_this_machine(limit_s: float) -> float:
    """A limit that is meant for an idle machine, stretched by what else wants the cores of this one now."""
    return limit_s * (1.0 + os.getloadavg()[0] / (os.cpu_count() or 1))


async def until(
    check: Callable[[], Awaitable[T]], timeout_s: float, what: str, *, step_s: float = _STEP_S
) -> T:
    """Ask again and again until the answer is true; returns it.

    Raises:
        TooLate: not within ``timeout_s`` of an idle machine; the message holds ``what`` and the last answer.
    """
    end_s = time.monotonic() + on_this_machine(timeout_s)
    while True:
        answer = await check()
        if answer:
            return answer
        if time.monotonic() > end_s:
            raise TooLate(f"{what}: not within {timeout_s:g} s (last answer: {answer!r})")
        await asyncio.sleep(step_s)
