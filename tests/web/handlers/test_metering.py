"""Metering points through the API: swaps keep one continuous series, people read meters, limits of series change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from hub.actors.device_requests import Declare
from hub.actors.processing import WorkNow
from hub.actors.recorder import StoreReadings
from hub.model.device import DeviceInfo
from hub.model.reading import ReadingBatch
from hub.model.series import known_series
from hub.runtime.actor import request
from tests.web.conftest import Answer, House

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


async def store(
    house: House, device: str, rows: Sequence[tuple[int, float]], key: str = "energy_import"
) -> None:
    """Register readings of a device in stored units."""
    numbers = await request(
        house.hub.device, Declare(DeviceInfo(device), (known_series(key),), "test", "test")
    )
    batch = ReadingBatch("test", house.hub.clock.now_ms(), imported=True)
    for ts_ms, value in rows:
        assert numbers[0] is not None
        batch.series.append(numbers[0])
        batch.ts_ms.append(ts_ms)
        batch.values.append(value)
        batch.item.append(0)
    await request(house.hub.recorder, StoreReadings(batch))
    await derived(house)


async def derived(house: House) -> None:
    """Wait until everything followed."""
    await house.hub.wait_idle()
    await request(house.hub.processing, WorkNow(), timeout_s=60)


def today(house: House) -> int:
    """An hour that began a while ago."""
    return house.hub.clock.now_ms() // HOUR_MS * HOUR_MS


async def put(house: House, path: str, **body: Any) -> Answer:
    """A write by a manager that succeeds."""
    answer = await house.post(f"/api/v1/{path}", by="manager", json=body)
    assert answer.status in (200, 201), answer.body
    await derived(house)
    return answer


def dated(from_ms: int, to_ms: int | None = None, **more: float) -> dict[str, Any]:
    """Fields of an installation."""
    return {"from": from_ms, "to": to_ms, **more}


async def total(house: House, point: str, start_ms: int, end_ms: int) -> dict[str, float]:
    """Energy of a point in a range."""
    path = f"/api/v1/metering-points/{point}/history?start={start_ms}&end={end_ms}&resolution=1d"
    answer = await house.get(path)
    assert answer.status == 200, answer.body
    found: dict[str, float] = answer.json["total"]
    return found


async def test_a_replaced_device_leaves_one_continuous_point(house: House) -> None:
    at = today(house) - 48 * HOUR_MS + 7 * 60_000  # not on the border of a slot
    await store(house, "old", [(at - hour * HOUR_MS - 1000, 500_000.0 - hour * 800) for hour in range(24)])
    await store(house, "new", [(at + hour * HOUR_MS + 1000, 3.0 + hour * 700) for hour in range(24)])

    made = await put(
        house,
        "devices/old/replace",
        device="new",
        at=at,
        metering_point="house",
        registers=[{"key": "energy_import", "closing": 500_100.5, "opening": 1.25}],
    )

    first, second = made.json["installations"]
    assert made.json["id"] == "house"
    assert (first["series"], first["to"], first["closing"]) == ("old.energy_import", at, 500_100.5)
    assert (second["series"], second["from"], second["opening"]) == ("new.energy_import", at, 1.25)
    figures = await total(house, "house", at - 30 * HOUR_MS, at + 30 * HOUR_MS)
    old_wh, new_wh = 500_100.5 - (500_000.0 - 23 * 800), 3.0 + 23 * 700 - 1.25
    assert figures == {"house.import": old_wh + new_wh}
    parts = await total(house, "house", at - 30 * HOUR_MS, at - 7 * 60_000)
    rest = await total(house, "house", at - 7 * 60_000, at + 30 * HOUR_MS)
    assert parts["house.import"] + rest["house.import"] == pytest.approx(old_wh + new_wh)


async def test_a_meter_swapped_behind_its_series_counts_by_closing_and_opening(house: House) -> None:
    at = today(house) - 48 * HOUR_MS + 420_000
    rows = [(at - hour * HOUR_MS - 1000, 500_000.0 - hour * 800) for hour in range(24)]
    rows += [(at + hour * HOUR_MS + 1000, 3.0 + hour * 700) for hour in range(24)]
    await store(house, "meter", rows)

    made = await put(
        house, "devices/meter/replace", at=at,
        registers=[{"key": "energy_import", "closing": 500.1005, "opening": 0.00125}], unit="kWh",
    )  # fmt: skip

    span = f"start={at - 30 * HOUR_MS}&end={at + 30 * HOUR_MS}"
    answer = await house.get(
        f"/api/v1/history?series=meter.energy_import&{span}&resolution=1h&columns=energy,quality"
    )
    columns = answer.json["series"]["meter.energy_import"]
    expected_wh = 500_100.5 - (500_000.0 - 23 * 800) + 3.0 + 23 * 700 - 1.25
    assert made.json["id"] == "meter"
    assert sum(value for value in columns["energy"] if value is not None) == pytest.approx(expected_wh)
    marks = [mark for one in columns["quality"] for mark in (one or {}).get("flags", [])]
    assert marks.count("swapped") == 1
    assert "reset" not in marks
    assert await total(house, "meter", at - 30 * HOUR_MS, at + 30 * HOUR_MS) == {"meter.import": expected_wh}


async def test_a_swap_that_was_entered_wrongly_can_be_put_right(house: House) -> None:
    at = today(house) - 48 * HOUR_MS
    await store(house, "meter", [(at + hour * HOUR_MS, 1000.0 * hour) for hour in range(24)])
    await put(house, "metering-points", id="p", name="P")
    body = {"metering_point": "p", "series": "meter.energy_import"}
    first = await put(
        house,
        "installations",
        **body,
        **{"from": at, "opening": 0, "to": at + 10 * HOUR_MS, "closing": 12_000},
    )
    assert await total(house, "p", at, at + DAY_MS) == {"p.import": 12_000.0}

    path = f"/api/v1/installations/{first.json['id']}"
    changed = await house.call("PATCH", path, by="manager", json={"closing": 10_000})
    await derived(house)
    assert changed.json["closing"] == 10_000
    assert await total(house, "p", at, at + DAY_MS) == {"p.import": 10_000.0}
    gone = await house.call("DELETE", path, by="manager")
    await derived(house)
    assert gone.status == 204
    assert await total(house, "p", at, at + DAY_MS) == {}
    answer = await house.get(
        f"/api/v1/history?series=meter.energy_import&start={at}&end={at + DAY_MS}&resolution=1h&columns=energy"
    )
    assert answer.json["series"]["meter.energy_import"]["energy"][:23] == [1000.0] * 23


async def test_gas_becomes_energy_by_the_calorific_value_of_its_time(house: House) -> None:
    at = today(house) - 48 * HOUR_MS
    await store(
        house, "boiler", [(at + hour * HOUR_MS, 100.0 + 0.25 * hour) for hour in range(25)], key="gas"
    )
    await put(house, "metering-points", id="gas", name="Gas", kind="gas")
    body = {"metering_point": "gas", "series": "boiler.gas"}
    middle = at + 12 * HOUR_MS + 60_000
    await put(
        house,
        "installations",
        **body,
        **{"from": at, "to": middle, "calorific_value": 11.2345, "state_number": 0.9512},
    )
    await put(
        house, "installations", **body, **{"from": middle, "calorific_value": 10.9, "state_number": 0.9512}
    )

    figures = await total(house, "gas", at, at + 25 * HOUR_MS)

    before_m3 = 3.0 + 0.25 / 60
    kwh = before_m3 * 11.2345 * 0.9512 + (6.0 - before_m3) * 10.9 * 0.9512
    assert figures["gas.import"] == pytest.approx(kwh * 1000, abs=0.05)


async def test_a_register_is_at_one_point_at_a_time(house: House) -> None:
    at = today(house) - 48 * HOUR_MS
    await store(house, "meter", [(at, 1.0)])
    await put(house, "metering-points", id="p", name="P")
    await put(house, "metering-points", id="q", name="Q")
    body = {"series": "meter.energy_import", "from": at}
    await put(house, "installations", metering_point="p", **body)

    again = await house.post("/api/v1/installations", by="manager", json={"metering_point": "q", **body})

    assert (again.status, again.code, again.json["field"]) == (422, "WL-MET-003", "from")
    assert len((await house.get("/api/v1/installations")).json["items"]) == 1
    assert (await house.get("/api/v1/installations?metering_point=q")).json["items"] == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"to": 1_600_000_000_000}, "to"),
        ({"factor": 0}, "factor"),
        ({"factor": 1e9}, "factor"),
        ({"closing": 5.0}, "closing"),
        ({"to": 1_700_003_600_000, "opening": 9.0, "closing": 5.0}, "closing"),
        ({"calorific_value": 11.0}, "calorific_value"),
        ({"unit": "V", "opening": 1.0}, None),
        ({"series": "meter.power"}, "series"),
    ],
)
async def test_installations_that_do_not_fit_are_refused(
    house: House, wrong: dict[str, Any], field: str | None
) -> None:
    await store(house, "meter", [(today(house), 1.0)])
    await store(house, "meter", [(today(house), 1.0)], key="power")
    await put(house, "metering-points", id="p", name="P")
    body = {"metering_point": "p", "series": "meter.energy_import", "from": 1_700_000_000_000, **wrong}

    answer = await house.post("/api/v1/installations", by="manager", json=body)

    assert answer.status == 422
    assert field is None or answer.json["field"] == field


async def test_points_are_made_changed_and_removed(house: House) -> None:
    made = await put(house, "metering-points", name="Main grid", code="DE001")
    assert (made.json["id"], made.json["kind"], made.json["installations"]) == (
        "main-grid",
        "electricity",
        [],
    )
    again = await house.post("/api/v1/metering-points", by="manager", json={"id": "main-grid"})
    assert again.code == "WL-MET-001"
    patched = await house.call(
        "PATCH", "/api/v1/metering-points/main-grid", by="manager", json={"name": "Grid"}
    )
    assert patched.json["name"] == "Grid"
    assert [one["id"] for one in (await house.get("/api/v1/metering-points")).json["items"]] == ["main-grid"]
    assert (await house.call("DELETE", "/api/v1/metering-points/main-grid", by="operator")).status == 403
    assert (await house.call("DELETE", "/api/v1/metering-points/main-grid", by="manager")).status == 204
    assert (await house.get("/api/v1/metering-points/main-grid")).status == 404
    assert (await house.get("/api/v1/metering-points/main-grid/history")).status == 404


async def test_a_meter_that_a_person_reads_once_a_month(house: House) -> None:
    await put(house, "metering-points", id="cellar", name="Cellar", kind="electricity")
    now_ms = today(house)
    readings = [{"ts": now_ms - (700 - 30 * n) * DAY_MS, "value": 1000.0 + 250.5 * n} for n in range(20)]

    stored = await put(house, "metering-points/cellar/readings", readings=readings)

    assert stored.json == {"accepted": 20, "duplicates": 0, "rejections": []}
    start_ms, end_ms = now_ms - 700 * DAY_MS, now_ms
    assert await total(house, "cellar", start_ms, end_ms) == {"cellar.import": 19 * 250_500.0}
    series = "cellar.energy_import"
    answer = await house.get(
        f"/api/v1/history?series={series}&start={start_ms + 40 * DAY_MS}&end={start_ms + 400 * DAY_MS}"
        "&resolution=1d&columns=energy,quality"
    )
    assert {one["estimated"] for one in answer.json["series"][series]["quality"][1:-1]} == {
        1.0
    }  # however regularly somebody reads, what lies between is spread
    again = await put(house, "metering-points/cellar/readings", readings=readings[:1])
    assert again.json["duplicates"] == 1
    other = [{"ts": readings[0]["ts"], "value": 7.0}]
    refused = await house.post(
        "/api/v1/metering-points/cellar/readings", by="manager", json={"readings": other}
    )
    assert (refused.status, refused.code) == (422, "WL-MET-005")
    partly = await house.post(
        f"/api/v1/series/{series}/manual-readings",
        by="manager",
        json={"readings": [*other, {"ts": now_ms - DAY_MS, "value": 9000.0}]},
    )
    assert (partly.status, partly.json["accepted"]) == (207, 1)
    future = [{"ts": now_ms + 2 * DAY_MS, "value": 7.0}]
    late = await house.post(f"/api/v1/series/{series}/manual-readings", json={"readings": future})
    assert (late.status, late.json["field"]) == (422, "readings[0]")


async def test_limits_of_a_series_change_its_figures(house: House) -> None:
    at = today(house) - 10 * HOUR_MS
    await store(house, "meter", [(at + minute * 60_000, 100.0 * minute) for minute in range(300)])
    span = f"start={at}&end={at + 4 * HOUR_MS}"
    history = f"/api/v1/history?series=meter.energy_import&{span}&resolution=1h&columns=energy"
    before = (await house.get(history)).json["series"]["meter.energy_import"]["energy"]

    patched = await house.call(
        "PATCH",
        "/api/v1/series/meter.energy_import",
        by="manager",
        json={"physical_limit": 50, "name": "Slow"},
    )
    await derived(house)
    limited = (await house.get(history)).json["series"]["meter.energy_import"]["energy"]
    await house.call(
        "PATCH", "/api/v1/series/meter.energy_import", by="manager", json={"physical_limit": None}
    )
    await derived(house)

    assert (patched.json["physical_limit"], patched.json["name"]) == (50, "Slow")
    assert before == [6000.0] * 4
    assert limited != before
    assert (await house.get(history)).json["series"]["meter.energy_import"]["energy"] == before
    wrong = await house.call("PATCH", "/api/v1/series/meter.energy_import", json={"resolution": -1})
    assert (wrong.status, wrong.json["field"]) == (422, "resolution")
    assert (await house.call("PATCH", "/api/v1/series/no.such", json={"name": "x"})).status == 404


async def test_a_reading_that_was_kept_aside_can_be_imported(house: House) -> None:
    read_ms = house.hub.clock.now_ms() - 500 * DAY_MS
    sent = {"device": "m", "ts": read_ms, "values": {"energy": 12.5}}
    await house.post("/api/v1/ingest", json=sent)
    (kept,) = (await house.get("/api/v1/quarantine")).json["items"]

    imported = await put(house, f"quarantine/{kept['id']}/import")

    assert imported.json["accepted"] == 1
    assert (await house.get("/api/v1/quarantine")).json["items"] == []
    readings = await house.get(f"/api/v1/series/m.energy/readings?start={read_ms - 1}")
    assert readings.json["value"] == [12_500.0]
    assert (await house.post(f"/api/v1/quarantine/{kept['id']}/import")).status == 404


async def test_a_gateway_of_electricity_and_gas_is_replaced_at_a_point_for_each(house: House) -> None:
    at = today(house) - 24 * HOUR_MS
    for key, step in (("energy_import", 800.0), ("energy_export", 100.0), ("gas", 0.5)):
        rows = [(at + hour * HOUR_MS, hour * step + 1000 * step) for hour in range(-10, 0)]
        await store(house, "p1", rows, key=key)
    await house.call("PATCH", "/api/v1/devices/p1", by="manager", json={"role": "grid", "area": "cellar"})

    made = await put(house, "devices/p1/replace", device="p1-new", at=at)
    for key, step in (("energy_import", 800.0), ("energy_export", 100.0), ("gas", 0.5)):
        await store(house, "p1-new", [(at + hour * HOUR_MS, hour * step) for hour in range(10)], key=key)

    assert made.json["id"] == "p1"
    assert [one["id"] for one in (await house.get("/api/v1/metering-points")).json["items"]] == [
        "p1",
        "p1-gas",
    ]
    new = (await house.get("/api/v1/devices/p1-new")).json
    assert (new["role"], new["area"]) == ("grid", "cellar")
    span = (at - 12 * HOUR_MS, at + 12 * HOUR_MS)
    assert await total(house, "p1", *span) == {"p1.import": 18 * 800.0, "p1.export": 18 * 100.0}
    assert await total(house, "p1-gas", *span) == {"p1-gas.import": 9.0}
    again = await house.post("/api/v1/devices/p1/replace", by="manager", json={"device": "third", "at": at})
    assert (again.status, again.code) == (422, "WL-MET-003")
    missing = await house.post("/api/v1/devices/no/replace", by="manager", json={"device": "third"})
    assert missing.status == 404
    later = {"device": "third", "at": house.hub.clock.now_ms() + DAY_MS}
    assert (await house.post("/api/v1/devices/p1-new/replace", by="manager", json=later)).code == "WL-MET-004"


async def test_a_point_follows_late_readings_and_corrections(house: House) -> None:
    at = today(house) - 24 * HOUR_MS
    await store(house, "old", [(at + hour * HOUR_MS, 1000.0 * hour) for hour in range(10) if hour != 5])
    await put(house, "metering-points", id="p", name="P")
    body = {"metering_point": "p", "series": "old.energy_import", "factor": 40}
    await put(house, "installations", **body, **dated(at, at + 9 * HOUR_MS, opening=0, closing=9100))
    assert await total(house, "p", at, at + DAY_MS) == {"p.import": 40 * 9100.0}

    await store(house, "old", [(at + 5 * HOUR_MS, 4200.0)])
    six = await total(house, "p", at, at + 5 * HOUR_MS)
    made = await put(
        house, "corrections", series="old.energy_import", action="value", start=at + 5 * HOUR_MS, value=4500,
        reason="misread",
    )  # fmt: skip
    corrected = await total(house, "p", at, at + 5 * HOUR_MS)
    await house.call("DELETE", f"/api/v1/corrections/{made.json['id']}", by="manager")
    await derived(house)

    assert (six["p.import"], corrected["p.import"]) == (40 * 4200.0, 40 * 4500.0)
    assert await total(house, "p", at, at + 5 * HOUR_MS) == six
    assert await total(house, "p", at, at + DAY_MS) == {"p.import": 40 * 9100.0}
