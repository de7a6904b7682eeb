"""Metric series of the world's boxes: CPU, traffic and EBS from EC2, GPU use from the CloudWatch agent.

Sources: CloudWatch guide, "Collect NVIDIA GPU metrics" (nvidia_smi_utilization_gpu in CWAgent with dimensions index,
name, arch; by InstanceId alone where the agent aggregates) and EC2 guide, "List the available CloudWatch metrics".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from statistics import fmean

from moto.ec2.models.instance_types import INSTANCE_TYPES

from localaws.load import AGGREGATED, BY_HOST, Level, align_down
from localaws.model import Box

EC2_CPU = ("AWS/EC2", "CPUUtilization")
EC2_NETWORK_OUT = ("AWS/EC2", "NetworkOut")
EC2_NETWORK_IN = ("AWS/EC2", "NetworkIn")
EBS_READ, EBS_WRITE = ("AWS/EC2", "EBSReadBytes"), ("AWS/EC2", "EBSWriteBytes")
BYTES = frozenset({EC2_NETWORK_IN[1], EC2_NETWORK_OUT[1], EBS_READ[1], EBS_WRITE[1]})
GB, MIB = 2**30, 2**20
AGENT_GPU = ("CWAgent", "nvidia_smi_utilization_gpu")
NAMESPACES = frozenset({EC2_CPU[0], AGENT_GPU[0]})
ARCH = "x86_64"
STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "Maximum": max,
    "Minimum": min,
    "Average": fmean,
    "Sum": sum,
    "SampleCount": lambda values: float(len(values)),
}


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one box; `index` is the GPU, None for all of them together; `by_host`: named by the host instead of
    the instance, as by an agent that appends no dimensions."""

    namespace: str
    name: str
    box: Box
    index: int | None = None
    by_host: bool = False

    @property
    def dimensions(self) -> dict[str, str]:
        mine = {"host": str(self.box.moto.private_dns_name)} if self.by_host else {"InstanceId": self.box.id}
        if self.index is not None:
            mine |= {"index": str(self.index), "name": gpu_name(self.box.type), "arch": ARCH}
        return mine

    def values(self, level: Level) -> list[float]:
        """What one sample holds: the aggregated GPU metric takes every GPU's figure in."""
        if self.name == EC2_CPU[1]:
            return [] if level.cpu is None else [level.cpu]
        if self.name in {EC2_NETWORK_OUT[1], EBS_READ[1]}:  # what is sent besides is no matter of load
            return [0.0]
        if self.name == EC2_NETWORK_IN[1]:
            return [level.network_mib * MIB]
        if self.name == EBS_WRITE[1]:
            return [level.disk_mib * MIB]
        if self.by_host != (level.agent == BY_HOST) or (self.index is None and level.agent != AGGREGATED):
            return []
        indices = range(gpu_count(self.box.type)) if self.index is None else [self.index]
        figures = (level.gpu_at(index) for index in indices)
        return [figure for figure in figures if figure is not None]

    @property
    def unit(self) -> str:
        return "Bytes" if self.name in BYTES else "Percent"

    def has_samples(self) -> bool:
        """Whether the box sends this metric at present."""
        return bool(self.box.runs) and bool(self.values(self.box.load.latest))


def series_of(box: Box) -> Iterator[Series]:
    """Every series a box can have."""
    yield Series(*EC2_CPU, box)
    yield from (Series(*each, box) for each in (EC2_NETWORK_OUT, EC2_NETWORK_IN, EBS_READ, EBS_WRITE))
    yield Series(*AGENT_GPU, box)
    for index in range(gpu_count(box.type)):
        yield from (Series(*AGENT_GPU, box, index, by_host) for by_host in (False, True))


def find_series(
    boxes: Callable[[dict[str, str]], Box | None], namespace: str, name: str, dimensions: dict[str, str]
) -> Series | None:
    """The series with exactly these dimensions; a subset of them is another metric, as in CloudWatch."""
    box = boxes(dimensions)
    if box is None:
        return None
    wanted = (namespace, name, dimensions)
    return next((one for one in series_of(box) if (one.namespace, one.name, one.dimensions) == wanted), None)


def datapoints(
    series: Series, start: datetime, end: datetime, period: int, statistic: str
) -> Iterable[tuple[datetime, float]]:
    """The statistic by period in [start, end), oldest first; periods without a sample have no point."""
    combine = STATISTICS[statistic]
    samples = _traffic(series, start, end) if series.name == EC2_NETWORK_OUT[1] else _load(series, start, end)
    buckets: dict[datetime, list[float]] = {}
    for moment, values in samples:
        if values:
            buckets.setdefault(align_down(moment, period), []).extend(values)
    return [(moment, combine(values)) for moment, values in buckets.items()]


def _load(series: Series, start: datetime, end: datetime) -> Iterator[tuple[datetime, list[float]]]:
    for moment, level in series.box.load.samples(start, end, series.box.runs):
        yield moment, series.values(level)


def _traffic(series: Series, start: datetime, end: datetime) -> Iterator[tuple[datetime, list[float]]]:
    """What was sent in each minute, or five, of the running time; a sample carries the start of its period."""
    box = series.box
    sums = {moment: 0.0 for moment, _ in box.load.samples(start, end, box.runs)}
    for at, gb in box.sent:
        if start <= at < end:
            moment = align_down(at, box.load.latest.period)
            sums[moment] = sums.get(moment, 0.0) + float(gb * GB)
    yield from ((moment, [total]) for moment, total in sorted(sums.items()))


@lru_cache
def gpu_count(instance_type: str) -> int:
    """How many GPUs a type has; one where moto does not know it."""
    gpus = INSTANCE_TYPES.get(instance_type, {}).get("GpuInfo", {}).get("Gpus", [])
    return sum(gpu.get("Count", 0) for gpu in gpus) or 1


@lru_cache
def gpu_name(instance_type: str) -> str:
    gpus = INSTANCE_TYPES.get(instance_type, {}).get("GpuInfo", {}).get("Gpus", [])
    return " ".join(("NVIDIA", gpus[0]["Name"])) if gpus else "NVIDIA GPU"
