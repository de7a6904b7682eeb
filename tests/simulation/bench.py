"""`make bench`: what Curfew itself costs a month, from calls that were really made on localaws, and how right its meter is.

Ten boxes that work all day are swept every minute for a day. A thousand are swept for some minutes, in the middle of
their lives: what is due once an idle window or once an hour is spread over them as over any thousand boxes. Nobody calls
over HTTP. The time of a sweep is CPU time of this machine and `WAITING`, because no machine but AWS has AWS's network.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from multiprocessing import get_context
from threading import Lock
from typing import Any

from chalicelib.domain.arming import with_put
from chalicelib.domain.budget import Budget, Period
from chalicelib.domain.egress import LATE, PERIOD
from chalicelib.domain.ends import timers_of
from chalicelib.domain.guard import PAID_READS, PRICES_AS_OF, PRICES_USD, Item, Usage, cost_of, month_of
from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Lease, OnEnd
from chalicelib.domain.policy import OwnBill
from chalicelib.domain.storage import Volume
from chalicelib.usecases import guard
from chalicelib.usecases.timers import VERIFIED_EVERY
from chalicelib.web import views
from localaws.world import World
from tests.simulation.late_bill import LIMIT_USD, LateBill, late_bill
from tests.simulation.meter_run import MeterRun, meter_run, replayed_offline, summed_up
from tests.simulation.replay import PRICES, data_dir, read_prices
from tests.simulation.town import MINUTE, Town

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MONTH = 30 * DAY
REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1", "eu-north-1"),
    *("eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "ap-south-1"),
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2"),
)
"""What an account has unless it asks for more: for the thousand. Ten boxes are swept in localaws's own three."""
FEW, MANY = 10, 1000
SAMPLED = 10
"""Sweeps of the thousand boxes that are counted."""
CPUS = 1024 / 1769
"""Of one processor, what Lambda gives a function of 1,024 MB (Lambda guide, "Configure memory")."""
WAITING = 2.0
"""Seconds a sweep waits for AWS: three rounds of calls to regions around the world, and the table. Assumed."""
BOUNDS: Mapping[int, tuple[Decimal, Decimal]] = {
    FEW: (Decimal("1.25"), Decimal(4)),
    MANY: (Decimal(18), Decimal(40)),
}
"""Boxes → the most that paid reads and everything may cost a month."""
METER_BOUND = Decimal("0.1")
"""Percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a stretch of sweeps came to. `polled`: metrics that asking about every box in each would have taken."""

    boxes: int
    lasted: timedelta
    counted: Mapping[Item, Decimal]
    sweep_seconds: float
    asked: Decimal
    polled: int

    def month(self) -> dict[Item, Decimal]:
        """Scaled to a month of 30 days, with what stands whether anything is called or not."""
        share = Decimal(MONTH / self.lasted)
        begin = datetime.fromisoformat("2026-11-01T00:00:00+00:00")
        standing = cost_of(Usage(since=begin), now=begin + MONTH - MINUTE / 60, own=OwnBill(), boxes=0)
        return {
            line.item: self.counted.get(line.item, Decimal(0)) * share + line.quantity
            for line in standing.items
        }


class Stopwatch:
    """CPU time of Curfew's own, without localaws's."""

    def __init__(self, world: World) -> None:
        self.theirs = 0.0
        self._lock = Lock()
        self._handle = world.endpoint.handle
        endpoint: Any = world.endpoint
        endpoint.handle = self._timed

    def _timed(self, request: Any) -> Any:
        began = time.thread_time()
        try:
            return self._handle(request)
        finally:
            with self._lock:
                self.theirs += time.thread_time() - began

    @contextmanager
    def lap(self, laps: list[float]) -> Iterator[None]:
        """Add the time of what goes on inside."""
        began, theirs = time.process_time(), self.theirs
        yield
        laps.append(time.process_time() - began - (self.theirs - theirs))


