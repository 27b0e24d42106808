"""What may be written, and what is said of mistakes."""

from __future__ import annotations

from typing import Any

import pytest
import voluptuous as vol

from integrations.modbus.mapping import meter_of
from integrations.modbus.schema import SCHEMA

REGISTER = {"key": "power", "address": "0x34", "type": "input", "decode": "float32", "unit": "W"}


def entry(**more: Any) -> dict[str, Any]:
    checked: dict[str, Any] = SCHEMA({"host": "192.0.2.7", **more})
    return checked


def test_example_of_the_manual() -> None:
    options = entry(unit=1, template="eastron-sdm630", name="Main meter", role="grid")
    assert (options["port"], options["interval"], options["timeout"], options["framer"]) == (
        502,
        10.0,
        3.0,
        "tcp",
    )
    meter = meter_of(options)
    assert (meter.device.id, meter.device.role, meter.unit) == ("main-meter", "grid", 1)
    assert meter.template.max_block == 80


@pytest.mark.parametrize(
    ("written", "seconds"), [(5, 5.0), ("5s", 5.0), ("500ms", 0.5), ("1 min", 60.0), ("0.5", 0.5), ("1h", 3600.0)]
)  # fmt: skip
def test_durations(written: object, seconds: float) -> None:
    assert entry(template="eastron-sdm120", interval=written)["interval"] == seconds


@pytest.mark.parametrize(
    ("id_from", "expected"),
    [
        ({"id": "cellar-meter", "name": "Main"}, "cellar-meter"),
        ({"name": "Zähler Süd"}, "zahler-sud"),
        ({}, "eastron-sdm120-4"),
    ],
)
def test_device_id(id_from: dict[str, str], expected: str) -> None:
    assert meter_of(entry(template="eastron-sdm120", unit=4, **id_from)).device.id == expected


def test_unit_comes_from_the_template_where_none_is_given() -> None:
    assert meter_of(entry(template="sma-inverter")).unit == 3
    assert meter_of(entry(template="sma-inverter", unit=0)).unit == 0
    assert meter_of(entry(registers=[REGISTER])).device.id == "modbus-1"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"template": "eastron-sdm631"},
        {"template": "../../secrets"},
        {"template": 7},
        {"template": "eastron-sdm630", "registers": [REGISTER]},
        {"template": "eastron-sdm630", "unit": 256},
        {"template": "eastron-sdm630", "unit": True},
        {"template": "eastron-sdm630", "port": 0},
        {"template": "eastron-sdm630", "port": "http"},
        {"template": "eastron-sdm630", "host": "http://meter/"},
        {"template": "eastron-sdm630", "host": ""},
        {"template": "eastron-sdm630", "host": "a b"},
        {"template": "eastron-sdm630", "interval": 0},
        {"template": "eastron-sdm630", "interval": "soon"},
        {"template": "eastron-sdm630", "interval": float("nan")},
        {"template": "eastron-sdm630", "interval": True},
        {"template": "eastron-sdm630", "timeout": "٣s"},
        {"template": "eastron-sdm630", "framer": "ascii"},
        {"template": "eastron-sdm630", "max_block": 126},
        {"template": "eastron-sdm630", "name": "///"},
        {"template": "eastron-sdm630", "role": "grit"},
        {"template": "eastron-sdm630", "colour": "red"},
        {"registers": []},
        {"registers": [REGISTER, REGISTER]},
        {"registers": [{**REGISTER, "address": 65535}]},
        {"registers": [{**REGISTER, "address": -1}]},
        {"registers": [{**REGISTER, "address": 1.5}]},
        {"registers": [{**REGISTER, "decode": "float16"}]},
        {"registers": [{**REGISTER, "type": "coil"}]},
        {"registers": [{**REGISTER, "key": "Power (W)"}]},
        {"registers": [{**REGISTER, "scale": "big"}]},
        {"registers": [{**REGISTER, "scale": float("inf")}]},
        {"registers": [{**REGISTER, "scale": float("nan")}]},
        {"registers": [{**REGISTER, "unit": "kg"}]},
        {"registers": [{**REGISTER, "sentinel": "never"}]},
        {"registers": [{"key": "x"}]},
    ],
)
def test_mistakes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(vol.Invalid):
        entry(**wrong)


def test_unknown_template_names_the_known_ones() -> None:
    with pytest.raises(vol.Invalid, match="eastron-sdm630"):
        entry(template="sdm630")
