"""Turns at the writer: order, readings first, and nobody's turn is lost."""

from __future__ import annotations

import asyncio

from hub.storage.turns import Turns


async def loop_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_asks_first_goes_first_but_urgent_ones_before_them() -> None:
    turns, order = Turns(), []

    async def one(name: str, *, urgent: bool) -> None:
        async with turns.take(urgent=urgent):
            order.append(name)

    async with turns.take(urgent=False):
        tasks = [
            asyncio.create_task(one(name, urgent=urgent))
            for name, urgent in (("a", False), ("b", False), ("c", True), ("d", True))
        ]
        await loop_turns()
        assert turns.waiting == 4
    await asyncio.gather(*tasks)

    assert order == ["c", "d", "a", "b"]
    assert turns.idle


async def test_a_cancelled_waiter_gives_its_place_away() -> None:
    turns, order = Turns(), []

    async def one(name: str) -> None:
        async with turns.take(urgent=False):
            order.append(name)

    async with turns.take(urgent=False):
        first, second = asyncio.create_task(one("first")), asyncio.create_task(one("second"))
        await loop_turns()
        first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)

    assert order == ["second"]
    assert turns.idle


async def test_a_turn_that_comes_in_the_moment_of_cancelling_is_passed_on() -> None:
    turns, order = Turns(), []

    async def one(name: str) -> None:
        async with turns.take(urgent=False):
            order.append(name)

    async with turns.take(urgent=False):
        first, second = asyncio.create_task(one("first")), asyncio.create_task(one("second"))
        await loop_turns()
    first.cancel()  # its turn was given, but it did not run yet
    await asyncio.gather(first, second, return_exceptions=True)

    assert order == ["second"]
    assert turns.idle
