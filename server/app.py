"""The application: everything that is joined is joined here."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from connexion import AsyncApp
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.options import SwaggerUIOptions
from connexion.resolver import Resolver

from db.engine import Database
from db.errors import DatabaseUnavailable
from db.schema import require_newest
from db.sessions import SessionStore
from handlers import sessions
from handlers.concurrency import limit_concurrency
from handlers.documents import list_documents
from handlers.pipeline import ExactRoutingMiddleware, read_parameters, step
from handlers.problems import ProblemDetailsMiddleware
from handlers.rate import RequestCounts, limit_rate
from handlers.response_cache import reuse_responses
from handlers.response_headers import ResponseHeadersMiddleware, security_headers
from handlers.security import authorize
from handlers.tokens import token_verifier
from openapi.contract import load
from server.garbage import tune_garbage_collector
from server.health import Readiness, add_health
from server.origins import allow_origins
from server.pages import add_pages
from server.settings import Settings, read_settings

logger = logging.getLogger("sessions")


def create_app(settings: Settings) -> AsyncApp:
    """The server as an ASGI application.

    Raises:
        ContractError: when the contract is not in order.
        ValueError: when the database URL is not usable.
    """
    contract = load()
    database = Database(settings.database_url, statement_timeout=settings.statement_timeout)
    store = SessionStore(database)
    counts = RequestCounts(settings.rate_limit_redis)
    readiness = Readiness(settings.database_url, settings.keys)

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(database.close)
            stack.push_async_callback(counts.close)
            stack.push_async_callback(readiness.close)
            await _check_tables(database)
            yield

    app = AsyncApp(
        "server",
        lifespan=lifespan,
        middlewares=[
            partial(ResponseHeadersMiddleware, headers=security_headers(behind_tls=settings.behind_tls)),
            allow_origins(settings.cors_origins),  # CORS
            ProblemDetailsMiddleware,  # every error → application/problem+json
            ExactRoutingMiddleware,  # path → operationId (Connexion)
            step(limit_concurrency(settings.concurrent_requests)),  # 503
            step(authorize(token_verifier(settings.keys, settings.tokens))),  # 401, 403
            step(limit_rate(settings.rate_limit, counts)),  # 429
            step(read_parameters),  # 400
            LifespanMiddleware,
            step(reuse_responses(store.revision, settings.responses.cache_bytes)),  # 304, cache hit
            step(list_documents(store)),  # handler → documents checked against the contract → bytes
        ],
        swagger_ui_options=SwaggerUIOptions(serve_spec=False, swagger_ui=False),  # see server.pages
    )
    # The contract's server URL is relative to the address of the contract; the routes are not.
    app.add_api(dict(contract.document), base_path="", contract=contract, resolver=Resolver(partial(getattr, sessions)))
    add_pages(app, contract)
    add_health(app, readiness)
    return app


async def _check_tables(database: Database) -> None:
    """Refuse to start on tables of another version. A database that is down may come back: until then, the server is not
    ready, and a worker that is replaced meanwhile does not end the others."""
    try:
        await require_newest(database)
    except DatabaseUnavailable as error:
        logger.warning("the database cannot be reached: %s", error)


def create_app_from_environment() -> AsyncApp:
    """What `sessions-api serve` serves, and any other ASGI server can: the settings are read here."""
    app = create_app(read_settings())
    tune_garbage_collector()
    return app
