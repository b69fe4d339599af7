"""The import: what goes in comes out again, what cannot go in changes nothing, and what the closing line counts."""

import asyncio
import json
import tracemalloc
from collections.abc import Callable, Iterable
from decimal import Decimal
from io import BytesIO
from typing import Any

import asyncpg
import msgspec
import pytest
from db.questions import Question
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, text

from db.demo import DOCUMENTED_SESSION
from db.documents import DEPTH, BadDocument, Document, DocumentReader
from db.engine import Database
from db.errors import DatabaseUnavailable
from db.importing import ImportFailed, ImportRefused, ImportResult, import_documents
from db.sessions import Sessions
from openapi.json import encode
from tests.conftest import SCHEMAS, Databases

READER = DocumentReader(SCHEMAS)
WORKSPACE = DOCUMENTED_SESSION["workspaceId"]
TABLES = ("workspaces", "clients", "staff", "services", "sessions", "session_services")
TEMPORARY_TABLES = {
    "sqlite": "SELECT count(*) FROM sqlite_temp_master",
    "postgresql": "SELECT count(*) FROM pg_class WHERE relpersistence = 't'",
}
LARGE = [{"text": "x" * 9_000_000}]
"""Notes that fill a batch: documents that hold them are written one by one."""

write = msgspec.json.Encoder(decimal_format="number").encode


def document(id_: str, **changes: Any) -> dict[str, Any]:
    return DOCUMENTED_SESSION | {"id": id_} | changes


def lines(*documents: dict[str, Any]) -> bytes:
    return b"\n".join(map(write, documents))


