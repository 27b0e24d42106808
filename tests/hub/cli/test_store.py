"""`db`, `backup` and `device` where no hub runs."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from hub.cli.offline import Place, open_store
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.storage import slots
from tests.hub.cli.conftest import Running, Shell, start_hub

DAY_MS = 86_400_000
BEGIN_MS = (time.time_ns() // 1_000_000 - 4 * DAY_MS) // 900_000 * 900_000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A store with three days of readings of two series, of a hub that was stopped."""
    from tests.hub.cli.conftest import CONFIG

    place = tmp_path_factory.mktemp("filled")
    (place / "config").mkdir()
    (place / "config" / "hub.yaml").write_text(CONFIG)
    shell = Shell(place / "config", place / "data")
    shell.own()
    token = shell.run("token", "create", "--user", "owner", "--name", "t").out.strip()
    process, url = start_hub(shell)
    items: list[dict[str, object]] = [
        {
            "device": "main-meter",
            "ts": BEGIN_MS + step * 300_000,
            "values": {"power": 500 + 7 * (step % 31), "energy_import": step * 0.05},
        }
        for step in range(3 * 288)
    ]
    assert Running(shell, process, url).send(token, items) == 204
    process.terminate()
    assert process.wait(timeout=120) == 0
    return shell


@pytest.fixture
def copy(filled: Shell, tmp_path: Path) -> Shell:
    """The filled store, to be spoiled."""
    shutil.copytree(filled.data_dir, tmp_path / "copy")
    return Shell(filled.config_dir, tmp_path / "copy")


def spoil(shell: Shell, job: Callable[[sa.Connection], None]) -> None:
    """Change the store behind the hub's back."""

    async def work() -> None:
        async with open_store(Place(shell.config_dir, shell.data_dir)) as database:
            await database.write(job)

    asyncio.run(work())


def put(conn: sa.Connection, resolution: str, columns: SlotColumns) -> None:
    """Write changed rows of the first series over what is stored."""
    end_ms = columns.start_ms + (DAY_MS if resolution == slots.DAY else SLOT_MS)
    series = np.full(len(columns), 1, np.int32)
    slots.write_rows(conn, slots.MetricRows(resolution, series, end_ms, columns, 1, "Europe/Paris", "x"))


def rows(conn: sa.Connection, resolution: str) -> SlotColumns:
    """The second row of the first series: a slot in the middle of the first day, or the second day."""
    found = slots.read(conn, [1], resolution, 0, 1 << 53)[1]
    return found.take(slice(1, 2) if resolution == slots.DAY else slice(20, 21))


def more_energy(conn: sa.Connection) -> None:
    one = rows(conn, slots.SLOT)
    put(conn, slots.SLOT, replace(one, delta=one.delta + 1))


def another_mean(conn: sa.Connection) -> None:
    one = rows(conn, slots.SLOT)
    put(conn, slots.SLOT, replace(one, mean=one.mean + 1e-9))


def another_quality(conn: sa.Connection) -> None:
    one = rows(conn, slots.SLOT)
    put(conn, slots.SLOT, replace(one, late_ms=one.late_ms + np.int32(1)))


def another_day_sum(conn: sa.Connection) -> None:
    one = rows(conn, slots.DAY)
    put(conn, slots.DAY, replace(one, delta=one.delta - 1))


def lost_slot(conn: sa.Connection) -> None:
    start_ms = int(rows(conn, slots.SLOT).start_ms[0])
    slots.delete_rows(conn, 1, slots.SLOT, start_ms, start_ms + 1)


def lost_days(conn: sa.Connection) -> None:
    slots.delete_rows(conn, 1, slots.DAY, 0, 1 << 53)


def slot_out_of_nowhere(conn: sa.Connection) -> None:
    one = rows(conn, slots.SLOT)
    put(conn, slots.SLOT, replace(one, start_ms=one.start_ms - 40 * DAY_MS))


def lost_rights(conn: sa.Connection) -> None:
    conn.execute(sa.text("DELETE FROM user_roles"))


def test_devices_are_listed_with_their_newest_reading(filled: Shell) -> None:
    (device,) = filled.run("device", "list", "--json").json["items"]

    assert device["id"] == "main-meter"
    assert device["availability"] == "unknown"
    assert device["last_ms"] == BEGIN_MS + (3 * 288 - 1) * 300_000
    assert {one["key"] for one in device["series"]} == {"power", "energy_import"}


def test_stats_count_what_is_stored(filled: Shell) -> None:
    stats = filled.run("db", "stats", "--json").json

    assert stats["rows_hot"] + stats["rows_sealed"] == 2 * 3 * 288
    assert stats["engine"] == "sqlite"
    assert "1,728" in filled.run("db", "stats").out or stats["rows_sealed"]


