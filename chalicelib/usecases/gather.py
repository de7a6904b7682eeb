"""Gather: everything one look needs, read once, so that what follows decides on one moment's facts.

Only Describe calls, the metrics and the table may delay what is decided here; prices come under their gateway's
deadline, and whatever does not answer is named in `lacking` instead of stopping anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from chalicelib.domain.accelerators import TypeFact, unlisted, with_facts
from chalicelib.domain.adoption import Unleased, unleased
from chalicelib.domain.budget import BudgetBook, BudgetState
from chalicelib.domain.controllers.managed import obstacle
from chalicelib.domain.disarm import joined
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.instance import RegionView, Sight, StateChange, doubted
from chalicelib.domain.lease import Charge, Lease, RequestType
from chalicelib.domain.policy import Policy
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.scope import in_scope
from chalicelib.domain.tracking import Holdings, holdings, owned_by, track
from chalicelib.domain.watch import WATCHED_FOR
from chalicelib.ports import Account, FirstSight, Services
from chalicelib.usecases import list_prices
from chalicelib.usecases.denials import Denials, recent_denials

LOOK_SECONDS, SHORTEST_LOOK_SECONDS = 6.0, 1.0
"""How long a caller who waits for an answer waits for EC2; a sweep, which nobody waits for, has the gateway's time."""
LEDGER_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One moment: what was seen, what is recorded, what it costs. `stored` are the open leases as they are written,
    `leases` the same after tracking what was seen; `loose` the boxes that none of them owns. `closed`: what was
    closed a short while ago, of which nothing may come back."""

    now: datetime
    only: str | None
    policy: Policy
    account: Account
    sight: Sight
    stored: Mapping[str, Lease]
    leases: tuple[Lease, ...]
    loose: tuple[Unleased, ...]
    book: BudgetBook
    prices: PriceBook
    lacking: tuple[str, ...] = field(default=())
    closed: tuple[Lease, ...] = ()
    denials: Denials = field(default_factory=Denials)
    types: tuple[TypeFact, ...] = ()
    """What EC2 said of instance types that the table of families does not have."""

    def in_focus(self, lease: Lease) -> bool:
        """Whether this look may judge a lease: an event's sees one box only."""
        return self.only is None or self.only in lease.instance_ids

    def owned(self, lease: Lease) -> Holdings:
        """What of a lease is there now."""
        return holdings(lease, self.sight, self.now)

    @property
    def unseen(self) -> dict[str, str]:
        """Region → why it was not seen. `*`: the list of regions could not be had, so there may be others."""
        unlisted = next((why for why in self.lacking if why.startswith("DescribeRegions")), None)
        others = {"*": unlisted} if unlisted else {}
        views = (view for view in self.sight.views if view.status != "ok")
        return others | {view.region: f"{view.status}: {view.error}" for view in views}

    @property
    def is_complete(self) -> bool:
        """Every region that can answer did, and the list of regions is the account's own."""
        return self.sight.is_complete and not any(name.startswith("DescribeRegions") for name in self.lacking)


def gather(
    services: Services,
    now: datetime,
    *,
    only: tuple[str, str] | None = None,
    region: str | None = None,
    news: Sequence[StateChange] = (),
    whole: bool = False,
) -> Facts:
    """Look at the account, with `region` at that one alone, or with `only` (region, instance id) at one box, of which
    events told `news`; with `whole` at every fleet too, whatever it runs."""
    policy, _ = services.store.policy()
    account = services.store.account()
    stored, book = _ledger(services, now, until=now + policy.unleased.run_for)
    closed = services.store.closed_leases(since=now - WATCHED_FOR)
    alone = only[0] if only else region
    regions, lacking = ((alone,), ()) if alone else _regions(services, policy, (*stored, *closed), account)
    known = {*account.first_sights, *(lease.region for lease in stored)}
    denials = Denials() if alone else recent_denials(services, known, now)
    views = services.compute.observe(
        denials.asked(regions),
        only=only[1] if only else None,
        patience=_look_patience(services),
        fleets=_own_fleets((*stored, *closed)),
        whole=whole,
    )
    sight = Sight(doubted((*views, *denials.views(regions)), known), tuple(news))
    types = _types(services, sight)
    sight = with_facts(sight, types)
    tracked = tuple(track(lease, sight, now, only=only[1] if only else None) for lease in stored)
    tracked = _with_joined(tracked, sight, policy, now, only=only[1] if only else None)
    loose = loose_boxes(services, sight, tracked, policy=policy, account=account, now=now)
    return Facts(
        now=now,
        only=only[1] if only else None,
        policy=policy,
        account=account,
        sight=sight,
        stored={lease.id: lease for lease in stored},
        leases=tracked,
        loose=loose,
        book=book,
        prices=price_book(services, tracked, loose, now),
        lacking=(*lacking, *(gap for view in sight.views for gap in view.lacking), *_not_understood(policy)),
        closed=closed,
        denials=denials,
        types=types,
    )


def _own_fleets(leases: Iterable[Lease]) -> set[tuple[str, str]]:
    """The fleets that leases have launched to last, which are looked at also while they run nothing."""
    return {
        (lease.region, lease.fleet_id)
        for lease in leases
        if lease.fleet_id and lease.request_type is not RequestType.ONE_TIME
    }


