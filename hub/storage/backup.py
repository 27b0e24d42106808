"""Backups: made while the hub runs, opened and checked before they count, restored only where nothing is lost.

A SQLite store is copied through its one writing connection in small steps between commits; a PostgreSQL store
is dumped by ``pg_dump``. Either lands in one archive, see :mod:`hub.storage.archive`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import aiosqlite
import sqlalchemy as sa

from hub import __version__
from hub.errors import AskUser, DiskFull, Refused
from hub.storage import archive, postgres_tools
from hub.storage.archive import DATABASE_NAMES, Manifest
from hub.storage.database import Database
from hub.storage.failures import corrupt
from hub.storage.lock import LOCK_NAME, DataLock
from hub.storage.migrations import REVISIONS, stored_revision
from hub.storage.sqlite_backend import BORN_SUFFIX, SqliteBackend
from hub.storage.tables import METADATA

ARCHIVE_SUFFIX = ".tar.zst"
_PREFIX = "wattline-backup-"
_PARTIAL = ".partial"
_SECRET_NAMES = ("secret", "password", "credential", "token")
_SECRET_SUFFIXES = {".key", ".pem", ".p12", ".env"}
_MAY_BE_THERE = {LOCK_NAME, "backups"}


@dataclass(frozen=True, slots=True)
class BackupInfo:
    """A backup on disk; ``bytes`` is the size of the archive."""

    path: Path
    bytes: int
    manifest: Manifest


async def create(database: Database, target_dir: Path, *, config_dir: Path | None = None) -> BackupInfo:
    """Make a backup of a store in use; the hub keeps writing meanwhile.

    Args:
        target_dir: made if it is not there. The archive appears whole or not at all.
        config_dir: its files go along, except those that hold secrets by their name.

    Raises:
        DiskFull: ``WL-BAK-006`` the target has no room.
        AskUser: ``WL-BAK-005`` ``pg_dump`` is not installed, ``WL-BAK-007`` it failed.
        StorageCorrupt: the copy does not pass SQLite's check; no archive is kept.
    """
    await asyncio.to_thread(_make_room, target_dir, database.size_bytes())
    with _workplace(target_dir) as place:
        name = DATABASE_NAMES[database.dialect]
        if isinstance(database.backend, SqliteBackend):
            await database.backend.copy_to(place / name)
            try:
                counts, newest_ms, revision = await _look_into(place / name)
            except Refused as error:
                raise corrupt(database.where, f"its copy does not pass the check: {error.message}") from error
        else:
            counts, newest_ms, revision = await database.read(_survey)
            await postgres_tools.dump(database.backend.url, place / name)
        manifest = Manifest(__version__, revision, database.dialect, database.now_ms(), newest_ms, counts)
        return await asyncio.to_thread(_pack, target_dir, place, name, manifest, config_dir)


async def verify(path: Path) -> BackupInfo:
    """Unpack a backup aside, check every hash, and open the database in it.

    Raises:
        Refused: ``WL-BAK-001`` damaged, ``WL-BAK-002`` of a newer version, ``WL-BAK-004`` not ours.
    """
    with _workplace(path.parent if os.access(path.parent, os.W_OK) else None) as place:
        return await _checked(path, place)


async def restore(
    path: Path,
    data_dir: Path,
    *,
    config_dir: Path | None = None,
    url: str = "sqlite:///hub.db",
    force: bool = False,
) -> BackupInfo:
    """Put the store of a checked backup in place; on a refusal nothing is touched.

    Args:
        config_dir: where the configuration in the backup goes; only into a directory without files.
        url: the store to fill: a file below ``data_dir``, or an empty PostgreSQL database.
        force: take a directory that is not empty; the database in it is kept beside as ``….before-restore``.

    Raises:
        Refused: as :func:`verify`; ``WL-BAK-003`` the directory is not empty, ``WL-BAK-008`` the backup is
            of the other engine.
        AskUser: ``WL-STO-002`` a hub runs on the directory (``force`` does not help).
    """
    lock = DataLock(data_dir)
    lock.acquire()
    try:
        _refuse_if_used(data_dir, config_dir, force)
        with _workplace(data_dir) as place:
            info = await _checked(path, place)
            parsed = sa.make_url(url)
            await _put(info.manifest, place, data_dir, parsed, force)
            _put_config(place, config_dir)
        return info
    finally:
        lock.release()


def list_backups(target_dir: Path) -> list[Path]:
    """Whole archives of a directory, newest first."""
    return sorted(target_dir.glob(f"{_PREFIX}*{ARCHIVE_SUFFIX}"), reverse=True)


async def _checked(path: Path, place: Path) -> BackupInfo:
    manifest = await asyncio.to_thread(archive.unpack, path, place)
    if manifest.revision not in REVISIONS:
        raise Refused(
            "WL-BAK-002",
            f"the backup was made by version {manifest.version}, which is newer than this one",
            where=str(path),
            hint="install that version, then restore",
        )
    if manifest.dialect == "sqlite":
        counts, newest_ms, _ = await _look_into(place / manifest.database)
        if counts != dict(manifest.counts) or newest_ms != manifest.newest_ms:
            raise archive.damaged(path, "the database does not hold the rows that the manifest counts")
    else:
        await postgres_tools.check(place / manifest.database)
    return BackupInfo(path, await asyncio.to_thread(os.path.getsize, path), manifest)


async def _look_into(copy: Path) -> tuple[dict[str, int], int | None, str]:
    """Check a copied database file → rows per table, newest reading, revision."""
    async with aiosqlite.connect(f"file:{quote(str(copy))}?mode=ro", uri=True) as connection:
        try:
            (verdict,) = await _one(connection, "PRAGMA quick_check(5)")
            if verdict != "ok":
                raise archive.damaged(copy, str(verdict))
            rows = await connection.execute_fetchall("SELECT name FROM sqlite_master WHERE type = 'table'")
            names = sorted({str(row[0]) for row in rows} & METADATA.tables.keys())
            counts = {
                name: await _number(connection, f'SELECT count(*) FROM "{name}"') or 0 for name in names
            }
            newest_ms = await _number(
                connection,
                "SELECT max(ts) FROM (SELECT max(ts_ms) AS ts FROM readings"
                " UNION ALL SELECT max(last_ms) FROM reading_blocks)",
            )
            (revision,) = await _one(connection, "SELECT version_num FROM alembic_version")
        except aiosqlite.Error as error:
            raise archive.damaged(copy, str(error)) from error
    return counts, newest_ms, str(revision)


async def _number(connection: aiosqlite.Connection, statement: str) -> int | None:
    (number,) = await _one(connection, statement)
    return number if isinstance(number, int) else None


async def _one(connection: aiosqlite.Connection, statement: str) -> tuple[object, ...]:
    async with connection.execute(statement) as cursor:
        row = await cursor.fetchone()
    if row is None:
        raise aiosqlite.DatabaseError(f"no answer to {statement}")
    return tuple(row)


def _survey(connection: sa.Connection) -> tuple[dict[str, int], int | None, str]:
    counts = {
        name: int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
        for name, table in sorted(METADATA.tables.items())
    }
    newest = [
        connection.execute(sa.select(sa.func.max(column))).scalar_one()
        for column in (METADATA.tables["readings"].c.ts_ms, METADATA.tables["reading_blocks"].c.last_ms)
    ]
    return (
        counts,
        max((ts for ts in newest if ts is not None), default=None),
        str(stored_revision(connection)),
    )


def _pack(
    target_dir: Path, place: Path, name: str, manifest: Manifest, config_dir: Path | None
) -> BackupInfo:
    sources = {name: place / name, **_config_files(config_dir)}
    files = tuple(archive.describe(source, member) for member, source in sources.items())
    whole = Manifest(
        manifest.version, manifest.revision, manifest.dialect, manifest.created_ms,
        manifest.newest_ms, manifest.counts, files,
    )  # fmt: skip
    partial = place / "archive"
    archive.pack(partial, whole, sources)
    target = _free_name(target_dir, manifest.created_ms)
    os.replace(partial, target)
    _sync_directory(target_dir)
    return BackupInfo(target, target.stat().st_size, whole)


def _config_files(config_dir: Path | None) -> dict[str, Path]:
    """Plain files of the configuration by archive name, without those whose name says secret."""
    if config_dir is None:
        return {}
    files: dict[str, Path] = {}
    for path in sorted(config_dir.rglob("*")):
        parts = path.relative_to(config_dir).parts
        hidden = any(part.startswith((".", "_")) or _is_secret(part) for part in parts)
        if path.is_file() and not hidden and not any(p.is_symlink() for p in (path, *path.parents)):
            files["/".join(("config", *parts))] = path
    return files


def _is_secret(name: str) -> bool:
    lower = name.lower()
    return any(word in lower for word in _SECRET_NAMES) or Path(lower).suffix in _SECRET_SUFFIXES


def _free_name(target_dir: Path, created_ms: int) -> Path:
    stamp = datetime.fromtimestamp(created_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    path = target_dir / f"{_PREFIX}{stamp}{ARCHIVE_SUFFIX}"
    number = 1
    while path.exists():
        number += 1
        path = target_dir / f"{_PREFIX}{stamp}-{number}{ARCHIVE_SUFFIX}"
    return path


def _make_room(target_dir: Path, size_bytes: int) -> None:
    """Prepare the target; the copy and its archive must both fit."""
    try:
        target_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AskUser(
            "WL-BAK-009", f"the backup directory cannot be made: {error.strerror}", where=str(target_dir)
        ) from error
    needed = int(size_bytes * 1.6) + (1 << 20)
    free = shutil.disk_usage(target_dir).free
    if free < needed:
        raise DiskFull(
            "WL-BAK-006",
            f"a backup needs {needed >> 20} MiB, {free >> 20} MiB are free",
            where=str(target_dir),
            hint="free space or choose another directory",
        )


@contextmanager
def _workplace(parent: Path | None) -> Iterator[Path]:
    """A directory for half-made things, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f".{_PREFIX}", suffix=_PARTIAL, dir=parent) as name:
        yield Path(name)


