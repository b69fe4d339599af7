"""Reading from PostgreSQL, through asyncpg."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cached_property
from typing import Any
from weakref import WeakSet

import asyncpg

from db.errors import DatabaseNotReady, DatabaseUnavailable, TooManySnapshots, unavailable_on_driver_errors
from db.limits import CLOSE_TIMEOUT, CONNECTION_WAIT, CONNECTIONS, SILENCE, SNAPSHOTS
from db.postgresql_servers import ServerConnection, Servers, until_silent

# Lists are read along indexes, by plans that are made once for all values. PostgreSQL overestimates what some of them cost,
# and would start its compiler (jit) and parallel workers. Citus finds the shard of a statement by its values, so it needs a
# plan for each.
_SETTINGS = """(VALUES
  ('default_transaction_read_only', 'on'),
  ('statement_timeout', '{statement_timeout}'),
  ('enable_seqscan', 'off'),
  ('enable_bitmapscan', 'off'),
  ('jit', 'off'),
  ('max_parallel_workers_per_gather', '0'),
  ('plan_cache_mode', CASE WHEN to_regproc('citus_version') IS NULL THEN 'force_generic_plan' ELSE 'auto' END)
) AS needed (name, value)"""
_SET = "SELECT set_config(name, value, false) FROM {settings}"
# The process that serves the connection, the settings that do not hold, and whether this very statement is prepared under
# the name that asyncpg gave it.
_CHECK = """
SELECT pg_backend_pid(),
  array(
    SELECT name FROM {settings} JOIN pg_settings USING (name)
    WHERE NOT CASE name
      WHEN 'statement_timeout' THEN setting::bigint BETWEEN 1 AND value::bigint
      ELSE setting = value
    END
  ),
  EXISTS (SELECT FROM pg_prepared_statements WHERE starts_with(name, '__asyncpg'))
"""

_GRACE = 2
"""Seconds beyond the statement timeout after which a statement is given up."""


class PostgreSQLConnection:
    """One connection of a pool."""

    engine = "postgresql"

    def __init__(self, connection: Any, end_if_silent: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
        self._connection = connection
        self._end_if_silent = end_if_silent

    async def fetch(self, text: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        with self.watched():
            rows: Sequence[Sequence[Any]] = await self._connection.fetch(text, *parameters)
        return rows

    @contextmanager
    def watched(self) -> Iterator[None]:
        """End the connection when its server is silent, or its statement takes longer than the statement timeout."""
        watch: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()

        def begin() -> None:
            nonlocal watch
            watch = loop.create_task(self._end_if_silent(self._connection))

        timer = loop.call_later(SILENCE, begin)
        try:
            yield
        except TimeoutError:
            self._connection.terminate()
            raise
        finally:
            timer.cancel()
            if watch is not None:
                watch.cancel()


class PostgreSQLPool:
    """The connections of one process to PostgreSQL servers."""

    def __init__(self, url: str, statement_timeout: int) -> None:
        self._servers = Servers(url)
        self._statement_timeout = statement_timeout
        self._connections: WeakSet[ServerConnection] = WeakSet()
        self._snapshots = asyncio.Semaphore(SNAPSHOTS)
        self._closed = False

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[PostgreSQLConnection]:
        with unavailable_on_driver_errors():
            async with self._acquired(await self._pool) as connection:
                yield PostgreSQLConnection(connection, self._end_if_silent)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[PostgreSQLConnection]:
        if self._snapshots.locked():
            raise TooManySnapshots
        async with self._snapshots:
            with unavailable_on_driver_errors():
                async with self._acquired(await self._snapshot_pool) as connection:
                    watched = PostgreSQLConnection(connection, self._end_if_silent)
                    transaction = connection.transaction(isolation="repeatable_read", readonly=True)
                    with watched.watched():
                        await transaction.start()
                    try:
                        yield watched
                    finally:
                        if not connection.is_closed():
                            with watched.watched():
                                await transaction.rollback()

    @asynccontextmanager
    async def _acquired(self, pool: Any) -> AsyncIterator[Any]:
        try:
            connection = await pool.acquire(timeout=CONNECTION_WAIT)
        except TimeoutError as error:
            raise DatabaseUnavailable(f"there was no free connection within {CONNECTION_WAIT} s") from error
        try:
            yield connection
        finally:
            await pool.release(connection, timeout=CLOSE_TIMEOUT)

    async def close(self) -> None:
        self._closed = True
        for name in ("_pool", "_snapshot_pool"):
            if pool := vars(self).pop(name, None):
                with suppress(TimeoutError):  # asyncpg has ended the connections by then
                    async with asyncio.timeout(CLOSE_TIMEOUT):
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
            min_size=0,
            max_size=size,
            connect=self._connect,
            connection_class=ServerConnection,
            reset=_keep,
            command_timeout=self._statement_timeout + _GRACE,
        )

    async def _connect(self, *_: object, **options: Any) -> ServerConnection:
        connection = await self._servers.connect(self._prepare, **options)
        self._connections.add(connection)
        return connection

    async def _end_if_silent(self, connection: Any) -> None:
        """Wait until the server of a connection is silent, and end all connections to it."""
        await until_silent(connection.address)
        for each in list(self._connections):
            if each.address == connection.address:
                each.terminate()

    async def _prepare(self, connection: ServerConnection, connect_again: Callable[[], Awaitable[ServerConnection]]) -> None:
        settings = _SETTINGS.format(statement_timeout=self._statement_timeout * 1000)
        check = _CHECK.format(settings=settings)
        process, missing, is_prepared_by_name = await connection.fetchrow(check)
        if process != connection.get_server_pid() and await _shares_processes(process, connect_again):
            _require_fit_for_sharing(missing, is_prepared_by_name=is_prepared_by_name)
        elif missing:
            await connection.execute(_SET.format(settings=settings))
            _, missing, _ = await connection.fetchrow(check)
            if missing:
                raise DatabaseNotReady(f"PostgreSQL, or the pooler in front of it, does not keep {_listed(missing)}")
        # The bytes of a json column as they are stored.
        await connection.set_type_codec("json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")


async def _shares_processes(process: int, connect_again: Callable[[], Awaitable[ServerConnection]]) -> bool:
    """Whether a pooler lets several connections share a process of the server: not a session, but a transaction each.

    Then the idle process of one connection serves the next.
    """
    try:
        async with asyncio.timeout(1):  # a pooler that keeps sessions may have no other process left
            other = await connect_again()
    except TimeoutError:
        return False
    try:
        return bool(process == await other.fetchval("SELECT pg_backend_pid()", timeout=1))
    except TimeoutError:
        return False
    finally:
        other.terminate()


def _require_fit_for_sharing(missing: Sequence[str], *, is_prepared_by_name: bool) -> None:
    if is_prepared_by_name:
        raise DatabaseNotReady(
            "the pooler in front of PostgreSQL is in transaction mode and loses prepared statements:"
            " it must be PgBouncer 1.21 or newer with max_prepared_statements, or be in session mode"
        )
    if missing:
        raise DatabaseNotReady(
            "the pooler in front of PostgreSQL is in transaction mode, so settings must be those of the role: set"
            f" {_listed(missing)} with ALTER ROLE, as docs/scaling.md says"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


async def _keep(_connection: Any) -> None:
    """Nothing changes about a connection while it is used, so a round trip that resets it would be for nothing."""
