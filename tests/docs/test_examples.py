"""Every example configuration loads as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.examples import ROOT, load_text

EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.yaml"))
SHIPPED = [*EXAMPLES, ROOT / "config" / "hub.yaml", ROOT / "config" / "docker" / "hub.yaml"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_configuration_loads_without_errors_and_warnings(path: Path, tmp_path: Path) -> None:
    config = load_text(path.read_text(encoding="utf-8"), tmp_path)

    assert [str(warning) for warning in config.warnings] == []


def test_examples_cover_the_four_promised_installations() -> None:
    assert [path.stem for path in EXAMPLES] == [
        "building-postgres",
        "home",
        "modbus-meters",
        "mqtt-zigbee2mqtt-tasmota",
    ]


def test_home_has_a_grid_meter_and_five_connections(tmp_path: Path) -> None:
    config = load_text((ROOT / "config/examples/home.yaml").read_text(encoding="utf-8"), tmp_path)

    assert [entry.domain for entry in config.integrations] == ["modbus", "modbus", "shelly", "shelly", "mqtt"]
    assert [device.id for device in config.devices if device.role == "grid"] == ["main-meter"]


def test_the_broker_of_compose_finds_every_file_that_its_configuration_names() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    mounts = dict(re.findall(r"- (\./\S+?):(/[^:\s]+)", text))
    inside = set(mounts.values())
    broker = next(here for here, there in mounts.items() if there.endswith("/mosquitto.conf"))
    wanted = re.findall(r"^\w+file (\S+)", (ROOT / broker).read_text(encoding="utf-8"), re.MULTILINE)

    assert all((ROOT / here).exists() for here in mounts)
    assert set(wanted) <= inside
