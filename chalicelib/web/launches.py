"""POST /spot-requests: from the body to an order, and from the lease to the answer."""

import hashlib
from http import HTTPStatus
from typing import Any

from chalicelib.domain.errors import NotFound, Refused, Unavailable
from chalicelib.domain.gpus import GpuNeed
from chalicelib.domain.lease import LaunchOrder, Lease, OnEnd, RequestType, Status
from chalicelib.domain.meter import Cost
from chalicelib.domain.policy import Policy
from chalicelib.domain.preconditions import lease_tag
from chalicelib.domain.sync import SyncFrom, SyncTo
from chalicelib.ports import Services
from chalicelib.usecases import report
from chalicelib.usecases.recover import raise_failure
from chalicelib.web import security_groups, views
from chalicelib.web.encode import duration
from chalicelib.web.endpoint import Answer
from chalicelib.web.launch_body import LaunchBody
from chalicelib.web.models import length_of

NOT_CARRIED = frozenset({"user_data", "dry_run"})
"""What of a launch no receipt repeats: what may hold secrets, and what would launch nothing."""
VIEW_SECONDS = 10.0
"""What a look at EC2 and its prices needs, where both hang, of the time that a caller waits."""


def order_of(
    body: LaunchBody, *, policy: Policy, home_region: str, source_ip: str | None = None
) -> LaunchOrder:
    """The order with every default filled in; `source_ip` is what `ssh_from: me` means. Raises Refused where it would
    loosen the policy, or open ports to nobody's address."""
    idle_after = body.idle.after if body.idle else None
    if idle_after is not None and idle_after > policy.idle.after:
        raise Refused(
            f"idle.after {duration(idle_after)} is longer than the policy's {duration(policy.idle.after)}, and a lease "
            "may only tighten it; nothing was launched. Ask for a shorter time, or leave idle out",
            slug="idle-looser",
        )
    return LaunchOrder(
        instance_types=body.instance_types or (),
        gpu=GpuNeed(**body.gpu.model_dump()) if body.gpu else None,
        image=body.image,
        region=body.region or home_region,
        request_type=RequestType(body.request_type),
        lasts_for=policy.lease.default_for if body.hours is None else length_of(body.hours),
        target_capacity=body.target_capacity,
        budget_usd=body.budget_usd,
        max_price_usd_per_hour=body.max_price_usd_per_hour,
        volume_gib=body.volume_gib,
        egress_gb=body.egress_gb,
        key_name=body.key_name,
        subnet_id=body.subnet_id,
        project=body.project,
        idle_after=idle_after,
        user_data=body.user_data,
        instance_profile=body.instance_profile,
        on_end=OnEnd(body.on_end),
        asked=carried(body),
        opening=security_groups.opening_of(body, source_ip),
        security_group_ids=body.security_group_ids,
        sync_from=SyncFrom(**body.sync_from.model_dump()) if body.sync_from else None,
        sync_to=SyncTo(**body.sync_to.model_dump()) if body.sync_to else None,
        rclone=body.rclone,
    )


def carried(body: LaunchBody) -> dict[str, Any]:
    """What a receipt repeats of it, as the call that brings the box back: all that was sent but `NOT_CARRIED`."""
    return body.model_dump(mode="json", exclude=set(NOT_CARRIED), exclude_unset=True, exclude_none=True)


def body_hash(body: LaunchBody) -> str:
    """The same for every way to write the same wish: key order, white space, 5 or "5.00", a default that is said or
    not; also for a later version whose body has more fields."""
    return hashlib.sha256(body.model_dump_json(exclude_defaults=True).encode()).hexdigest()


def launched(services: Services, lease: Lease) -> Answer:
    """201 with the lease, 202 while it is still `requested`. What started is answered even if it can't be seen yet.

    Under an Idempotency-Key a 201 is remembered as it is; after a 202 the lease, which is the key's too, tells how far
    its launch has come.

    Raises Refused where the lease was given up meanwhile.
    """
    told = report_of(services, lease)
    raise_failure(told.lease)  # given up while it was looked at
    is_open = lease.status is Status.REQUESTED
    return Answer(
        status=HTTPStatus.ACCEPTED if is_open else HTTPStatus.CREATED,
        is_kept=not is_open,
        headers={"Location": f"/leases/{lease.id}", **views.tag(lease_tag(told.lease))},
        body=views.lease(told),
    )


def report_of(services: Services, lease: Lease) -> report.LeaseReport:
    """What is known of a lease just written; its bare record where EC2 does not answer, or there is no time to ask."""
    bare = report.LeaseReport(lease=lease, cost=Cost(), verdict=None, instances=(), receipts=())
    if services.patience(VIEW_SECONDS) < VIEW_SECONDS:
        return bare
    try:
        return report.lease(services, lease.id)
    except (NotFound, Unavailable):
        return bare


def wait_until_settled(services: Services, lease_id: str, *, seconds: int) -> None:
    """Wait while a lease is on its way up or down, as long as asked and there is time to answer then."""
    for _ in range(seconds):
        lease = services.store.lease(lease_id)
        if lease is None or _is_settled(lease) or services.patience(VIEW_SECONDS + 1) <= VIEW_SECONDS:
            return
        services.clock.sleep(1)


def _is_settled(lease: Lease) -> bool:
    """Neither on its way up nor down. A fleet's boxes come after it: an event or a sweep tells of the first."""
    waits_for_box = lease.request_type is RequestType.MAINTAIN and not lease.instance_ids
    return lease.status is Status.CLOSED or (lease.status is Status.ACTIVE and not waits_for_box)
