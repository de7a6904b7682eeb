"""Boxes without a lease: which Curfew adopts, and which it only reports, and why.

Found by what they are (accelerator types), never by how they are tagged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256

from chalicelib.domain.admission import Term, capped, charges_for, worst_case_of_box
from chalicelib.domain.brake import starter_of
from chalicelib.domain.budget import Budget, BudgetState
from chalicelib.domain.controllers.managed import lever
from chalicelib.domain.fleets import Fleet, Group
from chalicelib.domain.instance import Instance, Sight, SpotRequest
from chalicelib.domain.lease import (
    EGRESS_GB,
    Charge,
    Hold,
    Lease,
    MadeOf,
    Origin,
    RequestType,
    Run,
    Status,
)
from chalicelib.domain.money import ZERO
from chalicelib.domain.periods import MOST_PERIODS
from chalicelib.domain.policy import Policy
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.scope import in_scope
from chalicelib.domain.shields import PROTECT_TAG, is_protected
from chalicelib.domain.storage import Disk
from chalicelib.domain.tags import OWNER_TAG, PROJECT_TAG
from chalicelib.domain.tracking import is_awaited, owned_by

NOBODY = "unleased"
HOUR = timedelta(hours=1)
NO_END = timedelta(days=3650)
"""What stands in `expires_at` of a lease that no time ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unleased:
    """A box without a lease. `because` says why it is only reported; None: it is to be adopted."""

    instance: Instance
    because: str | None


def unleased(
    sight: Sight,
    leases: Sequence[Lease],
    *,
    policy: Policy,
    ran_before: Mapping[str, frozenset[str]],
    now: datetime,
) -> tuple[Unleased, ...]:
    """Every box in scope that no open lease owns.

    `ran_before`: region → ids that already ran when an unarmed Curfew first saw it; a region that is not in it has not
    been seen before, so all it runs did.
    """
    return tuple(
        Unleased(
            instance=instance,
            because=_spared(instance, policy=policy, ran_before=ran_before, now=now),
        )
        for instance in sight.instances
        if not instance.is_gone
        and in_scope(instance, policy.scope)
        and not any(owned_by(lease, instance) or is_awaited(lease, instance, now) for lease in leases)
    )


def _spared(
    instance: Instance, *, policy: Policy, ran_before: Mapping[str, frozenset[str]], now: datetime
) -> str | None:
    protected = is_protected([instance], now)
    if policy.unleased.effect != "adopt":
        return f"unleased.effect is {policy.unleased.effect!r}"
    if instance.managed_by:
        return f"{instance.managed_by} manages it: {lever(instance.managed_by)}"
    if instance.is_prepaid:
        return "it is prepaid: ending it saves nothing"
    if protected:
        return f"{PROTECT_TAG} until {protected:%Y-%m-%d %H:%M} UTC"
    is_old = instance.id in ran_before.get(instance.region, frozenset({instance.id}))
    if not instance.is_running and (is_old or instance.state != "stopped"):
        return "it is stopped: only its storage bills"
    if is_old:
        return 'it ran before Curfew came; arm the account to guard it: POST /sweeps {"arm": true}'
    return None


def adoption_id(instance: Instance, *, closed_before: int = 0) -> str:
    """The same for every sweep that finds the same start of the same box, so that only one of them adopts it.

    `closed_before`: how many leases of this start were closed, as when EC2 did not show the box for a while.
    """
    start = instance.launched_at.isoformat() if instance.launched_at else ""
    again = f"/{closed_before}" if closed_before else ""
    return f"lease-{sha256(f'{instance.region}/{instance.id}/{start}{again}'.encode()).hexdigest()[:17]}"


