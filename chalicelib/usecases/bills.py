"""Bills: ask Cost Explorer when it is its turn, after everything that ends boxes, and keep what it told.

A bill that does not come changes nothing: the meter goes on, /health says why, and the next turn is later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from chalicelib.domain import account_notices
from chalicelib.domain.bill_turn import LOOKED_BACK, RARELY, BillTurn, first_to_ask, is_due
from chalicelib.domain.bills import DAY, BillAnswer, BilledDay, BillFailure, Trouble, kept
from chalicelib.domain.daily_meter import by_bucket
from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.notices import Notice
from chalicelib.domain.reconcile import reconcile
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts
from chalicelib.usecases.guard import is_past_limit
from chalicelib.usecases.metered import metered

LATEST_START = timedelta(seconds=25)
"""So long after the sweep began Cost Explorer may still be asked: it takes 20 s at most, and the sweep has 60."""
CHECK = (
    "aws ce get-cost-and-usage --granularity DAILY --metrics UnblendedCost --time-period "
    "Start=$(date -u -v-1d +%F 2>/dev/null || date -u -d yesterday +%F),End=$(date -u +%F)"
)
FIXES: Mapping[Trouble, str] = {
    Trouble.DENIED: "deploy the present template (its function `sweep` may call ce:GetCostAndUsage), and let the "
    f"account's owner activate IAM access to billing; then try: {CHECK}",
    Trouble.NOT_ENABLED: "open https://console.aws.amazon.com/costmanagement/home#/cost-explorer once, as no API "
    f"switches it on; figures come within 24 hours: {CHECK}",
    Trouble.THROTTLED: f"it is asked again by itself; to see it: {CHECK}",
    Trouble.FAILED: f"it is asked again by itself; to see it: {CHECK}",
}


def ask_for_the_bill(services: Services, facts: Facts) -> str | None:
    """Ask Cost Explorer if it is its turn and there is time. Returns why it could not be had, or None. Never raises
    what the table or AWS may answer."""
    try:
        return _ask(services, facts)
    except Stale:
        return None
    except Unavailable as error:
        return f"Cost Explorer: {error.detail}"


def bill_trouble(services: Services) -> tuple[Mapping[str, str], ...]:
    """What of the bill is missing, for /health, with the command that mends it."""
    turn = services.store.bill_turn()
    if turn is None or turn.trouble is None:
        return ()
    why = {
        Trouble.DENIED: "AWS denies it",
        Trouble.NOT_ENABLED: "it is not switched on in this account, or has no data yet",
        Trouble.THROTTLED: "it was asked too often",
        Trouble.FAILED: "it did not answer",
    }[turn.trouble]
    return (
        {
            "what": "Cost Explorer",
            "why": f"{why} ({turn.detail}): GET /spend shows the meter alone; ends and budgets go on by the meter",
            "fix": FIXES[turn.trouble],
        },
    )


def _ask(services: Services, facts: Facts) -> str | None:
    before = services.store.bill_turn()
    every = facts.policy.bills.cost_explorer_every
    if not is_due(before, every, facts.now) or services.clock.now() - facts.now > LATEST_START:
        return None
    if not is_due(before, max(every, RARELY), facts.now) and _is_thinned(services, facts):
        return None
    turn = replace(before, asked_at=facts.now) if before else BillTurn(asked_at=facts.now)
    services.store.put_bill_turn(turn, over=before.asked_at if before else None)
    today = facts.now.date()
    known = services.store.billed_days(today - LOOKED_BACK, today + DAY)
    answer = services.bills.daily(first_to_ask(known, facts.now), today + DAY)
    if isinstance(answer, BillFailure):
        services.store.put_bill_turn(turn.failed(answer), over=turn.asked_at)
        return f"Cost Explorer: {answer.detail}"
    days, told = _reconciled(services, facts, answer, {day.day: day for day in known})
    services.store.put_billed_days(days)
    services.store.put_bill_turn(turn.answered(answer), over=turn.asked_at, notices=told)
    return None


def _is_thinned(services: Services, facts: Facts) -> bool:
    """Once Curfew itself has cost too much, unless a budget counts the whole bill."""
    if any(state.budget.services == "all" for state in facts.book.states):
        return False
    boxes = sum(len(lease.instance_ids) for lease in facts.leases)
    return is_past_limit(services, facts.policy, boxes=boxes, now=facts.now)


def _reconciled(
    services: Services, facts: Facts, answer: BillAnswer, known: Mapping[object, BilledDay]
) -> tuple[Sequence[BilledDay], Sequence[Notice]]:
    """The days as they are kept now, and what people are told of those that the meter was wrong about."""
    if not answer.days:
        return (), ()
    since, until = answer.days[0].day, answer.days[-1].day + DAY
    leases, _ = metered(services, facts.leases, since=since, until=until, now=facts.now)
    meter = by_bucket(leases)
    days, told = [], list[Notice]()
    for bill in answer.days:
        ours = meter.get(bill.day, {})
        day = kept(bill, known.get(bill.day), answered_at=facts.now)
        found = reconcile(bill.day, day, ours)
        days.append(
            replace(
                day,
                beyond_meter_usd=found.beyond_meter_usd,
                accelerators_beyond_usd=found.accelerators_beyond_usd,
            )
        )
        if found.is_off:
            told.append(account_notices.off(found, facts.now))
    return days, told
