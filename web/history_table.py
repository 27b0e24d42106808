"""A history as JSON columns, as CSV and as an Arrow stream; the last two are long tables (start, series, columns).

Everything is written series by series with a breath of the loop in between: a year of hours of 200 series holds
nobody up. Where nothing is known, JSON says null, Arrow null, CSV nothing.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from hub.actors.history import History
from hub.model.quality import Quality

ARROW = "application/vnd.apache.arrow.stream"
CSV = "text/csv"
QUALITY = "quality"
ROWS_PER_BREATH = 5_000
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY


async def json_document(history: History) -> bytes:
    """The columns as one JSON document; ``partial`` names the buckets that the asked range cuts, if any."""
    head = {"resolution": history.resolution, "unit": history.units, "start": history.labels}
    parts = [orjson.dumps(head)[:-1], b',"series":{']
    separator = b""
    for name, columns in history.series.items():
        shown = {column: _json_column(values, len(history.labels)) for column, values in columns.items()}
        parts += [separator, orjson.dumps(name), b":", orjson.dumps(shown, option=_OPTIONS)]
        separator = b","
        await asyncio.sleep(0)
    parts.append(b"}")
    if history.partial:
        parts += [b',"partial":', orjson.dumps([history.labels[at] for at in history.partial])]
    parts.append(b"}")
    return b"".join(parts)


def _json_column(values: Any, count: int) -> Any:
    if isinstance(values, np.ndarray):
        return np.ascontiguousarray(values)
    return [None if one is None else one.as_json() for one in padded(values, count)]


def padded(qualities: Sequence[Quality], count: int) -> list[Quality | None]:
    """Qualities up to now, with nothing for the buckets of the future."""
    return [*qualities, *[None] * (count - len(qualities))]


async def csv_lines(history: History) -> AsyncIterator[bytes]:
    """Header and rows; a quality is ``measured=0.9 late=0.1``."""
    names = column_names(history)
    yield (",".join(["start", "series", *names]) + "\r\n").encode()
    for series, columns in history.series.items():
        cells = [_csv_column(columns.get(name), len(history.labels)) for name in names]
        for begin in range(0, len(history.labels), ROWS_PER_BREATH):
            part = slice(begin, begin + ROWS_PER_BREATH)
            rows = zip(history.labels[part], *(column[part] for column in cells), strict=True)
            yield "".join(f"{start},{series},{','.join(row)}\r\n" for start, *row in rows).encode()
            await asyncio.sleep(0)


def _csv_column(values: Any, count: int) -> list[str]:
    if values is None:
        return [""] * count
    if isinstance(values, np.ndarray):
        return ["" if value != value else repr(value) for value in values.tolist()]
    return ["" if one is None else _quality_text(one) for one in padded(values, count)]


def _quality_text(quality: Quality) -> str:
    shown = quality.as_json()
    flags = shown.pop("flags", [])
    assert isinstance(flags, list)
    return " ".join([*(f"{name}={share}" for name, share in shown.items()), *flags])


async def arrow_chunks(history: History) -> AsyncIterator[bytes]:
    """An Arrow IPC stream, one record batch per series; a quality is a JSON text."""
    # most hubs never need it, and the loop has no time for the import
    ipc = await asyncio.to_thread(importlib.import_module, "nanoarrow.ipc")
    names = column_names(history)
    schema, buffer = _arrow_schema(names, history), _Chunks()
    start_ms = _label_ms(history)
    with ipc.StreamWriter.from_writable(buffer) as writer:
        writer.write_array(_arrow_batch(schema, "", start_ms[:0], names, {}))
        for series, columns in history.series.items():
            writer.write_array(_arrow_batch(schema, series, start_ms, names, columns))
            yield buffer.take()
            await asyncio.sleep(0)
    yield buffer.take()


def _label_ms(history: History) -> NDArray[np.int64]:
    """Where the buckets begin, as their labels say it: a first one that the range cuts begins before the range."""
    start_ms = np.array(history.start_ms, dtype=np.int64)
    if 0 in history.partial:
        start_ms[0] = round(datetime.fromisoformat(history.labels[0]).timestamp() * 1000)
    return start_ms


class _Chunks:
    """What the writer writes to: keeps the pieces until they are sent."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def _arrow_schema(names: Sequence[str], history: History) -> Any:
    import nanoarrow as na

    fields = {"start": na.timestamp("ms", "UTC"), "series": na.string()}
    for name in names:
        fields[name] = na.string() if name == QUALITY else na.float64()
    return na.struct(fields)


def _arrow_batch(
    schema: Any, series: str, start_ms: NDArray[np.int64], names: Sequence[str], columns: dict[str, Any]
) -> Any:
    import nanoarrow as na

    count = len(start_ms)
    text = series.encode()
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(len(text))
    children = [
        na.c_array_from_buffers(na.timestamp("ms", "UTC"), count, [None, start_ms], null_count=0),
        na.c_array_from_buffers(na.string(), count, [None, offsets, text * count], null_count=0),
        *(_arrow_column(name, columns.get(name), count) for name in names),
    ]
    return na.c_array_from_buffers(schema, count, [None], children=children, null_count=0)


def _arrow_column(name: str, values: Any, count: int) -> Any:
    import nanoarrow as na

    if name == QUALITY:
        texts = [
            None if one is None else orjson.dumps(one.as_json()).decode()
            for one in padded(values or [], count)
        ]
        return na.c_array(texts, na.string())
    numbers = np.full(count, np.nan) if values is None else np.ascontiguousarray(values, dtype=np.float64)
    known = ~np.isnan(numbers)
    nulls = count - int(np.count_nonzero(known))
    bitmap = np.packbits(known, bitorder="little") if nulls else None
    return na.c_array_from_buffers(na.float64(), count, [bitmap, numbers], null_count=nulls)


def column_names(history: History) -> list[str]:
    """Columns that any series has, numbers first and quality last."""
    found = dict.fromkeys(name for columns in history.series.values() for name in columns)
    return sorted(found, key=lambda name: name == QUALITY)
