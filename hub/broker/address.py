"""What the broker is asked for, where it listens, how it is."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from hub.errors import AskUser


class RevealedText(Protocol):
    """A secret that prints dots."""

    def reveal(self) -> str:
        """The text itself."""
        ...


class BrokerLogin(Protocol):
    """A login of the broker."""

    @property
    def username(self) -> str:
        """Name."""
        ...

    @property
    def password(self) -> RevealedText:
        """Password."""
        ...


class BrokerSettings(Protocol):
    """``mqtt_broker:`` of the configuration."""

    @property
    def mode(self) -> str:
        """``auto``, ``mosquitto``, ``amqtt`` or ``off``."""
        ...

    @property
    def host(self) -> str:
        """Address to listen on."""
        ...

    @property
    def port(self) -> int:
        """Port to listen on; 0 takes a free one."""
        ...

    @property
    def users(self) -> Sequence[BrokerLogin]:
        """Logins; without any, everybody on this machine may connect."""
        ...


class BrokerState(StrEnum):
    """How the broker is."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the hub's own clients connect; ``mqtt5`` is False for amqtt."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    mqtt5: bool = True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a broker that listens on ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reachable_host(host: str) -> str:
    """The address for a client on this machine of a broker that may listen on all interfaces."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def usable_port(host: str, port: int) -> int:
    """The port itself if it is free, a free one for 0.

    Raises:
        AskUser: ``WL-BRK-002``, it is taken or the host has no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            raise AskUser(
                "WL-BRK-002",
                f"the MQTT broker cannot listen on {host}:{port}: {error.strerror or error}",
                where="mqtt_broker",
                hint="use the broker that listens there (broker: mqtt://HOST:PORT in the mqtt entry),"
                " choose another mqtt_broker.port, or set mqtt_broker.mode to off",
            ) from error
        return int(trial.getsockname()[1])


def check_logins(host: str, users: Sequence[BrokerLogin]) -> None:
    """Refuse a broker that is open to the network, and logins that no password file can hold.

    Raises:
        AskUser: ``WL-BRK-003``.
    """
    if not users and not is_loopback(host):
        raise AskUser(
            "WL-BRK-003",
            f"a broker on {host} would let anybody in",
            where="mqtt_broker.host",
            hint="add mqtt_broker.users, or listen on 127.0.0.1",
        )
    for user in users:
        if not user.username or any(char in user.username for char in ":\r\n\x00#"):
            raise AskUser(
                "WL-BRK-003",
                "a user name of the broker is empty or holds a colon, # or line break",
                where="mqtt_broker.users",
                hint="use letters and digits",
            )
