"""A connection to the broker: aiomqtt keeps it, a tap takes the messages, acknowledgements leave when we say so.

MQTT 5 with a fixed client id, clean start off, a session of seven days and at most 1,000 unacknowledged messages;
a broker that refuses MQTT 5 gets 3.1.1 with a persistent session. No last will: another consumer on the same
broker (a real Home Assistant) may have one, and two would contradict each other.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import aiomqtt
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import ConnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hub.plugins.api import CannotConnect, InvalidAuth
from integrations.mqtt.wire import DUP, KEEP_BYTES, RETAIN, Record, Tap, puback

LOGGER = logging.getLogger(__name__)
RECEIVE_MAXIMUM = 1000
SESSION_S = 7 * 86_400
KEEPALIVE_S = 20
CONNECT_TIMEOUT_S = 5.0
_CLOSE_TIMEOUT_S = 2.0
_SUBSCRIBE_AT_ONCE = 200
_FLUSH_AGAIN_S = 0.005
_LAST_WORDS_S = 0.2
_UNSUPPORTED_VERSION = 132
_TAKEN_OVER = 142
_BAD_CREDENTIALS = frozenset((134, 135, 138, 140))
_BAD_CLIENT_ID = 133


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


@dataclass(slots=True)
class Link:
    """One established connection."""

    client: aiomqtt.Client
    target: Target
    records: list[Record]
    session_present: bool
    tap: Tap | None
    inner: PahoClient
    lost_because: ReasonCode | None = None
    no_socket: OSError | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    _flushing: bool = False

    async def subscribe(self, wanted: Mapping[str, int]) -> list[str]:
        """Subscribe; returns the filters that the broker refuses.

        Raises:
            CannotConnect: the connection is gone or the broker does not answer.
        """
        refused: list[str] = []
        topics = list(wanted.items())
        for start in range(0, len(topics), _SUBSCRIBE_AT_ONCE):
            part = topics[start : start + _SUBSCRIBE_AT_ONCE]
            request: Any = [
                (topic, SubscribeOptions(qos=qos) if self.target.mqtt5 else qos) for topic, qos in part
            ]
            try:
                answers: Sequence[Any] = await self.client.subscribe(request)
            except aiomqtt.MqttError as error:
                raise CannotConnect(
                    f"subscribing failed: {error}", code="WL-MQT-011", where=self.target.place
                ) from error
            for (topic, _), answer in zip(part, answers, strict=False):
                if getattr(answer, "value", answer) >= 128:
                    refused.append(topic)
        return refused

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """End subscriptions; a lost connection is noticed elsewhere."""
        with suppress(aiomqtt.MqttError):
            await self.client.unsubscribe(list(topics))

    async def publish(self, topic: str, payload: str) -> None:
        """Publish with QoS 0, not retained; a lost connection is noticed elsewhere."""
        with suppress(aiomqtt.MqttError):
            await self.client.publish(topic, payload)

    def ack(self, mids: list[bytes]) -> None:
        """Acknowledge QoS 1 messages of *this* connection, in order, in one write."""
        if not mids:
            return
        if self.tap is None:
            for mid in mids:
                self.inner.ack(int.from_bytes(mid), 1)
            return
        with suppress(
            OSError
        ):  # a broken connection is noticed by its reader; the broker repeats the messages
            self.tap.send(puback(mids))
            self._flush_soon()

    async def lost(self) -> None:
        """Wait until the connection is lost; then raise why.

        Raises:
            CannotConnect: always.
        """
        # aiomqtt forgets a connection that is lost in the loop turn of its CONNACK, and paho does not tell of
        # errors in aiomqtt's own callbacks: either of them may be the one that notices
        watchers = [asyncio.create_task(self.closed.wait()), asyncio.create_task(self._ended())]
        try:
            await asyncio.wait(watchers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
        reason = self.lost_because
        if reason is not None and reason.value == _TAKEN_OVER:
            raise CannotConnect(
                f"another client took over the session of {self.target.client_id!r}",
                code="WL-MQT-012",
                where=self.target.place,
                hint="give this hub a client_id of its own; two clients with one id throw each other out",
            )
        raise CannotConnect(
            "the connection to the broker was lost", code="WL-MQT-011", where=self.target.place
        )

    async def _ended(self) -> None:
        with suppress(aiomqtt.MqttError):
            async for _ in self.client.messages:  # the tap diverts all messages: this only ends
                pass

    def _flush_soon(self) -> None:
        if self._flushing or self.tap is None:
            return
        with suppress(OSError):
            if not self.tap.flush():
                self._flushing = True
                asyncio.get_running_loop().call_later(_FLUSH_AGAIN_S, self._flush_again)

    def _flush_again(self) -> None:
        self._flushing = False
        self._flush_soon()


@asynccontextmanager
async def open_link(target: Target, arrived: Callable[[], None]) -> AsyncIterator[Link]:
    """Connect; on leaving say goodbye, with the session kept by the broker.

    Args:
        target: where to.
        arrived: called after messages were appended to ``link.records``.

    Raises:
        CannotConnect: unreachable, refused for now, wrong TLS.
        InvalidAuth: credentials or client id refused.
    """
    records: list[Record] = []
    client = _client(target)
    inner = client._client  # aiomqtt has no public way to the client whose callbacks it owns
    link = Link(client, target, records, session_present=False, tap=None, inner=inner)
    _divert(link, arrived)
    try:
        await _enter(link)
    except BaseException as error:
        _abandon(inner)
        if isinstance(error, aiomqtt.MqttError | OSError | ValueError):
            raise _refusal(error, link) from error
        raise
    try:
        yield link
    finally:
        await _goodbye(client, inner)


async def _enter(link: Link) -> None:
    """Connect; aiomqtt does not notice a broker that closes before its CONNACK, and would wait for it."""
    closed = asyncio.create_task(link.closed.wait())
    entered = asyncio.ensure_future(link.client.__aenter__())
    try:
        await asyncio.wait([closed, entered], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([entered], timeout=_LAST_WORDS_S)  # a refusal and the end come together
        if not entered.done():
            raise aiomqtt.MqttError("the broker closed the connection before it answered")
        entered.result()
    finally:
        for task in (closed, entered):
            task.cancel()
        await asyncio.gather(closed, entered, return_exceptions=True)


def _client(target: Target) -> aiomqtt.Client:
    properties = None
    if target.mqtt5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # untyped in paho
        properties.SessionExpiryInterval = SESSION_S if target.keep_session else 0
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        properties.MaximumPacketSize = KEEP_BYTES
    clean = not target.keep_session
    session: dict[str, Any] = {"clean_start": clean} if target.mqtt5 else {"clean_session": clean}
    return aiomqtt.Client(
        target.host,
        target.port,
        username=target.username,
        password=target.password,
        identifier=target.client_id,
        protocol=aiomqtt.ProtocolVersion.V5 if target.mqtt5 else aiomqtt.ProtocolVersion.V311,
        **session,
        properties=properties,
        keepalive=KEEPALIVE_S,
        timeout=CONNECT_TIMEOUT_S,
    )


def _socket(target: Target) -> socket.socket:
    """A connected socket, encrypted where it is wanted.

    Raises:
        OSError: no connection, no valid certificate, or an unreadable file of authorities.
    """
    context = ssl.create_default_context(cafile=target.ca) if target.tls else None
    plain = socket.create_connection((target.host, target.port), timeout=CONNECT_TIMEOUT_S)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return plain if context is None else context.wrap_socket(plain, server_hostname=target.host)
    except BaseException:
        plain.close()
        raise


def _divert(link: Link, arrived: Callable[[], None]) -> None:
    """Put the tap under paho, and take what still comes through paho by its callbacks."""
    inner = link.inner
    inner.manual_ack_set(True)
    connected: Any = inner.on_connect  # aiomqtt's own callbacks, in the shape of paho's API version 2
    disconnected: Any = inner.on_disconnect

    def tapped() -> Any:
        """Runs in a thread of aiomqtt, for it blocks."""
        try:
            sock = _socket(link.target)
        except OSError as error:
            link.no_socket = error
            raise
        link.tap = Tap(sock, mqtt5=link.target.mqtt5, records=link.records, arrived=arrived)
        return link.tap

    def on_connect(client: Any, userdata: Any, flags: ConnectFlags, *rest: Any) -> None:
        link.session_present = bool(flags.session_present)
        if connected is not None:
            connected(client, userdata, flags, *rest)

    def on_disconnect(client: Any, userdata: Any, flags: Any, reason: ReasonCode, *rest: Any) -> None:
        link.lost_because = (
            link.lost_because or reason
        )  # the broker's own reason comes before the closed socket
        link.closed.set()
        if disconnected is not None:
            disconnected(client, userdata, flags, reason, *rest)

    def on_message(client: Any, userdata: Any, message: MQTTMessage) -> None:
        """QoS 2, which is never subscribed to; taken all the same, and completed after the commit."""
        head = (message.dup and DUP) | (message.retain and RETAIN)
        link.records.append(Record(message._topic, bytes(message.payload), b"", head))
        inner.ack(message.mid, message.qos)
        arrived()

    inner._create_socket = tapped  # type: ignore[method-assign]  # the one seam for a socket of our own
    inner.on_connect = on_connect
    inner.on_disconnect = on_disconnect
    inner.on_message = on_message


def _abandon(inner: PahoClient) -> None:
    """Close the socket of a connection that did not come about; aiomqtt would leave it open."""
    inner.on_socket_register_write = None  # aiomqtt would register it after it is closed
    with suppress(OSError, ValueError):
        inner.disconnect()
        inner.loop_write()


async def _goodbye(client: aiomqtt.Client, inner: PahoClient) -> None:
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await client.__aexit__(None, None, None)
    except (TimeoutError, aiomqtt.MqttError):
        _abandon(inner)


def _refusal(error: Exception, link: Link) -> CannotConnect | InvalidAuth | _WrongVersion:
    target = link.target
    code = getattr(error, "rc", None)
    value = code.value if isinstance(code, ReasonCode) else None
    if value == _UNSUPPORTED_VERSION or _answers_as_mqtt3(link):
        return _WrongVersion(
            "the broker does not speak this version of MQTT", code="WL-MQT-011", where=target.place
        )
    if value in _BAD_CREDENTIALS:
        return InvalidAuth(
            f"the broker refuses the credentials: {code}",
            code="WL-MQT-020",
            where=target.place,
            hint="check username and password of the mqtt entry",
        )
    if value == _BAD_CLIENT_ID:
        return InvalidAuth(
            f"the broker refuses the client id {target.client_id!r}", code="WL-MQT-022", where=target.place
        )
    if target.ca and isinstance(link.no_socket, FileNotFoundError | PermissionError):
        return InvalidAuth(
            f"the certificates in {target.ca} cannot be read: {link.no_socket.strerror}",
            code="WL-MQT-021",
            where=target.place,
        )
    if isinstance(link.no_socket, ssl.SSLError):
        return CannotConnect(
            f"no TLS connection: {link.no_socket.reason or link.no_socket}",
            code="WL-MQT-021",
            where=target.place,
            hint="check the port, and tls: {ca: FILE} for a certificate of your own",
        )
    return CannotConnect(
        f"the broker cannot be reached: {str(error)[:160]}",
        code="WL-MQT-011",
        where=target.place,
        hint="check that it runs and that host and port are right",
    )


def _answers_as_mqtt3(link: Link) -> bool:
    """A CONNACK without properties, or none at all: old brokers close or fall silent at a version they do not know.

    A broker that is merely stuck looks the same; it is asked once more and remembered only if it answers.
    """
    return link.target.mqtt5 and link.tap is not None and len(link.tap.connack) in (0, 2)


class _WrongVersion(CannotConnect):
    """Try MQTT 3.1.1."""


@asynccontextmanager
async def open_best_link(
    target: Target, arrived: Callable[[], None], refused_mqtt5: Callable[[], None]
) -> AsyncIterator[Link]:
    """As :func:`open_link`, with MQTT 3.1.1 where the broker refuses MQTT 5 (``refused_mqtt5`` is told)."""
    opened = open_link(target, arrived)
    try:
        link = await opened.__aenter__()
    except _WrongVersion:
        if not target.mqtt5:
            raise
        opened = open_link(replace(target, mqtt5=False), arrived)
        link = await opened.__aenter__()
        refused_mqtt5()
    try:
        yield link
    finally:
        await opened.__aexit__(None, None, None)


async def probe(target: Target) -> bool:
    """Connect once with a session of no duration and leave again: is the broker there, does it let us in?

    Returns:
        Whether the broker speaks MQTT 5.

    Raises:
        CannotConnect, InvalidAuth: as :func:`open_link`.
    """
    name = f"{target.client_id}-probe-{secrets.token_hex(4)}"
    visitor = replace(target, client_id=name, keep_session=False)
    async with open_best_link(visitor, lambda: None, lambda: None) as link:
        return link.target.mqtt5
