"""The actor runtime: what pykka promises holds on asyncio, and what we add to it."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pykka
import pytest
from pykka.messages import ProxyCall

from hub.errors import Bug, NotFound, RetryLater
from hub.runtime.actor import ActorUnavailable, AsyncActor, Ref, request, stop, tell
from tests.hub.runtime.actors import Call, Echo, Fail, GetSeen, Hold, Probe, Promise, turns


@pytest.fixture
async def probe() -> AsyncIterator[Ref]:
    ref = Probe.start()
    yield ref
    await stop(ref)


# --- pykka's promises


async def test_messages_are_handled_one_by_one_in_order(probe: Ref) -> None:
    for number in range(1_000):
        probe.tell(number)
    assert await request(probe, GetSeen()) == list(range(1_000))


async def test_a_started_actor_is_registered_and_a_stopped_one_is_not() -> None:
    ref = Probe.start()
    assert ref in pykka.ActorRegistry.get_all()
    await stop(ref)
    assert ref not in pykka.ActorRegistry.get_all()


async def test_messages_sent_before_the_stop_are_handled() -> None:
    diary: list[str] = []
    ref = Probe.start(diary)
    answers = [asyncio.create_task(request(ref, Echo(number))) for number in range(3)]
    await asyncio.sleep(0)
    assert await stop(ref) is True
    assert await asyncio.gather(*answers) == [0, 1, 2]
    assert diary == ["made", "setup", "teardown"]


async def test_messages_sent_after_the_stop_are_answered_with_an_error() -> None:
    ref = Probe.start()
    ref.tell(pykka.messages._ActorStop())
    late = asyncio.create_task(request(ref, Echo()))
    with pytest.raises(ActorUnavailable, match="WL-RUN-003"):
        await late


async def test_a_stopped_actor_refuses_tells_and_asks_with_an_error_pykka_knows() -> None:
    ref = Probe.start()
    await stop(ref)
    assert not ref.is_alive()
    with pytest.raises(pykka.ActorDeadError):
        ref.tell("too late")
    with pytest.raises(RetryLater, match="WL-RUN-003 Probe"):
        await request(ref, Echo())


async def test_stopping_twice_is_harmless(probe: Ref) -> None:
    assert await stop(probe) is True
    assert await stop(probe) is True


async def test_an_actor_can_stop_itself(probe: Ref) -> None:
    await request(probe, Call(lambda actor: actor.stop()))
    assert probe.task is not None
    await asyncio.wait_for(probe.task, 30)
    assert not probe.is_alive()


async def test_an_unknown_message_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    ref = AsyncActor.start()
    ref.tell("hello")
    await stop(ref)
    assert "Unexpected message" in caplog.text


async def test_asks_of_pykka_can_be_awaited(probe: Ref) -> None:
    assert await probe.ask(Echo("hi"), block=False) == "hi"
    with pytest.raises(NotFound):
        await probe.ask(Fail(NotFound("WL-X-001", "gone")), block=False)


async def test_a_blocking_ask_fails_at_once_instead_of_freezing_the_hub(probe: Ref) -> None:
    with pytest.raises(Bug, match="WL-RUN-008"):
        probe.ask(Echo())
    with pytest.raises(Bug, match="WL-RUN-008"):
        pykka.ActorRegistry.stop_all()


async def test_the_result_of_a_finished_ask_can_be_got(probe: Ref) -> None:
    future = probe.ask(Echo(7), block=False)
    await request(probe, Echo())
    assert future.get() == 7
    assert future.map(lambda value: value + 1).get() == 8


async def test_derived_futures_refuse_to_be_awaited(probe: Ref) -> None:
    future = probe.ask(Echo(1), block=False)
    for derived in (future.map(str), future.join(future), probe.stop(block=False)):
        with pytest.raises(Bug, match="cannot be awaited"):
            await derived


async def test_an_ask_from_another_thread_is_refused(probe: Ref) -> None:
    with pytest.raises(Bug, match=r"WL-RUN-008.*use tell"):
        await asyncio.to_thread(probe.ask, Echo())


class Counter(AsyncActor):
    """An actor made for a proxy."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def add(self, number: int) -> int:
        self.count += number
        return self.count

    async def add_later(self, number: int) -> int:
        await asyncio.sleep(0)
        return self.add(number)


async def test_proxies_read_attributes_and_call_plain_and_coroutine_methods() -> None:
    ref = Counter.start()
    proxy = ref.proxy()
    assert await proxy.add(2) == 2
    assert await proxy.add_later(3) == 5
    assert await proxy.count == 5
    proxy.add.defer(10)
    assert await proxy.count == 15
    assert await ref.ask(ProxyCall(("add",), (1,), {}), block=False) == 16
    await stop(ref)


