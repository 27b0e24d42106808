"""Who is at the other end of the connection. Forwarding headers prove nothing here; they only disqualify."""

from __future__ import annotations

import ipaddress

from aiohttp import web

FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")


def peer_address(request: web.Request) -> str:
    """The address of the peer, plain."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    address = str(peer[0]) if peer else ""
    return address.removeprefix("::ffff:")


def is_loopback(host: str) -> bool:
    """True for ``localhost`` and loopback addresses."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_local(request: web.Request) -> bool:
    """True where the peer is on this machine and speaks for itself.

    A proxy on this machine is a loopback peer too, so any forwarding header says no. So does a ``Host`` that is
    not this machine: a page elsewhere may have pointed its own name at 127.0.0.1.
    """
    if any(name in request.headers for name in FORWARDING):
        return False
    return is_loopback(peer_address(request)) and is_loopback(host_name(request))


def host_name(request: web.Request) -> str:
    """The host the client asked for, without port."""
    host = request.headers.get("Host", "")
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def same_origin(request: web.Request) -> bool:
    """True where no browser says that another site sent this request."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    return origin.partition("://")[2].lower() == request.headers.get("Host", "").lower()
