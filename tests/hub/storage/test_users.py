"""Users, sessions, tokens and audit in a real file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.model.access import PERMISSION_NAMES, PERMISSIONS_OF_ROLE
from hub.runtime.clock import SystemClock
from hub.storage import tables as t
from hub.storage import users as store
from hub.storage.database import Database
from hub.storage.users import AuditRow, SessionRow, TokenRow, UserRow

ANNA = UserRow("u1", "anna", "hash", False, ("viewer", "manager"), 5)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open("sqlite:///hub.db", tmp_path, clock=SystemClock())
    await opened.write(store.write_roles)
    yield opened
    await opened.close()


async def test_the_table_of_permissions_is_written_once_and_kept_in_line(database: Database) -> None:
    def foreign_row(connection: sa.Connection) -> None:
        connection.execute(sa.delete(t.role_permissions).where(t.role_permissions.c.permission == "ingest"))
        connection.execute(sa.insert(t.role_permissions).values(role="viewer", permission="users.manage"))

    await database.write(foreign_row)
    await database.write(store.write_roles)

    stored = await database.read(
        lambda c: {(r.role, r.permission) for r in c.execute(sa.select(t.role_permissions))}
    )
    names = await database.read(lambda c: set(c.scalars(sa.select(t.permissions.c.name))))
    assert stored == {(role, name) for role, held in PERMISSIONS_OF_ROLE.items() for name in held}
    assert names == PERMISSION_NAMES


async def test_a_user_comes_back_with_roles_and_without_them_in_its_text(database: Database) -> None:
    await database.write(lambda c: store.insert_user(c, ANNA))
    changed = UserRow("u1", "anna", "other", True, ("admin",), 5)

    before = await database.read(lambda c: store.load_accounts(c, 10))
    await database.write(lambda c: store.update_user(c, changed))
    after = await database.read(lambda c: store.load_accounts(c, 10))

    assert before.users == (ANNA,)
    assert after.users == (changed,)
    assert "hash" not in repr(ANNA).replace("password_hash", "")


async def test_only_live_sessions_and_tokens_are_loaded(database: Database) -> None:
    def job(connection: sa.Connection) -> None:
        store.insert_user(connection, ANNA)
        for name, expires_ms in (("live", 200), ("old", 50), ("ended", 200)):
            store.insert_session(connection, SessionRow(name, "u1", 1, expires_ms, f"hash-{name}"))
        store.end_sessions(connection, ["ended"], 60)
        for name, until_ms in (("live", 200), ("forever", None), ("old", 50), ("revoked", None)):
            store.insert_token(connection, TokenRow(name, "u1", name, f"h-{name}", ("read",), 1, until_ms))
        store.revoke_tokens(connection, ["revoked"], 60)
        store.note_token_use(connection, {"live": 99})

    await database.write(job)
    accounts = await database.read(lambda c: store.load_accounts(c, 100))

    assert {session.id for session in accounts.sessions} == {"live"}
    assert {token.id: token.last_used_ms for token in accounts.tokens} == {"live": 99, "forever": None}
    assert {token.scopes for token in accounts.tokens} == {("read",)}


async def test_a_refresh_is_written_over_the_same_session(database: Database) -> None:
    rotated = SessionRow("s", "u1", 1, 300, "new", "old", 90, "agent", "127.0.0.1", 30)

    def job(connection: sa.Connection) -> None:
        store.insert_user(connection, ANNA)
        store.insert_session(connection, SessionRow("s", "u1", 1, 200, "old"))
        store.update_session(connection, rotated)

    await database.write(job)
    accounts = await database.read(lambda c: store.load_accounts(c, 100))

    assert accounts.sessions == (rotated,)


async def test_dead_sessions_are_forgotten_live_ones_stay(database: Database) -> None:
    def job(connection: sa.Connection) -> list[str]:
        store.insert_user(connection, ANNA)
        for name, expires_ms in (("live", 900), ("old", 50), ("ended", 900)):
            store.insert_session(connection, SessionRow(name, "u1", 1, expires_ms, f"hash-{name}"))
        store.end_sessions(connection, ["ended"], 60)
        store.delete_dead_sessions(connection, 100)
        return list(connection.scalars(sa.select(t.sessions.c.id)))

    assert await database.write(job) == ["live"]


async def test_the_audit_trail_reads_newest_first_and_in_pages(database: Database) -> None:
    rows = [AuditRow(n, "u1", "user.create", f"user {n}", {"by": "anna"}, "127.0.0.1") for n in range(5)]
    await database.write(lambda c: store.insert_audit(c, rows))

    first = await database.read(lambda c: store.read_audit(c, limit=2))
    second = await database.read(lambda c: store.read_audit(c, limit=9, before_id=first[-1].id))

    assert [row.ts_ms for row in first + second] == [4, 3, 2, 1, 0]
    assert first[0].detail == {"by": "anna"}
