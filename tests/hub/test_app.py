"""The hub as a whole, without the web: start, reload, safe mode, metrics, stop and start again."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from hub.actors.processing import GetHistory
from hub.actors.recorder import StoreReadings
from hub.app import Hub, HubOptions
from hub.errors import AskUser
from hub.model.device import DeviceInfo
from hub.model.events import EntryChanged
from hub.model.series import known_series
from hub.runtime.actor import request

CONFIG = """
hub: {name: Test, time_zone: Europe/Paris, currency: EUR}
mqtt_broker: {mode: "off"}
"""

WriteConfig = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path) -> WriteConfig:
    """Write ``hub.yaml``."""
    folder = tmp_path / "config"
    folder.mkdir()

    def to_file(text: str) -> None:
        (folder / "hub.yaml").write_text(text, encoding="utf-8")

    to_file(CONFIG)
    return to_file


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Hub]:
    """A started hub; leaving stops it."""
    hub = Hub(HubOptions(tmp_path / "config", tmp_path / "data"))
    settled = asyncio.Event()

    def look(_: object = None) -> None:
        if all(entry.state != "connecting" for entry in hub.entries()):
            settled.set()

    hub.bus.subscribe(EntryChanged, look)
    await hub.start()
    look()
    try:
        async with asyncio.timeout(30):
            await settled.wait()
        yield hub
    finally:
        await hub.stop()


async def store(hub: Hub, value: float) -> None:
    """One reading by way of a push format's intake."""
    _, intake = hub.endpoints()[0]
    (handle,) = await intake.declare(DeviceInfo("meter"), [known_series("power")])
    assert handle is not None
    batch = intake.batch()
    batch.add(handle, hub.clock.now_ms(), value)
    await request(hub.recorder, StoreReadings(batch))


async def test_a_started_hub_is_ready_and_runs_every_push_format(tmp_path: Path, write: WriteConfig) -> None:
    async with running(tmp_path) as hub:
        assert hub.ready() == (True, [])
        assert {entry.domain for entry in hub.entries()} == {"http_json", "influx_line", "emoncms"}
        assert {(endpoint.method, endpoint.path) for endpoint, _ in hub.endpoints()} >= {
            ("POST", "/api/v1/ingest"),
            ("POST", "/write"),
        }
        assert all(part["ok"] for part in hub.health().values())


async def test_the_run_file_is_for_its_owner_only_and_goes_away(tmp_path: Path, write: WriteConfig) -> None:
    async with running(tmp_path) as hub:
        hub.announce("127.0.0.1", 8321)
        assert stat.S_IMODE(hub.run_file.stat().st_mode) == 0o600
        assert json.loads(hub.run_file.read_text())["key"] == hub.run_key
    assert not hub.run_file.exists()


async def test_what_was_stored_is_there_after_a_restart(tmp_path: Path, write: WriteConfig) -> None:
    async with running(tmp_path) as hub:
        await store(hub, 42.0)
    async with running(tmp_path) as hub:
        series = hub.registry.by_public_id("meter.power")
        newest = hub.board.newest(series.no)
        assert newest is not None
        assert newest[1] == 42.0
        history = await request(
            hub.processing, GetHistory(("meter.power",), newest[0], newest[0] + 1, "1d", ("mean",))
        )
        assert len(history.labels) == 1


async def test_two_hubs_never_share_a_data_directory(tmp_path: Path, write: WriteConfig) -> None:
    async with running(tmp_path):
        with pytest.raises(AskUser, match="WL-STO-002"):
            await Hub(HubOptions(tmp_path / "config", tmp_path / "data")).start()


async def test_a_reload_applies_the_difference(tmp_path: Path, write: WriteConfig) -> None:
    async with running(tmp_path) as hub:
        before = {entry.entry_id: entry.since_ms for entry in hub.entries()}
        write(
            CONFIG
            + "integrations:\n  - modbus: {id: m1, host: 127.0.0.1, port: 9, template: eastron-sdm120}\n"
        )
        answer = await hub.reload()
        (added,) = answer["added"]
        assert (answer["applied"], answer["removed"]) == (True, [])
        after = {entry.entry_id: entry.since_ms for entry in hub.entries()}
        assert {name: after[name] for name in before} == before
        write(CONFIG + "logging: {integrations.modbus: debug}\n")
        answer = await hub.reload()
        assert answer["removed"] == [added]
        assert logging.getLogger("integrations.modbus").level == logging.DEBUG
        write(CONFIG)
        await hub.reload()
        assert logging.getLogger("integrations.modbus").level == logging.NOTSET


async def test_another_time_zone_waits_for_the_next_start(tmp_path: Path, write: WriteConfig) -> None:
    async with running(tmp_path) as hub:
        write(CONFIG.replace("Europe/Paris", "Asia/Tokyo"))
        answer = await hub.reload()
        assert "hub.time_zone" in answer["needs_restart"]
        assert hub.config.site.time_zone == "Europe/Paris"
    async with running(tmp_path) as hub:
        assert hub.config.site.time_zone == "Asia/Tokyo"


async def test_an_invalid_reload_keeps_the_last_good_configuration(
    tmp_path: Path, write: WriteConfig
) -> None:
    async with running(tmp_path) as hub:
        write(CONFIG + "discovry: auto\n")
        answer = await hub.reload()
        assert not answer["applied"]
        assert answer["errors"][0]["code"].startswith("WL-CFG-")
        assert hub.config.discovery == "inbox"


async def test_an_invalid_start_opens_safe_mode_and_the_rest_still_takes_readings(
    tmp_path: Path, write: WriteConfig
) -> None:
    write(CONFIG + "integrations:\n  - modbus: {hots: 127.0.0.1}\n")
    async with running(tmp_path) as hub:
        assert hub.safe_mode is not None
        assert not hub.health()["configuration"]["ok"]
        await store(hub, 1.0)
        assert hub.load.tally.committed == 1
        write(CONFIG)
        assert (await hub.reload())["applied"]
        assert hub.safe_mode is None


async def test_metrics_tell_what_was_stored(tmp_path: Path, write: WriteConfig) -> None:
    async with running(tmp_path) as hub:
        await store(hub, 1.0)
        text = generate_latest(hub.metrics_registry).decode()
        assert "wattline_readings_committed_total 1.0" in text
        assert 'wattline_entry_running{domain="http_json",entry="http_json"} 1.0' in text
        assert "wattline_loop_lag_seconds_bucket" in text


async def test_a_unit_named_once_counts_for_later_messages_without_one(
    tmp_path: Path, write: WriteConfig
) -> None:
    async with running(tmp_path) as hub:
        intake = hub.endpoints()[0][1]
        await intake.declare(DeviceInfo("meter"), [known_series("x", unit="kWh")])
    async with running(tmp_path) as hub:
        handle = hub.endpoints()[0][1].handle("meter", "x")
        assert handle is not None
        assert handle.stored(5.0) == 5000.0


@pytest.mark.parametrize(
    ("text", "code"), [("short", "WL-AUTH-003"), ("", "WL-AUTH-001"), ("00" * 32, "WL-AUTH-001")]
)
async def test_a_signing_key_that_is_none_is_said_at_once(
    tmp_path: Path, write: WriteConfig, text: str, code: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "auth.key").write_text(text)
    (data / "auth.key").chmod(0o600)
    with pytest.raises(AskUser) as refused:
        await Hub(HubOptions(tmp_path / "config", data)).start()
    assert refused.value.code == code
