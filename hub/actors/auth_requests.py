"""What the auth actor is asked, what it answers, and the events it publishes."""

from __future__ import annotations

from dataclasses import dataclass, field

from hub.actors.auth_book import AuthBook
from hub.model.access import Principal
from hub.runtime.actor import Request
from hub.storage.users import AuditRow, TokenRow, UserRow


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from, for the audit trail and the brake on guessing."""

    address: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """Event: a session or an API token no longer counts; both ``None`` = nothing of this user does."""

    user_id: str
    session_id: str | None = None
    token_id: str | None = None


@dataclass(frozen=True, slots=True)
class RoleChanged:
    """Event: a user has other roles from now on."""

    user_id: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setup:
    """Whether the first owner is still missing, and the one-time token that may create it."""

    needed: bool
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A fresh access token and the refresh token of the session, which ends at ``session_expires_ms``."""

    access_token: str = field(repr=False)
    expires_in_s: int
    refresh_token: str = field(repr=False)
    session_expires_ms: int
    principal: Principal


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """A new API token; ``secret`` is shown once and kept nowhere."""

    token: TokenRow
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class GetAuthBook(Request[AuthBook]):
    """The book to authenticate requests with; it stays the same over restarts of the actor."""


@dataclass(frozen=True, slots=True)
class SetupState(Request[Setup]):
    """Is there an owner? The token is for the command line alone, never for the web."""


@dataclass(frozen=True, slots=True)
class CreateOwner(Request[UserRow]):
    """Create the first user, an admin, with the one-time token."""

    token: str = field(repr=False)
    username: str
    password: str = field(repr=False)
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class Login(Request[SignedIn]):
    """Name and password → a new session."""

    username: str
    password: str = field(repr=False)
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class Refresh(Request[SignedIn]):
    """A refresh token → its successor and a new access token."""

    refresh_token: str = field(repr=False)
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class Logout(Request[None]):
    """End the session of a refresh token or of a caller; an unknown one is no error."""

    refresh_token: str | None = field(default=None, repr=False)
    principal: Principal | None = None
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class Authenticate(Request[Principal]):
    """As :meth:`AuthBook.authenticate`, for whoever has no book."""

    credential: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CreateToken(Request[CreatedToken]):
    """A new API token for ``by``, or for ``for_user`` (a name) on behalf of the command line."""

    by: Principal
    name: str
    scopes: tuple[str, ...] | None = None
    expires_ms: int | None = None
    for_user: str | None = None
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class ListTokens(Request[tuple[TokenRow, ...]]):
    """Live API tokens of a user id, or of all users."""

    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class RevokeToken(Request[None]):
    """End an API token; with ``user_id`` only if it is this user's."""

    token_id: str
    by: Principal
    user_id: str | None = None
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class CreateUser(Request[UserRow]):
    """Add a user; without a password the user cannot sign in until one is set."""

    username: str
    roles: tuple[str, ...]
    by: Principal
    password: str | None = field(default=None, repr=False)
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class ListUsers(Request[tuple[UserRow, ...]]):
    """All users."""


@dataclass(frozen=True, slots=True)
class ChangeUser(Request[UserRow]):
    """Other roles, or disabled or not; ``None`` leaves as it is."""

    user_id: str
    by: Principal
    roles: tuple[str, ...] | None = None
    disabled: bool | None = None
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class ResetPassword(Request[UserRow]):
    """Set a new password by user name and end the user's sessions."""

    username: str
    password: str = field(repr=False)
    by: Principal
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class ListAudit(Request[list[AuditRow]]):
    """The newest lines of the audit trail, older than line ``before_id``."""

    limit: int = 100
    before_id: int | None = None


@dataclass(frozen=True, slots=True)
class RecordAudit:
    """Tell: a write was done, to which target and from where."""

    action: str
    target: str
    by: Principal | None
    address: str = ""
