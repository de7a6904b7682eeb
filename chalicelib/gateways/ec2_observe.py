"""What runs: Describe calls of every region side by side, read without trusting any field to be there.

A region either answers in full or is `denied` (for ever, by policy) or `failed` (this time): half an answer would let
a box that exists be taken for one that is gone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chalicelib.domain.controllers.managed import manager_of
from chalicelib.domain.instance import AT_REST, GONE, Instance, RegionView, SpotRequest
from chalicelib.gateways import ec2_controllers
from chalicelib.gateways.aws import DENIED, Aws, code_of, explain
from chalicelib.gateways.ec2_controllers import FLEET_TAG, GROUP_TAG, SPOT_FLEET_TAG

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

REGIONS_AT_ONCE = 16
PATIENCE_SECONDS = 12.0
"""A region that has not answered by then is `failed`; the others are not kept waiting."""
PAGE = 1000

INTERRUPTIONS = frozenset({"Server.SpotInstanceTermination", "Server.SpotInstanceShutdown"})
"""EC2 took it back (EC2 API reference, StateReason): ended, or stopped, by nobody's will but its own."""

_ENDED_AT = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look at: all, or `only` one instance; `fleets` (region, id) whatever runs, or the `whole` of them."""

    only: str | None = None
    fleets: Collection[tuple[str, str]] = frozenset()
    whole: bool = False


EVERYTHING = Wanted()


def observe(
    aws: Aws, regions: Collection[str], wanted: Wanted = EVERYTHING, *, patience: float | None = None
) -> tuple[RegionView, ...]:
    """Look at regions side by side, in the order given. Never raises."""
    seconds = PATIENCE_SECONDS if patience is None else patience
    pool = ThreadPoolExecutor(max_workers=REGIONS_AT_ONCE, thread_name_prefix="observe")
    try:
        looks = {region: pool.submit(_look, aws, region, wanted) for region in regions}
        wait(looks.values(), timeout=seconds)
        return tuple(_view(region, look, seconds) for region, look in looks.items())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _view(region: str, look: Future[RegionView], patience: float) -> RegionView:
    if not look.done():
        return RegionView(region=region, status="failed", error=f"no answer within {patience:g} s")
    error = look.exception()
    if error is None:
        return look.result()
    status = "denied" if code_of(error) in DENIED else "failed"
    return RegionView(region=region, status=status, error=explain(error))


def _look(aws: Aws, region: str, wanted: Wanted) -> RegionView:
    ec2 = aws.ec2(region)
    pages = list(_pages(ec2, wanted.only))
    instances = tuple(one for page in pages for one in instances_of(page, region))
    spot_requests = _spot_requests(ec2, region, wanted.only, instances)
    seen = ec2_controllers.look(
        aws,
        region,
        instances,
        spot_requests,
        own={fleet_id for where, fleet_id in wanted.fleets if where == region},
        whole=wanted.whole,
        is_partial=wanted.only is not None,
    )
    return RegionView(
        region=region,
        pages=len(pages),
        instances=seen.instances,
        spot_requests=spot_requests,
        fleets=seen.fleets,
        groups=seen.groups,
        lacking=seen.lacking,
        is_partial=wanted.only is not None,
    )


def _pages(ec2: EC2Client, only: str | None) -> Iterator[Mapping[str, Any]]:
    narrow: Any = {"Filters": [{"Name": "instance-id", "Values": [only]}]} if only else {}
    yield from ec2.get_paginator("describe_instances").paginate(**narrow, PaginationConfig={"PageSize": PAGE})


def _spot_requests(
    ec2: EC2Client, region: str, only: str | None, instances: tuple[Instance, ...]
) -> tuple[SpotRequest, ...]:
    """All of a region; or, for one instance, those that name it and the one it names."""
    if only is None:
        return tuple(_described_requests(ec2, region))
    found = list(_described_requests(ec2, region, ("instance-id", only)))
    named = {instance.spot_request_id for instance in instances if instance.spot_request_id}
    for request_id in sorted(named - {request.id for request in found}):
        found += _described_requests(ec2, region, ("spot-instance-request-id", request_id))
    return tuple(found)


def _described_requests(ec2: EC2Client, region: str, *filters: tuple[str, str]) -> Iterator[SpotRequest]:
    narrow: Any = (
        {"Filters": [{"Name": name, "Values": [value]} for name, value in filters]} if filters else {}
    )
    paginator = ec2.get_paginator("describe_spot_instance_requests")
    for page in paginator.paginate(**narrow, PaginationConfig={"PageSize": PAGE}):
        for raw in page.get("SpotInstanceRequests") or []:
            if raw.get("SpotInstanceRequestId"):
                yield to_spot_request(raw, region)


def instances_of(answer: Mapping[str, Any], region: str) -> Iterator[Instance]:
    """The instances of a DescribeInstances answer."""
    for reservation in answer.get("Reservations") or []:
        for raw in reservation.get("Instances") or []:
            if raw.get("InstanceId"):
                yield to_instance(raw, region)


def to_instance(raw: Mapping[str, Any], region: str) -> Instance:
    """One instance of an answer."""
    tags = to_tags(raw)
    state = _at(raw, "State", "Name") or "unknown"
    request_id = raw.get("SpotInstanceRequestId") or None
    return Instance(
        id=raw["InstanceId"],
        region=region,
        type=raw.get("InstanceType") or "unknown",
        state=state,
        zone=_at(raw, "Placement", "AvailabilityZone"),
        lifecycle=raw.get("InstanceLifecycle") or ("spot" if request_id else "on-demand"),
        launched_at=raw.get("LaunchTime"),
        ended_at=_ended_at(raw) if state in GONE | AT_REST else None,
        spot_request_id=request_id,
        fleet_id=tags.get(FLEET_TAG),
        spot_fleet_id=tags.get(SPOT_FLEET_TAG),
        group=tags.get(GROUP_TAG),
        managed_by=_managed_by(raw, tags),
        client_token=raw.get("ClientToken") or None,
        image_id=raw.get("ImageId"),
        key_name=raw.get("KeyName"),
        public_ip=raw.get("PublicIpAddress"),
        private_dns=raw.get("PrivateDnsName") or None,
        tags=tags,
        was_interrupted=_at(raw, "StateReason", "Code") in INTERRUPTIONS,
        volumes=_volumes(raw),
    )


def to_spot_request(raw: Mapping[str, Any], region: str) -> SpotRequest:
    """One spot request of an answer; without a state it is taken for one that can start a box."""
    return SpotRequest(
        id=raw["SpotInstanceRequestId"],
        region=region,
        state=raw.get("State") or "active",
        status_code=_at(raw, "Status", "Code") or "",
        type=raw.get("Type") or "one-time",
        instance_id=raw.get("InstanceId") or None,
        instance_type=_at(raw, "LaunchSpecification", "InstanceType"),
        zone=raw.get("LaunchedAvailabilityZone")
        or _at(raw, "LaunchSpecification", "Placement", "AvailabilityZone"),
        max_price=raw.get("SpotPrice") or None,
        created_at=raw.get("CreateTime"),
        valid_until=raw.get("ValidUntil"),
        tags=to_tags(raw),
    )


def to_tags(raw: Mapping[str, Any]) -> dict[str, str]:
    """AWS's list of pairs as a dict."""
    return {tag["Key"]: tag.get("Value") or "" for tag in raw.get("Tags") or [] if tag.get("Key")}


