"""Running the application under uvicorn."""

import logging
import signal
import sys
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

logger = logging.getLogger("sessions")


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
    """Serve until a signal ends it; exits the process when it cannot start. Each worker reads the settings anew, since keys
    do not cross from process to process."""
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
        if sys.platform != "win32":
            signal.signal(
                signal.SIGHUP, lambda *_: logger.warning("SIGHUP restarts workers: serve with --workers 2 or more")
            )
        DrainingServer(config, drain_delay=settings.drain_delay).run()


def serve_demo(host: str, port: int, database_url: str, secret: str, announce: Callable[[str], None]) -> None:
    """Serve one database with one secret, and announce the address once it accepts connections."""
    settings = Settings(StaticKeys((secret_key(secret),)), database_url)
    config = uvicorn.Config(create_app(settings), host=host, port=port, **options(settings))
    tune_garbage_collector()
    listener = config.bind_socket()
    listener.listen()
    bound = listener.getsockname()[1]
    address = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared
    announce(f"http://{f'[{address}]' if ':' in address else address}:{bound}")
    DrainingServer(config, drain_delay=0).run(sockets=[listener])
