"""What a tariff costs to apply: a year's bill, and a backdated change of the contract for a house of 60 devices.

Nothing that costs is stored, so a change is the next answers: the second row changes a version that began a year
ago and asks for the year's bill of each device anew. The floor is numpy alone: the same slots times a price each.
"""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

import numpy as np

from bench.hub_process import HubProcess
from bench.prepared import DAY_MS, YEAR_DAYS, fill_year, today_ms, written
from bench.rows import Context, Row
from bench.statistics import median_s

DEVICES = 60
BILL_TARGET_MS = 50.0
CHANGE_TARGET_S = 5.0
HOUR_MS = 3_600_000


def run(context: Context) -> list[Row]:
    """Prepare the store, the contract and its prices, then ask."""
    devices = 12 if context.quick else DEVICES
    times = 5 if context.quick else 15
    with context.directory("money") as directory:
        written(directory / "data", lambda database: fill_year(database, devices))
        with HubProcess(directory) as hub:
            asker = _Asker(hub)
            asker.call("POST", "/api/v1/tariffs", _contract("0.3120"))
            for first in range(0, YEAR_DAYS, 100):
                asker.call("POST", "/api/v1/prices/spot", _prices(first, min(first + 100, YEAR_DAYS)))
            rows = [_year(asker, times), _change(asker, devices)]
            asker.close()
    return rows


class _Asker:
    def __init__(self, hub: HubProcess) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
        self._headers = hub.headers | {"Content-Type": "application/json"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON."""
        sent = None if body is None else json.dumps(body)
        self._connection.request(method, path, sent, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path} answers {answer.status}: {content[:300]!r}")
        return json.loads(content)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _year(asker: _Asker, times: int) -> Row:
    """A year by a contract with all kinds of lines; each time another year, so that none is remembered."""
    taken_ms = []
    for turn in range(times + 1):
        begin_s = time.perf_counter()
        _bill(asker, "b000", days_back=turn)
        taken_ms.append((time.perf_counter() - begin_s) * 1e3)
    _bill(asker, "b000", days_back=60)  # closed, so that it is remembered
    again_s = time.perf_counter()
    _bill(asker, "b000", days_back=60)
    again_ms = (time.perf_counter() - again_s) * 1e3
    return Row(
        "year's bill", float(np.median(taken_ms[1:])), "ms", "lower", _floor_ms(times),
        "numpy products of slots in memory", BILL_TARGET_MS,
        note=f"first {taken_ms[0]:.0f} ms, a closed one asked again {again_ms:.1f} ms",
    )  # fmt: skip


def _change(asker: _Asker, devices: int) -> Row:
    for at in range(devices):
        _bill(asker, f"b{at:03d}")
    begin_s = time.perf_counter()
    asker.call("PUT", "/api/v1/tariffs/home", _contract("0.3500"))
    totals = {_bill(asker, f"b{at:03d}")["total"] for at in range(devices)}
    taken_s = time.perf_counter() - begin_s
    return Row(
        f"backdated tariff change, {devices} devices", taken_s, "s", "lower", target=CHANGE_TARGET_S,
        note=f"{len(totals)} different bills of a year after the change",
    )  # fmt: skip


def _bill(asker: _Asker, point: str, days_back: int = 0) -> Any:
    end_ms = today_ms() - (1 + days_back) * DAY_MS
    start_ms = today_ms() - (YEAR_DAYS - 2) * DAY_MS
    query = f"metering_point={point}&tariff=home&start={start_ms}&end={end_ms}"
    return asker.call("GET", f"/api/v1/bills?{query}")


def _prices(first_day: int, last_day: int) -> list[dict[str, Any]]:
    start_ms = today_ms() - YEAR_DAYS * DAY_MS
    hours = range(first_day * 24, last_day * 24)
    return [
        {
            "start": start_ms + hour * HOUR_MS,
            "end": start_ms + (hour + 1) * HOUR_MS,
            "price": f"{hour % 97 / 500:.4f}",
        }
        for hour in hours
    ]


def _contract(day_price: str) -> dict[str, Any]:
    lines = [
        {"energy": "Day", "price": day_price, "when": {"days": "mon-fri", "hours": "07:00-23:00"}},
        {"energy": "Night", "price": "0.2450", "when": "otherwise"},
        {"energy": "Market", "group": "market", "formula": "spot * 1.05 + 0.0123"},
        {
            "tier": "Network",
            "per": "month",
            "blocks": [{"up_to_kwh": 200, "price": "0.04"}, {"price": "0.055"}],
        },
        {"standing": "Meter rent", "price": "0.45", "per": "day"},
        {"capacity": "Peak", "price": "52.95", "per": "year", "basis": "monthly_peak"},
        {"tax": "VAT", "percent": 21, "on": "all"},
    ]
    return {"id": "home", "versions": [{"from": "2020-01-01", "import": lines}]}


def _floor_ms(times: int) -> float:
    random = np.random.default_rng(1)
    energy = random.integers(0, 1_000_000, YEAR_DAYS * 96)
    price = random.integers(0, 30_000_000, YEAR_DAYS * 96)
    return median_s(lambda: int(np.dot(energy, price)), times) * 1e3
