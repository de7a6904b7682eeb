"""DescribeSpotPriceHistory."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from localaws.ec2.spot_terms import aware
from localaws.operations import Call, operation
from localaws.places import zones
from localaws.protocol.filters import matches
from localaws.protocol.paging import page

LINUX = ("Linux/UNIX", "Linux/UNIX (Amazon VPC)")
READERS = {
    "availability-zone": lambda row: row["AvailabilityZone"],
    "instance-type": lambda row: row["InstanceType"],
    "product-description": lambda _: list(LINUX),
    "spot-price": lambda row: row["SpotPrice"],
    "timestamp": lambda row: row["Timestamp"].strftime("%Y-%m-%dT%H:%M:%SZ"),
}


@operation("ec2", "DescribeSpotPriceHistory")
def describe_spot_price_history(call: Call) -> dict[str, Any]:
    """Newest first, with the price in force at StartTime; without times the current prices (botocore)."""
    params, now = call.params, call.world.now
    end = min(aware(params.get("EndTime")) or now, now)
    start = min(aware(params.get("StartTime")) or end, end)
    asked = params.get("ProductDescriptions", [])
    wanted = params.get("AvailabilityZone")
    rows: list[dict[str, Any]] = []
    if not asked or set(asked) & set(LINUX):
        for kind in params.get("InstanceTypes") or call.world.market.on_demand.known_types:
            for zone in [wanted] if wanted else zones(call.region):
                steps = call.world.market.curve(zone, kind).steps(start, end)
                rows += [_row(zone, kind, since, f"{price:.6f}") for since, price in steps]
    filters = call.filters()
    rows = [row for row in rows if matches(row, {}, filters, READERS)]
    rows.sort(key=lambda row: row["Timestamp"], reverse=True)
    some, token = page(rows, params.get("NextToken"), params.get("MaxResults"), least=1)
    return {"SpotPriceHistory": some, "NextToken": token or ""}


def _row(zone: str, kind: str, since: datetime, price: str) -> dict[str, Any]:
    return {
        "AvailabilityZone": zone,
        "InstanceType": kind,
        "ProductDescription": LINUX[0],
        "SpotPrice": price,
        "Timestamp": since,
    }
