"""Ports for peers that have to be told one before they listen, or that come back on the same one."""

from __future__ import annotations

import random
import socket

_LOWEST, _HIGHEST = 15_000, 32_000
"""Below those that systems give to clients: a port of a peer that is away is nobody's by accident meanwhile."""
_GIVEN: set[int] = set()


def free_port() -> int:
    """A loopback port that nobody listens on now, and that was not given before."""
    while True:
        port = random.SystemRandom().randint(_LOWEST, _HIGHEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _GIVEN:
            _GIVEN.add(port)
            return port
