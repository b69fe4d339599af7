"""The application: everything that is joined is joined here."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from connexion import AsyncApp
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.options import SwaggerUIOptions
from connexion.resolver import Resolver

from db.engine import Database
from db.schema import require_newest
from db.sessions import Sessions
from handlers import sessions
from handlers.answers import answer
from handlers.headers import every_answer_has, security_headers
from handlers.overload import limit_concurrency
from handlers.pipeline import ExactRoutingMiddleware, read_parameters, step
from handlers.problems import ProblemEdge
from handlers.rate import RequestCounts, limit_rate
from handlers.security import authorize, token_verifier
from openapi.contract import load
from server.origins import allow_origins
from server.pages import HEALTH, add_pages
from server.settings import Settings, read_settings


def create_app(settings: Settings) -> AsyncApp:
    """The server as an ASGI application.

    Raises:
        ContractError: when the contract is not in order.
        ValueError: when the database URL is not usable.
    """
    contract = load()
    database = Database(settings.database_url, read_only=True, statement_timeout=settings.statement_timeout)
    counts = RequestCounts(settings.rate_limit_redis)

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        try:
            await require_newest(database)
            yield
        finally:
            await database.close()
            await counts.close()

    app = AsyncApp(
        "server",
        lifespan=lifespan,
        middlewares=[
            every_answer_has(security_headers(behind_tls=settings.behind_tls)),
            allow_origins(settings.cors_origins),  # CORS
            ProblemEdge,  # every error → application/problem+json
            limit_concurrency(settings.concurrent_requests, except_for=HEALTH),  # 503
            ExactRoutingMiddleware,  # path → operationId (Connexion)
            step(authorize(token_verifier(settings.keys, settings.tokens))),  # 401, 403
            step(limit_rate(settings.rate_limit, counts)),  # 429
            step(read_parameters),  # 400
            LifespanMiddleware,
            step(answer(Sessions(database), settings.answers)),  # handler → body checked against the contract → bytes
        ],
        swagger_ui_options=SwaggerUIOptions(serve_spec=False, swagger_ui=False),  # see server.pages
    )
    # The contract's server URL is relative to the address of the contract; the routes are not.
    app.add_api(dict(contract.document), base_path="", contract=contract, resolver=Resolver(partial(getattr, sessions)))
    add_pages(app, contract, database)
    return app


def create_app_from_environment() -> AsyncApp:
    """What `sessions-api serve` serves, and any other ASGI server can: the settings are read here."""
    app = create_app(read_settings())
    settle()
    return app


def settle() -> None:
    """Tell the garbage collector that what is there by now stays, and that answers are large.

    It would go through the contract, the libraries and a thousand half-made sessions again and again, and find nothing:
    what a request leaves behind is freed without it, but for a few cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
