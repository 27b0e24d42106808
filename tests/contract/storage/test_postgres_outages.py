"""PostgreSQL that stops, breaks connections, or holds a lock: refused clearly, resumed alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from hub.errors import AskUser, StorageAway
from hub.runtime.clock import FakeClock
from hub.storage import postgres_backend
from hub.storage.database import Database
from tests.contract.storage.rows import T0, batch, pairs
from tests.peers.postgres import PostgresServer


async def test_a_crashed_server_is_away_and_then_back_without_a_restart_of_ours(
    postgres_url: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    store = await Database.open(postgres_url, tmp_path, clock=FakeClock())
    await store.append(batch([(1, T0, 1.0)], fresh=True))

    await asyncio.to_thread(postgres_server.stop, "immediate")
    with pytest.raises(StorageAway):
        await store.append(batch([(1, T0 + 1, 2.0)], fresh=True))
    with pytest.raises(StorageAway):
        await store.read(lambda c: pairs(c, 1))
    with pytest.raises(StorageAway):
        await store.write(lambda c: pairs(c, 1))
    await asyncio.to_thread(postgres_server.start)

    outcome = await store.append(batch([(1, T0, 1.0), (1, T0 + 1, 2.0)], fresh=True))
    found = await store.read(lambda c: pairs(c, 1))
    await store.close()
    assert outcome.outcome.tolist() == [1, 0]
    assert found == [(T0, 1.0), (T0 + 1, 2.0)]


async def test_terminated_sessions_cost_one_refusal(
    postgres_url: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    store = await Database.open(postgres_url, tmp_path, clock=FakeClock())
    await store.append(batch([(1, T0, 1.0)], fresh=True))
    await store.read(lambda c: pairs(c, 1))

    database = postgres_url.rpartition("/")[2]
    await asyncio.to_thread(
        postgres_server.sql,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'",
    )
    with pytest.raises(StorageAway, match="WL-STO-009"):
        await store.append(batch([(1, T0 + 1, 2.0)], fresh=True))

    outcome = await store.append(batch([(1, T0 + 1, 2.0)], fresh=True))
    found = await store.read(lambda c: pairs(c, 1))
    await store.close()
    assert outcome.outcome.tolist() == [0]
    assert len(found) == 2


async def test_a_lock_of_somebody_else_is_not_waited_for_for_ever(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_backend, "_LOCK_LIMIT_MS", 100)
    store = await Database.open(postgres_url, tmp_path, clock=FakeClock())
    other = await asyncpg.connect(postgres_url)
    async with other.transaction():
        await other.execute("LOCK TABLE readings IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StorageAway, match="55P03"):
            await store.append(batch([(1, T0, 1.0)], fresh=True))
    await other.close()

    outcome = await store.append(batch([(1, T0, 1.0)], fresh=True))
    await store.close()
    assert outcome.outcome.tolist() == [0]


async def test_rows_that_another_hub_stores_meanwhile_are_decided_not_doubled(
    postgres_url: str, tmp_path: Path
) -> None:
    first = await Database.open(postgres_url, tmp_path / "a", clock=FakeClock())
    second = await Database.open(postgres_url, tmp_path / "b", clock=FakeClock())
    rows = [(1, T0 + n, float(n)) for n in range(100)]

    outcomes = await asyncio.gather(
        *(store.append(batch(rows, fresh=fresh)) for store in (first, second) for fresh in (True, False))
    )

    found = await first.read(lambda c: pairs(c, 1))
    await first.close()
    await second.close()
    assert [value for _, value in found] == [value for _, _, value in rows]
    stored = [int(outcome.stored.sum()) for outcome in outcomes]
    assert sum(stored) == len(rows)


async def test_an_endless_query_is_ended(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_backend, "READ_LIMIT_S", 0.1)
    store = await Database.open(postgres_url, tmp_path, clock=FakeClock())

    with pytest.raises(StorageAway, match="WL-STO-013"):
        await store.read(lambda c: c.execute(sa.text("SELECT pg_sleep(30)")).all())

    await store.close()


@pytest.mark.parametrize("step", ["BEGIN;", "COMMIT;", "ROLLBACK;"])
async def test_an_error_that_nobody_foresaw_costs_one_batch_and_not_the_next(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """After a transaction that ended in disorder the driver would nest the next ones in it, or refuse them."""
    genuine = asyncpg.Connection.execute
    broken: list[str] = []

    async def execute(connection: asyncpg.Connection, query: str, *more: Any, **options: Any) -> str:
        if query == step and step not in broken:
            broken.append(step)
            raise AssertionError("not foreseen")
        status: str = await genuine(connection, query, *more, **options)
        return status

    def refuse(at: str) -> None:
        if armed and step == "ROLLBACK;" and at == "commit":
            armed.clear()
            raise ValueError("to be rolled back")

    armed: set[bool] = set()
    store = await Database.open(postgres_url, tmp_path, clock=FakeClock(), before=refuse)
    await store.append(batch([(1, T0, 1.0)], fresh=True))
    monkeypatch.setattr(asyncpg.Connection, "execute", execute)
    armed.add(True)
    with pytest.raises(AssertionError, match="not foreseen"):
        await store.append(batch([(1, T0 + 1, 2.0)], fresh=True))
    await store.append(batch([(1, T0 + 2, 3.0)], fresh=True))
    assert broken == [step]

    found = await store.read(lambda c: pairs(c, 1))  # on another connection: it sees what is committed
    await store.close()
    assert found == [(T0, 1.0), (T0 + 2, 3.0)]


async def test_a_password_is_never_said(postgres_server: PostgresServer, tmp_path: Path) -> None:
    url = f"postgresql://postgres:canary-4711@127.0.0.1:{postgres_server.port}/absent"

    with pytest.raises(AskUser, match="WL-STO-006") as refused:
        await Database.open(url, tmp_path, clock=FakeClock())

    assert "canary" not in str(refused.value)
    assert "***" in str(refused.value)


async def test_a_server_that_is_not_there_is_away(tmp_path: Path) -> None:
    with pytest.raises(StorageAway, match="WL-STO-009"):
        await Database.open("postgresql://u:p@127.0.0.1:1/x", tmp_path, clock=FakeClock())
