"""Users, roles, sessions, API tokens and the audit trail: plain jobs on a connection.

Each function runs inside a job of :class:`hub.storage.database.Database`; none of them commits. Secrets never
come here in clear: passwords are argon2id strings, tokens and refresh tokens SHA-256 digests in hex.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from hub.model.access import PERMISSIONS, PERMISSIONS_OF_ROLE
from hub.storage import tables as t


@dataclass(frozen=True, slots=True)
class UserRow:
    """A person; ``password_hash`` is an argon2id string, ``None`` where no password was set yet."""

    id: str
    name: str
    password_hash: str | None = field(repr=False)
    disabled: bool
    roles: tuple[str, ...]
    created_ms: int


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A signed-in browser: a chain of refresh tokens, of which the newest and maybe the one before count."""

    id: str
    user_id: str
    created_ms: int
    expires_ms: int
    refresh_hash: str = field(repr=False)
    previous_hash: str | None = field(default=None, repr=False)
    previous_until_ms: int | None = None
    user_agent: str = ""
    address: str = ""
    last_seen_ms: int = 0


@dataclass(frozen=True, slots=True)
class TokenRow:
    """An API token; ``scopes`` is ``None`` where it may do all that its user may."""

    id: str
    user_id: str
    name: str
    hash: str = field(repr=False)
    scopes: tuple[str, ...] | None
    created_ms: int
    expires_ms: int | None
    last_used_ms: int | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the audit trail: who did what to which target, from where."""

    ts_ms: int
    user_id: str | None
    action: str
    target: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)
    address: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Accounts:
    """Everything that can still let somebody in."""

    users: tuple[UserRow, ...]
    sessions: tuple[SessionRow, ...]
    tokens: tuple[TokenRow, ...]


def write_roles(connection: sa.Connection) -> None:
    """Bring the tables of roles and permissions in line with :mod:`hub.model.access`."""
    _insert_missing(connection, t.roles, "name", [{"name": r, "builtin": True} for r in PERMISSIONS_OF_ROLE])
    _insert_missing(connection, t.permissions, "name", [{"name": p.name} for p in PERMISSIONS])
    wanted = {(role, name) for role, names in PERMISSIONS_OF_ROLE.items() for name in names}
    known = t.role_permissions
    stored = {(row.role, row.permission) for row in connection.execute(sa.select(known))}
    builtin = set(PERMISSIONS_OF_ROLE)
    for role, permission in sorted(stored - wanted):
        if role in builtin:
            connection.execute(sa.delete(known).where(known.c.role == role, known.c.permission == permission))
    missing = [{"role": role, "permission": permission} for role, permission in sorted(wanted - stored)]
    if missing:
        connection.execute(sa.insert(known), missing)


def load_accounts(connection: sa.Connection, now_ms: int) -> Accounts:
    """Users, live sessions and live tokens at ``now_ms``."""
    roles: dict[str, list[str]] = {}
    held = t.user_roles
    for row in connection.execute(sa.select(held).where(held.c.scope.is_(None)).order_by(held.c.id)):
        roles.setdefault(row.user_id, []).append(row.role)
    users = tuple(
        UserRow(
            row.id, row.name, row.password_hash, row.disabled, tuple(roles.get(row.id, ())), row.created_ms
        )
        for row in connection.execute(sa.select(t.users).order_by(t.users.c.created_ms, t.users.c.id))
    )
    return Accounts(users, _live_sessions(connection, now_ms), _live_tokens(connection, now_ms))


def _live_sessions(connection: sa.Connection, now_ms: int) -> tuple[SessionRow, ...]:
    s = t.sessions
    rows = connection.execute(sa.select(s).where(s.c.ended_ms.is_(None), s.c.expires_ms > now_ms))
    return tuple(
        SessionRow(
            row.id,
            row.user_id,
            row.created_ms,
            row.expires_ms,
            row.refresh_hash,
            row.previous_hash,
            row.previous_until_ms,
            row.user_agent,
            row.address,
            row.last_seen_ms,
        )
        for row in rows
    )


def _live_tokens(connection: sa.Connection, now_ms: int) -> tuple[TokenRow, ...]:
    k = t.api_tokens
    alive = sa.and_(k.c.revoked_ms.is_(None), sa.or_(k.c.expires_ms.is_(None), k.c.expires_ms > now_ms))
    return tuple(
        TokenRow(
            row.id,
            row.user_id,
            row.name,
            row.hash,
            tuple(row.scopes) if row.scopes else None,
            row.created_ms,
            row.expires_ms,
            row.last_used_ms,
        )
        for row in connection.execute(sa.select(k).where(alive))
    )


def insert_user(connection: sa.Connection, user: UserRow) -> None:
    """Add a user with roles; a name that is taken raises ``sqlalchemy.exc.IntegrityError``."""
    connection.execute(
        sa.insert(t.users).values(
            id=user.id,
            name=user.name,
            password_hash=user.password_hash,
            disabled=user.disabled,
            created_ms=user.created_ms,
        )
    )
    _insert_roles(connection, user.id, user.roles)


def update_user(connection: sa.Connection, user: UserRow) -> None:
    """Write password, disabled mark and roles of a known user."""
    connection.execute(
        sa.update(t.users)
        .where(t.users.c.id == user.id)
        .values(password_hash=user.password_hash, disabled=user.disabled)
    )
    held = t.user_roles
    connection.execute(sa.delete(held).where(held.c.user_id == user.id, held.c.scope.is_(None)))
    _insert_roles(connection, user.id, user.roles)


def _insert_roles(connection: sa.Connection, user_id: str, roles: Iterable[str]) -> None:
    rows = [{"user_id": user_id, "role": role, "scope": None} for role in roles]
    if rows:
        connection.execute(sa.insert(t.user_roles), rows)


def insert_session(connection: sa.Connection, session: SessionRow) -> None:
    """Add a session."""
    connection.execute(sa.insert(t.sessions).values(_session_values(session) | {"id": session.id}))


def update_session(connection: sa.Connection, session: SessionRow) -> None:
    """Write what a refresh changes."""
    connection.execute(
        sa.update(t.sessions).where(t.sessions.c.id == session.id).values(_session_values(session))
    )


def _session_values(session: SessionRow) -> dict[str, object]:
    return {
        "user_id": session.user_id,
        "created_ms": session.created_ms,
        "expires_ms": session.expires_ms,
        "refresh_hash": session.refresh_hash,
        "previous_hash": session.previous_hash,
        "previous_until_ms": session.previous_until_ms,
        "user_agent": session.user_agent,
        "address": session.address,
        "last_seen_ms": session.last_seen_ms,
    }


def end_sessions(connection: sa.Connection, session_ids: Iterable[str], now_ms: int) -> None:
    """Mark sessions as ended; they never count again."""
    ids = list(session_ids)
    if ids:
        connection.execute(sa.update(t.sessions).where(t.sessions.c.id.in_(ids)).values(ended_ms=now_ms))


def delete_dead_sessions(connection: sa.Connection, before_ms: int) -> None:
    """Forget sessions that ended or expired before ``before_ms``."""
    s = t.sessions
    connection.execute(sa.delete(s).where(sa.or_(s.c.ended_ms < before_ms, s.c.expires_ms < before_ms)))


def insert_token(connection: sa.Connection, token: TokenRow) -> None:
    """Add an API token."""
    connection.execute(
        sa.insert(t.api_tokens).values(
            id=token.id,
            user_id=token.user_id,
            name=token.name,
            hash=token.hash,
            scopes=list(token.scopes or ()),
            created_ms=token.created_ms,
            expires_ms=token.expires_ms,
        )
    )


def revoke_tokens(connection: sa.Connection, token_ids: Iterable[str], now_ms: int) -> None:
    """Mark tokens as revoked; they never count again."""
    ids = list(token_ids)
    if ids:
        k = t.api_tokens
        connection.execute(sa.update(k).where(k.c.id.in_(ids)).values(revoked_ms=now_ms))


def note_token_use(connection: sa.Connection, last_used_ms: Mapping[str, int]) -> None:
    """Write when tokens were used last (``{token id: epoch ms}``)."""
    if last_used_ms:
        k = t.api_tokens
        connection.execute(
            sa.update(k)
            .where(k.c.id == sa.bindparam("token_id"))
            .values(last_used_ms=sa.bindparam("used_ms")),
            [{"token_id": token_id, "used_ms": used_ms} for token_id, used_ms in last_used_ms.items()],
        )


def insert_audit(connection: sa.Connection, rows: Iterable[AuditRow]) -> None:
    """Append to the audit trail."""
    values = [
        {
            "ts_ms": row.ts_ms,
            "user_id": row.user_id,
            "action": row.action,
            "object": row.target,
            "detail": dict(row.detail),
            "address": row.address,
        }
        for row in rows
    ]
    if values:
        connection.execute(sa.insert(t.audit_log), values)


def read_audit(connection: sa.Connection, *, limit: int, before_id: int | None = None) -> list[AuditRow]:
    """The newest lines first, older than the line ``before_id``."""
    a = t.audit_log
    query = sa.select(a).order_by(a.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(a.c.id < before_id)
    return [
        AuditRow(row.ts_ms, row.user_id, row.action, row.object, row.detail, row.address, row.id)
        for row in connection.execute(query)
    ]


def _insert_missing(
    connection: sa.Connection, table: sa.Table, key: str, rows: list[dict[str, object]]
) -> None:
    stored = set(connection.scalars(sa.select(table.c[key])))
    missing = [row for row in rows if row[key] not in stored]
    if missing:
        connection.execute(sa.insert(table), missing)
