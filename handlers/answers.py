"""How an answer leaves: checked against the contract, encoded once, remembered while it holds, and sent if it is news.

An answer is made from a version: a revision of what it is about, and the question. As long as that stands, so does the
answer. So its `ETag` is made from the version alone, a client that holds it is told so before anything is read, and a body
that has been checked and encoded serves whoever asks the same next. Who may ask was decided before; the cache knows nothing
of tokens.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Hashable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from hashlib import blake2b
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote

from cachetools import LRUCache
from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.encodings import CODINGS, SMALLEST, choose_coding, compress
from handlers.pipeline import ARGUMENTS, Handler, Header, Step, respond
from handlers.rules import AnswerRules
from openapi.contract import Operation
from openapi.errors import ContractError
from openapi.json import JSONValue, Texts, encode

_RULES = AnswerRules()
_IN_LOOP = 32 * 1024  # bytes that are compressed faster than a thread is asked to


class Version(NamedTuple):
    """What an answer is made from: the same version, the same answer."""

    revision: int
    question: Hashable
    """All that was asked, in one form for whatever means the same; the workspace too."""


class Answer(NamedTuple):
    """The body of a 200, with the texts of what is written as it was, and the parameters that lead to the next page.

    A body of one member, an array, may come in parts: its value is then an asynchronous generator of arrays and their texts.
    """

    version: Version
    body: JSONValue
    texts: Texts = []  # noqa: RUF012 - it is only read
    following: Mapping[str, str] | None = None


Part: TypeAlias = tuple[list[JSONValue], Texts]

Steps: TypeAlias = AsyncGenerator[Version | Answer]
"""What a handler yields: the version first, as cheaply as it can be known, then the answer, if it is asked for that."""


class _Encoded:
    """A body that has been checked, as it goes out in each coding."""

    def __init__(self, body: bytes, following: Mapping[str, str] | None) -> None:
        self.bodies: dict[str | None, bytes] = {None: body}
        self.following = following

    def size(self) -> int:
        return 500 + sum(map(len, self.bodies.values()))

    async def coded(self, coding: str | None) -> bytes:
        """The body in a coding, which is made once."""
        if coding not in self.bodies:
            body = self.bodies[None]
            assert coding is not None  # which is there from the beginning
            if len(body) <= _IN_LOOP:
                self.bodies[coding] = compress(coding, body)
            else:
                self.bodies[coding] = await asyncio.to_thread(compress, coding, body)
        return self.bodies[coding]


def answer(resource: object, rules: AnswerRules = _RULES) -> Step:
    """Call the handler with the resource that it reads from, check what it returns against the contract, and send it."""

    def build(operation: Operation, handler: Handler, _next_app: ASGIApp) -> ASGIApp:
        _require_arguments(operation, handler)
        check = operation.responses[200]
        cache: LRUCache[Version, _Encoded] = LRUCache(max(rules.cache_bytes, 1), getsizeof=_Encoded.size)

        def remember(version: Version, encoded: _Encoded) -> None:
            cache.pop(version, None)  # its size is taken when it comes in
            if encoded.size() <= rules.cache_bytes:
                cache[version] = encoded

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            arguments = scope[ARGUMENTS]
            coding = choose_coding(scope["headers"])
            async with aclosing(handler(resource, **arguments)) as steps:
                version = await anext(steps)
                etag = _etag(operation, version)
                if _is_current(etag, scope["headers"]):
                    await respond(scope, send, 304, _headers(etag))
                    return
                encoded = cache.get(version)
                if encoded is None:
                    made = await anext(steps)
                    value = made.body
                    if made.version != version:  # somebody wrote meanwhile
                        version, etag = made.version, _etag(operation, made.version)
                    if parts := _parts(value):
                        stream = _Stream(scope, receive, send, check, coding, rules.stall_timeout)
                        await stream.send_all(_headers(etag, coding), *parts)
                        return
                    check(value)
                    encoded = _Encoded(encode(value, made.texts), made.following)
                    remember(version, encoded)
            # The connection is given back before a client can keep it waiting.
            if len(encoded.bodies[None]) < SMALLEST:
                coding = None
            if coding not in encoded.bodies:
                await encoded.coded(coding)
                if version in cache:
                    remember(version, encoded)
            headers = [(b"content-type", b"application/json"), *_headers(etag, coding)]
            if encoded.following:
                headers.append((b"link", _next_link(scope, encoded.following)))
                headers.append((b"next-cursor", encoded.following["cursor"].encode("ascii")))
            await respond(scope, send, 200, headers, encoded.bodies[coding])

        return app

    return build


def _etag(operation: Operation, version: Version) -> bytes:
    """Weak, since it names the meaning of a body and not its bytes: coded or not, it is one (RFC 9110, section 8.8.1)."""
    digest = blake2b(repr(version).encode(), digest_size=16, key=operation.contract_digest)
    return b'W/"%s"' % digest.hexdigest().encode()


def _headers(etag: bytes, coding: str | None = None) -> list[Header]:
    headers = [
        (b"etag", etag),
        (b"cache-control", b"private, no-cache"),
        (b"vary", b"Authorization, Accept-Encoding"),
    ]
    return [*headers, (b"content-encoding", coding.encode())] if coding else headers


def _is_current(etag: bytes, headers: Iterable[Header]) -> bool:
    """Whether the client holds this answer already: If-None-Match with weak comparison (RFC 9110, section 13.1.2)."""
    for name, value in headers:
        if name == b"if-none-match":
            held = {tag.strip().removeprefix(b"W/") for tag in value.split(b",")}
            if b"*" in held or etag.removeprefix(b"W/") in held:
                return True
    return False


def _next_link(scope: Scope, following: Mapping[str, str]) -> bytes:
    """The address of the next page (RFC 8288): this one, with some parameters changed. It names no host, so it holds behind
    any proxy; path and query have passed the contract, so they need no more encoding than they came with."""
    sent = scope["query_string"].decode("ascii").split("&")
    kept = [pair for pair in sent if pair and unquote(pair.partition("=")[0]) not in following]
    changed = [f"{name}={value}" for name, value in following.items()]
    return f'<?{"&".join([*kept, *changed])}>; rel="next"'.encode("ascii")


def _parts(value: JSONValue) -> tuple[str, AsyncGenerator[Part]] | None:
    for name, member in value.items():
        if isinstance(member, AsyncGenerator):
            return name, member
    return None


class _Stream:
    """Sends a body whose one member comes in parts, each checked before its bytes leave.

    Whatever fails on the way leaves the body without its end, so that no client takes a cut list for a whole one. A client
    that has gone, or takes nothing for `stall_timeout` seconds, is given up: a connection to the database waits with it.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        check: Callable[[JSONValue], None],
        coding: str | None,
        stall_timeout: float,
    ) -> None:
        self._is_head = scope["method"] == "HEAD"
        self._receive = receive
        self._send = send
        self._check = check
        self._compressor = CODINGS[coding]() if coding else None
        self._stall_timeout = stall_timeout

    async def send_all(self, headers: list[Header], name: str, parts: AsyncGenerator[Part]) -> None:
        async with aclosing(parts), _watching(self._receive) as gone:
            # The answer begins when there is something to send: what fails before that is still told in full.
            first, texts = await anext(parts, ([], []))
            self._check({name: first})
            headers = [(b"content-type", b"application/json"), *headers]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            if self._is_head:
                await self._send({"type": "http.response.body"})
                return
            await self._send_text(b"{" + encode(name) + b":[" + encode(first, texts)[1:-1])
            async for part, texts in parts:
                if gone.done():
                    return
                self._check({name: part})
                await self._send_text(b"," + encode(part, texts)[1:-1])
            await self._send_text(b"]}", more=False)

    async def _send_text(self, text: bytes, *, more: bool = True) -> None:
        if self._compressor:
            text = await asyncio.to_thread(self._compressor.compress, text)
            if not more:
                text += self._compressor.flush()
        async with asyncio.timeout(self._stall_timeout):
            await self._send({"type": "http.response.body", "body": text, "more_body": more})


@asynccontextmanager
async def _watching(receive: Receive) -> AsyncGenerator[asyncio.Task[None]]:
    """A task that is done once the client has gone, which `send` would not tell."""

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task = asyncio.create_task(wait())
    try:
        yield task
    finally:
        task.cancel()


def _require_arguments(operation: Operation, handler: Handler) -> None:
    """Make sure that a handler takes what the contract gives it beside its resource, no more and no less."""
    parameters = list(inspect.signature(handler).parameters.values())[1:]
    taken = {parameter.name: parameter.default is parameter.empty for parameter in parameters}
    if taken != operation.parameters.arguments:
        raise ContractError(
            [f"the handler of {operation.operation_id} takes {taken}; the contract gives {operation.parameters.arguments}"]
        )
