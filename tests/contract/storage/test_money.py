"""Money's rows on both engines: what is written comes back, prices never overlap, repeats change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.storage.database import Database
from hub.storage.money import (
    BudgetRow,
    InvoiceRow,
    PriceSeriesRow,
    TariffRow,
    delete,
    load_money,
    save,
)
from hub.storage.prices import PriceRow, delete_prices, price_extent, read_prices, write_prices

QUARTER = 900_000


async def stored(database: Database, start_ms: int = 0, end_ms: int = 1 << 50) -> list[tuple[int, int, int]]:
    columns = await database.read(lambda c: read_prices(c, "spot", start_ms, end_ms))
    return list(
        zip(columns.start_ms.tolist(), columns.end_ms.tolist(), columns.price_e8.tolist(), strict=True)
    )


async def write(database: Database, rows: Sequence[tuple[int, int, int]], now_ms: int = 1) -> int:
    return await database.write(
        lambda c: write_prices(c, "spot", [PriceRow(*row) for row in rows], "test", now_ms)
    )


async def test_rows_of_every_kind_come_back_and_go(database: Database) -> None:
    rows = [
        TariffRow("home", "Home", "grid", "EUR", {"versions": [{"from": "2026-01-01"}]}, 1, 2),
        PriceSeriesRow("spot", "Spot", "EUR/kWh", "api", None, 1),
        BudgetRow("month", "grid", {"amount": "100.00"}, 1, 1),
        InvoiceRow("2026-01", "grid", 5, 6, {"total": "12.30"}, 1, 1),
    ]
    for row in rows:
        await database.write(lambda c, row=row: save(c, row))  # type: ignore[misc]  # bound per turn
    found = await database.read(load_money)

    assert [*found.tariffs.values(), *found.prices.values(), *found.budgets.values()] == rows[:3]
    assert [*found.invoices.values()] == rows[3:]

    for row in rows:
        await database.write(lambda c, row=row: delete(c, type(row), row.id))  # type: ignore[misc]  # bound per turn
    assert (await database.read(load_money)).tariffs == {}
    assert (await database.read(load_money)).invoices == {}


async def test_a_saved_row_keeps_the_time_it_was_made(database: Database) -> None:
    await database.write(lambda c: save(c, BudgetRow("b", "grid", {"amount": "1"}, 10, 10)))
    await database.write(lambda c: save(c, BudgetRow("b", "grid", {"amount": "2"}, 20, 20)))

    assert (await database.read(load_money)).budgets["b"] == BudgetRow("b", "grid", {"amount": "2"}, 10, 20)


async def test_an_hour_inside_a_day_leaves_the_rest_of_the_day(database: Database) -> None:
    await write(database, [(0, 96 * QUARTER, 100)])
    await write(database, [(4 * QUARTER, 8 * QUARTER, 250)])

    assert await stored(database) == [
        (0, 4 * QUARTER, 100),
        (4 * QUARTER, 8 * QUARTER, 250),
        (8 * QUARTER, 96 * QUARTER, 100),
    ]


async def test_writing_the_same_again_changes_nothing(database: Database) -> None:
    rows = [(at * QUARTER, (at + 1) * QUARTER, at) for at in range(2_000)]

    assert await write(database, rows) == 2_000
    assert await write(database, rows, now_ms=9) == 0
    assert await database.read(price_extent) == {"spot": (0, 2_000 * QUARTER, 2_000)}


async def test_a_row_that_began_before_the_asked_range_is_found(database: Database) -> None:
    await write(database, [(0, 96 * QUARTER, 100), (96 * QUARTER, 97 * QUARTER, 7)])

    assert await stored(database, 50 * QUARTER, 51 * QUARTER) == [(0, 96 * QUARTER, 100)]
    assert await stored(database, 97 * QUARTER, 99 * QUARTER) == []


async def test_deleted_prices_leave_a_hole(database: Database) -> None:
    await write(database, [(0, 10 * QUARTER, 100)])
    await database.write(lambda c: delete_prices(c, "spot", 3 * QUARTER, 4 * QUARTER))

    assert await stored(database) == [(0, 3 * QUARTER, 100), (4 * QUARTER, 10 * QUARTER, 100)]


async def test_a_price_series_takes_its_prices_along_and_no_others(database: Database) -> None:
    await database.write(lambda c: write_prices(c, "other", [PriceRow(0, QUARTER, 1)], "test", 1))
    await write(database, [(0, QUARTER, 1)])
    await database.write(lambda c: delete(c, PriceSeriesRow, "spot"))

    assert await stored(database) == []
    assert await database.read(price_extent) == {"other": (0, QUARTER, 1)}


intervals = st.tuples(st.integers(0, 30), st.integers(1, 12), st.integers(-5, 5))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(intervals, min_size=1, max_size=12))
async def test_the_newest_insert_wins_for_every_quarter(
    database: Database, inserts: list[tuple[int, int, int]]
) -> None:
    await database.write(lambda c: delete_prices(c, "spot", 0, 1 << 50))
    expected: dict[int, int] = {}
    for first, length, price in inserts:
        await write(database, [(first * QUARTER, (first + length) * QUARTER, price)])
        expected.update((at, price) for at in range(first, first + length))
    rows = await stored(database)

    assert {
        at: price for start, end, price in rows for at in range(start // QUARTER, end // QUARTER)
    } == expected
    assert all(before[1] <= after[0] for before, after in pairwise(rows))
