"""The version of the tables: how it is reached, and how a database that does not fit is explained."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from db.engine import Database
from db.errors import DatabaseNotReady, DatabaseUnavailable
from db.schema import VERSION_TABLE, migrate, newest_version, require_newest
from db.tables import metadata
from tests.conftest import Databases

MIGRATIONS = Path(__file__).parents[2] / "db" / "migrations" / "versions"


def on(url: str, work: Callable[[Database], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        database = Database(url)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def execute(url: str, *statements: str) -> None:
    async def run(database: Database) -> None:
        async with database.transaction() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    on(url, run)


def on_tables(url: str, work: Callable[[Connection], Any]) -> Any:
    async def run(database: Database) -> Any:
        async with database.transaction() as connection:
            return await connection.run_sync(work)

    return on(url, run)


@pytest.fixture
def empty_url(database_url: str) -> str:
    """A database without tables."""
    execute(database_url, *(f"DROP TABLE {name}" for name in ("session_services", "sessions", "workspaces", VERSION_TABLE)))
    if database_url.startswith("postgresql"):
        execute(database_url, "DROP FUNCTION derive_from_sessions", "DROP FUNCTION derive_from_no_sessions")
    return database_url


def test_the_migrations_build_exactly_the_columns_that_the_queries_know(database_url: str) -> None:
    def columns(connection: Connection) -> dict[str, set[str]]:
        inspector = inspect(connection)
        return {name: {column["name"] for column in inspector.get_columns(name)} for name in inspector.get_table_names()}

    built = on_tables(database_url, columns)
    assert built.pop(VERSION_TABLE) == {"version_num"}
    assert built == {name: set(table.columns.keys()) for name, table in metadata.tables.items()}


def test_the_versions_follow_each_other_without_a_branch() -> None:
    numbers = sorted(file.name.split("_")[0] for file in MIGRATIONS.glob("[0-9]*.py"))
    assert newest_version() == numbers[-1]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_migrating_again_changes_nothing(empty_url: str) -> None:
    assert on(empty_url, migrate) == (None, newest_version())
    assert on(empty_url, migrate) == (newest_version(), newest_version())
    on(empty_url, require_newest)


def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str) -> None:
    execute(empty_url, "CREATE TABLE other (x integer)", "CREATE INDEX ix_sessions_updated ON other (x)")  # in the way
    with pytest.raises(Exception, match=r"ix_sessions_updated.* already exists"):
        on(empty_url, migrate)
    assert on_tables(empty_url, lambda connection: inspect(connection).get_table_names()) == ["other"]


def test_a_table_of_another_program_is_left_alone_and_named(empty_url: str) -> None:
    execute(empty_url, "CREATE TABLE sessions (token text)")
    with pytest.raises(DatabaseNotReady, match="a table sessions of another program: name another database"):
        on(empty_url, migrate)
    with pytest.raises(DatabaseNotReady, match="no tables yet"):
        on(empty_url, require_newest)


def test_an_older_version_is_to_be_migrated(database_url: str) -> None:
    execute(database_url, f"UPDATE {VERSION_TABLE} SET version_num = '0000'")
    with pytest.raises(DatabaseNotReady, match=r"version 0000 and this program needs .*: run `sessions-api migrate`"):
        on(database_url, require_newest)


@pytest.mark.parametrize("work", [migrate, require_newest])
def test_a_version_that_this_program_does_not_know_belongs_to_another(
    database_url: str, work: Callable[[Database], Awaitable[Any]]
) -> None:
    execute(database_url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(DatabaseNotReady, match=r"version 9999 and this program needs .*: run the program that made them"):
        on(database_url, work)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("ALTER TABLE session_services RENAME COLUMN status TO state", "the table session_services is not as .*status"),
        ("DROP TABLE session_services", "the table session_services is not as .*session_services"),
    ],
)
def test_tables_of_the_right_version_are_looked_at_all_the_same(database_url: str, statement: str, reason: str) -> None:
    if database_url.startswith("sqlite"):
        execute(
            database_url, *(f"DROP TRIGGER {name}" for name in ("sessions_insert", "sessions_update", "sessions_delete"))
        )
    execute(database_url, statement)
    with pytest.raises(DatabaseNotReady, match=reason):
        on(database_url, require_newest)


# ---- Roles ------------------------------------------------------------------------------------------------------------


class Role:
    """A role without any rights but to connect, and the URL by which it does."""

    def __init__(self, url: str) -> None:
        self.name = url.split("?", maxsplit=1)[0].rsplit("/", 1)[1] + "_role"
        self.url = url.replace("postgres:@", f"{self.name}:x@")
        self.owners_url = url
        execute(url, f"CREATE ROLE {self.name} LOGIN PASSWORD 'x'")

    def grant(self, rights: str) -> None:
        execute(self.owners_url, f"GRANT {rights} TO {self.name}")

    def drop(self) -> None:
        execute(self.owners_url, f"DROP OWNED BY {self.name}", f"DROP ROLE {self.name}")


@pytest.fixture
def role(postgresql_databases: Databases) -> Iterator[Role]:
    role = Role(postgresql_databases.migrated())
    yield role
    role.drop()


def test_a_role_that_may_not_read_is_told_which_rights_it_needs(role: Role) -> None:
    with pytest.raises(DatabaseNotReady, match="permission denied for table sessions_api_version; the role needs SELECT on"):
        on(role.url, require_newest)
    role.grant(f"SELECT ON {VERSION_TABLE}, workspaces, sessions")
    with pytest.raises(DatabaseNotReady, match="permission denied for table session_services; the role needs SELECT on"):
        on(role.url, require_newest)
    role.grant("SELECT ON session_services")
    on(role.url, require_newest)


@pytest.mark.parametrize("table", ["workspaces", "sessions", "session_services"])
def test_a_role_that_may_only_read_is_told_which_rights_writing_needs(role: Role, table: str) -> None:
    role.grant("SELECT ON ALL TABLES IN SCHEMA public")
    with pytest.raises(DatabaseNotReady, match=f"permission denied for table {table}; the role needs .*DELETE to import"):
        execute(role.url, f"DELETE FROM {table}")


def test_a_role_that_may_not_create_tables_is_told_so(role: Role) -> None:
    execute(role.owners_url, "CREATE SCHEMA other", f"GRANT USAGE ON SCHEMA other TO {role.name}")
    with pytest.raises(DatabaseNotReady, match=r"permission denied for schema other; the role needs .*CREATE on the schema"):
        on(f"{role.url}&options=-csearch_path%3Dother", migrate)


def test_a_role_whose_transactions_are_read_only_is_told_where_to_write(role: Role) -> None:
    role.grant("ALL ON ALL TABLES IN SCHEMA public")
    execute(role.owners_url, f"ALTER ROLE {role.name} SET default_transaction_read_only = on")
    with pytest.raises(DatabaseNotReady, match=r"read-only transaction; .* SESSIONS_WRITER_DATABASE_URL"):
        execute(role.url, "DELETE FROM sessions")


def test_a_role_that_may_not_log_in_is_unavailable_in_the_words_of_the_server(role: Role) -> None:
    execute(role.owners_url, f"ALTER ROLE {role.name} NOLOGIN")
    with pytest.raises(DatabaseUnavailable, match="not permitted to log in"):
        on(role.url, require_newest)
