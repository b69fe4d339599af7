"""The import: what goes in comes out again, what cannot go in changes nothing, and what the closing line counts."""

import asyncio
import json
import tracemalloc
from collections.abc import Iterable
from decimal import Decimal
from io import BytesIO
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from db.demo import DOCUMENTED_SESSION
from db.engine import Database
from db.errors import DatabaseUnavailable
from db.imports import BadDocument, Document, ImportFailed, ImportRefused, ImportResult, import_documents
from db.imports.formats import Place
from openapi.json import encode
from tests.conftest import Databases
from tests.db.imports.reading import READER, document, lines, with_notes

WORKSPACE = DOCUMENTED_SESSION["workspaceId"]
TEMPORARY_TABLES = {
    "sqlite": "SELECT count(*) FROM sqlite_temp_master",
    "postgresql": "SELECT count(*) FROM pg_class WHERE relpersistence = 't'",
}
LARGE = [{"text": "x" * 4_300_000}]
"""Notes that fill a batch: documents that hold them are written one by one."""


def run(url: str, content: bytes, **options: Any) -> ImportResult:
    """Import the content of a file."""
    return run_documents(url, READER.read(BytesIO(content), "input"), **options)


def run_documents(url: str, documents: Iterable[Document | BadDocument], **options: Any) -> ImportResult:
    async def run() -> ImportResult:
        database = Database(url)
        try:
            return await import_documents(database, documents, **options)
        finally:
            await database.close()

    return asyncio.run(run())


def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    async def read() -> list[tuple[Any, ...]]:
        database = Database(url)
        try:
            async with database.acquire() as connection:
                return [tuple(row) for row in await connection.fetch(query, ())]
        finally:
            await database.close()

    return asyncio.run(read())


def stored(url: str, workspace_id: str = WORKSPACE) -> list[bytes]:
    """The documents of a workspace, by their ids."""
    rows = fetch(url, f"SELECT document FROM sessions WHERE workspace_id = '{workspace_id}' ORDER BY id")
    return [each.encode() if isinstance(each, str) else each for (each,) in rows]


def content_of(url: str) -> list[list[tuple[Any, ...]]]:
    """All that an import may change but the revisions."""
    queries = (
        "SELECT id FROM workspaces ORDER BY id",
        "SELECT workspace_id, id, document FROM sessions ORDER BY workspace_id, id",
        "SELECT workspace_id, service_id, date, start_time, session_id FROM session_services ORDER BY 1, 2, 3, 4, 5",
    )
    return [fetch(url, query) for query in queries]


def revisions(url: str) -> dict[str, int]:
    return dict(fetch(url, "SELECT id, revision FROM workspaces"))


def execute(url: str, *statements: str) -> None:
    """Change a database as another program would."""

    async def run() -> None:
        database = Database(url)
        async with database.transaction() as connection:
            for statement in statements:
                await connection.exec_driver_sql(statement)
        await database.close()

    asyncio.run(run())


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20) | st.sampled_from(
    [
        "1e400",
        "نور الدين \u200fابن\u200e \u202bخلدون\u202c",
        "👩🏽‍⚕️ 🏳️‍🌈",
        "\u2028\u2029\x7f\x1f",
        '"\\/\b\f\n\r\t',
        r"\u0000",
        "\ud7ff\ue000\U0010ffff",
    ]
)
ids = st.text("abcXYZ019_-", min_size=1, max_size=4)
numbers = st.one_of(
    st.integers().map(str),
    st.integers(-(10**40), 10**40).map(str),
    st.decimals(-(10**20), 10**20, allow_nan=False).map(lambda number: f"{number:f}"),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["1.10", "-0", "-0.0", "1E+5", "1e-400", str(2**53 + 1), str(2**63), str(2**64), "9" * 308]),
)


class Number(str):
    """A number in one spelling."""

    __slots__ = ()


def written(value: Any, chance: Random) -> str:
    """A JSON text of a value, with white space and escapes that need not be."""
    space = chance.choice(["", "", " ", "\n\t"])
    match value:
        case Number():
            return str(value)
        case str():
            return json.dumps(value, ensure_ascii=chance.random() < 0.5)
        case list():
            return f"[{','.join(space + written(item, chance) + space for item in value)}]"
        case dict():
            members = (f"{written(name, chance)}{space}:{space}{written(item, chance)}" for name, item in value.items())
            return f"{{{','.join(space + member + space for member in members)}}}"
    return json.dumps(value)


