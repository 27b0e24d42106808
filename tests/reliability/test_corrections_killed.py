"""A correction that was acknowledged is followed by every figure, also when the hub is killed right after it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.deadline import until
from tests.chaos.hub_process import HubProcess, quiet_config, running_hub

SERIES = "meter.energy_import"
MINUTES = 600
LIMIT_S = 60.0


async def ask(hub: HubProcess, method: str, path: str, body: Any = None) -> Any:
    """JSON of an answer that is no error."""
    reply = await hub.ask(method, path, json=body)
    assert reply.status < 300, reply.body
    return reply.json() if reply.body else None


async def total_wh(hub: HubProcess, begin_ms: int) -> float:
    """Energy of everything that was measured."""
    end_ms = begin_ms + MINUTES * 60_000
    path = f"/api/v1/history?series={SERIES}&start={begin_ms}&end={end_ms}&resolution=1d&columns=energy"
    answer = await ask(hub, "GET", path)
    return float(sum(value or 0.0 for value in answer["series"][SERIES]["energy"]))


@pytest.mark.timeout(240)
async def test_figures_follow_corrections_and_undos_through_kills(tmp_path: Path) -> None:
    async with running_hub(tmp_path, quiet_config()) as hub:
        begin_ms = int(time.time()) // 900 * 900_000 - 2 * MINUTES * 60_000
        span = {"start": begin_ms, "end": begin_ms + MINUTES * 60_000}
        items = [
            {"device": "meter", "ts": begin_ms + n * 60_000, "values": {"energy_import": 5.0 + n / 100}}
            for n in range(MINUTES)
        ]
        await ask(hub, "POST", "/api/v1/ingest", items)

        async def follows(wanted_wh: float) -> None:
            async def check() -> bool:
                return abs(await total_wh(hub, begin_ms) - wanted_wh) < 0.001

            await until(check, LIMIT_S, f"the figures say {wanted_wh} Wh")

        plain_wh = (MINUTES - 1) * 10.0
        await follows(plain_wh)
        for factor in (2.0, 3.0, 0.5):
            body = {"series": SERIES, "action": "scale", **span, "value": factor, "reason": "a test"}
            made = await ask(hub, "POST", "/api/v1/corrections", body)
            await killed_and_started(hub)
            await follows(plain_wh * factor)
            await ask(hub, "DELETE", f"/api/v1/corrections/{made['id']}")
            await killed_and_started(hub)
            await follows(plain_wh)
        listed = await ask(hub, "GET", "/api/v1/corrections")
        assert len(listed["items"]) == 6
        check = await ask(hub, "POST", f"/api/v1/derived/check/{SERIES}")
        assert check["different"] == 0


async def killed_and_started(hub: HubProcess) -> None:
    """Kill -9, then a start that waits until the hub is ready."""
    hub.kill()
    await hub.start()
