"""The daily digest: told once a date, at the hour that the policy names. Asks EC2 and Cost Explorer nothing; the free
tier once a day, whether anybody is told or not, because GET /health shows it."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from chalicelib.domain import digest
from chalicelib.domain.daily_meter import by_bucket
from chalicelib.domain.digest import BudgetLine, DigestFacts
from chalicelib.domain.free_tier import FreeTier
from chalicelib.domain.meter import measure
from chalicelib.domain.money import ZERO
from chalicelib.domain.reconcile import reconcile
from chalicelib.domain.standing import standings
from chalicelib.ports import Services
from chalicelib.usecases.deliver import deliver
from chalicelib.usecases.free_tier import free_tier_of_today
from chalicelib.usecases.guard import guard_cost
from chalicelib.usecases.health import health
from chalicelib.usecases.metered import metered


def tell_digest(services: Services) -> date | None:
    """Tell what is due, if anything is and there is anybody to tell. Answers the date of what was told."""
    free_tier = free_tier_of_today(services)
    if not (services.notifier.is_configured or services.topic.is_configured):
        return None
    now = services.clock.now()
    notify = services.store.policy()[0].notify
    day = digest.due_day(now, ZoneInfo(notify.time_zone), notify.digest_at)
    if day is None or services.store.is_told(digest.notice_id(day)):
        return None
    services.store.tell([digest.digest(_facts(services, day, now, free_tier))])
    deliver(services)
    return day


def _facts(services: Services, day: date, now: datetime, free_tier: FreeTier | None) -> DigestFacts:
    store = services.store
    until = now.date() + digest.DAY
    since = until - digest.DAY * digest.DAYS
    open_leases = store.open_leases()
    leases, prices = metered(services, open_leases, since=since, until=until, now=now)
    meter, billed = by_bucket(leases), {one.day: one for one in store.billed_days(since, until)}
    days = [since + digest.DAY * number for number in range(digest.DAYS)]
    costs = {lease.id: measure(lease, prices, now) for lease in open_leases}
    book = store.budgets(now)
    accrued = {lease_id: cost.accrued_usd for lease_id, cost in costs.items()}
    stands = standings(book, open_leases, accrued, prices, now)
    return DigestFacts(
        day=day,
        at=now,
        spent_by_day={
            one: reconcile(one, billed.get(one), meter.get(one, {})).accelerators_usd for one in days
        },
        dearest=sorted(((one.lease, one.usd()) for one in leases), key=lambda row: (-row[1], row[0].id)),
        open_leases=open_leases,
        hourly_usd=sum((cost.hourly_usd for cost in costs.values()), ZERO),
        saved=digest.saved_by(store.closed_leases(since=now - timedelta(days=1))),
        guard=guard_cost(services, now),
        budgets=[
            BudgetLine(
                name=state.budget.name,
                period_key=state.period_key,
                limit_usd=state.budget.limit_usd,
                spent_usd=stands[state.budget.name].spent_usd,
                held_usd=stands[state.budget.name].held_usd,
            )
            for state in sorted(book.states, key=lambda one: one.budget.name)
        ],
        missing=[one["what"] for one in health(services).missing],
        is_dry_run=services.is_dry_run,
        free_tier=free_tier,
    )
