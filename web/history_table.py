"""A history as JSON columns, as CSV and as an Arrow stream; the last two are long tables (start, series, columns).

Everything is written series by series with a breath of the loop in between: a year of hours of 200 series holds
nobody up. Where nothing is known, JSON says null, Arrow null, CSV nothing.
"""

from __future__ import annotations

import asyncio
import importlib
import io
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from hub.actors.history import History
from hub.model.quality import Quality
from web.arrow_messages import END, Column, dictionary_batch, floats, numbers, record_batch, texts
from web.serialize import shares_text

ARROW = "application/vnd.apache.arrow.stream"
CSV = "text/csv"
QUALITY = "quality"
ROWS_PER_BREATH = 5_000
_SERIES_DICTIONARY = 0
"""The number that the schema gives to its first dictionary."""

_INDEX = np.int16  # of a series: one request names fewer (:func:`web.params.names_of`)
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
    return " ".join([shares_text(shown), *flags])


async def arrow_chunks(history: History) -> AsyncIterator[bytes]:
    """An Arrow IPC stream, one record batch per series; a quality is a JSON text.

    The series column is a dictionary: its name stands once in the stream, and two bytes a row say which it is.
    """
    # most hubs never need it, and the loop has no time for the import
    ipc = await asyncio.to_thread(importlib.import_module, "nanoarrow.ipc")
    names = column_names(history)
    yield _arrow_schema(names, ipc) + dictionary_batch(_SERIES_DICTIONARY, texts(list(history.series)))
    start = numbers(_label_ms(history))
    for at, columns in enumerate(history.series.values()):
        series = numbers(np.full(start.length, at, _INDEX))
        yield record_batch(
            [start, series, *(_arrow_column(name, columns.get(name), start.length) for name in names)]
        )
        await asyncio.sleep(0)
    yield END


def _label_ms(history: History) -> NDArray[np.int64]:
    """Where the buckets begin, as their labels say it: a first one that the range cuts begins before the range."""
    start_ms = np.array(history.start_ms, dtype=np.int64)
    if 0 in history.partial:
        start_ms[0] = round(datetime.fromisoformat(history.labels[0]).timestamp() * 1000)
    return start_ms


def _arrow_schema(names: Sequence[str], ipc: Any) -> bytes:
    import nanoarrow as na
    from nanoarrow.c_array_stream import CArrayStream

    fields = {"start": na.timestamp("ms", "UTC"), "series": na.dictionary(na.int16(), na.string())}
    for name in names:
        fields[name] = na.string() if name == QUALITY else na.float64()
    buffer = io.BytesIO()
    writer = ipc.StreamWriter.from_writable(buffer)
    writer.write_stream(CArrayStream.from_c_arrays([], na.c_schema(na.struct(fields))))
    writer.release()
    return buffer.getvalue()


def _arrow_column(name: str, values: Any, count: int) -> Column:
    if name == QUALITY:
        shown = padded(values or [], count)
        return texts([None if one is None else orjson.dumps(one.as_json()).decode() for one in shown])
    return floats(np.full(count, np.nan) if values is None else np.asarray(values, dtype=np.float64))


def column_names(history: History) -> list[str]:
    """Columns that any series has, numbers first and quality last."""
    found = dict.fromkeys(name for columns in history.series.values() for name in columns)
    return sorted(found, key=lambda name: name == QUALITY)
