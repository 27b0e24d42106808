"""Senders that behave as real ones do: they keep what was not acknowledged and send the same again.

Every load writes the ledger before it sends and after it was acknowledged. Registers count in steps of 1 mWh, so
that what is stored (Wh, rounded to a millionth) is what the ledger says, and a step in 1 ms is no impossible power.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from tests.chaos.hub_process import HubProcess
from tests.chaos.ledger import Ledger, Sent

STEPS_PER_KWH = 1_000_000
RETRY_S = 0.1


@dataclass
class Meter:
    """A device that reports power and a register; each look has its own time and its own values."""

    device: str
    turn: int = 0
    last_ms: int = 0

    def look(self) -> tuple[int, dict[str, float], list[Sent]]:
        """``(ts_ms, values as sent, rows as stored)``."""
        self.turn += 1
        self.last_ms = ts_ms = max(time.time_ns() // 1_000_000, self.last_ms + 1)
        power_w, energy_kwh = self.turn + 0.5, self.turn / STEPS_PER_KWH
        rows = [
            Sent(f"{self.device}.power", ts_ms, power_w),
            Sent(f"{self.device}.energy_import", ts_ms, self.turn * 1000 / STEPS_PER_KWH),
        ]
        return ts_ms, {"power": power_w, "energy_import": energy_kwh}, rows


@dataclass
class HttpLoad:
    """Batches over HTTP; an answer other than 204 means: the same batch again.

    ``statuses`` counts the answers, ``away`` the times when nobody answered.
    """

    hub: HubProcess
    ledger: Ledger
    rate: float
    meters: Sequence[Meter]
    per_batch: int = 20
    lines: bool = False
    statuses: dict[int, int] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)
    away: int = 0
    bodies: list[str] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop, and until the last batch is acknowledged."""
        due_s = time.monotonic()
        looks = max(self.per_batch // 2, 1)
        while not stop.is_set():
            readings = [self.meters[at % len(self.meters)].look() for at in range(looks)]
            rows = [row for _, _, mine in readings for row in mine]
            body = self._line_body(rows) if self.lines else self._json_body(rows)
            self.ledger.note_sent(rows)
            await self._insist(body)
            self.ledger.note_acked(rows)
            due_s = max(due_s + len(rows) / self.rate, time.monotonic() - 1.0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(due_s - time.monotonic(), 0)):
                    await stop.wait()

    async def _insist(self, body: str) -> None:
        path = "/write?db=house&precision=ms" if self.lines else "/api/v1/ingest"
        while True:
            began_s = time.monotonic()
            try:
                reply = await self.hub.ask("POST", path, data=body.encode())
            except (aiohttp.ClientError, OSError, TimeoutError):
                self.away += 1
                await asyncio.sleep(RETRY_S)
                continue
            self.statuses[reply.status] = self.statuses.get(reply.status, 0) + 1
            if reply.status == 204:
                self.latencies_s.append(time.monotonic() - began_s)
                return
            self.bodies.append(f"{reply.status} {reply.body[:300]!r}")
            assert reply.status in (429, 503, 507), self.bodies[-1]
            assert reply.headers.get("Retry-After") or reply.status == 507, reply.headers
            await asyncio.sleep(RETRY_S)

    def _json_body(self, rows: Sequence[Sent]) -> str:
        items = []
        for row in rows:
            device, _, key = row.series.rpartition(".")
            value = round(row.value / 1000, 6) if key == "energy_import" else row.value
            items.append({"device": device, "ts": row.ts_ms, "values": {key: value}})
        return json.dumps(items)

    def _line_body(self, rows: Sequence[Sent]) -> str:
        lines = []
        for row in rows:
            device, _, key = row.series.rpartition(".")
            value = round(row.value / 1000, 6) if key == "energy_import" else row.value
            lines.append(f"{device} {key}={value!r} {row.ts_ms}")
        return "\n".join(lines)


class MqttLoad:
    """Publishers of QoS 1 with device times. Acknowledged is what the *broker* took.

    Topics are ``chaos/<device>``; each client keeps what was not acknowledged and sends it again after a
    reconnect, as paho does by itself.
    """

    def __init__(self, port: int, ledger: Ledger, rate: float, meters: Sequence[Meter], clients: int) -> None:
        self._port = port
        self._ledger = ledger
        self._rate = rate
        self._meters = meters
        self._waiting: list[dict[int, list[Sent]]] = [{} for _ in range(clients)]
        self._early: list[set[int]] = [set() for _ in range(clients)]
        self._clients = [self._client(number) for number in range(clients)]

    @property
    def unacked(self) -> int:
        """Messages that the broker has not taken yet."""
        return sum(map(len, self._waiting))

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until told to stop."""
        due_s = time.monotonic()
        turns = itertools.count()
        while not stop.is_set():
            for _ in range(len(self._meters)):
                self._publish(next(turns))
            due_s = max(due_s + 2 * len(self._meters) / self._rate, time.monotonic() - 1.0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(due_s - time.monotonic(), 0)):
                    await stop.wait()

    def close(self) -> None:
        """Disconnect all."""
        for client in self._clients:
            client.disconnect()
            client.loop_stop()

    def _publish(self, turn: int) -> None:
        number = turn % len(self._clients)
        meter = self._meters[turn % len(self._meters)]
        ts_ms, values, rows = meter.look()
        self._ledger.note_sent(rows)
        payload = json.dumps({"ts": ts_ms, **values})
        sent = self._clients[number].publish(f"chaos/{meter.device}", payload, qos=1)
        if sent.mid in self._early[number]:  # the answer was quicker than the return of publish
            self._early[number].discard(sent.mid)
            self._ledger.note_acked(rows)
        else:
            self._waiting[number][sent.mid] = rows
            if sent.mid in self._early[number]:
                self._acknowledged(number, sent.mid)

    def _acknowledged(self, number: int, mid: int) -> None:
        rows = self._waiting[number].pop(mid, None)
        if rows is None:
            self._early[number].add(mid)
        else:
            self._early[number].discard(mid)
            self._ledger.note_acked(rows)

    def _client(self, number: int) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, f"chaos-{number}-{id(self):x}", clean_session=False)
        client.max_inflight_messages_set(200)
        client.reconnect_delay_set(1, 1)

        def on_publish(_client: Any, _data: Any, mid: int, _code: Any, _properties: Any) -> None:
            self._acknowledged(number, mid)

        client.on_publish = on_publish
        client.connect("127.0.0.1", self._port)
        client.loop_start()
        return client


class ModbusMeter:
    """A pymodbus server that shows a new value at each poll; ``busy`` makes it answer "device busy" instead."""

    def __init__(self, ledger: Ledger, series: str) -> None:
        self._ledger = ledger
        self._series = series
        self._turn = 0
        self._server: Any = None
        self.busy = False

    async def start(self) -> int:
        """Listen; returns the port."""
        words = [SimData(0, values=[0, 0], datatype=DataType.REGISTERS)]
        device = SimDevice(1, simdata=words, action=self._show)
        self._server = ModbusTcpServer([device], address=("127.0.0.1", 0))
        await self._server.serve_forever(background=True)
        port: int = self._server.transport.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Close all connections."""
        await self._server.shutdown()

    async def _show(
        self, _function: int, _start: int, _address: int, _count: int, registers: list[int], _values: Any
    ) -> ExcCodes | None:
        if self.busy:
            return ExcCodes.DEVICE_BUSY
        self._turn += 1
        registers[0], registers[1] = self._turn & 0xFFFF, self._turn >> 16
        self._ledger.note_served(self._series, float(self._turn))
        return None


def modbus_entry(port: int, device: str, interval_s: float = 0.1) -> str:
    """A YAML item that polls a :class:`ModbusMeter` into ``<device>.power``."""
    register = "{key: power, address: 0, type: holding, decode: uint32, unit: W, sentinel: []}"
    return (
        f"modbus: {{host: 127.0.0.1, port: {port}, unit: 1, id: {device}, interval: {interval_s}, timeout: 1,"
        f" word_order: little, registers: [{register}]}}"
    )


def mqtt_entry(broker: str, client_id: str) -> str:
    """A YAML item that takes ``chaos/<device>`` with the device's own time."""
    topic = "{topic: 'chaos/+', device: '{1}', values: {power: {unit: W}, energy_import: {unit: kWh}}}"
    return f"mqtt: {{broker: '{broker}', client_id: {client_id}, discovery: 'off', topics: [{topic}]}}"


@contextlib.asynccontextmanager
async def under_load(*loads: HttpLoad | MqttLoad) -> AsyncIterator[None]:
    """All loads at once; leaving stops them, and waits until HTTP senders got rid of their last batch."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(load.run(stop)) for load in loads]
    try:
        yield
    finally:
        stop.set()
        try:
            async with asyncio.timeout(60):
                await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
