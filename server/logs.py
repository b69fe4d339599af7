"""Logging: a line for each event, which no request can forge or hide."""

import logging
from typing import Any


def log_config(level: str) -> dict[str, Any]:
    """The `dictConfig` for uvicorn and its workers."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"path": {"()": PathOnly}},
        "formatters": {"line": {"()": LineFormatter, "fmt": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {
            "uvicorn.access": {"filters": ["path"]},
            "alembic": {"level": "WARNING"},  # it logs each readiness probe
            # They log the URL of the key server and its responses.
            "httpcore": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
        },
    }


class LineFormatter(logging.Formatter):
    """Escapes characters that are not printable, and indents tracebacks, so that no text looks like another log line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as logging names it
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return "\n".join("    " + printable(line) for line in super().formatException(ei).split("\n"))


class PathOnly(logging.Filter):
    """Removes the query from uvicorn's access lines, since it may hold a secret (`?access_token=…`)."""

    def filter(self, record: logging.LogRecord) -> bool:
        match record.args:
            case (client, method, str(target), *rest):
                record.args = (client, method, target.partition("?")[0], *rest)
        return True


def printable(text: str) -> str:
    """Escape control characters, line separators and unpaired surrogates as Python does."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
