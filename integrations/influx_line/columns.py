"""A slice of ordinary lines → rows, column by column and all or none.

Collectors send the same heads and fields again and again, all with numbers. Such a slice is taken apart by a few
passes over whole columns instead of a turn of a loop for each value, which costs half. Whatever is not ordinary
to the last character is left to the line by line reading of :mod:`integrations.influx_line.lines`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from operator import getitem

import numpy as np
from numpy.typing import NDArray

from hub.plugins.api import NO_TIME, ReadingBatch
from integrations.influx_line.heads import Handles
from integrations.influx_line.precision import MAX_TS_MS, Precision

LARGEST_PLAIN = 1e18
"""A float shows integers beyond this with less than all digits: the grammar decides about them."""

_NO_GAPS = bytes(code for code in range(256) if code not in b" \n")
_NO_MARKS = bytes(code for code in range(256) if code not in b"=,\n")
_OF_FLOATS = b"0123456789.-eE"
_OF_WHOLES = b"0123456789-"


def read_columns(text: str, first: int, precision: Precision, batch: ReadingBatch, handles: Handles) -> bool:
    """Append the rows of all lines and say true, or append nothing and say false."""
    try:
        heads, fields, ts_ms = _parts(text.removesuffix("\n"), precision)
        counts = _counts(fields)
        parts = ",".join(fields).replace("=", ",").split(",")
        rows = _rows(heads, parts[0::2], counts, handles)
        values = _values(parts[1::2])
    except (ValueError, KeyError, OverflowError):
        return False
    numbers = np.repeat(np.arange(first, first + len(heads)), counts)
    if _any_twice(rows, numbers):
        return False
    no, factor, offset = handles.columns()
    batch.series += no[rows].tolist()
    batch.ts_ms += np.repeat(ts_ms, counts).tolist()
    batch.values += _stored(values, factor[rows], offset[rows])
    batch.item += numbers.tolist()
    return True


def _parts(text: str, precision: Precision) -> tuple[list[str], list[str], NDArray[np.int64]]:
    """Heads, fields and times; either all lines have a time or none has.

    Raises:
        ValueError, OverflowError: not all lines are like that.
    """
    gaps = (text + "\n").encode().translate(None, _NO_GAPS)
    lines = gaps.count(b"\n")
    parts = text.replace("\n", " ").split(" ")
    if gaps == b" \n" * lines:
        return parts[0::2], parts[1::2], np.full(lines, NO_TIME)
    if gaps != b"  \n" * lines:
        raise ValueError
    return parts[0::3], parts[1::3], _times(parts[2::3], precision)


def _times(digits: Sequence[str], precision: Precision) -> NDArray[np.int64]:
    joined = "".join(digits)
    if not (joined.isascii() and joined.isdigit()):
        raise ValueError
    ticks = np.array(list(map(int, digits)), np.int64)
    if int(ticks.max()) * precision.times // precision.per > MAX_TS_MS:
        raise ValueError
    return ticks * precision.times // precision.per


def _counts(fields: Sequence[str]) -> NDArray[np.int64]:
    """How many fields each line has; each is a name, one equals sign and a value.

    Raises:
        ValueError: not all are like that.
    """
    marks = ("\n".join(fields) + "\n").encode().translate(None, _NO_MARKS)
    line = marks[: marks.index(b"\n") + 1]
    width = len(line) // 2
    if marks.replace(b"\n", b",") != b"=," * (len(marks) // 2):
        raise ValueError
    if marks == line * len(fields):
        return np.full(len(fields), width)
    return np.array([len(one) // 2 + 1 for one in marks.split(b"\n")[:-1]])


def _rows(
    heads: Sequence[str], names: Sequence[str], counts: NDArray[np.int64], handles: Handles
) -> NDArray[np.int64]:
    """Row of the handle of each value.

    Raises:
        KeyError: one is not known yet.
    """
    known = map(handles.rows.__getitem__, heads)
    owners = chain.from_iterable(map(repeat, known, counts.tolist()))
    return np.fromiter(map(getitem, owners, names), np.int64, len(names))


def _values(texts: Sequence[str]) -> NDArray[np.float64]:
    """Numbers as ``float`` and line protocol agree about them; ``1i`` is a whole one.

    Raises:
        ValueError: one is not like that.
    """
    strange = "".join(texts).encode().translate(None, _OF_FLOATS)
    if strange:
        texts = _without_suffix(texts, strange)
    values = np.array(list(map(float, texts)))
    if not (np.abs(values) < LARGEST_PLAIN).all():
        raise ValueError
    return values


def _without_suffix(texts: Sequence[str], strange: bytes) -> list[str]:
    wholes = "".join([text[:-1] for text in texts if text[-1:] == "i"])
    if strange.strip(b"i") or wholes.encode().translate(None, _OF_WHOLES):
        raise ValueError
    return [text[:-1] if text[-1:] == "i" else text for text in texts]


def _any_twice(rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> bool:
    """Whether a line names a field twice: then the last one counts."""
    if ((rows[1:] > rows[:-1]) | (numbers[1:] != numbers[:-1])).all():
        return False
    order = np.lexsort((rows, numbers))
    line, row = numbers[order], rows[order]
    return bool(((line[1:] == line[:-1]) & (row[1:] == row[:-1])).any())


def _stored(
    values: NDArray[np.float64], factor: NDArray[np.float64], offset: NDArray[np.float64]
) -> list[float]:
    """As :meth:`SeriesHandle.stored`: rounded the exact way, which numpy does not."""
    stored: list[float] = values.tolist()
    for at in np.flatnonzero((factor != 1.0) | (offset != 0.0)).tolist():
        stored[at] = round(stored[at] * float(factor[at]) + float(offset[at]), 6)
    return stored
