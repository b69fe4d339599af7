"""The command line: what each command does, prints and returns, and how it says what is wrong."""

import asyncio
import io
import json
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import asyncpg
import jwt
import pytest
from starlette.testclient import TestClient

from db import demo
from db.demo import DOCUMENTED_SESSION, FIRST_WORKSPACE
from db.schema import newest_version
from openapi.json import encode
from server import cli
from server.app import create_app
from server.settings import PREFIX, SETTINGS, read_settings
from tests.conftest import SECRET, ClientOf, Databases, Mint
from tests.key_servers import KeyServer, jwk
from tests.signers import ec_key, rsa_key


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Run: TypeAlias = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a command in an empty folder, with a secret and a database file that is not there yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SESSIONS_JWT_SECRET", SECRET)
    monkeypatch.setenv("SESSIONS_DATABASE_URL", "sqlite:///sessions.sqlite3")
    monkeypatch.setenv("COLUMNS", "200")

    def run_command(*arguments: str, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "argv", ["sessions-api", *arguments])
        monkeypatch.setenv("SESSIONS_SETTINGS", "")  # which --settings changes
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), printed.out, printed.err)

    return run_command


def execute(url: str, *statements: str) -> None:
    async def run_statements() -> None:
        connection = await asyncpg.connect(url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(run_statements())


def lines(*documents: dict[str, Any]) -> bytes:
    return b"".join(encode(document) + b"\n" for document in documents)


BAD = {**DOCUMENTED_SESSION, "id": "bad", "status": "done"}


COMMANDS = ["serve", "demo", "migrate", "import", "token", "check", "workspaces"]


def test_help_lists_every_command_and_every_setting_with_its_default_in_80_columns(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = run("--help")
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    words = re.sub(r"[\s│]+", " ", outcome.out)
    for name, setting in SETTINGS.items():
        default = setting.shown_default()
        assert f" {PREFIX}{name} {setting.purpose}{f' [default: {default}]' if default else ''} " in words
    for command in COMMANDS:
        assert f" {command} " in words


def test_the_version_is_that_of_the_distribution(run: Run) -> None:
    assert run("--version") == (0, f"{version('workspace-sessions-api')}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    outcome = run(command, "--help")
    assert outcome.code == 0
    assert "Usage: sessions-api" in outcome.out


def test_an_unknown_command_is_a_usage_error(run: Run) -> None:
    outcome = run("server")
    assert outcome.code == 2
    assert "No such command" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    "command",
    [
        ("serve",),
        ("migrate",),
        ("token", "--workspace", "w"),
        ("check",),
        ("import",),
        ("workspaces", "list"),
        ("workspaces", "add", "w"),
        ("workspaces", "remove", "w"),
    ],
    ids=" ".join,
)
def test_every_command_that_reads_settings_takes_a_file_of_them(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "wrong.env").write_text("SESSIONS_DATABSE_URL=x\n")
    outcome = run(*command, "--settings", "wrong.env")
    expected = "error: wrong.env: SESSIONS_DATABSE_URL is not a setting; did you mean SESSIONS_DATABASE_URL?\n"
    assert (outcome.code, outcome.err) == (2, expected)


def test_a_file_of_settings_is_enough(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SESSIONS_JWT_SECRET")
    monkeypatch.delenv("SESSIONS_DATABASE_URL")
    (tmp_path / "a.env").write_text(f"SESSIONS_DATABASE_URL=sqlite:///file.sqlite3\nSESSIONS_JWT_SECRET={SECRET}\n")
    assert run("migrate", "--settings", "a.env").code == 0
    assert (tmp_path / "file.sqlite3").exists()
    assert run("check", "--settings", "a.env").code == 0


def test_a_file_of_settings_that_is_not_there_is_a_usage_error(run: Run) -> None:
    outcome = run("migrate", "--settings", "absent.env")
    assert outcome.code == 2
    assert "Invalid value for '--settings'" in outcome.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_commands(run: Run, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    monkeypatch.setenv("_SESSIONS_API_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", "sessions-api mig")  # as bash tells it
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "sessions-api mig")  # as zsh and fish do
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    assert "migrate" in run().out


# ---- migrate and check ----------------------------------------------------------------------------------------------


def test_migrate_creates_the_tables_and_a_second_time_says_that_they_are_there(run: Run) -> None:
    newest = newest_version()
    assert run("migrate") == (0, f"The tables are now of version {newest}.\n", "")
    assert run("migrate") == (0, f"The tables are up to date (version {newest}).\n", "")


def test_check_finds_everything_in_order(run: Run) -> None:
    run("migrate")
    assert run("check") == (
        0,
        "contract: in order (list_sessions)\nsettings: in order\nkeys: in order\ndatabase: in order\n",
        "",
    )


def test_check_names_every_problem(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONS_JWT_SECRET", "short")
    monkeypatch.setenv("SESSIONS_JWT_LEEWAY", "a lot")
    outcome = run("check")
    assert outcome.code == 2
    assert "SESSIONS_JWT_SECRET must be at least 32 bytes" in outcome.err
    assert "SESSIONS_JWT_LEEWAY must be a whole number of seconds" in outcome.err
    assert "database: there is no database file sessions.sqlite3" in outcome.err


@pytest.fixture
def served_keys(run: Run, key_server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> KeyServer:
    """A key server that the settings name, with tables to check beside it."""
    run("migrate")
    key_server.open.set()
    monkeypatch.delenv("SESSIONS_JWT_SECRET")
    monkeypatch.setenv("SESSIONS_JWKS", key_server.url)
    key_server.answers["/jwks/.well-known/openid-configuration"] = b"Not found"
    return key_server


def test_check_says_how_many_keys_the_key_server_has(run: Run, served_keys: KeyServer) -> None:
    served_keys.answer = {"keys": [jwk(rsa_key(), alg="RS256"), jwk(ec_key("P-384")), jwk(rsa_key(), use="enc")]}
    code, out, err = run("check")
    assert (code, err) == (0, "")
    assert "keys: 2 in the JWK set can be used (ES384, RS256)\n" in out


def test_check_finds_the_keys_of_an_issuer(run: Run, served_keys: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONS_JWKS", f"{served_keys.origin}/realm")
    served_keys.answers = {
        "/realm": b"<!DOCTYPE html>",
        "/realm/.well-known/openid-configuration": {
            "issuer": f"{served_keys.origin}/realm",
            "jwks_uri": f"{served_keys.origin}/certs",
        },
    }
    assert "keys: 1 in the JWK set can be used" in run("check").out


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"keys": []}, "the JWK set holds no key that fits ES256, "),
        ({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, "the JWK set holds no key that fits ES256, "),
        (b"<!DOCTYPE html><title>Sign in</title>", "it is not JSON"),
        ({"realm": "r"}, "it serves another document"),
        ({"issuer": "https://other.example", "jwks_uri": "https://other.example/certs"}, "is that of another issuer"),
        (None, "no connection to the key server"),
    ],
    ids=["empty", "symmetric", "HTML", "another document", "another issuer", "closed port"],
)
def test_check_says_what_an_address_serves_that_is_not_a_jwk_set(
    run: Run, served_keys: KeyServer, answer: Any, expected: str
) -> None:
    served_keys.answer = answer
    if answer is None:
        served_keys.close()
    code, out, err = run("check")
    assert code == 1
    assert "settings: in order" in out
    (line,) = (line for line in err.splitlines() if line.startswith("error: keys: "))
    assert expected in line
    assert "Traceback" not in err


def test_a_misspelt_setting_is_not_passed_over(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # The default database would be used instead of the one that was meant.
    monkeypatch.setenv("SESSIONS_DATABASE_ULR", "sqlite:///production.sqlite3")
    for command in ("serve", "migrate", "import", "check"):
        outcome = run(command)
        assert outcome.code == 2
        assert "SESSIONS_DATABASE_ULR is not a setting; did you mean SESSIONS_DATABASE_URL?" in outcome.err


def test_check_of_the_contract_alone_needs_no_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SESSIONS_JWT_SECRET")
    assert run("check", "--contract-only").code == 0


def test_a_database_without_tables_is_reported_with_the_command_to_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sessions.sqlite3").touch()
    for command in (["check"], ["serve"], ["import", "-"], ["workspaces", "list"], ["workspaces", "add", "w"]):
        outcome = run(*command)
        assert outcome.code == 1
        assert "the database has no tables yet: run `sessions-api migrate`" in outcome.err


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "sqlite:///folder/that/is/not/there.sqlite3",
            "there is no folder folder/that/is/not for the database file there.sqlite3",
        ),
        ("sqlite:///not-a-database", "file is not a database"),
        ("sqlite://", "must name a file"),
        ("mysql://user:hidden@host/db", "is not a database URL"),
        ("postgresql://user:hidden@127.0.0.1:1/db", "Connect call failed"),
        ("sessions.sqlite3", "is not a database URL"),
    ],
)
def test_a_database_that_cannot_be_used_is_reported_in_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, reason: str
) -> None:
    (tmp_path / "not-a-database").write_text("hello " * 1000)
    monkeypatch.setenv("SESSIONS_DATABASE_URL", url)
    outcome = run("migrate")
    assert (outcome.code, outcome.err.split(" ")[1]) in [(1, "database:"), (2, "SESSIONS_DATABASE_URL")]
    assert reason in outcome.err
    assert "hidden" not in outcome.err


