"""A real hub with a websocket on a free loopback port, and a client that speaks the envelope."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from hub.actors.auth import CreateOwner, CreateToken, CreateUser, SetupState
from hub.actors.device_requests import Declare, GetLatest
from hub.actors.recorder import StoreReadings
from hub.app import Hub, HubOptions
from hub.model.access import LOCAL_PRINCIPAL
from hub.model.device import DeviceInfo
from hub.model.reading import ReadingBatch
from hub.model.series import known_series
from hub.runtime.actor import request
from web.hub import BOOK, HUB
from web.middleware.border import HttpMetrics, add_headers, border
from web.middleware.gate import gate
from web.websocket import FANOUT, Limits, add_websocket
from web.websocket.fanout import Fanout

PASSWORD = "correct horse battery"
CONFIG = """\
hub: {name: Home, time_zone: Europe/Paris, currency: EUR, location: [48.85, 2.35], country: FR}
mqtt_broker: {mode: "off"}
http: {host: 127.0.0.1, port: 0, allow_origins: ["https://panel.example"]}
"""


@dataclass
class Talk:
    """A connection that counts ids and keeps messages apart: results by id, everything else in order."""

    socket: aiohttp.ClientWebSocketResponse
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    frames: list[Any] = field(default_factory=list)
    waiting: list[Any] = field(default_factory=list)

    async def read(self) -> Any:
        """The next message, out of an array too."""
        while not self.waiting:
            frame = await self.socket.receive_json(loads=orjson.loads, timeout=30)
            self.frames.append(frame)
            self.waiting += frame if isinstance(frame, list) else [frame]
        return self.waiting.pop(0)

    async def send(self, kind: str, **more: Any) -> int:
        command_id = next(self.ids)
        await self.socket.send_json({"id": command_id, "type": kind, **more})
        return command_id

    async def ask(self, kind: str, **more: Any) -> Any:
        """A command and its whole answer; events that come before it are kept."""
        command_id = await self.send(kind, **more)
        before = []
        while (message := await self.read()).get("id") != command_id or message["type"] == "event":
            before.append(message)
        self.waiting = before + self.waiting
        return message

    async def result(self, kind: str, **more: Any) -> Any:
        answer = await self.ask(kind, **more)
        assert answer["success"], answer
        return answer["result"]

    async def error(self, kind: str, **more: Any) -> str:
        answer = await self.ask(kind, **more)
        assert not answer["success"], answer
        return str(answer["error"]["code"])

    async def event(self) -> Any:
        message = await self.read()
        assert message["type"] == "event", message
        return message["event"]

    async def close_code(self) -> int:
        """Read to the end and say how it ended."""
        while not self.socket.closed:
            await self.socket.receive(timeout=30)
        return self.socket.close_code or 0


@dataclass
class Live:
    """The hub, the address of its websocket, and tokens."""

    hub: Hub
    fanout: Fanout
    url: str
    session: aiohttp.ClientSession
    tokens: dict[str, str] = field(default_factory=dict)
    token_ids: dict[str, str] = field(default_factory=dict)
    sockets: list[aiohttp.ClientWebSocketResponse] = field(default_factory=list)

    async def open(self, **more: Any) -> aiohttp.ClientWebSocketResponse:
        socket: aiohttp.ClientWebSocketResponse = await self.session.ws_connect(
            self.url, max_msg_size=0, **more
        )
        self.sockets.append(socket)
        return socket

    async def talk(self, token: str = "viewer", **more: Any) -> Talk:
        """A signed-in connection."""
        socket = await self.open(**more)
        assert (await socket.receive_json())["type"] == "auth_required"
        await socket.send_json({"type": "auth", "access_token": self.tokens.get(token, token)})
        assert (await socket.receive_json())["type"] == "auth_ok"
        return Talk(socket)

    async def declare(self, device: str, *keys: str, **more: Any) -> list[int]:
        """Register a device; the numbers of its series."""
        series = tuple(known_series(key) for key in keys)
        numbers = await request(self.hub.device, Declare(DeviceInfo(device, **more), series, "test", "test"))
        return [number for number in numbers if number is not None]

    async def store(self, *rows: tuple[int, float], ts_ms: int | None = None) -> None:
        """Store ``(series number, value)`` and wait until they are shown."""
        now_ms = self.hub.clock.now_ms() if ts_ms is None else ts_ms
        numbers, values = [no for no, _ in rows], [value for _, value in rows]
        batch = ReadingBatch("test", now_ms, numbers, [now_ms] * len(rows), values, [0] * len(rows))
        stored = await request(self.hub.recorder, StoreReadings(batch))
        assert not stored.rejections
        await request(self.hub.device, GetLatest(()))

    async def alone(self) -> None:
        """Wait until the hub knows that every client has gone."""
        gone = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not gone and _serves_a_client(task)]
        await asyncio.wait_for(asyncio.gather(*others, return_exceptions=True), 30)


def _serves_a_client(task: asyncio.Task[Any]) -> bool:
    return "RequestHandler.start" in repr(task.get_coro())


Serve = Callable[[Limits], Awaitable[Live]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Start a hub with given limits."""
    async with AsyncExitStack() as stack:

        async def start(limits: Limits) -> Live:
            hub = await _started_hub(tmp_path)
            stack.push_async_callback(hub.stop)
            app = web.Application(middlewares=[border(HttpMetrics(hub.metrics_registry)), gate])
            app[HUB], app[BOOK] = hub, hub.auth_book
            app.on_response_prepare.append(add_headers)
            add_websocket(app, hub, limits)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            session = await stack.enter_async_context(aiohttp.ClientSession())
            url = f"ws://127.0.0.1:{runner.addresses[0][1]}/api/websocket"
            live = Live(hub, app[FANOUT], url, session)
            await _make_tokens(live)
            return live

        yield start


@pytest.fixture
async def live(serve: Serve) -> Live:
    """A hub with the usual limits."""
    return await serve(Limits())


async def _started_hub(tmp_path: Path) -> Hub:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "hub.yaml").write_text(CONFIG)
    hub = Hub(HubOptions(tmp_path / "config", tmp_path / "data"))
    await hub.start()
    return hub


async def _make_tokens(live: Live) -> None:
    auth = live.hub.auth
    state = await request(auth, SetupState())
    await request(auth, CreateOwner(state.token, "admin", PASSWORD))
    await request(auth, CreateUser("viewer", ("viewer",), LOCAL_PRINCIPAL))
    for name, user, scopes in (
        ("admin", "admin", None),
        ("viewer", "viewer", None),
        ("ingest", "admin", ("ingest",)),
    ):
        made = await request(auth, CreateToken(LOCAL_PRINCIPAL, name, scopes, for_user=user))
        live.tokens[name], live.token_ids[name] = made.secret, made.token.id
