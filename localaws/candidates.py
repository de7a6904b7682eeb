"""The ways in which a fleet may launch: every template with every override, in every zone.

Source: botocore, FleetLaunchTemplateSpecificationRequest and FleetLaunchTemplateOverridesRequest.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from localaws.errors import AwsError
from localaws.launching import tag_map
from localaws.model import LaunchSpec
from localaws.places import subnet_zone, zones
from localaws.templates import with_template

LEAST_MAX_PRICE = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to launch a unit of a fleet: a template with one override, in one zone."""

    spec: LaunchSpec
    zone: str
    cap_usd: Decimal | None
    weight: Decimal
    template: dict[str, Any]
    override: dict[str, Any]

    @property
    def type(self) -> str:
        return str(self.spec.params["InstanceType"])

    def described(self) -> dict[str, Any]:
        """As `LaunchTemplateAndOverrides` of an answer."""
        return {
            "LaunchTemplateSpecification": self.template,
            "Overrides": {**self.override, "AvailabilityZone": self.zone},
        }


def candidates(region: str, params: dict[str, Any]) -> list[Candidate]:
    """All of them, in the order of the request. A template or an override that can't launch refuses the fleet."""
    extra_tags = tag_map(params, "instance")
    if extra_tags and params.get("Type") != "instant":
        raise AwsError("InvalidParameterValue", "Only fleets of type instant take tags for their instances")
    ways = [
        way
        for config in params.get("LaunchTemplateConfigs", [])
        for override in config.get("Overrides") or [{}]
        for way in _ways(region, config["LaunchTemplateSpecification"], override, extra_tags)
    ]
    if not ways:
        raise AwsError("MissingParameter", "The request must contain the parameter LaunchTemplateConfigs")
    return ways


def _ways(
    region: str, template: dict[str, Any], override: dict[str, Any], extra_tags: dict[str, str]
) -> list[Candidate]:
    if not template.get("Version"):
        raise AwsError("InvalidParameterValue", "The launch template specification must name a Version")
    cap = Decimal(override["MaxPrice"]) if override.get("MaxPrice") else None
    if cap is not None and cap <= LEAST_MAX_PRICE:
        raise AwsError("InvalidParameterValue", f"MaxPrice must be more than {LEAST_MAX_PRICE}, not {cap}")
    launch = {key: override[key] for key in ("InstanceType", "SubnetId", "ImageId") if override.get(key)}
    merged = with_template(region, {**launch, "LaunchTemplate": template})
    for name in ("ImageId", "InstanceType"):
        if not merged.get(name):
            raise AwsError("InvalidLaunchTemplate", f"The launch template and its overrides lack {name}")
    merged.pop("InstanceMarketOptions", None)
    spec = LaunchSpec(merged, tag_map(merged, "instance") | merged.get("TemplateTags", {}) | extra_tags)
    weight = Decimal(str(override.get("WeightedCapacity") or 1))
    return [
        Candidate(spec, zone, cap, weight, dict(template), dict(override))
        for zone in _zones(region, override, merged)
    ]


def _zones(region: str, override: dict[str, Any], merged: dict[str, Any]) -> list[str]:
    if merged.get("SubnetId"):
        return [subnet_zone(region, str(one)) for one in str(merged["SubnetId"]).split(",")]
    asked = override.get("AvailabilityZone") or merged.get("Placement", {}).get("AvailabilityZone")
    return [name.strip() for name in str(asked).split(",")] if asked else zones(region)
