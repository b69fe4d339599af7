"""The program `sessions-api`, and each of its workers."""

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from starlette.types import ASGIApp

UNHEEDED = "Using `httpx` with `starlette.testclient` is deprecated"
"""Connexion 3.3 imports Starlette's test client, which warns whoever starts the server."""


@contextmanager
def importing() -> Iterator[None]:
    """Import a program, or much of one, without what would hold it up."""
    # What is imported stays, and the collector would look through all of it again and again.
    gc.disable()
    warnings.filterwarnings("ignore", message=UNHEEDED)
    yield
    gc.freeze()
    gc.enable()


def main() -> NoReturn:
    """Run the command line."""
    with importing():
        from server import cli  # noqa: PLC0415 - after that
    cli.main()


def create_app() -> ASGIApp:
    """The application of a worker."""
    with importing():
        from server.app import create_app_from_environment  # noqa: PLC0415 - after that
    app: ASGIApp = create_app_from_environment()
    return app


if __name__ == "__main__":
    main()
