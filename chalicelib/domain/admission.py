"""Whether a launch may start: its worst case is put on every budget first, the way a hotel puts a hold on a card."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.budget import Budget, BudgetState, Consequence
from chalicelib.domain.errors import BudgetExceeded, CurfewError, Refused
from chalicelib.domain.lease import Charge, Hold, LaunchOrder, Lease, OnEnd, Origin
from chalicelib.domain.money import ZERO, hours, show, to_micro, up_to_cent
from chalicelib.domain.periods import MOST_PERIODS, Spent, keys, most_by_period, share_out
from chalicelib.domain.policy import Policy
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.rates import Rates
from chalicelib.domain.storage import MONTH, Disk, disks_usd

HOUR = timedelta(hours=1)


def price_cap_usd(order: LaunchOrder, instance_type: str, prices: PriceBook) -> Decimal:
    """The price cap sent for a type: the caller's, else the on-demand price that the hold assumes."""
    return order.max_price_usd_per_hour or prices.on_demand_usd(instance_type, order.region)


def worst_case(order: LaunchOrder, *, disks: Sequence[Disk], prices: PriceBook, margin: timedelta) -> Hold:
    """Capacity × (cap or on-demand price) × (time + margin), with every box's `disks`, its address, the egress, and the
    first month of the images that the end makes.

    A `budget_usd` below that caps it: the egress allowance gives way first, then the time the money lasts.
    """
    cap = max(price_cap_usd(order, name, prices) for name in order.instance_types)
    length, boxes = order.lasts_for + margin, order.target_capacity
    rates = prices.rates_in(order.region)
    hold = Hold(
        compute_usd=up_to_cent(cap * boxes * hours(length)),
        storage_usd=up_to_cent(disks_usd(disks, rates, length) * boxes),
        public_ipv4_usd=up_to_cent(rates.public_ipv4_usd(length) * boxes),
        egress_usd=up_to_cent(rates.egress_usd(order.egress_gb)),
        hourly_usd=to_micro((cap + rates.public_ipv4_usd(HOUR) + disks_usd(disks, rates, HOUR)) * boxes),
        snapshot_usd=first_month_usd(disks, rates) * boxes if order.on_end is OnEnd.IMAGE else ZERO,
    )
    return hold if order.budget_usd is None else capped(hold, order.budget_usd)


def first_month_usd(disks: Sequence[Disk], rates: Rates) -> Decimal:
    """What a month of snapshots of a box's disks costs at most: all of them full."""
    return up_to_cent(rates.snapshot_usd(sum(disk.gib for disk in disks), MONTH))


def worst_case_of_box(
    ceiling_usd: Decimal,
    region: str,
    disks: Sequence[Disk],
    length: timedelta,
    prices: PriceBook,
    *,
    is_saved: bool = False,
    egress_gb: int = 0,
) -> Hold:
    """What a box that was found can cost over a time, at `ceiling_usd` an hour: its compute, disks and address, what it
    may send, and the first month of its image where it `is_saved` at its end."""
    rates = prices.rates_in(region)
    return Hold(
        compute_usd=up_to_cent(ceiling_usd * hours(length)),
        storage_usd=up_to_cent(disks_usd(disks, rates, length)),
        public_ipv4_usd=up_to_cent(rates.public_ipv4_usd(length)),
        egress_usd=up_to_cent(rates.egress_usd(egress_gb)),
        hourly_usd=to_micro(ceiling_usd + disks_usd(disks, rates, HOUR) + rates.public_ipv4_usd(HOUR)),
        snapshot_usd=first_month_usd(disks, rates) if is_saved else ZERO,
    )


def capped(hold: Hold, limit_usd: Decimal) -> Hold:
    """The hold cut down to a limit, egress first, then what runs; what saves it at its end goes last."""
    excess = hold.total_usd - limit_usd
    for part in ("egress_usd", "storage_usd", "public_ipv4_usd", "compute_usd", "snapshot_usd"):
        if excess <= 0:
            break
        cut = min(excess, getattr(hold, part))
        hold = replace(hold, **{part: getattr(hold, part) - cut})
        excess -= cut
    return hold


Room = Mapping[tuple[str, str], Decimal]
"""What may be charged, by budget and period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """The time that a hold pays for: a launch's with its margin, an adopted box's without."""

    starts_at: datetime
    ends_at: datetime

    def charges(self, budgets: Iterable[Budget]) -> int:
        """On how many budgets and periods a hold for it stands, as far as they are worth counting."""
        beyond = MOST_PERIODS + 1
        return sum(len(keys(one.period, self.starts_at, self.ends_at, at_most=beyond)) for one in budgets)


def term_of(lease: Lease, policy: Policy) -> Term:
    """The time that a lease's hold pays for."""
    margin = lease.margin(timedelta(0) if lease.is_adopted else policy.teardown.margin)
    return Term(starts_at=lease.requested_at, ends_at=max(lease.expires_at + margin, lease.requested_at))


