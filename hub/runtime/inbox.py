"""The inbox of an actor: bounded, filled from any thread, emptied by one task.

Two classes of messages wait in one queue, in order of arrival:

*durable* (everything by default)
    is never dropped. Over the bound a plain :meth:`Inbox.put` raises ``QueueFull`` and :meth:`Inbox.offer`
    makes the sender wait, first come first served.
*live* (a message whose class has an attribute ``coalesce_key``)
    only its newest value matters. A pending message of the same class and key is replaced where it stands;
    over the bound the oldest live message is dropped and counted. ``coalesce_key`` may be ``None``: never
    replaced, only dropped.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Any, Protocol

from hub.errors import QueueFull, RetryLater, WattlineError

DEFAULT_LIMIT = 10_000
DEFAULT_LIVE_LIMIT = 1_000
_COMPACT_FROM = 64


class Envelope(Protocol):
    """A message and the future that waits for its answer (``None`` for a tell)."""

    message: Any
    reply_to: Any


class _LiveSlot:
    """The place of a live message in the queue; ``envelope`` is ``None`` once it was dropped."""

    __slots__ = ("envelope", "key")

    def __init__(self, key: Hashable, envelope: Envelope) -> None:
        self.key = key
        self.envelope: Envelope | None = envelope


class Inbox:
    """Queue with one wake-up: the reader sleeps once and then takes everything that waits.

    Args:
        name: for error messages.
        limit: how many durable messages may wait.
        live_limit: how many live messages may wait.
        unlimited: message classes that are taken even over the bound (the stop message).
    """

    def __init__(
        self,
        name: str = "inbox",
        *,
        limit: int = DEFAULT_LIMIT,
        live_limit: int = DEFAULT_LIVE_LIMIT,
        unlimited: frozenset[type] = frozenset(),
    ) -> None:
        self.name = name
        self.limit = limit
        self.live_limit = live_limit
        self.dropped = 0
        self.coalesced = 0
        self.refused = 0
        self._unlimited = unlimited
        self._queue: deque[Any] = deque()
        self._live: OrderedDict[Hashable, _LiveSlot] = OrderedDict()
        self._durable = 0
        self._tombstones = 0
        self._senders: deque[tuple[Envelope, asyncio.Future[None]]] = deque()
        self._closed: Callable[[], WattlineError] | None = None
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id = 0
        self._waiter: asyncio.Future[None] | None = None

    @property
    def depth(self) -> int:
        """Messages that wait, including those of senders who wait for room."""
        return len(self._queue) - self._tombstones + len(self._senders)

    @property
    def closed(self) -> bool:
        """True once nothing is accepted any more."""
        return self._closed is not None

    def empty(self) -> bool:
        """True if :meth:`get` would find nothing."""
        return len(self._queue) == self._tombstones

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tell the loop (of the calling thread) on which the reader lives."""
        self._loop = loop
        self._thread_id = threading.get_ident()

    def put(self, envelope: Envelope, /) -> None:
        """Add a message without waiting; safe from every thread.

        Raises:
            QueueFull: a durable message and the bound is reached; nothing was stored, try again later.
            WattlineError: the inbox was closed; the error given to :meth:`close`.
        """
        if envelope.reply_to is None and hasattr(type(envelope.message), "coalesce_key"):
            self._put_live(envelope)
            return
        with self._lock:
            self._check_open()
            if not self._has_room() and type(envelope.message) not in self._unlimited:
                self.refused += 1
                raise self._full()
            self._queue.append(envelope)
            self._durable += 1
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self._wake(waiter)

    def force(self, envelope: Envelope) -> None:
        """Add a message over the bound, before all others; without effect on a closed inbox."""
        with self._lock:
            if self._closed is not None:
                return
            self._queue.appendleft(envelope)
            self._durable += 1
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self._wake(waiter)

    def offer(self, envelope: Envelope) -> asyncio.Future[None] | None:
        """Add a durable message, or queue up for room. Only on the loop's thread.

        Returns:
            ``None`` if it was stored at once; else a future that is done when it was. :meth:`withdraw` takes
            the message back.
        """
        with self._lock:
            self._check_open()
            if not self._has_room():
                room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._senders.append((envelope, room))
                return room
            self._queue.append(envelope)
            self._durable += 1
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self._wake(waiter)
        return None

    def withdraw(self, envelope: Envelope) -> bool:
        """Take back a message whose sender still waits for room.

        Returns:
            False if it is in the queue already or was never offered.
        """
        with self._lock:
            for entry in self._senders:
                if entry[0] is envelope:
                    self._senders.remove(entry)
                    if not entry[1].done():
                        entry[1].set_exception(self._full())
                    self.refused += 1
                    return True
        return False

    def get(self) -> Envelope:
        """Take the next message; it must be there (see :meth:`empty`). Only for the reader.

        Raises:
            IndexError: nothing waits.
        """
        with self._lock:
            while True:
                item = self._queue.popleft()
                if type(item) is not _LiveSlot:
                    self._durable -= 1
                    if self._senders:
                        self._admit()
                    return item  # type: ignore[no-any-return]  # the queue holds envelopes and live slots
                if item.envelope is not None:
                    del self._live[item.key]
                    return item.envelope
                self._tombstones -= 1

    async def wait(self) -> None:
        """Sleep until there is a message. Only for the reader."""
        with self._lock:
            if not self.empty():
                return
            waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            if self._waiter is waiter:
                self._waiter = None

    def close(self, reason: Callable[[], WattlineError]) -> None:
        """Refuse everything from now on with the error of ``reason``; what waits can still be taken."""
        with self._lock:
            self._closed = reason
            senders, self._senders = self._senders, deque()
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            _release(waiter)
        for _, room in senders:
            if not room.done():
                room.set_exception(reason())

    def take_requests(self) -> list[Envelope]:
        """Take the messages that somebody awaits an answer of and leave the others waiting."""
        with self._lock:
            asked = [
                item for item in self._queue if type(item) is not _LiveSlot and item.reply_to is not None
            ]
            kept = [item for item in self._queue if type(item) is _LiveSlot or item.reply_to is None]
            self._queue = deque(kept)
            self._durable -= len(asked)
            self._admit()
        return asked

    def _put_live(self, envelope: Envelope) -> None:
        kind = type(envelope.message)
        wish = envelope.message.coalesce_key
        key: Hashable = (kind, wish) if wish is not None else ("single", id(envelope))
        with self._lock:
            self._check_open()
            pending = self._live.get(key)
            if pending is not None:
                pending.envelope = envelope
                self.coalesced += 1
                return
            if len(self._live) >= self.live_limit:
                self._drop_oldest_live()
            slot = self._live[key] = _LiveSlot(key, envelope)
            self._queue.append(slot)
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self._wake(waiter)

    def _drop_oldest_live(self) -> None:
        if not self._live:
            return
        _, slot = self._live.popitem(last=False)
        slot.envelope = None
        self.dropped += 1
        self._tombstones += 1
        # A slot in the middle of a deque cannot be removed cheaply; sweep when half of the queue is dead.
        if self._tombstones >= _COMPACT_FROM and self._tombstones * 2 >= len(self._queue):
            self._queue = deque(
                item for item in self._queue if type(item) is not _LiveSlot or item.envelope is not None
            )
            self._tombstones = 0

    def _has_room(self) -> bool:
        return self._durable < self.limit and not self._senders

    def _admit(self) -> None:
        while self._senders and self._durable < self.limit:
            envelope, room = self._senders.popleft()
            if room.done():  # the sender gave up
                continue
            self._queue.append(envelope)
            self._durable += 1
            room.set_result(None)

    def _check_open(self) -> None:
        if self._closed is not None:
            raise self._closed()

    def _full(self) -> QueueFull:
        return QueueFull(
            "WL-RUN-002",
            f"the inbox holds {self.limit} messages and takes no more",
            where=self.name,
            hint="try again in a moment; if it lasts, this part of the hub is overloaded or stuck",
            retry_after_s=1.0,
        )

    def _wake(self, waiter: asyncio.Future[None]) -> None:
        if threading.get_ident() == self._thread_id or self._loop is None:
            _release(waiter)
            return
        try:
            self._loop.call_soon_threadsafe(_release, waiter)
        except RuntimeError as gone:  # the loop is closed: nobody will ever read this inbox again
            raise RetryLater("WL-RUN-003", "the hub has stopped", where=self.name) from gone


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
