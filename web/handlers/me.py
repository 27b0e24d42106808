"""What people see and change for themselves."""

from __future__ import annotations

from aiohttp import web

from hub.actors.auth import CreateToken, ListTokens, Logout, RevokeToken
from hub.runtime.actor import request as ask
from web.body import json_body
from web.handlers.auth import origin_of
from web.hub import hub_of, principal_of
from web.params import duration_ms, moment_ms, page
from web.routes import Answer, Routes
from web.schemas import PAGE, Text, page_of, path_id, ref
from web.serialize import json_response, no_content, page_response, token_json
from web.zone import site_zone

routes = Routes("me")

NEW_TOKEN = {
    "name": Text("what it is for", required=True, min_chars=1, max_chars=100),
    "scopes": Text(
        "read, write, ingest, admin; none = all that you may do", many=True, max_chars=40, nullable=True
    ),
    "expires": Text("a duration such as 90d, or a time; never if absent", max_chars=40, nullable=True),
}
_TOKEN_ID = path_id("token", "id of the token")


@routes.get("/api/v1/me", permission="me.read", answers={200: Answer("the caller", ref("Me"))})
async def me(request: web.Request) -> web.Response:
    """Who is asking, and what that is allowed to do."""
    principal = principal_of(request)
    return json_response(
        {
            "id": principal.user_id,
            "username": principal.name,
            "roles": principal.roles,
            "permissions": sorted(principal.permissions),
            "scopes": principal.scopes,
        }
    )


@routes.get(
    "/api/v1/me/tokens", permission="me.read", params=PAGE, answers={200: Answer("tokens", page_of("Token"))}
)
async def list_tokens(request: web.Request) -> web.Response:
    """The caller's own API tokens."""
    tokens = await ask(hub_of(request).auth, ListTokens(principal_of(request).user_id))
    shown, cursor = page(request, tokens, lambda token: token.id)
    return page_response(shown, token_json, cursor)


@routes.post(
    "/api/v1/me/tokens",
    permission="me.write",
    audited=False,
    body=NEW_TOKEN,
    answers={201: Answer("the token; its secret is shown this once", ref("NewToken"))},
)
async def create_token(request: web.Request) -> web.Response:
    """Make an API token; it never may do more than the caller."""
    sent = await json_body(request, NEW_TOKEN)
    made = await ask(
        hub_of(request).auth,
        CreateToken(
            principal_of(request),
            sent["name"],
            scopes_of(sent),
            expiry_ms(request, sent),
            origin=origin_of(request),
        ),
    )
    return json_response({**token_json(made.token), "token": made.secret}, status=201)


@routes.delete(
    "/api/v1/me/tokens/{token}",
    permission="me.write",
    audited=False,
    params=[_TOKEN_ID],
    answers={204: Answer("revoked, from now on")},
)
async def revoke_token(request: web.Request) -> web.Response:
    """Revoke one of the caller's own API tokens."""
    principal = principal_of(request)
    await ask(
        hub_of(request).auth,
        RevokeToken(request.match_info["token"], principal, principal.user_id, origin_of(request)),
    )
    return no_content()


@routes.delete(
    "/api/v1/me/sessions/current",
    permission="me.write",
    audited=False,
    answers={204: Answer("the session has ended")},
)
async def end_session(request: web.Request) -> web.Response:
    """End the session of the access token."""
    await ask(hub_of(request).auth, Logout(principal=principal_of(request), origin=origin_of(request)))
    return no_content()


def scopes_of(sent: dict[str, object]) -> tuple[str, ...] | None:
    """Scopes of a request body; an absent or empty list is no narrowing."""
    scopes = sent.get("scopes")
    return tuple(scopes) if isinstance(scopes, list) and scopes else None


def expiry_ms(request: web.Request, sent: dict[str, object]) -> int | None:
    """``expires`` of a request body → epoch milliseconds."""
    text = sent.get("expires")
    if not isinstance(text, str):
        return None
    if text[-1:].isalpha() and text[:-1].isdigit():
        return hub_of(request).clock.now_ms() + duration_ms(text, "expires")
    return moment_ms(text, "expires", site_zone(hub_of(request)))
