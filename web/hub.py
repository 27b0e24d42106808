"""Where a request finds the hub, the book of accounts and its own caller."""

from __future__ import annotations

from aiohttp import web

from hub.actors.auth_book import AuthBook
from hub.app import Hub
from hub.model.access import Principal

HUB = web.AppKey("hub", Hub)
BOOK = web.AppKey("book", AuthBook)
PRINCIPAL = web.RequestKey("principal", Principal)
REQUEST_ID = web.RequestKey("request_id", str)


def hub_of(request: web.Request) -> Hub:
    """The hub behind this request."""
    return request.app[HUB]


def principal_of(request: web.Request) -> Principal:
    """The caller; only behind routes that are not public."""
    return request[PRINCIPAL]
