"""Moments: what clients may write in a date filter, and how the contract writes them.

A moment is a whole number of milliseconds since 1970-01-01T00:00:00Z. Integers have no range, so a moment before year 1 or
after year 9999, such as `0001-01-01T00:00:00+14:00`, still compares rightly with every session.
"""

import re
from datetime import date, datetime, timedelta
from typing import NamedTuple

_EPOCH = date(1970, 1, 1).toordinal()
_DAY = 86_400_000
_FORM = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"(?:[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,30}))?)?"
    r"(?:[Zz]|(?P<sign>[-+ ])(?P<offset_hour>[0-9]{2})(?::?(?P<offset_minute>[0-9]{2}))?)?)?"
)

FIRST = (date(1, 1, 1).toordinal() - _EPOCH) * _DAY
"""0001-01-01T00:00:00.000Z, the first moment that the contract can write."""
LAST = (date(9999, 12, 31).toordinal() - _EPOCH + 1) * _DAY - 1
"""9999-12-31T23:59:59.999Z, the last moment that the contract can write."""


class Span(NamedTuple):
    """The milliseconds that a written date or date-time covers.

    `first` is what "at or after" compares with and `last` what "at or before" compares with. They are equal for a
    date-time that falls on a millisecond, a day apart for a bare date, and cross over (`last` = `first` - 1) for a moment
    between two milliseconds, which no session can have.
    """

    first: int
    last: int


def parse(text: str) -> Span:
    """Read a calendar date or date-time of ISO 8601 in the extended form, to the minute or finer.

    No offset means UTC; a bare date means the whole day. A space may stand for the `T`, as in Python's `str(datetime)`, and
    for a `+` that a client forgot to encode. The offset may be written `±HH:MM`, `±HHMM` or `±HH`.
    A leap second (RFC 3339, appendix D) lies between the last millisecond of its minute and the next minute.

    Raises:
        ValueError: for anything else.
    """
    written = _FORM.fullmatch(text)
    if written is None:
        raise ValueError("not an ISO 8601 date or date-time")
    day = (date(int(written["year"]), int(written["month"]), int(written["day"])).toordinal() - _EPOCH) * _DAY
    if written["hour"] is None:
        return Span(day, day + _DAY - 1)

    hour, minute, second = int(written["hour"]), int(written["minute"]), int(written["second"] or 0)
    offset_hour, offset_minute = int(written["offset_hour"] or 0), int(written["offset_minute"] or 0)
    if hour > 23 or minute > 59 or second > 60 or offset_hour > 23 or offset_minute > 59:
        raise ValueError("a time or an offset is out of range")
    offset = (offset_hour * 60 + offset_minute) * 60_000 * (-1 if written["sign"] == "-" else 1)
    fraction = written["fraction"] or ""
    moment = day + ((hour * 60 + minute) * 60 + second) * 1000 + int(fraction[:3].ljust(3, "0")) - offset
    if second == 60:
        next_minute = day + (hour * 60 + minute + 1) * 60_000 - offset
        if next_minute % _DAY:
            raise ValueError("a leap second stands at 23:59:60 UTC")
        return Span(next_minute, next_minute - 1)
    between = fraction[3:].strip("0") != ""
    return Span(moment + 1, moment) if between else Span(moment, moment)


def write(moment: int) -> str:
    """Write a moment as the contract does: `2024-01-20T00:00:00.000Z`.

    Raises:
        ValueError: for a moment outside years 1 to 9999.
    """
    if not FIRST <= moment <= LAST:
        raise ValueError("outside the years 0001 to 9999")
    written = datetime.fromordinal(_EPOCH) + timedelta(milliseconds=moment)
    return written.isoformat(timespec="milliseconds") + "Z"
