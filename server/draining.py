"""The end of a server that loses no request, and the workers of `serve --workers`."""

import asyncio
import multiprocessing
import os
import signal
import socket
from functools import partial
from time import monotonic
from types import FrameType

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import multiprocess

_CLOSE = (b"connection", b"close")


class DrainingServer(uvicorn.Server):
    """A server that ends step by step.

    From SIGTERM on, it is not ready and each response closes its connection. `drain_delay` seconds later it stops listening
    and finishes the requests in flight, for at most `timeout_graceful_shutdown` seconds of its configuration. On SIGINT it
    stops listening at once, and so does a worker whose parent process has died. One more SIGINT ends it at once.
    """

    def __init__(self, config: uvicorn.Config, *, drain_delay: float) -> None:
        super().__init__(config)
        self._drain_delay = drain_delay
        self._listen_until = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        # uvicorn's own raises the signal again at the end, so that the process ends by the signal and not with 0.
        if sig == signal.SIGINT:
            self.force_exit = self.should_exit and monotonic() >= self._listen_until
            self._listen_until = 0
        elif not self.should_exit:
            self._listen_until = monotonic() + self._drain_delay
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if parent := multiprocessing.parent_process():
            asyncio.get_running_loop().add_reader(parent.sentinel, self._exit_without_parent, parent.sentinel)

    def _exit_without_parent(self, sentinel: int) -> None:
        asyncio.get_running_loop().remove_reader(sentinel)
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        must_exit = await super().on_tick(counter)
        if self.should_exit:
            self.lifespan.state["draining"] = True  # which the scope of each request has (ASGI lifespan specification)
            if _CLOSE not in self.server_state.default_headers:
                self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]
        return must_exit and monotonic() >= self._listen_until


class _Worker(multiprocess.Process):
    """A worker that runs a `DrainingServer`."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], *, drain_delay: float) -> None:
        self._drain_delay = drain_delay
        super().__init__(config, sockets)

    @property
    def server(self) -> uvicorn.Server:
        if self._server is None:
            self._server = DrainingServer(self.config, drain_delay=self._drain_delay)
        return self._server

    def drain(self) -> None:
        """End the worker as a single process ends."""
        self._signal(signal.SIGTERM)

    def terminate(self) -> None:
        """End the worker while others go on listening on the same socket, so without the drain delay."""
        self._signal(signal.SIGINT)

    def _signal(self, sig: signal.Signals) -> None:
        if self.pid is not None and self.exitcode is None:
            os.kill(self.pid, sig)


class _Workers(multiprocess.Multiprocess):
    """uvicorn's supervisor: it replaces workers that died, and on SIGHUP each worker in turn, once the new one serves."""

    def terminate_all(self) -> None:
        for listener in self.sockets:
            listener.close()  # otherwise connections would be accepted that no worker takes
        for worker in self.processes:
            assert isinstance(worker, _Worker)
            worker.drain()


def run_workers(config: uvicorn.Config, *, drain_delay: float) -> None:
    """Serve with `config.workers` processes until a signal ends them. Exits with 3 when one cannot start."""
    # Multiprocess has no parameter for the class of its workers.
    multiprocess.Process = partial(_Worker, drain_delay=drain_delay)  # type: ignore[assignment,misc]
    try:
        listener = config.bind_socket()
    except SystemExit:  # uvicorn's own code for this differs from that of a single process
        raise SystemExit(STARTUP_FAILURE) from None
    supervisor = _Workers(config, sockets=[listener])
    supervisor.run()
    if any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes):
        raise SystemExit(STARTUP_FAILURE)
