"""Reading files of the configuration directory: plain files only, inside the directory only, small only.

Every path is walked component by component without following symbolic links, so an include cannot be led
out of the directory, not even by a link that appears between a check and the opening.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

MAX_FILE_BYTES: Final = 1 << 20
MAX_TOTAL_BYTES: Final = 4 << 20
MAX_FILES: Final = 500
SECRETS_FILE: Final = "secrets.yaml"
_BOM: Final = b"\xef\xbb\xbf"


class FileProblem(Exception):
    """A file cannot be had; ``code`` and ``hint`` go into the error. ``line`` 0 means the whole file."""

    def __init__(self, code: str, message: str, hint: str = "", *, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file as read: ``name`` is relative to the directory, ``sha256`` is over its bytes."""

    name: str
    text: str
    sha256: str


def relative_name(base: str, wanted: str) -> str:
    """``wanted`` as written in the file ``base``, as a clean path relative to the directory.

    Raises:
        FileProblem: the path is absolute, climbs with ``..`` or is written for another system.
    """
    bad = not wanted or wanted.startswith(("/", "~")) or "\\" in wanted or "\0" in wanted or ":" in wanted
    parts = PurePosixPath(wanted).parts
    if bad or ".." in parts or not parts:
        raise FileProblem(
            "WL-CFG-040",
            "an include has to be a relative path inside the configuration directory",
            "write the path relative to this file, without `..`",
        )
    return str(PurePosixPath(base).parent / PurePosixPath(wanted))


class Directory:
    """The configuration directory with its limits: 1 MiB a file, 4 MiB and 500 files in all."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.read: dict[str, SourceFile] = {}
        self._total_bytes = 0

    def load(self, name: str, *, follow_link: bool = False, private: bool = False) -> SourceFile:
        """Read one file as text; a second time from memory.

        Args:
            name: clean relative path.
            follow_link: the file itself may be a link (hub.yaml and secrets.yaml are often mounted as links).
            private: refuse the file where group or others may read or write it.

        Raises:
            FileProblem: missing, unreadable, too large, not UTF-8.
        """
        if name in self.read:
            return self.read[name]
        if len(self.read) >= MAX_FILES:
            raise FileProblem("WL-CFG-043", f"more than {MAX_FILES} files are included")
        data = self._bytes(name, follow_link=follow_link, private=private)
        source = SourceFile(name, _decoded(data), hashlib.sha256(data).hexdigest())
        self.read[name] = source
        return source

    def yaml_names(self, name: str) -> list[str]:
        """Names of the ``.yaml`` and ``.yml`` files of a directory and of those below it, sorted.

        Files and directories that start with a dot are left out (editors keep their copies there).
        """
        found: list[str] = []
        waiting = [name]
        while waiting:
            folder = waiting.pop()
            with self._open(folder, directory=True) as handle:
                children = sorted(os.listdir(handle))
                for child in children:
                    path = str(PurePosixPath(folder) / child)
                    mode = os.stat(child, dir_fd=handle, follow_symlinks=False).st_mode
                    if child.startswith("."):
                        continue
                    if stat.S_ISDIR(mode):
                        waiting.append(path)
                    elif child.endswith((".yaml", ".yml")) and path != SECRETS_FILE:
                        found.append(path)
            if len(found) + len(waiting) > MAX_FILES:
                raise FileProblem("WL-CFG-043", f"more than {MAX_FILES} files are included")
        return sorted(found)

    def _bytes(self, name: str, *, follow_link: bool, private: bool) -> bytes:
        with self._open(name, follow_link=follow_link) as handle:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise FileProblem("WL-CFG-002", "this is not a plain file")
            if private and status.st_mode & 0o077:
                raise FileProblem(
                    "WL-CFG-051",
                    f"the mode {status.st_mode & 0o777:04o} lets group or others at the secrets",
                    f"run `chmod 600 {os.path.join(self.path, name)}`",
                )
            data = _read_up_to(handle, MAX_FILE_BYTES + 1)
        self._total_bytes += len(data)
        if len(data) > MAX_FILE_BYTES:
            raise FileProblem("WL-CFG-003", "the file is larger than 1 MiB", "split it with `!include`")
        if self._total_bytes > MAX_TOTAL_BYTES:
            raise FileProblem("WL-CFG-003", "all files together are larger than 4 MiB")
        return data

    @contextmanager
    def _open(self, name: str, *, follow_link: bool = False, directory: bool = False) -> Iterator[int]:
        parts = PurePosixPath(name).parts
        handles: list[int] = []
        try:
            handles.append(os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            for number, part in enumerate(parts):
                last = number == len(parts) - 1
                flags = (
                    os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
                )  # a pipe must not make us wait for its writer
                flags |= 0 if last and follow_link else os.O_NOFOLLOW
                flags |= os.O_DIRECTORY if directory or not last else 0
                handles.append(os.open(part, flags, dir_fd=handles[-1]))
            yield handles[-1]
        except OSError as error:
            raise self._problem(error, handles, parts) from error
        finally:
            for handle in handles:
                os.close(handle)

    def _problem(self, error: OSError, handles: list[int], parts: tuple[str, ...]) -> FileProblem:
        failed = parts[len(handles) - 1] if 0 < len(handles) <= len(parts) else ""
        if failed and _is_link(failed, handles[-1]):
            return FileProblem(
                "WL-CFG-040", "an include must not pass through a symbolic link", "copy the file instead"
            )
        if error.errno == errno.ENOENT:
            return FileProblem("WL-CFG-041", "there is no such file or directory")
        if error.errno == errno.ENOTDIR:
            return FileProblem("WL-CFG-041", "there is no such directory")
        reason = os.strerror(error.errno) if error.errno else "unknown reason"
        return FileProblem(
            "WL-CFG-002", f"cannot be read: {reason.lower()}", "check owner and mode with `ls -l`"
        )


def _is_link(name: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except (OSError, ValueError):
        return False


def _read_up_to(handle: int, limit: int) -> bytes:
    parts: list[bytes] = []
    while limit > 0 and (part := os.read(handle, min(limit, 1 << 18))):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def _decoded(data: bytes) -> str:
    data = data.removeprefix(_BOM)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        hint = "it looks like UTF-16; save it as UTF-8" if utf16 else "save the file as UTF-8"
        byte = data[error.start]
        raise FileProblem(
            "WL-CFG-005", f"byte 0x{byte:02x} is not UTF-8", hint, line=line, column=column
        ) from error
