"""Corrections and manual readings at the command line, beside a running hub and without one."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.hub.cli.conftest import Running, Shell

SERIES = "main-meter.energy_import"
BEGIN = (int(time.time()) - 3 * 86_400) // 900 * 900_000
LOCAL = datetime.fromtimestamp(BEGIN / 1000, ZoneInfo("Europe/Paris")).replace(tzinfo=None).isoformat()
LIMIT_S = 60.0


def meter(running: Running) -> str:
    """A meter with three hours; returns a token."""
    token = running.shell.run("token", "create", "--user", "owner", "--name", "all").out.strip()
    rows = [
        {"device": "main-meter", "ts": BEGIN + n * 600_000, "values": {"energy_import": 100.0 + n / 10}}
        for n in range(19)
    ]
    assert running.send(token, rows) == 204
    return token


def iso(ms: int) -> str:
    """Text with an offset."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def energy(running: Running, token: str, expected: float) -> None:
    """Wait until the figures followed."""
    path = (
        f"/api/v1/history?series={SERIES}&start={BEGIN}&end={BEGIN + 10_800_000}&resolution=1d&columns=energy"
    )
    give_up_s = time.monotonic() + LIMIT_S
    found: float | None = None
    while time.monotonic() < give_up_s:
        _, answer = running.call("GET", path, token)
        found = sum(value or 0.0 for value in answer["series"][SERIES]["energy"])
        if found == pytest.approx(expected):
            return
        time.sleep(0.1)
    raise AssertionError(f"{found} Wh instead of {expected}")


def test_a_correction_is_tried_made_listed_and_undone_beside_a_hub(running: Running, tmp_path: Path) -> None:
    token, run = meter(running), running.shell.run
    energy(running, token, 1800.0)
    what = (SERIES, "scale", "--start", LOCAL, "--value", "2")  # the site's time

    tried = run("correct", "preview", *what)
    made = run("correct", "add", *what, "--reason", "transformer 2:1", "--json")
    energy(running, token, 3600.0)
    listed = run("correct", "list", "--series", SERIES)
    undone = run("correct", "undo", str(made.json["id"]))
    energy(running, token, 1800.0)

    assert tried.code == made.code == undone.code == 0
    assert "1,800" in tried.out
    assert "3,600" in tried.out
    assert made.json["start"] == BEGIN
    assert "transformer 2:1" in listed.out
    again = run("correct", "undo", str(made.json["id"]), "--json")
    assert (again.code, again.json["errors"][0]["code"]) == (1, "WL-COR-004")
    rows = tmp_path / "rows.csv"
    rows.write_text(f"time,value\n{BEGIN},100\n{iso(BEGIN + 600_000)},100.4\n")
    replaced = run(
        "correct", "add", SERIES, "replace", "--start", str(BEGIN), "--end", str(BEGIN + 601_000),
        "--rows", str(rows), "--unit", "kWh", "--reason", "read anew", "--json",
    )  # fmt: skip
    assert [row["value"] for row in replaced.json["rows"]] == [100_000.0, 100_400.0]
    assert run("correct", "undo", str(replaced.json["id"])).code == 0


def test_a_meter_is_read_by_hand_beside_a_hub(running: Running) -> None:
    token = meter(running)
    running.call("POST", "/api/v1/metering-points", token, {"id": "cellar", "name": "Cellar"})

    first = running.shell.run("meter", "read", "cellar", "1000", "--at", "2026-01-31")
    last = running.shell.run("meter", "read", "cellar", "1250.5", "--at", "2026-02-28", "--json")
    again = running.shell.run("meter", "read", "cellar.energy_import", "1250.5", "--at", "2026-02-28")
    other = running.shell.run("meter", "read", "cellar.energy_import", "7", "--at", "2026-02-28", "--json")

    assert (first.code, last.json["accepted"]) == (0, 1)
    assert (again.code, again.out.strip()) == (0, "it was stored before")
    assert (other.code, other.json["errors"][0]["code"]) == (1, "WL-MET-005")


def test_without_a_hub_the_next_start_derives_what_was_corrected(shell: Shell) -> None:
    from tests.hub.cli.conftest import start_hub

    shell.own()
    process, url = start_hub(shell)
    running = Running(shell, process, url)
    try:
        token = meter(running)
        energy(running, token, 1800.0)
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0

    made = shell.run(
        "correct", "add", SERIES, "scale", "--start", str(BEGIN), "--value", "3", "--reason", "x", "--json"
    )
    read = shell.run("meter", "read", SERIES, "101.9", "--at", str(BEGIN + 19 * 600_000), "--json")
    seen = shell.run("correct", "list", "--json")
    wrong = shell.run("correct", "add", SERIES, "value", "--start", "soon", "--value", "3", "--reason", "x")

    assert (made.code, read.code, wrong.code) == (0, 0, 1)
    assert "WL-COR-005" in wrong.err
    assert [one["id"] for one in seen.json["items"]] == [made.json["id"]]
    process, url = start_hub(shell)
    running = Running(shell, process, url)
    try:
        token = shell.run("token", "create", "--user", "owner", "--name", "new").out.strip()
        energy(running, token, 3 * 1800.0)
        assert shell.run("db", "rebuild", "--check").code == 0
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
