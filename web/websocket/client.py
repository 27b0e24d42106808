"""One connection as the fan-out sees it: what it subscribed to, and how much it has really read.

The system's buffers hide a client that does not read, so pings mark places in the stream of frames: the pong
tells that the client has read up to there. A client starts with one frame at a time, always with the newest
values; once a pong comes within :data:`EASY_S` it gets every flush, until one takes longer than :data:`HOLD_S`.
So what waits for one client is bounded by what is sent within :data:`HOLD_S`, whatever the buffers below would
take. Of a client that answers no pings at all only the buffers are known; it is closed when its time is over.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from web.websocket.channels import Channel
from web.websocket.frames import ping_frame
from web.websocket.limits import Limits

if TYPE_CHECKING:
    from hub.model.access import Principal

HangUp: TypeAlias = Callable[[int, str], None]
"""Ends a connection with a close code and a reason."""

MARK_EVERY_S = 0.4
MARK_EVERY_BYTES = 16 * 1024
HOLD_S = 0.5
EASY_S = 0.1


@dataclass(slots=True)
class Subscription:
    """A client's interest in a channel; it has seen everything up to flush ``since``."""

    id: int
    channel: Channel
    since: int


@dataclass(slots=True, eq=False)
class Client:
    """A signed-in connection."""

    transport: asyncio.Transport
    principal: Principal
    limits: Limits
    hang_up: HangUp
    coalesce: bool = False
    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    behind: bool = False
    closing: bool = False
    slow: bool = True
    _answers_pings: bool = False
    _marks: deque[tuple[int, float]] = field(default_factory=deque)
    _next_mark: int = 1
    _marked_s: float = 0.0
    _unmarked_bytes: int = 0
    _waiting_since_s: float | None = None
    _unsent_before: int = 0

    def offer(self, seq: int, now_s: float) -> None:
        """Send what is new in all subscriptions up to flush ``seq``, unless the client has enough to read."""
        if not self.subscriptions:
            return
        if not self.is_ready(now_s):
            self.behind = True
            return
        self.behind = False
        frames = []
        for subscription in self.subscriptions.values():
            data = subscription.channel.frames(subscription.since, subscription.id, self.coalesce)
            subscription.since = seq
            if data:
                frames.append(data)
        if frames:
            self._write(frames, now_s)

    def begin(self, now_s: float) -> None:
        """Find out how quick the client is, with a mark behind what was just sent."""
        self.slow = True
        if not self.closing and not self.transport.is_closing():
            self._write([], now_s)

    def is_ready(self, now_s: float) -> bool:
        """False while more would only wait in buffers."""
        if self.closing or self.transport.is_closing():
            return False
        if self._marks and self._answers_pings and (self.slow or self._is_late(now_s)):
            return False
        return self.transport.get_write_buffer_size() <= self.limits.buffer_bytes

    def pong(self, payload: bytes, now_s: float) -> None:
        """The client has read everything up to this mark; pongs to no mark of ours mean nothing."""
        if not payload.isdigit() or len(payload) > 18:
            return
        mark = int(payload)
        if not self._marks or not self._marks[0][0] <= mark < self._next_mark:
            return
        sent_s = now_s
        while self._marks and self._marks[0][0] <= mark:
            sent_s = self._marks.popleft()[1]
        self._answers_pings = True
        self._waiting_since_s = now_s if self._marks else None
        if self.slow and now_s - sent_s < EASY_S:
            self.slow = False

    def check(self, now_s: float) -> bool:
        """Ping a quiet connection; false if the client has read nothing for too long."""
        if self.closing or self.transport.is_closing():
            return True
        unsent = self.transport.get_write_buffer_size()
        moved = unsent < self._unsent_before
        self._unsent_before = unsent
        if not unsent and not self._marks:
            self._waiting_since_s = None
            if now_s - self._marked_s >= self.limits.heartbeat_s:
                self._write([], now_s)
        elif moved or self._waiting_since_s is None:
            self._waiting_since_s = now_s
        elif now_s - self._waiting_since_s >= self.limits.stuck_s:
            return False
        return True

    def _is_late(self, now_s: float) -> bool:
        if now_s - self._marks[0][1] > HOLD_S:
            self.slow = True
        return self.slow

    def _write(self, frames: list[bytes], now_s: float) -> None:
        self._unmarked_bytes += sum(map(len, frames))
        due = now_s - self._marked_s >= MARK_EVERY_S or self._unmarked_bytes >= MARK_EVERY_BYTES
        if due or self.slow:
            frames.append(ping_frame(b"%d" % self._next_mark))
            self._marks.append((self._next_mark, now_s))
            if self._waiting_since_s is None:
                self._waiting_since_s = now_s
            self._next_mark += 1
            self._marked_s, self._unmarked_bytes = now_s, 0
        self.transport.write(b"".join(frames) if len(frames) > 1 else frames[0])
