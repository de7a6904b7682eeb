"""How an Auto Scaling group launches: from what, as spot or on-demand, and in which zone.

Sources: Auto Scaling guide, "Auto Scaling groups with multiple instance types and purchase options" (the shares of spot
and on-demand, rounded in favour of on-demand; the order of overrides) and "Distribute instances across Availability
Zones" (zones are kept balanced, and one without capacity is passed over); botocore, InstancesDistribution.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localaws.ec2.boxes import GROUP_TAG
from localaws.ec2.candidates import Candidate
from localaws.ec2.launching import tag_map
from localaws.ec2.templates import with_template
from localaws.model import Box, LaunchSpec
from localaws.places import subnet_zone

if TYPE_CHECKING:
    from localaws.world import World

BY_ORDER = ("prioritized", "capacity-optimized-prioritized")


def ways(group: Any) -> list[Candidate]:
    """Every type that the group may launch, in every zone of it, in the order of the overrides."""
    return [
        way
        for order, override in enumerate(overrides(group) or [{}])
        for way in _of_override(group, override, order)
    ]


def overrides(group: Any) -> list[dict[str, Any]]:
    """Those of a mixed instances policy."""
    return list((group.mixed_instances_policy or {}).get("LaunchTemplate", {}).get("Overrides") or [])


def weight_of(group: Any, box: Box) -> int:
    """How much of the desired capacity a box counts for."""
    return next((_weight(one) for one in overrides(group) if one.get("InstanceType") == box.type), 1)


def wants_spot(group: Any, members: Iterable[Box]) -> bool:
    """Whether the next box is to be spot: what the template asks for, or the policy's shares leave open."""
    policy = group.mixed_instances_policy
    if not policy:
        market = _base(group).get("InstanceMarketOptions", {})
        return bool(market.get("MarketType") == "spot")
    shares = policy.get("InstancesDistribution", {})
    base = int(shares.get("OnDemandBaseCapacity") or 0)
    percent = int(shares.get("OnDemandPercentageAboveBaseCapacity", 100))
    above = max(0, int(group.desired_capacity or 0) - base)
    on_demand = sum(weight_of(group, box) for box in members if not box.spot)
    return on_demand >= base + math.ceil(above * percent / 100)


def choose(world: World, group: Any, members: Iterable[Box], *, spot: bool) -> Candidate | None:
    """The way to launch the next box, None while there is no capacity at the price."""
    in_zone = Counter(box.zone for box in members)
    shares = (group.mixed_instances_policy or {}).get("InstancesDistribution", {})
    strategy = shares.get("SpotAllocationStrategy" if spot else "OnDemandAllocationStrategy", "")
    by_order = strategy in BY_ORDER or (not spot and strategy != "lowest-price")

    def price(way: Candidate) -> Decimal:
        if not spot:
            return world.market.on_demand_usd(way.zone, way.type)
        return world.market.curve(way.zone, way.type).at(world.now)

    def rank(way: Candidate) -> tuple[Any, ...]:
        return in_zone[way.zone], way.priority if by_order else 0, price(way) / way.weight, way.zone

    open_ways = [
        way
        for way in ways(group)
        if world.market.has_capacity(way.zone, way.type)
        and (not spot or way.cap_usd is None or price(way) <= way.cap_usd)
    ]
    return min(open_ways, key=rank, default=None)


def _of_override(group: Any, override: dict[str, Any], order: int) -> Iterator[Candidate]:
    params = {**_base(group, override.get("LaunchTemplateSpecification"))}
    params |= {key: override[key] for key in ("InstanceType", "ImageId") if override.get(key)}
    market = params.pop("InstanceMarketOptions", {})
    shares = (group.mixed_instances_policy or {}).get("InstancesDistribution", {})
    cap = shares.get("SpotMaxPrice") or market.get("SpotOptions", {}).get("MaxPrice")
    weight = _weight(override)
    tags = tag_map(params, "instance") | params.get("TemplateTags", {}) | group.get_propagated_tags()
    for zone, subnet in _places(group):
        where = {"SubnetId": subnet} if subnet else {"Placement": {"AvailabilityZone": zone}}
        yield Candidate(
            spec=LaunchSpec({**params, **where}, {**tags, GROUP_TAG: group.name}),
            zone=zone,
            cap_usd=Decimal(cap) * (weight if shares.get("SpotMaxPrice") else 1) if cap else None,
            weight=Decimal(weight),
            priority=order,
            template=None,
            override=override,
        )


def _weight(override: dict[str, Any]) -> int:
    return int(override.get("WeightedCapacity") or 1)


def _places(group: Any) -> list[tuple[str, str | None]]:
    if group.vpc_zone_identifier:
        subnets = [one.strip() for one in group.vpc_zone_identifier.split(",")]
        return [(subnet_zone(group.region, one), one) for one in subnets]
    return [(zone, None) for zone in group.availability_zones]


def _base(group: Any, other_template: dict[str, Any] | None = None) -> dict[str, Any]:
    """The parameters of a launch by the group's template or launch configuration."""
    if other_template:
        return with_template(group.region, {"LaunchTemplate": other_template})
    if group.ec2_launch_template is not None:
        template = {
            "LaunchTemplateId": group.ec2_launch_template.id,
            "Version": group.launch_template_version,
        }
        return with_template(group.region, {"LaunchTemplate": template})
    return _configured(group.launch_config)


def _configured(config: Any) -> dict[str, Any]:
    params: dict[str, Any] = {
        "ImageId": config.image_id,
        "InstanceType": config.instance_type,
        "KeyName": config.key_name,
        "SecurityGroups": config.security_groups or [],
        "UserData": config.user_data,
        "BlockDeviceMappings": config.block_device_mapping_dict or [],
    }
    if config.iam_instance_profile:
        kind = "Arn" if config.iam_instance_profile.startswith("arn:") else "Name"
        params["IamInstanceProfile"] = {kind: config.iam_instance_profile}
    if config.spot_price:
        params["InstanceMarketOptions"] = {
            "MarketType": "spot",
            "SpotOptions": {"MaxPrice": str(config.spot_price)},
        }
    return params
