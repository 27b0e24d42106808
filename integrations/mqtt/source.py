"""The running entry: connects, subscribes, routes messages to readers, reconnects.

The source reconnects by itself for a quarter of an hour (waits of at most four seconds), because it knows what
the old connection had delivered; after that the hub's own back-off takes over.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import voluptuous as vol

from hub.plugins.api import CannotConnect, Intake, InvalidAuth, Options, ReadingBatch, WattlineError
from integrations.mqtt.connection import Link, open_best_link, probe
from integrations.mqtt.dial import Target
from integrations.mqtt.found import FoundDevices
from integrations.mqtt.inflow import GROUP_ROWS, Inflow
from integrations.mqtt.mapping import ConfiguredTopics
from integrations.mqtt.message import Message
from integrations.mqtt.numbers import Unreadable
from integrations.mqtt.readers import RefusingReader, Route
from integrations.mqtt.schema import Settings, settings_of
from integrations.mqtt.subscriptions import Subscriptions
from integrations.mqtt.wire import TOO_LARGE, Record

LOGGER = logging.getLogger(__name__)
PATIENCE_S = 900.0
OWN_BROKER_S = 30.0
NO_BROKER = "WL-MQT-010"
_RETRY_FIRST_S, _RETRY_CAP_S = 0.1, 4.0
_STEADY_S = 5.0
_AWAY_S = 10.0
_FINISH_S = 1.0  # less than the hub waits before it asks again: the goodbye needs a moment, too
_SUSPICIOUS = 5
_TWO_CLIENTS = (
    "WL-MQT-012 the broker ended five connections in a row soon after they began; if another client uses the id"
    " %r too, give one of them another client_id"
)
_MAX_ROUTES = 20_000
_KEEP_PAYLOAD_BYTES = 4096


class MqttSource:
    """One configured entry; see :class:`hub.plugins.api.Source`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = ConfiguredTopics(settings.topics)
        self._found = FoundDevices(settings)
        self._routes: dict[bytes, Route] = {}
        self._registry_version = -1
        self._message = Message()
        self.mqtt5 = True
        """False once the broker refused MQTT 5; said once in the log."""
        self._told_away = False
        self._short_lived = 0
        self.unmatched = 0
        """Messages that no configured topic and no added device asked for."""

    @property
    def received(self) -> int:
        """Messages that came from the broker, repeated ones included."""
        return self._inflow.received

    async def run(self, intake: Intake) -> None:
        """Work until cancelled.

        Raises:
            CannotConnect: the broker cannot be reached at the start, or stays away for long.
            InvalidAuth: the broker refuses the credentials.
        """
        self.attach(intake)
        worker = asyncio.create_task(self._inflow.work(), name=f"mqtt-inflow {intake.entry_id}")
        try:
            await self._keep_connected(worker)
        finally:
            worker.cancel()
            await asyncio.wait([worker])

    def attach(self, intake: Intake) -> None:
        """Work for this intake from now on."""
        self._intake = intake
        self._inflow = Inflow(intake, self.decode, self._found.is_control)

    async def _keep_connected(self, worker: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        ceiling_s = _RETRY_FIRST_S
        lost_at_s: float | None = None
        patience_s = 0.0 if self._settings.host else OWN_BROKER_S
        while True:
            opened_at_s = loop.time()
            try:
                async with open_best_link(self._target(), self._arrived, self._no_mqtt5) as link:
                    opened_at_s = loop.time()
                    if lost_at_s is not None:
                        self._back()
                    patience_s, lost_at_s = PATIENCE_S, None
                    await self._attend(link, worker)
            except CannotConnect as error:
                self._inflow.disconnected()
                if lost_at_s is None:
                    lost_at_s = loop.time()
                    if patience_s:
                        LOGGER.warning("%s; trying again", error, extra={"integration": "mqtt"})
                    steady = loop.time() - opened_at_s > _STEADY_S
                    ceiling_s = _RETRY_FIRST_S if steady else ceiling_s
                    self._short_lived = 0 if steady else self._short_lived + 1
                    if self._short_lived == _SUSPICIOUS:
                        LOGGER.warning(_TWO_CLIENTS, self._client_id(), extra={"integration": "mqtt"})
                if loop.time() - lost_at_s >= patience_s:
                    raise _without_broker(error) from error
                if loop.time() - lost_at_s > _AWAY_S and not self._told_away:
                    self._tell_reach(online=False)
            await asyncio.sleep(random.uniform(ceiling_s / 2, ceiling_s))
            ceiling_s = min(ceiling_s * 2, _RETRY_CAP_S)

    async def _attend(self, link: Link, worker: asyncio.Task[None]) -> None:
        """Serve one connection until it is lost, or the hub stops us: then finish what is in hand first."""
        self._inflow.hold(self._settings.discovery and not self._found.known)
        self._inflow.connected(link)
        subscriptions = Subscriptions(link, self._settings, self._topics, self._found, self._intake)
        tasks = [
            asyncio.create_task(link.lost()),
            asyncio.create_task(subscriptions.keep(lambda: self._inflow.hold(False))),
            asyncio.create_task(self._found.watch_expiry(self._intake)),
        ]
        try:
            done, _ = await asyncio.wait([*tasks, worker], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except asyncio.CancelledError:
            await self._inflow.close(worker, _FINISH_S)
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def decode(self, records: list[Record], at: int, batch: ReadingBatch) -> int:
        """Read records from position ``at`` on into the batch, refusals into the intake.

        Returns:
            The position after the last record that was read: a batch does not grow without bound.
        """
        intake, message, routes = self._intake, self._message, self._routes
        if intake.registry_version != self._registry_version:
            await self._refresh()
        while at < len(records) and len(batch) < GROUP_ROWS:
            record = records[at]
            route = routes.get(record.topic)
            if route is None or self._found.unsettled:
                route = await self._route(record.topic)
            if route.control:
                self._control(record)
            elif not route.readers:
                self.unmatched += 1
            else:
                message.load(record.payload, record.head, at)
                if record.head & TOO_LARGE:
                    message.errors.append(Unreadable("WL-MQT-006", "the payload is larger than 64 KiB"))
                else:
                    route.read(message, batch, intake)
                if message.unseen:
                    await self._inflow.insist(lambda: self._topics.learn(message, intake, batch))
                    self._registry_version = intake.registry_version
                if message.errors:
                    self._reject(record, message)
            at += 1
        if self._found.unsettled:
            await self._settle_found()
        return at

    async def _route(self, topic: bytes) -> Route:
        """The readers of a topic, made when it is first seen."""
        if self._found.is_control(topic):
            return _CONTROL
        if self._found.unsettled:
            await self._settle_found()
        known = self._routes.get(topic)
        if known is not None:
            return known
        if len(self._routes) >= _MAX_ROUTES:
            self._routes.clear()
        try:
            text = topic.decode()
        except UnicodeDecodeError:
            return Route([RefusingReader(Unreadable("WL-MQT-017", "the topic is not UTF-8", "topic"))])
        configured = await self._inflow.insist(lambda: self._topics.readers(text, self._intake))
        self._registry_version = self._intake.registry_version
        route = self._routes[topic] = Route([*configured, *self._found.readers(text)])
        return route

    def _control(self, record: Record) -> None:
        """A message that announces or takes back devices."""
        try:
            self._found.hear(record.topic.decode(), record.payload)
        except Unreadable as error:
            self._message.load(record.payload, record.head, 0)
            self._message.errors.append(error)
            self._reject(record, self._message)
        except UnicodeDecodeError:
            self.unmatched += 1

    async def _settle_found(self) -> None:
        """Register what was announced, and read its topics from now on."""
        errors = await self._inflow.insist(lambda: self._found.settle(self._intake))
        self._registry_version = self._intake.registry_version
        self._routes.clear()
        if errors:
            self._intake.reject([error.rejection() for error in errors])

    async def _refresh(self) -> None:
        """Devices or series were added, changed or removed: handles may be others now."""
        self._registry_version = self._intake.registry_version
        self._routes.clear()
        self._topics.forget()
        self._found.forget_handles()
        if self._found.unsettled:
            await self._settle_found()

    def _reject(self, record: Record, message: Message) -> None:
        topic = record.topic.decode(errors="replace")[:120]
        rejections = [
            Unreadable(error.code, f"{topic}: {error.text}", error.field or "payload").rejection(index)
            for index, error in enumerate(message.errors)
        ]
        self._intake.reject(rejections, record.payload[:_KEEP_PAYLOAD_BYTES])

    def _arrived(self) -> None:
        self._inflow.arrived()

    def _no_mqtt5(self) -> None:
        self.mqtt5 = False

    def _back(self) -> None:
        LOGGER.info("connected to the broker again", extra={"integration": "mqtt"})
        if self._told_away:
            self._tell_reach(online=True)

    def _tell_reach(self, *, online: bool) -> None:
        """While the broker is away no device can be reached."""
        self._told_away = not online
        for device in self._topics.devices:
            self._intake.set_availability(device, online)
        self._found.set_all(self._intake, online=online)

    def _client_id(self) -> str:
        """Always the same for an entry, for the broker keeps its session under this name."""
        return self._settings.client_id or f"wattline-{self._intake.entry_id}"

    def _target(self) -> Target:
        settings = self._settings
        client_id = self._client_id()
        if settings.host:
            return _target_of(settings, client_id, mqtt5=self.mqtt5)
        broker = self._intake.broker
        if broker is None:
            raise CannotConnect(
                "the hub has no broker of its own now",
                code=NO_BROKER,
                hint="see mqtt_broker in hub.yaml, or write broker: mqtt://HOST:PORT for this entry",
            )
        return Target(
            broker.host,
            broker.port,
            client_id,
            settings.username or broker.username,
            settings.password or broker.password,
            mqtt5=broker.mqtt5 and self.mqtt5,
        )


_CONTROL = Route(control=True)


def _without_broker(error: CannotConnect) -> WattlineError:
    """A hub without a broker of its own stays without one until a person changes something."""
    if error.code == NO_BROKER:
        return InvalidAuth(error.message, code=error.code, where="mqtt", hint=error.hint)
    return error


@asynccontextmanager
async def connect(options: Options) -> AsyncIterator[MqttSource]:
    """Look whether the broker can be reached, and make the source. The hub's own broker is known only at run.

    Raises:
        CannotConnect: the broker cannot be reached.
        InvalidAuth: the broker refuses the credentials, or the options contradict each other.
    """
    try:
        settings = settings_of(options)
    except vol.Invalid as error:
        raise InvalidAuth(str(error), code="WL-MQT-023", where="mqtt") from error
    source = MqttSource(settings)
    if settings.host:
        source.mqtt5 = await probe(_target_of(settings, settings.client_id or "wattline"))
        if not source.mqtt5:
            LOGGER.warning(
                "the broker at %s does not speak MQTT 5; using 3.1.1, where it alone decides how many messages"
                " are on their way at a time",
                settings.host,
                extra={"integration": "mqtt"},
            )
    yield source


def _target_of(settings: Settings, client_id: str, *, mqtt5: bool = True) -> Target:
    return Target(
        settings.host,
        settings.port,
        client_id,
        settings.username,
        settings.password,
        settings.tls,
        settings.ca,
        mqtt5,
    )
