"""GetParametersByPath of SSM, for the public parameters of AWS's deep-learning images; all others are moto's."""

from __future__ import annotations

from typing import Any

from localaws.ec2.public_images import PARAMETERS, parameters
from localaws.errors import AwsError
from localaws.operations import Call, operation

MOST = 10
"""Parameters a page (botocore, GetParametersByPathMaxResults)."""


@operation("ssm", "GetParametersByPath")
def get_parameters_by_path(call: Call) -> dict[str, Any] | None:
    """Those below a path; without `Recursive` only those right below it, and no public one is."""
    path = call.params["Path"].rstrip("/")
    if not f"{path}/".startswith(f"{PARAMETERS}/"):
        return None
    size, start = call.params.get("MaxResults") or MOST, int(call.params.get("NextToken") or 0)
    if not 1 <= size <= MOST:
        raise AwsError("ValidationException", f"maxResults has to be 1 to {MOST}")
    found = sorted(
        (name, value)
        for name, value in parameters(call.region).items()
        if name.startswith(f"{path}/") and call.params.get("Recursive")
    )
    more = {"NextToken": str(start + size)} if start + size < len(found) else {}
    return {"Parameters": [_shown(call.region, *one) for one in found[start : start + size]], **more}


def _shown(region: str, name: str, value: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": "String",
        "Value": value,
        "Version": 1,
        "ARN": f"arn:aws:ssm:{region}::parameter{name}",
        "DataType": "aws:ec2:image",
    }
