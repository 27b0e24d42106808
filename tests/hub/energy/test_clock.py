"""The local clock of slots, in the zones that break calendars."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.clock import days_within, midnight_ms, period_of, periods, share_of, slot_clock, steps_of
from hub.energy.components import Per
from hub.energy.usage import Calendar
from tests.hub.energy.streams import UNDER_LOAD
from tests.hub.energy.tariffs import SLOT_MS, midnight

ZONES = [
    "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu", "Asia/Beirut",
    "Africa/Casablanca", "Pacific/Apia", "Pacific/Chatham", "UTC",
]  # fmt: skip


@given(
    zone=st.sampled_from(ZONES),
    start=st.dates(date(2009, 1, 1), date(2030, 1, 1)),
    quarter=st.integers(0, 95),
)
@settings(parent=UNDER_LOAD, max_examples=60)
def test_columns_show_what_the_wall_clock_shows(zone: str, start: date, quarter: int) -> None:
    first_ms = (start - date(1970, 1, 1)).days * 86_400_000 + quarter * SLOT_MS
    clock = slot_clock(Calendar(zone, frozenset({start})), first_ms, 200)
    for slot in range(200):
        local = datetime.fromtimestamp((first_ms + slot * SLOT_MS) // 1000, ZoneInfo(zone))
        found = date(1970, 1, 1) + timedelta(days=int(clock.day[slot]))

        assert clock.quarter[slot] == local.hour * 4 + local.minute // 15
        assert found == local.date()
        assert clock.month[slot] == local.year * 12 + local.month - 1
        assert clock.day_class[slot] // 366 % 7 == local.weekday()
        assert clock.day_class[slot] // (366 * 7) == (local.date() == start)


@pytest.mark.parametrize(
    ("zone", "first", "last", "days"),
    [
        ("Europe/Paris", "2026-03-01", "2026-04-01", 31),
        ("Europe/Paris", "2026-10-25", "2026-10-26", 1),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-05", 1),
        ("Pacific/Apia", "2011-12-01", "2012-01-01", 30),
    ],
)
def test_days_are_days_however_long(zone: str, first: str, last: str, days: int) -> None:
    assert days_within(zone, midnight(first, zone), midnight(last, zone)) == days


def test_parts_of_days_count_by_their_time() -> None:
    short = midnight("2026-03-29")  # 23 hours

    assert days_within("Europe/Paris", short, short + 4 * SLOT_MS) == Fraction(1, 23)
    assert days_within("Europe/Paris", short - 48 * SLOT_MS, short + 46 * SLOT_MS) == 1
    assert days_within("Europe/Paris", short, short) == 0


@pytest.mark.parametrize(
    ("per", "share"),
    [(Per.DAY, Fraction(46)), (Per.MONTH, 1 + Fraction(15, 28)), (Per.YEAR, Fraction(46, 365))],
)
def test_shares_of_periods_are_by_days(per: Per, share: Fraction) -> None:
    assert share_of("Europe/Paris", midnight("2026-02-14"), midnight("2026-04-01"), per) == share


def test_periods_and_midnights() -> None:
    start, end = period_of("Europe/Paris", midnight("2026-03-29") + 5, Per.MONTH)

    assert (start, end) == (midnight("2026-03-01"), midnight("2026-04-01"))
    assert midnight_ms("Europe/Paris", date(2026, 3, 1)) == start
    assert len(periods("Europe/Paris", start, end, Per.DAY)) == 31
    # on that date the clock in Santiago jumps from midnight to one
    assert (
        midnight_ms("America/Santiago", date(2026, 9, 6))
        == int(datetime(2026, 9, 6, 4, tzinfo=UTC).timestamp()) * 1000
    )


@pytest.mark.parametrize("day", ["1971-03-01", "2199-11-30"])
def test_the_whole_calendar_has_months(day: str) -> None:
    assert days_within("Europe/Paris", *period_of("Europe/Paris", midnight(day), Per.MONTH)) in (30, 31)


def test_steps_are_stretches_of_one_number() -> None:
    clock = slot_clock(Calendar("Europe/Paris"), midnight("2026-03-28"), 300)

    assert steps_of(clock.day) == [(0, 96), (96, 188), (188, 284), (284, 300)]
    assert steps_of(clock.day[:0]) == []
    assert clock.part(96, 188).quarter[-1] == 95
