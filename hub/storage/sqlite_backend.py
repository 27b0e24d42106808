"""SQLite: one read-write connection in one thread, three read-only ones beside it.

SQLite before 3.51.3 can damage a database in write-ahead mode when two connections write or checkpoint at the
same moment, so exactly one connection of the whole system may write. The write-ahead log is synced at every
commit (``synchronous=FULL``); no memory map, for a broken page then is an error and not a signal.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.errors import AskUser
from hub.storage.batches import AppendRows
from hub.storage.failures import corrupt, storage_error, too_slow
from hub.storage.sealed import sealed_lookup
from hub.storage.sqlite_append import append_sqlite

LOGGER = logging.getLogger(__name__)
T = TypeVar("T")

STORE_ERRORS = (sqlite3.Error, sa.exc.SQLAlchemyError, OSError, MemoryError)
"""What a failing store can raise; everything else is the job's own and leaves the connection in use."""

READERS = 3
READ_LIMIT_S = 5.0
_BUSY_TIMEOUT_MS = 10_000
_AUTOCHECKPOINT_PAGES = 2_000  # 8 MiB: a bigger log would make one unlucky commit pay for it
_LOG_LIMIT_BYTES = 64 << 20
_PROGRESS_STEPS = 20_000  # virtual machine steps between two looks at the clock: about 1 ms
_COPY_PAGES = 128  # half a MiB: 1 to 2 ms of the writer
_COPY_PAUSE_S = 0.002
BORN_SUFFIX = ".born"


