"""PostgreSQL that crashes and comes back: senders are told to wait, nothing is lost, nothing breaks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos.deadline import on_this_machine, until
from tests.chaos.hub_process import HubProcess, quiet_config, running_hub
from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.loads import HttpLoad, Meter, under_load
from tests.peers.postgres import PostgresServer

RESTARTS = 3
LINES_PER_OUTAGE = 20


async def judged(hub: HubProcess, ledger: Ledger) -> Verdict:
    """The verdict over what the API gives back."""
    stored: dict[str, list[tuple[int, float]]] = {}
    for item in (await hub.get("/api/v1/series?limit=1000"))["items"]:
        name = item["id"]
        found = await hub.get(f"/api/v1/series/{name}/readings?start=0&end=3000000000000&limit=100000")
        stored[name] = list(zip(found["ts"], found["value"], strict=True))
    return ledger.judge(stored)


@pytest.mark.timeout(300)
async def test_a_crash_of_the_server_makes_senders_wait_and_loses_nothing(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    config = quiet_config(more=f"storage: {{url: '{postgres_url}'}}")
    async with running_hub(tmp_path, config) as hub:
        ledger = Ledger()
        http = [
            HttpLoad(hub, ledger, 200.0, [Meter(f"json-{number}")], per_batch=10, lines=number == 1)
            for number in range(3)
        ]

        async def more(than: int) -> bool:
            return len(ledger.acked) > than

        async with under_load(*http):
            for _ in range(RESTARTS):
                begun = len(ledger.acked)
                await until(lambda begun=begun: more(begun + 200), 40, "readings are stored")  # type: ignore[misc]
                mark = hub.log_mark()
                await asyncio.to_thread(postgres_server.stop, "immediate")
                waited = sum(one.statuses.get(503, 0) for one in http)

                async def refused(waited: int = waited) -> bool:
                    return sum(one.statuses.get(503, 0) for one in http) > waited

                await until(refused, 20, "senders are told to wait")
                assert (await hub.ask("GET", "/healthz", login=False)).status == 200
                assert not (await hub.get("/api/v1/health"))["parts"]["recorder"]["ok"]
                await asyncio.to_thread(postgres_server.start)
                begun = len(ledger.acked)
                await until(lambda begun=begun: more(begun + 100), 40, "readings are stored again")  # type: ignore[misc]
                assert len(hub.log_since(mark)) <= LINES_PER_OUTAGE
        verdict = await judged(hub, ledger)
        assert verdict.clean, str(verdict)
        assert {status for one in http for status in one.statuses} <= {204, 503}
        assert "Traceback" not in hub.log
        code, took_s = await hub.stop()
        assert code == 0
        assert took_s < on_this_machine(6.0)


@pytest.mark.timeout(300)
async def test_a_stop_while_the_server_is_away_is_still_orderly(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    config = quiet_config(more=f"storage: {{url: '{postgres_url}'}}")
    async with running_hub(tmp_path, config) as hub:
        assert (await hub.ingest({"device": "meter", "values": {"power": 1}})).status == 204
        await asyncio.to_thread(postgres_server.stop, "immediate")
        try:
            reply = await hub.ingest({"device": "meter", "values": {"power": 2}})
            assert reply.status == 503
            assert reply.headers["Retry-After"]
            assert reply.json()["code"] == "WL-STO-009"
            code, took_s = await hub.stop()
        finally:
            await asyncio.to_thread(postgres_server.start)
        assert code == 0
        assert took_s < on_this_machine(6.0)
        await hub.start()
        assert (await hub.ingest({"device": "meter", "values": {"power": 3}})).status == 204
