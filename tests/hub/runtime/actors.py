"""Small real actors that the tests of the runtime share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hub.runtime.actor import AsyncActor, Request


@dataclass(frozen=True, slots=True)
class Echo(Request[Any]):
    """Answer with the value."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class GetSeen(Request[list[Any]]):
    """Answer with everything that was told."""


@dataclass(frozen=True, slots=True)
class Fail(Request[None]):
    """Raise the error; usable as a tell too."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Hold(Request[str]):
    """Keep the actor busy until the gate opens; then answer "held"."""

    gate: asyncio.Event


@dataclass(frozen=True, slots=True)
class Promise(Request[Any]):
    """Answer with the future's result, and go on meanwhile."""

    result: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class Call(Request[Any]):
    """Answer with what the function returns (awaited if it is a coroutine)."""

    function: Callable[[Probe], Any]


class Probe(AsyncActor):
    """Does what its messages say and remembers the others."""

    def __init__(self, diary: list[str] | None = None) -> None:
        super().__init__()
        self.diary = diary if diary is not None else []
        self.seen: list[Any] = []
        self.diary.append("made")

    async def setup(self) -> None:
        self.diary.append("setup")

    async def teardown(self) -> None:
        self.diary.append("teardown")

    async def on_receive(self, message: Any) -> Any:
        match message:
            case Echo(value):
                return value
            case GetSeen():
                return list(self.seen)
            case Fail(error):
                raise error
            case Hold(gate):
                await gate.wait()
                return "held"
            case Promise(result):
                return result
            case Call(function):
                answer = function(self)
                return await answer if asyncio.iscoroutine(answer) else answer
            case _:
                self.seen.append(message)
        return None


async def turns(count: int = 20) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)
