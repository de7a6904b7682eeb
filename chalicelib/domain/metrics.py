"""Which metrics tell of a box's use, by CloudWatch's names; a metric is asked for with exactly the dimensions it has.

The agent sends one metric a GPU, with whatever dimensions its configuration adds, and one by InstanceId alone only
where it aggregates. CloudWatch bills by the metric asked for, and for those inside an expression or a search as well,
so the cheapest right question is the fewest metrics that cover every GPU.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.instance import Instance
from chalicelib.domain.outside import PERIOD, Signal

Dimensions = tuple[tuple[str, str], ...]
"""Names and values, sorted by name."""

GPU_NAMESPACE, GPU_METRIC = "CWAgent", "nvidia_smi_utilization_gpu"
LISTED_AFTER = timedelta(minutes=15)
"""How long CloudWatch may take to list a new metric (API reference, ListMetrics): GPUs that have sent for less may not
be all there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric, how its samples are put together, and over which period."""

    namespace: str
    name: str
    dimensions: Dimensions
    statistic: str
    period: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    """The metrics of one box's GPUs as CloudWatch has listed them, the one that worked last first, for the run that
    began at `launched_at`. Good for seeing work; before their silence is believed they are listed anew."""

    dimensions: tuple[Dimensions, ...]
    launched_at: datetime | None


def gpu(dimensions: Dimensions) -> Metric:
    """The duty cycle of one GPU, the highest of each minute."""
    return Metric(
        namespace=GPU_NAMESPACE,
        name=GPU_METRIC,
        dimensions=dimensions,
        statistic="Maximum",
        period=timedelta(minutes=1),
    )


def all_gpus(instance_id: str) -> Metric:
    """The highest duty cycle of all of a box's GPUs, where its agent aggregates by InstanceId."""
    return gpu((("InstanceId", instance_id),))


def outside(instance_id: str, signal: Signal) -> tuple[Metric, ...]:
    """What EC2 itself sees of a box."""
    return tuple(
        Metric(
            namespace="AWS/EC2",
            name=name,
            dimensions=(("InstanceId", instance_id),),
            statistic=signal.statistic,
            period=PERIOD,
        )
        for name in signal.metrics
    )


def gpus_of(
    listed: Iterable[Dimensions], boxes: Collection[Instance]
) -> Mapping[str, tuple[Dimensions, ...]]:
    """For each box the fewest of the listed metrics that cover every GPU: those with one and the same set of dimension
    names, by its InstanceId; else, where the agent adds none, by the host's name, if no other box has it."""
    by_id: dict[str, dict[tuple[str, ...], list[Dimensions]]] = defaultdict(lambda: defaultdict(list))
    by_host: dict[str, dict[tuple[str, ...], list[Dimensions]]] = defaultdict(lambda: defaultdict(list))
    for dimensions in sorted(set(listed)):
        names, values = tuple(name for name, _ in dimensions), dict(dimensions)
        if "InstanceId" in values:
            by_id[values["InstanceId"]][names].append(dimensions)
        elif "host" in values:
            by_host[_label(values["host"])][names].append(dimensions)
    hosts = [_label(box.private_dns) for box in boxes if box.private_dns]
    found: dict[str, tuple[Dimensions, ...]] = {}
    for box in boxes:
        host = _label(box.private_dns) if box.private_dns else ""
        ways = by_id.get(box.id) or (by_host.get(host) if hosts.count(host) == 1 else None)
        if ways:
            found[box.id] = min((tuple(way) for way in ways.values()), key=len)
    return found


def _label(host: str) -> str:
    return host.partition(".")[0].lower()
