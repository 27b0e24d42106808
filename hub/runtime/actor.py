"""Actors on the running asyncio loop: one task per actor, no threads.

pykka offers three hooks for new runtimes (``_create_actor_inbox``, ``_create_future`` and
``_start_actor_loop``); this module implements them and is, with :mod:`hub.runtime.ref` and
:mod:`hub.runtime.future`, the only place that knows pykka's insides.

What an actor promises:

- One message at a time, in order of arrival. A coroutine handler is awaited before the next message.
- A handler may return a :class:`Deferred` (any ``asyncio.Future``): the asker gets its result when it
  resolves, and the actor goes on with the next message meanwhile. Group commit lives on this.
- An exception while answering a *request* goes to the asker and the actor lives on. An exception while
  handling a *tell* ends the actor: nobody is there to hear of it and its state may be half changed. Its
  supervisor starts a new one with empty state, which finds all waiting messages in the same inbox; the one
  that failed is not tried again.
- ``SystemExit``, ``KeyboardInterrupt`` and their like end the actor that raised them, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from time import perf_counter
from types import CoroutineType
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import pykka
from pykka import messages
from pykka._envelope import Envelope

from hub.errors import Bug, RetryLater, WattlineError
from hub.runtime.future import AsyncFuture
from hub.runtime.inbox import DEFAULT_LIMIT, DEFAULT_LIVE_LIMIT, Inbox
from hub.runtime.ref import (
    ActorTimeout,
    ActorUnavailable,
    Ref,
    Request,
    request,
    serve_as,
    serve_no_more,
    stop,
    tell,
    tell_wait,
    unavailable,
)

__all__ = [
    "ActorTimeout",
    "ActorUnavailable",
    "AsyncActor",
    "Deferred",
    "Ending",
    "Ref",
    "Request",
    "launch",
    "new_ref",
    "request",
    "stop",
    "tell",
    "tell_wait",
]

LOGGER = logging.getLogger(__name__)

Deferred: TypeAlias = asyncio.Future

MESSAGES_PER_SLICE = 256
SLICE_S = 0.004

_BIRTH: ContextVar[Ref | None] = ContextVar("wattline_actor_birth", default=None)
_UNLIMITED = frozenset({messages._ActorStop})


class Ending(NamedTuple):
    """How the life of one actor ended; ``error`` is ``None`` if it was stopped."""

    error: BaseException | None
    phase: Literal["setup", "receive"]
    stack: str


class _DeferredFailed(NamedTuple):
    """A deferred result of a tell failed after the handler had returned."""

    error: BaseException


class _Promise:
    """An answer that follows later. Several may wait for one result: all rows of one commit."""

    __slots__ = ("reply", "result")

    def __init__(self, result: asyncio.Future[Any], reply: AsyncFuture | None) -> None:
        self.result = result
        self.reply = reply


class AsyncActor(pykka.Actor):
    """Base of all actors. Override ``on_receive`` (plain or ``async``), ``setup`` and ``teardown``.

    Create it under a supervisor (``supervisor.start("recorder", lambda: RecorderActor(bus))``), or with
    ``RecorderActor.start(bus)`` where nothing needs to restart it.

    Class attributes to override:
        inbox_limit: durable messages that may wait.
        live_limit: live messages that may wait.
        teardown_limit_s: ``teardown`` is cancelled after this time.
    """

    inbox_limit: ClassVar[int] = DEFAULT_LIMIT
    live_limit: ClassVar[int] = DEFAULT_LIVE_LIMIT
    teardown_limit_s: ClassVar[float] = 5.0

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        super().__init__()
        ref = _BIRTH.get()
        _BIRTH.set(None)  # only the first actor a factory makes gets the supervised address
        self._ref = ref or new_ref(type(self).__name__)
        self._ref.attach(self)
        self._ref.inbox.limit = self.inbox_limit
        self._ref.inbox.live_limit = self.live_limit
        self._actor_ref = self._ref
        self._promises: set[_Promise] = set()
        self._cleanups: list[Callable[[], object]] = []
        self._current: Any = None
        self.handled = 0
        self.ending: Ending | None = None

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> Ref:
        """Create an actor without supervisor and start it on the running loop."""
        token = _BIRTH.set(None)
        try:
            actor = cls(*args, **kwargs)
        finally:
            _BIRTH.reset(token)
        launch(actor)
        return actor._ref

    @property
    def ref(self) -> Ref:
        """This actor's address; it outlives the actor, so subscribe and hand out this."""
        return self._ref

    @property
    def current(self) -> Any:
        """The message being handled, ``None`` between messages."""
        return self._current

    async def setup(self) -> None:
        """Open what the actor needs. Runs before the first message; an error ends the actor."""

    async def teardown(self) -> None:
        """Close what ``setup`` opened. Always runs, also after a failure and after a failed ``setup``."""

    def at_end(self, cleanup: Callable[[], object]) -> None:
        """Call ``cleanup`` when the actor has ended, however it ended; the last one given runs first."""
        self._cleanups.append(cleanup)

    def deferred(self) -> Deferred[Any]:
        """A future that a handler can return now and resolve later.

        Those still open after ``teardown`` are answered with ``ActorUnavailable``.
        """
        return asyncio.get_running_loop().create_future()

    # --- the three hooks of pykka

    @staticmethod
    def _create_actor_inbox() -> Any:
        return Inbox()  # replaced by the one of the ref, which survives the actor

    @staticmethod
    def _create_future() -> AsyncFuture:
        return AsyncFuture()

    def _start_actor_loop(self) -> None:
        loop = asyncio.get_running_loop()
        self._ref.inbox.bind(loop)
        # the ref keeps the task, the task keeps the actor
        self._ref.task = loop.create_task(self._live(), name=f"actor:{self._ref.name}")

    # --- the life of an actor

    async def _live(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        serve_as(self._ref, task)
        phase: Literal["setup", "receive"] = "setup"
        error: BaseException | None = None
        try:
            self.on_start()
            await self.setup()
            phase = "receive"
            self._ref.stand("running")
            await self._serve()
        except GeneratorExit:
            raise
        except BaseException as failure:  # noqa: BLE001 - the border: SystemExit would stop all other actors
            error = failure
            self._note_failure(task, failure)
        self._ref.stand("stopping" if error is None or not self._ref.supervised else "restarting")
        stack = "".join(traceback.format_exception(error)) if error is not None else ""
        self.ending = Ending(error, phase, stack)
        await self._close_down(task)

    async def _serve(self) -> None:
        inbox = self._ref.inbox
        stopped = self.actor_stopped.is_set
        slice_end_s = perf_counter() + SLICE_S
        left = MESSAGES_PER_SLICE
        while not stopped():
            if inbox.empty():
                if inbox.closed:  # given up while it ignored its cancellation
                    return
                await inbox.wait()
                slice_end_s = perf_counter() + SLICE_S
                left = MESSAGES_PER_SLICE
                continue
            envelope = inbox.get()
            reply: AsyncFuture | None = envelope.reply_to
            if reply is not None and reply.inner.done():
                continue  # its asker has gone
            self._current = envelope.message
            try:
                answer = self._handle_receive(envelope.message)
                if type(answer) is CoroutineType:
                    answer = await answer
                if answer is not None and isinstance(answer, asyncio.Future):
                    self._promise(answer, reply)
                elif reply is not None:
                    reply.set(answer)
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - the border between handlers and the loop
                self._answer_failure(reply, error)
            self._current = None
            self.handled += 1
            left -= 1
            if left <= 0 or perf_counter() > slice_end_s:
                await asyncio.sleep(0)
                slice_end_s = perf_counter() + SLICE_S
                left = MESSAGES_PER_SLICE

    def _handle_receive(self, message: Any) -> Any:
        kind = type(message)
        if kind is _DeferredFailed:
            raise message.error
        return super()._handle_receive(message)

    def _answer_failure(self, reply: AsyncFuture | None, error: BaseException) -> None:
        """Give the error of a handler to its asker, or raise it on if it must end the actor."""
        cancelled = isinstance(error, asyncio.CancelledError)
        if cancelled and _is_being_cancelled():
            self._ref.stand("restarting" if self._ref.supervised else "stopping")
            _reply_error(reply, unavailable(self._ref))
            raise error
        if reply is None:
            raise error
        if cancelled:
            _reply_error(reply, RetryLater("WL-RUN-005", "the work was cancelled", where=self._ref.name))
            return
        if not isinstance(error, Exception):
            _reply_error(reply, error)
            raise error
        if not isinstance(error, WattlineError):
            LOGGER.info(
                "%s answered %s with an error", self._ref.name, type(self._current).__name__, exc_info=error
            )
        _reply_error(reply, error)

    def _promise(self, result: asyncio.Future[Any], reply: AsyncFuture | None) -> None:
        promise = _Promise(result, reply)
        self._promises.add(promise)
        result.add_done_callback(partial(self._keep_promise, promise))

    def _keep_promise(self, promise: _Promise, result: asyncio.Future[Any]) -> None:
        error: BaseException | None
        if result.cancelled():
            error = RetryLater("WL-RUN-005", "the work was cancelled", where=self._ref.name)
        else:
            error = result.exception()
        if promise not in self._promises:
            return  # the actor has ended and the asker was told so
        self._promises.remove(promise)
        reply = promise.reply
        if reply is not None:
            _reply_error(reply, error) if error is not None else reply.set(result.result())
        elif error is not None and not self.actor_stopped.is_set():
            self._ref.inbox.force(Envelope(_DeferredFailed(error)))

    def _note_failure(self, task: asyncio.Task[Any], error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError) and task.cancelling():
            while task.uncancel():  # so that teardown can wait for things
                pass
            self._end_at_once()
            return
        self._end_at_once()
        if isinstance(error, RetryLater):
            LOGGER.debug("%s ended", self._ref.name, exc_info=error)  # its supervisor says so, and only once
        else:
            LOGGER.error("%s failed", self._ref.name, exc_info=error)
        try:
            self.on_failure(type(error), error, error.__traceback__)
        except BaseException:
            LOGGER.exception("%s: on_failure failed", self._ref.name)

    def _end_at_once(self) -> None:
        pykka.ActorRegistry.unregister(self._ref)
        self.actor_stopped.set()

    async def _close_down(self, task: asyncio.Task[Any]) -> None:
        try:
            await self._wind_up()
        finally:
            promises, self._promises = self._promises, set()
            for promise in promises:
                _reply_error(promise.reply, unavailable(self._ref))
            if not self._ref.supervised:
                self._actor_loop_teardown()
            serve_no_more(task)

    async def _wind_up(self) -> None:
        try:
            async with asyncio.timeout(self.teardown_limit_s):
                await self.teardown()
        except GeneratorExit:
            raise
        except BaseException:
            LOGGER.exception("%s: teardown failed", self._ref.name)
        while self._cleanups:
            self._run_cleanup(self._cleanups.pop())
        await asyncio.sleep(0)  # let results that teardown resolved reach their askers

    def _run_cleanup(self, cleanup: Callable[[], object]) -> None:
        try:
            cleanup()
        except BaseException:
            LOGGER.exception("%s: a clean-up failed", self._ref.name)

    def _actor_loop_teardown(self) -> None:
        close_inbox(self._ref)


def close_inbox(ref: Ref) -> None:
    """Refuse all further messages and answer those that wait: stopped for good."""
    inbox = ref.inbox
    inbox.close(lambda: unavailable(ref))
    ref.stand("stopped")
    lost = 0
    while not inbox.empty():
        envelope = inbox.get()
        if isinstance(envelope.message, messages._ActorStop):
            if envelope.reply_to is not None:
                envelope.reply_to.set(None)
        elif envelope.reply_to is not None:
            _reply_error(envelope.reply_to, unavailable(ref))
        else:
            lost += 1
    if lost:
        LOGGER.warning("%s is stopped and left %d messages unhandled", ref.name, lost)


def new_ref(name: str) -> Ref:
    """An address without an actor yet; messages sent to it wait."""
    ref = Ref(name, Inbox(name, unlimited=_UNLIMITED))
    ref.actor_class = AsyncActor
    return ref


def launch(actor: AsyncActor) -> None:
    """Register an actor with pykka and start it on the running loop."""
    pykka.ActorRegistry.register(actor.ref)
    actor._start_actor_loop()


def build(ref: Ref, factory: Callable[[], AsyncActor]) -> AsyncActor:
    """Let ``factory`` create an actor that takes over ``ref``.

    Raises:
        Bug: ``WL-RUN-009``, the factory returned an actor that existed before, or made another one first.
    """
    token = _BIRTH.set(ref)
    try:
        actor = factory()
    finally:
        _BIRTH.reset(token)
    if actor.ref is not ref:
        raise Bug(
            "WL-RUN-009",
            "the factory must create exactly one new actor and return it",
            where=ref.name,
            hint="start child actors in setup() and give the factory no finished actor",
        )
    return actor


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _reply_error(reply: AsyncFuture | None, error: BaseException) -> None:
    if reply is not None:
        reply.set_exception((type(error), error, error.__traceback__))
