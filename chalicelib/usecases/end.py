"""End what a person names: a lease, a spot request or an instance. One use case, one receipt.

`only` names the owner on whose behalf it is asked, who can end what is under leases of theirs: what is
another's, or nobody's, is not there.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain.controllers.managed import obstacle as managed_obstacle
from chalicelib.domain.errors import NotFound, Refused, Stale, Unavailable
from chalicelib.domain.fleets import SPOT_FLEET_PREFIX
from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Lease, Receipt, Status
from chalicelib.domain.meter import measure
from chalicelib.domain.money import exact
from chalicelib.domain.preconditions import IfMatch, lease_tag
from chalicelib.domain.receipts import receipt_of
from chalicelib.ports import Services
from chalicelib.usecases import takeover, teardown, timers
from chalicelib.usecases.gather import Facts, gather
from chalicelib.usecases.own import is_own, own_lease

REMEMBERED_FOR = timedelta(days=31)


def end_lease(services: Services, lease_id: str, *, by: str, over: IfMatch | None = None) -> Receipt:
    """End a lease now. Ending a closed one answers its receipt again. Raises NotFound, Refused; PreconditionFailed
    where it is no longer `over`, unless it is ended or ending anyhow."""
    lease = own_lease(services, lease_id, None)
    if lease.status is Status.CLOSED:
        return _receipt_of_closed(services, lease)
    facts = gather(services, services.clock.now())
    found = _found(facts, lambda other: other.id == lease_id) or lease
    if over is not None and found.status is not Status.ENDING:
        over.require(
            lease_tag(found),
            otherwise=f"lease {lease_id} is no longer as it was read; nothing was ended: it goes on, and bills until "
            f"{found.expires_at:%Y-%m-%d %H:%M} UTC at most",
        )
    return _end(services, facts, found, by=by)


def end_spot_request(
    services: Services, spot_request_id: str, *, by: str, only: str | None = None
) -> Receipt:
    """Cancel a spot request AND terminate what it runs, whoever made it, also when it is cancelled already. The id may
    be a fleet's, of either kind."""
    if spot_request_id.startswith(("fleet-", SPOT_FLEET_PREFIX)):
        return _end_fleet(services, spot_request_id, by=by, only=only)
    facts = gather(services, services.clock.now())

    def is_it(lease: Lease) -> bool:
        return spot_request_id in lease.spot_request_ids and is_own(lease, only)

    lease = _found(facts, is_it)
    if lease is None and only is not None:
        return _ended_before(services, facts, spot_request_id, is_it)
    if lease is None:
        request = next((r for r in facts.sight.spot_requests if r.id == spot_request_id), None)
        instance = _instance_of(facts, spot_request_id)
        if instance is None and (request is None or not request.is_armed):
            closed = _closed(services, is_it)
            if closed:
                return _receipt_of_closed(services, closed)
        if instance is not None:
            facts, lease = takeover.of_box(services, facts, instance)
        elif request is not None:
            facts, lease = takeover.of_request(services, facts, request, _asked(by))
        else:
            raise _unknown(facts, spot_request_id)
    own = {None, spot_request_id}
    _refuse_if_shared(facts, lease, spot_request_id, lambda beside: beside.spot_request_id not in own)
    return _end(services, facts, lease, by=by)


def _end_fleet(services: Services, fleet_id: str, *, by: str, only: str | None) -> Receipt:
    """End a fleet and its accelerators, each under its own lease; what else it runs is left alone, and not replaced.

    The receipt is the fleet's own; it is `ending` until all of its boxes have ended too.
    """
    facts = gather(services, services.clock.now(), whole=True)

    def launched_it(lease: Lease) -> bool:
        return lease.fleet_id == fleet_id and is_own(lease, only)

    own = _found(facts, launched_it)
    if own is not None:
        return _end(services, facts, own, by=by)
    if only is not None:
        return _ended_before(services, facts, fleet_id, launched_it)
    fleet = next((found for view in facts.sight.views if (found := view.fleet(fleet_id))), None)
    boxes = [box for box in facts.sight.instances if fleet_id in {box.fleet_id, box.spot_fleet_id}]
    boxes = [box for box in boxes if not box.is_gone]
    if fleet is None or not (fleet.lives or boxes):
        closed = _closed(services, lambda lease: lease.id.startswith(f"lease-{fleet_id}"))
        if closed is None and fleet is None:
            raise _unknown(facts, fleet_id)
        if closed is not None:
            return _receipt_of_closed(services, closed)
    region = fleet.region if fleet else boxes[0].region
    obstacle = managed_obstacle(boxes, facts.sight.view(region))
    if obstacle:
        raise Refused(f"nothing was ended, it goes on billing: {obstacle}", slug="controller")
    facts, leases = _leases_of(services, facts, boxes, fleet_id)
    known = _found(facts, lambda lease: lease.id.startswith(f"lease-{fleet_id}"))
    if known is None:
        held = {box.id: one.id for box in boxes for one in leases if box.id in one.instance_ids}
        facts, lease = takeover.of_fleet(services, facts, fleet_id, region, _asked(by), boxes=held)
    else:
        lease = known
    claimed = [one for each in (lease, *leases) if (one := _claimed(services, facts, each, by=by))]
    receipts = teardown.carry_out(services, facts, claimed)
    timers.remove(services, receipts)
    receipt = next((one for one in receipts if one.lease_id == lease.id), None)
    if receipt is None:
        return _being_ended(services, facts, lease.id, facts.now)
    is_over = all(one.status != "ending" for one in receipts)
    return receipt if is_over else replace(receipt, status="ending")


