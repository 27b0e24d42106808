"""The graph of flows and the lines of devices: what comes into a node goes out of it, in energy, cost and CO2."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import astuple

import numpy as np
from hypothesis import given

from hub.energy.allocation import SlotCarbon, SlotPrices, allocate
from hub.energy.flows import devices_json, flow_graph
from hub.energy.site_slots import SiteSlots
from hub.energy.site_sums import SiteSums, joined, summed
from hub.energy.slots import SLOT_MS
from hub.model.series import Role
from tests.hub.energy.sites import Column, a_site
from tests.hub.energy.test_allocation import SLOTS, prices, sites

DAY = np.array([0]), np.array([SLOTS * SLOT_MS])


def sums_of(site: SiteSlots, paid: SlotPrices | None) -> SiteSums:
    carbon = None if paid is None else SlotCarbon(np.abs(paid.export_e8) // 1000, paid.export_known)
    return summed(allocate(site, prices=paid, carbon=carbon), *DAY)


@given(sites(), prices())
def test_every_node_between_a_beginning_and_an_end_is_balanced(site: SiteSlots, paid: SlotPrices) -> None:
    nodes, links = flow_graph(sums_of(site, paid))
    ids = {node.id for node in nodes}
    into: dict[str, list[int]] = defaultdict(lambda: [0] * 5)
    out: dict[str, list[int]] = defaultdict(lambda: [0] * 5)
    for link in links:
        assert link.energy_mwh > 0
        assert {link.source, link.target} <= ids
        for side, name in ((out, link.source), (into, link.target)):
            for at, value in enumerate(astuple(link)[2:]):
                side[name][at] += value

    assert {name: into[name] for name in into if name in out} == {
        name: out[name] for name in into if name in out
    }


@given(sites(), prices())
def test_slots_summed_in_parts_are_the_same_sums(site: SiteSlots, paid: SlotPrices) -> None:
    found = allocate(site, prices=paid)
    borders = np.arange(SLOTS + 1) * SLOT_MS
    by_slot = summed(found, borders[:-1], borders[1:])
    halves = joined([by_slot.between(0, 2 * SLOT_MS), by_slot.between(2 * SLOT_MS, SLOTS * SLOT_MS)])
    once, twice = summed(found, *DAY), halves.grouped(*DAY)

    for name in (
        "fed_mwh",
        "cost",
        "co2",
        "lost",
        "change",
        "residual_mwh",
        "import_cost",
        "times_ms",
        "seen",
    ):
        assert getattr(once, name).tolist() == getattr(twice, name).tolist()
    assert (once.peak_mwh.tolist(), once.peak_ms.tolist()) == (
        twice.peak_mwh.tolist(),
        twice.peak_ms.tolist(),
    )


def test_a_battery_stands_between_the_grid_and_the_house_without_a_loop() -> None:
    site = a_site(
        {
            "main": Column(Role.GRID, [1000, 0, 0, 0, 0, 0], [0, 0, 300, 0, 0, 0]),
            "store": Column(Role.BATTERY, [0, 500, 300, 0, 0, 0], [1000, 0, 0, 0, 0, 0]),
            "oven": Column(Role.LOAD, [0] * 6, [0, 500, 0, 0, 0, 0]),
        }
    )
    _, links = flow_graph(sums_of(site, None))

    assert {(link.source, link.target): link.energy_mwh for link in links} == {
        ("grid:main", "battery"): 1000,
        ("battery", "home"): 500,
        ("battery", "export"): 300,
        ("battery", "stored"): 200,
        ("home", "device:oven"): 500,
    }


def test_lines_of_devices_make_the_site() -> None:
    site = a_site(
        {
            "main": Column(Role.GRID, [4_000_000, 2_000_000], [0, 0]),
            "board": Column(Role.LOAD, [0, 0], [3_000_000, 1_000_000]),
            "oven": Column(Role.LOAD, [0, 0], [1_000_000, 1_000_000], parent="board"),
        }
    )
    known = np.ones(2, np.bool_)
    paid = SlotPrices(np.array([30_000_000, 20_000_000]), known, np.zeros(2, np.int64), known)
    found = devices_json(sums_of(site, paid), SLOTS * SLOT_MS)

    # 2 kWh at 0.30; 1 kWh at 0.30 and 1 kWh at 0.20; the rest 1 kWh at 0.30 and 1 kWh at 0.20
    assert [(one["device"], one["energy"], one["cost"]) for one in found["devices"]] == [
        ("board", 2000.0, "0.60"),
        ("oven", 2000.0, "0.50"),
    ]
    assert found["devices"][0]["metered"] == 4000.0
    assert (found["not_measured"]["energy"], found["not_measured"]["cost"]) == (2000.0, "0.50")
    assert found["total"]["cost"]["net"] == "1.60"


def test_cost_of_energy_without_price_is_not_told() -> None:
    site = a_site(
        {
            "main": Column(Role.GRID, [1000], [0]),
            "roof": Column(Role.SOLAR, [1000], [0]),
            "oven": Column(Role.LOAD, [0], [2000]),
        }
    )
    found = devices_json(sums_of(site, None), SLOT_MS)
    oven = next(one for one in found["devices"] if one["device"] == "oven")

    assert (oven["cost"], oven["pending_kwh"], oven["co2"]) == (None, "0.001", None)
    assert found["total"]["cost"]["net"] is None
