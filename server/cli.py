"""The command line: `sessions-api`.

Exit status: 0 for success, 1 for any failure, 2 for wrong usage and wrong settings.
"""

import asyncio
import json
import logging
import re
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import jwt
import typer
from rich.box import ROUNDED
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection
from typer.core import TyperGroup

from db import demo as demo_data
from db import schema, workspaces
from db.engine import Database
from db.errors import DRIVER_ERRORS, DatabaseUnavailable, WorkspaceNotFound, words_of
from handlers.jwks import JWKSServer
from handlers.keys import Key, KeySource, KeysUnavailable, secret_key
from handlers.rules import TokenRules
from openapi import contract
from openapi.errors import ContractError
from openapi.schemas import compile_schema, describe
from server import import_command, serving
from server.settings import PREFIX, SETTINGS, SettingsError, database_url_from, read_settings, secret_from

T = TypeVar("T")

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class _Program(TyperGroup):
    """The program, whose help lists the settings too."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        title = "Settings (environment variables)"
        table = Table(title=title, box=ROUNDED, border_style="dim", expand=True, show_header=False)
        table.add_column(no_wrap=True, style="bold cyan")
        for name, setting in SETTINGS.items():
            default = f" [default: {setting.shown_default()}]" if setting.shown_default() else ""
            table.add_row(PREFIX + name, escape(setting.purpose + default))
        Console().print(table)


cli = typer.Typer(
    cls=_Program,
    help="Serve the sessions of workspaces, as openapi/openapi.yaml describes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
workspaces_cli = typer.Typer(help="List, add and remove workspaces.", no_args_is_help=True)
cli.add_typer(workspaces_cli, name="workspaces")

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")]


def main() -> NoReturn:
    """Run the command line, and report failures that an operator can repair without a traceback."""
    try:
        cli()
    except SettingsError as error:
        _fail(*error.problems, status=2)
    except (ContractError, import_command.ImportStopped) as error:
        _fail(*error.problems)
    except DatabaseUnavailable as error:
        _fail(f"database: {error}")
    except DRIVER_ERRORS as error:
        _fail(f"database: {words_of(error)}")
    sys.exit(0)


def _fail(*problems: str, status: int = 1) -> NoReturn:
    typer.echo("\n".join(f"error: {problem}" for problem in problems), err=True)
    sys.exit(status)


def _print_version(requested: bool) -> None:  # noqa: FBT001 - as Typer calls it
    if requested:
        typer.echo(version("workspace-sessions-api"))
        raise typer.Exit


@cli.callback()
def options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The options of the program itself, each of which has a callback."""


@cli.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    workers: Annotated[int, typer.Option(min=1, help="Processes to serve with.")] = 1,
    *,
    access_log: Annotated[bool, typer.Option(help="Write a line for each request.")] = True,
) -> None:
    """Serve the API from the configured database."""
    settings = read_settings()
    contract.load()
    _run(settings.database_url, schema.require_newest)
    serving.serve(host, port, settings, workers=workers, access_log=access_log)


@cli.command()
def demo(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    database: Annotated[Path, typer.Option(help="File for the demo data.")] = Path("demo.sqlite3"),
) -> None:
    """Serve demo data, and print a token and a curl command to try it.

    The demo reads no settings. It has its own database file, and a new secret at each start.
    """
    url = f"sqlite:///{database}"
    schemas = contract.load().schemas
    _run(url, lambda database: demo_data.prepare(database, schemas))
    secret = secrets.token_urlsafe(48)
    both = [demo_data.FIRST_WORKSPACE, demo_data.SECOND_WORKSPACE]
    token = _mint(secret_key(secret), TokenRules(), "demo", ["sessions.view"], both, 86400)
    serving.serve_demo(host, port, url, secret, lambda address: _introduce(address, token))


def _introduce(address: str, token: str) -> None:
    typer.echo(
        f"\nSwagger UI:  {address}/docs\n\nA token, valid for a day (paste it under Authorize):\n\n{token}\n\n"
        f"Try it:\n\ncurl -s -H 'Authorization: Bearer {token}'"
        f" '{address}/v1/workspace/{demo_data.FIRST_WORKSPACE}/sessions?dateTo=2024-01-20'\n"
    )


@cli.command()
def migrate() -> None:
    """Create the tables, or bring them up to date."""
    before, after = _run(database_url_from(writer=True), schema.migrate)
    if before == after:
        typer.echo(f"The tables are up to date (version {after}).")
    else:
        typer.echo(f"The tables are now of version {after}" + (f"; they were of {before}." if before else "."))


