"""One history in three forms; the Arrow form is read back by another reader."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import nanoarrow as na
import numpy as np
import orjson
import pytest

from hub.actors.history import History
from hub.model.quality import Flag, Quality
from web.history_table import arrow_chunks, csv_lines, json_document

GOOD = Quality(1.0, 0.0, 0.0, 0.0, 0.0)
HALF = Quality(0.5, 0.0, 0.0, 0.0, 0.5, Flag.GAP)


def _history(count: int = 3, series: int = 2) -> History:
    start_ms = np.arange(count, dtype=np.int64) * 86_400_000
    energy = np.arange(count, dtype=np.float64) + 0.5
    energy[1] = np.nan
    figures = {f"meter-{n}.energy": {"energy": energy * (n + 1)} for n in range(series)}
    figures["meter-0.energy"]["quality"] = [GOOD, HALF]  # type: ignore[assignment]
    labels = tuple(f"1970-01-{n + 1:02}T00:00:00+00:00" for n in range(count))
    return History("1d", labels, start_ms, start_ms + 86_400_000, (), dict.fromkeys(figures, "Wh"), figures)  # type: ignore[arg-type]


async def test_json_has_the_shape_clients_rely_on() -> None:
    document = orjson.loads(await json_document(_history()))

    assert document == {
        "resolution": "1d",
        "unit": {"meter-0.energy": "Wh", "meter-1.energy": "Wh"},
        "start": list(_history().labels),
        "series": {
            "meter-0.energy": {
                "energy": [0.5, None, 2.5],
                "quality": [{"measured": 1.0}, {"measured": 0.5, "missing": 0.5, "flags": ["gap"]}, None],
            },
            "meter-1.energy": {"energy": [1.0, None, 5.0]},
        },
    }


async def test_cut_buckets_are_named_and_begin_alike_in_every_form() -> None:
    whole = _history()
    start_ms = whole.start_ms.copy()
    start_ms[0] += 3_600_000
    cut = replace(whole, start_ms=start_ms, partial=(0, 2))

    document = orjson.loads(await json_document(cut))
    stream = b"".join([chunk async for chunk in arrow_chunks(cut)])
    rows = na.ArrayStream.from_readable(stream).read_all().to_pylist()

    assert document["partial"] == [whole.labels[0], whole.labels[2]]
    assert [row["start"].isoformat() for row in rows[:3]] == document["start"]


async def test_csv_is_a_long_table_with_empty_cells() -> None:
    text = b"".join([chunk async for chunk in csv_lines(_history())]).decode()
    rows = list(csv.DictReader(io.StringIO(text)))

    assert [row["series"] for row in rows] == ["meter-0.energy"] * 3 + ["meter-1.energy"] * 3
    assert [row["energy"] for row in rows] == ["0.5", "", "2.5", "1.0", "", "5.0"]
    assert [row["quality"] for row in rows] == [
        "measured=1.0",
        "measured=0.5 missing=0.5 gap",
        "",
        "",
        "",
        "",
    ]


async def test_arrow_is_the_same_long_table() -> None:
    stream = b"".join([chunk async for chunk in arrow_chunks(_history())])
    table = na.ArrayStream.from_readable(stream).read_all()
    rows = table.to_pylist()

    assert [row["energy"] for row in rows] == [0.5, None, 2.5, 1.0, None, 5.0]
    assert [row["series"] for row in rows][2:4] == ["meter-0.energy", "meter-1.energy"]
    assert rows[1]["start"].timestamp() == 86_400
    assert orjson.loads(rows[1]["quality"]) == {"measured": 0.5, "missing": 0.5, "flags": ["gap"]}


async def test_arrow_holds_each_name_once_whatever_the_number_of_rows() -> None:
    stream = b"".join([chunk async for chunk in arrow_chunks(_history(500, 130))])
    rows = na.ArrayStream.from_readable(stream).read_all().to_pylist()

    assert [row["series"] for row in rows] == [f"meter-{n}.energy" for n in range(130) for _ in range(500)]
    assert all(stream.count(f"meter-{n}.energy".encode()) == 1 for n in range(130))


@pytest.mark.parametrize(("count", "series"), [(0, 1), (0, 0), (3, 1)])
async def test_every_form_of_an_empty_history_is_whole(count: int, series: int) -> None:
    start_ms = np.arange(count, dtype=np.int64)
    figures = {f"m{n}.power": {"mean": np.full(count, np.nan)} for n in range(series)}
    empty = History("1h", ("x",) * count, start_ms, start_ms, (), dict.fromkeys(figures, "W"), figures)  # type: ignore[arg-type]

    stream = b"".join([chunk async for chunk in arrow_chunks(empty)])
    table = na.ArrayStream.from_readable(stream).read_all()
    document = orjson.loads(await json_document(empty))
    lines = b"".join([chunk async for chunk in csv_lines(empty)]).splitlines()

    assert len(table) == count * series
    assert document["series"] == {name: {"mean": [None] * count} for name in figures}
    assert len(lines) == 1 + count * series


async def test_a_year_of_hours_of_two_hundred_series_is_written_in_pieces() -> None:
    """A slow reader must never have a whole year of everything waiting in the hub's memory."""
    sizes = [len(chunk) async for chunk in arrow_chunks(_history(8_760, 200))]

    assert sum(sizes) > 35_000_000
    assert max(sizes) < 4_000_000
