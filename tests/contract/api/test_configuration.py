"""The configuration directory: what ``wattline check`` says, what a reload does, and safe mode."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hub.cli.main import main
from tests.chaos.hub_process import ROOT, HubProcess
from tests.contract.api.client import Answer, Api, eventually, now_ms
from tests.contract.api.conftest import QUIET, begin, end
from tests.peers.ports import free_port


def wattline(*words: str | Path, stdin: str = "") -> tuple[int, str, str]:
    """Run a command as people do: exit code, stdout, stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "hub", *map(str, words)],
        cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def written(folder: Path, **files: str) -> Path:
    """A configuration directory; ``packages__barn`` stands for ``packages/barn.yaml``."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
    return folder


def checked(folder: Path) -> tuple[int, str]:
    """Exit code of ``check`` and everything it said; in this process, which is quick."""
    result = CliRunner().invoke(main, ["check", "--config", str(folder)])
    return result.exit_code, result.output


HUB = "hub: {name: Home, time_zone: Europe/Paris, currency: EUR}\n"


def test_all_tags_and_packages_together(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        hub=HUB
        + "http: {port: !env_var WL_PORT 8321}\n"
        + "integrations: !include_dir_merge_list meters\n"
        + "devices: !include devices.yaml\n"
        + "packages:\n  barn: !include packages/barn.yaml\n",
        devices="- {id: main-meter, role: grid}\n",
        secrets="shelly: hunter2hunter2\n",
        meters__a="- modbus: {host: 192.0.2.7, unit: 1, template: eastron-sdm630, name: Main meter}\n",
        meters__b="- shelly: {host: 192.0.2.8, password: !secret shelly}\n",
        packages__barn="integrations:\n  - shelly: {host: 192.0.2.40, name: Barn}\nareas:\n  - {id: barn}\n",
    )
    code, said = checked(folder)
    assert code == 0, said
    assert "3 integrations" in said


def test_every_mistake_of_every_file_at_once_with_its_place(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        hub="hub:\n  name: Home\n  time_zone: Europe/Pari\n  currency: EUR\nhttp:\n  prot: 8321\n"
        "integrations: !include more.yaml\n",
        more="- modbus: {host: 192.0.2.7, unti: 1, template: eastron-sdm360}\n- modbu: {host: 192.0.2.7}\n",
    )
    code, said = checked(folder)
    assert code == 1
    assert "hub.yaml:3:14 WL-CFG-" in said
    assert 'did you mean "Europe/Paris"?' in said
    assert "hub.yaml:6:3 WL-CFG-" in said
    assert 'did you mean "port"?' in said
    assert "more.yaml:1:" in said
    assert "unit" in said
    assert "eastron-sdm630" in said
    assert "more.yaml:2:3" in said
    assert said.count("^") >= 4


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (HUB + "http: {port: 8321}\nhttp: {port: 8322}\n", "hub.yaml:3:1"),
        (HUB + "http: {port: 8321, port: 8322}\n", "hub.yaml:2:"),
        ("", "hub.yaml"),
        ("# nothing\n", "hub.yaml"),
        (HUB + "storage: {url: !secret nope}\n", "hub.yaml:2:"),
        (HUB + "storage: {url: !env_var WL_NOT_SET}\n", "hub.yaml:2:"),
        (HUB + "storage: {url: !include ../../etc/passwd}\n", "hub.yaml:2:"),
        (HUB + "storage: {url: !python/object x}\n", "hub.yaml:2:"),
        (HUB + "http: [1\n", "hub.yaml:"),
        (HUB + "http: {port: no}\n", "hub.yaml:2:"),
        (HUB + "http:\n\tport: 1\n", "hub.yaml:3:"),
        (HUB + "packages:\n  a: {http: {port: 1}}\n  b: {http: {port: 2}}\n", "hub.yaml:"),
        ("- a\n", "hub.yaml:1:1"),
    ],
)
def test_mistakes_name_their_place_and_a_code(tmp_path: Path, text: str, place: str) -> None:
    code, said = checked(written(tmp_path, hub=text))
    assert code == 1, said
    assert place in said
    assert "WL-CFG-" in said
    assert "Traceback" not in said


def test_texts_that_yaml_1_1_would_twist(tmp_path: Path) -> None:
    hub = "hub: {name: NO, time_zone: Europe/Paris, currency: EUR, country: NO}\nmqtt_broker: {mode: off}\n"
    code, said = checked(written(tmp_path, hub=hub))
    assert code == 0, said


def test_wrong_use_is_2_and_json_is_json(tmp_path: Path) -> None:
    assert wattline("check", "--nonsense")[0] == 2
    assert wattline("nonsense")[0] == 2
    code, out, _ = wattline("check", "--config", written(tmp_path, hub=HUB + "x: 1\n"), "--json")
    assert code == 1
    assert "WL-CFG-020" in json.dumps(json.loads(out))
    missing = wattline("check", "--config", tmp_path / "nowhere")
    assert missing[0] in {1, 2}
    assert "WL-" in missing[1] + missing[2]


# --- reload ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub whose file the tests change; each test leaves a valid one."""
    process = HubProcess(tmp_path_factory.mktemp("reload"), QUIET)
    try:
        begin(process)
        yield process
    finally:
        end(process)


