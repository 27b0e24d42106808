"""Users and API tokens from the command line of the hub's own machine."""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hub.cli.offline import Place, open_auth, through
from hub.cli.options import common, moment, show, table
from hub.cli.remote import RunningHub, in_path
from hub.errors import AskUser, Refused

if TYPE_CHECKING:
    from hub.runtime.actor import Ref
    from hub.storage.database import Database
    from hub.storage.users import TokenRow, UserRow

T = TypeVar("T")

ROLES = ("viewer", "operator", "manager", "admin")
SCOPES = ("read", "write", "ingest", "admin")
_HASHING_LIMIT_S = 60.0
_UNITS_MS = {
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "y": 31_557_600_000,
}
_DURATION = re.compile(r"([1-9]\d{0,5})([smhdwy])", re.ASCII)


@click.group()
def user() -> None:
    """Add users, set passwords, list users."""


@user.command("add")
@click.argument("name")
@click.option(
    "--role", "roles", type=click.Choice(ROLES), multiple=True, required=True, help="What the user may do."
)
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")
@common
def add_user(
    name: str, roles: tuple[str, ...], password_stdin: bool, config_dir: Path, data_dir: Path, as_json: bool
) -> None:
    """Add the user NAME. Without a password the user can have tokens but cannot sign in."""
    password = _password(password_stdin, needed=False)

    def online(hub: RunningHub) -> dict[str, Any]:
        sent = {"username": name, "roles": list(roles)} | ({"password": password} if password else {})
        answer: dict[str, Any] = hub.call("POST", "/users", sent, timeout_s=_HASHING_LIMIT_S)
        return answer

    async def offline(auth: Ref) -> dict[str, Any]:
        from hub.actors.auth import CreateUser
        from hub.model.access import LOCAL_PRINCIPAL
        from hub.runtime.actor import request

        message = CreateUser(name, roles, LOCAL_PRINCIPAL, password)
        return _user(await request(auth, message, timeout_s=_HASHING_LIMIT_S))

    made = _ask(Place(config_dir, data_dir), online, offline, create=True)
    note = "" if password else "; without a password, so it cannot sign in yet"
    show(made, f"added {made['username']} ({', '.join(made['roles'])}){note}", as_json=as_json)


