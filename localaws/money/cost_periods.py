"""The periods of a Cost Explorer question: days, months or hours, the end exclusive.

Sources: botocore, DateInterval; the answers to wrong dates as public threads quote them (aws-sdk-js issue 2732,
instance-watcher issues 13 and 18, cloud-governance pull request 1011).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from localaws.money.cost_query import invalid
from localaws.money.daily import DAY

MONTHS_KEPT = 13
"""Before the current one."""
HOURS_KEPT = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end), as a result names it."""

    start: datetime
    end: datetime
    hourly: bool = False

    def shown(self) -> dict[str, str]:
        form = "%Y-%m-%dT%H:%M:%SZ" if self.hourly else "%Y-%m-%d"
        return {"Start": self.start.strftime(form), "End": self.end.strftime(form)}

    def holds(self, at: datetime) -> bool:
        return self.start <= at < self.end


def interval(asked: Mapping[str, str]) -> Period:
    """The whole time that is asked for."""
    start, end = (_moment(asked[name]) for name in ("Start", "End"))
    if start >= end:
        raise invalid("Start date (and hour) should be before end date (and hour)")
    return Period(start, end)


def of_the_past(asked: Mapping[str, str], now: datetime) -> Period:
    """A time of which there is data: 13 months and the current one."""
    whole = interval(asked)
    if whole.start > now:
        raise invalid("Start date must not be after the current date")
    if whole.end > _next_month(now):
        raise invalid("end date past the beginning of next month")
    if whole.start < months_before(now, MONTHS_KEPT):
        raise invalid("You haven't enabled historical data beyond 14 months")
    return whole


def split(whole: Period, granularity: str) -> Iterator[Period]:
    """The days, months or hours of a time; the first and the last month only as far as they are asked for."""
    start = whole.start
    while start < whole.end:
        following = _next_month(start) if granularity == "MONTHLY" else start + step_of(granularity)
        yield Period(start, min(following, whole.end), hourly=granularity == "HOURLY")
        start = following


def step_of(granularity: str) -> timedelta:
    return timedelta(hours=1) if granularity == "HOURLY" else DAY


def check_granularity(granularity: Any) -> str:
    if granularity not in ("DAILY", "MONTHLY", "HOURLY"):
        raise invalid(f"Granularity must be DAILY, MONTHLY or HOURLY, not {granularity}")
    return str(granularity)


def months_before(when: datetime, months: int) -> datetime:
    """The first moment of a month so many months back."""
    index = when.year * 12 + when.month - 1 - months
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)


def _next_month(when: datetime) -> datetime:
    return months_before(when, -1)


def _moment(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError as problem:
        raise invalid(f"{text} is no date: yyyy-MM-dd, or yyyy-MM-ddThh:mm:ssZ for hours") from problem
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
