"""The daily digest: when it is due, what idle ends have saved, and how it reads.

It is due at `notify.digest_at` on the clocks of `notify.time_zone`, once for each date there: the id of its notice is
made of that date, so a clock set back tells nothing twice; a time that daylight saving skips is due right after.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal

from chalicelib.domain.free_tier import FreeTier
from chalicelib.domain.free_tier import lines as free_tier_lines
from chalicelib.domain.guard import GuardCost
from chalicelib.domain.lease import Lease
from chalicelib.domain.money import ZERO, show
from chalicelib.domain.notices import Kind, Notice
from chalicelib.domain.receipts import saved_usd

DAY = timedelta(days=1)
LATEST = timedelta(hours=3)
"""How late a digest still comes: one that was missed for longer is news of yesterday."""
DAYS = 7
TOP = 5
MOST_LISTED = 8
BAR = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLine:
    """Where a budget stands."""

    name: str
    period_key: str
    limit_usd: Decimal
    spent_usd: Decimal
    held_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What ends of idle boxes have saved at most, and how many leases they were."""

    usd: Decimal
    ends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestFacts:
    """What a digest tells. `spent_by_day` and `dearest` go by UTC days, as a bill does; `missing` is not set up."""

    day: date
    at: datetime
    spent_by_day: Mapping[date, Decimal]
    dearest: Sequence[tuple[Lease, Decimal]]
    open_leases: Sequence[Lease]
    hourly_usd: Decimal
    saved: Saved
    guard: GuardCost
    budgets: Sequence[BudgetLine]
    missing: Sequence[str]
    is_dry_run: bool
    free_tier: FreeTier | None = None


def due_day(now: datetime, zone: tzinfo, digest_at: str) -> date | None:
    """The date whose digest is due, if one is: its hour has come on the clocks of the zone, and not long ago."""
    for day in ((now.astimezone(zone) - ago).date() for ago in (timedelta(0), DAY)):
        due_at = datetime.combine(day, time.fromisoformat(digest_at), tzinfo=zone).astimezone(now.tzinfo)
        if due_at <= now < due_at + LATEST:
            return day
    return None


def notice_id(day: date) -> str:
    """One digest a date, however often it is asked for."""
    return f"digest:{day}"


def saved_by(closed: Iterable[Lease]) -> Saved:
    """What leases that were ended for idleness would have cost had they run to their own end. Ends by time and money
    count as nothing: nobody knows for how much longer those boxes would have run."""
    ended = [one for one in closed if one.ending and one.ending.cause == "idle" and one.closed_at]
    return Saved(usd=sum((saved_usd(one) or ZERO for one in ended), ZERO), ends=len(ended))


def digest(facts: DigestFacts) -> Notice:
    """The facts as one message, in columns."""
    return Notice(
        id=notice_id(facts.day),
        kind=Kind.DIGEST,
        at=facts.at,
        title=f"Curfew on {facts.day:%A, %Y-%m-%d}",
        lines=(
            *_bars(facts.spent_by_day),
            *_dearest(facts.dearest),
            *_open(facts),
            *_budgets(facts.budgets),
            *_money(facts),
            *(free_tier_lines(facts.free_tier, facts.at) if facts.free_tier else ()),
            *_missing(facts.missing),
        ),
    )


def _bars(spent: Mapping[date, Decimal]) -> list[str]:
    most = max(spent.values(), default=ZERO)
    lines = ["GPU boxes by UTC day (the greater of bill and meter):"]
    for day, usd in sorted(spent.items()):
        blocks = int(usd / most * BAR) if most else 0
        bar = "█" * blocks or ("▏" if usd else "")
        lines.append(f"{day:%a %d} {bar:<{BAR}} {show(usd):>10}")
    return lines


def _dearest(dearest: Sequence[tuple[Lease, Decimal]]) -> list[str]:
    if not dearest:
        return []
    return ["", "Dearest of these days:", *(f"{show(usd):>10}  {_named(one)}" for one, usd in dearest[:TOP])]


def _named(lease: Lease) -> str:
    types = "/".join(dict.fromkeys(run.instance_type for run in lease.runs))
    project = f", {lease.project}" if lease.project else ""
    return f"{types} {', '.join(lease.instance_ids) or lease.id} ({lease.owner}{project})"


def _open(facts: DigestFacts) -> list[str]:
    if not facts.open_leases:
        return ["", "No lease is open."]
    listed = sorted(facts.open_leases, key=lambda one: (one.expires_at, one.id))[:MOST_LISTED]
    more = len(facts.open_leases) - len(listed)
    return [
        "",
        f"Open: {len(facts.open_leases)}, {show(facts.hourly_usd)} an hour together:",
        *(f"  until {one.expires_at:%Y-%m-%d %H:%M} UTC  {_named(one)}" for one in listed),
        *([f"  and {more} more"] if more else []),
    ]


def _budgets(budgets: Sequence[BudgetLine]) -> list[str]:
    if not budgets:
        return []
    shown = (
        f"  {one.name} {one.period_key}: {show(one.spent_usd)} of {show(one.limit_usd)} spent, "
        f"{show(one.held_usd)} held"
        for one in budgets[:MOST_LISTED]
    )
    return ["", "Budgets:", *shown, *(["  and more"] if len(budgets) > MOST_LISTED else [])]


def _money(facts: DigestFacts) -> list[str]:
    saved, guard = facts.saved, facts.guard
    would = "would have saved" if facts.is_dry_run else "saved"
    return [
        "",
        f"Ended for idleness in 24 h: {saved.ends}, which {would} up to {show(saved.usd)} (to the end of their time).",
        f"Curfew itself costs {show(guard.usd)} so far in {guard.period_key}, {show(guard.projected_usd)} by its end.",
    ]


def _missing(missing: Sequence[str]) -> list[str]:
    return ["", f"Missing (GET /health has the fix): {', '.join(dict.fromkeys(missing))}"] if missing else []
