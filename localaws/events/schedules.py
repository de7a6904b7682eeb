"""Schedule expressions: `rate(5 minutes)`, `cron(0 9 * * ? *)` and `at(2026-03-02T09:00:00)`. Pure.

Sources: EventBridge guide, "Setting a schedule pattern for scheduled rules", and EventBridge Scheduler guide, "Schedule
types" (what each means, and that a time which daylight saving skips is skipped, one that it repeats counts once). L, W
and # of cron expressions are not built, and say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from localaws.errors import LocalAwsError

RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
CRON = re.compile(r"cron\(([^)]*)\)")
AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
MINUTE = timedelta(minutes=1)
YEARS_AHEAD = 10
"""How far a cron expression is looked ahead for its next time: 29 February is never further away."""
IsDue = Callable[[datetime], bool]


@dataclass(frozen=True, slots=True)
class At:
    """Once, at a time on the clock of some place."""

    local: datetime

    def moment(self, zone: tzinfo) -> datetime:
        return self.local.replace(tzinfo=zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Rate:
    """Again and again, so much time apart."""

    every: timedelta


@dataclass(frozen=True, slots=True)
class Cron:
    """At every minute that is in all of the sets; weekdays count from Sunday, which is 1."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    years: frozenset[int]

    def has(self, local: datetime) -> bool:
        """Whether it fires in this minute of the local clock."""
        return self._has_day(local.date()) and local.hour in self.hours and local.minute in self.minutes

    def first_from(self, moment: datetime, zone: tzinfo) -> datetime | None:
        """The first time that is not before a moment; None: never again."""
        start = moment.astimezone(zone).date()
        for ahead in range(366 * YEARS_AHEAD):
            day = start + timedelta(days=ahead)
            if self._has_day(day):
                for found in self._times(day, zone):
                    if found >= moment:
                        return found
        return None

    def _has_day(self, day: date) -> bool:
        return (
            day.day in self.days
            and day.month in self.months
            and day.isoweekday() % 7 + 1 in self.weekdays
            and day.year in self.years
        )

    def _times(self, day: date, zone: tzinfo) -> Iterator[datetime]:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                local = datetime.combine(day, time(hour, minute), zone)
                found = local.astimezone(UTC)
                if found.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                    yield found


def parse(expression: str) -> At | Rate | Cron:
    """What an expression says, or a LocalAwsError that quotes it."""
    rate, cron, at = RATE.fullmatch(expression.lower()), CRON.fullmatch(expression), AT.fullmatch(expression)
    if rate is not None and int(rate.group(1)) > 0:
        return Rate(int(rate.group(1)) * UNITS[rate.group(2)])
    if cron is not None:
        return _cron(cron.group(1).split(), expression)
    if at is not None:
        try:
            return At(datetime.fromisoformat(at.group(1)))
        except ValueError as problem:
            raise LocalAwsError(f"{expression!r} is no schedule: there is no such time") from problem
    raise LocalAwsError(f"{expression!r} is no schedule: write rate(1 minute) or cron(0 9 * * ? *)")


def period(expression: str) -> timedelta | None:
    """The period of a rate; None for any other expression."""
    parsed = parse(expression)
    return parsed.every if isinstance(parsed, Rate) else None


def is_due(expression: str, began: datetime) -> IsDue:
    """Whether a rule's schedule fires in the minute that begins at a moment; rates count from `began`."""
    parsed = parse(expression)
    match parsed:
        case Rate():
            return lambda when: when >= began + parsed.every and (when - began) % parsed.every < MINUTE
        case Cron():
            return lambda when: parsed.has(when.astimezone(UTC))
        case At():
            raise LocalAwsError(f"{expression!r} is no schedule of a rule: write rate(…) or cron(…)")


def _cron(parts: list[str], expression: str) -> Cron:
    if len(parts) != 6:
        raise LocalAwsError(
            f"{expression!r} needs six fields: minutes, hours, day of month, month, day of week, year"
        )
    if (parts[2] == "?") == (parts[4] == "?"):
        raise LocalAwsError(
            f"{expression!r} is no schedule: one of day of month and day of week, and only one, must be ?"
        )
    return Cron(
        _field(parts[0], 0, 59),
        _field(parts[1], 0, 23),
        _field(parts[2], 1, 31),
        _field(parts[3], 1, 12, MONTHS, 1),
        _field(parts[4], 1, 7, DAYS, 1),
        _field(parts[5], 1970, 2199),
    )


def _field(text: str, low: int, high: int, names: tuple[str, ...] = (), first: int = 0) -> frozenset[int]:
    def number(word: str) -> int:
        if word.upper() in names:
            return names.index(word.upper()) + first
        if not word.isdigit() or not low <= int(word) <= high:
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
        if step and not (step.isdigit() and int(step)):
            raise LocalAwsError(f"{text!r} in a cron expression is not understood here")
        values.update(range(begin, end + 1, int(step) if step else 1))
    return frozenset(values)
