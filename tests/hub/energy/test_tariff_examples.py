"""Real contracts: each example of config/examples/tariffs gives the bill that an independent ledger works out."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal as D  # noqa: N817 - prices are written down often here

import pytest
from ruamel.yaml import YAML

from hub.energy.bill import Bill, bill
from hub.energy.tariff import parse_tariff
from hub.energy.usage import Calendar
from tests.hub.energy.ledger import (
    EXAMPLES,
    Book,
    Line,
    Quarter,
    amounts,
    block_kwh,
    by_day,
    by_month,
    cents,
    energy,
    exact_sum,
    example,
    fed_in,
    kwh,
    open_book,
    peak_kw,
    share,
)

NAMES = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))


def spot(number: int, local: datetime) -> int:
    """A market that is dear in the evening and below zero on some noons, with all eight decimals."""
    return (number * 7_919 + local.hour * 104_729) % 23_000_001 - (6_000_003 if 11 <= local.hour < 15 else 0)


def billed(name: str, book: Book, first: str, last: str) -> Bill:
    return bill(
        example(name),
        book.usage,
        book.prices,
        Calendar(book.zone, book.holidays),
        book.at(first),
        book.at(last),
    )


def total(lines: list[Line]) -> D:
    return sum((amount for _, amount in lines), D(0))


@pytest.mark.parametrize("name", NAMES)
def test_example_is_read_and_written_back(name: str) -> None:
    data = YAML(typ="safe", pure=True).load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))

    tariff = parse_tariff(data["tariffs"][0])

    assert parse_tariff(tariff.as_data()) == tariff
    assert tariff.price_names() <= {row["id"] for row in data.get("prices", [])}


def test_at_least_ten_structures_are_shown() -> None:
    assert len(NAMES) >= 10


def test_dutch_dynamic_contract_with_price_cap() -> None:
    book = open_book("Europe/Amsterdam", "2023-01-01", "2023-04-01", series={"spot": spot}, level=900)
    quarters = book.part("2023-01-01", "2023-04-01")
    left, capped = D(2900), D(0)
    for one in quarters:
        within = min(one.taken, left)
        left -= within
        price = one.price["spot"] + D("0.0182") + D("0.12599")
        capped += within * (min(price, D("0.33057851")) - price)
    lines = [
        ("Market price", cents(energy(quarters, lambda q: q.price["spot"] + D("0.0182")))),
        ("Energy tax", cents(energy(quarters, "0.12599"))),
        ("Price cap", cents(capped)),
        ("Supply", cents(D("4.95") * 3)),
        ("Grid operator", cents(D("0.9342") * 90)),
        ("Tax refund", cents(D("-493.27") * 90 / 365)),
    ]
    lines.append(("VAT", share("21", lines)))
    lines.append(("Feed-in", cents(fed_in(quarters, lambda q: q.price["spot"]))))

    found = billed("nl-dynamic-price-cap", book, "2023-01-01", "2023-04-01")

    assert left == 0  # the limit of the cap is reached inside the bill
    assert amounts(found) == lines
    assert D(found.as_json()["total"]) == total(lines)


def test_dutch_net_metering_over_a_year() -> None:
    book = open_book("Europe/Amsterdam", "2024-01-01", "2025-01-01", level=500, sun=140)
    quarters = book.part("2024-01-01", "2025-01-01")
    normal = [one for one in quarters if one.workday and one.between(7, 23)]
    low = [one for one in quarters if not (one.workday and one.between(7, 23))]
    nets = [exact_sum(one.taken - one.given for one in some) for some in (normal, low)]
    taken = [max(net, D(0)) for net in nets]
    surplus = exact_sum(max(-net, D(0)) for net in nets)
    first, rest = min(sum(taken), D(10_000)), max(sum(taken) - 10_000, D(0))
    lines = [
        ("Normal", cents(taken[0] * D("0.1265"))),
        ("Low", cents(taken[1] * D("0.1132"))),
        ("Energy tax", cents(first * D("0.1088"))),
        ("Energy tax", cents(rest * D("0.0903"))),
        ("Supply", D("75.00")),
        ("Feed-in fee", D("174.00")),
        ("Grid operator", D("392.40")),
        ("Tax refund", D("-521.81")),
    ]
    lines.append(("VAT", share("21", lines)))
    lines.append(("Surplus", cents(-surplus * D("0.0775"))))

    found = billed("nl-net-metering", book, "2024-01-01", "2025-01-01")

    assert amounts(found) == lines
    assert min(nets) < 0 < max(nets)


def test_flemish_capacity_tariff() -> None:
    holidays = ["2026-01-01", "2026-04-06"]
    book = open_book("Europe/Brussels", "2025-05-01", "2026-05-01", holidays=holidays, level=280)
    quarters = book.part("2026-04-01", "2026-05-01")

    def day(q: Quarter) -> bool:
        return q.workday and not q.holiday and q.between(7, 22)

    peaks = [max(peak_kw(month), D("2.5")) for month in by_month(book.quarters).values()]
    lines = [
        ("Day", cents(energy(quarters, "0.1472", day))),
        ("Night", cents(energy(quarters, "0.1188", lambda q: not day(q)))),
        ("Green certificates", cents(energy(quarters, "0.0154"))),
        ("Grid use", cents(energy(quarters, "0.0538"))),
        ("Capacity tariff", cents(D("51.80") / 12 * sum(peaks) / 12)),
        ("Meter reading", cents(D("18.56") * 30 / 365)),
        ("Excise", cents(energy(quarters, "0.0503288"))),
        ("Energy contribution", cents(energy(quarters, "0.0020417"))),
    ]
    lines.append(("VAT", share("6", lines)))
    lines += [("Energy fund", D("10.07")), ("Feed-in", cents(fed_in(quarters, "0.0312")))]

    found = billed("be-capacity-flanders", book, "2026-04-01", "2026-05-01")

    assert len(peaks) == 12
    assert amounts(found) == lines
    assert [peak.month for peak in found.peaks] == sorted(by_month(book.quarters))
    assert [D(peak.power_mw) / 10**6 for peak in found.peaks] == [
        peak_kw(m) for m in by_month(book.quarters).values()
    ]


def test_british_half_hours_in_a_month_of_25_hours() -> None:
    def wholesale(number: int, local: datetime) -> int:
        return spot(number - number % 2, local) * 2

    book = open_book("Europe/London", "2024-10-01", "2024-11-01", series={"wholesale": wholesale})
    quarters = book.part("2024-10-01", "2024-11-01")

    def evening(q: Quarter) -> bool:
        return q.between(16, 19)

    def other(q: Quarter) -> bool:
        return not evening(q)

    def dear(q: Quarter) -> D:
        return min(q.price["wholesale"] * D("2.2") + D("0.12"), D("0.9524"))

    lines = [
        ("Evening", cents(energy(quarters, dear, evening))),
        (
            "Other hours",
            cents(energy(quarters, lambda q: min(q.price["wholesale"] * D("2.2"), D("0.9524")), other)),
        ),
        ("Standing charge", cents(D("0.4585") * 31)),
    ]
    lines.append(("VAT", share("5", lines)))
    lines += [
        (
            "Evening export",
            cents(fed_in(quarters, lambda q: q.price["wholesale"] * D("0.95") + D("0.06"), evening)),
        ),
        (
            "Other export",
            cents(fed_in(quarters, lambda q: q.price["wholesale"] * D("0.95") + D("0.01"), other)),
        ),
    ]

    found = billed("uk-agile", book, "2024-10-01", "2024-11-01")

    assert len(quarters) == (31 * 24 + 1) * 4
    assert amounts(found) == lines


@pytest.mark.parametrize(
    ("first", "last", "days"), [("2025-09-01", "2025-10-01", 30), ("2025-10-01", "2025-11-01", 31)]
)
def test_german_grid_fee_in_three_levels(first: str, last: str, days: int) -> None:
    book = open_book("Europe/Berlin", first, last)
    quarters = book.part(first, last)

    def level(q: Quarter) -> str:
        if q.local.month in (1, 2, 3, 10, 11, 12):
            if q.between(17, 20):
                return "high"
            if q.between(23, 5):
                return "low"
        return "standard"

    lines = [
        ("Energy", cents(energy(quarters, "0.1345"))),
        ("Grid fee high", cents(energy(quarters, "0.1565", lambda q: level(q) == "high"))),
        ("Grid fee low", cents(energy(quarters, "0.0095", lambda q: level(q) == "low"))),
        ("Grid fee standard", cents(energy(quarters, "0.0953", lambda q: level(q) == "standard"))),
        ("Grid base fee", cents(D("58.40") * days / 365)),
        ("Meter", cents(D("42.02") * days / 365)),
        ("Supplier base fee", D("9.90")),
        ("Module 1", cents(D("-131.09") * days / 365)),
        ("Concession fee", cents(energy(quarters, "0.0159"))),
        ("Levies", cents(energy(quarters, "0.0265"))),
        ("Electricity tax", cents(energy(quarters, "0.0205"))),
    ]
    lines.append(("VAT", share("19", lines)))
    lines.append(("Feed-in", cents(fed_in(quarters, "0.0794"))))

    assert amounts(billed("de-module-3", book, first, last)) == lines


def colour(day: date) -> int:
    return 3 if day.day in (4, 17) else 2 if day.day % 9 == 0 else 1


def tempo(number: int, local: datetime) -> int:
    """The colour by the day that began at six."""
    return colour((local - timedelta(hours=6)).date()) * 10**8


def test_french_tempo_days_begin_at_six() -> None:
    book = open_book("Europe/Paris", "2025-11-01", "2025-12-01", series={"tempo": tempo})
    quarters = book.part("2025-11-01", "2025-12-01")
    prices = {1: ("0.0851", "0.1094"), 2: ("0.1008", "0.1341"), 3: ("0.1065", "0.5564")}
    lines = []
    for code, name in ((1, "Blue"), (2, "White"), (3, "Red")):
        for part, at_night in (("off-peak", True), ("peak", False)):
            chosen = [
                q
                for q in quarters
                if q.between(22, 6) == at_night and colour((q.local - timedelta(hours=6)).date()) == code
            ]
            lines.append((f"{name} {part}", cents(energy(chosen, prices[code][not at_night]))))
    lines += [("Excise", cents(energy(quarters, "0.02998"))), ("Subscription", D("12.87"))]
    lines.append(("Transmission contribution", cents(D("12.87") * D("0.15"))))
    lines.append(("VAT", share("20", lines)))

    found = billed("fr-tempo", book, "2025-11-01", "2025-12-01")

    assert amounts(found) == lines
    assert found.pending_mwh == 0


def test_french_peak_and_off_peak_hours() -> None:
    book = open_book("Europe/Paris", "2026-03-01", "2026-04-01")
    quarters = book.part("2026-03-01", "2026-04-01")

    def cheap(q: Quarter) -> bool:
        return q.between(23.5, 5.5) or q.between(12.5, 14.5)

    lines = [
        ("Off-peak", cents(energy(quarters, "0.1092", cheap))),
        ("Peak", cents(energy(quarters, "0.1432", lambda q: not cheap(q)))),
        ("Excise", cents(energy(quarters, "0.02998"))),
        ("Subscription", D("13.09")),
    ]
    lines.append(("VAT", share("20", lines)))

    assert amounts(billed("fr-peak-off-peak", book, "2026-03-01", "2026-04-01")) == lines


def test_spanish_access_tariff_with_holidays() -> None:
    book = open_book("Europe/Madrid", "2024-03-01", "2024-04-01", holidays=["2024-03-29"])
    quarters = book.part("2024-03-01", "2024-04-01")

    def period(q: Quarter) -> str:
        if not q.workday or q.holiday or q.between(0, 8):
            return "P3"
        return "P1" if q.between(10, 14) or q.between(18, 22) else "P2"

    lines = [
        ("P1", cents(energy(quarters, "0.1952", lambda q: period(q) == "P1"))),
        ("P2", cents(energy(quarters, "0.1241", lambda q: period(q) == "P2"))),
        ("P3", cents(energy(quarters, "0.0879", lambda q: period(q) == "P3"))),
        ("Power P1", cents(D("28.0214") / 12 * D("4.6"))),
        ("Power P2", cents(D("2.9221") / 12 * D("4.6"))),
    ]
    lines.append(("Electricity tax", share("5.11269632", lines)))
    lines.append(("Meter rent", cents(D("0.02663") * 31)))
    lines.append(("VAT", share("21", lines)))
    lines.append(("Surplus", cents(fed_in(quarters, "0.0600"))))

    assert amounts(billed("es-2-0td", book, "2024-03-01", "2024-04-01")) == lines


def test_californian_time_of_use_with_baseline_over_a_change_of_season() -> None:
    book = open_book("America/Los_Angeles", "2024-05-01", "2024-07-01")
    quarters = book.part("2024-05-21", "2024-06-20")
    may, june = by_month(quarters)["2024-05"], by_month(quarters)["2024-06"]

    def peak(q: Quarter) -> bool:
        return q.between(16, 21)

    winter = block_kwh((one.taken for one in may), D("9.7") * 11)
    summer = block_kwh((one.taken for one in june), D("9.8") * 19)
    lines = [
        ("Summer peak", cents(energy(june, "0.60729", peak))),
        ("Summer off-peak", cents(energy(june, "0.50428", lambda q: not peak(q)))),
        ("Winter peak", cents(energy(may, "0.49312", peak))),
        ("Winter off-peak", cents(energy(may, "0.46312", lambda q: not peak(q)))),
        ("Baseline credit, summer", cents(summer[0] * D("-0.10135"))),
        ("Baseline credit, summer", D(0)),
        ("Baseline credit, winter", cents(winter[0] * D("-0.10135"))),
        ("Baseline credit, winter", D(0)),
        ("Minimum delivery", cents(D("0.39167") * 30)),
    ]
    lines.append(("City tax", share("7.5", lines)))
    lines.append(("Net surplus", cents(fed_in(quarters, "0.05"))))

    found = billed("us-tiered-tou", book, "2024-05-21", "2024-06-20")

    assert amounts(found) == lines
    assert summer[1] > 0


def test_american_demand_charge_with_ratchet() -> None:
    holidays = ["2024-07-04", "2024-09-02"]
    book = open_book("America/New_York", "2023-10-01", "2024-10-01", holidays=holidays, level=1500)
    quarters = book.part("2024-09-01", "2024-10-01")

    def on_peak(q: Quarter) -> bool:
        return q.workday and not q.holiday and q.between(12, 20) and 6 <= q.local.month <= 9

    months = by_month(book.quarters)
    before = max(peak_kw(some) for month, some in months.items() if month < "2024-09")
    demand = max(peak_kw(quarters), before * D("0.8"), D(5))
    lines = [
        ("On-peak", cents(energy(quarters, "0.0892", on_peak))),
        ("Off-peak", cents(energy(quarters, "0.0541", lambda q: not on_peak(q)))),
        ("Billing demand", cents(D("9.75") * demand)),
        ("Summer on-peak demand", cents(D("12.40") * peak_kw(quarters, on_peak))),
        ("Customer charge", D("32.50")),
        ("Fuel adjustment", cents(energy(quarters, "0.01126"))),
    ]
    lines.append(("Sales tax", share("6.25", lines)))

    found = billed("us-demand-charge", book, "2024-09-01", "2024-10-01")

    assert len(months) == 12
    assert amounts(found) == lines


def test_australian_blocks_per_day_with_stepped_feed_in() -> None:
    book = open_book("Australia/Sydney", "2024-10-01", "2024-11-01", level=400)
    quarters = book.part("2024-10-01", "2024-11-01")
    days = by_day(quarters).values()
    used = [block_kwh((one.taken for one in day), D("10.96")) for day in days]
    given = [block_kwh((one.given for one in day), D(8)) for day in days]
    usage = [
        ("Usage", cents(exact_sum(first for first, _ in used) * D("0.3245"))),
        ("Usage", cents(exact_sum(rest for _, rest in used) * D("0.3591"))),
    ]
    lines = [
        *usage,
        ("Controlled load adjustment", cents(energy(quarters, "-0.05", lambda q: q.between(22, 7)))),
        ("No adjustment", D(0)),
        ("Supply charge", cents(D("0.9867") * 31)),
        ("Pay on time", -share("3", usage)),
    ]
    lines.append(("GST", share("10", lines)))
    lines += [
        ("Solar feed-in", cents(-exact_sum(first for first, _ in given) * D("0.10"))),
        ("Solar feed-in", cents(-exact_sum(rest for _, rest in given) * D("0.045"))),
    ]

    found = billed("au-block-solar", book, "2024-10-01", "2024-11-01")

    assert amounts(found) == lines
    assert kwh(quarters) == exact_sum(first + rest for first, rest in used)


def three_highest_hours(quarters: list[Quarter]) -> D:
    """Mean power in kW of the three highest hours, each of another day."""
    hours: dict[tuple[date, int, object], D] = {}
    for one in quarters:
        key = (one.local.date(), one.local.hour, one.local.utcoffset())
        hours[key] = hours.get(key, D(0)) + one.taken
    best: dict[date, D] = {}
    for (day, _, _), used in hours.items():
        best[day] = max(best.get(day, D(0)), used)
    return exact_sum(sorted(best.values())[-3:]) / 3


def test_swedish_power_fee_of_the_three_highest_hours() -> None:
    book = open_book("Europe/Stockholm", "2025-10-01", "2025-11-01", series={"spot": spot})
    quarters = book.part("2025-10-01", "2025-11-01")
    power = three_highest_hours(quarters)
    lines = [
        ("Spot", cents(energy(quarters, lambda q: q.price["spot"] + D("0.049")))),
        ("Grid transfer", cents(energy(quarters, "0.056"))),
        ("Energy tax", cents(energy(quarters, "0.439"))),
        ("Power fee", cents(D(65) * power)),
        ("Grid subscription", D(316)),
        ("Supplier fee", D("39.20")),
    ]
    lines.append(("VAT", share("25", lines)))
    lines += [
        ("Surplus", cents(fed_in(quarters, lambda q: q.price["spot"] - D("0.02")))),
        ("Grid benefit", cents(fed_in(quarters, "0.0535"))),
    ]

    assert amounts(billed("se-spot-power-fee", book, "2025-10-01", "2025-11-01")) == lines


@pytest.mark.parametrize(
    ("level", "step"), [(100, "100"), (300, "200"), (900, "340"), (1400, "480"), (3000, "620")]
)
def test_norwegian_steps_of_power(level: int, step: str) -> None:
    book = open_book(
        "Europe/Oslo", "2025-05-01", "2025-06-01", series={"spot": spot}, holidays=["2025-05-01"], level=level
    )
    quarters = book.part("2025-05-01", "2025-06-01")

    def day(q: Quarter) -> bool:
        return q.workday and not q.holiday and q.between(6, 22)

    lines = [
        ("Spot", cents(energy(quarters, lambda q: q.price["spot"] + D("0.031")))),
        ("Grid day", cents(energy(quarters, "0.2450", day))),
        ("Grid night and weekend", cents(energy(quarters, "0.1650", lambda q: not day(q)))),
        ("Consumption tax", cents(energy(quarters, "0.1253"))),
        ("Energy fund", cents(energy(quarters, "0.01"))),
        ("Power step", D(step)),
        ("Supplier fee", D("39.20")),
    ]
    lines.append(("VAT", share("25", lines)))
    lines.append(("Surplus", cents(fed_in(quarters, lambda q: q.price["spot"]))))

    power = three_highest_hours(quarters)
    by_power = next(
        fee
        for limit, fee in ((2, "100"), (5, "200"), (10, "340"), (15, "480"), (999, "620"))
        if power <= limit
    )

    assert by_power == step
    assert amounts(billed("no-capacity-steps", book, "2025-05-01", "2025-06-01")) == lines
