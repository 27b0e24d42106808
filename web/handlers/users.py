"""Users, roles, permissions, tokens of everybody, the audit trail."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from hub.actors.auth import (
    ChangeUser,
    CreateToken,
    CreateUser,
    ListAudit,
    ListTokens,
    ListUsers,
    ResetPassword,
    RevokeToken,
)
from hub.errors import Forbidden
from hub.model.access import PERMISSIONS, PERMISSIONS_OF_ROLE
from hub.runtime.actor import request as ask
from web.body import json_body
from web.handlers.auth import origin_of
from web.handlers.me import NEW_TOKEN, expiry_ms, scopes_of
from web.hub import hub_of, principal_of
from web.params import limit_of, number_cursor, page
from web.routes import Answer, Routes
from web.schemas import PAGE, Body, Flag, Text, page_of, path_id, ref
from web.serialize import audit_json, json_response, no_content, page_response, token_json, user_json

routes = Routes("users")

_ROLES = tuple(PERMISSIONS_OF_ROLE)
NEW_USER = {
    "username": Text("a-z A-Z 0-9 . _ @ + -", required=True, max_chars=200),
    "password": Text(
        "8 characters or more; without one the user cannot sign in yet", max_chars=4096, secret=True
    ),
    "role": Text("the role", choices=_ROLES),
    "roles": Text("several roles", choices=_ROLES, many=True),
}
CHANGED_USER: Body = {
    "role": Text("the role", choices=_ROLES),
    "roles": Text("several roles", choices=_ROLES, many=True),
    "disabled": Flag("a disabled user is out at once"),
}
NEW_PASSWORD = {"password": Text("8 characters or more", required=True, max_chars=4096, secret=True)}
TOKEN_FOR = {"user": Text("name of the user", required=True, max_chars=200), **NEW_TOKEN}
_USER_ID = path_id("user", "id of the user")


@routes.get(
    "/api/v1/users", permission="users.manage", params=PAGE, answers={200: Answer("users", page_of("User"))}
)
async def list_users(request: web.Request) -> web.Response:
    """All users."""
    users = await ask(hub_of(request).auth, ListUsers())
    shown, cursor = page(request, users, lambda user: user.id)
    return page_response(shown, user_json, cursor)


@routes.post(
    "/api/v1/users",
    permission="users.manage",
    audited=False,
    body=NEW_USER,
    answers={201: Answer("the user", ref("User"))},
)
async def create_user(request: web.Request) -> web.Response:
    """Add a user."""
    sent = await json_body(request, NEW_USER)
    user = await ask(
        hub_of(request).auth,
        CreateUser(
            sent["username"],
            _roles(sent) or (),
            principal_of(request),
            sent.get("password"),
            origin_of(request),
        ),
    )
    return json_response(user_json(user), status=201)


@routes.patch(
    "/api/v1/users/{user}",
    permission="users.manage",
    audited=False,
    params=[_USER_ID],
    body=CHANGED_USER,
    answers={200: Answer("the user", ref("User"))},
)
async def change_user(request: web.Request) -> web.Response:
    """Give a user other roles, disable or enable; it counts from the next request on."""
    sent = await json_body(request, CHANGED_USER)
    user = await ask(
        hub_of(request).auth,
        ChangeUser(
            request.match_info["user"],
            principal_of(request),
            _roles(sent),
            sent.get("disabled"),
            origin_of(request),
        ),
    )
    return json_response(user_json(user))


@routes.post(
    "/api/v1/users/{user}/password",
    permission="users.manage",
    audited=False,
    params=[path_id("user", "name of the user")],
    body=NEW_PASSWORD,
    answers={200: Answer("the user; all sessions have ended", ref("User"))},
)
async def reset_password(request: web.Request) -> web.Response:
    """Set a password from the command line of the hub's own machine."""
    principal = principal_of(request)
    if not principal.local:
        # an admin who could choose somebody's password could be that somebody without a trace
        raise Forbidden(
            "WL-AUTH-018",
            "passwords of other people are set on the command line only",
            hint="wattline user reset-password",
        )
    sent = await json_body(request, NEW_PASSWORD)
    user = await ask(
        hub_of(request).auth,
        ResetPassword(request.match_info["user"], sent["password"], principal, origin_of(request)),
    )
    return json_response(user_json(user))


@routes.get("/api/v1/roles", permission="users.manage", answers={200: Answer("roles", page_of("Role"))})
async def list_roles(request: web.Request) -> web.Response:
    """The roles and what each may do."""
    return page_response(
        PERMISSIONS_OF_ROLE.items(), lambda role: {"name": role[0], "permissions": sorted(role[1])}
    )


@routes.get(
    "/api/v1/permissions",
    permission="users.manage",
    answers={200: Answer("permissions", page_of("Permission"))},
)
async def list_permissions(request: web.Request) -> web.Response:
    """Every named permission: the lowest role that has it, the token scope it belongs to, what it allows."""
    return page_response(
        PERMISSIONS, lambda p: {"name": p.name, "role": p.role, "scope": p.scope, "meaning": p.meaning}
    )


@routes.get(
    "/api/v1/tokens",
    permission="tokens.manage",
    params=PAGE,
    answers={200: Answer("tokens", page_of("Token"))},
)
async def list_tokens(request: web.Request) -> web.Response:
    """The API tokens of all users."""
    tokens = await ask(hub_of(request).auth, ListTokens())
    shown, cursor = page(request, tokens, lambda token: token.id)
    return page_response(shown, token_json, cursor)


@routes.post(
    "/api/v1/tokens",
    permission="tokens.manage",
    audited=False,
    body=TOKEN_FOR,
    answers={201: Answer("the token; its secret is shown this once", ref("NewToken"))},
)
async def create_token(request: web.Request) -> web.Response:
    """Make an API token for a user from the command line of the hub's own machine."""
    sent = await json_body(request, TOKEN_FOR)
    made = await ask(
        hub_of(request).auth,
        CreateToken(
            principal_of(request),
            sent["name"],
            scopes_of(sent),
            expiry_ms(request, sent),
            sent["user"],
            origin_of(request),
        ),
    )
    return json_response({**token_json(made.token), "token": made.secret}, status=201)


@routes.delete(
    "/api/v1/tokens/{token}",
    permission="tokens.manage",
    audited=False,
    params=[path_id("token", "id of the token")],
    answers={204: Answer("revoked, from now on")},
)
async def revoke_token(request: web.Request) -> web.Response:
    """Revoke anybody's API token."""
    await ask(
        hub_of(request).auth,
        RevokeToken(request.match_info["token"], principal_of(request), origin=origin_of(request)),
    )
    return no_content()


@routes.get(
    "/api/v1/audit",
    permission="audit.read",
    params=PAGE,
    answers={200: Answer("lines", page_of("AuditLine"))},
)
async def list_audit(request: web.Request) -> web.Response:
    """Who did what, the newest first."""
    limit = limit_of(request)
    rows = await ask(hub_of(request).auth, ListAudit(limit, number_cursor(request)))
    return page_response(rows, audit_json, str(rows[-1].id) if len(rows) == limit else None)


def _roles(sent: dict[str, Any]) -> tuple[str, ...] | None:
    if "roles" not in sent and "role" not in sent:
        return None
    return tuple(sent.get("roles") or ()) + ((sent["role"],) if "role" in sent else ())
