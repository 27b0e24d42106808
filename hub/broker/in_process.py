"""amqtt inside of the hub, for a first look where mosquitto is missing.

MQTT 3.1.1 only, some 2,000 messages a second, and it keeps no messages for a client that is away.
"""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

from hub.broker.files import Owner, write_all


def installed() -> bool:
    """Whether the extra ``embedded-broker`` is installed."""
    return importlib.util.find_spec("amqtt") is not None


class InProcessBroker:
    """One run of amqtt.

    Args:
        directory: for the password file.
        host: address to listen on.
        port: port to listen on.
        users: passwords by name; empty lets everybody of this machine in.
    """

    def __init__(self, directory: Path, host: str, port: int, users: dict[str, str]) -> None:
        self._directory = directory
        self._bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._users = users
        self._broker: Any = None

    async def start(self) -> None:
        """Start to listen. Raises what amqtt raises where it cannot."""
        from amqtt.broker import Broker  # slow to import, and an optional dependency

        logging.getLogger("amqtt").setLevel(logging.WARNING)
        logging.getLogger("transitions").setLevel(logging.WARNING)
        self._broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": self._bind, "max_connections": 500}},
                "plugins": self._authentication(),
            }
        )
        await self._broker.start()

    async def stop(self) -> None:
        """Close all connections."""
        if self._broker is not None:
            await self._broker.shutdown()
            self._broker = None

    def _authentication(self) -> dict[str, Any]:
        if not self._users:
            return {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
        from pwdlib import PasswordHash
        from pwdlib.hashers.argon2 import Argon2Hasher

        hasher = PasswordHash((Argon2Hasher(),))
        lines = [f"{name}:{hasher.hash(password)}\n" for name, password in self._users.items()]
        write_all(self._directory, Owner(), {"amqtt-passwords": "".join(lines)})
        return {
            "amqtt.plugins.authentication.FileAuthPlugin": {
                "password_file": str(self._directory / "amqtt-passwords")
            }
        }
