"""The SQL of a list: one statement, in one of three plans, written with SQLAlchemy and compiled once for each shape.

A statement returns the revision of the workspace in its first row, and a document in each of the others. There is no row
when there is no such workspace. A document that is larger than `max_size` bytes is replaced by its size, a JSON number.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from operator import eq, ge, le
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import JSON, asyncpg

from db.queries import Order, Position, SessionQuery
from db.tables import session_services, sessions, workspaces
from openapi import timestamps

_DIALECTS: Mapping[str, Any] = {
    "sqlite": sqlite.dialect(),
    "postgresql": asyncpg.dialect(),  # type: ignore[no-untyped-call]
}


class Plan(Enum):
    """How the sessions of a list are found."""

    WALK = "in the order of an index of sessions; whatever no index serves is filtered along the way"
    SERVICES = "in the order of the sessions of each service, merged for several services"
    CHANGES = "filtered by the index of changes first, then sorted"


class Shape(NamedTuple):
    """All that a statement depends on, apart from its values."""

    plan: Plan
    filters: tuple[str, ...]
    services: int
    """How many services are asked for."""
    order: Order
    after: bool
    """Whether the list continues behind a position."""


class Statement(NamedTuple):
    """The text of a statement, and the names of its parameters in the order in which the driver takes them."""

    text: str
    names: tuple[str, ...]

    def parameters(self, values: Mapping[str, Any]) -> list[Any]:
        return [values[name] for name in self.names]


def choose_plan(query: SessionQuery, *, whole: bool) -> Plan:
    """The plan of a query. A `whole` list is read page after page to its end, and must not be sorted again for each page."""
    if query.client_id is not None:  # has few sessions
        return Plan.WALK
    if query.service_ids is not None and (query.order.by_date or not whole):
        return Plan.SERVICES
    if whole:
        return Plan.WALK
    if query.order.by_date:
        return Plan.WALK if query.updated_since is None else Plan.CHANGES
    is_filtered = (query.status, query.staff_id, query.date_from, query.date_to) != (None, None, None, None)
    return Plan.CHANGES if is_filtered else Plan.WALK


def list_statement(query: SessionQuery, plan: Plan, engine: str) -> tuple[Statement, dict[str, Any]]:
    """The statement for a query and its values by name, apart from those of `limit` and `max_size`."""
    moments = {name: getattr(query, name) for name in ("date_from", "date_to", "updated_since")}
    filters = {"client_id": query.client_id, "status": query.status, "staff_id": query.staff_id}
    filters |= {name: _text(moment) for name, moment in moments.items() if moment is not None}
    filters = {name: value for name, value in filters.items() if value is not None}
    after = _begin(filters, query)
    service_ids = query.service_ids or ()
    shape = Shape(plan, tuple(filters), len(service_ids), query.order, bool(after))
    values = {"workspace_id": query.workspace_id, **filters}
    values |= {f"service_{number}": service_id for number, service_id in enumerate(service_ids)}
    values |= {f"after_{number}": value for number, value in enumerate(after)}
    return _compiled_list(shape, engine), values


def _text(moment: int) -> str:
    """The text that a moment is compared by. A moment that no text can write sorts before or behind all stored ones."""
    if moment < timestamps.FIRST:
        return ""
    return timestamps.write(moment) if moment <= timestamps.LAST else "~"


def _begin(filters: dict[str, Any], query: SessionQuery) -> Position:
    """The position behind which the list begins; empty when that is its first session.

    A position takes the place of the filter that bounds the list on the same side, because SQLite uses one of two bounds of
    an index only.
    """
    order = query.order
    bound = ("date_to" if order.descending else "date_from") if order.by_date else "updated_since"
    if query.after is None or bound not in filters or (order.descending and not order.by_date):
        return query.after or ()
    # The narrower of the two. The end of all texts, or their beginning, lets the sessions at the bound itself follow.
    edge = "~" if order.descending else ""
    narrower = min if order.descending else max
    return narrower(query.after, (filters.pop(bound), *[edge] * (len(query.after) - 1)))


@lru_cache(maxsize=1024)  # more than clients send; up to a hundred services make many more
def _compiled_list(shape: Shape, engine: str) -> Statement:
    find = {Plan.WALK: _walk, Plan.SERVICES: _by_services, Plan.CHANGES: _by_changes}[shape.plan]
    documents = find(shape, engine).subquery("documents")
    no_document = sa.cast(sa.null(), documents.c.document.type)
    no_revision = sa.cast(sa.null(), BigInteger)
    revision = select(workspaces.c.revision, no_document.label("document")).where(workspaces.c.id == _value("workspace_id"))
    return _compile(revision.union_all(select(no_revision, documents.c.document)), engine)


@lru_cache
def revision_statement(engine: str) -> Statement:
    """The statement that reads the revision of a workspace; no row when there is no such workspace."""
    return _compile(select(workspaces.c.revision).where(workspaces.c.id == _value("workspace_id")), engine)


def _compile(query: Any, engine: str) -> Statement:
    compiled = query.compile(dialect=_DIALECTS[engine])
    return Statement(str(compiled), tuple(compiled.positiontup or ()))


def _document(engine: str) -> ColumnElement[Any]:
    """The bytes of a document, or its size if that is more than `max_size`."""
    max_size = bindparam("max_size", type_=Integer)
    if engine == "postgresql":
        document: ColumnElement[Any] = sa.type_coerce(sessions.c.document, JSON)
        size = func.pg_column_size(sessions.c.document, type_=Integer)
        large: ColumnElement[Any] = func.to_json(size, type_=JSON)
    else:
        document = sa.cast(sessions.c.document, sa.LargeBinary)
        size = func.length(document, type_=Integer)
        large = sa.cast(sa.cast(size, sa.Text), sa.LargeBinary)
    return sa.case((size <= max_size, document), else_=large).label("document")


# ---- Plans ----------------------------------------------------------------------------------------------------------

_FILTERS: Mapping[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "client_id": ("client_id", eq),
    "status": ("status", eq),
    "staff_id": ("staff_id", eq),
    "date_from": ("date", ge),
    "date_to": ("date", le),
    "updated_since": ("updated_at", ge),
}
"""The column of each filter, and how it compares."""

_COLUMNS = {"date": "date", "startTime": "start_time", "id": "id", "updatedAt": "updated_at"}
"""The columns of `sessions` that hold the members of an order."""


def _walk(shape: Shape, engine: str) -> Select[Any]:
    order: list[ColumnElement[Any]] = [*_order_columns(shape, sessions)]
    indexed = _index_of_walk(shape)
    if "client_id" in indexed and not shape.order.by_date:
        # The few sessions of a client are sorted, instead of reading the index of changes to its end.
        order[0] = _unindexed(order[0])
    found = _filtered(select(_document(engine)), sessions, order, shape, indexed)
    if not shape.services:
        return found
    service_id: ColumnElement[Any] = session_services.c.service_id
    if engine == "sqlite":  # which has an index of the services of a session: one search, instead of one for each service
        service_id = _unindexed(service_id)
    has_service: Select[Any] = select(literal_column("1")).where(
        session_services.c.workspace_id == _value("workspace_id"),
        service_id.in_([_value(f"service_{number}") for number in range(shape.services)]),
        session_services.c.date == sessions.c.date,
        session_services.c.start_time == sessions.c.start_time,
        session_services.c.session_id == sessions.c.id,
    )
    # Not EXISTS, which the planner may turn into a join in another order.
    first = _limited(has_service.correlate(sessions), literal_column("1"))
    return found.where(first.scalar_subquery() == literal_column("1"))


def _index_of_walk(shape: Shape) -> set[str]:
    """The filters whose index is walked along. Planners guess which is best, and SQLite often guesses wrongly."""
    for name in ("client_id", "staff_id", "status"):
        if name in shape.filters and (name == "client_id" or shape.order.by_date):
            return {name, "date_from", "date_to"}
    return {"date_from", "date_to"} if shape.order.by_date else {"updated_since"}


def _by_services(shape: Shape, engine: str) -> Select[Any]:
    columns = _order_columns(shape, session_services)

    def sessions_of(number: int) -> Select[Any]:
        found = _filtered(select(*columns), session_services, columns, shape, {"date_from", "date_to"})
        found = found.where(session_services.c.service_id == _value(f"service_{number}"))
        return found.subquery(f"of_{number}").select()

    first, *others = map(sessions_of, range(shape.services))
    found = first.union(*others) if others else first
    return _documents_of(found.subquery("found"), columns, shape, engine)


def _by_changes(shape: Shape, engine: str) -> Select[Any]:
    columns = _order_columns(shape, sessions)
    order: list[ColumnElement[Any]] = [*columns]
    if shape.order.by_date:
        # Other indexes are hidden from the planner, which plans a prepared statement without knowing its values.
        order[0] = _unindexed(order[0])
    found = _filtered(select(*columns), sessions, order, shape, {"updated_since"})
    return _documents_of(found.subquery("found"), columns, shape, engine)


def _documents_of(found: FromClause, columns: Sequence[Column[Any]], shape: Shape, engine: str) -> Select[Any]:
    """The documents of sessions that were found, each looked up by its key."""
    *_, id_ = order = [found.c[column.name] for column in columns]
    own = select(_document(engine)).where(sessions.c.workspace_id == _value("workspace_id"), sessions.c.id == id_)
    return _ordered(select(own.correlate(found).scalar_subquery().label("document")).select_from(found), order, shape)


def _order_columns(shape: Shape, table: sa.Table) -> list[Column[Any]]:
    names = [_COLUMNS[member] for member in shape.order.members]
    return [table.c["session_id" if name == "id" and table is session_services else name] for name in names]


def _filtered(
    query: Select[Any], table: sa.Table, order: Sequence[ColumnElement[Any]], shape: Shape, indexed: Collection[str]
) -> Select[Any]:
    """A query of a table, with filters, position, order and limit; only the filters in `indexed` may choose an index."""
    query = query.where(table.c.workspace_id == _value("workspace_id"))
    for name in shape.filters:
        column, compare = _FILTERS[name]
        query = query.where(compare(table.c[column] if name in indexed else _unindexed(table.c[column]), _value(name)))
    if shape.after:
        here, there = sa.tuple_(*order), sa.tuple_(*(_value(f"after_{number}") for number in range(len(order))))
        query = query.where(here < there if shape.order.descending else here > there)
    return _ordered(query, order, shape)


def _ordered(query: Select[Any], order: Sequence[ColumnElement[Any]], shape: Shape) -> Select[Any]:
    columns = [column.desc() if shape.order.descending else column for column in order]
    return _limited(query.order_by(*columns), bindparam("limit", type_=BigInteger))


def _limited(query: Select[Any], limit: ColumnElement[int]) -> Select[Any]:
    # SQLAlchemy gives SQLite an offset in any case: a literal one is no parameter.
    return query.limit(limit).offset(literal_column("0"))


def _unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The same text as an expression that no index is looked up by."""
    return column.concat(literal_column("''"))


def _value(name: str) -> ColumnElement[Any]:
    return bindparam(name, type_=sessions.c.id.type)
