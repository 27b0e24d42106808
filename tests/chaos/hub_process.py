"""A hub in a process of its own: started, asked, killed, stopped and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.chaos.deadline import until
from tests.peers.ports import free_port

ROOT = Path(__file__).parents[2]
START_LIMIT_S = 60.0
PASSWORD = "correct horse 9"
_TIMEOUT = aiohttp.ClientTimeout(total=60.0)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class HubProcess:
    """One hub on a fixed free port. ``data`` outlives kills and restarts.

    ``prefix`` stands before the command (``strace …``).
    """

    folder: Path
    config_text: str
    data: Path = field(default_factory=Path)
    port: int = field(default_factory=free_port)
    prefix: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None
    token: str = ""
    session: aiohttp.ClientSession | None = None
    _logged: int = 0

    def __post_init__(self) -> None:
        self.config = self.folder / "config"
        self.config.mkdir(parents=True, exist_ok=True)
        (self.config / "hub.yaml").write_text(self.config_text)
        if self.data == Path():
            self.data = self.folder / "data"
        self.log_path = self.folder / "hub.log"

    @property
    def url(self) -> str:
        """Address without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return self.data / "hub.db"

    @property
    def log(self) -> str:
        """What all runs wrote to stderr."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_mark(self) -> int:
        """A position in the log, for :meth:`log_since`."""
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def log_since(self, mark: int) -> list[str]:
        """Lines that were logged after the mark."""
        return self.log_path.read_bytes()[mark:].decode(errors="replace").splitlines()

    def spawn(self) -> None:
        """Start the process and do not wait for it."""
        command = [
            *self.prefix, sys.executable, "-m", "hub", "run", "--config", str(self.config),
            "--data", str(self.data), "--port", str(self.port),
        ]  # fmt: skip
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    async def start(self) -> float:
        """Start and wait until readings are taken; the first start makes the owner and a token.

        Returns:
            Seconds until ``/readyz`` said yes.
        """
        began_s = time.monotonic()
        self.spawn()
        await self.ready()
        took_s = time.monotonic() - began_s
        if not self.token:
            await self._set_up()
        return took_s

    async def ready(self, timeout_s: float = START_LIMIT_S) -> None:
        """Wait for ``/readyz``."""

        async def check() -> bool:
            assert self.process is not None
            code = self.process.poll()
            assert code is None, f"the hub ended with {code} while starting:\n{self.log[-3000:]}"
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                return (await self.ask("GET", "/readyz", login=False)).status == 200
            return False

        await until(check, timeout_s, "the hub is ready")

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """``kill -9`` of the hub alone; what dies with it is the kernel's doing."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)

    async def stop(self, timeout_s: float = 60.0) -> tuple[int, float]:
        """SIGTERM → ``(exit code, seconds)``; a hub that hangs is killed and has code -9."""
        assert self.process is not None
        process = self.process
        began_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, timeout_s)
        took_s = time.monotonic() - began_s
        if process.poll() is None:
            process.kill()
        return process.wait(30), took_s

    async def close(self) -> None:
        """End whatever still runs."""
        if self.running:
            assert self.process is not None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
        if self.session is not None:
            await self.session.close()
            self.session = None

    async def ask(
        self, method: str, path: str, *, login: bool = True, timeout_s: float | None = None, **more: Any
    ) -> Reply:
        """One request on the shared session; connection errors come through."""
        if self.session is None:
            self.session = aiohttp.ClientSession(
                timeout=_TIMEOUT,
                connector=aiohttp.TCPConnector(limit=200),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        headers = dict(more.pop("headers", {}))
        if login:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if timeout_s is not None:
            more["timeout"] = aiohttp.ClientTimeout(total=timeout_s)
        async with self.session.request(method, self.url + path, headers=headers, **more) as response:
            return Reply(response.status, response.headers, await response.read())

    async def get(self, path: str) -> Any:
        """A GET that must be answered with 200; its JSON."""
        reply = await self.ask("GET", path)
        assert reply.status == 200, f"GET {path}: {reply.status} {reply.body[:300]!r}"
        return reply.json()

    async def ingest(self, items: Any, *, timeout_s: float | None = None) -> Reply:
        """``POST /api/v1/ingest``."""
        return await self.ask("POST", "/api/v1/ingest", json=items, timeout_s=timeout_s)

    async def entry(self, entry_id: str) -> dict[str, Any]:
        """State of one integration entry; empty where there is none of this id."""
        items: list[dict[str, Any]] = (await self.get("/api/v1/integrations?limit=1000"))["items"]
        return next((item for item in items if item["id"] == entry_id), {})

    async def _set_up(self) -> None:
        """Owner by the setup link, then an API token, as a person would."""
        found = re.findall(r"/setup#(\S+)", self.log)
        assert found, f"no setup link in the log:\n{self.log[-2000:]}"
        owner = {"username": "owner", "password": PASSWORD}
        made = await self.ask("POST", "/api/v1/auth/setup", login=False, json={"token": found[-1], **owner})
        assert made.status < 300, made.body
        login = await self.ask("POST", "/api/v1/auth/login", login=False, json=owner)
        bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
        token = await self.ask("POST", "/api/v1/me/tokens", json={"name": "chaos"}, headers=bearer)
        self.token = token.json()["token"]


@contextlib.asynccontextmanager
async def running_hub(folder: Path, config_text: str, **more: Any) -> AsyncIterator[HubProcess]:
    """A started hub that is gone afterwards, whatever happened to it."""
    hub = HubProcess(folder, config_text, **more)
    try:
        await hub.start()
        yield hub
    finally:
        await hub.close()


def quiet_config(*entries: str, more: str = "") -> str:
    """A configuration without a broker of its own; ``entries`` are YAML list items of ``integrations``."""
    listed = "integrations:\n" + "\n".join(f"  - {entry}" for entry in entries) if entries else ""
    return (
        "hub: {name: Chaos, time_zone: Europe/Paris, currency: EUR}\n"
        "mqtt_broker: {mode: 'off'}\n" + more + "\n" + listed + "\n"
    )
