"""Indexes for what was changed since a moment, and for the services of a member of the staff.

A stretch is up to ten days of the calendar: see `Way.BY_STRETCH` in db/lists.py.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STRETCH = sa.text("substr(date, 1, 9)")
IN_ORDER = ("status", "date", "start_time", "session_id")
BY_DAY = "ix_sessions_workspace_id_day_updated_at"
BY_STRETCH = "ix_sessions_workspace_id_stretch_updated_at"
OF_SERVICE = "ix_session_services_workspace_id_service_id_status_date"
OF_STAFF = "ix_session_services_workspace_id_staff_id_service_id_status"
OF_SERVICE_BY_STRETCH = "ix_session_services_workspace_id_service_id_stretch_updated_at"


def upgrade() -> None:
    op.drop_index(BY_DAY, "sessions")
    op.create_index(BY_STRETCH, "sessions", ["workspace_id", STRETCH, "updated_at", "date", "start_time", "id", "status"])
    op.drop_index(OF_SERVICE, "session_services")
    op.create_index(OF_SERVICE, "session_services", ["workspace_id", "service_id", *IN_ORDER, "updated_at"])
    op.create_index(OF_STAFF, "session_services", ["workspace_id", "staff_id", "service_id", *IN_ORDER])
    op.create_index(
        OF_SERVICE_BY_STRETCH,
        "session_services",
        ["workspace_id", "service_id", STRETCH, "updated_at", "date", "start_time", "session_id"],
    )


def downgrade() -> None:
    op.drop_index(OF_SERVICE_BY_STRETCH, "session_services")
    op.drop_index(OF_STAFF, "session_services")
    op.drop_index(OF_SERVICE, "session_services")
    op.create_index(OF_SERVICE, "session_services", ["workspace_id", "service_id", *IN_ORDER, "staff_id", "updated_at"])
    op.drop_index(BY_STRETCH, "sessions")
    op.create_index(BY_DAY, "sessions", ["workspace_id", sa.text("substr(date, 1, 10)"), "updated_at"])
