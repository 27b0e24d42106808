"""What a message says when it is read as JSON."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.mqtt.message import Message
from integrations.mqtt.numbers import Unreadable
from integrations.mqtt.templates import MISSING

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(':{}"\\ab', max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(':ab"', max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_json_without_doubled_keys_is_what_the_standard_library_reads(document: object) -> None:
    assert Message(json.dumps(document).encode()).json() == document


@pytest.mark.parametrize(
    "payload",
    [b'{"a":1,"a":1}', b'{"a":":","b":{"c":[{"d":1,"d":2}]}}', b'{"a:b":1,"a:b":2}', b' {"a" : 1 , "a" : 2}'],
)
def test_a_key_that_stands_twice_is_refused_for_every_reader(payload: bytes) -> None:
    message = Message(payload)
    for _ in range(2):
        with pytest.raises(Unreadable) as refused:
            message.json()
        assert refused.value.code == "WL-ING-005"


def test_depth_and_size_of_numbers_do_no_harm() -> None:
    assert Message(b"[" * 100_000).json() is MISSING
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    assert isinstance(Message(deep).json(), dict)
    assert Message(b'{"a":{"b":' + b"9" * 5000 + b"}}").json() == {"a": {"b": math.inf}}


@pytest.mark.parametrize(
    "payload", [b'{"a":nan}', b'{"a":1_0}', b'{"a":"\\ud800","b":NaN}', b'{"a":NaN', b"\xff{}"]
)
def test_what_is_no_json_stays_none(payload: bytes) -> None:
    assert Message(payload).json() is MISSING
