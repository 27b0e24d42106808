"""The tap sees the same packets however the stream is cut, and keeps its promises to paho."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.mqtt import wire
from integrations.mqtt.wire import QOS1, TOO_LARGE, Record, Tap, puback

PUBLISHES = st.tuples(
    st.binary(min_size=1, max_size=20),
    st.binary(max_size=300),
    st.sampled_from([0x30, 0x31, 0x32, 0x33, 0x3A]),
    st.integers(1, 65535),
)


class Pieces:
    """A socket whose data comes in given pieces; ``sent`` collects what is written."""

    def __init__(self, pieces: list[bytes], send_at_once: int = 10**9) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._send_at_once = send_at_once
        self.sent = b""
        self.open = True

    def recv(self, size: int, /) -> bytes:
        return next(self._pieces, b"")

    def send(self, data: bytes, /) -> int:
        if not self.open:
            raise BlockingIOError
        self.sent += data[: self._send_at_once]
        return min(len(data), self._send_at_once)

    def fileno(self) -> int:
        return -1

    def setblocking(self, flag: bool, /) -> None: ...

    def close(self) -> None: ...


def length(size: int) -> bytes:
    out = b""
    while size >= 128:
        out += bytes([size & 127 | 128])
        size >>= 7
    return out + bytes([size])


def packet(topic: bytes, payload: bytes, head: int, mid: int, *, mqtt5: bool) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic
    body += mid.to_bytes(2, "big") if head & QOS1 else b""
    body += b"\x00" if mqtt5 else b""
    return bytes([head]) + length(len(body + payload)) + body + payload


def drain(tap: Tap) -> bytes:
    """Read as paho and aiomqtt do, until the end of the stream."""
    control = b""
    while True:
        try:
            piece = tap.recv(3)
        except BlockingIOError:
            continue
        if not piece:
            return control
        control += piece


@given(st.lists(PUBLISHES, max_size=8), st.booleans(), st.data())
def test_packets_are_the_same_however_the_stream_is_cut(
    publishes: list[tuple[bytes, bytes, int, int]], mqtt5: bool, data: st.DataObject
) -> None:
    pings = b"\xd0\x00"
    stream = b"".join(packet(*one, mqtt5=mqtt5) + pings for one in publishes)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    records: list[Record] = []
    tap = Tap(Pieces([p for p in pieces if p]), mqtt5=mqtt5, records=records, arrived=lambda: None)
    assert drain(tap) == pings * len(publishes)
    assert records == [
        Record(topic, payload, mid.to_bytes(2, "big") if head & QOS1 else b"", head)
        for topic, payload, head, mid in publishes
    ]


def test_of_a_huge_packet_only_the_beginning_is_kept_and_the_next_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "KEEP_BYTES", 2000)
    stream = packet(b"big", b"x" * 50_000, 0x32, 7, mqtt5=True) + packet(b"a", b"1", 0x30, 0, mqtt5=True)
    pieces = [stream[at : at + 700] for at in range(0, len(stream), 700)]
    records: list[Record] = []
    drain(Tap(Pieces(pieces), mqtt5=True, records=records, arrived=lambda: None))
    assert records == [
        Record(b"big", b"x" * 1024, b"\x00\x07", 0x32 | TOO_LARGE),
        Record(b"a", b"1", b"", 0x30),
    ]


@pytest.mark.parametrize(
    "stream",
    [b"\x30\x02\xff\xff", b"\x32\x04\x00\x01a\x00", b"\x30\x03\x00\x01a", b"\x30\x01\x00",
     b"\x30\xff\xff\xff\xff\x01", b"\x30\x04\x00\x01a\x09"],
)  # fmt: skip
def test_lengths_that_contradict_each_other_end_the_connection(stream: bytes) -> None:
    records: list[Record] = []
    with pytest.raises(ConnectionError):
        drain(Tap(Pieces([stream]), mqtt5=True, records=records, arrived=lambda: None))
    assert not records


@given(st.lists(st.binary(max_size=400), max_size=6))
def test_any_bytes_end_in_packets_or_in_an_error(pieces: list[bytes]) -> None:
    records: list[Record] = []
    with suppress(ConnectionError):
        drain(Tap(Pieces([p for p in pieces if p]), mqtt5=True, records=records, arrived=lambda: None))
    assert sum(len(record.topic) + len(record.payload) for record in records) <= sum(map(len, pieces))


def test_acknowledgements_stand_between_packets_even_when_the_socket_stalls() -> None:
    sock = Pieces([], send_at_once=3)
    tap = Tap(sock, mqtt5=True, records=[], arrived=lambda: None)
    sock.open = False
    assert tap.send(b"\xc0\x00") == 2
    tap.send(puback([b"\x00\x01", b"\x00\x02"]))
    assert not tap.flush()
    sock.open = True
    assert tap.flush()
    assert sock.sent == b"\xc0\x00\x40\x02\x00\x01\x40\x02\x00\x02"


def test_a_real_socket_that_has_nothing_blocks_nobody() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        tap = Tap(ours, mqtt5=True, records=[], arrived=lambda: None)
        with pytest.raises(BlockingIOError):
            tap.recv(1)
        theirs.send(b"\xd0\x00")
        assert tap.recv(1) == b"\xd0"
        assert tap.pending() == 1
