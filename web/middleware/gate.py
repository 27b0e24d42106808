"""The gate: no handler runs before its own declaration let the caller in. Deny is the default.

The decision hangs on the *resolved handler*, never on the text of the path, and is made before a byte of the
body is read. Odd spellings of paths are refused before anything else looks at them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from urllib.parse import unquote_to_bytes

from aiohttp import web

from hub.actors.auth import RecordAudit
from hub.errors import Bug, Forbidden, RetryLater, WattlineError
from hub.model.access import Principal
from hub.runtime.actor import tell
from web.body import read_body
from web.credentials import nobody, principal_by_form, principal_by_header
from web.hub import PRINCIPAL, hub_of
from web.peer import client_address, is_local
from web.problems import BadRequest, status_of
from web.routes import Access, access_of

LOGGER = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
FORM_BODY = web.RequestKey("form_body", bytes)
DENIED_STATUS = (401, 403, 413, 429)
_READS = ("GET", "HEAD")


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request in or not, and record the writes that succeeded."""
    refuse_odd_path(request)
    missing = request.match_info.http_exception
    if missing is not None:
        raise missing
    access = access_of(request.match_info.handler)
    if access is None:
        raise Bug(
            "WL-API-900",
            "a handler without declared access is mounted",
            where=request.match_info.route.name or "",
        )
    try:
        principal = await _admitted(request, access)
        if principal is not None:
            request[PRINCIPAL] = principal
        response = await handler(request)
    except WattlineError as error:
        return _in_its_words(error, access)
    if access.audited and principal is not None and request.method not in _READS and response.status < 400:
        _record(request, principal)
    return response


def require(principal: Principal, permission: str) -> None:
    """Refuse a caller without the permission.

    Raises:
        Forbidden: ``WL-AUTH-016``, naming the permission.
    """
    if not principal.may(permission):
        raise Forbidden(
            "WL-AUTH-016",
            f"this needs the permission {permission}",
            where="Authorization",
            hint="an admin can give the role, or make a token with the scope, that holds it",
        )


def refuse_odd_path(request: web.Request) -> None:
    """Refuse paths that different readers could read differently.

    Raises:
        BadRequest: ``WL-API-410``, the decoded path still holds ``%``, or ``..``, a backslash, NUL or ``//``.
    """
    raw = request.raw_path.partition("?")[0]
    decoded = unquote_to_bytes(raw) if "%" in raw else raw.encode("utf-8", "surrogateescape")
    odd = b"%" in decoded or b"\\" in decoded or b"\0" in decoded or b"//" in decoded or b".." in decoded
    if odd or not raw.startswith("/"):
        raise BadRequest("WL-API-410", "this spelling of the path is not taken", where="path")


async def _admitted(request: web.Request, access: Access) -> Principal | None:
    if access.public:
        return None
    principal = principal_by_header(request, access.credentials)
    if principal is None and _may_hide_in_form(request, access):
        body = request[FORM_BODY] = await read_body(request)
        principal = principal_by_form(request, access.credentials, body)
    if principal is None:
        if access.local_ok and is_local(request) and not hub_of(request).config.http.trusted_proxies:
            return None
        raise nobody()
    require(principal, access.permission or "")
    return principal


def _may_hide_in_form(request: web.Request, access: Access) -> bool:
    """Some meters know no other place for their key than a form field; only then a small body is read first."""
    by_form = any(place.startswith("form:") for place in access.credentials)
    return by_form and request.content_type == "application/x-www-form-urlencoded"


def _in_its_words(error: WattlineError, access: Access) -> web.Response:
    status = status_of(error)
    if access.denied is None or status not in DENIED_STATUS:
        raise error
    response = access.denied(status, error.message)
    if isinstance(error, RetryLater):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if status == 413:
        response.force_close()
    return response


def _record(request: web.Request, principal: Principal) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else ""
    action = f"{request.method} {route.removeprefix('/api/v1/')}"
    record_write(request, principal, action, "/".join(request.match_info.values())[:200])


def record_write(request: web.Request, principal: Principal, action: str, target: str) -> None:
    """A line in the audit trail; what was done stays done where the trail cannot take it."""
    try:
        address = client_address(request, hub_of(request).config.http.trusted_proxies)
        tell(hub_of(request).auth, RecordAudit(action, target, principal, address))
    except RetryLater as error:
        LOGGER.warning("a write could not be recorded in the audit trail: %s", error)