def a_day_of_few() -> Counted:
    """Ten boxes for a day, launched through Curfew, after the hour in which everything was asked for the first time."""
    logging.disable(logging.WARNING)
    with World(seed=1) as world:
        town = _town(world)
        for number in range(FEW):
            order = town.order(instance_types=("g4dn.xlarge",), lasts_for=2 * DAY)
            lease = town.launch(order, key=f"box-{number}")
            for instance_id in lease.instance_ids if lease else ():
                world.set_load(instance_id, gpu=90)
            town.minutes(7)
        return _counted(town, boxes=FEW, sweeps=DAY // MINUTE)


def some_minutes_of_many() -> Counted:
    """A thousand boxes, started one by one over an hour, under leases like the one that Curfew made for the first."""
    logging.disable(logging.WARNING)  # a machine that does two things at once misses some deadlines
    with World(regions=REGIONS, seed=1) as world:
        town = _town(world)
        lease = town.launch(town.order(instance_types=("g4dn.xlarge",), lasts_for=2 * DAY), key="box-0")
        if lease is None:
            raise RuntimeError("the first box was not launched")
        world.set_load(lease.instance_ids[0], gpu=90)
        town.minutes(3)
        for number in range(1, MANY):
            world.start_box("g4dn.xlarge", market="one-time", region=REGIONS[number % len(REGIONS)], gpu=90)
            world.advance(HOUR / MANY)
        world.advance(HOUR)
        while world.take_event():
            pass
        _lease_all(town, town.services.store.open_leases()[0])
        town.minutes(1)
        _spread_what_is_known(town)
        town.minutes(1)
        counted = _counted(town, boxes=MANY, sweeps=SAMPLED)
    bills = Decimal(3 * counted.lasted / DAY)  # three times a day, whichever minutes are looked at
    return replace(counted, counted={**counted.counted, Item.COST_EXPLORER: bills})


def _town(world: World) -> Town:
    town = Town(world)
    town.set_policy(lease={"max_open_per_owner": 9999})
    town.put_budget(Budget(name="account", limit_usd=Decimal(10**6), period=Period.MONTHLY))
    return town


def _counted(town: Town, *, boxes: int, sweeps: int) -> Counted:
    """Sweep every minute, and hand over what was counted as a function does."""
    watch, laps, ledger = Stopwatch(town.world), list[float](), town.ledger
    ledger.hand_over(town.now, every=timedelta(0))
    total: dict[Item, Decimal] = {}
    began = town.now
    for _ in range(sweeps):
        town.pass_until(town.now + MINUTE)
        with watch.lap(laps):
            record = town.sweep()
        log_bytes = len(json.dumps(views.sweep(record))) if record else 0
        ledger.invoked(laps[-1] / CPUS + WAITING, log_bytes=log_bytes)
        if (town.now - began) % guard.EVERY == timedelta(0):
            handed = ledger.hand_over(town.now, every=timedelta(0))
            total = {item: total.get(item, Decimal(0)) + handed.get(item, Decimal(0)) for item in Item}
            town.services.store.add_usage(month_of(town.now), handed, since=town.now)
    return Counted(
        boxes=boxes,
        lasted=town.now - began,
        counted=total,
        sweep_seconds=sum(laps) / len(laps) / CPUS + WAITING,
        asked=total[Item.METRICS_READ],
        polled=boxes * sweeps,
    )


def _lease_all(town: Town, like: Lease) -> None:
    """A lease for each box that has none: as heavy as one that was launched, and as far on as its box."""
    services, now = town.services, town.now
    for view in services.compute.observe(REGIONS):
        loose = [box for box in view.instances if box.id not in like.instance_ids]
        disks = services.compute.volumes(view.region, [box.id for box in loose])
        for box in loose:
            services.store.open_lease(
                _lease_of(box, like, disks[box.id], now), revision=services.store.budgets(now).revision
            )


def _lease_of(box: Instance, like: Lease, disks: tuple[Volume, ...], now: datetime) -> Lease:
    started_at = box.launched_at or now
    run = replace(
        like.runs[0], instance_id=box.id, instance_type=box.type, zone=box.zone, started_at=started_at
    )
    lease = replace(
        like,
        id=f"lease-{box.id[2:]}",
        region=box.region,
        requested_at=started_at,
        launched_at=started_at,
        expires_at=started_at + 2 * DAY,
        instance_ids=(box.id,),
        spot_request_ids=(box.spot_request_id,) if box.spot_request_id else (),
        fleet_id=None,
        runs=(run,),
        volumes=disks,
        volumes_at=now - (now - started_at) % HOUR,
        egress_until=_whole(started_at) + (now - _whole(started_at) - LATE) // HOUR * HOUR,
        timers=(),
        timers_at=now - (now - started_at) % VERIFIED_EVERY,
        version=0,
    )
    for timer in timers_of(lease, home_region=REGIONS[0], on_end=OnEnd.TERMINATE):
        lease = with_put(lease, timer)
    return lease


def _whole(at: datetime) -> datetime:
    return at - (at - datetime.fromisoformat("2026-01-01T00:00:00+00:00")) % PERIOD


def _spread_what_is_known(town: Town) -> None:
    """Everything was asked at one moment; from now on it is due one after the other, as over any thousand boxes."""
    store, now = town.services.store, town.now
    known = store.learned()
    wait = min(one.evidence.due_at or now for one in known) - now
    store.learn(
        [
            replace(one, evidence=replace(one.evidence, due_at=now + wait * number / len(known)))
            for number, one in enumerate(known)
        ]
    )


def _table(few: Counted, many: Counted) -> Iterator[str]:
    yield f"{'a month of 30 days':28}{'10 boxes':>22}{'1,000 boxes':>24}"
    columns = (few.month(), many.month())
    for item in Item:
        cells = "".join(f"{month[item]:>13,.0f} ${_usd(month, [item]):>8.4f}" for month in columns)
        yield f"{item.value:28}{cells}"
    for name, items in (("paid reads", PAID_READS), ("everything", Item)):
        cells = "".join(f"{'':>13} ${_usd(month, items):>8.4f}" for month in columns)
        yield f"{name:28}{cells}"


def _usd(month: Mapping[Item, Decimal], items: Iterable[Item]) -> Decimal:
    return sum((month[item] * PRICES_USD[item] for item in items), Decimal(0))


def _is_kept(counted: Counted) -> bool:
    paid, everything = BOUNDS[counted.boxes]
    month = counted.month()
    return _usd(month, PAID_READS) <= paid and _usd(month, Item) <= everything


def _on_real_histories() -> MeterRun | None:
    """A day of every zone and type there is, begun every half day; None where there is no data."""
    path = data_dir() / PRICES
    if not path.is_file():
        return None
    return summed_up(list(replayed_offline(read_prices(path), length=DAY, every=DAY / 2)))


def _off(run: MeterRun) -> str:
    return (
        f"at worst {run.worst_percent:.4f} % off the bill, a frozen launch price "
        f"{run.frozen_worst_percent:.1f} %"
    )


def main() -> int:
    """Count, print, and fail where a bound does not hold."""
    parser = argparse.ArgumentParser(
        prog="make bench", description="What Curfew itself costs, and its meter."
    )
    parser.add_argument("--seed", type=int, default=1, help="of the meter's run")
    parser.add_argument("--days", type=float, default=30, help="virtual days of the meter's run")
    options = parser.parse_args()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        parts = pool.submit(some_minutes_of_many), pool.submit(a_day_of_few)
        metered = pool.submit(meter_run, options.days, options.seed)
        hidden, replayed = pool.submit(late_bill), pool.submit(_on_real_histories)
        many, few = (part.result() for part in parts)
        print(
            f"List prices as of {PRICES_AS_OF}, no free tier; boxes that work all day, a sweep each minute."
        )
        print(
            f"{FEW} boxes: counted over {few.lasted}; {MANY:,}: over {SAMPLED} sweeps, Cost Explorer 3 times a day."
        )
        print(*_table(few, many), sep="\n")
        for one in (few, many):
            print(
                f"{one.boxes:,} boxes: {one.asked} metrics asked, of use and of what was sent; use alone each minute is "
                f"{one.polled:,} ({one.asked / one.polled:.1%}); a sweep {one.sweep_seconds:.1f} s, "
                f"{WAITING:g} of them assumed"
            )
        meter: MeterRun = metered.result()
        late: LateBill = hidden.result()
        real: MeterRun | None = replayed.result()
    print(f"meter: {meter.leases} leases in {options.days:g} days at prices that jump: {_off(meter)}")
    if real is None:
        print(f"meter: no real spot histories in {data_dir()}: CURFEW_DATA_DIR says where they are")
    else:
        print(f"meter: {real.leases} days of real spot histories: {_off(real)}")
    print(
        f"a ${LIMIT_USD} budget while the bill is late and credits hide it: ${late.billed_usd:.2f} really billed, "
        f"${late.hidden.metered_usd:.2f} by the meter, ${late.hidden.billed_usd:.2f} by Cost Explorer"
    )
    is_right = all(run.worst_percent <= METER_BOUND for run in (meter, real) if run)
    is_kept = _is_kept(few) and _is_kept(many) and is_right and late.is_kept
    paid = [_usd(one.month(), PAID_READS) for one in (few, many)]
    total = [_usd(one.month(), Item) for one in (few, many)]
    print(
        f"paid reads ${paid[0]:.2f} and ${paid[1]:.2f}, everything ${total[0]:.2f} and ${total[1]:.2f} a month, "
        f"meter {meter.worst_percent:.4f} %: {'within' if is_kept else 'BEYOND'} the bounds"
    )
    return 0 if is_kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
