"""The floor of latency and fan-out: one bare loop from a message to a synced row to websocket frames.

``python -m bench.floor_loop BROKER_PORT DATABASE``; prints the port it serves and runs until its standard input ends.
It knows no devices, admits everything, derives nothing, and asks nobody who they are.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from pathlib import Path
from typing import cast

import orjson
from aiohttp import web

from bench.floor_sqlite import opened
from bench.wire import connect_packet, subscribe_packet

Message = tuple[bytes, bytes, bytes]
"""Topic, payload and packet id."""


class Meters(asyncio.Protocol):
    """The connection to the broker."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.arrived = asyncio.Event()
        self._in = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sign in and subscribe."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self.transport.write(connect_packet("bench-floor") + subscribe_packet("meters/+/state", 1))

    def data_received(self, data: bytes) -> None:
        """Take PUBLISH packets of less than 16 KiB apart."""
        data = self._in + data
        at = 0
        while len(data) - at >= 3:
            size, body = data[at + 1], at + 2
            if size & 0x80:
                size, body = (size & 0x7F) | data[at + 2] << 7, at + 3
            if len(data) < body + size:
                break
            if data[at] & 0xF0 == 0x30:
                topic_end = body + 2 + (data[body] << 8 | data[body + 1])
                self.messages.append(
                    (
                        data[body + 2 : topic_end],
                        data[topic_end + 2 : body + size],
                        data[topic_end : topic_end + 2],
                    )
                )
            at = body + size
        self._in = data[at:]
        if self.messages:
            self.arrived.set()


class Loop:
    """Receives, stores, tells."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw
        self._numbers: dict[str, int] = {}
        self._clients: set[web.WebSocketResponse] = set()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """A websocket client."""
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        self._clients.add(ws)
        try:
            async for _ in ws:
                pass
        finally:
            self._clients.discard(ws)
        return ws

    async def work(self, meters: Meters) -> None:
        """Store what has arrived in one commit, acknowledge, tell everybody."""
        loop = asyncio.get_running_loop()
        while True:
            await meters.arrived.wait()
            meters.arrived.clear()
            taken, meters.messages = meters.messages, []
            rows, shown = self._decode(taken)
            await loop.run_in_executor(None, self._commit, rows)
            meters.transport.write(b"".join([b"\x40\x02" + mid for _, _, mid in taken]))
            text = orjson.dumps({"series": shown}).decode()
            for client in self._clients:
                await client.send_str(text)

    def _decode(
        self, taken: list[Message]
    ) -> tuple[list[tuple[int, int, float, int]], dict[str, tuple[int, float]]]:
        rows: list[tuple[int, int, float, int]] = []
        shown: dict[str, tuple[int, float]] = {}
        for topic, payload, _ in taken:
            device = topic.split(b"/")[1].decode()
            values = orjson.loads(payload)
            ts_ms = values.pop("ts")
            for key, value in values.items():
                name = f"{device}.{key}"
                number = self._numbers.setdefault(name, len(self._numbers))
                rows.append((number, ts_ms, value, 0))
                shown[name] = (ts_ms, value)
        return rows, shown

    def _commit(self, rows: list[tuple[int, int, float, int]]) -> None:
        self._raw.execute("BEGIN IMMEDIATE")
        self._raw.executemany("INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?)", rows)
        self._raw.execute("COMMIT")


async def serve(broker_port: int, database: Path) -> None:
    """Run until standard input ends."""
    raw = opened(database, any_thread=True)
    bare = Loop(raw)
    app = web.Application()
    app.router.add_get("/", bare.serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server is not None
    server = await asyncio.get_running_loop().create_server(runner.server, "127.0.0.1", 0)
    _, meters = await asyncio.get_running_loop().create_connection(Meters, "127.0.0.1", broker_port)
    worker = asyncio.create_task(bare.work(meters))
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    worker.cancel()
    server.close()


def main() -> None:
    """Serve on the loop the hub uses too."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
        return
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))


if __name__ == "__main__":
    main()
