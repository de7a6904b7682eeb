"""Launch templates: their data under the parameters of a launch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from localaws.ec2.launching import tag_map
from localaws.onmoto import backend

TEMPLATE_TAGS = "TemplateTags"
VALID_FOR = timedelta(days=7)
"""How long a persistent request of a template stands (botocore, LaunchTemplateSpotMarketOptionsRequest.ValidUntil)."""


def with_template(region: str, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a launch with its template's data where it says nothing itself.

    Sources: botocore, RunInstancesRequest.LaunchTemplate ("Any additional parameters that you specify for the new
    instance overwrite the corresponding parameters included in the launch template"). Tags of both are joined, and
    AWS adds two of its own, here under `TemplateTags`.
    """
    asked = params.get("LaunchTemplate")
    if not asked:
        return params
    version = backend.ec2_backend(region)._get_template_from_args(_known_version(asked))
    data = {key: value for key, value in version.data.items() if key != "TagSpecifications"}
    if "InstanceMarketOptions" in data:
        data["InstanceMarketOptions"] = _with_end(data["InstanceMarketOptions"])
    merged = {**data, **{key: value for key, value in params.items() if value not in ([], {}, None)}}
    merged.pop("LaunchTemplate")
    template = {"TagSpecifications": version.data.get("TagSpecifications", [])}
    merged["TagSpecifications"] = _join(template, params)
    merged[TEMPLATE_TAGS] = {
        "aws:ec2launchtemplate:id": version.template.id,
        "aws:ec2launchtemplate:version": str(version.number),
    }
    return merged


def _with_end(market: dict[str, Any]) -> dict[str, Any]:
    """The market options of a template, with the end that AWS gives a persistent request without one."""
    options = dict(market.get("SpotOptions", {}))
    if isinstance(options.get("ValidUntil"), str):
        options["ValidUntil"] = datetime.fromisoformat(options["ValidUntil"])
    if options.get("SpotInstanceType") == "persistent" and not options.get("ValidUntil"):
        options["ValidUntil"] = datetime.now(UTC).replace(microsecond=0) + VALID_FOR
    return {**market, "SpotOptions": options}


def _known_version(asked: dict[str, Any]) -> dict[str, Any]:
    """moto takes a number, `$Latest` or `$Default`; absent means the default."""
    return {key: value for key, value in asked.items() if value}


def _join(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {
        spec.get("ResourceType") for spec in first["TagSpecifications"] + second.get("TagSpecifications", [])
    }
    return [
        {
            "ResourceType": kind,
            "Tags": [
                {"Key": key, "Value": value}
                for key, value in (tag_map(first, kind) | tag_map(second, kind)).items()
            ],
        }
        for kind in sorted(str(kind) for kind in kinds)
    ]
