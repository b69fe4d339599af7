"""The form that a session's moments have: UTC with milliseconds, `2024-01-20T00:00:00.000Z`."""

import re
from datetime import datetime

from db.imports.problems import shown
from openapi import timestamps

_DATE_TIME = re.compile(r"[0-9-]{10}[Tt][0-9:.]{8,}(Z|z|[-+][0-9]{2}:?[0-9]{2})")

is_canonical = re.compile(r"(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]\.[0-9]{3}Z").fullmatch
"""Whether a text has the form. The day or the hour may not exist; the contract's schema refuses those."""


def to_canonical(text: str, *, any_offset: bool = False) -> str:
    """Write a date-time in the canonical form: fewer digits, or more that are zeros, and `+00:00` mean the same.

    A date-time that is not in UTC is refused unless `any_offset`. Its moment could be written in UTC, but the day that it
    names may be another one there, and only the owner of the data knows which of the two is meant.

    Raises:
        ValueError: when that would change what the text says; reads on from the name of the member.
    """
    written = _DATE_TIME.fullmatch(text)
    if written is None:
        raise ValueError(f"must be a date-time in UTC such as 2024-01-20T00:00:00.000Z, not {shown(text)}")
    try:
        if is_canonical(text):  # needs no parsing, which would take 8 µs
            datetime.fromisoformat(text)
            return text
        span = timestamps.parse(text)
        moment = timestamps.write(span.first)
    except ValueError:
        raise ValueError(f"names a day or a time that does not exist: {shown(text)}") from None
    if span.first != span.last:
        raise ValueError(f"must be a whole millisecond, not {shown(text)}")
    if written[1].strip("Zz+-0:") and not any_offset:
        raise ValueError(f"must be in UTC; the same moment is {moment}, not {shown(text)}")
    return moment
