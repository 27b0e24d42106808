"""The load generator as a child process, and a broker without a hub for the floors."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.hub_process import free_port

DEVICES = 200


@contextlib.contextmanager
def publishing(port: int, qos: int, values: int, devices: int = DEVICES) -> Iterator[subprocess.Popen[str]]:
    """A publisher (:mod:`bench.publisher`) that waits for its allowance."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.publisher", str(port), str(qos), str(values), str(devices)],
        stdin=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.stdin:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def allow(publisher: subprocess.Popen[str], messages: int) -> None:
    """Let the publisher send so many messages in all."""
    assert publisher.stdin is not None
    publisher.stdin.write(f"{messages}\n")
    publisher.stdin.flush()


@contextlib.contextmanager
def bare_broker(directory: Path) -> Iterator[int]:
    """A mosquitto of its own, configured as the hub configures its own → its port."""
    port = free_port()
    config = directory / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 1000\n"
        "max_queued_messages 2000000\nset_tcp_nodelay true\nlog_type error\n"
    )
    process = subprocess.Popen(["mosquitto", "-c", str(config)], stdin=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + 10
    while time.monotonic() < until_s and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.01)
    raise RuntimeError("mosquitto does not start")