def entries(api: Api) -> dict[str, dict[str, Any]]:
    """Integration entries by name."""
    return {one["name"]: one for one in api.get("integrations", limit=1000)["items"]}


def put(hub: HubProcess, text: str) -> None:
    """Replace ``hub.yaml``."""
    (hub.config / "hub.yaml").write_text(text)


def reload(hub: HubProcess) -> Answer:
    """Reload by the API."""
    return Api(hub.port, hub.token).ask("POST", "/api/v1/config/reload", data={})


SHELLY = "  - shelly: {{id: lamp, host: 127.0.0.1, port: {port}, name: Lamp, interval: {interval}}}\n"


def test_entries_come_change_and_go_without_a_restart(hub: HubProcess) -> None:
    api, port = Api(hub.port, hub.token), free_port()
    before = entries(api)
    put(hub, QUIET + "integrations:\n" + SHELLY.format(port=port, interval=5))
    answer = reload(hub)
    assert answer.status == 200, answer.text
    lamp = entries(api)["Lamp"]["id"]
    assert answer.json["added"] == [lamp]
    put(hub, QUIET + "integrations:\n" + SHELLY.format(port=port, interval=6))
    assert reload(hub).json["changed"] == [lamp]
    put(hub, QUIET)
    assert reload(hub).json["removed"] == [lamp]
    assert {name: one["since_ms"] for name, one in entries(api).items()} == {
        name: one["since_ms"] for name, one in before.items()
    }


def test_a_signal_reloads_too(hub: HubProcess) -> None:
    api = Api(hub.port, hub.token)
    put(hub, QUIET + "integrations:\n" + SHELLY.format(port=free_port(), interval=5))
    assert hub.process is not None
    hub.process.send_signal(signal.SIGHUP)
    eventually(lambda: "Lamp" in entries(api))
    put(hub, QUIET)
    hub.process.send_signal(signal.SIGHUP)
    eventually(lambda: "Lamp" not in entries(api))


def test_an_invalid_file_keeps_the_last_good_configuration(hub: HubProcess) -> None:
    api = Api(hub.port, hub.token)
    good = QUIET + "integrations:\n" + SHELLY.format(port=free_port(), interval=5)
    put(hub, good)
    reload(hub)
    for broken in (good + "nonsense: 1\n", good.replace("Europe/Paris", "Europe/Pari"), "{", ""):
        put(hub, broken)
        found = reload(hub).problem(422, "WL-")
        assert found["errors"]
        assert "Lamp" in entries(api)
        api.stored("while-broken", now_ms(), power=1)
    put(hub, QUIET)
    assert reload(hub).status == 200


def test_roles_and_names_of_devices_follow_the_file(hub: HubProcess) -> None:
    api = Api(hub.port, hub.token)
    api.stored("cellar-meter", now_ms(), power=500)
    put(hub, QUIET + "devices:\n  - {id: cellar-meter, name: Cellar, role: grid}\n")
    assert reload(hub).status == 200
    device = api.get("devices/cellar-meter")
    assert (device["name"], device["role"]) == ("Cellar", "grid")
    eventually(lambda: api.get("energy/live")["totals"]["import"] == 500.0)
    put(hub, QUIET)
    assert reload(hub).status == 200


def test_secrets_stay_out_of_the_shown_configuration(hub: HubProcess) -> None:
    written(hub.config, secrets="lamp: canary-4711-canary\n")
    put(hub, QUIET + "integrations:\n  - shelly: {host: 127.0.0.1, port: 9, password: !secret lamp}\n")
    assert reload(hub).status == 200
    shown = json.dumps(Api(hub.port, hub.token).get("config"))
    assert "canary-4711" not in shown
    assert "canary-4711" not in hub.log
    put(hub, QUIET)
    assert reload(hub).status == 200


def test_safe_mode_still_takes_readings(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path, QUIET)
    try:
        begin(hub)
        assert end(hub) == 0
        text = QUIET + "nonsense: 1\nintegrations:\n  - shelly: {host: 127.0.0.1, port: 9, pasword: x}\n"
        put(hub, text + SHELLY.format(port=free_port(), interval=5))
        api = begin(hub)
        api.stored("safe", now_ms(), power=7)
        assert api.latest("safe.power")["value"] == 7.0  # type: ignore[index]
        assert "Lamp" in entries(api)
        shown = api.get("config")
        assert "WL-CFG-" in json.dumps(shown["errors"])
        put(hub, QUIET)
        assert reload(hub).status == 200
        assert not api.get("config")["errors"]
    finally:
        end(hub)