def compact(value: Any) -> str:
    """The canonical text of a value."""
    match value:
        case Number():
            return str(value)
        case str():
            return encode(value).decode()
        case list():
            return f"[{','.join(map(compact, value))}]"
        case dict():
            return f"{{{','.join(f'{compact(name)}:{compact(member)}' for name, member in value.items())}}}"
    return json.dumps(value)


def nested(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = [value]
    return value


values = st.recursive(
    st.none() | st.booleans() | numbers.map(Number) | texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4) | st.builds(nested, inner, st.just(30))
    ),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=4)
moments = st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z")
times = st.times().map(lambda time: f"{time:%H:%M}")


@st.composite
def sessions(draw: st.DrawFn) -> dict[str, Any]:
    services = draw(st.lists(ids, max_size=4))
    return {
        "id": draw(ids),
        "workspaceId": "hypothesis",
        "clientId": draw(ids),
        "clientName": draw(texts),
        "serviceIds": services,
        "serviceNames": [draw(texts) for _ in services],
        "staffId": draw(ids),
        "staffName": draw(texts),
        "name": draw(texts),
        "date": draw(moments),
        "startTime": draw(times),
        "endTime": draw(times),
        "durationMinutes": draw(st.integers(0, 525_600)),
        "status": draw(st.sampled_from(["scheduled", "in-progress", "completed", "cancelled"])),
        "fieldValues": draw(st.lists(objects, max_size=3)),
        "attachments": draw(st.lists(objects, max_size=3)),
        "notes": draw(st.lists(objects, max_size=3)),
        "invoice": draw(st.none() | objects),
        "createdAt": draw(moments),
        "updatedAt": draw(moments),
    }


@settings(max_examples=40)
@given(st.data())
def test_every_session_of_a_file_comes_out_as_the_document_that_went_in(oracle_url: str, data: st.DataObject) -> None:
    documents = data.draw(st.lists(sessions(), min_size=1, max_size=3, unique_by=lambda each: str(each["id"])))
    chance = Random(data.draw(st.integers()))  # noqa: S311 - for spellings
    shuffled = [dict(chance.sample(list(each.items()), len(each))) for each in documents]
    separator, before, after = data.draw(st.sampled_from([(" ", "", ""), (",", "[", "]"), (",\n", '{"sessions":[', "]}")]))
    content = before + separator.join(written(each, chance) for each in shuffled) + after
    result = run(oracle_url, content.encode(), replace=True)
    assert (result.read, result.rejected) == (len(documents), 0)
    documents.sort(key=lambda each: str(each["id"]))
    found = stored(oracle_url, "hypothesis")
    assert found == [compact(each).encode() for each in documents]
    # And said by another reader of JSON: the same values, number for number.
    given = json.loads(f"[{separator.replace(' ', ',').join(map(compact, documents))}]", parse_float=Decimal)
    assert [json.loads(each, parse_float=Decimal) for each in found] == given


def test_importing_again_finds_everything_unchanged_and_writes_nothing(database_url: str) -> None:
    content = with_notes('{"n":1.50,"ن":"☀️"}') + b"\n" + lines(document("2"))
    assert str(run(database_url, content)) == "read 2: 2 new, 0 changed, 0 unchanged, 0 rejected"
    before = revisions(database_url), content_of(database_url)
    assert str(run(database_url, content)) == "read 2: 0 new, 0 changed, 2 unchanged, 0 rejected"
    spaced = content.replace(b",", b" ,\t").replace("☀".encode(), rb"\u2600")
    assert str(run(database_url, spaced, replace=True)) == "read 2: 0 new, 0 changed, 2 unchanged, 0 rejected, 0 removed"
    assert (revisions(database_url), content_of(database_url)) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"clientId": "other"},
        {"durationMinutes": 91},
        {"serviceIds": [], "serviceNames": []},
        {"invoice": {}},
    ],
)
def test_a_session_that_differs_is_changed_to_its_document(database_url: str, changes: dict[str, Any]) -> None:
    run(database_url, lines(document("1"), document("2")))
    result = run(database_url, lines(document("1", **changes), document("2")))
    assert (result.new, result.changed, result.unchanged) == (0, 1, 1)
    assert stored(database_url) == [encode(document("1", **changes)), encode(document("2"))]


def test_a_number_that_is_spelled_otherwise_is_a_change(database_url: str) -> None:
    run(database_url, with_notes('{"n":1.1}'))
    assert run(database_url, with_notes('{"n":1.10}')).changed == 1
    assert stored(database_url) == [with_notes('{"n":1.10}')]


