"""A SQLite file that is damaged, gone, full or slow to read."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.errors import AskUser, DiskFull, StorageAway, StorageCorrupt
from hub.runtime.clock import FakeClock
from hub.storage import sqlite_backend
from hub.storage.database import Database
from hub.storage.sqlite_backend import SqliteBackend
from tests.contract.storage.rows import T0, batch, pairs

URL = "sqlite:///hub.db"
ROWS = [(1, T0 + n, float(n)) for n in range(5000)]


@pytest.fixture
async def closed_store(tmp_path: Path) -> Path:
    """A data directory with 5,000 readings in it, not in use."""
    store = await Database.open(URL, tmp_path, clock=FakeClock())
    await store.append(batch(ROWS, fresh=True))
    await store.close()
    return tmp_path


def overwritten(path: Path, at: int, data: bytes) -> bytes:
    """Spoil a file → its bytes afterwards."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)
    return path.read_bytes()


@pytest.mark.parametrize("damage", ["header", "truncated", "empty", "other"])
async def test_a_damaged_file_is_refused_and_left_as_it_is(closed_store: Path, damage: str) -> None:
    path = closed_store / "hub.db"
    match damage:
        case "header":
            overwritten(path, 0, bytes(100))
        case "truncated":
            os.truncate(path, 100)
        case "empty":
            os.truncate(path, 0)
        case _:
            path.write_bytes(b"not a database at all" * 500)
    before = path.read_bytes()

    with pytest.raises(StorageCorrupt, match=r"WL-STO-011.*a backup"):
        await Database.open(URL, closed_store, clock=FakeClock())

    assert path.read_bytes() == before
    with pytest.raises(StorageCorrupt):  # the lock was let go of, and the answer stays the same
        await Database.open(URL, closed_store, clock=FakeClock())


async def test_a_file_that_is_gone_is_not_replaced_by_an_empty_one(closed_store: Path) -> None:
    (closed_store / "hub.db").unlink()

    with pytest.raises(StorageCorrupt, match="gone"):
        await Database.open(URL, closed_store, clock=FakeClock())

    assert not (closed_store / "hub.db").exists()


async def test_damage_inside_is_found_when_it_is_read_and_writes_say_so(closed_store: Path) -> None:
    path = closed_store / "hub.db"
    spoiled = overwritten(path, path.stat().st_size - 40_960, os.urandom(40_960))  # readings come last
    store = await Database.open(URL, closed_store, clock=FakeClock(), upgrade=False)

    with pytest.raises(StorageCorrupt, match="WL-STO-011"):
        await store.read(lambda c: pairs(c, 1))
    with pytest.raises(StorageCorrupt, match="WL-STO-011"):
        await store.append(batch(ROWS[-3:], fresh=False))

    assert store.statistics.last_failure == "WL-STO-011"
    await store.close()
    assert path.read_bytes() == spoiled


async def test_a_full_database_refuses_writes_reads_on_and_recovers_by_itself(tmp_path: Path) -> None:
    store = await Database.open(URL, tmp_path, clock=FakeClock())
    await store.append(batch(ROWS[:1000], fresh=True))
    assert isinstance(store.backend, SqliteBackend)

    def limit(raw: sqlite3.Connection) -> None:
        raw.execute(f"PRAGMA max_page_count={raw.execute('PRAGMA page_count').fetchone()[0]}")

    await store.backend.with_writer(limit)
    with pytest.raises(DiskFull, match="WL-STO-007"):
        await store.append(batch(ROWS[1000:], fresh=True))

    assert len(await store.read(lambda c: pairs(c, 1))) == 1000
    outcome = await store.append(batch(ROWS, fresh=True))  # a new connection has no limit: room again
    assert outcome.stored.sum() == 4000
    await store.close()


