"""The database: one writer, few readers, the same promises on SQLite and PostgreSQL.

What :meth:`Database.write` and :meth:`Database.append` return is committed and synced to disk. After a
failure nothing of the transaction is stored and the connection is closed: the caller replays what was not
acknowledged, the next call opens a new one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.errors import AskUser, StorageAway, WattlineError
from hub.storage.batches import CONFLICT, DUPLICATE, STORED, AppendOutcome, AppendRows
from hub.storage.lock import DataLock
from hub.storage.migrations import migrate
from hub.storage.sqlite_backend import SqliteBackend
from hub.storage.statistics import StorageStatistics
from hub.storage.turns import Turns

if TYPE_CHECKING:
    from hub.storage.postgres_backend import PostgresBackend

LOGGER = logging.getLogger(__name__)
T = TypeVar("T")
Job = Callable[[sa.Connection], T]

IDLE_S = 1.0
"""After this long without a commit the write-ahead log is moved into the file."""


class WallClock(Protocol):
    """Where the wall clock comes from."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        ...


class Database:
    """The store of one hub. Make it with :meth:`open`.

    ``statistics`` is for metrics; ``dialect`` is ``sqlite`` or ``postgresql``; ``where`` names the store
    without its password.
    """

    def __init__(
        self,
        backend: SqliteBackend | PostgresBackend,
        data_dir: Path,
        locks: Sequence[DataLock],
        clock: WallClock,
    ) -> None:
        self._backend = backend
        self._locks = locks
        self._clock = clock
        self._turns = Turns()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._closing = False
        self.data_dir = data_dir
        self.dialect = backend.dialect
        self.where = backend.where
        self.statistics = StorageStatistics()

    @classmethod
    async def open(
        cls,
        url: str,
        data_dir: Path,
        *,
        clock: WallClock,
        before: Callable[[str], None] | None = None,
        upgrade: bool = True,
    ) -> Database:
        """Open the store and bring its tables to this version.

        Args:
            url: ``sqlite:///hub.db`` (relative to ``data_dir``) or ``postgresql://user:password@host/name``.
            data_dir: made if it is not there; ``hub.lock`` in it is held until :meth:`close`.
            clock: wall clock for statistics.
            before: fault seam, called with ``begin``, ``execute`` or ``commit`` before each such step.
            upgrade: False leaves the tables as they are.

        Raises:
            AskUser: ``WL-STO-001`` unknown kind of URL, ``WL-STO-002`` another hub runs here, ``WL-STO-003``
                to ``006`` the place cannot be used, ``WL-STO-020`` and ``021`` the tables are not ours.
            StorageCorrupt: ``WL-STO-011``; the file is left as it is.
            StorageAway: the server does not answer.
        """
        backend = make_backend(url, data_dir, before or _no_fault)
        locks = _locks(backend, data_dir)
        database = cls(backend, data_dir, locks, clock)
        try:
            for lock in locks:
                lock.acquire()
            await backend.open()
            if upgrade:
                await migrate(database)
                await backend.settle()
        except BaseException:
            await database.close()
            raise
        return database

    async def write(self, job: Job[T], *, label: str = "") -> T:
        """Run ``job`` in one transaction and commit it; readings that wait go first.

        The job runs outside the event loop and must be quick (20 ms): cut long work into slices. If the
        caller is cancelled while the job waits, it does not run; once it runs, it is finished.

        Raises:
            DiskFull, StorageAway, StorageCorrupt: nothing was stored. What the job itself raises passes
            through, and nothing was stored either.
        """
        return await self._in_turn(lambda: self._backend.write(job), urgent=False, label=label)

    async def append(self, rows: AppendRows) -> AppendOutcome:
        """Store readings with marks, conflicts and quarantine in one transaction. Raises as :meth:`write`."""
        rows.check()
        outcome = await self._in_turn(lambda: self._backend.append(rows), urgent=True, label="append")
        self._count(outcome)
        return AppendOutcome(outcome)

    async def read(self, job: Job[T]) -> T:
        """Run ``job`` on a read-only snapshot, beside the writer, for at most 5 s.

        Raises:
            StorageAway: ``WL-STO-013`` where it takes longer, else the store is away.
            StorageCorrupt: what it reads is damaged.
        """
        self._refuse_when_closing()
        started_s = time.monotonic()
        try:
            result = await self._backend.read(job)
        except WattlineError as error:
            self.statistics.failed(error.code)
            raise
        self.statistics.reads += 1
        self.statistics.read_s.add(time.monotonic() - started_s)
        return result

    def size_bytes(self) -> int:
        """Size on disk; for PostgreSQL as of the newest reading of it."""
        return self._backend.size_bytes()

    @property
    def waiting(self) -> int:
        """How many writes wait for their turn."""
        return self._turns.waiting

    @property
    def backend(self) -> SqliteBackend | PostgresBackend:
        """The engine below, for backup and salvage."""
        return self._backend

    def now_ms(self) -> int:
        """Wall clock of the store."""
        return self._clock.now_ms()

    async def close(self) -> None:
        """Finish what waits, close all connections and let go of the lock; a second call does nothing."""
        if self._closing:
            return
        self._closing = True
        if self._idle_timer:
            self._idle_timer.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._backend.close()
        for lock in self._locks:
            lock.release()

    async def _in_turn(self, work: Callable[[], Coroutine[Any, Any, T]], *, urgent: bool, label: str) -> T:
        """Run ``work`` in its turn and in a task of its own: a cancelled caller must not free the writer."""
        self._refuse_when_closing()
        started = asyncio.Event()
        task = asyncio.get_running_loop().create_task(
            self._timed(work, started, urgent=urgent), name=f"database {label}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not started.is_set():
                task.cancel()
            raise

    def _refuse_when_closing(self) -> None:
        if self._closing:
            raise StorageAway("WL-STO-014", "the store is closing", where=self.where)

    async def _timed(
        self, work: Callable[[], Coroutine[Any, Any, T]], started: asyncio.Event, *, urgent: bool
    ) -> T:
        queued_s = time.monotonic()
        async with self._turns.take(urgent=urgent):
            started.set()
            begin_s = time.monotonic()
            waits = self.statistics.append_wait_s if urgent else self.statistics.write_wait_s
            waits.add(begin_s - queued_s)
            try:
                result = await work()
            except WattlineError as error:
                self.statistics.failed(error.code)
                raise
            self.statistics.committed(time.monotonic() - begin_s, self._clock.now_ms())
        self._tidy_when_idle()
        return result

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: the caller may have been cancelled and never look

    def _count(self, outcome: NDArray[np.uint8]) -> None:
        counts = np.bincount(outcome, minlength=3)
        self.statistics.rows_stored += int(counts[STORED])
        self.statistics.rows_duplicate += int(counts[DUPLICATE])
        self.statistics.rows_conflict += int(counts[CONFLICT])

    def _tidy_when_idle(self) -> None:
        if self._closing or (self._idle_timer and not self._idle_timer.cancelled()):
            return
        self._idle_timer = asyncio.get_running_loop().call_later(
            IDLE_S, self._look_if_idle, self.statistics.commits
        )

    def _look_if_idle(self, commits: int) -> None:
        self._idle_timer = None
        if commits != self.statistics.commits or not self._turns.idle:
            self._tidy_when_idle()
            return
        task = asyncio.get_running_loop().create_task(self._tidy(), name="database tidy")
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    async def _tidy(self) -> None:
        try:
            async with self._turns.take(urgent=False):
                await self._backend.tidy()
        except WattlineError as error:
            LOGGER.warning("the write-ahead log could not be moved into the file: %s", error)


def make_backend(url: str, data_dir: Path, before: Callable[[str], None]) -> SqliteBackend | PostgresBackend:
    """The engine that ``url`` names.

    Raises:
        AskUser: ``WL-STO-001`` for a URL that names none.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise _unknown_url("cannot be read") from error
    kind = parsed.get_backend_name()
    if kind == "sqlite" and parsed.database and parsed.database != ":memory:":
        return SqliteBackend(data_dir / parsed.database, before)
    if kind in ("postgresql", "postgres") and parsed.database:
        from hub.storage.postgres_backend import PostgresBackend  # costs 120 ms that SQLite need not pay

        return PostgresBackend(parsed, before)
    raise _unknown_url(f"names {kind!r} or no database")


def _locks(backend: SqliteBackend | PostgresBackend, data_dir: Path) -> list[DataLock]:
    """The data directory's, and one beside a database file that lies elsewhere: two hubs might name it."""
    locks = [DataLock(data_dir)]
    if isinstance(backend, SqliteBackend) and backend.path.parent.resolve() != data_dir.resolve():
        locks.append(DataLock(backend.path.parent, f"{backend.path.name}.lock"))
    return locks


def _unknown_url(why: str) -> AskUser:
    return AskUser(
        "WL-STO-001",
        f"the storage URL {why}",
        where="storage.url",
        hint="write sqlite:///hub.db or postgresql://user:password@host/name",
    )


def _no_fault(step: str) -> None:
    """The fault seam where nobody injects faults."""
