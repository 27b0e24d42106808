"""A process that publishes meter messages as fast as it is allowed to.

``python -m bench.publisher PORT QOS VALUES DEVICES``; standard input carries how many messages in all it may
send by now, one number per line, and ends it when it is closed. At QoS 1 at most 1,000 are unacknowledged.
"""

from __future__ import annotations

import selectors
import socket
import sys
import threading
import time

from bench.wire import connected, publish_packet

WINDOW = 1000
CHUNK = 50


class Meters:
    """Messages of some meters: power, a register that follows it, and what else a meter tells."""

    def __init__(self, count: int, values: int) -> None:
        self._topics = [f"meters/m{number:03d}/state".encode() for number in range(count)]
        self._values = values
        self._last_ms = [0] * count
        first_kwh = (
            2.5 * time.time() / 3600
        )  # rises faster than the meters do: no register falls between two runs
        self._energy_kwh = [first_kwh + number for number in range(count)]
        self._sent = 0

    def next(self) -> tuple[bytes, bytes]:
        """Topic and payload of the next message; the meters take turns, times of one meter rise."""
        number = self._sent % len(self._topics)
        step = self._sent // len(self._topics)
        self._sent += 1
        before_ms = self._last_ms[number]
        ts_ms = max(time.time_ns() // 1_000_000, before_ms + 1)
        self._last_ms[number] = ts_ms
        power_w = 400.0 + (step * 37 + number * 11) % 2000 + 0.5
        if before_ms:
            self._energy_kwh[number] += power_w * (ts_ms - before_ms) / 3.6e9
        if self._values == 1:
            return self._topics[number], b'{"ts":%d,"power":%.1f}' % (ts_ms, power_w)
        return self._topics[number], (
            b'{"ts":%d,"power":%.1f,"energy_import":%.6f,"voltage":%.1f,"current":%.2f,"frequency":%.2f}'
            % (ts_ms, power_w, self._energy_kwh[number], 230.0 + step % 50 / 10, power_w / 230.0,
               50.0 + step % 10 / 100)
        )  # fmt: skip


class Allowance:
    """How many messages may be sent, as standard input says."""

    def __init__(self) -> None:
        self.messages = 0
        self.ended = False

    def follow(self) -> None:
        """Read until the end."""
        for line in sys.stdin:
            self.messages = int(line)
        self.ended = True


def publish(sock: socket.socket, qos: int, meters: Meters, allowed: Allowance) -> None:
    """Send until the allowance ends."""
    sock.setblocking(False)
    waiting = selectors.DefaultSelector()
    waiting.register(sock, selectors.EVENT_READ)
    sent = acked = left_over = 0
    while not allowed.ended:
        room = min(allowed.messages - sent, CHUNK)
        if qos:
            room = min(room, WINDOW - (sent - acked))
        if room > 0:
            packets = []
            for _ in range(room):
                topic, payload = meters.next()
                sent += 1
                packets.append(publish_packet(topic, payload, (sent % 65_535) + 1 if qos else 0))
            _send_all(sock, b"".join(packets))
        if waiting.select(0 if room > 0 else 0.002):
            got = sock.recv(65_536)
            if not got:
                raise ConnectionError("the broker closed the connection")
            left_over += len(got)
            acked += left_over // 4
            left_over %= 4


def _send_all(sock: socket.socket, data: bytes) -> None:
    view = memoryview(data)
    writable = selectors.DefaultSelector()
    writable.register(sock, selectors.EVENT_WRITE)
    try:
        while view:
            try:
                view = view[sock.send(view) :]
            except BlockingIOError:
                writable.select(0.05)
    finally:
        writable.close()


def main() -> None:
    """Connect and publish."""
    port, qos, values, devices = (int(word) for word in sys.argv[1:5])
    allowed = Allowance()
    sock = connected(port, f"bench-publisher-{qos}-{values}")
    threading.Thread(target=allowed.follow, daemon=True).start()
    publish(sock, qos, Meters(devices, values), allowed)


if __name__ == "__main__":
    main()
