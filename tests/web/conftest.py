"""A real hub in a temporary directory, served on a free loopback port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
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
http: {host: 127.0.0.1, port: 0, limits: {read_deadline_s: 3, connections: 20}}
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


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[House]:
    """A fresh hub, without an owner yet, and its server."""
    (directory / "config").mkdir()
    (directory / "config" / "hub.yaml").write_text(CONFIG)
    hub = Hub(HubOptions(directory / "config", directory / "data"))
    await hub.start()
    server = await serve(hub, "127.0.0.1", 0)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        yield House(hub, server, client)
    await server.stop()
    await hub.stop()


@pytest.fixture
async def new_house(tmp_path: Path) -> AsyncIterator[House]:
    """A hub that waits for its first owner."""
    async with served(tmp_path) as made:
        yield made


@pytest.fixture
async def house(new_house: House) -> House:
    """A hub with an owner `admin`, a user per role, and a token per role and per scope of the admin."""
    hub = new_house.hub
    state = await request(hub.auth, SetupState())
    await request(hub.auth, CreateOwner(state.token, "admin", PASSWORD))
    for role in ("manager", "operator", "viewer"):
        await request(hub.auth, CreateUser(role, (role,), LOCAL_PRINCIPAL))
    for role in ("admin", "manager", "operator", "viewer"):
        new_house.tokens[role] = await _token(hub, role, None)
    for scope in ("read", "write", "ingest"):
        new_house.tokens[scope] = await _token(hub, "admin", (scope,))
    return new_house


async def _token(hub: Hub, user: str, scopes: tuple[str, ...] | None) -> str:
    made = await request(hub.auth, CreateToken(LOCAL_PRINCIPAL, "test", scopes, for_user=user))
    return made.secret
