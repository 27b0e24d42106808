"""`integration new` and the conformance kit: a new one passes, a bad one is told what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.cli.conformance import Report, run_kit
from tests.hub.cli.conftest import Shell

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(shell: Shell) -> Path:
    """A fresh integration that polls quickly."""
    assert shell.run("integration", "new", "boiler_room").code == 0
    return shell.config_dir / "custom_integrations" / "boiler_room"


def kit(folder: Path, seconds: float = 10.0) -> Report:
    return run_kit(folder, {"interval": 0.1}, seconds)


def change(folder: Path, old: str, new: str, file: str = "client.py") -> None:
    path = folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def failed(report: Report) -> dict[str, str]:
    return {one.point: one.detail for one in report.findings if not one.ok}


def test_a_new_integration_passes_the_kit(folder: Path) -> None:
    report = kit(folder)

    assert failed(report) == {}
    assert report.domain == "boiler_room"
    assert set(report.rows) == {f"boiler-room.load_{span}" for span in ("1min", "5min", "15min")}


def test_a_new_integration_is_found_by_the_hub_and_its_options_are_checked(
    shell: Shell, folder: Path
) -> None:
    (shell.config_dir / "hub.yaml").write_text(
        "hub: {name: Home, time_zone: Europe/Paris, currency: EUR}\nintegrations: [{boiler_room: {intervall: 3}}]\n"
    )
    listed = {one["domain"]: one for one in shell.run("integration", "list", "--json").json["plugins"]}

    assert listed["boiler_room"]["state"] == "loaded"
    assert 'did you mean "interval"?' in shell.run("check").err


def test_the_command_says_every_point(shell: Shell, folder: Path) -> None:
    done = shell.run("integration", "test", str(folder), "--options", "{interval: 0.1}", "--seconds", "10")

    assert done.code == 0
    assert done.lines[-1] == "passes"
    assert all(line.startswith(("ok ", "        ")) for line in done.lines[:-1])


TIME = "ts_ms = intake.now_ms()"
READ = "return await asyncio.to_thread(os.getloadavg)"
POLL = "await poll(intake, self._interval_s, partial(self._turn, intake))"
ADD = "batch.add(handle, ts_ms, value)"
IMPORT = "from hub.plugins.api import ("


@pytest.mark.parametrize(
    ("old", "new", "point", "word"),
    [
        (TIME, f"{TIME} // 1000", "stores readings", "more than a day ago"),
        (TIME, f"{TIME} + 7_200_000", "stores readings", "future"),
        (ADD, "batch.add(handle, ts_ms, float('nan'))", "stores readings", "no reading"),
        (READ, "raise RuntimeError('broken')", "stores readings", "broken"),
        (READ, "raise CannotConnect('not there')", "stores readings", "not there"),
        (POLL, "return None", "stores readings", "ended by itself"),
        (IMPORT, f"import hub.app\n{IMPORT}", "imports hub.plugins.api only", "client.py: hub.app"),
        (IMPORT, f"from hub.plugins import manager\n{IMPORT}", "imports hub.plugins.api only", "manager"),
        (READ, "import time; time.sleep(1.0); return os.getloadavg()", "does not block", "held"),
    ],
)
def test_what_would_go_wrong_in_a_hub_is_named(
    folder: Path, old: str, new: str, point: str, word: str
) -> None:
    change(folder, old, new)
    report = kit(folder, 5.0)

    assert not report.ok
    assert word in failed(report)[point]


def test_a_source_that_does_not_let_go_is_found(folder: Path) -> None:
    change(
        folder,
        "        await poll(intake, self._interval_s, partial(self._turn, intake))",
        "        while True:\n"
        "            try:\n"
        "                await poll(intake, self._interval_s, partial(self._turn, intake))\n"
        "            except asyncio.CancelledError:\n"
        "                pass",
    )
    report = kit(folder, 5.0)

    assert "after it was cancelled" in failed(report)["stores readings"]


def test_a_source_that_gives_up_when_the_queue_is_full_is_found(folder: Path) -> None:
    change(
        folder,
        "        await poll(intake, self._interval_s, partial(self._turn, intake))",
        "        while True:\n"
        "            await intake.store(await self._turn(intake))\n"
        "            await asyncio.sleep(0.1)",
    )
    report = kit(folder)

    assert "the queue is full" in failed(report)["waits while the hub cannot store"]


def test_a_schema_that_takes_anything_is_found(folder: Path) -> None:
    change(
        folder,
        "SCHEMA = vol.Schema(\n    {",
        "SCHEMA = vol.Schema(\n  extra=vol.ALLOW_EXTRA, schema=  {",
        "schema.py",
    )
    report = kit(folder)

    assert "is accepted" in failed(report)["schema refuses nonsense"]


@pytest.mark.parametrize(
    ("file", "content", "word"),
    [
        ("__init__.py", "raise SystemExit(3)\n", "WL-PLG-004"),
        ("__init__.py", "x = 1\n", "WL-PLG-006"),
        ("manifest.yaml", "domain: other\nname: O\nversion: 1\n", "WL-PLG-002"),
        ("manifest.yaml", "domain: boiler_room\nname: O\nversion: '1'\napi: 99\n", "WL-PLG-003"),
    ],
)
def test_an_integration_that_cannot_be_loaded_is_told_why(
    folder: Path, file: str, content: str, word: str
) -> None:
    (folder / file).write_text(content)

    assert word in failed(kit(folder))["loads"]


@pytest.mark.parametrize("domain", ["http_json", "emoncms", "influx_line"])
def test_the_push_formats_of_the_hub_pass(domain: str) -> None:
    assert failed(run_kit(ROOT / "integrations" / domain, {}, 1.0)) == {}


@pytest.mark.parametrize("name", ["Boiler", "1a", "a", "a-b", "../x", "modbus", "x" * 33])
def test_a_name_that_is_not_possible_or_taken_is_refused(shell: Shell, name: str) -> None:
    done = shell.run("integration", "new", name)

    assert done.code == 1
    assert "WL-CLI-011" in done.err
    assert not (shell.config_dir / "custom_integrations").exists()


def test_an_integration_is_not_overwritten(shell: Shell, folder: Path) -> None:
    before = (folder / "client.py").read_text()
    done = shell.run("integration", "new", "boiler_room")

    assert done.code == 1
    assert (folder / "client.py").read_text() == before


@pytest.mark.parametrize("options", ["[", "- a", "text"])
def test_options_that_are_none_are_wrong_use(shell: Shell, folder: Path, options: str) -> None:
    assert shell.run("integration", "test", str(folder), "--options", options).code == 2
