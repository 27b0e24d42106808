"""The backup archive: a zstd-packed tar with a manifest in front that names every file, its size and its hash.

Nothing in an archive is believed: only files that the manifest lists are unpacked, only under plain relative
names, never links or devices, never more bytes than listed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import zstandard

from hub.errors import Refused

FORMAT = 1
MANIFEST_NAME = "manifest.json"
DATABASE_NAMES = {"sqlite": "database.sqlite3", "postgresql": "database.pgdump"}

_MANIFEST_LIMIT_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20
_LEVEL = 3
_PLAIN_PART = re.compile(r"[\w.@ +-]{1,128}\Z")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of an archive."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds. ``newest_ms`` is the newest reading, ``counts`` rows per table."""

    version: str
    revision: str
    dialect: str
    created_ms: int
    newest_ms: int | None
    counts: Mapping[str, int]
    files: tuple[FileEntry, ...] = ()
    format: int = FORMAT
    notes: tuple[str, ...] = field(default=())

    @property
    def database(self) -> str:
        """Name of the database file in the archive."""
        return DATABASE_NAMES[self.dialect]


def damaged(path: Path, why: str) -> Refused:
    """``WL-BAK-001``: no backup of ours, or not whole any more."""
    return Refused(
        "WL-BAK-001", f"this is no whole backup: {why}", where=str(path), hint="use another backup"
    )


def unsafe(path: Path, name: str) -> Refused:
    """``WL-BAK-004``: a name that would leave the target, or something that is not a plain file."""
    return Refused(
        "WL-BAK-004",
        f"the archive holds {name[:80]!r}, which no backup of ours holds",
        where=str(path),
        hint="do not use this file",
    )


def describe(path: Path, name: str) -> FileEntry:
    """Size and hash of a file on disk."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return FileEntry(name, size, digest.hexdigest())


def pack(target: Path, manifest: Manifest, sources: Mapping[str, Path]) -> None:
    """Write an archive of the manifest's files, readable by its owner alone and synced to disk."""
    text = json.dumps(asdict(manifest), indent=1).encode()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        with (
            zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).stream_writer(
                raw, closefd=False
            ) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            _add(tar, MANIFEST_NAME, len(text), io.BytesIO(text), manifest.created_ms)
            for entry in manifest.files:
                with sources[entry.name].open("rb") as stream:
                    _add(tar, entry.name, entry.bytes, stream, manifest.created_ms)
        raw.flush()
        os.fsync(raw.fileno())


def unpack(path: Path, target: Path) -> Manifest:
    """Unpack all files of an archive below ``target`` and check them → the manifest.

    Raises:
        Refused: ``WL-BAK-001`` damaged or cut, ``WL-BAK-002`` written by a newer version, ``WL-BAK-004``
            names or kinds of members that are not ours, ``WL-BAK-010`` no room for it.
    """
    with _members(path, whole=True) as members:
        manifest = _manifest(path, members)
        _refuse_bomb(path, manifest, target)
        missing = {entry.name: entry for entry in manifest.files}
        for member, stream in members:
            entry = missing.pop(member.name, None)
            if entry is None or not member.isreg():
                raise unsafe(path, member.name)
            _extract(path, entry, stream, target)
    if missing:
        raise damaged(path, f"{min(missing)} is missing")
    return manifest


def read_manifest(path: Path) -> Manifest:
    """The manifest alone, quick even for a big archive. Raises as :func:`unpack`."""
    with _members(path) as members:
        return _manifest(path, members)


