"""The meter beside the bill: people rent boxes for days at prices that jump, and each lease's receipt is compared with
what localaws billed for its boxes over its time. Beside it stands what the price at each start, frozen, would have told.

Sweeps come at what changes something and every two hours besides: the meter is worked out from what is recorded, so how
often anybody looks does not matter. EC2's events arrive as they do in production.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from chalicelib.domain.lease import Lease, Receipt, RequestType, Run
from chalicelib.domain.meter import is_free
from chalicelib.domain.money import ZERO, hours
from chalicelib.domain.prices import MINIMUM_RUN, PriceBook
from localaws.model import Box, Market
from localaws.money.billing import stretches, total_usd
from localaws.world import World
from tests.simulation.happenings import Happenings
from tests.simulation.money import billed_between
from tests.simulation.town import MINUTE, Town

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
STEP = 2 * HOUR
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
KINDS = ("g4dn.xlarge", "g5.xlarge", "p3.2xlarge")
LONGEST = timedelta(days=3)
PERCENT = Decimal(100)
Place = tuple[str, str]
Histories = Mapping[Place, Sequence[tuple[datetime, Decimal]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRun:
    """What a run came to: how far off the meter was at its worst, and the price at each start; how many leases were
    compared, and how many of them the meter put below the bill."""

    worst_percent: Decimal
    frozen_worst_percent: Decimal
    leases: int
    under: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One closed lease: AWS's dollars, the meter's, and those at frozen prices."""

    lease_id: str
    billed_usd: Decimal
    metered_usd: Decimal
    frozen_usd: Decimal

    def off_percent(self, told_usd: Decimal) -> Decimal:
        """How far from the bill."""
        return abs(told_usd - self.billed_usd) / self.billed_usd * PERCENT


def meter_run(
    days: float, seed: int, *, leases_a_day: int = 8, histories: Histories | None = None
) -> MeterRun:
    """Days of renting from a seed, at prices that jump; with `histories` at these, from their first moment on."""
    return summed_up(compared_run(days, seed, leases_a_day=leases_a_day, histories=histories))


def compared_run(
    days: float, seed: int, *, leases_a_day: int = 8, histories: Histories | None = None
) -> list[Compared]:
    """The same, lease by lease."""
    places = sorted(histories or [(zone, kind) for zone in ZONES for kind in KINDS])
    regions = sorted({zone[:-1] for zone, _ in places})
    with World(regions=regions, seed=seed) as world:
        renting = Renting(Town(world), seed, places, until=world.now + days * DAY)
        played = histories or {place: renting.jumping(place) for place in places}
        for (zone, kind), steps in played.items():
            moved = [(world.now + (at - steps[0][0]), usd) for at, usd in steps]
            world.play_prices(zone, kind, moved)
        renting.move_in(round(days * leases_a_day))
        renting.pass_all()
        return list(renting.compare())


def summed_up(compared: Sequence[Compared]) -> MeterRun:
    """The worst of all."""
    return MeterRun(
        worst_percent=max((one.off_percent(one.metered_usd) for one in compared), default=ZERO),
        frozen_worst_percent=max((one.off_percent(one.frozen_usd) for one in compared), default=ZERO),
        leases=len(compared),
        under=sum(one.metered_usd < one.billed_usd for one in compared),
    )