def charges_for(
    hold: Hold,
    budgets: Iterable[Budget],
    term: Term,
    *,
    most: Hold | None = None,
    room: Room | None = None,
    spent: Spent | None = None,
) -> tuple[Charge, ...]:
    """A hold on each budget, split by the periods that its seconds fall in.

    `most` is the hold before anything cut it; `room` limits what is charged to a budget's period; what is known to be
    `spent` is not held any more, so that later periods may have what it left.
    """
    whole = most or hold
    return tuple(
        Charge(
            budget=budget.name,
            period_key=part.key,
            amount_usd=part.amount_usd,
            generation=budget.generation,
            is_short=part.is_short,
        )
        for budget in budgets
        for part in share_out(
            hold,
            most_by_period(whole, budget.period, term.starts_at, term.ends_at, spent),
            None if room is None else {key: usd for (name, key), usd in room.items() if name == budget.name},
        )
    )


def without_room(
    charges: Iterable[Charge], states: Iterable[BudgetState]
) -> tuple[tuple[BudgetState, Decimal], ...]:
    """The budgets and periods that can't hold their charges, each with what it would have to."""
    sums = [
        (state, sum((charge.amount_usd for charge in charges if state.charged_by(charge)), ZERO))
        for state in states
    ]
    return tuple((state, usd) for state, usd in sums if state.left_usd < usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a budget would hold of a launch in a period, and what is left in it before."""

    budget: str
    period_key: str
    hold_usd: Decimal
    left_usd: Decimal

    @property
    def has_room(self) -> bool:
        """Whether it would take it."""
        return self.hold_usd <= self.left_usd


def shares_of(charges: Sequence[Charge], states: Iterable[BudgetState]) -> tuple[Share, ...]:
    """Each budget and period that charges fall on; none where a launch can't be charged at all."""
    sums = [
        (state, [charge.amount_usd for charge in charges if state.charged_by(charge)]) for state in states
    ]
    return tuple(
        Share(
            budget=state.budget.name,
            period_key=state.period_key,
            hold_usd=sum(parts, ZERO),
            left_usd=max(state.left_usd, ZERO),
        )
        for state, parts in sums
        if parts
    )


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
    disks: Sequence[Disk],
    states: Sequence[BudgetState],
    spent_usd: dict[str, Decimal],
    open_leases: Sequence[Lease],
    policy: Policy,
    prices: PriceBook,
    now: datetime,
    hourly_usd: Decimal = ZERO,
) -> Admission:
    """Judge a launch against prices, policy and the budgets in its scope. Pure: nothing is reserved here.

    `states`: each budget in every period that the launch touches. `spent_usd` by budget name: what its present period
    has really cost so far. `hourly_usd`: the most that everything else costs an hour.
    """
    hold = worst_case(order, disks=disks, prices=prices, margin=policy.teardown.margin)
    term = Term(starts_at=now, ends_at=now + order.lasts_for + policy.teardown.margin)
    budgets = tuple({state.budget.name: state.budget for state in states}.values())
    objections: list[CurfewError] = [*unpriced(order, prices), *too_long(order, policy)]
    objections += _too_small(order, disks, prices, policy)
    objections += _too_many(owner, open_leases, policy)
    objections += _too_dear(hold, hourly_usd, policy)
    charges: tuple[Charge, ...] = ()
    if term.charges(budgets) > MOST_PERIODS:
        objections.append(too_many_periods(term, budgets))
    else:
        charges = charges_for(hold, budgets, term)
    objections += [no_room(state, usd) for state, usd in without_room(charges, states)]
    objections += [
        _stopped(state, spent_usd.get(state.budget.name, ZERO))
        for state in states
        if state.period_key == state.budget.period_key(now)
        and Consequence.STOP_LAUNCHES in state.budget.crossed(spent_usd.get(state.budget.name, ZERO))
    ]
    return Admission(hold=hold, charges=charges, objections=tuple(objections))


def _stopped(state: BudgetState, spent_usd: Decimal) -> BudgetExceeded:
    """The refusal by a threshold: how far spending is, from where on it stops launches, and what would let them."""
    budget = state.budget
    stopping = [one for one in budget.reached(spent_usd) if Consequence.STOP_LAUNCHES in one.do]
    percent = min(one.at_percent for one in stopping)
    way_out = (
        "raise its limit_usd or that at_percent, or wait for its next period"
        if percent
        else "raise that at_percent: at 0 every launch is stopped, whatever is spent"
    )
    return BudgetExceeded(
        f"budget {budget.name!r} has spent {show(spent_usd)} of {show(budget.limit_usd)}, and a threshold of it stops "
        f"launches from {percent:f} % on; nothing was launched. With PUT /budgets/{budget.name} {way_out}",
        slug="launches-stopped",
        budget=budget.name,
        period_key=state.period_key,
        at_percent=f"{percent:f}",
    )


