"""A real ``wattline run`` in a process of its own, on loopback and free ports."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.machine import cpu_s, rss_mib

READY_LIMIT_S = 60.0
STOP_LIMIT_S = 20.0
LONGEST_REQUEST_S = 120.0

_CONFIG = """\
hub: {{name: Bench, time_zone: Europe/Paris, currency: EUR}}
http: {{host: 127.0.0.1, port: 8321}}
mqtt_broker: {{mode: {mode}, host: 127.0.0.1, port: {port}}}
discovery: auto
integrations: {integrations}
"""
_MQTT = """
  - mqtt:
      broker: embedded
      topics:
        - { topic: "meters/+/state", device: "{1}", values: known }
        - { topic: "meters/+/power", device: "{1}", series: power, unit: W }
"""


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class HubProcess:
    """Starts the hub on entering and ends it on leaving.

    Args:
        directory: for configuration and log; ``data`` is kept there unless ``data_dir`` is given.
        mqtt: with a broker and the topics ``meters/<device>/state`` (JSON) and ``meters/<device>/power``.
    """

    def __init__(self, directory: Path, *, mqtt: bool = False, data_dir: Path | None = None) -> None:
        self._config_dir = directory / "config"
        self._log_path = directory / "hub.log"
        self.data_dir = data_dir or directory / "data"
        self.mqtt_port = free_port()
        self._write_config(mqtt)
        self.ready_s = 0.0
        """From the start of the process to the first 200 of ``/readyz``."""
        self._process: subprocess.Popen[bytes] | None = None
        self._key = ""
        self.port = 0

    def _write_config(self, mqtt: bool) -> None:
        self._config_dir.mkdir(parents=True, exist_ok=True)
        text = _CONFIG.format(
            mode="auto" if mqtt else "off", port=self.mqtt_port, integrations=_MQTT if mqtt else "[]"
        )
        (self._config_dir / "hub.yaml").write_text(text)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it is ready.

        Raises:
            RuntimeError: it ended, or was not ready in time; the text holds the end of its log.
        """
        self.port = free_port()
        run_file = self.data_dir / "run.json"
        run_file.unlink(missing_ok=True)
        begin_s = time.perf_counter()
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hub", "run", "--config", str(self._config_dir), "--data",
                 str(self.data_dir), "--port", str(self.port)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            self._wait_until_ready(begin_s)
        except BaseException:  # also when the time of the benchmark is over: nobody else would end it
            self.kill()
            raise
        self.ready_s = time.perf_counter() - begin_s
        self._key = json.loads(run_file.read_text())["key"]

    def _wait_until_ready(self, begin_s: float) -> None:
        assert self._process is not None
        while not self._is_ready():
            if self._process.poll() is not None or time.perf_counter() - begin_s > READY_LIMIT_S:
                raise RuntimeError(f"the hub did not start:\n{self.log()[-2000:]}")
            time.sleep(0.005)

    def stop(self) -> None:
        """End it in good order."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would; its broker ends with it."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        """What it wrote."""
        return self._log_path.read_text(errors="replace")

    def _is_ready(self) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            try:
                connection.request("GET", "/readyz")
                answer = connection.getresponse()
                answer.read()
                return answer.status == 200 and (self.data_dir / "run.json").exists()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return False

    # --- asking it

    @property
    def headers(self) -> dict[str, str]:
        """Headers of an authorised request from this machine."""
        return {"X-Wattline-Run-Key": self._key}

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One request on a connection of its own → status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONGEST_REQUEST_S)
        try:
            connection.request(method, path, body, {**self.headers, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ask_json(self, method: str, path: str, document: object = None, **headers: str) -> Any:
        """A request with JSON in and out.

        Raises:
            RuntimeError: the answer is no success.
        """
        body = None if document is None else json.dumps(document).encode()
        shown = {"Content-Type": "application/json", **headers} if body is not None else dict(headers)
        status, text = self.ask(method, path, body, shown)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {text[:300]!r}")
        return json.loads(text) if text else None

    def stored(self, domain: str = "mqtt") -> int:
        """Values that an integration has delivered and that are committed."""
        entries = self.ask_json("GET", "/api/v1/integrations")["items"]
        return sum(int(entry["readings"]) for entry in entries if entry["domain"] == domain)

    def metric(self, name: str) -> float:
        """A figure of ``/metrics``, summed over its labels."""
        _, text = self.ask("GET", "/metrics")
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text.decode(), re.MULTILINE)
        return sum(float(value) for value in found)

    def settle(self, limit_s: float = 60.0) -> None:
        """Wait until series that are new have been derived once: that is work of their first seconds only."""
        until_s = time.perf_counter() + limit_s
        quiet, before = 0, -1.0
        while quiet < 3 and time.perf_counter() < until_s:
            time.sleep(0.7)
            reads = self.metric("wattline_read_seconds_count")
            waiting = int(self.ask_json("GET", "/api/v1/derived")["dirty_series"])
            quiet, before = (quiet + 1 if reads - before < 3 and not waiting else 0), reads

    def token(self) -> str:
        """An API token of an owner, who is set up first; for clients that cannot send our header."""
        setup = re.search(r"/setup#(\S+)", self.log())
        if setup is None:
            raise RuntimeError("the hub shows no setup link")
        login = {"username": "owner", "password": "a passphrase for the bench 9"}
        self.ask_json("POST", "/api/v1/auth/setup", {"token": setup[1], **login})
        access = self.ask_json("POST", "/api/v1/auth/login", login)["access_token"]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONGEST_REQUEST_S)
        try:
            connection.request(
                "POST", "/api/v1/me/tokens", b'{"name":"bench"}',
                {"Authorization": f"Bearer {access}", "Content-Type": "application/json"},
            )  # fmt: skip
            return str(json.loads(connection.getresponse().read())["token"])
        finally:
            connection.close()

    def cpu_s(self) -> float:
        """CPU seconds so far, without the broker."""
        return cpu_s(self.pid)

    def rss_mib(self) -> float:
        """Resident memory in MiB, without the broker."""
        return rss_mib(self.pid)

    def disk_bytes(self) -> int:
        """Size of the database with its log."""
        files = [self.data_dir / name for name in ("hub.db", "hub.db-wal")]
        return sum(os.stat(file).st_size for file in files if file.exists())
