"""Real data as the world's: GPU duty cycles as the load of boxes, spot price histories as the prices of zones.

The data stays where it is (`CURFEW_DATA_DIR`); where it is not, nothing is replayed and nothing fails.
"""

from __future__ import annotations

import csv
import gzip
import os
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from chalicelib.domain.budget import Budget, Period
from chalicelib.domain.lease import RequestType
from localaws.model import Box
from localaws.world import World
from tests.simulation.happenings import Happenings
from tests.simulation.longrun import Figures, LongRun, Say
from tests.simulation.town import MINUTE, ROOT, Town

HOUR = timedelta(hours=1)
DUTY = Path("gpu-duty/gpu_duty_1min.csv.gz")
PRICES = Path("spot-price/spot_price_2019-12_2020-03.csv.gz")
Duty = dict[int, float]
History = list[tuple[datetime, Decimal]]


def data_dir() -> Path:
    """Where real data is looked for; a relative path counts from the repository."""
    return (ROOT / os.environ.get("CURFEW_DATA_DIR", "../shared/data")).resolve()


def replay_duty(
    folder: Path, *, boxes: int | None = None, hours: float = 24, window: str = "PT1H", say: Say = print
) -> Figures:
    """The real duty cycle of each pod, minute by minute and with its holes, as the load of a box.

    Every other box is launched by Curfew, the others behind its back.
    """
    pods = _read_duty(folder / DUTY)[:boxes]
    with World(regions=("us-east-1",), seed=1) as world:
        town = Town(world)
        town.set_policy(
            idle={"after": window},
            lease={"default_for": "P1D", "max_open_per_owner": 100},
            unleased={"for": "P1D"},
        )
        for number, duty in enumerate(pods):
            if number % 2:
                box = world.start_box("g4dn.xlarge", market="persistent")
                _work(box, duty)
                continue
            kind = RequestType.ONE_TIME if number % 4 else RequestType.PERSISTENT
            order = town.order(instance_types=("g4dn.xlarge",), request_type=kind)
            lease = town.launch(order, key=f"pod-{number}")
            for instance_id in lease.instance_ids if lease else ():
                _work(world.boxes.of(instance_id), duty)
        return LongRun(town, Happenings(town), until=town.now + hours * HOUR, say=say).run()


def replay_prices(folder: Path, *, days: float = 14, say: Say = print) -> Figures:
    """The real price history of each zone and type that localaws has, under boxes that work all day.

    A new lease a zone every other day; a daily budget that one of them after the other runs into.
    """
    histories = {
        place: prices for place, prices in read_prices(folder / PRICES).items() if _is_launchable(place)
    }
    regions = tuple(sorted({zone[:-1] for zone, _ in histories}))
    with World(regions=regions, seed=1) as world:
        town = Town(world)
        town.set_policy(unleased={"for": "P2D"})
        town.put_budget(Budget(name="account", limit_usd=Decimal(4000), period=Period.DAILY))
        for (zone, kind), prices in histories.items():
            start = prices[0][0]
            world.play_prices(zone, kind, [(world.now + (at - start), usd) for at, usd in prices])
        until = town.now + timedelta(days=days)
        happenings = Happenings(town)
        for number, (zone, kind) in enumerate(sorted(histories)):
            happenings.at(town.now + 7 * number * MINUTE, _Tenant(happenings, zone, kind, until).move_in)
        return LongRun(town, happenings, until=until, say=say).run()


class _Tenant:
    """Somebody who rents a box in one zone again and again, now by Curfew and now behind its back."""

    def __init__(self, happenings: Happenings, zone: str, kind: str, until: datetime) -> None:
        self._happenings = happenings
        self._zone = zone
        self._kind = kind
        self._until = until
        self._stays = 0

    def move_in(self) -> None:
        """Start a box that works, and come again in two days."""
        town = self._happenings.town
        self._stays += 1
        if self._stays % 2:
            order = town.order(
                instance_types=(self._kind,),
                region=self._zone[:-1],
                lasts_for=timedelta(days=2),
                subnet_id=town.subnet_of(self._zone),
                max_price_usd_per_hour=None,
            )
            lease = town.launch(order, key=f"{self._zone}-{self._kind}-{self._stays}")
            boxes = [town.world.boxes.of(one) for one in lease.instance_ids] if lease else []
        else:
            boxes = [
                town.world.start_box(self._kind, market="one-time", region=self._zone[:-1], zone=self._zone)
            ]
        for box in boxes:
            town.world.set_load(box.id, gpu=95)
        if town.now + 2 * 24 * HOUR < self._until:
            self._happenings.later(timedelta(days=2, minutes=30), self.move_in)


def _work(box: Box, duty: Duty) -> None:
    """Its whole future load: one level from each minute at which it changes, none where there was no sample."""
    start, last = box.launched_at + MINUTE, None
    for minute in range(max(duty) + 1):
        gpu = duty.get(minute)
        if gpu != last or minute == 0:
            box.load.set(start + minute * MINUTE, gpu=gpu)
            last = gpu
    box.load.set(start + (max(duty) + 1) * MINUTE, gpu=None)


def _read_duty(path: Path) -> list[Duty]:
    pods: dict[str, Duty] = defaultdict(dict)
    for row in _rows(path):
        pods[row["pod"]][int(row["minute"])] = float(row["percent"])
    return [pods[name] for name in sorted(pods)]


def read_prices(path: Path) -> dict[tuple[str, str], History]:
    found: dict[tuple[str, str], History] = defaultdict(list)
    for row in _rows(path):
        at = datetime.fromisoformat(row["timestamp"]).astimezone(UTC)
        found[row["availability_zone"], row["instance_type"]].append((at, Decimal(row["usd_per_hour"])))
    return {place: sorted(history) for place, history in found.items() if len(history) > 1}


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def _is_launchable(place: tuple[str, str]) -> bool:
    return place[1].startswith("p3.")