async def test_setting_an_attribute_through_a_proxy_says_that_it_would_block() -> None:
    ref = Counter.start()
    with pytest.raises(Bug, match="WL-RUN-008"):
        ref.proxy().count = 1
    await stop(ref)


# --- failures


async def test_an_error_in_a_request_goes_to_the_asker_and_the_actor_lives(probe: Ref) -> None:
    error = ValueError("wrong")
    with pytest.raises(ValueError, match="wrong") as raised:
        await request(probe, Fail(error))
    assert raised.value is error
    assert await request(probe, Echo("still here")) == "still here"


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError(), RecursionError()])
async def test_an_error_in_a_tell_ends_only_this_actor(error: Exception) -> None:
    diary: list[str] = []
    failing, other = Probe.start(diary), Probe.start()
    failing.tell(Fail(error))
    assert failing.task is not None
    await asyncio.wait_for(failing.task, 30)
    assert not failing.is_alive()
    assert diary[-1] == "teardown"
    assert await request(other, Echo(1)) == 1
    await stop(other)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), BaseException("odd")])
@pytest.mark.parametrize("ask", [True, False])
async def test_an_exit_in_a_handler_ends_only_this_actor(error: BaseException, ask: bool) -> None:
    failing, other = Probe.start(), Probe.start()
    if ask:
        with pytest.raises(Bug, match=f"WL-RUN-006.*{type(error).__name__}"):
            await request(failing, Fail(error))
    else:
        failing.tell(Fail(error))
    assert failing.task is not None
    await asyncio.wait_for(failing.task, 30)
    assert await request(other, Echo(1)) == 1
    await stop(other)


async def test_a_stop_iteration_reaches_the_asker_as_a_bug() -> None:
    class Plain(AsyncActor):
        def on_receive(self, message: Any) -> None:
            raise StopIteration("odd")

    ref = Plain.start()
    with pytest.raises(Bug, match="WL-RUN-006"):
        await request(ref, Echo())
    assert ref.is_alive()
    await stop(ref)


async def test_work_that_was_cancelled_inside_is_an_error_for_the_asker_not_a_cancellation(
    probe: Ref,
) -> None:
    with pytest.raises(RetryLater, match="WL-RUN-005"):
        await request(probe, Fail(asyncio.CancelledError()))
    assert await request(probe, Echo(1)) == 1


async def test_a_failing_setup_ends_the_actor_and_still_tears_down() -> None:
    class Broken(Probe):
        async def setup(self) -> None:
            raise OSError("no such device")

    diary: list[str] = []
    ref = Broken.start(diary)
    with pytest.raises(ActorUnavailable):
        await request(ref, Echo())
    assert diary == ["made", "teardown"]


async def test_on_failure_gets_the_error() -> None:
    seen: list[BaseException | None] = []

    class Careful(Probe):
        def on_failure(self, kind: Any, error: BaseException | None, trace: Any) -> None:
            seen.append(error)

    ref, error = Careful.start(), ValueError("x")
    ref.tell(Fail(error))
    assert ref.task is not None
    await ref.task
    assert seen == [error]


async def test_a_failing_teardown_is_logged_and_the_stop_completes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Messy(Probe):
        async def teardown(self) -> None:
            raise OSError("cannot close")

    ref = Messy.start()
    assert await stop(ref) is True
    assert "cannot close" in caplog.text


async def test_a_hanging_teardown_is_cut_off() -> None:
    class Endless(Probe):
        teardown_limit_s = 0.01

        async def teardown(self) -> None:
            await asyncio.Event().wait()

    assert await stop(Endless.start(), timeout_s=5) is True


async def test_a_handler_that_never_ends_is_cancelled_by_the_stop() -> None:
    diary: list[str] = []
    ref = Probe.start(diary)
    asked = asyncio.create_task(request(ref, Hold(asyncio.Event())))
    await turns()
    assert await stop(ref, timeout_s=0.01) is False
    with pytest.raises(ActorUnavailable):
        await asked
    assert diary[-1] == "teardown"


async def test_cleanups_run_in_reverse_order_at_every_end() -> None:
    done: list[str] = []
    ref = Probe.start()
    for name in ("first", "second"):
        await request(ref, Call(lambda actor, name=name: actor.at_end(lambda: done.append(name))))  # type: ignore[misc]
    ref.tell(Fail(ValueError()))
    assert ref.task is not None
    await ref.task
    assert done == ["second", "first"]


