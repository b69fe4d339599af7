"""The tables: how they are made, and what they refuse to hold."""

import asyncio
import importlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from db.engine import Database
from db.errors import DatabaseNotReady, DatabaseUnavailable
from db.schema import migrate, newest_version, require_newest
from db.tables import metadata
from tests.conftest import Databases

MIGRATIONS = Path(__file__).parents[2] / "db" / "migrations" / "versions"


class Refused(Exception):
    """The database would not have it."""


Attempt: TypeAlias = Callable[[str], int]
"""Run a statement as another program would, and take it back: the number of rows, or `Refused`."""

ROWS = (
    "INSERT INTO workspaces (id) VALUES ('w')",
    *(
        f"INSERT INTO {table} VALUES ('w', 'a', 'A name', '2024-01-15T10:00:00.000Z')"
        for table in ("clients", "staff", "services")
    ),
    (
        "INSERT INTO sessions VALUES ('w', 's', 'a', 'a', 'A name', '2024-01-20T00:00:00.000Z', '10:00', '11:30', 90,"
        " 'scheduled', '[]', '[]', '[]', NULL, '2024-01-15T10:00:00.000Z', '2024-01-15T10:00:00.000Z')"
    ),
    "INSERT INTO session_services (workspace_id, session_id, position, service_id) VALUES ('w', 's', 0, 'a')",
)


@pytest.fixture(scope="module")
def attempt_on_sqlite(sqlite_databases: Databases) -> Iterator[Attempt]:
    connection = sqlite3.connect(sqlite_databases.migrated().removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    for row in ROWS:
        connection.execute(row)

    def attempt_statement(statement: str) -> int:
        connection.execute("BEGIN")
        try:
            return connection.execute(statement).rowcount
        except (sqlite3.IntegrityError, sqlite3.OperationalError) as error:
            raise Refused(str(error)) from error
        finally:
            connection.execute("ROLLBACK")

    yield attempt_statement
    connection.close()


@pytest.fixture(scope="module")
def attempt_on_postgresql(postgresql_databases: Databases) -> Iterator[Attempt]:
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(postgresql_databases.migrated()))
        for row in ROWS:
            runner.run(connection.execute(row))

        async def attempt_and_take_back(statement: str) -> int:
            transaction = connection.transaction()
            await transaction.start()
            try:
                return int((await connection.execute(statement)).split()[-1])
            except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
                raise Refused(str(error)) from error
            finally:
                await transaction.rollback()

        yield lambda statement: runner.run(attempt_and_take_back(statement))
        runner.run(connection.close())


@pytest.fixture(params=["sqlite", "postgresql"])
def attempt(request: pytest.FixtureRequest) -> Attempt:
    """A database of each engine, with one session of workspace w."""
    found: Attempt = request.getfixturevalue(f"attempt_on_{request.param}")
    return found


# It cannot read back the index of an expression on SQLite; tests/scale needs it.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping")
def test_the_migrations_build_exactly_the_tables_that_the_queries_know(database_url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async def compare() -> list[Any]:
        database = Database(database_url, read_only=True)
        async with database.connect() as connection:
            found = await connection.run_sync(differences)
        await database.close()
        return found

    assert asyncio.run(compare()) == []


def test_every_primary_key_and_every_index_is_led_by_the_workspace() -> None:
    for table in metadata.tables.values():
        leader = "id" if table.name == "workspaces" else "workspace_id"
        keys = [table.primary_key.columns.keys(), *(index.columns.keys() for index in table.indexes)]
        assert [key[0] for key in keys] == [leader] * len(keys)


def test_the_versions_follow_each_other_without_a_branch() -> None:
    numbers = sorted(file.name.split("_")[0] for file in MIGRATIONS.glob("[0-9]*.py"))
    assert newest_version() == numbers[-1]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/half.sqlite3"
    with sqlite3.connect(tmp_path / "half.sqlite3") as connection:
        connection.execute("CREATE TABLE session_services (x)")  # in the way of the last step
    connection.close()

    async def run() -> list[str]:
        database = Database(url, read_only=False)
        with pytest.raises(DatabaseUnavailable, match="already exists"):
            await migrate(database)
        async with database.transaction() as connection:
            tables = await connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
            names = [str(name) for (name,) in tables]
        await database.close()
        return names

    assert asyncio.run(run()) == ["session_services"]


def test_tables_of_another_version_are_told_with_what_to_do(database_url: str) -> None:
    async def require(version: str) -> None:
        database = Database(database_url, read_only=False)
        async with database.transaction() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})
        try:
            await require_newest(database)
        finally:
            await database.close()

    with pytest.raises(DatabaseNotReady, match="version 9999 and this program needs"):
        asyncio.run(require("9999"))


