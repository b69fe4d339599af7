"""What the server logs: one line for each event, in which nothing that was sent can forge or hide another."""

import logging
from typing import Any


def log_config(level: str) -> dict[str, Any]:
    """The configuration of `logging`, for uvicorn and its workers."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"path": {"()": PathOnly}},
        "formatters": {"line": {"()": LineFormatter, "fmt": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {
            "uvicorn.access": {"filters": ["path"]},
            "alembic": {"level": "WARNING"},  # it tells at each readiness probe what it looks at
            # They would log the address of the key server, and what it serves.
            "httpcore": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
        },
    }


class LineFormatter(logging.Formatter):
    """Escapes what is not printable, also in tracebacks, whose lines are indented: none can pass for a line of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as logging names it
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return "\n".join("    " + printable(line) for line in super().formatException(ei).split("\n"))


class PathOnly(logging.Filter):
    """Takes the query out of uvicorn's access lines: it may hold what must not be kept, such as `?access_token=…`."""

    def filter(self, record: logging.LogRecord) -> bool:
        match record.args:
            case (client, method, str(target), *rest):
                record.args = (client, method, target.partition("?")[0], *rest)
        return True


def printable(text: str) -> str:
    """The text with control characters, separators of lines and halves of characters escaped as in Python."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
