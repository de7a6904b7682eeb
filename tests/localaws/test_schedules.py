"""Schedules and event patterns: when a function is due, and which events reach it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localaws.errors import LocalAwsError
from localaws.events.patterns import matches
from localaws.events.schedules import is_due, period

BEGAN = datetime(2026, 3, 2, 8, 50, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def fires(expression: str, minutes: int) -> list[str]:
    due = is_due(expression, BEGAN)
    moments = (BEGAN + number * MINUTE for number in range(minutes + 1))
    return [moment.strftime("%H:%M") for moment in moments if due(moment)]


def test_a_rate_fires_after_each_full_period() -> None:
    """Every minute, every five, every hour: the first time one period after the beginning (EventBridge guide, "Setting a
    schedule pattern": the rate starts when the rule is created)."""
    assert fires("rate(1 minute)", 3) == ["08:51", "08:52", "08:53"]
    assert fires("rate(5 minutes)", 12) == ["08:55", "09:00"]
    assert fires("rate(1 hour)", 120) == ["09:50", "10:50"]
    assert period("rate(2 hours)") == timedelta(hours=2)


def test_a_cron_expression_fires_at_its_minutes() -> None:
    """Minutes, hours, days and weekdays, with lists, ranges, steps and names; 2 March 2026 is a Monday (EventBridge
    guide, "Setting a schedule pattern", cron expressions)."""
    assert fires("cron(0 9 * * ? *)", 60) == ["09:00"]
    assert fires("cron(0/20 9-10 ? * MON-FRI *)", 180) == [
        "09:00",
        "09:20",
        "09:40",
        "10:00",
        "10:20",
        "10:40",
    ]
    assert fires("cron(55,57 * 2 MAR ? 2026)", 10) == ["08:55", "08:57"]
    assert fires("cron(0 9 ? * SUN *)", 60) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "every minute",
        "cron(0 9 * *)",
        "cron(0 9 L * ? *)",
        "cron(0 9 * * * *)",
        "cron(0 24 * * ? *)",
        "rate(0 minutes)",
    ],
)
def test_what_is_no_schedule_is_refused_in_words(wrong: str) -> None:
    """The message quotes what was written; of day of month and day of week one must be ? (EventBridge guide, "Setting a
    schedule pattern", cron expressions, restrictions)."""
    with pytest.raises(LocalAwsError, match=r"understood|fields|schedule"):
        is_due(wrong, BEGAN)


@pytest.mark.parametrize(
    "pattern, fits",
    [
        ({"source": ["aws.ec2"]}, True),
        ({"source": ["aws.s3", "aws.ec2"], "detail": {"state": ["running"]}}, True),
        ({"detail": {"state": ["stopped"]}}, False),
        ({"detail-type": [{"prefix": "EC2 Instance"}]}, True),
        ({"detail": {"state": [{"anything-but": ["running"]}]}}, False),
        ({"detail": {"instance-action": [{"exists": False}]}}, True),
        ({"detail": {"nested": {"deep": ["x"]}}}, False),
        ({"resources": [{"suffix": "i-1"}]}, True),
        ({"resources": [{"suffix": "i-2"}]}, False),
        ({"account": [{"suffix": "012"}]}, True),
    ],
)
def test_a_pattern_matches_as_eventbridge_does(pattern: dict[str, Any], *, fits: bool) -> None:
    """Every field must match, any value of a field will do, and any of an array in the event (EventBridge guide, "Event
    patterns", and "Comparison operators for use in event patterns")."""
    event = {
        "source": "aws.ec2",
        "detail-type": "EC2 Instance State-change Notification",
        "account": "123456789012",
        "resources": ["arn:i-1"],
        "detail": {"state": "running"},
    }
    assert matches(pattern, event) is fits
