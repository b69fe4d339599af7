"""The import: session documents become rows, all of them or none.

A document is inserted, or replaces the session with its workspace and id; so the later of two wins. Names belong to the
clients, staff and services: of the names that documents give, the one with the newest `updatedAt` stands, of equals the
later. What is stored takes part in that as if it had come first.

Documents are written in batches, each while the next is read. Memory holds two batches, and the names of as many clients,
staff members and services as are met again and again. What has to be remembered for longer is in temporary tables.

A batch costs a few statements, however many documents it has and however many workspaces these are in: keys go along as
arrays in PostgreSQL and as JSON in SQLite, and rows that are not there yet by COPY and in long INSERTs.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
import inflection
import orjson
from sqlalchemy import (
    Boolean,
    Column,
    MetaData,
    PrimaryKeyConstraint,
    Select,
    Table,
    bindparam,
    delete,
    exists,
    func,
    not_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable, DropTable

from db.documents import BadDocument, Document
from db.engine import Database
from db.first_import import make_again, put_aside
from db.tables import Text, clients, services, session_services, sessions, staff, workspaces

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_BATCH = 5_000  # documents
_BATCH_BYTES = 4 * 1024 * 1024
_AT_A_TIME = 25  # documents are read before the database is attended to
_NAMES = 20_000  # are kept in memory, of clients, staff members and services together
# Rows in one statement of SQLite, which takes 32,766 values. For each statement it copies the pages that this one changes,
# to be able to take it back: with a statement for each row, that was most of what an import wrote.
_ROWS = 1_000
_STORED = 100  # sessions are read to compare them
_PROBLEMS = 20  # that are kept to be shown
_LOCK = 0x5E5510  # PostgreSQL's advisory lock that an import holds; any number that nobody else takes

Key = tuple[str, str]
"""A workspace and an id in it."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did, in documents; `removed` and `withheld` belong to a replacing import.

    `disagreements` counts the clients, staff members and services for which documents gave different names, or another
    than the stored one. `withheld` says that no session was removed, because a rejected document does not say which it is.
    """

    read: int
    new: int
    changed: int
    unchanged: int
    rejected: int
    workspaces: int
    disagreements: int
    removed: int | None = None
    withheld: bool = False

    def __str__(self) -> str:
        """The line that closes an import."""
        counts = f"{self.new:,} new, {self.changed:,} changed, {self.unchanged:,} unchanged, {self.rejected:,} rejected"
        if self.removed is not None:
            counts += f", {self.removed:,} removed"
        if self.withheld:
            counts += " (since a rejected document does not say which session it is)"
        if self.disagreements:
            names = "name" if self.disagreements == 1 else "names"
            counts += f"; {self.disagreements:,} {names} disagreed (the newest updatedAt won)"
        return f"read {self.read:,}: {counts}"


class ImportRefused(Exception):
    """Nothing has been imported, because of bad documents: the first of them, and how many there are."""

    def __init__(self, problems: Sequence[BadDocument], count: int) -> None:
        more = [f"and {count - len(problems):,} more"] if count > len(problems) else []
        super().__init__("\n".join([*map(str, problems), *more]))
        self.problems = problems
        self.count = count


class ImportFailed(Exception):
    """Nothing has been imported, because the database refused a row, or rejected documents could not be set aside."""


async def import_documents(
    database: Database,
    documents: Iterable[Document | BadDocument],
    *,
    replace: bool = False,
    rejected: Callable[[BadDocument], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImportResult:
    """Import documents in one transaction.

    Args:
        replace: Make each workspace that occurs exactly the input: remove the sessions that it lacks, and the clients,
            staff and services that no session is left for; and let the names of the input stand, however old they are.
            The session that a rejected document is about is left as it is. When a rejected document does not say which
            session it is about, nothing is removed at all.
        rejected: Is given the bad documents, and the others are imported. Without it, or when the rest of a stream cannot
            be read, a bad document refuses the import.
        progress: Is told now and then how many documents have been read so far.

    Raises:
        ImportRefused: for bad documents; all have been read and counted.
        ImportFailed: when the database refuses a row, or `rejected` raises OSError.
        DatabaseUnavailable: when the database cannot be reached or does not answer.
    """
    read = refused = set_aside = 0
    problems: list[BadDocument] = []
    async with database.transaction() as connection:
        work = _Import(connection, replace=replace)
        written = asyncio.create_task(work.begin())
        try:
            async for batch in _batches(documents):
                read += batch.read
                for document in batch.bad:
                    if rejected is None or document.text is None:
                        refused += 1
                        problems += [document] if len(problems) < _PROBLEMS else []
                    else:
                        set_aside += 1
                        _set_aside(document, rejected)
                await written
                if not refused:
                    written = asyncio.create_task(work.write(batch))
                if progress is not None:
                    progress(read)
        finally:
            await written
        if refused:
            raise ImportRefused(problems, refused)
        return await work.end(read=read, rejected=set_aside)


def _set_aside(document: BadDocument, rejected: Callable[[BadDocument], None]) -> None:
    try:
        rejected(document)
    except OSError as error:  # which a transaction would take for one of the database
        raise ImportFailed(f"{document.source}:{document.line} could not be set aside: {error}") from error


_columns = {column.name: inflection.camelize(column.name, uppercase_first_letter=False) for column in sessions.columns}
_row = itemgetter(*_columns.values())  # of the fields of a document, in the order of the columns of sessions
_copied = itemgetter("status", "date", "startTime", "staffId", "updatedAt")  # to its bookings


class _Session(NamedTuple):
    """What a document makes of its session: the row, and those of its services."""

    row: tuple[Any, ...]
    bookings: list[tuple[Any, ...]]

    @property
    def service_ids(self) -> list[str]:
        return [service_id for _, _, _, service_id, *_ in self.bookings]


@dataclass(slots=True)
class _Name:
    name: str
    updated_at: str
    disagreed: bool = False

    def then(self, later: "_Name") -> "_Name":
        """The name that stands when another is given after this one."""
        name = later.name if later.updated_at >= self.updated_at else self.name
        disagreed = self.disagreed or later.disagreed or self.name != later.name
        return _Name(name, max(self.updated_at, later.updated_at), disagreed)


_Names = dict[Table, dict[Key, _Name]]


def _give(names: dict[Key, _Name], key: Key, name: str, updated_at: str) -> None:
    other = names.get(key)
    if other is None:
        names[key] = _Name(name, updated_at)
    elif name != other.name:
        names[key] = other.then(_Name(name, updated_at))
    elif updated_at > other.updated_at:  # as above, and quicker
        other.updated_at = updated_at


class _Batch:
    """Documents that are written together, and what can be told of them before.

    As much as can be is made ready here, while the database is busy with the batch before: it waits for whatever is left to
    `_Import.write`.
    """

    def __init__(self) -> None:
        self.read = 0
        self.begin = self.end = ("", 0)  # the places of the first document and of the last
        self.sessions: list[tuple[Key, _Session]] = []
        self.bad: list[BadDocument] = []
        self.latest: dict[Key, _Session] = {}
        self._clients: dict[Key, _Name] = {}
        self._staff: dict[Key, _Name] = {}
        self._services: dict[Key, _Name] = {}
        self.names: _Names = {clients: self._clients, staff: self._staff, services: self._services}
        self._size = 0

    @property
    def is_full(self) -> bool:
        return self.read >= _BATCH or self._size >= _BATCH_BYTES

    @property
    def first(self) -> dict[Key, _Session]:
        """The first document to each session."""
        return self.latest if len(self.latest) == len(self.sessions) else dict(reversed(self.sessions))

    def add(self, document: Document | BadDocument) -> None:
        self.read += 1
        if isinstance(document, BadDocument):
            self.bad.append(document)
            self._size += len(document.text or b"")
            return
        source, line, size, fields = document
        self.end = (source, line)
        if not self.sessions:
            self.begin = self.end
        self._size += size
        workspace_id, id_, updated_at = fields["workspaceId"], fields["id"], fields["updatedAt"]
        key, copied = (workspace_id, id_), _copied(fields)
        bookings = [(workspace_id, id_, position, of, *copied) for position, of in enumerate(fields["serviceIds"])]
        session = _Session(_row(fields), bookings)
        self.sessions.append((key, session))
        self.latest[key] = session
        _give(self._clients, (workspace_id, fields["clientId"]), fields["clientName"], updated_at)
        _give(self._staff, (workspace_id, fields["staffId"]), fields["staffName"], updated_at)
        for service_id, name in zip(fields["serviceIds"], fields["serviceNames"], strict=True):
            _give(self._services, (workspace_id, service_id), name, updated_at)


async def _batches(documents: Iterable[Document | BadDocument]) -> AsyncIterator[_Batch]:
    batch = _Batch()
    for number, document in enumerate(documents):
        batch.add(document)
        if batch.is_full:
            yield batch
            batch = _Batch()
        elif number % _AT_A_TIME == 0:
            await asyncio.sleep(0)  # let the batch before be written meanwhile
    if batch.read:
        yield batch


def _changes(documents: list[tuple[Key, _Session]], unchanged: dict[Key, bool]) -> Iterator[tuple[Key, str]]:
    """What each document does to its session: `unchanged` says so for the first one to each that is stored."""
    before: dict[Key, _Session] = {}
    for key, session in documents:
        if key in before:
            yield key, "unchanged" if before[key] == session else "changed"
        elif key in unchanged:
            yield key, "unchanged" if unchanged[key] else "changed"
        else:
            yield key, "new"
        before[key] = session


_temporary = MetaData()


def _remembered(name: str, *key: str, **also: Any) -> Table:
    columns = [Column(column, Text, nullable=False) for column in key] + [Column(column, also[column]) for column in also]
    options: dict[str, Any] = {"prefixes": ["TEMPORARY"], "sqlite_with_rowid": False, "postgresql_on_commit": "DROP"}
    return Table(name, _temporary, *columns, PrimaryKeyConstraint(*key), **options)


_in_input = _remembered("import_sessions", "workspace_id", "id")
_occurring = _remembered("import_workspaces", "id")
_named = _remembered("import_names", "kind", "workspace_id", "id", disagreed=Boolean)


class _Import:
    """One import, in the transaction of `connection`."""

    def __init__(self, connection: "AsyncConnection", *, replace: bool) -> None:
        self._connection = connection
        self._postgresql = connection.dialect.name == "postgresql"
        self._replace = replace
        self._withheld = False
        self._counts = Counter[str]()
        self._names: _Names = {clients: {}, staff: {}, services: {}}
        self._renamed: dict[Table, set[Key]] = {table: set() for table in self._names}
        self._has_written = False
        self._aside: list[str] = []

    async def begin(self) -> None:
        if self._postgresql:
            # One import at a time, as SQLite has it: what one found stored has to stay so until it has written.
            await self._connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            # How foreign keys are looked up is planned once. A table that is tiny then would be read from end to end for
            # every row that comes later, however large it has become.
            await self._connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for table in _temporary.sorted_tables:
            await self._connection.execute(CreateTable(table))

    async def write(self, batch: _Batch) -> None:
        """Write the documents of a batch, and do not remove the sessions that its bad documents are about."""
        if self._replace:
            named = [(bad.workspace_id, bad.session_id) for bad in batch.bad if bad.workspace_id and bad.session_id]
            self._withheld |= len(named) < len(batch.bad)
            await self._add(_in_input, [*named, *batch.first])
        if not batch.sessions:
            return
        if batch.is_full and not self._has_written:  # or it would not be worth while
            self._aside = await put_aside(self._connection)
        self._has_written = True
        try:
            occurring = [(id_,) for id_ in sorted({workspace_id for workspace_id, _ in batch.first})]
            for table in (workspaces, _occurring):
                await self._add(table, occurring)
            for table, names in batch.names.items():
                await self._write_names(table, names)
            await self._write_sessions(batch)
        except (IntegrityError, asyncpg.IntegrityConstraintViolationError) as error:
            places = " to ".join(f"{source}:{line}" for source, line in (batch.begin, batch.end))
            reason = error.orig if isinstance(error, IntegrityError) else error
            raise ImportFailed(f"the database refused a row of the documents from {places}: {reason}") from error

    async def _write_names(self, table: Table, given: dict[Key, _Name]) -> None:
        """Insert the names of those that are new. Other names change in memory, until `_keep_names`."""
        known = self._names[table]
        unknown = [key for key in given if key not in known]
        stored, seen = await self._stored_names(table, unknown)
        new = []
        for key, name in given.items():
            before = known.get(key) or stored.get(key)
            if before is None:
                new.append((*key, name.name, name.updated_at))
                standing = name
            elif self._replace and key not in known and key not in seen:
                standing = name  # whatever is stored
            else:
                standing = before.then(name)
            if before is not None and (standing.name, standing.updated_at) != (before.name, before.updated_at):
                self._renamed[table].add(key)
            if standing.disagreed and not (before and before.disagreed):
                self._counts["disagreements"] += 1
            known[key] = standing
        await self._insert(table, new)
        if sum(map(len, self._names.values())) > _NAMES:
            await self._forget_names()

    async def _stored_names(self, table: Table, keys: list[Key]) -> tuple[dict[Key, _Name], dict[Key, bool]]:
        """Of those that memory does not hold: what is stored, and which of them this import has met before."""
        if not keys:
            return {}, {}
        met = select(_named.c.workspace_id, _named.c.id, _named.c.disagreed).where(_named.c.kind == table.name)
        seen = {(workspace_id, id_): disagreed for workspace_id, id_, disagreed in await self._among(met, _named, keys)}
        stored = {
            (workspace_id, id_): _Name(name, updated_at, seen.get((workspace_id, id_), False))
            for workspace_id, id_, name, updated_at in await self._among(select(table), table, keys)
        }
        return stored, seen

    async def _keep_names(self) -> None:
        """Write the names that have changed in memory."""
        for table, keys in self._renamed.items():
            names = self._names[table]
            rows = [(*key, names[key].name, names[key].updated_at) for key in sorted(keys)]
            await self._add(table, rows, replacing=("name", "updated_at"))
            keys.clear()

    async def _forget_names(self) -> None:
        await self._keep_names()
        for table, names in self._names.items():
            rows = [(table.name, *key, name.disagreed) for key, name in names.items()]
            await self._add(_named, rows, replacing=("disagreed",))
            names.clear()

    async def _write_sessions(self, batch: _Batch) -> None:
        became: dict[Key, str] = {}
        for key, change in _changes(batch.sessions, await self._compare(batch.first)):
            self._counts[change] += 1
            if change != "unchanged":
                became.setdefault(key, change)
        # What changes is written anew, its services with it. They would go when it goes, but not while references are aside.
        changed = [key for key, change in became.items() if change == "changed"]
        if changed:
            await self._among(delete(session_services), session_services, changed)
            await self._among(delete(sessions), sessions, changed)
        written = sorted(became)  # neighbours in the table fall on the same pages
        await self._insert(sessions, [batch.latest[key].row for key in written])
        await self._insert(session_services, [booking for key in written for booking in batch.latest[key].bookings])

    async def _compare(self, given: dict[Key, _Session]) -> dict[Key, bool]:
        """For each of these sessions that is stored: whether it is stored as its document says."""
        same: dict[Key, bool] = {}
        keys = select(sessions.c.workspace_id, sessions.c.id)
        stored = [(workspace_id, id_) for workspace_id, id_ in await self._among(keys, sessions, list(given))]
        # A few at a time: stored sessions may be larger than those that are read.
        for start in range(0, len(stored), _STORED):
            for row in map(tuple, await self._among(select(sessions), sessions, stored[start : start + _STORED])):
                same[row[:2]] = row == given[row[:2]].row
        alike = [key for key, is_same in same.items() if is_same]
        if alike:
            of = session_services.c
            booked = select(of.workspace_id, of.session_id, of.service_id).order_by(of.position)
            services_of: dict[Key, list[str]] = {key: [] for key in alike}
            for workspace_id, session_id, service_id in await self._among(booked, session_services, alike):
                services_of[workspace_id, session_id].append(service_id)
            same |= {key: services_of[key] == given[key].service_ids for key in alike}
        return same

    async def end(self, *, read: int, rejected: int) -> ImportResult:
        """Make again what was put aside, remove what has to go, and count."""
        try:
            await make_again(self._connection, self._aside)
        except IntegrityError as error:
            which = getattr(error.orig.__cause__, "detail", None) if error.orig else None
            raise ImportFailed(
                f"the database refused a row, seen after the last document: {error.orig}{f' ({which})' if which else ''}"
            ) from error
        await self._keep_names()
        removed = None
        if self._replace:
            removed = 0 if self._withheld else await self._remove()
        result = ImportResult(
            read=read,
            new=self._counts["new"],
            changed=self._counts["changed"],
            unchanged=self._counts["unchanged"],
            rejected=rejected,
            workspaces=await self._count(select(func.count()).select_from(_occurring)),
            disagreements=self._counts["disagreements"],
            removed=removed,
            withheld=self._withheld,
        )
        if not self._postgresql:  # SQLite has no ON COMMIT DROP
            for table in _temporary.sorted_tables:
                await self._connection.execute(DropTable(table))
        return result

    async def _remove(self) -> int:
        occurring = select(_occurring.c.id)
        key = (sessions.c.workspace_id, sessions.c.id)
        # Not NOT EXISTS: where sessions are distributed (Citus), a temporary table cannot be joined to them.
        stored = select(*key).where(sessions.c.workspace_id.in_(occurring))
        unlisted = stored.except_(select(_in_input.c.workspace_id, _in_input.c.id))
        removal = delete(sessions).where(sessions.c.workspace_id.in_(occurring), tuple_(*key).in_(unlisted))
        removed = (await self._connection.execute(removal)).rowcount
        for table, of, id_ in (
            (clients, sessions.c.workspace_id, sessions.c.client_id),
            (staff, sessions.c.workspace_id, sessions.c.staff_id),
            (services, session_services.c.workspace_id, session_services.c.service_id),
        ):
            used = exists().where(of == table.c.workspace_id, id_ == table.c.id)
            await self._connection.execute(delete(table).where(table.c.workspace_id.in_(occurring), not_(used)))
        return removed

    async def _count(self, query: Select[int]) -> int:
        return (await self._connection.execute(query)).scalar_one()

    async def _among(self, statement: Any, table: Table, keys: list[Key]) -> Any:
        """Execute a statement for the rows of a table that have one of these keys of sessions, or of what has names.

        By IN, SQLite looks the rows up; a join it might turn around.
        """
        key = (table.c.workspace_id, table.c.session_id if table is session_services else table.c.id)
        given = statement.where(tuple_(*key).in_(self._select(key)))
        return await self._connection.execute(given, self._values(keys))

    async def _add(self, table: Table, rows: Sequence[tuple[Any, ...]], *, replacing: Sequence[str] = ()) -> None:
        """Insert what is not there yet, in one statement, and replace these columns where it is."""
        if not rows:
            return
        # SQLite and PostgreSQL write ON CONFLICT alike; SQLAlchemy keeps it in their dialects.
        insert: Any = (postgresql if self._postgresql else sqlite).insert(table)
        columns = [column for column in table.columns if column.server_default is None]  # but the revision
        insert = insert.from_select(columns, self._select(columns))
        if replacing:
            given = {name: insert.excluded[name] for name in replacing}
            insert = insert.on_conflict_do_update(index_elements=table.primary_key, set_=given)
        else:
            insert = insert.on_conflict_do_nothing()
        await self._connection.execute(insert, self._values(rows))

    def _select(self, columns: Sequence[Column[Any]]) -> Select[Any]:
        """A query that gives the rows it is executed with, by `_values`.

        It does not hold them: what SQLAlchemy makes of a query refers to itself, and stays in memory for a while.
        """
        if self._postgresql:
            arrays = [bindparam(f"given_{place}", type_=postgresql.ARRAY(of.type)) for place, of in enumerate(columns)]
            given = func.unnest(*arrays).table_valued(*(column.name for column in columns)).render_derived()
            return select(*given.c)
        given = func.json_each(bindparam("given")).table_valued("value")
        places = [func.json_extract(given.c.value, f"$[{place}]") for place in range(len(columns))]
        return select(*places).where(true())  # without WHERE, SQLite takes the ON of ON CONFLICT for a join's

    def _values(self, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
        if self._postgresql:
            return {f"given_{place}": list(values) for place, values in enumerate(zip(*rows, strict=True))}
        return {"given": orjson.dumps(rows).decode()}

    async def _insert(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert whole rows that are not there yet."""
        if not rows:
            return
        if self._postgresql:
            driver: Any = (await self._connection.get_raw_connection()).driver_connection
            try:
                await driver.copy_records_to_table(table.name, records=rows, columns=table.columns.keys())
            except asyncpg.PostgresError as error:
                if driver.is_closed():  # which SQLAlchemy has not seen; it would fail to roll back, and say that instead
                    await self._connection.invalidate(error)
                raise
        else:
            insert, _, places = str(table.insert().compile(dialect=self._connection.dialect)).partition(" VALUES ")
            for start in range(0, len(rows), _ROWS):
                some = rows[start : start + _ROWS]
                statement = f"{insert} VALUES {', '.join([places] * len(some))}"
                await self._connection.exec_driver_sql(statement, tuple(chain.from_iterable(some)))
