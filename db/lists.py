"""The statements that list sessions, and the ways by which they come by them.

Planners know too little of the values to choose (see docs/decisions/0008-few-first.md). So a question has a `Way`, and each
leaves the planner one index.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Select,
    String,
    Table,
    any_,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from db.questions import ORDERS, Order, Question
from db.statements import Statement, compile_statement
from db.tables import Text, clients, services, session_services, sessions, staff, stretch_of, workspaces
from openapi import timestamps

_workspace_id = bindparam("workspace_id", type_=Text)
_revision = select(workspaces.c.revision).where(workspaces.c.id == _workspace_id)


def _each_of(name: str, alias: str | None, engine: str) -> Any:
    """The values in a parameter as rows: an array on PostgreSQL, JSON text on SQLite."""
    if engine == "postgresql":
        return func.unnest(bindparam(name, type_=ARRAY(Text))).table_valued("value", name=alias).render_derived()
    return func.json_each(bindparam(name, type_=String)).table_valued("value", name=alias)


def _among(column: ColumnElement[Any], name: str, engine: str) -> ColumnElement[bool]:
    """Whether a column is one of the values in a parameter."""
    if engine == "postgresql":
        return column == any_(bindparam(name, type_=ARRAY(Text)))
    return column.in_(select(_each_of(name, None, engine).c.value))


def list_of(values: Sequence[str], engine: str) -> Any:
    """A list as the value of a parameter: see `_each_of`."""
    return values if engine == "postgresql" else orjson.dumps(values).decode()


_shown = select(
    sessions.c.id,
    sessions.c.client_id,
    sessions.c.staff_id,
    sessions.c.name,
    sessions.c.date,
    sessions.c.start_time,
    sessions.c.end_time,
    sessions.c.duration_minutes,
    sessions.c.status,
    sessions.c.field_values,
    sessions.c.attachments,
    sessions.c.notes,
    sessions.c.invoice,
    sessions.c.created_at,
    sessions.c.updated_at,
    _revision.scalar_subquery(),
)
REVISION = -1
"""Where a row has the revision that it was read at: those of sessions, names and bookings."""
COLUMNS = _shown.selected_columns.keys()
"""What a row of a session has, by name."""
STATUSES = ("scheduled", "in-progress", "completed", "cancelled")
"""All that there are: the contract and a constraint of the table say so."""


def _value(name: str) -> ColumnElement[str]:
    return bindparam(name, type_=Text)


class Way(Enum):
    """How the wanted sessions are come by. It changes what it costs to list them, and not which they are."""

    ALONG = "along an index that is in the order of the list, testing each session, until there are enough"
    BY_SERVICE = (
        "along the bookings of each wanted service, in the order of dates, until there are enough of each; for a page"
    )
    BOOKED = "by all bookings of the wanted services, which are few, and sorted; where the list is whole, or not by date"
    CHANGED = "by all that was changed since the wanted moment, which is little, and sorted"
    NEARBY = (
        "by the first sessions from where the list begins, changed or not: enough if they hold a page, and not otherwise"
    )
    BY_STRETCH = (
        "along the stretches of the calendar, to those in which enough was changed since the wanted moment; for a page"
    )


_FEW = {Way.BOOKED: 5_000, Way.CHANGED: 1_000}
"""Up to how many bookings or changes are better found first, and sorted."""
PAGES_NEARBY = 10
"""How many pages of sessions are looked at for one that was changed since a moment."""

_COMPARED: dict[str, tuple[Column[str], Callable[..., ColumnElement[bool]]]] = {
    "client_id": (sessions.c.client_id, operator.eq),
    "date_from": (sessions.c.date, operator.ge),
    "date_to": (sessions.c.date, operator.le),
    "status": (sessions.c.status, operator.eq),
    "staff_id": (sessions.c.staff_id, operator.eq),
    "updated_since": (sessions.c.updated_at, operator.ge),
}


def _without_index(column: ColumnElement[str]) -> ColumnElement[str]:
    """The same value, which no index holds: so no planner has a choice that it would make without knowing the values."""
    return column.concat(literal_column("''"))


def _limited(query: Select[Any], limit: ColumnElement[Any]) -> Select[Any]:
    # SQLAlchemy would bind a value for an OFFSET that is not named.
    return query.limit(limit).offset(literal_column("0"))


def _up_to(number: int, query: Select[Any]) -> Select[Any]:
    return _limited(query, literal_column(str(number)))


def _conditions(filters: Sequence[str], leading: Sequence[str], engine: str) -> Iterator[ColumnElement[bool]]:
    """The conditions that fields of `SessionFilter` put on a session. An index may be used for those that are leading."""
    yield sessions.c.workspace_id == _workspace_id
    for name in filters:
        if name == "service_ids":
            yield _is_booked(engine, first=name in leading)
        else:
            column, compare = _COMPARED[name]
            yield compare(column if name in leading else _without_index(column), _value(name))


def _bookings(service_id: ColumnElement[str], engine: str) -> Select[Any]:
    return select(session_services.c.session_id).where(
        session_services.c.workspace_id == _workspace_id, _among(service_id, "service_ids", engine)
    )


def _is_booked(engine: str, *, first: bool) -> ColumnElement[bool]:
    if not first:
        each = _bookings(_without_index(session_services.c.service_id), engine)
        # The bound shows SQLite which index to take.
        each = each.where(session_services.c.session_id == sessions.c.id, session_services.c.position >= literal_column("0"))
        # OFFSET keeps PostgreSQL from listing all bookings nevertheless.
        return (each.offset(literal_column("0")) if engine == "postgresql" else each).exists()
    return _one_of(sessions.c.id, _bookings(session_services.c.service_id, engine), engine)


def _one_of(value: ColumnElement[str], query: Select[Any], engine: str) -> ColumnElement[bool]:
    """Whether a value is in a list that is made first, and only once, however long PostgreSQL takes it to be."""
    found = query.scalar_subquery()
    return value == any_(func.array(found)) if engine == "postgresql" else value.in_(found)


def _position(order: Order) -> list[str]:
    return [f"after_{column.name}" for column in order.columns]


class Shape(NamedTuple):
    """What decides the text of the list statement: all of a question but its values, and the way to answer it."""

    filters: tuple[str, ...]
    sort: str
    after: bool
    way: Way


def sessions_query(shape: Shape, engine: str) -> Select[Any]:
    """The query that lists sessions; its values are those of `sessions_values`."""
    leading, in_order = _plan(shape, engine)
    columns: tuple[ColumnElement[Any], ...] = ORDERS[shape.sort].columns
    if not in_order:
        columns = (_without_index(columns[0]), *columns[1:])
    if among := _AMONG.get(shape.way):  # all has been asked by then
        return _ordered(_shown.where(*_conditions((), (), engine), among(shape, engine)), columns, shape)
    conditions = [*_conditions(shape.filters, leading, engine)]
    if in_order and not shape.after and not {*leading}.intersection(shape.filters):
        # SQLite takes an index for a bound, and not for the order.
        conditions.append(columns[0] >= literal_column("''"))
    if shape.after:
        conditions.append(_behind(columns, shape))
    return _ordered(_shown.where(*conditions), columns, shape)


def _plan(shape: Shape, engine: str) -> tuple[Sequence[str], bool]:
    """The filters that an index is used for, and whether that index is in the order of the list."""
    # A client has few sessions, and a member of the staff not too many to look at each.
    one = next((name for name in _PEOPLE if name in shape.filters), None)
    match shape.way:
        case Way.BOOKED:
            return ("service_ids",), False
        case Way.BY_SERVICE | Way.NEARBY | Way.BY_STRETCH:
            return (), False
        case Way.CHANGED:
            return ("updated_since",), False
        case Way.ALONG if ORDERS[shape.sort].is_by_date:
            # One bound at each end: SQLite would take the wrong one of two.
            near, far = _ends(shape)
            # The index of the staff holds that too; SQLite reads it there without being told, and told takes the other.
            more = ("updated_since",) if one == "staff_id" and engine == "postgresql" else ()
            return (far if shape.after else near, far, one or "status", *more), True
        case Way.ALONG:
            return (one or "updated_since",), one is None


def _booked_along(shape: Shape, service: ColumnElement[str], status: ColumnElement[str]) -> Select[Any]:
    """Where the wanted sessions of one service and status stand in the order of dates, along the index of bookings.

    An index holds all that is asked, but the change where a member of the staff is asked for, too. A session may be booked
    twice for a service.
    """
    of = session_services.c
    columns = (of.date, of.start_time, of.session_id)
    conditions = [of.workspace_id == _workspace_id, of.service_id == service, of.status == status]
    near, _ = _ends(shape)
    for name in shape.filters:
        if name not in ("service_ids", "status"):
            column, compare = _COMPARED[name]
            held = of[column.name]
            # One bound at each end: SQLite would take the wrong one of two.
            conditions.append(compare(_without_index(held) if shape.after and name == near else held, _value(name)))
    if shape.after:
        conditions.append(_behind(columns, shape))
    return _ordered(select(*columns).distinct().where(*conditions), columns, shape)


def _is_among_booked(shape: Shape, engine: str) -> ColumnElement[bool]:
    """Whether a session is one of the first that are booked for any of the wanted services, with any of the statuses."""
    limit = bindparam("limit", type_=BigInteger)
    service, status = _each_of("service_ids", "service", engine), _each_of("statuses", "wanted_status", engine)
    each = _limited(_booked_along(shape, service.c.value, status.c.value), limit).correlate(service, status)

    def place(hit: FromClause) -> ColumnElement[str]:
        """Where a session stands, as one text that sorts alike: dates are of one length, and times."""
        return hit.c.date.concat(hit.c.start_time).concat(hit.c.session_id)

    if engine == "postgresql":
        hit: FromClause = each.lateral("hit")
        found = place(hit)
    else:  # which has no LATERAL; but what a function is given may depend on what stands before it
        places = select(func.json_group_array(place(each.subquery()))).correlate(service, status)
        hit = func.json_each(places.scalar_subquery()).table_valued("value", name="hit")
        found = hit.c.value
    first = select(func.substr(found, literal_column("30"))).select_from(service, status, hit).group_by(found)
    return _one_of(sessions.c.id, _limited(_ordered(first, [found], shape), limit), engine)


def _is_nearby(shape: Shape, engine: str) -> ColumnElement[bool]:
    """Whether a session is one of the first that were changed since the wanted moment, as far as some pages tell."""
    others = tuple(name for name in shape.filters if name != "updated_since")
    along = sessions_query(shape._replace(filters=others, way=Way.ALONG), engine)
    nearby: Select[Any] = along.with_only_columns(*ORDERS[shape.sort].columns, sessions.c.updated_at)
    first = _limited(nearby, bindparam("nearby", type_=BigInteger)).subquery("nearby").c
    changed = select(first.id).where(first.updated_at >= _value("updated_since"))
    changed = _ordered(changed, [first[column.name] for column in ORDERS[shape.sort].columns], shape)
    return _one_of(sessions.c.id, _limited(changed, bindparam("limit", type_=BigInteger)), engine)


def _is_among_changed(shape: Shape, engine: str) -> ColumnElement[bool]:
    """Whether a session is one of the first that were changed since the wanted moment.

    What was changed lately is mostly at one end of the calendar. Stretches without any are skipped by an index that holds
    all that is asked; of those in which there is enough, all that was changed is read there, and sorted.
    """
    limit = bindparam("limit", type_=BigInteger)
    booked = "service_ids" in shape.filters
    of = (session_services if booked else sessions).c
    id_ = of.session_id if booked else of.id
    columns = (_without_index(of.date), of.start_time, id_)
    changed = [of.workspace_id == _workspace_id, of.updated_at >= _value("updated_since")]
    for name in shape.filters:
        if name == "service_ids":
            changed.append(_among(of.service_id, name, engine))
        elif name != "updated_since":
            column, compare = _COMPARED[name]
            changed.append(compare(_without_index(of[column.name]), _value(name)))
    if shape.after:
        changed.append(_behind(columns, shape))
    stretch = stretch_of(of.date)

    def found_in(stretches: CTE) -> Select[Any]:
        # A session may be booked for several of the services.
        each = select(_without_index(id_)).distinct() if booked else select(id_)
        some = each.where(*changed, stretch == stretches.c.stretch).correlate(stretches)
        return select(func.count()).select_from(_limited(some, limit).subquery())

    stretches = _stretches(shape, engine, found_in)
    with_some = select(stretches.c.passed).where(stretches.c.found > stretches.c.found_before)
    first = _ordered(select(id_).where(*changed, _one_of(stretch, with_some, engine)), columns, shape)
    return _one_of(sessions.c.id, _limited(first.group_by(*columns) if booked else first, limit), engine)


_AMONG = {Way.BY_SERVICE: _is_among_booked, Way.NEARBY: _is_nearby, Way.BY_STRETCH: _is_among_changed}


def _behind(columns: Sequence[ColumnElement[Any]], shape: Shape) -> ColumnElement[bool]:
    order = ORDERS[shape.sort]
    here, there = tuple_(*columns), tuple_(*map(_value, _position(order)))
    return here < there if order.descending else here > there


def _ordered(query: Select[Any], columns: Sequence[ColumnElement[Any]], shape: Shape) -> Select[Any]:
    return query.order_by(*(column.desc() if ORDERS[shape.sort].descending else column for column in columns))


def _ends(shape: Shape) -> tuple[str, str]:
    """The filters that bound the dates where the list begins, and where it ends."""
    return ("date_to", "date_from") if ORDERS[shape.sort].descending else ("date_from", "date_to")


_PEOPLE = ("client_id", "staff_id")


def _stretches(shape: Shape, engine: str, found_in: Callable[[CTE], Select[Any]]) -> CTE:
    """Stretches of the calendar, in the order of the list, until enough has been found in those that were passed.

    `found_in` counts in the stretch of a row. The next row has that as `passed`, with what is `found` in it and before.
    """
    date, descending = sessions.c.date, ORDERS[shape.sort].descending
    near, far = _ends(shape)

    def next_stretch(behind: ColumnElement[bool]) -> Select[Any]:
        # One bound at each end: SQLite would take the wrong one of two.
        names = [name for name in shape.filters if name in (far, "status")]
        dates = select(stretch_of(date)).where(*_conditions(names, names, engine), behind)
        return _up_to(1, dates.order_by(date.desc() if descending else date))

    start: ColumnElement[Any] = literal_column("'~'" if descending else "''")
    if shape.after:
        start = _value("after_date")
    elif near in shape.filters:
        start = _value(near)
    first = next_stretch(date <= start if descending else date >= start)
    none = cast(literal_column("0"), BigInteger)
    nothing: ColumnElement[Any] = literal_column("NULL")
    if engine == "postgresql":  # SQLite has no use of the index of stretches for a column with a type
        nothing = cast(nothing, Text)
    stretches = select(
        first.scalar_subquery().label("stretch"),
        none.label("found"),
        nothing.label("passed"),
        none.label("found_before"),
    ).cte("stretches", recursive=True)
    # A stretch's own letters sort before all its moments, and with a Z behind them after.
    stretch = stretches.c.stretch
    behind = date < stretch if descending else date > stretch.concat(literal_column("'Z'"))
    return stretches.union_all(
        select(
            next_stretch(behind).correlate(stretches).scalar_subquery(),
            stretches.c.found + found_in(stretches).correlate(stretches).scalar_subquery(),
            stretch,
            stretches.c.found,
        ).where(stretch.is_not(None), stretches.c.found < bindparam("limit", type_=BigInteger))
    )


@lru_cache(maxsize=4096)  # 128 combinations of filters, 4 orders, with and without a position, few ways, on 2 engines
def sessions_statement(shape: Shape, engine: str) -> Statement:
    """The list statement of a shape, compiled once."""
    return compile_statement(sessions_query(shape, engine), engine)


def sessions_values(question: Question, engine: str, way: Way = Way.ALONG) -> tuple[Shape, dict[str, Any]]:
    """The shape of a question, and its values by name. That of `limit`, which some ways need, is not among them."""
    values: dict[str, Any] = {}
    wanted = question.wanted
    if wanted.client_id is not None:
        values["client_id"] = wanted.client_id
    if wanted.service_ids is not None:
        values["service_ids"] = list_of(wanted.service_ids, engine)
    if wanted.date_from is not None:
        values["date_from"] = _text_of(wanted.date_from)
    if wanted.date_to is not None:
        values["date_to"] = _text_of(wanted.date_to)
    if wanted.status is not None:
        values["status"] = wanted.status
    if wanted.staff_id is not None:
        values["staff_id"] = wanted.staff_id
    if wanted.updated_since is not None:
        values["updated_since"] = _text_of(wanted.updated_since)
    shape = Shape(tuple(values), question.sort, question.after is not None, way)
    values["statuses"] = list_of(STATUSES if wanted.status is None else (wanted.status,), engine)
    values["workspace_id"] = question.workspace_id
    if question.after is not None:
        values.update(zip(_position(ORDERS[question.sort]), question.after, strict=True))
    return shape, values


def _text_of(moment: int) -> str:
    """The text that a moment is compared by; one that no text can write sorts before or behind all that can be stored."""
    if moment < timestamps.FIRST:
        return ""
    return timestamps.write(moment) if moment <= timestamps.LAST else "~"


def ways_to(question: Question, *, page: bool) -> tuple[tuple[Way, ...], Way]:
    """The ways to take if what they begin with is few, which is worth asking, and the way to take otherwise."""
    wanted = question.wanted
    if wanted.client_id is not None:
        return (), Way.ALONG
    by_date = ORDERS[question.sort].is_by_date
    by_service = page and by_date and wanted.service_ids is not None
    if_few = []
    if wanted.service_ids is not None and not by_service:
        if_few.append(Way.BOOKED)
    if wanted.updated_since is not None and by_date:
        if_few.append(Way.CHANGED)
    # A whole list is not for BY_SERVICE nor BY_STRETCH, which would collect it.
    if page and Way.CHANGED in if_few and wanted.staff_id is None and not (by_service and wanted.status is not None):
        return tuple(if_few), Way.BY_STRETCH
    return tuple(if_few), Way.BY_SERVICE if by_service else Way.ALONG


@lru_cache
def few_statement(ways: tuple[Way, ...], engine: str) -> Statement:
    """The statement that asks which ways begin with few. It reads no more rows than it takes to say so."""
    rows = {
        Way.BOOKED: _bookings(session_services.c.service_id, engine),
        Way.CHANGED: select(sessions.c.id).where(*_conditions(["updated_since"], ["updated_since"], engine)),
    }
    counts = [select(func.count()).select_from(_up_to(_FEW[way] + 1, rows[way]).subquery()) for way in ways]
    few = (count.scalar_subquery() <= literal_column(str(_FEW[way])) for way, count in zip(ways, counts, strict=True))
    return compile_statement(select(*few), engine)


_NAMED: dict[str, Table] = {"clients": clients, "staff": staff, "services": services}


@lru_cache
def names_statement(engine: str) -> Statement:
    """The statement that asks what some clients, staff and services are called."""
    parts = [
        select(literal_column(f"'{kind}'"), table.c.id, table.c.name, _revision.scalar_subquery()).where(
            table.c.workspace_id == _workspace_id, _among(table.c.id, kind, engine)
        )
        for kind, table in _NAMED.items()
    ]
    return compile_statement(union_all(*parts), engine)


@lru_cache
def bookings_statement(engine: str) -> Statement:
    """The statement that asks what is booked in some sessions. For a page, it costs a fraction of a subquery for each."""
    return compile_statement(
        select(session_services.c.session_id, session_services.c.service_id, _revision.scalar_subquery())
        .where(
            session_services.c.workspace_id == _workspace_id, _among(session_services.c.session_id, "session_ids", engine)
        )
        .order_by(session_services.c.session_id, session_services.c.position),
        engine,
    )


@lru_cache
def revision_statement(engine: str) -> Statement:
    """The statement that asks for the revision of a workspace, and so whether there is one."""
    return compile_statement(_revision, engine)
