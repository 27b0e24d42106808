"""What ``POST /api/v1/ingest`` promises."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.contract.api.client import Api, eventually, now_ms


def test_latest_has_the_shape_clients_rely_on(api: Api) -> None:
    ts = now_ms()
    api.stored("main-meter", ts, power=1234.5)
    (item,) = api.get("latest", series="main-meter.power")["items"]
    age_s = item.pop("age_s")
    assert item == {
        "series": "main-meter.power", "value": 1234.5, "unit": "W", "ts": ts, "quality": "measured"
    }  # fmt: skip
    assert 0 <= age_s < 30


@pytest.mark.parametrize(
    ("key", "sent", "unit", "value", "kind"),
    [
        ("power", 5, "W", 5, "gauge"),
        ("energy", 5, "Wh", 5000, "counter"),
        ("energy_import", 5.25, "Wh", 5250, "counter"),
        ("energy_export", 5, "Wh", 5000, "counter"),
        ("voltage", 230.5, "V", 230.5, "gauge"),
        ("current", 5, "A", 5, "gauge"),
        ("frequency", 50.01, "Hz", 50.01, "gauge"),
        ("power_factor", 0.9, "", 0.9, "gauge"),
        ("temperature", -5, "°C", -5, "gauge"),
        ("humidity", 55, "%", 55, "gauge"),
        ("soc", 80, "%", 80, "gauge"),
        ("gas", 12.5, "m3", 12.5, "counter"),
        ("water", 12.5, "m3", 12.5, "counter"),
        ("heat", 5, "Wh", 5000, "counter"),
        ("power_l1", 5, "W", 5, "gauge"),
        ("voltage_l2", 231, "V", 231, "gauge"),
        ("energy_import_l3", 5, "Wh", 5000, "counter"),
        ("speed", 5, "", 5, "gauge"),
    ],
)
def test_known_keys_bring_their_meaning(
    api: Api, key: str, sent: float, unit: str, value: float, kind: str
) -> None:
    api.stored("meanings", now_ms(), **{key: sent})
    found = api.latest(f"meanings.{key}")
    assert found is not None
    assert (found["unit"], found["value"]) == (unit, pytest.approx(value))
    assert api.get(f"series/meanings.{key}")["kind"] == kind


def test_units_and_kinds_of_the_item_say_more(api: Api) -> None:
    item = {
        "device": "said", "ts": now_ms(), "values": {"x": 2, "power": 3.5, "y": 4},
        "units": {"x": "kWh", "power": "kW"}, "kinds": {"x": "counter"},
    }  # fmt: skip
    assert api.send(item).status == 204
    x, power, y = (api.latest(f"said.{key}") for key in ("x", "power", "y"))
    assert x
    assert (x["value"], x["unit"]) == (2000, "Wh")
    assert power
    assert (power["value"], power["unit"]) == (3500, "W")
    assert y
    assert y["unit"] == ""
    assert api.get("series/said.x")["kind"] == "counter"


def test_a_unit_of_another_quantity_is_refused(api: Api) -> None:
    item = {"device": "wrong", "ts": now_ms(), "values": {"power": 1}, "units": {"power": "V"}}
    answer = api.send(item)
    assert answer.status == 422, answer.text
    assert api.latest("wrong.power") is None


def test_magnitude_and_iso_times_mean_the_same_moment(api: Api) -> None:
    seconds = now_ms() // 1000 - 60
    iso = datetime.fromtimestamp(seconds, UTC).isoformat()
    plus2 = datetime.fromtimestamp(seconds + 7200, UTC).replace(tzinfo=None).isoformat() + "+02:00"
    for number, ts in enumerate(
        (seconds, seconds * 1000, seconds * 10**6, seconds * 10**9, iso, iso.replace("+00:00", "Z"), plus2)
    ):
        api.stored(f"clock-{number}", ts, power=1)
        assert api.readings(f"clock-{number}.power") == [(seconds * 1000, 1.0)], ts


def test_iso_time_without_offset_is_refused(api: Api) -> None:
    naive = datetime.now(UTC).replace(tzinfo=None).isoformat()
    answer = api.send({"device": "naive", "ts": naive, "values": {"power": 1}})
    assert answer.status == 422
    assert api.latest("naive.power") is None


@pytest.mark.parametrize("ts", [True, -1, "yesterday", [], {}, 1e400, "nan", 0, 10**30])
def test_nonsense_times_are_refused_with_a_code(api: Api, ts: object) -> None:
    written = "1e400" if ts == float("inf") else json.dumps(ts)
    body = f'{{"device": "nonsense", "ts": {written}, "values": {{"power": 1}}}}'
    answer = api.ask("POST", "/api/v1/ingest", body, headers={"Content-Type": "application/json"})
    assert answer.status in {207, 400, 422}, answer.text
    assert "WL-" in answer.text
    assert api.latest("nonsense.power") is None


def test_absent_time_is_the_arrival(api: Api) -> None:
    before = now_ms()
    assert api.send({"device": "arrived", "values": {"power": 1}}).status == 204
    ((ts, _),) = api.readings("arrived.power")
    assert before <= ts <= now_ms()


def test_other_names_are_slugged_and_kept(api: Api) -> None:
    api.stored("Küche / Herd 2", now_ms(), power=7)
    devices = {item["name"]: item["id"] for item in api.get("devices", limit=1000)["items"]}
    slug = devices["Küche / Herd 2"]
    assert slug.isascii()
    assert slug == slug.lower()
    assert slug.strip("-_") == slug
    found = api.latest(f"{slug}.power")
    assert found
    assert found["value"] == 7
    api.stored("Küche / Herd 2", now_ms() + 1, power=8)
    assert len(api.readings(f"{slug}.power")) == 2


@pytest.mark.parametrize("name", [".", "..", "/", "//", "./..", "", "   "])
def test_names_of_dots_and_slashes_alone_are_refused(api: Api, name: str) -> None:
    assert api.send({"device": name, "ts": now_ms(), "values": {"power": 1}}).status in {400, 422}


def test_series_keys_cannot_break_ids(api: Api) -> None:
    answer = api.send({"device": "keys", "ts": now_ms(), "values": {"a/b": 1, "..": 2, "ok": 3}})
    assert answer.status == 207, answer.text
    (refused,) = answer.json["errors"]
    assert refused["stored"] is False
    assert refused["code"].startswith("WL-")
    ids = {item["id"] for item in api.get("series", device="keys")["items"]}
    assert ids == {"keys.a_b", "keys.ok"}


def test_identical_repeat_is_committed_and_stored_once(api: Api) -> None:
    ts = now_ms()
    for _ in range(3):
        api.stored("again", ts, power=5)
    assert api.readings("again.power") == [(ts, 5.0)]


def test_another_value_for_a_key_is_a_conflict_and_the_first_stays(api: Api) -> None:
    ts = now_ms()
    api.stored("conflict", ts, power=5)
    answer = api.send(
        [
            {"device": "conflict", "ts": ts, "values": {"power": 6}},
            {"device": "conflict", "ts": ts + 1, "values": {"power": 7}},
        ]
    )
    assert answer.status == 207, answer.text
    (refused,) = answer.json["errors"]
    assert refused["index"] == 0
    assert refused["stored"] is False
    assert refused["code"].startswith("WL-")
    assert api.readings("conflict.power") == [(ts, 5.0), (ts + 1, 7.0)]


def test_a_conflict_alone_is_no_success(api: Api) -> None:
    ts = now_ms()
    api.stored("conflict-alone", ts, power=5)
    assert api.send({"device": "conflict-alone", "ts": ts, "values": {"power": 6}}).status in {207, 422}


def test_good_items_of_a_mixed_list_are_stored(api: Api) -> None:
    ts = now_ms() - 60_000
    answer = api.send(
        [
            {"device": "mixed", "ts": ts, "values": {"power": 1, "voltage": "x", "current": None}},
            {"device": "mixed", "ts": "never", "values": {"power": 2}},
            {"nothing": 1},
            "text",
            {"device": "mixed", "ts": ts + 1000, "values": {"power": 3}},
        ]
    )
    assert answer.status == 207, answer.text
    items = answer.json["errors"]
    assert {item["index"] for item in items} == {0, 1, 2, 3}
    assert all(item["code"].startswith("WL-") and item["detail"] for item in items)
    assert [value for _, value in api.readings("mixed.power")] == [1.0, 3.0]


@pytest.mark.parametrize("body", ["", "{", "nonsense", "\xff", "null", "1", '"x"', "{}" * 2])
def test_nothing_parseable_is_400(api: Api, body: str) -> None:
    answer = api.ask(
        "POST", "/api/v1/ingest", body.encode("latin-1"), headers={"Content-Type": "application/json"}
    )
    answer.problem(400)


@pytest.mark.parametrize("value", ['"x"', "NaN", "Infinity", "1e999", "true", "[]", "{}", '"1_000"', '"١٢"'])
def test_everything_refused_is_422(api: Api, value: str) -> None:
    body = f'{{"device": "refused", "values": {{"power": {value}}}}}'
    answer = api.ask("POST", "/api/v1/ingest", body, headers={"Content-Type": "application/json"})
    assert answer.status in {400, 422}, answer.text
    assert api.latest("refused.power") is None


def test_times_outside_of_sense_are_quarantined_with_a_reason(api: Api) -> None:
    ts = now_ms()
    sent = [ts + 10 * 60_000, ts - 401 * 86_400_000, 946_684_700_000]
    answer = api.send([{"device": "when", "ts": at, "values": {"power": 1}} for at in sent])
    assert answer.status == 422 or (answer.status == 207 and len(answer.json["errors"]) == 3), answer.text
    held = [item for item in api.get("quarantine", limit=1000)["items"] if item["series"] == "when.power"]
    assert sorted(item["ts_ms"] for item in held) == sorted(sent)
    assert all(item["detail"] for item in held)


def test_late_readings_count_within_five_seconds(api: Api) -> None:
    ts = now_ms() // 900_000 * 900_000 - 10 * 86_400_000
    for minute in range(16):
        api.stored("late", ts + minute * 60_000, energy=100 + minute / 15)

    def energy() -> object:
        found = api.history(
            "late.energy", start=ts, end=ts + 900_000, resolution="15m", columns="energy,quality"
        )
        return found if found["series"]["late.energy"]["energy"] == [pytest.approx(1000.0)] else None

    quality = eventually(energy, 5.0)["series"]["late.energy"]["quality"][0]
    assert quality.get("late", 0) == pytest.approx(1.0)


def test_deltas_are_amounts_of_their_slot(api: Api) -> None:
    ts = now_ms() // 900_000 * 900_000 - 3 * 900_000
    for number, amount in enumerate((0.1, 0.2, 0.3)):
        item = {
            "device": "pulses", "ts": ts + (number + 1) * 300_000, "values": {"flow": amount},
            "units": {"flow": "kWh"}, "kinds": {"flow": "delta"},
        }  # fmt: skip
        assert api.send(item).status == 204

    def total() -> object:
        found = api.history(
            "pulses.flow", start=ts - 900_000, end=now_ms() + 1000, resolution="15m", columns="energy"
        )
        return sum(x for x in found["series"]["pulses.flow"]["energy"] if x) == pytest.approx(600.0)

    eventually(total, 6.0)


def test_delta_without_a_time_is_refused(api: Api) -> None:
    item = {"device": "pulses-2", "values": {"flow": 1}, "units": {"flow": "kWh"}, "kinds": {"flow": "delta"}}
    assert api.send(item).status == 422


def test_a_list_of_thousands_is_taken(api: Api) -> None:
    ts = now_ms() - 6_000_000
    items = [{"device": "many", "ts": ts + n * 1000, "values": {"power": n}} for n in range(5000)]
    assert api.send(items).status == 204
    first = api.get("series/many.power/readings", limit=3000)
    rest = api.get("series/many.power/readings", limit=3000, cursor=first["next"])
    assert first["value"] + rest["value"] == [float(n) for n in range(5000)]
    assert rest["next"] is None
