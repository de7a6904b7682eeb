"""What people are told of the account as a whole: its budgets, its bill, and what Curfew can't see or do there."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from chalicelib.domain.brake import Fight
from chalicelib.domain.budget import BudgetState, Consequence, Threshold
from chalicelib.domain.case import Finding, Verdict
from chalicelib.domain.money import show
from chalicelib.domain.notices import Kind, Notice
from chalicelib.domain.reconcile import DaySpend


def brake(fight: Fight, now: datetime) -> Notice:
    """Somebody starts again what is ended: who, and what does and does not end any more. Told once an hour."""
    shape = fight.shape
    return Notice(
        id=f"brake:{shape.region}:{shape.instance_type}:{shape.starter}:{now:%Y-%m-%dT%H}",
        kind=Kind.BRAKE,
        at=now,
        title=f"{shape.starter} has started {fight.replacements} {shape.instance_type} in {shape.region} again within "
        "an hour of their ends",
        lines=(
            "Idleness ends none of them until that stops; their hour and their money still do, later each time.",
            "Stop what starts them, or take them out of the policy's scope.",
        ),
    )


def opened_to_world(region: str, name: str, *, what: str, owner: str, told_of: str, now: datetime) -> Notice:
    """Somebody has asked for ports that everybody reaches; told before they are opened. `told_of`: for what."""
    return Notice(
        id=f"open-to-world:{region}:{name}:{told_of}:{now:%Y%m%dT%H%M%S}",
        kind=Kind.OPEN_TO_WORLD,
        at=now,
        title=f"{owner} opens {what} in {region}, to everybody on the internet",
        lines=(
            f"By the security group {name!r}, for {told_of}, with open_to_world: true.",
            "Programs look for open ports all day. To close them: take the rule out of the group, or end its boxes.",
        ),
    )


def reserved(reservation_id: str, finding: Finding, now: datetime) -> Notice:
    """Capacity that is reserved and unused, told once a day."""
    return Notice(
        id=f"{reservation_id}:reported:{now:%Y-%m-%d}",
        kind=Kind.REPORTED,
        at=now,
        title=f"{reservation_id} bills: {finding.reason}",
        lines=(f"To end it: aws ec2 cancel-capacity-reservation --capacity-reservation-id {reservation_id}",),
    )


def incomplete(regions: dict[str, str], now: datetime) -> Notice:
    """Regions that did not answer: what runs there is not watched meanwhile. Told once an hour."""
    return Notice(
        id=f"incomplete:{','.join(sorted(regions))}:{now:%Y-%m-%dT%H}",
        kind=Kind.INCOMPLETE,
        at=now,
        title=f"The sweep did not see {', '.join(sorted(regions))}; boxes there go on billing until it does",
        lines=tuple(f"{region}: {error}" for region, error in sorted(regions.items())),
    )


def denied(region: str, now: datetime) -> Notice:
    """A region that AWS does not let Curfew see; told once."""
    return Notice(
        id=f"denied:{region}",
        kind=Kind.INCOMPLETE,
        at=now,
        title=f"AWS denies Curfew a look at {region}: what runs there is not guarded",
        lines=(
            "It is asked again once an hour: allow the function's role there, or leave the region out (Regions).",
        ),
    )


def deferred(verdicts: tuple[Verdict, ...], cap: int, now: datetime) -> Notice:
    """More idle boxes than one sweep may end: the rest follow in the next ones."""
    leases = [verdict.case.lease.id for verdict in verdicts if verdict.case.lease]
    return Notice(
        id=f"deferred:{now:%Y-%m-%dT%H:%M}",
        kind=Kind.DEFERRED,
        at=now,
        title=f"{len(leases)} more idle boxes end in the next sweeps (limits.idle_ends_per_sweep is {cap})",
        lines=(", ".join(leases),),
    )


def budget(state: BudgetState, passed: Sequence[Threshold], spent_usd: Decimal, now: datetime) -> Notice:
    """Thresholds of a budget were passed, at once: told once, by the highest, and again when spending fell below and
    passed them again."""
    *below, highest = sorted(passed, key=lambda one: one.at_percent)
    others = ", ".join(f"{percent} %" for percent in dict.fromkeys(one.at_percent for one in below))
    wanted = {consequence for one in passed for consequence in one.do}
    limit = state.budget.limit_usd
    what = {
        Consequence.STOP_LAUNCHES: "No launch that counts against it starts until its next period or a higher limit.",
        Consequence.END: "What counts against it is ended.",
    }
    return Notice(
        id=f"budget:{state.budget.name}:{state.budget.generation}:{state.period_key}:{highest.at_percent}"
        f":{state.crossings + 1}",
        kind=Kind.BUDGET,
        at=now,
        title=f"Budget {state.budget.name!r} has spent {show(spent_usd)} of {show(limit)} in {state.period_key}, "
        f"over {highest.at_percent} %" + (f" (and {others})" if others else ""),
        lines=tuple(says for consequence, says in what.items() if consequence in wanted),
    )


def off(day: DaySpend, now: datetime) -> Notice:
    """A settled day's bill differs from the meter by more than a tenth: told once a day of the bill."""
    billed, metered = day.billed["compute"], day.metered["compute"]
    more = "more" if billed > metered else "less"
    percent = "" if day.variance_percent is None else f", {abs(day.variance_percent):.0f} %"
    why = (
        "Boxes may have run that no lease covered: before they were adopted, before the account was armed, or of a "
        "service that Curfew only reports."
        if billed > metered
        else "Discounts, reserved capacity or a savings plan may have paid for some of it."
    )
    return Notice(
        id=f"variance:{day.day}",
        kind=Kind.VARIANCE,
        at=now,
        title=f"The bill of {day.day} has {show(abs(billed - metered))} {more} for GPU boxes than the meter{percent}",
        lines=(f"Bill {show(billed)}, meter {show(metered)}. {why}",),
    )
