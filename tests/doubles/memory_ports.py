"""Clock, Metrics, Prices and Notifier in memory."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.evidence import Series
from chalicelib.domain.metrics import GPU_METRIC, Dimensions, Metric
from chalicelib.domain.notices import Notice
from chalicelib.domain.prices import ListPrices, PriceBook, region_of

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
ON_DEMAND = {
    "g4dn.xlarge": Decimal("0.526"),
    "g5.xlarge": Decimal("1.006"),
    "g5.12xlarge": Decimal("5.672"),
    "p3.2xlarge": Decimal("3.06"),
    "p5.48xlarge": Decimal("55.04"),
}


class MemoryClock:
    """Stands still until it is moved; sleeping moves it."""

    def __init__(self, now: datetime = START) -> None:
        self.at = now
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> datetime:
        """Move on, and tell the new time."""
        self.at += by
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)

    def elapsed(self) -> float:
        return (self.at - START).total_seconds()


class MemoryMetrics:
    """GPU duty cycles as they were put in with `load`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.failing: set[str] = set()
        self.failing_lists: set[str] = set()
        self.read_calls: list[tuple[str, tuple[Metric, ...]]] = []
        self.listings: list[str] = []
        self.unlisted: set[Dimensions] = set()
        """What ListMetrics leaves out."""
        self._samples: dict[str, dict[datetime, float]] = {}
        self._metrics: dict[Metric, dict[datetime, float]] = {}
        self._sent: dict[str, list[tuple[datetime, int]]] = {}
        self.asked_what_was_sent: list[tuple[str, tuple[str, ...], datetime, datetime]] = []

    def load(
        self,
        instance_id: str,
        percent: float | Iterable[float],
        *,
        since: datetime,
        until: datetime,
        every: timedelta = MINUTE,
    ) -> None:
        """Samples from `since` up to, not at, `until`: one value for all, or one each as long as they last."""
        values = None if isinstance(percent, (int, float)) else iter(percent)
        samples = self._samples.setdefault(instance_id, {})
        at = since
        while at < until:
            value = float(percent) if isinstance(percent, (int, float)) else next(values or iter(()), None)
            if value is None:
                return
            samples[at] = value
            at += every

    def forget(self, instance_id: str, *, since: datetime = LONG_AGO) -> None:
        """A hole: what was sampled since then is missing."""
        kept = {at: value for at, value in self._samples.get(instance_id, {}).items() if at < since}
        self._samples[instance_id] = kept

    def fail(self, region: str) -> None:
        """The region's CloudWatch answers errors from now on; `failing.discard(region)` mends it."""
        self.failing.add(region)

    def gpu_use(
        self, region: str, instance_ids: Collection[str], *, since: datetime, until: datetime
    ) -> Mapping[str, tuple[Series, ...]]:
        self.calls.append((region, tuple(instance_ids)))
        if region in self.failing:
            raise Unavailable(f"CloudWatch in {region}: InternalServiceFault")
        found = {
            one: tuple(
                (at, value) for at, value in sorted(self._samples.get(one, {}).items()) if since <= at < until
            )
            for one in instance_ids
        }
        return {
            one: (Series(source="GPU", samples=samples),) if samples else () for one, samples in found.items()
        }

    def load_metric(self, metric: Metric, values: Iterable[float], *, since: datetime) -> None:
        """Samples of any metric, one a period."""
        known = self._metrics.setdefault(metric, {})
        known.update({since + n * metric.period: value for n, value in enumerate(values)})

    def read(
        self, region: str, wanted: Collection[Metric], *, since: datetime, until: datetime
    ) -> Mapping[Metric, tuple[tuple[datetime, float], ...]]:
        self.read_calls.append((region, tuple(wanted)))
        if region in self.failing:
            raise Unavailable(f"CloudWatch in {region}: InternalServiceFault")
        return {
            one: tuple(
                (at, value) for at, value in sorted(self._metrics.get(one, {}).items()) if since <= at < until
            )
            for one in wanted
        }

    def list_gpus(self, region: str) -> tuple[Dimensions, ...]:
        self.listings.append(region)
        if region in self.failing or region in self.failing_lists:
            raise Unavailable(f"CloudWatch in {region}: InternalServiceFault")
        return tuple(
            one.dimensions
            for one in self._metrics
            if one.name == GPU_METRIC and one.dimensions not in self.unlisted
        )

    def send(self, instance_id: str, sent_bytes: int, *, at: datetime) -> None:
        """An instance sends so much to somewhere."""
        self._sent.setdefault(instance_id, []).append((at, sent_bytes))

    def network_out(
        self, region: str, instance_ids: Collection[str], *, since: datetime, until: datetime
    ) -> Mapping[str, int]:
        self.asked_what_was_sent.append((region, tuple(instance_ids), since, until))
        if region in self.failing:
            raise Unavailable(f"CloudWatch in {region}: InternalServiceFault")
        return {
            one: sum(sent for at, sent in self._sent.get(one, []) if since <= at < until)
            for one in instance_ids
        }


