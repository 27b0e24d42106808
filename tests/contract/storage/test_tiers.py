"""Two tiers behind one reader: sealing never changes what is read."""

from __future__ import annotations

import numpy as np
import pytest
import sqlalchemy as sa

from hub.errors import Bug, StorageCorrupt
from hub.storage import readings as r
from hub.storage import tables as t
from hub.storage.codec import Columns
from hub.storage.database import Database
from hub.storage.sealing import days_to_seal, rewrite_day, seal_day, write_sealed
from hub.storage.stats import check_blocks, quick_check, stats
from tests.contract.storage.rows import DAY_MS, T0, batch, pairs

DAY = T0 // DAY_MS
MINUTE = [(1, T0 + n * 60_000, float(n % 7)) for n in range(3 * 1440)]


def columns(*rows: tuple[int, float]) -> Columns:
    return Columns(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.float64),
        np.zeros(len(rows), np.uint8),
    )


async def seal(database: Database, series: int, day: int) -> None:
    while (await database.write(lambda c: seal_day(c, series, day))).left:
        pass


async def test_sealing_changes_nothing_that_is_read(database: Database) -> None:
    await database.append(batch(MINUTE, fresh=True, flags=[n % 2 for n in range(len(MINUTE))]))
    before = await database.read(lambda c: r.read_columns(c, 1, 0, T0 + 9 * DAY_MS))

    await seal(database, 1, DAY)
    await seal(database, 1, DAY + 1)

    after = await database.read(lambda c: r.read_columns(c, 1, 0, T0 + 9 * DAY_MS))
    assert [column.tolist() for column in after] == [column.tolist() for column in before]
    assert await database.read(lambda c: r.stat(c, 1)) == (1440, 2880, T0, MINUTE[-1][1])


async def test_a_day_is_sealed_in_slices_and_readable_in_between(database: Database) -> None:
    await database.append(batch(MINUTE[:1440], fresh=True))

    first = await database.write(lambda c: seal_day(c, 1, DAY, slice_rows=1000))
    between = await database.read(lambda c: pairs(c, 1))
    second = await database.write(lambda c: seal_day(c, 1, DAY, slice_rows=1000))

    assert (first.moved, first.left, second.moved, second.left) == (1000, True, 440, False)
    assert len(between) == 1440
    assert await database.read(lambda c: pairs(c, 1)) == between


async def test_days_are_due_two_days_after_their_end(database: Database) -> None:
    await database.append(batch([*MINUTE, (2, T0 + DAY_MS, 1.0)], fresh=True))

    due_ms = T0 + DAY_MS + 48 * 3_600_000
    early = await database.read(lambda c: days_to_seal(c, due_ms - 1))
    due = await database.read(lambda c: days_to_seal(c, due_ms))
    later = await database.read(lambda c: days_to_seal(c, due_ms + DAY_MS))
    quiet = await database.read(lambda c: days_to_seal(c, due_ms + DAY_MS, touched_ms={(1, DAY): due_ms}))

    assert early == []
    assert due == [(1, DAY)]
    assert sorted(later) == [(1, DAY), (1, DAY + 1), (2, DAY + 1)]
    assert sorted(quiet) == [(1, DAY + 1), (2, DAY + 1)]


async def test_late_rows_of_a_sealed_day_are_seen_at_once_and_merged_later(database: Database) -> None:
    await database.append(batch([(1, T0 + 10, 1.0), (1, T0 + 30, 3.0)], fresh=True))
    await seal(database, 1, DAY)
    await database.append(batch([(1, T0 + 20, 2.0)]))

    seen = await database.read(lambda c: pairs(c, 1))
    await seal(database, 1, DAY)

    assert seen == [(T0 + 10, 1.0), (T0 + 20, 2.0), (T0 + 30, 3.0)]
    assert await database.read(lambda c: pairs(c, 1)) == seen
    assert await database.read(lambda c: r.stat(c, 1)) == (0, 3, T0 + 10, T0 + 30)


async def test_provisional_rows_never_hide_the_block_and_conflict_when_merged(database: Database) -> None:
    await database.write(lambda c: write_sealed(c, 1, DAY, columns((T0, 1.0), (T0 + 1, 2.0))))
    provisional = [
        {"series": 1, "ts_ms": T0, "value": 1.0, "flags": 0},
        {"series": 1, "ts_ms": T0 + 1, "value": 9.0, "flags": 0},
    ]
    await database.write(lambda c: c.execute(sa.insert(t.readings), provisional))

    seen = await database.read(lambda c: pairs(c, 1))
    sealed = await database.write(lambda c: seal_day(c, 1, DAY, now_ms=T0 + 5))

    kept = await database.read(lambda c: c.execute(sa.select(t.conflicts)).one())
    assert seen == [(T0, 1.0), (T0 + 1, 2.0)]
    assert (sealed.rows, sealed.duplicates, sealed.conflicts) == (2, 1, 1)
    assert (kept.kept, kept.other, kept.arrival_ms) == (2.0, 9.0, T0 + 5)
    assert await database.read(lambda c: r.stat(c, 1)) == (0, 2, T0, T0 + 1)


