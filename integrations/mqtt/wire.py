"""The bytes between paho and the broker: PUBLISH packets are peeled off in bulk, the rest is left to paho.

paho reads a packet with four ``recv`` calls, builds properties, a message object and two log calls for each,
and sends every PUBACK with its own ``send``. :class:`Tap` stands between paho and its socket, as paho's own
websocket wrapper does: it reads large pieces, hands each PUBLISH of QoS 0 and 1 to a list as a
:class:`Record`, and gives everything else (CONNACK, SUBACK, PINGRESP, DISCONNECT, QoS 2) to paho unchanged.
Acknowledgements of a whole batch leave in one write.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import NamedTuple, Protocol

CHUNK_BYTES = 256 * 1024
KEEP_BYTES = 1024 * 1024
"""Of a longer packet only the beginning is kept, and it is marked :data:`TOO_LARGE`."""
TOO_LARGE = 0x100
DUP, QOS1, RETAIN = 0x08, 0x02, 0x01
_OUT_LIMIT_BYTES = 4 * 1024 * 1024


class Record(NamedTuple):
    """One received PUBLISH: raw topic and payload, packet id (two bytes, empty for QoS 0), header flags."""

    topic: bytes
    payload: bytes
    mid: bytes
    head: int


class RawSocket(Protocol):
    """The part of a socket that is used; plain and TLS sockets have it."""

    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: bytes, /) -> int: ...
    def fileno(self) -> int: ...
    def setblocking(self, flag: bool, /) -> None: ...
    def close(self) -> None: ...


class Tap:
    """A socket for paho that diverts PUBLISH packets.

    Args:
        sock: the connected socket.
        mqtt5: whether PUBLISH packets carry properties.
        records: where received messages go, in order.
        arrived: called after each read that brought messages.
    """

    def __init__(
        self, sock: RawSocket, *, mqtt5: bool, records: list[Record], arrived: Callable[[], None]
    ) -> None:
        self._sock = sock
        self._mqtt5 = mqtt5
        self._records = records
        self._arrived = arrived
        self._in = b""
        self._skip = 0
        self._control = b""
        self._out = b""
        self.connack = b""
        """Flags, reason and properties of the first control packet, which is the CONNACK."""

    def recv(self, size: int) -> bytes:
        """Bytes of control packets for paho; empty at the end of the stream.

        Raises:
            BlockingIOError: there is none now.
        """
        if not self._control and not self._fill():
            return b""
        if not self._control:
            raise BlockingIOError
        piece, self._control = self._control[:size], self._control[size:]
        return piece

    def pending(self) -> int:
        """Bytes of control packets that wait; aiomqtt reads on while there are any."""
        return len(self._control)

    def send(self, data: bytes | bytearray) -> int:
        """Take a whole packet, so that acknowledgements can only ever stand between packets.

        Raises:
            BlockingIOError: the peer reads nothing and the buffer is full.
        """
        if len(self._out) > _OUT_LIMIT_BYTES:
            self.flush()
            raise BlockingIOError
        self._out += data
        self.flush()
        return len(data)

    def flush(self) -> bool:
        """Write what waits; True when nothing is left.

        Raises:
            OSError: the connection is gone.
        """
        while self._out:
            try:
                sent = self._sock.send(self._out)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            self._out = self._out[sent:]
        return True

    def fileno(self) -> int:
        """File descriptor of the socket."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        """As for sockets."""
        self._sock.setblocking(flag)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def _fill(self) -> bool:
        """Read one piece and sort its packets; False at the end of the stream."""
        try:
            piece = self._sock.recv(CHUNK_BYTES)
            while (waiting := getattr(self._sock, "pending", _none)()) and len(piece) < CHUNK_BYTES:
                piece += self._sock.recv(waiting)  # a TLS socket holds decrypted bytes that wake nobody
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None
        if not piece:
            return False
        if self._skip:
            gone = min(self._skip, len(piece))
            self._skip -= gone
            piece = piece[gone:]
        before = len(self._records)
        self._sort(self._in + piece if self._in else piece)
        if len(self._records) > before:
            self._arrived()
        return True

    def _sort(self, data: bytes) -> None:
        at, end = 0, len(data)
        mqtt5, records = self._mqtt5, self._records
        while end - at >= 2:
            head = data[at]
            length = data[at + 1]
            body = at + 2
            if length & 0x80:
                if end - at > 2 and data[at + 2] < 0x80:  # 128 to 16,383 bytes, as most JSON messages have
                    length, body = length & 0x7F | data[at + 2] << 7, at + 3
                else:
                    size = _length_at(data, at + 1)
                    if size is None:
                        break
                    length, body = size
            stop = body + length
            if head & 0xF4 != 0x30:  # anything but a PUBLISH of QoS 0 or 1
                if stop > end:
                    break
                self._control += data[at:stop]
                self.connack = self.connack or data[body:stop]
                at = stop
                continue
            if stop > end:
                if length <= KEEP_BYTES or end - body < KEEP_BYTES:
                    break
                self._skip = stop - end
                stop, head = end, head | TOO_LARGE
            elif length > KEEP_BYTES:
                head |= TOO_LARGE
            record = _publish(data, head, body, stop, mqtt5)
            if record is None:
                raise ConnectionError("malformed PUBLISH packet")
            records.append(record)
            at = stop
        self._in = data[at:]


def _publish(data: bytes, head: int, at: int, stop: int, mqtt5: bool) -> Record | None:
    """The PUBLISH whose variable header begins at ``at``; None if its lengths contradict each other."""
    if stop - at < 2:
        return None
    topic_at = at + 2
    at = topic_at + (data[at] << 8 | data[at + 1])
    topic = data[topic_at:at]
    mid = b""
    if head & QOS1:
        mid = data[at : at + 2]
        at += 2
    if mqtt5:
        if at >= stop:
            return None
        length = data[at]
        if length & 0x80:
            size = _length_at(data, at)
            if size is None:
                return None
            length, at = size
            at += length
        else:
            at += 1 + length
    if at > stop:
        return None
    payload = data[at:stop]
    if head & TOO_LARGE:
        payload = payload[:1024]
    return Record(topic, payload, mid, head)


def _length_at(data: bytes, at: int) -> tuple[int, int] | None:
    """Variable byte integer at ``at`` → (value, next position); None where it is not complete yet.

    Raises:
        ConnectionError: longer than four bytes.
    """
    value = shift = 0
    for position in range(at, min(at + 4, len(data))):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position + 1
        shift += 7
    if len(data) - at >= 4:
        raise ConnectionError("malformed packet length")
    return None


def _none() -> int:
    return 0


def puback(mids: list[bytes]) -> bytes:
    """PUBACK packets for these packet ids, in order; a success needs no reason in MQTT 5 either."""
    return b"".join([b"\x40\x02" + mid for mid in mids])
