"""Brokers that go away: the hub reconnects, says little, and loses nothing that was its to keep."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.chaos import store
from tests.chaos.deadline import on_this_machine, until
from tests.chaos.hub_process import HubProcess, running_hub
from tests.chaos.kill9 import Bench, bench
from tests.chaos.ledger import Ledger
from tests.chaos.loads import Meter, MqttLoad, under_load
from tests.peers.mosquitto import require_mosquitto
from tests.peers.ports import free_port

RECONNECT_LIMIT_S = 10.0
LINES_PER_OUTAGE = 20


async def everything_is_stored(made: Bench) -> None:
    """The senders got rid of all, and the store has it."""

    async def check() -> bool:
        rows = await asyncio.to_thread(store.stored_rows, made.hub.database_path)
        return not made.mqtt.unacked and made.ledger.judge(rows).clean

    await until(check, 60, "all that the broker took is stored", step_s=0.3)


async def some_more(made: Bench, rows: int) -> None:
    """Wait until the broker took some more messages."""
    begun = len(made.ledger.acked)

    async def check() -> bool:
        return len(made.ledger.acked) - begun >= rows

    await until(check, 30, "publishers are served")


@pytest.mark.timeout(300)
async def test_a_broker_that_restarts_again_and_again_costs_nothing_and_few_log_lines(tmp_path: Path) -> None:
    require_mosquitto()
    async with bench(tmp_path, 200.0, publishers=4) as made:
        async with under_load(made.mqtt):
            for _ in range(3):
                await some_more(made, 100)
                mark = made.hub.log_mark()
                made.broker.stop()  # it saves its sessions
                await _stays_away(1.0)
                made.broker.start()
                began_s = time.monotonic()
                await _connected_again(made.hub, mark)
                assert time.monotonic() - began_s < on_this_machine(RECONNECT_LIMIT_S)
                lines = [line for line in made.hub.log_since(mark) if "mqtt" in line or "broker" in line]
                assert len(lines) <= LINES_PER_OUTAGE
        await everything_is_stored(made)
        assert "Traceback" not in made.hub.log


@pytest.mark.timeout(300)
async def test_a_broker_that_is_killed_costs_at_most_what_it_had_not_saved(tmp_path: Path) -> None:
    """The broker's own window: messages that it had acknowledged and not written (``autosave_interval``)."""
    require_mosquitto()
    async with bench(tmp_path, 200.0, publishers=4) as made:
        async with under_load(made.mqtt):
            await some_more(made, 200)
        await everything_is_stored(made)
        mark = made.hub.log_mark()
        made.broker.kill()
        await _stays_away(1.0)
        made.broker.start()
        await _connected_again(made.hub, mark)
        async with under_load(made.mqtt):
            await some_more(made, 100)
        await everything_is_stored(made)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_minute_without_the_broker_is_caught_up(tmp_path: Path) -> None:
    require_mosquitto()
    async with bench(tmp_path, 500.0, publishers=8) as made:
        assert made.hub.process is not None
        process = psutil.Process(made.hub.process.pid)
        async with under_load(made.mqtt, *made.http):
            await some_more(made, 1000)
            before = process.memory_info().rss
            mark = made.hub.log_mark()
            made.broker.stop()
            await _stays_away(60.0)
            away_lines = [line for line in made.hub.log_since(mark) if "modbus" not in line]
            made.broker.start()
            await _connected_again(made.hub, mark)
            await some_more(made, 1000)
        await everything_is_stored(made)
        assert len(away_lines) <= LINES_PER_OUTAGE
        assert process.memory_info().rss - before < 64 * 1024 * 1024


@contextlib.asynccontextmanager
async def hub_with_its_own_broker(folder: Path) -> AsyncIterator[tuple[HubProcess, int]]:
    """A hub that runs mosquitto as its child on a free port."""
    port = free_port()
    topic = "{topic: 'chaos/+', device: '{1}', values: {power: {unit: W}, energy_import: {unit: kWh}}}"
    config = (
        "hub: {name: Chaos, time_zone: Europe/Paris}\n"
        f"mqtt_broker: {{mode: mosquitto, host: 127.0.0.1, port: {port}}}\n"
        f"integrations:\n  - mqtt: {{broker: embedded, discovery: 'off', topics: [{topic}]}}\n"
    )
    async with running_hub(folder, config) as hub:
        yield hub, port


@pytest.mark.timeout(300)
async def test_the_hubs_own_broker_dies_with_it_and_comes_back_with_it(tmp_path: Path) -> None:
    """The kernel ends the broker with SIGTERM when its hub is killed, so it saves what the hub had not stored."""
    require_mosquitto()
    async with hub_with_its_own_broker(tmp_path) as (hub, port):
        ledger = Ledger()
        mqtt = MqttLoad(port, ledger, 100.0, [Meter("own-0")], 1)

        async def stored(at_least: int) -> bool:
            rows = await asyncio.to_thread(store.stored_rows, hub.database_path)
            return len(rows.get("own-0.power", [])) >= at_least

        async with under_load(mqtt):
            await until(lambda: stored(50), 30, "readings are stored", step_s=0.1)
            broker = int((hub.data / "mosquitto" / "pid").read_text())
            hub.kill()

            async def gone() -> bool:
                return not psutil.pid_exists(broker)

            await until(gone, 10, "the broker ends with the hub")
            await hub.start()
            before = len((await asyncio.to_thread(store.stored_rows, hub.database_path))["own-0.power"])
            await until(lambda: stored(before + 50), 30, "readings are stored again", step_s=0.1)

        async def all_there() -> bool:
            rows = await asyncio.to_thread(store.stored_rows, hub.database_path)
            return not mqtt.unacked and ledger.judge(rows).clean

        await until(all_there, 20, "all that the broker took is stored", step_s=0.2)
        mqtt.close()
        code, _ = await hub.stop()
        assert code == 0
        assert store.damage(hub.database_path) == "ok"
        assert store.not_derived(hub.database_path) == []


async def _stays_away(for_s: float) -> None:
    """The outage itself: a length of time is what is tested here."""
    await asyncio.sleep(for_s)


async def _connected_again(hub: HubProcess, mark: int) -> None:
    async def check() -> bool:
        return any("connected to the broker again" in line for line in hub.log_since(mark))

    await until(check, RECONNECT_LIMIT_S + 10, "the hub is connected again")
