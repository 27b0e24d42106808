"""Formulas: exact decimals, unknown where a price is missing, and no way to do anything else."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.formula import FormulaError, parse_formula
from tests.hub.energy.streams import UNDER_LOAD


def run(text: str, **columns: list[int | None]) -> list[int | None]:
    """Results in 1e-8 over columns in 1e-8; None is unknown."""
    slots = max((len(column) for column in columns.values()), default=1)
    given_columns = {
        name: (
            np.array([value or 0 for value in column], np.int64),
            np.array([value is not None for value in column], np.bool_),
        )
        for name, column in columns.items()
    }
    values, known = parse_formula(text).evaluate(given_columns, slots)
    return [int(value) if there else None for value, there in zip(values, known, strict=True)]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("-2 * -3 - -1", "7"),
        ("10 - 2 - 3", "5"),
        ("12 / 3 / 2", "2"),
        ("1 / 3", "0.33333333"),
        ("2 / 3", "0.66666667"),
        ("1e-3 + .5", "0.501"),
        ("min(3, 1, 2) + max(1, 5)", "6"),
        ("abs(-2.5)", "2.5"),
        ("round(0.12345, 4)", "0.1234"),
        ("round(2.5) + round(3.5)", "6"),
        ("1 if 2 > 1 else 3", "1"),
        ("1 if 2 < 1 else 3 if 1 == 1.0 else 4", "3"),
        ("1 if not 2 < 1 and (1 != 2 or 1 >= 2) else 0", "1"),
        ("0.000000005", "0"),
        ("0.000000015", "0.00000002"),
        ("-0.000000015", "-0.00000002"),
        ("123456789.12345678 * 1", "123456789.12345678"),
        ("99999.99999999 * 99999.99999999 / 99999.99999999", "99999.99999999"),
    ],
)
def test_arithmetic(text: str, result: str) -> None:
    assert run(text) == [int(Decimal(result).scaleb(8))]


def test_formula_of_the_contracts() -> None:
    formula = parse_formula("spot * 1.05 + 0.0123")

    assert formula.names == {"spot"}
    assert run(formula.text, spot=[8_710_000, -10, None, 0]) == [10_375_500, 1_229_990, None, 1_230_000]


def test_halves_are_rounded_to_even_without_the_noise_of_floats() -> None:
    assert run("spot * 1.05", spot=[10, 30, -10, 50]) == [10, 32, -10, 52]


def test_a_missing_price_makes_the_result_unknown_wherever_it_is_named() -> None:
    assert run("a if a > 1 else b", a=[2 * 10**8, 2 * 10**8], b=[1, None]) == [2 * 10**8, None]
    assert run("a + nowhere", a=[1]) == [None]


def test_division_by_zero_is_unknown() -> None:
    assert run("1 / spot", spot=[0, 4 * 10**8]) == [None, 25_000_000]


def test_a_division_by_zero_in_what_is_not_chosen_does_no_harm() -> None:
    one, four = 10**8, 4 * 10**8
    assert run("1 / spot if spot != 0 else 2", spot=[0, four]) == [2 * one, 25_000_000]
    assert run("2 if spot == 0 else 1 / spot", spot=[0, four]) == [2 * one, 25_000_000]
    assert run("1 / spot if spot == 0 else 2", spot=[0, four]) == [None, 2 * one]
    assert run("1 if 1 / spot > 0 else 2", spot=[0, four]) == [None, one]
    assert run("(1 if a > 0 else 1 / b) + (1 / a if b > 0 else 2)", a=[one, 0, one, 0], b=[0, one, one, 0]) == [
        3 * one, None, 2 * one, None,
    ]  # fmt: skip
    assert run("1 if 2 > 1 else 1 / (spot - spot)", spot=[four]) == [one]


def test_and_or_look_no_further_than_they_have_to() -> None:
    one, four = 10**8, 4 * 10**8
    assert run("1 if spot != 0 and 1 / spot < 1 else 2", spot=[0, four]) == [2 * one, one]
    assert run("1 if spot == 0 or 1 / spot < 1 else 2", spot=[0, four]) == [one, one]
    assert run("1 if 1 / spot < 1 or spot == 0 else 2", spot=[0, four]) == [None, one]


def test_a_price_beyond_all_reason_is_unknown() -> None:
    assert run("spot * 1000000", spot=[10**13, 10**10]) == [None, 10**16]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0),
        ("spot *", 6),
        ("(1 + 2", 6),
        ("1 + 2)", 5),
        ("1 2", 2),
        ("spot ** 2", 6),
        ("a.b", 1),
        ("a[0]", 1),
        ("'x'", 0),
        ("lambda: 1", 6),
        ("__import__('os')", 11),
        ("exec(1)", 0),
        ("print(1)", 0),
        ("a; b", 1),
        ("a = 1", 2),
        ("1 < 2", 0),
        ("1 + (2 < 3)", 5),
        ("1 if 2 else 3", 5),
        ("not 1", 4),
        ("min(1)", 0),
        ("abs(1, 2)", 0),
        ("round(1, 9)", 9),
        ("round(1, spot)", 9),
        ("1 if 2 > 1", 10),
        ("if", 0),
        ("1e99", 0),
        ("(" * 40 + "1" + ")" * 40, 30),
        ("1" + "+1" * 250, 400),
        ("a @ b", 2),
        ("1 <", 3),
        ("a and b", 0),
        ("a * a * b * b / a", 16),
        ("a * (b + a * max(b, a * a * a))", 5),
        ("0x10", 1),
        ("1_000", 1),
        ("√2", 0),
    ],
)
def test_what_is_no_formula_is_refused_at_its_place(text: str, at: int) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula(text)

    assert caught.value.at == at


@given(st.text(alphabet="ab12.+-*/()<>= ,minxroudsfelt", max_size=60))
@settings(parent=UNDER_LOAD, max_examples=300)
def test_any_text_is_a_formula_or_refused(text: str) -> None:
    try:
        formula = parse_formula(text)
    except FormulaError as error:
        assert 0 <= error.at <= len(text)  # noqa: PT017 - either way is fine
        return
    values, known = formula.evaluate(
        {name: (np.array([10**8]), np.array([True])) for name in formula.names}, 1
    )
    assert len(values) == len(known) == 1


_LEAVES = st.one_of(
    st.sampled_from(["a", "b"]), st.decimals(0, 1000, places=4).map(lambda value: format(value, "f"))
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(
            lambda three: f"({three[0]} {three[1]} {three[2]})"
        ),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda three: f"{three[0]}({three[1]}, {three[2]})"
        ),
        inner.map(lambda one: f"(-{one})"),
    ),
    max_leaves=5,
)


@given(_TREES, st.integers(-(10**10), 10**10), st.integers(-(10**10), 10**10))
@settings(parent=UNDER_LOAD, max_examples=200)
def test_columns_give_what_exact_decimals_give(text: str, a: int, b: int) -> None:
    with localcontext() as context:
        context.prec = 200
        code = re.sub(r"[0-9.]+", lambda number: f"D('{number[0]}')", text)
        names = {"D": Decimal, "a": Decimal(a).scaleb(-8), "b": Decimal(b).scaleb(-8), "min": min, "max": max}
        expected = eval(code, {"__builtins__": {}}, names)  # noqa: S307 - our own text, as an oracle
        within = abs(expected) <= 10**9
        result = int(expected.quantize(Decimal("1e-8"), ROUND_HALF_EVEN).scaleb(8)) if within else None

    assert run(text, a=[a], b=[b]) == [result]
