"""A client that reads slowly gets less, and always the newest; one that does not read is found out."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from typing import Any

import pytest
from aiohttp import WSMsgType

from hub.model.access import LOCAL_PRINCIPAL
from web.websocket import Limits
from web.websocket.channels import Channel
from web.websocket.client import HOLD_S, Client, Subscription
from web.websocket.frames import message_frames, ping_frame, text_frame

from .conftest import Live, Serve


class Wire(asyncio.Transport):
    """A transport whose buffer holds what it is told to hold."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.unsent = 0

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return False


class Numbers(Channel):
    """Says which flushes a client gets."""

    latest = 0

    def render_news(self, since: int) -> list[bytes]:
        return [b"[%d,%d]" % (since, self.latest)] if self.latest > since else []


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def client(wire: Wire) -> Client:
    client = Client(wire, LOCAL_PRINCIPAL, Limits(), lambda code, reason: None)
    client.subscriptions[7] = Subscription(7, Numbers(("numbers",)), 0)
    return client


def _flush(client: Client, seq: int, now_s: float) -> None:
    channel = client.subscriptions[7].channel
    assert isinstance(channel, Numbers)
    channel.forget()
    channel.latest = seq
    client.offer(seq, now_s)


def _events(wire: Wire) -> list[Any]:
    return [json.loads(part)["event"] for part in _texts(b"".join(wire.written))]


def _texts(stream: bytes) -> list[bytes]:
    texts, at = [], 0
    while at < len(stream):
        length = stream[at + 1]
        assert length < 126
        if stream[at] == 0x81:
            texts.append(stream[at + 2 : at + 2 + length])
        at += 2 + length
    return texts


def _pings(wire: Wire) -> list[bytes]:
    stream, found, at = b"".join(wire.written), [], 0
    while at < len(stream):
        length = stream[at + 1]
        if stream[at] == 0x89:
            found.append(stream[at + 2 : at + 2 + length])
        at += 2 + length
    return found


def _known_as_quick(client: Client, wire: Wire) -> None:
    client.begin(99)
    client.pong(_pings(wire)[-1], 99.001)


def test_a_quick_client_gets_every_flush(client: Client, wire: Wire) -> None:
    _known_as_quick(client, wire)
    for seq in range(1, 6):
        _flush(client, seq, 100 + seq * 0.01)

    assert _events(wire) == [[seq - 1, seq] for seq in range(1, 6)]


def test_a_client_that_answers_no_pings_is_known_by_its_buffers_alone(client: Client, wire: Wire) -> None:
    for seq in range(1, 6):
        _flush(client, seq, 100 + seq)

    assert _events(wire) == [[seq - 1, seq] for seq in range(1, 6)]


def test_a_full_buffer_holds_back_and_the_newest_comes_later(client: Client, wire: Wire) -> None:
    wire.unsent = client.limits.buffer_bytes + 1
    for seq in range(1, 4):
        _flush(client, seq, 100 + seq * 0.01)
    assert (wire.written, client.behind) == ([], True)

    wire.unsent = 0
    client.offer(3, 101)

    assert _events(wire) == [[0, 3]]


def test_a_late_pong_makes_a_client_slow_until_it_is_quick_again(client: Client, wire: Wire) -> None:
    _known_as_quick(client, wire)
    _flush(client, 1, 100)
    _flush(client, 2, 100 + HOLD_S + 0.01)
    assert (client.slow, client.behind) == (True, True)

    client.pong(_pings(wire)[-1], 103)
    client.offer(2, 103)
    _flush(client, 3, 103.01)
    assert client.behind
    client.pong(_pings(wire)[-1], 103.02)
    client.offer(3, 103.02)

    assert _events(wire) == [[0, 1], [1, 2], [2, 3]]
    assert not client.slow


def test_a_slow_client_gets_one_frame_at_a_time_and_the_newest(client: Client, wire: Wire) -> None:
    now_s = 100.0
    client.begin(now_s)
    client.pong(_pings(wire)[-1], now_s + 1)
    for seq in range(1, 1001):
        now_s += 0.01
        _flush(client, seq, now_s)
        if seq % 100 == 0:
            client.pong(_pings(wire)[-1], now_s)
            client.offer(seq, now_s)

    assert client.slow
    assert _events(wire) == [[0, 1], [1, 100], *([seq, seq + 100] for seq in range(100, 1000, 100))]


@pytest.mark.parametrize("payload", [b"", b"x", b"99", b"0", b"-1", b"9" * 100, b"\xff"])
def test_a_pong_to_nothing_proves_nothing(client: Client, wire: Wire, payload: bytes) -> None:
    _flush(client, 1, 100)

    client.pong(payload, 100.1)
    client.check(101)

    assert not client.check(101 + client.limits.stuck_s)


