"""Report: what is there, what it costs, and what would happen to it now, judged just as the sweep judges, on the
evidence that the last sweep had: nothing is paid for by looking.

`only` names the owner on whose behalf it is asked, who sees what is under leases of theirs: what is
another's is not there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Generic, TypeVar

from chalicelib.domain.case import Verdict
from chalicelib.domain.egress import unknown_since
from chalicelib.domain.errors import NotFound, Unavailable
from chalicelib.domain.fleets import FORGOTTEN, Fleet
from chalicelib.domain.instance import Instance, SpotRequest
from chalicelib.domain.launch_refusals import with_fix
from chalicelib.domain.lease import Lease, Receipt, RequestType, Status
from chalicelib.domain.meter import Cost, measure
from chalicelib.domain.periods import cost_by_day
from chalicelib.domain.sync import Synced
from chalicelib.domain.tracking import boxes_of
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts, gather
from chalicelib.usecases.judge import judge
from chalicelib.usecases.metering import at_rest
from chalicelib.usecases.own import as_told as own_receipt
from chalicelib.usecases.own import is_own, nobody_else_s, own_lease

T = TypeVar("T")
PROBLEMS_LAST = timedelta(minutes=30)
"""What a fleet told before that was tried again since."""
PROBLEM_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen(Generic[T]):
    """What one look found. `unseen`, region → why: where it could not look, so that what is there is missing."""

    items: tuple[T, ...]
    next: str | None = None
    unseen: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseReport:
    """A lease with its meter, its verdict (None once it is closed), its boxes and its receipt.

    `egress_unknown_since`: what it sends is not known since then, for longer than it takes to ask.
    """

    lease: Lease
    cost: Cost
    verdict: Verdict | None
    instances: tuple[Instance, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    egress_unknown_since: datetime | None = None
    spent_by_day: Mapping[str, Decimal] = field(default_factory=dict)
    fleet_problem: str | None = None
    """What keeps a fleet that maintains its boxes from starting all of them, in EC2's words."""
    synced: tuple[Synced, ...] = ()
    """What its boxes told last of their data; of one lease alone, not in a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceReport:
    """A box, whose it is, what it costs and what would happen to it."""

    instance: Instance
    lease: Lease | None
    cost: Cost
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotRequestReport:
    """A spot request or a fleet, and the lease it belongs to."""

    request: SpotRequest | Fleet
    lease: Lease | None


def leases(
    services: Services, *, limit: int, cursor: str | None, only: str | None = None
) -> Seen[LeaseReport]:
    """Open and closed leases, newest first. Those of a region that was not seen are as the last sweep left them."""
    page = services.store.leases(limit=limit, cursor=cursor, owner=only)
    facts = gather(services, services.clock.now())
    verdicts = _verdicts(services, facts)
    reports = tuple(as_told(_report(services, facts, verdicts, lease), only) for lease in page.items)
    return Seen(items=reports, next=page.next, unseen=facts.unseen)


def lease(services: Services, lease_id: str, *, only: str | None = None) -> LeaseReport:
    """One lease, by a look at its own region. Raises NotFound."""
    found = own_lease(services, lease_id, only)
    if not found.is_open:
        return as_told(replace(_closed(services, found), synced=_synced(services, found)), only)
    facts = gather(services, services.clock.now(), region=found.region)
    alone = replace(facts, leases=tuple(one for one in facts.leases if one.id == lease_id), loose=())
    verdicts = _verdicts(services, alone) if alone.leases else {}
    told = replace(_report(services, facts, verdicts, found), synced=_synced(services, found))
    return as_told(replace(told, fleet_problem=_fleet_problem(services, facts, told)), only)


def _synced(services: Services, lease: Lease) -> tuple[Synced, ...]:
    """Of a lease that moves data; nothing where the table does not answer."""
    if lease.order is None or (lease.order.sync_from is None and lease.order.sync_to is None):
        return ()
    try:
        return services.store.synced(lease.id)
    except Unavailable:
        return ()


def as_told(report: LeaseReport, only: str | None) -> LeaseReport:
    """A report as its owner reads it: it names nobody else."""
    if only is None:
        return report
    receipts = tuple(own_receipt(one, only) for one in report.receipts)
    return replace(report, lease=nobody_else_s(report.lease, only), receipts=receipts)


def instances(services: Services, *, only: str | None = None) -> Seen[InstanceReport]:
    """Every box in scope that is not gone, leased or not, the costliest first. A stopped one without a lease costs what
    its disks do."""
    facts = gather(services, services.clock.now())
    verdicts, _ = judge(services, facts, ask=False)
    resting = at_rest(services, [box.instance for box in facts.loose], facts.prices)
    reports = [
        InstanceReport(
            instance=instance,
            lease=v.case.lease,
            cost=_with_rest(v.case.cost, resting.get(instance.id)),
            verdict=v,
        )
        for v in verdicts
        if is_own(v.case.lease, only)
        for instance in v.case.instances
    ]
    costliest = sorted(reports, key=lambda report: report.cost.hourly_usd, reverse=True)
    return Seen(items=tuple(costliest), unseen=facts.unseen)


def _with_rest(cost: Cost, hourly_usd: Decimal | None) -> Cost:
    return cost if hourly_usd is None else replace(cost, hourly_usd=hourly_usd, ceiling_usd=hourly_usd)


def spot_requests(services: Services, *, only: str | None = None) -> Seen[SpotRequestReport]:
    """Every spot request and fleet EC2 still shows, ours or not, newest first."""
    facts = gather(services, services.clock.now(), whole=True)
    fleets = [fleet for view in facts.sight.views for fleet in view.fleets if fleet.state != FORGOTTEN]
    seen: list[SpotRequest | Fleet] = [*facts.sight.spot_requests, *fleets]
    reports = [SpotRequestReport(request=one, lease=_lease_of(facts, one)) for one in seen]
    newest = sorted(
        (each for each in reports if is_own(each.lease, only)),
        key=lambda one: (one.request.created_at or facts.now, one.request.id),
        reverse=True,
    )
    return Seen(items=tuple(newest), unseen=facts.unseen)


def spot_request(services: Services, spot_request_id: str, *, only: str | None = None) -> SpotRequestReport:
    """One spot request. Raises NotFound, and Unavailable where it may be in a region that was not seen."""
    seen = spot_requests(services, only=only)
    found = [report for report in seen.items if report.request.id == spot_request_id]
    failed = [region for region, why in seen.unseen.items() if not why.startswith("denied")]
    if not found and failed:
        where = ", ".join(region for region in failed if region != "*") or "a region"
        raise Unavailable(
            f"spot request {spot_request_id!r} was not found, but {where} did not answer; ask again"
        )
    if not found:
        raise NotFound(
            f"no spot request {spot_request_id!r} is in a region Curfew sweeps; GET /spot-requests lists them"
        )
    return found[0]


def _lease_of(facts: Facts, request: SpotRequest | Fleet) -> Lease | None:
    """Whose it is; of a fleet, the lease that has launched it: the boxes of any other have leases of their own."""
    return next((one for one in facts.leases if request.id in {*one.spot_request_ids, one.fleet_id}), None)


def _verdicts(services: Services, facts: Facts) -> dict[str, Verdict]:
    verdicts, _ = judge(services, facts, ask=False)
    return {verdict.case.lease.id: verdict for verdict in verdicts if verdict.case.lease}


def _report(services: Services, facts: Facts, verdicts: dict[str, Verdict], lease: Lease) -> LeaseReport:
    if not lease.is_open:
        return _closed(services, lease)
    verdict = verdicts.get(lease.id)
    boxes = boxes_of(lease, facts.sight)
    tracked = verdict.case.lease if verdict and verdict.case.lease else lease
    cost = verdict.case.cost if verdict else measure(lease, facts.prices, facts.now)
    return LeaseReport(
        lease=tracked,
        cost=cost,
        verdict=verdict,
        instances=boxes,
        egress_unknown_since=unknown_since(tracked, facts.now),
        spent_by_day=cost_by_day(tracked, facts.prices, facts.now),
    )


def _fleet_problem(services: Services, facts: Facts, told: LeaseReport) -> str | None:
    """Asked only where boxes are missing: a fleet's launch refuses nothing, its history tells."""
    lease, region = told.lease, told.lease.region
    if lease.request_type is not RequestType.MAINTAIN or lease.fleet_id is None or lease.order is None:
        return None
    up = [box for box in told.instances if box.is_running]
    if lease.status is not Status.ACTIVE or len(up) >= lease.order.target_capacity:
        return None
    if region not in facts.sight.seen_regions or services.patience(PROBLEM_SECONDS) < PROBLEM_SECONDS:
        return None
    try:
        trouble = services.compute.fleet_problem(region, lease.fleet_id, since=facts.now - PROBLEMS_LAST)
    except Unavailable as error:
        return f"not known: {error.detail}"
    return trouble and with_fix(lease.order, trouble)


def _final_cost(lease: Lease, receipt: Receipt | None) -> Cost:
    """What a closed lease has cost, by the parts that its receipt names; older ones name none."""
    if lease.final_usd is None:
        return Cost()
    told = Cost()
    if receipt is not None:
        told = Cost(
            compute_usd=receipt.compute_usd,
            storage_usd=receipt.storage_usd,
            public_ipv4_usd=receipt.public_ipv4_usd,
            egress_usd=receipt.egress_usd,
            leftovers=receipt.leftovers,
            snapshot_usd=receipt.snapshot_usd,
            images=receipt.images,
        )
    return told if told.accrued_usd > 0 else Cost(compute_usd=lease.final_usd)


def _closed(services: Services, lease: Lease) -> LeaseReport:
    receipt = services.store.receipt(lease.follows or lease.id)
    cost = _final_cost(lease, None if lease.follows else receipt)
    undated = {f"{lease.requested_at:%Y-%m-%d}": lease.final_usd} if lease.final_usd else {}
    return LeaseReport(
        lease=lease,
        cost=cost,
        verdict=None,
        receipts=(receipt,) if receipt else (),
        spent_by_day=lease.final_by_day or undated,
    )
