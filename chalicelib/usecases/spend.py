"""Spend: a month's meter beside its bill, day by day, whose it is, and what the rest of the month will add."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from chalicelib.domain.bill_turn import BillTurn
from chalicelib.domain.bills import DAY, begin_of
from chalicelib.domain.daily_meter import LeaseDays, by_bucket
from chalicelib.domain.forecast import Burn, burn, to_come
from chalicelib.domain.guard import GuardCost
from chalicelib.domain.lease import KeptImage, Lease
from chalicelib.domain.meter import kept_images, measure
from chalicelib.domain.money import ZERO, summed, to_micro
from chalicelib.domain.reconcile import DaySpend, reconcile
from chalicelib.ports import Services
from chalicelib.usecases.guard import guard_cost
from chalicelib.usecases.hourly import LOOKED_BACK
from chalicelib.usecases.last_sweeps import whole_sweeps
from chalicelib.usecases.metered import metered


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How the bill stands: `status` is `ok`, `not asked yet`, or why it could not be had. `data_age_for`: how far it is
    behind."""

    status: str
    detail: str
    answered_at: datetime | None
    newest_day: date | None
    data_age_for: timedelta | None
    next_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """To the end of the month: what runs, at its present price, until its lease ends."""

    until: datetime
    leases: Mapping[str, Decimal]
    total_usd: Decimal
    """With what is spent so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCounted:
    """Boxes that no lease covers, and so no meter, as the last sweep of the whole account saw them at `as_of`: which
    (`instance_id`, `region`, `reason`, `hourly_usd`), and the most that all of them cost an hour."""

    as_of: datetime | None = None
    hourly_usd: Decimal = ZERO
    boxes: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendReport:
    """One month. `spent_usd`: of the whole account, by the greater of bill and meter; `accelerators_usd`: of GPU boxes.

    `not_metered`: what the bill has that the meter does not model, by service.
    """

    period: str
    spent_usd: Decimal
    accelerators_usd: Decimal
    metered_usd: Decimal
    billed_usd: Decimal
    days: tuple[DaySpend, ...]
    leases: tuple[LeaseDays, ...]
    not_metered: Mapping[str, Decimal]
    forecast: Forecast
    cost_explorer: Freshness
    guard: GuardCost
    """What Curfew itself costs in the present month."""
    not_counted: NotCounted = NotCounted()
    kept_images: tuple[KeptImage, ...] = ()
    """What the ends of these leases have saved, as it was last seen. Their snapshots come with the bill."""

    def by(self, name_of: Callable[[Lease], str | None]) -> tuple[tuple[str | None, Decimal], ...]:
        """The meter by something of a lease, dearest first."""
        sums = summed((name_of(one.lease), one.usd()) for one in self.leases)
        return tuple(sorted(sums.items(), key=lambda item: (-item[1], item[0] or "")))


def spend(services: Services, period: str | None) -> SpendReport:
    """A month (`2026-11`), the present one if none is named. Asks EC2 and Cost Explorer nothing."""
    now = services.clock.now()
    since = date.fromisoformat(f"{period or f'{now:%Y-%m}'}-01")
    until = (since + timedelta(days=31)).replace(day=1)
    last = min(until, now.date() + DAY)
    open_leases = services.store.open_leases()
    leases, prices = metered(services, open_leases, since=since, until=last, now=now)
    meter = by_bucket(leases)
    billed = {day.day: day for day in services.store.billed_days(since, until)}
    days = tuple(reconcile(day, billed.get(day), meter.get(day, {})) for day in _days(since, last))
    spent = sum((day.spent_usd for day in days), ZERO)
    burning = {
        lease.id: burn(lease, measure(lease, prices, now), now, is_rehearsal=services.is_dry_run)
        for lease in open_leases
    }
    return SpendReport(
        period=f"{since:%Y-%m}",
        spent_usd=spent,
        accelerators_usd=sum((day.accelerators_usd for day in days), ZERO),
        metered_usd=sum((day.metered_usd for day in days), ZERO),
        billed_usd=sum((day.billed_usd for day in days), ZERO),
        days=days,
        leases=tuple(sorted(leases, key=lambda one: (-one.usd(), one.lease.id))),
        not_metered=_outside(days),
        forecast=_forecast(
            burning, spent_usd=spent, since=max(now, begin_of(since)), ends_at=begin_of(until)
        ),
        cost_explorer=_freshness(services, now),
        guard=guard_cost(services, now),
        not_counted=_not_counted(services, now),
        kept_images=tuple(image for one in leases for image in kept_images(one.lease, prices)),
    )


def _not_counted(services: Services, now: datetime) -> NotCounted:
    last = next(iter(whole_sweeps(services, since=now - LOOKED_BACK)), None)
    if last is None:
        return NotCounted()
    return NotCounted(
        as_of=last.started_at,
        hourly_usd=last.unleased_hourly_usd,
        boxes=tuple(one for one in last.reported if "instance_id" in one),
    )


def _days(since: date, until: date) -> list[date]:
    return [since + DAY * number for number in range((until - since).days)]


def _outside(days: Iterable[DaySpend]) -> dict[str, Decimal]:
    sums = summed(item for day in days for item in day.outside.items())
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def _forecast(
    burning: Mapping[str, Burn],
    *,
    spent_usd: Decimal,
    since: datetime,
    ends_at: datetime,
) -> Forecast:
    coming = {
        lease_id: usd
        for lease_id, one in burning.items()
        if (usd := to_micro(to_come(one, since, ends_at))) > 0
    }
    return Forecast(until=ends_at, leases=coming, total_usd=spent_usd + sum(coming.values(), ZERO))


def _freshness(services: Services, now: datetime) -> Freshness:
    policy, _ = services.store.policy()
    turn: BillTurn | None = services.store.bill_turn()
    if turn is None:
        return Freshness(
            status="not asked yet",
            detail="",
            answered_at=None,
            newest_day=None,
            data_age_for=None,
            next_at=now,
        )
    return Freshness(
        status=turn.trouble or "ok",
        detail=turn.detail,
        answered_at=turn.answered_at,
        newest_day=turn.newest_day,
        data_age_for=turn.data_age(now),
        next_at=max(turn.next_at(policy.bills.cost_explorer_every), now),
    )