@pytest.mark.parametrize("notes", [[], LARGE], ids=["in one batch", "in a batch each"])
def test_of_several_documents_for_one_session_the_last_wins(database_url: str, notes: list[dict[str, Any]]) -> None:
    run(database_url, lines(document("stored", notes=notes), document("moved", notes=notes)))
    result = run(
        database_url,
        lines(
            document("stored", notes=notes),  # unchanged
            document("new", notes=notes),  # new
            document("new", notes=notes),  # unchanged
            document("new", notes=notes, serviceIds=["s"], serviceNames=["s"]),  # changed
            document("stored", notes=notes, name="c"),  # changed
            document("stored", notes=notes),  # changed back
            document("moved", notes=notes),  # unchanged
            document("moved", notes=notes, startTime="09:00"),  # changed
        ),
    )
    assert (result.read, result.new, result.changed, result.unchanged) == (8, 1, 4, 3)
    assert stored(database_url) == [
        encode(document("moved", notes=notes, startTime="09:00")),
        encode(document("new", notes=notes, serviceIds=["s"], serviceNames=["s"])),
        encode(document("stored", notes=notes)),
    ]


def test_each_document_keeps_its_own_names(database_url: str) -> None:
    documents = [
        document("1", clientName="A", serviceNames=["a", "b"]),
        document("2", clientName="B", serviceNames=["c", "d"]),
    ]
    run(database_url, lines(*documents))
    assert stored(database_url) == [*map(encode, documents)]


def test_the_same_id_in_two_workspaces_is_two_sessions(database_url: str) -> None:
    other = document("1", workspaceId="other")
    assert run(database_url, lines(document("1"), other)).new == 2
    assert stored(database_url) == [encode(document("1"))]
    assert stored(database_url, "other") == [encode(other)]


def test_the_closing_line_counts_what_was_dropped(database_url: str) -> None:
    documents = [document("1", __v=1), document("2", __v=0, _class="S"), document("3"), document("4", __v=0, status="x")]
    result = run(database_url, lines(*documents), rejected=lambda _: None)
    assert str(result) == "read 4: 3 new, 0 changed, 0 unchanged, 1 rejected; dropped 2 __v, 1 _class"


def test_a_bad_last_line_changes_nothing_and_is_reported(database_url: str) -> None:
    run(database_url, lines(document("1"), document("2")))
    before = content_of(database_url)
    bad = lines(document("1", name="changed"), document("3"), document("4", status="done"))
    with pytest.raises(ImportRefused) as refused:
        run(database_url, bad, replace=True)
    assert str(refused.value) == "input:3: status must be one of scheduled, in-progress, completed, cancelled, not 'done'"
    assert content_of(database_url) == before


@pytest.mark.parametrize(
    ("options", "told"), [({}, 20), ({"max_errors": 3}, 3), ({"max_errors": 0}, 0), ({"max_errors": 99}, 30)]
)
def test_a_refusal_tells_no_more_bad_documents_than_it_may(database_url: str, options: dict[str, int], told: int) -> None:
    with pytest.raises(ImportRefused) as refused:
        run(database_url, b"\n".join([b"5", lines(document("1"))] * 30), **options)
    told_lines = [f"input:{number}: must be an object, not a number" for number in range(1, 61, 2)][:told]
    assert refused.value.lines == [*told_lines, *([f"and {30 - told} more"] if told < 30 else [])]


def test_bad_documents_can_be_set_aside_and_the_others_are_imported(database_url: str) -> None:
    aside: list[BadDocument] = []
    bad = [b"{", encode(document("2", status="done")), b"\xff"]
    content = b"\n".join([bad[0], lines(document("1")), bad[1], bad[2], lines(document("3"))])
    assert str(run(database_url, content, rejected=aside.append)) == "read 5: 2 new, 0 changed, 0 unchanged, 3 rejected"
    assert [(str(each.place), each.text) for each in aside] == [
        ("input:1", bad[0]),
        ("input:3", bad[1]),
        ("input:4", bad[2]),
    ]
    assert stored(database_url) == [encode(document("1")), encode(document("3"))]


def test_what_cannot_be_set_aside_refuses_the_import(database_url: str) -> None:
    with pytest.raises(ImportRefused, match=r"input:1: the array must go on with a comma or end with \] here"):
        run(database_url, b"[" + lines(document("1")), rejected=lambda _: None)
    assert stored(database_url) == []


def test_a_failure_to_set_aside_is_not_blamed_on_the_database(database_url: str) -> None:
    def fail(_: BadDocument) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(ImportFailed, match=r"input:2 could not be saved: .*No space left on device"):
        run(database_url, b"\n".join([lines(document("1")), b"{}"]), rejected=fail)
    assert stored(database_url) == []


