"""A real hub in a temporary directory, served on a free loopback port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hub.actors.auth import CreateOwner, CreateToken, CreateUser, SetupState
from hub.app import Hub, HubOptions
from hub.model.access import LOCAL_PRINCIPAL
from hub.runtime.actor import request
from web.server import Server, serve

PASSWORD = "correct horse battery"
CONFIG = """\
hub: {name: Home, time_zone: Europe/Paris, currency: EUR}
mqtt_broker: {mode: "off"}
http: {host: 127.0.0.1, port: 0, limits: {read_deadline_s: 1, connections: 20}}
"""


@dataclass
class House:
    """The hub, its server, a client, and tokens by role and by scope."""

    hub: Hub
    server: Server
    client: aiohttp.ClientSession
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def call(self, method: str, path: str, *, by: str | None = "admin", **more: Any) -> Answer:
        """A request by the token of a role or scope, or without any."""
        headers = dict(more.pop("headers", {}))
        if by is not None:
            headers["Authorization"] = f"Bearer {self.tokens.get(by, by)}"
        async with self.client.request(method, self.url + path, headers=headers, **more) as response:
            body = await response.read()
            content = await response.json(content_type=None) if "json" in response.content_type else None
            return Answer(response.status, content, body, response.headers, response.cookies)

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.call("GET", path, **more)

    async def post(self, path: str, **more: Any) -> Answer:
        return await self.call("POST", path, **more)


@dataclass
class Answer:
    """What came back."""

    status: int
    json: Any
    body: bytes
    headers: Mapping[str, str]
    cookies: Any

    @property
    def code(self) -> str:
        return str(self.json["code"])


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A hub with an owner `admin`, a user per role, and a token per role and per scope of the admin."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "hub.yaml").write_text(CONFIG)
    hub = Hub(HubOptions(tmp_path / "config", tmp_path / "data"))
    await hub.start()
    server = await serve(hub, "127.0.0.1", 0)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        made = House(hub, server, client)
        state = await request(hub.auth, SetupState())
        await request(hub.auth, CreateOwner(state.token, "admin", PASSWORD))
        for role in ("manager", "operator", "viewer"):
            await request(hub.auth, CreateUser(role, (role,), LOCAL_PRINCIPAL))
        for role in ("admin", "manager", "operator", "viewer"):
            made.tokens[role] = await _token(hub, role, None)
        for scope in ("read", "write", "ingest"):
            made.tokens[scope] = await _token(hub, "admin", (scope,))
        yield made
    await server.stop()
    await hub.stop()


async def _token(hub: Hub, user: str, scopes: tuple[str, ...] | None) -> str:
    made = await request(hub.auth, CreateToken(LOCAL_PRINCIPAL, "test", scopes, for_user=user))
    return made.secret
