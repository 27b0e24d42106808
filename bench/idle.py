"""Memory and CPU of a hub that has seen traffic and now sees none: 200 devices, 1,000 series.

The floor is an interpreter with the libraries imported and one aiohttp server, no hub.
"""

from __future__ import annotations

import subprocess
import sys
import time

from bench.hub_process import HubProcess
from bench.machine import rss_mib
from bench.publisher_process import DEVICES
from bench.rows import Context, Row

RATE = 200
_BARE = (
    "import asyncio, uvloop, sqlalchemy, numpy, orjson, alembic, pykka, pluggy, voluptuous, aiomqtt\n"
    "from aiohttp import web\n"
    "async def main():\n"
    "    runner = web.AppRunner(web.Application())\n"
    "    await runner.setup()\n"
    "    await web.TCPSite(runner, '127.0.0.1', 0).start()\n"
    "    print('ready', flush=True)\n"
    "    await asyncio.sleep(3600)\n"
    "uvloop.run(main())\n"
)


def run(context: Context) -> list[Row]:
    """Messages of 200 devices for a while, a sign-in, a look at history, then rest."""
    traffic_s, rest_s = (8, 4) if context.quick else (20, 12)
    with context.directory("idle") as directory, HubProcess(directory, mqtt=True) as hub:
        hub.token()
        arguments = (hub.mqtt_port, RATE, traffic_s, 5, DEVICES)
        subprocess.run(
            [sys.executable, "-m", "bench.pacer", *map(str, arguments)], check=True, timeout=traffic_s + 60
        )
        now_ms = time.time_ns() // 1_000_000
        names = ",".join(f"m{device:03d}.power" for device in range(50))
        hub.ask_json("GET", f"/api/v1/history?series={names}&start={now_ms - 86_400_000}&end={now_ms}")
        hub.ask_json("GET", "/api/v1/latest")
        time.sleep(rest_s / 2)
        first_s, begin_s = hub.cpu_s(), time.perf_counter()
        time.sleep(rest_s / 2)
        cpu = (hub.cpu_s() - first_s) / (time.perf_counter() - begin_s) * 100
        series = hub.stored() // (RATE * traffic_s // DEVICES)
        rss = hub.rss_mib()
    return [
        Row("idle memory, 200 devices, 1,000 series", rss, "MiB", "lower", _bare_mib(), "the libraries alone",
            target=110.0, note=f"{series} series, without the broker"),
        Row("- CPU of the hub at rest", cpu, "% of a core", "lower"),
    ]  # fmt: skip


def _bare_mib() -> float:
    with subprocess.Popen([sys.executable, "-c", _BARE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            return rss_mib(process.pid)
        finally:
            process.kill()
