"""What the supervisor tells about its actors: events as they happen, and a snapshot of each."""

from __future__ import annotations

from dataclasses import dataclass

from hub.runtime.ref import Standing


@dataclass(frozen=True, slots=True)
class ActorFailed:
    """An actor ended with an error. ``failures`` counts those within the window."""

    name: str
    error: str
    stack: str
    failures: int
    quarantined: bool
    ts_ms: int


@dataclass(frozen=True, slots=True)
class ActorStuck:
    """Messages wait and the actor has finished none for ``waited_s`` seconds.

    ``current`` is the class of the message it works on, or ``starting`` while it is in ``setup``.
    """

    name: str
    waited_s: float
    depth: int
    current: str
    ts_ms: int


@dataclass(frozen=True, slots=True)
class ActorRecovered:
    """A stuck actor goes on, or a quarantined one was resumed and runs."""

    name: str
    ts_ms: int


ActorEvent = ActorFailed | ActorStuck | ActorRecovered


@dataclass(frozen=True, slots=True)
class ActorHealth:
    """Snapshot of one actor for ``/health``; times are UTC epoch milliseconds."""

    name: str
    state: Standing
    since_ms: int
    failures: int
    restarts: int
    last_error: str
    last_failure_ms: int | None
    depth: int
    handled: int
    dropped: int
    coalesced: int
    refused: int
    stuck_s: float
