"""The floor of HTTP ingest: ``python -m bench.floor_http DATABASE`` prints its port and runs until its input ends.

It takes the two bodies of :mod:`bench.http_ingest` as they come: no gate, no checks, no limits, no derivation.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from pathlib import Path

import orjson
from aiohttp import web

from bench.floor_sqlite import Rows, commit, opened


class BareStore:
    """Bodies in, synced rows out."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw
        self._numbers: dict[tuple[str, str], int] = {}
        self._lock = asyncio.Lock()

    async def json(self, request: web.Request) -> web.Response:
        """``POST /api/v1/ingest``."""
        rows = [
            (self._number(item["device"], key), item["ts"], value, 0)
            for item in orjson.loads(await request.read())
            for key, value in item["values"].items()
        ]
        return await self._stored(rows)

    async def lines(self, request: web.Request) -> web.Response:
        """``POST /write``."""
        rows: Rows = []
        for line in (await request.text()).split("\n"):
            head, fields, stamp = line.split(" ")
            ts_ms = int(stamp)
            for field in fields.split(","):
                key, _, value = field.partition("=")
                rows.append((self._number(head, key), ts_ms, float(value), 0))
        return await self._stored(rows)

    def _number(self, device: str, key: str) -> int:
        return self._numbers.setdefault((device, key), len(self._numbers))

    async def _stored(self, rows: Rows) -> web.Response:
        async with self._lock:
            await asyncio.get_running_loop().run_in_executor(None, commit, self._raw, rows)
        return web.Response(status=204)


async def serve(database: Path) -> None:
    """Run until standard input ends."""
    store = BareStore(opened(database, any_thread=True))
    app = web.Application(client_max_size=16 << 20)
    app.router.add_post("/api/v1/ingest", store.json)
    app.router.add_post("/write", store.lines)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server is not None
    server = await asyncio.get_running_loop().create_server(runner.server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


def main() -> None:
    """Serve on the loop the hub uses too."""
    database = Path(sys.argv[1])
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(database))
        return
    uvloop.run(serve(database))


if __name__ == "__main__":
    main()
