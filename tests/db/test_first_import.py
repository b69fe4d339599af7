"""A first import puts indexes and references aside; however it ends, the tables are what they were before."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text

from db.documents import BadDocument, Document
from db.engine import Database
from db.errors import DatabaseUnavailable
from db.importing import ImportFailed, ImportRefused, import_documents
from db.questions import Question, SessionFilter
from db.sessions import Sessions
from tests.conftest import Databases
from tests.db.test_importing import (
    HANGS_UP,
    LARGE,
    READER,
    WORKSPACE,
    content_of,
    document,
    execute,
    lines,
    listed,
    run,
    run_documents,
)

DEFINITIONS = {
    "sqlite": "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name",
    "postgresql": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated::text
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid::text
        FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), tgenabled::text
        FROM pg_trigger WHERE NOT tgisinternal
        ORDER BY 1, 2, 3
    """,
}
# What differs when something has been made again.
TRACES = {
    "sqlite": "SELECT schema_version FROM pragma_schema_version",
    "postgresql": "SELECT indexrelid::text FROM pg_index UNION ALL SELECT oid::text FROM pg_constraint ORDER BY 1",
}


def ask(url: str, of: dict[str, str]) -> list[tuple[Any, ...]]:
    async def read() -> list[tuple[Any, ...]]:
        database = Database(url, read_only=True)
        async with database.connect() as connection:
            rows = [tuple(row) for row in await connection.execute(text(of[connection.dialect.name]))]
        await database.close()
        return rows

    return asyncio.run(read())


def large(id_: str, **changes: Any) -> dict[str, Any]:
    """A document that fills a batch, so that it is worth while to put indexes aside."""
    return document(id_, notes=LARGE, **changes)


@pytest.mark.parametrize("replace", [False, True])
def test_a_first_import_makes_what_another_makes_and_leaves_the_tables_as_they_were(
    databases: Databases, *, replace: bool
) -> None:
    first = [document(f"s{number}", serviceIds=["a", "b"], serviceNames=["A", "B"]) for number in range(5_000)]
    content = lines(
        *first,
        document("s1", name="changed", serviceIds=["c"], serviceNames=["C"]),
        document("s2", serviceIds=[], serviceNames=[]),
        document("s3", clientId="other", clientName="Other", serviceIds=["b", "a", "a"], serviceNames=["B", "A", "A"]),
        first[4],
    )
    url = databases.migrated()
    definitions, traces = ask(url, DEFINITIONS), ask(url, TRACES)
    result = run(url, content, replace=replace)
    assert (result.new, result.changed, result.unchanged, result.removed) == (5_000, 3, 1, 0 if replace else None)
    assert ask(url, DEFINITIONS) == definitions
    assert ask(url, TRACES) != traces

    other = databases.migrated()
    run(other, lines(first[0]))
    traces = ask(other, TRACES)
    run(other, content, replace=replace)
    assert ask(other, TRACES) == traces  # as a session was stored, nothing was put aside
    assert content_of(url) == content_of(other)


def test_every_index_but_those_of_primary_keys_is_put_aside(postgresql_databases: Databases) -> None:
    url = postgresql_databases.migrated()
    own = {
        "postgresql": """
            SELECT indexrelid::regclass::text, indexrelid::text FROM pg_index
            WHERE indrelid IN ('sessions'::regclass, 'session_services'::regclass)
            UNION ALL SELECT conname, oid::text FROM pg_constraint
            WHERE conrelid IN ('sessions'::regclass, 'session_services'::regclass)
        """
    }
    execute(
        url,
        'CREATE INDEX "An ""owner\'s""; index" ON sessions (lower(name) DESC) WHERE status <> \'cancelled\'',
        "CREATE UNIQUE INDEX of_their_own ON sessions (workspace_id, id, name)",
    )
    definitions, before = ask(url, DEFINITIONS), dict(ask(url, own))
    run(url, lines(large("1")))
    after = dict(ask(url, own))
    assert ask(url, DEFINITIONS) == definitions
    again = {name for name in before if before[name] != after[name]}
    assert again == {name for name in before if name.startswith(("ix_", "fk_", '"'))}


def test_a_small_import_leaves_indexes_alone(database_url: str) -> None:
    traces = ask(database_url, TRACES)
    assert run(database_url, lines(*(document(str(number)) for number in range(50)))).new == 50
    assert ask(database_url, TRACES) == traces


def test_a_first_import_that_is_refused_leaves_everything_as_it_was(database_url: str) -> None:
    before = [ask(database_url, DEFINITIONS), ask(database_url, TRACES), content_of(database_url)]
    with pytest.raises(ImportRefused, match="input:3: "):
        run(database_url, lines(large("1"), document("2")) + b"\n{}")
    assert [ask(database_url, DEFINITIONS), ask(database_url, TRACES), content_of(database_url)] == before


def test_a_first_import_that_breaks_off_leaves_everything_as_it_was(database_url: str) -> None:
    before = [ask(database_url, DEFINITIONS), ask(database_url, TRACES), content_of(database_url)]

    def interrupted() -> Iterator[Document | BadDocument]:
        yield from READER.read(BytesIO(lines(large("1"), large("2"))), "input")
        raise KeyError("the source failed")

    with pytest.raises(KeyError):
        run_documents(database_url, interrupted())
    assert [ask(database_url, DEFINITIONS), ask(database_url, TRACES), content_of(database_url)] == before


