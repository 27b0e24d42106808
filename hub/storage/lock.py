"""The lock of a data directory: one hub writes, whoever comes second is told who is there."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from hub.errors import AskUser

LOCK_NAME = "hub.lock"


class DataLock:
    """Holds ``DATA/hub.lock`` while open; the kernel lets go of it when the process ends, however it ends.

    ``name`` is another one for a database file that lies outside the data directory.
    """

    def __init__(self, data_dir: Path, name: str = LOCK_NAME) -> None:
        self._path = data_dir / name
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock or say who has it.

        Raises:
            AskUser: ``WL-STO-002`` where another process holds it, ``WL-STO-004`` where the directory cannot
                be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise AskUser(
                "WL-STO-004",
                f"the data directory cannot be written: {error.strerror}",
                where=str(self._path.parent),
                hint="check the owner and the rights of the directory",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise AskUser(
                "WL-STO-002",
                f"another hub (pid {holder or 'unknown'}) uses this data directory",
                where=str(self._path.parent),
                hint="stop it first, or choose another directory with --data",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go; the file stays, for removing it would race with whoever opens it."""
        if self._descriptor is None:
            return
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = None


def holder_pid(data_dir: Path) -> int | None:
    """The process that holds the lock of ``data_dir`` now, 0 if it is unknown, ``None`` if nobody does."""
    try:
        descriptor = os.open(data_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        return int(text) if text.isdecimal() else 0
    finally:
        os.close(descriptor)
    return None
