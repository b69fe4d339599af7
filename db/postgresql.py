"""Reading from PostgreSQL, through asyncpg."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

import asyncpg

from db.errors import DatabaseUnavailable, TooManySnapshots, unavailable_on_driver_errors
from db.limits import CONNECT_TIMEOUT, CONNECTION_WAIT, CONNECTIONS, SNAPSHOTS

SERVER_SETTINGS = {"application_name": "sessions-api"}
"""All that a server is told while it accepts a connection: asyncpg and PgBouncer misread or refuse other settings there."""

# Lists are read along indexes, by plans that are made once for all values. PostgreSQL overestimates what some of them cost,
# and would start its compiler (jit) and parallel workers. Citus finds the shard of a statement by its values, so it needs a
# plan for each.
_SETTINGS = """
SELECT set_config(name, value, false) FROM (VALUES
  ('default_transaction_read_only', 'on'),
  ('statement_timeout', '{statement_timeout}s'),
  ('enable_seqscan', 'off'),
  ('enable_bitmapscan', 'off'),
  ('jit', 'off'),
  ('max_parallel_workers_per_gather', '0'),
  ('plan_cache_mode', CASE WHEN to_regproc('citus_version') IS NULL THEN 'force_generic_plan' ELSE 'auto' END)
) AS settings (name, value)
"""

_GRACE = 2
"""Seconds beyond the statement timeout after which a server that says nothing is given up."""


class PostgreSQLConnection:
    """One connection of a pool."""

    engine = "postgresql"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, text: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        rows: Sequence[Sequence[Any]] = await self._connection.fetch(text, *parameters)
        return rows


class PostgreSQLPool:
    """The connections of one process to a PostgreSQL server."""

    def __init__(self, url: str, statement_timeout: int) -> None:
        self._url = url
        self._statement_timeout = statement_timeout
        self._snapshots = asyncio.Semaphore(SNAPSHOTS)
        self._closed = False

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[PostgreSQLConnection]:
        with unavailable_on_driver_errors():
            async with (await self._pool).acquire(timeout=CONNECTION_WAIT) as connection:
                yield PostgreSQLConnection(connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[PostgreSQLConnection]:
        if self._snapshots.locked():
            raise TooManySnapshots
        async with self._snapshots:
            with unavailable_on_driver_errors():
                async with (
                    (await self._snapshot_pool).acquire(timeout=CONNECTION_WAIT) as connection,
                    connection.transaction(isolation="repeatable_read", readonly=True),
                ):
                    yield PostgreSQLConnection(connection)

    async def close(self) -> None:
        self._closed = True
        for name in ("_pool", "_snapshot_pool"):
            if pool := vars(self).pop(name, None):
                await pool.close()

    # Both are made when they are first needed, since they belong to the event loop that they are made in.

    @cached_property
    def _pool(self) -> Any:
        return self._create_pool(CONNECTIONS)

    @cached_property
    def _snapshot_pool(self) -> Any:
        return self._create_pool(SNAPSHOTS)

    def _create_pool(self, size: int) -> Any:
        if self._closed:
            raise DatabaseUnavailable("the connections have been closed")
        return asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=size,
            init=self._prepare,
            reset=_keep,
            timeout=CONNECT_TIMEOUT,
            command_timeout=self._statement_timeout + _GRACE,
            server_settings=SERVER_SETTINGS,
        )

    async def _prepare(self, connection: Any) -> None:
        await connection.execute(_SETTINGS.format(statement_timeout=self._statement_timeout))
        # The bytes of a json column as they are stored.
        await connection.set_type_codec("json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")


async def _keep(_connection: Any) -> None:
    """Nothing changes about a connection while it is used, so a round trip that resets it would be for nothing."""
