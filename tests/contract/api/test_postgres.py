"""The same hub on a real PostgreSQL: ingest, history, restart, rebuild."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.chaos.hub_process import HubProcess
from tests.contract.api.client import Api, eventually, now_ms
from tests.contract.api.conftest import begin, end
from tests.contract.api.test_configuration import wattline
from tests.peers.postgres import postgres_server, postgres_url  # noqa: F401

SLOT_MS = 900_000


@pytest.fixture
def hub(tmp_path: Any, postgres_url: str) -> Iterator[HubProcess]:  # noqa: F811
    """A hub whose store is a database of its own."""
    text = (
        "hub: {name: Contract, time_zone: Europe/Paris, currency: EUR}\n"
        f'mqtt_broker: {{mode: "off"}}\nstorage: {{url: "{postgres_url}"}}\n'
    )
    process = HubProcess(tmp_path, text)
    try:
        begin(process)
        yield process
    finally:
        end(process)


def test_what_was_stored_is_derived_kept_and_derived_again(hub: HubProcess) -> None:
    api = Api(hub.port, hub.token)
    start_ms = (now_ms() // SLOT_MS - 12) * SLOT_MS
    items = [
        {"device": "meter", "ts": start_ms + n * 60_000, "values": {"energy": n / 60, "power": 1000}}
        for n in range(121)
    ]
    assert api.send(items).status == 204
    assert api.send(items).status == 204
    conflict = {"device": "meter", "ts": start_ms, "values": {"power": 5}}
    assert api.send(conflict).status in {207, 422}

    def figures(client: Api) -> dict[str, Any]:
        return client.history(
            "meter.energy,meter.power", start=start_ms, end=start_ms + 8 * SLOT_MS, resolution="15m",
            columns="energy,mean,quality",
        )  # fmt: skip

    def whole(client: Api) -> Any:
        found = figures(client)
        energies = [found["series"][name]["energy"] for name in ("meter.energy", "meter.power")]
        return found if energies == [[250.0] * 8] * 2 else None

    before = eventually(lambda: whole(api), 10.0)
    readings = api.readings("meter.energy", start=start_ms, end=now_ms())
    assert len(readings) == 121
    assert end(hub) == 0
    again = begin(hub)
    assert figures(again) == before
    assert again.readings("meter.energy", start=start_ms, end=now_ms()) == readings
    again.stored("meter", now_ms(), power=7)
    assert again.latest("meter.power")["value"] == 7.0  # type: ignore[index]
    assert again.ask("POST", "/api/v1/derived/rebuild", data={}).status < 300
    eventually(lambda: figures(again) == before, 10.0)
    checked = again.ask("POST", "/api/v1/derived/check/meter.energy").json
    assert checked["different"] == 0
    assert again.ask("POST", "/api/v1/storage/check").json["problems"] == []
    code, out, err = wattline("db", "stats", "--json", "--config", hub.config, "--data", hub.data)
    assert code == 0, out + err
    assert "postgres" in out
