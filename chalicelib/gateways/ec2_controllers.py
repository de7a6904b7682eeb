"""Fleets and groups of a region, by free calls and in a hurry: what does not answer is lacking, and hides no instance.

Asked about only where there is something to ask: what boxes name, what a lease owns, and, where a GPU box names
nothing that could have started it, everything that could have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from chalicelib.domain.accelerators import is_accelerator
from chalicelib.domain.controllers.fleet import forgotten
from chalicelib.domain.controllers.managed import manager_of
from chalicelib.domain.fleets import Fleet, Group, Member, is_spot_fleet
from chalicelib.domain.instance import Instance, SpotRequest
from chalicelib.gateways.aws import AWS_ERRORS, DENIED, HURRIED, Aws, code_of, is_settled

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client

FLEETS_A_CALL = 50
GROUPS_A_CALL = 50
FLEET_TAG = "aws:ec2:fleet-id"
SPOT_FLEET_TAG = "aws:ec2spot:fleet-request-id"
GROUP_TAG = "aws:autoscaling:groupName"

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The instances, each with what turned out to run it, and what that is."""

    instances: tuple[Instance, ...]
    fleets: tuple[Fleet, ...] = ()
    groups: tuple[Group, ...] = ()
    lacking: tuple[str, ...] = ()


def look(
    aws: Aws,
    region: str,
    instances: Sequence[Instance],
    requests: Sequence[SpotRequest],
    *,
    own: Collection[str],
    whole: bool,
    is_partial: bool,
) -> Seen:
    """What runs these instances. `own`: fleets to look up whatever runs; `whole`: all that live. Never raises."""
    return _Look(aws, region, is_partial=is_partial).take(instances, requests, own=own, whole=whole)