def test_a_client_that_reads_nothing_is_found_after_its_time(client: Client, wire: Wire) -> None:
    _flush(client, 1, 100)

    assert client.check(100 + client.limits.stuck_s - 0.1)
    assert not client.check(100 + client.limits.stuck_s)


def test_a_large_answer_that_drains_is_progress(client: Client, wire: Wire) -> None:
    stuck_s = client.limits.stuck_s
    for step in range(1, 5):
        wire.unsent = 10_000_000 - step * 1000
        assert client.check(100 + step * (stuck_s - 1))

    assert client.check(100 + 4 * (stuck_s - 1) + stuck_s - 1)
    assert not client.check(100 + 4 * (stuck_s - 1) + stuck_s)


def test_a_quiet_connection_is_pinged_and_stays(client: Client, wire: Wire) -> None:
    now_s = 1000.0
    for _ in range(10):
        assert client.check(now_s)
        client.pong(_pings(wire)[-1], now_s + 0.1)
        now_s += client.limits.heartbeat_s

    assert len(_pings(wire)) == 10


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
def test_a_frame_says_its_length(size: int) -> None:
    frame = text_frame(b"x" * size)

    assert frame.endswith(b"x" * size)
    header = frame[: len(frame) - size]
    assert header[0] == 0x80 | WSMsgType.TEXT
    sizes = {2: header[1:], 4: header[2:], 10: header[2:]}
    assert int.from_bytes(sizes[len(header)], "big") == size


def test_several_messages_are_one_array_only_for_those_who_know_arrays() -> None:
    assert message_frames([b"1", b"2"], coalesce=True) == text_frame(b"[1,2]")
    assert message_frames([b"1", b"2"], coalesce=False) == text_frame(b"1") + text_frame(b"2")
    assert message_frames([b"1"], coalesce=True) == text_frame(b"1")
    assert ping_frame(b"12") == b"\x89\x0212"


# --- over a real connection


async def _raw_viewer(live: Live) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Signed in and subscribed to everything, by hand: nothing reads unless the test does."""
    host, _, rest = live.url.removeprefix("ws://").partition(":")
    port = int(rest.partition("/")[0])
    reader, writer = await asyncio.open_connection(host, port, limit=1024)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        (
            f"GET /api/websocket HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    for message in (
        {"type": "auth", "access_token": live.tokens["viewer"]},
        {"id": 1, "type": "subscribe_entities"},
    ):
        writer.write(_masked(json.dumps(message).encode()))
    return reader, writer


def _masked(payload: bytes) -> bytes:
    assert len(payload) < 126
    return bytes([0x81, 0x80 | len(payload)]) + b"\0\0\0\0" + payload


async def _close_code(reader: asyncio.StreamReader) -> int:
    """Read what piled up; the code of the close frame behind it."""
    while True:
        opcode, length = await reader.readexactly(2)
        if length >= 126:
            length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
        payload = await reader.readexactly(length)
        if opcode == 0x88:
            return int.from_bytes(payload[:2], "big")


async def test_a_client_that_never_reads_is_closed_with_try_again_later(serve: Serve) -> None:
    live = await serve(Limits(stuck_s=2.0, tick_s=0.05))
    power, voltage = await live.declare("meter", "power", "voltage")
    stuck, writer = await _raw_viewer(live)
    reading = await live.talk()
    await reading.result("subscribe_entities")
    await reading.event()

    async with asyncio.timeout(60):
        value = 0.0
        while len(live.fanout.clients) > 1:
            value += 1
            await live.store((power, value), (voltage, -value))
            await reading.event()

    assert await asyncio.wait_for(_close_code(stuck), 30) == 1013
    assert (await reading.ask("ping"))["type"] == "pong"
    writer.close()


async def test_a_stuck_client_costs_little_and_does_not_slow_the_others(serve: Serve) -> None:
    live = await serve(Limits(buffer_bytes=4096, kernel_buffer_bytes=4096))
    numbers = await live.declare("meter", *(f"x{index}" for index in range(50)))
    _, writer = await _raw_viewer(live)
    reading = await live.talk()
    await reading.result("wattline/subscribe_series")
    await reading.event()
    held = 0

    for value in range(200):
        await live.store(*((number, float(value)) for number in numbers))
        last: dict[str, Any] = {}
        while len(last) < len(numbers):
            last |= (await reading.event())["series"]
        held = max(held, *(client.transport.get_write_buffer_size() for client in live.fanout.clients))

    assert {number for _, number in last.values()} == {199.0}
    assert held < 4096 + 50 * 400
    writer.close()
