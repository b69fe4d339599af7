"""The command line: `sessions-api`. docs/operations.md lists the exit codes."""

import json
import os
import secrets
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.box import ROUNDED
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from db import demo as demo_data
from db import schema, workspaces
from db.engine import Database, is_postgresql
from db.errors import DRIVER_ERRORS, DatabaseNotReady, DatabaseUnavailable, WorkspaceNotFound, words_of
from handlers.keys import KeysUnavailable, secret_key
from handlers.rules import TokenRules
from openapi import contract
from openapi.errors import ContractError
from openapi.schemas import compile_schema, describe
from server import database_work, import_command, serving
from server.checks import check_contract, check_database, check_keys, check_settings
from server.environment import FILE, PREFIX
from server.import_command import ImportStopped
from server.settings import SETTINGS, SettingsError, database_url_from, read_settings, secret_from
from server.tokens import mint, seconds

_FAILURES = (
    *(SettingsError, ContractError, ImportStopped, KeysUnavailable, WorkspaceNotFound, DatabaseUnavailable),
    *DRIVER_ERRORS,
)
"""What an operator can put right. Anything else is a mistake of this program, and shows its traceback."""


class _Program(TyperGroup):
    """The program, whose help lists the settings too."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        title = "Settings (environment variables, or lines of the file that --settings names)"
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


def _use_settings_file(file: Path | None) -> None:
    if file is not None:
        os.environ[PREFIX + FILE] = str(file)  # which workers inherit


def _print_version(requested: bool) -> None:  # noqa: FBT001 - as Typer calls it
    if requested:
        typer.echo(version("workspace-sessions-api"))
        raise typer.Exit


SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", help="File with settings.", callback=_use_settings_file, exists=True, dir_okay=False),
]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")]
WorkspaceID = Annotated[str, typer.Argument(metavar="ID")]


def main() -> NoReturn:
    """Run the command line, and report failures in sentences."""
    try:
        cli()
    except _FAILURES as error:
        _fail(error)
    sys.exit(0)


def _fail(*failures: BaseException) -> NoReturn:
    problems = dict.fromkeys(problem for failure in failures for problem in _problems(failure))  # each once
    typer.echo("\n".join(f"error: {problem}" for problem in problems), err=True)
    sys.exit(2 if any(isinstance(failure, SettingsError) for failure in failures) else 1)


def _problems(failure: BaseException) -> Sequence[str]:
    match failure:
        case SettingsError() | ContractError() | ImportStopped():
            return failure.problems
        case KeysUnavailable():
            return [f"keys: {failure}"]
        case WorkspaceNotFound():
            return [f"there is no workspace {failure}"]
        case _:
            return [f"database: {words_of(failure)}"]


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
    _settings: SettingsFile = None,
    *,
    access_log: Annotated[bool, typer.Option(help="Write a line for each request.")] = True,
) -> None:
    """Serve the API from the configured database."""
    settings = read_settings()
    contract.load()
    try:
        database_work.run(settings.database_url, schema.require_newest)
    except DatabaseUnavailable as error:
        # The server waits for a PostgreSQL that is down, and says so. A file that is missing does not appear by itself.
        if isinstance(error, DatabaseNotReady) or not is_postgresql(settings.database_url):
            raise
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
    database_work.run(url, lambda database: demo_data.prepare(database, schemas))
    secret = secrets.token_urlsafe(48)
    both = [demo_data.FIRST_WORKSPACE, demo_data.SECOND_WORKSPACE]
    token = mint(secret_key(secret), TokenRules(), "demo", ["sessions.view"], both, 86400)
    serving.serve_demo(host, port, url, secret, lambda address: _introduce(address, token))


def _introduce(address: str, token: str) -> None:
    typer.echo(
        f"\nSwagger UI:  {address}/docs\n\nA token, valid for a day (paste it under Authorize):\n\n{token}\n\n"
        f"Try it:\n\ncurl -s -H 'Authorization: Bearer {token}'"
        f" '{address}/v1/workspace/{demo_data.FIRST_WORKSPACE}/sessions?dateTo=2024-01-20'\n"
    )


@cli.command()
def migrate(_settings: SettingsFile = None) -> None:
    """Create the tables, or bring them up to date."""
    before, after = database_work.run(database_url_from(writer=True), schema.migrate)
    if before == after:
        typer.echo(f"The tables are up to date (version {after}).")
    else:
        typer.echo(f"The tables are now of version {after}" + (f"; they were of {before}." if before else "."))


@cli.command()
def token(
    workspace: Annotated[list[str], typer.Option(help="Workspace that the token covers; repeatable; * covers all.")],
    scope: Annotated[list[str] | None, typer.Option(help="Permission; repeatable (default: sessions.view).")] = None,
    expires_in: Annotated[str, typer.Option(metavar="TIME", help="Lifetime: 90 (seconds), 15m, 8h or 7d.")] = "1h",
    subject: Annotated[str, typer.Option(help="Holder of the token (sub).")] = "sessions-api",
    _settings: SettingsFile = None,
) -> None:
    """Print a token, signed with the configured secret."""
    try:
        lifetime = seconds(expires_in)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--expires-in") from error
    key, rules = secret_from()
    typer.echo(mint(key, rules, subject, scope or ["sessions.view"], workspace, lifetime))


@cli.command("check")
def check_everything(
    _settings: SettingsFile = None,
    *,
    contract_only: Annotated[bool, typer.Option("--contract-only", help="Check neither settings nor database.")] = False,
) -> None:
    """Check the contract, the settings, the keys and the database; report every problem."""
    failures = []
    for check in [check_contract] if contract_only else [check_contract, check_settings, check_keys, check_database]:
        try:
            typer.echo(check())
        except _FAILURES as failure:
            failures.append(failure)
    if failures:
        _fail(*failures)


@cli.command("import")
def import_files(
    files: Annotated[list[Path] | None, typer.Argument(help="Files to read; - or none is standard input.")] = None,
    _settings: SettingsFile = None,
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
def list_workspaces(
    _settings: SettingsFile = None, *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List the workspaces and their numbers of sessions."""

    async def read(database: Database) -> list[workspaces.WorkspaceSize]:
        await schema.require_newest(database)
        async with database.acquire() as connection:
            return await workspaces.list_workspaces(connection)

    found = database_work.run(database_url_from(), read)
    if as_json:
        typer.echo(json.dumps([each._asdict() for each in found]))
        return
    table = Table("workspace", "sessions", box=None)
    for each in found:
        table.add_row(each.id, f"{each.sessions:,}")
    Console().print(table)


