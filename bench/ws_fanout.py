"""Websocket fan-out: how long a new value takes to every client, and what it costs the server.

A real hub with its web server runs in a process of its own and publishes values that are the time of their
publication; bare clients in this process read them and take the difference. The floor is a bare aiohttp handler
that sends the same text to the same clients in a loop, in the same run.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web

from bench.machine import cpu_s, rss_mib
from bench.rows import Context, Row
from bench.statistics import percentile

SERIES = 20
WARM_UP_S = 1.0
_CONFIG = 'hub: {name: Bench}\nmqtt_broker: {mode: "off"}\n'


@dataclass(frozen=True, slots=True)
class Load:
    """``updates_per_s`` values to ``clients`` clients, ``stuck`` more of which never read."""

    clients: int
    updates_per_s: int
    stuck: int = 0
    seconds: float = 10.0


@dataclass(slots=True)
class Measured:
    """Delays in ms as clients saw them, CPU of the server in per cent of a core, growth of its memory."""

    delays_ms: list[float] = field(repr=False)
    cpu_percent: float
    grown_mib: float

    def at(self, share: float) -> float:
        """A percentile of the delays."""
        return percentile(self.delays_ms, share)


def run(context: Context | None = None) -> list[Row]:
    """Measure ours and the floor under the same loads."""
    seconds = 4.0 if context is not None and context.quick else 8.0
    calm = Load(100, 100, seconds=seconds)
    busy = Load(100, 1_000, seconds=seconds)
    rows = []
    for load, targets in ((calm, (10.0, 15.0)), (busy, (20.0, None))):
        ours, floor = measure("ours", load), measure("floor", load)
        name = f"websocket, {load.clients} clients, {load.updates_per_s} updates/s"
        rows += [
            Row(f"{name}: p50", ours.at(50), "ms", "lower", floor.at(50), "bare aiohttp"),
            Row(f"{name}: p99", ours.at(99), "ms", "lower", floor.at(99), "bare aiohttp", targets[0]),
            Row(
                f"{name}: CPU",
                ours.cpu_percent,
                "% of a core",
                "lower",
                floor.cpu_percent,
                "bare aiohttp",
                targets[1],
            ),
        ]
    crowd = Load(180, 2_000, stuck=20, seconds=seconds)
    ours = measure("ours", crowd)
    name = "websocket, 200 clients, 20 never read, 2000 updates/s"
    return [
        *rows,
        Row(f"{name}: p99 of the others", ours.at(99), "ms", "lower", target=500.0),
        Row(f"{name}: memory", ours.grown_mib, "MiB more", "lower", target=50.0),
        Row(f"{name}: CPU", ours.cpu_percent, "% of a core", "lower"),
    ]


def measure(which: str, load: Load) -> Measured:
    """One load on one server."""
    return asyncio.run(_measure(which, load))


async def _measure(which: str, load: Load) -> Measured:
    with TemporaryDirectory(prefix="ws-fanout-") as folder:
        command = [sys.executable, "-m", "bench.ws_fanout", "serve", which, folder]
        server = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        try:
            return await _drive(server, load)
        finally:
            server.terminate()
            await server.wait()


async def _drive(server: asyncio.subprocess.Process, load: Load) -> Measured:
    assert server.stdin is not None
    assert server.stdout is not None
    hello = json.loads(await server.stdout.readline())
    viewers = [await Viewer.open(hello["port"], hello["token"]) for _ in range(load.clients)]
    stuck = [await Viewer.open(hello["port"], hello["token"], reads=False) for _ in range(load.stuck)]
    server.stdin.write(f"{load.updates_per_s} {load.seconds + WARM_UP_S}\n".encode())
    await asyncio.sleep(WARM_UP_S)
    for viewer in viewers:
        viewer.delays_ms.clear()
    before_s, before_mib = cpu_s(server.pid), rss_mib(server.pid)
    await server.stdout.readline()
    used_s, grown_mib = cpu_s(server.pid) - before_s, rss_mib(server.pid) - before_mib
    delays_ms = [delay for viewer in viewers for delay in viewer.delays_ms]
    for viewer in (*viewers, *stuck):
        viewer.close()
    return Measured(delays_ms, used_s / load.seconds * 100, grown_mib)


class Viewer(asyncio.Protocol):
    """A bare client: signs in, subscribes to all series, notes how old each value is when it is read."""

    def __init__(self, port: int, token: str, reads: bool) -> None:
        self.delays_ms: list[float] = []
        self.subscribed = asyncio.get_running_loop().create_future()
        self._port, self._token, self._reads = port, token, reads
        self._buffer = b""
        self._upgraded = False
        self._transport: asyncio.Transport

    @classmethod
    async def open(cls, port: int, token: str, *, reads: bool = True) -> Viewer:
        """Connect and subscribe; one that does not read stops reading after that."""
        loop = asyncio.get_running_loop()
        _, viewer = await loop.create_connection(lambda: cls(port, token, reads), "127.0.0.1", port)
        await viewer.subscribed
        if not reads:
            viewer._transport.pause_reading()
        return viewer

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            (
                f"GET /api/websocket HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
        )

    def data_received(self, data: bytes) -> None:
        now_s = time.monotonic()
        self._buffer += data
        if not self._upgraded:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._upgraded, self._buffer = True, rest
            self._send(0x1, json.dumps({"type": "auth", "access_token": self._token}).encode())
            self._send(0x1, b'{"id":1,"type":"wattline/subscribe_series"}')
        self._read_frames(now_s)

    def _read_frames(self, now_s: float) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            length, start = buffer[at + 1], at + 2
            if length >= 126:
                size = 2 if length == 126 else 8
                if len(buffer) < start + size:
                    break
                length, start = int.from_bytes(buffer[start : start + size], "big"), start + size
            if len(buffer) < start + length:
                break
            self._take(buffer[at] & 0x0F, buffer[start : start + length], now_s)
            at = start + length
        self._buffer = buffer[at:]

    def _take(self, opcode: int, payload: bytes, now_s: float) -> None:
        if opcode == 0x9:
            self._send(0xA, payload)
        elif opcode == 0x1 and b'"event"' in payload:
            values = json.loads(payload)["event"]["series"].values()
            self.delays_ms += [(now_s - value) * 1000 for _, value in values]
            if not self.subscribed.done():
                self.subscribed.set_result(None)

    def _send(self, opcode: int, payload: bytes) -> None:
        assert len(payload) < 126
        self._transport.write(bytes([0x80 | opcode, 0x80 | len(payload)]) + b"\0\0\0\0" + payload)


# --- the other process


async def _serve(which: str, folder: Path) -> None:
    start = _start_hub if which == "ours" else _start_floor
    port, token, publish = await start(folder)
    print(json.dumps({"port": port, "token": token}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        updates_per_s, seconds = line.split()
        await _publish_at(publish, float(updates_per_s), float(seconds))
        print("done", flush=True)


async def _publish_at(publish: Callable[[int, float], Awaitable[None]], per_s: float, seconds: float) -> None:
    """Values on a fixed grid of times, of one series after the other."""
    begin_s = time.monotonic()
    for number in range(int(per_s * seconds)):
        wait_s = begin_s + number / per_s - time.monotonic()
        await asyncio.sleep(max(wait_s, 0))
        await publish(number % SERIES, time.monotonic())


async def _start_hub(folder: Path) -> tuple[int, str, Callable[[int, float], Awaitable[None]]]:
    from hub.actors.auth import CreateOwner, CreateToken, SetupState
    from hub.actors.device_requests import Declare
    from hub.app import Hub, HubOptions
    from hub.model.access import LOCAL_PRINCIPAL
    from hub.model.device import DeviceInfo
    from hub.model.events import StatesChanged
    from hub.model.series import known_series
    from hub.runtime.actor import request
    from web.server import serve

    (folder / "config").mkdir()
    (folder / "config" / "hub.yaml").write_text(_CONFIG)
    hub = Hub(HubOptions(folder / "config", folder / "data"))
    await hub.start()
    series = tuple(known_series(f"x{number}") for number in range(SERIES))
    numbers = await request(hub.device, Declare(DeviceInfo("bench"), series, "bench", "bench"))
    for number in numbers:
        hub.board.set(number or 0, hub.clock.now_ms(), time.monotonic(), 0)
    state = await request(hub.auth, SetupState())
    await request(hub.auth, CreateOwner(state.token, "owner", "a passphrase for the bench 9"))
    made = await request(hub.auth, CreateToken(LOCAL_PRINCIPAL, "bench", None, for_user="owner"))
    server = await serve(hub, "127.0.0.1", 0)

    async def publish(index: int, value: float) -> None:
        hub.bus.publish(StatesChanged((numbers[index] or 0,), (hub.clock.now_ms(),), (value,)))

    return server.port, made.secret, publish


async def _start_floor(folder: Path) -> tuple[int, str, Callable[[int, float], Awaitable[None]]]:
    sockets: list[web.WebSocketResponse] = []

    async def handler(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await socket.send_str('{"id":1,"type":"event","event":{"series":{}}}')
        sockets.append(socket)
        async for _ in socket:
            pass
        sockets.remove(socket)
        return socket

    async def publish(index: int, value: float) -> None:
        event = {"series": {f"bench.x{index}": [int(value * 1000), value]}}
        text = json.dumps({"id": 1, "type": "event", "event": event})
        for socket in sockets:
            await socket.send_str(text)

    app = web.Application()
    app.router.add_get("/api/websocket", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return int(runner.addresses[0][1]), "", publish


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(_serve(sys.argv[2], Path(sys.argv[3])))
    else:
        for row in run():
            floor = "" if row.floor is None else f"   {row.floor_name} {row.floor:.2f}"
            print(f"{row.name:<75} {row.ours:9.2f} {row.unit}{floor}")
