"""What the server answers outside the contract: the contract itself and its documentation; health is in `server.health`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from connexion import AsyncApp
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from handlers.responses import PIECE
from openapi.contract import Contract
from openapi.json import encode

Respond: TypeAlias = Callable[[Request], Awaitable[Response]]

_STATIC = Path(__file__).with_name("static")
_DOCS_HEADERS = {
    # Swagger UI sets style attributes and draws with data: images; nothing else may come from anywhere but here.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-cache",
}


class Page:
    """An ASGI application that responds to GET and HEAD, and refuses other methods with 405.

    A function as a route would match GET and HEAD alone, so that Connexion's router took other methods, and found nothing.
    """

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)


def add_pages(app: AsyncApp, contract: Contract) -> None:
    """Add the pages to an application. None of them asks for a token."""
    html, text, css, script = (f"text/{kind}; charset=utf-8" for kind in ("html", "plain", "css", "javascript"))
    pages: dict[str, Respond] = {
        "/openapi.json": _fixed(encode(contract.document), "application/json"),
        "/openapi.yaml": _fixed(contract.source, "application/yaml"),  # RFC 9512
        "/docs": _fixed(_static("docs.html"), html),
        "/docs/": _without_slash,
        "/docs/docs.js": _fixed(_static("docs.js"), script),
        "/docs/docs.css": _fixed(_static("docs.css"), css),
        "/docs/swagger-ui.css": _fixed(_swagger_ui("stylesheets/swagger-ui.css"), css),
        "/docs/swagger-ui-bundle.js": _fixed(_swagger_ui("javascripts/swagger-ui-bundle.js"), script),
        "/": partial(_index, _fixed(_static("index.html"), html), _fixed(_static("index.txt"), text)),
    }
    for path, page in pages.items():
        app.add_url_rule(path, path, Page(page))


def _fixed(body: bytes, media_type: str) -> Respond:
    """Respond with bytes from memory: a client that reads them slowly holds no open file."""
    headers = {**_DOCS_HEADERS, "etag": f'"{blake2b(body, digest_size=16).hexdigest()}"'}

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), PIECE):
            yield body[start : start + PIECE]

    async def respond(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        size = {"content-type": media_type, "content-length": str(len(body))}
        return StreamingResponse(pieces(), headers={**headers, **size})

    return respond


def _swagger_ui(name: str) -> bytes:
    """A file of Swagger UI. Its package is not imported: it is a plugin of a program that is not installed."""
    package = find_spec("mkdocs_swagger_ui_tag")
    assert package is not None
    assert package.origin is not None  # it is among the project's requirements
    return (Path(package.origin).parent / "swagger-ui" / name).read_bytes()


def _static(name: str) -> bytes:
    return (_STATIC / name).read_bytes()


async def _without_slash(_request: Request) -> Response:
    """`docs/` is a common way to write `docs`. The address is relative, so it holds behind a proxy that strips a prefix."""
    return RedirectResponse("../docs", 307)


async def _index(page: Respond, text: Respond, request: Request) -> Response:
    """What this server is: a page for browsers, text for everything else."""
    return await (page if "text/html" in request.headers.get("accept", "") else text)(request)
