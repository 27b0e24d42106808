"""A source that is told to stop ends at once, in whatever moment, whatever the broker does or does not do."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import aiomqtt
import pytest

from hub.plugins.testing import MemoryIntake
from integrations.mqtt.connection import Link, open_link
from integrations.mqtt.dial import Target
from integrations.mqtt.source import connect
from tests.integrations.mqtt.running import LIMIT_S
from tests.integrations.mqtt.small_broker import small_broker

POWER = [{"topic": "meters/+/power", "device": "{1}", "series": "power"}]
CONNECT, SUBSCRIBE = 1, 8
QUESTIONS: dict[str, tuple[str, Callable[[Link], Awaitable[Any]]]] = {
    "subscribe": ("_on_subscribe", lambda link: link.subscribe({"a": 1, "b/#": 0})),
    "unsubscribe": ("_on_unsubscribe", lambda link: link.unsubscribe(["a"])),
    "publish": ("_on_publish", lambda link: link.publish("homeassistant/status", "online")),
}


def after_turns(turns: int, call: Callable[[], object]) -> None:
    """Call after so many turns of the loop; at once for 0."""
    if turns == 0:
        call()
    else:
        asyncio.get_running_loop().call_soon(after_turns, turns - 1, call)


async def source_run(port: int, intake: MemoryIntake) -> None:
    """A whole life of a source, as the hub's actor lives it."""
    async with connect({"broker": f"127.0.0.1:{port}", "discovery": "off", "topics": POWER}) as source:
        await source.run(intake)


async def ended(task: asyncio.Task[Any]) -> bool:
    """Whether it ends; it is not asked again."""
    await asyncio.wait([task], timeout=LIMIT_S)
    return task.done()


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_cancellation_that_meets_the_answer_of_the_broker_is_heeded(
    question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    callback, ask = QUESTIONS[question]
    answer = getattr(aiomqtt.Client, callback)
    asking: list[asyncio.Task[Any]] = []
    heard: list[bool] = []
    told: asyncio.Queue[bool] = asyncio.Queue()
    turns = 0

    def and_told_to_stop(client: aiomqtt.Client, *rest: Any) -> None:
        answer(client, *rest)
        after_turns(turns, lambda: told.put_nowait(asking[-1].cancel()))

    monkeypatch.setattr(aiomqtt.Client, callback, and_told_to_stop)
    async with (
        small_broker() as broker,
        open_link(Target("127.0.0.1", broker.port, "x"), lambda: None) as link,
    ):
        for turns in range(8):  # noqa: B007  # the callback above looks at it
            asking.append(asyncio.ensure_future(ask(link)))
            heard.append(await told.get())
            await asyncio.wait(asking)
    assert [one.cancelled() for one in asking] == heard
    assert heard[0]
    assert not heard[-1]


@pytest.mark.parametrize("turns", range(12))
async def test_a_source_that_is_told_to_stop_while_the_broker_answers_ends(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = aiomqtt.Client._on_subscribe

    def after_the_order_to_stop(client: aiomqtt.Client, *rest: Any) -> None:
        run.cancel()
        after_turns(turns, lambda: answer(client, *rest))

    monkeypatch.setattr(aiomqtt.Client, "_on_subscribe", after_the_order_to_stop)
    async with small_broker() as broker:
        run = asyncio.create_task(source_run(broker.port, MemoryIntake()))
        assert await ended(run)
        assert run.cancelled()


@pytest.mark.parametrize("mute", [frozenset({CONNECT}), frozenset({SUBSCRIBE})])
async def test_a_source_whose_broker_never_answers_ends(mute: frozenset[int]) -> None:
    async with small_broker(mute=mute) as broker:
        run = asyncio.create_task(source_run(broker.port, MemoryIntake()))
        async with asyncio.timeout(LIMIT_S):
            await broker.until_heard(mute)
            run.cancel()
            assert await ended(run)
            while await broker.ended.get() != "with DISCONNECT":  # the first one is the look at the start
                pass
    assert run.cancelled()


async def test_a_connection_that_the_broker_reads_nothing_from_is_closed_all_the_same() -> None:
    async with small_broker(deaf=True) as broker:
        async with open_link(Target("127.0.0.1", broker.port, "x"), lambda: None) as link:
            assert link.tap is not None
            link.tap.send(b"\xc0\x00" * 4 * 1024 * 1024)
            assert not link.tap.flush()
        await asyncio.sleep(0)
        assert link.tap.fileno() == -1


async def test_a_connection_that_comes_about_too_late_says_nothing_and_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached, go = threading.Event(), threading.Event()
    genuine = socket.create_connection

    def slow(*where: Any, **how: Any) -> socket.socket:
        reached.set()
        go.wait(LIMIT_S)
        return genuine(*where, **how)

    monkeypatch.setattr(socket, "create_connection", slow)
    async with small_broker() as broker:
        run = asyncio.create_task(source_run(broker.port, MemoryIntake()))
        assert await asyncio.to_thread(reached.wait, LIMIT_S)
        run.cancel()
        assert await ended(run)
        go.set()
        async with asyncio.timeout(LIMIT_S):
            assert await broker.ended.get() == "without a word"
    assert broker.heard == []
