"""What the server promises about any answer."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.config.settings import TlsConfig
from hub.errors import AskUser
from tests.web.conftest import House
from web.server import serve


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


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(value=st.text(max_size=60))
async def test_no_query_breaks_the_server(house: House, value: str) -> None:
    for path, name in (
        ("/api/v1/history", "start"),
        ("/api/v1/devices", "cursor"),
        ("/api/v1/latest", "series"),
    ):
        answer = await house.get(path, params={name: value.encode("utf-8", "replace").decode()})
        assert answer.status in (200, 400, 404, 422)


async def test_stopping_ends_quickly_while_a_client_holds_a_connection(house: House) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    await asyncio.wait_for(house.server.stop(), 30)
    writer.close()

    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", house.server.port)


async def test_an_address_in_use_says_what_to_do(house: House) -> None:
    house.hub.metrics_registry = type(house.hub.metrics_registry)()

    with pytest.raises(AskUser, match="WL-WEB-001") as caught:
        await serve(house.hub, "127.0.0.1", house.server.port)

    assert "--port" in caught.value.hint


async def test_nobody_who_asked_for_tls_is_served_plain(house: House) -> None:
    http = replace(house.hub.config.http, tls=TlsConfig("cert.pem", "key.pem"))
    house.hub.config = replace(house.hub.config, http=http)

    with pytest.raises(AskUser, match="WL-WEB-002"):
        await serve(house.hub, "127.0.0.1", 0)
