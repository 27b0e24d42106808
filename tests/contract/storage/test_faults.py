"""Fail the n-th call of the store, for n = 1, 2, 3 …: nothing acknowledged is lost, and it always recovers."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa

from hub.errors import DiskFull, StorageAway, StorageCorrupt, WattlineError
from hub.runtime.clock import FakeClock
from hub.storage import tables as t
from hub.storage.database import Database
from hub.storage.readings import stat
from hub.storage.sealing import seal_day
from tests.contract.storage.rows import DAY_MS, T0, batch, pairs

DAY = T0 // DAY_MS


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("injected")
    error.sqlite_errorcode = code
    return error


class Fault:
    """Raises at the n-th step from when it is armed, once."""

    def __init__(self, error: Exception) -> None:
        self.left = 0
        self._error = error

    def __call__(self, step: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise self._error


# What a store can meet → what it is to the caller, as each engine says it.
FAULTS: dict[str, tuple[type[WattlineError], Exception, Exception]] = {
    "failed sync": (
        StorageAway,
        sqlite_error(sqlite3.SQLITE_IOERR_FSYNC),
        asyncpg.PostgresIOError("injected"),
    ),
    "file too big": (DiskFull, sqlite_error(sqlite3.SQLITE_IOERR_WRITE), asyncpg.DiskFullError("injected")),
    "disk full": (DiskFull, sqlite_error(sqlite3.SQLITE_FULL), asyncpg.DiskFullError("injected")),
    "busy": (StorageAway, sqlite_error(sqlite3.SQLITE_BUSY), asyncpg.LockNotAvailableError("injected")),
    "locked": (StorageAway, sqlite_error(sqlite3.SQLITE_LOCKED), asyncpg.DeadlockDetectedError("injected")),
    "stopped": (StorageAway, sqlite_error(sqlite3.SQLITE_CANTOPEN), asyncpg.AdminShutdownError("injected")),
    "corrupt": (StorageCorrupt, sqlite_error(sqlite3.SQLITE_CORRUPT), asyncpg.DataCorruptedError("injected")),
    "reset": (StorageAway, OSError("injected"), ConnectionResetError("injected")),
    "no memory": (StorageAway, MemoryError(), asyncpg.OutOfMemoryError("injected")),
    "closed": (StorageAway, MemoryError(), asyncpg.InterfaceError("connection is closed")),
    "closing": (
        StorageAway,
        OSError("injected"),
        asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_whatever_step_fails_nothing_acknowledged_is_lost(
    store_url: str, data_dir: Path, name: str
) -> None:
    expected, on_sqlite, on_postgres = FAULTS[name]
    fault = Fault(on_sqlite if store_url.startswith("sqlite") else on_postgres)
    store = await Database.open(store_url, data_dir, clock=FakeClock(), before=fault)
    acknowledged: dict[int, float] = {}
    failures: list[WattlineError] = []

    async def attempt(n: int) -> None:
        """One append, one write and one sealing, of which the armed step fails one."""
        ts_ms = T0 + n * 1000
        try:
            await store.append(batch([(1, ts_ms, float(n)), (1, ts_ms - 500, 0.5)], fresh=n % 2 == 0))
            acknowledged.update({ts_ms: float(n), ts_ms - 500: 0.5})
            await store.write(lambda c: c.execute(sa.insert(t.settings).values(key=str(n), value=n)))
            await store.write(lambda c: seal_day(c, 1, DAY))
        except WattlineError as failure:
            failures.append(failure)

    for n in range(1, 12):
        fault.left = n  # nine steps: the last two rounds pass without a fault
        await attempt(n)
        stored = dict(await store.read(lambda c: pairs(c, 1)))
        assert acknowledged.items() <= stored.items()
    fault.left = 0
    await store.append(batch([(1, T0 + DAY_MS, 1.0)], fresh=True))

    hot_and_sealed = await store.read(lambda c: stat(c, 1))
    keys = await store.read(lambda c: c.execute(sa.select(t.settings.c.key)).scalars().all())
    await store.close()
    assert [type(failure) for failure in failures] == [expected] * 9
    assert hot_and_sealed.hot + hot_and_sealed.sealed == len(stored) + 1
    assert set(keys) == {"7", "8", "9", "10", "11"}
    assert store.statistics.failures == 9


async def test_a_failed_commit_can_be_replayed_without_doubles(store_url: str, data_dir: Path) -> None:
    fault = Fault(OSError("injected"))
    store = await Database.open(store_url, data_dir, clock=FakeClock(), before=fault)
    rows = batch([(1, T0 + n, float(n)) for n in range(50)], fresh=True)
    for step in (1, 2, 3):
        fault.left = step
        with pytest.raises(StorageAway):
            await store.append(rows)

    outcome = await store.append(rows)
    again = await store.append(rows)

    found = await store.read(lambda c: pairs(c, 1))
    await store.close()
    assert outcome.stored.all()
    assert set(again.outcome.tolist()) == {1}
    assert len(found) == 50