def test_a_file_size_limit_refuses_writes_and_loses_nothing(tmp_path: Path) -> None:
    program = """
import asyncio, resource, signal, sys
from pathlib import Path
from hub.errors import DiskFull
from hub.runtime.clock import SystemClock
from hub.storage.database import Database
from tests.contract.storage.rows import T0, batch, pairs

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = await Database.open("sqlite:///hub.db", Path(sys.argv[1]), clock=SystemClock())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
    acknowledged, refused = 0, 0
    for n in range(200):
        try:
            await store.append(batch([(1, T0 + n * 1000 + k, 1.0) for k in range(500)], fresh=True))
            acknowledged += 500
        except DiskFull:
            refused += 1
    while_full = len(await store.read(lambda c: pairs(c, 1)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await store.append(batch([(2, T0, 1.0)], fresh=True))
    print(acknowledged, refused > 0, while_full, len(await store.read(lambda c: pairs(c, 1))))
    await store.close()

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[3],
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    acknowledged, refused, while_full, after = done.stdout.split()
    assert refused == "True"
    assert acknowledged == while_full == after
    assert int(acknowledged) > 0
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 600_000


async def test_a_read_that_takes_too_long_is_ended_and_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_backend, "READ_LIMIT_S", 0.05)
    store = await Database.open(URL, tmp_path, clock=FakeClock())
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

    with pytest.raises(StorageAway, match="WL-STO-013"):
        await store.read(lambda c: c.exec_driver_sql(endless).all())

    monkeypatch.setattr(sqlite_backend, "READ_LIMIT_S", 30.0)
    assert await store.read(lambda c: c.exec_driver_sql("SELECT 7").scalar_one()) == 7
    await store.close()


async def test_the_writer_syncs_every_commit_and_nobody_else_can_write(tmp_path: Path) -> None:
    store = await Database.open(URL, tmp_path, clock=FakeClock())

    def settings(connection: sa.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "mmap_size", "query_only", "foreign_keys", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one_or_none() for name in names]

    writer = await store.write(settings)
    reader = await store.read(settings)
    await store.close()

    assert writer == ["wal", 2, 0, 0, 1, 10_000]
    assert reader[3] == 1
    assert reader[2] == 0


async def test_the_log_is_moved_into_the_file_when_it_is_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await Database.open(URL, tmp_path, clock=FakeClock())
    assert isinstance(store.backend, SqliteBackend)
    await store.append(batch(ROWS, fresh=True))
    before = (tmp_path / "hub.db").stat().st_size

    await store.backend.tidy()

    assert (tmp_path / "hub.db").stat().st_size > before
    await store.close()
    assert store.backend.log_bytes() == 0


def test_a_write_ahead_log_that_is_removed_in_use_costs_nothing_even_after_a_kill(tmp_path: Path) -> None:
    program = """
import asyncio, os, sys
from pathlib import Path
from hub.runtime.clock import SystemClock
from hub.storage.database import Database
from tests.contract.storage.rows import T0, batch, pairs

async def main():
    place = Path(sys.argv[1])
    store = await Database.open("sqlite:///hub.db", place, clock=SystemClock())
    await store.append(batch([(1, T0, 1.0)], fresh=True))
    await store.read(lambda c: pairs(c, 1))
    (place / "hub.db-wal").unlink()
    await store.append(batch([(1, T0 + 1, 2.0)], fresh=True))
    print(len(await store.read(lambda c: pairs(c, 1))), flush=True)
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.stdout == "2\n", done.stderr

    with sqlite3.connect(tmp_path / "hub.db") as connection:
        found = connection.execute("SELECT value FROM readings ORDER BY ts_ms").fetchall()
    connection.close()
    assert found == [(1.0,), (2.0,)]


async def test_a_file_that_is_replaced_in_use_is_not_written_into_the_void(tmp_path: Path) -> None:
    store = await Database.open(URL, tmp_path, clock=FakeClock())
    (tmp_path / "hub.db").rename(tmp_path / "moved.db")

    with pytest.raises(StorageCorrupt, match="removed or replaced"):
        await store.append(batch(ROWS[:1], fresh=True))

    (tmp_path / "moved.db").rename(tmp_path / "hub.db")
    outcome = await store.append(batch(ROWS[:1], fresh=True))
    await store.close()
    assert outcome.stored.all()


async def test_two_data_directories_cannot_share_one_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared' / 'hub.db'}"
    first = await Database.open(url, tmp_path / "a", clock=FakeClock())

    with pytest.raises(AskUser, match=r"WL-STO-002.*shared"):
        await Database.open(url, tmp_path / "b", clock=FakeClock())

    await first.close()
    second = await Database.open(url, tmp_path / "b", clock=FakeClock())
    await second.close()


async def test_the_database_and_its_log_belong_to_the_owner_alone(tmp_path: Path) -> None:
    store = await Database.open("sqlite:///deep/er/hub.db", tmp_path, clock=FakeClock())
    await store.append(batch(ROWS[:1], fresh=True))

    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "deep" / "er").iterdir()}
    await store.close()
    assert {modes[name] for name in ("hub.db", "hub.db-wal", "hub.db-shm")} == {0o600}


async def test_a_path_with_odd_letters_is_taken_as_it_is(tmp_path: Path) -> None:
    place = tmp_path / "a ü?#%20 b"
    store = await Database.open("sqlite:///my hub.db", place, clock=FakeClock())
    await store.append(batch(ROWS[:3], fresh=True))
    await store.close()

    assert sorted(path.name for path in place.iterdir()) == ["hub.lock", "my hub.db", "my hub.db.born"]