def _seconds(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter("must be like 90 (seconds), 15m, 8h or 7d", param_hint="--expires-in")
    return int(match[1]) * _UNITS[match[2] or "s"]


@cli.command()
def token(
    workspace: Annotated[list[str], typer.Option(help="Workspace that the token covers; repeatable; * covers all.")],
    scope: Annotated[list[str] | None, typer.Option(help="Permission; repeatable (default: sessions.view).")] = None,
    expires_in: Annotated[str, typer.Option(metavar="TIME", help="Lifetime: 90 (seconds), 15m, 8h or 7d.")] = "1h",
    subject: Annotated[str, typer.Option(help="Holder of the token (sub).")] = "sessions-api",
) -> None:
    """Print a token, signed with the configured secret."""
    lifetime = _seconds(expires_in)
    key, rules = secret_from()
    typer.echo(_mint(key, rules, subject, scope or ["sessions.view"], workspace, lifetime))


def _mint(key: Key, rules: TokenRules, subject: str, scopes: list[str], covered: list[str], lifetime: int) -> str:
    now = int(time.time())
    payload = {
        "iss": rules.issuer,
        "aud": next(iter(rules.audiences), None),
        "sub": subject,
        rules.scope_claims[0]: " ".join(scopes),
        rules.workspace_claims[-1]: covered,
        "iat": now,
        "exp": now + lifetime,
    }
    payload = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(payload, key.material, min(key.algorithms))


@cli.command()
def check(
    *, contract_only: Annotated[bool, typer.Option("--contract-only", help="Check neither settings nor database.")] = False
) -> None:
    """Check the contract, the settings, the keys and the database; report every problem."""
    problems: list[str] = []

    @contextmanager
    def checking(subject: str) -> Iterator[None]:
        try:
            yield
        except (ContractError, SettingsError) as error:
            problems.extend(f"{subject}: {problem}" for problem in error.problems)
        except (KeysUnavailable, DatabaseUnavailable) as error:
            problems.append(f"{subject}: {error}")

    with checking("contract"):
        typer.echo(f"contract: in order ({', '.join(contract.load().operations)})")
    if not contract_only:
        with checking("settings"):
            settings = read_settings()
            typer.echo("settings: in order")
            with checking("keys"):
                _check_keys(settings.keys)
        with checking("database"), suppress(SettingsError):  # which the settings have reported
            _run(database_url_from(), schema.require_newest)
            typer.echo("database: in order")
    if problems:
        _fail(*problems, status=2 if any(problem.startswith("settings:") for problem in problems) else 1)


def _check_keys(source: KeySource) -> None:
    """Fetch the keys of a key server. Other keys have been read with the settings."""
    if not isinstance(source, JWKSServer):
        return
    logging.getLogger("sessions").addHandler(logging.NullHandler())  # the command prints the problem itself
    keys = asyncio.run(source.fetch())
    if not keys:
        raise KeysUnavailable(f"the JWK set holds no key that fits {', '.join(sorted(source.algorithms))}")
    fitting = sorted(frozenset[str]().union(*(key.algorithms for key in keys)))
    typer.echo(f"keys: {len(keys)} in the JWK set can be used ({', '.join(fitting)})")


@cli.command("import")
def import_files(
    files: Annotated[list[Path] | None, typer.Argument(help="Files to read; - or none is standard input.")] = None,
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove sessions that the input lacks from each workspace in the input.")
    ] = False,
    reject: Annotated[Path | None, typer.Option(help="Write bad documents to this new file, and import the rest.")] = None,
    max_errors: Annotated[int, typer.Option(min=0, help="Number of bad documents to report in full.")] = 20,
) -> None:
    """Import session documents, all of them or none.

    Files hold NDJSON, a JSON array, a response of this API, pretty-printed JSON, or the output of mongoexport or mongodump,
    gzipped or not. A bad document is reported and the import changes nothing, unless --reject is given.
    """
    sources = files or [Path("-")]
    url = database_url_from(writer=True)
    typer.echo(import_command.import_files(url, sources, replace=replace, reject=reject, max_errors=max_errors))


@workspaces_cli.command("list")
def list_workspaces(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the workspaces and their numbers of sessions."""

    async def read(database: Database) -> list[workspaces.WorkspaceSize]:
        await schema.require_newest(database)
        async with database.acquire() as connection:
            return await workspaces.list_workspaces(connection)

    found = _run(database_url_from(), read)
    if as_json:
        typer.echo(json.dumps([{"id": each.id, "sessions": each.sessions} for each in found]))
        return
    table = Table("workspace", "sessions", box=None)
    for each in found:
        table.add_row(each.id, f"{each.sessions:,}")
    Console().print(table)


@workspaces_cli.command("add")
def add_workspace(workspace_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Add an empty workspace, whose list is then empty instead of 404."""
    schemas = contract.load().schemas
    if not compile_schema(schemas["Id"], schemas).is_valid(workspace_id):
        raise typer.BadParameter(f"must be {describe(schemas['Id'])}", param_hint="ID")
    url = database_url_from(writer=True)
    added = _in_transaction(url, lambda connection: workspaces.add_workspace(connection, workspace_id))
    typer.echo(f"Added the workspace {workspace_id}." if added else f"The workspace {workspace_id} is there already.")


@workspaces_cli.command("remove")
def remove_workspace(
    workspace_id: Annotated[str, typer.Argument(metavar="ID")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove a workspace with all its sessions, after confirmation."""
    url = database_url_from(writer=True)
    try:
        sessions = _in_transaction(url, lambda connection: workspaces.count_sessions(connection, workspace_id))
        if not yes:
            typer.confirm(f"Remove the workspace {workspace_id} and its {sessions:,} sessions for good?", abort=True)
        sessions = _in_transaction(url, lambda connection: workspaces.remove_workspace(connection, workspace_id))
    except WorkspaceNotFound:
        _fail(f"there is no workspace {workspace_id}")
    typer.echo(f"Removed the workspace {workspace_id} and its {sessions:,} sessions.")


def _run(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    """Do some work with a database, and close it."""

    async def run() -> T:
        database = Database(url)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def _in_transaction(url: str, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    async def run(database: Database) -> T:
        await schema.require_newest(database)
        async with database.transaction() as connection:
            return await work(connection)

    return _run(url, run)
