"""Running the application under uvicorn."""

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn

from handlers.keys import StaticKeys, secret_key
from handlers.response_headers import security_headers
from server.app import create_app
from server.connections import ConnectionLimit, max_connections, raise_descriptor_limit
from server.draining import DrainingServer, run_workers
from server.garbage import tune_garbage_collector
from server.logs import log_config
from server.settings import Settings
from server.transport import RequestProtocol


def options(settings: Settings, *, access_log: bool = True) -> dict[str, Any]:
    """The options of uvicorn, apart from the application and where to listen."""
    return {
        "http": partial(
            RequestProtocol,
            request_timeout=settings.request_timeout,
            stall_timeout=settings.responses.stall_timeout,
            headers=security_headers(behind_tls=settings.behind_tls),
            limit=ConnectionLimit(max_connections()),
        ),
        "ws": "none",
        "timeout_keep_alive": 5,
        "timeout_graceful_shutdown": settings.grace_period,
        "timeout_worker_healthcheck": 15,  # a new worker starts within this time, and one that hangs for it is replaced
        "lifespan": "on",
        "server_header": False,
        "access_log": access_log,
        "log_config": log_config(settings.log_level),
    }


def serve(host: str, port: int, settings: Settings, *, workers: int, access_log: bool) -> None:
    """Serve from the settings in the environment, which are these, until a signal ends it; exits the process when it cannot
    start. Each worker reads them anew, since what they hold does not cross from process to process."""
    raise_descriptor_limit()
    config = uvicorn.Config(
        "server.app:create_app_from_environment",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        **options(settings, access_log=access_log),
    )
    if workers > 1:
        run_workers(config, drain_delay=settings.drain_delay)
    else:
        DrainingServer(config, drain_delay=settings.drain_delay).run()


class _AnnouncingServer(DrainingServer):
    """A server that says where it listens once it does, so that what is printed works when it is pasted."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[str], None]) -> None:
        super().__init__(config, drain_delay=0)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.servers:
            port = self.servers[0].sockets[0].getsockname()[1]
            host = self.config.host if self.config.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104 - compared
            self._announce(f"http://{f'[{host}]' if ':' in host else host}:{port}")


def serve_demo(host: str, port: int, database_url: str, secret: str, announce: Callable[[str], None]) -> None:
    """Serve one database with one secret, and announce the address once it answers."""
    settings = Settings(StaticKeys((secret_key(secret),)), database_url)
    app = create_app(settings)
    tune_garbage_collector()
    config = uvicorn.Config(app, host=host, port=port, **options(settings))
    server = _AnnouncingServer(config, announce)
    server.run()
    if not server.started:
        raise SystemExit(1)
