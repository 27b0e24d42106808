"""PostgreSQL: one writing connection, three reading ones, each side in a thread of its own.

Jobs decode blocks and build columns; in their own threads they never hold the hub's event loop.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import asyncpg
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from hub.errors import AskUser, WattlineError
from hub.storage.batches import AppendRows
from hub.storage.failures import away, storage_error
from hub.storage.loop_thread import LoopThread
from hub.storage.postgres_append import append_postgres

LOGGER = logging.getLogger(__name__)
T = TypeVar("T")

READERS = 3
READ_LIMIT_S = 5.0
_CONNECT_S = 10.0
_ANSWER_S = 60.0  # a network that swallows packets must not hold the writer for ever
_LOCK_LIMIT_MS = 5_000
_ATTEMPTS = 4  # more than one re-check is only needed while other hubs store the same rows

STORE_ERRORS = (
    sa.exc.SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # spoken to in the moment in which the server ends the session
    OSError,
    MemoryError,
)
"""What a failing store can raise; everything else is the job's own."""

_REFUSED = {
    "28P01": ("WL-STO-005", "the database server refuses the user name or the password"),
    "28000": ("WL-STO-005", "the database server refuses the login"),
    "3D000": ("WL-STO-006", "the database does not exist on the server"),
    "42501": ("WL-STO-006", "the database user lacks a right"),
}


