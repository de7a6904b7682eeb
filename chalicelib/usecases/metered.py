"""The meter of a stretch of days: every lease, open or closed, that cost anything in it."""

from collections.abc import Iterable
from datetime import date, datetime

from chalicelib.domain.bills import begin_of
from chalicelib.domain.daily_meter import LeaseDays, by_day
from chalicelib.domain.lease import Lease
from chalicelib.domain.prices import PriceBook
from chalicelib.ports import Services
from chalicelib.usecases.gather import price_book


def metered(
    services: Services, open_leases: Iterable[Lease], *, since: date, until: date, now: datetime
) -> tuple[tuple[LeaseDays, ...], PriceBook]:
    """Each lease with what it cost from `since` up to, not with, `until`; and the prices that was reckoned at.

    No Describe call: runs are as the last sweep saw them.
    """
    closed = {lease.id: lease for lease in services.store.closed_leases(since=begin_of(since))}
    leases = [*closed.values(), *(lease for lease in open_leases if lease.id not in closed)]
    began = [lease for lease in leases if any(run.started_at < begin_of(until) for run in lease.runs)]
    prices = price_book(services, began, (), now)
    days = (by_day(lease, prices, now).within(since, until) for lease in began)
    return tuple(one for one in days if any(one.days.values())), prices
