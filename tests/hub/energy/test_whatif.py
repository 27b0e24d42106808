"""What if: the same engine over a changed history; no change changes nothing."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.battery import Battery, Plan, always, with_battery
from hub.energy.bill import bill, needed_ms
from hub.energy.tariff import parse_tariff
from hub.energy.usage import Calendar, Usage
from hub.energy.whatif import Scenario, scaled_production, what_if
from hub.errors import Refused
from tests.hub.energy.streams import UNDER_LOAD
from tests.hub.energy.tariffs import CONTRACT, E8, KWH, fine, market, midnight, tariff, varied

PARIS = Calendar("Europe/Paris")
MARCH = (midnight("2026-03-01"), midnight("2026-04-01"))
FLEX = parse_tariff(CONTRACT)
FIRST, LAST = needed_ms(FLEX, PARIS, *MARCH)
USAGE, PRICES = varied(FIRST, LAST), {"spot": market(FIRST, LAST)}
SLOTS = st.lists(
    st.tuples(st.integers(0, 2 * KWH), st.integers(0, 2 * KWH), st.booleans()), min_size=1, max_size=60
)


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(),
        Scenario(tariff=FLEX),
        Scenario(pv_scale=Fraction(1)),
        Scenario(battery=Battery(0, 5000)),
        Scenario(battery=Battery(10 * KWH, 0)),
        Scenario(battery=Battery(0, 0, strategy="price")),
    ],
)
def test_no_change_gives_the_actual_bill_exactly(scenario: Scenario) -> None:
    found = what_if(FLEX, scenario, USAGE, USAGE.export_mwh, PRICES, PARIS, *MARCH)

    assert found.scenario == found.actual == bill(FLEX, USAGE, PRICES, PARIS, *MARCH)
    assert found.saving_e8 == 0


def test_another_tariff_is_billed_over_the_same_energy() -> None:
    other = tariff({"energy": "E", "price": 0.1})

    found = what_if(FLEX, Scenario(tariff=other), USAGE, None, PRICES, PARIS, *MARCH)

    assert found.scenario == bill(other, USAGE, PRICES, PARIS, *MARCH)
    assert found.actual.total_e8 - found.scenario.total_e8 == found.saving_e8


# panels


@given(SLOTS, st.fractions(0, 5, max_denominator=100))
@settings(parent=UNDER_LOAD, max_examples=80)
def test_scaled_panels_keep_the_balance_of_each_slot(
    rows: list[tuple[int, int, bool]], scale: Fraction
) -> None:
    usage = Usage.measured(0, [row[0] for row in rows], [row[1] for row in rows])
    production = usage.export_mwh + 1000

    found = scaled_production(usage, production, scale)

    scaled = [round(int(value) * scale) for value in production]
    net = usage.import_mwh - usage.export_mwh - np.array(scaled) + production
    assert (found.import_mwh - found.export_mwh).tolist() == net.tolist()
    assert (found.import_mwh >= 0).all()
    assert (found.export_mwh >= 0).all()


def test_more_sun_first_replaces_import_and_less_is_first_fed_in_less() -> None:
    usage = Usage.measured(0, [3, 0], [0, 5])
    production = np.array([4, 9])

    double, none = (
        scaled_production(usage, production, Fraction(2)),
        scaled_production(usage, production, Fraction(0)),
    )

    assert (double.import_mwh.tolist(), double.export_mwh.tolist()) == ([0, 0], [1, 14])
    assert (none.import_mwh.tolist(), none.export_mwh.tolist()) == ([7, 4], [0, 0])


@pytest.mark.parametrize(
    ("production", "scale", "code"),
    [
        (None, Fraction(2), "WL-TAR-060"),
        (np.array([1]), Fraction(-1), "WL-TAR-063"),
        (np.array([1]), Fraction(101), "WL-TAR-063"),
    ],
)
def test_impossible_panels_are_refused(production: Any, scale: Fraction, code: str) -> None:
    with pytest.raises(Refused) as caught:
        scaled_production(Usage.measured(0, [1]), production, scale)

    assert caught.value.code == code


# batteries


@given(
    SLOTS, st.integers(0, 5 * KWH), st.integers(0, 8000), st.fractions(Fraction(1, 2), 1, max_denominator=50)
)
@settings(parent=UNDER_LOAD, max_examples=100)
def test_a_battery_makes_no_energy_and_stays_within_its_limits(
    rows: list[tuple[int, int, bool]], capacity: int, power_w: int, efficiency: Fraction
) -> None:
    usage = Usage.measured(0, [row[0] for row in rows], [row[1] for row in rows])
    battery = Battery(capacity, power_w, efficiency)
    plan = Plan(np.array([row[2] for row in rows]), np.array([not row[2] for row in rows]))

    for found in (with_battery(battery, usage, plan), with_battery(battery, usage, always(len(usage)))):
        charged = usage.export_mwh - found.export_mwh + np.maximum(found.import_mwh - usage.import_mwh, 0)
        covered = np.maximum(usage.import_mwh - found.import_mwh, 0)
        stored = np.cumsum(
            [int(c * efficiency) - int(d) for c, d in zip(charged.tolist(), covered.tolist(), strict=True)]
        )

        assert ((charged >= 0) & (charged + covered <= battery.slot_mwh)).all()
        assert (found.import_mwh >= 0).all()
        assert (found.export_mwh >= 0).all()
        assert all(-len(rows) <= level <= capacity + len(rows) for level in stored.tolist())
        assert int(covered.sum()) <= int(charged.sum()) * efficiency


def test_unknown_slots_are_left_alone() -> None:
    usage = Usage.measured(0, [0, 5, 5], [9, 0, 0])
    usage.import_known[1] = False

    found = with_battery(Battery(100, 100, Fraction(1)), usage, always(3))

    assert (found.import_mwh.tolist(), found.export_mwh.tolist()) == ([0, 5, 0], [0, 0, 0])


def day(strategy: Literal["self_consumption", "price"], *lines: dict[str, Any], size: int = 10) -> int:
    """What a battery saves on a day of 1 kW without sun."""
    start, end = midnight("2026-03-02"), midnight("2026-03-03")
    usage = Usage.measured(start, [KWH // 4] * 96)
    scenario = Scenario(battery=Battery(size * KWH, 5000, Fraction(8, 10), strategy))
    return what_if(fine(*lines), scenario, usage, None, {}, PARIS, start, end).saving_e8


NIGHT = {"energy": "Night", "price": 0.10, "when": {"hours": "00:00-06:00"}}


def test_a_battery_that_follows_prices_buys_cheap_and_covers_the_dear_hours() -> None:
    lines = (NIGHT, {"energy": "Day", "price": 0.30, "when": "otherwise"})

    assert day("self_consumption", *lines) == 0
    assert day("price", *lines) == 10 * 30 * E8 // 100 - 125 * 10 * E8 // 1000  # 12.5 kWh bought for 10


def test_prices_that_do_not_repay_the_losses_are_left_alone() -> None:
    assert day("price", NIGHT, {"energy": "Day", "price": 0.12, "when": "otherwise"}) == 0


@given(seed=st.integers(0, 1000))
@settings(parent=UNDER_LOAD, max_examples=10)
def test_following_prices_is_never_dearer_than_plain_self_consumption(seed: int) -> None:
    usage = varied(FIRST, LAST, seed=seed)
    plain, clever = (
        what_if(
            FLEX, Scenario(battery=Battery(5 * KWH, 3000, strategy=one)), usage, None, PRICES, PARIS, *MARCH
        )
        for one in _STRATEGIES
    )

    assert clever.scenario.total_e8 <= plain.scenario.total_e8


_STRATEGIES: tuple[Literal["self_consumption"], Literal["price"]] = ("self_consumption", "price")


@pytest.mark.parametrize(("size", "efficiency"), [(-1, Fraction(1)), (1, Fraction(0)), (1, Fraction(11, 10))])
def test_impossible_batteries_are_refused(size: int, efficiency: Fraction) -> None:
    with pytest.raises(Refused) as caught:
        Battery(size, 100, efficiency)

    assert caught.value.code == "WL-TAR-062"