class PostgresBackend:
    """The database of ``url``; see :class:`hub.storage.database.Database` for the promises.

    Args:
        url: ``postgresql://user:password@host:port/name``; ``sslmode`` is understood.
        before: fault seam, called with ``begin``, ``execute`` and ``commit`` before each of these steps.
    """

    dialect = "postgresql"

    def __init__(self, url: sa.URL, before: Callable[[str], None]) -> None:
        self.url = _for_asyncpg(url)
        self.where = url.render_as_string(hide_password=True)
        self._before = before
        self._writing = LoopThread("wattline-db-writer")
        self._reading = LoopThread("wattline-db-reader")
        self._write_engine = self._engine(
            {"lock_timeout": str(_LOCK_LIMIT_MS), "synchronous_commit": "on"}, poolclass=sa.pool.NullPool
        )
        self._read_engine = self._engine(
            {
                "default_transaction_read_only": "on",
                "statement_timeout": str(int(READ_LIMIT_S * 1000)),
                "idle_in_transaction_session_timeout": "10000",
            },
            pool_size=READERS,
            max_overflow=0,
            pool_pre_ping=True,
            isolation_level="REPEATABLE READ",
        )
        self._writer: AsyncConnection | None = None
        self._size_bytes = 0

    async def open(self) -> None:
        """Connect, or say why not.

        Raises:
            StorageAway: the server does not answer.
            AskUser: ``WL-STO-005`` it refuses the credentials, ``WL-STO-006`` the database is not there.
        """
        await self._writing.run(self._open_first())

    async def settle(self) -> None:
        """The tables are there."""
        await self._writing.run(self._measure())

    async def write(self, job: Callable[[sa.Connection], T]) -> T:
        """Run ``job`` in one transaction; committed and synced on return."""
        return await self._writing.run(self._transaction(job))

    async def append(self, rows: AppendRows) -> NDArray[np.uint8]:
        """Store readings in one transaction; see :func:`append_postgres`."""
        return await self._writing.run(self._append(rows))

    async def read(self, job: Callable[[sa.Connection], T]) -> T:
        """Run ``job`` on a read-only snapshot; each statement takes at most :data:`READ_LIMIT_S`."""
        return await self._reading.run(self._read(job))

    async def tidy(self) -> None:
        """Note the size; the server looks after its own log."""
        await self._writing.run(self._measure())

    async def close(self) -> None:
        """Close all connections."""
        try:
            await self._writing.run(self._discard())
            await self._writing.run(self._write_engine.dispose())
            await self._reading.run(self._read_engine.dispose())
        finally:
            self._writing.stop()
            self._reading.stop()

    def size_bytes(self) -> int:
        """Size of the database as of the newest look, at the start and whenever the writer is idle."""
        return self._size_bytes

    def _engine(self, settings: dict[str, str], **options: Any) -> AsyncEngine:
        return create_async_engine(
            self.url,
            connect_args={
                "timeout": _CONNECT_S,
                "command_timeout": _ANSWER_S,
                "server_settings": {"application_name": "wattline", **settings},
            },
            **options,
        )

    async def _open_first(self) -> None:
        async with self._guarded():
            await self._connection()

    async def _connection(self) -> AsyncConnection:
        if self._writer is None:
            self._writer = await self._write_engine.connect()
        return self._writer

    async def _raw(self) -> asyncpg.Connection:
        connection = await self._connection()
        raw = (await connection.get_raw_connection()).driver_connection
        assert isinstance(raw, asyncpg.Connection)
        return raw

    async def _transaction(self, job: Callable[[sa.Connection], T]) -> T:
        async with self._guarded():
            connection = await self._connection()
            self._before("begin")
            async with connection.begin() as transaction:
                self._before("execute")
                result = await connection.run_sync(job)
                self._before("commit")
                await transaction.commit()
            return result

    async def _append(self, rows: AppendRows) -> NDArray[np.uint8]:
        checked = replace(rows, fresh=np.zeros(len(rows), dtype=np.bool_))
        for attempt in range(_ATTEMPTS):
            try:
                return await self._append_once(checked if attempt else rows)
            except asyncpg.UniqueViolationError:  # not as fresh as the caller thought: look at what is stored
                continue
        raise away(self.where, "other hubs store the same readings all the time")

    async def _append_once(self, rows: AppendRows) -> NDArray[np.uint8]:
        async with self._guarded():
            raw = await self._raw()
            self._before("begin")
            transaction = raw.transaction()
            await transaction.start()
            try:
                self._before("execute")
                outcome = await append_postgres(raw, rows)
                self._before("commit")
            except BaseException:
                if not raw.is_closed():
                    await transaction.rollback()
                raise
            await transaction.commit()
            return outcome

    async def _read(self, job: Callable[[sa.Connection], T]) -> T:
        try:
            async with self._read_engine.connect() as connection:
                return await connection.run_sync(job)
        except STORE_ERRORS as error:
            known = storage_error(error, self.where)
            if known is None:
                raise
            raise known from error

    async def _measure(self) -> None:
        async with self._guarded():
            raw = await self._raw()
            self._size_bytes = await raw.fetchval("SELECT pg_database_size(current_database())")

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        """Translate failures of the store; a connection that failed once is not trusted again.

        Nor is one after an error that nobody foresaw: the driver may still believe to be in the transaction
        that failed, and would refuse the next ones, or make them parts of it.
        """
        try:
            yield
        except GeneratorExit:
            raise
        except BaseException as error:
            known = self._known(error)
            if known is not None or not _is_orderly(error):
                await self._discard()
            if known is None:
                raise
            raise known from error

    def _known(self, error: BaseException) -> WattlineError | None:
        if not isinstance(error, STORE_ERRORS):
            return None
        return _refused(error, self.where) or storage_error(error, self.where)

    async def _discard(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            raw = (await writer.get_raw_connection()).driver_connection
            if isinstance(raw, asyncpg.Connection):
                raw.terminate()  # no goodbye: a server that is away would not hear it
            await writer.invalidate()
            await writer.close()
        except Exception as error:  # noqa: BLE001 - it is given up anyway, and what failed before is what counts
            LOGGER.debug("closing a failed connection failed too: %s", error)


def _for_asyncpg(url: sa.URL) -> sa.URL:
    """The driver knows ``ssl`` where the rest of the world writes ``sslmode``."""
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return url.set(drivername="postgresql+asyncpg", query=query)


def _is_orderly(error: BaseException) -> bool:
    """A refusal by the server or by a job of the hub: its transaction was rolled back, the connection is good."""
    return isinstance(error, WattlineError) or _sqlstate(error) is not None


def _sqlstate(error: BaseException) -> str | None:
    state = getattr(error.orig if isinstance(error, sa.exc.DBAPIError) else error, "sqlstate", None)
    return state if isinstance(state, str) else None


def _refused(error: BaseException, where: str) -> WattlineError | None:
    state = _sqlstate(error)
    if state not in _REFUSED:
        return None
    code, message = _REFUSED[state]
    return AskUser(code, message, where=where, hint="check storage.url and the rights of the user")
