"""Messages of an Arrow IPC stream, put together from the columns' own memory.

A library that copies every column into an array of its own, and that again into a message, costs several times
what the bytes do; and it writes no dictionaries. The schema, which comes once and has many forms, is the
library's.

A message is a flatbuffer with the metadata, then the body: buffers one after the other, each at a multiple of
eight. Everything in the flatbuffers here has one fixed place, so they are packed from the front to the back.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

END = b"\xff\xff\xff\xff\0\0\0\0"
"""Nothing comes after this."""

_DICTIONARY, _RECORDS = 2, 3
_VERSION = 4  # of the metadata: V5
_ALIGNED = 8
_MESSAGE_BYTES = 40


class Column(NamedTuple):
    """``length`` values; ``buffers`` are the validity bitmap (empty where nothing is null) and the data."""

    length: int
    nulls: int
    buffers: tuple[bytes, ...]


def numbers(values: NDArray[np.generic]) -> Column:
    """A column without nulls."""
    return Column(len(values), 0, (b"", np.ascontiguousarray(values).tobytes()))


def floats(values: NDArray[np.float64]) -> Column:
    """A column of floats where not-a-number is null."""
    known = ~np.isnan(values)
    nulls = len(values) - int(np.count_nonzero(known))
    bitmap = np.packbits(known, bitorder="little").tobytes() if nulls else b""
    return Column(len(values), nulls, (bitmap, np.ascontiguousarray(values).tobytes()))


def texts(values: Sequence[str | None]) -> Column:
    """A column of UTF-8."""
    parts = [b"" if value is None else value.encode() for value in values]
    offsets = np.zeros(len(parts) + 1, np.int32)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    known = np.array([value is not None for value in values], np.bool_)
    nulls = len(parts) - int(np.count_nonzero(known))
    bitmap = np.packbits(known, bitorder="little").tobytes() if nulls else b""
    return Column(len(parts), nulls, (bitmap, offsets.tobytes(), b"".join(parts)))


def record_batch(columns: Sequence[Column]) -> bytes:
    """Rows of all columns of the schema, in its order."""
    header, table = _batch(columns, _MESSAGE_BYTES)
    return _message(_RECORDS, header, table, _body(columns))


def dictionary_batch(number: int, values: Column) -> bytes:
    """What the indices of the columns with this dictionary mean."""
    batch, table = _batch([values], _MESSAGE_BYTES + 32)
    at = _MESSAGE_BYTES + 16  # of the table: its vtable lies before it
    header = struct.pack("<8xHHHHiIq", 8, 16, 8, 4, 8, table - (at + 4), number)
    return _message(_DICTIONARY, header + batch, at, _body([values]))


def _message(kind: int, header: bytes, header_table: int, body: bytes) -> bytes:
    """``header`` begins at :data:`_MESSAGE_BYTES`, and its table lies at ``header_table``."""
    message = struct.pack(
        "<I6HiIqhB5x", 16, 12, 24, 16, 18, 4, 8, 12, header_table - 20, len(body), _VERSION, kind
    )
    metadata = message + header + bytes(-len(header) % _ALIGNED)
    return b"".join((b"\xff\xff\xff\xff", struct.pack("<I", len(metadata)), metadata, body))


def _batch(columns: Sequence[Column], start: int) -> tuple[bytes, int]:
    """The table of a record batch that is put at ``start``, and where its table lies."""
    table = start + 16
    nodes = table + 28
    buffers = nodes + 4 + 16 * len(columns) + 4
    ranges: list[int] = []
    offset = 0
    for buffer in (buffer for column in columns for buffer in column.buffers):
        ranges += (offset, len(buffer))
        offset += len(buffer) + -len(buffer) % _ALIGNED
    packed = [
        struct.pack("<4xHHHHH2xi", 10, 24, 8, 4, 16, 12),
        struct.pack("<IqI4x", nodes - (table + 4), columns[0].length, buffers - (table + 16)),
        struct.pack(f"<4xI{2 * len(columns)}q", len(columns), *(n for one in columns for n in one[:2])),
        struct.pack(f"<4xI{len(ranges)}q", len(ranges) // 2, *ranges),
    ]
    return b"".join(packed), table


def _body(columns: Sequence[Column]) -> bytes:
    parts: list[bytes] = []
    for buffer in (buffer for column in columns for buffer in column.buffers):
        parts += (buffer, bytes(-len(buffer) % _ALIGNED))
    return b"".join(parts)
