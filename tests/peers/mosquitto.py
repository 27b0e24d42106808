"""A real mosquitto on a free loopback port for tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.peers.ports import free_port

PROGRAM = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
_START_S = _STOP_S = 60.0


def require_mosquitto() -> str:
    """Path of the program; skips without it, fails where everything is required."""
    if PROGRAM is not None:
        return PROGRAM
    if os.environ.get("WATTLINE_REQUIRE_ALL") == "1":
        pytest.fail("mosquitto is not installed, and WATTLINE_REQUIRE_ALL=1 asks for it")
    pytest.skip("mosquitto is not installed")


@dataclass
class Mosquitto:
    """A broker process: ``start``, ``kill`` and ``stop`` as often as a test needs; the port stays."""

    directory: Path
    port: int = field(default_factory=free_port)
    extra: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """Loopback."""
        return "127.0.0.1"

    @property
    def url(self) -> str:
        """Address for ``broker:``."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What the broker logged so far."""
        return (self.directory / "mosquitto.log").read_text(errors="replace")

    def start(self) -> Mosquitto:
        """Start and wait until it listens."""
        config = self.directory / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n"
            f"persistence true\npersistence_location {self.directory}/\nautosave_interval 1\n"
            f"max_queued_messages 2000000\nmax_inflight_messages 1000\n{self.extra}\n"
        )
        with (self.directory / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen(
                [require_mosquitto(), "-v", "-c", str(config)], stdout=log, stderr=log
            )
        deadline_s = time.monotonic() + _START_S
        while not _answers(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline_s:
                pytest.fail(f"mosquitto does not start: {self.log}")
            time.sleep(0.01)
        return self

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(_STOP_S)

    def stop(self) -> None:
        """End it in order; it saves its sessions."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(_STOP_S)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running broker with persistence, of its own for each test."""
    require_mosquitto()
    directory = tmp_path / "mosquitto"
    directory.mkdir()
    broker = Mosquitto(directory).start()
    yield broker
    broker.stop()
