"""The version of the tables: bring a database up to date, and say whether it is."""

from functools import cache
from pathlib import Path

from sqlalchemy import Connection

from db.engine import Database
from db.errors import DatabaseNotReady
from db.readers import Reader

_MIGRATIONS = Path(__file__).parent / "migrations"


@cache
def newest_version() -> str:
    """The version that this program needs: that of the last migration, by their numbers."""
    return max(file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _upgrade(connection: Connection) -> tuple[str | None, str | None]:
    # Here and not above: a server that starts has no use for Alembic, which takes a tenth of the time that it starts in.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.migration import MigrationContext  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    before = MigrationContext.configure(connection).get_current_revision()
    command.upgrade(config, "head")
    return before, MigrationContext.configure(connection).get_current_revision()


async def migrate(database: Database) -> tuple[str | None, str]:
    """Create the tables, or bring them up to date; all steps or none. Returns the versions before and after."""
    async with database.transaction() as connection:
        before, after = await connection.run_sync(_upgrade)
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
