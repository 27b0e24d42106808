"""The answer of an actor as a pykka future that asyncio can await."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator
from types import TracebackType
from typing import Any

import pykka

from hub.errors import Bug

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class AsyncFuture(pykka.Future[Any]):
    """A ``pykka.Future`` around an :class:`asyncio.Future`.

    ``await`` it. ``get()`` answers only when the result is there: on a pending one it raises at once, because
    blocking would freeze the whole hub. Futures derived by ``map``, ``filter``, ``join``, ``reduce`` or
    ``stop(block=False)`` compute inside a blocking ``get()`` and therefore refuse ``await``.
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise Bug(
                "WL-RUN-008",
                "an actor can be asked only from the event loop",
                hint="use tell() from other threads",
            ) from None
        self.inner: asyncio.Future[Any] = loop.create_future()

    def get(self, *, timeout: float | None = None) -> Any:
        """The result, if it is there.

        Raises:
            Bug: ``WL-RUN-008``, it is not there yet; ``await`` the future or use ``request()``.
            Exception: what the actor raised.
        """
        if self._get_hook is not None:
            return super().get(timeout=timeout)
        if not self.inner.done():
            raise Bug(
                "WL-RUN-008",
                "get() on a pending answer would block the event loop",
                hint="await the future, or use request()",
            )
        return self.inner.result()

    def set(self, value: Any = None) -> None:
        """Set the result; without effect when the asker has given up (timed out or was cancelled)."""
        if not self.inner.done():
            self.inner.set_result(value)

    def set_exception(self, exc_info: Any = None) -> None:
        """Set an error (default: the one being handled); without effect when the asker has given up."""
        info: _ExcInfo = exc_info or sys.exc_info()
        error = info[1]
        if self.inner.done() or error is None:
            return
        if isinstance(error, StopIteration) or not isinstance(error, Exception):
            # asyncio refuses the first, and the others (SystemExit, ...) would end the asker's loop
            wrapped = Bug("WL-RUN-006", f"a handler raised {type(error).__name__}: {error}")
            wrapped.__cause__ = error
            error = wrapped
        self.inner.set_exception(error)
        self.inner.exception()  # marks it as seen: an asker may ignore its answer

    def __await__(self) -> Generator[Any, None, Any]:
        if self._get_hook is not None:
            raise Bug(
                "WL-RUN-008",
                "a derived future cannot be awaited",
                hint="await the original future and work with its value",
            )
        return self.inner.__await__()

    __iter__ = __await__
