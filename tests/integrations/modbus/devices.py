"""Modbus devices on free loopback ports: a real pymodbus server, and one that answers whatever it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from hub.plugins.testing import MemoryIntake
from integrations.modbus.schema import SCHEMA

Floats = Mapping[int, Sequence[float]]
Words = Mapping[int, Sequence[int]]


class TickingIntake(MemoryIntake):
    """Each look at the clock is a second later, so that every poll has its own time."""

    def now_ms(self) -> int:
        self.clock_ms += 1000
        return self.clock_ms


def options(port: int, **more: Any) -> dict[str, Any]:
    """Validated options of an entry with quick polls; its patience is for a busy machine."""
    entry = {"host": "127.0.0.1", "port": port, "interval": 0.1, "timeout": 1.0, **more}
    checked: dict[str, Any] = SCHEMA(entry)
    return checked


def unit(
    number: int,
    *,
    input_floats: Floats | None = None,
    holding: Words | None = None,
    inputs: Words | None = None,
) -> SimDevice:
    """A unit with input floats (high word first), input or holding words; other addresses are holes."""
    bits = [SimData(0, values=[False] * 8, datatype=DataType.BITS)]
    hole = [SimData(60000, values=[0], datatype=DataType.REGISTERS)]
    input_data = [
        SimData(at, values=list(values), datatype=DataType.FLOAT32)
        for at, values in (input_floats or {}).items()
    ]
    input_data += [
        SimData(at, values=list(v), datatype=DataType.REGISTERS) for at, v in (inputs or {}).items()
    ]
    holding_data = [
        SimData(at, values=list(v), datatype=DataType.REGISTERS) for at, v in (holding or {}).items()
    ]
    return SimDevice(number, simdata=(bits, bits, holding_data or hole, input_data or hole))


@contextlib.asynccontextmanager
async def serve(*units: SimDevice, framer: str = "socket", **more: Any) -> AsyncIterator[int]:
    """A pymodbus server with these units; yields its port."""
    server: Any = ModbusTcpServer(list(units), address=("127.0.0.1", 0), framer=framer, **more)
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


Answerer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def liar(answer: Answerer) -> AsyncIterator[int]:
    """A TCP server that hands every request to ``answer``; yields its port."""
    writers: set[asyncio.StreamWriter] = set()

    async def serve_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with contextlib.suppress(ConnectionError):
            while request := await reader.read(512):
                await answer(request, writer)
        writer.close()

    server = await asyncio.start_server(serve_client, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()


def says(make: Callable[[bytes], bytes]) -> Answerer:
    """An answerer that writes ``make(request)``."""

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(make(request))
        await writer.drain()

    return answer


def frame(request: bytes, body: bytes, *, transaction: int | None = None, length: int | None = None) -> bytes:
    """An MBAP frame that answers ``request`` with ``body`` (unit, function, …)."""
    head = request[:2] if transaction is None else transaction.to_bytes(2, "big")
    return head + b"\x00\x00" + (len(body) if length is None else length).to_bytes(2, "big") + body


def right_answer(request: bytes, word: int = 0x4120) -> bytes:
    """The answer an honest device gives: every register holds ``word``."""
    count = int.from_bytes(request[10:12], "big")
    return frame(request, request[6:8] + bytes([2 * count]) + word.to_bytes(2, "big") * count)


def exception(code: int) -> Callable[[bytes], bytes]:
    """A device that answers everything with this exception."""
    return lambda request: frame(request, bytes([request[6], request[7] | 0x80, code]))
