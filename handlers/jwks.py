"""A JWK set at a URL, which a background task fetches and renews."""

import asyncio
import json
import logging
import math
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from importlib.metadata import version
from time import monotonic
from typing import Any

from httpx import URL, AsyncClient, ConnectError, InvalidURL, TransportError

from handlers.keys import Key, KeysUnavailable, candidates_among, read_jwks

logger = logging.getLogger("sessions")

MAX_BYTES = 512 * 1024
"""Bytes of a JWK set or a discovery document."""
_DISCOVERY = "/.well-known/openid-configuration"  # OpenID Connect Discovery 1.0, section 4
_HEADERS = {
    "User-Agent": f"workspace-sessions-api/{version('workspace-sessions-api')}",
    "Accept": "application/json, application/jwk-set+json",
    "Accept-Encoding": "identity",  # MAX_BYTES then bounds the memory too
}
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")


class _UnexpectedResponse(Exception):
    """The key server responds with something other than the requested document."""


@dataclass(eq=False)
class JWKSServer:
    """A JWK set at a URL, or the one that the discovery document of an OIDC issuer at that URL names. Times are in seconds.

    The first request that needs a key starts the first fetch. From then on, a background task renews the set. No request
    waits for a fetch if the cached set has a key for it.

    Raises:
        ValueError: when the URL cannot be used; the message is a predicate.
    """

    url: str = field(repr=False)
    algorithms: frozenset[str]
    _: KW_ONLY
    lifespan: float = 300  # from a successful fetch to the next one
    outage: float = 3600  # how long the set is used beyond its lifespan while every fetch fails
    cooldown: float = 30  # least time from a successful fetch to one that a token with an unknown `kid` starts
    retry: float = 5  # from a failed fetch to the next one
    timeout: float = 5  # for a whole fetch
    max_waiting: int = 64  # requests that may wait for a fetch at a time

    def __post_init__(self) -> None:
        _require_safe(self.url)
        self._trusted = ssl.create_default_context()
        self._waiting = 0
        self._keys: tuple[Key, ...] = ()
        self._fetched = self._next_fetch = -math.inf
        self._failure: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._renewal: asyncio.TimerHandle | None = None

    async def candidates(self, header: Mapping[str, Any]) -> Sequence[Key]:
        if header["alg"] not in self.algorithms:
            return []
        if not self._is_known(header):
            is_fetching = self._task is not None and not self._task.done()
            if is_fetching or monotonic() >= self._next_fetch:
                await self._wait_for_fetch()
            if self._failure is not None and not self._is_known(header):
                raise KeysUnavailable(self._failure)
        return candidates_among(self._keys, header)

    async def fetch(self) -> Sequence[Key]:
        """Fetch the set now and return the keys that can be used.

        Raises:
            KeysUnavailable: when the set cannot be fetched, with the reason.
        """
        await asyncio.wait([self._start_fetch()])
        if self._failure is not None:
            raise KeysUnavailable(self._failure)
        return self._keys

    def _is_known(self, header: Mapping[str, Any]) -> bool:
        """Whether the cached set is not too old, and has the key that a token names."""
        usable = monotonic() - self._fetched <= self.lifespan + self.outage
        return usable and ("kid" not in header or any(key.kid in (None, header["kid"]) for key in self._keys))

    async def _wait_for_fetch(self) -> None:
        if self._waiting >= self.max_waiting:
            raise KeysUnavailable("too many requests wait for the JWK set")
        self._waiting += 1
        try:
            await asyncio.wait([self._start_fetch()])  # cancelling one request does not cancel the fetch of the others
        finally:
            self._waiting -= 1

    def _start_fetch(self) -> asyncio.Task[None]:
        """Return the running fetch, or start one."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._renew())
        return self._task

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(self.timeout):
                document = await _fetch_jwks(self.url, self._trusted)
            keys = await asyncio.to_thread(read_jwks, document, self.algorithms)
        except Exception as error:  # noqa: BLE001 - any error of a fetch must leave the renewal running
            failure = f"the JWK set cannot be fetched: {self._reason(error)}"
            if failure != self._failure:
                logger.warning("%s", failure)
            self._failure, self._next_fetch, delay = failure, monotonic() + self.retry, self.retry
        else:
            if self._failure is not None:
                logger.info("the JWK set can be fetched again")
            if not keys:
                logger.warning("no key of the JWK set fits %s", ", ".join(sorted(self.algorithms)))
            self._keys, self._failure, self._fetched = keys, None, monotonic()
            self._next_fetch, delay = self._fetched + self.cooldown, self.lifespan
        if self._renewal is not None:
            self._renewal.cancel()
        self._renewal = asyncio.get_running_loop().call_later(delay, self._start_fetch)

    def _reason(self, error: Exception) -> str:
        """Why a fetch failed. Other errors may quote settings, such as a proxy URL with its password."""
        match error:
            case TimeoutError():
                return f"the key server took longer than {self.timeout:g} seconds"
            case ConnectError():
                return f"no connection to the key server: {error}"
            case _UnexpectedResponse() | OSError() | TransportError() if str(error):
                return str(error)
            case _:
                return f"unexpected {type(error).__name__}"


async def _fetch_jwks(url: str, trusted: ssl.SSLContext) -> dict[str, Any]:
    """The JWK set at a URL, or that of the issuer there."""
    async with AsyncClient(
        headers=_HEADERS,
        verify=trusted,
        trust_env=url.lower().startswith("https:"),  # HTTPS_PROXY and NO_PROXY; no proxy for unencrypted requests
        timeout=None,  # noqa: S113 - the caller limits the whole fetch
    ) as client:
        try:
            document, reason = await _fetch_object(client, url), "it serves another document"
        except _UnexpectedResponse as error:
            document, reason = {}, str(error)
        if "keys" not in document and "jwks_uri" not in document:
            try:
                document = await _fetch_object(client, url.rstrip("/") + _DISCOVERY)
            except _UnexpectedResponse:
                message = f"the address has no JWK set ({reason}) and is not that of an OIDC issuer"
                raise _UnexpectedResponse(message) from None
        if "keys" not in document:
            document = await _fetch_object(client, _jwks_uri(document, url))
    if not isinstance(document.get("keys"), list):
        raise _UnexpectedResponse("the response is not a JWK set (RFC 7517, section 5)")
    return document


async def _fetch_object(client: AsyncClient, url: str) -> dict[str, Any]:
    """The JSON object at a URL; an empty one if there is other JSON."""
    body = bytearray()
    async with client.stream("GET", url) as response:
        if response.status_code >= 500:
            raise OSError(f"the key server responds with {response.status_code}")
        if response.status_code != 200:
            redirect = ", a redirect, which is not followed" if response.has_redirect_location else ""
            raise _UnexpectedResponse(f"it responds with {response.status_code}{redirect}")
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BYTES:
                raise _UnexpectedResponse(f"it is longer than {MAX_BYTES:,} bytes")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise _UnexpectedResponse("it is not JSON") from None
    return document if isinstance(document, dict) else {}


def _jwks_uri(document: Mapping[str, Any], url: str) -> str:
    """The URL of the JWK set in a discovery document, which must be that of the configured issuer."""
    issuer = url.removesuffix(_DISCOVERY).rstrip("/")
    named, jwks_uri = document.get("issuer"), document.get("jwks_uri")
    if not isinstance(named, str) or not isinstance(jwks_uri, str):
        raise _UnexpectedResponse("the discovery document names no issuer and jwks_uri")
    if named.rstrip("/") != issuer:
        raise _UnexpectedResponse("the discovery document is that of another issuer")
    if issuer.startswith("https:") and not jwks_uri.startswith("https:"):
        raise _UnexpectedResponse("the jwks_uri of the discovery document must begin with https://")
    try:
        _require_safe(jwks_uri)
    except ValueError as error:
        raise _UnexpectedResponse(f"the jwks_uri of the discovery document {error}") from None
    return jwks_uri


def _require_safe(url: str) -> None:
    """Raise a ValueError that does not repeat the URL, which may hold a password, unless keys can be trusted from there."""
    try:
        parts = URL(url)
    except InvalidURL:
        raise ValueError("is not a URL such as https://issuer.example/jwks.json") from None
    is_complete = parts.scheme in ("https", "http") and parts.host and (parts.port or 443) < 65536
    if not is_complete or not re.fullmatch(r"[!-~]+", url):
        raise ValueError("is neither a file nor a URL such as https://issuer.example/jwks.json")
    if parts.userinfo:
        raise ValueError("holds a user name or a password, which would not be sent")
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(parts.host):
        raise ValueError("must begin with https://: an attacker who can change the response could sign tokens")
