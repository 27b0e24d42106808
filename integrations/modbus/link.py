"""One TCP connection per device address, shared by all entries that talk through it.

Many inverters and serial gateways serve a single TCP client, so the units behind one ``host:port`` take turns
on one connection: one question at a time, in the order asked. The wire itself is pymodbus'; everything it
receives passes :mod:`integrations.modbus.frames` first.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from integrations.modbus.frames import Question, question_of, rtu_fault, tcp_fault

LOGGER = logging.getLogger(__name__)

_SILENCES_BEFORE_RECONNECT = 2
"""Unanswered questions in a row after which a TCP connection counts as dead (half open)."""


class ReadFailed(Exception):
    """No usable answer this time: no connection, no answer, or one that does not fit. Try again later."""


class ReadRefused(Exception):
    """The device answered with a Modbus exception ``code``."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """Where a connection goes; ``rtu`` speaks RTU frames over TCP."""

    host: str
    port: int
    rtu: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a connection or an answer, and after connecting before the first question."""

    timeout_s: float
    connect_delay_s: float = 0.0


class Link:
    """A connection that opens on demand and closes itself when an answer cannot be trusted."""

    def __init__(self, address: LinkAddress) -> None:
        self.users = 0
        self._address = address
        self._turn = asyncio.Lock()
        self._client: Any = None
        self._question: Question | None = None
        self._broken: asyncio.Future[str] | None = None
        self._silences = 0

    async def open(self, patience: Patience) -> None:
        """Connect, unless connected.

        Raises:
            ReadFailed: the host cannot be found or takes no connection in time.
        """
        async with self._turn:
            await self._connected(patience)

    async def read(self, unit: int, kind: str, start: int, count: int, patience: Patience) -> list[int]:
        """Words of ``count`` registers from ``start``; ``kind`` is ``input`` or ``holding``.

        Raises:
            ReadFailed: nothing usable came within the time.
            ReadRefused: the device answered with an exception.
        """
        async with self._turn:
            client = await self._connected(patience)
            answer = await self._answer(_asked(client, unit, kind, start, count), patience)
        if answer.isError():
            raise ReadRefused(int(answer.exception_code))
        words: list[int] = answer.registers
        return words

    def close(self) -> None:
        """Drop the connection; the next question opens a new one."""
        client, self._client = self._client, None
        self._silences = 0
        if client is not None:
            client.close()

    async def _connected(self, patience: Patience) -> Any:
        if self._client is not None and self._client.connected:
            return self._client
        self.close()
        client = await self._new_client(patience)
        try:
            await self._open(client, patience)
        except BaseException:
            client.close()
            raise
        self._client = client
        if patience.connect_delay_s:
            await asyncio.sleep(patience.connect_delay_s)
        return client

    async def _open(self, client: Any, patience: Patience) -> None:
        """In a task of its own, for pymodbus waits in a manner that can lose a cancellation."""
        opening = asyncio.ensure_future(client.connect())
        try:
            await asyncio.wait({opening}, timeout=patience.timeout_s)
            if not opening.done() or not opening.result():
                raise ReadFailed(f"no connection to {self._address}")
        except (OSError, UnicodeError) as error:
            raise ReadFailed(f"no connection to {self._address}: {error}") from error
        finally:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)

    async def _new_client(self, patience: Patience) -> Any:
        # pymodbus takes about 70 ms to import, too long for the loop.
        module = await asyncio.to_thread(importlib.import_module, "pymodbus.client")
        # It logs every timeout and every bad frame; we raise instead, and the hub logs once.
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
        return module.AsyncModbusTcpClient(
            self._address.host,
            port=self._address.port,
            framer="rtu" if self._address.rtu else "socket",
            timeout=patience.timeout_s + 1.0,  # ours is shorter and rules
            retries=0,
            reconnect_delay=0,
            trace_packet=self._inspect,
            trace_connect=self._connection_changed,
        )

    async def _answer(self, question: Any, patience: Patience) -> Any:
        """Await an answer; whatever makes the connection doubtful closes it."""
        self._broken = asyncio.get_running_loop().create_future()
        asking = asyncio.ensure_future(question)
        try:
            done, _ = await asyncio.wait(
                {asking, self._broken}, timeout=patience.timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if self._broken in done:
                self.close()
                raise ReadFailed(f"{self._address}: {self._broken.result()}")
            if asking not in done:
                self._count_silence()
                raise ReadFailed(f"{self._address} did not answer within {patience.timeout_s:g} s")
            self._silences = 0
            return self._result(asking)
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._question = None
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    def _result(self, asking: asyncio.Future[Any]) -> Any:
        from pymodbus.exceptions import ModbusException

        try:
            return asking.result()
        except (ModbusException, OSError, RuntimeError) as error:
            # RuntimeError is what uvloop raises for a write to a closed transport.
            self.close()
            raise ReadFailed(f"{self._address}: {error}") from error

    def _count_silence(self) -> None:
        """A late answer is told apart by its transaction id; RTU frames have none, so there we start anew."""
        self._silences += 1
        if self._address.rtu or self._silences >= _SILENCES_BEFORE_RECONNECT:
            self.close()

    def _inspect(self, sending: bool, packet: bytes) -> bytes:
        """Look at every packet on its way; a received one that cannot be right is not passed on."""
        if sending:
            self._question = question_of(packet, rtu=self._address.rtu)
            return packet
        question = self._question
        if question is None:  # nobody asked
            return b""
        fault = (rtu_fault if self._address.rtu else tcp_fault)(packet, question)
        if fault is None:
            return packet
        self._break(fault)
        return b""

    def _connection_changed(self, connected: bool) -> None:
        if not connected:
            self._break("the device closed the connection")

    def _break(self, reason: str) -> None:
        if self._broken is not None and not self._broken.done():
            self._broken.set_result(reason)


async def _asked(client: Any, unit: int, kind: str, start: int, count: int) -> Any:
    """A coroutine, because pymodbus raises at the call where the connection has just gone."""
    ask = client.read_input_registers if kind == "input" else client.read_holding_registers
    return await ask(start, count=count, device_id=unit)


_LINKS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[LinkAddress, Link]] = WeakKeyDictionary()


@contextlib.asynccontextmanager
async def lease(address: LinkAddress) -> AsyncIterator[Link]:
    """The shared link to ``address``; it closes when its last user leaves."""
    links = _LINKS.setdefault(asyncio.get_running_loop(), {})
    link = links.setdefault(address, Link(address))
    link.users += 1
    try:
        yield link
    finally:
        link.users -= 1
        if link.users == 0:
            links.pop(address, None)
            link.close()
