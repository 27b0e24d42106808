"""Tariffs, prices and budgets of the configuration: every fault at its place, all at once."""

from __future__ import annotations

import pytest

from hub.config.errors import ConfigErrors
from tests.hub.config.conftest import SITE, Folder

GOOD = """\
tariffs:
  - id: home
    versions:
      - from: 2026-01-01
        import:
          - {energy: Day, price: 0.3120, when: {hours: "07:00-23:00"}}
          - {energy: Night, price: 0.2450, when: otherwise}
prices: [{id: spot, unit: EUR/MWh, source: nordpool-nl}, {id: market, series: market.price}]
budgets: [{id: electricity, amount: 120.00}, {id: year, energy_kwh: 3500, period: year}]
"""


def places(folder: Folder, text: str) -> list[tuple[str, int, int]]:
    """Code, line and column of every error; lines count from the first behind the site's."""
    folder.write(SITE + text)
    with pytest.raises(ConfigErrors) as caught:
        folder.load()
    before = SITE.count("\n")
    return [(one.code, one.at.line - before, one.at.column) for one in caught.value.errors]


def test_what_is_right_is_kept(folder: Folder) -> None:
    kept = folder.write(SITE + GOOD).load().kept

    assert kept["tariffs"][0]["versions"][0]["import"][0]["price"] == 0.312
    assert [one["id"] for one in kept["prices"]] == ["spot", "market"]
    assert [one["id"] for one in kept["budgets"]] == ["electricity", "year"]


def test_every_fault_of_a_tariff_is_shown_at_its_value(folder: Folder) -> None:
    text = GOOD.replace("price: 0.3120", "price: much").replace("otherwise", "{houres: '7-8'}")

    found = places(folder, text)

    assert ("WL-TAR-004", 6, 34) in found
    assert any(code == "WL-TAR-002" and line == 7 for code, line, _ in found)


def test_a_missing_key_is_shown_at_the_mapping_that_lacks_it(folder: Folder) -> None:
    assert places(folder, "prices:\n  - {unit: EUR/kWh}\n") == [("WL-MNY-003", 2, 5)]


def test_an_unknown_key_is_shown_at_the_key(folder: Folder) -> None:
    assert places(folder, "budgets: [{id: x, amount: 1, perod: day}]\n") == [("WL-MNY-004", 1, 30)]


def test_faults_of_several_sections_come_together(folder: Folder) -> None:
    text = "prices: [{id: spot, unit: EUR}]\nbudgets: [{id: b, amount: -1}]\ntariffs: [{id: t}]\n"

    assert [code for code, _, _ in places(folder, text)] == ["WL-MNY-001", "WL-MNY-002", "WL-TAR-003"]


@pytest.mark.parametrize(
    "text",
    [
        "prices: [{id: a}, {id: a}]\n",
        "prices: [{id: a-b}, {id: a_b}]\n",
        "budgets: [{id: a, amount: 1}, {id: a, amount: 2}]\n",
    ],
)
def test_an_id_is_used_once(folder: Folder, text: str) -> None:
    assert [code for code, _, _ in places(folder, text)] == ["WL-CFG-032"]
