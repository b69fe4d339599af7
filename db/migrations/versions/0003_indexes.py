"""The index that finds, by days, what was changed since a moment. Migration 0006 has another in its place."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INDEX = "ix_sessions_workspace_id_day_updated_at"


def upgrade() -> None:
    op.create_index(INDEX, "sessions", ["workspace_id", sa.text("substr(date, 1, 10)"), "updated_at"])


def downgrade() -> None:
    op.drop_index(INDEX, "sessions")
