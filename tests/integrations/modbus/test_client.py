"""The polled device against real and lying servers."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pymodbus.client import AsyncModbusTcpClient

from hub.plugins.api import CannotConnect, QueueFull
from hub.plugins.testing import MemoryIntake
from integrations.modbus.client import connect
from integrations.modbus.frames import crc16
from integrations.modbus.link import Link, LinkAddress, Patience
from tests.integrations.modbus.devices import (
    Answerer,
    TickingIntake,
    exception,
    frame,
    liar,
    options,
    right_answer,
    says,
    serve,
    unit,
)

SDM630 = {
    0x00: [230.5, 231.0, 232.0, 1.5, 2.5, 3.5, 100.0, 200.0, -50.0],
    0x34: [250.0],
    0x3E: [0.97],
    0x46: [50.02, 1234.5, 7.25],
}


async def rows_of(intake: MemoryIntake, entry: dict[str, Any], rows: int) -> dict[str, float]:
    """First value of each series after ``rows`` rows were stored."""
    async with connect(entry) as source:
        run = asyncio.create_task(source.run(intake))
        await intake.wait_rows(rows)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
    return {name: next(iter(kept.values())) for name, kept in intake.rows.items()}


async def run_until_lost(intake: MemoryIntake, entry: dict[str, Any]) -> CannotConnect:
    """What ends the source."""
    async with connect(entry) as source:
        with pytest.raises(CannotConnect) as lost:
            await asyncio.wait_for(source.run(intake), 30)
    return lost.value


async def test_template_becomes_stored_series() -> None:
    intake = MemoryIntake()
    async with serve(unit(1, input_floats=SDM630)) as port:
        values = await rows_of(
            intake, options(port, template="eastron-sdm630", name="Main meter", role="grid"), 14
        )
    assert values == pytest.approx(
        {
            "main-meter.voltage_l1": 230.5, "main-meter.voltage_l2": 231.0, "main-meter.voltage_l3": 232.0,
            "main-meter.current_l1": 1.5, "main-meter.current_l2": 2.5, "main-meter.current_l3": 3.5,
            "main-meter.power_l1": 100.0, "main-meter.power_l2": 200.0, "main-meter.power_l3": -50.0,
            "main-meter.power": 250.0, "main-meter.power_factor": 0.97, "main-meter.frequency": 50.02,
            "main-meter.energy_import": 1_234_500.0, "main-meter.energy_export": 7250.0,
        },
        rel=1e-6,
    )  # fmt: skip
    assert {next(iter(kept)) for kept in intake.rows.values()} == {intake.clock_ms}
    assert intake.online == {"main-meter": True}
    assert intake.devices["main-meter"].model == "SDM630-Modbus"
    assert intake.infos["main-meter.power"].interval_ms == 100
    assert intake.rejected == []


async def test_all_values_of_a_poll_share_one_time() -> None:
    intake = TickingIntake()
    registers = [{"key": f"r{at}", "address": at} for at in (0, 10, 20)]
    async with serve(unit(1, holding={0: [1], 10: [2], 20: [3]})) as port:
        await rows_of(intake, options(port, registers=registers, id="m"), 6)
    times = [sorted(kept)[:2] for kept in intake.rows.values()]
    assert len(times) == 3
    assert times[0] == times[1] == times[2]


async def test_values_that_the_device_has_not_are_absent_and_reported_once() -> None:
    intake = TickingIntake()
    holding = {0: [0xFFFF], 1: [0x8000], 2: [7], 3: [0x7FC0, 0]}
    registers = [
        {"key": "a", "address": 0, "decode": "uint16", "sentinel": "auto"},
        {"key": "b", "address": 1, "decode": "int16", "sentinel": [-32768]},
        {"key": "c", "address": 2, "decode": "uint16"},
        {"key": "d", "address": 3, "decode": "float32"},
    ]
    async with serve(unit(1, holding=holding)) as port:
        await rows_of(intake, options(port, registers=registers, id="m"), 3)
    assert set(intake.rows) == {"m.c"}
    assert [(one.code, one.field) for one in intake.rejected] == [
        ("WL-MOD-001", "m.a"),
        ("WL-MOD-001", "m.b"),
        ("WL-MOD-001", "m.d"),
    ]


async def test_block_with_a_refused_register_is_split_until_the_rest_is_read() -> None:
    intake = TickingIntake()
    registers = [{"key": f"r{at}", "address": at} for at in range(8)]
    async with serve(unit(1, holding={0: [10, 11, 12], 4: [14, 15, 16, 17]})) as port:
        values = await rows_of(intake, options(port, registers=registers, id="m"), 21)
    assert values == {f"m.r{at}": 10 + at for at in (0, 1, 2, 4, 5, 6, 7)}
    assert [one.field for one in intake.rejected] == ["m.r3"]


async def test_learned_plan_spares_the_refused_reads() -> None:
    asked: list[int] = []

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        start = int.from_bytes(request[8:10], "big")
        count = int.from_bytes(request[10:12], "big")
        asked.append(start)
        refuse = start <= 1 < start + count
        writer.write(exception(2)(request) if refuse else right_answer(request))

    registers = [{"key": f"r{at}", "address": at} for at in range(3)]
    intake = TickingIntake()
    async with liar(answer) as port:
        await rows_of(intake, options(port, registers=registers, id="m"), 6)
    assert asked[:5] == [0, 0, 1, 1, 2]  # whole, left, right, and the right one's halves
    assert asked[5:9] == [0, 2, 0, 2]


async def test_map_that_the_device_refuses_wholly_cannot_connect() -> None:
    intake = MemoryIntake()
    async with serve(unit(1, holding={0: [1]})) as port:
        lost = await run_until_lost(intake, options(port, template="eastron-sdm120", id="m"))
    assert "refuses every register" in lost.message
    assert intake.rows == {}


async def test_two_units_share_one_connection() -> None:
    connections = 0

    def count(connected: bool) -> None:
        nonlocal connections
        connections += connected

    units = unit(1, holding={0: [11]}), unit(2, holding={0: [22]})
    intake = MemoryIntake()
    async with serve(*units, trace_connect=count) as port:
        entries = [options(port, unit=n, id=f"m{n}", registers=[{"key": "x", "address": 0}]) for n in (1, 2)]
        async with connect(entries[0]) as first, connect(entries[1]) as second:
            runs = [asyncio.create_task(source.run(intake)) for source in (first, second)]
            await intake.wait_rows(2)
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)
    assert intake.rows == {"m1.x": {intake.clock_ms: 11.0}, "m2.x": {intake.clock_ms: 22.0}}
    assert connections == 1


async def test_rtu_frames_over_tcp() -> None:
    intake = MemoryIntake()
    async with serve(unit(7, input_floats=SDM630), framer="rtu") as port:
        values = await rows_of(
            intake, options(port, unit=7, template="eastron-sdm630", framer="rtu_over_tcp"), 14
        )
    assert values["eastron-sdm630-7.power"] == 250.0


@pytest.mark.parametrize(
    ("decode", "word_order", "words", "value"),
    [
        ("float32", "big", [0x4348, 0x0000], 200.0),
        ("float32", "little", [0x0000, 0x4348], 200.0),
        ("float32s", "big", [0x0000, 0x4348], 200.0),
        ("uint32", "little", [1, 2], 0x20001),
        ("int32", "big", [0xFFFF, 0xFFFE], -2.0),
        ("uint64", "big", [0, 0, 1, 0], 65536.0),
        ("uint64s", "big", [0, 1, 0, 0], 65536.0),
        ("int16", "big", [0xFFFF], -1.0),
    ],
)
async def test_word_orders(decode: str, word_order: str, words: list[int], value: float) -> None:
    intake = MemoryIntake()
    registers = [{"key": "x", "address": 5, "decode": decode}]
    async with serve(unit(1, holding={5: words})) as port:
        values = await rows_of(intake, options(port, registers=registers, word_order=word_order, id="m"), 1)
    assert values == {"m.x": value}


async def test_meter_seen_from_the_other_side() -> None:
    intake = MemoryIntake()
    async with serve(unit(1, input_floats=SDM630)) as port:
        values = await rows_of(intake, options(port, template="eastron-sdm630", reversed=True, id="pv"), 14)
    assert values["pv.power"] == -250.0
    assert values["pv.current_l1"] == 1.5
    assert values["pv.voltage_l1"] == 230.5
    assert values["pv.energy_export"] == 1_234_500.0
    assert values["pv.energy_import"] == 7250.0


# ---- servers that lie
async def never(request: bytes, writer: asyncio.StreamWriter) -> None:
    """Listens politely."""


async def closes_at_once(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def closes_mid_frame(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(right_answer(request)[:-3])
    await writer.drain()
    writer.close()


async def drips(request: bytes, writer: asyncio.StreamWriter) -> None:
    for byte in right_answer(request):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)


def cut_at(size: int) -> Callable[[bytes], bytes]:
    return lambda request: right_answer(request)[:size]


def function_4(request: bytes) -> bytes:
    count = int.from_bytes(request[10:12], "big")
    return frame(request, bytes([request[6], 4, 2 * count]) + b"\x41\x20" * count)


LIES: dict[str, Answerer] = {
    "never answers": never,
    "closes at once": closes_at_once,
    "closes mid-frame": closes_mid_frame,
    "sends a byte now and then": drips,
    "stops after the header": says(cut_at(6)),
    "stops before the last byte": says(cut_at(-1)),
    "answers with another transaction": says(
        lambda r: (int.from_bytes(r[:2], "big") + 7).to_bytes(2, "big") + right_answer(r)[2:]
    ),
    "answers with transaction 0": says(lambda r: b"\0\0" + right_answer(r)[2:]),
    "answers for another unit": says(lambda r: right_answer(r)[:6] + b"\x09" + right_answer(r)[7:]),
    "answers another function": says(function_4),
    "answers a write function": says(lambda r: frame(r, bytes([r[6], 16, 0, 0, 0, 2]))),
    "unknown protocol": says(lambda r: r[:2] + b"\x00\x01" + right_answer(r)[4:]),
    "one register too few": says(lambda r: frame(r, r[6:8] + b"\x02\x41\x20")),
    "one register too many": says(lambda r: frame(r, r[6:8] + b"\x06" + b"\x41\x20" * 3)),
    "byte count lies": says(lambda r: frame(r, r[6:8] + b"\x03\x41\x20\x00")),
    "byte count zero": says(lambda r: frame(r, r[6:8] + b"\x00")),
    "length field lies": says(lambda r: frame(r, r[6:8] + b"\x04" + b"\x41\x20" * 2, length=5)),
    "length field huge": says(lambda r: frame(r, r[6:8] + b"\x04" + b"\x41\x20" * 2, length=0xFFFF)),
    "speaks HTTP": says(lambda r: b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
    "zeros": says(lambda r: bytes(200)),
    "a flood": says(lambda r: b"\xff" * 100_000),
    "device failure": says(exception(4)),
    "busy": says(exception(6)),
    "gateway target silent": says(exception(11)),
    "unknown exception": says(exception(0x77)),
    "exception of another function": says(lambda r: frame(r, bytes([r[6], 0x84, 2]))),
}


@pytest.mark.parametrize("lie", LIES)
async def test_lying_server_stores_nothing_and_is_lost_in_time(lie: str) -> None:
    intake = MemoryIntake()
    registers = [{"key": "x", "address": 0, "decode": "float32"}]
    async with liar(LIES[lie]) as port:
        lost = await run_until_lost(intake, options(port, registers=registers, id="m", timeout=0.25))
    assert intake.rows == {}
    assert intake.online == {"m": False}
    assert lost.where == "m"
    assert lost.hint


async def test_late_answer_is_not_taken_for_the_next_one() -> None:
    held: list[bytes] = []

    async def one_behind(request: bytes, writer: asyncio.StreamWriter) -> None:
        held.append(right_answer(request, word=len(held)))
        writer.write(b"".join(held[-2:]) if len(held) > 1 else b"")

    intake = TickingIntake()
    async with liar(one_behind) as port:
        values = await rows_of(intake, options(port, registers=[{"key": "x", "address": 0}], id="m"), 2)
    assert values == {"m.x": 1.0}
    assert list(intake.rows["m.x"].values()) == [1.0, 2.0]


async def test_late_rtu_answer_is_not_taken_for_the_next_one() -> None:
    """RTU frames carry no transaction id, so a connection with an answer outstanding is not used again."""
    asked = 0

    async def late(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        body = request[:2] + bytes([2, 0, asked])
        answer = body + crc16(body).to_bytes(2, "little")
        asyncio.get_running_loop().call_later(0.4, writer.write, answer)

    intake = TickingIntake()
    registers = [{"key": "x", "address": 0}]
    async with liar(late) as port:
        await run_until_lost(
            intake, options(port, registers=registers, id="m", framer="rtu_over_tcp", timeout=0.25)
        )
    assert asked == 3
    assert intake.rows == {}


async def test_rtu_answer_with_a_wrong_checksum_is_refused() -> None:
    intake = MemoryIntake()
    registers = [{"key": "x", "address": 0}]
    async with liar(says(lambda r: bytes([r[0], r[1], 2, 0x12, 0x34, 0xAB, 0xCD]))) as port:
        lost = await run_until_lost(
            intake, options(port, registers=registers, id="m", framer="rtu_over_tcp", timeout=0.25)
        )
    assert "checksum" in lost.message
    assert intake.rows == {}


# ---- away and back
async def test_closed_port_cannot_connect() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        entry = options(closed.getsockname()[1], template="eastron-sdm630", id="m")
        with pytest.raises(CannotConnect) as refused:
            async with connect(entry):
                pytest.fail("connected to a closed port")
    assert refused.value.code == "WL-INT-001"
    assert "127.0.0.1" in refused.value.message


@pytest.mark.parametrize("connect_delay", [0, 0.05])
async def test_server_that_hangs_up_on_everybody_is_lost(connect_delay: float) -> None:
    """As a device does whose only connection somebody else holds."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    intake = MemoryIntake()
    async with server:
        entry = options(
            server.sockets[0].getsockname()[1], template="eastron-sdm630", id="m", connect_delay=connect_delay
        )
        await run_until_lost(intake, entry)
    assert intake.rows == {}
    assert intake.online == {"m": False}


