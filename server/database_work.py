"""What a command does with a database: open it, work with it, close it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import Database
from db.schema import require_newest

T = TypeVar("T")


def run(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    """Do some work with a database."""

    async def run_work() -> T:
        database = Database(url)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run_work())


def write(url: str, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """Do some work in one transaction on a database that has the tables of this version."""

    async def work_in_transaction(database: Database) -> T:
        await require_newest(database)
        async with database.transaction() as connection:
            return await work(connection)

    return run(url, work_in_transaction)
