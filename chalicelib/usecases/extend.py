"""Extend or shorten a lease: its hold moves on every budget before its time does."""

from collections.abc import Iterable
from contextlib import suppress
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
from chalicelib.domain.arming import shifted
from chalicelib.domain.errors import CurfewError, Refused, Stale
from chalicelib.domain.lease import Hold, LaunchOrder, Lease, Status
from chalicelib.domain.least import least_usd
from chalicelib.domain.meter import measure
from chalicelib.domain.money import hours, show
from chalicelib.domain.periods import MOST_PERIODS, spent_by
from chalicelib.domain.policy import Policy
from chalicelib.domain.preconditions import IfMatch, lease_tag
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.rates import Rates
from chalicelib.domain.saving import live_usd, with_live
from chalicelib.domain.storage import Disk, attached, disks_usd
from chalicelib.ports import Services
from chalicelib.usecases.gather import price_book
from chalicelib.usecases.own import own_lease
from chalicelib.usecases.tagging import tell_guests
from chalicelib.usecases.timers import put_all

TRIES = 10
FINISHING_SECONDS = 5.0
"""No change is taken up later in a sweep; the next one goes on."""


def extend(
    services: Services,
    lease_id: str,
    *,
    lasts_for: timedelta | None,
    budget_usd: Decimal | None,
    by: str,
    over: IfMatch | None = None,
) -> Lease:
    """Change a lease's whole length, counted from its start, or its limit in dollars.

    Raises NotFound; PreconditionFailed where it is no longer `over`; Refused where it is over, too long or already
    spent; BudgetExceeded where a budget can't hold it.
    """
    del by
    for tried in range(TRIES):
        lease = own_lease(services, lease_id, None)
        is_own_half = tried > 0 and lease.moving_to is not None
        if over is not None and not is_own_half:
            over.require(
                lease_tag(lease),
                otherwise=f"lease {lease_id} is no longer as it was read; nothing was changed, and it ends at "
                f"{lease.expires_at:%Y-%m-%d %H:%M} UTC as it would have",
            )
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
            f"lease {lease.id} is {lease.status}: only an active one can be changed; nothing was. Launch anew",
            slug="lease-over",
        )
    lease = _go_on(services, lease)
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
            f"{hours(policy.lease.max_for):f}; nothing was changed, and it ends when it did. Ask for so many or fewer, "
            "or raise lease.max_for (PUT /policy)",
            slug="lease-limit",
        )
    prices = price_book(services, [lease], (), now)
    hold, order = _new_hold(prices, lease, length, budget_usd, policy)
    hold = _with_enough(
        lease,
        hold,
        prices=prices,
        policy=policy,
        expires_at=expires_at,
        now=now,
        is_capped=budget_usd is not None,
    )
    changed = replace(
        lease, expires_at=expires_at, hold=hold, order=order, budget_usd=budget_usd or lease.budget_usd
    )
    if expires_at == lease.expires_at or not lease.timers:
        changed = replace(changed, timers_at=None)
        return tell_guests(services, rehold(services, lease, changed, policy, prices=prices, now=now))
    if expires_at > lease.expires_at:
        waits = replace(changed, moving_to=expires_at)
        held = rehold(services, lease, waits, policy, prices=prices, now=now, expires_at=lease.expires_at)
        return _go_on(services, held)
    cut = replace(lease, expires_at=expires_at, moving_to=expires_at, budget_usd=changed.budget_usd)
    return _go_on(services, services.store.save_lease(cut))


def _with_enough(
    lease: Lease,
    hold: Hold,
    *,
    prices: PriceBook,
    policy: Policy,
    expires_at: datetime,
    now: datetime,
    is_capped: bool,
) -> Hold:
    """The hold of a change, less of it given back where its end needs that. Raises Refused where it pays for no end."""
    if not _is_to_pay_for_its_end(lease, is_capped=is_capped):
        return hold
    cost = measure(lease, prices, now)
    least = least_usd(lease, cost, hold, expires_at=expires_at, policy=policy, now=now)
    if hold.total_usd >= least:
        return hold
    kept = capped(lease.hold, max(least, hold.total_usd))
    if not is_capped and kept.total_usd >= least:
        return kept
    raise Refused(
        f"{show(hold.total_usd)} would be held, less than what the lease has cost ({show(cost.accrued_usd)}) and "
        f"ending it may still cost; nothing was changed. Give a budget_usd of {show(least)} or more, or end it now: "
        f"DELETE /leases/{lease.id}",
        slug="budget-too-small",
        least_usd=str(least),
    )


