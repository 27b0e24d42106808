"""Blocks of derived rows: the columns of one series and period, in families that are read apart.

A chart of energy needs ``delta`` only, so quality and gauge statistics are blocks of their own. A block is
a header (version, family, rows, first start, step), then the columns one after the other, all in one zstd frame.
``step`` is the distance of the rows, or 0 where the starts are written out (days of 23 to 25 hours).
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from hub.errors import StorageCorrupt

CODEC: Final = 1
FAMILIES: Final[Mapping[str, Sequence[str]]] = {
    "delta": ("delta", "has_delta"),
    "quality": ("measured_ms", "late_ms", "estimated_ms", "suspect_ms", "flags", "count"),
    "gauge": ("mean", "min", "max", "last"),
}
_HEADER = struct.Struct("<BBIqq")
_NARROW: Final = np.iinfo(np.int32)
_DTYPES: Final[Mapping[int, np.dtype[Any]]] = {
    0: np.dtype("<i4"),
    1: np.dtype("<i8"),
    2: np.dtype("<f8"),
    3: np.dtype("u1"),
}
_FAMILY_NO: Final = {name: number for number, name in enumerate(FAMILIES)}
_THREAD = threading.local()

Columns = dict[str, NDArray[Any]]


def encode(family: str, start_ms: NDArray[np.int64], columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Columns of ``family`` → bytes; ``start_ms`` rises strictly and holds at least one row."""
    step_ms = _even_step(start_ms)
    parts: list[bytes] = []
    if step_ms == 0:
        parts.append(np.diff(start_ms, prepend=start_ms[0]).astype("<i8").tobytes())
    for name in FAMILIES[family]:
        number, packed = _packed(columns[name])
        parts.append(bytes((number,)) + packed)
    header = _HEADER.pack(CODEC, _FAMILY_NO[family], len(start_ms), int(start_ms[0]), step_ms)
    return header + _compressor().compress(b"".join(parts))


class Run(NamedTuple):
    """So many rows, ``step_ms`` apart from ``first_ms`` on; where that is 0 the columns hold ``start_ms``."""

    first_ms: int
    step_ms: int
    rows: int
    columns: Columns


def decode(family: str, data: bytes, *, wanted: Sequence[str] | None = None) -> Columns:
    """Bytes → ``start_ms`` and the columns of ``family`` (or only the ``wanted`` ones).

    Raises:
        StorageCorrupt: ``WL-STO-012`` for bytes that are no such block.
    """
    run = decode_run(family, data, wanted=wanted)
    if run.step_ms == 0:
        return run.columns
    return {"start_ms": run.first_ms + run.step_ms * np.arange(run.rows, dtype=np.int64), **run.columns}


def decode_run(family: str, data: bytes, *, wanted: Sequence[str] | None = None) -> Run:
    """As :func:`decode`, without writing out the starts of rows that are evenly apart."""
    try:
        codec, number, rows, first_ms, step_ms = _HEADER.unpack_from(data)
        if codec != CODEC or number != _FAMILY_NO[family]:
            raise ValueError(f"codec {codec}, family {number}")
        raw = _decompressor().decompress(data[_HEADER.size :])
        return Run(first_ms, step_ms, rows, _unpacked(family, raw, rows, first_ms, step_ms, wanted))
    except (struct.error, zstandard.ZstdError, ValueError, KeyError, IndexError) as error:
        raise StorageCorrupt(
            "WL-STO-012",
            f"a block of derived {family} is damaged ({error})",
            hint="wattline db rebuild makes it again from the readings",
        ) from error


def _unpacked(
    family: str, raw: bytes, rows: int, first_ms: int, step_ms: int, wanted: Sequence[str] | None
) -> Columns:
    at = 0
    columns: Columns = {}
    if step_ms == 0:
        columns["start_ms"] = first_ms + np.cumsum(np.frombuffer(raw, "<i8", rows))
        at = rows * 8
    for name in FAMILIES[family]:
        dtype = _DTYPES[raw[at]]
        if wanted is None or name in wanted:
            columns[name] = np.frombuffer(raw, dtype, rows, at + 1)
        at += 1 + rows * dtype.itemsize
    if at != len(raw):
        raise ValueError(f"{len(raw)} bytes instead of {at}")
    if "has_delta" in columns:
        columns["has_delta"] = columns["has_delta"].view(np.bool_)
    return columns


def _even_step(start_ms: NDArray[np.int64]) -> int:
    if len(start_ms) < 2:
        return 1
    steps = np.diff(start_ms)
    return int(steps[0]) if (steps == steps[0]).all() else 0


def _packed(column: NDArray[Any]) -> tuple[int, bytes]:
    if column.dtype.kind == "f":
        return 2, column.astype("<f8").tobytes()
    if column.dtype.kind == "b":
        return 3, column.astype("u1").tobytes()
    narrow = not len(column) or (column.min() >= _NARROW.min and column.max() <= _NARROW.max)
    return (0, column.astype("<i4").tobytes()) if narrow else (1, column.astype("<i8").tobytes())


def _compressor() -> zstandard.ZstdCompressor:
    if not hasattr(_THREAD, "compressor"):
        _THREAD.compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
    return _THREAD.compressor  # type: ignore[no-any-return]  # threading.local is untyped


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_THREAD, "decompressor"):
        _THREAD.decompressor = zstandard.ZstdDecompressor()
    return _THREAD.decompressor  # type: ignore[no-any-return]  # threading.local is untyped
