"""Tariffs and usage for the tests of money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from hub.energy.tariff import Tariff, parse_tariff
from hub.energy.usage import PriceColumn, Usage

SLOT_MS = 900_000
KWH = 1_000_000
E8 = 10**8

CONTRACT: dict[str, Any] = {
    "id": "home",
    "name": "Flex contract",
    "metering_point": "grid",
    "currency": "EUR",
    "versions": [
        {
            "from": "2026-01-01",
            "rounding": {"line": 0.01, "mode": "half_up"},
            "import": [
                {
                    "energy": "Day",
                    "price": 0.3120,
                    "when": {
                        "days": "mon-fri",
                        "hours": "07:00-23:00",
                        "months": "1-12",
                        "holidays": "exclude",
                    },
                },
                {"energy": "Night", "price": 0.2450, "when": "otherwise"},
                {"energy": "Market", "group": "market", "formula": "spot * 1.05 + 0.0123"},
                {
                    "tier": "Network",
                    "per": "month",
                    "blocks": [{"up_to_kwh": 200, "price": 0.0400}, {"price": 0.0550}],
                },
                {"standing": "Meter rent", "price": 0.4500, "per": "day"},
                {
                    "capacity": "Peak",
                    "price": 52.95,
                    "per": "year",
                    "basis": "mean_of_monthly_peaks",
                    "months": 12,
                    "minimum_kw": 2.5,
                },
                {"tax": "Energy tax", "per_kwh": 0.0205},
                {"tax": "VAT", "percent": 21, "on": "all"},
                {"cap": "Ceiling", "per_kwh": 0.40, "on": ["Day", "Night"]},
            ],
            "export": [{"energy": "Feed-in", "price": 0.0811}],
        }
    ],
}
"""The tariff that the contracts of the HTTP API show."""


def tariff(
    *lines: Mapping[str, Any],
    export: Sequence[Mapping[str, Any]] = (),
    start: str = "2020-01-01",
    **version: Any,
) -> Tariff:
    """A tariff of one version with these import lines."""
    one = {"from": start, "import": list(lines), "export": list(export), **version}
    return parse_tariff({"id": "t", "name": "T", "currency": "EUR", "versions": [one]})


def fine(*lines: Mapping[str, Any], **more: Any) -> Tariff:
    """The same with lines rounded to 1e-8, so that next to nothing is lost."""
    return tariff(*lines, rounding={"line": "0.00000001", "mode": "half_even"}, **more)


def midnight(day: str, zone: str = "Europe/Paris") -> int:
    """Epoch milliseconds of a local midnight that exists."""
    local = datetime.combine(date.fromisoformat(day), datetime.min.time(), ZoneInfo(zone))
    return int(local.timestamp()) * 1000


def flat(first_ms: int, end_ms: int, mwh: int, export_mwh: int = 0) -> Usage:
    """The same energy in every slot."""
    slots = (end_ms - first_ms) // SLOT_MS
    return Usage.measured(first_ms, np.full(slots, mwh), np.full(slots, export_mwh))


def varied(first_ms: int, end_ms: int, *, seed: int = 1, most: int = 900_000, export: int = 300_000) -> Usage:
    """Different energy in every slot."""
    slots = (end_ms - first_ms) // SLOT_MS
    chance = np.random.default_rng(seed)
    return Usage.measured(first_ms, chance.integers(0, most, slots), chance.integers(0, export, slots))


def market(first_ms: int, end_ms: int, *, seed: int = 2) -> PriceColumn:
    """A known price in every slot, below zero at times."""
    slots = (end_ms - first_ms) // SLOT_MS
    prices = np.random.default_rng(seed).integers(-5_000_000, 40_000_000, slots)
    return PriceColumn(first_ms, prices, np.ones(slots, np.bool_))
