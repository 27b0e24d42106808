"""A process with many websocket clients that look at the age of what they receive.

``python -m bench.ws_readers PORT PATH TOKEN CLIENTS WARM_S``. It prints ``ready`` when all have subscribed; when its
standard input is closed it prints the ages in milliseconds as JSON. Without a token there is nothing to sign in to
(the bare loop). What was sent before it was ready, and in ``WARM_S`` seconds after it, is left out. The clients are
bare protocols, so that they take as little as possible from the hub beside them.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from typing import cast

from bench.statistics import percentile

_STAMP = re.compile(rb'\.power":\[\d+,([\d.]+)\]')
_PING, _PONG, _TEXT = 0x9, 0xA, 0x1


class Reader(asyncio.Protocol):
    """One client."""

    def __init__(self, path: str, token: str, seen: list[tuple[float, float]]) -> None:
        self._path = path
        self._token = token
        self._seen = seen
        self._in = b""
        self._open = False
        self.subscribed = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: YmVuY2ggYmVuY2ggYmVuYw==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take frames apart."""
        now_ms = time.monotonic() * 1000
        data = self._in + data
        if not self._open:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._in = head
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.subscribed.set_exception(ConnectionError(head.decode(errors="replace")[:300]))
                return
            self._open = True
            if not self._token:
                self.subscribed.set_result(None)
        at = 0
        while len(data) - at >= 2:
            size, body = data[at + 1], at + 2
            if size == 126:
                size, body = int.from_bytes(data[body : body + 2], "big"), body + 2
            elif size == 127:
                size, body = int.from_bytes(data[body : body + 8], "big"), body + 8
            if len(data) < body + size:
                break
            self._frame(data[at] & 0x0F, data[body : body + size], now_ms)
            at = body + size
        self._in = data[at:]

    def connection_lost(self, error: Exception | None) -> None:
        """The end."""
        if not self.subscribed.done():
            self.subscribed.set_exception(ConnectionError("closed"))

    def _frame(self, kind: int, body: bytes, now_ms: float) -> None:
        if kind == _PING:
            self._write(_PONG, body)
        elif self.subscribed.done():
            for stamp in _STAMP.findall(body):
                sent_ms = float(stamp)
                self._seen.append((sent_ms, now_ms - sent_ms))
        elif b"auth_required" in body:
            self._write(_TEXT, json.dumps({"type": "auth", "access_token": self._token}).encode())
        elif b"auth_ok" in body:
            self._write(_TEXT, b'{"id":1,"type":"wattline/subscribe_series"}')
        elif b'"success":true' in body:
            self.subscribed.set_result(None)
        else:
            self.subscribed.set_exception(ConnectionError(body.decode(errors="replace")[:300]))

    def _write(self, kind: int, body: bytes) -> None:
        head = bytes((0x80 | kind, 0x80 | min(len(body), 126)))
        if len(body) >= 126:
            head += len(body).to_bytes(2, "big")
        self._transport.write(head + b"\0\0\0\0" + body)  # a mask of zeros leaves the bytes as they are


async def read(port: int, path: str, token: str, clients: int, warm_s: float) -> list[float]:
    """Subscribe, and read until standard input ends → ages in milliseconds."""
    loop = asyncio.get_running_loop()
    seen: list[tuple[float, float]] = []
    for _ in range(clients):
        _, reader = await loop.create_connection(lambda: Reader(path, token, seen), "127.0.0.1", port)
        await asyncio.wait_for(reader.subscribed, 20)
    print("ready", flush=True)
    first_ms = time.monotonic() * 1000 + warm_s * 1000
    await asyncio.to_thread(sys.stdin.read)
    return [age_ms for sent_ms, age_ms in seen if sent_ms >= first_ms]


def main() -> None:
    """Read and report."""
    port, path, token, clients = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    reading = read(port, path, token, clients, float(sys.argv[5]))
    try:
        import uvloop
    except ImportError:
        ages = asyncio.run(reading)
    else:
        ages = uvloop.run(reading)
    found = {"count": len(ages)} | {f"p{share}": percentile(ages, share) for share in (50, 95, 99)}
    print(json.dumps(found | {"max": max(ages, default=float("nan"))}), flush=True)
    os._exit(0)  # connections are left to the system


if __name__ == "__main__":
    main()