class Renting:
    """Who rents what, until when, and the clock between."""

    def __init__(self, town: Town, seed: int, places: Sequence[Place], *, until: datetime) -> None:
        self._town = town
        self._chance = random.Random(f"{seed}/renting")
        self._places = places
        self._until = until
        self._longest_seconds = min(int((until - town.now).total_seconds()) // 2, 40 * 3600)
        self._happenings = Happenings(town)
        town.set_policy(
            idle={"after": "P3D", "after_launch": "P3D"},
            unleased={"for": "PT10H"},
            lease={"max_open_per_owner": 10_000},
        )

    def jumping(self, place: Place) -> list[tuple[datetime, Decimal]]:
        """A price that moves to anything between a tenth and all of on-demand, every few hours."""
        usd, at = self._town.world.market.on_demand_usd(*place), self._town.now
        steps = []
        while at < self._until + LONGEST:
            share = Decimal(str(round(self._chance.uniform(0.1, 0.99), 4)))
            steps.append((at, (usd * share).quantize(Decimal("0.0001"))))
            at += timedelta(seconds=self._chance.randint(600, 6 * 3600))
        return steps

    def move_in(self, count: int) -> None:
        """So many tenants come, spread over the time."""
        length = int((self._until - self._town.now).total_seconds())
        for number in range(count):
            at = self._town.now + timedelta(seconds=self._chance.randint(0, max(length - 7200, 1)))
            self._happenings.at(at, partial(self._rent, number))

    def pass_all(self) -> None:
        """Live until every lease has closed."""
        town = self._town
        town.sweep()
        while town.now < self._until or town.services.store.open_leases() or town.alive:
            self._happenings.play()
            town.hear_events()
            town.sweep()
            due = [lease.expires_at for lease in town.services.store.open_leases()]
            moments = [town.now + STEP, self._happenings.next_at, *due]
            town.pass_until(min(max(at, town.now + MINUTE) for at in moments if at is not None))

    def compare(self) -> Iterator[Compared]:
        """Each closed lease that was billed, beside its bill."""
        town = self._town
        for lease in town.services.store.closed_leases(since=town.now - 400 * DAY):
            receipt = town.services.store.receipt(lease.id)
            if receipt is None or not lease.runs or lease.closed_at is None or lease.final_usd is None:
                continue
            boxes = [box for box in town.boxes if box.id in lease.instance_ids]
            billed = sum(
                (billed_between(town, box, lease.requested_at, lease.closed_at) for box in boxes), ZERO
            )
            if billed > 0:
                yield Compared(
                    lease_id=lease.id,
                    billed_usd=billed,
                    metered_usd=lease.final_usd,
                    frozen_usd=self._frozen(lease, receipt),
                )

    def _rent(self, number: int) -> None:
        """Launched by Curfew or behind its back, on spot or on demand; and perhaps something becomes of it."""
        zone, kind = self._chance.choice(self._places)
        length = timedelta(seconds=self._chance.randint(3600, self._longest_seconds))
        how = self._chance.choice(["one-time", "one-time", "persistent", "loose", "loose-spot"])
        town = self._town
        if how in ("one-time", "persistent"):
            order = town.order(
                instance_types=(kind,),
                region=zone[:-1],
                subnet_id=town.subnet_of(zone),
                request_type=RequestType(how),
                lasts_for=length,
                volume_gib=self._chance.choice([None, 100, 500]),
            )
            lease = town.launch(order, key=f"tenant-{number}")
            boxes = [town.world.boxes.of(one) for one in lease.instance_ids] if lease else []
        else:
            market: Market = "on-demand" if how == "loose" else "one-time"
            boxes = [town.world.start_box(kind, market=market, region=zone[:-1], zone=zone)]
        for box in boxes:
            self._meddle(box)

    def _meddle(self, box: Box) -> None:
        """Nothing, for most; others are interrupted, early or late, ended by hand, or stopped and started again."""
        fate = self._chance.choice(["stays", "stays", "stays", "early", "late", "ended", "pauses"])
        after = timedelta(seconds=self._chance.randint(3700, 5 * 3600))
        match fate:
            case "early":
                self._by_hand(timedelta(seconds=self._chance.randint(600, 3200)), box, "interrupt")
            case "late":
                self._by_hand(after, box, "interrupt")
            case "ended":
                self._by_hand(after, box, "terminate")
            case "pauses":
                self._by_hand(after, box, "stop")
                self._by_hand(after + timedelta(minutes=40), box, "start")
            case _:
                pass

    def _by_hand(self, after: timedelta, box: Box, how: str) -> None:
        self._happenings.later(after, partial(self._town.by_hand, box, how))

    def _frozen(self, lease: Lease, receipt: Receipt) -> Decimal:
        """What the lease would have been told to cost, had each run gone on at the price of its start."""
        compute = sum((self._frozen_run(run) for run in lease.runs if not is_free(run)), ZERO)
        return lease.final_usd - receipt.compute_usd + compute if lease.final_usd else compute

    def _frozen_run(self, run: Run) -> Decimal:
        box = self._town.world.boxes.of(run.instance_id)
        market, ended_at = self._town.world.market, run.ended_at or self._town.now
        spot = market.curve(box.zone, box.type).at(run.started_at)
        usd = spot if box.spot else market.on_demand_usd(box.zone, box.type)
        return usd * hours(max(ended_at - run.started_at, MINIMUM_RUN))


def replayed_offline(histories: Histories, *, length: timedelta, every: timedelta) -> Iterator[Compared]:
    """Runs of a length, begun every so often of each history: the meter's integral beside localaws's own billing of the
    same curve, without a world between."""
    for (zone, kind), steps in sorted(histories.items()):
        times = [at for at, _ in steps]
        book = PriceBook(on_demand={kind: Decimal(1)}, as_of="", spot={(zone, kind): tuple(steps)})
        begin = times[0]
        while begin + length <= times[-1]:
            end = begin + length
            first = bisect_right(times, begin) - 1
            run = Run(instance_id="i-1", instance_type=kind, zone=zone, is_spot=True, started_at=begin)
            billed = total_usd(stretches(steps[first : bisect_right(times, end)], begin, end))
            yield Compared(
                lease_id=f"{zone} {kind} {begin}",
                billed_usd=billed,
                metered_usd=book.compute_usd(run, end),
                frozen_usd=steps[first][1] * hours(length),
            )
            begin += every
