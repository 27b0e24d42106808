"""The event bus: typed, ordered, and no listener can hurt another one."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import pytest

from hub.bus import EventBus
from hub.errors import Bug
from hub.runtime.actor import AsyncActor, Ref, Request, request, stop
from hub.runtime.clock import FakeClock
from hub.runtime.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Stored:
    """An event."""

    count: int


@dataclass(frozen=True, slots=True)
class StoredLate(Stored):
    """A more special event."""


@dataclass(frozen=True, slots=True)
class Other:
    """An event nobody asked for."""


@dataclass(frozen=True, slots=True)
class GetHeard(Request[list[Any]]):
    """Ask a listener what it heard."""


class Listener(AsyncActor):
    """Subscribes itself, as actors do, in its constructor."""

    inbox_limit = 3

    def __init__(self, bus: EventBus) -> None:
        super().__init__()
        self.heard: list[Any] = []
        bus.subscribe(Stored, self.actor_ref)

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, GetHeard):
            return self.heard
        if message == Stored(13):
            raise ValueError("unlucky")
        self.heard.append(message)
        return None


@pytest.fixture
def bus() -> EventBus:
    return EventBus()


def test_events_reach_the_listeners_of_exactly_their_class(bus: EventBus) -> None:
    heard: list[Any] = []
    bus.subscribe(Stored, heard.append)
    bus.publish(Stored(1))
    bus.publish(StoredLate(2))
    bus.publish(Other())
    assert heard == [Stored(1)]


def test_a_listener_may_want_subclasses_too(bus: EventBus) -> None:
    heard: list[Any] = []
    bus.subscribe(Stored, heard.append, subclasses=True)
    bus.publish(StoredLate(2))
    bus.publish(Other())
    assert heard == [StoredLate(2)]


def test_listeners_are_served_in_the_order_of_their_subscription(bus: EventBus) -> None:
    heard: list[str] = []
    for name in "abc":
        bus.subscribe(Stored, lambda _, name=name: heard.append(name))  # type: ignore[misc]
    bus.publish(Stored(1))
    assert heard == ["a", "b", "c"]


async def test_an_actor_hears_events_through_its_inbox(bus: EventBus) -> None:
    ref = Listener.start(bus)
    bus.publish(Stored(1))
    bus.publish(Stored(2))
    assert await request(ref, GetHeard()) == [Stored(1), Stored(2)]
    await stop(ref)


async def test_a_restarted_actor_stays_subscribed_once_and_misses_nothing(bus: EventBus) -> None:
    clock = FakeClock()
    supervisor = Supervisor(clock)
    ref = supervisor.start("listener", lambda: Listener(bus))
    await supervisor.ready("listener")
    bus.publish(Stored(13))
    bus.publish(Stored(1))
    await clock.run_for(5)
    bus.publish(Stored(2))
    assert await request(ref, GetHeard()) == [Stored(1), Stored(2)]
    assert len(bus.stats().subscriptions) == 1
    await supervisor.stop_all()


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(1), KeyboardInterrupt(), RecursionError()])
def test_a_raising_listener_hurts_neither_the_others_nor_the_publisher(
    bus: EventBus, error: BaseException
) -> None:
    heard: list[Any] = []

    def broken(_: Stored) -> None:
        raise error

    bus.subscribe(Stored, broken)
    bus.subscribe(Stored, heard.append)
    bus.publish(Stored(1))
    assert heard == [Stored(1)]
    assert [stats.failed for stats in bus.stats().subscriptions] == [1, 0]


def test_a_failing_listener_is_logged_once_and_once_when_it_works_again(
    bus: EventBus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def broken(event: Stored) -> None:
        if event.count < 5:
            raise ValueError("bad")

    bus.subscribe(Stored, broken)
    for count in range(10):
        bus.publish(Stored(count))
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    (stats,) = bus.stats().subscriptions
    assert (stats.failed, stats.delivered, stats.last_error) == (5, 5, "ValueError: bad")


async def test_a_full_listener_is_counted_and_the_others_hear_all(bus: EventBus) -> None:
    ref = Listener.start(bus)
    heard: list[Any] = []
    bus.subscribe(Stored, heard.append)
    for count in range(5):
        bus.publish(Stored(count))
    assert len(heard) == 5
    assert [stats.refused for stats in bus.stats().subscriptions] == [2, 0]
    assert await request(ref, GetHeard()) == [Stored(0), Stored(1), Stored(2)]
    await stop(ref)


async def test_the_subscription_of_a_stopped_actor_ends(bus: EventBus) -> None:
    ref = Listener.start(bus)
    await stop(ref)
    bus.publish(Stored(1))
    assert bus.stats().subscriptions == []


def test_a_cancelled_subscription_hears_nothing_more(bus: EventBus) -> None:
    heard: list[Any] = []
    subscription = bus.subscribe(Stored, heard.append)
    subscription.cancel()
    subscription.cancel()
    bus.publish(Stored(1))
    assert heard == []


def test_listeners_may_come_and_go_while_an_event_is_delivered(bus: EventBus) -> None:
    heard: list[str] = []

    def first(_: Stored) -> None:
        heard.append("first")
        second_subscription.cancel()
        bus.subscribe(Stored, third)

    def second(_: Stored) -> None:
        heard.append("second")

    def third(_: Stored) -> None:
        heard.append("third")

    bus.subscribe(Stored, first)
    second_subscription = bus.subscribe(Stored, second)
    bus.publish(Stored(1))
    assert heard == ["first"]
    bus.publish(Stored(2))
    assert heard == ["first", "first", "third"]


def test_all_listeners_see_events_in_the_same_order(bus: EventBus) -> None:
    first: list[int] = []
    second: list[int] = []

    def answering(event: Stored) -> None:
        first.append(event.count)
        if event.count < 3:
            bus.publish(Stored(event.count + 1))

    bus.subscribe(Stored, answering)
    bus.subscribe(Stored, lambda event: second.append(event.count))
    bus.publish(Stored(1))
    assert first == second == [1, 2, 3]


def test_listeners_answering_each_other_without_end_are_cut_off(
    bus: EventBus, caplog: pytest.LogCaptureFixture
) -> None:
    bus.subscribe(Stored, lambda event: bus.publish(Stored(event.count + 1)))
    bus.publish(Stored(0))
    assert "without end" in caplog.text
    heard: list[Any] = []
    bus.subscribe(Other, heard.append)
    bus.publish(Other())
    assert heard == [Other()]


def test_a_coroutine_function_is_refused_as_nobody_would_await_it(bus: EventBus) -> None:
    async def never_awaited(_: Stored) -> None:
        raise AssertionError

    with pytest.raises(Bug, match="WL-RUN-020"):
        bus.subscribe(Stored, never_awaited)
    bus.subscribe(Stored, lambda event: never_awaited(event))
    bus.publish(Stored(1))
    assert bus.stats().subscriptions[0].failed == 1


def test_subscribing_twice_is_one_subscription(bus: EventBus) -> None:
    heard: list[Any] = []
    assert bus.subscribe(Stored, heard.append) is bus.subscribe(Stored, heard.append)
    bus.publish(Stored(1))
    assert heard == [Stored(1)]


def test_stats_count_what_was_published_and_delivered(bus: EventBus) -> None:
    bus.subscribe(Stored, lambda _: None)
    bus.publish(Stored(1))
    bus.publish(Stored(2))
    bus.publish(Other())
    stats = bus.stats()
    assert stats.published == {"Stored": 2, "Other": 1}
    assert [(s.event, s.delivered) for s in stats.subscriptions] == [("Stored", 2)]


async def test_events_published_in_another_thread_reach_actors(bus: EventBus) -> None:
    ref: Ref = Listener.start(bus)
    await asyncio.to_thread(bus.publish, Stored(1))
    assert await request(ref, GetHeard()) == [Stored(1)]
    await stop(ref)