def test_a_document_that_the_database_refuses_fails_the_import_and_says_where(database_url: str) -> None:
    (whole,) = READER.read(BytesIO(lines(document("1"))), "input")
    assert isinstance(whole, Document)
    broken = whole._replace(place=Place("input", 2), id="2")  # which is not the id in its document
    with pytest.raises(ImportFailed, match=r"documents from input:1 to input:2: .*(?i:check constraint)"):
        run_documents(database_url, [whole, broken])
    assert stored(database_url) == []


def test_a_connection_that_is_lost_is_a_database_that_does_not_answer(postgresql_databases: Databases) -> None:
    url = postgresql_databases.migrated()
    execute(
        url,
        "CREATE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
        "CREATE TRIGGER hang_up AFTER INSERT ON sessions EXECUTE FUNCTION hang_up()",
    )
    with pytest.raises(DatabaseUnavailable, match=r"terminating connection|closed"):
        run(url, lines(document("1")))
    assert stored(url) == []


def test_two_imports_at_once_come_one_after_the_other(database_url: str) -> None:
    documents = list(READER.read(BytesIO(lines(*(document(str(number), notes=LARGE) for number in range(3)))), "input"))

    async def run() -> list[ImportResult]:
        databases = [Database(database_url) for _ in range(2)]
        results = await asyncio.gather(*(import_documents(database, documents) for database in databases))
        for database in databases:
            await database.close()
        return results

    assert sorted((result.new, result.unchanged) for result in asyncio.run(run())) == [(0, 3), (3, 0)]


def test_a_changed_session_that_another_program_removes_meanwhile_is_written_anew(postgresql_databases: Databases) -> None:
    url = postgresql_databases.migrated()
    run(url, lines(document("1"), document("2")))
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid"

    async def remove_while_importing() -> ImportResult:
        database, other = Database(url), Database(url)
        changed = READER.read(BytesIO(lines(document("1", name="changed"), document("2"))), "input")
        async with other.transaction() as connection:
            await connection.exec_driver_sql("DELETE FROM sessions WHERE id = '1'")
            importing = asyncio.create_task(import_documents(database, changed))
            while not (await connection.exec_driver_sql(waiting)).first():
                assert not importing.done()
                await asyncio.sleep(0)
        result = await importing
        await database.close()
        await other.close()
        return result

    assert asyncio.run(remove_while_importing()).changed == 1
    assert stored(url) == [encode(document("1", name="changed")), encode(document("2"))]


def test_reading_goes_on_during_an_import_and_sees_nothing_of_it_or_all(database_url: str) -> None:
    documents = list(READER.read(BytesIO(lines(*(document(str(number), notes=LARGE) for number in range(4)))), "input"))

    async def count(database: Database) -> int:
        async with database.acquire() as connection:
            ((found,),) = await connection.fetch("SELECT count(*) FROM sessions", ())
            return int(found)

    async def read_and_write() -> list[int]:
        database = Database(database_url)
        task = asyncio.create_task(import_documents(database, documents))
        seen = [await count(database)]
        while not task.done():
            seen.append(await count(database))
            await asyncio.sleep(0)  # SQLite may be read without a pause
        seen.append(await count(database))
        await task
        await database.close()
        return seen

    seen = asyncio.run(read_and_write())
    assert seen == sorted(seen)
    assert set(seen) == {0, 4}
    assert len(seen) > 3


def test_replacing_makes_a_workspace_exactly_the_input(database_url: str) -> None:
    other = document("1", workspaceId="other")
    run(database_url, lines(document("1"), document("2"), document("3", serviceIds=["gone"], serviceNames=["Gone"]), other))
    content = lines(document("1"), document("2", name="changed"), document("4"))
    assert str(run(database_url, content, replace=True)) == "read 3: 1 new, 1 changed, 1 unchanged, 0 rejected, 1 removed"
    assert stored(database_url) == content.split(b"\n")
    assert stored(database_url, "other") == [encode(other)]
    assert fetch(database_url, "SELECT session_id FROM session_services WHERE service_id = 'gone'") == []


def test_replacing_by_nothing_removes_nothing(database_url: str) -> None:
    run(database_url, lines(document("1")))
    assert str(run(database_url, b"[]", replace=True)) == "read 0: 0 new, 0 changed, 0 unchanged, 0 rejected, 0 removed"
    assert stored(database_url) == [encode(document("1"))]


