"""From a target to a connected socket, encrypted where it is wanted."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass, field

from integrations.mqtt.wire import RawSocket

CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where and as whom to connect."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca: str | None = None
    mqtt5: bool = True
    keep_session: bool = True

    @property
    def place(self) -> str:
        """Address for messages, without credentials."""
        return f"mqtt{'s' if self.tls else ''}://{self.host}:{self.port}"


async def dial(target: Target) -> RawSocket:
    """Connect in a thread, for resolving names and greeting by TLS block.

    A thread cannot be cancelled: a socket that nobody waits for any more is closed as soon as it is there.

    Raises:
        OSError: no connection, no valid certificate, or an unreadable file of authorities.
    """
    dialling = asyncio.get_running_loop().run_in_executor(None, _connected, target)
    try:
        return await asyncio.shield(dialling)
    except asyncio.CancelledError:
        dialling.add_done_callback(_close_unwanted)
        raise


def _connected(target: Target) -> RawSocket:
    context = ssl.create_default_context(cafile=target.ca) if target.tls else None
    plain = socket.create_connection((target.host, target.port), timeout=CONNECT_TIMEOUT_S)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return plain if context is None else context.wrap_socket(plain, server_hostname=target.host)
    except BaseException:
        plain.close()
        raise


def _close_unwanted(dialling: asyncio.Future[RawSocket]) -> None:
    if not dialling.cancelled() and dialling.exception() is None:
        dialling.result().close()
