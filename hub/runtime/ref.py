"""How to talk to an actor: ``tell``, ``tell_wait``, ``request`` and ``stop``.

*Ask downwards only; tell everywhere else.* An actor that awaits the answer of another one handles nothing
meanwhile, so two actors asking each other would wait for their timeouts; :func:`request` sees such a circle
and refuses it at once.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Literal, TypeVar, cast

import pykka
from pykka._envelope import Envelope

from hub.errors import Bug, RetryLater
from hub.runtime.future import AsyncFuture
from hub.runtime.inbox import Inbox

Answer = TypeVar("Answer")

Standing = Literal["starting", "running", "stopping", "restarting", "quarantined", "stopped"]


class Request(Generic[Answer]):
    """Base of the frozen dataclasses that ask an actor for something; ``Answer`` is the type of the reply.

    A request is always durable: it waits for room in a full inbox instead of being dropped.
    """

    __slots__ = ()


class ActorTimeout(RetryLater):
    """No answer in time (``WL-RUN-001``). The actor may still do the work later, or may have done it."""


class ActorUnavailable(RetryLater, pykka.ActorDeadError):
    """The actor is stopped (``WL-RUN-003``), or restarting or quarantined (``WL-RUN-004``)."""


class Ref(pykka.ActorRef[Any]):
    """The address of an actor. It outlives the actor.

    When the supervisor restarts an actor, the new one takes over address and inbox: whoever holds the ref
    keeps it, and what was sent meanwhile waits in the same bounded inbox. Refs are made by the runtime.

    Attributes:
        name: unique name under a supervisor, else the class name.
        standing: what the actor is doing now.
        last_error: one line about the last failure of a supervised actor, or empty.
    """

    def __init__(self, name: str, inbox: Inbox) -> None:
        # pykka's own __init__ wants a living actor; a supervised ref exists before its first actor
        self.name = name
        self.inbox = inbox
        self.actor_inbox = cast(Any, inbox)  # our envelopes are pykka's, seen through a protocol
        self.actor_urn = f"actor:{name}"
        self.actor_stopped = threading.Event()
        self._actor_weakref = cast(Any, lambda: None)  # no actor yet
        self.task: asyncio.Task[None] | None = None
        self.stopper: Callable[[float], Awaitable[bool]] | None = None
        self.standing: Standing = "starting"
        self.on_standing: Callable[[Standing], None] | None = None
        self.last_error = ""
        self.asking: Ref | None = None

    def __repr__(self) -> str:
        return f"<Ref {self.name}>"

    __str__ = __repr__

    @property
    def supervised(self) -> bool:
        """True if a supervisor restarts the actor when it fails."""
        return self.stopper is not None

    def attach(self, actor: pykka.Actor) -> None:
        """Give the address to an actor (again after a restart)."""
        self._actor_weakref = weakref.ref(actor)
        self.actor_class = type(actor)
        self.actor_urn = actor.actor_urn
        self.actor_stopped = actor.actor_stopped
        actor.actor_inbox = self.actor_inbox

    def stand(self, standing: Standing) -> None:
        """Note what the actor is doing now and tell its supervisor."""
        self.standing = standing
        if self.on_standing is not None:
            self.on_standing(standing)

    def is_alive(self) -> bool:
        """True until the actor is stopped for good; a restarting or quarantined actor is alive."""
        return not self.inbox.closed

    def tell(self, message: Any) -> None:
        """Send without waiting for anything; safe from every thread.

        Raises:
            QueueFull: ``WL-RUN-002``, a durable message and the inbox is full.
            ActorUnavailable: ``WL-RUN-003``, the actor was stopped.
        """
        self.inbox.put(Envelope(message))


_SERVING: dict[asyncio.Task[Any], Ref] = {}


def serve_as(ref: Ref, task: asyncio.Task[Any]) -> None:
    """Note that ``task`` handles the messages of ``ref`` (for the detection of circles)."""
    _SERVING[task] = ref


def serve_no_more(task: asyncio.Task[Any]) -> None:
    """Undo :func:`serve_as`."""
    _SERVING.pop(task, None)


def tell(ref: Ref, message: Any) -> None:
    """Send without waiting for anything; safe from every thread. Raises as :meth:`Ref.tell`."""
    ref.tell(message)


async def tell_wait(ref: Ref, message: Any, *, timeout_s: float | None = None) -> None:
    """Send a durable message and wait while the inbox is full (back-pressure), first come first served.

    Raises:
        QueueFull: ``WL-RUN-002``, no room within ``timeout_s`` (``None`` waits for ever); nothing was sent.
        ActorUnavailable: ``WL-RUN-003``, the actor was stopped.
    """
    envelope = Envelope(message)
    room = ref.inbox.offer(envelope)
    if room is not None:
        await _room(ref, envelope, room, timeout_s)


async def request(ref: Ref, message: Request[Answer], *, timeout_s: float = 10.0) -> Answer:
    """Ask an actor and wait for its answer. The one way to ask.

    Args:
        ref: whom.
        message: what; its class says the type of the answer.
        timeout_s: limit for all of it: room in the inbox, waiting, work. A question that is still in the
            inbox when its asker has gone is skipped.

    Raises:
        ActorTimeout: ``WL-RUN-001``, no answer in time.
        QueueFull: ``WL-RUN-002``, not even room in the inbox in time.
        ActorUnavailable: ``WL-RUN-003`` stopped, ``WL-RUN-004`` restarting or quarantined.
        Bug: ``WL-RUN-007``, the actors would wait for each other in a circle.
        Exception: whatever the handler raised.
    """
    if ref.standing == "quarantined":
        raise unavailable(ref)
    loop = asyncio.get_running_loop()
    asker = _SERVING.get(asyncio.current_task(loop))  # type: ignore[arg-type]  # None is simply not found
    if asker is not None:
        _refuse_circle(asker, ref)
        asker.asking = ref
    reply: AsyncFuture = AsyncFuture()
    envelope = Envelope(message, reply)
    alarm = loop.call_later(timeout_s, _expire, ref, envelope, timeout_s)
    try:
        room = ref.inbox.offer(envelope)
        if room is not None:
            await _room(ref, envelope, room, None)
        return cast(Answer, await reply.inner)
    finally:
        alarm.cancel()
        if asker is not None:
            asker.asking = None


async def stop(ref: Ref, *, timeout_s: float = 5.0) -> bool:
    """Stop an actor after the messages it already has, and wait until its ``teardown`` is done.

    Returns:
        True if it ended by itself in time, False if it had to be cancelled.
    """
    if ref.stopper is not None:
        return await ref.stopper(timeout_s)
    return await stop_task(ref, timeout_s)


async def stop_task(ref: Ref, timeout_s: float, *, grace_s: float = 1.0) -> bool:
    """Stop the running actor behind ``ref``: ask, wait, cancel, wait a little, then give it up.

    Raises:
        Bug: ``WL-RUN-012``, an actor would wait for its own end.
    """
    task = ref.task
    if task is None or task.done():
        return True
    if task is asyncio.current_task():
        raise Bug(
            "WL-RUN-012",
            "an actor cannot wait for its own end",
            where=ref.name,
            hint="call self.stop() and return",
        )
    if ref.is_alive():
        ref.tell(pykka.messages._ActorStop())
    await asyncio.wait({task}, timeout=timeout_s)
    if task.done():
        return True
    task.cancel()
    await asyncio.wait({task}, timeout=grace_s)
    return False


def refuse_requests(ref: Ref) -> None:
    """Answer everybody who waits for an answer that there will be none; other messages stay."""
    while requests := ref.inbox.take_requests():
        for envelope in requests:
            error = unavailable(ref)
            envelope.reply_to.set_exception((type(error), error, None))


def unavailable(ref: Ref) -> ActorUnavailable:
    """The error that fits what the actor behind ``ref`` is doing."""
    if ref.inbox.closed:
        return ActorUnavailable("WL-RUN-003", "this part of the hub is stopped", where=ref.name)
    return ActorUnavailable(
        "WL-RUN-004",
        f"this part of the hub is {ref.standing}" + (f" after {ref.last_error}" if ref.last_error else ""),
        where=ref.name,
        hint="try again in a moment; a quarantined part stays off until it is resumed on the system page",
    )


async def _room(
    ref: Ref, envelope: Envelope[Any], room: asyncio.Future[None], timeout_s: float | None
) -> None:
    alarm = None
    if timeout_s is not None:
        alarm = asyncio.get_running_loop().call_later(timeout_s, ref.inbox.withdraw, envelope)
    try:
        await room
    except asyncio.CancelledError:
        ref.inbox.withdraw(envelope)
        raise
    finally:
        if alarm is not None:
            alarm.cancel()


def _expire(ref: Ref, envelope: Envelope[Any], timeout_s: float) -> None:
    if ref.inbox.withdraw(envelope) or envelope.reply_to is None:
        return
    error: RetryLater = ActorTimeout(
        "WL-RUN-001",
        f"no answer to {type(envelope.message).__name__} within {timeout_s:g} s",
        where=ref.name,
        hint="try again; if it lasts, this part of the hub is overloaded or stuck",
    )
    if ref.standing not in ("running", "starting"):
        error = unavailable(ref)
    envelope.reply_to.set_exception((type(error), error, None))


def _refuse_circle(asker: Ref, asked: Ref) -> None:
    step: Ref | None = asked
    while step is not None:
        if step is asker:
            raise Bug(
                "WL-RUN-007",
                f"{asker.name} asks {asked.name}, which waits for {asker.name}",
                where=asker.name,
                hint="ask downwards only and tell everywhere else",
            )
        step = step.asking
