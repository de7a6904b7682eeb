"""What a lease has cost so far, to the second, over the intervals it really ran, at the price in force."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.lease import Lease
from chalicelib.domain.money import PUBLIC_IPV4_USD_PER_HOUR, ZERO, hours, storage_usd
from chalicelib.domain.prices import PriceBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a lease has cost, in its parts, and what it costs an hour now: `hourly_usd`, at most `ceiling_usd`."""

    compute_usd: Decimal = ZERO
    storage_usd: Decimal = ZERO
    public_ipv4_usd: Decimal = ZERO
    hourly_usd: Decimal = ZERO
    ceiling_usd: Decimal = ZERO

    @property
    def accrued_usd(self) -> Decimal:
        """Everything metered so far."""
        return self.compute_usd + self.storage_usd + self.public_ipv4_usd


def measure(lease: Lease, prices: PriceBook, now: datetime) -> Cost:
    """The meter of a lease. Disks bill from a box's first start until it is gone, whether it runs or not."""
    compute = ipv4 = storage = hourly = ceiling = ZERO
    for run in lease.runs:
        until = max(run.ended_at or now, run.started_at)
        compute += prices.compute_usd(run, until)
        address = PUBLIC_IPV4_USD_PER_HOUR if run.has_public_ip else ZERO
        ipv4 += address * hours(until - run.started_at)
        if run.ended_at is None:
            hourly += prices.hourly_usd(run, now) + address
            ceiling += prices.ceiling_usd(run) + address
    disk_hour = storage_usd(lease.storage_gib, timedelta(hours=1))
    last_runs = {run.instance_id: run for run in lease.runs}
    for instance_id, last in last_runs.items():
        first = min(run.started_at for run in lease.runs if run.instance_id == instance_id)
        until = last.disk_ended_at or lease.closed_at or now
        storage += disk_hour * hours(max(until - first, timedelta(0)))
    bill_on = disk_hour * sum(1 for last in last_runs.values() if last.disk_ended_at is None)
    return Cost(
        compute_usd=compute,
        storage_usd=storage,
        public_ipv4_usd=ipv4,
        hourly_usd=hourly + bill_on,
        ceiling_usd=ceiling + bill_on,
    )
