"""A bill beside the supplier's invoice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hub.energy.bill import Bill, bill
from hub.energy.invoice import InvoiceLine, compare
from hub.energy.usage import Calendar
from tests.hub.energy.tariffs import E8, KWH, flat, midnight, tariff

START, END = midnight("2026-03-02"), midnight("2026-03-03")
TIER = {"tier": "Network", "per": "day", "blocks": [{"up_to_kwh": 10, "price": 0.04}, {"price": 0.05}]}


def ours(*lines: dict[str, Any], late: bool = True) -> Bill:
    """A day of 24 kWh taken and 12 fed in."""
    usage = flat(START, END, KWH // 4, KWH // 8)
    some = lines or (
        {"energy": "Energy", "price": 0.30},
        TIER,
        {"standing": "Rent", "price": 1, "per": "day"},
    )
    export = [{"feed_in": "Back", "price": 0.1}]
    return bill(tariff(*some, export=export), usage, {}, Calendar("Europe/Paris"), START, END)


def line(
    component: str, amount: str, *, quantity: str | None = None, unit_price: str | None = None, kind: str = ""
) -> InvoiceLine:
    numbers = [Decimal(text) if text else None for text in (quantity, unit_price)]
    return InvoiceLine(component, Decimal(amount), "", kind, *numbers)


def test_an_equal_invoice_is_equal() -> None:
    found = compare(
        ours(),
        [
            line("energy", "7.20"),
            line(" Network ", "0.40"),
            line("Network", "0.70"),
            line("Rent", "1"),
            line("Back", "-1.2"),
        ],
    )

    assert {row.reasons for row in found.rows} == {("same",)}
    assert found.total_e8 == 0
    assert found.as_json()["ours"] == found.as_json()["theirs"] == "8.10"


@pytest.mark.parametrize(
    ("theirs", "effects", "reasons"),
    [
        (line("Energy", "7.50", quantity="25"), (30, 0, 0), ("quantity",)),
        (line("Energy", "7.44", unit_price="0.31"), (0, 24, 0), ("price",)),
        (line("Energy", "7.75", quantity="25", unit_price="0.31"), (30, 25, 0), ("quantity", "price")),
        (line("Energy", "7.21", quantity="24.000", unit_price="0.300"), (0, 0, 1), ("rounding",)),
        (line("Energy", "8.20", quantity="24"), (0, 0, 100), ("amount",)),
        (line("Energy", "7.20", quantity="24.0"), (0, 0, 0), ("same",)),
    ],
)
def test_a_difference_is_split_into_what_explains_it(
    theirs: InvoiceLine, effects: tuple[int, int, int], reasons: tuple[str, ...]
) -> None:
    row = compare(ours(), [theirs]).rows[0]

    assert (row.quantity_effect_e8, row.price_effect_e8, row.rest_e8) == tuple(
        cent * E8 // 100 for cent in effects
    )
    assert row.amount_e8 == sum((row.quantity_effect_e8, row.price_effect_e8, row.rest_e8))
    assert row.reasons == reasons


def test_export_is_compared_with_its_sign() -> None:
    row = compare(ours(), [line("Back", "-1.00", quantity="10")]).rows[-1]

    assert row.amount_e8 == row.quantity_effect_e8 == 20 * E8 // 100


def test_blocks_are_compared_as_one_where_the_invoice_has_one_line() -> None:
    rows = [row for row in compare(ours(), [line("Network", "1.10", quantity="24")]).rows if row.theirs]

    assert len(rows) == 1
    assert len(rows[0].ours) == 2
    assert rows[0].reasons == ("same",)


def test_lines_are_matched_by_a_name_alike_or_by_being_the_only_one_of_their_kind() -> None:
    found = compare(
        ours(), [line("Enery", "7.20"), line("Grondrecht", "1", kind="standing"), line("Gift", "-5")]
    )

    assert [(row.theirs.component if row.theirs else None, row.reasons) for row in found.rows] == [
        ("Enery", ("same",)),
        (None, ("only_ours",)),
        (None, ("only_ours",)),
        ("Grondrecht", ("same",)),
        (None, ("only_ours",)),
        ("Gift", ("only_theirs",)),
    ]


def test_a_total_of_its_own_counts_instead_of_the_sum() -> None:
    found = compare(ours(), [line("Energy", "7.20")], total=Decimal("9.99"))

    assert (found.theirs_e8, found.total_e8) == (999 * E8 // 100, 189 * E8 // 100)
    assert sum(row.amount_e8 for row in found.rows) == (720 - 810) * E8 // 100


def test_pending_energy_and_estimates_are_named_as_reasons() -> None:
    usage = flat(START, END, KWH // 4)
    usage.measured_ms[:] = 0
    contract = tariff({"energy": "Market", "formula": "spot"})
    found = compare(bill(contract, usage, {}, Calendar("Europe/Paris"), START, END), [line("Market", "7")])

    assert found.rows[0].reasons == ("pending", "estimated")
    assert found.as_json()["rows"][0]["difference"] == "7.00"
