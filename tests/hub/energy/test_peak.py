"""The peak coach: where the quarter is heading, what it costs, and one warning in time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hub.energy.peak import PeakState, WarnState, needed_for_peak_ms, peak_state, warn_once
from hub.energy.tariff import Tariff
from hub.energy.usage import Calendar, Usage
from tests.hub.energy.tariffs import E8, KWH, SLOT_MS, flat, midnight, tariff

PARIS = Calendar("Europe/Paris")
QUARTER = midnight("2026-03-10") + 72 * SLOT_MS  # 18:00
SINCE = midnight("2026-03-01")
MINUTE_MS = 60_000


def contract(**more: Any) -> Tariff:
    line = {"capacity": "P", "price": 48, "per": "year", "basis": "monthly_peak", **more}
    return tariff({"energy": "E", "price": 1}, line)


def history(kwh: float, at: int = 100, since: int = SINCE) -> Usage:
    usage = flat(since, QUARTER, KWH // 8)  # 0.5 kW
    usage.import_mwh[at] = int(kwh * KWH)
    return usage


def state(
    of: Tariff | None, usage: Usage, *, minutes: float = 5, energy_kwh: float = 0.25, power_w: float = 6000
) -> PeakState:
    now = QUARTER + int(minutes * MINUTE_MS)
    return peak_state(of, usage, PARIS, now, int(energy_kwh * KWH), power_w)


def test_the_quarter_is_projected_from_what_is_used_and_what_runs() -> None:
    found = state(contract(), history(1.0))

    assert found.quarter_ms == QUARTER
    assert (found.elapsed_ms, found.remaining_ms) == (5 * MINUTE_MS, 10 * MINUTE_MS)
    assert found.projected_w == pytest.approx(5000)  # 0.25 kWh and 10 minutes of 6 kW are 1.25 kWh
    assert found.billed_peak_w == 4000
    assert found.month_peak is not None
    assert found.month_peak.start_ms == SINCE + 100 * SLOT_MS


def test_headroom_is_what_may_be_switched_on_or_must_be_switched_off() -> None:
    found = state(contract(), history(1.0))

    assert found.allowed_w == pytest.approx(4500)  # 0.75 kWh in ten minutes
    assert found.headroom_w == pytest.approx(-1500)
    assert state(contract(), history(1.0), power_w=2000).headroom_w == pytest.approx(2500)
    assert state(contract(), history(1.0), energy_kwh=2).allowed_w == 0


@pytest.mark.parametrize(
    ("more", "stake"),
    [
        ({}, 4.0),  # 1 kW more at 48 / 12
        ({"per": "month"}, 48.0),
        (
            {"basis": "mean_of_monthly_peaks", "months": 12},
            48.0,
        ),  # the only month known so far, for twelve bills
        ({"minimum_kw": 4.5}, 2.0),
        ({"minimum_kw": 9}, 0.0),
        ({"basis": "contracted", "kw": 3}, 0.0),
        ({"when": {"hours": "00:00-12:00"}}, 0.0),
        ({"top": 2}, 9.0),  # 4 and 0.5 kW so far: 2.25 kW more in the mean
    ],
)
def test_money_at_stake_is_what_the_bill_would_grow_by(more: dict[str, Any], stake: float) -> None:
    found = state(contract(**more), history(1.0))

    assert found.at_stake_e8 / E8 == pytest.approx(stake)


def test_inside_a_step_nothing_is_at_stake_and_beyond_it_the_next_one_is() -> None:
    line = {"capacity": "P", "per": "month", "steps": [{"up_to_kw": 4.5, "price": 10}, {"price": 25}]}

    found = state(tariff(line), history(1.0))

    assert (found.billed_peak_w, found.at_stake_e8) == (4500, 15 * E8)
    assert state(tariff(line), history(1.0), power_w=4000).at_stake_e8 == 0


def test_a_mean_of_twelve_months_moves_by_a_twelfth_for_twelve_bills() -> None:
    since = midnight("2025-04-01")
    usage = history(1.0, (QUARTER - since) // SLOT_MS - 300, since)

    found = state(contract(basis="mean_of_monthly_peaks"), usage)

    assert found.at_stake_e8 == pytest.approx(4 * E8)
    assert found.usual_peak_w == 500


def test_hours_are_coached_as_hours() -> None:
    usage = flat(SINCE, QUARTER + 2 * SLOT_MS, KWH // 8)
    usage.import_mwh[-2:] = KWH  # half an hour of 4 kW
    found = peak_state(
        contract(interval_minutes=60), usage, PARIS, QUARTER + 2 * SLOT_MS + 5 * MINUTE_MS, KWH // 4, 3000
    )

    assert (found.quarter_ms, found.interval_ms) == (QUARTER, 4 * SLOT_MS)
    assert found.energy_mwh == 2_250_000
    assert found.projected_w == pytest.approx(2250 + 1250)


def test_without_a_tariff_the_peak_is_told_and_nothing_is_at_stake() -> None:
    found = state(None, history(1.0))

    assert (found.billed_peak_w, found.at_stake_e8) == (4000, 0)
    assert found.is_new_peak


def test_feeding_in_is_no_power() -> None:
    assert state(contract(), history(1.0), energy_kwh=0, power_w=-3000).projected_w == 0


def test_no_history_at_all() -> None:
    found = state(contract(), Usage.measured(QUARTER, []))

    assert (found.month_peak, found.billed_peak_w, found.usual_peak_w) == (None, 0, 0)


# the warning


def test_one_warning_per_quarter() -> None:
    found = state(contract(), history(1.0))

    first, after = warn_once(found, WarnState())
    again, same = warn_once(replace(found, elapsed_ms=6 * MINUTE_MS), after)
    later, _ = warn_once(replace(found, quarter_ms=QUARTER + SLOT_MS), same)

    assert (first, again, later) == (True, False, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"elapsed_ms": MINUTE_MS},  # a kettle looks like a peak
        {"elapsed_ms": SLOT_MS - MINUTE_MS // 2},  # too late
        {"at_stake_e8": 0},
        {"projected_w": 3999.0},
        {"usual_peak_w": 6000.0},  # the best of the months before was worse
    ],
)
def test_no_warning_without_need(changes: dict[str, Any]) -> None:
    found = replace(state(contract(), history(1.0)), **changes)

    assert warn_once(found, WarnState()) == (False, WarnState())


def test_a_margin_makes_the_coach_patient() -> None:
    assert not warn_once(state(contract(), history(1.0)), WarnState(), margin_w=1500)[0]


def test_the_coach_needs_a_year_of_months() -> None:
    assert needed_for_peak_ms(None, PARIS, QUARTER) == midnight("2025-03-01")
    assert needed_for_peak_ms(contract(basis="billing_demand", months=24), PARIS, QUARTER) == midnight(
        "2024-03-01"
    )
