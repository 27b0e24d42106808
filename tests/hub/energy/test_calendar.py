"""Local days, hours and months of the zones that break calendars."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.calendar import (
    buckets,
    local_date,
    local_days,
    local_hours,
    local_months,
    local_years,
    minutes,
    quarters,
    zone_version,
)
from hub.errors import Refused
from hub.model.times import iso_ms, ms_of
from tests.hub.energy.streams import UNDER_LOAD

HOUR_MS = 3_600_000
ZONES = [
    "Europe/Paris",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Beirut",
    "Africa/Casablanca",
    "Pacific/Apia",
    "UTC",
    "Asia/Kathmandu",
    "America/St_Johns",
]


def day_hours(zone: str, day: str) -> float:
    """Hours of one local day, found by its label."""
    middle = ms_of(datetime.fromisoformat(day).replace(tzinfo=UTC))
    found = local_days(zone, middle - 40 * HOUR_MS, middle + 40 * HOUR_MS)
    row = [label[:10] for label in found.label].index(day)
    return int(found.end_ms[row] - found.start_ms[row]) / HOUR_MS


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Paris", "2026-03-29", 23),
        ("Europe/Paris", "2026-10-25", 25),
        ("Europe/Paris", "2026-10-26", 24),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("America/Santiago", "2026-09-06", 23),
        ("America/Santiago", "2026-04-04", 25),
        ("Asia/Beirut", "2026-03-29", 23),
        ("Asia/Beirut", "2026-10-24", 25),
        ("Africa/Casablanca", "2026-02-15", 25),
        ("Pacific/Apia", "2011-12-29", 24),
        ("Pacific/Apia", "2011-12-30", 0),
        ("Pacific/Apia", "2011-12-31", 24),
        ("UTC", "2026-03-29", 24),
        ("Asia/Kathmandu", "2026-03-29", 24),
    ],
)
def test_length_of_days(zone: str, day: str, hours: float) -> None:
    assert day_hours(zone, day) == hours


def test_labels_carry_the_offset_and_a_missing_midnight_keeps_its_date() -> None:
    spring = local_days("Europe/Paris", iso_ms("2026-03-29T00:00+01:00"), iso_ms("2026-03-31T00:00+02:00"))
    assert spring.label == ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00")

    gone = local_days("America/Santiago", iso_ms("2026-09-06T12:00Z"), iso_ms("2026-09-06T13:00Z"))
    assert gone.label == ("2026-09-06T00:00:00-04:00",)

    skipped = local_days("Pacific/Apia", iso_ms("2011-12-29T12:00Z"), iso_ms("2011-12-31T00:00Z"))
    assert [label[:10] for label in skipped.label] == ["2011-12-29", "2011-12-30", "2011-12-31"]


def test_repeated_hour_comes_twice_and_missing_hour_never() -> None:
    autumn = local_hours("Europe/Paris", iso_ms("2026-10-25T00:00+02:00"), iso_ms("2026-10-25T04:00+01:00"))
    assert [label[11:] for label in autumn.label] == [
        "00:00:00+02:00",
        "01:00:00+02:00",
        "02:00:00+02:00",
        "02:00:00+01:00",
        "03:00:00+01:00",
    ]
    spring = local_hours("Europe/Paris", iso_ms("2026-03-29T01:00+01:00"), iso_ms("2026-03-29T04:00+02:00"))
    assert [label[11:] for label in spring.label] == ["01:00:00+01:00", "03:00:00+02:00"]


def test_hours_are_wall_clock_hours_where_the_offset_is_no_whole_hour() -> None:
    nepal = local_hours("Asia/Kathmandu", iso_ms("2026-06-01T00:00Z"), iso_ms("2026-06-01T01:00Z"))
    assert nepal.label == ("2026-06-01T05:00:00+05:45", "2026-06-01T06:00:00+05:45")
    assert int(nepal.start_ms[1]) == iso_ms("2026-06-01T00:15Z")


def test_half_an_hour_of_lord_howe_is_a_bucket_of_its_own() -> None:
    night = local_hours(
        "Australia/Lord_Howe", iso_ms("2026-04-05T01:00+11:00"), iso_ms("2026-04-05T03:00+10:30")
    )
    assert [label[11:] for label in night.label] == ["01:00:00+11:00", "01:30:00+10:30", "02:00:00+10:30"]
    assert (night.end_ms - night.start_ms).tolist() == [HOUR_MS, HOUR_MS // 2, HOUR_MS]


INSTANTS = st.integers(iso_ms("1999-01-01T00:00Z") // 1000, iso_ms("2037-01-01T00:00Z") // 1000)


@settings(UNDER_LOAD, max_examples=60)
@given(st.sampled_from(ZONES), INSTANTS, st.integers(1, 40 * 86_400))
def test_buckets_tile_the_range_and_finer_ones_fit_into_coarser(
    zone: str, start_s: int, length_s: int
) -> None:
    start_ms, end_ms = start_s * 1000, (start_s + length_s) * 1000
    borders: set[int] = set()
    for resolution in ("15m", "1h", "1d", "1mo", "1y"):
        found = buckets(zone, resolution, start_ms, end_ms)
        assert found.start_ms[0] <= start_ms < found.end_ms[0]
        assert found.start_ms[-1] < end_ms <= found.end_ms[-1]
        assert np.array_equal(found.start_ms[1:], found.end_ms[:-1])
        inner = set(found.start_ms[1:].tolist())
        assert not borders or inner <= borders
        borders = inner
        assert [iso_ms(label) for label in found.label] == found.start_ms.tolist()


@settings(UNDER_LOAD, max_examples=40)
@given(st.sampled_from(ZONES), INSTANTS)
def test_days_agree_with_the_zone_database(zone: str, start_s: int) -> None:
    found = local_days(zone, start_s * 1000, (start_s + 20 * 86_400) * 1000)
    info = ZoneInfo(zone)
    for label, start_ms, end_ms in zip(
        found.label, found.start_ms.tolist(), found.end_ms.tolist(), strict=True
    ):
        day = date.fromisoformat(label[:10])
        midnight = datetime(day.year, day.month, day.day, tzinfo=info)
        assert start_ms == ms_of(midnight)
        assert label == midnight.isoformat()
        shown = {local_date(zone, ms) for ms in range(start_ms, end_ms, HOUR_MS // 2)}
        assert shown <= {day}
    dates = [date.fromisoformat(label[:10]) for label in found.label]
    assert all(after - before == timedelta(days=1) for before, after in pairwise(dates))


def test_months_and_years_are_local() -> None:
    start, end = iso_ms("2026-01-01T00:00+01:00"), iso_ms("2027-01-01T00:00+01:00")
    months = local_months("Europe/Paris", start, end)
    assert len(months) == 12
    assert months.label[3] == "2026-04-01T00:00:00+02:00"
    assert local_years("Europe/Paris", start, end).label == ("2026-01-01T00:00:00+01:00",)


def test_clipping_names_what_was_cut() -> None:
    start, end = iso_ms("2026-06-01T12:00+02:00"), iso_ms("2026-06-03T00:00+02:00")
    days = local_days("Europe/Paris", start, end)
    cut, partial = days.clipped(start, end)
    assert partial == [0]
    assert cut.start_ms.tolist() == [start, iso_ms("2026-06-02T00:00+02:00")]
    assert cut.end_ms[-1] == end


def test_quarters_and_minutes() -> None:
    start = iso_ms("2026-06-01T12:00Z")
    assert len(quarters("Asia/Kathmandu", start, start + HOUR_MS)) == 4
    assert minutes("UTC", start + 1, start + 60_000).label == ("2026-06-01T12:00:00+00:00",)


def test_an_empty_range_has_no_bucket() -> None:
    assert len(local_days("UTC", 5, 5)) == 0
    assert len(local_hours("UTC", 9, 5)) == 0


@pytest.mark.parametrize(
    ("zone", "resolution", "start", "code"),
    [
        ("Europe/Nowhere", "1d", 0, "WL-NRG-001"),
        ("../../etc/passwd", "1d", 0, "WL-NRG-001"),
        ("UTC", "2h", 0, "WL-NRG-002"),
        ("UTC", "1h", -(10**17), "WL-NRG-003"),
    ],
)
def test_what_cannot_be_a_calendar_is_refused(zone: str, resolution: str, start: int, code: str) -> None:
    with pytest.raises(Refused) as refused:
        buckets(zone, resolution, start, 86_400_000)
    assert refused.value.code == code


def test_zone_version_names_a_release() -> None:
    assert zone_version()[:2] == "20"


def test_a_year_of_hours_is_kept_once_it_is_known() -> None:
    start, end = iso_ms("2031-01-01T00:00Z"), iso_ms("2032-01-01T00:00Z")
    hours = local_hours("Europe/Lisbon", start, end)
    assert len(hours) == 8760
    assert local_hours("Europe/Lisbon", start, end) is hours
    assert not hours.start_ms.flags.writeable
