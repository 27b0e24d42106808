"""Bounds on connections: how many are open, and how long a new one may take to say what it wants."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from web.problems import problem

LOGGER = logging.getLogger(__name__)

CONNECTIONS = 2_000
MAX_LINE_BYTES = 64 << 10
"""Of the request line: 500 series of a history, or a backlog of readings in the address, have to fit."""
HEAD_DEADLINE_S = 10.0
"""A connection without one whole request head by then is closed; ``http.limits`` does not lengthen it."""


class _Handler(RequestHandler):
    """The library's own, but for what it says to bytes that are no request."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A problem document; the log gets no byte of the request, for a token may be in its address."""
        if not 400 <= status < 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        LOGGER.debug("no HTTP from %s: %s", request.remote, type(exc).__name__)
        detail = "this is no HTTP request"
        if isinstance(exc, LineTooLong):
            in_head = str(exc.args[1]) != str(MAX_LINE_BYTES)  # the limit that was passed tells which
            status = (
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if in_head else HTTPStatus.REQUEST_URI_TOO_LONG
            )
            detail = f"{'a header' if in_head else 'the address'} of the request is too long"
        response = problem(status, f"WL-API-{status:d}", detail)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.force_close()
        return response


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
            handler = _Handler(server, loop=asyncio.get_running_loop(), **server._kwargs)
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
