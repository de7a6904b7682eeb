"""What EC2 answers when it can't launch."""

from __future__ import annotations

from decimal import Decimal

from localaws.errors import AwsError


def no_capacity(instance_type: str, zone: str) -> AwsError:
    """EC2's answer, a server error, when a zone has none of a type."""
    return AwsError(
        "InsufficientInstanceCapacity",
        f"We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested "
        f"({zone}). Our system will be working on provisioning additional capacity.",
        status=500,
    )


def price_too_low(cap_usd: Decimal, price_usd: Decimal) -> AwsError:
    """EC2's answer when a cap is under the price in force."""
    return AwsError(
        "SpotMaxPriceTooLow",
        f"Your Spot request price of {cap_usd} is lower than the minimum required Spot request fulfillment price of "
        f"{price_usd}.",
    )
