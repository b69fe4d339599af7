"""Settings of tokens and responses."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ResponseRules:
    """Limits of responses."""

    cache_bytes: int = 64 * 1024 * 1024
    """Memory of the response cache of one process; 0 turns it off."""
    stall_timeout: float = 10
    """Seconds for which a client may read nothing of a response."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Requirements for tokens, apart from their keys."""

    issuer: str | None = None
    audiences: tuple[str, ...] = ()
    """A token must name one of them in `aud`; if there are none, it must have no `aud`."""
    leeway: int = 30
    """Seconds by which the clocks of issuer and server may differ."""
    # Names, or dotted paths such as realm_access.roles:
    scope_claims: tuple[str, ...] = ("scope", "scp", "permissions")
    workspace_claims: tuple[str, ...] = ("workspaceId", "workspaces")
