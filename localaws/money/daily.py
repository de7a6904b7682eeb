"""A bill by day: charges cut at midnight UTC, and the credits that pay them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from localaws.money.account import Credit
from localaws.money.billing import Lump, Stretch
from localaws.money.usage import COMPUTE, CREDIT, REFUND, Charge, Line, as_record

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """What was billed on one line in one day, or one hour."""

    at: datetime
    line: Line
    usd: Decimal
    units: Decimal

    @property
    def day(self) -> date:
        return self.at.date()


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def entries(
    charges: Iterable[Charge], since: datetime, end_of: Callable[[Line], datetime], step: timedelta = DAY
) -> Iterator[Entry]:
    """Every charge by day (or another step) from a midnight on, each line up to a moment of its own."""
    for charge in charges:
        end = end_of(charge.line)
        sums: dict[datetime, tuple[Decimal, Decimal]] = {}
        for whole in charge.parts:
            for at, part in _cut(whole, since, end, step):
                usd, units = sums.get(at, (Decimal(0), Decimal(0)))
                sums[at] = usd + part.total_usd, units + part.total_units
        yield from (Entry(at, charge.line, usd, units) for at, (usd, units) in sums.items())


def _cut(
    whole: Stretch | Lump, since: datetime, end: datetime, step: timedelta
) -> Iterator[tuple[datetime, Stretch | Lump]]:
    first, last = (whole.at, whole.at) if isinstance(whole, Lump) else (whole.start, whole.end)
    at = max(_floor(first, step), since)
    while at <= last and at < end:
        part = whole.within(at, min(at + step, end))
        if part is not None:
            yield at, part
        at += step


def _floor(when: datetime, step: timedelta) -> datetime:
    start = midnight(when.date())
    return start + (when - start) // step * step


def with_credits(usage: Iterable[Entry], granted: Sequence[Credit], now: datetime) -> list[Entry]:
    """The entries with what AWS gives back: negative ones, beside those they pay.

    A credit pays usage from the first of its month on, day by day, until it is used up; a refund is one entry.
    """
    paid = sorted(
        usage, key=lambda one: (one.at, one.line.service, one.line.usage_type, one.line.resource_id)
    )
    found = list(paid)
    unpaid = [one.usd for one in paid]
    for credit in granted:
        if credit.at > now:
            continue
        if credit.kind == REFUND:
            found.append(_refund(credit))
            continue
        left = credit.usd
        for number, one in enumerate(paid):
            usd = min(left, unpaid[number]) if one.day >= credit.at.date().replace(day=1) else Decimal(0)
            if usd > 0:
                found.append(Entry(one.at, as_record(one.line, CREDIT), -usd, Decimal(0)))
                left -= usd
                unpaid[number] -= usd
    return found


def _refund(credit: Credit) -> Entry:
    where = Line(service=COMPUTE, usage_type="Refund", region="us-east-1", unit="N/A", record_type=REFUND)
    return Entry(midnight(credit.at.date()), where, -credit.usd, Decimal(0))
