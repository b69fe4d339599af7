"""Sessions: the one thing that the service reads.

A workspace is read at a revision (see `migrations/`): what has been read at it stays true while it stands. The rows of a
list carry the revision that they were read at. So what is booked is asked for once a page, and the names of clients, staff
and services, which many rows share, once for each revision: neither is joined to every row, and a list is still what was
stored at one moment.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from db.engine import Database
from db.errors import WorkspaceNotFound
from db.lists import (
    COLUMNS,
    PAGES_NEARBY,
    REVISION,
    Way,
    bookings_statement,
    few_statement,
    list_of,
    names_statement,
    revision_statement,
    sessions_statement,
    sessions_values,
    ways_to,
)
from db.questions import ORDERS, Position, Question
from db.readers import Reader, Row
from openapi.json import JSONValue, Texts


class Listed(NamedTuple):
    """Sessions as the contract writes them, and the texts of those parts that are answered as they were stored."""

    sessions: list[dict[str, JSONValue]]
    texts: Texts


@dataclass(frozen=True, slots=True)
class Page:
    """Some sessions, where the next page begins (None when there is none), and at which revision."""

    listed: Listed
    next: Position | None
    revision: int


@dataclass(slots=True)
class Names:
    """What clients, staff and services of one workspace are called at a revision, as far as somebody asked."""

    revision: int
    clients: dict[str, str] = field(default_factory=dict)
    staff: dict[str, str] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    booked: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    """The ids and the names of services that are booked together, by their ids as a row has them."""
    size: int = 500
    """Bytes, roughly."""


_NAMES_SIZE = 16 * 1024 * 1024
"""Bytes of names that one process remembers. When there are more, it forgets them all."""


class _NamesOfAll:
    """The names of all workspaces, each at the revision that was last asked for."""

    def __init__(self) -> None:
        self._of: dict[str, Names] = {}
        self._size = 0

    def at(self, workspace_id: str, revision: int) -> Names:
        """The names that are known; without those of this workspace at another revision."""
        if self._size > _NAMES_SIZE:
            self._of.clear()
            self._size = 0
        known = self._of.get(workspace_id)
        if known is None or known.revision != revision:
            if known is not None:
                self._size -= known.size
            known = self._of[workspace_id] = Names(revision)
            self._size += known.size
        return known

    def note(self, workspace_id: str, names: Names, size: int) -> None:
        """Account for names that have grown by so much."""
        if self._of.get(workspace_id) is names:
            self._size += size


class _MovedOnError(Exception):
    """The workspace has changed since the rows were read."""


class Sessions:
    """The sessions of every workspace in a database, to be read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names = _NamesOfAll()

    @asynccontextmanager
    async def of(self, workspace_id: str) -> AsyncIterator["WorkspaceSessions"]:
        """Those of one workspace, on one connection.

        Raises:
            WorkspaceNotFound: when there is no such workspace.
            DatabaseUnavailable: when the database cannot be reached, or stops answering meanwhile.
        """
        async with self._database.reader() as reader:
            rows = await reader.fetch(revision_statement(reader.engine).text, [workspace_id])
            if not rows:
                raise WorkspaceNotFound(workspace_id)
            yield WorkspaceSessions(reader, workspace_id, rows[0][0], self._names)


