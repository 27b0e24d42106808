"""Who may come in, in memory: read by the web on the loop, written by the auth actor alone.

A request does not ask the actor: it looks the credential up here (about 2 µs for an API token, 40 µs for an
access token). The actor writes the database first and the book then, so what the book says is durable, and a
revocation counts from the next request on.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from hub.actors.access_tokens import (
    API_TOKEN_PREFIX,
    MAX_CREDENTIAL_CHARS,
    AccessClaims,
    SigningKey,
    bad_credential,
    digest,
)
from hub.errors import StorageAway
from hub.model.access import Principal, permissions_of
from hub.storage.users import Accounts, SessionRow, TokenRow, UserRow

TOKEN_USE_GRAIN_MS = 60_000


class AuthBook:
    """Users, live sessions and live tokens of this hub.

    ``setup_token`` is the one-time secret of the setup link: for the command line to print, for nobody to serve.
    """

    def __init__(self) -> None:
        self.loaded = False
        self.setup_token = secrets.token_urlsafe(32)
        self._key: SigningKey | None = None
        self._users: dict[str, UserRow] = {}
        self._user_of_name: dict[str, str] = {}
        self._sessions: dict[str, SessionRow] = {}
        self._tokens: dict[str, TokenRow] = {}
        self._token_of_hash: dict[str, str] = {}
        self._used_ms: dict[str, int] = {}

    # --- for everybody

    def authenticate(self, credential: str, now_ms: int) -> Principal:
        """The caller behind an access token or an API token.

        Raises:
            Unauthenticated: ``WL-AUTH-011``, without saying why.
            StorageAway: ``WL-AUTH-004``, the accounts are not loaded yet: nobody gets in.
        """
        if not self.loaded or self._key is None:
            raise StorageAway("WL-AUTH-004", "accounts are not loaded yet", retry_after_s=2)
        if len(credential) > MAX_CREDENTIAL_CHARS:
            raise bad_credential()
        if credential.startswith(API_TOKEN_PREFIX):
            token_id = self._token_of_hash.get(digest(credential))
            if token_id is None:
                raise bad_credential()
            return self._of_token(token_id, now_ms)
        claims = self._key.read_access_token(credential, now_ms)
        return self._of_session(claims, now_ms)

    def renew(self, principal: Principal, now_ms: int) -> Principal:
        """The same caller with today's rights: for connections that outlive a request.

        Raises:
            Unauthenticated: the session or token has ended, or the user was disabled.
        """
        if principal.local:
            return principal
        if principal.token_id is not None:
            return self._of_token(principal.token_id, now_ms)
        return self._of_session(AccessClaims(principal.user_id, principal.session_id or ""), now_ms)

    def has_owner(self) -> bool:
        """True as soon as one user exists."""
        return bool(self._users)

    def users(self) -> tuple[UserRow, ...]:
        """All users, the oldest first."""
        return tuple(self._users.values())

    def user(self, user_id: str) -> UserRow | None:
        """A user by id."""
        return self._users.get(user_id)

    def user_named(self, name: str) -> UserRow | None:
        """A user by name, whatever the case of its letters."""
        return self._users.get(self._user_of_name.get(name.casefold(), ""))

    def session(self, session_id: str) -> SessionRow | None:
        """A live session."""
        return self._sessions.get(session_id)

    def sessions_of(self, user_id: str) -> tuple[SessionRow, ...]:
        """Live sessions of a user."""
        return tuple(session for session in self._sessions.values() if session.user_id == user_id)

    def token(self, token_id: str) -> TokenRow | None:
        """A live API token, with its last use."""
        token = self._tokens.get(token_id)
        used_ms = self._used_ms.get(token_id)
        return replace(token, last_used_ms=used_ms) if token and used_ms else token

    def tokens(self, user_id: str | None = None) -> tuple[TokenRow, ...]:
        """Live API tokens of a user, or of all."""
        found = (self.token(t.id) for t in self._tokens.values() if user_id in (None, t.user_id))
        return tuple(token for token in found if token is not None)

    # --- for the auth actor alone

    def load(self, accounts: Accounts, key: SigningKey) -> None:
        """Take over what is stored."""
        self._key = key
        self._users, self._user_of_name = {}, {}
        for user in accounts.users:
            self.put_user(user)
        self._sessions = {session.id: session for session in accounts.sessions}
        self._tokens = {token.id: token for token in accounts.tokens}
        self._token_of_hash = {token.hash: token.id for token in accounts.tokens}
        self.loaded = True

    def put_user(self, user: UserRow) -> None:
        """Add or replace a user."""
        self._users[user.id] = user
        self._user_of_name[user.name.casefold()] = user.id

    def put_session(self, session: SessionRow) -> None:
        """Add or replace a session."""
        self._sessions[session.id] = session

    def drop_session(self, session_id: str) -> None:
        """Forget a session."""
        self._sessions.pop(session_id, None)

    def put_token(self, token: TokenRow) -> None:
        """Add a token."""
        self._tokens[token.id] = token
        self._token_of_hash[token.hash] = token.id

    def drop_token(self, token_id: str) -> None:
        """Forget a token."""
        token = self._tokens.pop(token_id, None)
        if token is not None:
            self._token_of_hash.pop(token.hash, None)

    def take_token_uses(self) -> dict[str, int]:
        """Uses since the last call, ``{token id: epoch ms}``, to be written through."""
        uses = {
            token_id: used_ms
            for token_id, used_ms in self._used_ms.items()
            if token_id in self._tokens and (self._tokens[token_id].last_used_ms or 0) < used_ms
        }
        for token_id, used_ms in uses.items():
            self._tokens[token_id] = replace(self._tokens[token_id], last_used_ms=used_ms)
        self._used_ms.clear()
        return uses

    def expired_sessions(self, now_ms: int) -> tuple[str, ...]:
        """Ids of sessions whose time is over."""
        return tuple(s.id for s in self._sessions.values() if s.expires_ms <= now_ms)

    def _of_token(self, token_id: str, now_ms: int) -> Principal:
        token = self._tokens.get(token_id)
        if token is None or (token.expires_ms is not None and token.expires_ms <= now_ms):
            raise bad_credential()
        user = self._able(token.user_id)
        if now_ms - self._used_ms.get(token_id, 0) > TOKEN_USE_GRAIN_MS:
            self._used_ms[token_id] = now_ms
        return Principal(
            user.id,
            user.name,
            user.roles,
            permissions_of(user.roles, token.scopes),
            scopes=token.scopes,
            token_id=token.id,
            expires_ms=token.expires_ms,
        )

    def _of_session(self, claims: AccessClaims, now_ms: int) -> Principal:
        session = self._sessions.get(claims.session_id)
        if session is None or session.expires_ms <= now_ms or session.user_id != claims.user_id:
            raise bad_credential()
        user = self._able(session.user_id)
        return Principal(
            user.id,
            user.name,
            user.roles,
            permissions_of(user.roles),
            session_id=session.id,
            expires_ms=session.expires_ms,
        )

    def _able(self, user_id: str) -> UserRow:
        user = self._users.get(user_id)
        if user is None or user.disabled:
            raise bad_credential()
        return user
