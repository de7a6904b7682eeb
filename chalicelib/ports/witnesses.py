"""Who tells what boxes do, and who started them."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from chalicelib.domain.creator import Caller
from chalicelib.domain.evidence import Series
from chalicelib.domain.metrics import Dimensions, Metric


class Metrics(Protocol):
    """CloudWatch."""

    def gpu_use(
        self, region: str, instance_ids: Collection[str], *, since: datetime, until: datetime
    ) -> Mapping[str, tuple[Series, ...]]:
        """The GPU duty cycle of each instance, highest per period, as its agent aggregates it: no series where it has
        no such metric, no entry where CloudWatch did not say. Raises Unavailable where it said nothing at all."""

    def read(
        self, region: str, wanted: Collection[Metric], *, since: datetime, until: datetime
    ) -> Mapping[Metric, tuple[tuple[datetime, float], ...]]:
        """The samples of each metric: none where it has none, no entry where CloudWatch did not say. Raises Unavailable
        where it said nothing at all."""

    def list_gpus(self, region: str) -> tuple[Dimensions, ...]:
        """The dimensions of every GPU metric that had samples in the last three hours; a new one may be missing for 15
        minutes. Raises Unavailable."""

    def network_out(
        self, region: str, instance_ids: Collection[str], *, since: datetime, until: datetime
    ) -> Mapping[str, int]:
        """Bytes that each instance has sent, anywhere, between two whole five minutes; 0 where CloudWatch has nothing.
        Raises Unavailable unless all was answered."""


class Trail(Protocol):
    """CloudTrail: who did what, up to 15 minutes late."""

    def started_by(self, region: str, name: str) -> Caller | None:
        """Who started an instance, or made a request, fleet or group, by its id or name; None while that is not known.
        Raises Unavailable."""
