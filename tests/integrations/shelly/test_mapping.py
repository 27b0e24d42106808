"""Fields become values: signs, registers, nulls, errors; and nothing breaks on nonsense."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.plugins.api import Behaviour, Direction
from integrations.shelly.mapping import Identity, identity_of, measures, number_of, series_of, values_of
from integrations.shelly.schema import SCHEMA
from integrations.shelly.status import METERING, Status
from tests.integrations.shelly.device import switch

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELD = st.sampled_from(
    ["apower", "aenergy", "ret_aenergy", "total_act_power", "a_act_power", "errors", "a_errors", "act_power",
     "total_act", "total_act_energy", "voltage", "n_current", "temperature", "pf", "a_freq"]
)  # fmt: skip
COMPONENT = st.sampled_from(
    ["switch:0", "em:0", "emdata:0", "em1:2", "em1data:2", "pm1:0", "cover:0", "wifi", "x:y"]
)


def values(component: str, fields: dict[str, Any], *, reverse: bool = False) -> dict[str, float]:
    return {one.key: one.value for one in values_of(component, fields, set(fields), reverse=reverse)}


def identity(profile: str | None = None, **options: Any) -> Identity:
    about = {"id": "ShellyPro3EM-AABBCC", "name": "Main\x00\ud800 board", "gen": 2, "profile": profile}
    return identity_of(about, SCHEMA({"host": "192.0.2.9", **options}))


def test_aenergy_counts_both_directions_where_there_is_a_return_register() -> None:
    fields = switch(aenergy={"total": 1000.5}, ret_aenergy={"total": 400.25})
    assert values("switch:0", fields)["energy_import"] == 600.25
    assert values("switch:0", fields)["energy_export"] == 400.25


def test_older_aenergy_is_taken_as_it_is() -> None:
    assert values("switch:0", switch(aenergy={"total": 1000.5}))["energy_import"] == 1000.5
    assert "energy_export" not in values("switch:0", switch())


@pytest.mark.parametrize(
    ("aenergy", "returned"),
    [
        (None, {"total": 1.0}),
        ({"total": 5.0}, None),
        ({"total": None}, {"total": 1.0}),
        ({"total": 1.0}, {"total": 5.0}),
    ],
)
def test_import_is_absent_where_one_of_both_registers_is_unknown_or_they_contradict(
    aenergy: Any, returned: Any
) -> None:
    assert "energy_import" not in values("switch:0", switch(aenergy=aenergy, ret_aenergy=returned))


def test_minutes_are_not_read() -> None:
    assert set(values("pm1:0", {"aenergy": {"by_minute": [1.0, 2.0, 3.0], "minute_ts": 1}})) == set()


def test_nulls_are_absent() -> None:
    fields = {"total_act_power": 5.0, "n_current": None, "a_voltage": None, "b_voltage": 230.0}
    assert values("em:0", fields) == {"power": 5.0, "voltage_l2": 230.0}


def test_reversed_device_swaps_registers_and_turns_powers() -> None:
    fields = switch(apower=-300.0, aenergy={"total": 900.0}, ret_aenergy={"total": 800.0})
    seen = values("switch:0", fields, reverse=True)
    assert (seen["power"], seen["energy_import"], seen["energy_export"]) == (300.0, 800.0, 100.0)
    assert seen["current"] == 5.21
    # An unsigned register has no other side.
    assert values("switch:0", switch(), reverse=True)["energy_import"] == 5000.25
    meter = {"total_act": 10.0, "total_act_ret": 20.0, "a_total_act_energy": 1.0}
    assert values("emdata:0", meter, reverse=True) == {
        "energy_export": 10.0, "energy_import": 20.0, "energy_export_l1": 1.0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("component", "errors", "lost"),
    [
        ("em1:0", {"errors": ["power_meter_failure"]}, {"power", "voltage", "current"}),
        ("em1:0", {"errors": ["out_of_range:voltage"]}, {"voltage"}),
        ("em1:0", {"errors": ["out_of_range:act_power", "no_load"]}, {"power"}),
        ("em1:0", {"errors": ["no_load"]}, set()),
        ("em1:0", {"errors": []}, set()),
        ("em1:0", {"errors": None}, set()),
        ("em1:0", {"errors": [7, {}, None]}, set()),
        ("switch:0", {"errors": ["overtemp", "overpower"]}, set()),
    ],
)
def test_errors_take_away_what_they_speak_of(component: str, errors: dict[str, Any], lost: set[str]) -> None:
    power = "apower" if component == "switch:0" else "act_power"
    fields = {power: 5.0, "voltage": 230.0, "current": 0.1}
    assert {"power", "voltage", "current"} - set(values(component, {**fields, **errors})) == lost


def test_bad_phase_spoils_its_values_and_the_sum() -> None:
    fields = {
        "total_act_power": 30.0, "a_act_power": 10.0, "b_act_power": 20.0, "a_voltage": 230.0, "b_voltage": 231.0,
        "a_errors": ["out_of_range:active_power"],
    }  # fmt: skip
    assert values("em:0", fields) == {"power_l2": 20.0, "voltage_l1": 230.0, "voltage_l2": 231.0}


def test_device_ids_say_channel_and_profile() -> None:
    plain, three_phase, single = identity(), identity("triphase"), identity("monophase")
    assert [plain.device(f"switch:{n}").id for n in (0, 1)] == [
        "shellypro3em-aabbcc",
        "shellypro3em-aabbcc-ch1",
    ]
    assert three_phase.device("em:0").id == three_phase.device("emdata:0").id == "shellypro3em-aabbcc"
    assert [single.device(name).id for name in ("em1:0", "em1data:0", "em1:2")] == [
        "shellypro3em-aabbcc-ch0", "shellypro3em-aabbcc-ch0", "shellypro3em-aabbcc-ch2"
    ]  # fmt: skip
    assert identity("cover").device("cover:0").id == "shellypro3em-aabbcc-cover0"


def test_names_of_devices_are_cleaned() -> None:
    assert identity().device("em:0").name == "Main board"
    assert identity(name="Cellar").device("em1:1").name == "Cellar 1"


def test_long_ids_leave_room_for_the_channel() -> None:
    ids = {identity(id="a" * 64).device(f"switch:{n}").id for n in range(3)}
    assert len(ids) == 3
    assert {len(one) for one in ids} == {64}


def test_series_know_unit_direction_and_interval() -> None:
    value = next(one for one in values_of("pm1:0", {"aenergy": {"total": 1.0}}, {"aenergy"}, reverse=False))
    info = series_of(value, 10.0)
    assert (info.unit, info.behaviour, info.direction, info.interval_ms) == (
        "Wh", Behaviour.COUNTER, Direction.IMPORT, 10_000
    )  # fmt: skip


def test_component_without_power_measures_nothing() -> None:
    assert not measures("switch:0", {"output": True, "temperature": {"tC": 37.5}})
    assert measures("switch:0", switch())


@given(JSON)
def test_only_finite_numbers_of_sensible_size_are_numbers(value: Any) -> None:
    number = number_of(value)
    assert number is None or (not isinstance(value, bool) and math.isfinite(number) and abs(number) < 1e15)


@given(
    st.lists(
        st.dictionaries(COMPONENT, st.dictionaries(FIELD, JSON, max_size=6) | JSON, max_size=4), max_size=5
    )
)
def test_any_frames_give_only_finite_values(frames: list[dict[str, Any]]) -> None:
    status = Status()
    for count, frame in enumerate(frames):
        changed = status.replace(frame) if count % 3 == 0 else status.merge(frame)
        for component, fields in changed.items():
            for value in values_of(component, status[component], fields, reverse=count % 2 == 1):
                assert math.isfinite(value.value)
                series_of(value, 1.0)
    assert all(METERING.match(name) for name in status)


@given(st.dictionaries(st.sampled_from(["apower", "voltage", "pf"]), st.floats(0, 1e6), min_size=1))
def test_merging_changes_one_by_one_gives_the_full_status(fields: dict[str, float]) -> None:
    whole, merged = Status(), Status()
    whole.replace({"switch:0": fields})
    for name, value in fields.items():
        assert merged.merge({"switch:0": {name: value}}) == {"switch:0": {name}}
    assert merged["switch:0"] == whole["switch:0"]


def test_flood_of_components_is_bounded() -> None:
    status = Status()
    for start in range(0, 1000, 100):
        status.merge({f"switch:{n}": {"apower": 1} for n in range(start, start + 100)})
    assert len(list(status)) == 64
