"""The token check that the Python peers share."""

import os

import jwt

SECRET = os.environ["JWT_SECRET"]


class Refused(Exception):
    """The request must be answered with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def require(token: str, workspace_id: str) -> None:
    """Let a token pass that is valid (or 401), carries the scope and covers the workspace (or 403)."""
    try:
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], options={"require": ["exp"]})
    except jwt.PyJWTError:
        raise Refused(401) from None
    if "sessions.view" not in claims.get("scope", "").split() or workspace_id not in claims.get("workspaces", ()):
        raise Refused(403)
