"""The supervisor owns every actor: it starts, restarts, watches and stops them.

The class of an error tells what happens to the actor that it ended:

- any error: restarted after a back-off; the ``max_failures``-th within ``window_s`` puts the actor in
  *quarantine*, where it stays until :meth:`Supervisor.resume`. Its waiting requests are answered with an
  error, other messages wait in the bounded inbox.
- ``AskUser`` (wrong configuration or credentials): quarantine at once, trying again cannot help.
- ``RetryLater`` out of ``setup()`` (a server is away): restarted for ever, it does not count towards
  quarantine.
"""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from hub.errors import AskUser, NotFound, Refused, RetryLater
from hub.runtime.actor import AsyncActor, Ref, build, close_inbox, launch, new_ref
from hub.runtime.backoff import Backoff
from hub.runtime.clock import Clock, SystemClock
from hub.runtime.health import ActorEvent, ActorFailed, ActorHealth, ActorRecovered, ActorStuck
from hub.runtime.ref import refuse_requests, stop_task, unavailable

__all__ = [
    "ActorEvent",
    "ActorFailed",
    "ActorHealth",
    "ActorRecovered",
    "ActorStuck",
    "Supervisor",
]

LOGGER = logging.getLogger(__name__)


@dataclass
class _Child:
    """What the supervisor knows about one actor."""

    name: str
    factory: Callable[[], AsyncActor]
    ref: Ref
    backoff: Backoff
    since_ms: int
    actor: AsyncActor | None = None
    keeper: asyncio.Task[None] | None = None
    failures: int = 0
    restarts: int = 0
    recent: deque[float] = field(default_factory=deque)
    last_failure_ms: int | None = None
    handled_before: int = 0
    seen_handled: int = -1
    seen_at_s: float = 0.0
    stuck_s: float = 0.0
    restart_asked: bool = False
    stop_asked: bool = False
    last_failure_s: float | None = None
    logged: str = ""
    resumed: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def handled(self) -> int:
        return self.handled_before + (self.actor.handled if self.actor else 0)


