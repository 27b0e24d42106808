"""The n-th step of the store fails, for n = 1, 2, 3 …: the actors above it lose nothing, and go on."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from hub.actors.processing import GetDerivationState
from hub.actors.recorder import GetRecorderState
from hub.bus import EventBus
from hub.errors import WattlineError
from hub.runtime.actor import request
from hub.runtime.clock import FakeClock
from hub.runtime.supervisor import Supervisor
from hub.storage import slots
from hub.storage.database import Database
from hub.storage.readings import read_columns
from hub.storage.rederive import rederive
from tests.hub.actors.house import NOW_MS, House

HOUR_MS = 3_600_000
STEPS = 120
REPLAYED = {0, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_BUSY}
"""After these the recorder itself tries once more on a new connection, which works here."""


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("injected")
    error.sqlite_errorcode = code
    return error


class Fault:
    """Raises at the n-th step after it was armed, once."""

    def __init__(self, error: Exception) -> None:
        self.left = 0
        self.raised = 0
        self._error = error

    def __call__(self, step: str) -> None:
        self.left -= 1
        if self.left == 0:
            self.raised += 1
            raise self._error


@pytest.mark.parametrize(
    "error",
    [
        sqlite_error(sqlite3.SQLITE_IOERR_FSYNC),
        sqlite_error(sqlite3.SQLITE_FULL),
        sqlite_error(sqlite3.SQLITE_BUSY),
        sqlite_error(sqlite3.SQLITE_CORRUPT),
        MemoryError(),
    ],
    ids=["failed sync", "disk full", "busy", "corrupt", "no memory"],
)
async def test_no_step_of_the_store_that_fails_loses_a_reading_or_stops_an_actor(
    tmp_path: Path, error: Exception
) -> None:
    fault = Fault(error)
    clock = FakeClock(NOW_MS)
    database = await Database.open("sqlite:///hub.db", tmp_path, clock=clock, before=fault)
    house = House(database, clock, EventBus(), Supervisor(clock))
    try:
        await house.start()
        power, register = await house.declare("meter", "power", "energy_import")
        acked: dict[tuple[int, int], float] = {}
        refused = at = 0
        for n in range(1, STEPS + 1):
            fault.left = n % 17 + 1
            for turn in range(4):
                at += 1
                ts_ms = NOW_MS - HOUR_MS + at * 2_000 - (600_700 if at % 13 == 0 else 0)  # now and then late
                rows = [(power, ts_ms, 100.0 + at), (register, ts_ms, 1000.0 + at)]
                try:
                    stored = await house.store(rows)
                except WattlineError:
                    refused += 1
                    continue
                assert not stored.rejections
                acked.update({(number, ts): value for number, ts, value in rows})
                if turn == 3:
                    await house.work()
        fault.left = 0
        await house.store([(power, NOW_MS, 1.0)])
        await house.work()
        found = {
            (number, ts): value
            for number in (power, register)
            for columns in [await database.read(lambda c, number=number: read_columns(c, number, 0, 1 << 52))]  # type: ignore[misc]
            for ts, value in zip(columns.ts_ms.tolist(), columns.values.tolist(), strict=True)
        }
        assert fault.raised > STEPS / 4
        assert refused or getattr(error, "sqlite_errorcode", 0) in REPLAYED
        assert acked.items() <= found.items()
        for number in (power, register):
            await _assert_derived(house, number)
        assert {health.state for health in house.supervisor.health()} == {"running"}
        assert (await request(house.ref("recorder"), GetRecorderState())).failing == ""
        assert (await request(house.ref("processing"), GetDerivationState())).dirty_series == 0
    finally:
        await house.supervisor.stop_all()
        await database.close()


async def _assert_derived(house: House, number: int) -> None:
    series = house.registry.by_no(number)
    assert series is not None
    stored = await house.database.read(lambda c: slots.read(c, [number], slots.SLOT, 0, 1 << 52)[number])
    whole = await house.database.read(lambda c: rederive(c, series, NOW_MS - 4 * HOUR_MS, NOW_MS + HOUR_MS))
    assert stored.same_as(whole.derived.slots)
