"""The simulated house: the same for everyone, whole in every part, and true to its own registers."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.demo.devices import declarations
from integrations.demo.house import Columns, House, simulate
from integrations.demo.site import Site

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
SITE = Site(since=date(2026, 3, 25))
"""Young, so that tests are quick; the clocks of Paris change on 2026-03-29."""
DEVICE_POWERS = ("ev-charger", "heat-pump", "kitchen", "washing-machine", "office")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


FIRST_MS = SITE.first_ms + HOUR_MS
LAST_MS = ms("2026-04-01")
WHOLE = House(7, SITE).columns(FIRST_MS, LAST_MS, 60)


def equal(one: Columns, other: Columns) -> bool:
    same = [np.array_equal(one.values[name], other.values[name]) for name in one.values]
    return all(same) and np.array_equal(one.ts_ms, other.ts_ms)


def test_one_seed_is_one_house() -> None:
    assert equal(WHOLE, House(7, SITE).columns(FIRST_MS, LAST_MS, 60))


def test_another_seed_is_another_house() -> None:
    other = House(8, SITE).columns(FIRST_MS, LAST_MS, 60)

    assert not np.array_equal(WHOLE.values["solar.power"], other.values["solar.power"])
    assert not np.array_equal(WHOLE.consumption_w, other.consumption_w)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9_000), st.integers(1, 3_000))
def test_any_range_equals_its_part_of_the_whole(offset_min: int, length_min: int) -> None:
    start_ms = FIRST_MS + offset_min * MINUTE_MS
    end_ms = min(start_ms + length_min * MINUTE_MS, LAST_MS)
    low, high = np.searchsorted(WHOLE.ts_ms, [start_ms, end_ms]).tolist()

    part = House(7, SITE).columns(start_ms, end_ms, 60)

    assert np.array_equal(part.ts_ms, WHOLE.ts_ms[low:high])
    assert all(np.array_equal(part.values[name], WHOLE.values[name][low:high]) for name in WHOLE.values)


def test_a_range_asked_backwards_is_the_same() -> None:
    house = House(7, SITE)
    late = house.columns(LAST_MS - DAY_MS, LAST_MS, 60)
    early = house.columns(FIRST_MS, FIRST_MS + DAY_MS, 60)

    assert np.array_equal(early.values["grid.power"], WHOLE.values["grid.power"][: len(early.ts_ms)])
    assert np.array_equal(late.values["grid.power"], WHOLE.values["grid.power"][-len(late.ts_ms) :])


def test_registers_do_not_depend_on_how_often_they_are_read() -> None:
    often = House(7, SITE).columns(FIRST_MS, FIRST_MS + DAY_MS, 10)
    every = np.isin(often.ts_ms, WHOLE.ts_ms)

    for name in [name for name in WHOLE.values if ".energy" in name]:
        assert np.array_equal(often.values[name][every], WHOLE.values[name][: int(every.sum())]), name


@pytest.mark.parametrize("step_s", [1, 7, 10, 60, 300, 900, 3600])
def test_energy_is_conserved_at_every_step(step_s: int) -> None:
    columns = House(7, SITE).columns(ms("2026-03-28"), ms("2026-03-30T06:00"), step_s)
    sources_w = columns.values["grid.power"] + columns.values["solar.power"] + columns.values["battery.power"]
    measured_w = sum((columns.values[f"{name}.power"] for name in DEVICE_POWERS), np.zeros(len(sources_w)))

    assert np.abs(sources_w - columns.consumption_w).max() < 0.0005  # half a mW
    assert (columns.consumption_w - measured_w).min() > 0


@pytest.mark.parametrize("step_s", [10, 60, 900])
@pytest.mark.parametrize(
    ("register", "power", "sign"),
    [
        ("solar.energy", "solar.power", 1),
        ("heat-pump.energy", "heat-pump.power", 1),
        ("kitchen.energy", "kitchen.power", 1),
        ("ev-charger.energy", "ev-charger.power", 1),
    ],
)
def test_registers_are_the_integral_of_the_powers(step_s: int, register: str, power: str, sign: int) -> None:
    columns = House(7, SITE).columns(FIRST_MS, FIRST_MS + 2 * DAY_MS, step_s)
    counted_wh = columns.values[register] - columns.values[register][0]
    summed_wh = np.cumsum(columns.values[power][1:]) * step_s / 3600.0

    assert np.abs(counted_wh[1:] - sign * summed_wh).max() < 0.002  # a register shows whole mWh


def test_import_and_export_are_the_two_sides_of_the_grid() -> None:
    values = WHOLE.values
    net_wh = np.diff(values["grid.energy_import"] - values["grid.energy_export"])

    assert np.abs(net_wh - values["grid.power"][1:] / 60.0).max() < 0.0021
    assert (np.diff(values["grid.energy_import"]) >= 0).all()
    assert (np.diff(values["grid.energy_export"]) >= 0).all()


def test_the_battery_keeps_its_limits_and_loses_what_conversion_costs() -> None:
    values = WHOLE.values
    charged, given = (np.ptp(values[f"battery.energy_{way}"]) for way in ("import", "export"))
    stored_wh = (values["battery.soc"][-1] - values["battery.soc"][0]) / 100 * SITE.battery_wh

    assert values["battery.soc"].min() >= 7.9
    assert values["battery.soc"].max() <= 100.0
    assert np.abs(values["battery.power"]).max() <= SITE.battery_w
    assert charged > 0
    assert stored_wh == pytest.approx(0.96 * charged - given / 0.95, abs=0.002 * SITE.battery_wh)


def test_a_sub_meter_contains_what_hangs_on_it() -> None:
    values = WHOLE.values

    assert (values["kitchen.power"] - values["fridge.power"] - values["dishwasher.power"]).min() > 0


def test_the_roof_gives_by_day_only_and_most_about_noon() -> None:
    power_w = WHOLE.values["solar.power"]
    hour = WHOLE.ts_ms // HOUR_MS % 24
    by_hour = [power_w[hour == at].mean() for at in range(24)]

    assert power_w[(hour >= 21) | (hour < 4)].max() == 0
    assert 9 <= int(np.argmax(by_hour)) <= 14
    assert 3000 < power_w.max() <= SITE.roof_w


def test_summer_gives_sun_and_winter_needs_heat() -> None:
    house = House(3, Site(since=date(2026, 1, 1)))
    winter = house.columns(ms("2026-01-05"), ms("2026-02-02"), 900).values
    summer = house.columns(ms("2026-06-08"), ms("2026-07-06"), 900).values

    assert summer["solar.power"].mean() > 2 * winter["solar.power"].mean()
    assert winter["heat-pump.power"].mean() > 3 * summer["heat-pump.power"].mean()
    assert summer["heat-pump.temperature"].mean() > winter["heat-pump.temperature"].mean() + 8


def test_south_of_the_equator_january_is_summer() -> None:
    house = House(
        3, Site(latitude=-33.9, longitude=151.2, time_zone="Australia/Sydney", since=date(2026, 1, 1))
    )
    january = house.columns(ms("2026-01-05"), ms("2026-01-19"), 900).values["solar.power"]
    june = house.columns(ms("2026-06-08"), ms("2026-06-22"), 900).values["solar.power"]

    assert january.mean() > 1.4 * june.mean()


def test_evenings_use_more_than_nights() -> None:
    local_hour = (WHOLE.ts_ms // HOUR_MS + 2) % 24
    evening, night = (
        WHOLE.consumption_w[(local_hour >= low) & (local_hour < high)] for low, high in ((18, 21), (2, 5))
    )

    assert evening.mean() > 1.5 * night.mean()
    assert night.min() > 60


def test_every_declared_series_is_simulated_and_no_other() -> None:
    declared = {public_id for one in declarations(10) for public_id in one.public_ids()}

    assert declared == set(WHOLE.values)


def test_scale_makes_a_larger_house() -> None:
    large = House(7, Site(since=SITE.since, scale=3.0)).columns(FIRST_MS, LAST_MS, 900)

    assert large.consumption_w.mean() == pytest.approx(3 * WHOLE.consumption_w.mean(), rel=0.35)
    assert large.values["solar.energy"][-1] == pytest.approx(3 * WHOLE.values["solar.energy"][-1], rel=0.01)


def test_nothing_is_known_before_the_house_was_built() -> None:
    with pytest.raises(ValueError, match="nothing is known before"):
        simulate(7, SITE, SITE.first_ms, LAST_MS, 60)


@pytest.mark.parametrize("step_s", [0, -1, 86_401])
def test_an_absurd_step_is_refused(step_s: int) -> None:
    with pytest.raises(ValueError, match="cannot be simulated"):
        simulate(7, SITE, FIRST_MS, LAST_MS, step_s)


def test_an_empty_range_has_no_rows() -> None:
    assert len(House(7, SITE).columns(FIRST_MS, FIRST_MS, 60).ts_ms) == 0
