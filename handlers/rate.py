"""The rate limit: how many requests the subject of a token may send in a period, if the operator has set a limit."""

import logging
import math
import time
from hashlib import blake2b

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.errors import StorageError
from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.pipeline import Handler, Step
from handlers.response_headers import add_headers
from handlers.security import CLAIMS
from handlers.tokens import Claims
from openapi.contract import Operation

logger = logging.getLogger("sessions")

_REDIS_TIMEOUT = 0.5  # seconds; a request waits no longer to be counted
_REDIS_RETRY = 5  # seconds from a failure of Redis to the next attempt


class TooManyRequests(Exception):
    """The rate limit of a token is exceeded for `retry_after` more seconds (429, RFC 6585, section 4)."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class RequestCounts:
    """Counts requests in the memory of this process, or in a Redis that several processes share.

    While Redis is unavailable, each process counts for itself, so that an outage of Redis is not one of the service.
    """

    def __init__(self, redis_url: str | None = None) -> None:
        self._own = MemoryStorage()
        self._shared = _redis(redis_url) if redis_url else None
        self._retry_at = 0.0

    async def add(self, limit: RateLimitItem, *holder: str) -> tuple[int, float]:
        """Count a request; return the number of requests in this window, and its end (Unix time)."""
        key, length = limit.key_for(*holder), limit.get_expiry()
        if self._shared is not None and time.monotonic() >= self._retry_at:
            try:
                count = await self._shared.incr(key, length), await self._shared.get_expiry(key)
            except StorageError as error:
                if not self._retry_at:
                    logger.error("requests are counted by this process alone: Redis: %s", error.storage_error)  # noqa: TRY400
                self._retry_at = time.monotonic() + _REDIS_RETRY
            else:
                if self._retry_at:
                    logger.info("requests are counted in Redis again")
                self._retry_at = 0.0
                return count
        return await self._own.incr(key, length), await self._own.get_expiry(key)

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.bridge.storage.aclose()  # type: ignore[attr-defined] # each bridge has one


def _redis(url: str) -> RedisStorage:
    # Imported here since it takes a tenth of the start-up time, and most servers do not use Redis.
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    return RedisStorage(
        f"async+{url}",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="sessions-api",
        socket_timeout=_REDIS_TIMEOUT,
        socket_connect_timeout=_REDIS_TIMEOUT,
        retry=Retry(NoBackoff(), 1),  # type: ignore[arg-type] # limits passes on whatever redis-py takes
    )


def limit_rate(limit: RateLimitItem | None, counts: RequestCounts) -> Step:
    """Refuse requests of a subject beyond the limit, and report what is left in the headers `RateLimit` and
    `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10).

    Tokens without a subject share the limit with all others that cover the same workspaces.
    """

    def build(operation: Operation, _handler: Handler, next_app: ASGIApp) -> ASGIApp:
        if limit is None or operation.required_scopes is None:
            return next_app
        policy = b'"subject";q=%d;w=%d' % (limit.amount, limit.get_expiry())

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            count, end = await counts.add(limit, operation.operation_id, _pseudonym(scope[CLAIMS]))
            seconds = max(1, math.ceil(end - time.time()))
            left = b'"subject";r=%d;t=%d' % (max(0, limit.amount - count), seconds)
            add_headers(scope, [(b"ratelimit-policy", policy), (b"ratelimit", left)])
            if count > limit.amount:
                raise TooManyRequests(seconds)
            await next_app(scope, receive, send)

        return app

    return build


def _pseudonym(claims: Claims) -> str:
    """A digest that stands for the subject, so that Redis holds no names."""
    named = f"subject {claims.subject}" if claims.subject else f"workspaces {' '.join(sorted(claims.workspaces))}"
    return blake2b(named.encode(), digest_size=16).hexdigest()
