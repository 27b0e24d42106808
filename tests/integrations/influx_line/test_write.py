"""Writes keep good lines, name bad ones, and answer as InfluxDB 1.6.7 was recorded to, with listed differences."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import QueueFull, Rejection
from hub.plugins.api import PushAnswer, PushRequest, ReadingBatch, Stored
from hub.plugins.testing import MemoryIntake
from integrations.influx_line.heads import Heads
from integrations.influx_line.lines import LineReader
from integrations.influx_line.write import WriteEndpoints

FIXTURES = Path(__file__).parents[4] / "shared" / "fixtures" / "influx"
TS_S = 1_764_000_000
TS = TS_S * 1000


@pytest.fixture
def intake() -> MemoryIntake:
    return MemoryIntake()


@pytest.fixture
def write() -> WriteEndpoints:
    return WriteEndpoints(LineReader(Heads()))


def request(body: str | bytes, path: str = "/write", **query: str) -> PushRequest:
    raw = body if isinstance(body, bytes) else body.encode("utf-8")
    return PushRequest("POST", path, query, {}, raw)


async def v1(write: WriteEndpoints, intake: MemoryIntake, body: str | bytes, **query: str) -> PushAnswer:
    return await write.v1(request(body, **({"db": "energy", "precision": "s"} | query)), intake)


async def v2(write: WriteEndpoints, intake: MemoryIntake, body: str | bytes, **query: str) -> PushAnswer:
    return await write.v2(
        request(body, "/api/v2/write", **({"bucket": "b", "precision": "s"} | query)), intake
    )


def error(answer: PushAnswer) -> str:
    text: str = orjson.loads(answer.body)["error"]
    return text


class Quarantining(MemoryIntake):
    """Quarantines what lies before 2000, as the recorder does."""

    async def store(self, batch: ReadingBatch) -> Stored:
        early = [row for row, ts_ms in enumerate(batch.ts_ms) if 0 <= ts_ms < 946_684_800_000]
        rejections = tuple(
            Rejection(batch.item[row], "WL-ING-033", "time lies before 2000", "ts", True) for row in early
        )
        kept = ReadingBatch(batch.source, batch.arrival_ms)
        for row in sorted(set(range(len(batch))) - set(early)):
            kept.series.append(batch.series[row])
            kept.ts_ms.append(batch.ts_ms[row])
            kept.values.append(batch.values[row])
            kept.item.append(batch.item[row])
        stored = await super().store(kept)
        return Stored(stored.accepted, stored.duplicates, (*stored.rejections, *rejections))


async def test_measurement_and_tags_are_the_device_fields_its_series(
    write: WriteEndpoints, intake: MemoryIntake
) -> None:
    body = f"energy,loc=Cellar\\ 1,ch=2 power=1500.5,energy_import=2.5,count=3i {TS_S}"
    answer = await v1(write, intake, body)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["X-Influxdb-Version"].startswith("1.")
    assert intake.rows == {
        "energy-2-cellar-1.power": {TS: 1500.5},
        "energy-2-cellar-1.energy_import": {TS: 2500.0},
        "energy-2-cellar-1.count": {TS: 3.0},
    }
    assert intake.devices["energy-2-cellar-1"].name == "energy-2-Cellar 1"


@pytest.mark.parametrize("round_", [1, 2])
async def test_the_second_write_of_a_head_reads_the_same(
    write: WriteEndpoints, intake: MemoryIntake, round_: int
) -> None:
    body = f'e,a=b energy=1.5,power=-2i,x=3u,on=true,s="a,b=c d" {TS_S}\r\n# note\n\ne,a=b power=4.25e1 {TS_S + 1}\n'
    for _ in range(round_):
        assert (await v1(write, intake, body)).status == 204
    assert intake.rows == {
        "e-b.energy": {TS: 1500.0},
        "e-b.power": {TS: -2.0, TS + 1000: 42.5},
        "e-b.x": {TS: 3.0},
    }


@pytest.mark.parametrize(
    ("precision", "ticks"),
    [
        ("", TS * 1_000_000),
        ("n", TS * 1_000_000 + 999_999),
        ("ns", TS * 1_000_000),
        ("u", TS * 1000),
        ("µ", TS * 1000 + 999),
        ("us", TS * 1000),
        ("ms", TS),
        ("s", TS_S),
        ("m", TS_S // 60),
        ("xx", TS * 1_000_000),
    ],
)
async def test_v1_precisions(write: WriteEndpoints, intake: MemoryIntake, precision: str, ticks: int) -> None:
    for _ in range(2):  # first by the grammar, then by the fast way
        assert (await v1(write, intake, f"m v=1 {ticks}", precision=precision)).status == 204
    assert intake.rows == {"m.v": {TS: 1.0}}


async def test_v2_knows_four_precisions_and_refuses_others(
    write: WriteEndpoints, intake: MemoryIntake
) -> None:
    assert (await v2(write, intake, f"m v=1 {TS}", precision="ms")).status == 204
    answer = await v2(write, intake, f"m v=1 {TS}", precision="m")
    assert answer.status == 400
    assert orjson.loads(answer.body)["code"] == "invalid"
    assert intake.rows == {"m.v": {TS: 1.0}}


async def test_without_time_the_arrival_counts_and_order_is_kept(
    write: WriteEndpoints, intake: MemoryIntake
) -> None:
    for _ in range(2):
        intake.rows.clear()
        await v1(write, intake, 'm v=1\nm v=2,s="text"\nm v=3')
        assert list(intake.rows["m.v"].items()) == [(TS, 1.0), (TS + 1, 2.0), (TS + 2, 3.0)]


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize(
    "value",
    ["nan", "inf", "-inf", "1_000", "+1", "0x1", "1e999", "", "1" * 400, "12e", "1__0i", "--1", "1=2", "٣"],
)
async def test_a_number_that_is_none_is_refused_cold_and_warm(
    write: WriteEndpoints, intake: MemoryIntake, value: str, warm: bool
) -> None:
    await v1(write, intake, f"m v=0,w=0 {TS_S - 1}" if warm else "")
    answer = await v1(write, intake, f"m v={value} {TS_S}\nm w=1 {TS_S}")
    assert answer.status == 400
    assert error(answer).startswith("partial write: unable to parse 'm v=")
    assert error(answer).endswith("dropped=0")
    assert TS not in intake.rows.get("m.v", {})
    assert intake.rows["m.w"][TS] == 1.0
    assert [one.code for one in intake.rejected] == ["WL-ING-052"]


async def test_a_bad_line_alone_is_no_partial_write(write: WriteEndpoints, intake: MemoryIntake) -> None:
    answer = await v1(write, intake, "a,t=x 1790000000")
    assert error(answer) == "unable to parse 'a,t=x 1790000000': invalid field format"
    assert answer.headers["X-Influxdb-Error"] == error(answer)


async def test_v2_names_the_first_bad_line(write: WriteEndpoints, intake: MemoryIntake) -> None:
    answer = await v2(write, intake, f"a v=1 {TS_S}\nb v= {TS_S}\nc v=3 {TS_S}\n")
    document = orjson.loads(answer.body)
    assert (answer.status, document["code"], document["line"]) == (400, "invalid", 2)
    assert sorted(intake.rows) == ["a.v", "c.v"]


async def test_an_error_header_is_one_line_of_ascii(write: WriteEndpoints, intake: MemoryIntake) -> None:
    answer = await v1(write, intake, "bäd\rX-Evil: 1 v=\nworse v=".encode() + b"\xff")
    header = answer.headers["X-Influxdb-Error"]
    assert header.isascii()
    assert header.isprintable()


async def test_quarantined_points_are_a_partial_write(write: WriteEndpoints) -> None:
    intake = Quarantining()
    answer = await v1(write, intake, f"m v=1 5\nm v=2 {TS_S}")
    assert answer.status == 400
    assert error(answer) == "partial write: line 1: WL-ING-033 time lies before 2000 dropped=1"
    assert intake.rows == {"m.v": {TS: 2.0}}


async def test_a_time_that_fits_no_clock_is_refused(write: WriteEndpoints, intake: MemoryIntake) -> None:
    for _ in range(2):
        answer = await v1(write, intake, f"m v=1 {TS * 1_000_000}\nm w=1 {TS_S}")
        assert "time outside range" in error(answer)
    assert intake.rows == {"m.w": {TS: 1.0}}


async def test_another_value_for_a_time_is_a_kept_conflict_and_no_error(
    write: WriteEndpoints, intake: MemoryIntake
) -> None:
    await v1(write, intake, f"m v=1 {TS_S}")
    assert (await v1(write, intake, f"m v=2 {TS_S}")).status == 204
    assert intake.rows == {"m.v": {TS: 1.0}}


async def test_text_only_lines_are_left_out_counted_and_no_error(
    write: WriteEndpoints, intake: MemoryIntake
) -> None:
    assert (await v1(write, intake, f'system uptime_format="1 day",on=t {TS_S}')).status == 204
    assert (intake.rows, intake.devices) == ({}, {})
    assert [one.code for one in intake.rejected] == ["WL-ING-053"]


async def test_a_field_that_does_not_fit_its_series_leaves_the_others(
    write: WriteEndpoints, intake: MemoryIntake
) -> None:
    answer = await v1(write, intake, f"m ...=1,v=2 {TS_S}")
    assert "dropped=1" in error(answer)
    assert intake.rows == {"m.v": {TS: 2.0}}


@pytest.mark.parametrize("head", ["...", "/", "m" * 64 + ",t=1", "m" * 5000, "m,t=/var,p=x"])
async def test_devices_of_strange_heads_have_valid_ids_or_none(
    write: WriteEndpoints, intake: MemoryIntake, head: str
) -> None:
    await v1(write, intake, f"{head} v=1 {TS_S}")
    assert all(len(device) <= 64 and device.strip("-_") == device for device in intake.devices)


async def test_long_names_do_not_fall_together(write: WriteEndpoints, intake: MemoryIntake) -> None:
    tag = "t" * 70
    assert (await v1(write, intake, f"m,a={tag}1 v=1 {TS_S}\nm,a={tag}2 v=2 {TS_S}")).status == 204
    assert len(intake.devices) == 2


async def test_overload_is_left_to_the_door(write: WriteEndpoints, intake: MemoryIntake) -> None:
    intake.failure = QueueFull("WL-ING-090", "full")
    with pytest.raises(QueueFull):
        await v1(write, intake, f"m v=1 {TS_S}")


async def test_large_bodies_are_stored_in_parts_without_loss(
    write: WriteEndpoints, intake: MemoryIntake
) -> None:
    body = "\n".join(f"m,d={n % 7} power={n}.5,voltage=230,x={n}i {TS_S + n}" for n in range(20_000))
    assert (await v1(write, intake, body)).status == 204
    assert sum(len(rows) for rows in intake.rows.values()) == 60_000


def recorded() -> list[dict[str, Any]]:
    path = FIXTURES / "influxdb_1.6.7_responses.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


DIFFERENT = {
    "type_conflict": "a text beside numbers is left out instead of failing the whole request",
    "unknown_db": "every database leads to the same store",
    "v2_path_on_1.6": "both APIs are served",
    "ns_default": "1790000000 ns lies in 1970; the recorder decides, not the format",
    "bad_precision": "as ns_default",
}


@pytest.mark.skipif(not FIXTURES.exists(), reason="the recorded answers are not beside this checkout")
@pytest.mark.parametrize(
    "case", [c for c in recorded() if c["case"] not in DIFFERENT], ids=lambda c: str(c["case"])
)
async def test_answers_equal_those_of_influxdb(case: dict[str, Any]) -> None:
    intake = MemoryIntake()
    query = {} if case.get("target") == "/write" else {"db": "energy", "precision": "s"}
    answer = await WriteEndpoints(LineReader(Heads())).v1(request(case["body"], **query), intake)
    assert answer.status == case["status"]
    assert answer.headers.get("X-Influxdb-Error") == case["error_header"]
    assert answer.body.decode() == case["reply"]
    numbers = [
        value
        for table in case.get("stored", [])
        for row in table["values"]
        for value in row[1:]
        if isinstance(value, int | float)
    ]
    assert sorted(value for rows in intake.rows.values() for value in rows.values()) == sorted(numbers)


@pytest.mark.skipif(not FIXTURES.exists(), reason="the recorded requests are not beside this checkout")
async def test_recorded_clients_are_understood(intake: MemoryIntake, write: WriteEndpoints) -> None:
    lines = (FIXTURES / "http_clients_plain.jsonl").read_text().splitlines()
    bodies = [one["body"]["text"] for one in map(json.loads, lines) if one["method"] == "POST"]
    assert len(bodies) == 5
    for body in bodies:
        assert (await v1(write, intake, body, precision="ns")).status == 204


@pytest.mark.skipif(not FIXTURES.exists(), reason="the example lines are not beside this checkout")
async def test_what_telegraf_emits_is_understood(intake: MemoryIntake, write: WriteEndpoints) -> None:
    lines = [
        json.loads(line)["line"]
        for line in (FIXTURES / "telegraf_example_lines.jsonl").read_text().splitlines()
    ]
    packed = (FIXTURES / "telegraf_testmsgs.gz").read_bytes()
    assert (await v1(write, intake, gzip.decompress(packed), precision="ns")).status == 204
    faults = []
    for line in lines:
        answer = await v1(write, intake, line, precision="ns")
        faults += [error(answer)] if answer.status != 204 else []
    assert len(faults) < len(lines) * 0.1
    assert all("WL-ING-040" in fault or "unable to parse" in fault for fault in faults)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.text(alphabet='mv,= "\\1.-eiut#_+n\r\t\x0b', max_size=16), max_size=6))
async def test_any_body_reads_the_same_cold_and_warm(lines: list[str]) -> None:
    body = "\n".join(lines)
    cold, warm_intake = MemoryIntake(), MemoryIntake()
    first = await v1(WriteEndpoints(LineReader(Heads())), cold, body)
    write = WriteEndpoints(LineReader(Heads()))
    await v1(write, warm_intake, body)
    warm_intake.rows.clear()
    second = await v1(write, warm_intake, body)
    assert first.status == second.status
    assert {k: v for k, v in warm_intake.rows.items() if v} == {k: v for k, v in cold.rows.items() if v}
    assert all(one.code and one.text for one in cold.rejected)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=80))
async def test_any_bytes_are_answered(body: bytes) -> None:
    answer = await v1(WriteEndpoints(LineReader(Heads())), MemoryIntake(), body)
    assert answer.status in (204, 400)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'm s="' * 400_000, 400),
        (b"m v=1," * 400_000, 400),
        (b'm s="' + b"\n" * 200_000, 400),
        (b'm s="' + b'\\"' * 400_000, 400),
        (b"m v=x\n" * 260_000, 413),
        (b"m v=x\n" * 5_000, 400),
    ],
)
async def test_hostile_sizes_are_answered_and_answers_stay_small(
    write: WriteEndpoints, intake: MemoryIntake, body: bytes, status: int
) -> None:
    answer = await v1(write, intake, body)
    assert (answer.status, intake.rows) == (status, {})
    assert len(answer.body) < 20_000
    assert len(intake.rejected) <= 1_001


async def test_writers_beside_each_other_do_not_disturb_what_the_other_learned(intake: MemoryIntake) -> None:
    write = WriteEndpoints(LineReader(Heads()))
    bodies = ["\n".join(f"m{n},d={k} v={n}.5,w=1i {TS_S}" for n in range(300)) for k in range(4)]
    answers = await asyncio.gather(*(v1(write, intake, body) for body in bodies))
    assert [answer.status for answer in answers] == [204] * 4
    assert sum(len(rows) for rows in intake.rows.values()) == 4 * 600