def adopt(
    instance: Instance,
    *,
    spot_requests: Sequence[SpotRequest],
    starter: Fleet | Group | None = None,
    disks: Sequence[Disk],
    states: Sequence[BudgetState],
    policy: Policy,
    prices: PriceBook,
    now: datetime,
    closed_before: int = 0,
) -> Lease:
    """The lease of a box that was found: it starts now, for `unleased.for`, with a hold of what that costs, with an
    allowance for what it sends, or of what the budgets have left. Where it is to be saved at its end the hold pays for
    that too: `teardown.margin`, and the first month of the image."""
    request = next((r for r in spot_requests if r.id == instance.spot_request_id), None)
    run = Run(
        instance_id=instance.id,
        instance_type=instance.type,
        zone=instance.zone,
        is_spot=instance.is_spot,
        started_at=now,
        has_public_ip=instance.public_ip is not None,
        max_price_usd=Decimal(request.max_price) if request and request.max_price else None,
    )
    owner, project = _whose(instance, request, starter)
    covering = [state for state in states if state.budget.covers(owner=owner, project=project)]
    budgets = tuple({state.budget.name: state.budget for state in covering}.values())
    is_saved = policy.unleased.end == "image"
    margin = policy.teardown.margin if is_saved else timedelta(0)
    term = _term(policy.unleased.run_for + margin, budgets, now)
    length = term.ends_at - now
    whole = worst_case_of_box(
        prices.ceiling_usd(run),
        instance.region,
        disks,
        length,
        prices,
        egress_gb=EGRESS_GB,
        is_saved=is_saved,
    )
    hold, charges = within_room(whole, budgets, term, covering)
    return Lease(
        id=adoption_id(instance, closed_before=closed_before),
        owner=owner,
        project=project,
        region=instance.region,
        origin=Origin.ADOPTED,
        request_type=RequestType(request.type) if request else RequestType.NONE,
        status=Status.ACTIVE,
        requested_at=now,
        launched_at=instance.launched_at,
        started_by=starter_of(instance, spot_requests, owner=owner),
        expires_at=max(now + length - margin, now),
        teardown_margin=margin if is_saved else None,
        hold=hold,
        charges=charges,
        storage_gib=sum(disk.gib for disk in disks),
        disks=tuple(disks),
        instance_ids=(instance.id,),
        made_of=_made_of(instance),
        spot_request_ids=(instance.spot_request_id,) if instance.spot_request_id else (),
        runs=(run,),
        ran_before_for=max(now - instance.launched_at, timedelta(0))
        if instance.launched_at
        else timedelta(0),
    )


def adopt_at_rest(
    instance: Instance,
    *,
    spot_requests: Sequence[SpotRequest],
    starter: Fleet | Group | None = None,
    states: Sequence[BudgetState],
    now: datetime,
    closed_before: int = 0,
) -> Lease:
    """The lease of a box that is stopped: it meters its storage onto its budgets, holds nothing, and no clock ends it
    but `stopped.end_after`."""
    request = next((r for r in spot_requests if r.id == instance.spot_request_id), None)
    owner, project = _whose(instance, request, starter)
    return Lease(
        id=adoption_id(instance, closed_before=closed_before),
        owner=owner,
        project=project,
        region=instance.region,
        origin=Origin.ADOPTED,
        request_type=RequestType(request.type) if request else RequestType.NONE,
        status=Status.ACTIVE,
        is_storage=True,
        requested_at=now,
        launched_at=instance.launched_at,
        expires_at=now + NO_END,
        hold=Hold(),
        charges=tuple(
            Charge(
                budget=state.budget.name,
                period_key=state.period_key,
                amount_usd=ZERO,
                generation=state.budget.generation,
            )
            for state in states
            if state.budget.covers(owner=owner, project=project)
        ),
        instance_ids=(instance.id,),
        made_of=_made_of(instance),
        spot_request_ids=(instance.spot_request_id,) if instance.spot_request_id else (),
    )


def _made_of(instance: Instance) -> MadeOf:
    return MadeOf(
        instance_type=instance.type, image_id=instance.image_id or None, key_name=instance.key_name or None
    )


def _whose(
    instance: Instance, request: SpotRequest | None, starter: Fleet | Group | None
) -> tuple[str, str | None]:
    """Owner and project by its tags; a relaunched box can carry none of its own, its request, fleet or group may."""
    tags = {
        **(starter.tags if starter else {}),
        **(request.tags if request else {}),
        **instance.tags,
    }
    return tags.get(OWNER_TAG, NOBODY), tags.get(PROJECT_TAG)


def _term(length: timedelta, budgets: Sequence[Budget], now: datetime) -> Term:
    """The time of an adoption: `unleased.for`, or as much of it as one transaction can charge. Never longer: a lease
    that ends too early is told, one that can't be written guards nothing."""
    term = Term(starts_at=now, ends_at=now + length)
    while term.charges(budgets) > MOST_PERIODS and term.ends_at - now > HOUR:
        term = Term(starts_at=now, ends_at=now + (term.ends_at - now) / 2)
    return term


def within_room(
    whole: Hold, budgets: Sequence[Budget], term: Term, states: Sequence[BudgetState]
) -> tuple[Hold, tuple[Charge, ...]]:
    """A hold cut down to what each of its budgets has left in each of its periods, and its charges."""
    room = {(state.budget.name, state.period_key): state.left_usd for state in states}
    charges = charges_for(whole, budgets, term, room=room)
    fits = [
        sum((charge.amount_usd for charge in charges if budget.charged_by(charge)), ZERO)
        for budget in budgets
    ]
    hold = capped(whole, min([whole.total_usd, *fits]))
    return hold, charges_for(hold, budgets, term, most=whole, room=room)
