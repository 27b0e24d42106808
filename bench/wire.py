"""MQTT 3.1.1 packets as bytes: only what the load generator and the bare loops need."""

from __future__ import annotations

import socket

PUBACK = 0x40


def connect_packet(client_id: str) -> bytes:
    """CONNECT with a clean session and a keep-alive of 60 s."""
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + _text(client_id)
    return b"\x10" + length_of(len(body)) + body


def subscribe_packet(topic: str, qos: int) -> bytes:
    """SUBSCRIBE to one filter."""
    body = b"\x00\x01" + _text(topic) + bytes((qos,))
    return b"\x82" + length_of(len(body)) + body


def publish_packet(topic: bytes, payload: bytes, mid: int = 0) -> bytes:
    """PUBLISH with QoS 0, or with QoS 1 where there is a packet id."""
    size = 2 + len(topic) + (2 if mid else 0) + len(payload)
    head = (b"\x32" if mid else b"\x30") + length_of(size) + len(topic).to_bytes(2, "big") + topic
    return head + (mid.to_bytes(2, "big") if mid else b"") + payload


def length_of(size: int) -> bytes:
    """A variable byte integer."""
    found = bytearray()
    while True:
        size, low = size >> 7, size & 0x7F
        found.append(low | (0x80 if size else 0))
        if not size:
            return bytes(found)


def connected(port: int, client_id: str) -> socket.socket:
    """A socket to the broker on this machine, signed in.

    Raises:
        ConnectionError: the broker refuses.
    """
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(connect_packet(client_id))
    answer = sock.recv(4)
    if len(answer) < 4 or answer[3] != 0:
        raise ConnectionError(f"the broker answers {answer!r}")
    return sock


def _text(text: str) -> bytes:
    plain = text.encode()
    return len(plain).to_bytes(2, "big") + plain
