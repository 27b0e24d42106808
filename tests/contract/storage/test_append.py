"""Appending readings: first value wins, everything of a batch is stored together."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from hub.errors import Bug
from hub.storage import tables as t
from hub.storage.batches import ConflictRow, Mark, QuarantineRow
from hub.storage.database import Database
from hub.storage.sealing import seal_day
from tests.contract.storage.rows import DAY_MS, T0, batch, pairs


async def test_fresh_rows_are_stored_and_read_back_in_order(database: Database) -> None:
    rows = [(2, T0 + 5, 1.5), (1, T0 + 1, -2.25), (1, T0 + 2, 1e-300)]

    outcome = await database.append(batch(rows, fresh=True, flags=[0, 1, 0]))

    assert outcome.outcome.tolist() == [0, 0, 0]
    assert await database.read(lambda c: pairs(c, 1)) == [(T0 + 1, -2.25), (T0 + 2, 1e-300)]
    assert await database.read(lambda c: pairs(c, 2)) == [(T0 + 5, 1.5)]


@pytest.mark.parametrize("count", [1, 239, 240, 241, 481])
async def test_all_rows_of_a_large_batch_are_stored_whatever_their_order(
    database: Database, count: int
) -> None:
    rows = [(1 + at * 7 % 3, T0 + at * 101 % count, at / 8) for at in range(count)]

    outcome = await database.append(batch(rows, fresh=True, flags=[at % 2 for at in range(count)]))

    assert not outcome.outcome.any()
    for series in (1, 2, 3):
        expected = sorted((ts_ms, value) for number, ts_ms, value in rows if number == series)
        assert await database.read(lambda c, series=series: pairs(c, series)) == expected  # type: ignore[misc]


async def test_the_same_value_again_is_a_duplicate_and_another_value_a_conflict(database: Database) -> None:
    await database.append(batch([(1, T0, 5.0)], fresh=True))

    outcome = await database.append(batch([(1, T0, 5.0), (1, T0, 6.0), (1, T0 + 1, 7.0)]))

    assert outcome.outcome.tolist() == [1, 2, 0]
    assert await database.read(lambda c: pairs(c, 1)) == [(T0, 5.0), (T0 + 1, 7.0)]


async def test_the_first_value_wins_inside_one_batch(database: Database) -> None:
    outcome = await database.append(batch([(1, T0, 1.0), (1, T0, 2.0), (1, T0, 1.0)]))

    assert outcome.outcome.tolist() == [0, 2, 1]
    assert await database.read(lambda c: pairs(c, 1)) == [(T0, 1.0)]


async def test_a_row_that_is_called_fresh_and_is_not_costs_nothing_but_time(database: Database) -> None:
    await database.append(batch([(1, T0, 5.0)], fresh=True))

    outcome = await database.append(batch([(1, T0 + 1, 1.0), (1, T0, 6.0), (1, T0, 5.0)], fresh=True))

    assert outcome.outcome.tolist() == [0, 2, 1]
    assert await database.read(lambda c: pairs(c, 1)) == [(T0, 5.0), (T0 + 1, 1.0)]


async def test_two_fresh_rows_with_one_key_are_told_apart(database: Database) -> None:
    outcome = await database.append(batch([(1, T0, 5.0), (1, T0, 6.0)], fresh=True))

    assert outcome.outcome.tolist() == [0, 2]


async def test_a_mixed_batch_stores_fresh_and_late_rows(database: Database) -> None:
    await database.append(batch([(1, T0, 5.0)], fresh=True))

    outcome = await database.append(
        batch([(1, T0, 5.0), (1, T0 + 9, 9.0), (1, T0 - 9, 3.0)], fresh=[False, True, False])
    )

    assert outcome.outcome.tolist() == [1, 0, 0]
    assert await database.read(lambda c: pairs(c, 1)) == [(T0 - 9, 3.0), (T0, 5.0), (T0 + 9, 9.0)]


async def test_a_conflict_is_kept_once_however_often_it_comes(database: Database) -> None:
    await database.append(batch([(1, T0, 5.0)], fresh=True))

    for _ in range(3):
        await database.append(batch([(1, T0, 6.0)], sources=["mqtt"], arrival_ms=T0 + 7))

    found = await database.read(lambda c: c.execute(sa.select(t.conflicts)).all())
    assert [tuple(row)[1:] for row in found] == [(1, T0, 5.0, 6.0, "mqtt", T0 + 7)]


async def test_a_late_row_of_a_sealed_day_is_decided_by_its_block(database: Database) -> None:
    await database.append(batch([(1, T0 + 1, 1.0), (1, T0 + 2, 2.0)], fresh=True))
    await database.write(lambda c: seal_day(c, 1, T0 // DAY_MS))

    outcome = await database.append(batch([(1, T0 + 1, 1.0), (1, T0 + 2, 9.0), (1, T0 + 3, 3.0)]))

    assert outcome.outcome.tolist() == [1, 2, 0]
    assert await database.read(lambda c: pairs(c, 1)) == [(T0 + 1, 1.0), (T0 + 2, 2.0), (T0 + 3, 3.0)]


async def test_marks_conflicts_and_quarantine_are_stored_with_the_rows(database: Database) -> None:
    await database.append(
        batch(
            [(1, T0, 5.0)],
            fresh=True,
            marks=[Mark(1, T0, T0 + 900_000, "late")],
            conflicts=[ConflictRow(1, T0 - 1, 1.0, 2.0, "a", T0)],
            quarantine=[QuarantineRow("a", T0, None, None, "x", "WL-ING-040", "no number", "v", b"y" * 9000)],
        )
    )

    marks = await database.read(lambda c: c.execute(sa.select(t.dirty_ranges)).all())
    conflicts = await database.read(lambda c: c.execute(sa.select(t.conflicts.c.other)).scalars().all())
    held = await database.read(lambda c: c.execute(sa.select(t.quarantine)).one())
    assert [tuple(row) for row in marks] == [(1, T0, T0 + 900_000, "late", T0)]
    assert conflicts == [2.0]
    assert (held.code, held.value, len(held.payload)) == ("WL-ING-040", "x", 4096)


async def test_a_mark_that_is_set_again_becomes_newer(database: Database) -> None:
    mark = Mark(1, T0, T0 + 900_000, "late")
    await database.append(batch([], marks=[mark]))
    await database.append(batch([], marks=[mark]))

    stamps = await database.read(lambda c: c.execute(sa.select(t.dirty_ranges.c.created_ms)).scalars().all())
    assert stamps == [T0 + 1]


async def test_quarantine_keeps_the_newest_hundred_thousand(database: Database) -> None:
    def fill(connection: sa.Connection) -> None:
        connection.execute(
            sa.insert(t.quarantine),
            [{"id": n, "source": "a", "arrival_ms": n, "code": "X"} for n in (1, 2, 3, 100_002)],
        )

    await database.write(fill)
    if database.dialect == "postgresql":
        await database.write(lambda c: c.exec_driver_sql("SELECT setval('quarantine_id_seq', 100002)"))

    await database.append(batch([], quarantine=[QuarantineRow("a", T0, 1, T0, "1", "X", "late", "v")]))

    ids = await database.read(lambda c: c.execute(sa.select(t.quarantine.c.id)).scalars().all())
    assert sorted(ids) == [100_002, 100_003]


async def test_a_device_that_contradicts_itself_for_ever_does_not_fill_the_disk(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("sqlite_append", "postgres_append"):
        monkeypatch.setattr(f"hub.storage.{module}.CONFLICT_LIMIT", 3)
    await database.append(batch([(1, T0, 0.5)], fresh=True))

    for n in range(1, 6):
        for _ in range(3):
            await database.append(batch([(1, T0, float(n))]))

    others = await database.read(lambda c: c.execute(sa.select(t.conflicts.c.other)).scalars().all())
    assert sorted(others) == [3.0, 4.0, 5.0]


async def test_values_that_are_not_finite_are_refused_whole(database: Database) -> None:
    with pytest.raises(Bug, match="WL-STO-030"):
        await database.append(batch([(1, T0, 1.0), (1, T0 + 1, float("nan"))]))

    assert await database.read(lambda c: pairs(c, 1)) == []


async def test_statistics_count_what_became_of_the_rows(database: Database) -> None:
    before = database.statistics.commits
    await database.append(batch([(1, T0, 5.0), (1, T0, 5.0), (1, T0, 6.0)]))

    counted = database.statistics
    assert (counted.rows_stored, counted.rows_duplicate, counted.rows_conflict) == (1, 1, 1)
    assert counted.commits == before + 1
    assert counted.last_commit_ms == database.now_ms()
    assert database.size_bytes() > 0
