"""Corrections through the API: made, followed by every figure, tried out, taken back; readings stay as they came."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest

from hub.actors.processing import WorkNow
from hub.runtime.actor import request
from tests.web.conftest import House
from tests.web.meter import COUNT, measure

SERIES = "main-meter.energy_import"
HOUR_MS = 3_600_000


async def correct(house: House, **sent: Any) -> Any:
    """Make a correction and wait until everything followed."""
    body = {"series": SERIES, "reason": "the display says so", **sent}
    answer = await house.post("/api/v1/corrections", by="manager", json=body)
    await request(house.hub.processing, WorkNow(), timeout_s=60)
    return answer


async def energy_wh(house: House, start_ms: int) -> list[float]:
    """Hours of the meter."""
    path = f"/api/v1/history?series={SERIES}&start={start_ms}&end={start_ms + (COUNT - 1) * HOUR_MS}"
    answer = await house.get(f"{path}&resolution=1h&columns=energy")
    found: list[float] = answer.json["series"][SERIES]["energy"]
    return found


async def flags(house: House, start_ms: int) -> list[list[str]]:
    """Flags of each hour."""
    path = f"/api/v1/history?series={SERIES}&start={start_ms}&end={start_ms + (COUNT - 1) * HOUR_MS}"
    answer = await house.get(f"{path}&resolution=1h&columns=quality")
    return [one.get("flags", []) for one in answer.json["series"][SERIES]["quality"]]


async def test_a_corrected_value_moves_energy_and_undo_brings_the_old_figures_back(house: House) -> None:
    start_ms = await measure(house)
    before = await energy_wh(house, start_ms)
    at = start_ms + 10 * HOUR_MS

    made = await correct(house, action="value", start=at, value=10_400.0)
    after = await energy_wh(house, start_ms)

    assert made.status == 201
    assert before == [1000.0] * (COUNT - 1)
    assert (after[9], after[10]) == (1400.0, 600.0)
    assert sum(after) == sum(before)
    marked = await flags(house, start_ms)
    assert ["corrected" in one for one in marked] == [hour in (9, 10) for hour in range(COUNT - 1)]

    undone = await house.call("DELETE", f"/api/v1/corrections/{made.json['id']}", by="manager")
    await request(house.hub.processing, WorkNow(), timeout_s=60)
    assert undone.status == 200
    assert undone.json["undoes"] == made.json["id"]
    assert await energy_wh(house, start_ms) == before
    assert not any("corrected" in one for one in await flags(house, start_ms))


async def test_readings_stay_as_they_came_and_are_shown_corrected_when_asked(house: House) -> None:
    start_ms = await measure(house)
    path = f"/api/v1/series/{SERIES}/readings?start={start_ms}"
    raw = (await house.get(path)).json

    await correct(house, action="offset", start=start_ms + 20 * HOUR_MS, value=5.0, unit="kWh")

    assert (await house.get(path)).json == raw
    shown = (await house.get(f"{path}&corrected=true")).json
    assert shown["value"][:20] == raw["value"][:20]
    assert shown["value"][20:] == [value + 5000.0 for value in raw["value"][20:]]
    assert (await house.get(f"{path}&corrected=maybe")).status == 400


@pytest.mark.parametrize(
    ("sent", "hours"),
    [
        ({"action": "delete", "start": 5, "end": 6}, {4: 1000.0, 5: 1000.0}),
        (
            {"action": "scale", "start": 0, "end": COUNT, "value": 2.0},
            dict.fromkeys(range(COUNT - 1), 2000.0),
        ),
        ({"action": "reject", "start": 7}, {6: 1000.0, 7: 1000.0}),
        (
            {"action": "replace", "start": 3, "end": 6, "rows": [[4, 4500.0]]},
            {2: 1250.0, 3: 1250.0, 4: 750.0},
        ),
    ],
)
async def test_every_kind_of_correction_acts(
    house: House, sent: dict[str, Any], hours: dict[int, float]
) -> None:
    start_ms = await measure(house)
    body = {name: start_ms + at * HOUR_MS for name, at in sent.items() if name in ("start", "end")}
    body |= {name: value for name, value in sent.items() if name in ("action", "value")}
    if "rows" in sent:
        body["rows"] = [{"ts": start_ms + at * HOUR_MS, "value": value} for at, value in sent["rows"]]

    made = await correct(house, **body)
    found = await energy_wh(house, start_ms)

    assert made.status == 201
    assert {hour: found[hour] for hour in hours} == hours


async def test_a_correction_until_further_notice_takes_readings_that_come_later(house: House) -> None:
    start_ms = await measure(house, count=10)
    await correct(house, action="scale", start=start_ms + 5 * HOUR_MS, value=2.0)
    await measure(house, begin=10)
    await request(house.hub.processing, WorkNow(), timeout_s=60)

    found = await energy_wh(house, start_ms)

    assert found[6:] == [2000.0] * (COUNT - 7)


async def test_the_preview_says_what_will_happen_and_changes_nothing(house: House) -> None:
    start_ms = await measure(house)
    before = await energy_wh(house, start_ms)
    body: dict[str, Any] = {
        "series": SERIES,
        "action": "scale",
        "start": start_ms,
        "end": start_ms + COUNT * HOUR_MS,
        "value": 1.1,
    }

    seen = await house.post("/api/v1/corrections/preview", by="manager", json=body)

    assert seen.status == 200
    total = seen.json["total"]
    assert (total["before"], total["after"]) == (24_000.0, 26_400.0)
    assert total["change"] == pytest.approx(2400.0)
    assert sum(month["after"] for month in seen.json["months"]) == pytest.approx(26_400.0)
    assert seen.json["readings"] == COUNT
    assert await energy_wh(house, start_ms) == before
    assert (await house.get("/api/v1/corrections")).json["items"] == []

    made = await correct(house, **{name: value for name, value in body.items() if name != "series"})
    assert sum(await energy_wh(house, start_ms)) == pytest.approx(total["after"])
    back = await house.post("/api/v1/corrections/preview", by="manager", json={"undo": made.json["id"]})
    assert (back.json["total"]["before"], back.json["total"]["after"]) == (26_400.0, 24_000.0)


async def test_the_list_tells_who_when_why_and_what(house: House) -> None:
    start_ms = await measure(house)
    made = await correct(house, action="value", start=start_ms, value=1.0, reason="read on the display")
    await house.call(
        "DELETE", f"/api/v1/corrections/{made.json['id']}", by="admin", json={"reason": "misread"}
    )

    undo, first = (await house.get("/api/v1/corrections")).json["items"]

    assert (first["action"], first["start"], first["value"], first["reason"]) == (
        "value", start_ms, 1.0, "read on the display",
    )  # fmt: skip
    assert (first["active"], first["undone_by"]) == (False, undo["id"])
    assert (undo["action"], undo["undoes"], undo["reason"]) == ("undo", first["id"], "misread")
    assert None not in (first["user_id"], undo["user_id"])
    assert first["user_id"] != undo["user_id"]
    one = await house.get(f"/api/v1/corrections/{first['id']}")
    assert one.json == first
    trail = (await house.get("/api/v1/audit?limit=50")).json["items"]
    actions = [line["action"] for line in trail if "corrections" in line["action"]]
    assert sorted(actions) == ["DELETE corrections", "POST corrections"]


async def test_of_two_who_undo_at_once_one_is_told(house: House) -> None:
    start_ms = await measure(house)
    made = await correct(house, action="delete", start=start_ms)
    path = f"/api/v1/corrections/{made.json['id']}"

    both = await asyncio.gather(*(house.call("DELETE", path, by=by) for by in ("manager", "admin")))

    assert sorted(answer.status for answer in both) == [200, 409]
    undo_id = next(answer.json["id"] for answer in both if answer.status == 200)
    assert {answer.json.get("code") for answer in both} == {None, "WL-COR-004"}
    assert (await house.call("DELETE", f"/api/v1/corrections/{undo_id}", by="admin")).status == 409
    assert (await house.call("DELETE", "/api/v1/corrections/999", by="admin")).status == 404
    assert (await house.call("DELETE", "/api/v1/corrections/x", by="admin")).status == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"action": "bend"}, "action"),
        ({"action": "value"}, "value"),
        ({"action": "delete", "value": 1.0, "end": 2_000_000_000_000}, "end"),
        ({"action": "replace", "end": 1_700_000_000_001}, "rows"),
        ({"action": "replace"}, "end"),
        ({"action": "offset", "value": 1.0, "end": 1_600_000_000_000}, "end"),
        ({"action": "scale", "value": 0.0}, "value"),
        ({"action": "scale", "value": "2"}, "value"),
        ({"action": "value", "value": 1.0, "start": 10}, "start"),
        ({"action": "value", "value": 1.0, "start": "yesterday"}, "start"),
        ({"action": "value", "value": 1.0, "unit": "V"}, None),
        ({"action": "delete", "reason": ""}, "reason"),
        ({"action": "delete", "foo": 1}, "foo"),
    ],
)
async def test_what_does_not_fit_is_refused_with_its_field(
    house: House, wrong: dict[str, Any], field: str | None
) -> None:
    await measure(house)
    body = {"series": SERIES, "start": 1_700_000_000_000, "reason": "test", **wrong}

    answer = await house.post("/api/v1/corrections", json=body)

    assert answer.status == 422
    assert field is None or answer.json["field"] == field
    assert (await house.get("/api/v1/corrections")).json["items"] == []


async def test_correcting_needs_its_permission(house: House) -> None:
    start_ms = await measure(house)
    body = {"series": SERIES, "action": "delete", "start": start_ms, "reason": "x"}

    assert (await house.post("/api/v1/corrections", by="operator", json=body)).status == 403
    assert (await house.post("/api/v1/corrections", by="viewer", json=body)).status == 403
    assert (await house.get("/api/v1/corrections", by="viewer")).status == 200
    unknown = await house.post("/api/v1/corrections", json={**body, "series": "no.such"})
    assert unknown.status == 404


async def test_a_correction_that_is_sent_twice_acts_once(house: House) -> None:
    start_ms = await measure(house)
    body = {"action": "offset", "start": start_ms + HOUR_MS, "value": 5.0}
    both = await asyncio.gather(*(correct(house, **body) for _ in range(2)))

    assert sorted(answer.status for answer in both) == [201, 409]
    made = next(answer.json["id"] for answer in both if answer.status == 201)
    assert (await house.call("DELETE", f"/api/v1/corrections/{made}", by="manager")).status == 200
    assert (await correct(house, **body)).status == 201


@pytest.mark.parametrize(("day", "hours"), [("2025-03-30", 23), ("2025-10-26", 25), ("2025-03-29", 24)])
async def test_days_are_those_of_the_site(house: House, day: str, hours: int) -> None:
    await measure(house)
    following = str(date.fromisoformat(day) + timedelta(days=1))

    made = await correct(house, action="delete", start=day, end=following)

    assert made.status == 201
    assert made.json["end"] - made.json["start"] == hours * HOUR_MS
