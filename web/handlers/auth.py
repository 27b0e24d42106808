"""Signing in and out, and the first owner."""

from __future__ import annotations

from aiohttp import web

from hub.actors.auth import CreateOwner, Login, Logout, Origin, Refresh, SetupState
from hub.errors import Forbidden
from hub.runtime.actor import request as ask
from web.body import json_body
from web.cookies import drop_refresh_cookies, refresh_token_of, set_refresh_cookie
from web.credentials import nobody
from web.hub import hub_of
from web.peer import client_address, same_origin
from web.routes import Answer, Routes
from web.schemas import Text, ref
from web.serialize import json_response, no_content, user_json

routes = Routes("auth")

SIGN_IN = {
    "username": Text("name of the user", required=True, max_chars=200),
    "password": Text("the password", required=True, max_chars=4096, secret=True),
}
LOG_IN = {
    **SIGN_IN,
    "totp": Text("code of the second factor, for users who have one", max_chars=20, nullable=True),
}
SET_UP = {"token": Text("from the one-time setup link", required=True, max_chars=200, secret=True), **SIGN_IN}
_SIGNED_IN = {
    200: Answer(
        "an access token for 15 minutes; the refresh token is in an HttpOnly cookie", ref("SignedIn")
    ),
    401: Answer("user name or password is wrong, or the refresh token is out of date", ref("Problem")),
    429: Answer("too many tries", ref("Problem")),
}


@routes.post("/api/v1/auth/login", public=True, audited=False, body=LOG_IN, answers=_SIGNED_IN)
async def login(request: web.Request) -> web.Response:
    """Sign in with name and password."""
    _refuse_other_sites(request)
    sent = await json_body(request, LOG_IN)
    signed_in = await ask(hub_of(request).auth, Login(sent["username"], sent["password"], origin_of(request)))
    response = json_response({"access_token": signed_in.access_token, "expires_in": signed_in.expires_in_s})
    set_refresh_cookie(request, response, signed_in, hub_of(request).clock.now_ms())
    return response


@routes.post("/api/v1/auth/refresh", public=True, audited=False, answers=_SIGNED_IN)
async def refresh(request: web.Request) -> web.Response:
    """A new access token by the refresh cookie, which is renewed too."""
    _refuse_other_sites(request)
    token = refresh_token_of(request)
    if token is None:
        raise nobody()
    signed_in = await ask(hub_of(request).auth, Refresh(token, origin_of(request)))
    response = json_response({"access_token": signed_in.access_token, "expires_in": signed_in.expires_in_s})
    set_refresh_cookie(request, response, signed_in, hub_of(request).clock.now_ms())
    return response


@routes.post(
    "/api/v1/auth/logout", public=True, audited=False, answers={204: Answer("the session has ended")}
)
async def logout(request: web.Request) -> web.Response:
    """End the session of the refresh cookie; a session that is over is no error."""
    _refuse_other_sites(request)
    token = refresh_token_of(request)
    if token is not None:
        await ask(hub_of(request).auth, Logout(refresh_token=token, origin=origin_of(request)))
    response = no_content()
    drop_refresh_cookies(response)
    return response


@routes.get(
    "/api/v1/auth/setup", public=True, answers={200: Answer("is the first owner missing?", ref("Object"))}
)
async def setup_state(request: web.Request) -> web.Response:
    """Whether the hub waits for its first owner."""
    state = await ask(hub_of(request).auth, SetupState())
    return json_response({"needed": state.needed})


@routes.post(
    "/api/v1/auth/setup",
    public=True,
    audited=False,
    body=SET_UP,
    answers={
        201: Answer("the owner, an admin", ref("User")),
        403: Answer("the link was used or is wrong", ref("Problem")),
    },
)
async def setup(request: web.Request) -> web.Response:
    """Create the first owner with the one-time token of the setup link."""
    _refuse_other_sites(request)
    sent = await json_body(request, SET_UP)
    owner = await ask(
        hub_of(request).auth,
        CreateOwner(sent["token"], sent["username"], sent["password"], origin_of(request)),
    )
    return json_response(user_json(owner), status=201)


def origin_of(request: web.Request) -> Origin:
    """Where the request comes from, for the audit trail."""
    address = client_address(request, hub_of(request).config.http.trusted_proxies)
    return Origin(address, request.headers.get("User-Agent", "")[:200])


def _refuse_other_sites(request: web.Request) -> None:
    if not same_origin(request):
        raise Forbidden("WL-AUTH-017", "this request comes from another site", where="Origin")
