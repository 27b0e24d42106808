"""Where a credential may stand in a request, and the principal behind it."""

from __future__ import annotations

import base64
import binascii
import hmac
from urllib.parse import parse_qs

from aiohttp import web

from hub.actors.access_tokens import digest
from hub.errors import Unauthenticated
from hub.model.access import LOCAL_PRINCIPAL, Principal
from web.hub import BOOK, hub_of
from web.peer import FORWARDING, is_loopback, peer_address

RUN_KEY_HEADER = "X-Wattline-Run-Key"


def principal_by_header(request: web.Request, places: tuple[str, ...] = ()) -> Principal | None:
    """The caller, by what stands in headers and query; ``None`` where there is no credential at all.

    Raises:
        Unauthenticated: there is one and it does not hold.
    """
    if RUN_KEY_HEADER in request.headers:
        return _local(request)
    credential = _in_authorization(request, places)
    for place in places:
        if credential is None and place.startswith("query:"):
            credential = request.query.get(place.removeprefix("query:"))
    return None if credential is None else authenticated(request, credential)


def principal_by_form(request: web.Request, places: tuple[str, ...], body: bytes) -> Principal | None:
    """The caller, by a field of a form, for formats whose clients know no other place.

    Raises:
        Unauthenticated: it does not hold.
    """
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=100)
    names = [place.removeprefix("form:") for place in places if place.startswith("form:")]
    found = next((fields[name][0] for name in names if name in fields), None)
    return None if found is None else authenticated(request, found)


def authenticated(request: web.Request, credential: str) -> Principal:
    """The caller behind an access token or an API token. Raises as :meth:`AuthBook.authenticate`."""
    return request.app[BOOK].authenticate(credential, hub_of(request).clock.now_ms())


def nobody() -> Unauthenticated:
    """No credential where one is needed."""
    return Unauthenticated(
        "WL-AUTH-009",
        "this address needs a credential",
        where="Authorization",
        hint="send Authorization: Bearer with an access token or an API token",
    )


def _local(request: web.Request) -> Principal:
    sent = digest(request.headers[RUN_KEY_HEADER])
    forwarded = any(name in request.headers for name in FORWARDING)
    fits = hmac.compare_digest(sent, digest(hub_of(request).run_key))
    if not fits or forwarded or not is_loopback(peer_address(request)) or not hub_of(request).run_key:
        raise Unauthenticated(
            "WL-AUTH-014", "the key of the command line does not hold", where=RUN_KEY_HEADER
        )
    return LOCAL_PRINCIPAL


def _in_authorization(request: web.Request, places: tuple[str, ...]) -> str | None:
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, rest = header.partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "token" if "token" in places:
            # InfluxDB 1.8 reads "Token name:password" here, InfluxDB 2 the bare token
            return rest.strip().rpartition(":")[2]
        case "basic" if "basic" in places:
            return _password_of_basic(rest.strip())
    raise Unauthenticated(
        "WL-AUTH-015", "this kind of credential is not read here", where="Authorization", hint="use Bearer"
    )


def _password_of_basic(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError) as error:
        raise Unauthenticated(
            "WL-AUTH-015", "the Basic credential cannot be read", where="Authorization"
        ) from error