async def test_unknown_host_cannot_connect() -> None:
    with pytest.raises(CannotConnect):
        async with connect({**options(1502, template="eastron-sdm630", id="m"), "host": "a..b"}):
            pytest.fail("connected to nowhere")


async def test_one_lost_answer_does_not_lose_the_device() -> None:
    asked = 0

    async def second_is_lost(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.write(b"" if asked == 2 else right_answer(request, word=asked))

    intake = TickingIntake()
    async with liar(second_is_lost) as port:
        await rows_of(intake, options(port, registers=[{"key": "x", "address": 0}], id="m", timeout=1.0), 2)
    assert list(intake.rows["m.x"].values()) == [1.0, 3.0]
    assert intake.online == {"m": True}


async def test_device_goes_and_comes_back() -> None:
    intake = TickingIntake()
    mute = False

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"" if mute else right_answer(request))

    async with liar(answer) as port:
        entry = options(port, registers=[{"key": "x", "address": 0}], id="m", timeout=0.5)
        await rows_of(intake, entry, 1)
        assert intake.online == {"m": True}
        mute = True
        await run_until_lost(intake, entry)
        assert intake.online == {"m": False}
        mute = False
        await rows_of(intake, entry, 2)
        assert intake.online == {"m": True}


async def test_refused_store_is_survived_and_the_next_poll_is_stored() -> None:
    intake = TickingIntake(failure=QueueFull("WL-ING-090", "the queue is full"))
    async with (
        serve(unit(1, holding={0: [5]})) as port,
        connect(options(port, registers=[{"key": "x", "address": 0}], id="m")) as source,
    ):
        run = asyncio.create_task(source.run(intake))
        with pytest.raises(TimeoutError):
            await intake.wait_rows(1, timeout_s=0.15)
        intake.failure = None
        await intake.wait_rows(1)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
    assert set(intake.rows["m.x"].values()) == {5.0}


