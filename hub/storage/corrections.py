"""Corrections as rows: events that are only ever added. An undo is an event of its own that names what it undoes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from hub.energy.corrections import Action, Correction
from hub.storage import tables

UNDO: Final = "undo"
_c = tables.corrections.c
_UNDO = tables.corrections.alias("undo")

_WITH_UNDO = sa.select(tables.corrections, _UNDO.c.id.label("undone_by")).join_from(
    tables.corrections, _UNDO, _UNDO.c.undoes == _c.id, isouter=True
)
_ACTIVE = (
    sa.select(_c.id, _c.action, _c.start_ms, _c.end_ms, _c.value, _c.data)
    .where(
        _c.series == sa.bindparam("series", type_=sa.Integer),
        _c.undoes.is_(None),
        ~sa.exists().where(_UNDO.c.undoes == _c.id),
    )
    .order_by(_c.id)
)


@dataclass(frozen=True, slots=True)
class CorrectionEvent:
    """One event. ``undoes`` is set for an undo, ``undone_by`` for a correction that was taken back by one."""

    id: int
    series: int
    action: str
    start_ms: int
    end_ms: int
    value: float | None
    rows: tuple[tuple[int, float], ...]
    reason: str
    user_id: str | None
    created_ms: int
    undoes: int | None = None
    undone_by: int | None = None

    @property
    def active(self) -> bool:
        """Whether figures follow it."""
        return self.undoes is None and self.undone_by is None


def active_corrections(conn: sa.Connection, series: int) -> tuple[Correction, ...]:
    """The corrections of a series that hold now, in the order in which they were made."""
    return tuple(
        Correction(id_, Action(action), start_ms, end_ms, value or 0.0, _rows(data))
        for id_, action, start_ms, end_ms, value, data in conn.execute(_ACTIVE, {"series": series})
    )


def insert_correction(conn: sa.Connection, event: CorrectionEvent) -> int:
    """Add an event and return its number; the ``id`` of ``event`` is not looked at."""
    values = {
        "series": event.series,
        "start_ms": event.start_ms,
        "end_ms": event.end_ms,
        "action": event.action,
        "value": event.value,
        "undoes": event.undoes,
        "reason": event.reason,
        "user_id": event.user_id,
        "created_ms": event.created_ms,
        "data": {"rows": [list(row) for row in event.rows]} if event.rows else None,
    }
    key = conn.execute(sa.insert(tables.corrections).values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def find_correction(conn: sa.Connection, id_: int) -> CorrectionEvent | None:
    """One event; None where there is none."""
    row = conn.execute(_WITH_UNDO.where(_c.id == id_)).mappings().first()
    return None if row is None else _event(row)


def read_corrections(
    conn: sa.Connection, *, limit: int, before_id: int | None = None, series: int | None = None
) -> list[CorrectionEvent]:
    """Events, the newest first, older than ``before_id``."""
    query = _WITH_UNDO.order_by(_c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(_c.id < before_id)
    if series is not None:
        query = query.where(_c.series == series)
    return [_event(row) for row in conn.execute(query).mappings()]


def _event(row: Any) -> CorrectionEvent:
    return CorrectionEvent(
        id=row["id"],
        series=row["series"],
        action=row["action"],
        start_ms=row["start_ms"],
        end_ms=row["end_ms"],
        value=row["value"],
        rows=_rows(row["data"]),
        reason=row["reason"],
        user_id=row["user_id"],
        created_ms=row["created_ms"],
        undoes=row["undoes"],
        undone_by=row["undone_by"],
    )


def _rows(data: Any) -> tuple[tuple[int, float], ...]:
    return tuple((int(ts_ms), float(value)) for ts_ms, value in (data or {}).get("rows", ()))
