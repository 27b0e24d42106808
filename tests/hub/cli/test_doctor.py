"""`doctor`: finds what is wrong, and its bundle holds no secret in any spelling."""

from __future__ import annotations

import base64
import json
import socket
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.hub.cli.conftest import Ran, Running, Shell

CANARIES = {
    "stored": 'canary one/of+the"file',
    "unused": "canary-two-unused",
    "open": "canary-three-in-the-open",
    "url": "canary-four-url",
    "env": "canary-five-env",
    "hook": "canary-six-hook",
    "header": "canary-seven-header",
    "chat": "canary-eight-chat",
}


def parts(done: Ran) -> dict[str, dict[str, str]]:
    """The worst finding of each part."""
    order = ("ok", "note", "warning", "error")
    ordered = sorted(done.json["findings"], key=lambda one: order.index(one["level"]))
    return {one["part"]: one for one in ordered}


def test_a_well_house_has_no_errors(shell: Shell) -> None:
    shell.own()
    done = shell.run("doctor", "--json")

    assert done.code == 0
    assert done.json["ok"]
    assert {"program", "sqlite", "configuration", "disk", "lock", "http port", "store", "clock"} <= parts(
        done
    ).keys()


def test_looking_changes_nothing(shell: Shell) -> None:
    shell.run("doctor")

    assert not shell.data_dir.exists()


def test_errors_of_the_configuration_are_found(shell: Shell) -> None:
    (shell.config_dir / "hub.yaml").write_text("htp: {}\n")
    done = shell.run("doctor", "--json")

    assert done.code == 1
    assert parts(done)["configuration"]["code"] == "WL-CFG-020"


def test_a_port_that_is_taken_is_found(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (shell.config_dir / "hub.yaml").write_text(f"http: {{port: {port}}}\nmqtt_broker: {{mode: 'off'}}\n")
        done = shell.run("doctor", "--json")

    assert done.code == 1
    assert parts(done)["http port"]["code"] == "WL-WEB-001"
    assert str(port) in parts(done)["http port"]["text"]


def test_a_key_that_others_can_read_is_found(shell: Shell) -> None:
    shell.own()
    (shell.data_dir / "auth.key").chmod(0o644)
    done = shell.run("doctor", "--json")

    assert done.code == 1
    assert parts(done)["permissions"]["code"] == "WL-AUTH-002"


def test_a_server_that_does_not_answer_is_found_and_its_password_is_not_shown(
    shell: Shell, unused_tcp_port: int
) -> None:
    url = f"postgresql://wl:canary-pw@127.0.0.1:{unused_tcp_port}/hub"
    (shell.config_dir / "hub.yaml").write_text(f"storage: {{url: '{url}'}}\nmqtt_broker: {{mode: 'off'}}\n")
    done = shell.run("doctor", "--json")

    assert done.code == 1
    assert parts(done)["store"]["code"] == "WL-STO-009"
    assert "canary" not in done.out + done.err


def test_what_a_killed_hub_left_is_only_a_note(shell: Shell) -> None:
    shell.own()
    (shell.data_dir / "run.json").write_text("{}")
    (shell.data_dir / "run.json").chmod(0o600)

    assert "was killed" in parts(shell.run("doctor", "--json"))["lock"]["text"]


def test_the_bundle_holds_no_secret_in_any_spelling(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WL_CANARY", CANARIES["env"])
    for name in ("stored", "unused"):
        shell.run("secrets", "set", name, stdin=CANARIES[name])
    (shell.config_dir / "hub.yaml").write_text(
        f"""\
hub: {{name: Home, time_zone: Europe/Paris, currency: EUR, location: [48.8566, 2.3522]}}
mqtt_broker: {{mode: "off", users: [{{username: a, password: !secret stored}}]}}
storage: {{url: "postgresql://wl:{CANARIES["url"]}@127.0.0.1:1/hub"}}
sinks: {{influxdb: {{url: "http://h:8086/{CANARIES["hook"]}", org: o, token: {CANARIES["open"]}}}}}
notify:
  email: {{host: !env_var WL_CANARY none, password: x{CANARIES["open"]}}}
  apprise: [{{id: phone, url: "tgram://{CANARIES["chat"]}/12345"}}]
  webhook: {{url: "https://hooks.example.org/{CANARIES["hook"]}", headers: {{X-Key: {CANARIES["header"]}}}}}
integrations: [{{nothing: {{}}}}]
"""
    )
    shell.own()
    shell.run("doctor", "--bundle", str(tmp_path / "b.zip"))
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        text = "\n".join(archive.read(name).decode() for name in archive.namelist())

    for canary in CANARIES.values():
        raw = canary.encode()
        for form in (
            canary,
            quote(canary, safe=""),
            json.dumps(canary)[1:-1],
            raw.hex(),
            base64.b64encode(raw).decode(),
        ):
            assert form not in text
    assert "48.85" not in text
    assert "hooks.example.org" in text
    assert (tmp_path / "b.zip").stat().st_mode & 0o077 == 0


def test_the_bundle_of_a_running_hub_holds_neither_its_keys_nor_its_tokens(
    running: Running, tmp_path: Path
) -> None:
    secret = running.shell.run("token", "create", "--user", "owner", "--name", "t").out.strip()
    done = running.shell.run("doctor", "--bundle", str(tmp_path / "b.zip"))
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    text = "\n".join(texts.values())
    key = json.loads((running.shell.data_dir / "run.json").read_text())["key"]

    assert done.code == 0
    assert json.loads(texts["hub.json"])["running"]
    assert "parts" in json.loads(texts["hub.json"])["health"]
    for hidden in (secret, key, (running.shell.data_dir / "auth.key").read_text().strip()):
        assert hidden not in text + done.out + done.err


def test_a_bundle_overwrites_nothing(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_text("mine")
    done = shell.run("doctor", "--bundle", str(tmp_path / "b.zip"))

    assert done.code == 1
    assert "WL-CLI-014" in done.err
    assert (tmp_path / "b.zip").read_text() == "mine"
