"""`init`, `check` and `schema`."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from tests.hub.cli.conftest import Shell


def test_a_new_directory_passes_its_own_check(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "mine", tmp_path / "data")
    made = shell.run("init", str(tmp_path / "mine"), "--json")
    checked = shell.run("check")

    assert made.code == 0
    assert {Path(file).name for file in made.json["files"]} == {
        "hub.yaml",
        "secrets.yaml",
        "wattline.schema.json",
    }
    assert (tmp_path / "mine" / "secrets.yaml").stat().st_mode & 0o777 == 0o600
    assert (checked.code, checked.err) == (0, "")
    assert checked.lines[-1].startswith("ok: ")


def test_init_overwrites_nothing(shell: Shell) -> None:
    before = (shell.config_dir / "hub.yaml").read_text()
    done = shell.run("init", str(shell.config_dir))

    assert done.code == 1
    assert "WL-CFG-080" in done.err
    assert (shell.config_dir / "hub.yaml").read_text() == before


def test_check_shows_every_error_of_every_file_with_its_place(shell: Shell) -> None:
    (shell.config_dir / "hub.yaml").write_text(
        "hub: {name: Home, time_zone: Mars/Olympus, currency: EUR}\nhtp: {}\nintegrations: !include entries.yaml\n"
    )
    (shell.config_dir / "entries.yaml").write_text("- modbus: {hots: 192.0.2.7}\n")
    done = shell.run("check")
    plain = shell.run("check", "--json")

    assert (done.code, done.out) == (1, "")
    assert f"{shell.config_dir}/hub.yaml:1:" in done.err
    assert f"{shell.config_dir}/entries.yaml:1:" in done.err
    assert '"htp" is not known' in done.err
    assert plain.code == 1
    assert not plain.json["ok"]
    assert {item["file"] for item in plain.json["errors"]} == {"hub.yaml", "entries.yaml"}
    assert all(item["line"] and item["column"] and item["code"] for item in plain.json["errors"])


def test_check_never_shows_a_secret(shell: Shell) -> None:
    (shell.config_dir / "secrets.yaml").write_text('key: "canary-in-secrets"\n')
    (shell.config_dir / "secrets.yaml").chmod(0o600)
    (shell.config_dir / "hub.yaml").write_text(
        "sinks: {influxdb: {url: 'http://u:canary-in-url@h', tokn: canary-in-the-open, token: !secret key}}\n"
        "notify: {email: {password: canary-in-the-open, hots: x}\n"
    )
    done = shell.run("check")

    assert done.code == 1
    assert "canary" not in done.err.replace("tokn: canary", "")
    assert "canary-in-secrets" not in done.err


def test_check_names_a_missing_directory(tmp_path: Path) -> None:
    done = Shell(tmp_path / "nothing", tmp_path).run("check")

    assert done.code == 1
    assert "WL-CFG-001" in done.err


def test_check_warns_of_a_custom_integration_that_cannot_be_used(shell: Shell) -> None:
    folder = shell.config_dir / "custom_integrations" / "broken"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('no')\n")
    done = shell.run("check")

    assert done.code == 0
    assert "WL-PLG-004" in done.out
    assert "broken" in done.out


@pytest.mark.parametrize("words", [("schema",), ("schema", "--json")])
def test_the_schema_accepts_what_the_hub_accepts(shell: Shell, words: tuple[str, ...]) -> None:
    schema = json.loads(shell.run(*words).out)
    validator = jsonschema.Draft202012Validator(schema)
    config = YAML(typ="safe").load((shell.config_dir / "hub.yaml").read_text())

    assert list(validator.iter_errors(config)) == []
    assert not validator.is_valid({"htp": {}})
    assert "integration.modbus" in schema["$defs"]