def run(
    url: str,
    content: bytes,
    *,
    replace: bool = False,
    rejected: Callable[[BadDocument], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImportResult:
    """Import the content of a file."""
    return run_documents(url, READER.read(BytesIO(content), "input"), replace=replace, rejected=rejected, progress=progress)


def run_documents(url: str, documents: Iterable[Document | BadDocument], **options: Any) -> ImportResult:
    async def run() -> ImportResult:
        database = Database(url, read_only=False)
        try:
            return await import_documents(database, documents, **options)
        finally:
            await database.close()

    return asyncio.run(run())


def listed(url: str, workspace_id: str = WORKSPACE) -> list[dict[str, Any]]:
    """What the API answers, by the bytes."""

    async def read() -> bytes:
        database = Database(url, read_only=True)
        try:
            async with Sessions(database).of(workspace_id) as held:
                return encode(*(await held.page(Question(workspace_id), 100_000)).listed)
        finally:
            await database.close()

    documents: list[dict[str, Any]] = json.loads(asyncio.run(read()), parse_float=Decimal)
    return documents


def _all_of(table: str) -> str:
    # Of a workspace, the revision says when it was changed, and not what it holds.
    return "SELECT id FROM workspaces" if table == "workspaces" else f"SELECT * FROM {table}"


def content_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""

    async def read() -> dict[str, list[tuple[Any, ...]]]:
        database = Database(url, read_only=True)
        async with database.connect() as connection:
            rows = {
                table: sorted((tuple(row) for row in await connection.execute(text(_all_of(table)))), key=repr)
                for table in TABLES
            }
        await database.close()
        return rows

    return asyncio.run(read())


def execute(url: str, *statements: str) -> None:
    """Change a database as another program would."""

    async def run() -> None:
        database = Database(url, read_only=False)
        async with database.transaction() as connection:
            for statement in statements:
                await connection.execute(text(statement))
        await database.close()

    asyncio.run(run())


def forbid_writing(url: str) -> None:
    """Let every write fail from now on."""
    if url.startswith("sqlite"):
        fail = "BEGIN SELECT RAISE(ABORT, 'written'); END"
    else:
        execute(
            url,
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'written'; END $$",
        )
        fail = "FOR EACH ROW EXECUTE FUNCTION fail()"
    execute(
        url,
        *(
            f"CREATE TRIGGER {table}_{event} AFTER {event} ON {table} {fail}"
            for table in TABLES
            for event in ("INSERT", "UPDATE", "DELETE")
        ),
    )


def client_name(url: str) -> str:
    (name,) = {each["clientName"] for each in listed(url)}
    assert isinstance(name, str)
    return name


def test_what_goes_in_comes_out_again(database_url: str) -> None:
    documents = [
        document(
            "1-arabic",
            clientName="نور الدين \u200fابن\u200e خلدون",
            notes=[{"ملاحظة": "حضر المريض مبكرًا \u202bمن اليمين\u202c"}],
        ),
        document("2-emoji", name="👩🏽‍⚕️ visit 🏳️‍🌈", fieldValues=[{"👍": ["☀️", "\U0010ffff", "\u2028\u2029"]}]),
        document("3-empty", fieldValues=[{}], attachments=[{"": ""}], notes=[{"a": [], "b": {}, "c": None}], invoice={}),
        document("4-large", fieldValues=[{"n": list(range(150_000))}, {"text": 'ل"\\\n\t' * 100_000}]),
        document("5-nested", invoice=json.loads('{"a":' * (DEPTH - 2) + "{}" + "}" * (DEPTH - 2))),
        document(
            "6-numbers",
            invoice={
                "long": 123456789012345678901234567890,
                "longer": -(10**300) + 1,
                "beyond 2^53": [9007199254740993, 18446744073709551616],
                "price": Decimal("1.10"),
                "digits": Decimal("0.12345678901234567890123456789012345678901234567890"),
                "small": Decimal("1E-400"),
                "big": Decimal("1.7976931348623157E+308"),
                "true": [True, False, 0, 1, Decimal("1.0")],
            },
        ),
        document("7-none", serviceIds=[], serviceNames=[], name="", durationMinutes=0),
        document(
            "8-many",
            serviceIds=[f"s{number % 700}" for number in range(1000)],
            serviceNames=[f"n{number % 700}" for number in range(1000)],
        ),
    ]
    for each in documents:
        each["clientName"] = documents[0]["clientName"]
    content = lines(*documents)
    assert len(write(documents[3]["fieldValues"])) > 1_000_000
    assert str(run(database_url, content)) == "read 8: 8 new, 0 changed, 0 unchanged, 0 rejected"
    assert listed(database_url) == [json.loads(line, parse_float=Decimal) for line in content.splitlines()]
    assert write(listed(database_url)[5]) == write(documents[5])


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
ids = st.text("abcXYZ019_-", min_size=1, max_size=4)
numbers = st.integers() | st.integers(-(10**40), 10**40) | st.decimals(-(10**20), 10**20, allow_nan=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=4)
moments = st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z")
times = st.times().map(lambda time: f"{time:%H:%M}")
sessions = st.fixed_dictionaries(
    {
        "id": ids,
        "workspaceId": st.just("hypothesis"),
        "clientId": ids,
        "clientName": texts,
        "serviceIds": st.lists(ids, max_size=4),
        "serviceNames": st.just([]),
        "staffId": ids,
        "staffName": texts,
        "name": texts,
        "date": moments,
        "startTime": times,
        "endTime": times,
        "durationMinutes": st.integers(0, 525_600),
        "status": st.sampled_from(["scheduled", "in-progress", "completed", "cancelled"]),
        "fieldValues": st.lists(objects, max_size=3),
        "attachments": st.lists(objects, max_size=3),
        "notes": st.lists(objects, max_size=3),
        "invoice": st.none() | objects,
        "createdAt": moments,
        "updatedAt": moments,
    }
)


@settings(max_examples=50)
@given(st.lists(sessions, min_size=1, max_size=3, unique_by=lambda each: each["id"]), st.sampled_from([0, 1, 2]))
def test_whatever_fits_the_contract_comes_out_as_it_went_in(
    oracle_url: str, documents: list[dict[str, Any]], shape: int
) -> None:
    clients: dict[str, str] = {}
    staff: dict[str, str] = {}
    for each in documents:  # one name for one id, as the owner of the data would have it
        each["clientName"] = clients.setdefault(each["clientId"], each["clientName"])
        each["staffName"] = staff.setdefault(each["staffId"], each["staffName"])
        each["serviceNames"] = [f"service {service_id}" for service_id in each["serviceIds"]]
    content = (lines(*documents), write(documents), write({"sessions": documents}))[shape]
    result = run(oracle_url, content, replace=True)
    assert (result.read, result.rejected, result.disagreements) == (len(documents), 0, 0)
    expected = json.loads(write(documents), parse_float=Decimal)
    assert listed(oracle_url, "hypothesis") == sorted(
        expected, key=lambda each: (each["date"], each["startTime"], each["id"])
    )


def test_importing_again_finds_everything_unchanged_and_writes_nothing(database_url: str) -> None:
    documents = [document(str(number), notes=[{"n": Decimal("1.50"), "ن": "☀️"}]) for number in range(3)]
    run(database_url, lines(*documents))
    forbid_writing(database_url)
    assert str(run(database_url, lines(*documents))) == "read 3: 0 new, 0 changed, 3 unchanged, 0 rejected"
    # Space and escapes make no difference, for the values are the same.
    spaced = json.dumps([json.loads(write(each)) for each in documents], indent=1).replace("1.5", "1.50").encode()
    assert run(database_url, spaced, replace=True).unchanged == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"}, {"clientId": "other"}, {"staffId": "other"}, {"status": "cancelled"}, {"durationMinutes": 91},
        {"invoice": {}}, {"notes": [{"n": 1}]}, {"updatedAt": "2024-01-15T10:00:00.001Z"},
        {"serviceIds": list(reversed(DOCUMENTED_SESSION["serviceIds"])),
         "serviceNames": list(reversed(DOCUMENTED_SESSION["serviceNames"]))},
        {"serviceIds": [], "serviceNames": []},
        {"serviceIds": ["a", "a", "a"], "serviceNames": ["n", "n", "n"]},
    ],
)  # fmt: skip
def test_a_session_that_differs_is_changed_to_its_document(database_url: str, changes: dict[str, Any]) -> None:
    run(database_url, lines(document("1"), document("2")))
    result = run(database_url, lines(document("1", **changes), document("2")))
    assert (result.new, result.changed, result.unchanged) == (0, 1, 1)
    assert listed(database_url) == [document("1", **changes), document("2")]


