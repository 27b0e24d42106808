"""A disk without room: reads go on, writes are refused with the reason, and the hub resumes by itself."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.chaos import store
from tests.chaos.deadline import until
from tests.chaos.hub_process import HubProcess, Reply, quiet_config
from tests.chaos.ledger import Ledger
from tests.chaos.loads import HttpLoad, Meter, MqttLoad, mqtt_entry, under_load
from tests.peers.mosquitto import Mosquitto

RESUME_LIMIT_S = 10.0
ALERT_LIMIT_S = 15.0


@contextlib.contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[Path]:
    """A file system of its own, which only root can make."""
    folder.mkdir()
    mounted = os.geteuid() == 0 and not subprocess.call(
        ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder)], stderr=subprocess.DEVNULL
    )
    if not mounted:
        pytest.skip("only root can mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Use up all room; returns the file that did."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 65536) == 65536:
            pass
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 512):
            pass
    return ballast


async def refused(hub: HubProcess, meter: Meter, ledger: Ledger) -> Reply:
    """Post until the hub says that it has no room."""

    async def check() -> Reply | None:
        ts_ms, values, rows = meter.look()
        ledger.note_sent(rows)
        reply = await hub.ingest({"device": meter.device, "ts": ts_ms, "values": values})
        if reply.status == 204:
            ledger.note_acked(rows)
        return reply if reply.status != 204 else None

    reply = await until(check, 20, "a write is refused", step_s=0.001)
    assert reply is not None
    return reply


async def assert_it_reads_and_says_why(hub: HubProcess, reply: Reply) -> None:
    """What people and programs see of a hub that cannot write."""
    assert reply.status == 507, reply.body
    problem = reply.json()
    assert problem["code"] == "WL-STO-007"
    assert (await hub.get("/api/v1/latest"))["items"]
    assert (await hub.get("/api/v1/devices"))["items"]
    series = (await hub.get("/api/v1/latest"))["items"][0]["series"]
    assert (await hub.get(f"/api/v1/series/{series}/readings?start=0&end=3000000000000"))["ts"]

    async def told() -> bool:
        part = (await hub.get("/api/v1/health"))["parts"]["recorder"]
        return not part["ok"] and part["code"] == "WL-STO-007"

    await until(told, ALERT_LIMIT_S, "health tells that the disk is full")
    assert (await hub.ask("GET", "/readyz", login=False)).status == 503
    assert (await hub.ask("GET", "/healthz", login=False)).status == 200


async def assert_it_resumes(hub: HubProcess, meter: Meter, ledger: Ledger) -> None:
    """Space is back: the next write within ten seconds is stored, and health is well again."""

    async def check() -> bool:
        ts_ms, values, rows = meter.look()
        ledger.note_sent(rows)
        reply = await hub.ingest({"device": meter.device, "ts": ts_ms, "values": values})
        if reply.status == 204:
            ledger.note_acked(rows)
        return reply.status == 204

    await until(check, RESUME_LIMIT_S, "writes are taken again", step_s=0.1)

    async def well() -> bool:
        return bool((await hub.get("/api/v1/health"))["parts"]["recorder"]["ok"])

    await until(well, RESUME_LIMIT_S, "health is well again", step_s=0.1)


@contextlib.asynccontextmanager
async def hub_with_a_broker(folder: Path, data: Path) -> AsyncIterator[tuple[HubProcess, Mosquitto]]:
    """A hub on ``data`` that listens to a broker on another disk."""
    (folder / "broker").mkdir()
    broker = Mosquitto(folder / "broker").start()
    hub = HubProcess(folder, quiet_config(mqtt_entry(broker.url, "hub")), data=data)
    try:
        await hub.start()

        async def subscribed() -> bool:
            return "hub 1 chaos/+" in broker.log

        await until(subscribed, 20, "the hub has subscribed")
        yield hub, broker
    finally:
        await hub.close()
        broker.stop()


@pytest.mark.timeout(300)
async def test_a_full_disk_refuses_writes_keeps_reads_and_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24) as disk:
        async with hub_with_a_broker(tmp_path, disk) as (hub, broker):
            ledger = Ledger(tmp_path / "ledger.txt")
            plain = Meter("plain")
            mqtt = MqttLoad(broker.port, ledger, 100.0, [Meter("mqtt-0"), Meter("mqtt-1")], 2)
            http = HttpLoad(hub, ledger, 100.0, [Meter("json-0")], per_batch=4)

            async def some_stored() -> bool:
                latest = (await hub.get("/api/v1/latest"))["items"]
                return {item["series"] for item in latest} >= {"json-0.power", "mqtt-0.power", "mqtt-1.power"}

            async with under_load(mqtt, http):
                await until(some_stored, 20, "readings are stored")
                ballast = fill(disk)
                await assert_it_reads_and_says_why(hub, await refused(hub, plain, ledger))
                mark = hub.log_mark()

                async def refused_often() -> bool:
                    return http.statuses.get(507, 0) > 10

                await until(refused_often, 20, "the disk stays full for a while")
                assert len(hub.log_since(mark)) < 20, "the log must not repeat itself"
                ballast.unlink()
                await assert_it_resumes(hub, plain, ledger)

            async def all_there() -> bool:
                return not mqtt.unacked and ledger.judge(store.stored_rows(hub.database_path)).clean

            await until(all_there, 30, "what the broker kept is stored", step_s=0.3)
            mqtt.close()
            assert set(http.statuses) <= {204, 507}
            code, _ = await hub.stop()
            assert code == 0
            assert store.damage(hub.database_path) == "ok"
            assert store.not_derived(hub.database_path) == []
            assert ledger.judge(store.stored_rows(hub.database_path)).clean
            ledger.close()


@pytest.mark.timeout(300)
async def test_a_hub_that_was_killed_on_a_full_disk_starts_and_works_when_there_is_room(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk", 24) as disk:
        hub = HubProcess(tmp_path, quiet_config(), data=disk)
        try:
            await hub.start()
            ledger, meter = Ledger(), Meter("plain")
            ballast = fill(disk)
            assert (await refused(hub, meter, ledger)).status == 507
            hub.kill()
            ballast.unlink()
            await hub.start()
            await assert_it_resumes(hub, meter, ledger)
            assert ledger.judge(store.stored_rows(hub.database_path)).clean
        finally:
            await hub.close()


async def test_a_limit_on_file_sizes_is_taken_as_a_full_disk(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path, quiet_config())
    try:
        await hub.start()
        assert hub.process is not None
        ledger, meter = Ledger(), Meter("plain")
        ts_ms, values, rows = meter.look()
        assert (await hub.ingest({"device": "plain", "ts": ts_ms, "values": values})).status == 204
        ledger.note_sent(rows)
        ledger.note_acked(rows)
        size = os.stat(f"{hub.database_path}-wal").st_size
        unlimited = resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE, (size, unlimited[1]))
        await assert_it_reads_and_says_why(hub, await refused(hub, meter, ledger))
        resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE, unlimited)
        await assert_it_resumes(hub, meter, ledger)
        assert ledger.judge(store.stored_rows(hub.database_path)).clean
    finally:
        await hub.close()
