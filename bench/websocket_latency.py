"""From a published message to the frame at a websocket client, through everything that lies between.

Between the two lie broker, decoding, a commit with fsync, the board of newest values and the fan-out. The floor
is a bare loop that does the same for messages it trusts (:mod:`bench.floor_loop`), beside the same broker.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.hub_process import HubProcess
from bench.machine import cpu_s
from bench.publisher_process import bare_broker
from bench.rows import Context, Row

WARM_S = 2.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is published, and to how many clients it goes."""

    rate: int
    values: int
    devices: int
    clients: int


@dataclass(frozen=True, slots=True)
class Ages:
    """Ages of what the clients received, in milliseconds; ``cpu`` is the server's share of one core."""

    count: int
    p50: float
    p95: float
    p99: float
    longest: float
    cpu: float


THOUSAND = Load(1_000, 5, 200, 1)
HUNDRED = Load(100, 5, 100, 1)


def ages(pid: int, broker_port: int, port: int, path: str, token: str, load: Load, span_s: float) -> Ages:
    """Publish for a while and look how old things are when they arrive."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.ws_readers", str(port), path, token, str(load.clients), str(WARM_S)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as readers:  # fmt: skip
        assert readers.stdout is not None
        if readers.stdout.readline().strip() != "ready":
            raise RuntimeError("the websocket clients could not subscribe")
        arguments = (broker_port, load.rate, WARM_S + span_s, load.values, load.devices)
        with subprocess.Popen([sys.executable, "-m", "bench.pacer", *map(str, arguments)]) as pacer:
            time.sleep(WARM_S + 0.5)
            first_s, begin_s = cpu_s(pid), time.perf_counter()
            time.sleep(span_s - 1.0)
            cpu = (cpu_s(pid) - first_s) / (time.perf_counter() - begin_s)
            pacer.wait(span_s + 30)
        shown, _ = readers.communicate("", timeout=30)
    found = json.loads(shown)
    return Ages(found["count"], found["p50"], found["p95"], found["p99"], found["max"], cpu)


def _make_known(hub: HubProcess) -> None:
    """New series are derived once before they are followed live; that is not what is measured here."""
    arguments = (hub.mqtt_port, THOUSAND.rate, 2, THOUSAND.values, THOUSAND.devices)
    subprocess.run([sys.executable, "-m", "bench.pacer", *map(str, arguments)], check=True, timeout=60)
    hub.settle()


@contextlib.contextmanager
def bare_loop(directory: Path) -> Iterator[tuple[int, int, int]]:
    """A broker with the bare loop → its process id, the broker's port, its own port."""
    with bare_broker(directory) as broker_port, subprocess.Popen(
        [sys.executable, "-m", "bench.floor_loop", str(broker_port), str(directory / "floor.db")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.pid, broker_port, int(process.stdout.readline())
        finally:
            process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def run(context: Context) -> list[Row]:
    """1,000 and 100 messages a second."""
    loads = (THOUSAND, HUNDRED)
    span_s = 3.0 if context.quick else 10.0
    with context.directory("loop") as directory, bare_loop(directory) as (pid, broker_port, port):
        floors = [ages(pid, broker_port, port, "/", "", load, span_s) for load in loads]
    with context.directory("websocket") as directory, HubProcess(directory, mqtt=True) as hub:
        token = hub.token()
        _make_known(hub)
        ours = [
            ages(hub.pid, hub.mqtt_port, hub.port, "/api/websocket", token, load, span_s) for load in loads
        ]
    return [
        _row("publish to websocket, 1,000 messages/s, p99", ours[0], floors[0], target=20.0),
        _row("publish to websocket, 100 messages/s, p99", ours[1], floors[1], target=5.0, above_floor=True),
    ]


def _row(name: str, ours: Ages, floor: Ages, *, target: float, above_floor: bool = False) -> Row:
    shown = (
        f"p50 {ours.p50:.1f}, p95 {ours.p95:.1f}, max {ours.longest:.1f} ms, CPU {ours.cpu:.0%} of a core"
        f" (bare p50 {floor.p50:.1f} ms, CPU {floor.cpu:.0%})"
    )
    return Row(
        name, ours.p99, "ms", "lower", floor.p99, "bare loop with fsync", target, above_floor, note=shown
    )
