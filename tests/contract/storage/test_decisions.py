"""Corrections, metering points and installations as rows, on both engines."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from hub.energy.corrections import Action, Correction
from hub.energy.installations import Installation
from hub.storage import metering
from hub.storage.corrected import CorrectedReadings
from hub.storage.corrections import (
    UNDO,
    CorrectionEvent,
    active_corrections,
    find_correction,
    insert_correction,
    read_corrections,
)
from hub.storage.database import Database
from hub.storage.metering import InstallationRow, MeteringPoint
from tests.contract.storage.rows import T0, batch

EVENT = CorrectionEvent(0, 1, "replace", T0, T0 + 10, None, ((T0, 1.5), (T0 + 5, 2.25)), "why", "anna", 7)


async def add(database: Database, event: CorrectionEvent) -> int:
    return await database.write(lambda conn: insert_correction(conn, event))


async def test_a_correction_reads_back_as_it_was_written(database: Database) -> None:
    id_ = await add(database, EVENT)
    found = await database.read(lambda conn: find_correction(conn, id_))

    assert found == replace(EVENT, id=id_)
    assert await database.read(lambda conn: active_corrections(conn, 1)) == (
        Correction(id_, Action.REPLACE, T0, T0 + 10, 0.0, ((T0, 1.5), (T0 + 5, 2.25))),
    )
    assert await database.read(lambda conn: active_corrections(conn, 2)) == ()
    assert await database.read(lambda conn: find_correction(conn, id_ + 1)) is None


async def test_an_undo_ends_a_correction_and_happens_once(database: Database) -> None:
    id_ = await add(database, EVENT)
    undo = replace(EVENT, action=UNDO, rows=(), undoes=id_)
    undo_id = await add(database, undo)

    assert await database.read(lambda conn: active_corrections(conn, 1)) == ()
    listed = await database.read(lambda conn: read_corrections(conn, limit=10))
    assert [(one.id, one.undoes, one.undone_by) for one in listed] == [
        (undo_id, id_, None),
        (id_, None, undo_id),
    ]
    older = await database.read(lambda conn: read_corrections(conn, limit=10, before_id=undo_id, series=1))
    assert [one.id for one in older] == [id_]
    with pytest.raises(Exception, match=r"(?i)unique"):
        await add(database, undo)


async def test_corrected_readings_are_asked_like_stored_ones(database: Database) -> None:
    rows = [(1, T0 + n * 1000, float(n)) for n in range(100)]
    await database.append(batch(rows, fresh=True))
    await add(database, CorrectionEvent(0, 1, "delete", T0 + 20_000, T0 + 90_000, None, (), "x", None, 1))
    await add(database, CorrectionEvent(0, 1, "value", T0 + 50_500, T0 + 50_501, -5.0, (), "x", None, 1))

    def job(conn: sa.Connection) -> list[list[float]]:
        seen = CorrectedReadings.of(conn, 1)
        return [
            columns.values.tolist()
            for columns in (
                seen.before(T0 + 91_000, 4),
                seen.after(T0 + 18_000, 3),
                seen.columns(T0 + 19_000, T0 + 91_000),
                seen.page(T0 + 15_000, T0 + 95_000, 8),
                seen.before(T0 + 1000, 50),
                seen.after(T0 + 98_500, 50),
            )
        ]

    assert await database.read(job) == [
        [18.0, 19.0, -5.0, 90.0],
        [19.0, -5.0, 90.0],
        [19.0, -5.0, 90.0],
        [15.0, 16.0, 17.0, 18.0, 19.0, -5.0, 90.0, 91.0],
        [0.0],
        [99.0],
    ]


async def test_points_and_installations_read_back_as_they_were_written(database: Database) -> None:
    point = MeteringPoint("gas", "Gas", "gas", "DE7", created_ms=3)
    installed = Installation(4, T0, T0 + 5, 0.5, 1.25, 9.5, 11.2, 0.95)

    def job(conn: sa.Connection) -> tuple[list[MeteringPoint], list[InstallationRow], list[InstallationRow]]:
        metering.save_point(conn, point)
        row = InstallationRow(0, "gas", installed, "note", 9)
        row = replace(row, id=metering.insert_installation(conn, row))
        metering.update_installation(conn, replace(row, installation=replace(installed, to_ms=None)))
        open_rows = metering.load_installations(conn, series=4)
        metering.update_installation(conn, row)
        return metering.load_points(conn), open_rows, metering.load_installations(conn, point="gas")

    points, open_rows, rows = await database.write(job)

    assert points == [point]
    assert [row.installation.to_ms for row in open_rows] == [None]
    assert [(row.installation, row.note) for row in rows] == [(installed, "note")]
    await database.write(lambda conn: metering.delete_point(conn, "gas"))
    assert await database.read(lambda conn: metering.load_installations(conn)) == []
