"""Installations of meters as far as sums need them: which calorific value held when."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from hub.storage import tables

CalorificRow = tuple[int, int, int | None, float]


def calorific_rows(conn: sa.Connection, series: Sequence[int]) -> list[CalorificRow]:
    """``(series, from_ms, to_ms, kWh per m3)`` of installations that name a calorific value, oldest first."""
    table = tables.installations.c
    found = conn.execute(
        sa.select(table.series, table.from_ms, table.to_ms, table.calorific_value)
        .where(table.series.in_(series), table.calorific_value.is_not(None))
        .order_by(table.from_ms, table.id)
    )
    return [(int(number), int(start), end, float(value)) for number, start, end, value in found]
