"""The websocket at ``/api/websocket``: Home Assistant's envelope, our series.

``auth_required`` → ``auth`` with an access token or an API token → ``auth_ok``, then commands
(:mod:`web.websocket.commands`) and events. A connection lives as long as its session or API token. Close codes:
1001 the hub stops, 1003 a binary message, 1007 invalid JSON, 1008 no sign-in in time, 1009 a message over 64 KiB,
1013 try again later (the client does not read, or the hub has just started), 4001 the session ended or roles
changed.
"""

from __future__ import annotations

from aiohttp import web

from hub.app import Hub
from hub.errors import Forbidden, RetryLater
from web.routes import Routes, mount
from web.websocket.connection import Connection
from web.websocket.fanout import Fanout
from web.websocket.limits import Limits
from web.websocket.origin import origin_allowed

__all__ = ["Limits", "add_websocket"]

FANOUT: web.AppKey[Fanout] = web.AppKey("fanout", Fanout)
routes = Routes("websocket")


def add_websocket(app: web.Application, hub: Hub, limits: Limits | None = None) -> None:
    """Serve ``/api/websocket`` in this application, from its start to its end."""
    app[FANOUT] = Fanout(hub, limits or Limits())
    mount(app, routes.all)
    app.on_startup.append(_start)
    app.on_shutdown.append(_close_all)
    app.on_cleanup.append(_stop)


@routes.get("/api/websocket", public=True, in_openapi=False)
async def websocket(request: web.Request) -> web.StreamResponse:
    """Open a websocket; it asks for a token itself.

    403: the page that asks is neither of this hub nor in ``http.allow_origins``.
    503: too many connections.
    """
    fanout = request.app[FANOUT]
    if request.method != "GET":
        raise web.HTTPMethodNotAllowed(request.method, ["GET"])
    origins = request.headers.getall("Origin", [])
    allowed = fanout.hub.config.http.allow_origins
    if not origin_allowed(origins, request.headers.get("Host", ""), allowed):
        raise Forbidden(
            "WL-API-403",
            "another site may not open this websocket",
            where="Origin",
            hint="name it in http.allow_origins if it is yours",
        )
    _refuse_crowd(fanout)
    return await Connection(fanout).serve(request)


def _refuse_crowd(fanout: Fanout) -> None:
    strangers = len(fanout.connections) - len(fanout.clients)
    crowded = len(fanout.connections) >= fanout.limits.connections or strangers >= fanout.limits.strangers
    if crowded or fanout.closing:
        raise RetryLater("WL-API-503", "there are too many connections, or the hub stops", retry_after_s=5)


async def _start(app: web.Application) -> None:
    await app[FANOUT].start()


async def _close_all(app: web.Application) -> None:
    app[FANOUT].close_all()


async def _stop(app: web.Application) -> None:
    await app[FANOUT].stop()
