"""Bounds on connections: how many are open, and how long a new one may take to say what it wants."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

LOGGER = logging.getLogger(__name__)

CONNECTIONS = 2_000
HEAD_DEADLINE_S = 10.0
"""A connection without one whole request head by then is closed; ``http.limits`` does not lengthen it."""


class _Closed(asyncio.Protocol):
    """Closes what it is given."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def guarded(server: Server, limit: int = CONNECTIONS) -> Callable[[], asyncio.Protocol]:
    """The protocol factory of ``server``, for at most ``limit`` connections at a time."""
    full = False

    def connect() -> asyncio.Protocol:
        nonlocal full
        if len(server.connections) < limit:
            full = False
            handler = server()
            asyncio.get_running_loop().call_later(HEAD_DEADLINE_S, _close_if_silent, handler)
            return handler
        if not full:
            full = True
            LOGGER.warning("%s connections are open; further ones are closed until some end", limit)
        return _Closed()

    return connect


def _close_if_silent(handler: RequestHandler) -> None:
    # the library bounds the time between requests, not the one until the first head is whole
    if handler._request_count == 0:
        handler.force_close()
