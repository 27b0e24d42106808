"""Rules of sessions and API tokens: how long they live, what a new one may do. No database, no clock of its own."""

from __future__ import annotations

import secrets
from dataclasses import replace
from hmac import compare_digest

from hub.actors.access_tokens import digest, new_api_token
from hub.actors.auth_requests import CreateToken, Origin
from hub.errors import Forbidden, Refused
from hub.model.access import check_scopes, permissions_of
from hub.storage.users import SessionRow, TokenRow, UserRow

DAY_MS = 86_400_000
SESSION_IDLE_MS = 30 * DAY_MS
SESSION_MAX_MS = 90 * DAY_MS
REFRESH_GRACE_MS = 60_000
MAX_TOKENS_PER_USER = 200


def new_session(session_id: str, user_id: str, refresh_token: str, origin: Origin, now_ms: int) -> SessionRow:
    """A session that begins now."""
    return SessionRow(
        id=session_id,
        user_id=user_id,
        created_ms=now_ms,
        expires_ms=now_ms + SESSION_IDLE_MS,
        refresh_hash=digest(refresh_token),
        user_agent=shown(origin.user_agent),
        address=origin.address,
        last_seen_ms=now_ms,
    )


def rotated_session(session: SessionRow, refresh_token: str, origin: Origin, now_ms: int) -> SessionRow:
    """The session with its next refresh token; the one before stays good for a minute."""
    return replace(
        session,
        refresh_hash=digest(refresh_token),
        previous_hash=session.refresh_hash,
        previous_until_ms=now_ms + REFRESH_GRACE_MS,
        expires_ms=min(now_ms + SESSION_IDLE_MS, session.created_ms + SESSION_MAX_MS),
        last_seen_ms=now_ms,
        address=origin.address,
    )


def in_grace(session: SessionRow, presented_hash: str, now_ms: int) -> bool:
    """True for the refresh token before the newest, while that one was not used and a minute has not gone."""
    return (
        session.previous_hash is not None
        and session.previous_until_ms is not None
        and now_ms < session.previous_until_ms
        and compare_digest(presented_hash, session.previous_hash)
    )


def new_token(request: CreateToken, owner: UserRow, now_ms: int) -> tuple[TokenRow, str]:
    """An API token and its secret, never with more rights or a longer life than who makes it.

    Raises:
        Forbidden: ``WL-AUTH-013``, wider than the token that asks.
        Refused: ``WL-AUTH-026`` the name, ``WL-AUTH-027`` the end, ``WL-AUTH-021`` and ``WL-AUTH-029`` the scopes.
    """
    scopes = _granted_scopes(request, owner)
    name = request.name.strip()
    if not name or len(name) > 100 or not name.isprintable():
        raise Refused("WL-AUTH-026", "a token needs a name of 1 to 100 printable characters", where="name")
    expires_ms = request.expires_ms
    if expires_ms is not None and expires_ms <= now_ms:
        raise Refused("WL-AUTH-027", "the token would have expired already", where="expires")
    if request.by.token_id is not None and request.by.expires_ms is not None:
        # a token that ends must not live on in its children
        expires_ms = min(expires_ms or request.by.expires_ms, request.by.expires_ms)
    made = new_api_token()
    return TokenRow(secrets.token_hex(8), owner.id, name, made.hash, scopes, now_ms, expires_ms), made.secret


def _granted_scopes(request: CreateToken, owner: UserRow) -> tuple[str, ...] | None:
    scopes = check_scopes(request.scopes)
    if request.by.scopes is not None and (scopes is None or not set(scopes) <= set(request.by.scopes)):
        raise Forbidden(
            "WL-AUTH-013",
            "a token cannot make one that may do more than itself",
            where="scopes",
            hint=f"name scopes out of {', '.join(request.by.scopes)}",
        )
    empty = [scope for scope in scopes or () if not permissions_of(owner.roles, (scope,))]
    if empty:
        raise Refused(
            "WL-AUTH-029",
            f"{owner.name} may do nothing of the scope {empty[0]}, so its token could not either",
            where="scopes",
            hint="give the user a role that may",
        )
    return scopes


def shown(text: str) -> str:
    """What a stranger sent, fit for a log line and the audit trail."""
    return "".join(char if char.isprintable() else "?" for char in text[:200])
