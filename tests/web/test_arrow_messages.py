"""Messages put together by hand, read back by another reader of Arrow."""

from __future__ import annotations

import io
from typing import Any

import nanoarrow as na
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from nanoarrow import ipc
from nanoarrow.c_array_stream import CArrayStream

from web.arrow_messages import END, dictionary_batch, floats, numbers, record_batch, texts

NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False))
TEXTS = st.one_of(st.none(), st.text(max_size=20))
ROWS = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), NUMBERS, TEXTS, st.integers(0, 2)), max_size=70)
NAMES = ["", "a.power", "größe" * 20]


def schema() -> bytes:
    """Of a whole number, a float, a text and a name out of a dictionary."""
    buffer = io.BytesIO()
    fields = {"at": na.int64(), "value": na.float64(), "text": na.string(),
              "name": na.dictionary(na.int16(), na.string())}  # fmt: skip
    writer = ipc.StreamWriter.from_writable(buffer)
    writer.write_stream(CArrayStream.from_c_arrays([], na.c_schema(na.struct(fields))))
    return buffer.getvalue()


def message(rows: list[tuple[int, float | None, str | None, int]]) -> bytes:
    """Rows as one record batch."""
    return record_batch(
        [
            numbers(np.array([row[0] for row in rows], np.int64)),
            floats(np.array([row[1] for row in rows], np.float64)),
            texts([row[2] for row in rows]),
            numbers(np.array([row[3] for row in rows], np.int16)),
        ]
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(ROWS, max_size=3))
def test_another_reader_finds_the_same_rows(batches: list[Any]) -> None:
    parts = [schema(), dictionary_batch(0, texts(NAMES)), *map(message, batches), END]

    found = na.ArrayStream.from_readable(b"".join(parts)).read_all().to_pylist()

    assert found == [
        {"at": at, "value": value, "text": text, "name": NAMES[name]}
        for rows in batches
        for at, value, text, name in rows
    ]


@given(ROWS)
def test_messages_lie_at_multiples_of_eight(rows: list[Any]) -> None:
    for one in (message(rows), dictionary_batch(0, texts(NAMES)), END):
        assert len(one) % 8 == 0
