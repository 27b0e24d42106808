"""A bound on open connections: one more is closed at once instead of starving those that are served."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp.web_server import Server

LOGGER = logging.getLogger(__name__)

CONNECTIONS = 2_000


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
            return server()
        if not full:
            full = True
            LOGGER.warning("%s connections are open; further ones are closed until some end", limit)
        return _Closed()

    return connect