# --- deferred answers


async def test_a_deferred_answer_lets_the_actor_go_on(probe: Ref) -> None:
    result: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asked = asyncio.create_task(request(probe, Promise(result)))
    await turns()
    assert await request(probe, Echo("meanwhile")) == "meanwhile"
    assert not asked.done()
    result.set_result("committed")
    assert await asked == "committed"


async def test_one_commit_answers_many_requests_and_a_lost_asker_does_not_matter(probe: Ref) -> None:
    commit: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asked = [asyncio.create_task(request(probe, Promise(commit))) for _ in range(3)]
    await turns()
    asked[1].cancel()
    await asyncio.wait({asked[1]})
    commit.set_result("committed")
    assert [await asked[0], await asked[2]] == ["committed", "committed"]


async def test_a_deferred_error_goes_to_the_asker(probe: Ref) -> None:
    result: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asked = asyncio.create_task(request(probe, Promise(result)))
    await turns()
    result.set_exception(OSError("disk"))
    with pytest.raises(OSError, match="disk"):
        await asked
    assert await request(probe, Echo(1)) == 1


async def test_a_task_is_a_deferred_answer_too(probe: Ref) -> None:
    async def work() -> int:
        return 5

    assert await request(probe, Call(lambda _: asyncio.ensure_future(work()))) == 5


async def test_a_cancelled_deferred_answer_is_an_error_for_the_asker(probe: Ref) -> None:
    result: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asked = asyncio.create_task(request(probe, Promise(result)))
    await turns()
    result.cancel()
    with pytest.raises(RetryLater, match="WL-RUN-005"):
        await asked


async def test_a_deferred_error_of_a_tell_ends_the_actor_like_any_other() -> None:
    ref = Probe.start()
    result: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    ref.tell(Promise(result))
    await request(ref, Echo())
    result.set_exception(OSError("disk"))
    assert ref.task is not None
    await asyncio.wait_for(ref.task, 30)
    assert not ref.is_alive()


async def test_teardown_can_still_keep_promises_and_the_others_get_an_error() -> None:
    loop = asyncio.get_running_loop()
    kept: asyncio.Future[str] = loop.create_future()
    broken: asyncio.Future[str] = loop.create_future()

    class Committing(Probe):
        async def teardown(self) -> None:
            kept.set_result("last commit")

    ref = Committing.start()
    first, second = (asyncio.create_task(request(ref, Promise(result))) for result in (kept, broken))
    await turns()
    await stop(ref)
    assert await first == "last commit"
    with pytest.raises(ActorUnavailable):
        await second
    broken.set_exception(OSError("late and unnoticed"))
    await turns()


# --- living together on one loop


async def test_tells_from_other_threads_arrive_all_and_in_the_order_of_each_thread(probe: Ref) -> None:
    def send(sender: int) -> None:
        for number in range(500):
            tell(probe, (sender, number))

    await asyncio.gather(*(asyncio.to_thread(send, sender) for sender in range(4)))
    seen = await request(probe, GetSeen())
    assert len(seen) == 2_000
    assert all([n for s, n in seen if s == sender] == list(range(500)) for sender in range(4))


async def test_a_busy_actor_lets_the_loop_run(probe: Ref) -> None:
    for number in range(5_000):
        probe.tell(number)
    loop_turns = 0
    answer = asyncio.create_task(request(probe, Echo()))
    while not answer.done():
        loop_turns += 1
        await asyncio.sleep(0)
    assert loop_turns >= 5_000 / 256


async def test_five_hundred_actors_cost_no_thread() -> None:
    before = threading.active_count()
    refs = [Probe.start() for _ in range(500)]
    assert await asyncio.gather(*(request(ref, Echo(n)) for n, ref in enumerate(refs))) == list(range(500))
    assert threading.active_count() == before
    await asyncio.gather(*(stop(ref) for ref in refs))


async def test_a_stopped_actor_leaves_nothing_behind() -> None:
    ref = Probe.start()
    actor = await request(ref, Call(weakref.ref))
    assert actor() is not None
    await stop(ref)
    tasks = [task.get_name() for task in asyncio.all_tasks()]
    assert "actor:Probe" not in tasks
    del ref
    gc.collect()
    assert actor() is None


async def test_an_expected_error_in_a_request_is_not_logged_as_a_failure(
    probe: Ref, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(NotFound):
        await request(probe, Fail(NotFound("WL-X-001", "no such device")))
    assert caplog.records == []
