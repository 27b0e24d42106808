"""The integration of docs/plugins.md, taken from the page and run against a gauge that answers."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hub.cli.conformance import run_kit
from hub.plugins.api import CannotConnect, Integration, InvalidAuth
from hub.plugins.manager import CUSTOM_FOLDER, PluginManager
from hub.plugins.testing import MemoryIntake
from tests.docs.examples import ROOT

PAGE = ROOT / "docs" / "plugins.md"
_FILE = re.compile(r"<!-- file: (\S+) -->\n```(?:python|yaml)\n(.*?)```", re.DOTALL)


class GaugeHandler(BaseHTTPRequestHandler):
    """The device: a status as JSON, for those who know the password."""

    def do_GET(self) -> None:
        """Answer ``/status``."""
        known = self.headers.get("X-Password") in ("", "drip drop")
        body = json.dumps({"serial": "4711", "litres": 123456.5, "flow_l_min": 3.5, "temperature_c": 11})
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), GaugeHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield int(server.server_address[1])
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    custom = tmp_path / CUSTOM_FOLDER
    for name, text in _FILE.findall(PAGE.read_text(encoding="utf-8")):
        (custom / name).parent.mkdir(parents=True, exist_ok=True)
        (custom / name).write_text(text, encoding="utf-8")
    return custom / "water_gauge"


@pytest.fixture
def integration(folder: Path) -> Integration:
    plugins = PluginManager(folder.parent.parent)
    plugins.load()
    found = plugins.integration("water_gauge")
    assert found is not None, plugins.plugins["water_gauge"].error
    return found


def test_the_page_shows_a_whole_integration(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "__init__.py",
        "client.py",
        "manifest.yaml",
        "schema.py",
    ]


def test_it_passes_the_conformance_kit(folder: Path, port: int) -> None:
    report = run_kit(folder, {"host": "127.0.0.1", "port": port, "interval": 0.1}, 5.0)

    assert [one for one in report.findings if not one.ok] == []
    assert sorted(report.rows) == ["water-4711.flow", "water-4711.temperature", "water-4711.water"]


async def test_litres_are_stored_as_cubic_metres(integration: Integration, port: int) -> None:
    intake = MemoryIntake()
    async with integration.connect(integration.schema({"host": "127.0.0.1", "port": port})) as source:
        running = asyncio.create_task(source.run(intake))
        await intake.wait_rows(3)
        running.cancel()
        await asyncio.wait({running})

    assert intake.rows["water-4711.water"] == {intake.now_ms(): 123.4565}
    assert intake.rows["water-4711.flow"] == {intake.now_ms(): 3.5}


async def test_a_wrong_password_waits_for_the_user(integration: Integration, port: int) -> None:
    options = integration.schema({"host": "127.0.0.1", "port": port, "password": "guess"})

    with pytest.raises(InvalidAuth, match="password"):
        async with integration.connect(options):
            pass


async def test_a_gauge_that_is_away_is_tried_again(integration: Integration) -> None:
    with pytest.raises(CannotConnect, match="does not answer"):
        async with integration.connect(integration.schema({"host": "127.0.0.1", "port": 1})):
            pass
