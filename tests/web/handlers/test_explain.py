"""Why this number? Every figure of a real hub leads to stored rows, and every node is what its children make."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Any
from urllib.parse import urlencode

from hub.energy.explain import COMPUTED
from tests.web.conftest import House
from tests.web.handlers.contract import MARCH, counters, local_ms, meter_of, spot, tariff

DAY = (local_ms("2026-03-10"), local_ms("2026-03-11"))


async def explain(house: House, metric: str, **query: Any) -> dict[str, Any]:
    """The node that was asked for."""
    answer = await house.get(f"/api/v1/explain?{urlencode({'metric': metric, **query})}", by="viewer")
    assert answer.status == 200, answer.body
    node: dict[str, Any] = answer.json["node"]
    return node


def proven(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Every leaf of a tree, after checking each node against its children."""
    children = node.get("children")
    if not children:
        return [node]
    values = [Fraction(child["value"]) for child in children]
    if node["op"] == "sum":
        assert sum(values) == Fraction(node["value"]), node["path"]
    if node["op"] == "product":
        assert prod(values) == Fraction(node["value"]), node["path"]
    return [leaf for child in children for leaf in proven(child)]


def rooted(leaves: list[dict[str, Any]]) -> bool:
    """Whether all leaves are stored rows, or plainly computed."""
    return all("stored" in leaf or leaf["kind"] in COMPUTED for leaf in leaves)


async def test_a_day_of_a_counter_is_explained_down_to_its_readings(house: House) -> None:
    await meter_of(house, counters(*DAY))

    node = await explain(
        house, "energy", series="main-meter.energy_import", start=DAY[0], end=DAY[1], depth=9
    )
    leaves = proven(node)

    assert (node["value"], node["unit"], node["count"]) == ("24000", "Wh", 96)
    assert rooted(leaves)
    assert {leaf["stored"]["table"] for leaf in leaves} == {"readings"}
    assert len(leaves) == 2 * 96


async def test_a_bill_is_explained_down_to_readings_prices_and_rules(house: House) -> None:
    await meter_of(house, counters(*MARCH))
    await spot(house, *MARCH)
    await tariff(house)

    node = await explain(house, "bill", start=MARCH[0], end=MARCH[1], depth=2, limit=40)
    proven(node)

    assert node["value"] == "424.63"
    for line in node["children"]:
        path = line["path"]
        deep = await explain(house, "bill", start=MARCH[0], end=MARCH[1], path=path, depth=12, limit=2)
        leaves = [leaf for leaf in proven(deep) if leaf["kind"] != "rest"]
        assert rooted([leaf for leaf in leaves if leaf.get("children", True)]), path
