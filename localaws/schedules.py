"""Schedule expressions: `rate(5 minutes)` and `cron(0 9 * * ? *)`, at minute precision. Pure.

Source: EventBridge guide, "Setting a schedule pattern"; L, W and # are not built, and say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from localaws.errors import LocalAwsError

RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
CRON = re.compile(r"cron\(([^)]*)\)")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
IsDue = Callable[[datetime], bool]


def period(expression: str) -> timedelta | None:
    """The period of a rate; None for a cron expression."""
    rate = RATE.fullmatch(expression.lower())
    return int(rate.group(1)) * UNITS[rate.group(2)] if rate else None


def is_due(expression: str, began: datetime) -> IsDue:
    """Whether the schedule fires in the minute that begins at a moment; rates count from `began`."""
    every = period(expression)
    if every is not None:
        return lambda when: when > began and (when - began) % every < timedelta(minutes=1)
    cron = CRON.fullmatch(expression)
    if cron is None:
        raise LocalAwsError(f"{expression!r} is no schedule: write rate(1 minute) or cron(0 9 * * ? *)")
    return _cron(cron.group(1).split(), expression)


def _cron(parts: list[str], expression: str) -> IsDue:
    if len(parts) != 6:
        raise LocalAwsError(
            f"{expression!r} needs six fields: minutes, hours, day of month, month, day of week, year"
        )
    minutes = _field(parts[0], 0, 59)
    hours = _field(parts[1], 0, 23)
    days = _field(parts[2], 1, 31)
    months = _field(parts[3], 1, 12, MONTHS, 1)
    weekdays = _field(parts[4], 1, 7, DAYS, 1)
    years = _field(parts[5], 1970, 2199)

    def due(when: datetime) -> bool:
        at = when.astimezone(UTC)
        return (
            at.minute in minutes
            and at.hour in hours
            and at.day in days
            and at.month in months
            and at.isoweekday() % 7 + 1 in weekdays
            and at.year in years
        )

    return due


def _field(text: str, low: int, high: int, names: tuple[str, ...] = (), first: int = 0) -> set[int]:
    def number(word: str) -> int:
        if word.upper() in names:
            return names.index(word.upper()) + first
        if not word.isdigit():
            raise LocalAwsError(f"{text!r} in a cron expression is not understood here")
        return int(word)

    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        start, _, stop = span.partition("-")
        if span in ("*", "?"):
            begin, end = low, high
        else:
            begin = number(start)
            end = number(stop) if stop else high if step else begin
        values.update(range(begin, end + 1, number(step) if step else 1))
    return values
