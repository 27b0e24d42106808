"""Reload: the difference is right, and an invalid file changes nothing."""

from __future__ import annotations

import stat
from pathlib import Path

from hub.config.diff import diff, effective
from hub.config.keep import changed_since_good, load_or_keep, remember_good
from tests.hub.config.conftest import SCHEMAS, SITE, Folder

HOME = "tariffs: [{id: home, versions: [{from: 2026-01-01, import: [{energy: All, price: 0.3}]}]}]\n"
BEFORE = SITE + (
    "http: {port: 1}\n"
    "integrations: [{modbus: {host: a}}, {modbus: {host: b}}, {demo: {}}]\n"
    "devices: [{id: one}]\n" + HOME
)


def test_entries_are_added_removed_changed_or_left_alone(folder: Folder) -> None:
    old = folder.write(BEFORE).load()
    new = folder.write(
        SITE + "# moved one line\nhttp: {port: 1}\n"
        "integrations: [{demo: {}}, {modbus: {host: c}}, {modbus: {host: a, name: New}}]\n"
        "devices: [{id: one}]\n" + HOME
    ).load()

    change = diff(old, new)

    assert [entry.options["host"] for entry in change.added] == ["c"]
    assert [entry.options["host"] for entry in change.removed] == ["b"]
    assert [entry.options["host"] for entry in change.changed] == ["a"]
    assert [entry.domain for entry in change.unchanged] == ["demo"]
    assert (change.live, change.restart) == ((), ())


def test_sections_apply_live_or_wait_for_a_restart(folder: Folder) -> None:
    old = folder.write(BEFORE).load()
    new = folder.write(
        BEFORE.replace("port: 1", "port: 2").replace("id: one", "id: two").replace("home", "x")
    ).load()

    change = diff(old, new)

    assert (change.live, change.restart) == (("devices", "tariffs"), ("http",))
    assert effective(old, new).http.port == 1
    assert effective(old, new).devices[0].id == "two"


def test_the_same_configuration_is_no_change(folder: Folder) -> None:
    folder.write(BEFORE)

    assert diff(folder.load(), folder.load()).is_empty


def test_a_changed_secret_changes_its_entry(folder: Folder) -> None:
    folder.write(SITE + "integrations: [{mqtt: {broker: x, password: !secret a}}]\n")
    old = folder.write("a: one-secret\n", "secrets.yaml").load()
    new = folder.write("a: two-secret\n", "secrets.yaml").load()

    change = diff(old, new)

    assert [entry.domain for entry in change.changed] == ["mqtt"]
    assert "secret" not in repr(change)


def test_an_id_that_moves_to_another_integration_is_a_new_entry(folder: Folder) -> None:
    old = folder.write(SITE + "integrations: [{demo: {id: x}}]\n").load()
    new = folder.write(SITE + "integrations: [{modbus: {id: x, host: h}}]\n").load()

    change = diff(old, new)

    assert [entry.domain for entry in change.added] == ["modbus"]
    assert [entry.domain for entry in change.removed] == ["demo"]


def test_a_valid_reload_gives_the_difference(folder: Folder) -> None:
    old = folder.write(BEFORE).load()
    folder.write(BEFORE.replace("{demo: {}}", "{demo: {power_w: 5}}"))

    reload = load_or_keep(old, folder.path, SCHEMAS)

    assert not reload.kept
    assert reload.diff.as_json()["changed"] == ["demo"]


def test_an_invalid_reload_keeps_the_previous_configuration(folder: Folder) -> None:
    old = folder.write(BEFORE).load()
    folder.write(BEFORE + "htpp: {}\n")

    reload = load_or_keep(old, folder.path, SCHEMAS)

    assert reload.kept
    assert reload.config is old
    assert reload.diff.is_empty
    assert reload.errors is not None
    assert reload.errors.code == "WL-CFG-020"


def test_a_deleted_or_blank_file_keeps_the_previous_configuration(folder: Folder) -> None:
    old = folder.write(BEFORE).load()

    assert load_or_keep(old, folder.write("").path, SCHEMAS).config is old
    (folder.path / "hub.yaml").unlink()
    assert load_or_keep(old, folder.path, SCHEMAS).config is old


def test_the_last_good_state_names_changed_files_and_holds_no_content(folder: Folder, tmp_path: Path) -> None:
    folder.write(SITE + "forecast: !include f.yaml\n").write("password: hunter2\n", "f.yaml")
    folder.write("a: hunter3\n", "secrets.yaml")
    path = remember_good(tmp_path, folder.load())

    assert changed_since_good(tmp_path, folder.load()) == ()
    assert changed_since_good(tmp_path, folder.write("password: hunter4\n", "f.yaml").load()) == ("f.yaml",)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "hunter" not in path.read_text()
    assert "secrets" not in path.read_text()


def test_a_damaged_last_good_file_counts_as_none(folder: Folder, tmp_path: Path) -> None:
    config = folder.write(SITE).load()

    assert changed_since_good(tmp_path, config) is None
    for damage in (b"\xff", b"[]", b'{"files": 3}', b"{"):
        remember_good(tmp_path, config).write_bytes(damage)
        assert changed_since_good(tmp_path, config) is None
