"""What the server answers outside the contract: the contract itself, its documentation, and health."""

from functools import partial
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

from connexion import AsyncApp
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response

from db.engine import Database
from db.errors import DatabaseNotReady, DatabaseUnavailable
from db.schema import require_newest
from openapi.contract import Contract
from openapi.json import encode

HEALTH = ("/healthz", "/readyz")
"""Where an orchestrator asks how the server is."""

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


def add_pages(app: AsyncApp, contract: Contract, database: Database) -> None:
    """Add the pages to an application. None of them asks for a token."""
    for path, page in {
        "/openapi.json": partial(_fixed, encode(contract.document), "application/json"),
        "/openapi.yaml": partial(_fixed, contract.source, "application/yaml"),  # RFC 9512
        "/docs": partial(_fixed, _static("docs.html"), "text/html; charset=utf-8"),
        "/docs/": _without_slash,
        "/docs/docs.js": partial(_fixed, _static("docs.js"), "text/javascript; charset=utf-8"),
        "/docs/docs.css": partial(_fixed, _static("docs.css"), "text/css; charset=utf-8"),
        "/docs/{asset}": _asset,
        "/healthz": _healthz,
        "/readyz": partial(_readyz, database),
        "/": partial(_index, _static("index.html"), _static("index.txt")),
    }.items():
        app.add_url_rule(path, path, page)


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


async def _healthz(_request: Request) -> Response:
    """The process is alive: restart it when this does not answer."""
    return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})


async def _readyz(database: Database, _request: Request) -> Response:
    """The database answers and its tables fit: send requests here only when this is 200."""
    try:
        await require_newest(database)
    except (DatabaseUnavailable, DatabaseNotReady):
        return JSONResponse({"status": "database not ready"}, 503, {"cache-control": "no-store"})
    return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})


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
