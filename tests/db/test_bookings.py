"""Bookings hold copies of what their sessions are sorted and filtered by: these are right, whoever writes."""

import asyncio
import sqlite3

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from db.demo import DOCUMENTED_SESSION
from db.engine import Database
from db.schema import migrate
from tests.conftest import Databases, Store
from tests.db.conftest import Execute, ask
from tests.scale.practice import fill

SESSION, SERVICE = DOCUMENTED_SESSION["id"], DOCUMENTED_SESSION["serviceIds"][0]
OTHER = "another"
DATE = "2024-01-20T00:00:00.000Z"
LATER = "2031-05-06T07:08:09.010Z"
COPIED = ("status", "date", "start_time", "staff_id", "updated_at")
BOOKINGS = "SELECT {} FROM session_services b JOIN sessions s ON s.workspace_id = b.workspace_id AND s.id = b.session_id"
WRONG = BOOKINGS.format("count(*)") + " WHERE NOT (" + " AND ".join(f"b.{name} = s.{name}" for name in COPIED) + ")"

OF_OLD = "INSERT INTO session_services (workspace_id, session_id, position, service_id)"
"""As programs write that do not know of the copies."""
UNDONE = [
    f"UPDATE session_services SET date = '{LATER}' WHERE workspace_id = 'a'",
    "UPDATE session_services SET start_time = '', status = '' WHERE workspace_id = 'a'",
    (
        "INSERT INTO session_services SELECT * FROM session_services WHERE position = 0"
        f" ON CONFLICT (workspace_id, session_id, position) DO UPDATE SET date = '{LATER}'"
    ),
]
"""What is of no effect, as it is written to bookings alone."""
CHANGES = [
    *UNDONE,
    f"{OF_OLD} VALUES ('a', '{SESSION}', 9, '{SERVICE}')",
    f"{OF_OLD} SELECT workspace_id, id, 9, '{SERVICE}' FROM sessions",
    f"INSERT INTO session_services VALUES ('a', '{SESSION}', 9, '{SERVICE}', 'x', '{LATER}', '23:59', 'x', '{LATER}')",
    f"UPDATE sessions SET date = '{LATER}' WHERE workspace_id = 'a'",
    f"UPDATE sessions SET date = '{LATER}'",
    f"UPDATE sessions SET date = '{LATER}', start_time = '00:00', status = 'completed', staff_id = 'new'",
    "UPDATE sessions SET start_time = '23:59' WHERE workspace_id = 'a'",
    "UPDATE sessions SET status = 'cancelled' WHERE workspace_id = 'a'",
    "UPDATE sessions SET staff_id = 'new' WHERE workspace_id = 'a'",
    f"UPDATE sessions SET updated_at = '{LATER}' WHERE workspace_id = 'a'",
    (
        "UPDATE sessions SET start_time = CASE id WHEN 'another' THEN '10:00' ELSE '12:00' END,"
        " status = CASE id WHEN 'another' THEN 'scheduled' ELSE 'completed' END"
    ),
    (
        "INSERT INTO sessions SELECT * FROM sessions WHERE workspace_id = 'a'"
        f" ON CONFLICT (workspace_id, id) DO UPDATE SET date = '{LATER}'"
    ),
    f"UPDATE session_services SET session_id = '{OTHER}', position = position + 5 WHERE session_id = '{SESSION}'",
    "UPDATE session_services SET position = position + 5",
]
"""What another program may do."""


