"""Driver errors → the hub's error classes, which say what to do.

Only errors of the *store* are translated: no room, damage, away. A broken constraint or a wrong statement is
the caller's and passes through untouched.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from sqlalchemy import exc

from hub.errors import DiskFull, StorageAway, StorageCorrupt, WattlineError

_FULL = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,  # a quota or a file size limit answers like this
    sqlite3.SQLITE_IOERR_SHMSIZE,  # no room for the index of the write-ahead log
}
_CORRUPT_CLASSES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_AWAY_CLASSES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_NOLFS,
}
# PostgreSQL, appendix A of its manual: classes of SQLSTATE that a later try can survive.
_AWAY_STATES = ("08", "40", "53", "55P03", "57", "58", "25006", "25P03")
_DISK_FULL_STATE = "53100"
_CORRUPT_STATES = ("XX001", "XX002")
_QUERY_CANCELLED = "57014"


def disk_full(where: str) -> DiskFull:
    """``WL-STO-007``: the disk has no room for the write."""
    return DiskFull(
        "WL-STO-007",
        "the disk is full: readings are refused, nothing stored is lost",
        where=where,
        hint="free space; the hub resumes by itself",
    )


def corrupt(where: str, why: str) -> StorageCorrupt:
    """``WL-STO-011``: stored bytes are damaged."""
    return StorageCorrupt(
        "WL-STO-011",
        f"the database is damaged: {why}",
        where=where,
        hint="keep the file; 'wattline db check' says how much of it can be read, a backup brings the rest",
    )


def away(where: str, why: str) -> StorageAway:
    """``WL-STO-009``: the database cannot be used now; the caller replays what was not acknowledged."""
    return StorageAway(
        "WL-STO-009",
        f"the database is away: {why}",
        where=where,
        hint="the hub tries again; see 'wattline doctor'",
    )


def too_slow(where: str, limit_s: float) -> StorageAway:
    """``WL-STO-013``: a read was ended because it would hold back the write-ahead log."""
    return StorageAway(
        "WL-STO-013",
        f"a query took longer than {limit_s:g} s and was ended",
        where=where,
        hint="ask for a shorter range",
    )


def storage_error(error: BaseException, where: str) -> WattlineError | None:
    """The hub's error for a failure of the store, or ``None`` where the failure is the caller's own."""
    for cause in _causes(error):
        if isinstance(cause, sqlite3.Error):
            return _of_sqlite(cause, where)
        state = getattr(cause, "sqlstate", None)
        if isinstance(state, str):
            return _of_state(state, cause, where)
    return _of_kind(error, where)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what the toolkit wrapped, and what it was raised from."""
    seen: BaseException | None = error
    for _ in range(6):
        if seen is None:
            return
        yield seen
        seen = seen.orig if isinstance(seen, exc.DBAPIError) and seen.orig else seen.__cause__


def _of_sqlite(error: sqlite3.Error, where: str) -> WattlineError | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return away(where, str(error)) if "closed database" in str(error) else None
    if code in _FULL:
        return disk_full(where)
    if code & 0xFF in _CORRUPT_CLASSES:
        return corrupt(where, str(error))
    if code & 0xFF in _AWAY_CLASSES:
        return away(where, f"{error} ({getattr(error, 'sqlite_errorname', code)})")
    return None


def _of_state(state: str, error: BaseException, where: str) -> WattlineError | None:
    if state == _DISK_FULL_STATE:
        return disk_full(where)
    if state in _CORRUPT_STATES:
        return corrupt(where, str(error))
    if state == _QUERY_CANCELLED:
        return too_slow(where, 5.0)
    if state.startswith(_AWAY_STATES):
        return away(where, f"{error} ({state})")
    return None


def _of_kind(error: BaseException, where: str) -> WattlineError | None:
    for cause in _causes(error):
        if isinstance(cause, MemoryError):
            return away(where, "no memory left for the operation")
        if isinstance(cause, OSError):  # includes refused, reset and timed-out connections
            return away(where, f"{type(cause).__name__} {cause}".strip())
        if _is_driver_trouble(cause):
            return away(where, "the connection to the server is closed")
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return away(where, "the connection to the server broke")
    return None


def _is_driver_trouble(error: BaseException) -> bool:
    """Errors of the PostgreSQL driver itself (it is not imported here): its connection cannot be used further."""
    kinds = [kind for kind in type(error).__mro__ if kind.__module__.startswith("asyncpg")]
    return any(kind.__name__ in ("InterfaceError", "InternalClientError") for kind in kinds)
