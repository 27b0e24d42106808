"""Every code can be met, points at the exact place (marked by ``§``), and is explained."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import voluptuous as vol

from hub.config.codes import CODES
from hub.config.errors import ConfigErrors
from hub.config.init import init_directory
from hub.config.loader import load
from hub.errors import ConfigError
from tests.hub.config.conftest import SCHEMAS, SITE, Folder

BOMB = "forecast:\n  a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"  {b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
)
CHAIN = {f"{n}.yaml": f"a: !include {n + 1}.yaml" for n in range(12)} | {"9.yaml": "a: §!include 10.yaml"}

# code, content of hub.yaml behind the line of the site, further files
CASES: list[tuple[str, str, dict[str, str]]] = [
    ("WL-CFG-003", "forecast: §!include big.yaml", {"big.yaml": "a: " + "x" * (1 << 20)}),
    ("WL-CFG-004", "areas: !include part.yaml", {"part.yaml": "§# only words\n\n"}),
    ("WL-CFG-004", "areas: !include part.yaml", {"part.yaml": "§---\n"}),
    ("WL-CFG-006", "forecast: {a: §\x00}", {}),
    ("WL-CFG-006", "forecast: {a: b§\x85\x1b}".replace("\x85", ""), {}),
    ("WL-CFG-006", 'forecast: {a: §"a\\0b"}', {}),
    ("WL-CFG-006", 'forecast: {a: §"\\ud800"}', {}),
    ("WL-CFG-007", "http:\n§\tport: 1", {}),
    ("WL-CFG-008", "http: {a: b§: c}", {}),
    ("WL-CFG-008", "http: §'unclosed", {}),
    ("WL-CFG-008", "http: §{port: 1", {}),
    ("WL-CFG-008", "forecast: {a: §[1, 2", {}),
    ("WL-CFG-009", "§---\nhub: {}", {}),
    ("WL-CFG-010", "forecast: " + "[" * 39 + "§" + "[" * 100_000, {}),
    ("WL-CFG-012", "http: §*nowhere", {}),
    ("WL-CFG-012", "forecast: &a {b: [§*a]}", {}),
    ("WL-CFG-013", "http: {§<<: 3}", {}),
    ("WL-CFG-014", "forecast: {a: §!!python/object:os.system x}", {}),
    ("WL-CFG-014", "http: §!secrt x", {}),
    ("WL-CFG-014", "http: §!include {a: b}", {}),
    ("WL-CFG-014", "http: §!env_var 1x", {}),
    ("WL-CFG-015", "http: {port: 1, §port: 2}", {}),
    ("WL-CFG-015", 'http: {port: 1, §"port": 2}', {}),
    ("WL-CFG-016", "forecast: {§[a, b]: 1}", {}),
    ("WL-CFG-016", "forecast: {§__proto__: 1}", {}),
    ("WL-CFG-016", "forecast: {§!secret x: 1}", {"secrets.yaml": "x: y"}),
    ("WL-CFG-017", "forecast: {a: §.inf}", {}),
    ("WL-CFG-017", "forecast: {a: §.NaN}", {}),
    ("WL-CFG-017", "forecast: {a: §1e999}", {}),
    ("WL-CFG-017", "forecast: {a: §" + "9" * 400 + "}", {}),
    ("WL-CFG-020", "§htpp: {}", {}),
    ("WL-CFG-020", "http: {§prot: 1}", {}),
    ("WL-CFG-020", "http: {tls: {cert: a, key: b, §kee: c}}", {}),
    ("WL-CFG-020", "integrations: [{modbus: {host: a, §hosst: b}}]", {}),
    ("WL-CFG-020", "sinks: {§influx: {url: a}}", {}),
    ("WL-CFG-021", "discovery: §inbocks", {}),
    ("WL-CFG-021", "integrations: [{modbus: {host: a, role: §gird}}]", {}),
    ("WL-CFG-022", "devices: [§{name: x}]", {}),
    ("WL-CFG-022", "integrations: [{§modbus: {}}]", {}),
    ("WL-CFG-022", "integrations:\n  - §modbus:", {}),
    ("WL-CFG-023", "http: §5", {}),
    ("WL-CFG-023", 'http: {port: §"5"}', {}),
    ("WL-CFG-023", "integrations: [{modbus: {host: §[a]}}]", {}),
    ("WL-CFG-024", "http: {port: §70000}", {}),
    ("WL-CFG-024", "integrations: [{modbus: {host: a, unit: §900}}]", {}),
    ("WL-CFG-025", "storage: {seal_after: §5 apples}", {}),
    ("WL-CFG-026", "http: {limits: {x: §lots}}", {}),
    ("WL-CFG-030", "http: {allow_origins: [§ftp://x]}", {}),
    ("WL-CFG-030", "http: {trusted_proxies: [§10.0.0.1/8]}", {}),
    ("WL-CFG-030", 'http: {host: §"http://x"}', {}),
    ("WL-CFG-031", "storage: {url: §mysql://x/y}", {}),
    ("WL-CFG-031", "storage: {url: §sqlite:///../x.db}", {}),
    ("WL-CFG-032", "devices: [{id: a}, {id: §a}]", {}),
    ("WL-CFG-032", "integrations: [{demo: {id: a}}, {modbus: {host: x, id: §a}}]", {}),
    ("WL-CFG-033", "mqtt_broker: {host: §0.0.0.0}", {}),
    ("WL-CFG-035", "devices: [{id: §Main Meter}]", {}),
    ("WL-CFG-035", "integrations: [{demo: {id: §A}}]", {}),
    ("WL-CFG-040", "http: §!include ../x.yaml", {}),
    ("WL-CFG-040", "http: §!include /etc/passwd", {}),
    ("WL-CFG-040", "http: §!include a\\..\\b.yaml", {}),
    ("WL-CFG-040", "http: §!include C:x.yaml", {}),
    ("WL-CFG-040", "http: §!include secrets.yaml", {"secrets.yaml": "a: b"}),
    ("WL-CFG-040", "areas: §!include_dir_merge_list ..", {}),
    ("WL-CFG-041", "http: §!include gone.yaml", {}),
    ("WL-CFG-041", "http: §!include '%2e%2e/x.yaml'", {}),
    ("WL-CFG-041", "forecast: §!include_dir_merge_named gone", {}),
    ("WL-CFG-042", "forecast: !include a.yaml", {"a.yaml": "b: §!include a.yaml"}),
    ("WL-CFG-042", "forecast: !include a.yaml", {"a.yaml": "b: §!include hub.yaml"}),
    ("WL-CFG-043", "forecast: !include 0.yaml", {**CHAIN, "9.yaml": "a: §!include 10.yaml"}),
    ("WL-CFG-045", "areas: !include_dir_merge_list d", {"d/a.yaml": "§a: 1"}),
    ("WL-CFG-045", "forecast: !include_dir_merge_named d", {"d/a.yaml": "§- 1"}),
    ("WL-CFG-045", "packages: {§a: 3}", {}),
    ("WL-CFG-046", "forecast: !include_dir_merge_named d", {"d/a.yaml": "a: 1", "d/b.yaml": "§a: 2"}),
    ("WL-CFG-050", "forecast: {a: §!secret x}", {}),
    ("WL-CFG-052", "forecast: {}", {"secrets.yaml": "§a: [1]"}),
    ("WL-CFG-052", "forecast: {}", {"secrets.yaml": "a: §!env_var HOME"}),
    ("WL-CFG-053", "forecast: {a: §!env_var X}", {}),
    ("WL-CFG-060", "integrations: [{§modbuss: {}}]", {}),
    ("WL-CFG-061", "integrations: [§demo]", {}),
    ("WL-CFG-061", "integrations: [§{demo: {}, mqtt: {}}]", {}),
    ("WL-CFG-061", "integrations: [{demo: §[1]}]", {}),
    ("WL-CFG-061", "§integrations: {demo: {}}", {}),
]

SITE_CASES = [
    ("WL-CFG-027", "hub: {time_zone: §../../etc/passwd, currency: EUR}"),
    ("WL-CFG-027", "hub: {time_zone: §CEST, currency: EUR}"),
    ("WL-CFG-027", "hub: {time_zone: §Europe, currency: EUR}"),
    ("WL-CFG-028", "hub: {currency: §euro, time_zone: UTC}"),
    ("WL-CFG-028", "hub: {currency: EUR, time_zone: UTC, country: §France}"),
    ("WL-CFG-029", "hub: {currency: EUR, time_zone: UTC, location: §[200, 0]}"),
    ("WL-CFG-029", "hub: {currency: EUR, time_zone: UTC, location: §here}"),
    ("WL-CFG-004", "§"),
    ("WL-CFG-004", "§# only words\n\n"),
    ("WL-CFG-045", "§- a\n"),
    ("WL-CFG-018", "§%YAML 1.1\n---\nhub: {}\n"),
]


def marked_place(files: dict[str, str]) -> str:
    name, text = next((name, text) for name, text in files.items() if "§" in text)
    before = text[: text.index("§")]
    return f"{name}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def written(folder: Folder, files: dict[str, str]) -> Folder:
    for name, text in files.items():
        folder.write(text.replace("§", ""), name)
    return folder


@pytest.mark.parametrize(("code", "text", "more"), CASES)
def test_an_error_points_at_its_exact_place(
    code: str, text: str, more: dict[str, str], folder: Folder
) -> None:
    files = {"hub.yaml": f"{SITE}{text}\n", **more}

    assert written(folder, files).places() == [f"{marked_place(files)} {code}"]


@pytest.mark.parametrize(("code", "text"), SITE_CASES)
def test_an_error_of_the_site_points_at_its_place(code: str, text: str, folder: Folder) -> None:
    files = {"hub.yaml": text}

    assert written(folder, files).places() == [f"{marked_place(files)} {code}"]


def test_a_bad_byte_is_pointed_at(folder: Folder) -> None:
    assert folder.write(b"hub:\n  na\xc3\xafme: \xff\n").places() == ["hub.yaml:2:10 WL-CFG-005"]


def test_utf_16_is_named(folder: Folder) -> None:
    (item,) = folder.write("hub: {}".encode("utf-16")).errors().errors

    assert (item.code, "UTF-16" in item.hint) == ("WL-CFG-005", True)


def test_a_yaml_bomb_is_refused(folder: Folder) -> None:
    assert {item.code for item in folder.write(SITE + BOMB).errors().errors} == {"WL-CFG-011"}


def test_an_include_bomb_is_refused(folder: Folder) -> None:
    folder.write(SITE + "forecast: !include 0.yaml\n").write("a: 1\n", "7.yaml")
    for number in range(7):
        folder.write("".join(f"k{key}: !include {number + 1}.yaml\n" for key in range(10)), f"{number}.yaml")

    assert {item.code for item in folder.errors().errors} == {"WL-CFG-011"}


def test_missing_directory_and_missing_file_say_how_to_begin(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(ConfigErrors) as caught:
            load(path, SCHEMAS)
        assert caught.value.code == "WL-CFG-001"
        assert "wattline init" in caught.value.hint


def test_a_directory_or_a_pipe_is_no_file(folder: Folder) -> None:
    folder.write(SITE + "areas: !include d\nforecast: !include pipe\n")
    (folder.path / "d").mkdir()
    os.mkfifo(folder.path / "pipe")

    assert folder.places() == ["hub.yaml:2:8 WL-CFG-002", "hub.yaml:3:11 WL-CFG-002"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_open_secrets_are_refused_once(folder: Folder, mode: int) -> None:
    folder.write(SITE + "forecast: {a: !secret a, b: !secret b}\n").write(
        "a: hunter2\n", "secrets.yaml", mode
    )

    errors = folder.errors()

    assert [item.code for item in errors.errors] == ["WL-CFG-051"]
    assert "chmod 600" in errors.render()


def test_a_link_out_of_the_directory_is_refused(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.yaml").write_text("a: 1\n")
    (folder.path / "linked").symlink_to(tmp_path / "out")
    (folder.path / "file.yaml").symlink_to(tmp_path / "out" / "a.yaml")
    folder.write(
        SITE + "forecast: !include linked/a.yaml\nnotify: !include file.yaml\n"
        "areas: !include_dir_merge_list linked\n"
    )

    assert [place.split()[1] for place in folder.places()] == ["WL-CFG-040"] * 3


def test_a_plugin_that_gives_no_mapping_is_reported(folder: Folder) -> None:
    folder.write(SITE + "integrations: [{odd: {}}]\n")

    with pytest.raises(ConfigErrors) as caught:
        load(folder.path, {"odd": vol.Schema(lambda value: 3)})

    assert caught.value.code == "WL-CFG-062"


def test_every_code_has_a_whole_explanation() -> None:
    for code, text in CODES.items():
        assert re.fullmatch(r"WL-CFG-\d{3}", code)
        assert all((text.title, text.what, text.why, text.next))
        assert text.render(code).startswith(f"{code}: {text.title}\n")
        assert not text.title.endswith(".")


def test_every_code_in_the_source_is_explained_and_every_explained_code_is_used() -> None:
    folder = Path(init_directory.__code__.co_filename).parent
    used = {
        code
        for file in folder.glob("*.py")
        if file.name != "codes.py"
        for code in re.findall(r"WL-CFG-\d{3}", file.read_text())
    }

    assert used == set(CODES)


def test_init_errors_carry_their_codes(tmp_path: Path) -> None:
    init_directory(tmp_path / "a", SCHEMAS)
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError) as exists:
        init_directory(tmp_path / "a", SCHEMAS)
    with pytest.raises(ConfigError) as unwritable:
        init_directory(tmp_path / "file" / "b", SCHEMAS)

    assert (exists.value.code, unwritable.value.code) == ("WL-CFG-080", "WL-CFG-081")
