"""The same house on a real PostgreSQL: recorder, derivation, history, housekeeping, restart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hub.actors.processing import GetHistory, KeepHouse
from hub.model.reading import Stored
from hub.runtime.actor import request
from hub.storage import slots
from hub.storage.rederive import rederive
from tests.hub.actors.house import NOW_MS, running_house

DAY_MS = 86_400_000


async def test_a_house_lives_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    first_ms = NOW_MS - 70 * DAY_MS
    ask = GetHistory(
        ("meter.power", "meter.energy_import"), first_ms, NOW_MS, "1d", ("energy", "mean", "quality")
    )
    async with running_house(tmp_path, url=postgres_url) as house:
        power, register = await house.declare("meter", "power", "energy_import")
        rows = [(power, first_ms + at * 1_200_000, 300.0 + at % 7) for at in range(5000)]
        rows += [(register, first_ms + at * 1_200_000, at * 100.0) for at in range(5000)]
        assert await house.store(rows) == Stored(accepted=10_000)
        again = await house.store([*rows[:10], (power, first_ms, 1.0)])
        assert (again.duplicates, [one.code for one in again.rejections]) == (10, ["WL-ING-043"])
        await house.work()
        before = await request(house.ref("processing"), ask)
        assert np.nansum(
            np.asarray(before.series["meter.energy_import"]["energy"], np.float64)
        ) == pytest.approx(499_900.0, abs=1e-6)
        assert await request(house.ref("processing"), KeepHouse(), timeout_s=100) > 100
    async with running_house(tmp_path, url=postgres_url) as house:
        after = await request(house.ref("processing"), ask)
        for name, columns in before.series.items():
            for column, values in columns.items():
                np.testing.assert_array_equal(
                    np.asarray(values, dtype=object if column == "quality" else None),
                    np.asarray(after.series[name][column], dtype=object if column == "quality" else None),
                )
        for series in house.registry.all_series():
            stored = await house.database.read(
                lambda conn, series=series: slots.read(conn, [series.no], slots.SLOT, 0, 1 << 52)[series.no]  # type: ignore[misc]  # bound per turn
            )
            whole = await house.database.read(
                lambda conn, series=series: rederive(conn, series, first_ms - DAY_MS, NOW_MS)  # type: ignore[misc]  # bound per turn
            )
            assert stored.same_as(whole.derived.slots)
