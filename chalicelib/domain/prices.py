"""The price book: what a run costs at a moment and over a time, and what bills beside it, by region.

Spot bills at the spot price as it moves, on-demand at the region's list price; both per second with 60 s at least for
each start (EC2 pricing). List prices are what the Pricing API told of a region; what it did not tell is us-east-1's of
the dated table, doubled in regions that may be dearer. Where the price in force is not known the cap that was sent is
assumed, else on-demand, and if that is unknown too the dearest of its family: an unknown price is never free.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.accelerators import family
from chalicelib.domain.lease import Run
from chalicelib.domain.money import ZERO, hours
from chalicelib.domain.rates import US_EAST_1, Rates

MINIMUM_RUN = timedelta(seconds=60)
AS_CHEAP_AS_THE_TABLE = frozenset({"us-east-1", "us-east-2", "us-west-2"})
"""Regions with one list price, which the table's is."""
ABROAD = Decimal(2)
"""How many times us-east-1's price is assumed elsewhere: the dearest known is 1.9 times (EBS in São Paulo)."""
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+?-\d+")


def region_of(zone: str | None) -> str | None:
    """`us-east-1` of `us-east-1a`, `us-west-2` of `us-west-2-lax-1a`."""
    match = _REGION.match(zone or "")
    return match[0] if match else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An on-demand price in USD per hour, and when the Pricing API told it."""

    usd: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPrices:
    """What the Pricing API told of one region, by type. `asked_at`: also where it named no price, or none any more."""

    region: str
    on_demand: Mapping[str, Told] = field(default_factory=dict)
    asked_at: Mapping[str, datetime] = field(default_factory=dict)
    rates: Rates | None = None
    rates_asked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotPool:
    """How the spot price of a type in a zone moved since a moment: (from when, USD per hour), ascending."""

    zone: str
    instance_type: str
    since: datetime
    points: tuple[tuple[datetime, Decimal], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotPrices:
    """What EC2 told of a region's pools."""

    region: str
    pools: tuple[SpotPool, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Of when a price is (a date) and from where."""

    as_of: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """The dated table by type, the list prices told by region, and how spot prices moved, by (zone, type): (from when,
    USD per hour), ascending."""

    on_demand: Mapping[str, Decimal]
    as_of: str
    spot: Mapping[tuple[str, str], tuple[tuple[datetime, Decimal], ...]] = field(default_factory=dict)
    listed: Mapping[str, ListPrices] = field(default_factory=dict)

    def knows(self, instance_type: str, region: str | None = None) -> bool:
        """Whether the type has a price there, told or of the table."""
        return self._told(instance_type, region) is not None or self.on_demand.get(instance_type, ZERO) > 0

    def on_demand_usd(self, instance_type: str, region: str | None = None) -> Decimal:
        """USD per hour in a region, the table's own without one; for a type without a price the dearest of its family,
        else of all."""
        told = self._told(instance_type, region)
        if told is not None:
            return told.usd
        if self.on_demand.get(instance_type, ZERO) > 0:
            return self.on_demand[instance_type] * _factor(region)
        siblings = [usd for name, usd in self.on_demand.items() if family(name) == family(instance_type)]
        assumed = max(siblings or self.on_demand.values()) * _factor(region)
        known = self._listed(region).items()
        told_siblings = [one.usd for name, one in known if family(name) == family(instance_type)]
        return max([assumed, *told_siblings])

    def rates_in(self, region: str | None) -> Rates:
        """What bills beside compute in a region."""
        known = self.listed.get(region or "")
        return known.rates if known and known.rates else assumed_rates(region)

    def origin(self, instance_type: str, region: str | None = None) -> Origin:
        """Of when the on-demand price is that `on_demand_usd` tells, and from where."""
        told = self._told(instance_type, region)
        if told is not None:
            return Origin(as_of=f"{told.at:%Y-%m-%d}", source="Pricing API")
        factor = _factor(region)
        source = "table of us-east-1" if factor == 1 else f"table of us-east-1, times {factor}"
        return Origin(as_of=self.as_of, source=source)

    def ceiling_usd(self, run: Run) -> Decimal:
        """The most a run can cost an hour."""
        if run.is_spot and run.max_price_usd is not None:
            return run.max_price_usd
        return self.on_demand_usd(run.instance_type, region_of(run.zone))

    def hourly_usd(self, run: Run, at: datetime) -> Decimal:
        """USD per hour in force at a moment."""
        history = self.spot.get((run.zone or "", run.instance_type), ()) if run.is_spot else ()
        index = bisect_right(history, at, key=lambda point: point[0])
        price = history[index - 1][1] if index else ZERO
        return price if price > 0 else self.ceiling_usd(run)

    def compute_usd(self, run: Run, until: datetime) -> Decimal:
        """What a run costs from its start to `until`, integrated over every price change in between."""
        until = max(until, run.started_at + MINIMUM_RUN)
        history = self.spot.get((run.zone or "", run.instance_type), ()) if run.is_spot else ()
        turns = [at for at, _ in history if run.started_at < at < until]
        total = ZERO
        for begin, end in zip([run.started_at, *turns], [*turns, until], strict=True):
            total += self.hourly_usd(run, begin) * hours(end - begin)
        return total

    def _listed(self, region: str | None) -> Mapping[str, Told]:
        known = self.listed.get(region or "")
        return known.on_demand if known else {}

    def _told(self, instance_type: str, region: str | None) -> Told | None:
        told = self._listed(region).get(instance_type)
        return told if told and told.usd > 0 else None


def assumed_rates(region: str | None) -> Rates:
    """us-east-1's, doubled in regions that may be dearer."""
    factor = _factor(region)
    return US_EAST_1 if factor == 1 else US_EAST_1.times(factor)


def _factor(region: str | None) -> Decimal:
    """How many times the table's price is assumed in a region that told none."""
    return Decimal(1) if region is None or region in AS_CHEAP_AS_THE_TABLE else ABROAD
