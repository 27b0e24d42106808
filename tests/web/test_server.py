"""The gate over every mounted route, and what the server promises about any answer."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import re
import zlib

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.errors import Bug
from hub.model.access import PERMISSION_NAMES, permissions_of
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
    ("HEAD", "/ping"),
    ("POST", "/ping"),
    ("GET", "/health"),
}


def _sample(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "missing-thing", path)


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


async def test_no_route_answers_without_a_credential_but_the_public_ones(house: House) -> None:
    answers = {}
    for route in declared_routes(house.hub):
        if not route.access.public and not route.access.local_ok:
            answers[route.method, route.path] = await house.call(route.method, _sample(route.path), by=None)

    assert {one.status for one in answers.values()} == {401}
    assert all(b"wl_" not in one.body for one in answers.values())


@pytest.mark.parametrize(
    "credential", ["wl_x", "wl_", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.x", "x" * 9000]
)
async def test_a_wrong_credential_is_401_everywhere(house: House, credential: str) -> None:
    for path in ("/api/v1/devices", "/api/v1/latest", "/metrics", "/api/v1/me"):
        answer = await house.get(path, by=credential[:4000])
        assert (answer.status, answer.code) == (401, "WL-AUTH-011")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["", "Bearer", "Basic YTpi", "bearer  ", "Token x", "Digest x"])
async def test_odd_authorization_headers_are_401(house: House, header: str) -> None:
    answer = await house.get("/api/v1/devices", by=None, headers={"Authorization": header})

    assert answer.status == 401


@pytest.mark.parametrize("who", ["viewer", "operator", "manager", "admin", "read", "write", "ingest"])
async def test_the_whole_matrix_of_roles_and_routes(house: House, who: str) -> None:
    scopes = (who,) if who in ("read", "write", "ingest") else None
    held = permissions_of(("admin",) if scopes else (who,), scopes)
    wrong = {}
    for route in declared_routes(house.hub):
        permission = route.access.permission
        if permission is None or route.path == "/api/v1/backups" or route.path.endswith("rebuild"):
            continue
        status = (await house.call(route.method, _sample(route.path), by=who)).status
        if (status == 403) != (permission not in held) and status != 401:
            wrong[route.method, route.path] = status

    assert wrong == {} or set(wrong) == {("POST", "/api/v1/users/{user}/password")}


async def test_the_decision_is_made_before_the_body_is_read(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    writer.write(
        b"POST /api/v1/devices HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1000000\r\n\r\n{"
    )
    line = await asyncio.wait_for(reader.readline(), 0.9)
    writer.close()

    assert b" 401 " in line


@pytest.mark.parametrize(
    "path",
    [
        "//api/v1/devices",
        "/api/v1//devices",
        "/api/v1/%2e%2e/v1/devices",
        "/api/v1/devices/%252e%252e",
        "/assets/..%2f..%2fserver.py",
        "/assets/%5c..%5cserver.py",
        "/assets/live.js%00.png",
        "/assets/%2e%2e/server.py",
        "/api/v1/devices/a%2525b",
    ],
)
async def test_odd_spellings_of_paths_are_refused(house: House, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    token = house.tokens["admin"]
    head = f"Host: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close"
    writer.write(f"GET {path} HTTP/1.1\r\n{head}\r\n\r\n".encode())
    raw = await asyncio.wait_for(reader.read(), 5)
    writer.close()

    assert re.match(rb"HTTP/1.1 (400|404) ", raw)
    assert b"import" not in raw


async def test_errors_have_one_shape(house: House) -> None:
    answers = [
        await house.get("/api/v1/nothing"),
        await house.get("/api/v1/devices/nothing"),
        await house.call("PUT", "/api/v1/devices"),
        await house.post("/api/v1/devices", data=b"{", headers={"Content-Type": "application/json"}),
        await house.post("/api/v1/devices", data=b"x"),
        await house.post("/api/v1/devices", json={"nme": "x"}),
        await house.get("/api/v1/devices?limit=0"),
        await house.get("/api/v1/devices", by="ingest"),
    ]

    assert [one.status for one in answers] == [404, 404, 405, 400, 415, 422, 400, 403]
    for one in answers:
        assert one.headers["Content-Type"].startswith("application/problem+json")
        assert set(one.json) >= {"type", "title", "status", "code", "detail", "field", "request_id"}
        assert one.json["request_id"] == one.headers["X-Request-Id"]
        assert one.json["status"] == one.status
    assert answers[5].json["errors"][0]["field"] == "nme"
    assert "name" in answers[5].json["errors"][0]["detail"]
    assert "GET" in answers[2].headers["Allow"]


async def test_a_missing_and_a_foreign_object_answer_alike(house: House) -> None:
    mine = (await house.post("/api/v1/me/tokens", json={"name": "mine"})).json["id"]
    foreign = await house.call("DELETE", f"/api/v1/me/tokens/{mine}", by="viewer")
    missing = await house.call("DELETE", "/api/v1/me/tokens/0123456789abcdef", by="viewer")

    assert foreign.status == missing.status == 404
    assert foreign.json | {"request_id": ""} == missing.json | {"request_id": ""}


async def test_headers_of_every_answer(house: House) -> None:
    for path in ("/", "/healthz", "/api/v1/devices", "/api/v1/nothing", "/api/docs", "/assets/live.js"):
        headers = (await house.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["Server"] == "wattline"
    assert (await house.get("/api/v1/devices")).headers["Cache-Control"] == "no-store"


async def test_pages_load_nothing_from_elsewhere_and_run_no_inline_script(house: House) -> None:
    for path in ("/", "/setup", "/api/docs"):
        page = (await house.get(path, by=None)).body.decode()
        assert not re.search(r"(src|href)=\"(https?:)?//", page)
        assert not re.search(r"<script>|<style|\son\w+=|style=", page)
    for name in ("live.js", "setup.js", "docs.js"):
        script = (await house.get(f"/assets/{name}", by=None)).body.decode()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)
        assert "localStorage" not in script


# --- bodies


async def test_a_body_over_the_limit_is_413(house: House) -> None:
    large = json.dumps({"name": "x" * (1 << 20)}).encode()
    headers = {"Content-Type": "application/json"}
    answer = await house.post("/api/v1/devices", data=io.BytesIO(large), headers=headers)

    assert (answer.status, answer.code) == (413, "WL-API-413")


async def test_a_slow_body_is_408(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    head = (
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Content-Length: 100\r\n\r\n{"
    )
    writer.write(head.encode())
    raw = await asyncio.wait_for(reader.readline(), 10)
    writer.close()

    assert b" 408 " in raw


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, lambda raw: zlib.compress(raw)[2:-4]])
async def test_packed_bodies_are_read(house: House, pack: object) -> None:
    raw = json.dumps({"name": "Packed"}).encode()
    packed = pack(raw)  # type: ignore[operator]
    encoding = "gzip" if packed[:2] == b"\x1f\x8b" else "deflate"
    answer = await house.post(
        "/api/v1/devices",
        data=packed,
        headers={"Content-Type": "application/json", "Content-Encoding": encoding},
    )

    assert (answer.status, answer.json["id"]) == (201, "packed")


async def test_a_zip_bomb_ends_at_the_limit(house: House) -> None:
    bomb = gzip.compress(b"0" * (80 << 20))
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    api = await house.post("/api/v1/devices", data=bomb, headers=headers)
    ingest = await house.post("/api/v1/ingest", data=bomb, headers=headers)

    assert (api.status, ingest.status) == (413, 413)
    assert len(bomb) < 1 << 20


@pytest.mark.parametrize("cut", [5, 20, -5])
async def test_a_cut_or_broken_packing_is_400(house: House, cut: int) -> None:
    packed = gzip.compress(json.dumps({"name": "Packed"}).encode())[:cut]
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    assert (await house.post("/api/v1/devices", data=packed, headers=headers)).status == 400
    assert (await house.post("/api/v1/devices", data=b"x" * 50, headers=headers)).status == 400
    headers["Content-Encoding"] = "compress"
    assert (await house.post("/api/v1/devices", data=packed, headers=headers)).status == 415


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
async def test_no_body_breaks_the_server(house: House, raw: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    for path in ("/api/v1/devices", "/api/v1/auth/login", "/api/v1/me/tokens"):
        assert (await house.post(path, data=raw, headers=headers)).status in (400, 415, 422)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(max_size=60))
async def test_no_query_breaks_the_server(house: House, value: str) -> None:
    for path, name in (
        ("/api/v1/history", "start"),
        ("/api/v1/devices", "cursor"),
        ("/api/v1/latest", "series"),
    ):
        answer = await house.get(path, params={name: value.encode("utf-8", "replace").decode()})
        assert answer.status in (200, 400, 404, 422)


# --- the command line's own key


async def test_the_run_key_opens_everything_from_this_machine_only(house: House) -> None:
    key = {"X-Wattline-Run-Key": house.hub.run_key}
    good = await house.get("/api/v1/users", by=None, headers=key)
    forwarded = await house.get("/api/v1/users", by=None, headers={**key, "X-Forwarded-For": "127.0.0.1"})
    wrong = await house.get("/api/v1/users", by=None, headers={"X-Wattline-Run-Key": "x"})
    empty = await house.get("/api/v1/users", by=None, headers={"X-Wattline-Run-Key": ""})

    assert [one.status for one in (good, forwarded, wrong, empty)] == [200, 401, 401, 401]


async def test_metrics_are_open_to_this_machine_alone(house: House) -> None:
    local = await house.get("/metrics", by=None)
    by_token = await house.get("/metrics", by="viewer")
    forwarded = await house.get("/metrics", by=None, headers={"X-Forwarded-For": "127.0.0.1"})
    rebound = await house.get("/metrics", by=None, headers={"Host": "evil.example"})

    assert [one.status for one in (local, by_token, forwarded, rebound)] == [200, 200, 401, 401]
    assert b"wattline_http_requests_total" in local.body


async def test_stopping_ends_quickly_while_a_client_holds_a_connection(house: House) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    await asyncio.wait_for(house.server.stop(), 5)
    writer.close()

    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", house.server.port)


async def test_a_connection_that_says_nothing_whole_is_closed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.connections.HEAD_DEADLINE_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: loc")
    rest = await asyncio.wait_for(reader.read(), 5)
    writer.close()

    assert rest == b""


async def test_one_connection_too_many_is_closed_and_the_others_are_served(house: House) -> None:
    assert house.hub.config.http.limits == {"read_deadline_s": 1, "connections": 20}
    crowd = [await asyncio.open_connection("127.0.0.1", house.server.port) for _ in range(20)]
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    refused = await asyncio.wait_for(reader.read(), 5)
    crowd[0][1].write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    served = await asyncio.wait_for(crowd[0][0].readline(), 5)
    for _, one in [*crowd, (reader, writer)]:
        one.close()

    assert refused == b""
    assert b" 200 " in served
