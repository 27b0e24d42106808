"""Every mounted handler says who may call it."""

from __future__ import annotations

import pytest
from aiohttp import web

from hub.errors import Bug
from hub.model.access import PERMISSION_NAMES
from tests.web.conftest import House
from web.routes import Access, Routes, access_of, mark, refuse_undeclared
from web.server import declared_routes, make_app

PUBLIC = {
    ("GET", "/"),
    ("GET", "/setup"),
    ("GET", "/favicon.ico"),
    ("GET", "/assets/{name}"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/api/docs"),
    ("GET", "/api/openapi.json"),
    ("POST", "/api/v1/auth/login"),
    ("POST", "/api/v1/auth/refresh"),
    ("POST", "/api/v1/auth/logout"),
    ("GET", "/api/v1/auth/setup"),
    ("POST", "/api/v1/auth/setup"),
    ("GET", "/api/websocket"),
    ("GET", "/ping"),
    ("GET", "/api/v2/ping"),
    ("GET", "/ready"),
    ("HEAD", "/ping"),
    ("POST", "/ping"),
    ("GET", "/health"),
}


async def test_public_routes_are_exactly_the_known_ones(house: House) -> None:
    public = {(one.method, one.path) for one in declared_routes(house.hub) if one.access.public}

    assert public <= PUBLIC
    assert {path for method, path in public if method != "GET" and path.startswith("/api")} == {
        "/api/v1/auth/login",
        "/api/v1/auth/refresh",
        "/api/v1/auth/logout",
        "/api/v1/auth/setup",
    }


async def test_every_mounted_handler_names_a_permission_or_is_public(house: House) -> None:
    app = make_app_again(house)
    found = [access_of(route.handler) for route in app.router.routes()]

    assert len(found) > 50
    assert all(access is not None for access in found)
    assert {access.permission for access in found if access} <= PERMISSION_NAMES | {None}


def make_app_again(house: House) -> web.Application:
    house.hub.metrics_registry = type(house.hub.metrics_registry)()
    return make_app(house.hub)


async def test_a_handler_without_declaration_stops_the_start() -> None:
    async def forgotten(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/forgotten", forgotten)

    with pytest.raises(Bug, match="WL-API-900"):
        refuse_undeclared(app)
    with pytest.raises(Bug, match="WL-API-901"):
        Routes("x").get("/both", public=True, permission="read")(forgotten)
    with pytest.raises(Bug, match="WL-API-901"):
        Routes("x").get("/none")(forgotten)
    with pytest.raises(Bug, match="WL-API-902"):
        mark(forgotten, Access("raed"))
