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

_ASSETS = {
    "swagger-ui.css": "stylesheets/swagger-ui.css",
    "swagger-ui-bundle.js": "javascripts/swagger-ui-bundle.js",
}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Workspace Sessions API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""
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
        "/docs": partial(_fixed, _PAGE.encode(), "text/html; charset=utf-8"),
        "/docs/start.js": partial(_fixed, _START.encode(), "text/javascript; charset=utf-8"),
        "/docs/{asset}": _asset,
        "/healthz": _healthz,
        "/readyz": partial(_readyz, database),
        "/": _index,
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


async def _index(_request: Request) -> Response:
    """People who open the bare address want the documentation."""
    return RedirectResponse("docs", 307)
