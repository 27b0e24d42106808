"""Only plain decimal numbers are numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.mqtt.numbers import Unreadable, decimal, number


@given(st.floats(-1e15, 1e15))
def test_every_finite_float_survives_its_own_text(value: float) -> None:
    assert decimal(f" {value!r}\r\n") == value


def code_of(text: str) -> str:
    """The code of the refusal, empty for a number."""
    try:
        decimal(text)
    except Unreadable as error:
        return error.code
    return ""


@given(st.text())
def test_text_gives_a_number_or_a_coded_refusal(text: str) -> None:
    assert code_of(text) in ("", "WL-MQT-002", "WL-ING-040")


@given(st.text(alphabet="0123456789.eE+- \t_,xnaif٣", max_size=12).filter(lambda text: not code_of(text)))
def test_what_is_read_is_finite_and_plain_ascii(text: str) -> None:
    assert math.isfinite(decimal(text))
    assert set(text) <= set("0123456789.eE+- \t")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nan",
        "inf",
        "-Infinity",
        "1_000",
        "0x1F",
        "1,5",
        "１２",
        "٣",
        "1 2",
        "+-1",
        "1e",
        ".",
        "e5",
        "1\x00",
        "−1",
    ],
)
def test_what_only_looks_like_a_number_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        decimal(text)


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5), ("-.5", -0.5), ("5.", 5), ("+1e3", 1000), ("\t7 ", 7), ("007", 7)]
)
def test_usual_spellings_are_read(text: str, value: float) -> None:
    assert decimal(text) == value


@pytest.mark.parametrize("nothing", [None, "", "  ", "None"])
def test_no_value_is_no_error(nothing: object) -> None:
    assert number(nothing) is None


@pytest.mark.parametrize("other", [True, False, [], [1], {}, {"a": 1}, 10**400, math.nan, math.inf, 2e15])
def test_what_is_no_measurement_is_refused(other: object) -> None:
    with pytest.raises(Unreadable):
        number(other)
