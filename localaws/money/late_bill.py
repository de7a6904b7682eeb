"""The bill as Cost Explorer has it: late, refreshed a few times a day, and not settled for three days.

Sources: Cost Management guide, "Analyzing your costs and usages with AWS Cost Explorer" (refreshed at least once in 24
hours) and "Understanding your estimated charges" (up to three times a day; the month's charges are estimates until the
bill is final). How late a service is, when the refreshes are and which amounts still grow depends on the seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from localaws.money.daily import DAY, Entry, midnight
from localaws.money.usage import Line

EVERY = timedelta(hours=8)
LEAST_LATE, MOST_LATE = timedelta(hours=8), timedelta(hours=16)
"""Behind a refresh; with the time since the refresh, 8 to 24 hours."""
SETTLED_AFTER = timedelta(hours=72)
UNSETTLED_SHARE = 0.15
MONTH_CLOSES_AFTER = timedelta(days=5)
"""When a month's bill is final, in the next month."""


class LateBill:
    """What Cost Explorer knows at a moment."""

    def __init__(self, seed: int, now: datetime) -> None:
        self._seed = seed
        self._now = now
        self._until: dict[tuple[str, str], datetime] = {}
        self._shares: dict[tuple[date, str, str], Decimal] = {}
        offset = timedelta(minutes=self._rng("refresh").randrange(480))
        start = midnight(now.date()) - DAY + offset
        self.refreshed_at = start + (now - start) // EVERY * EVERY

    def known_until(self, line: Line) -> datetime:
        """Up to when a line's usage is there, to the full hour."""
        key = (line.service, line.region)
        if key not in self._until:
            self._until[key] = self._known_until(*key)
        return self._until[key]

    def _known_until(self, service: str, region: str) -> datetime:
        span = (MOST_LATE - LEAST_LATE).total_seconds()
        late = LEAST_LATE + timedelta(seconds=span * self._rng(f"{service}/{region}").random())
        return (self.refreshed_at - late).replace(minute=0, second=0, microsecond=0)

    def as_known(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries with what is still missing from some of them; after 72 hours nothing is."""
        return [self._settled(entry) for entry in entries]

    def is_estimate(self, day: date) -> bool:
        """Whether the month of a day is still open."""
        following = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        return self._now < midnight(following) + MONTH_CLOSES_AFTER

    def _settled(self, entry: Entry) -> Entry:
        key = (entry.day, entry.line.service, entry.line.usage_type)
        if key not in self._shares:
            self._shares[key] = self._share(*key)
        share = self._shares[key]
        return entry if share == 1 else replace(entry, usd=entry.usd * share, units=entry.units * share)

    def _share(self, day: date, service: str, usage_type: str) -> Decimal:
        """How much of a line's day is there already."""
        rng = self._rng(f"{day}/{service}/{usage_type}")
        grows = rng.random() < UNSETTLED_SHARE
        settled_at = midnight(day) + DAY + SETTLED_AFTER * rng.uniform(0.5, 1)
        if not grows or self.refreshed_at >= settled_at:
            return Decimal(1)
        return Decimal(rng.randint(900, 990)) / 1000

    def _rng(self, name: str) -> random.Random:
        return random.Random(f"{self._seed}/cost explorer/{name}")
