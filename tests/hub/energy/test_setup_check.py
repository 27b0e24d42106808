"""Faults of wiring are named, and a house without one is left in peace."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from hub.energy.setup_check import Finding, check_setup
from hub.energy.site_slots import SiteSlots
from hub.model.series import Role
from tests.hub.energy.sites import Column, a_site

COUNT = 4 * 96
Ints = NDArray[np.int64]


@dataclass
class Truth:
    """Four days of a house with a roof, a battery, an oven and a rest that nobody measures; mWh per slot."""

    seed: int = 3
    roof: Ints = field(init=False)
    oven: Ints = field(init=False)
    base: Ints = field(init=False)
    charge: Ints = field(init=False)
    discharge: Ints = field(init=False)
    bought: Ints = field(init=False)
    sold: Ints = field(init=False)
    soc: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        hour = np.arange(COUNT) / 4 % 24
        self.roof = (np.clip(np.sin((hour - 6) / 12 * np.pi), 0, None) * 1_000_000).astype(np.int64)
        self.roof[(hour < 6) | (hour > 18)] = 0
        self.oven = np.where(
            (hour > 18) & (hour < 20),
            500_000 + random.integers(0, 200_000, COUNT),
            random.integers(0, 9, COUNT),
        )
        self.base = 60_000 + random.integers(0, 60_000, COUNT)
        stored, full = 0, 5_000_000
        self.charge, self.discharge = np.zeros(COUNT, np.int64), np.zeros(COUNT, np.int64)
        self.soc = np.zeros(COUNT)
        for at in range(COUNT):
            spare = int(self.roof[at] - self.oven[at] - self.base[at])
            self.charge[at] = max(min(spare, full - stored), 0)
            self.discharge[at] = max(min(-spare, stored), 0)
            stored += int(self.charge[at] - self.discharge[at])
            self.soc[at] = 100 * stored / full
        net = self.oven + self.base + self.charge - self.roof - self.discharge
        self.bought, self.sold = np.maximum(net, 0), np.maximum(-net, 0)

    def columns(self) -> dict[str, Column]:
        return {
            "main": Column(Role.GRID, self.bought.tolist(), self.sold.tolist()),
            "roof": Column(Role.SOLAR, self.roof.tolist(), [0] * COUNT),
            "store": Column(Role.BATTERY, self.discharge.tolist(), self.charge.tolist()),
            "oven": Column(Role.LOAD, [0] * COUNT, self.oven.tolist()),
        }


def turned(column: Column) -> Column:
    return Column(column.role, column.take, column.give, column.parent)


def found(columns: dict[str, Column], truth: Truth) -> list[tuple[str, tuple[str, ...]]]:
    site: SiteSlots = a_site(columns, soc=truth.soc.tolist())
    return [(one.code, one.devices) for one in check_setup(site)]


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth()


def test_a_house_that_is_wired_well_has_no_findings(truth: Truth) -> None:
    assert found(truth.columns(), truth) == []


def test_swapped_import_and_export_are_found(truth: Truth) -> None:
    columns = truth.columns()
    assert found(columns | {"main": turned(columns["main"])}, truth) == [("grid_swapped", ("main",))]


def test_a_roof_with_the_wrong_sign_is_found(truth: Truth) -> None:
    columns = truth.columns()
    assert ("wrong_sign", ("roof",)) in found(columns | {"roof": turned(columns["roof"])}, truth)


def test_a_consumer_with_the_wrong_sign_is_found(truth: Truth) -> None:
    columns = truth.columns()
    assert ("wrong_sign", ("oven",)) in found(columns | {"oven": turned(columns["oven"])}, truth)


@pytest.mark.parametrize("with_soc", [True, False])
def test_a_battery_with_the_wrong_sign_is_found(truth: Truth, with_soc: bool) -> None:
    columns = truth.columns()
    columns |= {"store": turned(columns["store"])}
    site = a_site(columns, soc=truth.soc.tolist() if with_soc else None)
    assert [(one.code, one.devices) for one in check_setup(site)] == [("battery_sign", ("store",))]


def test_a_roof_inside_the_house_meter_is_found(truth: Truth) -> None:
    net = truth.oven + truth.base - truth.roof
    columns = truth.columns()
    del columns["oven"]
    columns["house"] = Column(Role.LOAD, np.maximum(-net, 0).tolist(), np.maximum(net, 0).tolist())
    assert ("solar_inside_meter", ("roof", "house")) in found(columns, truth)
    columns["roof"].parent = "house"
    assert found(columns, truth) == []


def test_two_meters_of_the_same_are_found(truth: Truth) -> None:
    columns = truth.columns()
    columns["stove"] = Column(Role.LOAD, [0] * COUNT, (truth.oven + 1).tolist())
    assert ("same_twice", ("oven", "stove")) in found(columns, truth)
    columns["stove"].parent = "oven"
    assert found(columns, truth) == []


def test_a_sub_meter_larger_than_its_parent_is_found(truth: Truth) -> None:
    columns = truth.columns()
    columns["board"] = Column(Role.LOAD, [0] * COUNT, (truth.oven // 2).tolist())
    columns["oven"].parent = "board"
    site = a_site(columns)
    larger: list[Finding] = [one for one in check_setup(site) if one.code == "submeter_larger"]

    assert [one.devices for one in larger] == [("board", "oven")]
    assert larger[0].evidence["sub_meters"] == pytest.approx(2 * larger[0].evidence["parent"], rel=0.01)


def test_a_house_without_a_grid_meter_is_found(truth: Truth) -> None:
    columns = truth.columns()
    del columns["main"]
    assert ("no_grid_meter", ()) in found(columns, truth)


def test_a_silent_device_and_a_register_that_runs_backwards_are_found(truth: Truth) -> None:
    columns = truth.columns()
    columns["lamp"] = Column(Role.LOAD, [0] * COUNT, [None] * COUNT)
    columns["oven"].wrong = {5: 400_000}

    assert found(columns, truth) == [("wrong_sign", ("oven",)), ("silent", ("lamp",))]


def test_an_empty_site_has_no_findings() -> None:
    assert check_setup(a_site({})) == ()
