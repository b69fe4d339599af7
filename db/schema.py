"""The version of the tables: bring a database up to date, and find out whether it is."""

import sqlite3
from functools import cache
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, inspect

from db import pools
from db.engine import Database
from db.errors import DatabaseNotReady, words_of
from db.tables import metadata

_MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "sessions_api_version"


@cache
def newest_version() -> str:
    """The version that this program needs: that of the last migration, by their numbers."""
    return max(file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _upgrade(connection: Connection) -> tuple[str | None, str | None]:
    def current() -> str | None:
        return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes.update(connection=connection, version_table=VERSION_TABLE)
    before = current()
    if before is None:
        _require_room(connection)
    try:
        command.upgrade(config, "head")
    except CommandError as error:  # the tables have a version that is none of the migrations
        raise DatabaseNotReady(_of_another_version(before)) from error
    return before, current()


def _require_room(connection: Connection) -> None:
    inspector = inspect(connection)
    found = [name for name in metadata.tables if inspector.has_table(name)]
    if found:
        raise DatabaseNotReady(
            f"the database has a table {found[0]} of another program: name another database, or on PostgreSQL another schema"
            " (?options=-csearch_path%3Dname)"
        )


async def migrate(database: Database) -> tuple[str | None, str]:
    """Create the tables, or bring them up to date; all steps or none. Returns the versions before and after.

    Raises:
        DatabaseNotReady: when the database has tables of another program, or of a newer version of this one.
        DatabaseUnavailable: when the database cannot be reached.
    """
    async with database.transaction() as connection:
        before, after = await connection.run_sync(_upgrade)
    assert after is not None
    return before, after


async def _version(connection: pools.Connection) -> str | None:
    exists = {
        "sqlite": f"SELECT 1 FROM sqlite_schema WHERE name = '{VERSION_TABLE}'",  # noqa: S608 - a constant
        "postgresql": f"SELECT 1 WHERE to_regclass('{VERSION_TABLE}') IS NOT NULL",
    }[connection.engine]
    if not await connection.fetch(exists, ()):
        return None
    rows = await connection.fetch(f"SELECT version_num FROM {VERSION_TABLE}", ())  # noqa: S608 - a constant
    return str(rows[0][0]) if rows else None


async def require_newest(database: Database) -> None:
    """Make sure that the tables are those which this program needs, and that it may read them.

    Raises:
        DatabaseNotReady: when they are missing, older, newer or altered, or may not be read; the message says what to do.
        DatabaseUnavailable: when the database cannot be reached.
    """
    async with database.acquire() as connection:
        version = await _version(connection)
        needed = newest_version()
        if version is None:
            raise DatabaseNotReady("the database has no tables yet: run `sessions-api migrate`")
        if version != needed:
            raise DatabaseNotReady(_of_another_version(version))
        for name, table in metadata.tables.items():
            try:
                columns = ", ".join(table.columns.keys())
                await connection.fetch(f"SELECT {columns} FROM {name} WHERE 1 = 0", ())  # noqa: S608 - constants
            except (sqlite3.OperationalError, asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
                if isinstance(error, sqlite3.Error) and error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                    raise
                raise DatabaseNotReady(
                    f"the table {name} is not as `sessions-api migrate` has made it: {words_of(error)}; restore a backup"
                ) from error


def _of_another_version(version: str | None) -> str:
    needed = newest_version()
    if version is not None and version < needed:
        return f"the tables are of version {version} and this program needs {needed}: run `sessions-api migrate`"
    return f"the tables are of version {version} and this program needs {needed}: run the program that made them"
