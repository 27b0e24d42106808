"""The manual of tariffs: its examples are read, cost what it says, and name every key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from hub.energy.bill import bill, needed_ms
from hub.energy.component_parser import LINE_KEYS
from hub.energy.components import Basis, Kind
from hub.energy.tariff import Tariff, parse_tariff
from hub.energy.usage import Calendar, PriceColumn
from hub.energy.when import WHEN_KEYS
from tests.docs.examples import ROOT
from tests.hub.energy.tariffs import E8, KWH, SLOT_MS, flat, midnight

PAGE = (ROOT / "docs" / "tariffs.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"(?:<!-- costs: (?P<costs>\S+) EUR -->\n)?```yaml\n(?P<text>.*?)```", re.DOTALL)


def examples() -> Iterator[Any]:
    for found in _BLOCK.finditer(PAGE):
        line = PAGE.count("\n", 0, found.start()) + 1
        yield pytest.param(found["text"], found["costs"], id=f"line {line}")


def read(text: str) -> Tariff:
    """A block with a whole tariff, or with lines of one."""
    data = YAML(typ="safe", pure=True).load(text)
    if isinstance(data, list):
        return parse_tariff({"id": "example", "versions": [{"from": "2020-01-01", "import": data}]})
    return parse_tariff(data["tariffs"][0])


@pytest.mark.parametrize(("text", "costs"), list(examples()))
def test_examples_cost_what_the_manual_says(text: str, costs: str | None) -> None:
    tariff, paris = read(text), Calendar("Europe/Paris")
    start, end = midnight("2026-03-01"), midnight("2026-04-01")
    first, last = needed_ms(tariff, paris, start, end)
    slots = (last - first) // SLOT_MS
    spot = PriceColumn(first, np.full(slots, E8 // 10), np.ones(slots, np.bool_))

    found = bill(tariff, flat(first, last, KWH // 4), {"spot": spot}, paris, start, end)

    assert found.as_json()["total"] == (costs or found.as_json()["total"])
    assert costs is None or f"{costs} EUR" in PAGE.replace(f"<!-- costs: {costs} EUR -->", "")


def test_every_key_and_word_is_in_the_manual() -> None:
    keys = {*LINE_KEYS, *(key for keys in LINE_KEYS.values() for key in keys), *WHEN_KEYS, *Kind, *Basis}
    version = {
        "from",
        "rounding",
        "netting",
        "day_types",
        "import",
        "export",
        "series",
        "codes",
        "dates",
        "starts",
    }

    assert sorted(key for key in {*map(str, keys), *version} if not re.search(rf"\b{key}\b", PAGE)) == []


def test_every_example_contract_is_listed() -> None:
    files = {path.name for path in (ROOT / "config/examples/tariffs").glob("*.yaml")}

    assert set(re.findall(r"tariffs/([\w-]+\.yaml)\)", PAGE)) == files