@pytest.mark.parametrize("command", ["migrate", "check", "import", "workspaces"])
def test_a_role_without_rights_is_reported_with_those_it_needs(
    run: Run, monkeypatch: pytest.MonkeyPatch, postgresql_databases: Databases, command: str
) -> None:
    url = postgresql_databases.migrated()
    role = url.split("?", maxsplit=1)[0].rsplit("/", 1)[1] + "_role"
    alone = f"{url.replace('postgres:@', f'{role}:x@')}&options=-csearch_path%3Dother,public"
    execute(url, f"CREATE ROLE {role} LOGIN PASSWORD 'x'", "CREATE SCHEMA other", f"GRANT USAGE ON SCHEMA other TO {role}")
    if command in ("import", "workspaces"):
        execute(url, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    monkeypatch.setenv("SESSIONS_DATABASE_URL", alone)
    arguments = {"import": ("import", "-"), "workspaces": ("workspaces", "add", "w")}.get(command, (command,))
    outcome = run(*arguments, stdin=encode(DOCUMENTED_SESSION))
    execute(url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")
    assert outcome.code == 1
    assert re.fullmatch(r"error: database: permission denied for .*; the role needs SELECT on .*\n", outcome.err)


@pytest.mark.parametrize(
    "variables",
    [
        {"SESSIONS_JWT_SECRET": ""},
        {"SESSIONS_JWT_SECRET": "short"},
        {"SESSIONS_JWKS": "https://issuer.example/jwks.json"},
        {"SESSIONS_DATABASE_URL": "mysql://host/db"},
    ],
    ids=["no key", "short key", "both families", "unusable database"],
)
def test_serve_does_not_start_with_settings_that_are_wrong(
    run: Run, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    outcome = run("serve")
    assert outcome.code == 2
    assert outcome.err.startswith("error: SESSIONS_")
    assert "Traceback" not in outcome.err


def test_serve_does_not_start_without_its_database(run: Run) -> None:
    outcome = run("serve")
    assert outcome.code == 1
    assert outcome.err.startswith("error: database: there is no database file")


def test_the_demo_tells_of_its_own_database(run: Run) -> None:
    outcome = run("demo", "--database", "missing/demo.sqlite3")
    assert outcome == (1, "", "error: database: there is no folder missing for the database file demo.sqlite3\n")


# ---- tokens ---------------------------------------------------------------------------------------------------------


def test_a_token_is_printed_alone_and_opens_the_workspaces_it_names(run: Run, client_of: ClientOf, demo_url: str) -> None:
    outcome = run("token", "--workspace", FIRST_WORKSPACE, "--workspace", "other", "--expires-in", "15m", "--subject", "me")
    assert outcome.code == 0
    assert outcome.err == ""
    token = outcome.out.rstrip("\n")
    claims = jwt.decode(token, SECRET, ["HS256"])
    assert claims["workspaces"] == [FIRST_WORKSPACE, "other"]
    assert claims["scope"] == "sessions.view"
    assert claims["sub"] == "me"
    assert claims["exp"] - claims["iat"] == 900
    response = client_of(demo_url).get(
        f"/v1/workspace/{FIRST_WORKSPACE}/sessions", headers={"Authorization": f"Bearer {token}"}
    )
    assert response.status_code == 200


def test_a_token_carries_the_configured_issuer_and_audience_and_the_chosen_scopes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSIONS_JWT_ISSUER", "https://issuer.example")
    monkeypatch.setenv("SESSIONS_JWT_AUDIENCE", "sessions")
    token = run("token", "--workspace", "*", "--scope", "a", "--scope", "b").out.strip()
    claims = jwt.decode(token, SECRET, ["HS256"], audience="sessions", issuer="https://issuer.example")
    assert claims["scope"] == "a b"
    assert claims["workspaces"] == ["*"]


def test_a_token_uses_the_names_that_claims_have_been_given(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONS_JWT_SCOPE_CLAIMS", "may")
    monkeypatch.setenv("SESSIONS_JWT_WORKSPACE_CLAIMS", "tenants")
    claims = jwt.decode(run("token", "--workspace", "w").out.strip(), SECRET, ["HS256"])
    assert (claims["may"], claims["tenants"]) == ("sessions.view", ["w"])
    assert not {"scope", "workspaces"} & set(claims)


def test_a_token_of_what_the_settings_accept_is_accepted(
    run: Run, monkeypatch: pytest.MonkeyPatch, sqlite_demo_url: str
) -> None:
    for name, value in {
        "DATABASE_URL": sqlite_demo_url,
        "JWT_SECRET": SECRET * 2,
        "JWT_ALGORITHMS": "HS512",
        "JWT_AUDIENCE": "one,two",
        "JWT_SCOPE_CLAIMS": "realm_access.roles",
        "JWT_WORKSPACE_CLAIMS": "app_metadata.workspaces",
    }.items():
        monkeypatch.setenv(f"SESSIONS_{name}", value)
    token = run("token", "--workspace", FIRST_WORKSPACE).out.strip()
    assert jwt.get_unverified_header(token)["alg"] == "HS512"
    with TestClient(create_app(read_settings())) as client:
        path = f"/v1/workspace/{FIRST_WORKSPACE}/sessions"
        assert client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize("lifetime", ["0", "-5", "1y", "soon", "1.5h", "", "１h"])
def test_a_lifetime_that_is_none_is_a_usage_error(run: Run, lifetime: str) -> None:
    outcome = run("token", "--workspace", "w", "--expires-in", lifetime)
    assert outcome.code == 2
    assert "must be like 90 (seconds), 15m, 8h or 7d" in outcome.err


def test_a_token_without_a_workspace_is_not_minted(run: Run) -> None:
    assert run("token").code == 2


def test_without_a_secret_no_token_can_be_minted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SESSIONS_JWT_SECRET")
    outcome = run("token", "--workspace", "w")
    assert outcome.code == 2
    assert "SESSIONS_JWT_SECRET is not set" in outcome.err


# ---- workspaces -----------------------------------------------------------------------------------------------------


def test_workspaces_are_added_listed_and_removed(run: Run) -> None:
    run("migrate")
    assert run("workspaces", "add", "w2").out == "Added the workspace w2.\n"
    assert run("workspaces", "add", "w2") == (0, "The workspace w2 is there already.\n", "")
    run("import", stdin=lines(DOCUMENTED_SESSION))
    listed = run("workspaces", "list", "--json")
    assert json.loads(listed.out) == [{"id": FIRST_WORKSPACE, "sessions": 1}, {"id": "w2", "sessions": 0}]
    assert FIRST_WORKSPACE in run("workspaces", "list").out
    assert run("workspaces", "remove", FIRST_WORKSPACE, "--yes").out == (
        f"Removed the workspace {FIRST_WORKSPACE} and its 1 sessions.\n"
    )
    assert json.loads(run("workspaces", "list", "--json").out) == [{"id": "w2", "sessions": 0}]


def test_removing_asks_first_and_does_nothing_without_a_yes(run: Run) -> None:
    run("migrate")
    run("workspaces", "add", "w")
    for answer in (b"", b"n\n", b"\n"):
        outcome = run("workspaces", "remove", "w", stdin=answer)
        assert outcome.code == 1
        assert "Remove the workspace w and its 0 sessions for good?" in outcome.out
    assert json.loads(run("workspaces", "list", "--json").out) == [{"id": "w", "sessions": 0}]
    assert run("workspaces", "remove", "w", stdin=b"y\n").code == 0
    assert json.loads(run("workspaces", "list", "--json").out) == []


def test_an_added_workspace_answers_with_an_empty_list_and_a_removed_one_with_404(
    run: Run, client_of: ClientOf, tmp_path: Path, mint: Mint
) -> None:
    run("migrate")
    run("workspaces", "add", "w")
    client = client_of(f"sqlite:///{tmp_path}/sessions.sqlite3")
    headers = {"Authorization": f"Bearer {mint(workspaces=['w'])}"}
    assert client.get("/v1/workspace/w/sessions", headers=headers).json() == {"sessions": []}
    run("workspaces", "remove", "w", "--yes")
    assert client.get("/v1/workspace/w/sessions", headers=headers).status_code == 404


def test_a_workspace_that_is_not_there_cannot_be_removed(run: Run) -> None:
    run("migrate")
    assert run("workspaces", "remove", "w", "--yes") == (1, "", "error: there is no workspace w\n")


def test_a_workspace_needs_an_id_that_the_contract_allows(run: Run) -> None:
    run("migrate")
    outcome = run("workspaces", "add", "no id")
    assert outcome.code == 2
    assert "an opaque identifier of 1 to 64" in outcome.err


# ---- import ---------------------------------------------------------------------------------------------------------


def test_files_and_standard_input_are_imported_and_counted(run: Run, tmp_path: Path) -> None:
    run("migrate")
    documents = list(demo.documents())
    (tmp_path / "a.ndjson").write_bytes(lines(*documents[:100]))
    (tmp_path / "b.json").write_bytes(encode({"sessions": documents[100:200]}))
    outcome = run("import", "a.ndjson", "b.json", "-", stdin=encode(documents[200:]))
    assert outcome == (0, "read 360: 360 new, 0 changed, 0 unchanged, 0 rejected\n", "")
    assert run("import", "a.ndjson").out == "read 100: 0 new, 0 changed, 100 unchanged, 0 rejected\n"


def test_a_bad_document_is_reported_by_file_and_line_and_nothing_is_imported(run: Run, tmp_path: Path) -> None:
    run("migrate")
    (tmp_path / "a.ndjson").write_bytes(lines(DOCUMENTED_SESSION, BAD))
    outcome = run("import", "a.ndjson")
    assert outcome.code == 1
    assert outcome.out == ""
    assert outcome.err.startswith("error: a.ndjson:2: status must be one of scheduled, in-progress, completed, cancelled")
    assert outcome.err.endswith("error: nothing was imported\n")
    assert json.loads(run("workspaces", "list", "--json").out) == []


def test_bad_documents_are_set_aside_and_the_rest_is_imported(run: Run, tmp_path: Path) -> None:
    run("migrate")
    (tmp_path / "a.ndjson").write_bytes(lines(BAD, DOCUMENTED_SESSION) + b"{oops\n")
    outcome = run("import", "--reject", "bad.ndjson", "a.ndjson")
    assert outcome.code == 0
    assert outcome.out == "read 3: 1 new, 0 changed, 0 unchanged, 2 rejected\n"
    assert "rejected: a.ndjson:1: status must be" in outcome.err
    assert "rejected: a.ndjson:3: is not JSON" in outcome.err
    assert (tmp_path / "bad.ndjson").read_bytes() == encode(BAD) + b"\n{oops\n"


def test_no_more_bad_documents_are_reported_than_max_errors(run: Run) -> None:
    run("migrate")
    bad = lines(BAD, BAD, BAD)
    refused = run("import", "--max-errors", "1", stdin=bad).err.splitlines()
    assert [line[:40] for line in refused] == [
        "error: standard input:1: status must be ",
        "error: and 2 more",
        "error: nothing was imported",
    ]
    rejected = run("import", "--max-errors", "1", "--reject", "bad.ndjson", stdin=bad).err.splitlines()
    assert [line[:43] for line in rejected] == ["rejected: standard input:1: status must be ", "rejected: and 2 more"]
    assert Path("bad.ndjson").read_bytes() == bad


def test_a_file_for_rejected_documents_is_never_overwritten_and_not_left_behind_empty(run: Run, tmp_path: Path) -> None:
    run("migrate")
    (tmp_path / "kept.ndjson").write_text("precious")
    outcome = run("import", "--reject", "kept.ndjson", stdin=lines(DOCUMENTED_SESSION))
    assert outcome.code == 1
    assert "kept.ndjson is there already" in outcome.err
    assert (tmp_path / "kept.ndjson").read_text() == "precious"
    assert run("import", "--reject", "new.ndjson", stdin=lines(DOCUMENTED_SESSION)).code == 0
    assert not (tmp_path / "new.ndjson").exists()


def test_replace_makes_a_workspace_exactly_the_input(run: Run) -> None:
    run("migrate")
    run("import", stdin=lines(DOCUMENTED_SESSION, {**DOCUMENTED_SESSION, "id": "gone"}))
    outcome = run("import", "--replace", stdin=lines(DOCUMENTED_SESSION))
    assert outcome.out == "read 1: 0 new, 0 changed, 1 unchanged, 0 rejected, 1 removed\n"


def test_a_missing_file_is_reported_before_anything_is_imported(run: Run, tmp_path: Path) -> None:
    run("migrate")
    (tmp_path / "a.ndjson").write_bytes(lines(DOCUMENTED_SESSION))
    outcome = run("import", "a.ndjson", "missing.ndjson")
    assert outcome == (1, "", "error: missing.ndjson cannot be read: No such file or directory\n")
    assert json.loads(run("workspaces", "list", "--json").out) == []