def _managed_by(raw: Mapping[str, Any], tags: Mapping[str, str]) -> str | None:
    """The AWS service that runs an instance, which would replace or defend it."""
    if _at(raw, "Operator", "Managed"):
        return str(_at(raw, "Operator", "Principal") or "AWS")
    return manager_of(tags)


def _volumes(raw: Mapping[str, Any]) -> Mapping[str, bool] | None:
    """Id → whether it outlives the box, of each attached volume; None where the answer has no devices at all."""
    if raw.get("BlockDeviceMappings") is None:
        return None
    disks = [device["Ebs"] for device in raw["BlockDeviceMappings"] if device.get("Ebs")]
    return {disk["VolumeId"]: not disk.get("DeleteOnTermination") for disk in disks if disk.get("VolumeId")}


def _ended_at(raw: Mapping[str, Any]) -> datetime | None:
    """When it stopped running, which EC2 says only in words: `User initiated (2026-11-23 05:09:39 GMT)`."""
    words = f"{raw.get('StateTransitionReason') or ''} {_at(raw, 'StateReason', 'Message') or ''}"
    match = _ENDED_AT.search(words)
    if match is None:
        return None
    with suppress(ValueError):
        return datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return None


def _at(raw: Mapping[str, Any], *path: str) -> Any:
    """A value inside an answer, or None where any part of the path is missing."""
    value: Any = raw
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
