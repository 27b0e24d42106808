"""The JSON ingest keeps what is good, names what is not, and answers as the contract says."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import DiskFull, QueueFull, StorageAway, WattlineError
from hub.plugins.api import PushAnswer, PushRequest, Role
from hub.plugins.testing import MemoryIntake
from integrations.http_json import hub_integration
from integrations.http_json.endpoint import IngestEndpoint

TS = 1_764_000_000_000


@pytest.fixture
def intake() -> MemoryIntake:
    return MemoryIntake()


async def post(intake: MemoryIntake, body: bytes | str | object) -> PushAnswer:
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else orjson.dumps(body)
    return await IngestEndpoint().handle(PushRequest("POST", "/api/v1/ingest", {}, {}, raw), intake)


def errors(answer: PushAnswer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = orjson.loads(answer.body)["errors"]
    return found


def item(**values: object) -> dict[str, object]:
    return {"device": "main-meter", "ts": TS, "values": values}


def test_the_endpoint_needs_the_ingest_scope() -> None:
    integration = hub_integration()
    assert [(e.method, e.path, e.scope) for e in integration.endpoints] == [
        ("POST", "/api/v1/ingest", "ingest")
    ]
    assert integration.always


async def test_known_keys_bring_their_units(intake: MemoryIntake) -> None:
    answer = await post(intake, item(power=1234.5, energy_import=2.5, gas=7))
    assert (answer.status, answer.body) == (204, b"")
    assert intake.rows == {
        "main-meter.power": {TS: 1234.5},
        "main-meter.energy_import": {TS: 2500.0},
        "main-meter.gas": {TS: 7.0},
    }


async def test_an_identical_repeat_counts_as_committed(intake: MemoryIntake) -> None:
    assert (await post(intake, item(power=1))).status == 204
    assert (await post(intake, [item(power=1)])).status == 204


async def test_another_value_for_a_stored_time_is_named_by_its_path(intake: MemoryIntake) -> None:
    await post(intake, item(power=1))
    answer = await post(intake, [item(voltage=230), item(power=2)])
    assert answer.status == 207
    assert orjson.loads(answer.body)["stored"] == 1
    assert [(e["index"], e["field"], e["stored"]) for e in errors(answer)] == [(1, "values.power", False)]


async def test_units_and_kinds_say_more_than_the_name(intake: MemoryIntake) -> None:
    await post(intake, item(x=1.5) | {"units": {"x": "kWh"}, "kinds": {"x": "counter"}})
    assert intake.rows["main-meter.x"] == {TS: 1500.0}
    assert intake.infos["main-meter.x"].behaviour == "counter"


@pytest.mark.parametrize("kind", ["gauge", "delta"])
async def test_a_kind_that_contradicts_the_series_is_refused(intake: MemoryIntake, kind: str) -> None:
    register = {"units": {"x": "kWh"}, "kinds": {"x": "counter"}}
    await post(intake, item(x=1) | register)
    answer = await post(intake, item(x=2, power=5) | {"ts": TS + 1, "kinds": {"x": kind}})
    assert answer.status == 207
    assert [(e["code"], e["field"], e["stored"]) for e in errors(answer)] == [
        ("WL-ING-025", "kinds.x", False)
    ]
    assert intake.rows["main-meter.x"] == {TS: 1000.0}


async def test_two_kinds_for_a_new_series_in_one_request_cannot_both_be_right(intake: MemoryIntake) -> None:
    both = [item(x=1) | {"kinds": {"x": "counter"}}, item(x=2) | {"ts": TS + 1, "kinds": {"x": "delta"}}]
    answer = await post(intake, both)
    assert [(e["index"], e["code"]) for e in errors(answer)] == [(1, "WL-ING-025")]
    assert intake.rows["main-meter.x"] == {TS: 1.0}


async def test_the_kind_alone_keeps_the_unit_of_the_series(intake: MemoryIntake) -> None:
    await post(intake, item(x=1) | {"units": {"x": "kWh"}, "kinds": {"x": "counter"}})
    assert (await post(intake, item(x=2) | {"ts": TS + 1, "kinds": {"x": "counter"}})).status == 204
    assert intake.rows["main-meter.x"] == {TS: 1000.0, TS + 1: 2000.0}


@pytest.mark.parametrize("more", [{}, {"units": {"y": "W"}}])
async def test_a_state_is_no_register(intake: MemoryIntake, more: dict[str, Any]) -> None:
    key = "y" if more else "power"
    answer = await post(intake, item(**{key: 1}) | more | {"kinds": {key: "counter"}})
    assert (answer.status, errors(answer)[0]["code"]) == (422, "WL-ING-025")
    assert not intake.rows


async def test_without_a_unit_a_registered_series_keeps_its_own(intake: MemoryIntake) -> None:
    await post(intake, item(x=1) | {"units": {"x": "W"}})
    assert (await post(intake, item(x=2) | {"ts": TS + 1})).status == 204
    assert intake.rows["main-meter.x"] == {TS: 1.0, TS + 1: 2.0}


async def test_a_strange_name_is_slugged_and_kept(intake: MemoryIntake) -> None:
    await post(intake, item(power=1) | {"device": "Main Meter (küche)"})
    assert intake.devices["main-meter-kuche"].name == "Main Meter (küche)"


async def test_name_and_role_reach_the_device(intake: MemoryIntake) -> None:
    await post(intake, item(power=1) | {"name": "Grid", "role": "grid", "id": "a1"})
    assert (intake.devices["main-meter"].name, intake.devices["main-meter"].role) == ("Grid", Role.GRID)


@pytest.mark.parametrize(
    "stamp",
    [TS, TS // 1000, TS * 1000, TS * 1_000_000, "2025-11-24T16:00:00Z", "2025-11-24T17:00:00+01:00"],
)
async def test_times_by_magnitude_or_iso(intake: MemoryIntake, stamp: object) -> None:
    assert (await post(intake, item(power=1) | {"ts": stamp})).status == 204
    assert intake.rows["main-meter.power"] == {TS: 1.0}


async def test_without_ts_the_arrival_counts_and_nothing_is_lost(intake: MemoryIntake) -> None:
    bare = {"device": "d", "values": {"power": 1}}
    assert (await post(intake, [bare, bare])).status == 204
    assert intake.rows["d.power"] == {TS: 1.0, TS + 1: 1.0}


HOSTILE_VALUES = [
    ("NaN", "WL-ING-040"),
    ("Infinity", "WL-ING-040"),
    ("-Infinity", "WL-ING-040"),
    ("1e308", "WL-ING-041"),
    ("1e999", "WL-ING-041"),
    ("1" * 400, "WL-ING-041"),
    ("1" * 5000, "WL-ING-041"),
    ('"12.5"', "WL-ING-042"),
    ("true", "WL-ING-042"),
    ("null", "WL-ING-042"),
    ("[1]", "WL-ING-042"),
    ('{"a":1}', "WL-ING-042"),
]


@pytest.mark.parametrize(("token", "code"), HOSTILE_VALUES)
async def test_a_hostile_value_is_refused_and_its_neighbour_stored(
    intake: MemoryIntake, token: str, code: str
) -> None:
    body = f'[{{"device":"a","ts":{TS},"values":{{"voltage":230.5,"power":{token}}}}}]'
    answer = await post(intake, body)
    assert answer.status == 207
    assert [(e["index"], e["code"], e["field"]) for e in errors(answer)] == [(0, code, "values.power")]
    assert intake.rows == {"a.voltage": {TS: 230.5}}
    assert [one.code for one in intake.rejected] == [code]


@pytest.mark.parametrize(("token", "code"), HOSTILE_VALUES)
async def test_a_hostile_value_alone_leaves_no_trace(intake: MemoryIntake, token: str, code: str) -> None:
    answer = await post(intake, f'{{"device":"Strange One","ts":{TS},"values":{{"power":{token}}}}}')
    assert (answer.status, answer.content_type) == (422, "application/problem+json")
    assert orjson.loads(answer.body)["code"] == code
    assert (intake.rows, intake.devices) == ({}, {})


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"device": 5}, "WL-ING-004", "device"),
        ({"device": "../.."}, "WL-ING-010", "device"),
        ({"device": "a\x00b"}, "WL-ING-010", "device"),
        ({"device": "x" * 300}, "WL-ING-010", "device"),
        ({"values": {}}, "WL-ING-003", "values"),
        ({"values": [1]}, "WL-ING-004", "values"),
        ({"values": {"...": 1}}, "WL-ING-011", "values...."),
        ({"ts": "2025-11-24T16:00:00"}, "WL-ING-031", "ts"),
        ({"ts": "yesterday"}, "WL-ING-030", "ts"),
        ({"ts": True}, "WL-ING-030", "ts"),
        ({"ts": None}, "WL-ING-030", "ts"),
        ({"ts": 1e300}, "WL-ING-032", "ts"),
        ({"units": {"power": "V"}}, "WL-ING-020", "units.power"),
        ({"units": {"power": "furlong"}}, "WL-ING-020", "units.power"),
        ({"units": {"power": 5}}, "WL-ING-020", "units.power"),
        ({"units": "W"}, "WL-ING-004", "units"),
        ({"kinds": {"power": "meter"}}, "WL-ING-021", "kinds.power"),
        ({"kinds": {"power": 1}}, "WL-ING-021", "kinds.power"),
        ({"role": "queen"}, "WL-ING-023", "role"),
        ({"name": 7}, "WL-ING-004", "name"),
        ({"unit": "kW"}, "WL-ING-007", "unit"),
        ({"__proto__": {}}, "WL-ING-007", "__proto__"),
    ],
)
async def test_what_is_wrong_with_an_item_is_named(
    intake: MemoryIntake, change: dict[str, object], code: str, field: str
) -> None:
    answer = await post(intake, [item(power=1) | change, item(voltage=230)])
    assert answer.status == 207
    assert [(e["index"], e["code"], e["field"]) for e in errors(answer)] == [(0, code, field)]
    assert intake.rows == {"main-meter.voltage": {TS: 230.0}}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"hello", 400),
        (b"7", 400),
        (b'"text"', 400),
        (b"null", 400),
        (b'{"device":"a"', 400),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"device":"\xff"}', 400),
        (b"[" * 100_000, 400),
        (b"[" * 100_000 + b"]" * 100_000, 400),
        (b"{}", 422),
        (b"[1,2]", 422),
        (b'{"device":"\\ud800","values":{"power":1}}', 422),
        (b"[]", 204),
    ],
)
async def test_the_status_of_a_strange_body(intake: MemoryIntake, body: bytes, status: int) -> None:
    answer = await post(intake, body)
    assert answer.status == status
    assert intake.rows == {}


async def test_a_key_that_stands_twice_is_refused_not_guessed(intake: MemoryIntake) -> None:
    answer = await post(intake, f'{{"device":"a","ts":{TS},"values":{{"power":1,"power":2,"voltage":230}}}}')
    assert [(e["code"], e["field"]) for e in errors(answer)] == [("WL-ING-005", "values.power")]
    assert intake.rows == {"a.voltage": {TS: 230.0}}


@pytest.mark.parametrize(
    "body",
    [
        '{"device":"a","device":"b","values":{"power":1}}',
        '{"device":"a","values":{"power":1},"ts":"2025-11-24T16:00:00Z","ts":"2025-11-24T16:00:01Z"}',
        '{"device":"a","values":{"x":1},"units":{"x":"W","x":"kW"}}',
        '{"device":"a:b:c","values":{"x":1},"\\u0064evice":"a"}',
    ],
)
async def test_a_field_that_stands_twice_refuses_the_item(intake: MemoryIntake, body: str) -> None:
    answer = await post(intake, body)
    assert answer.status == 422
    assert errors(answer)[0]["code"] == "WL-ING-005"
    assert intake.rows == {}


async def test_a_delta_without_an_instant_is_refused(intake: MemoryIntake) -> None:
    delta = {"device": "a", "values": {"x": 1}, "kinds": {"x": "delta"}, "units": {"x": "Wh"}}
    assert errors(await post(intake, delta))[0]["code"] == "WL-ING-044"
    assert errors(await post(intake, delta | {"id": "counter-7"}))[0]["code"] == "WL-ING-044"
    assert intake.rows == {}


@pytest.mark.parametrize("message_id", ["019ab69b-1400-7000-8000-000000000000", "01KATSP500ABCDEFGHJKMNPQRS"])
async def test_an_id_that_carries_its_instant_makes_a_delta_repeatable(
    intake: MemoryIntake, message_id: str
) -> None:
    delta = {
        "device": "a",
        "values": {"x": 1},
        "kinds": {"x": "delta"},
        "units": {"x": "Wh"},
        "id": message_id,
    }
    for _ in range(2):  # the repetition reaches another process: nothing is remembered
        assert (await post(intake, delta)).status == 204
    assert list(intake.rows["a.x"].values()) == [1.0]


@pytest.mark.parametrize(
    "failure",
    [QueueFull("WL-ING-090", "full"), DiskFull("WL-STO-001", "full"), StorageAway("WL-STO-002", "away")],
)
async def test_overload_is_left_to_the_door(intake: MemoryIntake, failure: WattlineError) -> None:
    intake.failure = failure
    with pytest.raises(type(failure)):
        await post(intake, item(power=1))


async def test_a_registry_change_makes_the_endpoint_look_again(intake: MemoryIntake) -> None:
    endpoint = IngestEndpoint()
    request = PushRequest("POST", "/api/v1/ingest", {}, {}, orjson.dumps(item(power=1)))
    await endpoint.handle(request, intake)
    fresh = MemoryIntake(registry_version=99)
    assert (await endpoint.handle(request, fresh)).status == 204
    assert fresh.rows == {"main-meter.power": {TS: 1.0}}


async def test_too_many_items_are_told_to_split(intake: MemoryIntake) -> None:
    assert (await post(intake, b"[" + b"1," * 50_000 + b"1]")).status == 413


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
almost_items = st.fixed_dictionaries(
    {},
    optional={
        "device": st.just("dev") | json_values,
        "ts": st.just(TS) | json_values,
        "values": st.dictionaries(st.text(max_size=6), json_values, max_size=3) | json_values,
        "units": json_values,
        "kinds": json_values,
        "id": json_values,
        "name": json_values,
        "role": json_values,
    },
)


@settings(max_examples=700, deadline=None)
@given(st.lists(almost_items | json_values, max_size=4))
async def test_any_json_is_answered_and_every_refusal_has_code_and_text(document: list[object]) -> None:
    intake = MemoryIntake()
    answer = await post(intake, json.dumps(document))
    assert answer.status in (204, 207, 422)
    assert all(one.code.startswith("WL-ING-") and one.text for one in intake.rejected)
    assert (answer.status == 422) <= (intake.rows == {})


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
async def test_any_bytes_are_answered(body: bytes) -> None:
    intake = MemoryIntake()
    assert (await post(intake, body)).status in (204, 400, 422)
    assert intake.rows == {}


async def test_senders_beside_each_other_do_not_disturb_what_the_other_learned(intake: MemoryIntake) -> None:
    endpoint = IngestEndpoint()
    bodies = [
        orjson.dumps([{"device": f"d{k}-{n}", "ts": TS, "values": {"power": n}} for n in range(2_500)])
        for k in range(3)
    ]
    answers = await asyncio.gather(
        *(endpoint.handle(PushRequest("POST", "/api/v1/ingest", {}, {}, body), intake) for body in bodies)
    )
    assert [answer.status for answer in answers] == [204] * 3
    assert len(intake.rows) == 7_500


async def test_a_large_list_keeps_its_indexes(intake: MemoryIntake) -> None:
    items = [{"device": "d", "ts": TS + n, "values": {"power": n, "voltage": 230}} for n in range(6_000)]
    items[4_321] = {"device": "d", "ts": TS + 4_321, "values": {"power": "x", "voltage": 230}}
    answer = await post(intake, items)
    assert orjson.loads(answer.body)["stored"] == 11_999
    assert [(e["index"], e["field"]) for e in errors(answer)] == [(4_321, "values.power")]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"hello", 400, None),
        (b"[" + b"1," * 50_000 + b"1]", 413, None),
        (b'{"device":"a","values":{}}', 422, "values"),
        (b'{"device":"a","values":{"power":null}}', 422, "values.power"),
    ],
)
async def test_a_problem_has_the_members_of_every_other(
    intake: MemoryIntake, body: bytes, status: int, field: str | None
) -> None:
    document = orjson.loads((await post(intake, body)).body)

    assert {"type", "title", "status", "code", "detail", "field"} <= document.keys()
    assert document["type"] == f"urn:wattline:error:{document['code']}"
    assert (document["status"], document["field"]) == (status, field)


@pytest.mark.parametrize(
    ("items", "name"),
    [
        ([{"role": "load"}], "Küche Nord"),
        ([{"role": "load", "name": ""}], "Küche Nord"),
        ([{"role": "load", "name": "Boiler"}], "Boiler"),
        ([{"name": "Boiler"}, {"role": "load"}, {}], "Boiler"),
    ],
)
async def test_a_device_keeps_its_text_as_name_unless_one_is_given(
    intake: MemoryIntake, items: list[dict[str, str]], name: str
) -> None:
    answer = await post(
        intake,
        [
            {"device": "Küche Nord", "ts": TS + n, "values": {"power": 1}, **one}
            for n, one in enumerate(items)
        ],
    )

    (device,) = intake.devices.values()
    assert (answer.status, device.name) == (204, name)
