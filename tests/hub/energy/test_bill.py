"""Bills: exact, the same in any order of arrival, pending where a price is missing, in every zone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.bill import Bill, BillLine, bill, line_slots, needed_from_ms, needed_ms
from hub.energy.tariff import Tariff, parse_tariff
from hub.energy.usage import Calendar, PriceColumn, Usage
from hub.errors import Refused
from tests.hub.energy.streams import UNDER_LOAD
from tests.hub.energy.tariffs import CONTRACT, E8, KWH, SLOT_MS, fine, flat, market, midnight, tariff, varied

PARIS = Calendar("Europe/Paris", frozenset({date(2026, 5, 1)}))
ZONES = [
    "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "America/Santiago",
    "Asia/Kathmandu", "Africa/Casablanca", "America/St_Johns", "UTC",
]  # fmt: skip
MARCH = (midnight("2026-03-01"), midnight("2026-04-01"))


def lines(found: Bill) -> dict[str, BillLine]:
    return {line.component: line for line in found.lines}


def amount(found: Bill, component: str) -> Decimal:
    return sum(
        (Decimal(one.amount_e8).scaleb(-8) for one in found.lines if one.component == component), Decimal(0)
    )


def month(contract: Tariff, usage: Usage, prices: dict[str, PriceColumn] | None = None) -> Bill:
    return bill(contract, usage, prices or {}, PARIS, *MARCH)


# the shape


def test_contract_of_the_api_is_billed_in_its_shape() -> None:
    contract = parse_tariff(CONTRACT)
    first, last = needed_ms(contract, PARIS, *MARCH)

    shape = bill(contract, varied(first, last), {"spot": market(first, last)}, PARIS, *MARCH).as_json()

    assert json.loads(json.dumps(shape)) == shape
    assert [(one["component"], one["side"], one["kind"]) for one in shape["lines"]] == [
        ("Day", "import", "energy"), ("Night", "import", "energy"), ("Market", "import", "energy"),
        ("Network", "import", "tier"), ("Network", "import", "tier"), ("Meter rent", "import", "standing"),
        ("Peak", "import", "capacity"), ("Energy tax", "import", "tax"), ("VAT", "import", "tax"),
        ("Ceiling", "import", "cap"), ("Feed-in", "export", "energy"),
    ]  # fmt: skip
    day = shape["lines"][0]
    assert day["unit"] == "kWh"
    assert day["unit_price"] == "0.3120"
    assert day["pending_kwh"] == "0"
    assert len(day["quantity"].split(".")[1]) == 3
    assert len(day["amount"].split(".")[1]) == 2
    assert shape["quality"] == {"measured": 1.0}
    assert Decimal(shape["total"]) == sum(Decimal(one["amount"]) for one in shape["lines"])
    assert {key: shape[key] for key in ("metering_point", "tariff", "currency", "pending_kwh")} == {
        "metering_point": "grid", "tariff": "home", "currency": "EUR", "pending_kwh": "0",
    }  # fmt: skip


def test_a_line_is_quantity_times_unit_price_rounded_once() -> None:
    usage = flat(*MARCH, 123_457)
    found = lines(month(tariff({"energy": "E", "price": 0.31237}), usage))["E"]

    exact = Decimal(123_457 * len(usage)) / KWH * Decimal("0.31237")

    assert found.quantity == Fraction(123_457 * len(usage), KWH)
    assert Decimal(found.amount_e8).scaleb(-8) == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)


@pytest.mark.parametrize(
    ("mode", "price", "expected"),
    [
        ("half_up", "0.125", "0.13"),
        ("half_even", "0.125", "0.12"),
        ("down", "0.129", "0.12"),
        ("up", "0.121", "0.13"),
        ("half_up", "-0.125", "-0.13"),
        ("down", "-0.129", "-0.12"),
        ("up", "-0.121", "-0.13"),
    ],
)
def test_lines_are_rounded_as_the_contract_says(mode: str, price: str, expected: str) -> None:
    usage = Usage.measured(MARCH[0], [KWH])
    contract = tariff({"energy": "E", "price": price}, rounding={"line": 0.01, "mode": mode})

    found = bill(contract, usage, {}, PARIS, MARCH[0], MARCH[0] + SLOT_MS)

    assert found.as_json()["lines"][0]["amount"] == expected


def test_swiss_francs_are_rounded_to_five_centimes() -> None:
    usage = Usage.measured(MARCH[0], [KWH])
    contract = tariff({"energy": "E", "price": 0.13}, rounding={"line": 0.05, "mode": "half_up"})

    assert bill(contract, usage, {}, PARIS, MARCH[0], MARCH[0] + SLOT_MS).as_json()["total"] == "0.15"


def test_a_factory_is_counted_exactly_beyond_64_bits() -> None:
    usage = flat(*MARCH, 50_000 * KWH)  # 200 MW

    found = month(fine({"energy": "E", "price": "912.12345678"}), usage)

    assert found.total_e8 == len(usage) * 50_000 * 91_212_345_678


def test_the_slots_behind_the_lines_add_up_to_them() -> None:
    contract = parse_tariff(CONTRACT)
    first, last = needed_ms(contract, PARIS, *MARCH)
    given_all = (contract, varied(first, last), {"spot": market(first, last)}, PARIS, *MARCH)

    slots = line_slots(*given_all)
    priced = [line for line in bill(*given_all).lines if line.unit == "kWh"]

    assert [one.component for one in slots] == [line.component for line in priced]
    for one, line in zip(slots, priced, strict=True):
        exact = sum(int(p) * int(e) for p, e in zip(one.price_e8, one.energy_mwh, strict=True))
        assert (
            abs(exact * (-1 if line.side == "export" else 1) - line.amount_e8 * KWH)
            <= line.step_e8 * KWH // 2
        )


# order


@given(data=st.data())
@settings(parent=UNDER_LOAD, max_examples=30)
def test_any_order_of_arrival_gives_the_same_bill(data: st.DataObject) -> None:
    contract = parse_tariff(CONTRACT)
    start, end = midnight("2026-03-28"), midnight("2026-03-30")
    first, last = midnight("2026-03-01"), midnight("2026-04-01")
    whole, price = varied(first, last), market(first, last)
    spot, known = np.zeros(len(price), np.int64), np.zeros(len(price), np.bool_)
    for chunk in data.draw(st.permutations(range(8))):
        spot[chunk::8], known[chunk::8] = price.price_e8[chunk::8], True
    taken = np.zeros(len(whole), np.int64)
    for chunk in data.draw(st.permutations(range(5))):
        taken[chunk::5] = whole.import_mwh[chunk::5]
    again = PriceColumn(first, spot, known)

    shuffled = bill(contract, replace(whole, import_mwh=taken), {"spot": again}, PARIS, start, end)

    assert shuffled == bill(contract, whole, {"spot": price}, PARIS, start, end)


@given(
    zone=st.sampled_from(ZONES), start=st.dates(date(2024, 1, 1), date(2026, 12, 1)), days=st.integers(1, 12)
)
@settings(parent=UNDER_LOAD, max_examples=40)
def test_bills_of_days_add_up_to_the_bill_of_all(zone: str, start: date, days: int) -> None:
    calendar = Calendar(zone)
    borders = [midnight((start + timedelta(days=day)).isoformat(), zone) for day in range(days + 1)]
    contract = fine(
        {"energy": "Day", "price": "0.31", "when": {"hours": "07:00-23:00", "days": "mon-fri"}},
        {"energy": "Night", "price": "0.24", "when": "otherwise"},
        {"energy": "Market", "group": "m", "formula": "spot * 1.0500 + 0.01"},
        {"tier": "Net", "per": "month", "blocks": [{"up_to_kwh": 100, "price": "0.04"}, {"price": "0.05"}]},
        {"standing": "Rent", "price": "14.60", "per": "month"},
        {"standing": "Year", "price": "100", "per": "year"},
        {"capacity": "Peak", "price": "5", "per": "month"},
        export=[{"energy": "Back", "price": "0.08"}],
    )
    first, last = needed_ms(contract, calendar, borders[0], borders[-1])
    usage, prices = varied(first, last), {"spot": market(first, last)}

    whole = bill(contract, usage, prices, calendar, borders[0], borders[-1])
    each = [bill(contract, usage, prices, calendar, a, b) for a, b in pairwise(borders)]

    for number, line in enumerate(whole.lines):
        assert sum((one.lines[number].quantity for one in each), Fraction(0)) == line.quantity
        assert abs(sum(one.lines[number].amount_e8 for one in each) - line.amount_e8) <= days


# an independent look at calendars


def _rule(draw: st.DrawFn) -> dict[str, Any]:
    quarter = draw(st.tuples(st.integers(0, 95), st.integers(0, 95)).filter(lambda two: two[0] != two[1]))
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    return {
        "hours": "-".join(f"{one // 4:02d}:{one % 4 * 15:02d}" for one in quarter),
        "days": draw(st.lists(st.sampled_from(names), min_size=1, max_size=7, unique=True)),
        "months": draw(st.lists(st.integers(1, 12), min_size=6, max_size=12, unique=True)),
        "holidays": draw(st.sampled_from(["include", "exclude", "only"])),
    }


@given(data=st.data(), zone=st.sampled_from(ZONES), start=st.dates(date(2024, 1, 1), date(2026, 12, 1)))
@settings(parent=UNDER_LOAD, max_examples=60)
def test_a_line_holds_when_its_calendar_says(data: st.DataObject, zone: str, start: date) -> None:
    rule = data.draw(st.composite(_rule)())
    free = frozenset(
        data.draw(st.sets(st.sampled_from([start + timedelta(days=n) for n in range(4)]), max_size=2))
    )
    first, last = (midnight((start + timedelta(days=n)).isoformat(), zone) for n in (0, 4))
    contract = fine(
        {"energy": "A", "price": 1, "when": rule}, {"energy": "B", "price": 2, "when": "otherwise"}
    )
    usage = varied(first, last)
    low, high = (int(one[:2]) * 60 + int(one[3:]) for one in rule["hours"].split("-"))
    held = 0
    for slot, energy in enumerate(usage.import_mwh.tolist()):
        local = datetime.fromtimestamp(first // 1000 + slot * 900, UTC).astimezone(ZoneInfo(zone))
        minute = local.hour * 60 + local.minute
        inside = low <= minute < high if low < high else minute >= low or minute < high
        holiday = local.date() in free
        day = f"{local:%a}".lower() in rule["days"] and local.month in rule["months"]
        held += energy * (
            inside and day and holiday in {"include": (0, 1), "exclude": (0,), "only": (1,)}[rule["holidays"]]
        )

    found = lines(bill(contract, usage, {}, Calendar(zone, free), first, last))

    assert found["A"].quantity == Fraction(held, KWH)
    assert found["B"].quantity == Fraction(int(usage.import_mwh.sum()) - held, KWH)


# pending


def test_energy_without_a_price_is_pending_and_never_free() -> None:
    contract = tariff(
        {"energy": "Base", "price": 0.1},
        {"energy": "Market", "group": "m", "formula": "spot"},
        {"tax": "VAT", "percent": 20},
    )
    usage = flat(*MARCH, KWH // 4)
    price = market(*MARCH)
    known = price.known.copy()
    known[100:140] = False

    found = month(contract, usage, {"spot": replace(price, known=known)})

    assert found.pending_mwh == 10 * KWH
    assert lines(found)["Market"].pending_mwh == 10 * KWH
    assert lines(found)["VAT"].pending_mwh == 10 * KWH
    assert lines(found)["Base"].pending_mwh == 0
    assert lines(found)["Market"].quantity == Fraction(int(usage.import_mwh.sum()) - 10 * KWH, KWH)
    assert found.as_json()["pending_kwh"] == "10.000"


def test_all_is_pending_without_the_series() -> None:
    usage = flat(*MARCH, 1000, 500)
    contract = tariff(
        {"energy": "Market", "formula": "spot + fee"}, export=[{"feed_in": "Back", "formula": "nordpool_nl"}]
    )

    found = month(contract, usage, {"spot": market(*MARCH)})

    assert found.pending_mwh == 1500 * len(usage)
    assert found.total_e8 == 0


def test_series_with_a_hyphen_are_read_by_an_underscore() -> None:
    contract = tariff({"energy": "Market", "formula": "nordpool_nl"})

    assert month(contract, flat(*MARCH, 1000), {"nordpool-nl": market(*MARCH)}).pending_mwh == 0


@given(st.sets(st.integers(0, 95)), st.sets(st.integers(0, 95)))
@settings(parent=UNDER_LOAD, max_examples=30)
def test_pending_counts_each_kwh_once(one: set[int], two: set[int]) -> None:
    start, end = midnight("2026-03-02"), midnight("2026-03-03")
    usage = varied(start, end)
    prices = {}
    for name, missing in (("a", one), ("b", two)):
        column = market(start, end)
        known = np.array([slot not in missing for slot in range(96)])
        prices[name] = replace(column, known=known)
    contract = tariff({"energy": "A", "formula": "a"}, {"energy": "B", "group": "b", "formula": "b"})

    found = bill(contract, usage, prices, PARIS, start, end)

    assert found.pending_mwh == sum(int(usage.import_mwh[slot]) for slot in one | two)


def test_energy_before_the_contract_is_pending() -> None:
    usage = flat(*MARCH, KWH // 96)
    contract = tariff({"energy": "E", "price": 0.3}, start="2026-03-11")

    found = month(contract, usage)

    assert found.pending_mwh == KWH // 96 * 96 * 10
    assert found.lines[0].start_ms == midnight("2026-03-11")


# versions, parts of periods


def versions(*parts: tuple[str, list[dict[str, Any]]]) -> Tariff:
    data = [{"from": start, "import": some} for start, some in parts]
    return parse_tariff({"id": "t", "versions": data})


def test_a_new_version_prices_from_its_midnight() -> None:
    contract = versions(
        ("2026-01-01", [{"energy": "E", "price": 0.30}]), ("2026-03-11", [{"energy": "E", "price": 0.40}])
    )

    found = month(contract, flat(*MARCH, KWH // 96 * 1))

    assert [(line.start_ms, line.end_ms) for line in found.lines] == [
        (MARCH[0], midnight("2026-03-11")),
        (midnight("2026-03-11"), MARCH[1]),
    ]
    assert [float(line.unit_price) for line in found.lines] == [0.3, 0.4]
    assert sum(line.quantity for line in found.lines) == Fraction(KWH // 96 * (31 * 96 - 4), KWH)


def test_standing_charges_of_parts_count_by_days() -> None:
    contract = tariff(
        {"standing": "Day", "price": 0.45, "per": "day"},
        {"standing": "Month", "price": 31, "per": "month"},
        {"standing": "Year", "price": 365, "per": "year"},
    )
    start, end = midnight("2026-03-22"), midnight("2026-04-06")  # across the 23-hour day

    found = bill(contract, flat(start, end, 0), {}, PARIS, start, end)

    assert amount(found, "Day") == Decimal("6.75")
    assert amount(found, "Month") == Decimal(10) + Decimal("5.17")  # 10/31 and 5/30 of a month
    assert amount(found, "Year") == Decimal(15)


def test_tier_counts_from_the_begin_of_its_period_not_of_the_bill() -> None:
    contract = tariff(
        {"tier": "Net", "per": "month", "blocks": [{"up_to_kwh": 200, "price": 0.04}, {"price": 0.055}]}
    )
    start, end = midnight("2026-03-11"), midnight("2026-03-26")
    usage = flat(MARCH[0], MARCH[1], 10 * KWH // 96 // 1)  # 10 kWh a day, nearly

    found = bill(contract, usage, {}, PARIS, start, end)

    assert needed_from_ms(contract, PARIS, start, end) == MARCH[0]
    assert [round(float(line.quantity)) for line in found.lines] == [100, 50]


def test_tier_goes_on_through_a_new_version_unless_it_is_prorated() -> None:
    def tier(prorate: bool) -> dict[str, Any]:
        blocks = [{"up_to_kwh": 310, "price": 1}, {"price": 2}]
        return {"tier": "Net", "per": "month", "blocks": blocks, "prorate": prorate}

    usage = flat(*MARCH, KWH // 4)  # 24 kWh a day
    running = versions(("2026-01-01", [tier(False)]), ("2026-03-11", [tier(False)]))
    by_days = versions(("2026-01-01", [tier(True)]), ("2026-03-11", [tier(True)]))

    assert [int(line.quantity) for line in month(running, usage).lines] == [240, 0, 70, 433]
    assert [int(line.quantity) for line in month(by_days, usage).lines] == [100, 140, 210, 293]


def test_tier_limits_per_day_follow_the_length_of_the_month() -> None:
    contract = tariff(
        {"tier": "B", "per": "month", "blocks": [{"up_to_kwh_per_day": 9.5, "price": -0.1}, {"price": 0}]}
    )

    found = month(contract, flat(*MARCH, KWH))

    assert found.lines[0].quantity == Fraction(19, 2) * 31


def test_capacity_of_a_month_is_a_twelfth_of_the_year() -> None:
    peaks = flat(*MARCH, KWH // 4)
    peaks.import_mwh[40] = KWH  # 4 kW
    contract = tariff({"capacity": "Peak", "price": 60, "per": "year", "basis": "monthly_peak"})

    line = month(contract, peaks).lines[0]

    assert (float(line.quantity), line.unit, float(line.unit_price)) == (4.0, "kW", 5.0)
    assert line.amount_e8 == 20 * E8


def test_part_of_a_month_pays_part_of_its_peak() -> None:
    usage = flat(*MARCH, 0)
    usage.import_mwh[31 * 90] = KWH  # on the 30th: the bill of the first days knows it
    contract = tariff({"capacity": "Peak", "price": 31, "per": "month"})

    found = bill(contract, usage, {}, PARIS, MARCH[0], midnight("2026-03-11"))

    assert amount(found, "Peak") == Decimal(40)
    assert (found.lines[0].unit, found.peaks[0].month) == ("kW·month", "2026-03")


def test_mean_of_peaks_takes_the_minimum_month_by_month_and_skips_unknown_months() -> None:
    contract = tariff(
        {"capacity": "P", "price": 12, "per": "year", "basis": "mean_of_monthly_peaks", "minimum_kw": 2.5}
    )
    start = midnight("2026-01-01")
    usage = flat(start, MARCH[1], 0)
    usage.import_mwh[10] = KWH  # January 4 kW, February and March below the minimum

    found = month(contract, usage)

    assert found.lines[0].quantity == (4 + Fraction(5, 2) * 2) / 3
    assert [peak.month for peak in found.peaks] == ["2026-01", "2026-02", "2026-03"]


# caps, floors, taxes, discounts


def day_of(values: list[int]) -> tuple[Usage, PriceColumn, int, int]:
    start = midnight("2026-03-02")
    usage = Usage.measured(start, [KWH] * len(values), [KWH] * len(values))
    column = PriceColumn(start, np.array(values, np.int64), np.ones(len(values), np.bool_))
    return usage, column, start, start + len(values) * SLOT_MS


def test_cap_and_floor_work_slot_by_slot_on_the_sum_of_the_named_lines() -> None:
    usage, spot, start, end = day_of([10 * E8 // 100, 50 * E8 // 100, -30 * E8 // 100])
    contract = tariff(
        {"energy": "Market", "formula": "spot"},
        {"tax": "Duty", "per_kwh": 0.05},
        {"cap": "Cap", "per_kwh": 0.40, "on": ["Market", "Duty"]},
        {"floor": "Floor", "per_kwh": 0, "on": "all"},
    )

    found = bill(contract, usage, {"spot": spot}, PARIS, start, end)

    assert amount(found, "Cap") == Decimal("-0.15")
    assert lines(found)["Cap"].quantity == 1
    assert amount(found, "Floor") == Decimal("0.25")
    assert found.total_e8 == (15 + 40 + 0) * E8 // 100


def test_cap_waits_for_the_prices_it_works_on() -> None:
    usage, spot, start, end = day_of([E8, E8])
    contract = tariff({"energy": "Market", "formula": "spot"}, {"cap": "Cap", "per_kwh": 0.4, "on": "Market"})

    found = bill(contract, usage, {"spot": replace(spot, known=np.array([True, False]))}, PARIS, start, end)

    assert lines(found)["Cap"].pending_mwh == KWH
    assert found.total_e8 == 40 * E8 // 100


def test_taxes_and_discounts_are_on_the_lines_that_they_name() -> None:
    usage, _, start, end = day_of([0] * 10)
    contract = tariff(
        {"energy": "E", "price": 1},
        {"tax": "Duty", "per_kwh": 0.1},
        {"discount": "Loyal", "percent": 10, "on": ["E"]},
        {"discount": "Night", "per_kwh": 0.05, "when": {"hours": "00:00-01:00"}},
        {"tax": "VAT", "percent": 20},
        {"tax": "Local", "percent": 1, "on": ["VAT"]},
        export=[{"feed_in": "Back", "price": 0.5}, {"tax": "VAT back", "percent": 20}],
    )

    found = bill(contract, usage, {}, PARIS, start, end)

    assert [float(amount(found, name)) for name in ("E", "Duty", "Loyal", "Night", "VAT", "Local")] == [
        10, 1, -1, -0.2, 1.96, 0.02,
    ]  # fmt: skip
    assert [float(amount(found, name)) for name in ("Back", "VAT back")] == [-5, -1]


def test_price_of_export_below_zero_is_a_cost() -> None:
    usage, spot, start, end = day_of([-E8 // 10])
    contract = tariff(export=[{"feed_in": "Back", "formula": "spot"}])

    assert bill(contract, usage, {"spot": spot}, PARIS, start, end).total_e8 == E8 // 10


# kinds of days


def test_kinds_of_days_come_from_a_series_and_unknown_ones_are_pending() -> None:
    usage, _, start, end = day_of([0] * 4)
    colours = PriceColumn(start, np.array([E8, 2 * E8, 9 * E8, E8]), np.array([True, True, True, False]))
    contract = tariff(
        {"energy": "Blue", "price": 1, "when": {"day_types": "blue"}},
        {"energy": "Red", "price": 5, "when": {"day_types": ["red"]}},
        day_types={"series": "tempo", "codes": {"blue": 1, "red": 2}},
    )

    found = bill(contract, usage, {"tempo": colours}, PARIS, start, end)

    assert [float(amount(found, name)) for name in ("Blue", "Red")] == [1, 5]
    assert found.pending_mwh == 2 * KWH  # an unknown code is no colour


def test_kinds_of_days_by_dates_begin_at_their_hour() -> None:
    start, end = midnight("2026-03-02"), midnight("2026-03-04")
    contract = tariff(
        {"energy": "Event", "price": 1, "when": {"day_types": "event", "hours": "16:00-21:00"}},
        {"energy": "Else", "price": 0.2, "when": "otherwise"},
        day_types={"dates": {"event": ["2026-03-02"]}, "otherwise": "usual"},
    )

    found = lines(bill(contract, flat(start, end, KWH // 4), {}, PARIS, start, end))

    assert found["Event"].quantity == 5
    assert found["Else"].quantity == 43


# netting, quality, refusals


def test_versions_choose_the_way_their_phases_are_set_off() -> None:
    one, two = flat(*MARCH, 4000, 1000), flat(*MARCH, 3000, 0)
    contract = tariff({"energy": "E", "price": 1}, netting="per_phase")

    found = bill(contract, {"per_phase": one, "summed": two}, {}, PARIS, *MARCH)

    assert found.lines[0].quantity == Fraction(4000 * len(one), KWH)


def test_quality_is_told_for_the_bill_and_for_the_time_of_a_line() -> None:
    usage = flat(*MARCH, 1000)
    usage.measured_ms[:28] = 0
    usage.estimated_ms[:14] = SLOT_MS
    contract = tariff(
        {"energy": "Day", "price": 1, "when": {"hours": "07:00-23:00"}},
        {"energy": "Night", "price": 2, "when": "otherwise"},
    )

    found = month(contract, usage)

    assert lines(found)["Day"].quality.measured == 1.0
    assert found.quality.estimated == pytest.approx(14 / len(usage))
    assert found.quality.missing == pytest.approx(14 / len(usage))


def test_usage_that_does_not_reach_is_unknown_not_invented() -> None:
    usage = flat(MARCH[0], midnight("2026-03-16"), 1000)

    found = month(tariff({"energy": "E", "price": 1}), usage)

    assert found.lines[0].quantity == Fraction(1000 * len(usage), KWH)
    assert found.quality.missing == pytest.approx(16 / 31, abs=0.01)


@pytest.mark.parametrize(("start", "end", "code"), [(0, 0, "WL-TAR-051"), (1, SLOT_MS, "WL-TAR-050")])
def test_impossible_borders_are_refused(start: int, end: int, code: str) -> None:
    with pytest.raises(Refused) as caught:
        bill(tariff({"energy": "E", "price": 1}), flat(0, SLOT_MS, 1), {}, PARIS, start, end)

    assert caught.value.code == code