class MemoryPrices:
    """A small price table, and spot histories as they were put in with `set_spot`."""

    def __init__(self, on_demand: Mapping[str, Decimal] | None = None, *, as_of: str = "2026-11-01") -> None:
        self.table = dict(ON_DEMAND if on_demand is None else on_demand)
        self.as_of = as_of
        self.is_down = False
        self.calls: list[tuple[tuple[str, str], ...]] = []
        self.refreshed: list[tuple[tuple[str, str], ...]] = []
        self.kept: list[tuple[tuple[tuple[str, str], ...], datetime]] = []
        self.told: dict[str, ListPrices] = {}
        """What the Pricing API would tell of a region."""
        self._listed: dict[str, ListPrices] = {}
        self._spot: dict[tuple[str, str], dict[datetime, Decimal]] = {}

    def set_spot(self, zone: str, instance_type: str, usd: str | Decimal, *, at: datetime = START) -> None:
        """The spot price from a moment on."""
        self._spot.setdefault((zone, instance_type), {})[at] = Decimal(usd)

    def on_demand(self) -> PriceBook:
        return PriceBook(on_demand=self.table, as_of=self.as_of, listed=dict(self._listed))

    def refresh(
        self, wanted: Collection[tuple[str, str]], *, now: datetime, only_unknown: bool = False
    ) -> tuple[str, ...]:
        self.refreshed.append(tuple(wanted))
        regions = [region for region in dict.fromkeys(region for region, _ in wanted) if region in self.told]
        if self.is_down:
            return tuple(f"GetProducts {region}: InternalErrorException" for region in regions)
        for region in regions:
            if not (only_unknown and region in self._listed):
                self._listed[region] = self.told[region]
        return ()

    def spot_history(
        self, region: str, instance_type: str, *, since: datetime, now: datetime
    ) -> Mapping[str, tuple[tuple[datetime, Decimal], ...]]:
        if self.is_down:
            raise Unavailable(f"spot prices of {region}: InternalError")
        found = {
            zone: _in_force(points, since, now)
            for (zone, name), points in self._spot.items()
            if name == instance_type and region_of(zone) == region
        }
        return {zone: path for zone, path in found.items() if path}

    def spot_now(
        self, region: str, instance_types: Collection[str], *, now: datetime
    ) -> Mapping[str, Mapping[str, Decimal]]:
        told = {name: self.spot_history(region, name, since=now, now=now) for name in instance_types}
        return {
            name: {zone: path[-1][1] for zone, path in paths.items()} for name, paths in told.items() if paths
        }

    def book(
        self, zones: Collection[tuple[str, str]], *, since: datetime, now: datetime, fresh: bool = False
    ) -> PriceBook:
        del fresh
        self.calls.append(tuple(zones))
        known = (
            {}
            if self.is_down
            else {key: _in_force(self._spot[key], since, now) for key in zones if key in self._spot}
        )
        return replace(self.on_demand(), spot={key: path for key, path in known.items() if path})

    def keep(self, zones: Collection[tuple[str, str]], *, since: datetime, now: datetime) -> None:
        self.kept.append((tuple(sorted(zones)), since))


def _in_force(
    points: Mapping[datetime, Decimal], since: datetime, now: datetime
) -> tuple[tuple[datetime, Decimal], ...]:
    """The price in force at `since`, and every change up to `now`."""
    first = max((at for at in points if at <= since), default=since)
    return tuple((at, usd) for at, usd in sorted(points.items()) if first <= at <= now)


class MemoryNotifier:
    """Keeps what it was told to send: `messages` as they came, `sent` with each of their parts alone."""

    def __init__(self, *, is_configured: bool = True) -> None:
        self.sent: list[Notice] = []
        self.tried: list[Notice] = []
        self.messages: list[Notice] = []
        self.is_configured = is_configured
        self._failures = 0
        self._facts: dict[str, Any] = {}

    def fail(self, times: int = 1, **facts: Any) -> None:
        """The next so many sends fail: with this `status`, asking for this `retry_after`."""
        self._failures, self._facts = times, facts

    def send(self, notice: Notice) -> None:
        self.tried.append(notice)
        if self._failures > 0:
            self._failures -= 1
            raise Unavailable(f"Slack answered {self._facts.get('status', 500)}", **self._facts)
        self.sent += notice.parts or [notice]
        self.messages.append(notice)