@workspaces_cli.command("add")
def add_workspace(workspace_id: WorkspaceID, _settings: SettingsFile = None) -> None:
    """Add an empty workspace, whose list is then empty instead of 404."""
    schemas = contract.load().schemas
    if not compile_schema(schemas["Id"], schemas).is_valid(workspace_id):
        raise typer.BadParameter(f"must be {describe(schemas['Id'])}", param_hint="ID")
    url = database_url_from(writer=True)
    added = database_work.write(url, lambda connection: workspaces.add_workspace(connection, workspace_id))
    typer.echo(f"Added the workspace {workspace_id}." if added else f"The workspace {workspace_id} is there already.")


@workspaces_cli.command("remove")
def remove_workspace(
    workspace_id: WorkspaceID,
    _settings: SettingsFile = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove a workspace with all its sessions, after confirmation."""
    url = database_url_from(writer=True)
    sessions = database_work.write(url, lambda connection: workspaces.count_sessions(connection, workspace_id))
    if not yes:
        typer.confirm(f"Remove the workspace {workspace_id} and its {sessions:,} sessions for good?", abort=True)
    sessions = database_work.write(url, lambda connection: workspaces.remove_workspace(connection, workspace_id))
    typer.echo(f"Removed the workspace {workspace_id} and its {sessions:,} sessions.")
