"""The hub's own broker, with the real mosquitto and amqtt."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
import pytest

from hub.broker import BrokerAddress, BrokerState, BrokerSupervisor, in_process, supervisor
from hub.errors import AskUser
from tests.peers.mosquitto import require_mosquitto
from tests.peers.ports import free_port

PARENT = """
import asyncio, sys
from pathlib import Path
from hub.broker import BrokerSupervisor
from tests.hub.broker.test_supervisor import Settings

async def main():
    broker = BrokerSupervisor(Settings(port=int(sys.argv[2])), Path(sys.argv[1]))
    await broker.start()
    print(broker.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@dataclass(frozen=True)
class Word:
    """A secret as the configuration has them."""

    text: str

    def reveal(self) -> str:
        """The text."""
        return self.text


@dataclass(frozen=True)
class Login:
    """A login as the configuration has them."""

    username: str
    password: Word


@dataclass(frozen=True)
class Settings:
    """``mqtt_broker`` as the configuration has it."""

    mode: str = "mosquitto"
    host: str = "127.0.0.1"
    port: int = 0
    users: tuple[Login, ...] = ()


class Log:
    """Waits for states of a broker."""

    def __init__(self) -> None:
        self.states: list[BrokerState] = []
        self._changed = asyncio.Event()

    def __call__(self, state: BrokerState, text: str) -> None:
        assert text
        self.states.append(state)
        self._changed.set()

    async def until(self, state: BrokerState) -> None:
        """Return when the newest state is this one."""
        async with asyncio.timeout(30):
            while not self.states or self.states[-1] is not state:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def running(
    settings: Settings, data: Path, log: Log | None = None
) -> AsyncIterator[tuple[BrokerSupervisor, BrokerAddress]]:
    require_mosquitto()
    broker = BrokerSupervisor(settings, data, listener=log)
    address = await broker.start()
    try:
        yield broker, address
    finally:
        await broker.stop()


async def roundtrip(address: BrokerAddress, username: str | None, password: str | None) -> bytes:
    version = aiomqtt.ProtocolVersion.V5 if address.mqtt5 else aiomqtt.ProtocolVersion.V311
    async with aiomqtt.Client(
        address.host, address.port, username=username, password=password, protocol=version
    ) as client:
        await client.subscribe("a/b", qos=1)
        await client.publish("a/b", "42", qos=1)
        async with asyncio.timeout(30):
            payload = (await anext(client.messages)).payload
    assert isinstance(payload, bytes)
    return payload


def process_is_gone(pid: int) -> bool:
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(30):
        while not process_is_gone(pid):  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.02)


async def test_mosquitto_carries_messages_and_is_reported_as_running(tmp_path: Path) -> None:
    log = Log()
    async with running(Settings(), tmp_path, log) as (broker, address):
        assert await roundtrip(address, None, None) == b"42"
        assert broker.state is BrokerState.RUNNING
        assert address.username is None
    assert log.states == [BrokerState.STARTING, BrokerState.RUNNING, BrokerState.STOPPED]


async def test_a_killed_broker_is_started_again_on_the_same_port(tmp_path: Path) -> None:
    log = Log()
    async with running(Settings(), tmp_path, log) as (broker, address):
        first = broker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await log.until(BrokerState.RESTARTING)
        await log.until(BrokerState.RUNNING)
        assert broker.pid != first
        assert broker.restarts == 1
        assert await roundtrip(address, None, None) == b"42"


async def test_no_broker_is_left_when_the_hub_is_killed(tmp_path: Path) -> None:
    require_mosquitto()
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), str(free_port()), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await until_gone(child)


async def test_a_broker_of_a_former_run_is_ended_before_the_port_is_taken(tmp_path: Path) -> None:
    async with running(Settings(), tmp_path) as (_, address):
        leftover = tmp_path / "mosquitto" / "pid"
        stale = int(leftover.read_text())
        later = BrokerSupervisor(Settings(port=address.port), tmp_path)
        again = await later.start()
        try:
            assert process_is_gone(stale)
            assert await roundtrip(again, None, None) == b"42"
        finally:
            await later.stop()


