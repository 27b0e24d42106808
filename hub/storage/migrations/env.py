"""Alembic's entry: runs revisions on the connection that :mod:`hub.storage.migrations.upgrade` hands over.

SQLite cannot change most things of a table in place; Alembic's batch mode copies it instead. The readings and
the blocks are far too big for that, so no revision may use it on them (a test reads all revisions): a change of
theirs moves rows in slices.
"""

from __future__ import annotations

from alembic import context

from hub.storage.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
context.run_migrations()
