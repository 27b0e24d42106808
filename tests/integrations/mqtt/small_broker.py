"""The little of an MQTT 5 broker that faults need: it answers in this loop, or does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

CONNACK = b"\x20\x03\x00\x00\x00"
_CONNECT, _SUBSCRIBE, _UNSUBSCRIBE, _DISCONNECT = 1, 8, 10, 14


@dataclass
class SmallBroker:
    """``mute`` types of packets get no answer; ``heard`` has the types of all that came, ``ended`` how many left."""

    port: int = 0
    mute: frozenset[int] = frozenset()
    deaf: bool = False
    """After the CONNECT nothing is read any more."""
    heard: list[int] = field(default_factory=list)
    ended: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    news: asyncio.Event = field(default_factory=asyncio.Event)
    _serving: set[asyncio.Task[Any]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            while not (self.deaf and self.heard):
                kind, body = await _packet(reader)
                self.heard.append(kind)
                self.news.set()
                if kind not in self.mute:
                    writer.write(_answer(kind, body))
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is one that reads
            await asyncio.Event().wait()
        except (asyncio.IncompleteReadError, OSError):
            self.ended.put_nowait("with DISCONNECT" if self.heard[-1:] == [_DISCONNECT] else "without a word")
        except asyncio.CancelledError:
            pass  # the end of the test
        finally:
            writer.transport.abort()
            self._serving.discard(task)

    async def close(self) -> None:
        """End all connections."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving)

    async def until_heard(self, kinds: frozenset[int]) -> None:
        """Wait for a packet of one of these types."""
        while not kinds & set(self.heard):
            self.news.clear()
            await self.news.wait()


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return head >> 4, await reader.readexactly(length)


def _answer(kind: int, body: bytes) -> bytes:
    if kind == _CONNECT:
        return CONNACK
    if kind not in (_SUBSCRIBE, _UNSUBSCRIBE):
        return b""
    at, count = 3, 0
    while at < len(body):
        at += 2 + int.from_bytes(body[at : at + 2]) + (kind == _SUBSCRIBE)
        count += 1
    return bytes((0x90 if kind == _SUBSCRIBE else 0xB0, 3 + count)) + body[:2] + bytes(1 + count)


@asynccontextmanager
async def small_broker(
    *, mute: frozenset[int] = frozenset(), deaf: bool = False
) -> AsyncIterator[SmallBroker]:
    """Serve on a free port of loopback until the block ends."""
    broker = SmallBroker(mute=mute, deaf=deaf)
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    async with server:
        yield broker
        server.close()
        await broker.close()