def test_what_the_hub_derived_is_what_a_rebuild_derives(filled: Shell) -> None:
    done = filled.run("db", "rebuild", "--check", "--json")

    assert done.code == 0
    assert done.json["different"] == 0
    assert done.json["rows"] > 2 * 280


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (more_energy, "delta"),
        (another_mean, "mean"),
        (another_quality, "late_ms"),
        (another_day_sum, "delta"),
        (lost_slot, "row"),
        (lost_days, "row"),
        (slot_out_of_nowhere, "row"),
    ],
)
def test_every_figure_that_was_changed_is_found_and_mended(
    copy: Shell, change: Callable[[sa.Connection], None], column: str
) -> None:
    spoil(copy, change)
    found = copy.run("db", "rebuild", "--check", "--json")
    text = copy.run("db", "rebuild", "--check")
    mended = copy.run("db", "rebuild")
    after = copy.run("db", "rebuild", "--check", "--json")

    assert found.code == 1
    assert found.json["different"] > 0
    assert column in {one["column"] for series in found.json["series"] for one in series["shown"]}
    assert text.code == 1
    assert "WL-CLI-010" in text.err
    assert "main-meter." in text.out
    assert mended.code == 0
    assert (after.code, after.json["different"]) == (0, 0)


def test_a_check_writes_nothing(copy: Shell) -> None:
    spoil(copy, more_energy)
    before = copy.run("db", "rebuild", "--check", "--json").json
    again = copy.run("db", "rebuild", "--check", "--json").json

    assert before == again
    assert before["different"] > 0


def test_a_whole_store_passes_its_check_and_a_damaged_one_does_not(copy: Shell) -> None:
    whole = copy.run("db", "check", "--json")
    path = copy.data_dir / "hub.db"
    content = bytearray(path.read_bytes())
    content[8192:-8192:97] = b"\xa5" * len(content[8192:-8192:97])
    path.write_bytes(content)
    damaged = copy.run("db", "check")

    assert (whole.code, whole.json) == (0, {"ok": True, "problems": []})
    assert damaged.code == 1
    assert damaged.out + damaged.err != ""


def test_migrate_says_that_there_is_nothing_to_do(filled: Shell) -> None:
    done = filled.run("db", "migrate", "--json").json

    assert done["before"] == done["after"]
    assert not done["changed"]


def test_a_backup_brings_everything_back(filled: Shell, tmp_path: Path) -> None:
    made = filled.run("backup", "create", "--to", str(tmp_path / "kept"), "--json").json
    elsewhere = Shell(filled.config_dir, tmp_path / "new")
    restored = elsewhere.run(
        "backup", "restore", made["path"], "--config-to", str(tmp_path / "config2"), "--json"
    )

    assert Path(made["path"]).stat().st_mode & 0o077 == 0
    assert filled.run("backup", "verify", made["path"]).code == 0
    assert restored.code == 0
    assert (tmp_path / "config2" / "hub.yaml").exists()
    for words in (("db", "stats"), ("device", "list"), ("user", "list"), ("token", "list")):
        old, new = (shell.run(*words, "--json").json for shell in (filled, elsewhere))
        old.pop("bytes_total", None), new.pop("bytes_total", None)
        assert old == new


def test_a_backup_that_is_cut_or_changed_is_refused_and_touches_nothing(
    filled: Shell, tmp_path: Path
) -> None:
    path = Path(filled.run("backup", "create", "--to", str(tmp_path / "kept"), "--json").json["path"])
    whole = path.read_bytes()
    elsewhere = Shell(filled.config_dir, tmp_path / "new")
    half = len(whole) // 2
    flipped = bytes([whole[half] ^ 0x10])
    for spoiled in (whole[:half], b"", b"PK\x03\x04" + whole, whole[:half] + flipped + whole[half + 1 :]):
        path.write_bytes(spoiled)
        done = elsewhere.run("backup", "restore", str(path))
        assert done.code == 1
        assert "WL-BAK-001" in done.err
    assert not (tmp_path / "new" / "hub.db").exists()


def test_a_restore_over_data_is_refused_unless_it_is_forced(
    filled: Shell, copy: Shell, tmp_path: Path
) -> None:
    path = filled.run("backup", "create", "--to", str(tmp_path / "kept"), "--json").json["path"]
    spoil(copy, lost_rights)
    refused = copy.run("backup", "restore", path)
    forced = copy.run("backup", "restore", path, "--force")

    assert refused.code == 1
    assert "WL-BAK-003" in refused.err
    assert forced.code == 0
    assert list(copy.data_dir.glob("hub.db.before-restore-*"))
    assert copy.run("user", "list", "--json").json["items"][0]["username"] == "owner"


def test_backups_are_listed_newest_first(filled: Shell) -> None:
    made = [filled.run("backup", "create", "--json").json["path"] for _ in range(2)]
    listed = [one["path"] for one in filled.run("backup", "list", "--json").json["items"]]

    assert sorted(listed, reverse=True) == listed
    assert set(made) <= set(listed)


@pytest.mark.parametrize(
    "words", [("backup", "verify", "nothing.tar.zst"), ("backup", "restore", "nothing.tar.zst")]
)
def test_a_file_that_is_not_there_is_named(shell: Shell, words: tuple[str, ...]) -> None:
    done = shell.run(*words)

    assert done.code == 1
    assert "nothing.tar.zst" in done.err
