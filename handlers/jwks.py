"""A JWK set behind an address, which a background task fetches and renews."""

import asyncio
import json
import logging
import math
import re
import ssl
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from handlers.keys import Key, KeysUnavailable, candidates_among, jwk_entries, usable_keys

if TYPE_CHECKING:
    from httpx import AsyncClient

logger = logging.getLogger("sessions")

MAX_BYTES = 512 * 1024
"""Bytes of a JWK set or a discovery document."""
MAX_WAITING = 64
"""Requests that may wait for one fetch, unless told otherwise."""
_DISCOVERY = "/.well-known/openid-configuration"  # OpenID Connect Discovery 1.0, section 4


class _Unexpected(ValueError):
    """The key server responds with something else than what was asked for."""


class JWKSServer:
    """A JWK set at an address, or the one that the discovery document of an OIDC issuer at that address names.

    The first request that needs a key starts the first fetch; then a background task renews the set every `lifespan`
    seconds, or after `retry` seconds while it fails. No request waits for a fetch if the set at hand has a key for it. A
    token that names an unknown key waits for at most one fetch, at most `max_waiting` requests wait at a time, and
    `cooldown` seconds pass between a success and a fetch for an unknown key.
    """

    def __init__(
        self,
        url: str,
        algorithms: frozenset[str],
        *,
        lifespan: float = 300,
        outage: float = 3600,
        cooldown: float = 30,
        retry: float = 5,
        timeout: float = 5,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        """Prepare for the URL; nothing is fetched before it is needed. All times are in seconds: a fetch may take `timeout`
        in all, and a set is used for `outage` after its `lifespan` while it cannot be renewed.

        Raises:
            ValueError: when the URL cannot be used.
        """
        _require_safe(url)
        self.algorithms, self.max_waiting = algorithms, max_waiting
        self._url = url
        self._trusted = ssl.create_default_context()
        self._lifespan, self._outage = lifespan, outage
        self._cooldown, self._retry, self._timeout = cooldown, retry, timeout
        self._waiting = 0
        self._keys: tuple[Key, ...] = ()
        self._fetched = self._next_fetch = -math.inf
        self._failure: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._renewal: asyncio.TimerHandle | None = None

    async def candidates(self, header: Mapping[str, Any]) -> Sequence[Key]:
        if header["alg"] not in self.algorithms:
            return []
        if not self._can_judge(header):
            if self._is_fetching() or monotonic() >= self._next_fetch:
                await self._wait()
            if self._failure is not None and not self._can_judge(header):
                raise KeysUnavailable(self._failure)
        return candidates_among(self._keys, header)

    async def fetch(self) -> Sequence[Key]:
        """Fetch the set now and return the keys that can be used.

        Raises:
            KeysUnavailable: when it cannot be fetched, with the reason.
        """
        await asyncio.wait([self._start()])
        if self._failure is not None:
            raise KeysUnavailable(self._failure)
        return self._keys

    def _can_judge(self, header: Mapping[str, Any]) -> bool:
        """Whether the set at hand is not too old, and has the key that a token names."""
        usable = monotonic() - self._fetched <= self._lifespan + self._outage
        return usable and ("kid" not in header or any(key.kid in (None, header["kid"]) for key in self._keys))

    async def _wait(self) -> None:
        if self._waiting >= self.max_waiting:
            raise KeysUnavailable("too many requests wait for the JWK set")
        self._waiting += 1
        try:
            await asyncio.wait([self._start()])  # a request that is given up does not end the fetch of the others
        finally:
            self._waiting -= 1

    def _is_fetching(self) -> bool:
        return self._task is not None and not self._task.done()

    def _start(self) -> asyncio.Task[None]:
        """The fetch that is under way, or a new one."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._renew())
        return self._task

    async def _renew(self) -> None:
        delay = self._retry
        try:
            async with asyncio.timeout(self._timeout):
                entries = await self._entries()
            keys = await asyncio.to_thread(lambda: tuple(usable_keys(entries, self.algorithms)))
        except Exception as error:  # noqa: BLE001 - whatever a key server sends, the next fetch must come
            failure = f"the JWK set cannot be fetched: {self._reason(error)}"
            if failure != self._failure:
                logger.warning("%s", failure)
            self._failure = failure
            self._next_fetch = monotonic() + self._retry
        else:
            if self._failure is not None:
                logger.info("the JWK set can be fetched again")
            if not keys:
                logger.warning("no key of the JWK set fits %s", ", ".join(sorted(self.algorithms)))
            self._keys, self._failure, delay = keys, None, self._lifespan
            self._fetched = monotonic()
            self._next_fetch = self._fetched + self._cooldown
        if self._renewal is not None:
            self._renewal.cancel()
        self._renewal = asyncio.get_running_loop().call_later(delay, self._start)

    def _reason(self, error: Exception) -> str:
        """Why a fetch failed. Errors that are not expected may quote settings, such as a proxy with its password."""
        from httpx import ConnectError, TransportError  # noqa: PLC0415 - as below

        match error:
            case TimeoutError():
                return f"the key server took longer than {self._timeout:g} seconds"
            case ConnectError():
                return f"no connection to the key server: {error}"
            case _Unexpected() | OSError() | TransportError() if str(error):
                return str(error)
            case _:
                return f"unexpected {type(error).__name__}"

    async def _entries(self) -> list[Mapping[str, Any]]:
        async with self._client() as client:
            try:
                document = await _document(client, self._url)
                if _is_object_with("keys", document):
                    return _jwk_set(document)
                reason = "it serves another document"
            except _Unexpected as error:
                document, reason = None, str(error)
            if not _is_object_with("jwks_uri", document):
                try:
                    document = await _document(client, self._url.rstrip("/") + _DISCOVERY)
                except _Unexpected:
                    raise _Unexpected(f"the address has no JWK set ({reason}) and is not that of an OIDC issuer") from None
            return _jwk_set(await _document(client, self._named_by(document)))

    def _client(self) -> "AsyncClient":
        """A client for one fetch. It follows no redirects, and asks through the proxy of HTTPS_PROXY unless NO_PROXY exempts
        the host; what is not encrypted goes through no proxy."""
        # Here and not above: most commands fetch nothing.
        from httpx import AsyncClient  # noqa: PLC0415

        return AsyncClient(
            headers={
                "User-Agent": f"workspace-sessions-api/{version('workspace-sessions-api')}",
                "Accept": "application/json, application/jwk-set+json",
                "Accept-Encoding": "identity",  # so that what is counted is what is held
            },
            verify=self._trusted,
            trust_env=self._url.lower().startswith("https:"),
            follow_redirects=False,
            timeout=None,  # noqa: S113 - there is one for the whole fetch
        )

    def _named_by(self, document: Any) -> str:
        """The address of the JWK set in a discovery document, which must be that of the configured issuer."""
        issuer = self._url.removesuffix(_DISCOVERY).rstrip("/")
        match document:
            case {"issuer": str(named), "jwks_uri": str(url)} if named.rstrip("/") == issuer:
                try:
                    _require_safe(url)
                except ValueError as error:
                    raise _Unexpected(f"the jwks_uri of the discovery document {error}") from None
                if issuer.startswith("https:") and not url.startswith("https:"):
                    raise _Unexpected("the jwks_uri of the discovery document must begin with https://")
                return url
            case {"issuer": str(), "jwks_uri": str()}:
                raise _Unexpected("the discovery document is that of another issuer")
            case _:
                raise _Unexpected("the discovery document names no issuer and jwks_uri")


def _is_object_with(member: str, document: Any) -> bool:
    return isinstance(document, dict) and member in document


def _jwk_set(document: Any) -> list[Mapping[str, Any]]:
    try:
        return jwk_entries(document)
    except ValueError as error:
        raise _Unexpected(f"what the key server serves {error}") from None


async def _document(client: "AsyncClient", url: str) -> Any:
    """The JSON document at an address."""
    body = bytearray()
    async with client.stream("GET", url) as response:
        if response.status_code >= 500:
            raise OSError(f"the key server responds with {response.status_code}")
        if response.status_code != 200:
            redirect = ", a redirect, which is not followed" if response.has_redirect_location else ""
            raise _Unexpected(f"it responds with {response.status_code}{redirect}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _Unexpected("it is compressed, though that was not asked for")
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BYTES:
                raise _Unexpected(f"it is longer than {MAX_BYTES:,} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise _Unexpected("it is not JSON") from None


def _require_safe(url: str) -> None:
    """Raise a ValueError that does not repeat the URL, which may hold a password, unless keys can be trusted from there."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL such as https://issuer.example/jwks.json") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or not re.fullmatch(r"[!-~]+", url):
        raise ValueError("is neither a file nor a URL such as https://issuer.example/jwks.json")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user name or a password, which would not be sent")
    if parts.scheme == "http" and not _is_this_machine(parts.hostname):
        raise ValueError("must begin with https://: whoever can change a response on its way could sign tokens")


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
