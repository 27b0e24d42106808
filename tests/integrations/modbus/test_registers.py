"""The maps that come with the integration say what the manuals and the recorded maps of others say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from hub.plugins.api import Behaviour, Quantity, conversion
from integrations.modbus.mapping import meter_of
from integrations.modbus.plan import plan_reads
from integrations.modbus.registers import TEMPLATES, Register, load_template, template_names
from integrations.modbus.schema import REGISTER, SCHEMA

FIXTURES = Path(__file__).parents[4] / "shared" / "fixtures" / "modbus"


def register(template: str, key: str) -> Register:
    return next(one for one in load_template(template).registers if one.key == key)


def foreign_map(name: str) -> str:
    path = FIXTURES / "evcc_templates" / f"{name}.yaml"
    if not path.exists():
        pytest.skip(f"no map {name} of another project at hand to compare with")
    return path.read_text()


@pytest.mark.parametrize("name", template_names())
def test_template_is_as_strict_as_the_configuration(name: str) -> None:
    data: dict[str, Any] = YAML(typ="safe", pure=True).load(TEMPLATES / f"{name}.yaml")
    entries = [{**data.get("defaults", {}), **one} for one in data["registers"]]
    for one in entries:
        REGISTER(one)
    assert len({one["key"] for one in entries}) == len(entries)
    assert {"maker", "model", "kind"} <= set(data)
    assert (TEMPLATES / f"{name}.yaml").read_text().startswith("# ")


@pytest.mark.parametrize("name", template_names())
def test_template_becomes_series_that_the_hub_takes(name: str) -> None:
    meter = meter_of(SCHEMA({"host": "192.0.2.7", "template": name}))
    for info in meter.series:
        conversion(info.quantity, info.unit)
        assert info.quantity is not Quantity.OTHER
        assert (info.behaviour is Behaviour.COUNTER) == (info.quantity is Quantity.ENERGY)
        assert info.interval_ms == 10_000
    assert "power" in {info.key for info in meter.series}
    blocks = plan_reads(
        meter.template.registers, max_gap=meter.template.max_gap, max_block=meter.template.max_block
    )
    assert len(blocks) <= 6


def test_sdm630_addresses() -> None:
    wanted = {
        "power": 0x34,
        "energy_import": 0x48,
        "energy_export": 0x4A,
        "voltage_l1": 0x00,
        "current_l1": 0x06,
        "power_l1": 0x0C,
        "frequency": 0x46,
    }
    for template in ("eastron-sdm630", "eastron-sdm72d-m-2"):
        assert {key: register(template, key).address for key in wanted} == wanted
        assert {one.decode for one in load_template(template).registers} == {"float32"}
        assert {one.kind for one in load_template(template).registers} == {"input"}


@pytest.mark.parametrize(
    ("foreign", "template", "key", "scale_to_kwh_or_w"),
    [
        ("eastron-sdm120", "eastron-sdm120", "power", 1.0),
        ("huawei-sun2000-inverter", "huawei-sun2000", "power", 1.0),
        ("huawei-sun2000-inverter", "huawei-sun2000", "energy", 0.01),
        ("sma-inverter-modbus", "sma-inverter", "power", 1.0),
        ("sma-inverter-modbus", "sma-inverter", "energy", 1.0),
    ],
)
def test_addresses_and_formats_agree_with_another_project(
    foreign: str, template: str, key: str, scale_to_kwh_or_w: float
) -> None:
    text = foreign_map(foreign)
    ours = register(template, key)
    start = text.index("  power:" if key == "power" else "  energy:")
    found = re.search(r"address: (\w+).*?decode: (\w+)", text[start:], re.DOTALL)
    assert found is not None
    assert ours.address == int(found[1], 0)
    assert ours.decode == found[2].removesuffix("nan")
    assert ours.scale == scale_to_kwh_or_w
    assert bool(ours.sentinels) == found[2].endswith("nan")


def test_sdm120_counters_agree_with_another_project() -> None:
    text = foreign_map("eastron-sdm120")
    for address, key in (("0x4a # Export", "energy_export"), ("0x48 # Import", "energy_import")):
        assert f"address: {address}" in text
        assert register("eastron-sdm120", key).address == int(address[:4], 0)


def test_huawei_registers_agree_with_a_telegraf_map() -> None:
    path = FIXTURES / "telegraf" / "duplicate_fields_issue_12091" / "telegraf.conf"
    if not path.exists():
        pytest.skip("no telegraf map at hand to compare with")
    text = path.read_text()
    for key, pattern in {
        "dc_power": 'name="DC"',
        "power": 'name="AC"',
        "temperature": 'name="Internal"',
    }.items():
        ours = register("huawei-sun2000", key)
        line = next(one for one in text.splitlines() if pattern in one)
        assert f"address={ours.address}," in line
        assert f'type="{ours.decode.upper()}"' in line