async def test_congested_hub_is_not_polled_for() -> None:
    asked = 0

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.write(right_answer(request))

    intake = TickingIntake(congested=True)
    async with (
        liar(answer) as port,
        connect(options(port, registers=[{"key": "x", "address": 0}], id="m")) as source,
    ):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(source.run(intake), timeout=0.35)
    assert asked == 0


async def test_removed_and_added_series_get_new_handles() -> None:
    intake = TickingIntake()
    async with (
        serve(unit(1, holding={0: [5]})) as port,
        connect(options(port, registers=[{"key": "x", "address": 0}], id="m")) as source,
    ):
        run = asyncio.create_task(source.run(intake))
        await intake.wait_rows(1)
        intake.devices.clear()
        intake.registry_version += 1
        await intake.wait_rows(2)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
    assert set(intake.devices) == {"m"}


async def test_a_source_that_is_told_to_stop_while_it_connects_ends_and_hangs_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """pymodbus waits in a manner that loses a cancellation where the connection comes in the same moment."""
    genuine = AsyncModbusTcpClient.connect
    connecting, hung_up = asyncio.Event(), asyncio.Event()

    async def deaf(client: AsyncModbusTcpClient) -> bool:
        connecting.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return await genuine(client)

    async def serve_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        hung_up.set()
        writer.close()

    monkeypatch.setattr(AsyncModbusTcpClient, "connect", deaf)
    async with await asyncio.start_server(serve_client, "127.0.0.1", 0) as server:
        link = Link(LinkAddress("127.0.0.1", server.sockets[0].getsockname()[1]))
        opening = asyncio.create_task(link.open(Patience(30.0)))
        await connecting.wait()
        opening.cancel()
        await asyncio.wait([opening], timeout=30)
        assert opening.cancelled()
        await asyncio.wait_for(hung_up.wait(), 30)


def test_describing_the_integration_loads_no_modbus_library() -> None:
    code = "import sys, integrations.modbus as m; m.hub_integration(); sys.exit('pymodbus' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


async def test_infinite_floats_are_not_stored() -> None:
    intake = TickingIntake()
    async with serve(unit(1, input_floats={0: [math.inf, -math.inf, math.nan, 4.0]})) as port:
        registers = [
            {"key": f"r{at}", "address": 2 * at, "type": "input", "decode": "float32"} for at in range(4)
        ]
        values = await rows_of(intake, options(port, registers=registers, id="m"), 2)
    assert values == {"m.r3": 4.0}
