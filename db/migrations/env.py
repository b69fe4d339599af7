"""Alembic's entry: runs the migrations on the connection that `db.schema` hands over, in one transaction."""

from alembic import context

# Alembic assumes that SQLite cannot roll back the creation of a table. It can, when BEGIN is sent before the statement, as
# `db.engine` does; so an interrupted migration leaves nothing behind.
context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