@pytest.fixture
def two_sessions_each(two_workspaces: str, store: Store) -> str:
    """In workspaces a and b, beside the documented session, another of another moment, status and member of the staff."""
    other = DOCUMENTED_SESSION | {"id": OTHER, "startTime": "12:00", "status": "completed", "staffId": "new"}
    store(two_workspaces, [{**other, "date": LATER, "workspaceId": workspace_id} for workspace_id in ("a", "b")])
    return two_workspaces


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_another_program_writes_bookings_say_what_their_sessions_say(
    two_sessions_each: str, execute: Execute, change: str
) -> None:
    state = BOOKINGS.format("b.*, s.date, s.start_time, s.status, s.staff_id, s.updated_at") + " ORDER BY 1, 2, 3"
    before = ask(two_sessions_each, state)
    execute(change)
    assert ask(two_sessions_each, WRONG) == [(0,)]
    assert (ask(two_sessions_each, state) == before) == (change in UNDONE)


def test_a_change_in_one_workspace_moves_no_other_revision(two_sessions_each: str, execute: Execute) -> None:
    revision = "SELECT revision FROM workspaces WHERE id = 'b'"
    before = ask(two_sessions_each, revision)
    execute(f"UPDATE sessions SET date = '{LATER}' WHERE workspace_id = 'a'")
    execute("UPDATE session_services SET date = '' WHERE workspace_id = 'a'")
    assert ask(two_sessions_each, revision) == before


def test_a_statement_that_changes_no_row_ends(two_sessions_each: str, execute: Execute) -> None:
    execute("UPDATE session_services SET date = '' WHERE workspace_id = 'nobody'")
    execute("UPDATE sessions SET date = date WHERE workspace_id = 'nobody'")
    assert ask(two_sessions_each, WRONG) == [(0,)]


def test_sessions_that_are_imported_again_with_other_dates_have_bookings_with_these(
    two_sessions_each: str, store: Store
) -> None:
    moved = {"workspaceId": "a", "date": LATER, "startTime": "09:15", "status": "cancelled", "staffId": "new"}
    store(two_sessions_each, [DOCUMENTED_SESSION | moved])
    assert ask(two_sessions_each, WRONG) == [(0,)]
    found = ask(two_sessions_each, f"SELECT date, start_time, status FROM session_services WHERE session_id = '{SESSION}'")
    assert found.count((LATER, "09:15", "cancelled")) == 2


@pytest.mark.parametrize("pragma", ["foreign_keys = OFF", "recursive_triggers = ON"])
def test_on_sqlite_it_does_not_matter_what_a_program_has_set(sqlite_databases: Databases, store: Store, pragma: str) -> None:
    url = sqlite_databases.migrated()
    store(url, [DOCUMENTED_SESSION])
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute(f"PRAGMA {pragma}")
    connection.execute("UPDATE session_services SET date = '', start_time = ''")
    assert connection.execute(WRONG).fetchone() == (0,)
    connection.execute("CREATE TEMP TABLE later AS SELECT * FROM sessions")
    connection.execute(f"UPDATE later SET date = '{LATER}'")
    connection.execute("REPLACE INTO sessions SELECT * FROM later")
    assert connection.execute(WRONG).fetchone() == (0,)
    assert connection.execute("SELECT DISTINCT date FROM session_services").fetchall() == [(LATER,)]
    connection.close()


def test_on_sqlite_a_session_is_written_without_a_look_at_the_bookings_of_others(sqlite_databases: Databases) -> None:
    url = sqlite_databases.migrated()
    asyncio.run(fill(url, {"w": 2_000}))
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("CREATE TEMP TABLE one AS SELECT * FROM sessions LIMIT 1")
    connection.execute("UPDATE one SET id = 'new'")
    hundreds = 0

    def count() -> int:
        nonlocal hundreds
        hundreds += 1
        return 0

    connection.set_progress_handler(count, 100)
    connection.execute("INSERT INTO sessions SELECT * FROM one")
    connection.execute(f"UPDATE sessions SET date = '{LATER}' WHERE workspace_id = 'w' AND id = 'new'")
    connection.close()
    assert hundreds < 50


# ---- PostgreSQL, several at a time ----------------------------------------------------------------------------------

