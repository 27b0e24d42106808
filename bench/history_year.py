"""A year of history over HTTP: by day and by hour, 20 and 200 series, as JSON and as Arrow.

The store holds two series a device and a year of slots and days: the last days as rows, all before them in
blocks, as the hub's housekeeping leaves them. "First" is the first answer after a start with the
system's page cache warm. The floor decodes nothing and checks nothing: numpy sums of the same slots that lie in
memory, written with orjson, in this process.
"""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from bench.hub_process import HubProcess
from bench.prepared import YEAR_DAYS, fill_year, today_ms, written
from bench.rows import Context, Row
from bench.statistics import median_s, percentile

DEVICES = 200
ARROW = "application/vnd.apache.arrow.stream"
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for."""

    name: str
    series: int
    resolution: str
    target_ms: float | None
    key: str = "energy_import"
    arrow: bool = False


QUESTIONS = (
    Question("a year by day, 20 series", 20, "1d", 8.0),
    Question("a year by day, 200 series", 200, "1d", 40.0),
    Question("a year by day, 200 power series, mean and energy", 200, "1d", None, "power"),
    Question("a year by hour, 20 series", 20, "1h", None),
    Question("a year by hour, 200 series (1.75 M points), JSON", 200, "1h", 300.0),
    Question("a year by hour, 200 series (1.75 M points), Arrow", 200, "1h", 150.0, arrow=True),
)


def run(context: Context) -> list[Row]:
    """Prepare the store, ask everything several times."""
    times = 5 if context.quick else 11
    with context.directory("history") as directory:
        written(directory / "data", lambda database: fill_year(database, DEVICES))
        with HubProcess(directory) as hub:
            connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
            rows = [_asked(hub, connection, question, times) for question in QUESTIONS]
            connection.close()
    return rows


def _asked(hub: HubProcess, connection: http.client.HTTPConnection, question: Question, times: int) -> Row:
    end_ms = today_ms() - DAY_MS  # whole days of the site, the running one is not asked for
    start_ms = end_ms - (YEAR_DAYS - 3) * DAY_MS
    names = ",".join(f"b{device:03d}.{question.key}" for device in range(question.series))
    path = f"/api/v1/history?series={names}&start={start_ms}&end={end_ms}&resolution={question.resolution}"
    headers = hub.headers | ({"Accept": ARROW} if question.arrow else {})
    taken_ms, size = [], 0
    first_cpu_s = hub.cpu_s()
    for _ in range(times + 1):
        begin_s = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        size = len(answer.read())
        taken_ms.append((time.perf_counter() - begin_s) * 1e3)
        if answer.status != 200:
            raise RuntimeError(f"history answers {answer.status}")
    cpu_ms = (hub.cpu_s() - first_cpu_s) / (times + 1) * 1e3
    return Row(
        question.name, percentile(taken_ms[1:], 50), "ms", "lower", _floor_ms(question, times),
        "numpy sums in memory, orjson", question.target_ms,
        cpu_us=cpu_ms * 1e3, cpu_per="answer",
        note=f"first {taken_ms[0]:.0f} ms, fastest {min(taken_ms):.0f} ms, {size / 1e6:.1f} MB",
    )  # fmt: skip


def _floor_ms(question: Question, times: int) -> float:
    slots_per_row = 96 if question.resolution == "1d" else 4
    deltas = np.random.default_rng(1).integers(
        0, 1_000_000, (question.series, YEAR_DAYS * 96), dtype=np.int32
    )

    def answer() -> bytes:
        by_row = deltas.reshape(question.series, -1, slots_per_row)
        sums: NDArray[np.float64] = by_row.sum(axis=2, dtype=np.int64) / 1e3
        if question.arrow:
            return sums.tobytes()
        shown = {f"b{row:03d}.energy_import": {"energy": sums[row]} for row in range(question.series)}
        return orjson.dumps(shown, option=orjson.OPT_SERIALIZE_NUMPY)

    return median_s(answer, times) * 1e3
