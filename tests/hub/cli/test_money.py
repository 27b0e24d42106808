"""Tariffs and bills at the command line, with a hub and without one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.hub.cli.conftest import START_LIMIT_S, Running, Shell, start_hub

TARIFF = """\
tariffs:
  - id: home
    versions: [{from: 2026-01-01, import: [{energy: All, price: 0.30}]}]
"""
EXAMPLES = sorted((Path(__file__).parents[3] / "config" / "examples" / "tariffs").glob("*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_example_contracts_are_right(shell: Shell, file: Path) -> None:
    ran = shell.run("tariff", "check", str(file))

    assert (ran.code, ran.out.partition(":")[0]) == (0, "ok")


def test_everything_wrong_with_a_contract_is_shown_at_its_place(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "contract.yaml"
    file.write_text("id: home\nversions: [{from: 2026-01-01, import: [{energy: A, prize: 1}]}]\n")
    plain, machine = (
        shell.run("tariff", "check", str(file)),
        shell.run("tariff", "check", str(file), "--json"),
    )

    assert plain.code == machine.code == 1
    assert f"{file}:2:52 WL-TAR-002" in plain.err
    assert [one["line"] for one in machine.json["errors"]] == [2, 2]


@pytest.mark.parametrize("text", ["", "tariffs: {}\n", "- a\n", "tariffs: [\n", "tariffs: [7]\n"])
def test_a_file_that_is_no_contract_is_no_crash(shell: Shell, tmp_path: Path, text: str) -> None:
    file = tmp_path / "contract.yaml"
    file.write_text(text)

    assert shell.run("tariff", "check", str(file)).code == 1


def test_a_bill_is_the_same_with_a_hub_and_without_one(shell: Shell) -> None:
    shell.own()
    process, url = start_hub(shell)
    running = Running(shell, process, url)
    token = shell.run("token", "create", "--user", "owner", "--name", "bill").out.strip()
    start_ms = int(datetime(2026, 3, 10, tzinfo=ZoneInfo("Europe/Paris")).timestamp() * 1000)
    items = [
        {"device": "main-meter", "ts": start_ms + n * 900_000, "values": {"energy_import": n / 4}}
        for n in range(97)
    ]
    version: dict[str, Any] = {"from": "2026-01-01", "import": [{"energy": "All", "price": "0.30"}]}
    body = {"id": "api", "versions": [version]}
    assert running.call("POST", "/api/v1/ingest", token, items)[0] == 204
    assert running.call("PATCH", "/api/v1/devices/main-meter", token, {"role": "grid"})[0] == 200
    assert running.call("POST", "/api/v1/tariffs", token, body)[0] == 201
    words = ("bill", "--start", "2026-03-10", "--end", "2026-03-11")
    online = derived_bill(shell, words)
    shown, listed = shell.run(*words), shell.run("tariff", "list")
    process.terminate()
    assert process.wait(timeout=30) == 0
    offline, listed_offline = shell.run(*words, "--json"), shell.run("tariff", "list")

    assert online["total"] == "7.20"
    assert offline.json == online
    assert listed.out == listed_offline.out
    assert shown.lines[-1].split() == ["Total", "7.20"]
    assert {len(line) for line in shown.lines[2:]} == {len(shown.lines[2])}  # amounts end below each other


def derived_bill(shell: Shell, words: Sequence[str]) -> dict[str, Any]:
    """The bill once the hub has derived the readings, which it does every two seconds."""
    give_up_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < give_up_s:
        made: dict[str, Any] = shell.run(*words, "--json").json
        if made["total"] != "0.00":
            break
        time.sleep(0.1)
    return made


def test_a_bill_without_a_meter_says_what_to_do(shell: Shell) -> None:
    shell.own("anna", "admin")
    ran = shell.run("bill", "--start", "2026-03-10", "--end", "2026-03-11")

    assert ran.code == 1
    assert "WL-MNY-010" in ran.err
