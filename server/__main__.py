"""The program `sessions-api`."""

import os
import warnings

# Connexion 3.3 imports Starlette's test client, which warns everybody who starts the server, and each of its workers.
_HARMLESS = "Using `httpx` with `starlette.testclient` is deprecated"
warnings.filterwarnings("ignore", message=_HARMLESS)
os.environ.setdefault("PYTHONWARNINGS", f"ignore:{_HARMLESS}")

from server.cli import main  # noqa: E402 - after that

if __name__ == "__main__":
    main()
