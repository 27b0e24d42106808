"""Writers that ask before they write get the answers they can read."""

from __future__ import annotations

import orjson
import pytest

from hub.plugins.api import Endpoint, Integration, PushAnswer, PushRequest
from hub.plugins.testing import MemoryIntake
from integrations.influx_line import hub_integration

TS_S = 1_764_000_000


@pytest.fixture
def intake() -> MemoryIntake:
    return MemoryIntake()


@pytest.fixture
def influx() -> Integration:
    return hub_integration()


def route(influx: Integration, method: str, path: str) -> Endpoint:
    return next(e for e in influx.endpoints if (e.method, e.path) == (method, path))


async def call(
    influx: Integration, intake: MemoryIntake, method: str, path: str, body: str = "", **query: str
) -> PushAnswer:
    request = PushRequest(method, path, query, {}, body.encode())
    return await route(influx, method, path).handler(request, intake)


async def write(influx: Integration, intake: MemoryIntake, body: str) -> None:
    answer = await call(influx, intake, "POST", "/write", body, db="x", precision="s")
    assert answer.status == 204


def test_only_ping_and_health_are_public(influx: Integration) -> None:
    assert {e.path for e in influx.endpoints if e.scope is None} == {
        "/ping", "/api/v2/ping", "/health", "/ready",
    }  # fmt: skip
    assert all(e.credentials == ("token", "basic", "query:p") for e in influx.endpoints if e.scope)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_ping_names_a_version(influx: Integration, intake: MemoryIntake, method: str) -> None:
    answer = await call(influx, intake, method, "/ping")
    assert (answer.status, answer.body, answer.headers["X-Influxdb-Version"]) == (204, b"", "1.8.10")
    assert (await call(influx, intake, method, "/ping", verbose="true")).status == 200
    assert (await call(influx, intake, "GET", "/api/v2/ping")).status == 204


async def test_health_passes(influx: Integration, intake: MemoryIntake) -> None:
    assert orjson.loads((await call(influx, intake, "GET", "/health")).body)["status"] == "pass"
    assert orjson.loads((await call(influx, intake, "GET", "/ready")).body)["status"] == "ready"


@pytest.mark.parametrize(
    "text", ['CREATE DATABASE "telegraf"', "create database x WITH DURATION 1d", "SHOW SERIES"]
)
async def test_statements_about_databases_succeed(
    influx: Integration, intake: MemoryIntake, text: str
) -> None:
    answer = await call(influx, intake, "POST", "/query", q=text)
    assert (answer.status, orjson.loads(answer.body)) == (200, {"results": [{"statement_id": 0}]})


async def test_show_databases_names_the_one_asked_for(influx: Integration, intake: MemoryIntake) -> None:
    answer = await call(influx, intake, "GET", "/query", q="SHOW DATABASES", db="home")
    assert ["home"] in orjson.loads(answer.body)["results"][0]["series"][0]["values"]


async def test_the_last_point_in_influxql_as_iotawatt_asks(influx: Integration, intake: MemoryIntake) -> None:
    await write(
        influx,
        intake,
        f"Main,device=iota,unit=W energy=1.5 {TS_S}\nMain,device=iota,unit=W energy=2.5 {TS_S + 5}",
    )
    body = "db=x&epoch=s&q= SELECT LAST(energy) FROM Main  WHERE device='iota' AND unit='W'"
    answer = await call(influx, intake, "POST", "/query", body)
    assert orjson.loads(answer.body)["results"] == [
        {
            "statement_id": 0,
            "series": [{"name": "Main", "columns": ["time", "last"], "values": [[TS_S + 5, 2.5]]}],
        }
    ]


@pytest.mark.parametrize(
    ("epoch", "time"), [("ms", TS_S * 1000), ("ns", TS_S * 10**9), ("", "2025-11-24T16:00:00Z")]
)
async def test_the_epoch_of_an_answer(
    influx: Integration, intake: MemoryIntake, epoch: str, time: object
) -> None:
    await write(influx, intake, f"m value=1 {TS_S}")
    answer = await call(influx, intake, "GET", "/query", q='SELECT LAST("value") FROM "m"', epoch=epoch)
    assert orjson.loads(answer.body)["results"][0]["series"][0]["values"] == [[time, 1.0]]


