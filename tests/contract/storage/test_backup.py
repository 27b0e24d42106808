"""Backups: whole, checked, and harmless to what they are restored over."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
import zstandard

from hub.errors import AskUser, DiskFull, Refused
from hub.runtime.clock import FakeClock
from hub.storage import archive, postgres_tools
from hub.storage import tables as t
from hub.storage.backup import BackupInfo, create, list_backups, restore, verify
from hub.storage.batches import AppendRows
from hub.storage.database import Database
from hub.storage.readings import read_columns
from hub.storage.sealing import seal_day
from tests.contract.storage.rows import DAY_MS, T0, batch, pairs

ROWS = [(1, T0 + n * 1000, n / 10) for n in range(500)]


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    """A configuration with a secret file and a link that leads out of it."""
    place = tmp_path / "config"
    (place / "packages").mkdir(parents=True)
    (place / "hub.yaml").write_text("hub: {name: Home}\n")
    (place / "packages" / "solar.yaml").write_text("a: 1\n")
    (place / "secrets.yaml").write_text("smtp: canary-4711\n")
    (place / "tls.key").write_text("canary-4711")
    (place / "linked.yaml").symlink_to(place / "secrets.yaml")
    return place


@pytest.fixture
async def made(database: Database, config_dir: Path) -> BackupInfo:
    """A backup of a store with hot and sealed rows."""
    await database.append(batch([*ROWS, (1, T0 + 3 * DAY_MS, 7.0)], fresh=True))
    await database.write(lambda c: seal_day(c, 1, T0 // DAY_MS))
    return await create(database, database.data_dir / "backups", config_dir=config_dir)


async def test_a_backup_says_what_it_holds_and_passes_its_check(made: BackupInfo, database: Database) -> None:
    checked = await verify(made.path)

    assert checked.manifest == made.manifest
    assert made.path.name.startswith("wattline-backup-2024")
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert made.manifest.newest_ms == T0 + 3 * DAY_MS
    assert (made.manifest.counts["readings"], made.manifest.counts["reading_blocks"]) == (1, 1)
    assert list_backups(made.path.parent) == [made.path]
    assert [entry.name for entry in made.path.parent.iterdir()] == [made.path.name]


async def test_secrets_and_links_stay_out_of_a_backup(made: BackupInfo) -> None:
    names = [entry.name for entry in made.manifest.files]

    assert names[1:] == ["config/hub.yaml", "config/packages/solar.yaml"]
    with zstandard.open(made.path) as stream:
        assert b"canary-4711" not in stream.read()


async def test_a_restored_store_is_the_one_that_was_backed_up(
    made: BackupInfo, database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    before = await database.read(lambda c: pairs(c, 1))
    await database.append(batch([(1, T0 + 9 * DAY_MS, 1.0)], fresh=True))
    url = "sqlite:///hub.db"
    if database.dialect == "postgresql":
        server = request.getfixturevalue("postgres_server")
        server.sql("CREATE DATABASE restored")
        url = server.url("restored")

    await restore(made.path, tmp_path / "new", config_dir=tmp_path / "new-config", url=url)

    again = await Database.open(url, tmp_path / "new", clock=FakeClock())
    after = await again.read(lambda c: pairs(c, 1))
    await again.append(batch([(1, T0 + 9 * DAY_MS, 2.0)], fresh=True))
    await again.close()
    assert after == before
    assert (tmp_path / "new-config" / "packages" / "solar.yaml").read_text() == "a: 1\n"
    if database.dialect == "postgresql":
        server.sql("DROP DATABASE restored WITH (FORCE)")


async def test_a_backup_while_rows_arrive_is_whole_and_holds_up_nobody(tmp_path: Path) -> None:
    store = await Database.open("sqlite:///hub.db", tmp_path / "data", clock=FakeClock())
    count = 2000
    stop = asyncio.Event()
    acknowledged: list[int] = []

    async def feed() -> None:
        at_ms = T0
        while not stop.is_set():
            ts_ms = at_ms + np.arange(count, dtype=np.int64)
            zeros = np.zeros(count, np.uint8)
            values = np.arange(count, dtype=np.float64)
            ones = np.ones(count, np.bool_)
            await store.append(AppendRows(T0, np.full(count, 1, np.int32), ts_ms, values, zeros, ones))
            at_ms += count
            acknowledged.append(at_ms)

    feeding = asyncio.create_task(feed())
    while len(acknowledged) < 30:
        await store.read(lambda c: c.execute(sa.select(1)).scalar_one())
    stored_before = acknowledged[-1]
    made = await create(store, tmp_path / "backups")
    stored_after = acknowledged[-1]
    stop.set()
    await feeding
    await store.close()

    assert stored_after > stored_before
    newest_ms = made.manifest.newest_ms
    assert newest_ms is not None
    assert stored_before <= newest_ms + 1 <= acknowledged[-1]
    assert made.manifest.counts["readings"] == newest_ms + 1 - T0
    await verify(made.path)


async def test_a_running_hub_or_a_used_directory_refuses_a_restore(
    made: BackupInfo, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "hub.db").write_bytes(b"precious")

    with pytest.raises(AskUser, match="WL-STO-002"):
        await restore(made.path, database.data_dir, force=True)
    with pytest.raises(Refused, match=r"WL-BAK-003.*hub\.db"):
        await restore(made.path, tmp_path / "used")

    assert (tmp_path / "used" / "hub.db").read_bytes() == b"precious"
    await database.append(batch([(1, T0 + 9 * DAY_MS, 1.0)], fresh=True))


async def test_a_forced_restore_keeps_the_old_database_beside(tmp_path: Path) -> None:
    old = await Database.open("sqlite:///hub.db", tmp_path / "data", clock=FakeClock())
    await old.append(batch(ROWS, fresh=True))
    made = await create(old, tmp_path / "backups")
    await old.append(batch([(2, T0, 5.0)], fresh=True))
    await old.close()

    await restore(made.path, tmp_path / "data", force=True)

    store = await Database.open("sqlite:///hub.db", tmp_path / "data", clock=FakeClock())
    restored = await store.read(lambda c: pairs(c, 2))
    await store.close()
    (kept,) = (tmp_path / "data").glob("hub.db.before-restore-*")
    aside = await Database.open(f"sqlite:///{kept.name}", tmp_path / "data", clock=FakeClock())
    old_rows = await aside.read(lambda c: pairs(c, 2))
    await aside.close()
    assert (restored, old_rows) == ([], [(T0, 5.0)])


async def test_no_room_is_said_before_anything_is_written(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))

    with pytest.raises(DiskFull, match="WL-BAK-006"):
        await create(database, tmp_path / "backups")

    assert list((tmp_path / "backups").iterdir()) == []


async def test_a_missing_pg_dump_is_said_with_what_to_install(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await Database.open(postgres_url, tmp_path / "data", clock=FakeClock())
    monkeypatch.setattr(postgres_tools, "find_tool", lambda _: None)

    with pytest.raises(AskUser, match=r"WL-BAK-005.*postgresql-client"):
        await create(store, tmp_path / "backups")

    await store.close()
    assert list((tmp_path / "backups").iterdir()) == []


Change = Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]


def rewritten(made: BackupInfo, target: Path, change: Change) -> Path:
    """The archive with its members changed by hand."""
    with zstandard.open(made.path) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        members = [(info, (tar.extractfile(info) or io.BytesIO()).read()) for info in tar]
    change(members)
    with zstandard.open(target, "wb") as packed, tarfile.open(fileobj=packed, mode="w|") as out:
        for info, data in members:
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return target


def with_manifest(**changes: object) -> Change:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[0] = (members[0][0], json.dumps({**json.loads(members[0][1]), **changes}).encode())

    return change


def renamed(name: str) -> Change:
    """The second file gets another name, in the manifest as well."""

    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        manifest = json.loads(members[0][1])
        manifest["files"][1]["name"] = name
        members[0] = (members[0][0], json.dumps(manifest).encode())
        members[2][0].name = name

    return change


def linked(kind: bytes) -> Change:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        info = tarfile.TarInfo(members[2][0].name)
        info.type, info.linkname = kind, "/etc/passwd"
        members[2] = (info, b"")

    return change


def extra(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.append((tarfile.TarInfo("config/unlisted.yaml"), b"x"))


def doubled(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.append(members[1])


def missing(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    del members[2]


def other_bytes(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[1] = (members[1][0], members[1][1][:-1] + b"\x01")


def no_manifest(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    del members[0]


HOSTILE: dict[str, tuple[str, Change]] = {
    "climbs out": ("WL-BAK-004", renamed("config/../../../evil")),
    "absolute": ("WL-BAK-004", renamed("/tmp/evil")),
    "outside config": ("WL-BAK-004", renamed("hub.db")),
    "dots": ("WL-BAK-004", renamed("config/..")),
    "backslash": ("WL-BAK-004", renamed("config\\..\\evil")),
    "nul": ("WL-BAK-004", renamed("config/a\0b")),
    "symlink": ("WL-BAK-004", linked(tarfile.SYMTYPE)),
    "hard link": ("WL-BAK-004", linked(tarfile.LNKTYPE)),
    "device": ("WL-BAK-004", linked(tarfile.CHRTYPE)),
    "unlisted": ("WL-BAK-004", extra),
    "doubled": ("WL-BAK-004", doubled),
    "missing": ("WL-BAK-001", missing),
    "other bytes": ("WL-BAK-001", other_bytes),
    "no manifest": ("WL-BAK-001", no_manifest),
    "newer format": ("WL-BAK-002", with_manifest(format=99)),
    "newer revision": ("WL-BAK-002", with_manifest(revision="9999")),
    "manifest of a list": ("WL-BAK-001", with_manifest(files=7)),
    "other counts": ("WL-BAK-001", with_manifest(counts={"readings": 5})),
    "unknown engine": ("WL-BAK-001", with_manifest(dialect="oracle")),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> BackupInfo:
    """One good archive of a SQLite store, to be spoiled."""
    place = tmp_path_factory.mktemp("whole")
    (place / "config").mkdir()
    (place / "config" / "hub.yaml").write_text("a: 1\n")

    async def make() -> BackupInfo:
        store = await Database.open("sqlite:///hub.db", place / "data", clock=FakeClock())
        await store.append(batch(ROWS, fresh=True))
        info = await create(store, place / "backups", config_dir=place / "config")
        await store.close()
        return info

    return asyncio.run(make())


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_archive_is_refused_and_nothing_is_written(
    whole: BackupInfo, tmp_path: Path, name: str
) -> None:
    code, change = HOSTILE[name]
    spoiled = rewritten(whole, tmp_path / "spoiled.tar.zst", change)

    with pytest.raises(Refused, match=code):
        await restore(spoiled, tmp_path / "data", config_dir=tmp_path / "config")

    assert [path.name for path in (tmp_path / "data").iterdir()] == ["hub.lock"]
    assert not (tmp_path / "config").exists()
    assert sorted(os.listdir(tmp_path)) == ["data", "spoiled.tar.zst"]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
async def test_a_cut_archive_is_refused(whole: BackupInfo, tmp_path: Path, share: float) -> None:
    data = whole.path.read_bytes()
    cut = tmp_path / "cut.tar.zst"
    cut.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(Refused, match="WL-BAK-001"):
        await verify(cut)


@pytest.mark.parametrize("damage", ["without its last byte", "with other last bytes", "with more behind it"])
async def test_an_archive_with_a_damaged_end_is_refused(
    whole: BackupInfo, tmp_path: Path, damage: str
) -> None:
    data = whole.path.read_bytes()
    damaged = {
        "without its last byte": data[:-1],
        "with other last bytes": data[:-9] + bytes(9),
        "with more behind it": data + b"x",
    }
    path = tmp_path / "damaged.tar.zst"
    path.write_bytes(damaged[damage])
    with pytest.raises(Refused, match="WL-BAK-001"):
        await verify(path)
    with pytest.raises(Refused, match="WL-BAK-001"):
        await restore(path, tmp_path / "new")
    assert not (tmp_path / "new" / "hub.db").exists()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no", zstandard.compress(b"x" * 5000), b"\x00" * 2048])
async def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "other").write_bytes(data)

    with pytest.raises(Refused, match="WL-BAK-001"):
        await verify(tmp_path / "other")
    with pytest.raises(Refused, match="WL-BAK-001"):
        await verify(tmp_path / "absent")


def test_an_archive_that_says_it_is_huge_is_refused(whole: BackupInfo, tmp_path: Path) -> None:
    def huge(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        manifest = json.loads(members[0][1])
        manifest["files"][0]["bytes"] = 1 << 60
        members[0] = (members[0][0], json.dumps(manifest).encode())

    spoiled = rewritten(whole, tmp_path / "huge.tar.zst", huge)

    with pytest.raises(Refused, match="WL-BAK-010"):
        archive.unpack(spoiled, tmp_path)


def test_the_manifest_alone_is_quick_to_read(whole: BackupInfo) -> None:
    assert archive.read_manifest(whole.path) == whole.manifest


async def test_a_backup_of_the_other_engine_is_refused(whole: BackupInfo, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="WL-BAK-008"):
        await restore(whole.path, tmp_path / "data", url="postgresql://u@127.0.0.1:1/x")


async def test_conflicts_and_blocks_are_in_the_copy(whole: BackupInfo, tmp_path: Path) -> None:
    await restore(whole.path, tmp_path / "data")

    store = await Database.open("sqlite:///hub.db", tmp_path / "data", clock=FakeClock())
    columns = await store.read(lambda c: read_columns(c, 1, 0, 2 * T0))
    empty = await store.read(lambda c: c.execute(sa.select(t.conflicts)).all())
    await store.close()
    assert columns.values.tolist() == [value for _, _, value in ROWS]
    assert empty == []
