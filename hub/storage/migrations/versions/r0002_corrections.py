"""Corrections carry rows and are undone once; installations carry a state number (gas)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the index."""
    op.add_column("corrections", sa.Column("data", sa.JSON(none_as_null=True), nullable=True))
    op.create_index("uq_corrections_undoes", "corrections", ["undoes"], unique=True)
    op.add_column("installations", sa.Column("state_number", sa.Double(), nullable=True))


def downgrade() -> None:
    """Remove them."""
    op.drop_column("installations", "state_number")
    op.drop_index("uq_corrections_undoes", "corrections")
    op.drop_column("corrections", "data")
