"""The price of one more kWh in each slot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hub.energy.bill import bill
from hub.energy.rating import SlotPrices, slot_prices
from hub.energy.tariff import Tariff, parse_tariff
from hub.energy.usage import Calendar, PriceColumn, Usage
from tests.hub.energy.tariffs import CONTRACT, E8, KWH, SLOT_MS, fine, flat, market, midnight, tariff, varied

PARIS = Calendar("Europe/Paris")
START = midnight("2026-03-02")
DAY = (START, midnight("2026-03-03"))


def rated(
    contract: Tariff, prices: dict[str, PriceColumn] | None = None, usage: Usage | None = None
) -> SlotPrices:
    return slot_prices(contract, prices or {}, PARIS, START, 96, usage)


def test_taxes_that_apply_to_energy_are_in_the_price() -> None:
    contract = tariff(
        {"energy": "Day", "price": 0.30, "when": {"hours": "07:00-23:00"}},
        {"energy": "Night", "price": 0.20, "when": "otherwise"},
        {"standing": "Rent", "price": 5, "per": "month"},
        {"tax": "Duty", "per_kwh": 0.05},
        {"discount": "Loyal", "percent": 10, "on": ["Day", "Night"]},
        {"tax": "VAT", "percent": 20},
        export=[{"feed_in": "Back", "price": 0.08}],
    )

    found = rated(contract)

    assert found.import_e8[0] == (20 + 5 - 2) * 120 * E8 // 10_000
    assert found.import_e8[50] == (30 + 5 - 3) * 120 * E8 // 10_000
    assert set(found.export_e8.tolist()) == {8 * E8 // 100}
    assert found.import_known.all()


def test_a_missing_price_is_unknown_for_its_slots_only() -> None:
    column = market(*DAY)
    known = column.known.copy()
    known[10:20] = False
    contract = tariff({"energy": "M", "formula": "spot + 0.1"}, {"tax": "VAT", "percent": 21})

    found = rated(contract, {"spot": replace(column, known=known)})

    assert found.import_known.tolist() == known.tolist()
    assert not found.import_e8[10:20].any()


def test_a_running_tier_counts_what_was_used_since_the_begin_of_its_period() -> None:
    contract = tariff({"tier": "N", "per": "month", "blocks": [{"up_to_kwh": 36, "price": 1}, {"price": 2}]})
    usage = flat(midnight("2026-03-01"), DAY[1], KWH // 4)  # 24 kWh on the first, 12 by noon of the second

    found = rated(contract, usage=usage)

    assert found.import_e8.tolist() == [E8] * 47 + [2 * E8] * 49
    assert set(rated(contract).import_e8.tolist()) == {E8}


def test_caps_of_the_first_kwh_of_a_period_end_when_they_are_used() -> None:
    contract = tariff(
        {"energy": "E", "price": 0.9},
        {"cap": "C", "per_kwh": 0.4, "on": "E", "up_to_kwh": 36, "per": "month"},
    )
    usage = flat(midnight("2026-03-01"), DAY[1], KWH // 4)

    found = rated(contract, usage=usage).import_e8

    assert (found[0], found[-1]) == (4 * E8 // 10, 9 * E8 // 10)


def test_new_versions_begin_at_their_midnight_and_before_the_first_nothing_is_known() -> None:
    data: dict[str, Any] = {
        "id": "t",
        "versions": [
            {"from": "2026-03-02", "import": [{"energy": "E", "price": 1}]},
            {"from": "2026-03-03", "import": [{"energy": "E", "price": 2}]},
        ],
    }
    found = slot_prices(parse_tariff(data), {}, PARIS, START - 96 * SLOT_MS, 288)

    assert found.import_e8.tolist() == [0] * 96 + [E8] * 96 + [2 * E8] * 96
    assert found.import_known.tolist() == [False] * 96 + [True] * 192


def test_prices_times_energy_are_the_lines_of_the_bill_that_depend_on_energy() -> None:
    lines = CONTRACT["versions"][0]["import"]
    contract = fine(*[line for line in lines if not line.keys() & {"tier", "standing", "capacity"}])
    usage, prices = varied(*DAY), {"spot": market(*DAY)}

    found = rated(contract, prices, usage)
    total = sum(int(p) * int(e) for p, e in zip(found.import_e8, usage.import_mwh, strict=True)) / KWH

    assert abs(total - bill(contract, usage, prices, PARIS, *DAY).total_e8) < 100  # 1e-6 of the currency


def test_unknown_kinds_of_days_are_pending_only_where_the_price_depends_on_them() -> None:
    contract = tariff(
        {"energy": "Red day", "price": 5, "when": {"day_types": "red", "hours": "06:00-22:00"}},
        {"energy": "Else", "price": 1, "when": "otherwise"},
        day_types={"series": "tempo", "codes": {"blue": 1, "red": 3}},
    )

    found = rated(contract)

    assert found.import_known.tolist() == [True] * 24 + [False] * 64 + [True] * 8
    assert set(found.import_e8[found.import_known].tolist()) == {E8}


def test_nothing_is_asked_of_an_empty_grid() -> None:
    assert len(slot_prices(tariff({"energy": "E", "price": 1}), {}, PARIS, START, 0).import_e8) == 0
    assert np.array_equal(rated(tariff(export=[])).import_e8, np.zeros(96))
