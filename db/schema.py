"""The version of the tables: bring a database up to date, and find out whether it is."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from db import pools
from db.engine import Database
from db.errors import DatabaseNotReady

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
    command.upgrade(config, "head")
    return before, current()


async def migrate(database: Database) -> tuple[str | None, str]:
    """Create the tables, or bring them up to date; all steps or none. Returns the versions before and after."""
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
    """Make sure that the tables are those which this program needs.

    Raises:
        DatabaseNotReady: when they are missing, older or newer; the message says what to do.
        DatabaseUnavailable: when the database cannot be reached.
    """
    async with database.acquire() as connection:
        version = await _version(connection)
    needed = newest_version()
    if version is None:
        raise DatabaseNotReady("the database has no tables yet: run `sessions-api migrate`")
    if version != needed:
        raise DatabaseNotReady(
            f"the tables are of version {version} and this program needs {needed}: run `sessions-api migrate`,"
            " or the program that fits them"
        )
