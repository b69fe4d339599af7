"""The version of the tables: bring a database up to date, and say whether it is."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from db.engine import Database
from db.errors import DatabaseNotReady
from db.readers import Reader


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


@cache
def newest_version() -> str:
    """The version that this program needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None  # there is at least one migration
    return head


def _current_version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def migrate(database: Database) -> tuple[str | None, str]:
    """Create the tables, or bring them up to date; all steps or none. Returns the versions before and after."""
    async with database.transaction() as connection:
        before = await connection.run_sync(_current_version)
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))
        after = await connection.run_sync(_current_version)
    assert after is not None
    return before, after


async def _version(reader: Reader) -> str | None:
    there = {
        "sqlite": "SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'",
        "postgresql": "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL",
    }[reader.engine]
    if not await reader.fetch(there, ()):
        return None
    rows = await reader.fetch("SELECT version_num FROM alembic_version", ())
    return str(rows[0][0]) if rows else None


async def require_newest(database: Database) -> None:
    """Make sure that the tables are those which this program needs.

    Raises:
        DatabaseNotReady: when they are missing, older or newer; the message says what to do.
        DatabaseUnavailable: when the database cannot be reached.
    """
    async with database.reader() as reader:
        version = await _version(reader)
    needed = newest_version()
    if version is None:
        raise DatabaseNotReady("the database has no tables yet: run `sessions-api migrate`")
    if version != needed:
        raise DatabaseNotReady(
            f"the tables are of version {version} and this program needs {needed}: run `sessions-api migrate`,"
            " or the program that fits them"
        )