class Supervisor:
    """Keeps actors alive.

    Args:
        clock: for back-off, the failure window and the heartbeat.
        on_event: called with :class:`ActorFailed`, :class:`ActorStuck` and :class:`ActorRecovered`, e.g.
            ``bus.publish``; it must not block. What it raises is logged.
        max_failures: this many failures within ``window_s`` seconds mean quarantine.
        window_s: see ``max_failures``.
        backoff_base_s: upper end of the first wait before a restart.
        backoff_cap_s: longest wait before a restart.
        heartbeat_s: how often the inboxes are looked at.
        stuck_after_s: an actor that has work and finishes nothing for this long is reported.
        cancel_grace_s: how long a cancelled actor may take to end before it is given up.
        rng: chance for the jitter of the back-off.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        on_event: Callable[[ActorEvent], None] | None = None,
        max_failures: int = 5,
        window_s: float = 60.0,
        backoff_base_s: float = 0.5,
        backoff_cap_s: float = 30.0,
        heartbeat_s: float = 5.0,
        stuck_after_s: float = 30.0,
        cancel_grace_s: float = 1.0,
        rng: random.Random | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._on_event = on_event
        self._max_failures = max_failures
        self._window_s = window_s
        self._backoff_base_s = backoff_base_s
        self._backoff_cap_s = backoff_cap_s
        self._heartbeat_s = heartbeat_s
        self._stuck_after_s = stuck_after_s
        self._cancel_grace_s = cancel_grace_s
        self._rng = rng or random.Random()
        self._children: dict[str, _Child] = {}
        self._heart: asyncio.Task[None] | None = None

    def start(self, name: str, factory: Callable[[], AsyncActor]) -> Ref:
        """Start an actor and keep it running.

        Args:
            name: unique; the name of a stopped actor can be used again.
            factory: creates one new actor, e.g. ``lambda: RecorderActor(bus)``; called for each (re)start.

        Returns:
            its ref, valid over all restarts. Messages may be sent at once; see :meth:`ready` to wait.

        Raises:
            Refused: ``WL-RUN-010``, the name is taken.
        """
        known = self._children.get(name)
        if known is not None and known.ref.standing != "stopped":
            raise Refused("WL-RUN-010", "an actor of this name is running", where=name)
        ref = new_ref(name)
        child = _Child(
            name,
            factory,
            ref,
            Backoff(self._backoff_base_s, self._backoff_cap_s, rng=self._rng),
            self._clock.now_ms(),
        )
        ref.on_standing = lambda _: self._note_standing(child)
        ref.stopper = lambda timeout_s: self.stop(name, timeout_s=timeout_s)
        self._children.pop(name, None)  # so that a reused name moves to the end of the order
        self._children[name] = child
        child.keeper = asyncio.create_task(self._keep(child), name=f"keeper:{name}")
        if self._heart is None:
            self._heart = asyncio.create_task(self._beat(), name="supervisor")
        return ref

    async def ready(self, name: str, *, timeout_s: float = 30.0) -> Ref:
        """Wait until an actor has finished its ``setup``.

        Raises:
            NotFound: ``WL-RUN-011``, no actor of this name.
            ActorUnavailable: it is quarantined, stopped, or not running in time; the message tells
                its last error.
        """
        child = self._child(name)
        try:
            async with asyncio.timeout(timeout_s):
                while child.ref.standing not in ("running", "quarantined", "stopped"):
                    child.changed.clear()
                    await child.changed.wait()
        except TimeoutError:
            raise unavailable(child.ref) from None
        if child.ref.standing != "running":
            raise unavailable(child.ref)
        return child.ref

    def ref(self, name: str) -> Ref:
        """The ref of an actor. Raises ``NotFound`` (``WL-RUN-011``)."""
        return self._child(name).ref

    def resume(self, name: str) -> None:
        """Start a quarantined actor again with a clean record; without effect in other states.

        Raises:
            NotFound: ``WL-RUN-011``, no actor of this name.
        """
        child = self._child(name)
        if child.ref.standing == "quarantined":
            child.ref.stand("starting")
            child.resumed.set()

    def restart(self, name: str) -> None:
        """Cancel the actor as it runs, however stuck, and start a new one; its waiting messages stay.

        Raises:
            NotFound: ``WL-RUN-011``, no actor of this name.
        """
        child = self._child(name)
        if child.ref.task is not None and not child.ref.task.done():
            child.restart_asked = True
            child.ref.task.cancel()

    async def stop(self, name: str, *, timeout_s: float = 5.0) -> bool:
        """Stop an actor after the messages it has, for good.

        Returns:
            True if it ended by itself within ``timeout_s``, False if it had to be cancelled.

        Raises:
            NotFound: ``WL-RUN-011``, no actor of this name.
        """
        child = self._child(name)
        child.stop_asked = child.ref.task is not asyncio.current_task()
        clean = await stop_task(child.ref, timeout_s, grace_s=self._cancel_grace_s)
        if child.keeper is not None and child.keeper is not asyncio.current_task():
            child.keeper.cancel()
            await asyncio.wait({child.keeper})
        close_inbox(child.ref)
        if not clean:
            LOGGER.warning("%s did not stop within %g s and was cancelled", name, timeout_s)
        return clean

    async def stop_all(self, *, timeout_s: float = 5.0) -> list[str]:
        """Stop all actors, the youngest first.

        One that hangs may use up half of the time that is left, so that those below it (which store what the
        others gave them) still have theirs.

        Returns:
            the names of those that had to be cancelled.
        """
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.wait({self._heart})
            self._heart = None
        loop = asyncio.get_running_loop()
        end_s = loop.time() + timeout_s
        running = [child for child in self._children.values() if child.ref.standing != "stopped"]
        forced = []
        for position, child in enumerate(reversed(running)):
            left_s = max(end_s - loop.time(), 0.05)
            is_last = position == len(running) - 1
            if not await self.stop(child.name, timeout_s=left_s if is_last else left_s / 2):
                forced.append(child.name)
        return forced

    def health(self) -> list[ActorHealth]:
        """A snapshot of all actors in the order of their start."""
        return [self._health_of(child) for child in self._children.values()]

    def _health_of(self, child: _Child) -> ActorHealth:
        inbox = child.ref.inbox
        return ActorHealth(
            name=child.name,
            state=child.ref.standing,
            since_ms=child.since_ms,
            failures=child.failures,
            restarts=child.restarts,
            last_error=child.ref.last_error,
            last_failure_ms=child.last_failure_ms,
            depth=inbox.depth,
            handled=child.handled,
            dropped=inbox.dropped,
            coalesced=inbox.coalesced,
            refused=inbox.refused,
            stuck_s=child.stuck_s,
        )

    def _child(self, name: str) -> _Child:
        try:
            return self._children[name]
        except KeyError:
            raise NotFound("WL-RUN-011", "there is no actor of this name", where=name) from None

    # --- one life after the other

    async def _keep(self, child: _Child) -> None:
        while True:
            child.ref.stand("starting")
            error, stack, phase = await self._one_life(child)
            if error is None or child.stop_asked:
                break
            if child.restart_asked and isinstance(error, asyncio.CancelledError):
                child.restart_asked = False
                child.restarts += 1
                continue
            quarantined = self._count_failure(child, error, stack, phase)
            del error  # its traceback would keep the dead actor and all that it held in memory
            if quarantined:
                await self._quarantine(child)
            else:
                child.ref.stand("restarting")
                await self._clock.sleep(child.backoff.next_s())
            child.restarts += 1
        close_inbox(child.ref)

    async def _one_life(self, child: _Child) -> tuple[BaseException | None, str, str]:
        try:
            actor = build(child.ref, child.factory)
        except BaseException as error:  # noqa: BLE001 - actor border: a constructor is the actor's own code
            return error, traceback.format_exc(), "setup"
        child.actor = actor
        launch(actor)
        task = child.ref.task
        assert task is not None
        try:
            await asyncio.wait({task})
        finally:
            child.handled_before += actor.handled
            child.actor = None
        ending = actor.ending
        if ending is None:
            return RuntimeError("the actor was torn down by its event loop"), "", "receive"
        return ending.error, ending.stack, ending.phase

    def _count_failure(self, child: _Child, error: BaseException, stack: str, phase: str) -> bool:
        now_s = self._clock.monotonic_s()
        if child.last_failure_s is not None and now_s - child.last_failure_s > self._window_s:
            child.backoff.reset()
        child.last_failure_s = now_s
        child.failures += 1
        text = child.ref.last_error = _one_line(error)
        child.last_failure_ms = self._clock.now_ms()
        if not (phase == "setup" and isinstance(error, RetryLater)):
            child.recent.append(now_s)
        while child.recent and now_s - child.recent[0] > self._window_s:
            child.recent.popleft()
        quarantined = isinstance(error, AskUser) or len(child.recent) >= self._max_failures
        if quarantined:
            LOGGER.error("%s is quarantined until it is resumed: %s", child.name, text)
        elif child.logged != type(error).__name__:  # a server that is away for hours is worth one line
            child.logged = type(error).__name__
            LOGGER.warning("%s will be restarted: %s", child.name, text)
        self._emit(
            ActorFailed(child.name, text, stack, len(child.recent), quarantined, child.last_failure_ms)
        )
        return quarantined

    async def _quarantine(self, child: _Child) -> None:
        child.resumed.clear()
        child.ref.stand("quarantined")
        refuse_requests(child.ref)
        await child.resumed.wait()
        child.recent.clear()
        child.backoff.reset()
        LOGGER.info("%s is resumed", child.name)
        self._emit(ActorRecovered(child.name, self._clock.now_ms()))

    def _note_standing(self, child: _Child) -> None:
        child.since_ms = self._clock.now_ms()
        child.changed.set()
        if child.ref.standing == "running":
            child.logged = ""

    def _emit(self, event: ActorEvent) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:  # a border: a listener must not end the supervisor
            LOGGER.exception("a listener failed on %s", type(event).__name__)

    # --- heartbeat

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self._heartbeat_s)
            now_s = self._clock.monotonic_s()
            for child in self._children.values():
                self._check_progress(child, now_s)

    def _check_progress(self, child: _Child, now_s: float) -> None:
        actor = child.actor
        waiting = child.ref.inbox.depth > 0 or child.ref.standing == "starting"
        idle = actor is None or not (waiting or actor.current is not None)
        if idle or child.handled != child.seen_handled:
            child.seen_handled = child.handled
            child.seen_at_s = now_s
            if child.stuck_s:
                child.stuck_s = 0.0
                LOGGER.info("%s goes on", child.name)
                self._emit(ActorRecovered(child.name, self._clock.now_ms()))
            return
        waited_s = now_s - child.seen_at_s
        if waited_s < self._stuck_after_s:
            return
        if not child.stuck_s and actor is not None:
            self._report_stuck(child, actor, waited_s)
        child.stuck_s = waited_s

    def _report_stuck(self, child: _Child, actor: AsyncActor, waited_s: float) -> None:
        depth = child.ref.inbox.depth
        current = type(actor.current).__name__ if actor.current is not None else child.ref.standing
        LOGGER.warning(
            "%s has finished nothing for %.0f s: %d messages wait, it works on %s",
            child.name,
            waited_s,
            depth,
            current,
        )
        self._emit(ActorStuck(child.name, waited_s, depth, current, self._clock.now_ms()))


def _one_line(error: BaseException) -> str:
    text = str(error).replace("\n", " ")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