def test_replacing_keeps_the_stored_session_of_a_rejected_document(database_url: str) -> None:
    run(database_url, lines(document("1"), document("2"), document("3")))
    content = lines(document("1", name="changed"), document("2", status="done"))
    result = run(database_url, content, replace=True, rejected=lambda _: None)
    assert str(result) == "read 2: 0 new, 1 changed, 0 unchanged, 1 rejected, 1 removed"
    assert stored(database_url) == [encode(document("1", name="changed")), encode(document("2"))]


def test_replacing_removes_nothing_when_a_rejected_document_does_not_say_which_session_it_is(database_url: str) -> None:
    run(database_url, lines(document("1"), document("2")))
    content = lines(document("1", name="changed")) + b"\n{"
    result = run(database_url, content, replace=True, rejected=lambda _: None)
    assert str(result) == (
        "read 2: 0 new, 1 changed, 0 unchanged, 1 rejected,"
        " 0 removed (since a rejected document does not say which session it is)"
    )
    assert stored(database_url) == [encode(document("1", name="changed")), encode(document("2"))]


def test_a_workspace_that_only_rejected_documents_name_is_not_replaced(database_url: str) -> None:
    other = [document("1", workspaceId="other"), document("2", workspaceId="other")]
    run(database_url, lines(*other))
    content = lines(document("1"), document("1", workspaceId="other", status="done"))
    result = run(database_url, content, replace=True, rejected=lambda _: None)
    assert (result.removed, result.withheld) == (0, False)
    assert stored(database_url, "other") == [*map(encode, other)]


def test_no_temporary_table_outlives_an_import(database_url: str) -> None:
    def interrupted() -> Iterable[Document | BadDocument]:
        yield from READER.read(BytesIO(lines(document("1"))), "input")
        raise KeyError("the source failed")

    async def run() -> None:
        database = Database(database_url)

        async def left() -> int:
            async with database.transaction() as connection:
                return int((await connection.execute(text(TEMPORARY_TABLES[connection.dialect.name]))).scalar_one())

        with pytest.raises(ImportRefused):
            await import_documents(database, READER.read(BytesIO(b"{}"), "input"))
        assert await left() == 0
        with pytest.raises(KeyError):
            await import_documents(database, interrupted())
        assert await left() == 0
        for _ in range(2):
            await import_documents(database, READER.read(BytesIO(lines(document("1"))), "input"), replace=True)
            assert await left() == 0
        await database.close()

    asyncio.run(run())


def test_many_workspaces_and_more_documents_than_fill_a_batch(database_url: str) -> None:
    content = lines(*(document(str(number), workspaceId=f"w{number % 600}") for number in range(6_000)))
    assert run(database_url, content).new == 6_000
    assert run(database_url, content).unchanged == 6_000
    result = run(database_url, b"\n".join(content.split(b"\n")[:300]), replace=True)
    assert (result.unchanged, result.removed) == (300, 2_700)


def test_no_table_is_read_from_end_to_end_however_small_it_was(postgresql_databases: Databases) -> None:
    url = postgresql_databases.migrated()
    run(url, lines(document("s1")))
    query = (
        "SELECT relname, seq_scan FROM pg_stat_user_tables"
        " WHERE relname IN ('workspaces', 'sessions', 'session_services') ORDER BY relname"
    )
    execute(url, "SELECT pg_stat_force_next_flush()")
    before = fetch(url, query)
    # The first ones are written one by one, so that all is planned while the tables are tiny.
    run(
        url, lines(*(document(f"large{number}", notes=LARGE) for number in range(7)), *(document(f"s{n}") for n in range(9)))
    )
    execute(url, "SELECT pg_stat_force_next_flush()")
    assert fetch(url, query) == before


def test_memory_does_not_grow_with_the_input(database_url: str) -> None:
    def documents() -> Iterable[Document | BadDocument]:
        for number in range(600):
            yield from READER.read(BytesIO(lines(document(str(number), notes=[{"text": "x" * 100_000}]))), "input")

    tracemalloc.start()
    try:
        assert run_documents(database_url, documents()).new == 600
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40_000_000


def test_memory_does_not_grow_with_what_was_stored_before(database_url: str) -> None:
    large = [{"text": "x" * 1_000_000}]
    run_documents(database_url, READER.read(BytesIO(lines(*(document(str(n), notes=large) for n in range(30)))), "input"))
    small = list(READER.read(BytesIO(lines(*(document(str(n)) for n in range(30)))), "input"))
    tracemalloc.start()
    try:
        assert run_documents(database_url, small).changed == 30
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
