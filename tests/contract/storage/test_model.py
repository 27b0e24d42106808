"""The store against a dictionary: any order of appends, sealings, imports and restarts."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.runtime.clock import FakeClock
from hub.storage import readings as r
from hub.storage.codec import Columns
from hub.storage.database import Database
from hub.storage.sealing import seal_day, write_sealed
from tests.contract.storage.rows import DAY_MS, T0, Row, batch, pairs

DAY = T0 // DAY_MS
row = st.tuples(
    st.integers(1, 2), st.integers(0, 11).map(lambda n: T0 + n * DAY_MS // 4), st.sampled_from([1.0, 2.0])
)
append = st.tuples(st.just("append"), st.lists(row, max_size=8))
seal = st.tuples(st.just("seal"), st.tuples(st.integers(1, 2), st.integers(0, 2)))
load = st.tuples(st.just("import"), st.lists(row, min_size=1, max_size=6))
reopen = st.tuples(st.just("reopen"), st.none())
steps = st.lists(st.one_of(append, append, seal, load, reopen), max_size=14)


Model = dict[tuple[int, int], float]
"""(series, ts_ms) → the first value that came."""


def arrive(model: Model, series: int, ts_ms: int, value: float) -> int:
    """What the store must answer to one row: 0 stored, 1 duplicate, 2 conflict."""
    if (series, ts_ms) not in model:
        model[series, ts_ms] = value
        return 0
    return 1 if model[series, ts_ms] == value else 2


async def run(url: str, data_dir: Path, plan: list[tuple[str, object]]) -> None:
    store = await Database.open(url, data_dir, clock=FakeClock())
    model: Model = {}
    try:
        for what, detail in plan:
            match what, detail:
                case "append", list(rows):
                    outcome = await store.append(batch(rows))
                    assert outcome.outcome.tolist() == [arrive(model, *row) for row in rows]
                case "seal", (int(series), int(day)):
                    await store.write(partial(seal_day, series=series, day=DAY + day, slice_rows=3))
                case "import", list(rows):
                    await load_day(store, model, rows)
                case _:
                    await store.close()
                    store = await Database.open(url, data_dir, clock=FakeClock())
            await check(store, model)
    finally:
        await store.close()


async def load_day(store: Database, model: Model, rows: list[Row]) -> None:
    """Import the rows that share series and day with the first."""
    series, day = rows[0][0], rows[0][1] // DAY_MS
    mine = [row for row in rows if row[0] == series and row[1] // DAY_MS == day]
    columns = Columns(
        np.array([ts for _, ts, _ in mine], np.int64),
        np.array([value for _, _, value in mine], np.float64),
        np.zeros(len(mine), np.uint8),
    )
    await store.write(partial(write_sealed, series=series, day=day, columns=columns))
    for row in mine:
        arrive(model, *row)


async def check(store: Database, model: Model) -> None:
    """Every way of reading agrees with the dictionary."""
    quarter_ms = T0 + DAY_MS // 4
    for series in (1, 2):
        expected = sorted((ts, value) for (number, ts), value in model.items() if number == series)
        found = await store.read(partial(pairs, series=series))
        part = await store.read(
            partial(r.read_columns, series=series, start_ms=T0 + 1, end_ms=T0 + DAY_MS + 1, limit=3)
        )
        before = await store.read(partial(r.read_before, series=series, ts_ms=T0 + DAY_MS, count=2))
        after = await store.read(partial(r.read_after, series=series, ts_ms=quarter_ms, count=2))
        newest = await store.read(partial(r.last_rows, series_nos=[series]))
        assert found == expected
        assert part.ts_ms.tolist() == [ts for ts, _ in expected if T0 < ts <= T0 + DAY_MS][:3]
        assert before.ts_ms.tolist() == [ts for ts, _ in expected if ts < T0 + DAY_MS][-2:]
        assert after.ts_ms.tolist() == [ts for ts, _ in expected if ts > quarter_ms][:2]
        assert [last[:2] for last in newest.values()] == expected[-1:]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_any_history_on_sqlite_reads_like_a_dictionary(plan: list[tuple[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(run("sqlite:///hub.db", Path(place), plan))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_long_history_reads_like_a_dictionary(store_url: str, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)

    def rows(at_most: int) -> list[Row]:
        return [
            (dice.randint(1, 2), T0 + dice.randint(0, 11) * DAY_MS // 4, float(dice.randint(1, 2)))
            for _ in range(dice.randint(1, at_most))
        ]

    choices: list[Callable[[], tuple[str, object]]] = [
        lambda: ("append", rows(8)),
        lambda: ("seal", (dice.randint(1, 2), dice.randint(0, 2))),
        lambda: ("import", rows(6)),
        lambda: ("reopen", None),
    ]
    plan = [make() for make in dice.choices(choices, weights=(6, 4, 3, 1), k=50)]

    asyncio.run(run(store_url, tmp_path, plan))
