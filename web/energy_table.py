"""Tables of energy as CSV and as an Arrow stream: one row per bucket or device, sorted, without holes.

A text that a spreadsheet would run as a formula (``=``, ``+``, ``-``, ``@`` or a tab first) gets an apostrophe
before it; numbers stay numbers. With a decimal comma the cells are separated by semicolons.
"""

from __future__ import annotations

import asyncio
import importlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # some take the wide ones, too


@dataclass(frozen=True, slots=True)
class Column:
    """A column of texts, of numbers, or of times (epoch ms, with the texts to show); None is an empty cell."""

    name: str
    cells: Sequence[Any]
    kind: str = "number"
    shown: Sequence[str] | None = None


def csv_bytes(columns: Sequence[Column], *, comma: bool = False) -> bytes:
    """Header and rows; times as ISO 8601 with their offset."""
    separator = ";" if comma else ","
    texts = [_texts(column, separator, comma=comma) for column in columns]
    lines = [separator.join(_text(column.name, separator) for column in columns)]
    lines += [separator.join(row) for row in zip(*texts, strict=True)]
    return ("\r\n".join(lines) + "\r\n").encode()


def _texts(column: Column, separator: str, *, comma: bool) -> list[str]:
    if column.kind == "time":
        return list(column.shown or [])
    if column.kind == "text":
        return ["" if cell is None else _text(str(cell), separator) for cell in column.cells]
    numbers = ["" if cell is None else str(cell) for cell in column.cells]
    return [text.replace(".", ",") for text in numbers] if comma else numbers


def _text(text: str, separator: str) -> str:
    if text.startswith(_FORMULA):
        text = "'" + text
    if any(mark in text for mark in (separator, '"', "\n", "\r")):
        return '"' + text.replace('"', '""') + '"'
    return text


async def arrow_bytes(columns: Sequence[Column]) -> bytes:
    """An Arrow IPC stream of one record batch; decimal texts become float64."""
    # most hubs never need it, and the loop has no time for the import
    ipc = await asyncio.to_thread(importlib.import_module, "nanoarrow.ipc")
    return await asyncio.to_thread(_arrow, ipc, columns)


def _arrow(ipc: Any, columns: Sequence[Column]) -> bytes:
    import nanoarrow as na

    fields = {column.name: _arrow_type(column) for column in columns}
    count = len(columns[0].cells) if columns else 0
    children = [_arrow_array(column) for column in columns]
    batch = na.c_array_from_buffers(na.struct(fields), count, [None], children=children, null_count=0)
    buffer = io.BytesIO()
    with ipc.StreamWriter.from_writable(buffer) as writer:
        writer.write_array(batch)
    return buffer.getvalue()


def _arrow_type(column: Column) -> Any:
    import nanoarrow as na

    if column.kind == "time":
        return na.timestamp("ms", "UTC")
    return na.string() if column.kind == "text" else na.float64()


def _arrow_array(column: Column) -> Any:
    import nanoarrow as na

    if column.kind == "time":
        times = np.asarray(column.cells, np.int64)
        return na.c_array_from_buffers(_arrow_type(column), len(times), [None, times], null_count=0)
    if column.kind == "text":
        return na.c_array([None if cell is None else str(cell) for cell in column.cells], na.string())
    numbers = np.array([np.nan if cell is None else float(cell) for cell in column.cells], np.float64)
    known = ~np.isnan(numbers)
    nulls = len(numbers) - int(np.count_nonzero(known))
    bitmap = np.packbits(known, bitorder="little") if nulls else None
    return na.c_array_from_buffers(na.float64(), len(numbers), [bitmap, numbers], null_count=nulls)
