"""A connection to the broker: aiomqtt serves it, a tap takes the messages, acknowledgements leave when we say so.

It is opened and closed here, for aiomqtt waits on both ways in a manner that can lose a cancellation.

MQTT 5 with a fixed client id, clean start off, a session of seven days and at most 1,000 unacknowledged messages;
a broker that refuses MQTT 5 gets 3.1.1 with a persistent session. No last will: another consumer on the same
broker (a real Home Assistant) may have one, and two would contradict each other.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
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
from integrations.mqtt.cancellation import heeding_cancellation
from integrations.mqtt.dial import CONNECT_TIMEOUT_S, Target, dial
from integrations.mqtt.wire import DUP, KEEP_BYTES, RETAIN, Record, Tap, puback

LOGGER = logging.getLogger(__name__)
RECEIVE_MAXIMUM = 1000
SESSION_S = 7 * 86_400
KEEPALIVE_S = 20
_SUBSCRIBE_AT_ONCE = 200
_FLUSH_AGAIN_S = 0.005
_UNSUPPORTED_VERSION = 132
_TAKEN_OVER = 142
_BAD_CREDENTIALS = frozenset((134, 135, 138, 140))
_BAD_CLIENT_ID = 133


@dataclass(slots=True)
class Link:
    """One established connection."""

    client: aiomqtt.Client
    target: Target
    records: list[Record]
    session_present: bool
    tap: Tap | None
    inner: PahoClient
    answer: asyncio.Future[ReasonCode | None]
    """Reason of the CONNACK; None if the connection ended without one."""
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
                with heeding_cancellation():
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
        with suppress(aiomqtt.MqttError), heeding_cancellation():
            await self.client.unsubscribe(list(topics))

    async def publish(self, topic: str, payload: str) -> None:
        """Publish with QoS 0, not retained; a lost connection is noticed elsewhere."""
        with suppress(aiomqtt.MqttError), heeding_cancellation():
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
        # aiomqtt knows nothing of a connection that ends before its CONNACK, and paho does not tell of errors
        # in aiomqtt's own callbacks: either of them may be the one that notices
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
    client = _client(target)
    inner = client._client  # aiomqtt has no public way to the client whose callbacks it owns
    answer: asyncio.Future[ReasonCode | None] = asyncio.get_running_loop().create_future()
    link = Link(client, target, [], session_present=False, tap=None, inner=inner, answer=answer)
    try:
        try:
            await _enter(link, arrived)
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            raise _refusal(error, link) from error
        yield link
    finally:
        # after what is queued for this turn: aiomqtt registers the socket with the loop by callbacks
        asyncio.get_running_loop().call_soon(_hang_up, link)


async def _enter(link: Link, arrived: Callable[[], None]) -> None:
    """Connect paho through a tap and wait for the CONNACK; aiomqtt asks and finds the answers on top of it."""
    target = link.target
    try:
        sock = await dial(target)
    except OSError as error:
        link.no_socket = error
        raise
    tap = link.tap = Tap(sock, mqtt5=target.mqtt5, records=link.records, arrived=arrived)
    _divert(link, tap, arrived)
    link.inner.connect(target.host, target.port, KEEPALIVE_S, **_greeting(target))
    await asyncio.wait([link.answer], timeout=CONNECT_TIMEOUT_S)
    if not link.answer.done():
        raise aiomqtt.MqttError("it does not answer")
    reason = link.answer.result()
    if reason is None:
        raise aiomqtt.MqttError("it closed the connection before it answered")
    if reason.is_failure:
        raise aiomqtt.MqttCodeError(reason)


def _greeting(target: Target) -> dict[str, Any]:
    """What CONNECT says of the session in MQTT 5; in 3.1.1 the client itself knows it."""
    if not target.mqtt5:
        return {}
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # untyped in paho
    properties.SessionExpiryInterval = SESSION_S if target.keep_session else 0
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    properties.MaximumPacketSize = KEEP_BYTES
    return {"clean_start": not target.keep_session, "properties": properties}


def _client(target: Target) -> aiomqtt.Client:
    return aiomqtt.Client(
        target.host,
        target.port,
        username=target.username,
        password=target.password,
        identifier=target.client_id,
        protocol=aiomqtt.ProtocolVersion.V5 if target.mqtt5 else aiomqtt.ProtocolVersion.V311,
        clean_session=None if target.mqtt5 else not target.keep_session,
        timeout=CONNECT_TIMEOUT_S,
    )


def _divert(link: Link, tap: Tap, arrived: Callable[[], None]) -> None:
    """Put the tap under paho, and take what still comes through paho by its callbacks."""
    inner = link.inner
    inner.manual_ack_set(True)
    connected: Any = inner.on_connect  # aiomqtt's own callbacks, in the shape of paho's API version 2
    disconnected: Any = inner.on_disconnect

    def on_connect(client: Any, userdata: Any, flags: ConnectFlags, reason: ReasonCode, *rest: Any) -> None:
        if link.answer.done():
            return
        link.session_present = bool(flags.session_present)
        link.answer.set_result(reason)
        if not reason.is_failure:
            connected(client, userdata, flags, reason, *rest)

    def on_disconnect(client: Any, userdata: Any, flags: Any, reason: ReasonCode, *rest: Any) -> None:
        # the broker's own reason comes before the closed socket
        link.lost_because = link.lost_because or reason
        link.closed.set()
        if not link.answer.done():
            link.answer.set_result(None)
        disconnected(client, userdata, flags, reason, *rest)

    def on_message(client: Any, userdata: Any, message: MQTTMessage) -> None:
        """QoS 2, which is never subscribed to; taken all the same, and completed after the commit."""
        head = (message.dup and DUP) | (message.retain and RETAIN)
        link.records.append(Record(message._topic, bytes(message.payload), b"", head))
        inner.ack(message.mid, message.qos)
        arrived()

    # the one seam for a socket of our own
    inner._create_socket = lambda: tap  # type: ignore[method-assign]
    inner.on_connect = on_connect
    inner.on_disconnect = on_disconnect
    inner.on_message = on_message


def _hang_up(link: Link) -> None:
    """Say goodbye as far as the broker takes it, and close; there is nothing to wait for.

    aiomqtt's own way out waits for its event loop callbacks, and can neither be hurried nor safely be cancelled.
    """
    inner, client = link.inner, link.client
    inner.on_socket_register_write = None  # so that paho writes at once, and registers nothing it then closes
    with suppress(OSError, ValueError):
        inner.disconnect()
    inner._sock_close()  # what a broker that reads nothing has left open
    ended = client._disconnected
    if ended.done():
        ended.exception()  # it has been seen


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
