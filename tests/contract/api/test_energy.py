"""Energy of the days on which the clocks change, from a hub process: a constant kilowatt, counted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.chaos.hub_process import HubProcess
from tests.contract.api.client import Api
from tests.contract.api.conftest import begin, end
from tests.contract.api.test_history import ZONES, days_of_change, feed_flat_kw, hours_of, settled


@pytest.fixture(scope="module", params=ZONES)
def zoned(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Api, ZoneInfo]]:
    """A hub of that zone whose grid meter showed 1 kW on the last day of change and beside it."""
    zone = ZoneInfo(request.param)
    text = f'hub: {{name: Zoned, time_zone: "{zone}", currency: EUR}}\nmqtt_broker: {{mode: "off"}}\n'
    text += "devices: [{id: main-meter, role: grid}]\n"
    hub = HubProcess(tmp_path_factory.mktemp("energy"), text)
    try:
        api = begin(hub)
        day = days_of_change(zone)[0]
        start_ms = int((day - timedelta(days=1)).timestamp() * 1000)
        end_ms = int((day + timedelta(days=2)).timestamp() * 1000)
        feed_flat_kw(api, "main-meter", start_ms, end_ms)
        settled(api, "main-meter.energy", start_ms, end_ms)
        yield api, zone
    finally:
        end(hub)


def test_a_day_of_change_has_its_own_length_in_every_answer(zoned: tuple[Api, ZoneInfo]) -> None:
    api, zone = zoned
    day = days_of_change(zone)[0]
    hours = hours_of(day)
    at = f"period=day&at={day.date().isoformat()}"
    summary = api.get(f"energy/summary?{at}")
    quarters = api.get(f"energy/balance?{at}")
    by_hour = api.get(f"energy/balance?{at}&resolution=1h")
    graph = api.get(f"energy/flows?{at}")

    assert summary["figures"]["use"]["energy"] == pytest.approx(hours * 1000, abs=0.1)
    assert len(quarters["buckets"]) == hours * 4
    assert quarters["flows"]["use"] == pytest.approx([250.0] * int(hours * 4), abs=0.002)
    for answer in (quarters, by_hour):
        total = answer["total"]["figures"]["use"]["energy"]
        assert sum(answer["flows"]["use"]) == pytest.approx(total, abs=1e-6)
        assert total == summary["figures"]["use"]["energy"]
    assert [(one["source"], one["target"]) for one in graph["links"]] == [
        ("grid:main-meter", "home"),
        ("home", "not_measured"),
    ]


def test_the_days_of_a_week_are_its_hours(zoned: tuple[Api, ZoneInfo]) -> None:
    api, zone = zoned
    at = f"period=week&at={days_of_change(zone)[0].date().isoformat()}"
    days = api.get(f"energy/balance?{at}&resolution=1d")
    by_hour = api.get(f"energy/balance?{at}")

    assert len(days["buckets"]) == 7
    assert by_hour["resolution"] == "1h"
    known = [value for value in days["flows"]["import"] if value is not None]
    assert sum(known) == pytest.approx(
        sum(value for value in by_hour["flows"]["import"] if value is not None), abs=1e-6
    )
    assert sum(known) == pytest.approx(days["total"]["figures"]["import"]["energy"], abs=1e-6)
