"""Numbers as people write them become exact money, and back."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.energy.money import (
    Rounding,
    decimal_text,
    exact_decimal,
    exact_dot,
    exact_sum,
    price_e8,
    round_fraction,
)


@pytest.mark.parametrize(
    ("written", "e8"),
    [
        (0.1, 10_000_000),
        ("0.3120", 31_200_000),
        (21, 2_100_000_000),
        (Decimal("1e-8"), 1),
        (-0.05, -5_000_000),
        (1e-8, 1),
    ],
)
def test_prices_are_taken_as_they_are_written(written: object, e8: int) -> None:
    assert price_e8(written) == e8


@pytest.mark.parametrize(
    "written",
    [
        float("nan"), float("inf"), "nan", "1_000", "", "0x1", "1e400", 1e300, True, None, [1], "0.123456789",
        0.123456789, Decimal("1E-9"), "٣", "1" * 50, Decimal("sNaN"), 10**30,
    ],
)  # fmt: skip
def test_what_is_no_price_is_refused(written: object) -> None:
    with pytest.raises(ValueError):
        price_e8(written)


@given(st.decimals(-(10**9), 10**9, places=8))
def test_decimals_survive_as_text(value: Decimal) -> None:
    assert Decimal(decimal_text(Fraction(value), least=0, most=8)) == value
    assert exact_decimal(str(value)) == value


@pytest.mark.parametrize(
    ("value", "least", "most", "text"),
    [
        (Fraction(312, 1000), 4, 8, "0.3120"),
        (Fraction(1, 3), 4, 8, "0.33333333"),
        (Fraction(-1, 1000), 2, 2, "0.00"),
        (Fraction(-5, 1000), 2, 2, "-0.01"),
        (Fraction(12), 0, 8, "12"),
        (Fraction(1205, 10), 0, 8, "120.5"),
    ],
)
def test_texts_have_the_decimals_that_are_asked_for(
    value: Fraction, least: int, most: int, text: str
) -> None:
    assert decimal_text(value, least=least, most=most) == text


@given(
    st.fractions(-1000, 1000),
    st.sampled_from([Rounding.HALF_UP, Rounding.HALF_EVEN, Rounding.UP, Rounding.DOWN]),
)
def test_rounding_is_that_of_decimal(value: Fraction, mode: Rounding) -> None:
    names = {
        Rounding.HALF_UP: "ROUND_HALF_UP", Rounding.HALF_EVEN: "ROUND_HALF_EVEN",
        Rounding.UP: "ROUND_UP", Rounding.DOWN: "ROUND_DOWN",
    }  # fmt: skip
    eighth = Fraction(round(value * 8), 8)  # an exact decimal with many halves
    exact = Decimal(eighth.numerator) / Decimal(eighth.denominator)

    assert round_fraction(eighth, mode) == int(exact.quantize(Decimal(1), rounding=names[mode]))


@given(
    st.lists(st.tuples(st.integers(-(10**17), 10**17), st.integers(0, 10**13)), max_size=20),
)
def test_products_and_sums_are_exact_beyond_64_bits(pairs: list[tuple[int, int]]) -> None:
    price = np.array([p for p, _ in pairs], np.int64)
    energy = np.array([e for _, e in pairs], np.int64)

    assert exact_dot(price, energy) == sum(p * e for p, e in pairs)
    assert exact_sum(price * 50) == sum(p * 50 for p, _ in pairs)