class WorkspaceSessions:
    """The sessions of one workspace. `revision` is the one that stood when reading began."""

    def __init__(self, reader: Reader, workspace_id: str, revision: int, names: _NamesOfAll) -> None:
        self.revision = revision
        self._reader = reader
        self._workspace_id = workspace_id
        self._names = names

    async def page(self, question: Question, limit: int) -> Page:
        """At most `limit` of the sessions, as they were at one moment."""
        way = await self._way(question, page=True)
        for _ in range(2):
            rows = await self._rows(question, limit, way)
            revision = rows[0][REVISION] if rows else self.revision
            try:
                listed = await self._listed(rows[:limit], self._names.at(self._workspace_id, revision))
            except _MovedOnError:
                continue
            return Page(listed, _next(question, rows, limit), revision)
        async with self._reader.snapshot():  # somebody writes without a pause
            rows = await self._rows(question, limit, way)
            revision = rows[0][REVISION] if rows else self.revision
            return Page(await self._listed(rows[:limit], Names(revision)), _next(question, rows, limit), revision)

    async def everything(self, question: Question, size: int = 500) -> AsyncGenerator[Listed]:
        """All of the sessions as they were at one moment, `size` at a time, in memory that does not grow with them."""
        shape, values = sessions_values(question, self._reader.engine, await self._way(question, page=False))
        statement = sessions_statement(shape, self._reader.engine)
        async with (
            self._reader.snapshot(),
            aclosing(self._reader.stream(statement.text, statement.values(values), size)) as parts,
        ):
            names = None
            async for rows in parts:
                if names is None or names.size > _NAMES_SIZE:
                    names = Names(rows[0][REVISION])
                yield await self._listed(rows, names)

    async def _way(self, question: Question, *, page: bool) -> Way:
        if_few, otherwise = ways_to(question, page=page)
        if if_few:
            statement = few_statement(if_few, self._reader.engine)
            _, values = sessions_values(question, self._reader.engine)
            [row] = await self._reader.fetch(statement.text, statement.values(values))
            return next((way for way, few in zip(if_few, row, strict=True) if few), otherwise)
        return otherwise

    async def _rows(self, question: Question, limit: int, way: Way) -> Sequence[Row]:
        if way is Way.BY_STRETCH and question.wanted.service_ids is None:
            rows = await self._rows(question, limit, Way.NEARBY)
            if len(rows) > limit:
                return rows
        shape, values = sessions_values(question, self._reader.engine, way)
        statement = sessions_statement(shape, self._reader.engine)
        # One more than asked for tells whether there is a next page.
        values["limit"] = limit + 1
        values["nearby"] = PAGES_NEARBY * (limit + 1)
        return await self._reader.fetch(f"{statement.text} LIMIT {limit + 1}", statement.values(values))

    async def _listed(self, rows: Sequence[Row], names: Names) -> Listed:
        """What the contract says of rows that were read at the revision of the names.

        Raises:
            _MovedOnError: when the workspace is not at that revision any more.
        """
        booked = await self._booked(rows, names.revision)
        size = names.size
        try:
            listed = _listed(rows, booked, self._workspace_id, names)
        except KeyError:  # a name that nobody has asked for yet
            await self._ask_for_names(rows, booked, names)
            listed = _listed(rows, booked, self._workspace_id, names)
        self._names.note(self._workspace_id, names, names.size - size)
        return listed

    async def _booked(self, rows: Sequence[Row], revision: int) -> dict[str, str]:
        """The ids of the services of each session that has some, in order, with commas between them: no id contains one."""
        if not rows:
            return {}
        engine = self._reader.engine
        statement = bookings_statement(engine)
        values = {"workspace_id": self._workspace_id, "session_ids": list_of([row[0] for row in rows], engine)}
        bookings = await self._reader.fetch(statement.text, statement.values(values))
        # All rows of a statement are of one revision; without any, it has to be asked for.
        dated = bookings or await self._reader.fetch(revision_statement(engine).text, [self._workspace_id])
        if not dated or dated[0][REVISION] != revision:
            raise _MovedOnError
        booked: dict[str, str] = {}
        for session_id, service_id, _ in bookings:
            booked[session_id] = f"{booked[session_id]},{service_id}" if session_id in booked else service_id
        return booked

    async def _ask_for_names(self, rows: Sequence[Row], booked: Mapping[str, str], names: Names) -> None:
        """Add the names that the rows need and that are not known yet.

        Raises:
            _MovedOnError: when the workspace is not at the revision of the names any more.
        """
        missing = {
            "clients": {row[1] for row in rows} - names.clients.keys(),
            "staff": {row[2] for row in rows} - names.staff.keys(),
            "services": {id_ for together in {*booked.values()} for id_ in together.split(",")} - names.services.keys(),
        }
        engine = self._reader.engine
        statement = names_statement(engine)
        values = {kind: list_of(sorted(ids), engine) for kind, ids in missing.items()} | {"workspace_id": self._workspace_id}
        found = await self._reader.fetch(statement.text, statement.values(values))
        if any(row[REVISION] != names.revision for row in found) or len(found) < sum(map(len, missing.values())):
            raise _MovedOnError
        for kind, id_, name, _ in found:
            getattr(names, kind)[id_] = name
            names.size += len(id_) + 4 * len(name) + 200


def _next(question: Question, rows: Sequence[Row], limit: int) -> Position | None:
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return tuple(str(last[COLUMNS.index(column.name)]) for column in ORDERS[question.sort].columns)


_NOTHING: list[JSONValue] = []  # of what most sessions have none of; nobody adds to it


def _booked_together(booked: str, names: Names) -> tuple[list[str], list[str]]:
    ids = booked.split(",")
    together = names.booked[booked] = ids, [names.services[id_] for id_ in ids]
    names.size += 2 * len(booked) + 300
    return together


def _listed(rows: Sequence[Row], booked: Mapping[str, str], workspace_id: str, names: Names) -> Listed:
    """What the contract says of each row. Lists that are alike are the same list: they are not for changing.

    Raises:
        KeyError: when a name is not known.
    """
    clients, staff = names.clients, names.staff
    listed: list[dict[str, JSONValue]] = []
    texts: Texts = []
    for (
        id_,
        client_id,
        staff_id,
        name,
        date,
        start_time,
        end_time,
        duration_minutes,
        status,
        field_values,
        attachments,
        notes,
        invoice,
        created_at,
        updated_at,
        _,
    ) in rows:
        service_ids = service_names = _NOTHING
        if together := booked.get(id_):
            service_ids, service_names = names.booked.get(together) or _booked_together(together, names)
        session = {
            "id": id_,
            "workspaceId": workspace_id,
            "clientId": client_id,
            "clientName": clients[client_id],
            "serviceIds": service_ids,
            "serviceNames": service_names,
            "staffId": staff_id,
            "staffName": staff[staff_id],
            "name": name,
            "date": date,
            "startTime": start_time,
            "endTime": end_time,
            "durationMinutes": duration_minutes,
            "status": status,
            "fieldValues": _NOTHING,
            "attachments": _NOTHING,
            "notes": _NOTHING,
            "invoice": None,
            "createdAt": created_at,
            "updatedAt": updated_at,
        }
        if field_values != "[]":
            session["fieldValues"] = orjson.loads(field_values)
            texts.append((session, "fieldValues", field_values))
        if attachments != "[]":
            session["attachments"] = orjson.loads(attachments)
            texts.append((session, "attachments", attachments))
        if notes != "[]":
            session["notes"] = orjson.loads(notes)
            texts.append((session, "notes", notes))
        if invoice is not None:
            session["invoice"] = orjson.loads(invoice)
            texts.append((session, "invoice", invoice))
        listed.append(session)
    return Listed(listed, texts)
