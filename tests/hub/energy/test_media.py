"""Gas by its calorific value, and heat pumps by energy."""

from __future__ import annotations

import numpy as np
import pytest

from hub.energy.installations import Installation
from hub.energy.media import MediumMeter, heat_pump, medium_meters, medium_sums
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.model.device import Device
from hub.model.series import Role, Series, SeriesNo, known_series
from hub.model.units import STORED_UNIT

M3 = 1_000_000


def rows(*amounts: int | None) -> SlotColumns:
    count = len(amounts)
    nan, zero = np.full(count, np.nan), np.zeros(count, np.int32)
    return SlotColumns(
        np.arange(count, dtype=np.int64) * SLOT_MS,
        np.array([amount or 0 for amount in amounts], np.int64),
        np.array([amount is not None for amount in amounts]),
        zero, nan, nan, nan, nan, np.full(count, SLOT_MS, np.int32), zero, zero, zero, zero,
    )  # fmt: skip


BORDERS = np.array([0, 2 * SLOT_MS]), np.array([2 * SLOT_MS, 4 * SLOT_MS])


def test_gas_becomes_energy_by_the_value_that_held_then() -> None:
    meter = MediumMeter("gas", "gas", 3, Role.GAS)
    calorific = [
        Installation(3, 0, 2 * SLOT_MS, calorific_value=11.2),
        Installation(3, 2 * SLOT_MS, calorific_value=12.5, state_number=0.8),
        Installation(4, 0, calorific_value=1.0),
    ]
    found = medium_sums(meter, rows(M3, M3, 2 * M3, None), *BORDERS, calorific, 10.5)

    assert found.amount.tolist() == [2 * M3, 2 * M3]
    assert found.energy_mwh is not None
    assert found.energy_mwh.tolist() == [22_400_000, 20_000_000]
    assert found.known.tolist() == [2, 1]


def test_gas_without_an_installation_takes_the_usual_value() -> None:
    found = medium_sums(
        MediumMeter("gas", "gas", 3, Role.GAS), rows(M3, None, None, None), *BORDERS, [], 10.5
    )
    assert found.energy_mwh is not None
    assert found.energy_mwh.tolist() == [10_500_000, 0]


def test_the_factor_of_an_installation_multiplies_its_volume() -> None:
    installed = [Installation(3, 2 * SLOT_MS, factor=10.0)]
    found = medium_sums(
        MediumMeter("tap", "water", 3, Role.WATER), rows(5, 6, 7, 8), *BORDERS, installed, 10.5
    )
    assert found.amount.tolist() == [11, 150]


def test_water_has_no_energy() -> None:
    found = medium_sums(MediumMeter("tap", "water", 3, Role.WATER), rows(5, 6, 7, 8), *BORDERS, [], 10.5)
    assert (found.amount.tolist(), found.energy_mwh) == ([11, 15], None)
    assert found.quality(0, 0, 2 * SLOT_MS).measured == 1.0


def test_a_heat_pump_is_measured_where_both_sides_are_known() -> None:
    drawn, known = np.array([1000, 1000, 1000, 500]), np.array([1, 1, 0, 1])
    found = heat_pump("pump", 0, drawn, known, [rows(4000, 2000, 9000, None)])

    assert (found.heat_mwh, found.electric_mwh) == (6000, 2000)
    assert found.cop == pytest.approx(3.0)
    assert heat_pump("pump", 0, drawn * 0, known, [rows(1, 1, 1, 1)]).cop is None


def test_registers_of_media_are_found_by_what_they_measure() -> None:
    series = []
    for number, key in enumerate(("gas", "water", "heat", "temperature", "energy")):
        info = known_series(key)
        unit = STORED_UNIT[info.quantity]
        series.append(Series(SeriesNo(number), "m", key, info.quantity, unit, info.behaviour))
    found = medium_meters([Device("m", "m", "test")], {"m": series})
    assert [(one.medium, one.series) for one in found] == [("gas", 0), ("heat", 2), ("water", 1)]