@user.command("reset-password")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")
@common
def reset_password(name: str, password_stdin: bool, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Set a new password for the user NAME and end all of the user's sessions."""
    password = _password(password_stdin, needed=True)

    def online(hub: RunningHub) -> dict[str, Any]:
        path = f"/users/{in_path(name)}/password"
        answer: dict[str, Any] = hub.call("POST", path, {"password": password}, timeout_s=_HASHING_LIMIT_S)
        return answer

    async def offline(auth: Ref) -> dict[str, Any]:
        from hub.actors.auth import ResetPassword
        from hub.model.access import LOCAL_PRINCIPAL
        from hub.runtime.actor import request

        message = ResetPassword(name, password or "", LOCAL_PRINCIPAL)
        return _user(await request(auth, message, timeout_s=_HASHING_LIMIT_S))

    changed = _ask(Place(config_dir, data_dir), online, offline)
    text = f"{changed['username']} has a new password; all of the user's sessions have ended"
    show(changed, text, as_json=as_json)


@user.command("list")
@common
def list_users(config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """List all users."""
    users = _ask(Place(config_dir, data_dir), lambda hub: hub.all("/users"), _users)
    rows = [
        (
            one["username"],
            ", ".join(one["roles"]),
            "disabled" if one["disabled"] else "active",
            moment(one["created_ms"]),
        )
        for one in users
    ]
    show({"items": users}, table(("NAME", "ROLES", "STATE", "CREATED"), rows), as_json=as_json)


@click.group()
def token() -> None:
    """Create, list and revoke API tokens."""


@token.command("create")
@click.option("--user", "username", required=True, help="Name of the user; a token never exceeds its user.")
@click.option("--name", required=True, help="What the token is for.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    help="Give it once for each scope; without any, all the user may do.",
)
@click.option("--expires", default=None, help="A duration such as 90d, 12h or 1y; never if absent.")
@common
def create_token(
    username: str,
    name: str,
    scopes: tuple[str, ...],
    expires: str | None,
    config_dir: Path,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Make an API token. It stands alone on stdout, is shown this once, and is kept nowhere."""
    lifetime_ms = None if expires is None else _lifetime_ms(expires)

    def online(hub: RunningHub) -> dict[str, Any]:
        sent = {"user": username, "name": name, "scopes": list(scopes), "expires": expires}
        answer: dict[str, Any] = hub.call("POST", "/tokens", sent)
        return answer

    async def offline(auth: Ref) -> dict[str, Any]:
        from hub.actors.auth import CreateToken
        from hub.model.access import LOCAL_PRINCIPAL
        from hub.runtime.actor import request
        from hub.runtime.clock import SystemClock

        expires_ms = None if lifetime_ms is None else SystemClock().now_ms() + lifetime_ms
        wanted = CreateToken(LOCAL_PRINCIPAL, name, scopes or None, expires_ms, username)
        made = await request(auth, wanted)
        return {**_token(made.token), "token": made.secret}

    made = _ask(Place(config_dir, data_dir), online, offline)
    show(made, made["token"], as_json=as_json)


@token.command("list")
@click.option("--user", "username", default=None, help="Only the tokens of this user.")
@common
def list_tokens(username: str | None, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """List the API tokens that are valid; their secrets are kept nowhere."""

    def online(hub: RunningHub) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        return hub.all("/tokens"), hub.all("/users")

    async def offline(auth: Ref) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        from hub.actors.auth import ListTokens
        from hub.runtime.actor import request

        return [_token(row) for row in await request(auth, ListTokens())], await _users(auth)

    tokens, users = _ask(Place(config_dir, data_dir), online, offline)
    names = {one["id"]: one["username"] for one in users}
    items = [{**one, "username": names.get(one["user"], one["user"])} for one in tokens]
    items = sorted((one for one in items if username in (None, one["username"])), key=lambda one: one["id"])
    rows = [
        (
            one["id"],
            one["username"],
            one["name"],
            ", ".join(one["scopes"] or ()) or "all",
            moment(one["expires_ms"]) if one["expires_ms"] else "never",
            moment(one["last_used_ms"]),
        )
        for one in items
    ]
    text = table(("ID", "USER", "NAME", "SCOPES", "EXPIRES", "LAST USED"), rows)
    show({"items": items}, text, as_json=as_json)


@token.command("revoke")
@click.argument("token_id", metavar="ID")
@common
def revoke_token(token_id: str, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Revoke the token ID (see `token list`); it counts for nothing from now on."""

    def online(hub: RunningHub) -> None:
        hub.call("DELETE", f"/tokens/{in_path(token_id)}")

    async def offline(auth: Ref) -> None:
        from hub.actors.auth import RevokeToken
        from hub.model.access import LOCAL_PRINCIPAL
        from hub.runtime.actor import request

        await request(auth, RevokeToken(token_id, LOCAL_PRINCIPAL))

    if token_id.startswith("wl_"):
        # whoever pastes the token itself should not read it again in a log of refusals
        raise Refused(
            "WL-CLI-005", "this is a token, not the id of one", where="ID", hint="wattline token list"
        )
    _ask(Place(config_dir, data_dir), online, offline)
    show({"id": token_id, "revoked": True}, f"revoked {token_id}", as_json=as_json)


def _ask(
    place: Place,
    online: Callable[[RunningHub], T],
    offline: Callable[[Ref], Awaitable[T]],
    *,
    create: bool = False,
) -> T:
    """Ask the running hub, or the same actor without one."""

    async def work(database: Database) -> T:
        async with open_auth(database) as auth:
            return await offline(auth)

    return through(place, online, work, create=create)


async def _users(auth: Ref) -> list[dict[str, Any]]:
    from hub.actors.auth import ListUsers
    from hub.runtime.actor import request

    return [_user(row) for row in await request(auth, ListUsers())]


def _user(row: UserRow) -> dict[str, Any]:
    """The same shape as in the API."""
    return {
        "id": row.id,
        "username": row.name,
        "roles": list(row.roles),
        "disabled": row.disabled,
        "created_ms": row.created_ms,
    }


def _token(row: TokenRow) -> dict[str, Any]:
    """The same shape as in the API."""
    return {
        "id": row.id,
        "name": row.name,
        "user": row.user_id,
        "scopes": None if row.scopes is None else list(row.scopes),
        "created_ms": row.created_ms,
        "expires_ms": row.expires_ms,
        "last_used_ms": row.last_used_ms,
    }


def _password(from_stdin: bool, *, needed: bool) -> str | None:
    """The password, from stdin or asked for twice; None where there is nobody to ask and none is needed."""
    if from_stdin:
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise AskUser(
                "WL-CLI-006",
                "stdin holds no password",
                where="--password-stdin",
                hint="printf '%s' … | wattline …",
            )
        return line
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    if needed:
        raise AskUser(
            "WL-CLI-006",
            "a password is needed",
            where="--password-stdin",
            hint="send it on stdin with this option",
        )
    return None


def _lifetime_ms(text: str) -> int:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text[:20]!r} is not a duration such as 90d", param_hint="--expires")
    return int(match[1]) * _UNITS_MS[match[2]]
