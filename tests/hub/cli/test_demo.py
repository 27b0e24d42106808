"""``wattline demo``: prepares an empty data directory once, then runs the house."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hub.cli.demo import MAIN_FILE, demo
from hub.cli.remote import running_hub
from hub.config.loader import load
from hub.plugins.manager import PluginManager
from hub.runtime.clock import SystemClock
from hub.storage.database import Database
from hub.storage.readings import SeriesStat, read_columns, stat

CONFIG = Path(__file__).parents[3] / "config"
START_LIMIT_S = 60.0


def found(data_dir: Path) -> SeriesStat:
    """What is stored of the first series."""

    async def look() -> SeriesStat:
        database = await Database.open("sqlite:///hub.db", data_dir, clock=SystemClock())
        try:
            return await database.read(lambda conn: stat(conn, 1))
        finally:
            await database.close()

    return asyncio.run(look())


def demo_in(tmp_path: Path, *arguments: str, config: Path = CONFIG) -> tuple[int, str]:
    answer = CliRunner().invoke(
        demo, ["--config", str(config), "--data", str(tmp_path / "data"), "--prepare-only", *arguments]
    )
    return answer.exit_code, answer.output


def test_the_shipped_configuration_is_valid() -> None:
    plugins = PluginManager()
    plugins.load()
    config = load(CONFIG, plugins.schemas(), main_file=MAIN_FILE)

    assert [entry.domain for entry in config.integrations] == ["demo"]
    assert config.warnings == ()


def test_history_is_written_once(tmp_path: Path) -> None:
    first_code, first = demo_in(tmp_path, "--days", "1")
    before = found(tmp_path / "data")
    second_code, second = demo_in(tmp_path, "--days", "2")

    assert (first_code, second_code) == (0, 0)
    assert "The history is ready" in first
    assert second == ""
    assert found(tmp_path / "data") == before
    assert before.hot + before.sealed >= 1440


def test_more_days_than_the_house_is_old_are_refused(tmp_path: Path) -> None:
    code, text = demo_in(tmp_path, "--days", "3660")

    assert code == 1
    assert "WL-DEM-003" in text


def test_a_configuration_without_the_house_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / MAIN_FILE).write_text("hub: {name: Home, time_zone: Europe/Paris, currency: EUR}\n")
    code, text = demo_in(tmp_path, "--json", config=config)

    assert code == 1
    assert json.loads(text)["errors"][0]["code"] == "WL-DEM-004"


@pytest.mark.timeout(300)
def test_the_hub_goes_on_where_history_ends(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    arguments = ["--config", str(CONFIG), "--data", str(data_dir), "--days", "1", "--port", "0"]
    command = [sys.executable, "-m", "hub", "demo", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=CONFIG.parent) as hub:
        assert hub.stderr is not None
        try:
            link = next(line for line in hub.stderr if "/setup#" in line)
            url = json.loads((data_dir / "run.json").read_text())["url"]
            with urllib.request.urlopen(f"{url}/healthz", timeout=START_LIMIT_S) as answer:
                assert answer.status == 200
            with urllib.request.urlopen(link.strip().partition("#")[0], timeout=START_LIMIT_S) as answer:
                assert answer.status == 200
            until_live(data_dir)
        finally:
            hub.send_signal(signal.SIGTERM)
        hub.stderr.read()
        assert hub.wait(START_LIMIT_S) == 0
    assert_no_gap(data_dir)


def until_live(data_dir: Path) -> None:
    """Wait until the newest reading is not of a full minute, so not of the history."""
    hub = running_hub(data_dir)
    assert hub is not None
    limit_s = time.monotonic() + START_LIMIT_S
    while hub.get("/latest?series=grid.energy_import")["items"][0]["ts"] % 60_000 == 0:
        assert time.monotonic() < limit_s, "no live reading came"
        time.sleep(0.2)  # another process works meanwhile


def assert_no_gap(data_dir: Path) -> None:
    """Readings of two hours: a minute apart, then ten seconds, the register never falls."""

    async def look() -> tuple[list[int], list[float]]:
        database = await Database.open("sqlite:///hub.db", data_dir, clock=SystemClock())
        try:
            end_ms = database.now_ms()
            columns = await database.read(lambda conn: read_columns(conn, 2, end_ms - 7_200_000, end_ms))
            return columns.ts_ms.tolist(), columns.values.tolist()
        finally:
            await database.close()

    ts_ms, values = asyncio.run(look())
    steps = np.diff(ts_ms)
    assert steps.max() <= 60_000
    assert steps.min() == 10_000
    assert np.diff(values).min() >= 0
