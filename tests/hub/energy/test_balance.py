"""The live balance holds exactly, names what nobody measured and says what it does not know."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.balance import Flow, PowerInput, live_balance
from hub.model.series import Role
from tests.hub.energy.streams import UNDER_LOAD

NOW_MS = 1_767_225_600_000


def one(
    device: str, role: Role, power_w: float | None, *, age_ms: int = 0, parent: str | None = None
) -> PowerInput:
    return PowerInput(device, role, power_w, NOW_MS - age_ms, parent)


def test_a_sunny_house() -> None:
    found = live_balance(
        [
            one("grid", Role.GRID, -1500.0),
            one("roof", Role.SOLAR, 5000.0),
            one("battery", Role.BATTERY, -500.0),
            one("car", Role.EV, 2000.0),
        ],
        now_ms=NOW_MS,
    )
    assert [(s.flow, s.power_w) for s in found.sources] == [(Flow.PRODUCTION, 5000.0)]
    assert [(s.flow, s.power_w) for s in found.uses] == [
        (Flow.EXPORT, 1500.0),
        (Flow.CHARGE, 500.0),
        (Flow.CONSUMPTION, 2000.0),
        (Flow.NOT_MEASURED, 1000.0),
    ]
    assert found.house_use_mw == 3_000_000
    assert found.complete


def test_a_source_that_nobody_measures_is_named() -> None:
    found = live_balance([one("grid", Role.GRID, 100.0), one("oven", Role.LOAD, 900.0)], now_ms=NOW_MS)
    assert found.residual_mw == -800_000
    assert found.sources[-1].flow is Flow.NOT_MEASURED
    assert found.house_use_mw == 900_000


def test_a_plug_behind_a_measured_consumer_is_not_counted_twice() -> None:
    inputs = [
        one("grid", Role.GRID, 1000.0),
        one("kitchen", Role.LOAD, 600.0, parent="grid"),
        one("kettle", Role.LOAD, 500.0, parent="kitchen"),
    ]
    assert live_balance(inputs, now_ms=NOW_MS).flow_mw(Flow.CONSUMPTION) == 600_000


def test_a_child_counts_where_its_parent_is_unknown() -> None:
    inputs = [one("kitchen", Role.LOAD, None), one("kettle", Role.LOAD, 500.0, parent="kitchen")]
    found = live_balance(inputs, now_ms=NOW_MS)
    assert found.flow_mw(Flow.CONSUMPTION) == 500_000
    assert found.unknown == ("kitchen",)


def test_stale_and_unknown_inputs_are_reported() -> None:
    found = live_balance(
        [
            one("grid", Role.GRID, 100.0, age_ms=90_001),
            one("roof", Role.SOLAR, float("nan")),
            one("battery", Role.BATTERY, None),
            one("gas", Role.GAS, 12.0),
        ],
        now_ms=NOW_MS,
    )
    assert found.stale == ("grid",)
    assert found.unknown == ("roof", "battery")
    assert not found.complete


@pytest.mark.parametrize(
    ("role", "power_w", "side", "flow"),
    [
        (Role.SOLAR, -5.0, "uses", Flow.CONSUMPTION),
        (Role.LOAD, -300.0, "sources", Flow.PRODUCTION),
        (Role.BATTERY, 300.0, "sources", Flow.DISCHARGE),
        (Role.GRID, 1.0, "sources", Flow.IMPORT),
    ],
)
def test_signs(role: Role, power_w: float, side: str, flow: Flow) -> None:
    found = live_balance([one("it", role, power_w)], now_ms=NOW_MS)
    first = getattr(found, side)[0]
    assert (first.flow, first.device, first.power_w) == (flow, "it", abs(power_w))


POWERS = st.one_of(st.none(), st.floats(-1e15, 1e15), st.floats(allow_nan=True, allow_infinity=True))


@settings(UNDER_LOAD, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(list(Role)), POWERS), max_size=12))
def test_both_sides_are_equal_to_the_milliwatt(items: list[tuple[Role, float | None]]) -> None:
    found = live_balance([one(f"d{i}", role, p) for i, (role, p) in enumerate(items)], now_ms=NOW_MS)
    assert sum(s.power_mw for s in found.sources) == sum(u.power_mw for u in found.uses) == found.total_mw()
    assert all(share.power_mw > 0 for share in (*found.sources, *found.uses))


def test_a_roof_behind_the_meter_of_the_house_is_added_to_what_that_shows() -> None:
    found = live_balance(
        [
            one("grid", Role.GRID, -500.0),
            one("house", Role.LOAD, -500.0),
            one("roof", Role.SOLAR, 2000.0, parent="house"),
        ],
        now_ms=NOW_MS,
    )
    assert [(s.flow, s.device, s.power_w) for s in found.uses] == [
        (Flow.EXPORT, "grid", 500.0),
        (Flow.CONSUMPTION, "house", 1500.0),
    ]
    assert found.residual_mw == 0
