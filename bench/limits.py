"""A limit of time for a piece of work that others wait behind."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class OutOfTime(KeyboardInterrupt):
    """The time is over. An event loop lets only an interrupt through, so it is one."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Interrupt what runs inside after so many seconds; its own ``finally`` clauses still run.

    Raises:
        OutOfTime: it was interrupted.
    """

    def over(number: int, frame: FrameType | None) -> None:
        raise OutOfTime(f"not done after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
