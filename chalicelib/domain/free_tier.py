"""AWS's free tier: what of it is used, what of it the month will need, and until when the account's plan lasts.

Sources: Billing guide, "Tracking your Free Tier usage" (month to date, forecast to the month's end) and "Free account
plan": it ends six months after it began or with its credits, then AWS closes the account unless it is upgraded.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.money import ZERO, show

ASKED_EVERY = timedelta(days=1)
ENDS_SOON = timedelta(days=30)
MOST_KEPT = 60
MOST_LISTED = 5
FREE, EXPIRED = "FREE", "EXPIRED"
FEW_CREDITS_USD = Decimal(10)
"""Less than a large GPU box costs in an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One offer of the free tier. Amounts are in `unit`, of this month: `used` so far, `forecast` by its end."""

    service: str
    usage_type: str
    region: str = "global"
    kind: str = ""
    used: Decimal
    forecast: Decimal
    limit: Decimal
    unit: str = ""

    @property
    def state(self) -> str:
        """`used up`, so that more is billed; `forecast over` its limit by the month's end; `within` it."""
        if self.used >= self.limit:
            return "used up"
        return "forecast over" if self.forecast > self.limit else "within"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The account's plan, in AWS's words: `FREE` or `PAID`; `NOT_STARTED`, `ACTIVE` or `EXPIRED`."""

    kind: str
    status: str
    credits_usd: Decimal | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeTier:
    """What AWS said of it. What it did not say is absent, and `lacking` says why."""

    at: datetime
    plan: Plan | None = None
    offers: tuple[Offer, ...] = ()
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeTierReport:
    """What people are shown: warnings first, then every offer that is used, the nearest to its limit first."""

    at: datetime
    warnings: tuple[str, ...]
    plan: Plan | None
    offers: tuple[Offer, ...]
    lacking: tuple[str, ...]


def is_due(last: FreeTier | None, now: datetime) -> bool:
    """Asked once a day at most, whatever came of it."""
    return last is None or now - last.at >= ASKED_EVERY


def by_worry(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    """What is used up, then what will be, then what is used most; an offer without a limit says nothing."""
    order = ("used up", "forecast over", "within")
    worth = [one for one in offers if one.limit > 0 and (one.used > 0 or one.forecast > 0)]
    found = sorted(worth, key=lambda one: (order.index(one.state), -one.used / one.limit, one.service))
    return tuple(found[:MOST_KEPT])


def report(told: FreeTier, now: datetime) -> FreeTierReport:
    """The last answer, as it is to be understood now."""
    offers = by_worry(told.offers)
    over = tuple(f"{one.state}: {_named(one)}" for one in offers if one.state != "within")
    return FreeTierReport(
        at=told.at,
        warnings=(*_plan_ends(told.plan, now), *over),
        plan=told.plan,
        offers=offers,
        lacking=told.lacking,
    )


def lines(told: FreeTier, now: datetime) -> list[str]:
    """For the digest: the plan, then the offers, warnings first. Nothing where AWS said nothing."""
    shown = report(told, now)
    soon = _plan_ends(told.plan, now)
    plan = [f"account plan {_plan(told.plan)}"] if told.plan else []
    offers = [f"{_flag(one)}{_named(one)}" for one in shown.offers]
    listed = max(MOST_LISTED, sum(one.state != "within" for one in shown.offers))
    more = [f"and {len(offers) - listed} more within their limits"] if len(offers) > listed else []
    found = [*(f"! {line}" for line in soon), *plan, *offers[:listed], *more]
    return ["", f"Free tier ({told.at:%Y-%m-%d}):", *(f"  {line}" for line in found)] if found else []


def _plan_ends(plan: Plan | None, now: datetime) -> tuple[str, ...]:
    """What ends an account is worth a warning while there is time to keep it."""
    if plan is None or plan.kind != FREE:
        return ()
    left = (plan.ends_at or now + 2 * ENDS_SOON) - now
    if plan.status == EXPIRED or left <= timedelta(0):
        how = "is over"
    elif left <= ENDS_SOON:
        how = f"ends on {plan.ends_at:%Y-%m-%d}, in {left.days} day{'' if left.days == 1 else 's'}"
    elif plan.credits_usd is not None and plan.credits_usd < FEW_CREDITS_USD:
        how = f"ends with its credits, of which {show(plan.credits_usd)} are left"
    else:
        return ()
    return (f"the free plan {how}: AWS closes the account unless it is upgraded to the paid plan",)


def _plan(plan: Plan | None) -> str:
    if plan is None:
        return ""
    left = [f"{show(plan.credits_usd)} of credits left"] if plan.credits_usd is not None else []
    ends = [f"ends on {plan.ends_at:%Y-%m-%d}"] if plan.ends_at else []
    return ", ".join([f"{plan.kind} ({plan.status.lower().replace('_', ' ')})", *left, *ends])


def _flag(one: Offer) -> str:
    return "" if one.state == "within" else f"! {one.state}: "


def _named(one: Offer) -> str:
    where = f" in {one.region}" if one.region not in {"", "global"} else ""
    amounts = f"{_amount(one.used)} of {_amount(one.limit)} {one.unit}".rstrip()
    return f"{amounts}, {_amount(one.forecast)} forecast: {one.service} {one.usage_type}{where}"


def _amount(number: Decimal) -> str:
    """Whole where it is large, with what matters of it where it is small: AWS draws these out to fifteen digits."""
    if number == ZERO:
        return "0"
    if number >= 100:  # noqa: PLR2004 from here on the fraction tells nothing
        return f"{number:,.0f}"
    return f"{number:.2f}".rstrip("0").rstrip(".") if number >= Decimal("0.01") else "<0.01"
