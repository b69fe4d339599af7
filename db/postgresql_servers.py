"""Connecting to one of the PostgreSQL servers that a URL names."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg

from db.errors import DatabaseNotReady, DatabaseUnavailable, words_of
from db.limits import SIGN_OF_LIFE_INTERVAL, SIGN_OF_LIFE_TIMEOUT
from db.postgresql_url import Host, parse

_SKIPPED = 30
"""Seconds for which a host that was silent is tried after the others."""

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL documentation, "Message Formats"

# A server that has taken nothing for 5 seconds, or that does not answer TCP's own question after it, is gone.
_TCP_OPTIONS = {"TCP_USER_TIMEOUT": 5_000, "TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 2}

# A host with one of these errors is passed over, as one that refuses to connect is.
_NEXT_HOST = (
    OSError,  # TimeoutError too
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.TargetServerAttributeNotMatched,
    asyncpg.TooManyConnectionsError,
)

# A TLS file, or one of the parameters that the server is given.
_MISCONFIGURED = (
    asyncpg.ClientConfigurationError,
    asyncpg.DataError,
    asyncpg.CantChangeRuntimeParamError,
    asyncpg.UndefinedObjectError,
    asyncpg.PostgresSyntaxError,
)


class ServerConnection(asyncpg.Connection):  # type: ignore[misc] # asyncpg has no types
    """A connection that notices when the machine of its server is gone, and that shares no names with other connections."""

    def __init__(self, protocol: Any, transport: Any, loop: Any, address: Any, *others: Any) -> None:
        super().__init__(protocol, transport, loop, address, *others)
        self._address: str | tuple[str, int] = address
        self.token = uuid4().hex
        """The end of the names of its prepared statements."""
        found = transport.get_extra_info("socket")
        if found is None or found.family == socket.AF_UNIX:
            return
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _TCP_OPTIONS.items():
            if hasattr(socket, name):  # not every system has all of them
                found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def _get_unique_id(self, prefix: str) -> str:
        # asyncpg's own names repeat in every process. Behind a pooler that mixes connections up, a name could then stand
        # for the statement of another connection, and its rows would be taken for ours.
        return f"{super()._get_unique_id(prefix)}{self.token}"

    @asynccontextmanager
    async def ended_if_silent(self) -> AsyncIterator[None]:
        """End the connection when its server gives no sign of life: for statements that may take as long as they need."""

        async def watch() -> None:
            await asyncio.sleep(SIGN_OF_LIFE_INTERVAL)
            while await _gives_sign_of_life(self._address):  # noqa: ASYNC110 - the condition is the server's
                await asyncio.sleep(SIGN_OF_LIFE_INTERVAL)
            self.terminate()

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()


async def _gives_sign_of_life(address: str | tuple[str, int]) -> bool:
    """Whether a server responds at all: PostgreSQL and poolers say at once whether they speak TLS."""
    try:
        async with asyncio.timeout(SIGN_OF_LIFE_TIMEOUT):
            connecting = (
                asyncio.open_unix_connection(address) if isinstance(address, str) else asyncio.open_connection(*address)
            )
            reader, writer = await connecting
            try:
                writer.write(_SSL_REQUEST)
                await reader.read(1)
            finally:
                writer.transport.abort()
    except OSError:
        return False
    return True


Prepare: TypeAlias = Callable[[ServerConnection], Awaitable[None]]


class Servers:
    """The servers that a URL names."""

    def __init__(self, url: str) -> None:
        self._target = parse(url)
        self._skipped_until: dict[Host, float] = {}

    async def connect(self, prepare: Prepare | None = None, **options: Any) -> ServerConnection:
        """Connect to the first host that will do, and prepare the connection; each host has a timeout of its own.

        Raises:
            DatabaseUnavailable: when no host will do.
        """
        # asyncpg prefers nothing if it knows one host at a time.
        session = self._target.session
        sessions = ("standby", "any") if session == "prefer-standby" else (session,)
        for each in sessions:
            error: Exception | None = None
            for host in self._in_order():
                try:
                    async with asyncio.timeout(self._target.timeout):
                        return await self._connect_to(host, prepare, target_session_attrs=each, **options)
                except _NEXT_HOST as failed:
                    if isinstance(failed, TimeoutError):
                        self._skipped_until[host] = monotonic() + _SKIPPED
                    error = failed
        raise DatabaseUnavailable(self._reason(error)) from error

    def _in_order(self) -> list[Host]:
        hosts = list(self._target.hosts)
        if self._target.is_shuffled:
            random.shuffle(hosts)
        now = monotonic()
        return sorted(hosts, key=lambda host: self._skipped_until.get(host, 0) > now)

    async def _connect_to(self, host: Host, prepare: Prepare | None, **options: Any) -> ServerConnection:
        address = {"host": host.name, "port": host.port}
        arguments = {"connection_class": ServerConnection, "timeout": None, **self._target.arguments, **address, **options}
        try:
            connection: ServerConnection = await asyncpg.connect(**arguments)
        except _MISCONFIGURED as error:
            raise DatabaseNotReady(words_of(error)) from error
        except KeyError as error:  # the system has no name for its user
            raise DatabaseNotReady("its URL names no user") from error
        try:
            if prepare is not None:
                await prepare(connection)
        except BaseException:
            connection.terminate()  # close() would wait for a server that may be silent
            raise
        return connection

    def _reason(self, error: Exception | None) -> str:
        match error:
            case TimeoutError():
                reason = f"no answer within {self._target.timeout} s"
            case FileNotFoundError():
                reason = "no server listens on the socket that its URL names"
            case socket.gaierror():
                reason = "the host that its URL names is not known"
            case _:
                reason = str(error)
        count = len(self._target.hosts)
        return f"none of the {count} servers will do: {reason}" if count > 1 else reason