GOOD_ROWS = [
    "UPDATE sessions SET date = '0001-01-01T00:00:00.000Z'",
    "UPDATE sessions SET date = '9999-12-31T23:59:59.999Z'",
    "UPDATE sessions SET date = '2024-02-29T12:34:56.789Z'",
    "UPDATE sessions SET start_time = '00:00', end_time = '23:59'",
    "UPDATE sessions SET duration_minutes = 0",
    "UPDATE sessions SET duration_minutes = 525600",
    "UPDATE sessions SET name = ''",
    "UPDATE sessions SET name = 'استشارة ☀️\u200f'",
    f"UPDATE clients SET name = '{'سارة' * 250}'",
    "UPDATE sessions SET notes = '[{}, {\"a\": [1, null]}]'",
    "UPDATE sessions SET invoice = '{\"total\": 123456789012345678901234567890}'",
    "UPDATE sessions SET invoice = NULL",
]


@pytest.mark.parametrize("statement", GOOD_ROWS)
def test_what_the_contract_allows_can_be_stored(attempt: Attempt, statement: str) -> None:
    assert attempt(statement) == 1


BAD_ROWS = [
    *(
        f"UPDATE {table} SET id = '{id_}' WHERE id = '{old}'"
        for table, old in (("workspaces", "w"), ("clients", "a"), ("sessions", "s"))
        for id_ in ("", "no id", "a" * 65, "é", "a/b", "a\n")
    ),
    *(
        f"UPDATE sessions SET {column} = '{moment}'"
        for column in ("date", "created_at", "updated_at")
        for moment in (
            "",
            "now",
            "2024-01-20",
            "2024-01-20T00:00:00Z",
            "2024-01-20T00:00:00.0000Z",
            "2024-01-20T00:00:00.000+00:00",
            "2024-01-20 00:00:00.000Z",
            "2024-02-30T00:00:00.000Z",
            "2024-99-99T00:00:00.000Z",
            "2024-01-20T25:00:00.000Z",
            "2024-01-20Tnonsense.000Z",
            "2023-02-29T00:00:00.000Z",
            "2024-01-20T24:00:00.000Z",
            "2024-01-20T23:59:60.000Z",
            "10000-01-01T00:00:00.000Z",
            "0000-01-01T00:00:00.000Z",
            "2460325.5",
        )
    ),
    "UPDATE services SET updated_at = 'yesterday'",
    *(f"UPDATE sessions SET start_time = '{time}'" for time in ("", "9:00", "24:00", "10:60", "10:00:00", "1a:00", "29:00")),
    "UPDATE sessions SET end_time = '25:00'",
    "UPDATE sessions SET duration_minutes = -1",
    "UPDATE sessions SET duration_minutes = 525601",
    "UPDATE sessions SET duration_minutes = 'long'",
    "UPDATE sessions SET status = 'Scheduled'",
    "UPDATE sessions SET status = ''",
    "UPDATE sessions SET name = NULL",
    f"UPDATE staff SET name = '{'x' * 1001}'",
    *(
        f"UPDATE sessions SET {column} = '{json}'"
        for column in ("field_values", "attachments", "notes")
        for json in ("", "null", "{}", "not json", '["text"]', "[{}, null]", "[[]]", "[1]", "[{}")
    ),
    "UPDATE sessions SET notes = NULL",
    *(f"UPDATE sessions SET invoice = '{json}'" for json in ("", "null", "[]", '"text"', "1", "{")),
    "INSERT INTO session_services (workspace_id, session_id, position, service_id) VALUES ('w', 's', 1, 'unknown')",
    "INSERT INTO session_services (workspace_id, session_id, position, service_id) VALUES ('w', 's', -1, 'a')",
    "INSERT INTO session_services (workspace_id, session_id, position, service_id) VALUES ('w', 's', 1000, 'a')",
    "INSERT INTO session_services (workspace_id, session_id, position, service_id) VALUES ('w', 's', 0, 'a')",
    "INSERT INTO session_services (workspace_id, session_id, position, service_id) VALUES ('w', 'unknown', 0, 'a')",
    "UPDATE sessions SET client_id = 'unknown'",
    "UPDATE sessions SET staff_id = 'unknown'",
    "UPDATE sessions SET workspace_id = 'unknown'",
    "DELETE FROM clients",
    "DELETE FROM services",
]


@pytest.mark.parametrize("statement", BAD_ROWS)
def test_what_would_break_an_answer_cannot_be_stored(attempt: Attempt, statement: str) -> None:
    with pytest.raises(Refused):
        attempt(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sessions SET name = 'a' || char(0)",
        "UPDATE sessions SET name = x'00ff'",
        "UPDATE sessions SET duration_minutes = 1.5",
    ],
)
def test_on_sqlite_values_of_other_types_and_nul_cannot_be_stored_either(attempt_on_sqlite: Attempt, statement: str) -> None:
    with pytest.raises(Refused, match=r"constraint|cannot store"):
        attempt_on_sqlite(statement)


