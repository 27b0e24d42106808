"""Tables of energy: no formula runs in a spreadsheet, numbers stay numbers."""

from __future__ import annotations

import csv
import io

import pytest

from web.energy_table import Column, csv_bytes


def rows(body: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode(), newline=""), delimiter=delimiter))


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "＝1", "＋1", "－1", "＠SUM(A1)"]
)
def test_texts_that_begin_like_a_formula_get_an_apostrophe(text: str) -> None:
    assert rows(csv_bytes([Column("name", [text], "text")]))[1][0] == "'" + text


@pytest.mark.parametrize("text", ['say "hi"', "a,b", "two\nlines", "plain"])
def test_texts_come_back_as_they_were(text: str) -> None:
    assert rows(csv_bytes([Column("name", [text], "text"), Column("x", [1.5])]))[1] == [text, "1.5"]


def test_numbers_keep_their_sign_and_unknown_ones_are_empty() -> None:
    columns = [
        Column("start", [0], "time", ["1970-01-01T00:00:00+00:00"]),
        Column("wh", [-2.5]),
        Column("x", [None]),
    ]
    assert rows(csv_bytes(columns))[1] == ["1970-01-01T00:00:00+00:00", "-2.5", ""]


def test_a_decimal_comma_separates_with_semicolons() -> None:
    columns = [Column("name", ["a;b"], "text"), Column("wh", [1.25]), Column("cost", ["-0.50"])]
    assert rows(csv_bytes(columns, comma=True), ";")[1] == ["a;b", "1,25", "-0,50"]
