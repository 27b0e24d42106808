"""Push formats behind the hub's gate: credentials in their places, refusals in their words, limits in ours."""

from __future__ import annotations

import gzip
import json

import pytest

from hub.errors import DiskFull, QueueFull, StorageAway, WattlineError
from hub.plugins.api import Endpoint, Intake, PushAnswer, PushRequest
from tests.web.conftest import House
from web.push import push_routes
from web.server import Server, serve

LINE = b"meter,room=cellar power=42"


async def test_pushed_readings_are_stored_when_the_answer_comes(house: House) -> None:
    answer = await house.post(
        "/api/v1/ingest", by="ingest", json={"device": "main-meter", "values": {"power": 42}}
    )
    latest = await house.get("/api/v1/latest?series=main-meter.power")

    assert answer.status == 204
    assert latest.json["items"][0]["value"] == 42


MAY_PUSH = {"manager": 204, "admin": 204, "ingest": 204}
MAY_NOT_PUSH = {"operator": 403, "viewer": 403, "read": 403, "write": 403, None: 401}


@pytest.mark.parametrize(("who", "status"), [*MAY_PUSH.items(), *MAY_NOT_PUSH.items()])
async def test_who_may_push(house: House, who: str | None, status: int) -> None:
    answer = await house.post("/api/v1/ingest", by=who, json={"device": "m", "values": {"power": 1}})

    assert answer.status == status


async def test_packed_line_protocol_by_the_token_header_of_influx(house: House) -> None:
    headers = {"Authorization": f"Token {house.tokens['ingest']}", "Content-Encoding": "gzip"}
    answer = await house.post(
        "/api/v2/write?org=o&bucket=b", by=None, data=gzip.compress(LINE), headers=headers
    )

    assert answer.status == 204
    assert (await house.get("/api/v1/latest?series=meter-cellar.power")).json["items"][0]["value"] == 42


async def test_the_token_header_of_influx_may_carry_a_name(house: House) -> None:
    headers = {"Authorization": f"Token telegraf:{house.tokens['ingest']}"}
    answer = await house.post("/write?db=x", by=None, data=b"named power=1", headers=headers)

    assert answer.status == 204


async def test_a_stranger_to_influx_is_refused_in_its_words(house: House) -> None:
    for path in ("/api/v2/write?org=o&bucket=b", "/write?db=d"):
        answer = await house.post(path, by=None, data=LINE, headers={"Authorization": "Token wl_wrong"})
        assert answer.status == 401
        assert "request_id" not in answer.json


async def test_emoncms_finds_its_key_in_query_and_form(house: House) -> None:
    token = house.tokens["ingest"]
    fields = {"node": "emontx", "fulljson": json.dumps({"power1": 7})}
    by_query = await house.post("/emoncms/input/post", by=None, params={**fields, "apikey": token})
    by_form = await house.post("/emoncms/input/post", by=None, data={**fields, "apikey": token})
    wrong = await house.post("/emoncms/input/post", by=None, data={**fields, "apikey": "wl_wrong"})
    nothing = await house.post("/emoncms/input/post", by=None, data=fields)

    assert (by_query.status, by_form.status) == (200, 200)
    assert (wrong.status, nothing.status) == (401, 401)


async def test_a_token_in_the_query_opens_nothing_but_its_format(house: House) -> None:
    assert (await house.get(f"/api/v1/devices?apikey={house.tokens['admin']}", by=None)).status == 401
    assert (
        await house.post(f"/api/v1/ingest?apikey={house.tokens['ingest']}", by=None, json=[])
    ).status == 401


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (QueueFull("WL-ING-050", "full", retry_after_s=2.2), 429),
        (DiskFull("WL-STO-007", "no room"), 507),
        (StorageAway("WL-STO-013", "away"), 503),
        (RuntimeError("a bug with a secret"), 500),
    ],
)
async def test_what_a_handler_raises_becomes_an_answer(house: House, error: Exception, status: int) -> None:
    async def handle(request: PushRequest, intake: Intake) -> PushAnswer:
        raise error

    house.server = await _served_with(house, Endpoint("POST", "/broken", handle))
    answer = await house.post("/broken", by="ingest", data=b"x")
    await house.server.stop()

    assert answer.status == status
    assert b"secret" not in answer.body
    assert ("Retry-After" in answer.headers) == isinstance(error, WattlineError)


async def test_a_handler_sees_no_credentials(house: House) -> None:
    seen: list[PushRequest] = []

    async def handle(request: PushRequest, intake: Intake) -> PushAnswer:
        seen.append(request)
        return PushAnswer(200, b"ok", "text/plain", {"X-Format": "yes"})

    house.server = await _served_with(house, Endpoint("POST", "/look", handle))
    answer = await house.post(
        "/look?a=1", by="ingest", data=b"body", headers={"Cookie": "a=b", "X-Other": "c"}
    )
    await house.server.stop()

    assert (answer.body, answer.headers["X-Format"]) == (b"ok", "yes")
    assert (seen[0].body, seen[0].query["a"], seen[0].headers["x-other"], seen[0].user) == (
        b"body",
        "1",
        "c",
        "admin",
    )
    assert house.tokens["ingest"] not in repr(seen[0])
    assert "cookie" not in {name.lower() for name in seen[0].headers}


async def test_an_endpoint_without_scope_is_the_only_public_kind(house: House) -> None:
    async def handle(request: PushRequest, intake: Intake) -> PushAnswer:
        return PushAnswer(204)

    routes = push_routes(
        [(Endpoint("GET", "/open", handle, scope=None), None), (Endpoint("GET", "/shut", handle), None)]  # type: ignore[list-item]
    )

    assert [(route.path, route.access.permission) for route in routes] == [
        ("/open", None),
        ("/shut", "ingest"),
    ]


async def _served_with(house: House, endpoint: Endpoint) -> Server:
    """The same hub once more, with one more push format."""
    hub = house.hub
    await house.server.stop()
    hub.metrics_registry = type(hub.metrics_registry)()
    intake = hub.endpoints()[0][1]
    known = hub.endpoints()
    hub.endpoints = lambda: [*known, (endpoint, intake)]  # type: ignore[method-assign]
    return await serve(hub, "127.0.0.1", 0)


async def test_a_key_in_form_or_query_stays_at_the_gate(house: House) -> None:
    seen: list[PushRequest] = []
    token = house.tokens["ingest"]

    async def handle(request: PushRequest, intake: Intake) -> PushAnswer:
        seen.append(request)
        return PushAnswer(204)

    places = ("query:apikey", "form:apikey")
    house.server = await _served_with(house, Endpoint("POST", "/keys", handle, credentials=places))
    await house.post("/keys?node=n", by=None, data={"apikey": token, "power": "7"})
    await house.post("/keys?node=n", by=None, params={"apikey": token}, data={"power": "7"})
    await house.post("/keys?node=n", by="ingest", data={"apikey": token, "power": "7"})
    await house.server.stop()

    assert [request.query for request in seen] == [{"node": "n"}] * 3
    assert all(b"power=7" in request.body for request in seen)
    assert token not in repr(seen)
