"""Prices per slot against a second-by-second oracle, and units with exact decimals."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.energy.price_grid import price_slots, price_unit
from hub.errors import Refused

MINUTE = 60_000
SLOT = 15 * MINUTE


@pytest.mark.parametrize(
    ("unit", "text", "price_e8"),
    [
        ("EUR/kWh", "0.0871", 8_710_000),
        ("EUR/kWh", -0.0871, -8_710_000),
        ("EUR/MWh", "87.1", 8_710_000),
        ("ct/kWh", "31.2", 31_200_000),
        ("GBP/Wh", "0.001", 100_000_000),
        ("EUR/MWh", "0.00001", 1),
        ("EUR/kWh", "0.123456780000", 12_345_678),  # zeros say nothing
        ("EUR/kWh", 0.1 + 0.2, 30_000_000),  # what a double adds to the decimals that were meant
        ("EUR/MWh", 87.1 * 1.1, 9_581_000),
        ("EUR/kWh", 5e-8, 5),
    ],
)
def test_a_price_becomes_whole_hundred_millionths(unit: str, text: str | float, price_e8: int) -> None:
    assert price_unit(unit).e8_of(text) == price_e8


def test_a_price_goes_back_to_the_text_it_came_from() -> None:
    assert price_unit("EUR/MWh").text_of(8_710_000) == "87.1"
    assert price_unit("EUR/kWh").text_of(-100_000_000) == "-1"
    assert price_unit("EUR/kWh").text_of(1) == "0.00000001"


@pytest.mark.parametrize("unit", ["", "EUR", "EUR/kW", "eur/kWh", "EUR/kWh ", "EURO/kWh", "$/kWh"])
def test_other_units_are_refused(unit: str) -> None:
    with pytest.raises(Refused, match="WL-MNY-001"):
        price_unit(unit)


@pytest.mark.parametrize("text", ["", "abc", "1,5", "NaN", "Infinity", "1e30", "10001", "1_0", True, "١"])
def test_what_is_no_price_is_refused(text: str | bool) -> None:
    with pytest.raises(ValueError, match=r".+"):
        price_unit("EUR/kWh").e8_of(text)


@pytest.mark.parametrize(
    ("unit", "price"),
    [
        ("EUR/kWh", "0.123456789"),
        ("EUR/kWh", "1e-9"),
        ("EUR/kWh", 0.123456789),
        ("EUR/kWh", "0.30000000000000004"),
        ("ct/kWh", "0.1234567"),
        ("EUR/MWh", "87.123456"),
    ],
)
def test_more_decimals_than_money_has_are_refused(unit: str, price: str | float) -> None:
    with pytest.raises(ValueError, match="more than 8 decimals"):
        price_unit(unit).e8_of(price)


rows = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 70), st.integers(-(10**9), 10**9)), max_size=12)


@given(rows)
def test_a_slot_has_the_mean_of_its_minutes_or_no_price(parts: list[tuple[int, int, int]]) -> None:
    minutes: dict[int, int] = {}
    starts, ends, prices = [], [], []
    clock = 0
    for gap, length, price in parts:
        clock += gap
        starts.append(clock * MINUTE)
        ends.append((clock + length) * MINUTE)
        prices.append(price)
        minutes.update((minute, price) for minute in range(clock, clock + length))
        clock += length

    got, known = price_slots(
        np.array(starts, np.int64), np.array(ends, np.int64), np.array(prices, np.int64), 0, 40
    )

    for slot in range(40):
        inside = [minutes.get(minute) for minute in range(slot * 15, slot * 15 + 15)]
        whole = [price for price in inside if price is not None]
        assert bool(known[slot]) == (len(whole) == 15)
        assert not known[slot] or int(got[slot]) == round(Fraction(sum(whole), 15))


def test_a_slot_is_read_from_any_first_slot_on() -> None:
    starts, ends = np.array([0, 2 * SLOT]), np.array([2 * SLOT, 3 * SLOT])
    got, known = price_slots(starts, ends, np.array([5, 7]), SLOT, 4)

    assert got.tolist() == [5, 7, 0, 0]
    assert known.tolist() == [True, True, False, False]
    assert Decimal(int(got[0])) == 5


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], [None, None, None, None]),
        ([(0, 60, 7)], [7, 7, 7, 7]),
        ([(0, 30, 7), (30, 60, 8)], [7, 7, 8, 8]),
        ([(-60, 15, 7), (45, 120, 8)], [7, None, None, 8]),
        ([(0, 5, 3), (5, 10, 6), (10, 15, 9)], [6, None, None, None]),
        ([(0, 10, 3)], [None, None, None, None]),
        ([(0, 15, 7), (15, 20, 1), (20, 60, 4)], [7, 3, 4, 4]),
    ],
)
def test_rows_become_slots(rows: list[tuple[int, int, int]], expected: list[int | None]) -> None:
    table = np.array(rows, np.int64).reshape(-1, 3)
    got, known = price_slots(table[:, 0] * MINUTE, table[:, 1] * MINUTE, table[:, 2], 0, 4)

    assert [int(one) if there else None for one, there in zip(got, known, strict=True)] == expected