BOOK = f"{OF_OLD} VALUES ('w', '{SESSION}', 9, '{SERVICE}')"
MOVE = f"UPDATE sessions SET date = '{LATER}' WHERE workspace_id = 'w'"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def one_workspace(postgresql_databases: Databases, store: Store) -> str:
    url = postgresql_databases.migrated()
    store(url, [DOCUMENTED_SESSION | {"workspaceId": "w"}])
    return url


@pytest.mark.parametrize(("first", "second"), [(BOOK, MOVE), (MOVE, BOOK), (MOVE, MOVE.replace("date", "updated_at"))])
def test_on_postgresql_a_booking_is_right_when_its_session_is_changed_at_the_same_time(
    one_workspace: str, first: str, second: str
) -> None:
    async def run() -> tuple[int, int]:
        one, other, observer = [await asyncpg.connect(one_workspace) for _ in range(3)]
        begun, waiting = one.transaction(), other.transaction()
        await begun.start()
        await one.execute(first)
        await waiting.start()
        second_is_done = asyncio.create_task(other.execute(second))
        while not await observer.fetchval(WAITING):
            assert not second_is_done.done()
            await asyncio.sleep(0.01)
        await begun.commit()
        await second_is_done
        await waiting.commit()
        found = (
            await observer.fetchval(WRONG),
            await observer.fetchval(f"SELECT count(*) FROM session_services WHERE date = '{LATER}'"),
        )
        for connection in (one, other, observer):
            await connection.close()
        return found

    wrong, moved = asyncio.run(run())
    assert wrong == 0
    assert moved == (3 if BOOK in (first, second) else 2)


def test_on_postgresql_rows_that_are_copied_into_several_workspaces_are_put_right_in_one_statement_each(
    postgresql_databases: Databases, store: Store
) -> None:
    url = postgresql_databases.migrated()
    workspaces = [f"w{number}" for number in range(20)]
    store(url, [DOCUMENTED_SESSION | {"workspaceId": workspace_id} for workspace_id in workspaces])

    async def copy() -> int:
        connection = await asyncpg.connect(url)
        rows = [(workspace_id, SESSION, position, SERVICE) for workspace_id in workspaces for position in range(5, 10)]
        columns = ("workspace_id", "session_id", "position", "service_id")
        await connection.copy_records_to_table("session_services", records=rows, columns=columns)
        wrong: int = await connection.fetchval(WRONG)
        await connection.close()
        return wrong

    assert asyncio.run(copy()) == 0
    assert ask(url, "SELECT count(*) FROM session_services") == [(140,)]


# ---- The migration --------------------------------------------------------------------------------------------------


@pytest.fixture
def of_version_3(two_sessions_each: str) -> str:
    """The same rows in tables without the copies."""

    def downgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", "db/migrations")
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")

    async def run() -> None:
        database = Database(two_sessions_each, read_only=False)
        async with database.transaction() as connection:
            await connection.run_sync(downgrade)
        await database.close()

    asyncio.run(run())
    return two_sessions_each


def test_the_migration_fills_the_bookings_that_are_there(of_version_3: str) -> None:
    assert len(ask(of_version_3, "SELECT workspace_id, session_id, position, service_id FROM session_services")) == 8

    async def run() -> None:
        database = Database(of_version_3, read_only=False)
        await migrate(database)
        async with database.transaction() as connection:
            before = (await connection.execute(text("SELECT sum(revision) FROM workspaces"))).scalar_one()
            await connection.execute(text("UPDATE session_services SET position = position + 5"))
            assert (await connection.execute(text("SELECT sum(revision) FROM workspaces"))).scalar_one() > before
        await database.close()

    assert ask(of_version_3, "SELECT count(*) FROM session_services") == [(8,)]
    asyncio.run(run())
    assert ask(of_version_3, WRONG) == [(0,)]
    assert ask(of_version_3, "SELECT DISTINCT start_time FROM session_services ORDER BY 1") == [("10:00",), ("12:00",)]
