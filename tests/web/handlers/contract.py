"""The contract of the design text, and a March of energy that can be checked by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.hub.energy.tariffs import CONTRACT
from tests.web.conftest import Answer, House

PARIS = ZoneInfo("Europe/Paris")
QUARTER_MS = 900_000


def local_ms(text: str) -> int:
    """Site-local ISO time → epoch milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp() * 1000)


MARCH = (local_ms("2026-03-01"), local_ms("2026-04-01"))


def counters(
    start_ms: int,
    end_ms: int,
    *,
    import_kwh: float = 0.25,
    export_kwh: float = 0.1,
    origin_ms: int | None = None,
) -> list[dict[str, Any]]:
    """A grid meter every quarter hour; both registers rise evenly from ``origin_ms`` on."""
    first_ms = start_ms if origin_ms is None else origin_ms
    return [
        {
            "device": "main-meter",
            "ts": ts_ms,
            "values": {
                "energy_import": round((ts_ms - first_ms) / QUARTER_MS * import_kwh, 6),
                "energy_export": round((ts_ms - first_ms) / QUARTER_MS * export_kwh, 6),
            },
        }
        for ts_ms in range(start_ms, end_ms + 1, QUARTER_MS)
    ]


async def send(house: House, items: list[dict[str, Any]]) -> None:
    """Ingest by HTTP and wait until everything is derived."""
    for first in range(0, len(items), 1_000):
        answer = await house.post("/api/v1/ingest", by="ingest", json=items[first : first + 1_000])
        assert answer.status == 204, answer.body
    await house.hub.wait_idle()


async def meter_of(house: House, items: list[dict[str, Any]]) -> None:
    """A grid meter with these readings."""
    await send(house, items)
    answer = await house.call("PATCH", "/api/v1/devices/main-meter", json={"role": "grid"})
    assert answer.status == 200, answer.body


async def spot(house: House, start_ms: int, end_ms: int, price: str = "0.1000") -> Answer:
    """One price for a whole time."""
    rows = [{"start": start_ms, "end": end_ms, "price": price}]
    answer = await house.post("/api/v1/prices/spot", json=rows)
    assert answer.status == 200, answer.body
    return answer


async def tariff(house: House, body: dict[str, Any] | None = None) -> Answer:
    """Store a tariff, the contract where none is given."""
    answer = await house.post("/api/v1/tariffs", json=CONTRACT if body is None else body)
    assert answer.status == 201, answer.body
    return answer


async def bill(house: House, start: str = "2026-03-01", end: str = "2026-04-01", **more: Any) -> Answer:
    """The bill of the grid connection."""
    answer = await house.get(f"/api/v1/bills?metering_point=grid&start={start}&end={end}", **more)
    assert answer.status == 200, answer.body
    return answer


def amounts(answer: Answer) -> list[tuple[str, str]]:
    """Component and amount of each line."""
    return [(line["component"], line["amount"]) for line in answer.json["lines"]]
