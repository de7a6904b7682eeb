"""Take over: a lease without charges for what nobody has leased, so that its end is recorded and resumed like others.

That of what has no box is ending from its first write: no rule would ever end it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.adoption import NOBODY, adopt
from chalicelib.domain.controllers.fleet import end_of
from chalicelib.domain.errors import Refused, Stale
from chalicelib.domain.instance import Instance, SpotRequest
from chalicelib.domain.lease import Hold, Lease, Origin, RequestType, Status
from chalicelib.domain.steps import with_steps
from chalicelib.domain.tracking import track
from chalicelib.ports import Services
from chalicelib.usecases import teardown
from chalicelib.usecases.gather import Facts, obstacle_of

TRIES = 10


def of_box(services: Services, facts: Facts, instance: Instance) -> tuple[Facts, Lease]:
    """The lease of a box. Raises Refused where ending it would be in vain."""

    def made(closed_before: int) -> Lease:
        lease = adopt(
            instance,
            spot_requests=facts.sight.spot_requests,
            disks=(),
            states=(),
            policy=facts.policy,
            prices=facts.prices,
            now=facts.now,
            closed_before=closed_before,
        )
        refuse_if_it_would_come_back(facts, lease)
        return lease

    return _opened(services, facts, made)


def of_request(
    services: Services, facts: Facts, request: SpotRequest, why: teardown.Why
) -> tuple[Facts, Lease]:
    """The lease of a spot request that has no box. Raises Refused where ending it would be in vain."""

    def made(closed_before: int) -> Lease:
        kind = RequestType(request.type)
        lease = _boxless(f"lease-{request.id}", closed_before, request.region, kind, facts.now)
        lease = replace(lease, spot_request_ids=(request.id,))
        refuse_if_it_would_come_back(facts, lease)
        return teardown.intended(lease, why, facts.owned(lease), facts.now)

    return _opened(services, facts, made)


def of_fleet(
    services: Services,
    facts: Facts,
    fleet_id: str,
    region: str,
    why: teardown.Why,
    *,
    boxes: Mapping[str, str],
) -> tuple[Facts, Lease]:
    """The lease of a fleet alone: its `boxes` have their own, by instance id. Its one step ends the fleet."""
    step = end_of(fleet_id, region, facts.sight.view(region).fleet(fleet_id))

    def made(closed_before: int) -> Lease:
        lease = _boxless(f"lease-{fleet_id}", closed_before, region, RequestType.NONE, facts.now)
        lease = teardown.intended(lease, why, facts.owned(lease), facts.now)
        ending = replace(lease.ending, boxes=boxes) if lease.ending else None
        return with_steps(replace(lease, ending=ending), [step])

    return _opened(services, facts, made)


def refuse_if_it_would_come_back(facts: Facts, lease: Lease) -> None:
    """Raises Refused with the lever that works where another AWS service would start it again."""
    obstacle = obstacle_of(facts, lease)
    if obstacle:
        raise Refused(f"nothing was ended, it goes on billing: {obstacle}", slug="controller")


def _opened(services: Services, facts: Facts, made: Callable[[int], Lease]) -> tuple[Facts, Lease]:
    """Write the lease; one that another has opened meanwhile is it. `made` has how many of its name were closed."""
    book, closed_before = facts.book, 0
    for _ in range(TRIES):
        lease = made(closed_before)
        try:
            lease = services.store.open_lease(lease, revision=book.revision, allow_overdraft=True)
        except Stale:
            known = services.store.lease(lease.id)
            if known is None or not known.is_open:
                closed_before += known is not None
                book = services.store.budgets(facts.now)
                continue
            lease = track(known, facts.sight, facts.now)
        return replace(facts, leases=(*facts.leases, lease)), lease
    raise Stale("the budgets kept changing; nothing was ended, ask again")


def _boxless(name: str, closed_before: int, region: str, kind: RequestType, now: datetime) -> Lease:
    """The lease of something that can start a box and has none."""
    return Lease(
        id=name + (f"-{closed_before}" if closed_before else ""),
        owner=NOBODY,
        region=region,
        origin=Origin.ADOPTED,
        request_type=kind,
        status=Status.ACTIVE,
        requested_at=now,
        expires_at=now,
        hold=Hold(),
    )