class _Look:
    """One look at one region. A kind of call that fails is not made again."""

    def __init__(self, aws: Aws, region: str, *, is_partial: bool) -> None:
        self._ec2: EC2Client = aws.ec2(region, HURRIED)
        self._aws = aws
        self._region = region
        self._is_partial = is_partial
        self._failed: dict[str, str] = {}

    def take(
        self,
        instances: Sequence[Instance],
        requests: Sequence[SpotRequest],
        *,
        own: Collection[str],
        whole: bool,
    ) -> Seen:
        instances = _as_requested(instances, requests)
        live = [one for one in instances if not one.is_gone]
        stray = [one.id for one in live if is_accelerator(one.type) and not _is_explained(one)]
        belongs = self._groups_of(stray)
        instances = tuple(
            replace(one, group=belongs[one.id]) if one.id in belongs else one for one in instances
        )
        has_stray = bool(set(stray) - set(belongs))
        listed = {one.id: one for one in self._listed()} if has_stray or whole else {}
        named = {one for box in live for one in (box.fleet_id, box.spot_fleet_id) if one} | set(own)
        known = listed | self._described(named - set(listed))
        fleets, instances = self._with_members(known, instances, named=named, has_stray=has_stray)
        names = {one.group for one in instances if one.group and not one.is_gone}
        return Seen(
            instances=instances,
            fleets=fleets,
            groups=tuple(self._groups(sorted(names))),
            lacking=tuple(f"{call} {self._region}: {why}" for call, why in sorted(self._failed.items())),
        )

    # -- fleets -------------------------------------------------------------------------------------------------------

    def _listed(self) -> Iterator[Fleet]:
        """All that live; instant ones are told only by id."""
        for raw in self._try("DescribeFleets", lambda: list(_paged(self._ec2, "describe_fleets", "Fleets"))):
            yield to_fleet(raw, self._region)
        pages = "describe_spot_fleet_requests", "SpotFleetRequestConfigs"
        for raw in self._try("DescribeSpotFleetRequests", lambda: list(_paged(self._ec2, *pages))):
            yield to_spot_fleet(raw, self._region)

    def _described(self, ids: Collection[str]) -> dict[str, Fleet]:
        """Fleets by id; one that EC2 has forgotten spoils its whole call, and stands alone in the end."""
        spot = sorted(one for one in ids if is_spot_fleet(one))
        found = self._by_id("DescribeFleets", sorted(set(ids) - set(spot)), self._describe_fleets)
        return found | self._by_id("DescribeSpotFleetRequests", spot, self._describe_spot_fleets)

    def _describe_fleets(self, some: list[str]) -> list[Fleet]:
        answer = self._ec2.describe_fleets(FleetIds=some)
        return [to_fleet(raw, self._region) for raw in answer.get("Fleets") or [] if raw.get("FleetId")]

    def _describe_spot_fleets(self, some: list[str]) -> list[Fleet]:
        answer = self._ec2.describe_spot_fleet_requests(SpotFleetRequestIds=some)
        rows = answer.get("SpotFleetRequestConfigs") or []
        return [to_spot_fleet(raw, self._region) for raw in rows if raw.get("SpotFleetRequestId")]

    def _by_id(
        self, call: str, ids: Sequence[str], describe: Callable[[list[str]], list[Fleet]]
    ) -> dict[str, Fleet]:
        found: dict[str, Fleet] = {}
        waiting = _parts(ids, FLEETS_A_CALL)
        while waiting and call not in self._failed:
            some = waiting.pop()
            try:
                found |= {one.id: one for one in describe(some)}
            except AWS_ERRORS as error:
                is_about_one = is_settled(error) and code_of(error) not in DENIED
                if is_about_one and len(some) > 1:
                    middle = len(some) // 2
                    waiting += [some[middle:], some[:middle]]
                elif code_of(error).endswith(".NotFound"):
                    found[some[0]] = forgotten(some[0], self._region)
                else:
                    self._failed[call] = code_of(error)
        return found

    def _with_members(
        self, known: Mapping[str, Fleet], instances: tuple[Instance, ...], *, named: set[str], has_stray: bool
    ) -> tuple[tuple[Fleet, ...], tuple[Instance, ...]]:
        """The fleets with what they run: by the tags of all that is seen, and by asking where that may not be all. A
        box that a fleet names and that names no fleet is that fleet's."""
        fleets = []
        for fleet in known.values():
            tagged = {
                box.id: box.type
                for box in instances
                if not box.is_gone and fleet.id in {box.fleet_id, box.spot_fleet_id}
            }
            members: Mapping[str, str] | None = tagged
            if fleet.can_launch and (
                (self._is_partial and fleet.id in named) or (has_stray and _hides(fleet, tagged))
            ):
                told = self._members(fleet.id)
                members = (None if self._is_partial else tagged) if told is None else {**tagged, **told}
                instances = tuple(_as_member(box, fleet.id, told or {}) for box in instances)
            elif self._is_partial:
                members = None
            fleets.append(replace(fleet, members=members))
        return tuple(fleets), instances

    def _members(self, fleet_id: str) -> Mapping[str, str] | None:
        """What EC2 says that a fleet runs; None where it does not say."""
        call = "DescribeSpotFleetInstances" if is_spot_fleet(fleet_id) else "DescribeFleetInstances"
        if call in self._failed:
            return None
        members: dict[str, str] = {}
        token: Any = {}
        try:
            while True:
                if is_spot_fleet(fleet_id):
                    answer: Raw = self._ec2.describe_spot_fleet_instances(
                        SpotFleetRequestId=fleet_id, **token
                    )
                else:
                    answer = self._ec2.describe_fleet_instances(FleetId=fleet_id, **token)
                for raw in answer.get("ActiveInstances") or []:
                    if raw.get("InstanceId"):
                        members[raw["InstanceId"]] = raw.get("InstanceType") or "unknown"
                if not answer.get("NextToken"):
                    return members
                token = {"NextToken": answer["NextToken"]}
        except AWS_ERRORS as error:
            self._failed[call] = code_of(error)
            return None

    # -- groups -------------------------------------------------------------------------------------------------------

    @property
    def _autoscaling(self) -> AutoScalingClient:
        return cast("AutoScalingClient", self._aws.client("autoscaling", self._region, HURRIED))

    def _groups_of(self, ids: Sequence[str]) -> dict[str, str]:
        """Instance id → group, of those that are in one and do not show it."""
        found: dict[str, str] = {}
        for some in _parts(ids, GROUPS_A_CALL):

            def ask(some: list[str] = some) -> list[Raw]:
                answer = self._autoscaling.describe_auto_scaling_instances(InstanceIds=some)
                return list(answer.get("AutoScalingInstances") or [])

            for raw in self._try("DescribeAutoScalingInstances", ask):
                if raw.get("InstanceId") and raw.get("AutoScalingGroupName"):
                    found[raw["InstanceId"]] = raw["AutoScalingGroupName"]
        return found

    def _groups(self, names: Sequence[str]) -> Iterator[Group]:
        for some in _parts(names, GROUPS_A_CALL):

            def ask(some: list[str] = some) -> list[Raw]:
                answer = self._autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=some)
                return list(answer.get("AutoScalingGroups") or [])

            for raw in self._try("DescribeAutoScalingGroups", ask):
                if raw.get("AutoScalingGroupName"):
                    yield to_group(raw, self._region)

    def _try(self, call: str, ask: Callable[[], list[Raw]]) -> list[Raw]:
        if call in self._failed:
            return []
        try:
            return ask()
        except AWS_ERRORS as error:
            self._failed[call] = code_of(error)
            return []


def to_fleet(raw: Raw, region: str) -> Fleet:
    """One EC2 Fleet of an answer."""
    sizes = raw.get("TargetCapacitySpecification") or {}
    target, on_demand = (
        int(sizes.get("TotalTargetCapacity") or 0),
        int(sizes.get("OnDemandTargetCapacity") or 0),
    )
    if (
        sizes.get("DefaultTargetCapacityType") == "on-demand"
    ):  # what neither part names is filled by the default
        on_demand = max(target - int(sizes.get("SpotTargetCapacity") or 0), on_demand)
    overrides = _overrides(raw.get("LaunchTemplateConfigs"))
    return Fleet(
        id=raw["FleetId"],
        region=region,
        type=raw.get("Type") or "maintain",
        state=raw.get("FleetState") or "active",
        target=target,
        on_demand_target=on_demand,
        weights=_weights(overrides),
        types=_types(overrides),
        fulfilled=Decimal(str(raw.get("FulfilledCapacity") or 0)),
        created_at=raw.get("CreateTime"),
        valid_until=raw.get("ValidUntil"),
        max_price=(raw.get("SpotOptions") or {}).get("MaxTotalPrice"),
        tags=_tags(raw),
    )


