"""Who may do what, problems everywhere, the API's own description, and the addresses outside of the prefix."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from tests.chaos.deadline import on_this_machine
from tests.chaos.hub_process import PASSWORD, HubProcess
from tests.contract.api.client import Answer, Api, eventually, now_ms
from tests.contract.api.conftest import QUIET, begin, end

PUBLIC = {
    ("get", "/healthz"), ("get", "/readyz"), ("get", "/metrics"), ("get", "/api/openapi.json"),
    ("get", "/api/docs"),
    ("get", "/ping"), ("head", "/ping"), ("get", "/health"), ("get", "/"), ("get", "/setup"),
    ("get", "/api/v2/ping"), ("head", "/api/v2/ping"), ("get", "/ready"),  # as InfluxDB 2 has them: one fixed word
    ("get", "/api/websocket"),
}  # fmt: skip
PASSWORDS = {"viewer": "green field 77", "operator": "blue field 77", "manager": "red field 77 x"}


@pytest.fixture(scope="module")
def document(api: Api) -> dict[str, Any]:
    """The OpenAPI document as anybody gets it."""
    answer = api.with_token("").ask("GET", "/api/openapi.json")
    assert answer.status == 200
    found: dict[str, Any] = answer.json
    return found


@pytest.fixture(scope="module")
def roles(api: Api) -> dict[str, Api]:
    """Clients with access tokens of each role, and tokens of one scope each."""
    api.stored("main-meter", now_ms(), power=5)
    found = {"admin": api}
    for role, password in PASSWORDS.items():
        made = api.ask("POST", "/api/v1/users", data={"username": role, "password": password, "role": role})
        assert made.status == 201, made.text
        login = api.with_token("").ask(
            "POST", "/api/v1/auth/login", data={"username": role, "password": password}
        )
        found[role] = api.with_token(login.json["access_token"])
    for scope in ("read", "write", "ingest", "admin"):
        token = api.ask("POST", "/api/v1/me/tokens", data={"name": scope, "scopes": [scope]}).json["token"]
        found[f"scope {scope}"] = api.with_token(token)
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str]]:
    """``(method, path)`` of all described operations, with names in the place of parameters."""
    return [
        (method, re.sub(r"\{[^}]*\}", "nothing-here", path))
        for path, item in document["paths"].items()
        for method in item
        if method in {"get", "post", "put", "patch", "delete", "head"}
    ]


def test_the_description_is_valid_and_names_every_route_of_the_contract(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1")
    paths = set(document["paths"])
    for path in (
        "auth/login", "auth/refresh", "auth/logout", "auth/setup", "me", "me/tokens", "users", "roles", "permissions",
        "tokens", "audit", "sites", "areas", "devices", "series", "devices/inbox", "latest", "quarantine", "history",
        "energy/live", "energy/summary", "energy/balance", "energy/flows", "energy/devices", "energy/heatmap",
        "energy/sessions", "energy/media", "energy/setup-check",
        "health", "config", "config/reload", "backups", "plugins", "version", "ingest",
    ):  # fmt: skip
        assert f"/api/v1/{path}" in paths, path
    assert any(re.fullmatch(r"/api/v1/series/\{\w+\}/readings", path) for path in paths)


def test_nothing_without_credentials_but_the_public_list(api: Api, document: dict[str, Any]) -> None:
    nobody = api.with_token("")
    opened = set()
    for method, path in operations(document):
        if path.startswith("/api/v1/auth/"):
            continue
        answer = nobody.ask(method.upper(), path, "{}" if method in {"post", "put", "patch"} else None)
        if answer.status != 401:
            opened.add((method, path))
    assert opened <= PUBLIC, opened - PUBLIC


def test_authorisation_comes_before_the_body(api: Api) -> None:
    nobody = api.with_token("")
    assert nobody.ask("POST", "/api/v1/users", "{broken").status == 401
    assert nobody.ask("POST", "/api/v1/ingest", "x" * 3_000_000).status == 401


@pytest.mark.parametrize(
    ("who", "may", "may_not"),
    [
        ("viewer", ["GET latest", "GET devices", "GET me"], ["GET users", "POST ingest", "PATCH devices/main-meter",
                                                              "GET audit", "POST config/reload", "POST backups"]),
        ("operator", ["GET latest"], ["POST ingest", "PATCH devices/main-meter", "GET users"]),
        ("manager", ["GET latest", "PATCH devices/main-meter"], ["GET users", "POST config/reload", "GET tokens"]),
        ("admin", ["GET users", "GET audit", "GET config", "PATCH devices/main-meter", "GET tokens"], []),
        ("scope read", ["GET latest"], ["POST ingest", "PATCH devices/main-meter", "GET users", "POST me/tokens"]),
        ("scope ingest", [], ["GET latest", "GET devices", "GET users", "PATCH devices/main-meter"]),
        ("scope write", ["PATCH devices/main-meter"], ["GET users", "POST ingest"]),
    ],
)  # fmt: skip
def test_roles_and_scopes(roles: dict[str, Api], who: str, may: list[str], may_not: list[str]) -> None:
    bodies: dict[str, Any] = {"PATCH": {"name": "Main meter"}, "POST": {}}
    for line in may + may_not:
        method, path = line.split()
        answer = roles[who].ask(method, f"/api/v1/{path}", data=bodies.get(method))
        if line in may:
            assert answer.status < 300, (who, line, answer.status, answer.text)
        else:
            answer.problem(403)


def test_an_ingest_token_ingests_and_a_manager_too(roles: dict[str, Api]) -> None:
    for who in ("scope ingest", "manager"):
        assert roles[who].send({"device": "scoped", "values": {"power": 1}}).status == 204


def test_a_token_never_exceeds_its_user(roles: dict[str, Api]) -> None:
    made = roles["viewer"].ask("POST", "/api/v1/me/tokens", data={"name": "x", "scopes": ["ingest", "admin"]})
    if made.status == 201:
        token = roles["viewer"].with_token(made.json["token"])
        assert token.send({"device": "exceeds", "values": {"power": 1}}).status == 403
        token.ask("GET", "/api/v1/users").problem(403)
    else:
        made.problem(made.status)


def test_revoked_and_expired_tokens_count_for_nothing(api: Api) -> None:
    made = api.ask("POST", "/api/v1/me/tokens", data={"name": "short", "expires": "1s"}).json
    short = api.with_token(made["token"])
    assert short.ask("GET", "/api/v1/latest").status == 200
    eventually(lambda: short.ask("GET", "/api/v1/latest").status == 401, 5.0)
    made = api.ask("POST", "/api/v1/me/tokens", data={"name": "gone"}).json
    assert api.ask("DELETE", f"/api/v1/me/tokens/{made['id']}").status in {200, 204}
    api.with_token(made["token"]).ask("GET", "/api/v1/latest").problem(401)


def test_foreign_and_missing_things_look_the_same(api: Api, roles: dict[str, Api]) -> None:
    mine = api.ask("POST", "/api/v1/me/tokens", data={"name": "mine"}).json["id"]

    def said(token: str) -> Any:
        answer = roles["viewer"].ask("DELETE", f"/api/v1/me/tokens/{token}")
        found = answer.problem(404)
        return {name: value for name, value in found.items() if name != "request_id"}

    assert said(mine) == said("0123456789abcdef")


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/api/v1/nothing", None, {}, 404),
        ("GET", "/nothing/../etc/passwd", None, {}, 400),
        ("GET", "/api/v1/devices/nobody", None, {}, 404),
        ("GET", "/api/v1/devices/..%2f..", None, {}, 400),
        ("DELETE", "/api/v1/devices/nobody", None, {}, 404),
        ("PUT", "/api/v1/latest", b"{}", {}, 405),
        ("POST", "/api/v1/devices", b"{}" + b" " * 3_000_000, {"Content-Type": "application/json"}, 413),
        ("POST", "/api/v1/devices", b"<a/>", {"Content-Type": "application/xml"}, 415),
        ("POST", "/api/v1/devices", b"{", {"Content-Type": "application/json"}, 400),
        ("POST", "/api/v1/devices", b'{"rolle": "grid"}', {"Content-Type": "application/json"}, 422),
        ("PATCH", "/api/v1/devices/main-meter", b'{"role": "grind"}', {"Content-Type": "application/json"}, 422),
    ],
)  # fmt: skip
def test_errors_are_problems(
    api: Api,
    roles: dict[str, Api],
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    status: int,
) -> None:
    found = api.ask(method, path, body, headers=headers).problem(status)
    assert "field" in found


def test_a_wrong_field_is_named(api: Api, roles: dict[str, Api]) -> None:
    answer = api.ask("PATCH", "/api/v1/devices/main-meter", data={"role": "grind"}).problem(422)
    assert answer["field"] == "role"


def raw(api: Api, path: str, **headers: str) -> Answer:
    """A GET without a token and with these headers."""
    return api.with_token("").ask("GET", path, headers=headers)


def test_metrics_are_open_to_this_machine_alone(api: Api) -> None:
    found = raw(api, "/metrics")
    assert found.status == 200
    assert re.search(r"^\w+(_total)?(\{.*\})? [0-9.e+-]+$", found.text, re.MULTILINE)
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        assert (
            raw(api, "/metrics", **{name: "for=192.0.2.1" if name == "Forwarded" else "192.0.2.1"}).status
            == 401
        )
    assert api.ask("GET", "/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).status == 200


def test_probes(api: Api) -> None:
    assert raw(api, "/healthz").json == {"status": "alive"}
    assert raw(api, "/readyz").json == {"ready": True, "reasons": []}


def test_headers_that_protect_browsers(api: Api) -> None:
    for path in ("/", "/setup", "/api/docs", "/api/v1/latest"):
        headers = raw(api, path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        policy = headers["content-security-policy"]
        assert "unsafe-eval" not in policy
        assert not re.search(r"script-src[^;]*unsafe-inline", policy)
        assert "frame-ancestors" in policy or headers.get("x-frame-options") == "DENY"


def login(api: Api, password: str) -> Answer:
    """Sign in as the owner."""
    body = {"username": "owner", "password": password}
    return api.with_token("").ask("POST", "/api/v1/auth/login", data=body)


def test_the_refresh_cookie(api: Api) -> None:
    answer = login(api, PASSWORD)
    assert answer.json["expires_in"] == 900
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-wattline=")
    for word in ("HttpOnly", "SameSite=Strict", "Secure", "Path=/"):
        assert word in cookie
    sent = {"Cookie": cookie.partition(";")[0]}
    again = api.with_token("").ask("POST", "/api/v1/auth/refresh", headers=sent)
    assert again.status == 200
    assert api.with_token(again.json["access_token"]).get("me")["username"] == "owner"
    # the previous one lives until its successor is used
    assert api.with_token("").ask("POST", "/api/v1/auth/refresh", headers=sent).status == 200


def test_writes_are_audited(api: Api, roles: dict[str, Api]) -> None:
    api.ask("PATCH", "/api/v1/devices/main-meter", data={"name": "Audited"})
    newest = api.get("audit", limit=5)["items"]
    assert any(one["object"] == "main-meter" for one in newest), newest


def test_wrong_passwords_are_braked(api: Api, process: HubProcess) -> None:
    began_s = time.monotonic()
    codes = [login(api, "wrong").status for _ in range(14)]
    assert set(codes) <= {401, 429}
    assert codes[0] == 401
    assert codes[-1] == 429
    assert time.monotonic() - began_s < on_this_machine(20)
    assert api.get("me")["username"] == "owner"


def test_a_trusted_proxy_speaks_for_its_clients(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path, QUIET + "http: {trusted_proxies: [127.0.0.0/8]}\n")
    try:
        api = begin(hub)
        assert raw(api, "/metrics").status == 401
        body = {"username": "owner", "password": PASSWORD}
        client = {"X-Forwarded-For": "198.51.100.1, 192.0.2.9", "Host": "hub.example"}
        for proto, cookie in (("https", "__Host-wattline="), ("http", "wattline_refresh=")):
            answer = api.with_token("").ask(
                "POST", "/api/v1/auth/login", data=body, headers={**client, "X-Forwarded-Proto": proto}
            )
            assert answer.headers["set-cookie"].startswith(cookie)
            assert ("; Secure" in answer.headers["set-cookie"]) is (proto == "https")
        assert api.get("audit", limit=1)["items"][0]["address"] == "192.0.2.9"
    finally:
        end(hub)
