"""What EC2 sees of a box from outside: CPU, network and disk. Asked only where `idle.cpu_evidence` is `use`.

CPU is no proxy for a GPU: training runs at 2-10 % of it, and real boxes sat below 5 % for 41 h and worked again. So it
takes all three to be quiet, for `LONGER` times `idle.after`: of 155 real lulls of one box 56 lasted an hour, 8 lasted
six (docs/idle.md). Any of them that is not quiet is a sign of work, whatever the GPUs say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

from chalicelib.domain.evidence import (
    FRESH_INTERVALS,
    LONGEST_INTERVAL,
    SHORTEST_INTERVAL,
    Evidence,
    Series,
    Use,
    highest_at_each_time,
    interval_of,
    unknown,
    whole_minutes,
)
from chalicelib.domain.policy import IdlePolicy

LONGER = 6
SHORTEST = timedelta(hours=1)
PERIOD = timedelta(minutes=5)
"""EC2 sends these every five minutes without detailed monitoring; with it they are added up."""
MINUTE = timedelta(minutes=1)
MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One of the three: its metrics (those that EC2 has for a box; each by itself has to be quiet), and from which
    value in five minutes on it is work. `statistic` is CloudWatch's word for how a period is put together."""

    name: str
    metrics: tuple[str, ...]
    statistic: str
    busy_from: float


CPU = Signal(name="CPU", metrics=("CPUUtilization",), statistic="Maximum", busy_from=5.0)
NETWORK = Signal(name="network", metrics=("NetworkIn", "NetworkOut"), statistic="Sum", busy_from=5.0 * MIB)
DISK = Signal(
    name="disk",
    metrics=("EBSReadBytes", "EBSWriteBytes", "DiskReadBytes", "DiskWriteBytes"),
    statistic="Sum",
    busy_from=20.0 * MIB,
)
"""EBS as Nitro reports it, and disks of the instance; which there are depends on the type."""
SIGNALS = (CPU, NETWORK, DISK)
"""In the order in which they are asked: what CPU has shown busy needs no other."""

NOTHING = Series(source="", samples=())

Told = Mapping[str, tuple[Series, ...]]
"""What CloudWatch said of each signal, by its name; none where it was not asked or has no such metric."""


def window(idle: IdlePolicy) -> timedelta:
    """How long all three have to be quiet."""
    return max(LONGER * idle.after, SHORTEST)


def of_outside(told: Told, *, idle: IdlePolicy, running_since: datetime, now: datetime) -> Evidence:
    """The use of one box as EC2 sees it: idle only where it has run for the whole window and all three are quiet."""
    start = now - window(idle)
    parts = [_of_signal(signal, told.get(signal.name, ()), start, idle, now) for signal in SIGNALS]
    worked_at = max((part.worked_at for part in parts if part.worked_at), default=None)
    busy = [part for part in parts if part.use is Use.BUSY]
    if busy:
        return replace(busy[0], worked_at=worked_at)
    if worked_at:
        quiet_for = whole_minutes(now - worked_at)
        why = f"CPU, network and disk: at work {quiet_for} min ago, less than {whole_minutes(window(idle))}"
        return replace(unknown(why), worked_at=worked_at)
    lacking = [part.reason for part in parts if part.use is Use.UNKNOWN]
    if lacking:
        return unknown("; ".join(lacking))
    if running_since > start:
        return unknown(f"CPU, network and disk: it runs for less than {whole_minutes(window(idle))} min")
    return Evidence(
        use=Use.IDLE, since=start, reason=f"CPU, network and disk quiet for {whole_minutes(now - start)} min"
    )


def quiet_at(told: Told, *, idle: IdlePolicy, running_since: datetime, now: datetime) -> datetime:
    """The earliest moment at which all three could have been quiet for the whole window. Never too late for samples
    that are still to come."""
    length = window(idle)
    moments = [now + MINUTE, running_since + length]
    for signal in SIGNALS:
        each = told.get(signal.name)
        if each is None:
            continue
        moments += [at + SHORTEST_INTERVAL + length for at in work(signal, each)]
        moments += [_covered_at(one, length, idle, now) for one in each or (NOTHING,)]
    return max(moments)


def work(signal: Signal, told: Iterable[Series]) -> list[datetime]:
    """When it was not quiet."""
    return [at for one in told for at, value in one.samples if value >= signal.busy_from]


def _of_signal(
    signal: Signal, told: Sequence[Series], start: datetime, idle: IdlePolicy, now: datetime
) -> Evidence:
    if not told:
        return unknown(f"{signal.name}: no metric")
    parts = [_of_metric(signal, one, start, idle, now) for one in told]
    worked_at = max((part.worked_at for part in parts if part.worked_at), default=None)
    for use in (Use.BUSY, Use.UNKNOWN, Use.IDLE):
        found = next((part for part in parts if part.use is use), None)
        if found:
            return replace(found, worked_at=worked_at)
    raise AssertionError(told)


def _of_metric(signal: Signal, series: Series, start: datetime, idle: IdlePolicy, now: datetime) -> Evidence:
    samples = highest_at_each_time(series, since=start - LONGEST_INTERVAL, until=now)
    interval = interval_of(samples)
    samples = [(at, value) for at, value in samples if at + interval > start]
    worked = [at for at, value in samples if value >= signal.busy_from]
    worked_at = min(now, worked[-1] + interval) if worked else None
    if len(samples) < 2:  # noqa: PLR2004 (an interval needs two samples)
        return replace(unknown(f"{series.source}: {len(samples)} samples"), worked_at=worked_at)
    newest, expected = samples[-1][0], max(1, (now - start) // interval)
    if now - newest > FRESH_INTERVALS * interval:
        late = unknown(f"{series.source}: the newest sample is {whole_minutes(now - newest)} min old")
        return replace(late, worked_at=worked_at)
    if worked and worked[-1] == newest:
        return Evidence(use=Use.BUSY, reason=f"{series.source} is busy", since=worked_at, worked_at=worked_at)
    if len(samples) < expected * float(idle.coverage):
        few = unknown(f"{series.source}: only {len(samples)} of {expected} samples since {start:%H:%M} UTC")
        return replace(few, worked_at=worked_at)
    return Evidence(use=Use.IDLE, reason=series.source, since=worked_at or start, worked_at=worked_at)


def _covered_at(series: Series, length: timedelta, idle: IdlePolicy, now: datetime) -> datetime:
    """Not before so many samples more could have come, one a minute, as a window of the slowest source needs."""
    known = sum(1 for at in {at for at, _ in series.samples} if now - length - LONGEST_INTERVAL < at <= now)
    missing = ceil(length // LONGEST_INTERVAL * float(idle.coverage)) - known
    return now + max(0, missing - LONGEST_INTERVAL // MINUTE - 1) * MINUTE