def to_spot_fleet(raw: Raw, region: str) -> Fleet:
    """One Spot Fleet of an answer."""
    config = raw.get("SpotFleetRequestConfig") or {}
    specs = list(config.get("LaunchSpecifications") or []) or _overrides(config.get("LaunchTemplateConfigs"))
    return Fleet(
        id=raw["SpotFleetRequestId"],
        region=region,
        type=config.get("Type") or "maintain",
        state=raw.get("SpotFleetRequestState") or "active",
        target=int(config.get("TargetCapacity") or 0),
        on_demand_target=int(config.get("OnDemandTargetCapacity") or 0),
        weights=_weights(specs),
        types=_types(specs),
        fulfilled=Decimal(str(config.get("FulfilledCapacity") or 0)),
        created_at=raw.get("CreateTime"),
        valid_until=config.get("ValidUntil"),
        max_price=config.get("SpotPrice") or config.get("SpotMaxTotalPrice"),
        tags=_tags(raw),
    )


def to_group(raw: Raw, region: str) -> Group:
    """One Auto Scaling group of an answer."""
    tags = {tag["Key"]: tag.get("Value") or "" for tag in raw.get("Tags") or [] if tag.get("Key")}
    operator = raw.get("Operator") or {}
    is_managed = bool(operator.get("Managed"))
    return Group(
        name=raw["AutoScalingGroupName"],
        region=region,
        least=int(raw.get("MinSize") or 0),
        most=int(raw.get("MaxSize") or 0),
        desired=int(raw.get("DesiredCapacity") or 0),
        members=tuple(
            Member(
                id=one["InstanceId"],
                type=one.get("InstanceType") or "unknown",
                state=one.get("LifecycleState") or "InService",
                weight=int(one.get("WeightedCapacity") or 1),
            )
            for one in raw.get("Instances") or []
            if one.get("InstanceId")
        ),
        managed_by=str(operator.get("Principal") or "AWS") if is_managed else manager_of(tags),
        tags=tags,
    )


def _as_requested(instances: Sequence[Instance], requests: Sequence[SpotRequest]) -> tuple[Instance, ...]:
    """Instances that show no tags yet, named by the tags of their requests."""
    tags = {request.id: request.tags for request in requests if request.tags}
    return tuple(
        replace(
            box,
            fleet_id=box.fleet_id or named.get(FLEET_TAG),
            spot_fleet_id=box.spot_fleet_id or named.get(SPOT_FLEET_TAG),
            group=box.group or named.get(GROUP_TAG),
        )
        if (named := tags.get(box.spot_request_id or "", {}))
        else box
        for box in instances
    )


def _is_explained(box: Instance) -> bool:
    return bool(box.fleet_id or box.spot_fleet_id or box.group or box.managed_by)


def _hides(fleet: Fleet, tagged: Mapping[str, str]) -> bool:
    """Whether a fleet says that it runs more than shows its tag."""
    return fleet.fulfilled > sum((fleet.weight(kind) for kind in tagged.values()), Decimal(0))


def _as_member(box: Instance, fleet_id: str, members: Mapping[str, str]) -> Instance:
    if box.id not in members or _is_explained(box):
        return box
    return (
        replace(box, spot_fleet_id=fleet_id) if is_spot_fleet(fleet_id) else replace(box, fleet_id=fleet_id)
    )


def _overrides(configs: Any) -> list[Raw]:
    return [one for config in configs or [] for one in config.get("Overrides") or []]


def _weights(specs: Iterable[Raw]) -> dict[str, Decimal]:
    """Type → what a box of it counts for: the most where places differ, for a target that is too low starts nothing."""
    weights: dict[str, Decimal] = {}
    for spec in specs:
        if spec.get("InstanceType") and spec.get("WeightedCapacity"):
            weight = Decimal(str(spec["WeightedCapacity"]))
            weights[spec["InstanceType"]] = max(weight, weights.get(spec["InstanceType"], weight))
    return weights


def _types(specs: Sequence[Raw]) -> frozenset[str]:
    """The types that may be launched; none where any of them is not named."""
    named = [spec.get("InstanceType") for spec in specs]
    return frozenset(str(one) for one in named) if all(named) else frozenset()


def _tags(raw: Raw) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value") or "" for tag in raw.get("Tags") or [] if tag.get("Key")}


def _paged(ec2: Any, method: str, key: str) -> Iterator[Raw]:
    for page in ec2.get_paginator(method).paginate():
        yield from page.get(key) or []


def _parts(ids: Sequence[str], size: int) -> list[list[str]]:
    return [list(ids[start : start + size]) for start in range(0, len(ids), size)]