def _with_joined(
    leases: tuple[Lease, ...], sight: Sight, policy: Policy, now: datetime, *, only: str | None
) -> tuple[Lease, ...]:
    """The leases, and what their ending fleets and groups have started since."""
    loose = [
        box
        for box in sight.instances
        if in_scope(box, policy.scope) and not any(owned_by(lease, box) for lease in leases)
    ]
    if not loose:
        return leases
    return tuple(
        lease if lease is before else track(lease, sight, now, only=only)
        for lease, before in zip(joined(leases, loose), leases, strict=True)
    )


def _types(services: Services, sight: Sight) -> tuple[TypeFact, ...]:
    """What was told of types, where one was seen that needs it; without the record they go by their letters."""
    if not unlisted(sight.instances):
        return ()
    try:
        return services.store.type_facts()
    except Unavailable:
        return ()


def with_ledger(services: Services, facts: Facts) -> Facts:
    """The same look at EC2, with the open leases and budgets as the table has them by now."""
    stored, book = _ledger(services, facts.now, until=facts.now + facts.policy.unleased.run_for)
    leases = tuple(track(lease, facts.sight, facts.now, only=facts.only) for lease in stored)
    return replace(facts, stored={lease.id: lease for lease in stored}, leases=leases, book=book)


def _look_patience(services: Services) -> float | None:
    if services.answer_by is None:
        return None
    return max(services.patience(LOOK_SECONDS), SHORTEST_LOOK_SECONDS)


def _not_understood(policy: Policy) -> tuple[str, ...]:
    names = ", ".join(policy.not_understood)
    return (f"policy: {names} is not known to this version, and passed over",) if names else ()


def loose_boxes(
    services: Services,
    sight: Sight,
    leases: Sequence[Lease],
    *,
    policy: Policy,
    account: Account,
    now: datetime,
) -> tuple[Unleased, ...]:
    """The boxes that none of these leases owns, where Curfew was told to watch."""
    ran_before = _ran_before(services, account, sight)
    found = unleased(sight, leases, policy=policy, ran_before=ran_before, now=now)
    return tuple(box for box in found if is_watched(services, box.instance.region))


def is_watched(services: Services, region: str) -> bool:
    """Whether Curfew was told to watch a region. One that is not may still run a lease, which alone is seen to."""
    return services.regions is None or region in services.regions


def obstacle_of(facts: Facts, lease: Lease) -> str | None:
    """The AWS service that runs one of its boxes and must not be fought, with the lever that works."""
    return obstacle(facts.owned(lease).live, facts.sight.view(lease.region))


def charged_to(states: Iterable[BudgetState], leases: Iterable[Lease]) -> list[Lease]:
    """The leases that stand on any of these budgets: what the others cost is not asked for."""
    budgets = [state.budget for state in states]
    return [
        one for one in leases if any(budget.charged_by(each) for budget in budgets for each in one.charges)
    ]


def _ledger(services: Services, now: datetime, *, until: datetime) -> tuple[tuple[Lease, ...], BudgetBook]:
    """Open leases and budgets that fit together: one that opens or closes between the two reads would be counted as
    spent, and others would be ended for it. `until`: as far as an adoption of today may reach."""
    leases, book = services.store.open_leases(), services.store.budgets(now, until=until)
    for _ in range(LEDGER_TRIES):
        again = services.store.open_leases() if book.states else leases
        if _charged(again) == _charged(leases):
            break
        leases, book = again, services.store.budgets(now, until=until)
    return leases, book


def _charged(leases: Sequence[Lease]) -> dict[str, tuple[Charge, ...]]:
    return {lease.id: lease.charges for lease in leases}


def _regions(
    services: Services,
    policy: Policy,
    leases: Sequence[Lease],
    account: Account,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    leased = {lease.region for lease in leases}
    lacking: tuple[str, ...] = ()
    regions = services.regions
    if regions is None:
        try:
            regions = services.compute.regions()
        except Unavailable as error:
            regions = tuple(sorted({services.home_region, *account.first_sights}))
            lacking = (f"DescribeRegions: {error.detail}",)
    if policy.scope.regions != "all":
        regions = tuple(region for region in regions if region in policy.scope.regions)
    return (*regions, *sorted(leased.difference(regions))), lacking


def _ran_before(services: Services, account: Account, sight: Sight) -> dict[str, frozenset[str]]:
    """Region → what ran there before Curfew came; nothing once the account is armed."""
    if services.is_armed or account.armed_at:
        return dict.fromkeys((view.region for view in sight.views), frozenset[str]())
    return {
        view.region: _first_sight_ids(view, account.first_sights[view.region])
        for view in sight.views
        if view.region in account.first_sights
    }


def _first_sight_ids(view: RegionView, first: FirstSight) -> frozenset[str]:
    """Also what had started by then and only showed up later: DescribeInstances is eventually consistent."""
    late = {i.id for i in view.instances if i.launched_at is not None and i.launched_at <= first.at}
    return first.instance_ids | late


def price_book(
    services: Services,
    leases: Sequence[Lease],
    loose: Sequence[Unleased],
    now: datetime,
    *,
    fresh: bool = False,
) -> PriceBook:
    """Prices as far as these leases and boxes need them, since their first start; spot's asked anew with `fresh`."""
    zones, since = list_prices.spot_pools(leases, loose, now)
    list_prices.learn(services, list_prices.that_matter(leases, loose), now)
    if not zones:
        return services.prices.on_demand()
    return services.prices.book(zones, since=since, now=now, fresh=fresh)
