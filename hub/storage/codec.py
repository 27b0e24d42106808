"""Lossless blocks of readings: one series, one UTC day, about two to five bytes a value.

A block is a header and one zstd frame. The frame holds three columns, each as narrow as it can be:

- times as differences less the smallest difference (nothing at all where they are regular),
- values as whole numbers of ``10**-decimals`` where that gives every bit back (less the smallest, or as
  differences), else as float64, with the bytes of equal weight side by side where that packs better,
- flags as bytes (nothing where all are equal).

``encode`` tries what fits and keeps the smallest. Damaged bytes raise; they never become numbers.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from hub.errors import Bug, StorageCorrupt
from hub.storage.failures import corrupt

CODEC_VERSION = 1
"""Stored beside each block (column ``codec``) and inside it."""

MAX_ROWS = 86_400_000
"""Rows of a day at one per millisecond: a header that says more is damaged."""

_MAGIC = b"WB"
_LEVEL = 3
_FLOATS, _FLOAT_PLANES, _WHOLE, _WHOLE_STEPS = range(4)
_MAX_DECIMALS = 6
_EXACT_LIMIT = float(1 << 53)
_PROBE_ROWS = 32
_WIDTHS = {0: np.uint8, 1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
# magic, version, kind, decimals, widths of times, values and flags, common flag, rows,
# first time, smallest time step, base of the values, smallest value step
_HEADER = struct.Struct("<2s7BIqqqq")
_CRC = struct.Struct("<I")
_OVERHEAD = _HEADER.size + _CRC.size


class Columns(NamedTuple):
    """Readings of one series, strictly ascending in ``ts_ms``."""

    ts_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    flags: NDArray[np.uint8]


def no_rows() -> Columns:
    """Columns without a row."""
    return Columns(np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.uint8))


class _Packed(NamedTuple):
    """A column of values ready for the frame."""

    kind: int
    decimals: int
    width: int
    base: int
    step: int
    data: bytes


class _Zstd(threading.local):
    """Contexts are cheap to use again and not safe to share between threads."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=False)
        self.decompressor = zstandard.ZstdDecompressor()


_ZSTD = _Zstd()


def encode(columns: Columns) -> bytes:
    """Columns of at least one row → a block.

    Raises:
        Bug: ``WL-STO-031`` for no rows, or times that do not strictly ascend.
    """
    ts_ms, values, flags = columns
    count = len(ts_ms)
    if not count or len(values) != count or len(flags) != count:
        raise Bug("WL-STO-031", "a block needs rows, and columns of one length", where="codec")
    steps = np.diff(ts_ms)
    if count > 1 and int(steps.min()) <= 0:
        raise Bug("WL-STO-031", "times of a block must strictly ascend", where="codec")
    time_step, time_width, times = _narrow(steps)
    flag_width = int(bool((flags != flags[0]).any()))
    tail = flags.tobytes() if flag_width else b""
    best: tuple[_Packed, bytes] | None = None
    for packed in _candidates(values):
        frame = _ZSTD.compressor.compress(times + packed.data + tail)
        if best is None or len(frame) < len(best[1]):
            best = packed, frame
    assert best is not None
    packed, frame = best
    header = _HEADER.pack(
        _MAGIC, CODEC_VERSION, packed.kind, packed.decimals, time_width, packed.width, flag_width,
        int(flags[0]), count, int(ts_ms[0]), time_step, packed.base, packed.step,
    )  # fmt: skip
    return header + _CRC.pack(zlib.crc32(frame, zlib.crc32(header))) + frame


def decode(block: bytes, *, where: str = "reading_blocks") -> Columns:
    """A block → its columns, bit for bit as they were given to :func:`encode`.

    Raises:
        StorageCorrupt: ``WL-STO-011`` for bytes that are damaged, cut, or of a newer version.
    """
    if len(block) < _OVERHEAD:
        raise corrupt(where, f"a block of {len(block)} bytes is cut")
    (
        magic, version, kind, decimals, time_width, value_width, flag_width,
        flag, count, first_ms, time_step, base, value_step,
    ) = _HEADER.unpack_from(block)  # fmt: skip
    if magic != _MAGIC or version != CODEC_VERSION:
        raise corrupt(where, f"a block starts with {block[:3]!r} instead of magic and version")
    frame = memoryview(block)[_OVERHEAD:]
    (crc,) = _CRC.unpack_from(block, _HEADER.size)
    if zlib.crc32(frame, zlib.crc32(memoryview(block)[: _HEADER.size])) != crc:
        raise corrupt(where, "a block does not match its checksum")
    widths = {time_width, value_width, flag_width}
    if not 0 < count <= MAX_ROWS or kind > _WHOLE_STEPS or not widths <= _WIDTHS.keys():
        raise corrupt(where, "a block has a header that no encoder writes")
    time_bytes = (count - 1) * time_width
    value_bytes = (count - 1 if kind == _WHOLE_STEPS else count) * value_width
    data = _inflate(frame, time_bytes + value_bytes + count * flag_width, where)
    ts_ms = _running(first_ms, _widen(data, 0, time_width, count - 1), time_step, count)
    values = _values(data, time_bytes, kind, decimals, value_width, base, value_step, count)
    flags = (
        np.frombuffer(data, np.uint8, count, time_bytes + value_bytes)
        if flag_width
        else np.full(count, flag, np.uint8)
    )
    return Columns(ts_ms, values, flags)


