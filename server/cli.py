"""The command line: `sessions-api`."""

import asyncio
import json
import logging
import re
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import jwt
import typer
from rich.console import Console
from rich.table import Table

from db import demo as demo_data
from db import schema, workspaces
from db.engine import Database
from db.errors import DatabaseNotReady, DatabaseUnavailable, WorkspaceNotFound
from handlers.jwks import JWKSServer
from handlers.keys import Key, KeySource, KeysUnavailable, secret_key
from handlers.rules import TokenRules
from openapi import contract
from openapi.errors import ContractError
from openapi.schemas import compile_schema, words
from server import import_command, serving
from server.settings import (
    PREFIX,
    VARIABLES,
    SettingsError,
    database_url_from,
    read_settings,
    secret_from,
    writer_url_from,
)

T = TypeVar("T")

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SETTINGS_HELP = "Settings are environment variables:\n\n" + "\n\n".join(
    f"{PREFIX}{name}: {purpose}" for name, purpose in VARIABLES.items()
)

cli = typer.Typer(
    help="Serve the sessions of workspaces, as openapi/openapi.yaml says.",
    epilog=_SETTINGS_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
workspaces_cli = typer.Typer(help="List, add and remove workspaces.", no_args_is_help=True)
cli.add_typer(workspaces_cli, name="workspaces")

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")]


def main() -> NoReturn:
    """Run the command line. What an operator can put right is told in a sentence, without a traceback."""
    try:
        cli()
    except (SettingsError, ContractError) as error:
        _fail(*error.problems)
    except (DatabaseUnavailable, DatabaseNotReady) as error:
        _fail(f"database: {error}")
    sys.exit(0)


def _fail(*problems: str) -> NoReturn:
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    sys.exit(1)


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
    asyncio.run(_with_reader(settings.database_url, schema.require_newest))
    serving.serve(host, port, settings, workers=workers, access_log=access_log)


@cli.command()
def demo(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    database: Annotated[Path, typer.Option(help="File for the demo data.")] = Path("demo.sqlite3"),
) -> None:
    """Serve demo data, and print a token and a curl line to try it with.

    The database is a file of its own, whatever the settings say, and the secret is made for this run alone.
    """
    url = f"sqlite:///{database}"
    schemas = contract.load().schemas
    asyncio.run(_with_writer(url, lambda database: demo_data.prepare(database, schemas)))
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
    before, after = asyncio.run(_with_writer(writer_url_from(), schema.migrate))
    if before == after:
        typer.echo(f"The tables are up to date (version {after}).")
    else:
        typer.echo(f"The tables are now of version {after}" + (f"; they were of {before}." if before else "."))


def _seconds(text: str) -> int:
    written = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    if written is None or int(written[1]) == 0:
        raise typer.BadParameter("must be like 90 (seconds), 15m, 8h or 7d", param_hint="--expires-in")
    return int(written[1]) * _UNITS[written[2] or "s"]


@cli.command()
def token(
    workspace: Annotated[list[str], typer.Option(help="Workspace that the token covers; repeatable; * covers all.")],
    scope: Annotated[list[str] | None, typer.Option(help="Permission; repeatable (default: sessions.view).")] = None,
    expires_in: Annotated[str, typer.Option(metavar="TIME", help="Lifetime: 90 (seconds), 15m, 8h or 7d.")] = "1h",
    subject: Annotated[str, typer.Option(help="Whom the token is for (sub).")] = "sessions-api",
) -> None:
    """Print a token, signed with the configured secret."""
    lifetime = _seconds(expires_in)
    key, rules = secret_from()
    typer.echo(_mint(key, rules, subject, scope or ["sessions.view"], workspace, lifetime))


def _mint(key: Key, rules: TokenRules, subject: str, scopes: list[str], covered: list[str], lifetime: int) -> str:
    now = int(time.time())
    expected = {"iss": rules.issuer, "aud": next(iter(rules.audiences), None)}
    payload = {
        **{name: value for name, value in expected.items() if value is not None},
        "sub": subject,
        rules.scope_claims[0]: " ".join(scopes),
        rules.workspace_claims[-1]: covered,
        "iat": now,
        "exp": now + lifetime,
    }
    return jwt.encode(payload, key.material, min(key.algorithms))


@cli.command()
def check(
    *, contract_only: Annotated[bool, typer.Option("--contract-only", help="Leave settings and database alone.")] = False
) -> None:
    """Check that settings, contract and database are in order; name every problem."""
    problems: list[str] = []
    try:
        operations = contract.load().operations
    except ContractError as error:
        problems += [f"contract: {problem}" for problem in error.problems]
    else:
        typer.echo(f"contract: in order ({', '.join(operations)})")
    if not contract_only:
        problems += _settings_problems()
    if problems:
        _fail(*problems)


def _settings_problems() -> list[str]:
    problems: list[str] = []
    try:
        settings = read_settings()
    except SettingsError as error:
        problems += [f"settings: {problem}" for problem in error.problems]
    else:
        typer.echo("settings: in order")
        problems += _key_problems(settings.keys)
    try:
        asyncio.run(_with_reader(database_url_from(), schema.require_newest))
    except SettingsError:
        pass  # named among the settings
    except (DatabaseUnavailable, DatabaseNotReady) as error:
        problems.append(f"database: {error}")
    else:
        typer.echo("database: in order")
    return problems


def _key_problems(source: KeySource) -> list[str]:
    """What keeps a key server from being used; nothing for keys that were read with the settings."""
    if not isinstance(source, JWKSServer):
        return []
    logging.getLogger("sessions").addHandler(logging.NullHandler())  # what it logs is told below
    try:
        keys = asyncio.run(source.fetch())
    except KeysUnavailable as error:
        return [f"keys: {error}"]
    if not keys:
        return [f"keys: the JWK set holds no key that fits {', '.join(sorted(source.algorithms))}"]
    fitting = sorted(frozenset[str]().union(*(key.algorithms for key in keys)))
    typer.echo(f"keys: {len(keys)} in the JWK set can be used ({', '.join(fitting)})")
    return []


@cli.command("import")
def import_files(
    files: Annotated[list[Path] | None, typer.Argument(help="Files to read; - or none is standard input.")] = None,
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Make each workspace in the input exactly the input: remove what it lacks.")
    ] = False,
    reject: Annotated[
        Path | None, typer.Option(help="Set bad documents aside in this new file, and import the rest.")
    ] = None,
    max_errors: Annotated[int, typer.Option(min=0, help="Report so many bad documents in full, and count the others.")] = 20,
) -> None:
    """Import session documents: NDJSON, a JSON array, a response of this API, pretty-printed JSON, or what mongoexport and
    mongodump write; each of them gzipped or not.

    All of them are imported or none: a bad document is reported and changes nothing, unless --reject is given.
    """
    sources = files or [Path("-")]
    try:
        result = import_command.import_files(
            writer_url_from(), sources, replace=replace, reject=reject, max_errors=max_errors
        )
    except import_command.ImportStopped as stopped:
        _fail(*stopped.problems)
    typer.echo(result)


