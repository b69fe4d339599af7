"""A TCP relay to a server, which can go silent (takes connections and bytes, passes nothing on), reset, and be slow."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

T = TypeVar("T")


class Relay:
    """Listens on a port of its own, in a thread with an event loop of its own."""

    def __init__(self, socket_file: str, delay: float = 0) -> None:
        """`delay` is how many seconds the relay holds what the server sends."""
        self._socket_file = socket_file
        self._delay = delay
        self._writers = set[asyncio.StreamWriter]()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._passing = asyncio.Event()
        self._passing.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, sock=self._listener))
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def close(self) -> None:
        """End it, and every connection."""

        async def end() -> None:
            self._server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._run(end())

    def be_silent(self) -> None:
        """Pass nothing on from now on, on open connections and on new ones."""
        self._loop.call_soon_threadsafe(self._passing.clear)

    def speak(self) -> None:
        """Pass on everything again."""
        self._loop.call_soon_threadsafe(self._passing.set)

    def reset(self) -> None:
        """Reset every open connection (RST), and take new ones."""

        def abort() -> None:
            for writer in self._writers:
                at_once = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                writer.transport.abort()

        self._loop.call_soon_threadsafe(abort)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        writers = [writer]
        # asyncio logs a task of a connection that is cancelled.
        with suppress(asyncio.CancelledError):
            await self._passing.wait()
            server_reader, server_writer = await asyncio.open_unix_connection(self._socket_file)
            writers.append(server_writer)
            await asyncio.gather(self._pass_on(reader, server_writer), self._pass_on(server_reader, writer, self._delay))
        for each in writers:
            each.transport.abort()
        self._writers.discard(writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float = 0) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._passing.wait()
                if delay:
                    await asyncio.sleep(delay)
                writer.write(data)
        await self._passing.wait()
        with suppress(OSError):
            writer.write_eof()


def url_through(*relays: Relay, url: str) -> str:
    """The URL of a database on a local socket, through relays to it."""
    parts = urlsplit(url)
    hosts = ",".join(f"127.0.0.1:{relay.port}" for relay in relays)
    return f"postgresql://postgres@{hosts}{parts.path}?sslmode=disable"


def socket_file(url: str) -> str:
    """The socket of the server of a URL."""
    [folder] = parse_qs(urlsplit(url).query)["host"]
    return f"{folder}/.s.PGSQL.5432"
