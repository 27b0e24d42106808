"""Blocks give back every bit, or raise."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Bug, StorageCorrupt
from hub.storage.codec import Columns, decode, encode

T0 = 1_764_028_800_000
any_float = st.floats(width=64, allow_nan=True, allow_infinity=True, allow_subnormal=True)
decimals = st.builds(
    lambda whole, places: whole / 10**places, st.integers(-(10**9), 10**9), st.integers(0, 6)
)
values = st.one_of(
    any_float, decimals, st.sampled_from([0.0, -0.0, 5e-324, -1.7976931348623157e308, 2.0**53])
)
steps = st.one_of(st.integers(1, 5), st.just(60_000), st.integers(1, 86_400_000), st.integers(1, 2**40))


def columns(rows: list[tuple[int, float, int]], first_ms: int) -> Columns:
    ts_ms = first_ms + np.cumsum([0, *(row[0] for row in rows[1:])])
    return Columns(
        ts_ms.astype(np.int64),
        np.array([row[1] for row in rows], np.float64),
        np.array([row[2] for row in rows], np.uint8),
    )


def same_bits(one: Columns, other: Columns) -> bool:
    return (
        one.ts_ms.tolist() == other.ts_ms.tolist()
        and one.values.tobytes() == other.values.tobytes()
        and one.flags.tobytes() == other.flags.tobytes()
        and [column.dtype for column in (one.ts_ms, one.values, one.flags)] == ["int64", "float64", "uint8"]
    )


@given(
    st.lists(st.tuples(steps, values, st.sampled_from([0, 0, 0, 1, 255])), min_size=1, max_size=200),
    st.integers(-(2**41), 2**42),
)
def test_every_bit_comes_back(rows: list[tuple[int, float, int]], first_ms: int) -> None:
    given_columns = columns(rows, first_ms)

    assert same_bits(decode(encode(given_columns)), given_columns)


@given(st.lists(decimals, min_size=1, max_size=300))
def test_decimal_values_come_back_however_they_are_written(numbers: list[float]) -> None:
    given_columns = columns([(1000, number, 0) for number in numbers], T0)

    assert same_bits(decode(encode(given_columns)), given_columns)


@pytest.mark.parametrize("number", [0.0, -0.0, float("nan"), float("inf"), 230.1, 1e300])
def test_a_constant_day_costs_next_to_nothing(number: float) -> None:
    day = columns([(60_000, number, 0)] * 1440, T0)

    block = encode(day)

    assert same_bits(decode(block), day)
    assert len(block) < 110


def test_a_day_of_noisy_power_takes_at_most_five_bytes_a_value() -> None:
    random = np.random.default_rng(1)
    walk_w = 400 + np.cumsum(random.normal(0, 30, 1440)) + random.normal(0, 80, 1440)
    power_w = np.round(np.abs(walk_w), 1).astype(np.float64)
    jitter_ms = random.integers(-400, 400, 1440)
    day = Columns(T0 + np.arange(1440) * 60_000 + jitter_ms, power_w, np.zeros(1440, np.uint8))

    block = encode(day)

    assert same_bits(decode(block), day)
    assert len(block) / 1440 < 3.6


def test_values_without_a_common_scale_take_at_most_nine_bytes() -> None:
    random = np.random.default_rng(1)
    day = Columns(T0 + np.arange(1440) * 60_000, random.random(1440), np.zeros(1440, np.uint8))

    assert len(encode(day)) / 1440 < 9


BLOCK = encode(columns([(1000 + n % 7, n * 0.1, n % 2) for n in range(50)], T0))


@given(st.integers(0, len(BLOCK) - 1), st.integers(1, 255))
def test_a_changed_byte_anywhere_raises(at: int, change: int) -> None:
    damaged = bytearray(BLOCK)
    damaged[at] ^= change

    with pytest.raises(StorageCorrupt, match="WL-STO-011"):
        decode(bytes(damaged))


@given(st.integers(0, len(BLOCK) - 1))
def test_a_cut_block_raises(length: int) -> None:
    with pytest.raises(StorageCorrupt, match="WL-STO-011"):
        decode(BLOCK[:length])


@given(st.binary(max_size=300))
def test_bytes_of_others_raise(data: bytes) -> None:
    with pytest.raises(StorageCorrupt, match="WL-STO-011"):
        decode(data)


@given(st.binary(min_size=7, max_size=7), st.integers(0, 2**32 - 1), st.binary(max_size=40))
def test_a_forged_header_with_a_right_checksum_raises_or_decodes_within_its_rows(
    small: bytes, count: int, frame: bytes
) -> None:
    header = struct.pack("<2s7sIqqqq", b"WB", bytes([1]) + small[1:], count, T0, 1, 0, 0)
    forged = header + struct.pack("<I", zlib.crc32(frame, zlib.crc32(header))) + frame

    with pytest.raises(StorageCorrupt, match="WL-STO-011"):
        decode(forged)


def test_a_forged_header_cannot_ask_for_memory() -> None:
    header = struct.pack("<2s7BIqqqq", b"WB", 1, 2, 0, 0, 0, 0, 0, 2**32 - 1, T0, 1, 0, 0)
    forged = header + struct.pack("<I", zlib.crc32(header))

    with pytest.raises(StorageCorrupt, match="header"):
        decode(forged)


@pytest.mark.parametrize("ts_ms", [[], [5, 5], [5, 4]])
def test_rows_that_make_no_block_are_a_bug(ts_ms: list[int]) -> None:
    rows = Columns(np.array(ts_ms, np.int64), np.zeros(len(ts_ms)), np.zeros(len(ts_ms), np.uint8))

    with pytest.raises(Bug, match="WL-STO-031"):
        encode(rows)
