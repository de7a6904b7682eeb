"""What a lease has cost so far, to the second, over the intervals it really ran, at the price in force.

It may be above the bill, by the seconds in which a box was `pending` where no event told when it ran; it is never below
what it knows of. A run that EC2 took back within its first hour is free (EC2 guide, "Billing for interrupted Spot
Instances"); what is not known to be an interruption is billed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.lease import KeptImage, Lease, Leftover, Run, Status
from chalicelib.domain.money import ZERO
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.storage import MONTH, Volume

FREE_IF_INTERRUPTED_WITHIN = timedelta(hours=1)
HOUR = timedelta(hours=1)
GB = 2**30
"""What AWS bills data transfer by (EC2 pricing: 1 GB = 1,073,741,824 bytes)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a lease has cost, in its parts, and what it costs an hour now: `hourly_usd`, at most `ceiling_usd`.

    `egress_usd` is an upper bound: what its boxes sent anywhere, also within AWS. `snapshot_usd` is the first month of
    the images that its end has made, as if their volumes were full.
    """

    compute_usd: Decimal = ZERO
    storage_usd: Decimal = ZERO
    public_ipv4_usd: Decimal = ZERO
    egress_usd: Decimal = ZERO
    hourly_usd: Decimal = ZERO
    ceiling_usd: Decimal = ZERO
    leftovers: tuple[Leftover, ...] = ()
    """The volumes and Elastic IPs that go on billing although what they belong to does not run."""
    snapshot_usd: Decimal = ZERO
    images: tuple[KeptImage, ...] = ()

    @property
    def accrued_usd(self) -> Decimal:
        """Everything metered so far."""
        timed = self.compute_usd + self.storage_usd + self.public_ipv4_usd
        return timed + self.egress_usd + self.snapshot_usd


def measure(lease: Lease, prices: PriceBook, now: datetime) -> Cost:
    """The meter of a lease."""
    rates = prices.rates_in(lease.region)
    compute = ipv4 = hourly = ceiling = ZERO
    for run in lease.runs:
        until = max(run.ended_at or now, run.started_at)
        if not is_free(run):
            compute += prices.compute_usd(run, until)
        ipv4 += rates.public_ipv4_usd(_with_address_for(run, until))
        if run.ended_at is None:
            address = rates.public_ipv4_usd(HOUR) if _has_address(run) else ZERO
            hourly += prices.hourly_usd(run, now) + address
            ceiling += prices.ceiling_usd(run) + address
    end = lease.closed_at or now
    for ip in lease.addresses if lease.is_storage else ():  # elsewhere the runs have them
        held = (ip.until or end) - max(ip.since, lease.requested_at)
        ipv4 += rates.public_ipv4_usd(max(held, timedelta(0)))
        bills_on = ZERO if ip.until else rates.public_ipv4_usd(HOUR)
        hourly, ceiling = hourly + bills_on, ceiling + bills_on
    disks = list(_disks(lease))
    storage = sum(
        (
            disk.usd(rates, max((disk.until or end) - max(disk.since, lease.requested_at), timedelta(0)))
            for disk in disks
        ),
        ZERO,
    )
    bill_on = sum((disk.usd(rates, HOUR) for disk in disks if disk.until is None), ZERO)
    images = kept_images(lease, prices)
    return Cost(
        compute_usd=compute,
        storage_usd=storage,
        public_ipv4_usd=ipv4,
        egress_usd=rates.egress_usd(Decimal(lease.egress_bytes) / GB),
        hourly_usd=hourly + bill_on,
        ceiling_usd=ceiling + bill_on,
        leftovers=leftovers(lease, prices),
        snapshot_usd=sum((image.monthly_usd for image in images), ZERO),
        images=images,
    )


def is_free(run: Run) -> bool:
    """Whether EC2 took the box back within an hour of its start, and so bills nothing for it."""
    return (
        run.is_spot
        and run.is_interrupted
        and run.ended_at is not None
        and run.ended_at - run.started_at < FREE_IF_INTERRUPTED_WITHIN
    )


def leftovers(lease: Lease, prices: PriceBook) -> tuple[Leftover, ...]:
    """The volumes that go on billing although nothing of the lease runs: those that outlive their box, and those of a
    box that is stopped; and the Elastic IPs of both. While a lease is ending the other volumes are about to go."""
    rates = prices.rates_in(lease.region)
    is_ending = lease.status is Status.ENDING
    running = {run.instance_id for run in lease.runs if run.ended_at is None}
    volumes = tuple(
        Leftover(
            volume_id=disk.id,
            region=lease.region,
            instance_id=disk.instance_id,
            type=disk.type,
            gib=disk.gib,
            monthly_usd=disk.usd(rates, MONTH),
        )
        for disk in _disks(lease)
        if disk.until is None and disk.id and disk.instance_id not in running
        if disk.outlives_box or not is_ending
    )
    addresses = tuple(
        Leftover(
            volume_id="",
            region=lease.region,
            instance_id=address.instance_id,
            type="elastic-ip",
            gib=0,
            monthly_usd=rates.public_ipv4_usd(MONTH),
            address_id=address.id,
            ip=address.ip,
        )
        for address in lease.addresses
        if address.until is None and address.instance_id not in running
    )
    return (*volumes, *addresses)


def kept_images(lease: Lease, prices: PriceBook) -> tuple[KeptImage, ...]:
    """The images that its end has made and that bill: each with what a month costs, its volumes taken for full."""
    rates = prices.rates_in(lease.region)
    return tuple(
        KeptImage(
            id=image.id,
            region=image.region,
            instance_id=image.instance_id,
            name=image.name,
            state=image.state,
            gib=image.gib,
            monthly_usd=rates.snapshot_usd(image.gib, MONTH),
        )
        for image in lease.images
        if not image.has_failed
    )


def _has_address(run: Run) -> bool:
    return run.has_public_ip and run.ip_lost_at is None


def _with_address_for(run: Run, until: datetime) -> timedelta:
    """For how long of a run it had a public address."""
    if not run.has_public_ip:
        return timedelta(0)
    held = min(run.ip_lost_at or until, until) - run.started_at - run.without_ip_for
    return max(held, timedelta(0))


def _disks(lease: Lease) -> Iterator[Volume]:
    """Every volume with the end that its box's end gives it: it bills whether the box runs or not, until it is deleted.

    A box whose volumes are not known has those that were held for it, without names, from its first start on.
    """
    gone_at = {run.instance_id: run.disk_ended_at for run in lease.runs}
    first = {run.instance_id: run.started_at for run in reversed(lease.runs)}
    known = {volume.instance_id for volume in lease.volumes}
    for volume in lease.volumes:
        ended_at = volume.until
        if ended_at is None and not volume.outlives_box:
            ended_at = gone_at.get(volume.instance_id)
        yield replace(volume, until=ended_at)
    for instance_id, since in first.items():
        if instance_id in known:
            continue
        for disk in lease.box_disks:
            yield Volume(
                id="",
                instance_id=instance_id,
                type=disk.type or "",
                gib=disk.gib,
                iops=disk.iops,
                throughput=disk.throughput,
                since=since,
                until=gone_at[instance_id],
            )
