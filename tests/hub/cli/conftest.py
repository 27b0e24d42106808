"""A house on disk, the commands run in this process, and a real hub in another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hub.cli.main import main

PASSWORD = "correct horse battery"
CONFIG = """\
hub: {name: Home, time_zone: Europe/Paris, currency: EUR}
mqtt_broker: {mode: "off"}
http: {host: 127.0.0.1, port: 0}
"""
START_LIMIT_S = 60.0


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its answer with --json."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass
class Shell:
    """Commands on one pair of directories."""

    config_dir: Path
    data_dir: Path

    @property
    def places(self) -> list[str]:
        return ["--config", str(self.config_dir), "--data", str(self.data_dir)]

    def run(self, *words: str, stdin: str = "") -> Ran:
        """In this process: quick."""
        result = CliRunner().invoke(main, [*words, *self.places], input=stdin)
        return Ran(result.exit_code, result.stdout, result.stderr)

    def spawn(self, *words: str, stdin: str = "") -> Ran:
        """In a process of its own, as people do."""
        done = subprocess.run(
            [sys.executable, "-m", "hub", *words, *self.places],
            input=stdin, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def own(self, name: str = "owner", role: str = "admin") -> Ran:
        """Add a user with the usual password."""
        return self.run("user", "add", name, "--role", role, "--password-stdin", stdin=f"{PASSWORD}\n")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A valid configuration and no data yet."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "hub.yaml").write_text(CONFIG)
    return Shell(tmp_path / "config", tmp_path / "data")


@dataclass
class Running:
    """A hub in a process of its own, and the shell beside it."""

    shell: Shell
    process: subprocess.Popen[bytes]
    url: str

    def send(self, token: str, items: Sequence[dict[str, object]]) -> int:
        """Push readings; the status."""
        return self.call("POST", "/api/v1/ingest", token, items)[0]

    def call(self, method: str, path: str, token: str, body: object = None) -> tuple[int, Any]:
        """Ask the hub as a client would."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                content = response.read()
                return response.status, json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A real hub with the owner `owner`; one for all tests of a file."""
    place = tmp_path_factory.mktemp("online")
    (place / "config").mkdir()
    (place / "config" / "hub.yaml").write_text(CONFIG)
    shell = Shell(place / "config", place / "data")
    assert shell.own().code == 0
    process, url = start_hub(shell)
    yield Running(shell, process, url)
    process.terminate()
    assert process.wait(timeout=120) == 0


def start_hub(shell: Shell, *options: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a hub and return when its run file is there."""
    log = (shell.config_dir.parent / "hub.log").open("ab")
    with log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hub", "run", *options, *shell.places],
            stdout=log,
            stderr=log,
            env=os.environ.copy(),
        )
    run_file = shell.data_dir / "run.json"
    give_up_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < give_up_s and process.poll() is None:
        if run_file.exists() and json.loads(run_file.read_text())["pid"] == process.pid:
            return process, json.loads(run_file.read_text())["url"]
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise AssertionError((shell.config_dir.parent / "hub.log").read_text()[-4000:])
