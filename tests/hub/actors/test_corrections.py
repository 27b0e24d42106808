"""Corrections among readings: every order, restart and undo gives the rows of one rebuild."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hub.actors.corrections import AddCorrection, CorrectionView, UndoCorrection, Wanted
from hub.actors.processing import GetHistory, KeepHouse
from hub.actors.recheck import check_derived
from hub.energy.slots import SlotColumns
from hub.errors import StateConflict
from hub.model.quality import Flag
from hub.runtime.actor import request
from hub.storage import slots, tables
from hub.storage.rederive import rederive
from tests.hub.actors.house import NOW_MS, House, running_house

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
BEGIN_MS = NOW_MS - 4 * HOUR_MS


async def derived(house: House, number: int) -> SlotColumns:
    """Rows as they are stored."""
    found = await house.database.read(lambda conn: slots.read(conn, [number], slots.SLOT, 0, 1 << 52))
    return found[number]


async def rebuilt(house: House, number: int) -> SlotColumns:
    """Rows as one derivation of everything gives them."""
    series = house.registry.by_no(number)
    assert series is not None
    whole = await house.database.read(
        lambda conn: rederive(conn, series, NOW_MS - 9 * DAY_MS, NOW_MS + DAY_MS)
    )
    return whole.derived.slots


async def correct(house: House, action: str, start_ms: int, **more: object) -> CorrectionView:
    wanted = Wanted(str(more.pop("series", "meter.energy_import")), action, start_ms, **more)  # type: ignore[arg-type]
    return await request(house.ref("corrections"), AddCorrection(wanted, "a test"))


async def undo(house: House, made: CorrectionView) -> None:
    await request(house.ref("corrections"), UndoCorrection(made.event.id))


STEP = st.one_of(
    st.tuples(
        st.just("read"),
        st.lists(
            st.tuples(st.integers(0, 479), st.integers(0, 1), st.integers(0, 50)), min_size=1, max_size=30
        ),
    ),
    st.tuples(
        st.just("correct"),
        st.tuples(
            st.sampled_from(["value", "delete", "replace", "offset", "scale", "reject", "open"]),
            st.integers(0, 479),
            st.integers(1, 90),
            st.integers(0, 1),
        ),
    ),
    st.tuples(st.just("undo"), st.integers(0, 5)),
    st.tuples(st.just("work"), st.none()),
    st.tuples(st.just("restart"), st.none()),
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
@given(st.lists(STEP, min_size=3, max_size=14))
async def test_any_order_of_readings_corrections_and_restarts_gives_the_rows_of_one_rebuild(
    steps: list[tuple[str, object]],
) -> None:
    made: list[CorrectionView] = []
    with tempfile.TemporaryDirectory() as folder:
        pending = [*steps]
        while pending:
            async with running_house(Path(folder)) as house:
                numbers = await house.declare("meter", "power", "energy_import")
                while pending:
                    kind, what = pending.pop(0)
                    if kind == "restart":
                        break
                    await _act(house, numbers, made, kind, what)
        async with running_house(Path(folder)) as house:
            numbers = await house.declare("meter", "power", "energy_import")
            await house.work()
            await house.work()
            for number in numbers:
                assert (await derived(house, number)).same_as(await rebuilt(house, number))


async def _act(house: House, numbers: list[int], made: list[CorrectionView], kind: str, what: object) -> None:
    if kind == "read":
        assert isinstance(what, list)
        await house.store([_row(numbers, *one) for one in what])
    elif kind == "correct":
        assert isinstance(what, tuple)
        with suppress(StateConflict):  # chance may say the same twice
            made.append(await _correct(house, *what))
    elif kind == "undo" and made:
        assert isinstance(what, int)
        await undo(house, made.pop(what % len(made)))
    elif kind == "work":
        await house.work()


def _row(numbers: list[int], position: int, which: int, off: int) -> tuple[int, int, float]:
    values = (500.0 + position, 1000.0 + position * 5 + (off if off > 45 else 0))
    return numbers[which], BEGIN_MS + position * 30_000, values[which]


async def _correct(house: House, action: str, position: int, length: int, which: int) -> CorrectionView:
    start_ms = BEGIN_MS + position * 30_000
    end_ms = min(start_ms + length * 30_000, NOW_MS)
    more: dict[str, object] = {"series": ("meter.power", "meter.energy_import")[which]}
    if action not in ("value", "open"):
        more["end_ms"] = max(end_ms, start_ms + 1)
    if action == "replace":
        more["rows"] = ((start_ms, 1000.0 + position * 5),)
    elif action not in ("delete", "reject"):
        more["value"] = 2.5
    return await correct(house, "scale" if action == "open" else action, start_ms, **more)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_undo_gives_bit_for_bit_what_was_before_on_both_engines(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if engine == "postgresql" else "sqlite:///hub.db"
    async with running_house(tmp_path, url=url) as house:
        power, register = await house.declare("meter", "power", "energy_import")
        rows = [(register, BEGIN_MS + at * 10_000, 5.0 * at) for at in range(1200)]
        await house.store(rows + [(power, BEGIN_MS + at * 10_000, 100.0 + at) for at in range(1200)])
        await house.work()
        before = [await derived(house, number) for number in (power, register)]
        middle_ms = BEGIN_MS + HOUR_MS
        made = [
            await correct(house, "delete", middle_ms, end_ms=middle_ms + HOUR_MS),
            await correct(house, "value", middle_ms, value=2000.0),
            await correct(house, "scale", middle_ms, value=-1.0, series="meter.power"),
            await correct(
                house, "replace", middle_ms - HOUR_MS, end_ms=middle_ms, rows=((middle_ms - 5, 1.0),)
            ),
        ]
        await house.work()
        during = [await derived(house, number) for number in (power, register)]
        for one in reversed(made):
            await undo(house, one)
        await house.work()
        after = [await derived(house, number) for number in (power, register)]
        for old, changed, again in zip(before, during, after, strict=True):
            assert not changed.same_as(old)
            assert again.same_as(old)
        series = house.registry.by_no(register)
        assert series is not None
        checked = await check_derived(house.database, series, house.zone)
        assert (checked.different, checked.waiting > 0 or checked.rows > 0) == (0, True)


async def test_a_correction_in_a_sealed_month_reaches_slots_days_and_history(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (register,) = await house.declare("meter", "energy_import")
        first_ms = NOW_MS - 70 * DAY_MS
        await house.store([(register, first_ms + at * 600_000, 10.0 * at) for at in range(10_000)])
        await house.work()
        assert await request(house.ref("processing"), KeepHouse(), timeout_s=60) > 0

        async def months() -> list[float]:
            ask = GetHistory(("meter.energy_import",), first_ms, NOW_MS, "1mo", ("energy",))
            history = await request(house.ref("processing"), ask)
            return [float(value) for value in np.asarray(history.series["meter.energy_import"]["energy"])]

        before = await months()
        made = await correct(house, "offset", first_ms + 20 * DAY_MS, value=500.0)
        await house.work()
        series = house.registry.by_no(register)
        assert series is not None
        whole = await house.database.read(lambda conn: rederive(conn, series, first_ms - DAY_MS, NOW_MS))
        assert (await derived(house, register)).same_as(whole.derived.slots)
        assert sum(await months()) - sum(before) == pytest.approx(500.0)
        await undo(house, made)
        await house.work()
        assert await months() == before


async def test_readings_that_come_while_an_open_correction_holds_are_never_folded_raw(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        await house.store([(power, BEGIN_MS + at * 10_000, 100.0) for at in range(60)])
        await house.work()
        await correct(house, "scale", BEGIN_MS + 300_000, value=2.0, series="meter.power")
        for first in range(60, 240, 20):
            await house.store([(power, BEGIN_MS + at * 10_000, 100.0) for at in range(first, first + 20)])
            await house.work()
            assert (await derived(house, power)).same_as(await rebuilt(house, power))
        rows = await derived(house, power)
        assert rows.mean.tolist()[1:] == [200.0] * (len(rows) - 1)
        assert ((rows.flags & Flag.CORRECTED) != 0).all()


async def test_the_mark_of_a_correction_goes_when_everything_followed(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (register,) = await house.declare("meter", "energy_import")
        await house.store([(register, BEGIN_MS + at * 10_000, 5.0 * at) for at in range(600)])
        await house.work()
        await correct(house, "offset", BEGIN_MS, value=1.0, end_ms=BEGIN_MS + HOUR_MS)

        async def causes() -> list[str]:
            rows = await house.database.read(
                lambda conn: conn.execute(tables.dirty_ranges.select()).mappings().all()
            )
            return sorted({row["cause"] for row in rows})

        assert "correction 1" in await causes()
        await asyncio.sleep(0)
        await house.work()
        assert "correction 1" not in await causes()


@pytest.mark.parametrize("register_wh", [0.0, 1_000.0, 8_000_000.0], ids=["new", "young", "old"])
async def test_a_scaled_counter_counts_so_much_more_in_its_range_and_nothing_else_changes(
    tmp_path: Path, register_wh: float
) -> None:
    async with running_house(tmp_path) as house:
        (register,) = await house.declare("meter", "energy_import")
        rows = [(register, BEGIN_MS + at * 60_000, register_wh + 10.0 * at) for at in range(241)]
        await house.store(rows)
        await house.work()
        before = await derived(house, register)
        start_ms, end_ms = BEGIN_MS + HOUR_MS + 30_000, BEGIN_MS + 3 * HOUR_MS
        await correct(house, "scale", start_ms, end_ms=end_ms, value=1.5)
        await house.work()
        after = await derived(house, register)
        assert after.start_ms.tolist() == before.start_ms.tolist()
        first_ms = start_ms - start_ms % 900_000
        inside = (before.start_ms >= first_ms) & (before.start_ms < end_ms)
        assert after.delta[~inside].tolist() == before.delta[~inside].tolist()
        gained = (after.delta - before.delta)[inside]
        assert gained.tolist() == [72_500, *[75_000] * (len(gained) - 1)]
        assert not after.suspect_ms.any()
        assert after.same_as(await rebuilt(house, register))


async def test_a_scale_that_begins_in_a_false_zero_books_nothing_for_it(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (register,) = await house.declare("meter", "energy_import")
        rows = [(register, BEGIN_MS + at * 60_000, 8_000_000.0 + 10.0 * at) for at in range(241)]
        rows[60] = (register, rows[60][1], 0.0)
        await house.store(rows)
        await correct(house, "scale", BEGIN_MS + HOUR_MS + 30_000, value=2.0)
        await house.work()
        after = await derived(house, register)
        assert int(after.delta.sum()) <= 2_400_000 + 1_800_000
        assert int(after.delta.sum()) >= 2_400_000 + 1_800_000 - 60_000
        assert after.same_as(await rebuilt(house, register))