def _refuse_if_used(data_dir: Path, config_dir: Path | None, force: bool) -> None:
    if not force:
        _refuse_files(
            data_dir, "data", "restore into an empty directory, or keep the old database with --force"
        )
    if config_dir is not None and config_dir.exists():
        _refuse_files(config_dir, "configuration", "name an empty directory for the configuration")


def _refuse_files(directory: Path, kind: str, hint: str) -> None:
    there = sorted(entry.name for entry in directory.iterdir() if entry.name not in _MAY_BE_THERE)
    if there:
        raise Refused(
            "WL-BAK-003",
            f"the {kind} directory is not empty: it holds {there[0]}",
            where=str(directory),
            hint=hint,
        )


async def _put(manifest: Manifest, place: Path, data_dir: Path, url: sa.URL, force: bool) -> None:
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite != (manifest.dialect == "sqlite") or not url.database:
        raise Refused(
            "WL-BAK-008",
            f"this is a backup of {manifest.dialect}, storage.url names {url.get_backend_name()}",
            where="storage.url",
            hint="restore into the same kind of store; 'wattline db move' changes the kind",
        )
    if not is_sqlite:
        await postgres_tools.restore(url, place / manifest.database, force)
        return
    target = data_dir / str(url.database)
    _set_aside(target, manifest.created_ms)
    os.replace(place / manifest.database, target)
    target.with_name(target.name + BORN_SUFFIX).touch()
    _sync_directory(data_dir)


def _set_aside(target: Path, stamp: int) -> None:
    """Keep a database that is there, with its write-ahead log, under another name."""
    kept = target.with_name(f"{target.name}.before-restore-{stamp}")
    for suffix in ("-wal", ""):
        part = target.with_name(target.name + suffix)
        if part.exists():
            os.replace(part, kept.with_name(kept.name + suffix))
    target.with_name(target.name + "-shm").unlink(missing_ok=True)


def _put_config(place: Path, config_dir: Path | None) -> None:
    source = place / "config"
    if config_dir is not None and source.is_dir():
        shutil.copytree(source, config_dir, dirs_exist_ok=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
