"""The price book: what a run costs at a moment and over a time.

Spot bills at the spot price as it moves, on-demand by table; both per second with 60 s at least for each start (EC2
pricing). Where the price in force is not known the cap that was sent is assumed, else on-demand, and if that is unknown
too the dearest of its family: an unknown price is never free.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.accelerators import family
from chalicelib.domain.lease import Run
from chalicelib.domain.money import ZERO, hours

MINIMUM_RUN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """On-demand prices by type, and how spot prices moved, by (zone, type): (from when, USD per hour), ascending."""

    on_demand: Mapping[str, Decimal]
    as_of: str
    spot: Mapping[tuple[str, str], tuple[tuple[datetime, Decimal], ...]] = field(default_factory=dict)

    def knows(self, instance_type: str) -> bool:
        """Whether the table has a price for the type."""
        return self.on_demand.get(instance_type, ZERO) > 0

    def on_demand_usd(self, instance_type: str) -> Decimal:
        """USD per hour; for a type that is not in the table the dearest of its family, else of all."""
        if self.knows(instance_type):
            return self.on_demand[instance_type]
        siblings = [usd for name, usd in self.on_demand.items() if family(name) == family(instance_type)]
        return max(siblings or self.on_demand.values())

    def ceiling_usd(self, run: Run) -> Decimal:
        """The most a run can cost an hour."""
        if run.is_spot and run.max_price_usd is not None:
            return run.max_price_usd
        return self.on_demand_usd(run.instance_type)

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
