"""A running source for tests: real broker, intake in memory, a publisher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiomqtt

from hub.plugins.testing import MemoryIntake
from integrations.mqtt.source import MqttSource, connect
from tests.peers.mosquitto import Mosquitto

STEP_S = 0.01
LIMIT_S = 30.0


@dataclass
class Running:
    """A source at work and everything around it."""

    broker: Mosquitto
    intake: MemoryIntake
    source: MqttSource
    task: asyncio.Task[None]

    async def publish(self, topic: str, payload: str | bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish one message and wait for its PUBACK."""
        async with publisher(self.broker) as client:
            await client.publish(topic, payload, qos=qos, retain=retain)

    async def value(self, series: str, count: int = 1) -> float:
        """Newest stored value once there are ``count`` rows."""
        await self.until(lambda: len(self.intake.rows.get(series, {})) >= count)
        return self.intake.rows[series][max(self.intake.rows[series])]

    async def until(self, true: Callable[[], Any]) -> None:
        """Wait for something that the broker or the source does; fails with the source if that fails."""
        async with asyncio.timeout(LIMIT_S):
            while not true():
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(STEP_S)

    async def passed(self) -> None:
        """Wait until everything published before has been seen: a marker comes last."""
        self.intake.rows.pop("marker.power", None)
        await self.publish("wattline-test/marker", "1")
        await self.until(lambda: "marker.power" in self.intake.rows)


@asynccontextmanager
async def publisher(broker: Mosquitto) -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client(broker.host, broker.port, max_inflight_messages=500) as client:
        client.pending_calls_threshold = 100_000
        yield client


@asynccontextmanager
async def running(
    broker: Mosquitto, intake: MemoryIntake | None = None, *, embedded: bool = False, **options: Any
) -> AsyncIterator[Running]:
    """Run a source until the block ends; a marker topic is added to the configured ones."""
    topics = [
        *options.pop("topics", []),
        {"topic": "wattline-test/marker", "device": "marker", "series": "power"},
    ]
    options = {
        "broker": "embedded" if embedded else broker.url,
        "discovery": "off",
        **options,
        "topics": topics,
    }
    intake = intake or MemoryIntake()
    async with connect(options) as source:
        task = asyncio.create_task(source.run(intake))
        one = Running(broker, intake, source, task)
        try:
            await one.until(lambda: subscribed(broker, one))
            yield one
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def subscribed(broker: Mosquitto, one: Running) -> bool:
    """The broker has answered the latest SUBSCRIBE of the source."""
    name = f"wattline-{one.intake.entry_id}"
    return f"Sending SUBACK to {name}" in broker.log.rpartition(f"Sending CONNACK to {name}")[2]
