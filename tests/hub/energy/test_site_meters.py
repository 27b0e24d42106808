"""Which series decide: counters before powers, totals before phases, and every side by its sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from hub.energy.site_meters import SiteMeter, Term, site_meters
from hub.energy.site_slots import SiteSlots, quality_series, site_slots
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.model.device import Device
from hub.model.series import Role, Series, SeriesNo, known_series
from hub.model.units import STORED_UNIT

USUAL = ("power", "power_l1", "power_l2", "power_l3", "voltage", "energy", "energy_import", "energy_export")


def series_of(device: str, keys: dict[str, str | None]) -> tuple[Series, ...]:
    """Registered series with numbers in the order of the keys; a value is a kind such as ``delta``."""
    found = []
    for number, (key, kind) in enumerate(keys.items()):
        info = known_series(key, kind=kind, unit=None if key in USUAL else "kWh")
        found.append(
            Series(SeriesNo(number), device, key, info.quantity, STORED_UNIT[info.quantity], info.behaviour,
                   info.direction)
        )  # fmt: skip
    return tuple(found)


def meter_of(role: Role, *keys: str, kinds: dict[str, str] | None = None) -> SiteMeter:
    names = {key: (kinds or {}).get(key) for key in keys}
    found = site_meters([Device("m", "m", "test", role=role)], {"m": series_of("m", names)})
    assert len(found) == 1
    return found[0]


def columns(**by_slot: Sequence[int | None]) -> dict[int, SlotColumns]:
    """Slots of series ``n0``, ``n1`` …; None has no amount but is there."""
    found = {}
    for name, amounts in by_slot.items():
        count = len(amounts)
        nan, zero = np.full(count, np.nan), np.zeros(count, np.int32)
        found[int(name[1:])] = SlotColumns(
            np.arange(count, dtype=np.int64) * SLOT_MS,
            np.array([amount or 0 for amount in amounts], np.int64),
            np.array([amount is not None for amount in amounts]),
            zero, nan, nan, nan, nan, np.full(count, 1000 * (int(name[1:]) + 1), np.int32), zero, zero, zero, zero,
        )  # fmt: skip
    return found


def laid(meter: SiteMeter, **by_slot: Sequence[int | None]) -> SiteSlots:
    return site_slots([meter], 0, max(len(one) for one in by_slot.values()), columns(**by_slot))


def test_registers_of_a_grid_meter_decide_before_its_power() -> None:
    meter = meter_of(Role.GRID, "power", "energy_import", "energy_export")
    site = laid(meter, n0=[900, -900], n1=[500, 20], n2=[0, 300])

    assert site.give_mwh.tolist() == [[500, 20]]
    assert site.take_mwh.tolist() == [[0, 300]]


def test_power_stands_in_where_a_register_is_silent() -> None:
    meter = meter_of(Role.GRID, "power", "energy_import", "energy_export")
    site = laid(meter, n0=[900, -900, 7], n1=[500, None, None], n2=[0, None, 5])

    assert site.give_mwh.tolist() == [[500, 0, 7]]
    assert site.take_mwh.tolist() == [[0, 900, 5]]
    assert site.known.all()
    assert site.times_ms[0, 0].tolist() == [2000, 1000, 1000]


def test_signs_of_powers_follow_the_role() -> None:
    for role, give, take in (
        (Role.GRID, [5, 0], [0, 3]), (Role.SOLAR, [5, 0], [0, 3]), (Role.BATTERY, [5, 0], [0, 3]),
        (Role.LOAD, [0, 3], [5, 0]),
    ):  # fmt: skip
        site = laid(meter_of(role, "power"), n0=[5, -3])
        assert (site.give_mwh.tolist(), site.take_mwh.tolist()) == ([give], [take])


def test_registers_are_named_as_the_device_sees_them() -> None:
    battery = laid(meter_of(Role.BATTERY, "energy_import", "energy_export"), n0=[7], n1=[2])
    car = laid(meter_of(Role.EV, "energy_import"), n0=[7])
    roof = laid(meter_of(Role.SOLAR, "energy_import", "energy_export"), n0=[1], n1=[9])
    lone = laid(meter_of(Role.SOLAR, "energy_import"), n0=[9])

    assert (battery.take_mwh.tolist(), battery.give_mwh.tolist()) == ([[7]], [[2]])
    assert (car.take_mwh.tolist(), car.give_mwh.tolist()) == ([[7]], [[0]])
    assert (roof.give_mwh.tolist(), roof.take_mwh.tolist()) == ([[9]], [[1]])
    assert (lone.give_mwh.tolist(), lone.take_mwh.tolist()) == ([[9]], [[0]])


@pytest.mark.parametrize("parts", [("l1", "l2", "l3"), ("t1", "t2")])
def test_parts_are_added_up_where_there_is_no_total(parts: tuple[str, ...]) -> None:
    keys = [f"energy_import_{part}" for part in parts]
    site = laid(meter_of(Role.GRID, *keys), **{f"n{at}": [10, 5] for at in range(len(keys))})
    gap = laid(meter_of(Role.GRID, *keys), **{f"n{at}": [10, None if at else 5] for at in range(len(keys))})

    assert site.give_mwh.tolist() == [[10 * len(parts), 5 * len(parts)]]
    assert gap.known.tolist() == [[True, False]]


def test_words_of_a_key_tell_the_direction_that_nobody_declared() -> None:
    keys = ("energy_returned_t1", "energy_returned_t2", "energy_delivered_t1", "energy_delivered_t2")
    site = laid(meter_of(Role.GRID, *keys), n0=[1], n1=[2], n2=[10], n3=[20])
    store = laid(meter_of(Role.BATTERY, "energy_discharged", "energy_charged"), n0=[4], n1=[9])

    assert (site.give_mwh.tolist(), site.take_mwh.tolist()) == ([[30]], [[3]])
    assert (store.give_mwh.tolist(), store.take_mwh.tolist()) == ([[4]], [[9]])


def test_phases_of_a_power_are_netted_before_their_sign_is_taken() -> None:
    meter = meter_of(Role.GRID, "power_l1", "power_l2", "power_l3")
    assert laid(meter, n0=[-4], n1=[3], n2=[3]).give_mwh.tolist() == [[2]]


def test_a_total_decides_before_its_phases() -> None:
    meter = meter_of(Role.GRID, "energy_import_l1", "energy_import", "energy_import_l2")
    assert laid(meter, n0=[10], n1=[25], n2=[10]).give_mwh.tolist() == [[25]]


def test_signed_amounts_flow_both_ways() -> None:
    meter = meter_of(Role.GRID, "energy", kinds={"energy": "delta"})
    site = laid(meter, n0=[5, -3])
    assert (site.give_mwh.tolist(), site.take_mwh.tolist()) == ([[5, 0]], [[0, 3]])


def test_what_a_register_counts_backwards_is_told_apart() -> None:
    meter = meter_of(Role.GRID, "energy_import", "power", kinds={"energy_import": "delta"})
    site = laid(meter, n0=[-8, 4], n1=[1, 1])
    assert (site.give_mwh.tolist(), site.wrong_mwh.tolist()) == ([[0, 4]], [[8, 0]])


def test_series_that_do_not_count_and_devices_without_a_role_are_left_out() -> None:
    series = tuple(replace(one, in_balance=False) for one in series_of("m", {"energy_import": None}))
    assert site_meters([Device("m", "m", "test", role=Role.GRID)], {"m": series}) == ()
    assert site_meters([Device("m", "m", "test")], {"m": series_of("m", {"power": None})}) == ()
    assert (
        site_meters([Device("m", "m", "test", role=Role.LOAD)], {"m": series_of("m", {"voltage": None})})
        == ()
    )


def test_parents_are_the_nearest_in_the_balance() -> None:
    power = {name: series_of(name, {"power": None}) for name in ("main", "second", "board", "plug", "a", "b")}
    devices = [
        Device("main", "", "t", role=Role.GRID),
        Device("second", "", "t", role=Role.GRID, parent="main"),
        Device("board", "", "t", role=Role.LOAD, parent="main"),
        Device("strip", "", "t", parent="board"),
        Device("plug", "", "t", role=Role.LOAD, parent="strip"),
        Device("a", "", "t", role=Role.LOAD, parent="b"),
        Device("b", "", "t", role=Role.LOAD, parent="a"),
    ]
    found = site_meters(reversed(devices), power)

    assert [(one.device, one.parent) for one in found] == [
        ("a", None), ("b", None), ("board", None), ("main", None), ("plug", "board"),
    ]  # fmt: skip


def test_only_the_quality_of_what_decides_is_needed() -> None:
    meter = meter_of(Role.SOLAR, "power", "energy")
    everywhere = np.ones(2, np.bool_)
    some = np.array([True, False])
    amounts = np.zeros(2, np.int64)

    assert quality_series([meter], 2, {0: (amounts, everywhere), 1: (amounts, everywhere)}) == {1}
    assert quality_series([meter], 2, {0: (amounts, everywhere), 1: (amounts, some)}) == {0, 1}


def test_a_silent_power_is_not_missed_beside_a_register() -> None:
    plug = laid(meter_of(Role.LOAD, "energy", "power"), n0=[5, 6], n1=[5, None])
    grid = laid(meter_of(Role.GRID, "energy_import", "energy_export"), n0=[5, 6], n1=[0, None])

    assert plug.known.tolist() == [[True, True]]
    assert grid.known.tolist() == [[True, False]]


def test_the_order_of_devices_does_not_matter() -> None:
    devices = [Device(name, "", "t", role=Role.LOAD) for name in ("b", "a", "c")]
    series = {one.id: series_of(one.id, {"energy": None}) for one in devices}
    meters = [replace(one, take=(Term((at,)),)) for at, one in enumerate(site_meters(devices, series))]
    rows = columns(n0=[1], n1=[2], n2=[3])
    first, second = site_slots(meters, 0, 1, rows), site_slots(meters[::-1], 0, 1, rows)

    assert [one.device for one in first.meters] == [one.device for one in second.meters] == ["a", "b", "c"]
    assert first.take_mwh.tolist() == second.take_mwh.tolist() == [[1], [2], [3]]


def test_rows_outside_the_grid_are_ignored() -> None:
    meter = meter_of(Role.GRID, "energy_import")
    site = site_slots([meter], SLOT_MS, 2, columns(n0=[1, 2, 3, 4]))
    assert site.give_mwh.tolist() == [[2, 3]]