@workspaces_cli.command("list")
def list_workspaces(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the workspaces and how many sessions each holds."""

    async def read(database: Database) -> list[workspaces.WorkspaceSize]:
        await schema.require_newest(database)
        async with database.acquire() as connection:
            return await workspaces.list_workspaces(connection)

    found = asyncio.run(_with_reader(database_url_from(), read))
    if as_json:
        typer.echo(json.dumps([{"id": each.id, "sessions": each.sessions} for each in found]))
        return
    table = Table("workspace", "sessions", box=None)
    for each in found:
        table.add_row(each.id, f"{each.sessions:,}")
    Console().print(table)


@workspaces_cli.command("add")
def add_workspace(workspace_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Add an empty workspace: its list is then empty, instead of 404."""
    schemas = contract.load().schemas
    if not compile_schema(schemas["Id"], schemas).is_valid(workspace_id):
        raise typer.BadParameter(f"must be {words(schemas['Id'])}", param_hint="ID")

    async def add(database: Database) -> bool:
        await schema.require_newest(database)
        async with database.transaction() as connection:
            return await workspaces.add_workspace(connection, workspace_id)

    added = asyncio.run(_with_writer(writer_url_from(), add))
    typer.echo(f"Added the workspace {workspace_id}." if added else f"The workspace {workspace_id} is there already.")


@workspaces_cli.command("remove")
def remove_workspace(
    workspace_id: Annotated[str, typer.Argument(metavar="ID")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a workspace with all its sessions, clients, services and staff; asks first."""

    async def count(database: Database) -> int:
        await schema.require_newest(database)
        async with database.transaction() as connection:
            return await workspaces.count_sessions(connection, workspace_id)

    async def remove(database: Database) -> int:
        async with database.transaction() as connection:
            return await workspaces.remove_workspace(connection, workspace_id)

    url = writer_url_from()
    try:
        held = asyncio.run(_with_reader(url, count))
        if not yes:
            typer.confirm(f"Remove the workspace {workspace_id} and its {held:,} sessions for good?", abort=True)
        held = asyncio.run(_with_writer(url, remove))
    except WorkspaceNotFound:
        _fail(f"there is no workspace {workspace_id}")
    typer.echo(f"Removed the workspace {workspace_id} and its {held:,} sessions.")


async def _with_reader(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    return await _with_database(Database(url), work)


async def _with_writer(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    return await _with_database(Database(url), work)


async def _with_database(database: Database, work: Callable[[Database], Awaitable[T]]) -> T:
    try:
        return await work(database)
    finally:
        await database.close()
