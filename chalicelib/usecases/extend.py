"""Extend or shorten a lease: its hold moves on every budget before its time does."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from chalicelib.domain.admission import capped, charges_for, worst_case
from chalicelib.domain.errors import NotFound, Refused, Stale
from chalicelib.domain.lease import Hold, LaunchOrder, Lease, Status
from chalicelib.domain.meter import measure
from chalicelib.domain.money import PUBLIC_IPV4_USD_PER_HOUR, hours, show, storage_usd, up_to_cent
from chalicelib.domain.policy import Policy
from chalicelib.ports import Services

TRIES = 10


def extend(
    services: Services,
    lease_id: str,
    *,
    lasts_for: timedelta | None,
    budget_usd: Decimal | None,
    by: str,
) -> Lease:
    """Change a lease's whole length, counted from its start, or its limit in dollars.

    Raises NotFound; Refused where it is over, too long or already spent; BudgetExceeded where a budget can't hold it.
    """
    del by
    for _ in range(TRIES):
        lease = services.store.lease(lease_id)
        if lease is None:
            raise NotFound(f"no lease has the id {lease_id!r}; GET /leases lists them")
        try:
            return _extend(services, lease, lasts_for, budget_usd)
        except Stale:
            continue
    raise Stale(f"lease {lease_id} kept changing; nothing was changed, ask again")


def _extend(
    services: Services, lease: Lease, lasts_for: timedelta | None, budget_usd: Decimal | None
) -> Lease:
    if lease.status is not Status.ACTIVE:
        raise Refused(
            f"lease {lease.id} is {lease.status}: only an active one can be changed", slug="lease-over"
        )
    now = services.clock.now()
    policy, _ = services.store.policy()
    expires_at = lease.expires_at if lasts_for is None else lease.requested_at + lasts_for
    if expires_at <= now:
        raise Refused(
            f"hours would put its end to {expires_at:%Y-%m-%d %H:%M} UTC, which is past; nothing was changed. To end "
            f"it now: DELETE /leases/{lease.id}",
            slug="lease-over",
        )
    length = expires_at - lease.requested_at
    if length > policy.lease.max_for and expires_at > lease.expires_at:
        raise Refused(
            f"hours asks for {hours(length):f} in all, the policy's lease.max_for allows "
            f"{hours(policy.lease.max_for):f}; nothing was changed",
            slug="lease-limit",
        )
    hold, order = _new_hold(services, lease, length, budget_usd, policy)
    spent = measure(lease, services.prices.on_demand(), now).accrued_usd
    if budget_usd is not None and budget_usd < spent and budget_usd < lease.hold.total_usd:
        raise Refused(
            f"budget_usd {show(budget_usd)} is less than what the lease may have cost already ({show(spent)}); nothing "
            f"was changed. To end it now: DELETE /leases/{lease.id}",
            slug="budget-too-small",
        )
    book = services.store.budgets(now)
    periods = {(charge.budget, charge.generation): charge.period_key for charge in lease.charges}
    covering = book.covering(owner=lease.owner, project=lease.project)
    charges = tuple(
        replace(new, period_key=periods.get((new.budget, new.generation), new.period_key))
        for new in charges_for(hold.total_usd, covering)
    )
    changed = replace(
        lease,
        expires_at=expires_at,
        hold=hold,
        charges=charges,
        order=order,
        budget_usd=budget_usd or lease.budget_usd,
    )
    return services.store.rehold(changed, before=lease.charges, revision=book.revision)


def _new_hold(
    services: Services, lease: Lease, length: timedelta, budget_usd: Decimal | None, policy: Policy
) -> tuple[Hold, LaunchOrder | None]:
    """The worst case of the new length; an adopted box is held for what it costs until its end, or its cap."""
    prices = services.prices.on_demand()
    if lease.order is not None:
        order = replace(lease.order, lasts_for=length, budget_usd=budget_usd or lease.order.budget_usd)
        margin = lease.margin(policy.teardown.margin)
        return worst_case(order, storage_gib=lease.storage_gib, prices=prices, margin=margin), order
    ceiling = max((prices.ceiling_usd(run) for run in lease.runs), default=Decimal(0))
    hold = Hold(
        compute_usd=up_to_cent(ceiling * hours(length)),
        storage_usd=up_to_cent(storage_usd(lease.storage_gib, length)),
        public_ipv4_usd=up_to_cent(PUBLIC_IPV4_USD_PER_HOUR * hours(length)),
    )
    cap_usd = budget_usd or lease.budget_usd
    return (hold if cap_usd is None else capped(hold, cap_usd)), None
