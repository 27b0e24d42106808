"""The refresh cookie: where it may be ``__Host-`` and Secure, and where browsers would drop that."""

from __future__ import annotations

from aiohttp import web

from hub.actors.auth import SignedIn
from web.hub import hub_of
from web.peer import host_name, is_encrypted, is_loopback

SECURE_COOKIE = "__Host-wattline"
PLAIN_COOKIE = "wattline_refresh"
PLAIN_PATH = "/api/v1/auth"


def refresh_token_of(request: web.Request) -> str | None:
    """The refresh token that the browser sent."""
    return request.cookies.get(SECURE_COOKIE) or request.cookies.get(PLAIN_COOKIE)


def set_refresh_cookie(
    request: web.Request, response: web.Response, signed_in: SignedIn, now_ms: int
) -> None:
    """Give the browser the refresh token, out of reach of scripts and of other sites.

    On TLS, which a trusted proxy may speak for the hub, and on loopback it is a ``__Host-`` cookie. On a plain
    LAN address browsers drop Secure cookies, so it is a plain one there, bound to the paths of auth; the page
    says visibly that nothing is encrypted.
    """
    secure = _is_secure(request)
    response.set_cookie(
        SECURE_COOKIE if secure else PLAIN_COOKIE,
        signed_in.refresh_token,
        max_age=max(0, (signed_in.session_expires_ms - now_ms) // 1000),
        path="/" if secure else PLAIN_PATH,
        secure=secure,
        httponly=True,
        samesite="Strict",
    )


def drop_refresh_cookies(response: web.Response) -> None:
    """Make the browser forget the refresh token."""
    response.del_cookie(SECURE_COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
    response.del_cookie(PLAIN_COOKIE, path=PLAIN_PATH, httponly=True, samesite="Strict")


def _is_secure(request: web.Request) -> bool:
    return is_encrypted(request, hub_of(request).config.http.trusted_proxies) or is_loopback(
        host_name(request)
    )
