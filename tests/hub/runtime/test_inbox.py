"""The inbox: order, bounds by class of message, back-pressure."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import QueueFull, RetryLater
from hub.runtime.inbox import Inbox


@dataclass
class Letter:
    """An envelope."""

    message: Any
    reply_to: Any = None


@dataclass(frozen=True, slots=True)
class Power:
    """A live message: only the newest per device matters."""

    device: str
    power_w: int

    @property
    def coalesce_key(self) -> str:
        return self.device


@dataclass(frozen=True, slots=True)
class Tick:
    """A live message that is never replaced."""

    number: int
    coalesce_key: None = field(default=None)


def drain(inbox: Inbox) -> list[Any]:
    taken = []
    while not inbox.empty():
        taken.append(inbox.get().message)
    return taken


def test_messages_come_out_in_the_order_they_went_in() -> None:
    inbox = Inbox()
    for message in ["a", Tick(1), "b", Power("grid", 1), "c"]:
        inbox.put(Letter(message))
    assert drain(inbox) == ["a", Tick(1), "b", Power("grid", 1), "c"]
    assert inbox.depth == 0


def test_a_durable_message_over_the_bound_is_refused_and_nothing_is_lost() -> None:
    inbox = Inbox("recorder", limit=2)
    inbox.put(Letter(1))
    inbox.put(Letter(2))
    with pytest.raises(QueueFull, match="WL-RUN-002 recorder") as refusal:
        inbox.put(Letter(3))
    assert refusal.value.retry_after_s > 0
    assert inbox.refused == 1
    assert drain(inbox) == [1, 2]


def test_the_newest_live_message_takes_the_place_of_the_older_one() -> None:
    inbox = Inbox()
    inbox.put(Letter(Power("grid", 1)))
    inbox.put(Letter("between"))
    inbox.put(Letter(Power("solar", 5)))
    inbox.put(Letter(Power("grid", 2)))
    assert drain(inbox) == [Power("grid", 2), "between", Power("solar", 5)]
    assert inbox.coalesced == 1
    inbox.put(Letter(Power("grid", 3)))
    assert drain(inbox) == [Power("grid", 3)]


def test_over_the_bound_the_oldest_live_message_is_dropped_and_counted() -> None:
    inbox = Inbox(live_limit=2)
    for number in range(5):
        inbox.put(Letter(Tick(number)))
    assert inbox.dropped == 3
    assert inbox.depth == 2
    assert drain(inbox) == [Tick(3), Tick(4)]


def test_live_messages_leave_room_for_durable_ones_and_the_other_way_round() -> None:
    inbox = Inbox(limit=1, live_limit=1)
    inbox.put(Letter(Tick(1)))
    inbox.put(Letter("durable"))
    inbox.put(Letter(Tick(2)))
    assert drain(inbox) == ["durable", Tick(2)]


def test_a_live_message_somebody_awaits_an_answer_of_is_durable() -> None:
    inbox = Inbox(live_limit=1)
    inbox.put(Letter(Power("grid", 1), reply_to=object()))
    inbox.put(Letter(Power("grid", 2), reply_to=object()))
    assert drain(inbox) == [Power("grid", 1), Power("grid", 2)]


def test_a_flood_of_dropped_messages_takes_no_memory() -> None:
    inbox = Inbox(live_limit=10)
    for number in range(10_000):
        inbox.put(Letter(Tick(number)))
    assert len(inbox._queue) < 200
    assert drain(inbox) == [Tick(number) for number in range(9_990, 10_000)]


@given(st.lists(st.one_of(st.integers(0, 3), st.none()), max_size=200), st.integers(1, 5), st.integers(1, 5))
def test_live_messages_never_cost_a_durable_one(kinds: list[int | None], live_limit: int, every: int) -> None:
    inbox = Inbox(live_limit=live_limit)
    taken, put_live = [], 0
    for number, kind in enumerate(kinds):
        put_live += kind is not None
        inbox.put(Letter(number if kind is None else Power(str(kind), number)))
        if number % every == 0:
            taken.append(inbox.get().message)
    taken += drain(inbox)
    assert [item for item in taken if isinstance(item, int)] == [n for n, k in enumerate(kinds) if k is None]
    live = [item for item in taken if isinstance(item, Power)]
    assert len(live) + inbox.dropped + inbox.coalesced == put_live
    assert inbox.depth == 0


async def test_waiting_senders_are_let_in_one_by_one_in_order() -> None:
    inbox = Inbox(limit=1)
    assert inbox.offer(Letter(1)) is None
    second, third = inbox.offer(Letter(2)), inbox.offer(Letter(3))
    assert second is not None
    assert third is not None
    assert inbox.depth == 3
    assert inbox.get().message == 1
    assert (second.done(), third.done()) == (True, False)
    assert inbox.get().message == 2
    assert third.done()
    assert drain(inbox) == [3]


async def test_a_plain_message_does_not_overtake_waiting_senders() -> None:
    inbox = Inbox(limit=2)
    inbox.put(Letter(1))
    inbox.put(Letter(2))
    inbox.offer(Letter(3))
    with pytest.raises(QueueFull):
        inbox.put(Letter(4))
    assert drain(inbox) == [1, 2, 3]


async def test_a_sender_may_take_its_message_back_while_it_waits() -> None:
    inbox = Inbox(limit=1)
    first, second = Letter(1), Letter(2)
    inbox.offer(first)
    room = inbox.offer(second)
    assert room is not None
    assert inbox.withdraw(first) is False
    assert inbox.withdraw(second) is True
    with pytest.raises(QueueFull):
        await room
    assert drain(inbox) == [1]


async def test_a_closed_inbox_refuses_and_tells_waiting_senders() -> None:
    inbox = Inbox(limit=1)
    inbox.put(Letter(1))
    room = inbox.offer(Letter(2))
    assert room is not None
    inbox.close(lambda: RetryLater("WL-RUN-003", "stopped"))
    with pytest.raises(RetryLater, match="WL-RUN-003"):
        await room
    with pytest.raises(RetryLater, match="WL-RUN-003"):
        inbox.put(Letter(3))
    with pytest.raises(RetryLater, match="WL-RUN-003"):
        inbox.put(Letter(Power("grid", 1)))
    assert drain(inbox) == [1]


async def test_the_reader_wakes_for_a_message_of_another_thread() -> None:
    inbox = Inbox()
    inbox.bind(asyncio.get_running_loop())
    reader = asyncio.create_task(inbox.wait())
    await asyncio.sleep(0)
    await asyncio.to_thread(inbox.put, Letter("from afar"))
    await asyncio.wait_for(reader, 30)
    assert drain(inbox) == ["from afar"]


def test_a_message_from_a_thread_that_outlived_the_loop_is_refused() -> None:
    inbox = Inbox()
    waiting = inbox.wait()

    async def begin_to_wait() -> None:
        inbox.bind(asyncio.get_running_loop())
        waiting.send(None)

    with ThreadPoolExecutor(1) as hub:
        hub.submit(asyncio.run, begin_to_wait()).result()
    with pytest.raises(RetryLater, match="WL-RUN-003"):
        inbox.put(Letter(1))
    waiting.close()
