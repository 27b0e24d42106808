"""From the start of the process to the first 200 of ``/readyz``, with many stored rows.

The rows lie in the hot tier, where a start meets the most of them. The start after ``kill -9`` finds a
write-ahead log and marked slots, because the hub was killed under load. The floor is Python itself: the same
interpreter importing what a web server on aiohttp with SQLAlchemy and numpy imports.
"""

from __future__ import annotations

import subprocess
import sys
import time

from bench.hub_process import HubProcess
from bench.prepared import fill_readings, written
from bench.publisher_process import allow, publishing
from bench.rows import Context, Row
from bench.statistics import median_s

DEVICES = 500
LOAD_S = 3.0
_IMPORTS = "import asyncio, uvloop, aiohttp.web, sqlalchemy, numpy, orjson"


def run(context: Context) -> list[Row]:
    """After a clean stop, and after a kill under load."""
    hot = 1_000_000 if context.quick else 10_000_000
    times = 2 if context.quick else 3
    floor = median_s(_import, 3)
    with context.directory("start") as directory:
        data_dir = directory / "data"
        written(data_dir, lambda database: fill_readings(database, DEVICES, hot))
        hub = HubProcess(directory, mqtt=True, data_dir=data_dir)
        clean: list[tuple[float, float]] = []
        killed: list[tuple[float, float]] = []
        try:
            for _ in range(times):
                hub.start()
                clean.append((hub.ready_s, hub.cpu_s()))
                hub.stop()
            for _ in range(times):
                hub.start()
                _load(hub)
                hub.kill()
                hub.start()
                killed.append((hub.ready_s, hub.cpu_s()))
                hub.stop()
        finally:
            hub.kill()
    shown = f"{hot / 1e6:g} M rows"
    return [
        _row(f"ready after a clean stop, {shown}", clean, floor, 1.5),
        _row(f"ready after kill -9 under load, {shown}", killed, floor, 3.0),
    ]


def _row(name: str, starts: list[tuple[float, float]], floor_s: float, target_s: float) -> Row:
    """The slowest start counts; ``starts`` are durations with the CPU time of each."""
    shown = ", ".join(f"{ready_s:.2f} (CPU {cpu_s:.2f})" for ready_s, cpu_s in starts)
    slowest_s = max(ready_s for ready_s, _ in starts)
    return Row(name, slowest_s, "s", "lower", floor_s, "the imports alone", target_s, note=f"each: {shown}")


def _load(hub: HubProcess) -> None:
    with publishing(hub.mqtt_port, 1, 5) as publisher:
        until_s = time.perf_counter() + LOAD_S
        first = hub.stored()
        while time.perf_counter() < until_s:
            allow(publisher, (hub.stored() - first) // 5 + 2_000)
            time.sleep(0.1)


def _import() -> None:
    subprocess.run([sys.executable, "-c", _IMPORTS], check=True)