def _leases_of(
    services: Services, facts: Facts, boxes: Sequence[Instance], fleet_id: str
) -> tuple[Facts, list[Lease]]:
    """The leases of a fleet's accelerators, made where nobody has leased them. Raises Refused where one runs more."""
    loose = {box.instance.id: box.instance for box in facts.loose}
    leases: dict[str, Lease] = {}
    ids = {box.id for box in boxes}
    for box in boxes:
        lease = next((other for other in facts.leases if box.id in other.instance_ids), None)
        if lease is None and box.id in loose:
            facts, lease = takeover.of_box(services, facts, loose[box.id])
        if lease is not None:
            _refuse_if_shared(facts, lease, fleet_id, lambda beside: beside.id not in ids)
            leases[lease.id] = lease
    return facts, list(leases.values())


def _claimed(services: Services, facts: Facts, lease: Lease, *, by: str) -> Lease | None:
    """An open lease whose end is begun, or taken up."""
    if lease.status is Status.ENDING:
        return teardown.resume(services, lease, facts.owned(lease), facts.now)
    hourly_usd = measure(lease, facts.prices, facts.now).hourly_usd
    why = replace(_asked(by), figures={"hourly_usd": exact(hourly_usd)})
    return teardown.begin(services, lease, why, facts.owned(lease), facts.now)


def end_instance(services: Services, instance_id: str, *, by: str, only: str | None = None) -> Receipt:
    """End an instance and whatever would restart it. Raises Refused where its lease runs others beside it."""
    facts = gather(services, services.clock.now())

    def runs_it(lease: Lease) -> bool:
        return instance_id in lease.instance_ids and is_own(lease, only)

    lease = _found(facts, runs_it)
    if lease is None:
        loose = next((box.instance for box in facts.loose if box.instance.id == instance_id), None)
        if loose is None or only is not None:
            return _ended_before(services, facts, instance_id, runs_it)
        facts, lease = takeover.of_box(services, facts, loose)
    _refuse_if_shared(facts, lease, instance_id, lambda beside: beside.id != instance_id)
    return _end(services, facts, lease, by=by)


def _end(services: Services, facts: Facts, lease: Lease, *, by: str) -> Receipt:
    """Begin or take up the teardown of an open lease, and answer how far it has come."""
    takeover.refuse_if_it_would_come_back(facts, lease)
    claimed = _claimed(services, facts, lease, by=by)
    if claimed is None:
        return _being_ended(services, facts, lease.id, facts.now)
    (receipt,) = teardown.carry_out(services, facts, [claimed])
    timers.remove(services, [receipt])
    return receipt


def _asked(by: str) -> teardown.Why:
    return teardown.Why(cause="requested", reason=f"{by} asked for it", figures={})


def _being_ended(services: Services, facts: Facts, lease_id: str, now: datetime) -> Receipt:
    """Somebody else is at it: answer what is recorded by now."""
    lease = services.store.lease(lease_id)
    if lease is None or lease.ending is None:
        raise Stale(f"lease {lease_id} changed while it was to be ended; nothing was ended, ask again")
    if lease.status is Status.CLOSED:
        return _receipt_of_closed(services, lease)
    return receipt_of(lease, measure(lease, facts.prices, now), status="ending", ended_at=None)


def _found(facts: Facts, matches: Callable[[Lease], bool]) -> Lease | None:
    return next((lease for lease in facts.leases if matches(lease)), None)


def _instance_of(facts: Facts, spot_request_id: str) -> Instance | None:
    live = [i for i in facts.sight.instances if i.spot_request_id == spot_request_id and not i.is_gone]
    return live[0] if live else None


def _refuse_if_shared(
    facts: Facts, lease: Lease, wanted: str, is_another: Callable[[Instance], bool]
) -> None:
    beside = [instance.id for instance in facts.owned(lease).live if is_another(instance)]
    if beside:
        raise Refused(
            f"{wanted} is not all that {lease.id} runs, and its boxes end together; nothing was ended. "
            f"DELETE /leases/{lease.id} ends them all",
            slug="shared-lease",
            lease=lease.id,
            instance_ids=beside,
        )


def _ended_before(services: Services, facts: Facts, wanted: str, matches: Callable[[Lease], bool]) -> Receipt:
    """The receipt of what is over. Raises NotFound, or Unavailable where it may be in a region that was not seen."""
    closed = _closed(services, matches)
    if closed is None:
        raise _unknown(facts, wanted)
    return _receipt_of_closed(services, closed)


def _receipt_of_closed(services: Services, lease: Lease) -> Receipt:
    receipt = services.store.receipt(lease.follows or lease.id)
    if receipt is None:
        raise NotFound(f"lease {lease.id} is closed and has no receipt: its launch started nothing")
    return receipt


def _closed(services: Services, matches: Callable[[Lease], bool]) -> Lease | None:
    """What was ended before: found in the records for a month."""
    since = services.clock.now() - REMEMBERED_FOR
    return next((lease for lease in services.store.closed_leases(since=since) if matches(lease)), None)


def _unknown(facts: Facts, wanted: str) -> NotFound | Unavailable:
    if not facts.is_complete:
        unseen = ", ".join(view.region for view in facts.sight.views if view.status == "failed")
        return Unavailable(f"{wanted} was not found, but {unseen or 'a region'} did not answer; ask again")
    return NotFound(f"{wanted} is neither in a region Curfew sweeps nor in its records; nothing was ended")
