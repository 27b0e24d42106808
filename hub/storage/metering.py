"""Metering points and their dated installations: rows ↔ model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from hub.energy.installations import Installation
from hub.storage import tables

_p, _i = tables.metering_points.c, tables.installations.c


@dataclass(frozen=True, slots=True)
class MeteringPoint:
    """What the bill sees; ``code`` is the number that the grid operator gave it."""

    id: str
    name: str
    kind: str = "electricity"
    code: str = ""
    site: str = "home"
    created_ms: int = 0


@dataclass(frozen=True, slots=True)
class InstallationRow:
    """An installation with its number, its point and a note."""

    id: int
    metering_point: str
    installation: Installation
    note: str = ""
    created_ms: int = 0


def load_points(conn: sa.Connection) -> list[MeteringPoint]:
    """All metering points by id."""
    return [_point(row) for row in conn.execute(sa.select(tables.metering_points).order_by(_p.id)).mappings()]


def find_point(conn: sa.Connection, id_: str) -> MeteringPoint | None:
    """One metering point; None where there is none."""
    row = conn.execute(sa.select(tables.metering_points).where(_p.id == id_)).mappings().first()
    return None if row is None else _point(row)


def save_point(conn: sa.Connection, point: MeteringPoint) -> None:
    """Insert a point or replace its row."""
    values = {name: getattr(point, name) for name in MeteringPoint.__slots__}
    found = conn.execute(sa.update(tables.metering_points).where(_p.id == point.id).values(values)).rowcount
    if not found:
        conn.execute(sa.insert(tables.metering_points).values(values))


def delete_point(conn: sa.Connection, id_: str) -> None:
    """Take a point and its installations away; the registers and their readings stay."""
    conn.execute(sa.delete(tables.installations).where(_i.metering_point == id_))
    conn.execute(sa.delete(tables.metering_points).where(_p.id == id_))


def load_installations(
    conn: sa.Connection, *, point: str | None = None, series: int | None = None
) -> list[InstallationRow]:
    """Installations of all points, of one point or of one series, by time."""
    query = sa.select(tables.installations).order_by(_i.from_ms, _i.id)
    if point is not None:
        query = query.where(_i.metering_point == point)
    if series is not None:
        query = query.where(_i.series == series)
    return [_installation(row) for row in conn.execute(query).mappings()]


def find_installation(conn: sa.Connection, id_: int) -> InstallationRow | None:
    """One installation; None where there is none."""
    row = conn.execute(sa.select(tables.installations).where(_i.id == id_)).mappings().first()
    return None if row is None else _installation(row)


def insert_installation(conn: sa.Connection, row: InstallationRow) -> int:
    """Add an installation and return its number; the ``id`` of ``row`` is not looked at."""
    key = conn.execute(sa.insert(tables.installations).values(_values(row))).inserted_primary_key
    assert key is not None
    return int(key[0])


def update_installation(conn: sa.Connection, row: InstallationRow) -> None:
    """Replace the row of an installation."""
    conn.execute(sa.update(tables.installations).where(_i.id == row.id).values(_values(row)))


def delete_installation(conn: sa.Connection, id_: int) -> None:
    """Take an installation away."""
    conn.execute(sa.delete(tables.installations).where(_i.id == id_))


_OF_SERIES = sa.select(
    _i.series, _i.from_ms, _i.to_ms, _i.factor, _i.opening, _i.closing, _i.calorific_value, _i.state_number
).where(_i.series == sa.bindparam("series", type_=sa.Integer))


def installations_of(conn: sa.Connection, series: int) -> Sequence[Installation]:
    """The installations of one series, for its cuts."""
    return [Installation(*row) for row in conn.execute(_OF_SERIES, {"series": series})]


def _point(row: Mapping[str, Any] | Any) -> MeteringPoint:
    return MeteringPoint(**{name: row[name] for name in MeteringPoint.__slots__})


def _installation(row: Mapping[str, Any] | Any) -> InstallationRow:
    return InstallationRow(
        row["id"],
        row["metering_point"],
        Installation(**{name: row[name] for name in Installation.__slots__}),
        row["note"],
        row["created_ms"],
    )


def _values(row: InstallationRow) -> dict[str, Any]:
    installed = {name: getattr(row.installation, name) for name in Installation.__slots__}
    return {
        "metering_point": row.metering_point,
        **installed,
        "note": row.note,
        "created_ms": row.created_ms,
    }
