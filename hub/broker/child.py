"""A mosquitto process that lives no longer than the hub."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import shutil
import signal
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from hub.broker.files import Owner

LOGGER = logging.getLogger(__name__)
STOP_LIMIT_S = 5.0
_STEP_S = 0.02
_PR_SET_PDEATHSIG = 1
_SEARCH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin"


def program() -> str | None:
    """Path of the system's mosquitto; Debian keeps it where users' paths do not look."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:{_SEARCH}")


class Child:
    """One run of the broker.

    Args:
        directory: where ``mosquitto.conf`` and the pid file are.
        owner: account to run as.
        sleep: waits, in seconds.
    """

    def __init__(self, directory: Path, owner: Owner, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._directory = directory
        self._owner = owner
        self._sleep = sleep
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self.last_lines: deque[str] = deque(maxlen=20)

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self, command: str) -> None:
        """Start the process; it dies with the hub.

        Raises:
            OSError: the program cannot be started.
        """
        self._process = await asyncio.create_subprocess_exec(
            command,
            "-c",
            str(self._directory / "mosquitto.conf"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=_before_exec(self._owner, os.getpid()),
        )
        (self._directory / "pid").write_text(f"{self._process.pid}\n")
        self._reader = asyncio.create_task(self._read_log(self._process), name="broker-log")

    async def wait(self) -> int:
        """Wait until it ends; its return code."""
        if self._process is None:
            return 0
        code = await self._process.wait()
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=1.0)
        return code

    async def stop(self) -> None:
        """Ask it to save its sessions and end; kill it if it will not."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_LIMIT_S):
                    await process.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        (self._directory / "pid").unlink(missing_ok=True)

    async def end_stale(self) -> None:
        """End a broker that a killed hub left behind; it is recognised by our configuration file."""
        pid = self._stale_pid()
        if pid is None:
            return
        LOGGER.info("ending the MQTT broker that a former run of the hub left behind (pid %d)", pid)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            for _ in range(round(STOP_LIMIT_S / _STEP_S)):
                if self._stale_pid() is None:
                    return
                await self._sleep(_STEP_S)

    def _stale_pid(self) -> int | None:
        try:
            pid = int((self._directory / "pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if os.fsencode(self._directory / "mosquitto.conf") in command else None

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is None:
            return
        while line := await process.stderr.readline():
            text = line.decode(errors="replace").strip()
            self.last_lines.append(text)
            LOGGER.debug("mosquitto: %s", text)


def _before_exec(owner: Owner, parent: int) -> Callable[[], None]:
    """What the child does between fork and exec: change the account, then ask to be ended with the hub.

    SIGTERM, so that the broker still saves its sessions. The C library is loaded before the fork.
    """
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)

    def prepare() -> None:
        if owner.uid is not None and owner.gid is not None:
            os.setgroups([])
            os.setgid(owner.gid)
            os.setuid(owner.uid)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != parent:  # the hub died between fork and here
                os._exit(1)

    return prepare
