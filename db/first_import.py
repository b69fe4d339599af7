"""What lets an import fill empty tables faster: indexes and references are put aside before, and made again after.

To make an index of rows that are there, and to check their references at once, takes a fraction of what it takes row by row
(PostgreSQL's manual advises it, "Populating a Database"). All of it happens in the transaction of the import: nobody ever
sees the tables without them, and when it is taken back, so is this.

What is put aside is what the database has, and not what this program knows: it comes back by its own definition. Primary
keys, unique indexes, CHECK constraints and triggers stay.
"""

from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_IS_EMPTY = "SELECT NOT EXISTS (SELECT 1 FROM sessions) AND NOT EXISTS (SELECT 1 FROM session_services)"


async def put_aside(connection: "AsyncConnection") -> list[str]:
    """Put indexes and references of the sessions aside, when there are none yet and the database allows it.

    Returns the statements that make them again; none when everything has been left as it is.
    """
    if not (await connection.exec_driver_sql(_IS_EMPTY)).scalar_one():
        return []
    if connection.dialect.name == "postgresql":
        return await _put_aside_on_postgresql(connection)
    return await _drop(connection, _ON_SQLITE)


async def make_again(connection: "AsyncConnection", statements: list[str]) -> None:
    """Make again what was put aside.

    Raises:
        IntegrityError: when a row refers to what is not there.
    """
    if statements and connection.dialect.name == "postgresql":
        # All rows are read: along indexes, as an import has it, to check references takes twice as long.
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = on")
    for statement in statements:
        await connection.exec_driver_sql(statement)
    if statements and connection.dialect.name == "postgresql":
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")


async def _drop(connection: "AsyncConnection", found: str) -> list[str]:
    rows = [tuple(row) for row in await connection.exec_driver_sql(found)]
    for drop, _ in rows:
        await connection.exec_driver_sql(drop)
    return [again for _, again in reversed(rows)]  # so that references, which are dropped first, are made last


_ON_SQLITE = """
SELECT printf('DROP INDEX "%w"', i.name), s.sql
FROM (VALUES ('sessions'), ('session_services')) AS t, pragma_index_list(t.column1) AS i
JOIN sqlite_schema AS s ON s.type = 'index' AND s.name = i.name
WHERE i.origin = 'c' AND NOT i."unique"
"""
# References cannot be taken from a table in SQLite. They are cheap there: a look into one index.


# ---- PostgreSQL -----------------------------------------------------------------------------------------------------

_LOCK = "LOCK TABLE sessions, session_services, clients, staff, services, workspaces IN ACCESS EXCLUSIVE MODE"
"""The tables in the order in which a list reads them: to drop a reference locks the table that it refers to as well."""

# To drop and to make again takes the owner of the tables, who may make indexes in their schema. Partitions and what is
# distributed (Citus) have indexes and references of a kind that is not made again so simply.
_IS_ALLOWED = """
SELECT to_regproc('citus_version') IS NULL
  AND bool_and(relkind = 'r' AND NOT relispartition AND NOT relhassubclass
    AND pg_has_role(relowner, 'USAGE') AND has_schema_privilege(relnamespace, 'CREATE'))
FROM pg_class WHERE oid IN (
  'sessions'::regclass, 'session_services'::regclass, 'clients'::regclass, 'staff'::regclass, 'services'::regclass,
  'workspaces'::regclass)
"""

# What stays: references to tables that are not locked, and indexes that are more than their definition tells.
_ON_POSTGRESQL = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
  format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint
WHERE contype = 'f' AND convalidated AND conrelid IN ('sessions'::regclass, 'session_services'::regclass)
  AND confrelid IN (
    'sessions'::regclass, 'clients'::regclass, 'staff'::regclass, 'services'::regclass, 'workspaces'::regclass)
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid IN ('sessions'::regclass, 'session_services'::regclass) AND reltablespace = 0 AND indisvalid
  AND NOT (indisunique OR indisexclusion OR indisreplident OR indisclustered)
ORDER BY 1
"""

_PATIENCE = "500ms"
"""For which each table's lock is waited for, and whoever comes meanwhile waits behind. It is less than the second
(deadlock_timeout) after which PostgreSQL breaks off one of two that wait for each other, which might be the other one."""

_NOT_LOCKED = ("55P03", "40P01")
"""SQLSTATEs: the lock is not to be had in that time, or two would have waited for each other."""


async def _put_aside_on_postgresql(connection: "AsyncConnection") -> list[str]:
    if not (await connection.exec_driver_sql(_IS_ALLOWED)).scalar_one():
        return []
    try:
        async with connection.begin_nested() as savepoint:
            before = (await connection.exec_driver_sql("SHOW lock_timeout")).scalar_one()
            await connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
            await connection.exec_driver_sql(_LOCK)
            await connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{before}'")
            if not (await connection.exec_driver_sql(_IS_EMPTY)).scalar_one():
                await savepoint.rollback()
                return []
            return await _drop(connection, _ON_POSTGRESQL)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in _NOT_LOCKED:
            return []
        raise
