"""The web server: builds the application from the declared routes, and serves it within limits.

Limits: 1 MiB a body (ingest 16 MiB, 64 MiB unpacked), 10 s to send it, 8 KiB a header line, 128 headers, 30 s
between requests of a connection, 2,000 connections. ``http.limits`` of the configuration may set
``read_deadline_s``, ``idle_s`` and ``connections``.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from types import ModuleType

import orjson
from aiohttp import web

from hub.app import Hub
from hub.errors import AskUser
from web import openapi
from web.body import DEADLINE_S, LARGE_BODIES, READ_DEADLINE_S, LargeBodies
from web.connections import CONNECTIONS, MAX_LINE_BYTES, guarded
from web.handlers import (
    auth,
    budgets,
    corrections,
    counting,
    devices,
    energy,
    explain,
    history,
    me,
    metering,
    money,
    outside,
    readings,
    storage,
    system,
    users,
)
from web.hub import BOOK, HUB
from web.middleware.border import HttpMetrics, add_headers, border
from web.middleware.gate import gate
from web.peer import is_loopback
from web.push import push_routes
from web.routes import Route, mount, refuse_undeclared
from web.websocket import add_websocket

LOGGER = logging.getLogger(__name__)

IDLE_S = 30.0
SHUTDOWN_S = 2.0
_RESOURCES: tuple[ModuleType, ...] = (
    auth,
    me,
    users,
    devices,
    readings,
    corrections,
    metering,
    history,
    counting,
    money,
    budgets,
    energy,
    explain,
    system,
    storage,
    outside,
)


def declared_routes(hub: Hub) -> list[Route]:
    """Every route of this hub: the hub's own, and those of the push formats that run."""
    own = [route for module in _RESOURCES for route in module.routes.all]
    return own + push_routes(hub.endpoints())


def make_app(hub: Hub) -> web.Application:
    """The application of a started hub.

    Raises:
        Bug: ``WL-API-900``, a handler says nothing about who may call it.
    """
    app = web.Application(middlewares=[border(HttpMetrics(hub.metrics_registry)), gate])
    app[HUB] = hub
    app[BOOK] = hub.auth_book
    app[LARGE_BODIES] = LargeBodies()
    app[DEADLINE_S] = float(hub.config.http.limits.get("read_deadline_s", READ_DEADLINE_S))
    routes = declared_routes(hub)
    document = openapi.openapi_document(routes, hub.version)
    app[outside.OPENAPI] = orjson.dumps(document)
    mount(app, routes)
    add_websocket(app, hub)
    refuse_undeclared(app)
    app.on_response_prepare.append(add_headers)
    return app


@dataclass(slots=True)
class Server:
    """A listening server; ``port`` is the real one where any free port was asked for.

    ``loopback`` is where the commands of this machine find it, whatever address it serves.
    """

    host: str
    port: int
    _runner: web.AppRunner = field(repr=False)
    _listeners: list[asyncio.Server] = field(repr=False)
    loopback: tuple[str, int] = ("127.0.0.1", 0)

    async def stop(self) -> None:
        """Take no new connection, let the open requests end for two seconds, close the rest."""
        for listener in self._listeners:
            listener.close()
        await self._runner.cleanup()


async def serve(hub: Hub, host: str, port: int) -> Server:
    """Serve a started hub.

    Raises:
        AskUser: ``WL-WEB-001``, the address cannot be listened on; ``WL-WEB-002``, ``http.tls`` is configured:
            serving plain where somebody asked for encryption would be worse than not starting.
    """
    if hub.config.http.tls is not None:
        raise AskUser(
            "WL-WEB-002",
            "http.tls is configured, but this version serves plain HTTP only",
            where="http.tls",
            hint="remove http.tls and put a reverse proxy with TLS in front",
        )
    limits = hub.config.http.limits
    runner = web.AppRunner(
        make_app(hub),
        handle_signals=False,
        access_log=None,
        auto_decompress=False,  # web.body unpacks, with limits of its own
        max_line_size=MAX_LINE_BYTES,
        keepalive_timeout=float(limits.get("idle_s", IDLE_S)),
        lingering_time=2.0,
        shutdown_timeout=SHUTDOWN_S,
    )
    await runner.setup()
    assert runner.server is not None
    factory = guarded(runner.server, int(limits.get("connections", CONNECTIONS)))
    loop = asyncio.get_running_loop()
    try:
        listeners = [await loop.create_server(factory, host, port, backlog=256)]
        if not _covers_loopback(host):
            listeners.append(await loop.create_server(factory, "127.0.0.1", 0))
    except (OSError, OverflowError) as error:
        await runner.cleanup()
        raise AskUser(
            "WL-WEB-001",
            f"cannot listen on {host}:{port}: {error}",
            where="http.port",
            hint="choose another port with --port or http.port, or stop the program that uses it",
        ) from error
    bound = listeners[0].sockets[0].getsockname()[1]
    near = host if is_loopback(host) and len(listeners) == 1 else "127.0.0.1"
    LOGGER.info("listening on http://%s:%s", host, bound)
    return Server(host, bound, runner, listeners, loopback=(near, listeners[-1].sockets[0].getsockname()[1]))


def _covers_loopback(host: str) -> bool:
    """Whether a command reaches ``host`` by an IPv4 loopback address; ``::`` takes IPv6 only."""
    return host in ("", "0.0.0.0") or (is_loopback(host) and ":" not in host)
