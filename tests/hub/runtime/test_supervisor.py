"""The supervisor: restart, quarantine, resume, heartbeat, orderly stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import AskUser, Bug, NotFound, QueueFull, Refused, RetryLater
from hub.runtime.actor import ActorUnavailable, AsyncActor, Ref, request, stop
from hub.runtime.clock import FakeClock
from hub.runtime.supervisor import (
    ActorEvent,
    ActorFailed,
    ActorHealth,
    ActorRecovered,
    ActorStuck,
    Supervisor,
)
from tests.hub.runtime.actors import Call, Echo, Fail, GetSeen, Hold, Probe, Promise, turns

BOOM = Fail(ValueError("boom"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def events() -> list[ActorEvent]:
    return []


@pytest.fixture
async def supervisor(clock: FakeClock, events: list[ActorEvent]) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(clock, on_event=events.append, cancel_grace_s=0.1, rng=random.Random(1))
    yield supervisor
    await supervisor.stop_all(timeout_s=0.2)


def health_of(supervisor: Supervisor, name: str) -> ActorHealth:
    return next(health for health in supervisor.health() if health.name == name)


async def fail_until_quarantined(supervisor: Supervisor, clock: FakeClock, ref: Ref) -> None:
    for _ in range(5):
        ref.tell(BOOM)
        await clock.run_for(5)
    assert health_of(supervisor, ref.name).state == "quarantined"


async def test_a_failed_actor_is_restarted_with_empty_state_under_the_same_ref(
    supervisor: Supervisor, clock: FakeClock
) -> None:
    ref = supervisor.start("probe", Probe)
    ref.tell("before")
    ref.tell(BOOM)
    await clock.run_for(1)
    ref.tell("after")
    assert await request(ref, GetSeen()) == ["after"]
    health = health_of(supervisor, "probe")
    assert (health.state, health.failures, health.restarts) == ("running", 1, 1)
    assert health.last_error == "ValueError: boom"
    assert health.last_failure_ms == FakeClock().now_ms()


async def test_messages_sent_while_it_restarts_wait_and_are_not_lost(
    supervisor: Supervisor, clock: FakeClock
) -> None:
    ref = await supervisor.ready("probe") if supervisor.start("probe", Probe) else None
    assert ref is not None
    ref.tell(BOOM)
    ref.tell("queued behind the failure")
    asked = asyncio.create_task(request(ref, Echo("question")))
    await turns()
    assert health_of(supervisor, "probe").state == "restarting"
    ref.tell("sent while away")
    assert not asked.done()
    await clock.run_for(1)
    assert await asked == "question"
    assert await request(ref, GetSeen()) == ["queued behind the failure", "sent while away"]


async def test_the_buffer_of_a_restarting_actor_is_bounded(supervisor: Supervisor) -> None:
    class Narrow(Probe):
        inbox_limit = 3

    ref = supervisor.start("narrow", Narrow)
    ref.tell(BOOM)
    await turns()
    for number in range(3):
        ref.tell(number)
    with pytest.raises(QueueFull):
        ref.tell(3)
    assert health_of(supervisor, "narrow").refused == 1


async def test_a_request_that_times_out_during_a_restart_says_so(supervisor: Supervisor) -> None:
    ref = supervisor.start("probe", Probe)
    ref.tell(BOOM)
    await turns()
    with pytest.raises(ActorUnavailable, match=r"WL-RUN-004 probe: .*restarting"):
        await request(ref, Echo(), timeout_s=0.01)


async def test_open_promises_of_a_failed_actor_are_answered(supervisor: Supervisor) -> None:
    ref = supervisor.start("probe", Probe)
    asked = asyncio.create_task(request(ref, Promise(asyncio.get_running_loop().create_future())))
    await turns()
    ref.tell(BOOM)
    with pytest.raises(ActorUnavailable, match=r"WL-RUN-004.*restarting"):
        await asked


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 7))
@settings(deadline=None, max_examples=50)
def test_no_message_is_lost_doubled_or_overtaken_however_often_the_actor_fails(
    digits: list[int], pause_after: int
) -> None:
    handled: list[int] = []

    class Recording(Probe):
        async def on_receive(self, message: int) -> None:
            if message % 10 < 3:
                raise ValueError(message)
            handled.append(message)

    async def run() -> None:
        clock = FakeClock()
        supervisor = Supervisor(clock, max_failures=1_000)
        ref = supervisor.start("recording", Recording)
        for position, digit in enumerate(digits):
            ref.tell(position * 10 + digit)
            if position % pause_after == 0:
                await clock.run_for(0.3)
        await clock.run_for(2_000)
        await supervisor.stop_all()

    logging.disable(logging.CRITICAL)
    asyncio.run(run())
    logging.disable(logging.NOTSET)
    assert handled == [n * 10 + digit for n, digit in enumerate(digits) if digit >= 3]


async def test_five_failures_in_a_minute_are_quarantine_with_name_error_and_stack(
    supervisor: Supervisor, clock: FakeClock, events: list[ActorEvent]
) -> None:
    ref = supervisor.start("probe", Probe)
    await fail_until_quarantined(supervisor, clock, ref)
    failed = [event for event in events if isinstance(event, ActorFailed)]
    assert [event.failures for event in failed] == [1, 2, 3, 4, 5]
    assert [event.quarantined for event in failed] == [False] * 4 + [True]
    assert (failed[-1].name, failed[-1].error) == ("probe", "ValueError: boom")
    assert "on_receive" in failed[-1].stack


async def test_failures_spread_over_a_longer_time_only_restart(
    supervisor: Supervisor, clock: FakeClock
) -> None:
    ref = supervisor.start("probe", Probe)
    for _ in range(8):
        ref.tell(BOOM)
        await clock.run_for(70)
    health = health_of(supervisor, "probe")
    assert (health.state, health.failures, health.restarts) == ("running", 8, 8)


async def test_a_quarantined_actor_answers_requests_at_once_and_keeps_tells(
    supervisor: Supervisor, clock: FakeClock, events: list[ActorEvent]
) -> None:
    ref = supervisor.start("probe", Probe)
    await turns()
    ref.tell(BOOM)
    ref.tell("a")
    for _ in range(3):
        await clock.run_for(5)
        ref.tell(BOOM)
    await clock.run_for(5)
    ref.tell(BOOM)
    waiting = asyncio.create_task(request(ref, Echo()))
    ref.tell("kept")
    await turns()
    with pytest.raises(ActorUnavailable, match=r"WL-RUN-004 probe: .*quarantined"):
        await waiting
    with pytest.raises(ActorUnavailable, match="quarantined"):
        await request(ref, Echo())
    supervisor.resume("probe")
    assert await supervisor.ready("probe") is ref
    assert await request(ref, GetSeen()) == ["kept"]
    assert isinstance(events[-1], ActorRecovered)


async def test_after_resume_the_record_is_clean(supervisor: Supervisor, clock: FakeClock) -> None:
    ref = supervisor.start("probe", Probe)
    await fail_until_quarantined(supervisor, clock, ref)
    supervisor.resume("probe")
    ref.tell(BOOM)
    await clock.run_for(5)
    assert health_of(supervisor, "probe").state == "running"


async def test_resuming_a_healthy_actor_changes_nothing(supervisor: Supervisor, clock: FakeClock) -> None:
    ref = supervisor.start("probe", Probe)
    supervisor.resume("probe")
    await fail_until_quarantined(supervisor, clock, ref)
    await clock.run_for(60)
    assert health_of(supervisor, "probe").state == "quarantined"


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), MemoryError()])
async def test_an_exit_in_one_actor_restarts_it_and_leaves_the_others_alone(
    error: BaseException, supervisor: Supervisor, clock: FakeClock
) -> None:
    evil, good = supervisor.start("evil", Probe), supervisor.start("good", Probe)
    good.tell("before")
    evil.tell(Fail(error))
    await clock.run_for(5)
    assert await request(good, GetSeen()) == ["before"]
    assert await request(evil, Echo(1)) == 1
    assert health_of(supervisor, "evil").failures == 1


async def test_an_actor_that_cannot_be_made_is_a_failure_too(
    supervisor: Supervisor, clock: FakeClock, events: list[ActorEvent]
) -> None:
    def broken() -> AsyncActor:
        raise ImportError("no module named shelly")

    supervisor.start("broken", broken)
    with pytest.raises(ActorUnavailable, match="restarting after ImportError: no module named shelly"):
        await supervisor.ready("broken", timeout_s=0.01)
    await clock.run_for(60)
    assert health_of(supervisor, "broken").state == "quarantined"
    assert isinstance(events[0], ActorFailed)
    assert "ImportError" in events[0].stack


async def test_a_server_that_is_away_at_setup_is_tried_for_ever_and_logged_once(
    supervisor: Supervisor, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Away(Probe):
        answers = iter([RetryLater("WL-X-001", "away")] * 20)

        async def setup(self) -> None:
            for error in self.answers:
                raise error

    ref = supervisor.start("away", Away)
    await clock.run_for(300)
    assert health_of(supervisor, "away").failures > 5
    await clock.run_for(900)
    assert health_of(supervisor, "away").state == "running"
    assert await request(ref, Echo(1)) == 1
    assert [record.levelno for record in caplog.records].count(logging.WARNING) == 1


async def test_what_only_a_person_can_solve_is_quarantined_at_once(
    supervisor: Supervisor, clock: FakeClock
) -> None:
    ref = supervisor.start("probe", Probe)
    ref.tell(Fail(AskUser("WL-X-002", "wrong password")))
    await turns()
    assert health_of(supervisor, "probe").state == "quarantined"


async def test_a_factory_that_returns_an_old_actor_is_refused(
    supervisor: Supervisor, events: list[ActorEvent]
) -> None:
    old = Probe()
    supervisor.start("old", lambda: old)
    await turns()
    assert isinstance(events[0], ActorFailed)
    assert "WL-RUN-009" in events[0].error


async def test_actors_started_inside_a_factory_get_their_own_ref(supervisor: Supervisor) -> None:
    children: list[Ref] = []

    def family() -> AsyncActor:
        children.append(Probe.start())
        return Probe()

    ref = supervisor.start("parent", family)
    assert await request(ref, Echo(1)) == 1
    assert children[0] is not ref
    assert await stop(children[0])


async def test_a_name_is_unique_while_its_actor_is_not_stopped(supervisor: Supervisor) -> None:
    first = supervisor.start("probe", Probe)
    with pytest.raises(Refused, match="WL-RUN-010"):
        supervisor.start("probe", Probe)
    await supervisor.stop("probe")
    second = supervisor.start("probe", Probe)
    assert await request(second, Echo(2)) == 2
    with pytest.raises(ActorUnavailable, match="WL-RUN-003"):
        await request(first, Echo(1))
    assert [health.name for health in supervisor.health()] == ["probe"]


async def test_unknown_names_are_not_found(supervisor: Supervisor) -> None:
    for ask in (supervisor.resume, supervisor.restart, supervisor.ref):
        with pytest.raises(NotFound, match="WL-RUN-011 nobody"):
            ask("nobody")


async def test_a_stuck_actor_is_reported_once_and_its_recovery_too(
    supervisor: Supervisor, clock: FakeClock, events: list[ActorEvent]
) -> None:
    ref, gate = supervisor.start("slow", Probe), asyncio.Event()
    ref.tell(Hold(gate))
    ref.tell("waits")
    await clock.run_for(120)
    stuck = [event for event in events if isinstance(event, ActorStuck)]
    assert [(event.name, event.depth, event.current) for event in stuck] == [("slow", 1, "Hold")]
    assert stuck[0].waited_s >= 30
    assert health_of(supervisor, "slow").stuck_s >= 100
    gate.set()
    await clock.run_for(10)
    assert isinstance(events[-1], ActorRecovered)
    assert health_of(supervisor, "slow").stuck_s == 0


async def test_an_idle_actor_is_not_stuck(
    supervisor: Supervisor, clock: FakeClock, events: list[ActorEvent]
) -> None:
    supervisor.start("idle", Probe)
    await clock.run_for(600)
    assert events == []


async def test_an_actor_that_never_finishes_its_setup_is_stuck(
    supervisor: Supervisor, clock: FakeClock, events: list[ActorEvent]
) -> None:
    class Connecting(Probe):
        async def setup(self) -> None:
            await asyncio.Event().wait()

    supervisor.start("connecting", Connecting)
    await clock.run_for(60)
    assert [(event.name, event.current) for event in events if isinstance(event, ActorStuck)] == [
        ("connecting", "starting")
    ]


async def test_a_forced_stop_is_not_a_failure(supervisor: Supervisor, events: list[ActorEvent]) -> None:
    ref = supervisor.start("slow", Probe)
    ref.tell(Hold(asyncio.Event()))
    await turns()
    assert await supervisor.stop("slow", timeout_s=0.01) is False
    assert events == []
    assert health_of(supervisor, "slow").failures == 0


async def test_an_actor_cannot_wait_for_its_own_end(supervisor: Supervisor) -> None:
    ref = supervisor.start("probe", Probe)
    with pytest.raises(Bug, match="WL-RUN-012 probe"):
        await request(ref, Call(lambda actor: stop(actor.ref)))
    ref.tell(BOOM)
    await turns()
    assert health_of(supervisor, "probe").state == "restarting"


async def test_a_stuck_actor_can_be_restarted_by_hand(supervisor: Supervisor) -> None:
    ref = supervisor.start("slow", Probe)
    ref.tell(Hold(asyncio.Event()))
    ref.tell("waits")
    await turns()
    supervisor.restart("slow")
    assert await request(ref, GetSeen()) == ["waits"]
    health = health_of(supervisor, "slow")
    assert (health.failures, health.restarts) == (0, 1)


async def test_an_actor_that_cancels_itself_counts_as_failed(supervisor: Supervisor) -> None:
    ref = supervisor.start("odd", Probe)

    def cancel_own_task(_: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    ref.tell(Call(cancel_own_task))
    ref.tell(Hold(asyncio.Event()))
    await turns()
    assert health_of(supervisor, "odd").failures == 1


async def test_a_listener_that_raises_does_not_stop_the_supervisor(clock: FakeClock) -> None:
    def broken(_: ActorEvent) -> None:
        raise RuntimeError("listener")

    supervisor = Supervisor(clock, on_event=broken)
    ref = supervisor.start("probe", Probe)
    ref.tell(BOOM)
    await clock.run_for(5)
    assert await request(ref, Echo(1)) == 1
    await supervisor.stop_all()


def ending(log: list[str], name: str) -> Callable[[], AsyncActor]:
    """A factory of actors that note their end."""

    class Ending(Probe):
        async def teardown(self) -> None:
            log.append(name)

    return Ending


async def test_all_stop_in_reverse_order_after_the_messages_they_have(supervisor: Supervisor) -> None:
    log: list[str] = []
    refs = [supervisor.start(name, ending(log, name)) for name in ("storage", "devices", "web")]
    answers = [asyncio.create_task(request(ref, Echo(1))) for ref in refs]
    await asyncio.sleep(0)
    assert await supervisor.stop_all() == []
    assert log == ["web", "devices", "storage"]
    assert await asyncio.gather(*answers) == [1, 1, 1]
    assert {health.state for health in supervisor.health()} == {"stopped"}


async def test_one_that_hangs_is_cancelled_and_leaves_time_for_those_below(supervisor: Supervisor) -> None:
    log: list[str] = []
    supervisor.start("storage", ending(log, "storage"))
    hanging = supervisor.start("hanging", ending(log, "hanging"))
    hanging.tell(Hold(asyncio.Event()))
    await turns()
    assert await supervisor.stop_all(timeout_s=2.0) == ["hanging"]
    assert log == ["hanging", "storage"]


async def test_an_actor_that_ignores_its_cancellation_is_given_up(supervisor: Supervisor) -> None:
    freed = asyncio.Event()

    class Stubborn(Probe):
        async def on_receive(self, message: Any) -> Any:
            while not freed.is_set():
                try:
                    await freed.wait()
                except asyncio.CancelledError:
                    continue

    ref = supervisor.start("stubborn", Stubborn)
    ref.tell("go")
    await turns()
    assert await supervisor.stop("stubborn", timeout_s=0.01) is False
    assert not ref.is_alive()
    freed.set()
    assert ref.task is not None
    await asyncio.wait({ref.task}, timeout=30)


async def test_a_restarting_or_quarantined_actor_can_be_stopped(
    supervisor: Supervisor, clock: FakeClock
) -> None:
    restarting, quarantined = supervisor.start("restarting", Probe), supervisor.start("quarantined", Probe)
    await fail_until_quarantined(supervisor, clock, quarantined)
    restarting.tell(BOOM)
    await turns()
    asked = asyncio.create_task(request(restarting, Echo()))
    await turns()
    assert await supervisor.stop_all() == []
    with pytest.raises(ActorUnavailable):
        await asked
    assert {health.state for health in supervisor.health()} == {"stopped"}


async def test_a_supervised_actor_that_is_stopped_is_not_restarted(
    supervisor: Supervisor, clock: FakeClock
) -> None:
    by_function, by_itself = supervisor.start("one", Probe), supervisor.start("two", Probe)
    assert await stop(by_function) is True
    by_itself.tell(Call(lambda actor: actor.stop()))
    await clock.run_for(60)
    assert [health.state for health in supervisor.health()] == ["stopped", "stopped"]
    with pytest.raises(ActorUnavailable, match="WL-RUN-003"):
        by_itself.tell("hello")


async def test_nothing_runs_after_stop_all(clock: FakeClock) -> None:
    before = asyncio.all_tasks()
    supervisor = Supervisor(clock)
    refs = [supervisor.start(f"probe-{number}", Probe) for number in range(5)]
    refs[0].tell(BOOM)
    await turns()
    await supervisor.stop_all()
    assert asyncio.all_tasks() == before
    assert clock.sleepers == 0


async def test_a_failed_actor_is_not_kept_in_memory(
    supervisor: Supervisor, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)  # a kept log record would keep the error and its frames
    ref = supervisor.start("probe", Probe)
    actor = await request(ref, Call(weakref.ref))
    ref.tell(Fail(ValueError("fresh")))
    await clock.run_for(5)
    assert await request(ref, Echo(1)) == 1
    gc.collect()
    assert actor() is None


async def test_every_restart_makes_one_actor(supervisor: Supervisor, clock: FakeClock) -> None:
    diary: list[str] = []
    ref = supervisor.start("probe", lambda: Probe(diary))
    ref.tell(BOOM)
    await clock.run_for(5)
    assert diary == ["made", "setup", "teardown", "made", "setup"]


async def test_a_circle_of_asks_between_supervised_actors_is_refused(supervisor: Supervisor) -> None:
    first, second = supervisor.start("first", Probe), supervisor.start("second", Probe)
    with pytest.raises(Bug, match="WL-RUN-007 second: second asks first"):
        await request(first, Call(lambda _: request(second, Call(lambda _: request(first, Echo())))))