def no_room(state: BudgetState, hold_usd: Decimal) -> BudgetExceeded:
    """The refusal that names the budget, the period, what is left in it, and what would fit."""
    return BudgetExceeded(
        f"budget {state.budget.name!r} has {show(max(state.left_usd, ZERO))} left of {show(state.budget.limit_usd)} in "
        f"{state.period_key}, the launch could cost {show(hold_usd)} there; nothing was launched. Ask for fewer hours, "
        "a smaller type, a lower max_price_usd_per_hour, or a budget_usd that fits",
        budget=state.budget.name,
        period_key=state.period_key,
        left_usd=str(state.left_usd),
        hold_usd=str(hold_usd),
    )


def too_many_periods(term: Term, budgets: Sequence[Budget]) -> Refused:
    """The refusal of a time that touches more budgets and periods than one transaction can charge."""
    return Refused(
        f"from {term.starts_at:%Y-%m-%d} to {term.ends_at:%Y-%m-%d} it would be held on more than {MOST_PERIODS} "
        f"budgets and periods ({', '.join(f'{one.name}: {one.period}' for one in budgets)}), more than one transaction "
        "takes; nothing was changed. Ask for fewer hours, or make the budgets monthly",
        slug="too-many-periods",
    )


def _too_dear(hold: Hold, hourly_usd: Decimal, policy: Policy) -> list[CurfewError]:
    limit = policy.limits.hourly_usd
    if limit is None or hourly_usd + hold.hourly_usd <= limit:
        return []
    return [hourly_limit(hold.hourly_usd, others_usd=hourly_usd, limit_usd=limit)]


def hourly_limit(asked_usd: Decimal, *, others_usd: Decimal, limit_usd: Decimal) -> Refused:
    """The refusal of a launch that could cost too much an hour together with what runs or may run."""
    return Refused(
        f"what runs or may run in the account can cost {show(others_usd)} an hour, the launch {show(asked_usd)} more, "
        f"and limits.hourly_usd is {show(limit_usd)}; nothing was launched. End something first, or ask for a smaller "
        "type or a lower max_price_usd_per_hour",
        slug="hourly-limit",
        limit_usd=str(limit_usd),
        hourly_usd=str(others_usd),
        asked_usd=str(asked_usd),
    )


def unpriced(order: LaunchOrder, prices: PriceBook) -> list[CurfewError]:
    """The refusal of an order one of whose types has no known price; none where all have."""
    unknown = [name for name in order.instance_types if not prices.knows(name, order.region)]
    if not unknown:
        return []
    return [
        Refused(
            f"no on-demand price is known for {', '.join(unknown)} in {order.region} (table of {prices.as_of}), so its "
            "worst case can't be held; nothing was launched. Take types that GET /quotes has a price for",
            slug="price-unknown",
            instance_types=unknown,
        )
    ]


def too_long(order: LaunchOrder, policy: Policy) -> list[CurfewError]:
    """The refusal of a launch that would last longer than the policy lets any; none where it would not."""
    if order.lasts_for <= policy.lease.max_for:
        return []
    by_default = (
        " (lease.default_for, where it is left out)" if order.lasts_for == policy.lease.default_for else ""
    )
    return [
        Refused(
            f"hours asks for {hours(order.lasts_for):f}{by_default}, the policy's lease.max_for allows "
            f"{hours(policy.lease.max_for):f}; nothing was launched. Ask for so many or fewer, or raise lease.max_for "
            "(PUT /policy)",
            slug="lease-limit",
        )
    ]


def _too_small(
    order: LaunchOrder, disks: Sequence[Disk], prices: PriceBook, policy: Policy
) -> list[CurfewError]:
    if order.budget_usd is None or not all(prices.knows(name, order.region) for name in order.instance_types):
        return []
    dearest = max(price_cap_usd(order, name, prices) for name in order.instance_types)
    rates = prices.rates_in(order.region)
    beside = rates.public_ipv4_usd(HOUR) + disks_usd(disks, rates, HOUR)
    saved = first_month_usd(disks, rates) if order.on_end is OnEnd.IMAGE else ZERO
    ending = (saved + (dearest + beside) * hours(policy.teardown.margin)) * order.target_capacity
    if order.budget_usd > ending:
        return []
    return [
        Refused(
            f"budget_usd {show(order.budget_usd)} is not more than what ending the launch may cost "
            f"({show(up_to_cent(ending))} for teardown.margin{_and_images(saved)}); it would end at once, so nothing "
            "was launched. Give a higher budget_usd, or a lower max_price_usd_per_hour",
            slug="budget-too-small",
        )
    ]


def _and_images(saved_usd: Decimal) -> str:
    return " and the first month of its image" if saved_usd else ""


def _too_many(owner: str, open_leases: Sequence[Lease], policy: Policy) -> list[CurfewError]:
    held = [lease.id for lease in open_leases if lease.owner == owner and lease.origin is Origin.LAUNCHED]
    if len(held) < policy.lease.max_open_per_owner:
        return []
    return [
        Refused(
            f"{owner} has {len(held)} open leases and lease.max_open_per_owner is {policy.lease.max_open_per_owner}; "
            "nothing was launched. End one first (DELETE /leases/{id}), or raise that number (PUT /policy)",
            slug="lease-limit",
            leases=held,
        )
    ]
