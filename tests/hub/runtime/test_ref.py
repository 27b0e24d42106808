"""Asking and telling: time limits, back-pressure, circles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from hub.errors import Bug, QueueFull
from hub.runtime.actor import ActorTimeout, ActorUnavailable, Ref, request, stop, tell, tell_wait
from tests.hub.runtime.actors import Call, Echo, GetSeen, Hold, Probe, turns


class Narrow(Probe):
    """Room for two messages."""

    inbox_limit = 2


@pytest.fixture
async def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def narrow(gate: asyncio.Event) -> AsyncIterator[Ref]:
    """An actor that works on a message while two others fill its inbox."""
    ref = Narrow.start()
    ref.tell(Hold(gate))
    await turns()
    ref.tell(1)
    ref.tell(2)
    yield ref
    gate.set()
    await stop(ref)


async def test_an_unanswered_request_times_out_with_a_stable_code() -> None:
    ref = Probe.start()
    gate = asyncio.Event()
    with pytest.raises(ActorTimeout, match=r"WL-RUN-001 Probe: no answer to Hold within 0.01 s"):
        await request(ref, Hold(gate), timeout_s=0.01)
    gate.set()
    assert await request(ref, Echo("late answer tolerated")) == "late answer tolerated"
    await stop(ref)


async def test_a_question_whose_asker_has_gone_is_skipped() -> None:
    ref, gate, done = Probe.start(), asyncio.Event(), list[str]()
    ref.tell(Hold(gate))
    impatient = asyncio.create_task(request(ref, Call(lambda _: done.append("impatient"))))
    patient = asyncio.create_task(request(ref, Call(lambda _: done.append("patient"))))
    await turns()
    impatient.cancel()
    await asyncio.wait({impatient})
    gate.set()
    await patient
    assert done == ["patient"]
    await stop(ref)


async def test_a_tell_over_the_bound_is_refused(narrow: Ref) -> None:
    with pytest.raises(QueueFull, match="WL-RUN-002 Narrow"):
        tell(narrow, 3)


async def test_a_waiting_tell_waits_for_room(narrow: Ref, gate: asyncio.Event) -> None:
    waiting = asyncio.create_task(tell_wait(narrow, 3))
    await turns()
    assert not waiting.done()
    gate.set()
    await waiting
    assert await request(narrow, GetSeen()) == [1, 2, 3]


async def test_a_waiting_tell_gives_up_in_time_and_leaves_nothing(narrow: Ref, gate: asyncio.Event) -> None:
    with pytest.raises(QueueFull):
        await tell_wait(narrow, 3, timeout_s=0.01)
    gate.set()
    assert await request(narrow, GetSeen()) == [1, 2]


async def test_a_cancelled_waiting_tell_is_taken_back(narrow: Ref, gate: asyncio.Event) -> None:
    waiting = asyncio.create_task(tell_wait(narrow, 3))
    await turns()
    waiting.cancel()
    await asyncio.wait({waiting})
    gate.set()
    assert await request(narrow, GetSeen()) == [1, 2]


async def test_a_request_waits_for_room_within_its_time(narrow: Ref, gate: asyncio.Event) -> None:
    with pytest.raises(QueueFull, match="WL-RUN-002"):
        await request(narrow, Echo(1), timeout_s=0.01)
    asked = asyncio.create_task(request(narrow, Echo(2)))
    await turns()
    gate.set()
    assert await asked == 2


async def test_a_full_actor_can_still_be_stopped(narrow: Ref, gate: asyncio.Event) -> None:
    stopping = asyncio.create_task(stop(narrow))
    await turns()
    gate.set()
    assert await stopping is True


async def test_senders_waiting_for_room_hear_of_the_stop(narrow: Ref) -> None:
    waiting = asyncio.create_task(tell_wait(narrow, 3))
    await turns()
    await stop(narrow, timeout_s=0.01)
    with pytest.raises(ActorUnavailable, match="WL-RUN-003"):
        await waiting


async def test_an_actor_that_asks_itself_is_told_at_once() -> None:
    ref = Probe.start()
    with pytest.raises(Bug, match=r"WL-RUN-007.*ask downwards only"):
        await request(ref, Call(lambda actor: request(actor.ref, Echo())))
    await stop(ref)


async def test_actors_asking_in_a_circle_are_told_at_once() -> None:
    first, second, third = Probe.start(), Probe.start(), Probe.start()
    into_the_circle = Call(lambda _: request(third, Call(lambda _: request(first, Echo()))))
    with pytest.raises(Bug, match="WL-RUN-007"):
        await request(first, Call(lambda _: request(second, into_the_circle)))
    assert (
        await request(first, Call(lambda _: request(second, Echo("downwards is fine"))))
        == "downwards is fine"
    )
    for ref in (first, second, third):
        await stop(ref)
