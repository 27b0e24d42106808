"""Sums over days and months are exact, also on the days that have no 24 hours."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.calendar import local_days, local_hours, local_months, local_years
from hub.energy.derive import derive
from hub.energy.periods import PeriodColumns, aggregate, aggregate_each, aggregate_many
from hub.energy.slots import SLOT_MS, Readings, SlotColumns
from hub.model.quality import Flag
from hub.model.times import iso_ms
from tests.hub.energy.streams import ENERGY, POWER, T0_MS, TEMPERATURE, UNDER_LOAD, gauge_streams, whole

HOUR_MS = 3_600_000


def constant_kilowatt(start_ms: int, end_ms: int) -> tuple[SlotColumns, SlotColumns]:
    """Slots of a power series and of a counter at 1 kW, one reading a minute."""
    ts = np.arange(start_ms, end_ms + 1, 60_000)
    power = Readings.of(ts.tolist(), [1000.0] * len(ts))
    energy = Readings.of(ts.tolist(), ((ts - start_ms) / 3600).tolist())
    return (
        derive(POWER, power, start_ms, end_ms, from_first=True).slots,
        derive(ENERGY, energy, start_ms, end_ms, from_first=True).slots,
    )


@pytest.mark.parametrize(
    ("zone", "day", "kwh"),
    [
        ("Europe/Paris", "2026-03-29", 23),
        ("Europe/Paris", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("America/Santiago", "2026-09-06", 23),
        ("America/Santiago", "2026-04-04", 25),
        ("Asia/Beirut", "2026-03-29", 23),
        ("Africa/Casablanca", "2026-02-15", 25),
        ("Africa/Casablanca", "2026-03-22", 23),
        ("Pacific/Apia", "2011-12-30", 0),
        ("UTC", "2026-06-01", 24),
        ("Asia/Kathmandu", "2026-06-01", 24),
    ],
)
def test_one_kilowatt_gives_the_hours_of_the_day(zone: str, day: str, kwh: float) -> None:
    middle = iso_ms(f"{day}T12:00Z")
    days = local_days(zone, middle - 36 * HOUR_MS, middle + 36 * HOUR_MS)
    start, end = int(days.start_ms[0]), int(days.end_ms[-1])
    hours = local_hours(zone, start, end)
    row = [label[:10] for label in days.label].index(day)
    for slots in constant_kilowatt(start, end):
        by_day = aggregate(slots, days.start_ms, days.end_ms)
        by_hour = aggregate(slots, hours.start_ms, hours.end_ms)
        assert int(by_day.delta[row]) == kwh * 1_000_000
        assert int(by_hour.delta.sum()) == int(by_day.delta.sum()) == (end - start) // 36 * 10
        assert [
            by_day.quality(i).measured for i in range(len(days)) if days.label[i][:10] != "2011-12-30"
        ] == [1.0] * (len(days) - (zone == "Pacific/Apia"))


@pytest.mark.parametrize(
    ("zone", "year", "odd_days"),
    [
        ("Europe/Paris", 2026, {23: 1, 25: 1}),
        ("America/New_York", 2026, {23: 1, 25: 1}),
        ("Australia/Lord_Howe", 2026, {23.5: 1, 24.5: 1}),
        ("America/Santiago", 2026, {23: 1, 25: 1}),
        ("Asia/Beirut", 2026, {23: 1, 25: 1}),
        ("Africa/Casablanca", 2026, {23: 1, 25: 1}),
        ("Pacific/Apia", 2011, {0: 1, 23: 1, 25: 1}),
        ("Asia/Kathmandu", 2026, {}),
        ("UTC", 2026, {}),
    ],
)
def test_a_year_of_one_kilowatt(zone: str, year: int, odd_days: dict[float, int]) -> None:
    """By counter and by power: each day its hours, days make months, months the year, to the last step."""
    start, end = iso_ms(f"{year}-01-01T00:00Z"), iso_ms(f"{year + 1}-01-01T00:00Z")
    ts = np.arange(start - 86_400_000, end + 2 * 86_400_000, SLOT_MS)
    years = local_years(zone, start + 86_400_000, end - 86_400_000)
    first, last = int(years.start_ms[0]), int(years.end_ms[-1])
    days, months = local_days(zone, first, last), local_months(zone, first, last)
    counter = Readings.of(ts.tolist(), (250.0 * np.arange(len(ts))).tolist())
    power = Readings.of(ts.tolist(), [1000.0] * len(ts))

    for rule, readings in ((ENERGY, counter), (POWER, power)):
        slots = whole(replace(rule, interval_ms=SLOT_MS), readings).slots
        by_day = aggregate(slots, days.start_ms, days.end_ms)
        by_month = aggregate(slots, months.start_ms, months.end_ms)
        hours = (days.end_ms - days.start_ms) / 3_600_000
        assert by_day.delta.tolist() == (hours * 1_000_000).tolist()
        assert Counter(hours[hours != 24].tolist()) == odd_days
        for month in range(12):
            inside = (days.start_ms >= months.start_ms[month]) & (days.start_ms < months.end_ms[month])
            assert int(by_day.delta[inside].sum()) == by_month.delta[month]
        assert int(by_month.delta.sum()) * 3_600_000 == (last - first) * 1_000_000
        assert len(by_month) == 12
        complete = by_day.quality(0)
        assert (complete.measured, complete.missing) == (1.0, 0.0)


def test_a_day_of_no_hours_is_wholly_missing() -> None:
    start = iso_ms("2011-12-30T10:00Z")
    empty = aggregate(SlotColumns.empty(), np.array([start]), np.array([start]))
    assert empty.quality(0).missing == 1.0
    assert not empty.has_delta[0]


def test_a_gauge_day_has_the_mean_by_time_and_the_extremes() -> None:
    ts = [T0_MS + i * 60_000 for i in range(121)]
    values = [10.0] * 60 + [20.0] * 61
    slots = whole(TEMPERATURE, Readings.of(ts, values)).slots
    row = aggregate(slots, np.array([T0_MS]), np.array([T0_MS + 86_400_000]))

    assert row.min[0] == 10.0
    assert row.max[0] == 20.0
    assert row.last[0] == 20.0
    assert row.mean[0] == pytest.approx((10 * 59 + 15 + 20 * 60) / 120)
    assert row.quality(0).measured == pytest.approx(2 / 24)
    assert row.quality(0).missing == pytest.approx(22 / 24)
    assert row.until(T0_MS + 2 * HOUR_MS).quality(0).measured == 1.0
    assert row.count[0] == 121


def test_flags_of_the_slots_reach_the_day() -> None:
    ts = [T0_MS, T0_MS + 10_000, T0_MS + 6 * HOUR_MS]
    slots = whole(ENERGY, Readings.of(ts, [1.0, 2.0, 3.0])).slots
    row = aggregate(slots, np.array([T0_MS]), np.array([T0_MS + 86_400_000]))
    assert row.flags[0] == Flag.GAP
    assert row.delta[0] == 2000


@settings(UNDER_LOAD, max_examples=40)
@given(gauge_streams())
def test_hours_days_and_months_add_up_to_the_slots(readings: Readings) -> None:
    slots = whole(POWER, readings).slots
    start, end = int(slots.start_ms[0]), int(slots.start_ms[-1]) + SLOT_MS
    total = sum(slots.delta[slots.has_delta].tolist())
    for found in (
        local_hours("Asia/Kathmandu", start, end),
        local_days("Australia/Lord_Howe", start, end),
        local_months("Europe/Paris", start, end),
    ):
        rows = aggregate(slots, found.start_ms, found.end_ms)
        assert sum(rows.delta.tolist()) == total
        assert int(rows.count.sum()) == len(readings)


@settings(UNDER_LOAD, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 50))
def test_many_series_at_once_equal_one_by_one(seed: int, offset: int) -> None:
    random = np.random.default_rng(seed)
    deltas = random.integers(-(2**31), 2**31, (3, 400), dtype=np.int32)
    first_ms = T0_MS + offset * SLOT_MS
    days = local_days("Pacific/Apia", T0_MS, T0_MS + 10 * 86_400_000)
    sums = aggregate_many(deltas, first_ms, days.start_ms, days.end_ms)
    grid = first_ms + SLOT_MS * np.arange(400)
    for series in range(3):
        for row in range(len(days)):
            inside = (grid >= days.start_ms[row]) & (grid < days.end_ms[row])
            assert sums[series, row] == sum(deltas[series, inside].tolist())


def test_many_series_skip_buckets_without_length() -> None:
    start = iso_ms("2011-12-29T10:00Z")
    days = local_days("Pacific/Apia", start, start + 2 * 86_400_000)
    sums = aggregate_many(np.ones((2, 192), np.int32), start, days.start_ms, days.end_ms)
    assert sums.tolist() == [[96, 0, 96]] * 2


@settings(UNDER_LOAD, max_examples=40)
@given(st.lists(gauge_streams(), min_size=1, max_size=4))
def test_series_summed_at_once_equal_each_on_its_own(streams: list[Readings]) -> None:
    series = [SlotColumns.empty(), *(whole(POWER, readings).slots for readings in streams)]
    starts = np.concatenate([slots.start_ms for slots in series])
    days = local_days("Australia/Lord_Howe", int(starts.min()), int(starts.max()) + SLOT_MS)
    some = np.arange(len(days)) % 3 != 1  # holes between the buckets
    bucket_starts, bucket_ends = days.start_ms[some], days.end_ms[some]

    at_once = aggregate_each(series, bucket_starts, bucket_ends)

    alone = [aggregate(slots, bucket_starts, bucket_ends) for slots in series]
    for column in fields(PeriodColumns):
        expected = np.concatenate([getattr(one, column.name) for one in alone])
        np.testing.assert_array_equal(getattr(at_once, column.name), expected)
