"""Reading: from SQLite in the event loop while it is brief, and in a thread when it is not; and how PostgreSQL plans it."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from db.engine import Database
from db.errors import DatabaseUnavailable
from db.readers import Reader
from tests.conftest import Databases

COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n {end}) SELECT count(*) FROM n"
LONG = COUNT.format(end="WHERE i < 2000000")
ENDLESS = COUNT.format(end="")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database with one table, which is locked as a whole while somebody writes."""
    with closing(sqlite3.connect(tmp_path / "a.sqlite3")) as connection:
        connection.execute("CREATE TABLE things AS SELECT 1 AS id")
    return tmp_path / "a.sqlite3"


def reading(file: Path, read: Callable[[Reader], Awaitable[None]]) -> None:
    async def run() -> None:
        database = Database(f"sqlite:///{file}", read_only=True)
        try:
            async with database.reader() as reader:
                await read(reader)
        finally:
            await asyncio.wait_for(database.close(), 30)

    asyncio.run(run())


class Turns:
    """How often the event loop has turned to somebody else."""

    def __init__(self) -> None:
        self.number = 0

    async def count(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.number += 1

    async def during(self, read: Awaitable[object]) -> int:
        counting = asyncio.create_task(self.count())
        await asyncio.sleep(0)
        before = self.number
        await read
        counting.cancel()
        return self.number - before


def test_a_brief_statement_is_answered_at_once(file: Path) -> None:
    async def read(reader: Reader) -> None:
        assert await Turns().during(reader.fetch("SELECT id FROM things", ())) == 0

    reading(file, read)


def test_a_long_statement_leaves_the_event_loop_to_others(file: Path) -> None:
    async def read(reader: Reader) -> None:
        assert await Turns().during(reader.fetch(LONG, ())) > 0
        assert await reader.fetch(LONG, ()) == [(2_000_000,)]
        assert await reader.fetch("SELECT id FROM things", ()) == [(1,)]

    reading(file, read)


def test_a_locked_database_is_waited_for_while_the_event_loop_goes_on(file: Path) -> None:
    async def read(reader: Reader) -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as writer:
            writer.execute("BEGIN EXCLUSIVE")
            task = asyncio.ensure_future(reader.fetch("SELECT id FROM things", ()))
            await asyncio.sleep(0)
            assert not task.done()
            writer.execute("COMMIT")
            assert await task == [(1,)]

    reading(file, read)


def test_a_statement_that_nobody_waits_for_any_more_is_broken_off(file: Path) -> None:
    async def read(reader: Reader) -> None:
        async with asyncio.timeout(0.1):
            await reader.fetch(ENDLESS, ())

    with pytest.raises(DatabaseUnavailable):
        reading(file, read)


def test_what_is_wrong_with_a_statement_is_said_at_once(file: Path) -> None:
    async def read(reader: Reader) -> None:
        await reader.fetch("SELECT id FROM elsewhere", ())

    with pytest.raises(DatabaseUnavailable, match="no such table: elsewhere"):
        reading(file, read)


@pytest.mark.parametrize("with_citus", [False, True])
def test_plans_are_made_for_all_values_except_where_citus_needs_to_know_them(
    postgresql_databases: Databases, *, with_citus: bool
) -> None:
    async def read(url: str) -> list[str]:
        connection = await asyncpg.connect(url)
        if with_citus:
            await connection.execute("CREATE FUNCTION citus_version() RETURNS text RETURN 'Citus'")
        await connection.close()
        database = Database(url, read_only=True)
        try:
            modes = []
            for _ in range(2):  # the second time, the connection has been given back in between
                async with database.reader() as reader:
                    [[mode]] = await reader.fetch("SHOW plan_cache_mode", ())
                    modes.append(mode)
            return modes
        finally:
            await database.close()

    assert asyncio.run(read(postgresql_databases.migrated())) == (["auto"] * 2 if with_citus else ["force_generic_plan"] * 2)
