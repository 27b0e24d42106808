"""Bring the tables of a store to this version.

A new store gets all tables at once and the newest revision; Alembic, slow to import, is only asked where a
store carries an older one. A store of a newer version is refused, never touched.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import sqlalchemy as sa

from hub.errors import AskUser
from hub.storage.tables import METADATA

if TYPE_CHECKING:
    from hub.storage.database import Database

LOGGER = logging.getLogger(__name__)

REVISIONS = ("0001", "0002", "0003")
"""All revisions, oldest first; the last is the one of this version."""

HEAD = REVISIONS[-1]
_VERSION = sa.Table(
    "alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True)
)


async def migrate(database: Database) -> bool:
    """Make or upgrade the tables → whether anything was done.

    Before an upgrade a backup is made in ``DATA/backups``.

    Raises:
        AskUser: ``WL-STO-020`` the store is of a newer version, ``WL-STO-021`` it holds tables of others.
    """
    stored = await database.write(stored_revision, label="revision")
    if stored == HEAD:
        return False
    if stored is None:
        await database.write(_create, label="create tables")
        return True
    _refuse_newer(stored, database.where)
    from hub.storage.migrations.upgrade import upgrade  # imports Alembic: 333 ms

    await _back_up(database)
    await database.write(upgrade, label="upgrade tables")
    return True


async def _back_up(database: Database) -> None:
    """The way back: an archive of the store as it is, in ``DATA/backups``."""
    from hub.storage.backup import create

    try:
        made = await create(database, database.data_dir / "backups")
    except AskUser as error:  # no pg_dump: the upgrade is one transaction, so this is no reason to stop
        LOGGER.warning("upgrading without a backup: %s", error)
        return
    LOGGER.info("backup before the upgrade: %s", made.path)


def stored_revision(connection: sa.Connection) -> str | None:
    """The revision that a store carries, ``None`` for an empty one.

    Raises:
        AskUser: ``WL-STO-021`` for a database that is not empty and not ours.
    """
    names = set(sa.inspect(connection).get_table_names())
    if "alembic_version" in names:
        found = connection.execute(sa.select(_VERSION.c.version_num)).scalar_one_or_none()
        return None if found is None else str(found)
    if names & METADATA.tables.keys():
        raise AskUser(
            "WL-STO-021",
            "the database holds tables of another program",
            hint="name an empty database in storage.url",
        )
    return None


def _create(connection: sa.Connection) -> None:
    METADATA.create_all(connection)
    _VERSION.create(connection, checkfirst=True)
    connection.execute(sa.insert(_VERSION).values(version_num=HEAD))


def _refuse_newer(stored: str, where: str) -> None:
    if stored in REVISIONS:
        return
    raise AskUser(
        "WL-STO-020",
        f"the database is of revision {stored}, newer than {HEAD} of this version",
        where=where,
        hint="install the newer version again, or restore the backup made before the upgrade",
    )
