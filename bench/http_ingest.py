"""HTTP ingest: JSON lists and InfluxDB line protocol, on a few connections at once, all bodies made beforehand.

Each connection has devices of its own and sends their readings in time order, as collectors do. Body ``n`` belongs
to connection ``n % 4``.

The floor is an aiohttp server in a process of its own that splits the same bodies with orjson or ``str.split``,
converts the numbers and stores them in one synced transaction a body, in the order of the key.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import orjson

from bench.hub_process import HubProcess
from bench.machine import cpu_s
from bench.rows import Context, Row

DEVICES = 100
CONNECTIONS = 4
JSON_ITEMS, JSON_VALUES = 100, 5
LINES, FIELDS = 5_000, 3


def json_bodies(count: int) -> list[bytes]:
    """Lists of 100 items with five values each."""
    first_ms = time.time_ns() // 1_000_000 - count * 1_000 - 60_000
    bodies = []
    for number in range(count):
        body, sender = divmod(number, CONNECTIONS)
        items = [
            {
                "device": f"j{sender}-{item:02d}",
                "ts": first_ms + body * 1_000,
                "values": {
                    "power": 400.5 + (body * 7 + item) % 900,
                    "energy_import": 1000 + body * 0.0001,
                    "voltage": 229.5 + item % 8,
                    "current": 2.25 + body % 10,
                    "frequency": 50.01,
                },
            }
            for item in range(JSON_ITEMS)
        ]
        bodies.append(orjson.dumps(items))
    return bodies


def line_bodies(count: int) -> list[bytes]:
    """5,000 lines of three fields each: 100 devices, 50 moments a body."""
    moments = LINES // DEVICES
    first_ms = time.time_ns() // 1_000_000 - count * moments * 100 - 60_000
    bodies = []
    for number in range(count):
        body, sender = divmod(number, CONNECTIONS)
        lines = [
            f"meter,id=l{sender}-{device:02d},room=hall power={400 + (moment + device) % 900}.5,"
            f"voltage={229 + device % 8}.3,current={2 + moment % 10}.25 {first_ms + (body * moments + moment) * 100}"
            for moment in range(moments)
            for device in range(DEVICES)
        ]
        bodies.append("\n".join(lines).encode())
    return bodies


async def send_all(port: int, path: str, headers: Mapping[str, str], bodies: list[bytes]) -> float:
    """Post all bodies, a few at a time → seconds.

    Raises:
        RuntimeError: an answer that is neither 200 nor 204 nor (sent again later) 429.
    """
    begin_s = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for first in range(CONNECTIONS):
            group.create_task(_send(port, path, headers, bodies[first::CONNECTIONS]))
    return time.perf_counter() - begin_s


async def _send(port: int, path: str, headers: Mapping[str, str], bodies: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    shown = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    for body in bodies:
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{shown}Content-Length: {len(body)}\r\n\r\n"
        while True:
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            status = int(answer[9:12])
            size = [line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            text = await reader.readexactly(int(size[0].split(b":")[1])) if size else b""
            if status != 429:
                break
            await asyncio.sleep(0.05)
        if status not in (200, 204):
            raise RuntimeError(f"{path}: {status} {text[:300]!r}")
    writer.close()


@contextmanager
def bare_server(directory: Path) -> Iterator[tuple[int, int]]:
    """The floor's server → its process id and port."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.floor_http", str(directory / "floor.db")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.pid, int(process.stdout.readline())
        finally:
            process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def run(context: Context) -> list[Row]:
    """Both formats."""
    json_count, line_count = (200, 40) if context.quick else (400, 120)
    kinds = (
        ("HTTP JSON, 100 items of 5 values a request", "/api/v1/ingest", "application/json",
         json_bodies(json_count + CONNECTIONS), JSON_ITEMS * JSON_VALUES, None),
        ("HTTP line protocol, 5,000 lines of 3 fields", "/write?db=bench&precision=ms", "text/plain",
         line_bodies(line_count + CONNECTIONS), LINES * FIELDS, 250_000.0),
    )  # fmt: skip
    rows = []
    with (
        context.directory("http") as directory,
        bare_server(directory) as (bare_pid, bare_port),
        HubProcess(directory) as hub,
    ):
        for name, path, content_type, bodies, values, target in kinds:
            headers = {"Content-Type": content_type}
            floor, floor_us = _measured(bare_pid, bare_port, path, headers, bodies, values)
            ours, cpu_us = _measured(hub.pid, hub.port, path, headers | hub.headers, bodies, values, hub)
            rows.append(
                Row(name, ours, "values/s", floor=floor, floor_name="bare aiohttp, split and stored in key order",
                    target=target, cpu_us=cpu_us, floor_cpu_us=floor_us)
            )  # fmt: skip
    return rows


def _measured(
    pid: int,
    port: int,
    path: str,
    headers: Mapping[str, str],
    bodies: list[bytes],
    values: int,
    hub: HubProcess | None = None,
) -> tuple[float, float]:
    """Values a second and CPU µs per value; the first bodies only make the series known."""
    asyncio.run(send_all(port, path, headers, bodies[:CONNECTIONS]))
    if hub is not None:
        hub.settle()
    first_s = cpu_s(pid)
    taken_s = asyncio.run(send_all(port, path, headers, bodies[CONNECTIONS:]))
    count = (len(bodies) - CONNECTIONS) * values
    return count / taken_s, (cpu_s(pid) - first_s) / count * 1e6
