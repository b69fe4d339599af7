"""What the program relies on in Connexion 3.3, so that a new version cannot change it unnoticed."""

import copy
import functools
import importlib.metadata
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
import yaml
from connexion import AsyncApp
from connexion.exceptions import ResolverError
from connexion.resolver import Resolver
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from handlers.documents import list_documents
from handlers.pipeline import ARGUMENTS, ExactRoutingMiddleware, Handler, Step, read_parameters, step
from handlers.problems import ProblemDetailsMiddleware
from handlers.sessions import SessionPage
from openapi.contract import CONTRACT, Operation, load
from openapi.errors import ContractError


def test_the_version_is_the_one_that_was_read() -> None:
    # handlers/pipeline.py builds on RoutedMiddleware, RoutedAPI.make_operation and RoutingMiddleware of this version.
    assert importlib.metadata.version("connexion").startswith("3.3.")


class NoStore:
    """Where handlers read from, for handlers that read nothing."""

    def snapshot(self) -> AbstractAsyncContextManager[Any]:
        raise AssertionError


def app_with(handlers: object, contract_file: Path = CONTRACT, *, also: Step | None = None) -> TestClient:
    """The pipeline without security, with another step before the handler when one is given."""
    contract = load(contract_file)
    steps = [step(read_parameters), *([step(also)] if also else []), step(list_documents(NoStore()))]
    app = AsyncApp("tests", middlewares=[ProblemDetailsMiddleware, ExactRoutingMiddleware, *steps])
    app.add_api(dict(contract.document), base_path="", contract=contract, resolver=Resolver(partial(getattr, handlers)))
    return TestClient(app)


async def echo(
    _store: NoStore,
    *,
    workspace_id: str,
    client_id: str | None = None,
    service_ids: object = None,
    date_from: object = None,
    date_to: object = None,
    status: str | None = None,
    staff_id: str | None = None,
    updated_since: object = None,
    sort: str = "date",
    limit: int | None = None,
    cursor: str | None = None,
) -> SessionPage:
    """A handler that returns a document that the contract forbids."""
    assert workspace_id == "w1"
    given = [client_id, service_ids, date_from, date_to, status, staff_id, updated_since, sort, limit, cursor]
    return SessionPage([orjson.dumps({"extra": given})], None, 1)


def test_the_operation_id_of_the_contract_finds_the_handler() -> None:
    assert app_with(SimpleNamespace(list_sessions=echo)).get("/v1/workspace/w1/sessions").status_code == 500


def test_an_operation_without_a_handler_stops_the_start() -> None:
    with pytest.raises(ResolverError, match="list_sessions"):
        app_with(SimpleNamespace()).get("/")


async def list_everything(_store: NoStore, *, workspace_id: str) -> SessionPage:
    return SessionPage([workspace_id.encode()], None, 1)


def test_a_handler_that_does_not_take_what_the_contract_gives_stops_the_start() -> None:
    with pytest.raises(ContractError, match="the handler of list_sessions takes"):
        app_with(SimpleNamespace(list_sessions=list_everything)).get("/")


def test_a_second_operation_needs_nothing_but_the_contract_and_a_handler(tmp_path: Path) -> None:
    document = copy.deepcopy(dict(load().document))
    path = "/v1/workspace/{workspaceId}/sessions"
    another = copy.deepcopy(document["paths"][path])
    another["get"]["operationId"] = "list_archived_sessions"
    document["paths"]["/v1/workspace/{workspaceId}/archived-sessions"] = another
    file = tmp_path / "openapi.yaml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")

    @functools.wraps(echo)  # the same parameters
    async def list_archived_sessions(_store: NoStore, **_arguments: Any) -> SessionPage:
        return SessionPage([], None, 1)

    client = app_with(SimpleNamespace(list_sessions=echo, list_archived_sessions=list_archived_sessions), file)
    assert client.get("/v1/workspace/w1/archived-sessions").json() == {"sessions": []}
    assert client.get("/v1/workspace/w1/sessions").status_code == 500


def test_a_step_is_built_once_for_each_operation_and_not_for_each_request() -> None:
    built: list[str] = []

    def counted(operation: Operation, handler: Handler, next_app: ASGIApp) -> ASGIApp:
        built.append(operation.operation_id)
        assert handler is echo
        return next_app

    client = app_with(SimpleNamespace(list_sessions=echo), also=counted)
    for _ in range(3):
        client.get("/v1/workspace/w1/sessions")
    assert built == ["list_sessions"]


def test_arguments_reach_the_handler_by_their_names(caplog: pytest.LogCaptureFixture) -> None:
    seen: dict[str, Any] = {}

    def look(_operation: Operation, _handler: Handler, next_app: ASGIApp) -> ASGIApp:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.update(scope[ARGUMENTS])
            await next_app(scope, receive, send)

        return app

    app_with(SimpleNamespace(list_sessions=echo), also=look).get(
        "/v1/workspace/w1/sessions?clientId=c&serviceIds=a,b&status=completed"
    )
    assert seen == {"workspace_id": "w1", "client_id": "c", "service_ids": ("a", "b"), "status": "completed"}
    assert "extra" not in caplog.text
