"""A process that publishes at an even rate: ``python -m bench.pacer PORT RATE SECONDS VALUES DEVICES``.

The value of each message's ``power`` is the monotonic clock in milliseconds, so whoever receives it knows how
old it is. QoS 1.
"""

from __future__ import annotations

import socket
import sys
import threading
import time

from bench.wire import connected, publish_packet

_FIVE = b'{"ts":%d,"power":%.3f,"energy_import":%.6f,"voltage":%.1f,"current":%.2f,"frequency":50.01}'


def payload(values: int, step: int) -> bytes:
    """One message, stamped now."""
    now_ms, stamp_ms = time.time_ns() // 1_000_000, time.monotonic() * 1000
    if values == 1:
        return b'{"ts":%d,"power":%.3f}' % (now_ms, stamp_ms)
    return _FIVE % (now_ms, stamp_ms, 1000 + stamp_ms / 3.6e6, 230 + step % 10 / 10, step % 16)


def main() -> None:
    """Publish until the time is over."""
    port, rate = int(sys.argv[1]), float(sys.argv[2])
    span_s, values, devices = float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
    sock = connected(port, "bench-pacer")
    threading.Thread(target=_drain, args=(sock,), daemon=True).start()
    begin_s = time.monotonic()
    for step in range(int(rate * span_s)):
        wait_s = begin_s + step / rate - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        topic = b"meters/m%03d/state" % (step % devices)
        sock.sendall(publish_packet(topic, payload(values, step), step % 65_535 + 1))
    time.sleep(0.3)


def _drain(sock: socket.socket) -> None:
    while sock.recv(65_536):
        pass


if __name__ == "__main__":
    main()
