"""Words become numbers in every order, and back."""

from __future__ import annotations

import math
import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.modbus.decode import DECODES, not_available, number, scaled, word_count

WORD = st.integers(0, 0xFFFF)
RANGES = {
    "uint16": (0, 2**16 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "uint32": (0, 2**32 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint64": (0, 2**64 - 1),
    "int64": (-(2**63), 2**63 - 1),
}


@given(decode=st.sampled_from(DECODES), words=st.lists(WORD, min_size=0, max_size=6), little=st.booleans())
def test_any_words_give_a_number_of_the_format_or_a_clear_error(
    decode: str, words: list[int], little: bool
) -> None:
    if len(words) == word_count(decode):
        assert isinstance(number(words, decode, little=little), int | float)
    else:
        with pytest.raises(ValueError, match="takes"):
            number(words, decode, little=little)


@given(data=st.data(), name=st.sampled_from(sorted(RANGES)))
def test_integers_survive_the_way_through_registers(data: st.DataObject, name: str) -> None:
    value = data.draw(st.integers(*RANGES[name]))
    size = 2 * word_count(name)
    raw = value.to_bytes(size, "big", signed=not name.startswith("u"))
    words = [int.from_bytes(raw[at : at + 2], "big") for at in range(0, size, 2)]
    assert number(words, name) == value
    assert number(words[::-1], name, little=True) == value


@given(st.floats(width=32, allow_nan=False))
def test_float32_survives_in_both_word_orders(value: float) -> None:
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    assert number([high, low], "float32") == value
    assert number([low, high], "float32s") == value


def test_words_outside_16_bits_are_no_words() -> None:
    for words in ([-1], [65536]):
        with pytest.raises(ValueError, match="65535"):
            number(words, "uint16")


def test_usual_missing_values() -> None:
    assert not_available("uint16") == 0xFFFF
    assert not_available("int16") == -0x8000
    assert not_available("uint32s") == 0xFFFFFFFF
    assert not_available("int64") == -(2**63)
    assert not_available("float32") is None


@given(st.integers(-(10**9), 10**9), st.sampled_from([1, 0.1, 0.01, 0.001, 10, 1000]))
def test_scaling_adds_no_binary_dust(raw: int, scale: float) -> None:
    assert scaled(raw, scale) == float(Decimal(raw) * Decimal(str(scale)))


def test_scaling_lets_nan_and_infinity_through_for_the_caller_to_refuse() -> None:
    assert math.isnan(scaled(math.nan, 0.1))
    assert math.isinf(scaled(1e308, 100.0))
