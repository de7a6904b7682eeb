"""What of a month's spend is one owner's: the meter of their leases. No line of a bill says whose it is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from chalicelib.domain.daily_meter import by_bucket
from chalicelib.domain.money import ZERO
from chalicelib.usecases.spend import Forecast, SpendReport


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSpend:
    """One owner's part of a month. `whole` has their leases, their images and their forecast alone; of its other
    figures, which are the account's, none is theirs."""

    owner: str
    metered_usd: Decimal
    days: Mapping[date, Mapping[str, Decimal]]
    whole: SpendReport


def own_spend(report: SpendReport, owner: str) -> OwnSpend:
    """Cut one owner's part out of the account's."""
    leases = tuple(one for one in report.leases if one.lease.owner == owner)
    boxes = {box for one in leases for box in one.lease.instance_ids}
    metered = by_bucket(leases)
    ids = {one.lease.id for one in leases}
    coming = {lease_id: usd for lease_id, usd in report.forecast.leases.items() if lease_id in ids}
    spent = sum((one.usd() for one in leases), ZERO)
    return OwnSpend(
        owner=owner,
        metered_usd=spent,
        days={day.day: metered.get(day.day, {}) for day in report.days},
        whole=replace(
            report,
            leases=leases,
            kept_images=tuple(image for image in report.kept_images if image.instance_id in boxes),
            forecast=Forecast(
                until=report.forecast.until, leases=coming, total_usd=spent + sum(coming.values(), ZERO)
            ),
        ),
    )