def _inflate(frame: memoryview, size: int, where: str) -> bytes:
    """The frame's bytes, exactly ``size`` of them: a frame cannot unfold to more than its header says."""
    try:
        if zstandard.frame_content_size(frame) != size:
            raise _wrong_size(where)
        data = _ZSTD.decompressor.decompress(frame) if size else b""
    except zstandard.ZstdError as error:
        raise corrupt(where, "a block cannot be decompressed") from error
    if len(data) != size:
        raise _wrong_size(where)
    return data


def _wrong_size(where: str) -> StorageCorrupt:
    return corrupt(where, "a block holds another number of bytes than its header says")


def _candidates(values: NDArray[np.float64]) -> Iterator[_Packed]:
    """Ways to write the values, each exact."""
    decimals = _decimals(values)
    if decimals is None:
        raw = values.astype("<f8", copy=False)
        yield _Packed(_FLOATS, 0, 8, 0, 0, raw.tobytes())
        yield _Packed(_FLOAT_PLANES, 0, 8, 0, 0, _planes(raw.view(np.uint64)))
        return
    whole = np.rint(values * 10.0**decimals).astype(np.int64)
    base, width, data = _narrow(whole)
    yield _Packed(_WHOLE, decimals, width, base, 0, data)
    step, width, data = _narrow(np.diff(whole))
    yield _Packed(_WHOLE_STEPS, decimals, width, int(whole[0]), step, data)


def _decimals(values: NDArray[np.float64]) -> int | None:
    """Fewest decimals that give every value back to the last bit, ``None`` if there are none."""
    probe = values[:_PROBE_ROWS]
    for decimals in range(_MAX_DECIMALS + 1):
        if _is_exact(probe, decimals) and _is_exact(values, decimals):
            return decimals
    return None


def _is_exact(values: NDArray[np.float64], decimals: int) -> bool:
    scale = 10.0**decimals
    with np.errstate(invalid="ignore", over="ignore"):
        whole = np.rint(values * scale)
        if not bool((np.abs(whole) < _EXACT_LIMIT).all()):  # false for NaN and infinity as well
            return False
        # through whole numbers and compared as bits, for that is the way back: -0.0 is not 0
        back = whole.astype(np.int64) / scale
    return bool((back.view(np.int64) == np.ascontiguousarray(values).view(np.int64)).all())


def _narrow(numbers: NDArray[np.int64]) -> tuple[int, int, bytes]:
    """Numbers → (smallest, bytes per number, the rest above the smallest in byte planes)."""
    if not len(numbers):
        return 0, 0, b""
    low = int(numbers.min())
    span = int(numbers.max()) - low
    width = next(width for width in _WIDTHS if span < 1 << (8 * width))
    if not width:
        return low, 0, b""
    above = (numbers - low).astype(_WIDTHS[width])
    return low, width, _planes(above)


def _planes(numbers: NDArray[np.unsignedinteger]) -> bytes:
    """Bytes of equal weight side by side, for they resemble each other."""
    width = numbers.dtype.itemsize
    as_bytes = numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).view(np.uint8)
    return as_bytes.reshape(-1, width).T.tobytes()


def _widen(data: bytes, offset: int, width: int, count: int) -> NDArray[np.unsignedinteger] | None:
    """Inverse of :func:`_planes`; ``None`` for a column without bytes."""
    if not width or not count:
        return None
    planes = np.frombuffer(data, np.uint8, width * count, offset).reshape(width, count)
    return np.ascontiguousarray(planes.T).view(f"<u{width}").reshape(count)


def _running(
    first: int, above: NDArray[np.unsignedinteger] | None, step: int, count: int
) -> NDArray[np.int64]:
    """Sum up steps from ``first``."""
    if above is None:
        return np.arange(count, dtype=np.int64) * step + first
    out = np.empty(count, np.int64)
    out[0] = first
    np.add(above, step, out=out[1:], dtype=np.int64, casting="unsafe")
    return np.cumsum(out, out=out)


def _values(
    data: bytes, offset: int, kind: int, decimals: int, width: int, base: int, step: int, count: int
) -> NDArray[np.float64]:
    if kind == _FLOATS:
        return np.frombuffer(data, "<f8", count, offset).astype(np.float64, copy=False)
    if kind == _FLOAT_PLANES:
        planes = _widen(data, offset, 8, count)
        assert planes is not None
        return planes.view(np.float64)
    if kind == _WHOLE_STEPS:
        whole = _running(base, _widen(data, offset, width, count - 1), step, count)
    else:
        above = _widen(data, offset, width, count)
        whole = np.full(count, base, np.int64) if above is None else above.astype(np.int64) + base
    return whole / 10.0**decimals
