"""On-demand and spot prices, and where there is capacity.

Spot prices move on irregular steps between a quarter and seven tenths of the on-demand price, each zone and type on
its own course. The course depends on the seed, the zone, the type and the start of the world, and on nothing else:
asking in another order changes nothing.
"""

from __future__ import annotations

import json
import random
from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

PRICES_FILE = Path(__file__).resolve().parents[1] / "chalicelib" / "data" / "on_demand_prices.json"
HISTORY = timedelta(days=30)
"""How far back prices are known when the world begins (AWS keeps 90 days)."""

LOW, HIGH = 0.25, 0.70
PULL, JITTER = 0.15, 0.025
MEAN_HOURS_BETWEEN_STEPS = 5.0
SHORTEST_STEP_SECONDS = 600
CENT_FRACTION = Decimal("0.0001")
SIZE_PRICES = {"nano": "0.0052", "micro": "0.0104", "small": "0.0208", "medium": "0.0416", "large": "0.0832"}
XLARGE_USD = Decimal("0.1664")


class OnDemandPrices:
    """Dollars an hour by instance type: the dated table of us-east-1 for every region."""

    def __init__(self, path: Path = PRICES_FILE) -> None:
        table = json.loads(path.read_text(encoding="utf-8"))["usd_per_hour"]
        self._usd: dict[str, Decimal] = {name: Decimal(price) for name, price in table.items()}

    @property
    def known_types(self) -> list[str]:
        return sorted(self._usd)

    def usd(self, instance_type: str) -> Decimal:
        """The list price; types outside the table cost what a t3 of their size does."""
        known = self._usd.get(instance_type)
        if known is not None:
            return known
        size = instance_type.partition(".")[2]
        if size in SIZE_PRICES:
            return Decimal(SIZE_PRICES[size])
        multiple = size.removesuffix("xlarge")
        return XLARGE_USD * (int(multiple) if multiple.isdigit() else 1)


class PriceCurve:
    """The spot price of one type in one zone over time, worked out as far as it is asked."""

    def __init__(self, rng: random.Random, on_demand_usd: Decimal, origin: datetime) -> None:
        self._rng = rng
        self._on_demand = on_demand_usd
        self._ratio = self._base = rng.uniform(0.32, 0.62)
        self._times = [origin]
        self._prices = [self._price()]
        self._pinned = False

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
        self._extend(at)
        keep = bisect_right(self._times, at)
        del self._times[keep:], self._prices[keep:]
        self._pinned = price is not None
        value = self._prices[-1] if price is None else price
        if self._times[-1] == at:
            self._prices[-1] = value
        else:
            self._times.append(at)
            self._prices.append(value)

    def _extend(self, until: datetime) -> None:
        while self._times[-1] <= until and not self._pinned:
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

    def __init__(self, seed: int, start: datetime, on_demand: OnDemandPrices) -> None:
        self.on_demand = on_demand
        self._seed = seed
        self._origin = start - HISTORY
        self._curves: dict[tuple[str, str], PriceCurve] = {}
        self._sold_out: set[tuple[str, str]] = set()

    def curve(self, zone: str, instance_type: str) -> PriceCurve:
        key = (zone, instance_type)
        if key not in self._curves:
            rng = random.Random(f"{self._seed}/{zone}/{instance_type}")
            self._curves[key] = PriceCurve(rng, self.on_demand.usd(instance_type), self._origin)
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
