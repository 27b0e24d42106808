"""Auth actor: the only writer of users, sessions, API tokens and the audit trail.

In: requests of the web and the command line. Out: answers, :class:`SessionEnded` and :class:`RoleChanged` on
the bus, and the :class:`hub.actors.auth_book.AuthBook` that the web reads for each request. Passwords are
checked in a thread while the actor goes on; everything is written to the database first and to the book then.

Lifetimes: access token 15 minutes; session 30 days without use, 90 days at most; API tokens as asked for.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
import secrets
from dataclasses import dataclass, replace
from hmac import compare_digest
from pathlib import Path
from typing import Any

from hub.actors.access_tokens import (
    ACCESS_TOKEN_S,
    AccessClaims,
    RefreshParts,
    SigningKey,
    bad_credential,
    digest,
    load_signing_key,
)
from hub.actors.audit_trail import AuditTrail
from hub.actors.auth_book import AuthBook
from hub.actors.auth_requests import (
    Authenticate,
    ChangeUser,
    CreatedToken,
    CreateOwner,
    CreateToken,
    CreateUser,
    GetAuthBook,
    ListAudit,
    ListTokens,
    ListUsers,
    Login,
    Logout,
    Origin,
    RecordAudit,
    Refresh,
    ResetPassword,
    RevokeToken,
    RoleChanged,
    SessionEnded,
    Setup,
    SetupState,
    SignedIn,
)
from hub.actors.credential_rules import (
    DAY_MS,
    MAX_TOKENS_PER_USER,
    in_grace,
    new_session,
    new_token,
    rotated_session,
    shown,
)
from hub.actors.passwords import Passwords, check_password
from hub.actors.throttle import Throttle
from hub.bus import EventBus
from hub.errors import Forbidden, NotFound, Refused, Unauthenticated, WattlineError
from hub.model.access import UserRole, check_roles
from hub.runtime.actor import AsyncActor, Deferred
from hub.runtime.clock import Clock
from hub.storage import users as store
from hub.storage.database import Database
from hub.storage.users import SessionRow, UserRow

__all__ = [
    "AuthActor",
    "AuthBook",
    "Authenticate",
    "ChangeUser",
    "CreateOwner",
    "CreateToken",
    "CreateUser",
    "CreatedToken",
    "GetAuthBook",
    "ListAudit",
    "ListTokens",
    "ListUsers",
    "Login",
    "Logout",
    "Origin",
    "RecordAudit",
    "Refresh",
    "ResetPassword",
    "RevokeToken",
    "RoleChanged",
    "SessionEnded",
    "Setup",
    "SetupState",
    "SignedIn",
    "warm_up",
]

LOGGER = logging.getLogger(__name__)

TIDY_EVERY_S = 60.0
KEEP_DEAD_SESSIONS_MS = 30 * DAY_MS
_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class _Tidy:
    coalesce_key = "tidy"


class AuthActor(AsyncActor):
    """Owns who may come in.

    Args:
        database: where it is written.
        bus: where :class:`SessionEnded` and :class:`RoleChanged` go.
        clock: the hub's clock.
        data_dir: where the signing key lies.
        book: made once per hub and handed to each new actor, so that the web keeps reading the same one.
    """

    def __init__(
        self, database: Database, bus: EventBus, clock: Clock, data_dir: Path, book: AuthBook
    ) -> None:
        super().__init__()
        self._database = database
        self._bus = bus
        self._clock = clock
        self._data_dir = data_dir
        self._book = book
        self._passwords = Passwords()
        self._throttle = Throttle()
        self._lock = asyncio.Lock()
        self._trail = AuditTrail(database, clock)
        self._ticker: asyncio.Task[None] | None = None
        self._key: SigningKey

    async def setup(self) -> None:
        """Load the key and the accounts; a bad key ends the start with what to do about it."""
        now_ms = self._clock.now_ms()
        self._key = await asyncio.to_thread(load_signing_key, self._data_dir)
        await self._database.write(store.write_roles)
        accounts = await self._database.read(lambda connection: store.load_accounts(connection, now_ms))
        self._book.load(accounts, self._key)
        if accounts.sessions:
            await asyncio.to_thread(warm_up)
        self._ticker = asyncio.create_task(self._tick(), name="auth:tick")

    async def teardown(self) -> None:
        """Write what is only in memory."""
        if self._ticker is not None:
            self._ticker.cancel()
            await self._tidy()
        self._passwords.close()

    async def on_receive(self, message: Any) -> Any:
        match message:
            case SetupState():
                return self._setup_state()
            case GetAuthBook():
                return self._book
            case Authenticate(credential):
                return self._book.authenticate(credential, self._clock.now_ms())
            case Login():
                return self._meanwhile(self._login(message))
            case CreateOwner():
                return self._meanwhile(self._create_owner(message))
            case CreateUser():
                return self._meanwhile(self._create_user(message))
            case ResetPassword():
                return self._meanwhile(self._reset_password(message))
            case Refresh(token, origin):
                return await self._refresh(token, origin)
            case Logout():
                return await self._logout(message)
            case CreateToken():
                return await self._create_token(message)
            case ListTokens(user_id):
                return self._book.tokens(user_id)
            case RevokeToken():
                return await self._revoke_token(message)
            case ListUsers():
                return self._book.users()
            case ChangeUser():
                return await self._change_user(message)
            case ListAudit(limit, before_id):
                return await self._database.read(
                    lambda connection: store.read_audit(connection, limit=limit, before_id=before_id)
                )
            case RecordAudit(action, target, by, address):
                return await self._trail.record(action, target, by, address)
            case _Tidy():
                return await self._tidy()
            case _:
                return super().on_receive(message)

    # --- signing in

    def _setup_state(self) -> Setup:
        needed = not self._book.has_owner()
        return Setup(needed, self._book.setup_token if needed else "")

    async def _create_owner(self, request: CreateOwner) -> UserRow:
        self._check_setup_token(request.token)
        user = await self._new_user(request.username, request.password, (UserRole.ADMIN.value,))
        async with self._lock:
            self._check_setup_token(request.token)
            await self._add_user(user)
        await self._trail.record("auth.setup", user.name, None, request.origin.address)
        LOGGER.info("The owner %s was created", user.name)
        return user

    def _check_setup_token(self, token: str) -> None:
        if self._book.has_owner() or not compare_digest(digest(token), digest(self._book.setup_token)):
            raise Forbidden(
                "WL-AUTH-012",
                "this setup link is not valid: it was used, or it belongs to an earlier start",
                where="token",
                hint="the link that counts is printed when the hub starts without an owner",
            )

    async def _login(self, request: Login) -> SignedIn:
        name, origin = request.username, request.origin
        keys = (f"address:{origin.address}", f"account:{name.casefold()[:64]}")
        self._throttle.take(keys, self._clock.monotonic_s())
        user = self._book.user_named(name)
        usable = user.password_hash if user is not None and not user.disabled else None
        matches = await self._passwords.matches(usable, request.password)
        # what was true before the sum of the password may not be true any more
        user = self._book.user_named(name)
        if not matches or user is None or user.disabled or user.password_hash != usable:
            await self._trail.record("auth.login_failed", shown(name), None, origin.address)
            raise Unauthenticated(
                "WL-AUTH-010", "user name or password is wrong", where="password", hint="try again"
            )
        self._throttle.give_back(keys)
        return await self._open_session(user, origin)

    async def _open_session(self, user: UserRow, origin: Origin) -> SignedIn:
        await asyncio.to_thread(warm_up)
        now_ms = self._clock.now_ms()
        session_id = secrets.token_hex(16)
        refresh_token = self._key.refresh_token(session_id, 1)
        session = new_session(session_id, user.id, refresh_token, origin, now_ms)
        await self._database.write(lambda connection: store.insert_session(connection, session))
        self._book.put_session(session)
        await self._trail.record("auth.login", user.name, None, origin.address, user_id=user.id)
        return self._signed_in(session, refresh_token)

    def _signed_in(self, session: SessionRow, refresh_token: str) -> SignedIn:
        now_ms = self._clock.now_ms()
        access_token = self._key.access_token(AccessClaims(session.user_id, session.id), now_ms)
        principal = self._book.authenticate(access_token, now_ms)
        return SignedIn(access_token, ACCESS_TOKEN_S, refresh_token, session.expires_ms, principal)

    async def _refresh(self, token: str, origin: Origin) -> SignedIn:
        parts = self._key.read_refresh_token(token)
        async with self._lock:
            session = self._book.session(parts.session_id)
            now_ms = self._clock.now_ms()
            if session is None or session.expires_ms <= now_ms:
                raise bad_credential()
            presented = digest(token)
            if compare_digest(presented, session.refresh_hash):
                return await self._rotate(session, parts, origin, now_ms)
            if in_grace(session, presented, now_ms):
                # a second tab, or an answer that got lost: the same successor once more
                return self._signed_in(session, self._key.refresh_token(session.id, parts.generation + 1))
            await self._end_sessions([session.id], session.user_id)
        await self._trail.record(
            "auth.refresh_reused", session.id, None, origin.address, user_id=session.user_id
        )
        LOGGER.warning("An old refresh token was used again; its session was ended")
        raise bad_credential()

    async def _rotate(
        self, session: SessionRow, parts: RefreshParts, origin: Origin, now_ms: int
    ) -> SignedIn:
        refresh_token = self._key.refresh_token(session.id, parts.generation + 1)
        rotated = rotated_session(session, refresh_token, origin, now_ms)
        await self._database.write(lambda connection: store.update_session(connection, rotated))
        self._book.put_session(rotated)
        return self._signed_in(rotated, refresh_token)

    async def _logout(self, request: Logout) -> None:
        session_id = request.principal.session_id if request.principal is not None else None
        if session_id is None and request.refresh_token is not None:
            try:
                session_id = self._key.read_refresh_token(request.refresh_token).session_id
            except Unauthenticated:
                return
        session = self._book.session(session_id or "")
        if session is None:
            return
        async with self._lock:
            await self._end_sessions([session.id], session.user_id)
        await self._trail.record(
            "auth.logout", session.id, None, request.origin.address, user_id=session.user_id
        )

    # --- users

    async def _create_user(self, request: CreateUser) -> UserRow:
        user = await self._new_user(request.username, request.password, request.roles)
        async with self._lock:
            await self._add_user(user)
        await self._trail.record(
            "user.create", user.name, request.by, request.origin.address, roles=list(user.roles)
        )
        return user

    async def _new_user(self, name: str, password: str | None, roles: tuple[str, ...]) -> UserRow:
        if not _USERNAME.match(name):
            raise Refused(
                "WL-AUTH-023",
                "a user name has 1 to 64 of the characters a-z A-Z 0-9 . _ @ + - and starts with a letter or digit",
                where="username",
            )
        roles = check_roles(roles)
        self._refuse_taken_name(name)
        password_hash = None
        if password is not None:
            check_password(password)
            password_hash = await self._passwords.hashed(password)
        return UserRow(secrets.token_hex(8), name, password_hash, False, roles, self._clock.now_ms())

    def _refuse_taken_name(self, name: str) -> None:
        if self._book.user_named(name) is not None:
            raise Refused("WL-AUTH-024", f"the user name {name} is taken", where="username")

    async def _add_user(self, user: UserRow) -> None:
        self._refuse_taken_name(user.name)
        await self._database.write(lambda connection: store.insert_user(connection, user))
        self._book.put_user(user)

    async def _change_user(self, request: ChangeUser) -> UserRow:
        async with self._lock:
            user = self._known_user(self._book.user(request.user_id))
            changed = replace(
                user,
                roles=user.roles if request.roles is None else check_roles(request.roles),
                disabled=user.disabled if request.disabled is None else request.disabled,
            )
            self._keep_an_admin(changed)
            await self._database.write(lambda connection: store.update_user(connection, changed))
            self._book.put_user(changed)
            if changed.disabled and not user.disabled:
                await self._end_everything(changed)
        if changed.roles != user.roles:
            self._bus.publish(RoleChanged(user.id, changed.roles))
        await self._trail.record(
            "user.change",
            user.name,
            request.by,
            request.origin.address,
            roles=list(changed.roles),
            disabled=changed.disabled,
        )
        return changed

    def _keep_an_admin(self, changed: UserRow) -> None:
        others = (user for user in self._book.users() if user.id != changed.id)
        if not any(UserRole.ADMIN in user.roles and not user.disabled for user in (*others, changed)):
            raise Refused(
                "WL-AUTH-025",
                "this is the last admin; without one nobody could manage the hub",
                where="roles",
                hint="give another user the role admin first",
            )

    async def _reset_password(self, request: ResetPassword) -> UserRow:
        self._known_user(self._book.user_named(request.username))
        check_password(request.password)
        password_hash = await self._passwords.hashed(request.password)
        async with self._lock:
            user = self._known_user(self._book.user_named(request.username))
            changed = replace(user, password_hash=password_hash)
            await self._database.write(lambda connection: store.update_user(connection, changed))
            self._book.put_user(changed)
            await self._end_sessions([s.id for s in self._book.sessions_of(user.id)], user.id)
        await self._trail.record("user.reset_password", user.name, request.by, request.origin.address)
        return changed

    @staticmethod
    def _known_user(user: UserRow | None) -> UserRow:
        if user is None:
            raise NotFound("WL-API-404", "there is no such user", where="user")
        return user

    # --- tokens

    async def _create_token(self, request: CreateToken) -> CreatedToken:
        owner = self._token_owner(request)
        token, secret = new_token(request, owner, self._clock.now_ms())
        async with self._lock:
            if len(self._book.tokens(owner.id)) >= MAX_TOKENS_PER_USER:
                raise Refused(
                    "WL-AUTH-028", f"{owner.name} has {MAX_TOKENS_PER_USER} tokens already", where="name"
                )
            await self._database.write(lambda connection: store.insert_token(connection, token))
            self._book.put_token(token)
        await self._trail.record(
            "token.create",
            token.id,
            request.by,
            request.origin.address,
            user=owner.name,
            scopes=list(token.scopes or ()),
        )
        return CreatedToken(token, secret)

    def _token_owner(self, request: CreateToken) -> UserRow:
        if request.for_user is None and not request.by.local:
            return self._known_user(self._book.user(request.by.user_id))
        if not request.by.local:
            raise Forbidden("WL-AUTH-013", "tokens for other people are made on the command line of the hub")
        return self._known_user(self._book.user_named(request.for_user or ""))

    async def _revoke_token(self, request: RevokeToken) -> None:
        token = self._book.token(request.token_id)
        if token is None or request.user_id not in (None, token.user_id):
            raise NotFound("WL-API-404", "there is no such token", where="token")
        now_ms = self._clock.now_ms()
        async with self._lock:
            await self._database.write(lambda connection: store.revoke_tokens(connection, [token.id], now_ms))
            self._book.drop_token(token.id)
        self._bus.publish(SessionEnded(token.user_id, token_id=token.id))
        await self._trail.record("token.revoke", token.id, request.by, request.origin.address)

    # --- ends, traces, housekeeping

    async def _end_everything(self, user: UserRow) -> None:
        await self._end_sessions([session.id for session in self._book.sessions_of(user.id)], user.id)
        self._bus.publish(SessionEnded(user.id))

    async def _end_sessions(self, session_ids: list[str], user_id: str) -> None:
        now_ms = self._clock.now_ms()
        await self._database.write(lambda connection: store.end_sessions(connection, session_ids, now_ms))
        for session_id in session_ids:
            self._book.drop_session(session_id)
            self._bus.publish(SessionEnded(user_id, session_id=session_id))

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(TIDY_EVERY_S)
            self.ref.tell(_Tidy())

    async def _tidy(self) -> None:
        now_ms = self._clock.now_ms()
        uses = self._book.take_token_uses()
        expired = self._book.expired_sessions(now_ms)
        for session_id in expired:
            self._book.drop_session(session_id)
        await self._trail.flush()
        if not uses and not expired:
            return
        try:
            await self._database.write(lambda connection: store.note_token_use(connection, uses))
            await self._database.write(
                lambda connection: store.delete_dead_sessions(connection, now_ms - KEEP_DEAD_SESSIONS_MS)
            )
        except WattlineError as error:
            LOGGER.warning("The use of tokens could not be noted: %s", error)

    def _meanwhile(self, work: Any) -> Deferred[Any]:
        return asyncio.get_running_loop().create_task(work)


def warm_up() -> None:
    """Import what access tokens need: 90 ms that the loop cannot spare, so call it in a thread."""
    importlib.import_module("jwt")
