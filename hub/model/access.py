"""Who may do what: the one table of permissions, the roles that hold them, the scopes that narrow a token.

A role holds its own permissions and those of every role before it (viewer, operator, manager, admin). A scope
of an API token only takes away: what remains is the part of the user's permissions that belongs to the scope.
The tables ``roles``, ``permissions`` and ``role_permissions`` of the database and the manual's page on roles
are written from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from hub.errors import Refused


class UserRole(StrEnum):
    """The default roles, from the least to the most."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    MANAGER = "manager"
    ADMIN = "admin"


class Scope(StrEnum):
    """What an API token may be narrowed to; scopes do not contain each other."""

    READ = "read"
    WRITE = "write"
    INGEST = "ingest"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Permission:
    """A named right: the lowest role that has it, the token scope it belongs to, what it allows."""

    name: str
    role: UserRole
    scope: Scope
    meaning: str


_VIEWER, _OPERATOR, _MANAGER, _ADMIN = UserRole
_READ, _WRITE, _INGEST, _ADMIN_SCOPE = Scope

PERMISSIONS: tuple[Permission, ...] = (
    Permission("read", _VIEWER, _READ, "see devices, readings, history, energy and the state of the hub"),
    Permission("me.read", _VIEWER, _READ, "see one's own account, tokens and sessions"),
    Permission("me.write", _VIEWER, _WRITE, "change one's own account, tokens and sessions"),
    Permission("alerts.acknowledge", _OPERATOR, _WRITE, "acknowledge and snooze alerts"),
    Permission("notes.write", _OPERATOR, _WRITE, "write notes"),
    Permission("control", _OPERATOR, _WRITE, "switch and set devices"),
    Permission(
        "devices.write", _MANAGER, _WRITE, "add, edit and remove devices and areas; decide on the inbox"
    ),
    Permission("series.write", _MANAGER, _WRITE, "edit series"),
    Permission("metering_points.write", _MANAGER, _WRITE, "edit metering points and installations"),
    Permission("corrections.write", _MANAGER, _WRITE, "correct readings and undo corrections"),
    Permission("tariffs.write", _MANAGER, _WRITE, "edit tariffs, prices and budgets"),
    Permission("rules.write", _MANAGER, _WRITE, "edit alert rules and channels"),
    Permission("reports.write", _MANAGER, _WRITE, "edit and issue reports"),
    Permission("imports.write", _MANAGER, _WRITE, "import readings from files and other systems"),
    Permission("exports.create", _MANAGER, _WRITE, "export data"),
    Permission("ingest", _MANAGER, _INGEST, "push readings; unknown devices and series are created"),
    Permission("sites.write", _ADMIN, _ADMIN_SCOPE, "edit sites"),
    Permission("users.manage", _ADMIN, _ADMIN_SCOPE, "see, add, edit and disable users"),
    Permission("roles.manage", _ADMIN, _ADMIN_SCOPE, "see and edit roles"),
    Permission("sessions.manage", _ADMIN, _ADMIN_SCOPE, "see and end the sessions of other people"),
    Permission("tokens.manage", _ADMIN, _ADMIN_SCOPE, "see and revoke the tokens of other people"),
    Permission("config.manage", _ADMIN, _ADMIN_SCOPE, "see, change and reload the configuration"),
    Permission("plugins.manage", _ADMIN, _ADMIN_SCOPE, "see, enable and disable plugins"),
    Permission("backups.manage", _ADMIN, _ADMIN_SCOPE, "create, download and restore backups"),
    Permission("logs.read", _ADMIN, _ADMIN_SCOPE, "read the log"),
    Permission("audit.read", _ADMIN, _ADMIN_SCOPE, "read the audit trail"),
)

PERMISSION_NAMES = frozenset(permission.name for permission in PERMISSIONS)

_RANK = {role: rank for rank, role in enumerate(UserRole)}
PERMISSIONS_OF_ROLE: dict[str, frozenset[str]] = {
    role.value: frozenset(p.name for p in PERMISSIONS if _RANK[p.role] <= rank)
    for role, rank in _RANK.items()
}
PERMISSIONS_OF_SCOPE: dict[str, frozenset[str]] = {
    scope.value: frozenset(p.name for p in PERMISSIONS if p.scope is scope) for scope in Scope
}


def permissions_of(roles: Iterable[str], scopes: Iterable[str] | None = None) -> frozenset[str]:
    """What these roles allow, narrowed to ``scopes`` (``None`` = not narrowed); unknown names allow nothing."""
    held: frozenset[str] = frozenset().union(*(PERMISSIONS_OF_ROLE.get(role, frozenset()) for role in roles))
    if scopes is None:
        return held
    return held & frozenset().union(*(PERMISSIONS_OF_SCOPE.get(scope, frozenset()) for scope in scopes))


def check_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """The roles, each once.

    Raises:
        Refused: ``WL-AUTH-020`` for none at all or an unknown one.
    """
    wanted = tuple(dict.fromkeys(roles))
    unknown = [role for role in wanted if role not in PERMISSIONS_OF_ROLE]
    if unknown or not wanted:
        raise Refused(
            "WL-AUTH-020",
            f"role {unknown[0][:40]!r} is not known" if unknown else "a user needs a role",
            where="role",
            hint=f"one of {', '.join(PERMISSIONS_OF_ROLE)}",
        )
    return wanted


def check_scopes(scopes: Iterable[str] | None) -> tuple[str, ...] | None:
    """The scopes, each once; ``None`` and an empty list mean: all that the user may do.

    Raises:
        Refused: ``WL-AUTH-021`` for an unknown one.
    """
    wanted = tuple(dict.fromkeys(scopes or ()))
    unknown = [scope for scope in wanted if scope not in PERMISSIONS_OF_SCOPE]
    if unknown:
        raise Refused(
            "WL-AUTH-021",
            f"scope {unknown[0][:40]!r} is not known",
            where="scopes",
            hint=f"any of {', '.join(PERMISSIONS_OF_SCOPE)}",
        )
    return wanted or None


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller and what the caller may do now.

    Exactly one of ``session_id`` and ``token_id`` is set, or ``local`` is true (the command line of this
    machine). ``scopes`` is ``None`` for everything that is not a narrowed token. ``expires_ms`` is the end of
    the session or API token, not of an access token.
    """

    user_id: str
    name: str
    roles: tuple[str, ...]
    permissions: frozenset[str]
    scopes: tuple[str, ...] | None = None
    session_id: str | None = None
    token_id: str | None = None
    expires_ms: int | None = None
    local: bool = False

    def may(self, permission: str) -> bool:
        """True where the permission is held."""
        return permission in self.permissions

    def narrowed(self, scopes: tuple[str, ...] | None) -> Principal:
        """The same caller with at most the permissions of ``scopes``."""
        kept = self.permissions & permissions_of(self.roles, scopes)
        return replace(self, permissions=kept, scopes=scopes)


LOCAL_PRINCIPAL = Principal(
    user_id="",
    name="command line",
    roles=(UserRole.ADMIN.value,),
    permissions=PERMISSIONS_OF_ROLE[UserRole.ADMIN.value],
    local=True,
)
"""The command line on this machine: whoever may read the data directory owns the hub."""