async def test_an_unknown_series_has_no_last_point(influx: Integration, intake: MemoryIntake) -> None:
    answer = await call(influx, intake, "GET", "/query", q="SELECT LAST(value) FROM nothing")
    assert (answer.status, orjson.loads(answer.body)) == (200, {"results": [{"statement_id": 0}]})


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM m",
        "SELECT LAST(v) FROM m WHERE a>'1'",
        "DROP SERIES FROM m",
        "SELECT LAST(" + "a" * 50_000,
        "",
    ],
)
async def test_other_questions_are_refused(influx: Integration, intake: MemoryIntake, text: str) -> None:
    answer = await call(influx, intake, "GET", "/query", q=text)
    assert answer.status == 400
    assert orjson.loads(answer.body)["error"]


FLUX = (
    'from(bucket: "b")\n  |> range(start: {start}, stop: {stop})\n  |> filter(fn: (r) => '
    'r["device"] == "iota" and (r["_measurement"] == "Main" or r["_measurement"] == "Solar"))\n  |> last()\n'
    "  |> map(fn: (r) => ({{_measurement: r._measurement, _time: (uint(v:r._time)) / uint(v:1000000000)}}))\n"
    '  |> sort (columns: ["_time"], desc: true)\n'
)


async def test_the_last_point_in_flux_as_iotawatt_asks(influx: Integration, intake: MemoryIntake) -> None:
    await write(influx, intake, f"Main,device=iota Watts=1 {TS_S}\nSolar,device=iota Watts=2 {TS_S + 5}")
    answer = await call(
        influx, intake, "POST", "/api/v2/query", FLUX.format(start=TS_S - 60, stop=TS_S + 60), orgID="o"
    )
    assert answer.status == 200
    assert answer.content_type.startswith("text/csv")
    assert (
        answer.body
        == (
            f",result,table,_measurement,_time\r\n,_result,0,Solar,{TS_S + 5}\r\n,_result,0,Main,{TS_S}\r\n\r\n"
        ).encode()
    )


async def test_flux_finds_nothing_before_its_range(influx: Integration, intake: MemoryIntake) -> None:
    await write(influx, intake, f"Main,device=iota Watts=1 {TS_S}")
    body = FLUX.format(start=TS_S + 1, stop=TS_S + 60)
    assert (await call(influx, intake, "POST", "/api/v2/query", body)).body == b"\r\n"


async def test_flux_may_come_as_json_and_other_scripts_are_refused(
    influx: Integration, intake: MemoryIntake
) -> None:
    body = orjson.dumps({"query": FLUX.format(start=0, stop=1)}).decode()
    assert (await call(influx, intake, "POST", "/api/v2/query", body)).status == 200
    for other in ("buckets()", "", "{", '{"query": 5}', '["x"]'):
        assert (await call(influx, intake, "POST", "/api/v2/query", other)).status == 400


async def test_after_a_restart_the_usual_field_is_still_found(
    influx: Integration, intake: MemoryIntake
) -> None:
    await write(influx, intake, f"Main,device=iota value=1 {TS_S}")
    answer = await call(hub_integration(), intake, "POST", "/api/v2/query", FLUX.format(start=0, stop=1))
    assert str(TS_S).encode() in answer.body


@pytest.mark.parametrize("status", [401, 403, 413, 429])
def test_denials_speak_the_clients_language(influx: Integration, status: int) -> None:
    old, new = route(influx, "POST", "/write").denied, route(influx, "POST", "/api/v2/write").denied
    assert old is not None
    assert new is not None
    assert orjson.loads(old(status, "no").body)["error"]
    assert orjson.loads(new(status, "no").body)["code"] != "internal error"
