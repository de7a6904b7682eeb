"""The account's bill, worked out from what really was: nothing of it is stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from localaws.money.addresses import Address, in_use, without
from localaws.money.billing import (
    Bill,
    Lump,
    PricesBetween,
    StorageRate,
    Stretch,
    addresses,
    compute,
    storage,
    total_usd,
)
from localaws.money.price_list import (
    CLOUDWATCH_USD_PER_REQUEST,
    COST_EXPLORER_USD_PER_REQUEST,
    EGRESS_GB,
    FREE_CLOUDWATCH_REQUESTS_A_MONTH,
    HOURS_A_MONTH,
    SNAPSHOT_USD_PER_GIB_MONTH,
    in_tiers,
)
from localaws.money.unused import unused
from localaws.money.usage import CLOUDWATCH, COMPUTE, COST_EXPLORER, EC2_OTHER, VPC, Charge, Line, line

if TYPE_CHECKING:
    from localaws.ec2.reservations import CapacityReservation
    from localaws.model import Box, Volume
    from localaws.money.snapshots import Snapshot
    from localaws.world import World

HOURS, GIB_MONTHS, GB = "Hrs", "GB-Mo", "GB"
BEGINNING, END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def box_bill(world: World, box: Box, since: datetime = BEGINNING, until: datetime = END) -> Bill:
    """What has been billed for one box until now: its compute, the volumes of its launch, its own public address.

    With `since` and `until` only what falls between them.
    """

    def usd(stretches: Iterable[Stretch]) -> Decimal:
        parts = (stretch.within(since, until) for stretch in stretches)
        return total_usd(part for part in parts if part)

    disks = (rate.stretch for volume in box.volumes for rate in _disk(world, volume))
    return Bill(
        compute_usd=usd(_running(world, box)),
        storage_usd=usd(disks),
        ipv4_usd=usd(_own_address(world, box)),
    )


def charges(world: World) -> Iterator[Charge]:
    """Everything that was ever billed, before credits."""
    for box in world.boxes:
        yield Charge(_compute_line(box), tuple(_running(world, box)))
        yield Charge(_address_line("InUse", box.region, box.id), tuple(_own_address(world, box)))
    for volume in world.account.disks:
        yield from _volume(world, volume)
    for snapshot in world.account.snapshots:
        yield _snapshot(world, snapshot)
    for address in world.account.addresses:
        yield from _elastic_ip(world, address)
    for reservation in world.reservations:
        yield _unused(world, reservation)
    yield from _egress(world)
    yield from _requests(world)


def _running(world: World, box: Box) -> Iterator[Stretch]:
    return compute(box.runs, _prices(world, box), world.now)


def _prices(world: World, box: Box) -> PricesBetween:
    if box.spot:
        return world.market.curve(box.zone, box.type).steps
    usd = Decimal(0) if box.is_prepaid else world.market.on_demand_usd(box.zone, box.type)

    def list_price(start: datetime, end: datetime) -> list[tuple[datetime, Decimal]]:
        return [(start, usd)]

    return list_price


def _compute_line(box: Box) -> Line:
    name = "SpotUsage" if box.spot else "BoxUsage"
    return line(
        COMPUTE,
        f"{name}:{box.type}",
        box.region,
        HOURS,
        operation="RunInstances:SV001" if box.spot else "RunInstances",
        zone=box.zone,
        instance_type=box.type,
        resource_id=box.id,
    )


def _own_address(world: World, box: Box) -> Iterator[Stretch]:
    """The address a box was given: billed while it runs and has no Elastic IP instead; stopping gives it back."""
    runs = [(run.start, run.end or world.now) for run in box.runs] if box.public_ip else []
    elastic = world.account.addresses.spans(box)
    spans = [span for run in runs for span in without(run, elastic)]
    return addresses(spans, world.market.prices.factor(box.region))


def _elastic_ip(world: World, address: Address) -> Iterator[Charge]:
    factor = world.market.prices.factor(address.region)
    used = in_use(address, lambda box_id: world.boxes.of(box_id).runs, world.now)
    idle = without((address.since, address.until or world.now), used)
    yield Charge(_address_line("InUse", address.region, address.id), tuple(addresses(used, factor)))
    yield Charge(_address_line("Idle", address.region, address.id), tuple(addresses(idle, factor)))


def _address_line(state: str, region: str, resource_id: str) -> Line:
    return line(VPC, f"PublicIPv4:{state}Address", region, HOURS, operation="", resource_id=resource_id)


def _disk(world: World, volume: Volume) -> Iterator[StorageRate]:
    return storage(volume, world.now, world.market.prices.factor(volume.region))


def _volume(world: World, volume: Volume) -> Iterator[Charge]:
    parts: dict[str, list[Stretch]] = defaultdict(list)
    for rate in _disk(world, volume):
        parts[rate.part].append(rate.stretch)
    for part, stretches in parts.items():
        unit = "IOPS-Mo" if "IOPS" in part else "GiBps-mo" if "Throughput" in part else GIB_MONTHS
        operation = f"CreateVolume-{volume.kind.capitalize()}"
        where = line(
            EC2_OTHER, f"EBS:{part}", volume.region, unit, operation=operation, resource_id=volume.id
        )
        yield Charge(where, tuple(stretches))


def _snapshot(world: World, snapshot: Snapshot) -> Charge:
    gib, factor = Decimal(snapshot.gib), world.market.prices.factor(snapshot.region)
    usd = SNAPSHOT_USD_PER_GIB_MONTH * gib * factor
    stretch = Stretch(snapshot.since, snapshot.until or world.now, usd, gib, HOURS_A_MONTH)
    where = line(
        EC2_OTHER,
        "EBS:SnapshotUsage",
        snapshot.region,
        GIB_MONTHS,
        operation="CreateSnapshot",
        resource_id=snapshot.id,
    )
    return Charge(where, (stretch,))


def _unused(world: World, reservation: CapacityReservation) -> Charge:
    """What a capacity reservation costs beside the instances in it."""
    zone, kind = reservation.zone, reservation.type
    pool = [one for one in world.reservations if (one.zone, one.type) == (zone, kind)]
    runs = [
        (run.start, run.end or world.now)
        for box in world.boxes
        if (box.zone, box.type, box.spot) == (zone, kind, False)
        for run in box.runs
    ]
    where = line(
        COMPUTE,
        f"UnusedBox:{kind}",
        reservation.region,
        HOURS,
        operation="RunInstances",
        zone=zone,
        instance_type=kind,
        resource_id=reservation.id,
    )
    usd = world.market.on_demand_usd(zone, kind)
    return Charge(where, tuple(unused(reservation, pool, runs, usd, world.now)))


def _egress(world: World) -> Iterator[Charge]:
    """What boxes sent to the internet: 100 GB a month of the whole account are free, in the order they were sent."""
    sent = sorted((at, box.id, gb) for box in world.boxes for at, gb in box.sent)
    so_far: dict[tuple[int, int], Decimal] = defaultdict(Decimal)
    lumps: dict[str, list[Lump]] = defaultdict(list)
    for at, box_id, gb in sent:
        month, factor = (at.year, at.month), world.market.prices.factor(world.boxes.of(box_id).region)
        tiers = in_tiers(EGRESS_GB, gb, so_far[month])
        usd = sum((tier.usd * part for tier, part in tiers), Decimal(0)) * factor
        lumps[box_id].append(Lump(at, usd, gb))
        so_far[month] += gb
    for box_id, some in lumps.items():
        region = world.boxes.of(box_id).region
        where = line(
            EC2_OTHER, "DataTransfer-Out-Bytes", region, GB, operation="RunInstances", resource_id=box_id
        )
        yield Charge(where, tuple(some))


def _requests(world: World) -> Iterator[Charge]:
    free: dict[tuple[int, int], int] = defaultdict(lambda: FREE_CLOUDWATCH_REQUESTS_A_MONTH)
    lumps: dict[Line, list[Lump]] = defaultdict(list)
    for billed, count in world.account.requests:
        if billed.service == "ce":
            where = line(COST_EXPLORER, "APIRequest", "us-east-1", "Requests", operation=billed.operation)
            usd = COST_EXPLORER_USD_PER_REQUEST * count
        elif billed.operation == "GetMetricData":
            where = line(CLOUDWATCH, "CW:GMD-Metrics", billed.region, "Metrics", operation=billed.operation)
            usd = CLOUDWATCH_USD_PER_REQUEST * count
        else:
            where = line(CLOUDWATCH, "CW:Requests", billed.region, "Requests", operation=billed.operation)
            month = (billed.hour.year, billed.hour.month)
            paid = max(count - free[month], 0)
            free[month] -= count - paid
            usd = CLOUDWATCH_USD_PER_REQUEST * paid
        lumps[where].append(Lump(billed.hour, usd, Decimal(count)))
    for where, some in lumps.items():
        yield Charge(where, tuple(some))
