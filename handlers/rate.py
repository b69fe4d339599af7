"""How often the holder of a token may ask, when the operator has set a limit."""

import math
import time

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.pipeline import Handler, Step
from handlers.security import CLAIMS, Claims
from openapi.contract import Operation


class TooManyRequests(Exception):
    """The holder of this token has asked as often as they may for now (429, RFC 6585, section 4)."""

    def __init__(self, retry_after: int) -> None:
        """`retry_after` is in seconds."""
        super().__init__(retry_after)
        self.retry_after = retry_after


def limit_rate(allowed: RateLimitItem | None) -> Step:
    """Let each subject ask as often as `allowed` says; None lets everybody ask as often as they like.

    This process counts for itself. Tokens without a subject are counted together by the workspaces that they cover.
    """

    def build(operation: Operation, _handler: Handler, next_app: ASGIApp) -> ASGIApp:
        if allowed is None or operation.required_scopes is None:
            return next_app
        limiter = FixedWindowRateLimiter(MemoryStorage())

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            claims: Claims = scope[CLAIMS]
            holder = claims.subject or " ".join(sorted(claims.workspaces))
            if not await limiter.hit(allowed, operation.operation_id, holder):
                window = await limiter.get_window_stats(allowed, operation.operation_id, holder)
                raise TooManyRequests(max(1, math.ceil(window.reset_time - time.time())))
            await next_app(scope, receive, send)

        return app

    return build