@pytest.mark.parametrize("notes", [[], LARGE], ids=["in one batch", "in a batch each"])
def test_each_document_counts_against_what_stands_when_it_comes_and_the_later_wins(
    database_url: str, notes: list[dict[str, Any]]
) -> None:
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
    assert listed(database_url) == [
        document("moved", notes=notes, startTime="09:00"),
        document("new", notes=notes, serviceIds=["s"], serviceNames=["s"]),
        document("stored", notes=notes),
    ]


def test_the_same_id_in_two_workspaces_is_two_sessions(database_url: str) -> None:
    result = run(database_url, lines(document("1"), document("1", workspaceId="other", clientName="Somebody else")))
    assert (result.new, result.workspaces, result.disagreements) == (2, 2, 0)
    assert listed(database_url) == [document("1")]
    assert listed(database_url, "other") == [document("1", workspaceId="other", clientName="Somebody else")]


def test_a_bad_last_line_changes_nothing_and_is_reported(database_url: str) -> None:
    run(database_url, lines(document("1"), document("2")))
    before = content_of(database_url)
    bad = lines(document("1", name="changed"), document("3", clientName="New"), document("4", status="done"))
    with pytest.raises(ImportRefused) as refused:
        run(database_url, bad, replace=True)
    assert str(refused.value) == ("input:3: status must be one of scheduled, in-progress, completed, cancelled, not 'done'")
    assert content_of(database_url) == before