def _add(tar: tarfile.TarFile, name: str, size: int, stream: IO[bytes], created_ms: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, created_ms // 1000, 0o600
    tar.addfile(info, stream)


Members = Iterator[tuple[tarfile.TarInfo, IO[bytes]]]


class _Frame(io.RawIOBase):
    """Unpacked bytes of one zstd frame, which knows whether it ended with its checksum."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._unpacker = zstandard.ZstdDecompressor().decompressobj()
        self._ready = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; 0 at the end of the file, whether the frame is whole or not."""
        while not self._ready and not self._unpacker.eof:
            packed = self._raw.read(_CHUNK_BYTES)
            if not packed:
                break
            self._ready = self._unpacker.decompress(packed)
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def check_end(self) -> None:
        """Raise ``EOFError`` where the frame is cut or something follows it."""
        while self.read(_CHUNK_BYTES):
            pass
        if not self._unpacker.eof or self._unpacker.unused_data or self._raw.read(1):
            raise EOFError("the end of the archive is missing, or something follows it")


@contextmanager
def _members(path: Path, *, whole: bool = False) -> Iterator[Members]:
    """Members in order; whatever is wrong with the bytes becomes one error. ``whole`` looks at the end too."""
    try:
        with path.open("rb") as raw:
            frame = _Frame(raw)
            packed = io.BufferedReader(frame, _CHUNK_BYTES)
            with tarfile.open(fileobj=packed, mode="r|") as tar:
                yield ((member, _content(tar, member)) for member in tar)
            if whole:
                frame.check_end()
    except FileNotFoundError as error:
        raise Refused("WL-BAK-001", "there is no such backup", where=str(path)) from error
    except (tarfile.TarError, zstandard.ZstdError, EOFError, ValueError, UnicodeError) as error:
        raise damaged(path, f"{type(error).__name__} {error}".strip()) from error


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """Bytes of a plain file; a link or a device has none, and is never followed."""
    return (tar.extractfile(member) if member.isreg() else None) or io.BytesIO()


def _manifest(path: Path, members: Members) -> Manifest:
    member, stream = next(members, (None, None))
    if member is None or stream is None or member.name != MANIFEST_NAME or not member.isreg():
        raise damaged(path, "it does not begin with a manifest")
    if member.size > _MANIFEST_LIMIT_BYTES:
        raise damaged(path, "its manifest is too long")
    data = json.loads(stream.read())
    if not isinstance(data, dict):
        raise damaged(path, "its manifest is no object")
    if not isinstance(data.get("format"), int) or data["format"] > FORMAT:
        raise Refused(
            "WL-BAK-002",
            f"the backup has format {data.get('format')!r}; this version reads up to {FORMAT}",
            where=str(path),
            hint="restore it with the version that made it",
        )
    return _of_json(path, data)


def _of_json(path: Path, data: dict[str, Any]) -> Manifest:
    try:
        files = tuple(
            FileEntry(str(entry["name"]), int(entry["bytes"]), str(entry["sha256"]))
            for entry in data["files"]
        )
        manifest = Manifest(
            version=str(data["version"]),
            revision=str(data["revision"]),
            dialect=str(data["dialect"]),
            created_ms=int(data["created_ms"]),
            newest_ms=None if data["newest_ms"] is None else int(data["newest_ms"]),
            counts={str(name): int(count) for name, count in data["counts"].items()},
            files=files,
            format=int(data["format"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(path, f"its manifest lacks {error}") from error
    names = [entry.name for entry in files]
    if (
        manifest.dialect not in DATABASE_NAMES
        or manifest.database not in names
        or len(set(names)) != len(names)
    ):
        raise damaged(path, "its manifest does not name one database")
    for entry in files:
        if entry.bytes < 0 or not _is_ours(entry.name, manifest.database):
            raise unsafe(path, entry.name)
    return manifest


def _is_ours(name: str, database: str) -> bool:
    """The database, or a plain path below ``config/``."""
    if name == database:
        return True
    parts = name.split("/")
    return (
        len(parts) > 1
        and parts[0] == "config"
        and all(_PLAIN_PART.match(part) and part.strip(". ") for part in parts)
    )


def _refuse_bomb(path: Path, manifest: Manifest, target: Path) -> None:
    """A small archive may say that it holds more than the disk does."""
    total, free = sum(entry.bytes for entry in manifest.files), shutil.disk_usage(target).free
    if total > free:
        raise Refused(
            "WL-BAK-010",
            f"the backup unpacks to {total >> 20} MiB, {free >> 20} MiB are free",
            where=str(path),
            hint="free space first",
        )


def _extract(path: Path, entry: FileEntry, stream: IO[bytes], target: Path) -> None:
    place = target / entry.name
    place.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    left = entry.bytes
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        while chunk := stream.read(_CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise damaged(path, f"{entry.name} is longer than the manifest says")
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    if left or digest.hexdigest() != entry.sha256:
        raise damaged(path, f"{entry.name} is not what the manifest says")
