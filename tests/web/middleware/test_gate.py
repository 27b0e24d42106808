"""The gate over every mounted route: who comes in, and by which spelling."""

from __future__ import annotations

import asyncio
import re

import pytest

from hub.model.access import permissions_of
from tests.web.conftest import House
from web.server import declared_routes


def _sample(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "missing-thing", path)


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
    line = await asyncio.wait_for(reader.readline(), 30)
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
    raw = await asyncio.wait_for(reader.read(), 30)
    writer.close()

    assert re.match(rb"HTTP/1.1 (400|404) ", raw)
    assert b"import" not in raw


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
