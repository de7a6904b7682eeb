"""Times as scripts write them: spans, calendars of systemd and cron, moments of `date` and `at`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

FAR = timedelta(days=3650)
"""What is further off than this never happens."""
DAYS_AHEAD = 366 * 5
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
UNIT = re.compile(r"(us|ms|s|m|h|d|w)?")
SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)\s*")
NAMES = {
    **{name: number for number, name in enumerate("mon tue wed thu fri sat sun".split())},
    **{
        name: number
        for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
    },
}
SHORT = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
}
CRON = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}


class NotATimeError(ValueError):
    """Text that says no time, or none in a way that is known here."""


def span(text: str) -> timedelta:
    """`90`, `1h 30min`, `2 hours`: seconds unless a unit says otherwise (systemd.time, sleep)."""
    text, total, at = text.strip().lower(), 0.0, 0
    while found := SPAN.match(text, at):
        total += float(found.group(1)) * SECONDS[_unit(found.group(2))]
        at = found.end()
    if at == 0 or at < len(text) or total > FAR.total_seconds():
        raise NotATimeError(text)
    return timedelta(seconds=total)


def _unit(name: str) -> str:
    singular = name.removesuffix("s") if len(name) > 1 and name not in SECONDS else name
    long = {
        "sec": "s",
        "second": "s",
        "min": "m",
        "minute": "m",
        "hr": "h",
        "hour": "h",
        "day": "d",
        "week": "w",
    }
    unit = long.get(singular, singular) or "s"
    if unit not in SECONDS:
        raise NotATimeError(name)
    return unit


@dataclass(frozen=True, slots=True)
class Calendar:
    """Moments that come back, or one that does not."""

    years: frozenset[int]
    months: frozenset[int]
    days: frozenset[int]
    weekdays: frozenset[int]
    hours: frozenset[int]
    minutes: frozenset[int]
    seconds: frozenset[int]
    either_day: bool = False
    """Cron's rule: a day of the month or a weekday will do where both are given."""

    def after(self, moment: datetime) -> datetime | None:
        """The first one after `moment`."""
        for number in range(DAYS_AHEAD):
            day = moment.date() + timedelta(days=number)
            if self._is_on(day):
                for at in self._times():
                    found = datetime.combine(day, at, UTC)
                    if found > moment:
                        return found
        return None

    def _is_on(self, day: date) -> bool:
        in_month, in_week = day.day in self.days, day.weekday() in self.weekdays
        on = in_month or in_week if self.either_day else in_month and in_week
        return on and day.month in self.months and day.year in self.years

    def _times(self) -> Iterator[time]:
        return (
            time(hour, minute, second)
            for hour in sorted(self.hours)
            for minute in sorted(self.minutes)
            for second in sorted(self.seconds)
        )


def systemd_calendar(text: str) -> Calendar:
    """`2026-03-02 10:00:00 UTC`, `*-*-* 18:30`, `Mon..Fri 18:30`, `daily`, `@1772445600` (systemd.time)."""
    text = SHORT.get(text.strip().lower(), text.strip())
    if text.startswith("@"):
        text = moment(text, datetime.now(UTC)).strftime("%Y-%m-%d %H:%M:%S")
    words = re.sub(r"(?<=\d)T(?=\d)", " ", text).removesuffix("Z").removesuffix("UTC").split()
    parts = {"week": "*", "date": "*-*-*", "time": "00:00:00"}
    for word in words:
        kind = "time" if ":" in word else "date" if re.search(r"[\d*]-", word) else "week"
        parts[kind] = word
    days = parts["date"].split("-")
    clock = parts["time"].split(":")
    if not words or not 2 <= len(days) <= 3 or not 2 <= len(clock) <= 3:
        raise NotATimeError(text)
    year, month, day = ["*", *days][-3:]
    hour, minute, second = [*clock, "00"][:3]
    return Calendar(
        years=_field(year, 1970, 2200),
        months=_field(month, 1, 12),
        days=_field(day, 1, 31),
        weekdays=_field(parts["week"], 0, 6),
        hours=_field(hour, 0, 23),
        minutes=_field(minute, 0, 59),
        seconds=_field(second, 0, 59),
    )


def cron_calendar(text: str) -> Calendar:
    """The five fields of crontab(5), or its `@daily` and the like."""
    fields = CRON.get(text, text).split()
    if len(fields) != 5:
        raise NotATimeError(text)
    minute, hour, day, month, week = fields
    return Calendar(
        years=_field("*", 1970, 2200),
        months=_field(month, 1, 12),
        days=_field(day, 1, 31),
        weekdays=frozenset(
            (number - 1) % 7 if week[:1].isdigit() else number for number in _field(week, 0, 7)
        ),
        hours=_field(hour, 0, 23),
        minutes=_field(minute, 0, 59),
        seconds=frozenset({0}),
        either_day=day != "*" and week != "*",
    )


def _field(text: str, low: int, high: int) -> frozenset[int]:
    """`*`, `5`, `1,3`, `1..5` or `1-5`, `*/15`, `0/15`, names of days and months."""
    found: set[int] = set()
    for part in text.lower().split(","):
        bounds, _, step = part.partition("/")
        first, _, last = bounds.replace("..", "-").partition("-")
        start = low if first == "*" else _number(first)
        end = _number(last) if last else high if first == "*" or step else start
        found.update(range(start, end + 1, _number(step) if step else 1))
    if not found or min(found) < low or max(found) > high:
        raise NotATimeError(text)
    return frozenset(found)


def _number(text: str) -> int:
    if text.isdigit():
        return int(text)
    if text[:3] not in NAMES:
        raise NotATimeError(text)
    return NAMES[text[:3]]


def clock(text: str, now: datetime) -> datetime:
    """The next `hh:mm`."""
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", text)
    if found is None or int(found.group(1)) > 23 or int(found.group(2)) > 59:
        raise NotATimeError(text)
    today = now.replace(hour=int(found.group(1)), minute=int(found.group(2)), second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def moment(text: str, now: datetime) -> datetime:
    """A moment as `date -d` and `at` take it: ISO 8601, `@1772445600`, `now + 2 hours`, `18:30`."""
    text = text.strip()
    if re.fullmatch(r"@\d+", text):
        return datetime.fromtimestamp(int(text[1:]), UTC)
    later = re.fullmatch(r"(?:now)?\s*\+?\s*(\d+\s*[a-z]+)(?:\s+(?:from now|hence))?", text.lower())
    if text.lower() == "now" or later:
        return now + (span(later.group(1)) if later else timedelta(0))
    if re.fullmatch(r"\d{1,2}:\d{2}", text):
        return clock(text, now)
    swapped = re.sub(r"^(\d{1,2}:\d{2})\s+(\S+)$", r"\2 \1", text.removesuffix("UTC").strip())
    try:
        found = datetime.fromisoformat(swapped)
    except ValueError as problem:
        raise NotATimeError(text) from problem
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def touch_time(text: str) -> datetime:
    """`at -t`: `[[CC]YY]MMDDhhmm`."""
    if not re.fullmatch(r"\d{12}", text):
        raise NotATimeError(text)
    try:
        return datetime.strptime(text, "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError as problem:
        raise NotATimeError(text) from problem
