"""Value templates: what devices send, what attackers send, and that the fast way equals the slow one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.mqtt.numbers import Unreadable, number
from integrations.mqtt.templates import MISSING, compile_template

KEYS = st.sampled_from(["a", "b", "ENERGY", "aenergy.total", "items", "get", "real", "count", "0", "ö"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["5", " 5.5 ", "abc", "", "None", "nan", "1_0", "1e400", "ff"])
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
STEPS = st.one_of(
    KEYS.filter(str.isidentifier).map(lambda key: f".{key}"),
    KEYS.map(lambda key: f"[{key!r}]"),
    st.integers(-2, 2).map(lambda index: f"[{index}]"),
)
TAILS = st.sampled_from(
    ["", " | float", " | float(0)", " | int", " | int(7)", " | round(2)", " | float | round", " * 1000", " / 1000",
     " | float / 1000", " + 1", " - 1", " / 0", " | float * 2 + 1", " * 'x'", " | default(3)"]
)  # fmt: skip


def outcome(raw: Any) -> Any:
    """What would be stored: a number, nothing, or a refusal."""
    try:
        return MISSING if raw is MISSING else number(raw)
    except Unreadable:
        return "refused"


def by(way: Any, *arguments: Any) -> Any:
    try:
        result = outcome(way(*arguments))
    except Unreadable:
        return "refused"
    return None if result is MISSING else result  # "missing" and "no value" both leave the old value


@given(JSON, st.sampled_from(["value_json", "json"]), st.lists(STEPS, max_size=3), TAILS)
def test_the_getter_gives_what_rendering_gives(data: Any, name: str, steps: list[str], tail: str) -> None:
    template = compile_template("{{ " + name + "".join(steps) + tail + " }}")
    assert by(template.evaluate, "", data) == by(template.render, "", data)


@given(st.sampled_from(["5", " 5.5 ", "abc", "", "None", "nan", "1e400", "\u00a05", "ff"]) | st.text(), TAILS)
def test_the_getter_of_the_text_gives_what_rendering_gives(text: str, tail: str) -> None:
    template = compile_template("{{ value" + tail + " }}")
    assert by(template.evaluate, text, MISSING) == by(template.render, text, MISSING)


@pytest.mark.parametrize(
    ("source", "payload", "value"),
    [
        ("{{ value_json.a.b }}", '{"a": {"b": 5}}', 5),
        ("{{ value_json['ENERGY']['Power'] }}", '{"ENERGY": {"Power": 7.5}}', 7.5),
        ("{{ value_json.ENERGY.Power[1] }}", '{"ENERGY": {"Power": [1, 2]}}', 2),
        ("{{ value_json['aenergy.total'] }}", '{"aenergy.total": 9}', 9),
        ("{{ value }}", " 12.5\n", 12.5),
        ("{{ value|float / 1000 }}", "500", 0.5),
        ("{{ value | float(0) }}", "x", 0),
        ("{{ value.split(';')[0] }}", "3;4", 3),
        ("{{ value | int(base=16) }}", "ff", 255),
        ("{{ value | replace(',', '.') | float }}", "1,5", 1.5),
        ("{{ value_json.p | round(1) }}", '{"p": 3.14159}', 3.1),
        ("{{ value_json.p | multiply(10) }}", '{"p": 2}', 20),
        ("{{ (value_json.p > 0) | iif(1, 0) }}", '{"p": 2}', 1),
        ("{% if value_json.p is defined %}{{ value_json.p }}{% else %}{{ this.state }}{% endif %}", "{}", 77),
        ("{% set x = value_json.a + value_json.b %}{{ x }}", '{"a": 1, "b": 2}', 3),
        ("{{ value_json | sum }}", "[1, 2, 3]", 6),
        ("{{ value_json.v | default(4) }}", "{}", 4),
        ("{{ '2026-01-01T00:00:00+00:00' | as_timestamp }}", "", 1_767_225_600),
        ("{{ value_json.q }}", "{}", None),
        ("{{ value_json.q | is_defined }}", "{}", None),
        ("{{ value_json.q }}", '{"q": null}', None),
    ],
)
def test_templates_of_real_devices(source: str, payload: str, value: float | None) -> None:
    try:
        data = orjson.loads(payload)
    except orjson.JSONDecodeError:
        data = MISSING
    raw = compile_template(source).evaluate(payload, data, "77")
    assert (None if raw is MISSING else number(raw)) == value


@pytest.mark.parametrize(
    "source",
    ["{{ value_json.a.b }}", "{{ value_json['A']['B'] }}", "{{ json.a[1] }}", "{{ value | float }}",
     "{{ value_json.a | float / 1000 }}", "{{ value_json.a * 1000 }}", " {{ value }}\n", "{{ -value_json.a }}"],
)  # fmt: skip
def test_the_usual_forms_are_not_rendered(source: str) -> None:
    assert compile_template(source).fast


HOSTILE = [
    "{{ ''.__class__.__mro__ }}", "{{ value['__class__'] }}", "{{ value_json.__init__.__globals__ }}",
    "{{ self }}", "{{ cycler }}", "{{ config }}", "{{ lipsum(100) }}", "{{ value.format(1) }}",
    "{{ '{:9999999999}'.format(1) }}", "{{ '%9999999999d' % 1 }}", "{{ 'a' * 10**9 }}", "{{ 9**9**9 }}",
    "{{ value.ljust(10**9) }}", "{{ value | center(1000000000) }}", "{{ ('a' | attr('__class__')) }}",
    "{% for i in range(10000000000) %}x{% endfor %}",
    "{% for i in range(999) %}{% for j in range(999) %}{% endfor %}{% endfor %}",
    "{% for i in range(900) %}0000000000{% endfor %}", "{% include 'x' %}", "{% import 'x' as y %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{{ value.replace('', 'x' * 4000) }}",
    "{{ value | replace('1', 'x1') | replace('1', value_json) }}", "{{ [1] * 10**9 }}", "{{ range(10**9) | list }}",
    "{{ value.__format__('>99999999') }}", "{% set x = x %}", "{{ value", "{{ " + "(" * 3000, "x" * 5000,
    "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 60 + "{{ a }}", "{{ dict(a=1) }}", "{{ 1 // 0 }}",
    "{{ value_json.update({'a': 1}) }}", "{{ value_json.pop('a') }}",
]  # fmt: skip


def refusal_or_outcome(source: str, text: str) -> tuple[str, Any]:
    """Code of the refusal (empty for none) and what would be stored."""
    try:
        return "", outcome(compile_template(source).evaluate(text, {"a": 1}))
    except Unreadable as error:
        return error.code, "refused"


@pytest.mark.parametrize("source", HOSTILE)
@pytest.mark.timeout(60)
def test_hostile_templates_end_soon_and_give_no_number(source: str) -> None:
    code, stored = refusal_or_outcome(source, "1" * 1000)
    assert code in ("", "WL-MQT-008")
    assert stored in (MISSING, None, "refused")


@given(st.text(alphabet="{}%|()[]. 'abvaluejson_0129*/+-~<>=,:iforendrangestx", max_size=60))
def test_any_text_is_a_template_or_refused(source: str) -> None:
    assert refusal_or_outcome(source, "1")[0] in ("", "WL-MQT-008", "WL-MQT-002", "WL-ING-040")
