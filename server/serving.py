"""Running the application under uvicorn."""

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn

from handlers.keys import StaticKeys, secret_key
from server.app import create_app
from server.settings import Settings


def _options(*, access_log: bool, log_level: str) -> dict[str, Any]:
    return {
        # httptools bounds the request line and refuses what h11 lets pass: folded headers, bare line feeds, and
        # Content-Length beside Transfer-Encoding.
        "http": "httptools",
        "lifespan": "on",
        "server_header": False,
        "access_log": access_log,
        "log_config": {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
            "root": {"handlers": ["stderr"], "level": log_level.upper()},
            "loggers": {"alembic": {"level": "WARNING"}},  # it tells at each readiness probe what it looks at
        },
    }


def serve(host: str, port: int, *, workers: int, access_log: bool, log_level: str) -> None:
    """Serve from the settings in the environment until a signal ends it; exits the process when it cannot start."""
    uvicorn.run(
        "server.app:create_app_from_environment",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        **_options(access_log=access_log, log_level=log_level),
    )


class _AnnouncingServer(uvicorn.Server):
    """A server that says where it listens once it does, so that what is printed works when it is pasted."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[str], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.servers:
            port = self.servers[0].sockets[0].getsockname()[1]
            host = self.config.host if self.config.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104 - compared
            self._announce(f"http://{f'[{host}]' if ':' in host else host}:{port}")


def serve_demo(host: str, port: int, database_url: str, secret: str, announce: Callable[[str], None]) -> None:
    """Serve one database with one secret, and announce the address once it answers."""
    app = create_app(Settings(StaticKeys((secret_key(secret),)), database_url))
    config = uvicorn.Config(app, host=host, port=port, **_options(access_log=True, log_level="info"))
    server = _AnnouncingServer(config, announce)
    with suppress(KeyboardInterrupt):  # how a demo ends
        server.run()
    if not server.started:
        raise SystemExit(1)
