"""Why a number is what it is, at the command line: with a hub and without one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.hub.cli.conftest import START_LIMIT_S, Running, Shell, start_hub

SERIES = "main-meter.energy_import"
DAY = ("--start", "2026-03-10", "--end", "2026-03-11")
VERSION: dict[str, Any] = {"from": "2026-01-01", "import": [{"energy": "All", "price": "0.30"}]}


def metered(running: Running, shell: Shell) -> None:
    """A day of the grid meter, and a contract."""
    token = shell.run("token", "create", "--user", "owner", "--name", "why").out.strip()
    start_ms = int(datetime(2026, 3, 10, tzinfo=ZoneInfo("Europe/Paris")).timestamp() * 1000)
    items = [
        {"device": "main-meter", "ts": start_ms + n * 900_000, "values": {"energy_import": n / 4}}
        for n in range(97)
    ]
    assert running.call("POST", "/api/v1/ingest", token, items)[0] == 204
    assert running.call("PATCH", "/api/v1/devices/main-meter", token, {"role": "grid"})[0] == 200
    assert running.call("POST", "/api/v1/tariffs", token, {"id": "api", "versions": [VERSION]})[0] == 201


def once_derived(shell: Shell, words: Sequence[str], value: str) -> dict[str, Any]:
    give_up_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < give_up_s:
        made: dict[str, Any] = shell.run(*words, "--json").json
        if made["node"]["value"] == value:
            return made
        time.sleep(0.1)
    raise AssertionError(made["node"]["value"])


def test_a_number_is_explained_the_same_with_a_hub_and_without_one(shell: Shell) -> None:
    shell.own()
    process, url = start_hub(shell)
    metered(Running(shell, process, url), shell)
    asked = [
        (("explain-number", SERIES, *DAY, "--depth", "3", "--limit", "2"), "24000"),
        (("explain-number", "--bill", "grid", *DAY, "--depth", "9", "--limit", "1"), "7.2"),
        (("explain-number", "--figure", "use", *DAY, "--limit", "3"), "24000"),
        (("explain-number", "--device", "main-meter", *DAY), "24000"),
    ]
    online = [once_derived(shell, words, value) for words, value in asked]
    process.terminate()
    assert process.wait(timeout=30) == 0
    offline = [shell.run(*words, "--json").json for words, _ in asked]
    shown = shell.run(*asked[0][0])
    billed = shell.run(*asked[1][0])

    assert offline == online
    assert "24000 Wh" in shown.out
    assert f"‹readings: series {SERIES}" in shown.out
    assert "94 more parts" in shown.out
    assert "‹tariffs: id api" in billed.out
    assert "0.3 EUR/kWh" in billed.out


def test_one_thing_is_named_and_only_one(shell: Shell) -> None:
    shell.own("anna", "admin")

    for words in ((), (SERIES, "--figure", "use")):
        ran = shell.run("explain-number", *words, *DAY)
        assert ran.code == 1
        assert "WL-NRG-013" in ran.err
