"""What people keep about money: tariffs, budgets, invoices and price series; rows ↔ plain objects.

Bodies are stored as they were sent: decimals stay texts, so that nothing is rounded on the way. What they mean
is decided by :mod:`hub.energy` each time they are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from hub.storage import tables


@dataclass(frozen=True, slots=True)
class TariffRow:
    """A tariff of people; ``body`` is its JSON."""

    id: str
    name: str
    metering_point: str
    currency: str
    body: dict[str, Any]
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class PriceSeriesRow:
    """A named series of prices: rows of the table, or the hub's own ``series`` (public id) of quantity price."""

    id: str
    name: str
    unit: str
    source: str
    series: str | None
    created_ms: int


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A budget; ``body`` is its JSON."""

    id: str
    metering_point: str
    body: dict[str, Any]
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """What a supplier asked for ``[start_ms, end_ms)``; ``body`` is its JSON."""

    id: str
    metering_point: str
    start_ms: int
    end_ms: int
    body: dict[str, Any]
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class MoneyRows:
    """Everything of this module that fits into memory, by id."""

    tariffs: dict[str, TariffRow]
    prices: dict[str, PriceSeriesRow]
    budgets: dict[str, BudgetRow]
    invoices: dict[str, InvoiceRow]


_TABLES: Final[Mapping[type, sa.Table]] = {
    TariffRow: tables.tariffs,
    PriceSeriesRow: tables.price_series,
    BudgetRow: tables.budgets,
    InvoiceRow: tables.invoices,
}
Row = TariffRow | PriceSeriesRow | BudgetRow | InvoiceRow


def load_money(conn: sa.Connection) -> MoneyRows:
    """All rows."""
    return MoneyRows(
        {row.id: row for row in _rows(conn, TariffRow)},
        {row.id: row for row in _rows(conn, PriceSeriesRow)},
        {row.id: row for row in _rows(conn, BudgetRow)},
        {row.id: row for row in _rows(conn, InvoiceRow)},
    )


def save(conn: sa.Connection, row: Row) -> None:
    """Insert a row or replace the one of its id; ``created_ms`` of a stored one stays."""
    table = _TABLES[type(row)]
    values = {name: getattr(row, name) for name in row.__dataclass_fields__}
    known = {name: value for name, value in values.items() if name not in ("id", "created_ms")}
    if not conn.execute(sa.update(table).where(table.c.id == row.id).values(known)).rowcount:
        conn.execute(sa.insert(table).values(values))


def delete(conn: sa.Connection, kind: type[Row], row_id: str) -> None:
    """Take a row away; with a price series its prices."""
    table = _TABLES[kind]
    conn.execute(sa.delete(table).where(table.c.id == row_id))
    if kind is PriceSeriesRow:
        conn.execute(sa.delete(tables.prices).where(tables.prices.c.id == row_id))


def _rows(conn: sa.Connection, kind: type[Any]) -> Iterable[Any]:
    table = _TABLES[kind]
    for row in conn.execute(sa.select(table).order_by(table.c.id)).mappings():
        yield kind(**row)
