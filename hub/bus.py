"""The event bus: facts go out, whoever subscribed to their class gets them.

Publishing is synchronous and cheap. A listener is an actor's ref (the event is told to it and waits in its
bounded inbox) or a plain function, which runs at once and therefore must be quick. A listener that raises, is
dead or has a full inbox is counted and logged once; the others and the publisher do not notice.

All listeners see events in the same order: an event published by a listener while another one is being
delivered waits until that one has reached everybody.
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from hub.errors import Bug, RetryLater

LOGGER = logging.getLogger(__name__)

E = TypeVar("E")

CASCADE_LIMIT = 10_000


@runtime_checkable
class Addressee(Protocol):
    """What an actor's ref offers to the bus."""

    def tell(self, message: Any) -> None:
        """Take the event without blocking; raises when it cannot."""
        ...

    def is_alive(self) -> bool:
        """False if it will never take an event again."""
        ...


@dataclass(frozen=True, slots=True)
class SubscriptionStats:
    """Counters of one listener. ``refused`` are events that met a full inbox, ``failed`` all other errors."""

    event: str
    listener: str
    delivered: int
    refused: int
    failed: int
    last_error: str


@dataclass(frozen=True, slots=True)
class BusStats:
    """Counters of the bus; ``published`` is keyed by the name of the event class."""

    published: dict[str, int]
    subscriptions: list[SubscriptionStats]


class Subscription:
    """One listener of one class of events. Keep it to :meth:`cancel` it."""

    __slots__ = (
        "_bus",
        "_call",
        "active",
        "delivered",
        "event_type",
        "failed",
        "failing",
        "last_error",
        "listener",
        "refused",
        "subclasses",
    )

    def __init__(self, bus: EventBus, event_type: type, listener: Any, subclasses: bool) -> None:
        self._bus = bus
        self._call: Callable[[Any], Any] = listener.tell if isinstance(listener, Addressee) else listener
        self.event_type = event_type
        self.listener = listener
        self.subclasses = subclasses
        self.active = True
        self.delivered = 0
        self.refused = 0
        self.failed = 0
        self.failing = False
        self.last_error = ""

    def cancel(self) -> None:
        """Deliver nothing more to this listener; calling it again has no effect."""
        self._bus._remove(self)

    def wants(self, event_type: type) -> bool:
        """True if events of exactly this class belong to the listener."""
        return event_type is self.event_type or (self.subclasses and issubclass(event_type, self.event_type))

    def stats(self) -> SubscriptionStats:
        """The counters as they are now."""
        return SubscriptionStats(
            self.event_type.__name__,
            _name_of(self.listener),
            self.delivered,
            self.refused,
            self.failed,
            self.last_error,
        )


class _Outbox(threading.local):
    """Events that wait until the one being delivered in this thread has reached everybody."""

    waiting: deque[Any] | None = None


class EventBus:
    """Typed publish and subscribe.

    Publish from the event loop. From another thread it works too, but plain functions then run in that
    thread.
    """

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        self._routes: dict[type, tuple[Subscription, ...]] = {}
        self._published: dict[type, int] = {}
        self._outbox = _Outbox()
        self._lock = threading.Lock()

    def subscribe(
        self,
        event_type: type[E],
        listener: Addressee | Callable[[E], object],
        *,
        subclasses: bool = False,
    ) -> Subscription:
        """Deliver events of a class to a listener from now on.

        Subscribing the same listener to the same class again returns the subscription it has, so an actor may
        subscribe its ref in ``__init__`` and be restarted.

        Args:
            event_type: the class of events.
            listener: an actor's ref, or a quick plain function.
            subclasses: also deliver events of its subclasses.

        Raises:
            Bug: ``WL-RUN-020``, the listener is a coroutine function (nobody would await it) or not callable.
        """
        if not isinstance(listener, Addressee) and (
            not callable(listener) or inspect.iscoroutinefunction(listener)
        ):
            raise Bug(
                "WL-RUN-020",
                f"{_name_of(listener)} cannot listen to {event_type.__name__}",
                hint="subscribe an actor's ref or a plain function",
            )
        with self._lock:
            for known in self._subscriptions:
                if known.event_type is event_type and known.listener == listener:
                    known.subclasses = known.subclasses or subclasses
                    self._routes = {}
                    return known
            subscription = Subscription(self, event_type, listener, subclasses)
            self._subscriptions.append(subscription)
            self._routes = {}
        return subscription

    def publish(self, event: object) -> None:
        """Give an event to everybody who wants its class. Never raises for what a listener does."""
        waiting = self._outbox.waiting
        if waiting is not None:
            waiting.append(event)
            return
        waiting = self._outbox.waiting = deque()
        try:
            self._deliver(event)
            if waiting:
                self._deliver_cascade(waiting)
        finally:
            self._outbox.waiting = None

    def stats(self) -> BusStats:
        """Counters since the start, of the subscriptions that exist now."""
        return BusStats(
            {kind.__name__: count for kind, count in self._published.items()},
            [subscription.stats() for subscription in self._subscriptions],
        )

    def _deliver(self, event: object) -> None:
        kind = type(event)
        route = self._routes.get(kind)
        if route is None:
            route = self._find_route(kind)
        self._published[kind] = self._published.get(kind, 0) + 1
        for subscription in route:
            if not subscription.active:  # cancelled by a listener before it
                continue
            try:
                answer = subscription._call(event)
            except BaseException as error:  # noqa: BLE001 - the border of bus delivery
                self._note_failure(subscription, error)
                continue
            subscription.delivered += 1
            if subscription.failing:
                subscription.failing = False
                LOGGER.info("%s takes %s again", _name_of(subscription.listener), kind.__name__)
            if answer is not None and inspect.iscoroutine(answer):
                answer.close()
                self._note_failure(subscription, TypeError("a listener must not be a coroutine function"))

    def _deliver_cascade(self, waiting: deque[Any]) -> None:
        for _ in range(CASCADE_LIMIT):
            if not waiting:
                return
            self._deliver(waiting.popleft())
        LOGGER.error(
            "listeners answer each other without end, %d events dropped, the next one was %s",
            len(waiting),
            type(waiting[0]).__name__ if waiting else "none",
        )

    def _find_route(self, kind: type) -> tuple[Subscription, ...]:
        with self._lock:
            route = tuple(subscription for subscription in self._subscriptions if subscription.wants(kind))
            self._routes[kind] = route
        return route

    def _note_failure(self, subscription: Subscription, error: BaseException) -> None:
        listener = subscription.listener
        full = isinstance(error, RetryLater)
        if full:
            subscription.refused += 1
        else:
            subscription.failed += 1
        subscription.last_error = f"{type(error).__name__}: {error}"
        if isinstance(listener, Addressee) and not listener.is_alive():
            subscription.cancel()
            LOGGER.info("%s is gone, its subscription ends", _name_of(listener))
            return
        if not subscription.failing:
            subscription.failing = True
            LOGGER.warning(
                "%s does not take %s: %s",
                _name_of(listener),
                subscription.event_type.__name__,
                error,
                exc_info=None if full else error,
            )

    def _remove(self, subscription: Subscription) -> None:
        with self._lock:
            subscription.active = False
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)
                self._routes = {}


def _name_of(listener: object) -> str:
    name = getattr(listener, "name", None) or getattr(listener, "__qualname__", None)
    return str(name) if name else type(listener).__name__