def test_a_connection_that_is_lost_during_a_first_import_leaves_everything_as_it_was(
    postgresql_databases: Databases,
) -> None:
    url = postgresql_databases.migrated()
    execute(
        url,
        HANGS_UP,
        "CREATE TRIGGER hang_up AFTER INSERT ON sessions FOR EACH ROW WHEN (NEW.id = 'last') EXECUTE FUNCTION hang_up()",
    )
    before = [ask(url, DEFINITIONS), ask(url, TRACES), content_of(url)]
    with pytest.raises(DatabaseUnavailable, match="terminating connection"):
        run(url, lines(large("1"), large("2"), document("last")))
    assert [ask(url, DEFINITIONS), ask(url, TRACES), content_of(url)] == before


def test_a_reference_to_what_is_not_there_is_found_at_the_end_and_nothing_is_imported(
    postgresql_databases: Databases,
) -> None:
    url = postgresql_databases.migrated()
    execute(
        url,
        "CREATE FUNCTION misdirect() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN NEW.client_id := 'nobody'; RETURN NEW; END $$",
        "CREATE TRIGGER misdirect BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION misdirect()",
    )
    before = [ask(url, DEFINITIONS), ask(url, TRACES), content_of(url)]
    with pytest.raises(ImportFailed, match=r"(?s)after the last document.*fk_sessions_clients.*nobody"):
        run(url, lines(large("1")))
    assert [ask(url, DEFINITIONS), ask(url, TRACES), content_of(url)] == before


def test_where_bookings_are_left_of_what_was_there_nothing_is_put_aside(database_url: str) -> None:
    left = "INSERT INTO session_services (workspace_id, session_id, position, service_id) VALUES ('w', 'gone', 0, 's')"
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute(left)  # foreign keys are off, as they are for programs that do not ask for them
    else:
        execute(database_url, "SET LOCAL session_replication_role = replica", left)
    traces = ask(database_url, TRACES)
    assert run(database_url, lines(large("1"))).new == 1
    assert ask(database_url, TRACES) == traces


def test_where_somebody_holds_the_tables_an_import_takes_the_ordinary_way(postgresql_databases: Databases) -> None:
    url = postgresql_databases.migrated()
    traces = ask(url, TRACES)

    async def read_on() -> asyncpg.Connection:
        connection = await asyncpg.connect(url)
        await connection.execute("BEGIN; SELECT FROM services")
        return connection

    with asyncio.Runner() as runner:
        reader = runner.run(read_on())
        documents = READER.read(BytesIO(lines(large("1"), document("2"))), "input")

        async def write() -> int:
            database = Database(url, read_only=False)
            result = await import_documents(database, documents)
            await database.close()
            return result.new

        assert runner.run(write()) == 2
        runner.run(reader.close())
    assert ask(url, TRACES) == traces
    assert len(listed(url)) == 2


@pytest.fixture
def url_of_another(postgresql_databases: Databases) -> Iterator[str]:
    """A database, for a role that may read and write but does not own the tables."""
    url = postgresql_databases.migrated()
    role = f"writer_{uuid4().hex}"
    rights = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    execute(url, f"CREATE ROLE {role}", rights)
    yield f"{url}{'&' if '?' in url else '?'}role={role}"
    execute(url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_who_does_not_own_the_tables_imports_in_the_ordinary_way(url_of_another: str) -> None:
    traces = ask(url_of_another, TRACES)
    assert run(url_of_another, lines(large("1"), document("2"))).new == 2
    assert ask(url_of_another, TRACES) == traces


def test_where_tables_may_be_distributed_an_import_takes_the_ordinary_way(postgresql_databases: Databases) -> None:
    url = postgresql_databases.migrated()
    execute(url, "CREATE FUNCTION citus_version() RETURNS text LANGUAGE sql AS $$ SELECT 'Citus 12.1' $$")
    traces = ask(url, TRACES)
    assert run(url, lines(large("1"), document("2"))).new == 2
    assert ask(url, TRACES) == traces


def test_who_reads_during_a_first_import_sees_nothing_of_it_or_all(database_url: str) -> None:
    execute(database_url, f"INSERT INTO workspaces (id) VALUES ('{WORKSPACE}')")
    documents = list(READER.read(BytesIO(lines(large("1"), large("2"), *(document(str(n)) for n in range(3, 10)))), "input"))
    question = Question(WORKSPACE, SessionFilter(client_id=document("1")["clientId"]))

    async def count(held: Sessions) -> int:
        async with held.of(WORKSPACE) as sessions:
            return len((await sessions.page(question, 100)).listed.sessions)

    async def read_and_write() -> list[int]:
        reading, writing = Database(database_url, read_only=True), Database(database_url, read_only=False)
        held = Sessions(reading)
        seen = [await count(held)]
        task = asyncio.create_task(import_documents(writing, documents))
        while not task.done():
            seen.append(await count(held))
            await asyncio.sleep(0)  # SQLite is asked without a pause
        await task
        seen.append(await count(held))
        await reading.close()
        await writing.close()
        return seen

    seen = asyncio.run(read_and_write())
    assert seen == sorted(seen)
    assert set(seen) == {0, 9}
