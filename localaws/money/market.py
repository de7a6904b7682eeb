"""Spot prices, and where there is capacity.

Spot prices move on irregular steps between a quarter and seven tenths of the on-demand price, each zone and type on
its own course. The course depends on the seed, the zone, the type and the start of the world, and on nothing else:
asking in another order changes nothing. A curve can also be given: one price that stays, or a series to play.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from localaws.errors import LocalAwsError
from localaws.money.price_list import OnDemandPrices, PriceList
from localaws.money.regions import region_of

HISTORY = timedelta(days=30)
"""How far back prices are known when the world begins (AWS keeps 90 days)."""

LOW, HIGH = 0.25, 0.70
PULL, JITTER = 0.15, 0.025
MEAN_HOURS_BETWEEN_STEPS = 5.0
SHORTEST_STEP_SECONDS = 600
CENT_FRACTION = Decimal("0.0001")
Steps = Sequence[tuple[datetime, Decimal]]


class PriceCurve:
    """The spot price of one type in one zone over time, worked out as far as it is asked."""

    def __init__(self, rng: random.Random, on_demand_usd: Decimal, origin: datetime) -> None:
        self._rng = rng
        self._on_demand = on_demand_usd
        self._ratio = self._base = rng.uniform(0.32, 0.62)
        self._times = [origin]
        self._prices = [self._price()]
        self._given = False
        """Whether the course was given from outside, and is not to be worked out any further."""

    def at(self, when: datetime) -> Decimal:
        self._extend(when)
        return self._prices[max(0, bisect_right(self._times, when) - 1)]

    def steps(self, start: datetime, end: datetime) -> list[tuple[datetime, Decimal]]:
        """Every step that touches [start, end]: the one in force at `start` first."""
        self._extend(end)
        first = max(0, bisect_right(self._times, start) - 1)
        last = bisect_right(self._times, end)
        return list(zip(self._times[first:last], self._prices[first:last], strict=True))

    def first_above(self, cap: Decimal, after: datetime, until: datetime) -> datetime | None:
        """The first moment in [after, until] at which the price is over `cap`."""
        return next((max(since, after) for since, price in self.steps(after, until) if price > cap), None)

    def pin(self, at: datetime, price: Decimal | None) -> None:
        """From `at` on the price is this and stays so; None lets it move on from where it is."""
        price_then = self.at(at)
        self._cut(at)
        self._given = price is not None
        self._add(at, price_then if price is None else price)

    def play(self, now: datetime, series: Steps) -> None:
        """From `now` on the price follows the series, and after its last step stays.

        Of the steps before `now` only the last counts: it is the price now. Without one the price stays as it is
        until the first step.
        """
        times = [since for since, _ in series]
        if not times or times != sorted(set(times)) or any(price <= 0 for _, price in series):
            raise LocalAwsError(
                "a series of prices has at least one step, each later than the last and above 0"
            )
        in_force = max(bisect_right(times, now) - 1, 0)
        price_then = self.at(now)
        self._cut(now)
        self._given = True
        self._add(now, price_then if times[in_force] > now else series[in_force][1])
        for since, price in series[bisect_right(times, now) :]:
            self._add(since, price)

    def _cut(self, at: datetime) -> None:
        """Forget what was to come after `at`."""
        keep = bisect_right(self._times, at)
        del self._times[keep:], self._prices[keep:]

    def _add(self, at: datetime, price: Decimal) -> None:
        if self._times[-1] == at:
            self._prices[-1] = price
        else:
            self._times.append(at)
            self._prices.append(price)

    def _extend(self, until: datetime) -> None:
        while self._times[-1] <= until and not self._given:
            gap = max(
                SHORTEST_STEP_SECONDS, int(self._rng.expovariate(1 / (MEAN_HOURS_BETWEEN_STEPS * 3600)))
            )
            step = PULL * (self._base - self._ratio) + self._rng.gauss(0, JITTER)
            self._ratio = min(HIGH, max(LOW, self._ratio + step))
            self._times.append(self._times[-1] + timedelta(seconds=gap))
            self._prices.append(self._price())

    def _price(self) -> Decimal:
        return (self._on_demand * Decimal(str(round(self._ratio, 6)))).quantize(CENT_FRACTION)


class SpotMarket:
    """Spot prices and capacity by zone and type."""

    def __init__(self, seed: int, start: datetime, prices: PriceList) -> None:
        self.prices = prices
        self._seed = seed
        self._origin = start - HISTORY
        self._curves: dict[tuple[str, str], PriceCurve] = {}
        self._sold_out: set[tuple[str, str]] = set()

    @property
    def on_demand(self) -> OnDemandPrices:
        """The table of us-east-1."""
        return self.prices.on_demand

    def on_demand_usd(self, place: str, instance_type: str) -> Decimal:
        """The list price in a zone or region."""
        return self.prices.instance_usd(region_of(place), instance_type)

    def curve(self, zone: str, instance_type: str) -> PriceCurve:
        key = (zone, instance_type)
        if key not in self._curves:
            rng = random.Random(f"{self._seed}/{zone}/{instance_type}")
            self._curves[key] = PriceCurve(rng, self.on_demand_usd(zone, instance_type), self._origin)
        return self._curves[key]

    def set_capacity(self, zone: str, instance_type: str, *, available: bool) -> None:
        """`*` stands for every zone or every type; giving capacity back undoes every closing it covers."""
        if not available:
            self._sold_out.add((zone, instance_type))
            return
        self._sold_out = {
            (z, t) for z, t in self._sold_out if zone not in ("*", z) or instance_type not in ("*", t)
        }

    def has_capacity(self, zone: str, instance_type: str) -> bool:
        return not self._sold_out.intersection(
            {(zone, instance_type), (zone, "*"), ("*", instance_type), ("*", "*")}
        )

    def sold_out(self) -> Iterator[tuple[str, str]]:
        yield from sorted(self._sold_out)