GOOD_MOMENTS = (
    "2024-01-15T10:00:00.000Z",
    "2024-02-29T23:59:59.999Z",
    "0001-01-01T00:00:00.000Z",
    "9999-12-31T19:30:09.090Z",
)
ARRAYS = ("[]", "[{}]", '[{"a": [1, null, "x"]}, {}]')


def _mistyped(good: Iterable[str], characters: str) -> set[str]:
    """These, and all that one replaced, added or missing character makes of them."""
    made = set(good)
    for value in good:
        for place in range(len(value) + 1):
            before, after = value[:place], value[place:]
            made.add(before + after[1:])
            made |= {before + character + rest for character in characters for rest in (after, after[1:])}
    return made


VALUES = {
    "ID": [
        *(
            "",
            "a",
            "-",
            "_",
            "a" * 64,
            "a" * 65,
            "A-z_09" * 10,
            "é" * 32,
            "é" * 33,
            "a\n",
            "\na",
            "a\nb",
            "ä",
            "ａ",
            "K",
            "ı",
        ),
        *(chr(code) for code in range(1, 256)),
        *(f"a{chr(code)}b" for code in range(1, 256)),
    ],
    "TIMESTAMP": [
        *_mistyped(GOOD_MOMENTS, " 0123569-+:.TtZz\n\t٣é"),
        *(
            f"{year}-{month:02}-{day:02}T12:00:00.000Z"
            for year in (1900, 2000, 2023)
            for month in range(14)
            for day in range(33)
        ),
        *(f"2024-01-20T{time}.000Z" for time in ("24:00:00", "23:60:00", "23:59:60", "00:00:00", "99:99:99")),
        *(
            "now",
            "today",
            "epoch",
            "infinity",
            "-infinity",
            "allballs",
            "0000-01-01T00:00:00.000Z",
            "10000-01-01T00:00:00.000Z",
        ),
        *(
            "0044-03-15T12:00:00.00BC",
            "0044-03-15T12:00:00.000Z BC",
            "2024-01-20T10:00:00.000+00",
            "20240120T100000.0000000Z",
        ),
        *("2024-01-20 10:00:00.000Z", "2024-01-20T10:00:00.0000", "2024-Jan-20T10:00:00.00Z", "01-20-2024T10:00:00.000Z"),
    ],
    "ARRAY_OF_OBJECTS": [
        *_mistyped(ARRAYS, '[]{}",: 1n\\\n'),
        *(
            "null",
            "{}",
            "1",
            "true",
            '"[]"',
            "[[]]",
            "[{}, []]",
            "[[{}]]",
            " [] ",
            "[ ]",
            "[\n{}\n]",
            "[{},]",
            "[null]",
            "[1]",
        ),
        *(
            r'[{"a": "\u0000"}]',
            r'[{"a": "\ud800"}]',
            '[{"a": 1e400}]',
            '[{"a": 1e200000}]',
            '[{"a": 1, "a": 2}]',
            '["text"]',
        ),
        *(f"[{', '.join(['{}'] * count)}]" for count in (9_999, 10_000, 10_001)),
        *("[{}" + ", {}" * 9_999 + ", 1]", "[" * 100 + "]" * 100, "{" * 100),
    ],
}


@pytest.mark.parametrize("constraint", VALUES)
def test_the_quick_constraints_refuse_what_the_first_ones_did(postgresql_databases: Databases, constraint: str) -> None:
    module = importlib.import_module("db.migrations.versions.0005_checks")
    first, quick = (getattr(module, name).format(column="value") for name in (f"OLD_{constraint}", constraint))

    url = postgresql_databases.migrated()

    async def judge() -> list[tuple[str, bool, bool]]:
        connection = await asyncpg.connect(url)
        try:
            # A constraint refuses by what is false, or by an error.
            await connection.execute(
                "CREATE FUNCTION pg_temp.takes(condition text, value text) RETURNS boolean LANGUAGE plpgsql AS $$"
                " DECLARE taken boolean; BEGIN"
                " EXECUTE format('SELECT %s FROM (SELECT $1 COLLATE \"C\" AS value) AS given', condition)"
                " INTO taken USING value; RETURN taken IS NOT FALSE;"
                " EXCEPTION WHEN data_exception THEN RETURN FALSE; END $$"
            )
            judged = "SELECT value, pg_temp.takes($1, value), pg_temp.takes($2, value) FROM unnest($3::text[]) AS value"
            return [tuple(row) for row in await connection.fetch(judged, first, quick, VALUES[constraint])]
        finally:
            await connection.close()

    verdicts = asyncio.run(judge())
    assert [value for value, before, now in verdicts if before is not now] == []
    assert {now for _, _, now in verdicts} == {True, False}
