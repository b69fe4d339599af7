"""What the server answers outside the contract: the contract itself and its documentation; health is in `server.health`."""

from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

from connexion import AsyncApp
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from openapi.contract import Contract
from openapi.json import encode

_STATIC = Path(__file__).with_name("static")
_ASSETS = {
    "swagger-ui.css": "stylesheets/swagger-ui.css",
    "swagger-ui-bundle.js": "javascripts/swagger-ui-bundle.js",
}
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

    def __init__(self, respond: Callable[[Request], Awaitable[Response]]) -> None:
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)


def add_pages(app: AsyncApp, contract: Contract) -> None:
    """Add the pages to an application. None of them asks for a token."""
    pages: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/openapi.json": partial(_fixed, encode(contract.document), "application/json"),
        "/openapi.yaml": partial(_fixed, contract.source, "application/yaml"),  # RFC 9512
        "/docs": partial(_fixed, _static("docs.html"), "text/html; charset=utf-8"),
        "/docs/": _without_slash,
        "/docs/docs.js": partial(_fixed, _static("docs.js"), "text/javascript; charset=utf-8"),
        "/docs/docs.css": partial(_fixed, _static("docs.css"), "text/css; charset=utf-8"),
        "/docs/{asset}": _asset,
        "/": partial(_index, _static("index.html"), _static("index.txt")),
    }
    for path, page in pages.items():
        app.add_url_rule(path, path, Page(page))


async def _fixed(body: bytes, media_type: str, request: Request) -> Response:
    headers = {**_DOCS_HEADERS, "etag": f'"{blake2b(body, digest_size=16).hexdigest()}"'}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(body, headers={**headers, "content-type": media_type})


async def _asset(request: Request) -> Response:
    name = request.path_params["asset"]
    if name not in _ASSETS:
        raise HTTPException(404)
    return FileResponse(_swagger_ui() / _ASSETS[name], headers=_DOCS_HEADERS)


def _swagger_ui() -> Path:
    """Where Swagger UI's files are. The package is not imported: it is a plugin of a program that is not installed."""
    package = find_spec("mkdocs_swagger_ui_tag")
    assert package is not None
    assert package.origin is not None  # it is among the project's requirements
    return Path(package.origin).parent / "swagger-ui"


def _static(name: str) -> bytes:
    return (_STATIC / name).read_bytes()


async def _without_slash(_request: Request) -> Response:
    """`docs/` is a common way to write `docs`. The address is relative, so it holds behind a proxy that strips a prefix."""
    return RedirectResponse("../docs", 307)


async def _index(page: bytes, text: bytes, request: Request) -> Response:
    """What this server is: a page for browsers, text for everything else."""
    if "text/html" in request.headers.get("accept", ""):
        return await _fixed(page, "text/html; charset=utf-8", request)
    return await _fixed(text, "text/plain; charset=utf-8", request)
