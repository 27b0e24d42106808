"""Run the revisions that a store lacks, inside the transaction of the writer.

A crash in the middle leaves the store at the revision it had: both engines take table changes back.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from hub.storage.migrations import HEAD


def upgrade(connection: sa.Connection, revision: str = HEAD) -> None:
    """Bring the store from the revision it carries to ``revision``."""
    command.upgrade(configuration(connection), revision)


def configuration(connection: sa.Connection) -> Config:
    """Alembic's configuration for a connection that is ours; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