def test_a_refusal_names_twenty_problems_and_counts_the_rest(database_url: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        run(database_url, b"\n".join([b"{}", *[lines(document("1"))] * 5] * 30))
    assert refused.value.count == 30
    assert [problem.line for problem in refused.value.problems] == list(range(1, 121, 6))
    assert str(refused.value).endswith("\nand 10 more")


def test_bad_documents_can_be_set_aside_and_the_others_are_imported(database_url: str) -> None:
    aside: list[BadDocument] = []
    bad = [b"{", write(document("2", status="done")), b"\xff"]
    content = b"\n".join([bad[0], lines(document("1")), bad[1], bad[2], lines(document("3"))])
    result = run(database_url, content, rejected=aside.append)
    assert str(result) == "read 5: 2 new, 0 changed, 0 unchanged, 3 rejected"
    assert [(each.line, each.text) for each in aside] == [(1, bad[0]), (3, bad[1]), (4, bad[2])]
    assert listed(database_url) == [document("1"), document("3")]


def test_what_cannot_be_set_aside_refuses_the_import(database_url: str) -> None:
    before = content_of(database_url)
    with pytest.raises(ImportRefused, match=r"input:1: the array must go on with a comma or end with \] here"):
        run(database_url, b"[" + lines(document("1")), rejected=lambda _: None)
    assert content_of(database_url) == before


def test_a_failure_to_set_aside_is_not_blamed_on_the_database(database_url: str) -> None:
    def fail(_: BadDocument) -> None:
        raise OSError(28, "No space left on device")

    before = content_of(database_url)
    with pytest.raises(ImportFailed, match=r"input:2 could not be set aside: .*No space left on device"):
        run(database_url, b"\n".join([lines(document("1")), b"{}"]), rejected=fail)
    assert content_of(database_url) == before


def test_a_row_that_the_database_refuses_fails_the_import_and_says_where(database_url: str) -> None:
    run(database_url, lines(document("1")))
    before = content_of(database_url)
    (whole,) = READER.read(BytesIO(lines(document("2"))), "input")
    assert isinstance(whole, Document)
    broken = whole._replace(line=2, fields=whole.fields | {"id": "3", "durationMinutes": -1})
    with pytest.raises(ImportFailed, match=r"documents from input:1 to input:2: .*(?i:check constraint)"):
        run_documents(database_url, [whole, broken])
    assert content_of(database_url) == before


HANGS_UP = (
    "CREATE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql"
    " AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
)
"""A connection that fires the trigger is lost."""


def test_a_connection_that_is_lost_while_rows_go_in_is_a_database_that_does_not_answer(
    postgresql_databases: Databases,
) -> None:
    url = postgresql_databases.migrated()
    execute(
        url,
        HANGS_UP,
        "CREATE TRIGGER hang_up AFTER INSERT ON sessions EXECUTE FUNCTION hang_up()",
    )
    before = content_of(url)
    with pytest.raises(DatabaseUnavailable, match="terminating connection"):
        run(url, lines(document("1")))
    assert content_of(url) == before


def test_two_imports_at_once_come_one_after_the_other(database_url: str) -> None:
    documents = list(READER.read(BytesIO(lines(*(document(str(number), notes=LARGE) for number in range(3)))), "input"))

    async def run() -> list[ImportResult]:
        databases = [Database(database_url, read_only=False) for _ in range(2)]
        results = await asyncio.gather(*(import_documents(database, documents) for database in databases))
        for database in databases:
            await database.close()
        return results

    results = asyncio.run(run())
    assert sorted((result.new, result.unchanged) for result in results) == [(0, 3), (3, 0)]


OLDER, NEWER, NEWEST = (f"2024-01-1{day}T00:00:00.000Z" for day in (1, 2, 3))


@pytest.mark.parametrize("notes", [[], LARGE], ids=["in one batch", "in a batch each"])
@pytest.mark.parametrize(
    ("given_names", "standing", "disagreements"),
    [
        ([("A", OLDER), ("A", NEWER)], "A", 0),
        ([("A", OLDER), ("B", NEWER)], "B", 1),
        ([("B", NEWER), ("A", OLDER)], "B", 1),
        ([("A", NEWER), ("B", NEWER)], "B", 1),
        ([("A", OLDER), ("B", NEWEST), ("C", NEWER)], "B", 1),
        ([("A", NEWER), ("B", OLDER), ("A", NEWER)], "A", 1),
        ([("A", OLDER), ("B", NEWER), ("B", NEWEST)], "B", 1),
        ([("A", OLDER), ("A", NEWEST), ("B", NEWER)], "A", 1),
    ],
)
def test_of_names_that_disagree_the_newest_stands_and_of_equals_the_later(
    database_url: str,
    notes: list[dict[str, Any]],
    given_names: list[tuple[str, str]],
    standing: str,
    disagreements: int,
) -> None:
    documents = [
        document(str(number), clientName=name, updatedAt=updated_at, notes=notes)
        for number, (name, updated_at) in enumerate(given_names)
    ]
    assert run(database_url, lines(*documents)).disagreements == disagreements
    assert client_name(database_url) == standing


@pytest.mark.parametrize(
    ("stored", "imported", "standing", "disagreements"),
    [
        (("A", OLDER), ("B", NEWER), "B", 1),
        (("A", NEWER), ("B", OLDER), "A", 1),
        (("A", NEWER), ("B", NEWER), "B", 1),
        (("A", OLDER), ("A", NEWER), "A", 0),
    ],
)
def test_a_stored_name_takes_part_as_if_it_had_come_first(
    database_url: str, stored: tuple[str, str], imported: tuple[str, str], standing: str, disagreements: int
) -> None:
    run(database_url, lines(document("1", clientName=stored[0], updatedAt=stored[1])))
    result = run(database_url, lines(document("2", clientName=imported[0], updatedAt=imported[1])))
    assert result.disagreements == disagreements
    assert client_name(database_url) == standing


@pytest.mark.parametrize("replace", [False, True])
def test_a_name_stands_as_well_when_more_names_came_between_than_memory_keeps(database_url: str, *, replace: bool) -> None:
    run(database_url, lines(document("1", clientName="Stored", updatedAt=NEWEST if replace else OLDER)))
    crowd = [
        document(f"crowd-{each}", serviceIds=ids, serviceNames=ids, clientId="crowd", clientName="Crowd")
        for each in range(21)
        for ids in [[f"s{each}-{number}" for number in range(1000)]]
    ]
    content = lines(
        *crowd,
        document("1", clientName="A", updatedAt=OLDER, notes=LARGE),
        document("2", clientName="B", updatedAt=NEWER, notes=LARGE),
        *crowd,
        document("3", clientName="B", updatedAt=OLDER, notes=LARGE),
        document("4", clientName="C", updatedAt=OLDER),
    )
    assert run(database_url, content, replace=replace).disagreements == 1
    assert {each["clientName"] for each in listed(database_url) if each["clientId"] != "crowd"} == {"B"}


def test_a_name_keeps_the_moment_it_was_last_confirmed(database_url: str) -> None:
    run(database_url, lines(document("1", clientName="A", updatedAt=OLDER)))
    run(database_url, lines(document("2", clientName="A", updatedAt=NEWEST)))
    run(database_url, lines(document("3", clientName="B", updatedAt=NEWER)))
    assert client_name(database_url) == "A"


def test_a_service_that_is_named_twice_in_one_document_has_the_later_name(database_url: str) -> None:
    result = run(database_url, lines(document("1", serviceIds=["s", "t", "s"], serviceNames=["A", "T", "B"])))
    assert result.disagreements == 1
    assert listed(database_url)[0]["serviceNames"] == ["B", "T", "B"]


def test_each_client_service_and_staff_member_disagrees_once(database_url: str) -> None:
    same_ids: dict[str, Any] = {"clientId": "x", "staffId": "x", "serviceIds": ["x", "y"]}
    content = lines(
        document("1", **same_ids, clientName="A", staffName="A", serviceNames=["A", "A"], updatedAt=OLDER),
        document("2", **same_ids, clientName="B", staffName="B", serviceNames=["B", "A"], updatedAt=NEWEST),
        document("3", **same_ids, clientName="C", staffName="C", serviceNames=["C", "A"], updatedAt=NEWER),
    )
    result = run(database_url, content)
    assert str(result) == ("read 3: 3 new, 0 changed, 0 unchanged, 0 rejected; 3 names disagreed (the newest updatedAt won)")
    names = {(each["clientName"], each["staffName"], *each["serviceNames"]) for each in listed(database_url)}
    assert names == {("B", "B", "B", "A")}


def test_a_superseded_document_and_an_unchanged_one_still_give_names(database_url: str) -> None:
    run(database_url, lines(document("1", clientName="A", updatedAt=NEWER)))
    run(database_url, lines(document("1", clientName="B", updatedAt=NEWEST), document("1", clientName="A", updatedAt=NEWER)))
    assert client_name(database_url) == "B"
    assert listed(database_url)[0]["updatedAt"] == NEWER


def test_replacing_makes_a_workspace_what_a_first_import_makes_it(databases: Databases, database_url: str) -> None:
    run(
        database_url,
        lines(
            document("1"),
            document("2", clientName="Renamed", updatedAt="2030-01-01T00:00:00.000Z"),
            document("3", clientId="gone", staffId="gone", serviceIds=["gone"], serviceNames=["Gone"]),
        ),
    )
    content = lines(document("1"), document("2", name="changed"), document("4", clientId="new", clientName="New"))
    result = run(database_url, content, replace=True)
    assert str(result) == "read 3: 1 new, 1 changed, 1 unchanged, 0 rejected, 1 removed"
    fresh = databases.migrated()
    run(fresh, content)
    assert content_of(database_url) == content_of(fresh)


@pytest.mark.parametrize("notes", [[], LARGE], ids=["in one batch", "in a batch each"])
def test_replacing_lets_the_newest_name_of_the_input_stand_over_a_newer_stored_one(
    database_url: str, notes: list[dict[str, Any]]
) -> None:
    run(database_url, lines(document("1", clientName="Stored", updatedAt="2030-01-01T00:00:00.000Z")))
    content = lines(
        document("1", clientName="A", updatedAt=OLDER, notes=notes),
        document("2", clientName="B", updatedAt=NEWER, notes=notes),
        document("3", clientName="A", updatedAt=OLDER, notes=notes),
    )
    assert run(database_url, content, replace=True).disagreements == 1
    assert client_name(database_url) == "B"


def test_replacing_leaves_other_workspaces_alone(database_url: str) -> None:
    other = document("1", workspaceId="other", clientName="Somebody else")
    run(database_url, lines(document("1"), document("2"), other))
    assert run(database_url, lines(document("3")), replace=True).removed == 2
    assert listed(database_url) == [document("3")]
    assert listed(database_url, "other") == [other]


def test_replacing_by_nothing_removes_nothing(database_url: str) -> None:
    run(database_url, lines(document("1")))
    assert str(run(database_url, b"[]", replace=True)) == "read 0: 0 new, 0 changed, 0 unchanged, 0 rejected, 0 removed"
    assert listed(database_url) == [document("1")]


def test_replacing_keeps_the_stored_session_of_a_rejected_document(database_url: str) -> None:
    before = [document("1"), document("2", clientId="x", clientName="X"), document("3")]
    run(database_url, lines(*before))
    content = lines(document("1", name="changed"), document("2", status="done"))
    result = run(database_url, content, replace=True, rejected=lambda _: None)
    assert str(result) == "read 2: 0 new, 1 changed, 0 unchanged, 1 rejected, 1 removed"
    assert listed(database_url) == [document("1", name="changed"), before[1]]


def test_replacing_removes_nothing_when_a_rejected_document_does_not_say_which_session_it_is(database_url: str) -> None:
    other = document("1", workspaceId="other")
    run(database_url, lines(document("1"), document("2"), other))
    content = b"\n".join([lines(document("1", name="changed"), document("2", workspaceId="other")), b"{"])
    result = run(database_url, content, replace=True, rejected=lambda _: None)
    assert str(result) == (
        "read 3: 1 new, 1 changed, 0 unchanged, 1 rejected,"
        " 0 removed (since a rejected document does not say which session it is)"
    )
    assert listed(database_url) == [document("1", name="changed"), document("2")]
    assert listed(database_url, "other") == [other, document("2", workspaceId="other")]


def test_a_workspace_that_only_rejected_documents_name_is_not_replaced(database_url: str) -> None:
    other = [document("1", workspaceId="other"), document("2", workspaceId="other")]
    run(database_url, lines(*other))
    content = lines(document("1"), document("1", workspaceId="other", status="done"))
    result = run(database_url, content, replace=True, rejected=lambda _: None)
    assert (result.removed, result.workspaces, result.withheld) == (0, 1, False)
    assert listed(database_url, "other") == other


def test_no_temporary_table_outlives_an_import(database_url: str) -> None:
    def read(content: bytes) -> Iterable[Document | BadDocument]:
        return READER.read(BytesIO(content), "input")

    def interrupted() -> Iterable[Document | BadDocument]:
        yield from read(lines(document("1")))
        raise KeyError("the source failed")

    async def run() -> None:
        database = Database(database_url, read_only=False)

        async def left() -> int:
            async with database.connect() as connection:
                return int((await connection.execute(text(TEMPORARY_TABLES[connection.dialect.name]))).scalar_one())

        with pytest.raises(ImportRefused):
            await import_documents(database, read(b"{}"))
        assert await left() == 0
        with pytest.raises(KeyError):
            await import_documents(database, interrupted())
        assert await left() == 0
        for _ in range(2):
            await import_documents(database, read(lines(document("1"))), replace=True)
            assert await left() == 0
        await database.close()

    asyncio.run(run())


def test_progress_tells_how_many_documents_have_been_read(database_url: str) -> None:
    told: list[int] = []
    run(database_url, lines(*(document(str(number), notes=LARGE) for number in range(3))), progress=told.append)
    assert told == [1, 2, 3]


def test_many_workspaces_and_more_documents_than_fill_a_batch(database_url: str) -> None:
    documents = [document(str(number), workspaceId=f"w{number % 600}", clientId=f"c{number}") for number in range(6_000)]
    content = lines(*documents)
    result = run(database_url, content)
    assert (result.new, result.workspaces, result.disagreements) == (6_000, 600, 0)
    assert run(database_url, content).unchanged == 6_000
    result = run(database_url, lines(*documents[:300]), replace=True)
    assert (result.unchanged, result.removed) == (300, 2_700)
    assert len(content_of(database_url)["clients"]) == 3_300


def test_sqlite_is_given_many_rows_in_a_statement(sqlite_databases: Databases) -> None:
    url = sqlite_databases.migrated()
    executed = 0

    def count(_connection: Any, _cursor: Any, _statement: str, parameters: Any, _context: Any, executemany: Any) -> None:
        nonlocal executed
        executed += len(parameters) if executemany else 1

    event.listen(Engine, "before_cursor_execute", count)
    try:
        assert run(url, lines(*(document(f"s{number}") for number in range(3_000)))).new == 3_000
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert 0 < executed < 50


def test_no_table_is_read_from_end_to_end_however_small_it_was(postgresql_databases: Databases) -> None:
    url = postgresql_databases.migrated()
    run(url, lines(document("s1")))
    read_so_far = (
        "SELECT relname, seq_scan FROM pg_stat_user_tables"
        " WHERE relname IN ('workspaces', 'clients', 'staff', 'services', 'sessions', 'session_services')"
    )

    async def count() -> dict[str, int]:
        connection = await asyncpg.connect(url)
        await connection.execute("VACUUM ANALYZE")
        scans = dict(await connection.fetch(read_so_far))
        await connection.close()
        return scans

    before = asyncio.run(count())
    # The first ones are written one by one, so that all is planned while the tables are tiny.
    run(
        url, lines(*(document(f"large{number}", notes=LARGE) for number in range(7)), *(document(f"s{n}") for n in range(9)))
    )
    assert asyncio.run(count()) == before


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
    assert peak < 30_000_000
