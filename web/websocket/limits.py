"""Every bound of a websocket connection in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are seconds, sizes bytes.

    Args:
        auth_s: a connection that has not signed in by then is closed.
        stuck_s: a client that has read nothing for so long is closed with 1013.
        heartbeat_s: distance of pings on a quiet connection.
        tick_s: distance of the looks at every connection.
        message_bytes: the largest message a client may send.
        buffer_bytes: a client with more than this unsent gets nothing new but the newest values later.
        kernel_buffer_bytes: send buffer asked of the system per connection.
        flush_min_s: distance of two flushes at rest; ``flush_max_s`` under load. A little under 10 ms, so
            that a source with a hundred changes a second does not stay behind itself once it was late.
        connections: open at most; ``strangers`` of them not signed in yet.
        subscriptions: per connection.
        commands_per_s: sustained rate per connection, after ``command_burst``; faster clients wait.
    """

    auth_s: float = 10.0
    stuck_s: float = 29.0
    heartbeat_s: float = 30.0
    tick_s: float = 1.0
    message_bytes: int = 64 * 1024
    buffer_bytes: int = 64 * 1024
    kernel_buffer_bytes: int = 64 * 1024
    flush_min_s: float = 0.008
    flush_max_s: float = 0.250
    connections: int = 2_000
    strangers: int = 500
    subscriptions: int = 64
    commands_per_s: float = 50.0
    command_burst: float = 200.0
