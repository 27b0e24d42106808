"""The starter directory works as it is and overwrites nothing."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from hub.config.init import init_directory
from hub.config.loader import load
from hub.errors import ConfigError
from tests.hub.config.conftest import SCHEMAS


def test_the_starter_directory_loads_without_a_warning(tmp_path: Path) -> None:
    files = init_directory(tmp_path / "new" / "config", SCHEMAS)

    config = load(tmp_path / "new" / "config", SCHEMAS)

    assert [file.name for file in files] == ["hub.yaml", "secrets.yaml", "wattline.schema.json"]
    assert config.warnings == ()
    assert config.discovery == "inbox"


def test_the_commented_examples_are_valid(tmp_path: Path) -> None:
    hub_yaml = init_directory(tmp_path, SCHEMAS)[0]
    lines = hub_yaml.read_text().splitlines(keepends=True)
    hub_yaml.write_text(
        "".join(line.replace("  # ", "  ", 1) if line.startswith("  # ") else line for line in lines)
    )

    config = load(tmp_path, SCHEMAS)

    assert [entry.domain for entry in config.integrations] == ["mqtt", "modbus"]
    assert config.integrations[0].options["topics"][0]["value"] == "{{ json.power }}"
    assert config.site.location == (48.85, 2.35)
    assert config.devices[0].id == "main-meter"


def test_secrets_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        secrets = init_directory(tmp_path, SCHEMAS)[1]
    finally:
        os.umask(before)

    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600


def test_the_first_line_names_the_schema_beside_it(tmp_path: Path) -> None:
    hub_yaml, _, schema = init_directory(tmp_path, SCHEMAS)

    assert hub_yaml.read_text().splitlines()[0] == f"# yaml-language-server: $schema={schema.name}"
    assert json.loads(schema.read_text())["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize("name", ["hub.yaml", "secrets.yaml", "wattline.schema.json"])
def test_nothing_is_written_where_one_file_exists(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("nowhere")

    with pytest.raises(ConfigError, match=name):
        init_directory(tmp_path, SCHEMAS)

    assert os.listdir(tmp_path) == [name]