async def test_a_foreign_process_with_the_noted_pid_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mosquitto").mkdir()
    (tmp_path / "mosquitto" / "pid").write_text(str(os.getpid()))
    async with running(Settings(), tmp_path) as (_, address):
        assert await roundtrip(address, None, None) == b"42"


async def test_a_taken_port_is_said_clearly(tmp_path: Path) -> None:
    require_mosquitto()
    log = Log()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        broker = BrokerSupervisor(Settings(port=taken.getsockname()[1]), tmp_path, listener=log)
        with pytest.raises(AskUser) as raised:
            await broker.start()
    assert raised.value.code == "WL-BRK-002"
    assert str(taken) not in str(raised.value)
    assert "mqtt_broker.port" in raised.value.hint
    assert log.states[-1] is BrokerState.STOPPED


async def test_with_users_nobody_else_gets_in(tmp_path: Path) -> None:
    settings = Settings(users=(Login("meter", Word("s3cret")),))
    async with running(settings, tmp_path) as (_, address):
        assert await roundtrip(address, "meter", "s3cret") == b"42"
        assert await roundtrip(address, address.username, address.password) == b"42"
        for username, password in ((None, None), ("meter", "wrong"), ("meter", "")):
            with pytest.raises(aiomqtt.MqttError):
                await roundtrip(address, username, password)
    kept = "".join(path.read_text() for path in (tmp_path / "mosquitto").iterdir() if path.suffix != ".db")
    assert "s3cret" not in kept
    assert address.password is not None
    assert address.password not in kept
    assert address.password not in repr(address)


async def test_a_broker_open_to_the_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AskUser) as raised:
        await BrokerSupervisor(Settings(host="0.0.0.0"), tmp_path).start()
    assert raised.value.code == "WL-BRK-003"


async def test_a_login_that_would_break_the_password_file_is_refused(tmp_path: Path) -> None:
    settings = Settings(users=(Login("a:b\nroot", Word("x")),))
    with pytest.raises(AskUser) as raised:
        await BrokerSupervisor(settings, tmp_path).start()
    assert raised.value.code == "WL-BRK-003"


async def test_a_broker_that_dies_at_once_is_reported_with_its_own_words(tmp_path: Path) -> None:
    require_mosquitto()
    (tmp_path / "mosquitto").mkdir()
    (tmp_path / "mosquitto" / "mosquitto.db").write_bytes(b"no database" * 10)
    broker = BrokerSupervisor(Settings(), tmp_path)
    with pytest.raises(AskUser) as raised:
        await broker.start()
    assert raised.value.code == "WL-BRK-004"
    assert broker.state is BrokerState.STOPPED


async def test_without_any_program_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "program", lambda: None)
    monkeypatch.setattr(in_process, "installed", lambda: False)
    with pytest.raises(AskUser) as raised:
        await BrokerSupervisor(Settings(mode="auto"), tmp_path).start()
    assert raised.value.code == "WL-BRK-001"
    assert "mosquitto" in raised.value.hint


async def test_messages_for_an_absent_client_survive_a_stop(tmp_path: Path) -> None:
    settings = Settings(port=free_port())
    async with running(settings, tmp_path) as (_, address):
        async with aiomqtt.Client(
            address.host, address.port, identifier="away", clean_session=False
        ) as client:
            await client.subscribe("a/#", qos=1)
        async with aiomqtt.Client(address.host, address.port) as client:
            await client.publish("a/b", "7", qos=1)
    async with (
        running(settings, tmp_path) as (_, address),
        aiomqtt.Client(address.host, address.port, identifier="away", clean_session=False) as client,
        asyncio.timeout(30),
    ):
        assert (await anext(client.messages)).payload == b"7"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("users", [(), (Login("meter", Word("s3cret")),)])
async def test_amqtt_serves_where_it_is_asked_for(tmp_path: Path, users: tuple[Login, ...]) -> None:
    pytest.importorskip("amqtt")
    broker = BrokerSupervisor(Settings(mode="amqtt", port=free_port(), users=users), tmp_path)
    address = await broker.start()
    try:
        assert not address.mqtt5
        assert await roundtrip(address, address.username, address.password) == b"42"
    finally:
        await broker.stop()
