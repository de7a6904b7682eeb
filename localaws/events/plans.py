"""What a schedule of EventBridge Scheduler was asked to do, and when it is due. Pure.

Sources: EventBridge Scheduler guide, "Schedule types" (a target is invoked within the 60 seconds that begin at its
time; a rate without StartDate begins at once); botocore's service model of scheduler (StartDate, EndDate,
FlexibleTimeWindow).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from localaws.events.schedules import At, Cron, Rate
from localaws.events.targets import Target

PRECISION = timedelta(seconds=60)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Checked, with the defaults filled in; `params` are those of CreateSchedule."""

    params: dict[str, Any]
    expression: At | Rate | Cron
    zone: tzinfo
    target: Target
    start: datetime | None
    end: datetime | None

    @property
    def enabled(self) -> bool:
        return bool(self.params["State"] == "ENABLED")

    @property
    def goes_when_done(self) -> bool:
        return bool(self.params["ActionAfterCompletion"] == "DELETE")

    @property
    def window(self) -> timedelta:
        """How long after its time a target may be invoked."""
        minutes = self.params["FlexibleTimeWindow"].get("MaximumWindowInMinutes")
        return timedelta(minutes=minutes) if minutes else PRECISION

    def first(self, now: datetime) -> datetime | None:
        """When it is due first, if it is made, or changed to this, now."""
        match self.expression:
            case At():
                return self.expression.moment(self.zone)
            case Rate():
                begin, every = self.start or now, self.expression.every
                return self._unless_over(begin + max(-((begin - now) // every), 0) * every)
            case Cron():
                return self._unless_over(self.expression.first_from(max(now, self.start or now), self.zone))

    def next(self, due: datetime) -> datetime | None:
        """When it is due again after a time at which it was; None: never."""
        match self.expression:
            case At():
                return None
            case Rate():
                return self._unless_over(due + self.expression.every)
            case Cron():
                return self._unless_over(self.expression.first_from(due + MINUTE, self.zone))

    def _unless_over(self, due: datetime | None) -> datetime | None:
        return None if due is None or (self.end is not None and due > self.end) else due


def aware(moment: datetime | None) -> datetime | None:
    """A time of a call's parameters, which come as naive UTC."""
    return None if moment is None else moment.replace(tzinfo=UTC)
