"""What an operator can decide about tokens and answers, apart from all that serves them: a command that reads settings, and
serves nothing, starts in half the time."""

from dataclasses import dataclass

CACHE_BYTES = 64 * 1024 * 1024
"""Bytes of bodies that a process remembers, unless told otherwise."""
LEEWAY = 30
"""Seconds by which the clocks of issuer and server may differ, unless told otherwise."""
STALL_TIMEOUT = 10
"""Seconds for which a client may take nothing of a streamed answer, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """How much is remembered (bytes, 0 for nothing), and how long a client is waited for (seconds)."""

    cache_bytes: int = CACHE_BYTES
    stall_timeout: float = STALL_TIMEOUT


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must be like, apart from its key."""

    issuer: str | None = None
    audiences: tuple[str, ...] = ()
    """A token must be meant for one of them; without any, for none."""
    leeway: int = LEEWAY
    """Seconds by which the clocks of issuer and server may differ."""
    # Names, or paths of names with dots between them: realm_access.roles
    scope_claims: tuple[str, ...] = ("scope", "scp", "permissions")
    workspace_claims: tuple[str, ...] = ("workspaceId", "workspaces")
