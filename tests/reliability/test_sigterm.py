"""A stop in the middle of the rush: quick, orderly, and nothing that was acknowledged is missing."""

from __future__ import annotations

from pathlib import Path

from tests.chaos import store
from tests.chaos.deadline import on_this_machine, until
from tests.chaos.hub_process import HubProcess, quiet_config, running_hub
from tests.chaos.kill9 import bench
from tests.chaos.loads import under_load
from tests.peers.mosquitto import require_mosquitto

STOP_LIMIT_S = 5.0


async def test_sigterm_under_load_ends_in_order_and_keeps_everything(tmp_path: Path) -> None:
    require_mosquitto()
    async with bench(tmp_path, 600.0) as made:
        hub = made.hub

        async def plenty() -> bool:
            return len(made.ledger.acked) > 800

        async with under_load(made.mqtt, *made.http):
            await until(plenty, 20, "readings are acknowledged")
            code, took_s = await hub.stop()
            derived = store.not_derived(hub.database_path)
            acked_by_http = {
                key for key in made.ledger.acked if key[0].startswith(("json-", "line-"))
            }  # at the latest now; MQTT waits in the broker
            stored = {
                (name, ts) for name, rows in store.stored_rows(hub.database_path).items() for ts, _ in rows
            }
            await hub.start()
        assert (code, derived) == (0, [])
        assert took_s <= on_this_machine(STOP_LIMIT_S)
        assert acked_by_http <= stored
        assert not (hub.data / "run.json").stat().st_mode & 0o077

        async def all_there() -> bool:
            return not made.mqtt.unacked and made.ledger.judge(store.stored_rows(hub.database_path)).clean

        await until(all_there, 30, "the broker's backlog is stored", step_s=0.3)
        assert store.damage(hub.database_path) == "ok"
        log = hub.log.lower()
        assert "traceback" not in log
        assert "had to be cancelled" not in log


async def test_a_hub_without_anything_to_do_stops_at_once_and_takes_its_run_file_away(tmp_path: Path) -> None:
    async with running_hub(tmp_path, quiet_config()) as hub:
        assert (hub.data / "run.json").exists()
        code, took_s = await hub.stop()
        assert code == 0
        assert took_s < on_this_machine(STOP_LIMIT_S)
        assert not (hub.data / "run.json").exists()


async def test_a_client_that_never_reads_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    async with running_hub(tmp_path, quiet_config()) as hub:
        assert hub.session is not None
        socket = await hub.session.ws_connect(f"{hub.url}/api/websocket")
        await socket.receive_json()
        code, took_s = await hub.stop()
        await socket.close()
        assert code == 0
        assert took_s <= on_this_machine(STOP_LIMIT_S)


async def test_a_second_hub_on_the_same_data_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with running_hub(tmp_path, quiet_config()) as hub:
        second = HubProcess(tmp_path / "second", quiet_config(), data=hub.data)
        second.spawn()
        assert second.process is not None
        assert hub.process is not None

        async def ended() -> bool:
            return not second.running

        await until(ended, 30, "the second hub ends")
        assert second.process.returncode == 1
        assert "WL-STO-002" in second.log
        assert f"another hub (pid {hub.process.pid})" in second.log
        assert "Traceback" not in second.log
        assert (await hub.ingest({"device": "meter", "values": {"power": 1}})).status == 204
        await hub.stop()
        second.spawn()  # the lock is free again
        await second.ready()
        await second.close()


async def test_a_port_that_is_taken_is_said_and_ends_the_hub(tmp_path: Path) -> None:
    async with running_hub(tmp_path, quiet_config()) as hub:
        second = HubProcess(tmp_path / "second", quiet_config(), port=hub.port)
        second.spawn()
        assert second.process is not None

        async def ended() -> bool:
            return not second.running

        await until(ended, 30, "the second hub ends")
        assert second.process.returncode == 1
        assert "WL-WEB-001" in second.log
        assert "Traceback" not in second.log
