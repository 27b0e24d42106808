"""The emonCMS input API answers as senders expect, and stores no false zeros."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import StorageAway
from hub.plugins.api import PushAnswer, PushRequest
from hub.plugins.testing import MemoryIntake
from integrations.emoncms import hub_integration
from integrations.emoncms.endpoint import InputEndpoints, denied

FIXTURES = Path(__file__).parents[4] / "shared" / "fixtures" / "emoncms"
TS_S = 1_764_000_000
TS = TS_S * 1000
OK = (200, b"ok")


@pytest.fixture
def intake() -> MemoryIntake:
    return MemoryIntake()


async def get(intake: MemoryIntake, target: str, body: bytes = b"") -> PushAnswer:
    """Call the handler of a target (without ``/emoncms``) as the gate does."""
    parts = urlsplit(target)
    path = f"/emoncms{parts.path}"
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    endpoints = InputEndpoints()
    kind = parts.path.split("/")[2].removesuffix(".json")
    handler = {"post": endpoints.post, "bulk": endpoints.bulk, "get": endpoints.get}[kind]
    return await handler(PushRequest("POST" if body else "GET", path, query, {}, body), intake)


def short(answer: PushAnswer) -> tuple[int, bytes]:
    return answer.status, answer.body


def message(answer: PushAnswer) -> str:
    document = orjson.loads(answer.body)
    assert (answer.status, document["success"]) == (200, False)
    text: str = document["message"]
    return text


@pytest.mark.parametrize(
    "target",
    [
        "/input/post?node=n&fulljson=" + quote('{"a":1,"b":2,"a":3}'),
        "/input/post?node=n&fulljson=" + quote('{"a":1,"b":2,"\\u0061":3}'),
        "/input/post?node=n&fulljson=" + quote('{"a":1,"b":2,"a(":3}'),
        "/input/post?node=n&json=" + quote("{a:1,b:2,a:3}"),
        "/input/bulk?data=" + quote('[[0,"n",{"a":1,"b":2,"a":1}]]'),
    ],
)
async def test_a_name_that_stands_twice_is_not_stored_and_the_others_are(
    intake: MemoryIntake, target: str
) -> None:
    await get(intake, target)
    assert {name: list(rows.values()) for name, rows in intake.rows.items()} == {"n.b": [2.0]}
    assert [one.code for one in intake.rejected] == ["WL-ING-005"]


def test_every_route_takes_both_methods_and_the_places_of_the_key() -> None:
    endpoints = hub_integration().endpoints
    routes = {(e.method, e.path) for e in endpoints}
    for path in ("post", "post.json", "post/{node}", "bulk", "bulk.json", "get"):
        assert {("GET", f"/emoncms/input/{path}"), ("POST", f"/emoncms/input/{path}")} <= routes
    assert {e.credentials for e in endpoints} == {("query:apikey", "form:apikey")}
    assert {e.scope for e in endpoints} == {"ingest"}


@pytest.mark.parametrize(
    "target",
    [
        "/input/post?node=emontx&json={power1:100,power2:-20.5}",
        "/input/post.json?node=emontx&data={power1:100,power2:-20.5}",
        "/input/post/emontx?json=power1:100,power2:-20.5",
        "/input/post/emontx.json?json={%22power1%22:100,%22power2%22:-20.5}",
        "/input/post.json/emontx?json={power1:100,power2:-20.5,x:null}",
    ],
)
async def test_the_json_form_is_no_json(intake: MemoryIntake, target: str) -> None:
    assert short(await get(intake, target)) == OK
    assert intake.rows == {"emontx.power1": {TS: 100.0}, "emontx.power2": {TS: -20.5}}
    assert intake.infos["emontx.power1"].unit == "W"


async def test_csv_inputs_are_numbered_and_the_node_defaults_to_0(intake: MemoryIntake) -> None:
    assert short(await get(intake, f"/input/post?csv=100,200.5,-3&time={TS_S}")) == OK
    assert intake.rows == {"0.1": {TS: 100.0}, "0.2": {TS: 200.5}, "0.3": {TS: -3.0}}
    assert intake.devices["0"].name == "emonCMS node 0"


async def test_fulljson_answers_success(intake: MemoryIntake) -> None:
    body = {"power(W)": 5, "b": None, "c": "7.5", "Time": TS_S}
    answer = await get(intake, f"/input/post?node=Haus 1&fulljson={quote(json.dumps(body))}")
    assert short(answer) == (200, b'{"success": true}')
    assert intake.rows == {"haus-1.powerw": {TS: 5.0}, "haus-1.c": {TS: 7.5}}


@pytest.mark.parametrize("stamp", [str(TS_S), f'"{TS_S}"', '"2025-11-24T17:00:00+01:00"'])
async def test_fulljson_may_carry_the_time_and_the_parameter_wins(intake: MemoryIntake, stamp: str) -> None:
    intake.clock_ms = 1
    body = quote(f'{{"p":1,"time":{stamp}}}')
    await get(intake, f"/input/post?node=n&fulljson={body}")
    assert intake.rows["n.p"] == {TS: 1.0}
    await get(intake, f"/input/post?node=n&fulljson={body}&time={TS_S + 5}")
    assert intake.rows["n.p"] == {TS: 1.0, TS + 5000: 1.0}


@pytest.mark.parametrize("value", ["nan", "inf", "1_000", "abc", "", "1e999", "0x10", "true"])
async def test_what_is_no_number_is_no_zero(intake: MemoryIntake, value: str) -> None:
    answer = await get(intake, f"/input/post?node=n&json={{p:{value}}}")
    assert message(answer)
    assert (intake.rows, intake.devices) == ({}, {})
    assert all(one.code and one.text for one in intake.rejected)
    assert len(intake.rejected) == 1


async def test_a_bad_value_does_not_hold_back_its_neighbours(intake: MemoryIntake) -> None:
    assert short(await get(intake, "/input/post?node=n&json={p:1,temp:nan}")) == OK
    assert intake.rows == {"n.p": {TS: 1.0}}
    assert [(one.code, one.field) for one in intake.rejected] == [("WL-ING-042", "temp")]


@pytest.mark.parametrize(
    "target",
    [
        "/input/post?node=n",
        "/input/post?node=n&fulljson=[1]",
        "/input/post?node=n&fulljson={",
        "/input/post?node=...&csv=1",
        "/input/post?node=!!&csv=1",
        "/input/post?node=n&csv=1&time=yesterday",
        "/input/post?node=n&fulljson={%22p%22:1,%22time%22:%222025-11-24T17:00:00%22}",
        "/input/bulk",
        "/input/bulk?data=[]",
        "/input/bulk?data={}",
        "/input/bulk?data=[[0,1,2]&time=1",
        "/input/bulk?data=[[0,1,2]]&sentat=soon",
        "/input/bulk?data=[[0,1,NaN]]",
        "/input/bulk?data=xyz&c=1",
        "/input/bulk?data=ffff&c=1",
        "/input/bulk?data=" + "[" * 5000,
    ],
)
async def test_what_cannot_be_read_says_so_with_status_200(intake: MemoryIntake, target: str) -> None:
    assert "WL-ING-" in message(await get(intake, target))
    assert intake.rows == {}


@pytest.mark.parametrize(
    ("target", "rows"),
    [
        (
            "/input/bulk?data=[[520,16,1137],[530,17,1437,3164]]&sentat=543",
            {"16.1": {TS - 23_000: 1137.0}, "17.1": {TS - 13_000: 1437.0}, "17.2": {TS - 13_000: 3164.0}},
        ),
        (
            '/input/bulk?data=[[-10,"emontx",{"p":1}],[-8,"emontx",1437,null,3164]]&offset=-10',
            {"emontx.p": {TS: 1.0}, "emontx.1": {TS + 2000: 1437.0}, "emontx.3": {TS + 2000: 3164.0}},
        ),
        ("/input/bulk.json?data=[[-10,16,1137]]&time=1764000000", {"16.1": {TS - 10_000: 1137.0}}),
        (
            "/input/bulk.json?data=[[0,16,1],[2,17,2],[4,19,3]]",
            {"16.1": {TS - 4000: 1.0}, "17.1": {TS - 2000: 2.0}, "19.1": {TS: 3.0}},
        ),
        ("/input/bulk?data=[[1764000000,16,1],[1],7,[3,4]]&sentat=1764000002", {"16.1": {TS: 1.0}}),
        ("/input/bulk?data=[[1763990000,16,1]]&sentat=1763990100", {"16.1": {TS - 100_000: 1.0}}),
    ],
)
async def test_times_of_a_bulk(intake: MemoryIntake, target: str, rows: dict[str, dict[int, float]]) -> None:
    assert short(await get(intake, target)) == OK
    assert intake.rows == rows


async def test_a_frame_sent_again_by_a_clock_in_step_is_recognised(intake: MemoryIntake) -> None:
    for delay_s in (0, 2):
        intake.clock_ms = TS + delay_s * 1000 + 400
        await get(intake, f"/input/bulk?data=[[{TS_S - 30},16,1]]&sentat={TS_S + delay_s - 1}")
    assert intake.rows == {"16.1": {TS - 30_000: 1.0}}


async def test_a_form_that_is_not_percent_encoded_reads_as_iotawatt_sends_it(intake: MemoryIntake) -> None:
    body = f'time={TS_S}&data=[[10,"IotaWatt",239.9,null,-5.25]]'.encode()
    assert short(await get(intake, "/input/bulk", body)) == OK
    assert intake.rows == {"iotawatt.1": {TS + 10_000: 239.9}, "iotawatt.3": {TS + 10_000: -5.25}}


async def test_compressed_bulks(intake: MemoryIntake) -> None:
    data = zlib.compress(b"[[0,16,1137]]")
    assert short(await get(intake, f"/input/bulk?cb=1&time={TS_S}", data)) == OK
    assert short(await get(intake, f"/input/bulk?c=1&time={TS_S + 1}", f"data={data.hex()}".encode())) == OK
    assert intake.rows == {"16.1": {TS: 1137.0, TS + 1000: 1137.0}}


async def test_a_compressed_bomb_is_refused(intake: MemoryIntake) -> None:
    bomb = zlib.compress(b"[" + b" " * 50_000_000 + b"]")
    assert "too large" in message(await get(intake, "/input/bulk?cb=1", bomb))
    assert "cut off" in message(await get(intake, "/input/bulk?cb=1", zlib.compress(b"[[0,1,2]]")[:-5]))


async def test_resume_of_iotawatt(intake: MemoryIntake) -> None:
    assert short(await get(intake, "/input/get?node=IotaWatt")) == (200, b'"Node does not exist"')
    await get(intake, "/input/bulk", f'time={TS_S}&data=[[0,"IotaWatt",1,2],[5,"IotaWatt",3]]'.encode())
    answer = await get(intake, "/input/get?node=IotaWatt")
    assert answer.body.startswith(b'{"1":{"time":%d,' % (TS_S + 5))
    assert orjson.loads(answer.body)["2"]["time"] == TS_S


async def test_overload_is_left_to_the_door(intake: MemoryIntake) -> None:
    intake.failure = StorageAway("WL-STO-002", "away")
    with pytest.raises(StorageAway):
        await get(intake, "/input/post?node=n&csv=1")


async def test_the_key_never_reaches_the_list_of_refusals(intake: MemoryIntake) -> None:
    samples: list[bytes] = []

    class Listening(MemoryIntake):
        def reject(self, rejections: object, payload: bytes = b"") -> None:
            samples.append(payload)

    await get(Listening(), "/input/post?node=n&json={p:x}&apikey=SECRET")
    await get(Listening(), "/input/post", b"node=n&json={p:x}&apikey=SECRET")
    assert len(samples) == 2
    assert not any(b"SECRET" in sample for sample in samples)


def test_a_wrong_key_is_told_in_the_words_of_emoncms() -> None:
    answer = denied(401, "no")
    assert (answer.status, answer.body) == (401, b"Invalid API key")
    assert 'error="invalid_apikey"' in answer.headers["WWW-Authenticate"]


@pytest.mark.skipif(not FIXTURES.exists(), reason="the recorded requests are not beside this checkout")
async def test_recorded_and_documented_requests_are_taken(intake: MemoryIntake) -> None:
    for line in (FIXTURES / "requests_documented.jsonl").read_text().splitlines():
        target = json.loads(line)["target"]
        wanted = b'{"success": true}' if "fulljson" in target else b"ok"
        assert short(await get(intake, target)) == (200, wanted)
    recorded = json.loads((FIXTURES / "emonhub_bulk_plain.jsonl").read_text().splitlines()[0])
    assert short(await get(intake, recorded["path"], recorded["body"]["text"].encode())) == OK
    assert sum(len(rows) for key, rows in intake.rows.items() if key.startswith("15.")) == 3 * 7


tokens = st.text(alphabet='{}[]":,0123456789.-eanul x%&=+', max_size=30)


@settings(max_examples=700, deadline=None)
@given(
    st.sampled_from(["post", "bulk", "get"]),
    st.dictionaries(
        st.sampled_from(["node", "json", "csv", "data", "fulljson", "time", "sentat", "c"]), tokens
    ),
)
async def test_any_parameters_are_answered(kind: str, query: dict[str, str]) -> None:
    intake = MemoryIntake()
    endpoints = InputEndpoints()
    handler = {"post": endpoints.post, "bulk": endpoints.bulk, "get": endpoints.get}[kind]
    answer = await handler(PushRequest("GET", f"/emoncms/input/{kind}", query, {}, b""), intake)
    assert answer.status == 200
    assert all(one.code and one.text for one in intake.rejected)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.booleans())
async def test_any_body_is_answered(body: bytes, packed: bool) -> None:
    query = {"cb": "1"} if packed else {}
    answer = await InputEndpoints().bulk(
        PushRequest("POST", "/emoncms/input/bulk", query, {}, body), MemoryIntake()
    )
    assert answer.status == 200