def _is_to_pay_for_its_end(lease: Lease, *, is_capped: bool) -> bool:
    """A found box that nobody caps and that is not to be saved is held for what it costs until its end."""
    return is_capped or not lease.is_adopted or lease.teardown_margin is not None


def finish_changes(services: Services, leases: Iterable[Lease]) -> None:
    """Take up changes that a crash or a silent Scheduler left between what is held and what is armed, while there is
    time."""
    until = services.clock.elapsed() + services.patience(FINISHING_SECONDS)
    for known in leases:
        if known.moving_to is None or services.clock.elapsed() > until:
            continue
        lease = services.store.lease(known.id)
        if lease is not None and lease.status is Status.ACTIVE and lease.moving_to is not None:
            with suppress(CurfewError):  # the next sweep goes on
                _go_on(services, lease)


def _go_on(services: Services, lease: Lease) -> Lease:
    """Move the ends of a lease. To later, all of which is held for: what ends its boxes, the call of Curfew, the lease,
    what the boxes know. To earlier, which the lease says already: in reverse, and its hold is made smaller last.

    Between any two steps no end is later than what is held for. Raises Unavailable where Scheduler moves nothing to
    later: the old end stands until a sweep could go on.
    """
    target, now = lease.moving_to, services.clock.now()
    if target is None:
        return lease
    moved = shifted(lease, target, now)
    if target > lease.expires_at:
        lease, failure = put_all(services, lease, moved)
        if failure is not None:
            raise failure.saying(
                f"{failure.detail}; more is held already, and lease {lease.id} ends at its old time until Scheduler "
                "answers: the sweep goes on with it every minute"
            )
        later = replace(lease, expires_at=target, moving_to=None, timers_at=None)
        return tell_guests(services, services.store.save_lease(later))
    # The lease has its new end already: a sweep that comes between writes the same on the boxes.
    lease, failure = put_all(services, tell_guests(services, lease), moved[::-1])
    return lease if failure is not None else _release(services, lease, now)


def _release(services: Services, lease: Lease, now: datetime) -> Lease:
    """Give back what a lease holds beyond its new end."""
    policy, _ = services.store.policy()
    prices = price_book(services, [lease], (), now)
    hold, order = _new_hold(prices, lease, lease.expires_at - lease.requested_at, lease.budget_usd, policy)
    cost = measure(lease, prices, now)
    least = least_usd(lease, cost, hold, expires_at=lease.expires_at, policy=policy, now=now)
    if _is_to_pay_for_its_end(lease, is_capped=lease.budget_usd is not None) and hold.total_usd < least:
        hold = capped(lease.hold, max(least, hold.total_usd))
    smaller = replace(lease, hold=hold, order=order, moving_to=None, timers_at=None)
    return rehold(services, lease, smaller, policy, prices=prices, now=now)


def rehold(
    services: Services,
    lease: Lease,
    changed: Lease,
    policy: Policy,
    *,
    prices: PriceBook,
    now: datetime,
    expires_at: datetime | None = None,
) -> Lease:
    """Write the change with its hold split anew; where it is short in a period, those that are over keep only what they
    cost. `expires_at`: the end that is written, where it is to move later."""
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
    written = replace(changed, charges=charges, expires_at=expires_at or changed.expires_at)
    return services.store.rehold(written, before=lease.charges, revision=book.revision)


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
    rates = prices.rates_in(lease.region)
    disks = _dearest_disks(lease, rates)
    if lease.order is not None:
        order = replace(lease.order, lasts_for=length, budget_usd=budget_usd or lease.order.budget_usd)
        margin = lease.margin(policy.teardown.margin)
        uncapped = replace(order, max_price_usd_per_hour=_dearest_cap(lease, order, prices), budget_usd=None)
        whole = worst_case(uncapped, disks=disks, prices=prices, margin=margin)
        return with_live(whole, lease, rates, cap_usd=order.budget_usd), order
    ceiling = max((prices.ceiling_usd(run) for run in lease.runs), default=Decimal(0))
    hold = worst_case_of_box(
        ceiling,
        lease.region,
        disks,
        length + lease.margin(timedelta(0)),  # it has one where it is to be saved
        prices,
        is_saved=lease.hold.snapshot_usd > live_usd(lease, rates),
    )
    hold = with_live(hold, lease, rates)
    hold = replace(
        hold, egress_usd=lease.hold.egress_usd
    )  # the budgets had room for it when it was found, or had not
    cap_usd = budget_usd or lease.budget_usd
    return (hold if cap_usd is None else capped(hold, cap_usd)), None
