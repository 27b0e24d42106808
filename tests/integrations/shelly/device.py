"""A Shelly on a free loopback port: answers like the firmware, with digest authentication where it is set."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web

FIXTURES = Path(__file__).parents[4] / "shared" / "fixtures" / "shelly"
NONCE = 1725185413

PLUS_1PM = {
    "name": "Boiler",
    "id": "shellyplus1pm-a1b2c3d4e5f6",
    "mac": "A1B2C3D4E5F6",
    "model": "SNSW-001P16EU",
    "gen": 2,
    "ver": "1.4.4",
    "app": "Plus1PM",
    "auth_en": False,
    "auth_domain": None,
}


def recorded(pattern: str) -> Any:
    """A recording of a real device; the test is skipped where the recordings are not there."""
    found = sorted(FIXTURES.glob(pattern))
    if not found:
        pytest.skip(f"no recording {pattern} of a real device at hand")
    return json.loads(found[0].read_text())


def switch(**fields: Any) -> dict[str, Any]:
    """Status of a metering switch."""
    return {
        "id": 0,
        "output": True,
        "apower": 1200.5,
        "voltage": 230.1,
        "current": 5.21,
        "aenergy": {"total": 5000.25, "by_minute": [20000.0, 19000.0, 20000.0], "minute_ts": 1763999940},
        "temperature": {"tC": 41.5, "tF": 106.7},
        **fields,
    }


@dataclass
class FakeShelly:
    """What the device says, and what it was asked. ``password`` None = open."""

    status: dict[str, Any] = field(default_factory=lambda: {"switch:0": switch(), "wifi": {"rssi": -60}})
    about: dict[str, Any] = field(default_factory=lambda: dict(PLUS_1PM))
    password: str | None = None
    has_websocket: bool = True
    mute: bool = False
    raw: bytes | None = None
    spoil_next: bytes | None = None
    """Answer to the next HTTP call alone."""
    calls: list[str] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    listening: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    @property
    def realm(self) -> str:
        return str(self.about.get("id"))

    async def notify(self, method: str = "NotifyStatus", ts: float | None = None, **components: Any) -> None:
        """Send a notification to every client; ``switch_0`` stands for ``switch:0``."""
        params = {name.replace("_", ":"): fields for name, fields in components.items()}
        frame = {"src": self.realm, "dst": "x", "method": method, "params": {"ts": ts, **params}}
        await self.send(json.dumps(frame))

    async def send(self, text: str) -> None:
        await self.listening.wait()
        for socket in self.sockets:
            await socket.send_str(text)

    async def drop(self) -> None:
        """Close all websockets, as a reboot does."""
        self.listening.clear()
        sockets, self.sockets = self.sockets, []
        for socket in sockets:
            await socket.close()

    async def get_about(self, request: web.Request) -> web.Response:
        return web.json_response(self.about)

    async def post_rpc(self, request: web.Request) -> web.StreamResponse:
        if self.mute:
            await asyncio.sleep(30)
        spoilt, self.spoil_next = self.spoil_next if self.raw is None else self.raw, None
        if spoilt is not None:
            return web.Response(body=spoilt, content_type="application/json")
        if self.password is not None and not self._digest_is_right(request):
            challenge = f'Digest qop="auth", realm="{self.realm}", nonce="{NONCE}", algorithm=SHA-256'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        frame = await request.json()
        return web.json_response(self._answer(frame))

    async def get_websocket(self, request: web.Request) -> web.StreamResponse:
        if not self.has_websocket:
            return web.Response(status=404)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT and not self.mute:
                await self._websocket_frame(socket, message.json())
        return socket

    async def _websocket_frame(self, socket: web.WebSocketResponse, frame: dict[str, Any]) -> None:
        if self.raw is not None:
            await socket.send_bytes(self.raw)
        elif self.password is not None and not self._auth_is_right(frame.get("auth")):
            challenge = {
                "auth_type": "digest", "nonce": NONCE, "nc": 1, "realm": self.realm, "algorithm": "SHA-256"
            }  # fmt: skip
            error = {"code": 401, "message": json.dumps(challenge)}
            await socket.send_json({"id": frame["id"], "src": self.realm, "error": error})
        else:
            await socket.send_json(self._answer(frame))
            if socket not in self.sockets:
                self.sockets.append(socket)
            self.listening.set()

    def _answer(self, frame: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(frame["method"])
        return {"id": frame["id"], "src": self.realm, "dst": frame.get("src"), "result": self.status}

    def _auth_is_right(self, auth: Any) -> bool:
        if not isinstance(auth, dict):
            return False
        ha1 = _sha256(f"admin:{self.realm}:{self.password}")
        ha2 = _sha256("dummy_method:dummy_uri")
        wanted = _sha256(f"{ha1}:{NONCE}:1:{auth['cnonce']}:auth:{ha2}")
        return bool(auth["response"] == wanted and auth["username"] == "admin")

    def _digest_is_right(self, request: web.Request) -> bool:
        header = request.headers.get("Authorization", "")
        fields = dict(
            part.strip().split("=", 1) for part in header.removeprefix("Digest ").split(",") if part
        )
        given = {name: value.strip('"') for name, value in fields.items()}
        if "nonce" not in given:
            return False
        ha1 = _sha256(f"admin:{self.realm}:{self.password}")
        ha2 = _sha256(f"{request.method}:{given['uri']}")
        wanted = _sha256(f"{ha1}:{given['nonce']}:{given['nc']}:{given['cnonce']}:auth:{ha2}")
        return given["response"] == wanted


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.asynccontextmanager
async def serve(shelly: FakeShelly) -> AsyncIterator[FakeShelly]:
    """Serve a device; its port is in ``shelly.port``."""
    app = web.Application()
    app.router.add_get("/shelly", shelly.get_about)
    app.router.add_post("/rpc", shelly.post_rpc)
    app.router.add_get("/rpc", shelly.get_websocket)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", shelly.port)
    await site.start()
    shelly.port = runner.addresses[0][1]
    try:
        yield shelly
    finally:
        await shelly.drop()
        await runner.cleanup()
