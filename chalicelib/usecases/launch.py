"""Launch under a lease: quote → admit → hold → record the attempt → call → record the answer.

A crash anywhere leaves nothing, or a hold and things that the next sweep finds by the recorded token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

from chalicelib.domain import guest, notices
from chalicelib.domain.admission import Admission, Share, admit, price_cap_usd, shares_of
from chalicelib.domain.budget import BudgetState
from chalicelib.domain.errors import CurfewError, Refused, Stale, Unavailable
from chalicelib.domain.guest_heartbeat import Beacon
from chalicelib.domain.launch_refusals import nothing_started
from chalicelib.domain.lease import Attempt, Hold, LaunchOrder, Lease, MadeOf, Origin, RequestType, Status
from chalicelib.domain.meter import measure
from chalicelib.domain.policy import Policy
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.rescue import ends_itself, guest_end
from chalicelib.domain.standing import as_it_stands, standings
from chalicelib.ports import Image, LaunchAnswer, Services
from chalicelib.usecases import list_prices, network, regions, timers, what_starts
from chalicelib.usecases import sync as syncing
from chalicelib.usecases.gather import charged_to, price_book
from chalicelib.usecases.hourly import most_per_hour, passed_limit
from chalicelib.usecases.market import Market, below_market, spot_now, with_the_market
from chalicelib.usecases.recover import give_up, launched, raise_failure

ADMISSION_TRIES = 10
REPLAYS = 2
BEGIN_WITHIN_SECONDS = 8.0
"""No call that launches is begun later than that, and each takes 16 s at most: a launch is answered within 25 s."""
ARM_WITHIN_SECONDS = 12.0
"""Timers are armed so long after that at most: what is left by then is the sweep's."""
KEEP_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a launch would cost at most, and everything that speaks against it.

    `price_caps`: of each type that it may start. `market`: what those cost on spot in each zone now, as far as EC2
    says. `shares`: what of the hold each budget in scope would set aside in a period, beside what is left there.
    """

    hold: Hold
    price_caps: Mapping[str, Decimal]
    market: Market
    shares: tuple[Share, ...]
    objections: tuple[CurfewError, ...]
    prices_as_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """What a launch is admitted on."""

    order: LaunchOrder
    policy: Policy
    image: Image
    place: network.Place
    prices: PriceBook
    states: Sequence[BudgetState]
    admission: Admission
    revision: int


def quote(services: Services, order: LaunchOrder, *, owner: str) -> Quote:
    """The hold of an order and what speaks against it; nothing is held, nothing launched."""
    terms = _terms(services, order, owner, services.clock.now())
    order, market = terms.order, spot_now(services, terms.order)
    return Quote(
        hold=terms.admission.hold,
        price_caps=_caps(order, terms.prices),
        market=market,
        shares=shares_of(terms.admission.charges, terms.states),
        objections=(*terms.admission.objections, *_no_market(order, market)),
        prices_as_of=min(terms.prices.origin(name, order.region).as_of for name in order.instance_types),
    )


def _no_market(order: LaunchOrder, market: Market) -> tuple[Refused, ...]:
    """A cap below the market starts nothing; but a fleet that maintains its boxes is there, and waits for the price."""
    return () if order.request_type is RequestType.MAINTAIN else below_market(order, market)


def launch(
    services: Services, order: LaunchOrder, *, owner: str, idempotency_key: str, body_hash: str
) -> Lease:
    """Launch an order under a new lease; the same key again answers the same lease.

    Returns it `active`, or `requested` while AWS's answer is not known. Raises BudgetExceeded, NoCapacity, Refused.
    """
    if services.is_dry_run:
        raise Refused(
            "Curfew is in dry-run: nothing was launched and nothing is held. Ask with dry_run: true for the quote, or "
            "deploy with Mode=enforce",
            slug="dry-run",
        )
    now = services.clock.now()
    one_s_own = f"{owner}\n{idempotency_key}"  # neither can have a line break
    lease_id = f"lease-{sha256(one_s_own.encode()).hexdigest()[:17]}"
    known = services.store.lease(lease_id)
    if known:
        return _answer_again(known, body_hash)
    begin_by = services.clock.elapsed() + BEGIN_WITHIN_SECONDS
    try:
        lease, terms = _hold(
            services,
            order,
            owner=owner,
            lease_id=lease_id,
            body_hash=body_hash,
            now=now,
            begin_by=begin_by,
        )
        if terms is None:
            return lease
    except Unavailable as error:
        raise _not_begun(error) from error
    try:
        started = _start(services, lease, lease.order or order, terms, now, begin_by=begin_by)
        return _unless_given_up(services, started)
    except Refused as refusal:
        current = services.store.lease(lease_id) or lease
        raise_failure(current)
        give_up(services, current, refusal)
        raise
    except Unavailable as error:
        raise _may_run(error, lease) from error


def _not_begun(error: Unavailable) -> Unavailable:
    """EC2 was not asked to launch; only the hold may be written, if that answer was lost."""
    return error.saying(
        f"{error.detail}; nothing was launched. A hold that was written all the same goes back within minutes. Ask "
        "again: with the same Idempotency-Key nothing starts twice"
    )


def _may_run(error: Unavailable, lease: Lease) -> Unavailable:
    """EC2 may have been asked, and what it answered could not be kept."""
    return error.saying(
        f"{error.detail}; whether the launch started something is not known yet. Its hold stays on the budgets until "
        f"the sweep has looked it up, within minutes: then {lease.id} has what runs, or nothing runs and the hold goes "
        f"back. See GET /leases/{lease.id}",
        lease=lease.id,
    )


def _answer_again(lease: Lease, body_hash: str) -> Lease:
    """The answer a key has had before."""
    if lease.body_hash != body_hash:
        raise Refused(
            f"this Idempotency-Key was used with another body for {lease.id}; nothing was launched. Send a new key",
            slug="idempotency-key-reused",
            lease=lease.id,
        )
    raise_failure(lease)
    return lease


def _unless_given_up(services: Services, lease: Lease) -> Lease:
    """A call can take longer than the sweep waits for what it starts."""
    if lease.status is Status.REQUESTED:
        raise_failure(services.store.lease(lease.id) or lease)
    return lease


def _terms(services: Services, order: LaunchOrder, owner: str, now: datetime) -> _Terms:
    policy, _ = services.store.policy()
    with regions.explained(services, order.region, asks_ssm=True):
        order, image = what_starts.settled(services, order, owner=owner, now=now)
        place = network.place_of(services, order)
    syncing.refuse_unmovable(services, order, owner=owner, policy=policy, now=now)
    book = services.store.budgets(now, until=now + order.lasts_for + policy.teardown.margin)
    leases = services.store.open_leases()
    states = book.covering(owner=owner, project=order.project)
    services.prices.refresh(list_prices.of_order(order), now=now)
    prices = price_book(services, charged_to(states, leases), (), now)
    accrued = {one.id: measure(one, prices, now).accrued_usd for one in leases}
    stands = standings(book, leases, accrued, prices, now)
    admission = admit(
        order,
        owner=owner,
        disks=image.disks(order.volume_gib),
        states=[as_it_stands(state, stands, now) for state in states],
        spent_usd={name: one.spent_usd for name, one in stands.items()},
        open_leases=leases,
        policy=policy,
        prices=prices,
        now=now,
        hourly_usd=most_per_hour(services, leases, policy, prices, now),
    )
    return _Terms(
        order=order,
        policy=policy,
        image=image,
        place=place,
        prices=prices,
        states=states,
        admission=admission,
        revision=book.revision,
    )


def _hold(
    services: Services,
    order: LaunchOrder,
    *,
    owner: str,
    lease_id: str,
    body_hash: str,
    now: datetime,
    begin_by: float,
) -> tuple[Lease, _Terms | None]:
    """The lease with its hold on every budget in scope, in one transaction; no terms where another call made it."""
    for _ in range(ADMISSION_TRIES):
        terms = _terms(services, order, owner, now)
        order = terms.order  # what its GPUs came to stays: nothing is chosen twice
        if terms.admission.objections:
            raise terms.admission.objections[0]
        if services.clock.elapsed() <= begin_by:
            order = network.secured(services, order, terms.place, owner=owner, lease_id=lease_id)
        if services.clock.elapsed() > begin_by:
            raise Unavailable("what a launch has to know first took too long to ask")
        disks = terms.image.disks(order.volume_gib)
        lease = Lease(
            id=lease_id,
            owner=owner,
            project=order.project,
            region=order.region,
            origin=Origin.LAUNCHED,
            request_type=order.request_type,
            status=Status.REQUESTED,
            requested_at=now,
            expires_at=now + order.lasts_for,
            hold=terms.admission.hold,
            charges=terms.admission.charges,
            order=order,
            body_hash=body_hash,
            storage_gib=sum(disk.gib for disk in disks),
            disks=disks,
            teardown_margin=terms.policy.teardown.margin,
            ssh_user=terms.image.ssh_user,
            made_of=MadeOf(image_id=terms.image.id),
        )
        if ends_itself(order):
            lease = replace(lease, guest_deadline=guest_end(lease))
        lease = replace(lease, heartbeat_key=_key(services, lease))
        try:
            lease = services.store.open_lease(lease, revision=terms.revision)
        except Stale:
            known = services.store.lease(lease_id)
            if known:
                return _answer_again(known, body_hash), None
            continue
        if refusal := passed_limit(services, lease, terms.policy, terms.prices):
            give_up(services, lease, refusal)
            raise refusal
        return lease, terms
    raise Stale("the budgets kept changing while the launch was admitted; nothing was launched, ask again")


def _key(services: Services, lease: Lease) -> str | None:
    """What its boxes sign with; none where they have nobody to tell, or no room for it beside the user data."""
    if services.beacons is None or lease.order is None:
        return None
    key, own = services.beacons.new_key(), lease.order.user_data
    told = replace(
        services.beacons.of(lease.id, key), sync=syncing.of_order(lease.order, lease.teardown_margin)
    )
    has_room = not guest.is_too_long(own, lease.guest_deadline, told)
    return key if guest.takes_deadline(own) and has_room else None


def _beacon(services: Services, lease: Lease) -> Beacon | None:
    if services.beacons is None or lease.heartbeat_key is None or lease.order is None:
        return None
    sync = syncing.of_order(lease.order, lease.teardown_margin)
    return replace(services.beacons.of(lease.id, lease.heartbeat_key), sync=sync)


def _start(
    services: Services, lease: Lease, order: LaunchOrder, terms: _Terms, now: datetime, *, begin_by: float
) -> Lease:
    """Make the attempts in order until one has started something or the time is up; refusals are kept, for the answer.

    Without an answer the lease is left `requested`, and the sweep finds out what it came to.
    """
    valid_until = now + terms.policy.lease.max_for
    if order.request_type is not RequestType.ONE_TIME:
        lease = replace(lease, valid_until=valid_until)
    lease = timers.expire_first(services, lease, by=begin_by)
    for attempt in services.compute.attempts(
        order,
        lease_id=lease.id,
        owner=lease.owner,
        price_caps=_caps(order, terms.prices),
        image=terms.image,
        expires_at=guest_end(lease),
        valid_until=valid_until,
        now=now,
        beacon=_beacon(services, lease),
    ):
        if lease.attempts and services.clock.elapsed() >= begin_by:
            break
        lease = _record(services, replace(lease, attempts=(*lease.attempts, attempt)))
        answer = _launch(services, attempt, begin_by=begin_by)
        if answer.outcome == "unknown":
            return lease
        if answer.outcome == "launched":
            return _keep(
                services, _answered(lease, answer), answer, now, arm_by=begin_by + ARM_WITHIN_SECONDS
            )
        lease = _record(services, _answered(lease, answer))
    raise with_the_market(services, order, nothing_started(order, lease.attempts))


def _record(services: Services, lease: Lease) -> Lease:
    """Save the attempts of a lease that only its launcher takes on: what else changed it has charged it to a budget."""
    for _ in range(KEEP_TRIES):
        try:
            return services.store.save_lease(lease)
        except Stale:
            current = services.store.lease(lease.id)
            if current is None or current.status is not Status.REQUESTED:
                raise
            lease = replace(
                current, attempts=lease.attempts, timers=lease.timers, valid_until=lease.valid_until
            )
    return services.store.save_lease(lease)


def _launch(services: Services, attempt: Attempt, *, begin_by: float) -> LaunchAnswer:
    """The recorded call; a lost answer is asked for again with the same token, which starts nothing new.

    Once an answer was lost a refusal proves nothing: it may be of the replay alone, while the first call's box runs.
    """
    answer = services.compute.launch(attempt)
    may_run = answer.outcome == "unknown"
    for _ in range(REPLAYS):
        if answer.outcome not in {"unknown", "too-early"} or services.clock.elapsed() >= begin_by:
            break
        services.clock.sleep(1)
        answer = services.compute.launch(attempt)
        may_run = may_run or answer.outcome == "unknown"
    if answer.outcome == "launched":
        return answer
    return replace(answer, outcome="unknown" if may_run else "refused")


def _answered(lease: Lease, answer: LaunchAnswer) -> Lease:
    last = lease.attempts[-1].settled(
        answer.outcome, code=answer.code, detail=answer.detail, refusals=answer.refusals
    )
    return replace(lease, attempts=(*lease.attempts[:-1], last))


def _keep(services: Services, lease: Lease, answer: LaunchAnswer, now: datetime, *, arm_by: float) -> Lease:
    """Arm what ends it without Curfew, and record what runs, whatever has become of the lease: if it is ending,
    this ends with it."""
    armed = timers.direct(services, launched(lease, answer), by=arm_by)
    lease = replace(lease, timers=armed.timers, timers_at=armed.timers_at)
    own = lease
    for _ in range(KEEP_TRIES):
        kept = replace(launched(lease, answer), launched_at=now)
        told = [notices.launched(kept, now)] if kept.status is Status.ACTIVE else []
        try:
            kept = services.store.save_lease(kept, notices=told)
        except Stale:
            current = services.store.lease(lease.id)
            if current is None or not current.is_open:
                break
            lease = replace(
                current,
                attempts=own.attempts,
                timers=own.timers,
                timers_at=own.timers_at,
                valid_until=own.valid_until,
            )
            continue
        if kept.status is Status.ACTIVE:
            return kept
        break
    _undo(services, lease, answer)
    raise Refused(
        f"lease {lease.id} was ended while it was launched; what had started is ended with it",
        slug="lease-over",
    )


def _undo(services: Services, lease: Lease, answer: LaunchAnswer) -> None:
    """End at once what an ended lease has started; what this leaves is the sweep's, by the lease or by adoption."""
    if answer.fleet_id and lease.request_type is RequestType.MAINTAIN:
        services.compute.end_fleets(lease.region, [answer.fleet_id], and_boxes=True)
    cancelled = services.compute.cancel_spot_requests(lease.region, answer.spot_request_ids)
    if all(outcome.accepted or outcome.is_absent for outcome in cancelled.values()):
        services.compute.terminate(lease.region, answer.instance_ids)


def _caps(order: LaunchOrder, prices: PriceBook) -> dict[str, Decimal]:
    return {name: price_cap_usd(order, name, prices) for name in order.instance_types}
