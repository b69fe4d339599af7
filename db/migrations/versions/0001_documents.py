"""The tables: sessions as whole documents, and what the database derives from them.

The statements are in `0001_documents.postgresql.sql` and `0001_documents.sqlite.sql`, beside this file. Generated columns
hold the values that lists filter and sort by. Triggers on `sessions` maintain `session_services` and increment the revision
of the workspace, for every writer: `INSERT INTO sessions (workspace_id, id, document)` is enough.

Constraints refuse what would sort, filter or route wrongly: a document whose ids differ from its row's, a member that is
missing, a date or time in another form, an unknown status. The server checks everything else against the contract before a
document leaves it.
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    script = Path(__file__).with_suffix(f".{connection.dialect.name}.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n\n"):  # triggers and functions hold no empty lines
        connection.exec_driver_sql(statement)  # as it stands: in SQLAlchemy's text, a colon may begin a parameter


def downgrade() -> None:
    for table in ("session_services", "sessions", "workspaces"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION derive_from_sessions")
        op.execute("DROP FUNCTION derive_from_no_sessions")
