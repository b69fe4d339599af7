"""Reading from PostgreSQL, through asyncpg."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from db.errors import LOST_STATEMENT, DatabaseNotReady
from db.limits import CLOSE_TIMEOUT, STATEMENT_GRACE
from db.postgresql_servers import ServerConnection, Servers

# Lists are read along indexes, by plans that are made once for all values. PostgreSQL overestimates what some of them cost,
# and would start its compiler (jit) and parallel workers. Citus finds the shard of a statement by its values, so it needs a
# plan for each.
_SETTINGS = {
    "default_transaction_read_only": "on",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}
_FIRST_LOOK = """
SELECT pg_backend_pid(), quote_ident(current_user), to_regproc('citus_version') IS NOT NULL,
  EXISTS (SELECT FROM pg_prepared_statements WHERE starts_with(name, '__asyncpg') AND right(name, length($1)) <> $1)
"""
_SET = "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS setting (name, value)"
# What holds now, and what holds for every new connection of the role.
_SHOW = "SELECT name, setting, reset_val FROM pg_settings WHERE name = ANY ($1)"


class PostgreSQLConnection:
    """One connection."""

    engine = "postgresql"
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._is_idle = True

    async def fetch(self, text: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        self._is_idle = False
        rows: Sequence[Sequence[Any]] = await self._connection.fetch(text, *parameters)
        self._is_idle = True
        return rows

    def is_usable(self) -> bool:
        return self._is_idle and not self._connection.is_closed()

    async def close(self) -> None:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await self._connection.close(timeout=CLOSE_TIMEOUT)


class PostgreSQLReader:
    """Opens connections that read from the servers that a URL names."""

    def __init__(self, url: str, statement_timeout: int) -> None:
        self._servers = Servers(url)
        self._statement_timeout = statement_timeout

    async def connect(self) -> PostgreSQLConnection:
        command_timeout = self._statement_timeout + STATEMENT_GRACE
        return PostgreSQLConnection(await self._servers.connect(self._prepare, command_timeout=command_timeout))

    async def _prepare(self, connection: ServerConnection) -> None:
        look = await connection.fetchrow(_FIRST_LOOK, connection.token)
        process, role, is_on_citus, has_statements_of_others = look
        settings = {
            **_SETTINGS,
            "plan_cache_mode": "auto" if is_on_citus else "force_generic_plan",
            "statement_timeout": str(self._statement_timeout * 1000),
        }
        # A pooler has a key of its own for the cancellation of statements, so the process that it names is another one.
        if process == connection.get_server_pid():
            await connection.fetch(_SET, list(settings), list(settings.values()))
        else:
            await _require_settings_of_role(connection, role, settings)
            if has_statements_of_others:
                raise DatabaseNotReady(LOST_STATEMENT)
        # The bytes of a json column as they are stored.
        await connection.set_type_codec("json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")


async def _require_settings_of_role(connection: ServerConnection, role: str, settings: dict[str, str]) -> None:
    """Refuse a pooler unless each of its connections has the settings from its beginning.

    A pooler may execute each statement on another connection to PostgreSQL. A setting that is made on one of them would be
    missing on the others, and would stay for other programs.
    """
    wrong = []
    for name, *values in await connection.fetch(_SHOW, list(settings)):
        # A longer statement timeout will do: command_timeout ends the statement.
        if any(value == "0" if name == "statement_timeout" else value != settings[name] for value in values):
            wrong.append(name)
    if wrong:
        commands = "; ".join(f"ALTER ROLE {role} SET {name} = '{settings[name]}'" for name in sorted(wrong))
        raise DatabaseNotReady(
            f"behind a pooler, the settings of a connection must be those of its role; execute {commands}; then make the"
            " pooler reconnect"
        )
