"""Health: whether the guard itself works, what it lacks, and the command that mends it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from chalicelib.domain.free_tier import FreeTierReport
from chalicelib.domain.guard import GuardCost
from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.missed import Missed, missed
from chalicelib.domain.money import show
from chalicelib.domain.policy import NOT_ENFORCED
from chalicelib.domain.reservations import Unused
from chalicelib.ports import Services, SweepRecord
from chalicelib.usecases.bills import bill_trouble
from chalicelib.usecases.channels import NEW_WEBHOOK
from chalicelib.usecases.deliver import GIVEN_UP_AFTER
from chalicelib.usecases.free_tier import last_free_tier
from chalicelib.usecases.guard import guard_cost
from chalicelib.usecases.last_sweeps import whole_sweeps
from chalicelib.usecases.tokens import wrong_tokens

SILENT_AFTER = timedelta(minutes=5)
ARMED_WITHIN = timedelta(minutes=10)
"""Ten sweeps: a lease that has no timer by then is told."""
TRY_IT = 'curl -X POST -H "$AUTH" $CURFEW/notifications/test'


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`ok`; `degraded`: it guards, but something is missing; `failing`: no complete sweep for `SILENT_AFTER`. `missed`:
    what should have ended and has not."""

    status: str
    mode: str
    armed: bool
    last_complete_sweep: SweepRecord | None
    regions: Mapping[str, str]
    missing: tuple[Mapping[str, str], ...]
    missed: tuple[Missed, ...]
    not_enforced: tuple[str, ...]
    waiting_notices: int
    open_leases: int
    guard: GuardCost
    reservations: tuple[Unused, ...] = ()
    """Capacity that is reserved and unused, as of the last hourly look: it bills, and nothing cancels it."""
    free_tier: FreeTierReport | None = None
    """What AWS last said of the free tier, a day ago at most; None until it was asked."""
    wrong_tokens: Mapping[str, int] = field(default_factory=dict)
    """How many were sent on each of the last seven days that had any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnHealth:
    """What is told to somebody who sees their own alone: the word that anybody is told, and their leases."""

    status: Literal["ok", "failing"]
    owner: str
    open_leases: int
    missed: tuple[Missed, ...]


def word(services: Services) -> Literal["ok", "failing"]:
    """Whether a sweep was complete within `SILENT_AFTER`. Reads the last sweeps alone: anybody may ask."""
    now = services.clock.now()
    complete = _last_complete(whole_sweeps(services, since=now - SILENT_AFTER))
    return "ok" if _is_recent(complete, now) else "failing"


def own_health(services: Services, owner: str) -> OwnHealth:
    """Whether the account is guarded, and what of one's own should have ended and has not."""
    leases = [one for one in services.store.open_leases() if one.owner == owner]
    return OwnHealth(
        status=word(services),
        owner=owner,
        open_leases=len(leases),
        missed=missed(leases, services.prices.on_demand(), services.clock.now()),
    )


def _last_complete(whole: Sequence[SweepRecord]) -> SweepRecord | None:
    return next((record for record in whole if record.is_complete), None)


def _is_recent(complete: SweepRecord | None, now: datetime) -> bool:
    return complete is not None and now - complete.started_at <= SILENT_AFTER


