"""The ways in which a fleet may launch: every template or launch specification with every override, in every zone.

Sources: botocore, FleetLaunchTemplateOverridesRequest, LaunchTemplateOverrides and SpotFleetLaunchSpecification (prices
are per unit hour; several subnets or zones are separated by commas).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from localaws.ec2.launching import tag_map
from localaws.ec2.templates import with_template
from localaws.errors import AwsError
from localaws.model import LaunchSpec
from localaws.places import subnet_zone, zones

LEAST_MAX_PRICE = Decimal("0.001")
LOWEST_PRIORITY = float("inf")
Places = list[tuple[str, str | None]]
"""Zones, and the subnet in each that was asked for."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to launch a unit of a fleet: a template with one override, in one zone."""

    spec: LaunchSpec
    zone: str
    cap_usd: Decimal | None
    weight: Decimal
    priority: float
    template: dict[str, Any] | None
    override: dict[str, Any]

    @property
    def type(self) -> str:
        return str(self.spec.params["InstanceType"])

    @property
    def pool(self) -> tuple[str, str]:
        return self.zone, self.type

    def described(self) -> dict[str, Any]:
        """As `LaunchTemplateAndOverrides` of an answer."""
        return {
            "LaunchTemplateSpecification": self.template,
            "Overrides": {**self.override, "AvailabilityZone": self.zone},
        }


def fleet_candidates(region: str, params: dict[str, Any]) -> list[Candidate]:
    """Those of an EC2 Fleet, in the order of the request. A template or an override that can't launch refuses it."""
    extra_tags = tag_map(params, "instance")
    if extra_tags and params.get("Type") != "instant":
        raise AwsError("InvalidParameterValue", "Only fleets of type instant take tags for their instances")
    ways = list(_of_templates(region, params, "MaxPrice", extra_tags))
    if not ways:
        raise AwsError("MissingParameter", "The request must contain the parameter LaunchTemplateConfigs")
    return ways


def spot_fleet_candidates(region: str, config: dict[str, Any]) -> list[Candidate]:
    """Those of a Spot Fleet: of its launch templates or of its launch specifications, never of both."""
    if config.get("LaunchSpecifications") and config.get("LaunchTemplateConfigs"):
        raise AwsError(
            "InvalidSpotFleetRequestConfig",
            "Parameter: LaunchSpecifications and LaunchTemplateConfigs cannot both be specified.",
        )
    ways = [
        way
        for spec in config.get("LaunchSpecifications", [])
        for way in _of_specification(region, config, spec)
    ]
    ways += _of_templates(region, config, "SpotPrice", {})
    if not ways:
        raise AwsError(
            "InvalidSpotFleetRequestConfig", "Parameter: LaunchSpecifications is missing or has no entry."
        )
    return ways


def _of_templates(
    region: str, params: dict[str, Any], price: str, extra_tags: dict[str, str]
) -> Iterator[Candidate]:
    for config in params.get("LaunchTemplateConfigs", []):
        template = config.get("LaunchTemplateSpecification", {})
        if not template.get("Version"):
            raise AwsError("InvalidParameterValue", "The launch template specification must name a Version")
        for override in config.get("Overrides") or [{}]:
            yield from _of_override(
                region, template, override, override.get(price) or params.get(price), extra_tags
            )


def _of_override(
    region: str,
    template: dict[str, Any],
    override: dict[str, Any],
    unit_price: str | None,
    extra_tags: dict[str, str],
) -> Iterator[Candidate]:
    if override.get("InstanceRequirements"):
        raise AwsError("UnsupportedOperation", "InstanceRequirements of a fleet are not simulated")
    launch = {key: override[key] for key in ("InstanceType", "SubnetId", "ImageId") if override.get(key)}
    merged = with_template(region, {**launch, "LaunchTemplate": template})
    for name in ("ImageId", "InstanceType"):
        if not merged.get(name):
            raise AwsError("InvalidLaunchTemplate", f"The launch template and its overrides lack {name}")
    merged.pop("InstanceMarketOptions", None)  # the fleet itself says what is spot
    tags = tag_map(merged, "instance") | merged.get("TemplateTags", {}) | extra_tags
    weight = Decimal(str(override.get("WeightedCapacity") or 1))
    asked_zone = override.get("AvailabilityZone") or merged.get("Placement", {}).get("AvailabilityZone")
    for zone, subnet in _places(region, _subnets(merged), asked_zone):
        yield Candidate(
            spec=LaunchSpec({**merged, **({"SubnetId": subnet} if subnet else {})}, tags),
            zone=zone,
            cap_usd=_cap(unit_price, weight),
            weight=weight,
            priority=float(override.get("Priority", LOWEST_PRIORITY)),
            template=dict(template),
            override=dict(override),
        )


def _of_specification(region: str, config: dict[str, Any], asked: dict[str, Any]) -> Iterator[Candidate]:
    for name in ("ImageId", "InstanceType"):
        if not asked.get(name):
            raise AwsError(
                "InvalidSpotFleetRequestConfig", f"Parameter: {name} is missing in a launch specification."
            )
    params = {key: value for key, value in asked.items() if key not in ("TagSpecifications", "Placement")}
    params["SecurityGroupIds"] = [
        group["GroupId"] for group in params.pop("SecurityGroups", []) if "GroupId" in group
    ]
    weight = Decimal(str(asked.get("WeightedCapacity") or 1))
    cap = _cap(asked.get("SpotPrice") or config.get("SpotPrice"), weight)
    asked_zone = asked.get("Placement", {}).get("AvailabilityZone")
    for zone, subnet in _places(region, _subnets(asked), asked_zone):
        spec = LaunchSpec({**params, **({"SubnetId": subnet} if subnet else {})}, tag_map(asked, "instance"))
        yield Candidate(spec, zone, cap, weight, LOWEST_PRIORITY, None, {})


def _subnets(params: dict[str, Any]) -> str | None:
    """Those asked for, of the launch or of its network interface."""
    nics = params.get("NetworkInterfaces", [])
    return params.get("SubnetId") or next((nic["SubnetId"] for nic in nics if nic.get("SubnetId")), None)


def _cap(unit_price: str | None, weight: Decimal) -> Decimal | None:
    if not unit_price:
        return None
    if Decimal(unit_price) <= LEAST_MAX_PRICE:
        raise AwsError(
            "InvalidParameterValue",
            f"MaxPrice must be more than {LEAST_MAX_PRICE}, not {Decimal(unit_price)}",
        )
    return Decimal(unit_price) * weight


def _places(region: str, subnets: str | None, asked_zones: str | None) -> Places:
    if subnets:
        ids = [one.strip() for one in str(subnets).split(",")]
        return [(subnet_zone(region, one), one) for one in ids]
    if asked_zones:
        return [(name.strip(), None) for name in str(asked_zones).split(",")]
    return [(name, None) for name in zones(region)]
