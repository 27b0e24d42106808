"""What a database promises to whoever writes, reads, waits and gives up."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.errors import AskUser, StorageAway
from hub.runtime.clock import FakeClock
from hub.storage import tables as t
from hub.storage.database import Database
from hub.storage.lock import holder_pid
from tests.contract.storage.rows import T0, batch, pairs


def put(key: str, value: object = 1) -> sa.Insert:
    return sa.insert(t.settings).values(key=key, value=value)


async def loop_turns() -> None:
    """Long enough for new tasks to stand in the queue."""
    for _ in range(10):
        await asyncio.sleep(0)


def keys(connection: sa.Connection) -> list[str]:
    return list(connection.execute(sa.select(t.settings.c.key).order_by(t.settings.c.key)).scalars())


async def test_what_was_written_is_there_after_opening_again(store_url: str, data_dir: Path) -> None:
    first = await Database.open(store_url, data_dir, clock=FakeClock())
    await first.write(lambda c: c.execute(put("a", {"deep": [1, None, "ü"]})))
    await first.append(batch([(1, T0, 1.0)], fresh=True))
    await first.close()

    second = await Database.open(store_url, data_dir, clock=FakeClock())
    value = await second.read(lambda c: c.execute(sa.select(t.settings.c.value)).scalar_one())
    rows = await second.read(lambda c: pairs(c, 1))
    await second.close()

    assert value == {"deep": [1, None, "ü"]}
    assert rows == [(T0, 1.0)]


async def test_a_job_that_raises_stores_nothing_and_harms_nobody(database: Database) -> None:
    def job(connection: sa.Connection) -> None:
        connection.execute(put("lost"))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await database.write(job)
    await database.write(lambda c: c.execute(put("kept")))

    assert await database.read(keys) == ["kept"]


async def test_a_broken_constraint_is_the_callers_own(database: Database) -> None:
    await database.write(lambda c: c.execute(put("a")))

    with pytest.raises(sa.exc.IntegrityError):
        await database.write(lambda c: c.execute(put("a")))

    assert await database.read(keys) == ["a"]
    assert database.statistics.failures == 0


async def test_users_take_their_sessions_with_them(database: Database) -> None:
    user = {"id": "u", "name": "ann", "created_ms": 0}
    session = {
        "id": "s", "user_id": "u", "created_ms": 0, "expires_ms": 1, "refresh_hash": "h", "last_seen_ms": 0,
    }  # fmt: skip
    await database.write(lambda c: c.execute(sa.insert(t.users).values(user)))
    await database.write(lambda c: c.execute(sa.insert(t.sessions).values(session)))

    await database.write(lambda c: c.execute(sa.delete(t.users)))

    assert await database.read(lambda c: c.execute(sa.select(t.sessions.c.id)).all()) == []


async def test_series_numbers_are_never_given_twice(database: Database) -> None:
    def add(connection: sa.Connection) -> int:
        values = {"device_id": "d", "key": "k", "quantity": "power", "behaviour": "gauge", "created_ms": 0}
        number = connection.execute(sa.insert(t.series).values(values).returning(t.series.c.no)).scalar_one()
        connection.execute(sa.delete(t.series))
        return int(number)

    first = await database.write(add)
    second = await database.write(add)

    assert second > first


async def test_a_role_is_given_once_per_scope(database: Database) -> None:
    await database.write(lambda c: c.execute(sa.insert(t.users).values(id="u", name="ann", created_ms=0)))
    await database.write(lambda c: c.execute(sa.insert(t.roles).values(name="viewer", builtin=True)))
    grant = {"user_id": "u", "role": "viewer", "scope": None}
    await database.write(lambda c: c.execute(sa.insert(t.user_roles), [grant, {**grant, "scope": "flat"}]))

    with pytest.raises(sa.exc.IntegrityError):
        await database.write(lambda c: c.execute(sa.insert(t.user_roles).values(grant)))


async def test_readers_cannot_write(database: Database) -> None:
    with pytest.raises((StorageAway, sa.exc.SQLAlchemyError)):
        await database.read(lambda c: c.execute(put("a")))

    assert await database.read(keys) == []


async def test_jobs_run_in_order_but_readings_go_first(database: Database) -> None:
    order: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def first(_: sa.Connection) -> None:
        begun.set()
        go_on.wait(60)
        order.append("first")

    def note(name: str) -> None:
        order.append(name)

    holding = asyncio.create_task(database.write(first))
    await asyncio.to_thread(begun.wait, 60)
    second = asyncio.create_task(database.write(lambda _: note("second")))
    third = asyncio.create_task(database.write(lambda _: note("third")))
    readings = asyncio.create_task(database.append(batch([(1, T0, 1.0)], fresh=True)))
    readings.add_done_callback(lambda _: note("readings"))
    await loop_turns()
    assert database.waiting == 3
    go_on.set()
    await asyncio.gather(holding, second, third, readings)

    assert order[0] == "first"
    assert order.index("readings") < order.index("third")
    assert order.index("second") < order.index("third")


async def test_a_caller_that_gives_up_while_waiting_is_skipped(database: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: sa.Connection) -> None:
        begun.set()
        go_on.wait(60)
        connection.execute(put("slow"))

    running = asyncio.create_task(database.write(slow))
    await asyncio.to_thread(begun.wait, 60)
    waiting = asyncio.create_task(database.write(lambda c: c.execute(put("never"))))
    await loop_turns()
    waiting.cancel()
    running.cancel()
    go_on.set()
    await asyncio.gather(waiting, running, return_exceptions=True)
    await database.write(lambda c: c.execute(put("last")))

    # what ran when its caller left was finished, and the writer was not shared meanwhile
    assert await database.read(keys) == ["last", "slow"]


async def test_many_readers_beside_a_writer_see_whole_transactions(database: Database) -> None:
    def add_two(connection: sa.Connection, n: int) -> None:
        connection.execute(put(f"{n}-a"))
        connection.execute(put(f"{n}-b"))

    async def write_all() -> None:
        for n in range(20):
            await database.write(lambda c, n=n: add_two(c, n))  # type: ignore[misc]

    writing = asyncio.create_task(write_all())
    counts = [len(await database.read(keys)) for _ in range(30)]
    await writing

    assert [count % 2 for count in counts] == [0] * 30
    assert len(await database.read(keys)) == 40


async def test_a_second_hub_on_the_directory_is_told_who_is_there(database: Database, store_url: str) -> None:
    with pytest.raises(AskUser, match=rf"WL-STO-002.*pid {os.getpid()}"):
        await Database.open(store_url, database.data_dir, clock=FakeClock())

    assert holder_pid(database.data_dir) == os.getpid()
    await database.write(lambda c: c.execute(put("still here")))


async def test_after_closing_the_directory_is_free_and_writes_are_refused(
    store_url: str, data_dir: Path
) -> None:
    closed = await Database.open(store_url, data_dir, clock=FakeClock())
    await closed.close()
    await closed.close()

    with pytest.raises(StorageAway, match="WL-STO-014"):
        await closed.write(keys)
    with pytest.raises(StorageAway, match="WL-STO-014"):
        await closed.read(keys)
    assert holder_pid(data_dir) is None


async def test_closing_finishes_what_was_asked_for(store_url: str, data_dir: Path) -> None:
    store = await Database.open(store_url, data_dir, clock=FakeClock())
    writes = [asyncio.create_task(store.write(lambda c, n=n: c.execute(put(str(n))))) for n in range(20)]  # type: ignore[misc]
    await loop_turns()
    await store.close()

    again = await Database.open(store_url, data_dir, clock=FakeClock())
    stored = await again.read(keys)
    await again.close()
    await asyncio.gather(*writes)
    assert len(stored) == 20


@pytest.mark.parametrize(
    "url", ["", "mysql://h/x", "sqlite://", "sqlite:///:memory:", "postgresql://h", "no url"]
)
async def test_a_url_that_names_no_store_is_refused_with_a_hint(url: str, tmp_path: Path) -> None:
    with pytest.raises(AskUser, match=r"WL-STO-001.*sqlite:///hub\.db"):
        await Database.open(url, tmp_path, clock=FakeClock())

    assert holder_pid(tmp_path) is None
