"""The import: session documents become rows, all of them or none.

A document is inserted, or replaces the session with its workspace and id; so the later of two wins. Names belong to the
clients, staff and services: of the names that documents give, the one with the newest `updatedAt` stands, of equals the
later. What is stored takes part in that as if it had come first.

Memory holds one batch of documents. What has to be remembered for longer is in temporary tables.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import inflection
from sqlalchemy import (
    Boolean,
    Column,
    Executable,
    MetaData,
    PrimaryKeyConstraint,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateTable, DropTable

from db.documents import BadDocument, Document
from db.engine import Database
from db.tables import Text, clients, services, session_services, sessions, staff, workspaces

_BATCH = 5_000  # documents
_BATCH_BYTES = 8 * 1024 * 1024
_PROBLEMS = 20  # that are kept to be shown

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
        await work.begin()
        for batch in _batches(documents):
            read += len(batch)
            bad = [document for document in batch if isinstance(document, BadDocument)]
            for document in bad:
                if rejected is None or document.text is None:
                    refused += 1
                    problems += [document] if len(problems) < _PROBLEMS else []
                else:
                    set_aside += 1
                    _set_aside(document, rejected)
            if not refused:
                await work.spare(bad)
                await work.write([document for document in batch if isinstance(document, Document)])
            if progress is not None:
                progress(read)
        if refused:
            raise ImportRefused(problems, refused)
        return await work.end(read=read, rejected=set_aside)


def _batches(documents: Iterable[Document | BadDocument]) -> Iterator[list[Document | BadDocument]]:
    batch: list[Document | BadDocument] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += document.size if isinstance(document, Document) else len(document.text or b"")
        if len(batch) >= _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _set_aside(document: BadDocument, rejected: Callable[[BadDocument], None]) -> None:
    try:
        rejected(document)
    except OSError as error:  # which a transaction would take for one of the database
        raise ImportFailed(f"{document.source}:{document.line} could not be set aside: {error}") from error


_columns = {column.name: inflection.camelize(column.name, uppercase_first_letter=False) for column in sessions.columns}
_row = itemgetter(*_columns.values())  # of the fields of a document, in the order of the columns of sessions
_key = itemgetter("workspaceId", "id")


class _Name(NamedTuple):
    name: str
    updated_at: str
    disagreed: bool


def _given_names(documents: list[Document]) -> dict[Table, dict[Key, _Name]]:
    """The name that stands of those that the documents give to each client, staff member and service."""
    standing: dict[Table, dict[Key, _Name]] = {clients: {}, staff: {}, services: {}}

    def give(table: Table, key: Key, name: str, updated_at: str) -> None:
        other = standing[table].get(key)
        if other is None:
            standing[table][key] = _Name(name, updated_at, disagreed=False)
        elif name != other.name or updated_at > other.updated_at:
            newest = name if updated_at >= other.updated_at else other.name
            disagreed = other.disagreed or name != other.name
            standing[table][key] = _Name(newest, max(updated_at, other.updated_at), disagreed)

    for _, _, _, fields in documents:
        workspace_id, updated_at = fields["workspaceId"], fields["updatedAt"]
        give(clients, (workspace_id, fields["clientId"]), fields["clientName"], updated_at)
        give(staff, (workspace_id, fields["staffId"]), fields["staffName"], updated_at)
        for service_id, name in zip(fields["serviceIds"], fields["serviceNames"], strict=True):
            give(services, (workspace_id, service_id), name, updated_at)
    return standing


def _changes(documents: list[Document], unchanged: dict[Key, bool]) -> Iterator[tuple[Key, str]]:
    """What each document does to its session: `unchanged` says so for the first one to each that is stored."""
    before: dict[Key, dict[str, Any]] = {}
    for _, _, _, fields in documents:
        key = _key(fields)
        if key in before:
            other = before[key]
            same = _row(other) == _row(fields) and other["serviceIds"] == fields["serviceIds"]
            yield key, "unchanged" if same else "changed"
        elif key in unchanged:
            yield key, "unchanged" if unchanged[key] else "changed"
        else:
            yield key, "new"
        before[key] = fields


_temporary = MetaData()


def _remembered(name: str, *key: str, **also: Any) -> Table:
    columns = [Column(column, Text, nullable=False) for column in key] + [Column(column, also[column]) for column in also]
    options: dict[str, Any] = {"prefixes": ["TEMPORARY"], "sqlite_with_rowid": False, "postgresql_on_commit": "DROP"}
    return Table(name, _temporary, *columns, PrimaryKeyConstraint(*key), **options)


_in_batch = _remembered("import_batch", "workspace_id", "id")
_in_input = _remembered("import_sessions", "workspace_id", "id")
_occurring = _remembered("import_workspaces", "id")
_named = _remembered("import_names", "kind", "workspace_id", "id", disagreed=Boolean)

_workspace = bindparam("of_workspace", type_=Text)
_id = bindparam("of_id", type_=Text)
_given = bindparam("given_name", type_=Text)
_moment = bindparam("given_at", type_=Text)


class _Import:
    """One import, in the transaction of `connection`."""

    def __init__(self, connection: AsyncConnection, *, replace: bool) -> None:
        self._connection = connection
        self._replace = replace
        self._withheld = False
        self._counts = Counter[str]()
        # SQLite and PostgreSQL write ON CONFLICT alike; SQLAlchemy keeps it in their dialects.
        inserts: dict[str, Callable[[Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
        self._insert = inserts[connection.dialect.name]

    async def begin(self) -> None:
        for table in _temporary.sorted_tables:
            await self._connection.execute(CreateTable(table))

    async def spare(self, rejected: list[BadDocument]) -> None:
        """Do not remove the sessions that rejected documents are about."""
        if self._replace:
            named = [(bad.workspace_id, bad.session_id) for bad in rejected if bad.workspace_id and bad.session_id]
            self._withheld |= len(named) < len(rejected)
            await self._add(_in_input, [{"workspace_id": workspace_id, "id": id_} for workspace_id, id_ in named])

    async def write(self, documents: list[Document]) -> None:
        """Write a batch of documents."""
        if not documents:
            return
        try:
            await self._write_workspaces({document.fields["workspaceId"] for document in documents})
            for table, names in _given_names(documents).items():
                await self._write_names(table, names)
            await self._write_sessions(documents)
        except IntegrityError as error:
            first, last = documents[0], documents[-1]
            places = f"{first.source}:{first.line} to {last.source}:{last.line}"
            raise ImportFailed(f"the database refused a row of the documents from {places}: {error.orig}") from error

    async def _write_workspaces(self, ids: set[str]) -> None:
        for table in (workspaces, _occurring):
            await self._add(table, [{"id": id_} for id_ in sorted(ids)])

    async def _write_names(self, table: Table, names: dict[Key, _Name]) -> None:
        rows = [
            {"of_workspace": workspace_id, "of_id": id_, "given_name": name, "given_at": updated_at, "disagreed": disagreed}
            for (workspace_id, id_), (name, updated_at, disagreed) in names.items()
        ]
        this = and_(table.c.workspace_id == _workspace, table.c.id == _id)
        if self._replace:
            # The first name from the input stands whatever is stored, as if it were stored already.
            seen = exists().where(_named.c.kind == table.name, _named.c.workspace_id == _workspace, _named.c.id == _id)
            other = or_(table.c.name != _given, table.c.updated_at > _moment)
            forget = update(table).values(name=_given, updated_at=_moment).where(this, other, not_(seen))
            await self._each(forget, rows)

        differs = or_(bindparam("disagreed", type_=Boolean), exists().where(this, table.c.name != _given))
        note = self._insert(_named).values(kind=table.name, workspace_id=_workspace, id=_id, disagreed=differs)
        or_before = {"disagreed": or_(_named.c.disagreed, note.excluded.disagreed)}
        await self._each(note.on_conflict_do_update(index_elements=_named.primary_key, set_=or_before), rows)

        name = self._insert(table).values(workspace_id=_workspace, id=_id, name=_given, updated_at=_moment)
        newer = or_(
            name.excluded.updated_at > table.c.updated_at,
            and_(name.excluded.updated_at == table.c.updated_at, name.excluded.name != table.c.name),
        )
        newest = {"name": name.excluded.name, "updated_at": name.excluded.updated_at}
        await self._each(name.on_conflict_do_update(index_elements=table.primary_key, set_=newest, where=newer), rows)

    async def _write_sessions(self, documents: list[Document]) -> None:
        first = {_key(document.fields): document.fields for document in reversed(documents)}
        keys = [{"workspace_id": workspace_id, "id": id_} for workspace_id, id_ in first]
        await self._connection.execute(delete(_in_batch))
        await self._add(_in_batch, keys)
        if self._replace:
            await self._add(_in_input, keys)

        became: dict[Key, str] = {}
        for key, change in _changes(documents, await self._compare(first)):
            self._counts[change] += 1
            if change != "unchanged":
                became[key] = change

        latest = {_key(document.fields): document.fields for document in documents}
        written = sorted(became)  # neighbours in the table fall on the same pages
        row = self._insert(sessions)
        rest = {column.name: row.excluded[column.name] for column in sessions.columns if not column.primary_key}
        upsert = row.on_conflict_do_update(index_elements=sessions.primary_key, set_=rest)
        await self._each(upsert, [dict(zip(_columns, _row(latest[key]), strict=True)) for key in written])
        booked = and_(session_services.c.workspace_id == _workspace, session_services.c.session_id == _id)
        changed = [{"of_workspace": key[0], "of_id": key[1]} for key in written if became[key] == "changed"]
        await self._each(delete(session_services).where(booked), changed)
        bookings = [
            {"workspace_id": key[0], "session_id": key[1], "position": position, "service_id": service_id}
            for key in written
            for position, service_id in enumerate(latest[key]["serviceIds"])
        ]
        await self._each(session_services.insert(), bookings)

    async def _compare(self, documents: dict[Key, dict[str, Any]]) -> dict[Key, bool]:
        """For each of these sessions that is stored: whether it is stored as its document says."""
        # By IN, SQLite looks the rows up. A join it turns around, and reads the whole table for every batch.
        batch = select(_in_batch.c.workspace_id, _in_batch.c.id)
        of = session_services.c
        booked = select(of.workspace_id, of.session_id, of.position, of.service_id)
        services_of: dict[Key, list[tuple[int, str]]] = {}
        for workspace_id, session_id, *service in await self._connection.execute(
            booked.where(tuple_(of.workspace_id, of.session_id).in_(batch))
        ):
            services_of.setdefault((workspace_id, session_id), []).append(tuple(service))
        stored = select(sessions).where(tuple_(sessions.c.workspace_id, sessions.c.id).in_(batch))
        same: dict[Key, bool] = {}
        # A few at a time: stored sessions may be larger than those that are read.
        async for row in await self._connection.stream(stored, execution_options={"yield_per": 100}):
            key = (row.workspace_id, row.id)
            fields = documents[key]
            service_ids = [service_id for _, service_id in sorted(services_of.get(key, ()))]
            same[key] = bool(row == _row(fields)) and service_ids == fields["serviceIds"]
        return same

    async def end(self, *, read: int, rejected: int) -> ImportResult:
        """Remove what has to go, and count."""
        removed = None
        if self._replace:
            removed = 0 if self._withheld else await self._remove()
        disagreed = select(func.count()).where(_named.c.disagreed)
        result = ImportResult(
            read=read,
            new=self._counts["new"],
            changed=self._counts["changed"],
            unchanged=self._counts["unchanged"],
            rejected=rejected,
            workspaces=await self._count(select(func.count()).select_from(_occurring)),
            disagreements=await self._count(disagreed),
            removed=removed,
            withheld=self._withheld,
        )
        if self._connection.dialect.name == "sqlite":  # which has no ON COMMIT DROP
            for table in _temporary.sorted_tables:
                await self._connection.execute(DropTable(table))
        return result

    async def _remove(self) -> int:
        occurring = select(_occurring.c.id)
        listed = exists().where(_in_input.c.workspace_id == sessions.c.workspace_id, _in_input.c.id == sessions.c.id)
        removal = delete(sessions).where(sessions.c.workspace_id.in_(occurring), not_(listed))
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

    async def _add(self, table: Table, rows: list[dict[str, str]]) -> None:
        await self._each(self._insert(table).on_conflict_do_nothing(), rows)

    async def _each(self, statement: Executable, rows: list[dict[str, Any]]) -> None:
        if rows:
            await self._connection.execute(statement, rows)