async def test_imported_rows_give_way_to_what_was_stored_before(database: Database) -> None:
    await database.append(batch([(1, T0 + 1, 1.0)], fresh=True))

    done = await database.write(
        lambda c: write_sealed(c, 1, DAY, columns((T0 + 2, 2.0), (T0 + 1, 8.0), (T0 + 2, 7.0), (T0, 0.5)))
    )

    assert (done.rows, done.conflicts) == (3, 1)
    assert await database.read(lambda c: pairs(c, 1)) == [(T0, 0.5), (T0 + 1, 1.0), (T0 + 2, 2.0)]


async def test_rows_of_another_day_are_refused(database: Database) -> None:
    with pytest.raises(Bug, match="WL-STO-032"):
        await database.write(lambda c: write_sealed(c, 1, DAY, columns((T0 + DAY_MS, 1.0))))


async def test_a_day_can_be_rewritten_and_emptied(database: Database) -> None:
    await database.append(batch([(1, T0 + 1, 1.0), (1, T0 + DAY_MS, 5.0)], fresh=True))

    await database.write(lambda c: rewrite_day(c, 1, DAY, columns((T0 + 3, 3.0))))
    rewritten = await database.read(lambda c: pairs(c, 1))
    await database.write(lambda c: rewrite_day(c, 1, DAY, columns()))

    assert rewritten == [(T0 + 3, 3.0), (T0 + DAY_MS, 5.0)]
    assert await database.read(lambda c: pairs(c, 1)) == [(T0 + DAY_MS, 5.0)]


@pytest.mark.parametrize("sealed_days", [0, 1, 2, 3])
async def test_neighbours_and_limits_are_the_same_in_either_tier(
    database: Database, sealed_days: int
) -> None:
    await database.append(batch(MINUTE, fresh=True))
    for day in range(sealed_days):
        await seal(database, 1, DAY + day)
    middle_ms = T0 + DAY_MS + 90_000

    before = await database.read(lambda c: r.read_before(c, 1, middle_ms, 1600))
    after = await database.read(lambda c: r.read_after(c, 1, middle_ms, 1600))
    first = await database.read(lambda c: r.read_columns(c, 1, T0 + 60_000, T0 + 2 * DAY_MS, limit=1500))
    none = await database.read(lambda c: r.read_before(c, 1, T0, 3))

    assert before.ts_ms.tolist() == [ts for _, ts, _ in MINUTE if ts < middle_ms][-1600:]
    assert after.ts_ms.tolist() == [ts for _, ts, _ in MINUTE if ts > middle_ms][:1600]
    assert first.ts_ms.tolist() == [ts for _, ts, _ in MINUTE][1:1501]
    assert none.ts_ms.tolist() == []


async def test_newest_rows_are_found_in_whichever_tier_they_are(database: Database) -> None:
    await database.append(
        batch(
            [(1, T0, 1.0), (2, T0 + 1, 2.0), (2, T0 + DAY_MS, 3.0), (3, T0 + 5, 4.0)],
            fresh=True,
            flags=[1, 0, 0, 0],
        )
    )
    await seal(database, 1, DAY)
    await seal(database, 2, DAY + 1)
    await seal(database, 3, DAY)
    await database.append(batch([(3, T0 + 4, 9.0)]))

    newest = await database.read(lambda c: r.last_rows(c, [1, 2, 3, 4]))

    assert newest == {1: (T0, 1.0, 1), 2: (T0 + DAY_MS, 3.0, 0), 3: (T0 + 5, 4.0, 0)}


async def test_a_damaged_block_raises_and_never_gives_numbers(database: Database) -> None:
    await database.write(lambda c: write_sealed(c, 1, DAY, columns((T0, 1.0), (T0 + 1, 2.5))))

    def damage(connection: sa.Connection) -> None:
        data = connection.execute(sa.select(t.reading_blocks.c.data)).scalar_one()
        connection.execute(sa.update(t.reading_blocks).values(data=data[:-1] + bytes([data[-1] ^ 1])))

    await database.write(damage)
    with pytest.raises(StorageCorrupt, match="WL-STO-011"):
        await database.read(lambda c: pairs(c, 1))
    damaged, go_on = await database.read(check_blocks)
    assert len(damaged) == 1
    assert go_on is None


async def test_statistics_measure_both_tiers_and_forecast_a_year(database: Database) -> None:
    empty = await database.read(stats)
    await database.append(batch(MINUTE, fresh=True))
    await seal(database, 1, DAY)

    measured = await database.read(stats)

    assert (empty.rows_hot, empty.rows_per_day, empty.forecast_bytes_per_year) == (0, None, None)
    assert (measured.rows_hot, measured.rows_sealed, measured.blocks) == (2880, 1440, 1)
    assert measured.rows_per_day == pytest.approx(1440, rel=0.01)
    assert measured.bytes_per_sealed_value is not None
    assert measured.bytes_per_sealed_value < 5
    assert measured.forecast_bytes_per_year == pytest.approx(
        1440 * 365 * measured.bytes_per_sealed_value, rel=0.01
    )
    assert (measured.first_ms, measured.last_ms) == (T0, MINUTE[-1][1])
    assert await database.read(quick_check) == []


async def test_blocks_are_checked_slice_by_slice(database: Database) -> None:
    for series in (1, 2, 3):
        await database.write(lambda c, series=series: write_sealed(c, series, DAY, columns((T0, 1.0))))  # type: ignore[misc]

    first, after = await database.read(lambda c: check_blocks(c, at_most=2))
    second, end = await database.read(lambda c: check_blocks(c, after, at_most=2))

    assert (first, after, second, end) == ([], (2, DAY), [], None)
