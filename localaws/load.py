"""How hard a box works over time, and the samples an agent on it would send. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

Percent = float
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


AGGREGATED, BY_GPU, BY_HOST = "aggregated", "by-gpu", "by-host"


class Stretch(Protocol):
    """A time in which the box was running."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Level:
    """The load from one moment on. `gpu` None: no samples; a tuple: one figure a GPU, in their order."""

    gpu: Percent | tuple[Percent, ...] | None = 0.0
    cpu: Percent | None = 2.0
    period: int = 60
    agent: str = AGGREGATED
    """How its CloudWatch agent names GPU use: also by InstanceId alone, by GPU and InstanceId, or by GPU and host."""
    network_mib: float = 0.0
    disk_mib: float = 0.0
    """Received, and written to EBS, in each sample's period."""

    @property
    def busiest_gpu(self) -> Percent | None:
        return max(self.gpu) if isinstance(self.gpu, tuple) else self.gpu

    def gpu_at(self, index: int) -> Percent | None:
        """The figure of one GPU; None where it has no samples."""
        if isinstance(self.gpu, tuple):
            return self.gpu[index] if index < len(self.gpu) else None
        return self.gpu


class LoadHistory:
    """The levels of one box in order of time."""

    def __init__(self, at: datetime, level: Level | None = None) -> None:
        self._times = [at]
        self._levels = [level or Level()]
        self.is_told = False
        """The box posts heartbeats, where its user data has the script for it."""

    @property
    def latest(self) -> Level:
        return self._levels[-1]

    @property
    def changes(self) -> list[tuple[datetime, Level]]:
        """Every level with the moment from which it holds."""
        return list(zip(self._times, self._levels, strict=True))

    def set(self, at: datetime, **changes: object) -> Level:
        """From `at` on these fields of the level are different; `at` is never before the last change."""
        level = replace(self.latest, **changes)  # type: ignore[arg-type]
        if self._times[-1] == at:
            self._levels[-1] = level
        else:
            self._times.append(at)
            self._levels.append(level)
        return level

    def samples(
        self, start: datetime, end: datetime, runs: Sequence[Stretch]
    ) -> Iterator[tuple[datetime, Level]]:
        """The moments in [start, end) at which the box would have sent a sample, with its level then.

        Samples fall on whole multiples of the period, as CloudWatch's own time stamps do, and only while it runs.
        """
        for run in runs:
            low = max(start, run.start)
            high = end if run.end is None else min(end, run.end)
            # The first level also holds for anything before it was noted.
            index = max(0, bisect_right(self._times, low) - 1)
            while index < len(self._times) and low < high:
                until = self._times[index + 1] if index + 1 < len(self._times) else high
                level = self._levels[index]
                yield from ((moment, level) for moment in _ticks(low, min(high, until), level.period))
                low, index = max(low, until), index + 1


def _ticks(start: datetime, end: datetime, period: int) -> Iterator[datetime]:
    step = timedelta(seconds=period)
    moment = align_up(start, period)
    while moment < end:
        yield moment
        moment += step


def align_down(when: datetime, period: int) -> datetime:
    """The last whole multiple of `period` seconds at or before `when`."""
    seconds = int((when - EPOCH).total_seconds())
    return EPOCH + timedelta(seconds=seconds - seconds % period)


def align_up(when: datetime, period: int) -> datetime:
    """The first whole multiple of `period` seconds at or after `when`."""
    down = align_down(when, period)
    return down if down == when else down + timedelta(seconds=period)
