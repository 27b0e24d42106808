"""Which web pages may open a websocket: those of this hub, and those the configuration names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

_DEFAULT_PORT = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def origin_allowed(origins: Sequence[str], host: str, allowed: Iterable[str]) -> bool:
    """Whether a handshake may go on.

    Args:
        origins: every ``Origin`` header of the request; none at all means no browser sent it.
        host: the ``Host`` header.
        allowed: further origins, such as ``https://panel.example``.
    """
    if not origins:
        return True
    if len(origins) > 1:
        return False
    origin = origins[0].strip().lower()
    if origin in {one.strip().rstrip("/").lower() for one in allowed}:
        return True
    scheme, separator, netloc = origin.partition("://")
    port = _DEFAULT_PORT.get(scheme)
    if not separator or port is None:
        return False
    asked, sent = _address(host, port), _address(netloc, port)
    return asked is not None and asked == sent


def _address(netloc: str, default_port: int) -> tuple[str, int] | None:
    """Host and port of ``meter.local:8321``; ``None`` where it holds anything else."""
    if any(mark in netloc for mark in "/\\?#@ "):
        return None
    try:
        parts = urlsplit("//" + netloc.lower())
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname:
        return None
    return parts.hostname.rstrip("."), default_port if port is None else port