def health(services: Services) -> Health:
    """Look at the records of the last sweeps, never at AWS: it must answer when AWS does not."""
    now = services.clock.now()
    whole = whole_sweeps(services, since=now - SILENT_AFTER)
    complete = _last_complete(whole)
    is_silent = not _is_recent(complete, now)
    waiting = services.store.waiting_notices()
    leases = services.store.open_leases()
    overdue = missed(leases, services.prices.on_demand(), now)
    cost = guard_cost(services, now)
    missing = (
        *services.missing,
        *_no_budget(services),
        *_lacking(whole[:1]),
        *_untold(waiting),
        *_silent_slack(services, now),
        *bill_trouble(services),
        *_too_dear(cost),
        *_unarmed(services, leases, now),
    )
    return Health(
        status="failing" if is_silent else "degraded" if missing or overdue else "ok",
        mode="dry-run" if services.is_dry_run else "enforce",
        armed=services.is_armed or services.store.account().armed_at is not None,
        last_complete_sweep=complete,
        regions=whole[0].regions if whole else {},
        missing=missing,
        missed=overdue,
        not_enforced=NOT_ENFORCED,
        waiting_notices=waiting,
        open_leases=len(leases),
        guard=cost,
        reservations=look.unused if (look := services.store.reservation_look()) else (),
        free_tier=last_free_tier(services),
        wrong_tokens=wrong_tokens(services),
    )


def _no_budget(services: Services) -> tuple[Mapping[str, str], ...]:
    if services.store.budgets(services.clock.now()).states:
        return ()
    return (
        {
            "what": "a budget",
            "why": "no budget means no limit beyond each lease's own",
            "fix": 'curl -X PUT -H "$AUTH" $CURFEW/budgets/account -d \'{"limit_usd": "100", "period": "monthly"}\'',
        },
    )


def _untold(waiting: int) -> tuple[Mapping[str, str], ...]:
    if not waiting:
        return ()
    return (
        {
            "what": "messages",
            "why": f"not taken by Slack yet: {waiting}; they are tried again, and nothing waits for them",
            "fix": 'see why, and try it: curl -X POST -H "$AUTH" $CURFEW/notifications/test',
        },
    )


def _silent_slack(services: Services, now: datetime) -> tuple[Mapping[str, str], ...]:
    """Slack's webhook, once it has failed for a day, or for good."""
    trouble = services.store.trouble() if services.notifier.is_configured else None
    if trouble is None or not (trouble.is_for_good or now - trouble.since >= GIVEN_UP_AFTER):
        return ()
    told = "the SNS topic is told instead" if services.topic.is_configured else "nobody is told anything"
    return (
        {
            "what": "slack webhook",
            "why": f"it fails since {trouble.since:%Y-%m-%d %H:%M} UTC ({trouble.why}): {told}",
            "fix": f"{NEW_WEBHOOK}. Then try it: {TRY_IT}" if trouble.is_for_good else f"see why: {TRY_IT}",
        },
    )


def _too_dear(cost: GuardCost) -> tuple[Mapping[str, str], ...]:
    if not cost.is_over:
        return ()
    return (
        {
            "what": "Curfew's own bill",
            "why": f"it has cost {show(cost.usd)} this month, bills.own_usd_per_month allows {show(cost.limit_usd)}: "
            "Cost Explorer is asked once a day at most, CloudWatch less often about what costs less than asking",
            "fix": 'see `guard` for what it goes to; curl -X PUT -H "$AUTH" $CURFEW/policy -d '
            '\'{"bills": {"own_usd_per_month": {"base": "8"}}}\'',
        },
    )


def _unarmed(services: Services, leases: Sequence[Lease], now: datetime) -> tuple[Mapping[str, str], ...]:
    if not services.timers.is_configured:
        return ()
    late = [
        one.id
        for one in leases
        if one.status is Status.ACTIVE
        and one.timers_at is None
        and not one.timers
        and now - one.requested_at >= ARMED_WITHIN
    ]
    if not late:
        return ()
    return (
        {
            "what": "timers of leases",
            "why": f"EventBridge Scheduler has taken no timer of {', '.join(late)}: while Curfew is down they do not "
            "end in time",
            "fix": "`lacking` in the answer of POST /sweeps has Scheduler's; it is tried again every minute",
        },
    )


def _lacking(last: Sequence[SweepRecord]) -> tuple[Mapping[str, str], ...]:
    return tuple(
        {"what": lacking.partition(":")[0], "why": lacking, "fix": "see docs/runbook.md"}
        for record in last
        for lacking in record.lacking
    )