class SqliteBackend:
    """The file ``path``; see :class:`hub.storage.database.Database` for the promises.

    Args:
        path: the database file; it is made (for its owner alone) if it is not there and never was.
        before: fault seam, called with ``begin``, ``execute`` and ``commit`` before each of these steps.
    """

    dialect = "sqlite"

    def __init__(self, path: Path, before: Callable[[str], None]) -> None:
        self.path = path
        self.where = str(path)
        self._before = before
        self._writer_thread = ThreadPoolExecutor(1, thread_name_prefix="wattline-db-writer")
        self._reader_threads = ThreadPoolExecutor(READERS, thread_name_prefix="wattline-db-reader")
        self._writer: sa.Connection | None = None
        self._files: tuple[tuple[int, int] | None, tuple[int, int] | None] = (None, None)
        self._generation = 0  # readers of an older one look at files that are gone
        self._readers: queue.SimpleQueue[_Reader] = queue.SimpleQueue()
        for _ in range(READERS):
            self._readers.put(_Reader(path))

    async def open(self) -> None:
        """Open the file for writing, or make it.

        Raises:
            StorageCorrupt: ``WL-STO-011`` no database, damaged, or empty although it held data before.
            AskUser: ``WL-STO-003`` where the file system cannot do write-ahead logging.
        """
        await self._in_writer(self._open_first)

    async def write(self, job: Callable[[sa.Connection], T]) -> T:
        """Run ``job`` in one transaction; committed and synced on return."""
        return await self._in_writer(lambda: self._transaction(job))

    async def append(self, rows: AppendRows) -> NDArray[np.uint8]:
        """Store readings in one transaction; see :func:`append_sqlite`."""
        return await self._in_writer(lambda: self._append(rows))

    async def read(self, job: Callable[[sa.Connection], T]) -> T:
        """Run ``job`` on a read-only snapshot for at most :data:`READ_LIMIT_S`."""
        return await asyncio.get_running_loop().run_in_executor(self._reader_threads, self._read, job)

    async def with_writer(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Give ``job`` the bare writing connection between two transactions (backup, checkpoint)."""
        return await self._in_writer(lambda: self._bare(job))

    async def copy_to(self, target: Path) -> None:
        """Copy the store while it is in use, through the writing connection, in steps of a few milliseconds.

        What is committed meanwhile goes into the copy as well, so it is the store as it is at the end.

        Raises:
            StorageAway: the connection was closed after a failure; begin again.
        """
        raw = await self.with_writer(lambda raw: raw)
        try:
            await asyncio.to_thread(_copy, raw, target)
        except STORE_ERRORS as error:
            known = storage_error(error, self.where)
            if known is None:
                raise
            raise known from error

    async def settle(self) -> None:
        """Tables are there: move them into the file and remember beside it that it holds data.

        An empty file must never take its place unnoticed.
        """
        born = self.path.with_name(self.path.name + BORN_SUFFIX)
        if not born.exists():
            await self.with_writer(lambda raw: _run(raw, "PRAGMA wal_checkpoint(TRUNCATE)"))
            born.touch()
            await self._in_writer(lambda: _sync_directory(self.path.parent))

    async def tidy(self) -> None:
        """Move the write-ahead log into the file while nobody waits."""
        if self.log_bytes() > 0:
            await self.with_writer(lambda raw: _run(raw, "PRAGMA wal_checkpoint(PASSIVE)"))

    async def close(self) -> None:
        """Close all connections; the write-ahead log is moved into the file."""
        loop = asyncio.get_running_loop()
        for _ in range(READERS):  # one that is still in use is waited for
            await loop.run_in_executor(self._reader_threads, lambda: self._readers.get().close())
        await self._in_writer(self._close_writer)
        self._reader_threads.shutdown(wait=False)
        self._writer_thread.shutdown(wait=False)

    def log_bytes(self) -> int:
        """Size of the write-ahead log."""
        return _size(self.path.with_name(self.path.name + "-wal"))

    def size_bytes(self) -> int:
        """Size on disk, with the write-ahead log."""
        return _size(self.path) + self.log_bytes()

    async def _in_writer(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer_thread, work)

    # --- in the writer's thread ---

    def _open_first(self) -> None:
        born = self.path.with_name(self.path.name + BORN_SUFFIX)
        if born.exists() and _size(self.path) == 0:
            state = "empty" if self.path.exists() else "gone"
            why = f"the file is {state} although it held data (to start anew on purpose, remove {born})"
            raise corrupt(self.where, why)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # the owner's alone, for it holds password hashes; never made again while the hub runs
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection()
        except STORE_ERRORS as error:
            self._discard()
            raise storage_error(error, self.where) or corrupt(self.where, str(error)) from error

    def _connection(self) -> sa.Connection:
        self._check_files()
        if self._writer is None:
            raw = _connect(self.path, "rw")
            try:
                _prepare_writer(raw, self.where)
            except BaseException:
                raw.close()
                raise
            self._writer = _wrap(raw, "BEGIN IMMEDIATE")
            self._files = self._identities()
        return self._writer

    def _check_files(self) -> None:
        """Somebody may remove or replace files under us: commits would then go where nobody finds them.

        A write-ahead log that is gone is still open here: it is moved into the file, and a new one begun.
        """
        if self._writer is None or (now := self._identities()) == self._files:
            return
        if now[0] != self._files[0]:
            raise corrupt(self.where, "the file was removed or replaced while the hub runs")
        if self._files[1] is None:  # the log is made when it is first needed
            self._files = now
            return
        LOGGER.warning(
            "the write-ahead log of %s was removed while the hub runs; a new one is begun", self.path
        )
        _run(_raw(self._writer), "PRAGMA wal_checkpoint(TRUNCATE)")
        self._discard()
        self._generation += 1

    def _identities(self) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
        """Which files our names lead to: the database and its write-ahead log."""
        return _identity(self.path), _identity(self.path.with_name(self.path.name + "-wal"))

    def _transaction(self, job: Callable[[sa.Connection], T]) -> T:
        try:
            connection = self._connection()
            self._before("begin")
            with connection.begin() as transaction:
                self._before("execute")
                result = job(connection)
                self._before("commit")
                transaction.commit()
            return result
        except STORE_ERRORS as error:
            self._after_failure(error)
            raise

    def _append(self, rows: AppendRows) -> NDArray[np.uint8]:
        try:
            return self._append_once(rows)
        except sqlite3.IntegrityError:  # "fresh" was not true: decide every row by what is stored
            return self._append_once(replace(rows, fresh=np.zeros(len(rows), dtype=np.bool_)))

    def _append_once(self, rows: AppendRows) -> NDArray[np.uint8]:
        try:
            raw = _raw(self._connection())
            self._before("begin")
            raw.execute("BEGIN IMMEDIATE")
            self._before("execute")
            outcome = append_sqlite(raw, rows, sealed_lookup(raw.execute))
            self._before("commit")
            raw.execute("COMMIT")
            return outcome
        except STORE_ERRORS as error:
            self._after_failure(error)
            raise
        finally:
            self._roll_back()

    def _bare(self, job: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return job(_raw(self._connection()))
        except STORE_ERRORS as error:
            self._after_failure(error)
            raise
        finally:
            self._roll_back()

    def _roll_back(self) -> None:
        """Leave no transaction open, whatever ended it early."""
        if self._writer is None:
            return
        try:
            raw = _raw(self._writer)
            if raw.in_transaction:
                raw.rollback()
        except sqlite3.Error:
            self._discard()

    def _after_failure(self, error: BaseException) -> None:
        """A connection that failed once is not trusted again: close it, the next call opens another."""
        known = storage_error(error, self.where)
        if known is None:
            return
        self._discard()
        raise known from error

    def _discard(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            raw = _raw(writer)
            writer.detach()
            raw.close()
        except (sqlite3.Error, sa.exc.SQLAlchemyError) as error:
            LOGGER.debug("closing a failed connection failed too: %s", error)

    def _close_writer(self) -> None:
        try:
            if self._writer is not None:
                _run(_raw(self._writer), "PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            LOGGER.warning("the write-ahead log stays as it is until the next start: %s", error)
        self._discard()

    # --- in a reader's thread ---

    def _read(self, job: Callable[[sa.Connection], T]) -> T:
        reader = self._readers.get()
        try:
            return reader.run(job, self._generation)
        finally:
            self._readers.put(reader)


class _Reader:
    """One read-only connection, opened when first needed and again after a failure."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sa.Connection | None = None
        self._deadline_s = 0.0
        self._generation = 0

    def run(self, job: Callable[[sa.Connection], T], generation: int) -> T:
        self._deadline_s = time.monotonic() + READ_LIMIT_S
        if generation != self._generation:
            self.close()
            self._generation = generation
        try:
            connection = self._opened()
            with connection.begin() as transaction:
                result = job(connection)
                transaction.rollback()
            return result
        except STORE_ERRORS as error:
            known = self._known(error)
            if known is None:
                raise
            self.close()
            raise known from error

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            raw = _raw(connection)
            connection.detach()
            raw.close()

    def _opened(self) -> sa.Connection:
        if self._connection is None:
            raw = _connect(self._path, "ro")
            _run(raw, f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
            for pragma in ("query_only=1", "cache_size=-8000", "mmap_size=0"):
                _run(raw, f"PRAGMA {pragma}")
            raw.set_progress_handler(self._is_late, _PROGRESS_STEPS)
            self._connection = _wrap(raw, "BEGIN")
        return self._connection

    def _is_late(self) -> int:
        return int(time.monotonic() > self._deadline_s)

    def _known(self, error: BaseException) -> Exception | None:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            return too_slow(str(self._path), READ_LIMIT_S)
        return storage_error(error, str(self._path))


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,  # transactions begin where we say so, not where the driver guesses
        check_same_thread=False,
        cached_statements=256,
    )


def _prepare_writer(raw: sqlite3.Connection, where: str) -> None:
    _run(raw, f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    (mode,) = raw.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise AskUser(
            "WL-STO-003",
            f"the file system cannot do write-ahead logging (journal mode {mode})",
            where=where,
            hint="keep the data directory on a local disk",
        )
    for pragma in (
        "synchronous=FULL",
        "foreign_keys=ON",
        "mmap_size=0",
        "temp_store=MEMORY",
        "cache_size=-32000",
        f"wal_autocheckpoint={_AUTOCHECKPOINT_PAGES}",
        f"journal_size_limit={_LOG_LIMIT_BYTES}",
    ):
        _run(raw, f"PRAGMA {pragma}")
    raw.execute("SELECT count(*) FROM sqlite_master").fetchone()  # reads the header and the schema


def _wrap(raw: sqlite3.Connection, begin: str) -> sa.Connection:
    """A toolkit connection on a driver connection that is ours to open and close."""
    engine = sa.create_engine("sqlite://", creator=lambda: raw, poolclass=sa.pool.NullPool)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin) and None)
    return engine.connect()


def _raw(connection: sa.Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _run(raw: sqlite3.Connection, statement: str) -> None:
    raw.execute(statement).fetchall()


def _copy(raw: sqlite3.Connection, target: Path) -> None:
    """SQLite lets go of its lock between two steps; the writer's thread gets in there."""
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        _run(copy, "PRAGMA synchronous=OFF")
        raw.backup(
            copy, pages=_COPY_PAGES, progress=lambda *_: time.sleep(_COPY_PAUSE_S), sleep=_COPY_PAUSE_S
        )
        _run(copy, "PRAGMA journal_mode=DELETE")  # one file, no log beside it
    finally:
        copy.close()


def _sync_directory(directory: Path) -> None:
    """The name of a new file is on disk only when its directory is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
