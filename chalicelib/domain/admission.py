"""Whether a launch may start: its worst case is put on every budget first, the way a hotel puts a hold on a card."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from chalicelib.domain.budget import BudgetState, Consequence
from chalicelib.domain.errors import BudgetExceeded, CurfewError, Refused
from chalicelib.domain.lease import Charge, Hold, LaunchOrder, Lease, Origin
from chalicelib.domain.money import (
    EGRESS_USD_PER_GB,
    PUBLIC_IPV4_USD_PER_HOUR,
    ZERO,
    hours,
    show,
    storage_usd,
    up_to_cent,
)
from chalicelib.domain.policy import Policy
from chalicelib.domain.prices import PriceBook


def price_cap_usd(order: LaunchOrder, instance_type: str, prices: PriceBook) -> Decimal:
    """The price cap sent for a type: the caller's, else the on-demand price that the hold assumes."""
    return order.max_price_usd_per_hour or prices.on_demand_usd(instance_type)


def worst_case(order: LaunchOrder, *, storage_gib: int, prices: PriceBook, margin: timedelta) -> Hold:
    """Capacity × (cap or on-demand price) × (time + margin), its disks, addresses and egress allowance.

    A `budget_usd` below that caps it: the egress allowance gives way first, then the time the money lasts.
    """
    cap = max(price_cap_usd(order, name, prices) for name in order.instance_types)
    length = order.lasts_for + margin
    hold = Hold(
        compute_usd=up_to_cent(cap * order.target_capacity * hours(length)),
        storage_usd=up_to_cent(storage_usd(storage_gib * order.target_capacity, length)),
        public_ipv4_usd=up_to_cent(PUBLIC_IPV4_USD_PER_HOUR * order.target_capacity * hours(length)),
        egress_usd=up_to_cent(EGRESS_USD_PER_GB * order.egress_gb),
    )
    return hold if order.budget_usd is None else capped(hold, order.budget_usd)


def capped(hold: Hold, limit_usd: Decimal) -> Hold:
    """The hold cut down to a limit, egress first, compute last."""
    excess = hold.total_usd - limit_usd
    for part in ("egress_usd", "storage_usd", "public_ipv4_usd", "compute_usd"):
        if excess <= 0:
            break
        cut = min(excess, getattr(hold, part))
        hold = replace(hold, **{part: getattr(hold, part) - cut})
        excess -= cut
    return hold


def charges_for(hold_usd: Decimal, states: Iterable[BudgetState]) -> tuple[Charge, ...]:
    """The hold on each budget's current period."""
    return tuple(
        Charge(
            budget=state.budget.name,
            period_key=state.period_key,
            amount_usd=hold_usd,
            generation=state.budget.generation,
        )
        for state in states
    )


def without_room(hold_usd: Decimal, states: Iterable[BudgetState]) -> tuple[BudgetState, ...]:
    """The budgets that can't hold it."""
    return tuple(state for state in states if state.left_usd < hold_usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The answer to a launch: the hold and its charges, and every objection to it (none: it may start)."""

    hold: Hold
    charges: tuple[Charge, ...]
    objections: tuple[CurfewError, ...]


def admit(
    order: LaunchOrder,
    *,
    owner: str,
    storage_gib: int,
    states: Sequence[BudgetState],
    spent_usd: dict[str, Decimal],
    open_leases: Sequence[Lease],
    policy: Policy,
    prices: PriceBook,
) -> Admission:
    """Judge a launch against prices, policy and the budgets in its scope. Pure: nothing is reserved here.

    `spent_usd` by budget name: what its period has really cost so far.
    """
    hold = worst_case(order, storage_gib=storage_gib, prices=prices, margin=policy.teardown.margin)
    objections: list[CurfewError] = [*_unpriced(order, prices), *_too_long(order, policy)]
    objections += _too_small(order, prices, policy)
    objections += _too_many(owner, open_leases, policy)
    objections += [no_room(state, hold.total_usd) for state in without_room(hold.total_usd, states)]
    objections += [
        BudgetExceeded(
            f"budget {state.budget.name!r} has spent {show(spent_usd[state.budget.name])} of "
            f"{show(state.budget.limit_usd)} and stops launches there; raise its limit or wait for its next period",
            slug="launches-stopped",
            budget=state.budget.name,
        )
        for state in states
        if Consequence.STOP_LAUNCHES in state.budget.crossed(spent_usd.get(state.budget.name, ZERO))
    ]
    return Admission(hold=hold, charges=charges_for(hold.total_usd, states), objections=tuple(objections))


def no_room(state: BudgetState, hold_usd: Decimal) -> BudgetExceeded:
    """The refusal that names the budget, what is left, and what would fit."""
    return BudgetExceeded(
        f"budget {state.budget.name!r} has {show(max(state.left_usd, ZERO))} left of {show(state.budget.limit_usd)} in "
        f"{state.period_key}, the launch could cost {show(hold_usd)}; nothing was launched. Ask for fewer hours, a "
        "smaller type, a lower max_price_usd_per_hour, or a budget_usd that fits",
        budget=state.budget.name,
        left_usd=str(state.left_usd),
        hold_usd=str(hold_usd),
    )


def _unpriced(order: LaunchOrder, prices: PriceBook) -> list[CurfewError]:
    unknown = [name for name in order.instance_types if not prices.knows(name)]
    if not unknown:
        return []
    return [
        Refused(
            f"no on-demand price is known for {', '.join(unknown)} (table of {prices.as_of}); its worst case can't be "
            "held, so it is not launched",
            slug="price-unknown",
            instance_types=unknown,
        )
    ]


def _too_long(order: LaunchOrder, policy: Policy) -> list[CurfewError]:
    if order.lasts_for <= policy.lease.max_for:
        return []
    return [
        Refused(
            f"hours asks for {hours(order.lasts_for):f}, the policy's lease.max_for allows "
            f"{hours(policy.lease.max_for):f}",
            slug="lease-limit",
        )
    ]


def _too_small(order: LaunchOrder, prices: PriceBook, policy: Policy) -> list[CurfewError]:
    if order.budget_usd is None or not all(prices.knows(name) for name in order.instance_types):
        return []
    dearest = max(price_cap_usd(order, name, prices) for name in order.instance_types)
    ending = (dearest + PUBLIC_IPV4_USD_PER_HOUR) * order.target_capacity * hours(policy.teardown.margin)
    if order.budget_usd > ending:
        return []
    return [
        Refused(
            f"budget_usd {show(order.budget_usd)} is not more than what ending the launch may cost "
            f"({show(up_to_cent(ending))} for teardown.margin); it would end at once, so nothing was launched",
            slug="budget-too-small",
        )
    ]


def _too_many(owner: str, open_leases: Sequence[Lease], policy: Policy) -> list[CurfewError]:
    held = [lease.id for lease in open_leases if lease.owner == owner and lease.origin is Origin.LAUNCHED]
    if len(held) < policy.lease.max_open_per_owner:
        return []
    return [
        Refused(
            f"{owner} has {len(held)} open leases and lease.max_open_per_owner is {policy.lease.max_open_per_owner}; "
            "end one first (DELETE /leases/{id})",
            slug="lease-limit",
            leases=held,
        )
    ]
