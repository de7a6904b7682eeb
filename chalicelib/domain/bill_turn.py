"""When Cost Explorer is asked, for a cent a page, and about what: every `bills.cost_explorer_every`, hourly at most."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from chalicelib.domain.bills import (
    DAY,
    SETTLED_AFTER,
    BillAnswer,
    BilledDay,
    BillFailure,
    Trouble,
    end_of,
    newest_day,
)

LEAST_EVERY = timedelta(hours=1)
"""However short `bills.cost_explorer_every` is: AWS renews the figures up to three times a day, so what is new is known
an hour later. That is $7.30 a month; each minute would be $432, for the same figures."""
RARELY = timedelta(hours=24)
"""How often it is tried what only a person can mend."""
KEPT_FOR = timedelta(days=427)
"""14 months, as long as Cost Explorer itself remembers."""
LOOKED_BACK = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class BillTurn:
    """The last turn, and how it went. `asked_at` is written before Cost Explorer is asked, so that two never are.

    `trouble` with its `detail` stays until an answer comes; `failures` are those in a row. `newest_day`: the last
    day of which the last answer had anything.
    """

    asked_at: datetime
    answered_at: datetime | None = None
    newest_day: date | None = None
    trouble: Trouble | None = None
    detail: str = ""
    failures: int = 0

    def next_at(self, every: timedelta) -> datetime:
        """When it may be asked again: after `every`, an hour at least, twice that after each failure in a row up to
        a day, and only once a day about what a person has to mend."""
        every = max(every, LEAST_EVERY)
        wait = every
        if self.trouble in {Trouble.DENIED, Trouble.NOT_ENABLED}:
            wait = max(every, RARELY)
        elif self.failures:
            wait = max(every, min(every * 2 ** min(self.failures, 10), RARELY))
        return self.asked_at + wait

    def data_age(self, now: datetime) -> timedelta | None:
        """How far the bill is behind: since the end of the newest day, or since the answer if that day goes on."""
        if self.answered_at is None or self.newest_day is None:
            return None
        return now - min(end_of(self.newest_day), self.answered_at)

    def answered(self, answer: BillAnswer) -> "BillTurn":
        """The turn brought an answer."""
        newest = newest_day(answer.days) or self.newest_day
        return BillTurn(asked_at=self.asked_at, answered_at=self.asked_at, newest_day=newest)

    def failed(self, failure: BillFailure) -> "BillTurn":
        """The turn brought none."""
        return replace(self, trouble=failure.trouble, detail=failure.detail, failures=self.failures + 1)


def is_due(turn: BillTurn | None, every: timedelta, now: datetime) -> bool:
    """Whether Cost Explorer may be asked now."""
    return turn is None or now >= turn.next_at(every)


def first_to_ask(known: Iterable[BilledDay], now: datetime) -> date:
    """The first day to ask about: the oldest that is not settled, or of this month (at its beginning: of the last) not
    known. From there to today is one question; a day more costs nothing, a page does."""
    settled = {day.day for day in known if day.is_settled}
    unsettled = [day.day for day in known if not day.is_settled]
    month = (now - SETTLED_AFTER - DAY).date().replace(day=1)
    span = [month + DAY * number for number in range((now.date() - month).days + 1)]
    return min([*unsettled, *(day for day in span if day not in settled)], default=now.date())
