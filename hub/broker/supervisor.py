"""Runs the hub's broker: chooses the program, starts it, restarts it when it dies, ends it with the hub."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from hub.broker import files, in_process
from hub.broker.address import (
    BrokerAddress,
    BrokerSettings,
    BrokerState,
    check_logins,
    reachable_host,
    usable_port,
)
from hub.broker.child import Child, program
from hub.errors import AskUser

LOGGER = logging.getLogger(__name__)
START_LIMIT_S = 10.0
STEADY_AFTER_S = 60.0
_FIRST_WAIT_S, _WAIT_CAP_S = 0.5, 30.0
_STEP_S = 0.02

Listener = Callable[[BrokerState, str], None]
"""Told of each change of state, with a sentence for people."""


class BrokerSupervisor:
    """The hub's own MQTT broker.

    Args:
        settings: ``mqtt_broker`` of the configuration.
        data_dir: data directory of the hub; the broker keeps its files in ``mosquitto/`` there.
        listener: told of each change of state.
        sleep: waits, in seconds.
        now_s: monotonic seconds.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        data_dir: Path,
        *,
        listener: Listener | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._directory = data_dir.resolve() / "mosquitto"
        self._listener = listener
        self._sleep = sleep
        self._now_s = now_s
        self._state = BrokerState.STOPPED
        self._child: Child | None = None
        self._inner: in_process.InProcessBroker | None = None
        self._guard: asyncio.Task[None] | None = None
        self._address: BrokerAddress | None = None
        self.restarts = 0
        """How often the broker had to be started again."""

    @property
    def state(self) -> BrokerState:
        """How the broker is now."""
        return self._state

    @property
    def address(self) -> BrokerAddress | None:
        """Where it listens; None before the start and after the stop."""
        return self._address

    @property
    def pid(self) -> int | None:
        """Process id of the child, None for a broker in this process."""
        return self._child.pid if self._child else None

    async def start(self) -> BrokerAddress:
        """Start the broker and return when it takes connections.

        Raises:
            AskUser: ``WL-BRK-001`` no program, ``WL-BRK-002`` port taken, ``WL-BRK-003`` open to the network,
                ``WL-BRK-004`` it does not start. The hub can go on without a broker of its own.
        """
        settings = self._settings
        check_logins(settings.host, settings.users)
        command = self._command()
        users = self._logins()
        self._enter(BrokerState.STARTING, "the MQTT broker starts")
        try:
            if command is not None:
                self._address = await self._start_mosquitto(command, users)
            else:
                self._address = await self._start_amqtt(users)
        except BaseException:
            await self.stop()
            raise
        self._enter(
            BrokerState.RUNNING, f"the MQTT broker listens on {self._address.host}:{self._address.port}"
        )
        if command is not None:
            self._guard = asyncio.create_task(self._keep_running(command), name="broker-guard")
        return self._address

    async def stop(self) -> None:
        """End the broker; it saves its sessions. Does nothing where it does not run."""
        if self._guard is not None:
            self._guard.cancel()
            await asyncio.wait([self._guard])
            self._guard = None
        if self._child is not None:
            await self._child.stop()
            self._child = None
        if self._inner is not None:
            await self._inner.stop()
            self._inner = None
        self._address = None
        self._enter(BrokerState.STOPPED, "the MQTT broker has stopped")

    def _command(self) -> str | None:
        """Path of mosquitto, None for amqtt."""
        mode = self._settings.mode
        found = program() if mode in ("auto", "mosquitto") else None
        if found is not None:
            return found
        if mode in ("auto", "amqtt") and in_process.installed():
            return None
        wanted = {"mosquitto": "mosquitto", "amqtt": "amqtt"}.get(mode, "no MQTT broker")
        raise AskUser(
            "WL-BRK-001",
            f"{wanted} is not installed" if mode != "auto" else "no MQTT broker is installed",
            where="mqtt_broker.mode",
            hint="install mosquitto (apt install mosquitto) or the extra wattline[embedded-broker],"
            " or set mqtt_broker.mode to off and use a broker elsewhere",
        )

    def _logins(self) -> dict[str, str]:
        """All logins with the hub's own, which is new at each start; none at all for an open broker."""
        users = {user.username: user.password.reveal() for user in self._settings.users}
        if users:
            users[files.HUB_USER] = secrets.token_urlsafe(32)
        return users

    async def _start_mosquitto(self, command: str, users: dict[str, str]) -> BrokerAddress:
        settings = self._settings
        owner = files.owner_for(self._directory)
        self._child = Child(self._directory, owner, self._sleep)
        await self._child.end_stale()
        port = usable_port(settings.host, settings.port)
        texts = {
            "mosquitto.conf": files.configuration(
                self._directory,
                settings.host,
                port,
                logins=bool(users),
                memory_bytes=files.machine_memory_bytes(),
            ),
            "acl": files.access_list(users),
        }
        if users:
            texts["passwords"] = "".join(files.password_line(*login) for login in users.items())
        try:
            files.write_all(self._directory, owner, texts)
            await self._child.start(command)
        except OSError as error:
            raise _not_started(str(error)) from error
        await self._until_listening(self._child, settings.host, port)
        return self._reachable(port, users, mqtt5=True)

    async def _start_amqtt(self, users: dict[str, str]) -> BrokerAddress:
        settings = self._settings
        port = usable_port(settings.host, settings.port)
        self._inner = in_process.InProcessBroker(self._directory, settings.host, port, users)
        try:
            await self._inner.start()
        except Exception as error:
            self._inner = None
            raise _not_started(str(error)) from error
        LOGGER.warning(
            "using the small built-in MQTT broker: it keeps no messages for clients that are away;"
            " install mosquitto for daily use"
        )
        return self._reachable(port, users, mqtt5=False)

    def _reachable(self, port: int, users: dict[str, str], *, mqtt5: bool) -> BrokerAddress:
        own = files.HUB_USER if users else None
        return BrokerAddress(
            reachable_host(self._settings.host), port, own, users[own] if own else None, mqtt5
        )

    async def _until_listening(self, child: Child, host: str, port: int) -> None:
        """Wait until the child takes connections.

        Raises:
            AskUser: ``WL-BRK-004``, it ended or does not listen.
        """
        deadline_s = self._now_s() + START_LIMIT_S
        while self._now_s() < deadline_s:
            if await _listens(reachable_host(host), port):
                return
            if child.pid is None:
                await child.wait()
                break
            await self._sleep(_STEP_S)
        raise _not_started("; ".join(list(child.last_lines)[-3:]) or "it does not listen")

    async def _keep_running(self, command: str) -> None:
        """Start the child again whenever it ends; one log line when it goes, one when it is back."""
        ceiling_s = _FIRST_WAIT_S
        began_s = self._now_s()
        while self._child is not None and self._address is not None:
            code = await self._child.wait()
            if self._now_s() - began_s > STEADY_AFTER_S:
                ceiling_s = _FIRST_WAIT_S
            if self._state is BrokerState.RUNNING:
                LOGGER.warning("the MQTT broker ended (code %s); starting it again", code)
                self._enter(BrokerState.RESTARTING, f"the MQTT broker ended with code {code}")
            await self._sleep(random.uniform(ceiling_s / 2, ceiling_s))
            ceiling_s = min(ceiling_s * 2, _WAIT_CAP_S)
            self.restarts += 1
            began_s = self._now_s()
            with suppress(AskUser, OSError):
                await self._child.start(command)
                await self._until_listening(self._child, self._settings.host, self._address.port)
                LOGGER.info("the MQTT broker runs again")
                self._enter(BrokerState.RUNNING, "the MQTT broker runs again")

    def _enter(self, state: BrokerState, text: str) -> None:
        if state is self._state:
            return
        self._state = state
        if self._listener is not None:
            self._listener(state, text)


async def _listens(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _not_started(why: str) -> AskUser:
    return AskUser(
        "WL-BRK-004",
        f"the MQTT broker does not start: {why[:300]}",
        where="mqtt_broker",
        hint="the hub goes on without a broker of its own",
    )
