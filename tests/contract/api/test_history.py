"""What ``GET history`` and the paged readings promise, for days of every length."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.chaos.hub_process import HubProcess
from tests.contract.api.client import Answer, Api, eventually, now_ms
from tests.contract.api.conftest import begin, end

nanoarrow: Any = pytest.importorskip("nanoarrow", reason="nanoarrow is not installed")

ARROW = "application/vnd.apache.arrow.stream"
SLOT_MS = 900_000
# Both ends of summer time are behind every start of these tests and inside of 400 days.
ZONES = ("Europe/Paris", "Australia/Lord_Howe")


def days_of_change(zone: ZoneInfo) -> list[datetime]:
    """Local midnights of the last year whose days have no 24 hours."""
    today = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    midnights = [(today - timedelta(days=back)).replace(tzinfo=zone) for back in range(2, 395)]
    return [day for day in midnights if hours_of(day) != 24.0][:2]


def hours_of(day: datetime) -> float:
    """True length of a local day."""
    following = (day + timedelta(days=1)).replace(tzinfo=day.tzinfo)
    return (following.timestamp() - day.timestamp()) / 3600


def feed_flat_kw(api: Api, device: str, start_ms: int, end_ms: int, step_ms: int = 300_000) -> None:
    """A counter and a power of a constant 1 kW over a range, both ends included."""
    times = range(start_ms, end_ms + 1, step_ms)
    items = [
        {"device": device, "ts": ts, "values": {"energy": 5 + (ts - start_ms) / 3_600_000, "power": 1000}}
        for ts in times
    ]
    for first in range(0, len(items), 2000):
        answer = api.send(items[first : first + 2000])
        assert answer.status == 204, answer.text[:300]


@pytest.fixture(scope="module", params=ZONES)
def zoned(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Api, ZoneInfo]]:
    """A hub of that zone with the two days of change and their neighbours at a constant 1 kW."""
    zone = ZoneInfo(request.param)
    text = f'hub: {{name: Zoned, time_zone: "{zone}", currency: EUR}}\nmqtt_broker: {{mode: "off"}}\n'
    hub = HubProcess(tmp_path_factory.mktemp("zoned"), text)
    try:
        api = begin(hub)
        for number, day in enumerate(days_of_change(zone)):
            start_ms = int((day - timedelta(days=1)).timestamp() * 1000)
            end_ms = int((day + timedelta(days=2)).timestamp() * 1000)
            feed_flat_kw(api, f"meter-{number}", start_ms, end_ms)
            settled(api, f"meter-{number}.energy", start_ms, end_ms)
        yield api, zone
    finally:
        end(hub)


def settled(api: Api, series: str, start_ms: int, end_ms: int) -> None:
    """Wait until the range of a constant 1 kW is derived."""
    hours = (end_ms - start_ms) / 3_600_000

    def check() -> bool:
        found = api.history(series, start=start_ms, end=end_ms, resolution="15m", columns="energy")
        return sum(x or 0.0 for x in column(found, "energy")) >= hours * 1000 - 1e-3

    eventually(check, 20.0)


def column(found: dict[str, Any], name: str) -> list[Any]:
    """A column of the only series of an answer."""
    (columns,) = found["series"].values()
    return list(columns[name])


def test_days_are_as_long_as_the_zone_says(zoned: tuple[Api, ZoneInfo]) -> None:
    api, zone = zoned
    for number, day in enumerate(days_of_change(zone)):
        for shift in (-1, 0, 1):
            local = day + timedelta(days=shift)
            following = local + timedelta(days=1)
            found = api.history(
                f"meter-{number}.energy", start=local.date().isoformat(), end=following.date().isoformat(),
                resolution="1d", columns="energy,quality",
            )  # fmt: skip
            assert found["start"] == [local.isoformat()]
            assert column(found, "energy") == [pytest.approx(hours_of(local) * 1000, abs=1e-6)]
            assert column(found, "quality")[0].get("missing", 0) == 0


def test_hours_of_a_day_of_change_are_all_there_and_add_up(zoned: tuple[Api, ZoneInfo]) -> None:
    api, zone = zoned
    for number, day in enumerate(days_of_change(zone)):
        start_ms = int(day.timestamp() * 1000)
        end_ms = start_ms + int(hours_of(day) * 3_600_000)
        for resolution, step_h in (("15m", 0.25), ("1h", 1.0)):
            found = api.history(
                f"meter-{number}.energy", start=start_ms, end=end_ms, resolution=resolution, columns="energy"
            )
            energies = column(found, "energy")
            assert None not in energies
            assert sum(energies) == pytest.approx(hours_of(day) * 1000, abs=1e-6)
            assert len(set(found["start"])) == len(found["start"]) >= hours_of(day) / step_h


def test_months_and_years_hold_the_days(zoned: tuple[Api, ZoneInfo]) -> None:
    api, zone = zoned
    day = days_of_change(zone)[0]
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    span = {"start": first.date().isoformat(), "end": following.date().isoformat()}
    days = column(api.history("meter-0.energy", resolution="1d", columns="energy", **span), "energy")
    month = api.history("meter-0.energy", resolution="1mo", columns="energy,quality", **span)
    assert month["start"] == [first.isoformat()]
    assert column(month, "energy") == [pytest.approx(sum(x for x in days if x is not None), abs=1e-6)]
    year = api.history(
        "meter-0.energy", resolution="1y", columns="energy",
        start=f"{day.year}-01-01", end=f"{day.year + 1}-01-01",
    )  # fmt: skip
    assert len(year["start"]) == 1
    assert year["start"][0].startswith(f"{day.year}-01-01T00:00:00")
    assert column(year, "energy")[0] >= column(month, "energy")[0] - 1e-6


# --- shapes, on one quiet hub ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def start_ms(api: Api) -> int:
    """Begin of six hours at 1 kW of the device ``flat`` that ended at least an hour ago."""
    begin_ms = (now_ms() // 3_600_000 - 8) * 3_600_000
    feed_flat_kw(api, "flat", begin_ms, begin_ms + 6 * 3_600_000, 60_000)
    api.stored("flat", begin_ms, temperature=20)
    settled(api, "flat.energy", begin_ms, begin_ms + 6 * 3_600_000)
    settled(api, "flat.power", begin_ms, begin_ms + 6 * 3_600_000)
    return begin_ms


@pytest.mark.parametrize(("resolution", "step_ms"), [("1m", 60_000), ("15m", SLOT_MS), ("1h", 3_600_000)])
def test_each_resolution_gives_its_grid(api: Api, start_ms: int, resolution: str, step_ms: int) -> None:
    found = api.history(
        "flat.energy,flat.power", start=start_ms, end=start_ms + 3_600_000, resolution=resolution,
        columns="energy,mean,min,max",
    )  # fmt: skip
    count = 3_600_000 // step_ms
    starts = [datetime.fromisoformat(text).timestamp() * 1000 for text in found["start"]]
    assert starts == [start_ms + n * step_ms for n in range(count)]
    assert found["resolution"] == resolution
    assert found["unit"] == {"flat.energy": "Wh", "flat.power": "W"}
    energy, power = found["series"]["flat.energy"], found["series"]["flat.power"]
    assert energy["energy"] == [pytest.approx(1000 / count)] * count
    assert power["mean"] == power["min"] == power["max"] == [1000.0] * count
    assert power["energy"] == [pytest.approx(1000 / count)] * count


def test_raw_gives_the_readings_themselves(api: Api, start_ms: int) -> None:
    found = api.history("flat.power", start=start_ms, end=start_ms + 180_000, resolution="raw")
    assert len(found["start"]) == 3, found
    assert found["resolution"] == "raw"


def test_raw_gives_the_columns_that_are_asked_for(api: Api, start_ms: int) -> None:
    span = {"start": start_ms, "end": start_ms + 180_000, "resolution": "raw"}
    found = api.history("flat.power,flat.temperature", columns="last,count,energy,quality", **span)
    power, temperature = found["series"]["flat.power"], found["series"]["flat.temperature"]
    assert list(power) == ["last", "count", "energy", "quality"]
    assert power["last"] == [1000.0] * 3
    assert power["energy"] == [None] * 3
    assert power["quality"] == [{"late": 1.0}] * 3
    assert temperature["last"] == [20.0, None, None]
    assert temperature["count"] == [1.0, 0.0, 0.0]


def test_more_readings_than_an_answer_holds_are_refused_not_cut_off(api: Api) -> None:
    begin_ms = now_ms() - 20_000_000
    for first in range(0, 100_001, 5_000):
        items = [
            {"device": "dense", "ts": begin_ms + n * 100, "values": {"x": 1}}
            for n in range(first, min(first + 5_000, 100_001))
        ]
        assert api.send(items).status == 204
    span: dict[str, Any] = {"series": "dense.x", "resolution": "raw", "end": now_ms()}
    api.ask("GET", "/api/v1/history", start=begin_ms, **span).problem(422, "WL-API-031")
    assert len(api.get("history", start=begin_ms + 100, **span)["start"]) == 100_000


def test_minutes_between_two_readings_are_known(api: Api, start_ms: int) -> None:
    for step in range(4):
        api.stored("sparse", start_ms + step * 240_000, energy=1 + step)
    found = api.history(
        "sparse.energy", start=start_ms, end=start_ms + 720_000, resolution="1m", columns="energy,quality"
    )
    assert column(found, "energy") == [pytest.approx(250.0)] * 12
    assert column(found, "quality") == [{"late": 1.0}] * 12


def test_quality_comes_only_when_asked_for(api: Api, start_ms: int) -> None:
    span = {"start": start_ms, "end": start_ms + 3_600_000, "resolution": "15m"}
    assert "quality" not in api.history("flat.energy", **span)["series"]["flat.energy"]
    quality = api.history("flat.energy", columns="quality", **span)["series"]["flat.energy"]["quality"]
    assert len(quality) == 4
    for shares in quality:
        assert sum(share for name, share in shares.items() if name != "flags") == pytest.approx(1.0)


def test_auto_chooses_by_the_range(api: Api, start_ms: int) -> None:
    chosen = [
        api.history("flat.energy", start=start_ms - days * 86_400_000, end=start_ms, resolution="auto")
        for days in (1, 30, 390)
    ]
    order = ["raw", "1m", "15m", "1h", "1d", "1mo", "1y"]
    ranks = [order.index(found["resolution"]) for found in chosen]
    assert ranks == sorted(ranks)
    assert ranks[0] < ranks[-1]
    assert all(len(found["start"]) <= 2000 for found in chosen)


def test_iso_and_epoch_parameters_are_the_same(api: Api, start_ms: int) -> None:
    paris = datetime.fromtimestamp(start_ms / 1000, ZoneInfo("Europe/Paris"))
    end_ms = start_ms + 3_600_000
    utc = datetime.fromtimestamp(start_ms / 1000, ZoneInfo("UTC")).isoformat().replace("+00:00", "Z")
    asked = [start_ms, paris.isoformat(), utc, paris.replace(tzinfo=None).isoformat()]
    answers = [
        api.history("flat.energy", start=start, end=end_ms, resolution="15m", columns="energy")
        for start in asked
    ]
    assert all(found == answers[0] for found in answers)
    assert len(answers[0]["start"]) == 4


def test_end_is_exclusive_and_cut_buckets_are_clipped_and_listed(api: Api, start_ms: int) -> None:
    whole = api.history(
        "flat.energy", start=start_ms, end=start_ms + 7_200_000, resolution="1h", columns="energy"
    )
    assert len(whole["start"]) == 2
    assert not whole.get("partial")
    cut = api.history(
        "flat.energy", start=start_ms + SLOT_MS, end=start_ms + 3_600_000 + 2 * SLOT_MS, resolution="1h",
        columns="energy",
    )  # fmt: skip
    assert column(cut, "energy") == [pytest.approx(750), pytest.approx(500)]
    assert cut["partial"] == cut["start"]
    assert datetime.fromisoformat(cut["start"][0]).timestamp() * 1000 == start_ms


@pytest.mark.parametrize("resolution", ["15m", "1h", "1d"])
def test_a_range_that_cuts_slots_holds_its_own_time_and_no_more(
    api: Api, start_ms: int, resolution: str
) -> None:
    begin_ms, stop_ms = start_ms + 5 * 60_000, start_ms + 40 * 60_000
    for columns in ("energy", "energy,mean,quality"):
        found = api.history(
            "flat.energy,flat.power", start=begin_ms, end=stop_ms, resolution=resolution, columns=columns
        )
        for figures in found["series"].values():
            assert sum(figures["energy"]) == pytest.approx(1000 * 35 / 60, abs=0.01)
            for shares in figures.get("quality", ()):
                assert sum(share for name, share in shares.items() if name != "flags") == pytest.approx(1.0)


def test_nothing_known_is_null_and_never_zero(api: Api, start_ms: int) -> None:
    far_ms = start_ms - 40 * 86_400_000
    found = api.history(
        "flat.energy,flat.power",
        start=far_ms,
        end=far_ms + 3_600_000,
        resolution="15m",
        columns="energy,mean,quality",
    )
    assert found["series"]["flat.energy"]["energy"] == [None] * 4
    assert found["series"]["flat.power"]["mean"] == [None] * 4
    assert found["series"]["flat.power"]["quality"] == [{"missing": 1.0}] * 4


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"series": "flat.nothing"}, 404),
        ({"series": "nobody.power"}, 404),
        ({"series": "flat.energy,nobody.power"}, 404),
        ({}, 400),
        ({"series": ""}, 400),
        ({"series": "flat.energy", "resolution": "2h"}, 400),
        ({"series": "flat.energy", "columns": "median"}, 400),
        ({"series": "flat.energy", "start": "tomorrow"}, 400),
        ({"series": "flat.energy", "start": "2026-02-30"}, 400),
        ({"series": "flat.energy", "start": "2", "end": "1"}, 400),
        ({"series": "flat.energy", "start": "1e999"}, 400),
        ({"series": "flat.energy", "start": "99999999999999999999"}, 400),
        ({"series": "flat.energy", "start": "0001-01-01", "end": "9999-12-31", "resolution": "15m"}, 422),
    ],
)
def test_wrong_questions_are_problems(api: Api, start_ms: int, query: dict[str, Any], status: int) -> None:
    answer = api.ask("GET", "/api/v1/history", **query)
    if status == 404:
        answer.problem(404)
    else:
        assert answer.status in {400, 422}, answer.text[:200]
        answer.problem(answer.status)


def table(api: Api, accept: str, **query: Any) -> Answer:
    """History in another format."""
    answer = api.ask("GET", "/api/v1/history", headers={"Accept": accept}, **query)
    assert (answer.status, answer.kind) == (200, accept)
    return answer


def number(cell: str) -> float | None:
    """A cell of a CSV table; empty where nothing is known."""
    return float(cell) if cell else None


def test_csv_and_arrow_say_the_same_as_json(api: Api, start_ms: int) -> None:
    query = {
        "series": "flat.energy,flat.power", "start": start_ms, "end": start_ms + 3_600_000,
        "resolution": "15m", "columns": "energy,mean,quality",
    }  # fmt: skip
    found = api.get("history", **query)
    expected = [
        (datetime.fromisoformat(start), series, columns["energy"][n], columns.get("mean", [None] * 4)[n])
        for series, columns in found["series"].items()
        for n, start in enumerate(found["start"])
    ]
    rows = list(csv.DictReader(io.StringIO(table(api, "text/csv", **query).text)))
    assert sorted(
        (datetime.fromisoformat(row["start"]), row["series"], number(row["energy"]), number(row["mean"]))
        for row in rows
    ) == sorted(expected)
    body = table(api, ARROW, **query).body
    with nanoarrow.ArrayStream.from_readable(body) as stream:
        arrow = stream.read_all()
    names = [arrow.schema.field(n).name for n in range(arrow.schema.n_fields)]
    assert names[:2] == ["start", "series"]
    assert len(arrow) == len(expected)
    picked = [arrow.child(names.index(name)).to_pylist() for name in ("start", "series", "energy", "mean")]
    assert sorted((start.timestamp(), *rest) for start, *rest in zip(*picked, strict=True)) == sorted(
        (start.timestamp(), *rest) for start, *rest in expected
    )


def test_readings_page_without_gap_or_repeat(api: Api, start_ms: int) -> None:
    seen: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get(
            "series/flat.power/readings", start=start_ms, end=start_ms + 3_600_000, limit=7, **cursor
        )
        assert set(page) >= {"ts", "value", "next"}
        assert len(page["ts"]) == len(page["value"]) <= 7
        seen += page["ts"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == list(range(start_ms, start_ms + 3_600_000, 60_000))


def test_limits_are_clamped_and_nonsense_is_refused(api: Api, start_ms: int) -> None:
    assert api.ask("GET", "/api/v1/series/flat.power/readings", limit=10**9).status == 200
    assert api.ask("GET", "/api/v1/devices", limit=10**9).status == 200
    for limit in ("-1", "0", "x", "1.5", "９"):
        assert api.ask("GET", "/api/v1/devices", limit=limit).status in {400, 422}, limit
    for cursor in ("x", "%00", "-1", "é"):
        for path in ("devices", "series", "series/flat.power/readings", "quarantine", "audit"):
            assert api.ask("GET", f"/api/v1/{path}", cursor=cursor).status in {200, 400, 422}, (path, cursor)


def test_unknown_series_have_no_readings(api: Api) -> None:
    api.ask("GET", "/api/v1/series/nobody.power/readings").problem(404)
    api.ask("GET", "/api/v1/series/nobody/readings").problem(404)


def test_the_live_slot_follows_within_five_seconds(api: Api) -> None:
    ts = now_ms()
    api.stored("live", ts - 60_000, power=600)
    api.stored("live", ts - 1000, power=600)

    def energy() -> Any:
        found = api.history(
            "live.power", start=ts - 3_600_000, end=ts + 3_600_000, resolution="15m", columns="energy"
        )
        return sum(x for x in column(found, "energy") if x) >= 9.0

    eventually(energy, 5.0)
