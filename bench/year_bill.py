"""The bill of a year: day and night, a spot formula, tiers, a charge on twelve peaks, a cap and VAT."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from statistics import median
from typing import Any

import numpy as np

from bench.rows import Context, Row
from hub.energy.battery import Battery
from hub.energy.bill import bill, needed_ms
from hub.energy.clock import midnight_ms, slot_clock
from hub.energy.projection import project
from hub.energy.slots import SLOT_MS
from hub.energy.tariff import parse_tariff
from hub.energy.usage import Calendar, PriceColumn, Usage
from hub.energy.whatif import Scenario, what_if

TARIFF: dict[str, Any] = {
    "id": "bench",
    "versions": [
        {
            "from": "2025-01-01",
            "import": [
                {"energy": "Day", "price": "0.12", "when": {"days": "mon-fri", "hours": "07:00-23:00"}},
                {"energy": "Night", "price": "0.10", "when": "otherwise"},
                {"energy": "Market", "group": "market", "formula": "spot * 1.05 + 0.0123"},
                {
                    "tier": "Network",
                    "per": "month",
                    "blocks": [{"up_to_kwh": 200, "price": "0.04"}, {"price": "0.05"}],
                },
                {"capacity": "Peak", "price": "52.95", "per": "year", "basis": "mean_of_monthly_peaks"},
                {"standing": "Rent", "price": "0.45", "per": "day"},
                {"cap": "Ceiling", "per_kwh": "0.40", "on": "all"},
                {"tax": "VAT", "percent": 21},
            ],
            "export": [{"feed_in": "Back", "formula": "spot"}],
        }
    ],
}
ZONE = "Europe/Brussels"


def run(context: Context) -> list[Row]:
    """Milliseconds per answer, first with nothing remembered, then again."""
    times = 5 if context.quick else 21
    tariff, calendar = parse_tariff(TARIFF), Calendar(ZONE, frozenset({date(2026, 5, 1)}))
    start, end = midnight_ms(ZONE, date(2026, 1, 1)), midnight_ms(ZONE, date(2027, 1, 1))
    first, last = needed_ms(tariff, calendar, start, end)
    slots = (last - first) // SLOT_MS
    chance = np.random.default_rng(1)
    usage = Usage.measured(first, chance.integers(0, 900_000, slots), chance.integers(0, 300_000, slots))
    spot = PriceColumn(first, chance.integers(-5_000_000, 40_000_000, slots), np.ones(slots, np.bool_))
    prices = {"spot": spot}
    from_ms, until_ms = midnight_ms(ZONE, date(2026, 11, 1)), midnight_ms(ZONE, date(2026, 12, 1))

    def year() -> object:
        return bill(tariff, usage, prices, calendar, start, end)

    def cold_year() -> object:
        slot_clock.cache_clear()
        return year()

    def product() -> object:
        return int(np.dot(spot.price_e8, usage.import_mwh))

    def battery() -> object:
        scenario = Scenario(battery=Battery(10_000_000, 5000, strategy="price"))
        return what_if(tariff, scenario, usage, None, prices, calendar, start, end)

    def month_end() -> object:
        return project(tariff, usage, prices, calendar, from_ms, until_ms, from_ms + 11 * 86_400_000)

    floor_ms, _ = _measured(product, times)
    rows = []
    for name, work, count, note in (
        ("bill of a year, first time", cold_year, times, ""),
        ("bill of a year, again", year, times, ""),
        ("what-if with a battery, a year", battery, 5, "three bills, two batteries"),
        ("projection of a month", month_end, 5, "21 months drawn and billed"),
    ):
        ours_ms, cpu_us = _measured(work, count)
        row = Row(name, ours_ms, "ms", "lower", cpu_us=cpu_us, cpu_per="answer", note=note)
        if work in (cold_year, year):
            row = replace(row, floor=floor_ms, floor_name="one numpy product", target=50)
        rows.append(row)
    return rows


def _measured(work: Callable[[], object], times: int) -> tuple[float, float]:
    """Median milliseconds of an answer, and its least CPU time in µs, which a busy machine disturbs less."""
    work()
    taken, cpu = [], []
    for _ in range(times):
        begin_s, cpu_s = time.perf_counter(), time.process_time()
        work()
        taken.append((time.perf_counter() - begin_s) * 1e3)
        cpu.append((time.process_time() - cpu_s) * 1e6)
    return median(taken), min(cpu)
