"""What is subscribed to: configured topics, discovery, and the topics of found devices as they appear."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from hub.plugins.api import Intake, Rejection
from integrations.mqtt.connection import Link
from integrations.mqtt.found import FoundDevices
from integrations.mqtt.mapping import ConfiguredTopics, covers
from integrations.mqtt.schema import Settings

LOGGER = logging.getLogger(__name__)
QUIET_S = 0.15
DISCOVERY_CAP_S = 3.0


class Subscriptions:
    """Keeps the subscriptions of one connection equal to what is wanted."""

    def __init__(
        self,
        link: Link,
        settings: Settings,
        topics: ConfiguredTopics,
        found: FoundDevices,
        intake: Intake,
    ) -> None:
        self._link = link
        self._settings = settings
        self._fixed = topics.subscriptions()
        self._found = found
        self._intake = intake
        self._done: set[str] = set()

    async def keep(self, discovered: Callable[[], None]) -> None:
        """Subscribe to everything now and to what is found later; ends only with the connection.

        Args:
            discovered: called when the retained announcements of devices have come in.

        Raises:
            CannotConnect: the broker does not answer.
        """
        # discovery has QoS 0: its messages must get through while the window of QoS 1 is full
        await self._subscribe({**self._fixed, **dict.fromkeys(self._found.announcements(), 0)})
        await self._subscribe_streams()
        await self._subscribe_found()
        if self._settings.birth and self._settings.discovery:
            await self._link.publish(f"{self._settings.discovery_prefix}/status", "online")
        if self._settings.discovery and not self._found.known:
            await self._until_quiet()
            self._found.known = True
        discovered()
        while True:
            await self._found.changed.wait()
            self._found.changed.clear()
            await self._subscribe_found()

    async def _subscribe_streams(self) -> None:
        """What a device sends and what it is cannot be told apart in the streams: they are data, with QoS 1."""
        wanted = [topic for topic in self._found.streams() if topic not in self._fixed]
        refused = await self._link.subscribe(dict.fromkeys(wanted, 1)) if wanted else []
        if refused:
            text = f"the broker does not let us look for Shelly devices ({len(refused)} topics refused)"
            LOGGER.info("WL-MQT-015 %s", text, extra={"integration": "mqtt"})

    async def _until_quiet(self) -> None:
        """Brokers send retained messages after the SUBACK, in their own time: wait for a pause."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + DISCOVERY_CAP_S
        heard = -1
        while heard != self._found.heard and loop.time() < end_s:
            heard = self._found.heard
            await asyncio.sleep(QUIET_S)
            if self._found.changed.is_set():
                self._found.changed.clear()
                await self._subscribe_found()

    async def _subscribe_found(self) -> None:
        wanted = {
            topic: 1
            for topic in self._found.topics()
            if not any(covers(fixed, topic) for fixed in self._fixed)
        }
        gone = [topic for topic in self._done if topic not in wanted]
        if gone:
            await self._link.unsubscribe(gone)
        await self._subscribe({topic: qos for topic, qos in wanted.items() if topic not in self._done})
        self._done = set(wanted)

    async def _subscribe(self, wanted: dict[str, int]) -> None:
        if not wanted:
            return
        for topic in await self._link.subscribe(wanted):
            text = f"the broker does not let us subscribe to {topic[:120]!r}"
            LOGGER.warning("WL-MQT-015 %s", text, extra={"integration": "mqtt"})
            self._intake.reject([Rejection(0, "WL-MQT-015", text, "topic")])
