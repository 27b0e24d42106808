"""Integration actor: runs one configured entry, for ever, whatever its device does.

In: :class:`RestartEntry`, :class:`PutToRest`. Out: ``EntryChanged``; :class:`EntryStatus` is kept up to date.

The source may raise, hang on connect, return, or raise what ends a process: the actor waits with back-off and
connects again; wrong credentials wait for a new configuration. An outage is logged once when it begins and
once when it ends.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from dataclasses import dataclass
from typing import Any

from hub.actors.intake import HubIntake
from hub.bus import EventBus
from hub.errors import AskUser, InvalidAuth, RetryLater
from hub.model.events import EntryChanged
from hub.plugins.api import Integration, Options
from hub.runtime.actor import AsyncActor, Request
from hub.runtime.backoff import Backoff
from hub.runtime.clock import Clock

LOGGER = logging.getLogger(__name__)

CONNECT_LIMIT_S = 60.0
STEADY_AFTER_S = 60.0
FINISH_S = 1.3
"""How long a source may take to finish what it has in hand when it is told to stop."""
LET_GO_S = 0.5
"""How long it may take after it was told once more; then it is left behind. Both together are less than the hub
waits for an entry when it stops (:data:`hub.entries.STOP_LIMIT_S`), so that who does not let go is named."""
FAILURES_TO_QUARANTINE = 5
FAILURE_WINDOW_S = 60.0


@dataclass(slots=True)
class EntryStatus:
    """State of an entry: connecting, running, retrying, needs_user, quarantined or stopped.

    Written by the entry's actor, read by anyone on the loop; it outlives a restart of the actor.
    """

    state: str = "connecting"
    detail: str = ""
    code: str = ""
    since_ms: int = 0
    failures: int = 0
    stack: str = ""


@dataclass(frozen=True, slots=True)
class RestartEntry(Request[None]):
    """Connect again now, also out of quarantine."""


@dataclass(frozen=True, slots=True)
class PutToRest:
    """Disconnect and wait for a person: the source harms the others."""

    code: str
    detail: str
    stack: str


class IntegrationActor(AsyncActor):
    """Owns one source and its connection."""

    def __init__(
        self,
        integration: Integration,
        options: Options,
        intake: HubIntake,
        bus: EventBus,
        clock: Clock,
        *,
        status: EntryStatus,
    ) -> None:
        super().__init__()
        self._integration = integration
        self._options = options
        self._intake = intake
        self._bus = bus
        self._clock = clock
        self._status = status
        self._backoff = Backoff(1.0, 30.0)
        self._task: asyncio.Task[None] | None = None
        self._failures: list[float] = []
        status.state, status.since_ms = "connecting", clock.now_ms()

    async def setup(self) -> None:
        """Begin to connect; the actor answers meanwhile."""
        self._begin()

    async def teardown(self) -> None:
        """Disconnect, and do not wait for a source that will not let go."""
        await self._end()

    async def on_receive(self, message: Any) -> Any:
        """Restart or rest, on request."""
        match message:
            case PutToRest(code, detail, stack):
                await self._end()
                self._status.stack = stack
                self._enter("quarantined", detail, code)
            case RestartEntry():
                await self._end()
                self._failures.clear()
                self._backoff.reset()
                self._begin()
            case _:
                return super().on_receive(message)
        return None

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name=f"plugin:{self._intake.entry_id}"
        )

    async def _end(self) -> None:
        task = self._task
        if task is not None:
            # twice, as libraries lose a cancellation: asyncio.wait_for of Python 3.11 does
            for limit_s in (FINISH_S, LET_GO_S):
                task.cancel()
                await asyncio.wait([task], timeout=limit_s)
            if not task.done():
                LOGGER.warning("integration %s does not let go and is left behind", self._intake.entry_id)
            self._task = None
        self._enter("stopped")

    async def _run(self) -> None:
        while True:
            self._enter_quietly("connecting")
            began_s = self._clock.monotonic_s()
            try:
                await self._connect_and_run()
                failure: BaseException = RetryLater("WL-INT-003", "the source ended without a reason")
            except asyncio.CancelledError:
                failure = RetryLater("WL-INT-003", "the source cancelled itself")
            except BaseException as error:  # noqa: BLE001 - foreign code; SystemExit must not end the hub
                failure = error
            if _is_told_to_stop():
                raise asyncio.CancelledError  # whatever the source made of it
            if self._clock.monotonic_s() - began_s > STEADY_AFTER_S:
                self._backoff.reset()
                self._failures.clear()
            if not self._goes_on_after(failure):
                return
            await self._clock.sleep(self._backoff.next_s())

    async def _connect_and_run(self) -> None:
        async with asyncio.timeout(CONNECT_LIMIT_S) as limit:
            async with self._integration.connect(self._options) as source:
                limit.reschedule(None)
                self._enter("running")
                await source.run(self._intake)

    def _goes_on_after(self, failure: BaseException) -> bool:
        """Note why the source ended; False where retrying is of no use."""
        match failure:
            case InvalidAuth() | AskUser():
                self._enter("needs_user", str(failure), failure.code)
                return False
            case RetryLater():
                self._enter("retrying", str(failure), failure.code)
                return True
            case TimeoutError():
                self._enter("retrying", f"no connection within {CONNECT_LIMIT_S:.0f} s", "WL-INT-004")
                return True
        self._status.stack = "".join(traceback.format_exception(failure))
        detail = f"{type(failure).__name__}: {failure}"
        now_s = self._clock.monotonic_s()
        self._failures = [at_s for at_s in self._failures if now_s - at_s < FAILURE_WINDOW_S] + [now_s]
        if len(self._failures) >= FAILURES_TO_QUARANTINE:
            self._enter("quarantined", detail, "WL-INT-006")
            return False
        self._enter("retrying", detail, "WL-INT-005")
        return True

    def _enter_quietly(self, state: str) -> None:
        """Connecting again and again is one outage: people keep seeing why it began."""
        if self._status.state not in ("retrying", state):
            self._enter(state)

    def _enter(self, state: str, detail: str = "", code: str = "") -> None:
        status = self._status
        before = status.state
        unchanged = before == state and status.code == code
        status.state, status.detail, status.code = state, detail, code
        status.failures = len(self._failures)
        if unchanged:
            return
        status.since_ms = self._clock.now_ms()
        entry = self._intake.entry_id
        extra = {"integration": self._integration.domain, "entry": entry}
        if state in ("retrying", "needs_user", "quarantined"):
            level = logging.WARNING if state == "retrying" else logging.ERROR
            LOGGER.log(level, "integration %s is %s: %s", entry, state, detail, extra=extra)
        elif state == "running" and before == "retrying":
            LOGGER.info("integration %s works again", entry, extra=extra)
        self._bus.publish(EntryChanged(entry, self._integration.domain, state, detail))


def _is_told_to_stop() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
