"""Readings that were kept aside with their reason, to be looked at and imported again."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from hub.storage import tables as t


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One kept reading or message; ``series`` is a row number, ``payload`` what was sent (a sample)."""

    id: int
    source: str
    arrival_ms: int
    series: int | None
    ts_ms: int | None
    value: str | None
    code: str
    text: str
    field: str
    payload: bytes | None


def read_quarantine(
    connection: sa.Connection, *, limit: int, before_id: int | None = None
) -> list[Quarantined]:
    """The newest first, older than the row ``before_id``."""
    q = t.quarantine
    query = sa.select(q).order_by(q.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(q.c.id < before_id)
    return [Quarantined(**row) for row in connection.execute(query).mappings()]


def find_quarantined(connection: sa.Connection, id_: int) -> Quarantined | None:
    """One row; None where there is none (any more)."""
    row = connection.execute(sa.select(t.quarantine).where(t.quarantine.c.id == id_)).mappings().first()
    return None if row is None else Quarantined(**row)


def delete_quarantined(connection: sa.Connection, id_: int) -> None:
    """Take a row away once it was imported."""
    connection.execute(sa.delete(t.quarantine).where(t.quarantine.c.id == id_))
