"""Line protocol is read by the letter: checked against the decoder corpus of the format's authors."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from integrations.influx_line.bodies import logical_lines
from integrations.influx_line.grammar import Line, LineError, parse_line

CORPUS = Path(__file__).parents[4] / "shared" / "fixtures" / "influx" / "corpus_decode_open.jsonl"
needs_corpus = pytest.mark.skipif(
    not CORPUS.exists(), reason="the decoder corpus is not beside this checkout"
)


def read(text: str) -> list[Line]:
    lines = [line for line in logical_lines(text) if line.strip() and not line.startswith("#")]
    return [parse_line(line) for line in lines]


def corpus() -> list[dict[str, Any]]:
    if not CORPUS.exists():
        return []
    return [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]


def text_of(raw: Any) -> str:
    if isinstance(raw, str):
        return raw
    return base64.b64decode(raw["base64"]).decode("utf-8", "surrogateescape")


def expected(point: dict[str, Any]) -> tuple[str, tuple[tuple[str, str], ...], dict[str, float | None]]:
    tags = tuple((text_of(tag["key"]), text_of(tag["value"])) for tag in point["tags"])
    fields = {}
    for field in point["fields"]:
        ((kind, value),) = field["value"].items()
        fields[text_of(field["key"])] = float(value) if kind in ("int", "uint", "float") else None
    return text_of(point["name"]), tags, fields


@needs_corpus
@pytest.mark.parametrize(
    "case", [c for c in corpus() if "result" in c["expect"]], ids=lambda c: repr(c["text"])[:60]
)
def test_the_corpus_reads_as_its_authors_say(case: dict[str, Any]) -> None:
    lines = read(text_of(case["text"]))
    assert [(line.measurement, line.tags, line.fields) for line in lines] == [
        expected(point) for point in case["expect"]["result"]
    ]
    per_tick = {"1ns": 1, "1ms": 1_000_000, "1s": 1_000_000_000}[case["precision"]]
    given_ticks = [line.ticks for line in lines if line.ticks is not None]
    times = {point["time"] for point in case["expect"]["result"]}
    assert all(ticks * per_tick in times for ticks in given_ticks)


@needs_corpus
@pytest.mark.parametrize(
    "case", [c for c in corpus() if "error" in c["expect"]], ids=lambda c: repr(c["text"])[:60]
)
def test_what_the_corpus_refuses_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(LineError):
        read(text_of(case["text"]))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("b v= 1790000000", "missing field value"),
        ("a,t=x 1790000000", "invalid field format"),
        (",t=x v=1", "missing measurement"),
        ("a,t= v=1", "missing tag value"),
        ("a,=x v=1", "missing tag key"),
        ("a,t=1,t=2 v=1", "duplicate tags"),
        ("a,time=1 v=1", 'input tag "time" is reserved'),
        ("a,t=x", "missing fields"),
        ("a", "missing fields"),
        ("a v=1_000", "invalid number"),
        ("a v=nan", "invalid number"),
        ("a v=inf", "invalid number"),
        ("a v=Infinity", "invalid number"),
        ("a v=0x10", "invalid number"),
        ("a v=+1", "invalid number"),
        ("a v=1e", "invalid number"),
        ("a v=1.5i", "invalid number"),
        ("a v=-1u", "invalid number"),
        ("a v=٣", "invalid number"),
        ("a v=1e999", "invalid number: value out of range"),
        ("a v=9223372036854775808i", "invalid number: value out of range"),
        ("a v=" + "1" * 500, "invalid number: too long"),
        ('a v="open', "unbalanced quotes"),
        ("a v=1 12x", "bad timestamp"),
        ("a v=1 1_000", "bad timestamp"),
        ("a v=1 9223372036854775808", "bad timestamp: value out of range"),
        ("a v=1 1 1", "bad timestamp"),
        ("a\x00b v=1", "control character in a name"),
        ("a\tv=1", "control character in a name"),
        ("a\udcff v=1", "invalid UTF-8"),
    ],
)
def test_each_refusal_says_why(line: str, reason: str) -> None:
    with pytest.raises(LineError) as caught:
        parse_line(line)
    assert str(caught.value) == reason


def test_tags_come_in_key_order_and_of_equal_fields_the_last_wins() -> None:
    line = parse_line("m,z=1,a=2 v=1,w=2,v=3 -5")
    assert line == Line("m,z=1,a=2", "m", (("a", "2"), ("z", "1")), {"w": 2.0, "v": 3.0}, -5)


def test_newlines_inside_quotes_belong_to_their_line_but_an_open_quote_ends_with_it() -> None:
    assert list(logical_lines('a s="x\ny" 1\nb v=1')) == ['a s="x\ny" 1', "b v=1"]
    assert list(logical_lines('a s="x\nb v=1')) == ['a s="x', "b v=1"]


@settings(max_examples=1000, deadline=None)
@example('m v="' + '\\"' * 500)
@example("\\" * 300)
@given(st.text(alphabet='m,= "\\\n1.e-iut#µ\x00\udcff', max_size=40) | st.text(max_size=40))
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    outcomes = [outcome(line) for line in logical_lines(text)]
    assert all(outcomes)


def outcome(line: str) -> str:
    """Measurement of a line, or why it is none; empty would be neither."""
    try:
        return parse_line(line).measurement
    except LineError as error:
        return str(error)
