"""Extend or shorten a lease: its hold moves on every budget before its time does."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.admission import (
    HOUR,
    capped,
    charges_for,
    price_cap_usd,
    term_of,
    too_many_periods,
    worst_case,
    worst_case_of_box,
)
from chalicelib.domain.errors import NotFound, Refused, Stale
from chalicelib.domain.lease import Hold, LaunchOrder, Lease, Status
from chalicelib.domain.meter import measure
from chalicelib.domain.money import hours, show
from chalicelib.domain.periods import MOST_PERIODS, spent_by
from chalicelib.domain.policy import Policy
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.rates import Rates
from chalicelib.domain.storage import Disk, attached, disks_usd
from chalicelib.ports import Services
from chalicelib.usecases.gather import price_book

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
    prices = price_book(services, [lease], (), now)
    hold, order = _new_hold(prices, lease, length, budget_usd, policy)
    spent = measure(lease, prices, now).accrued_usd
    if budget_usd is not None and budget_usd < spent and budget_usd < lease.hold.total_usd:
        raise Refused(
            f"budget_usd {show(budget_usd)} is less than what the lease may have cost already ({show(spent)}); nothing "
            f"was changed. To end it now: DELETE /leases/{lease.id}",
            slug="budget-too-small",
        )
    changed = replace(
        lease, expires_at=expires_at, hold=hold, order=order, budget_usd=budget_usd or lease.budget_usd
    )
    return _rehold(services, lease, changed, policy, prices=prices, now=now)


def _rehold(
    services: Services, lease: Lease, changed: Lease, policy: Policy, *, prices: PriceBook, now: datetime
) -> Lease:
    """Write the change with its hold split anew; where it is short in a period, those that are over keep only what they
    cost."""
    book = services.store.budgets(now)
    budgets = book.budgets_covering(owner=lease.owner, project=lease.project)
    term = term_of(changed, policy)
    if term.charges(budgets) > MOST_PERIODS:
        raise too_many_periods(term, budgets)
    charges = charges_for(changed.hold, budgets, term)
    spent = spent_by(lease, prices, now)
    short = [one for one in budgets if any(each.is_short and one.charged_by(each) for each in charges)]
    if short and spent:
        whole = tuple(each for each in charges if not any(one.charged_by(each) for one in short))
        charges = (*whole, *charges_for(changed.hold, short, term, spent=spent))
    return services.store.rehold(
        replace(changed, charges=charges), before=lease.charges, revision=book.revision
    )


def _dearest_cap(lease: Lease, order: LaunchOrder, prices: PriceBook) -> Decimal:
    """The most an hour may cost: the cap that EC2 was sent stays, even if the list price has come down since."""
    sent = [run.max_price_usd for run in lease.runs if run.max_price_usd is not None]
    return max([*sent, *(price_cap_usd(order, name, prices) for name in order.instance_types)])


def _dearest_disks(lease: Lease, rates: Rates) -> tuple[Disk, ...]:
    """A box's disks as they were held, or as one of its boxes has them now where those are dearer."""
    boxes = dict.fromkeys(volume.instance_id for volume in lease.volumes)
    seen = [tuple(one.disk for one in attached(lease.volumes, box).values()) for box in boxes]
    return max([lease.box_disks, *seen], key=lambda disks: disks_usd(disks, rates, HOUR))


def _new_hold(
    prices: PriceBook, lease: Lease, length: timedelta, budget_usd: Decimal | None, policy: Policy
) -> tuple[Hold, LaunchOrder | None]:
    """The worst case of the new length; an adopted box is held for what it costs until its end, or its cap."""
    disks = _dearest_disks(lease, prices.rates_in(lease.region))
    if lease.order is not None:
        order = replace(lease.order, lasts_for=length, budget_usd=budget_usd or lease.order.budget_usd)
        margin = lease.margin(policy.teardown.margin)
        capped_order = replace(order, max_price_usd_per_hour=_dearest_cap(lease, order, prices))
        return worst_case(capped_order, disks=disks, prices=prices, margin=margin), order
    ceiling = max((prices.ceiling_usd(run) for run in lease.runs), default=Decimal(0))
    hold = worst_case_of_box(ceiling, lease.region, disks, length, prices)
    cap_usd = budget_usd or lease.budget_usd
    return (hold if cap_usd is None else capped(hold, cap_usd)), None
