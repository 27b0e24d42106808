"""Who is at the other end of the connection. Forwarding headers prove nothing, unless a trusted proxy wrote them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from aiohttp import web

FORWARDING = (
    "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-IP",
    "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "Via",
)  # fmt: skip


def peer_address(request: web.Request) -> str:
    """The address of the peer, plain."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    address = str(peer[0]) if peer else ""
    return address.removeprefix("::ffff:")


def client_address(request: web.Request, proxies: Sequence[str]) -> str:
    """The address of the client: behind trusted proxies the last one that none of them has.

    ``proxies`` are networks. What stands further left in the header may be anybody's invention.
    """
    address = peer_address(request)
    hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
    while hops and _is_one_of(address, proxies):
        hop = hops.pop().strip()
        if not _is_address(hop):
            break
        address = hop
    return address


def is_encrypted(request: web.Request, proxies: Sequence[str]) -> bool:
    """True where the client speaks TLS, with the hub or with a trusted proxy before it."""
    if request.secure:
        return True
    said = ",".join(request.headers.getall("X-Forwarded-Proto", [])).rpartition(",")[2]
    return said.strip().lower() == "https" and _is_one_of(peer_address(request), proxies)


def _is_one_of(address: str, networks: Sequence[str]) -> bool:
    if not _is_address(address):
        return False
    found = ipaddress.ip_address(address)
    return any(found in ipaddress.ip_network(network, strict=False) for network in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


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
