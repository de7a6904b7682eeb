"""What CloudWatch says of boxes of one region, by the fewest metrics that can answer: AWS bills each.

First one metric a box: all of its GPUs together, or the GPU that worked last. Only where that shows no work that
settles the matter the others are asked, and CPU before network and disk.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chalicelib.domain import metrics, outside
from chalicelib.domain.case import Case
from chalicelib.domain.due import LATE_SAMPLES, lead
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.evidence import SHORTEST_INTERVAL, SHORTEST_WINDOW, Series
from chalicelib.domain.instance import Instance
from chalicelib.domain.metrics import LISTED_AFTER, Dimensions, Gpus, Metric
from chalicelib.domain.outside import CPU, DISK, NETWORK, Signal
from chalicelib.ports import Services

GPU = "GPU"
DID_NOT_SAY = "CloudWatch did not say"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is known of one box. `gpus`: its GPUs' own metrics, where it has such; only where `is_complete` their
    silence is that of all of its GPUs. `silence`: why nothing is known, then no series counts."""

    series: tuple[Series, ...] = ()
    told: outside.Told = field(default_factory=dict)
    gpus: Gpus | None = None
    is_complete: bool = True
    silence: str | None = None


class _Unsaid(Exception):
    """CloudWatch did not say something that was asked for: so nothing of the box is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One region's questions: each box with its case, what was listed of its GPUs before, and all that runs there."""

    services: Services
    region: str
    boxes: Sequence[tuple[Case, Instance]]
    seen: Sequence[Instance]
    listed: Mapping[str, Gpus]
    now: datetime

    def answers(self) -> tuple[dict[str, Answer], str | None]:
        """Of each box, all of them silent where nothing can be asked; and what is lacking, for people. Never raises."""
        try:
            found = self._with_outside(self._of_gpus())
        except Unavailable as error:
            return {box.id: Answer(silence=error.detail) for _, box in self.boxes}, error.detail
        return found, next(
            (one.silence for one in found.values() if one.silence not in {None, DID_NOT_SAY}), None
        )

    # -- GPUs --------------------------------------------------------------------------------------------------------

    def _of_gpus(self) -> dict[str, Answer]:
        known = {box.id: gpus for _, box in self.boxes if (gpus := self._listed(box))}
        found = self._aggregated([box.id for _, box in self.boxes if box.id not in known])
        found |= self._by_gpu(known)
        lacking = [(case, box) for case, box in self.boxes if _is_lacking(case, found[box.id])]
        return found | self._listed_anew(lacking, found) if lacking else found

    def _listed(self, box: Instance) -> Gpus | None:
        gpus = self.listed.get(box.id)
        return gpus if gpus and gpus.launched_at == box.launched_at else None

    def _aggregated(self, ids: Sequence[str]) -> dict[str, Answer]:
        if not ids:
            return {}
        told = self.services.metrics.gpu_use(self.region, ids, since=self._since, until=self.now)
        return {one: Answer(series=told[one]) if one in told else Answer(silence=DID_NOT_SAY) for one in ids}

    def _by_gpu(self, known: Mapping[str, Gpus]) -> dict[str, Answer]:
        """The GPU that worked last, and the others of those boxes of which it does not settle the matter."""
        cases = {box.id: case for case, box in self.boxes}
        first = self._read_gpus({one: gpus.dimensions[:1] for one, gpus in known.items()}, known)
        open_to = {
            one: known[one].dimensions[1:]
            for one, answer in first.items()
            if not answer.silence and not _settles(cases[one], _worked(cases[one], answer.series))
        }
        rest = self._read_gpus(open_to, known)
        return first | {
            one: _ordered(replace(answer, series=(*first[one].series, *answer.series)))
            for one, answer in rest.items()
        }

    def _read_gpus(
        self, wanted: Mapping[str, Sequence[Dimensions]], known: Mapping[str, Gpus]
    ) -> dict[str, Answer]:
        told = self._read([metrics.gpu(one) for each in wanted.values() for one in each], self._since)
        found: dict[str, Answer] = {}
        for instance_id, each in wanted.items():
            try:
                series = tuple(_series(_name(one), metrics.gpu(one), told) for one in each)
                found[instance_id] = Answer(series=series, gpus=known.get(instance_id))
            except _Unsaid:
                found[instance_id] = Answer(silence=DID_NOT_SAY, gpus=known.get(instance_id))
        return found

    def _listed_anew(
        self, lacking: Sequence[tuple[Case, Instance]], before: Mapping[str, Answer]
    ) -> dict[str, Answer]:
        """Those boxes by the metrics that CloudWatch lists now for their GPUs. What can't be listed is not known to be
        all there is, so that its silence says nothing."""
        try:
            listed = self.services.metrics.list_gpus(self.region)
        except Unavailable as error:
            return {
                box.id: replace(before[box.id], series=(), silence=error.detail)
                for _, box in lacking
                if before[box.id].gpus
            }
        everything = {box.id: box for box in (*self.seen, *(box for _, box in self.boxes))}
        ways = metrics.gpus_of(listed, everything.values())
        found = {
            box.id: Gpus(dimensions=ways[box.id], launched_at=box.launched_at)
            for _, box in lacking
            if box.id in ways and (before[box.id].gpus or not _is_aggregated(ways[box.id]))
        }
        changed = {one: gpus for one, gpus in found.items() if not _is_same(gpus, before[one].gpus)}
        read = self._read_gpus({one: gpus.dimensions for one, gpus in changed.items()}, changed)
        told = {one: self._judged(_ordered(read.get(one, before[one]))) for one in found}
        return {
            box.id: replace(told.get(box.id, before[box.id]), is_complete=False)
            if _is_unlisted(before[box.id], ways.get(box.id, ()))
            else told.get(box.id, before[box.id])
            for _, box in lacking
        }

    def _judged(self, answer: Answer) -> Answer:
        """Whether these can lack a GPU: all of a box's begin to send together, and are listed some time later."""
        first = min((at for one in answer.series for at, _ in one.samples), default=self.now)
        return replace(answer, is_complete=self.now - first >= LISTED_AFTER)

    # -- CPU, network, disk ------------------------------------------------------------------------------------------

    def _with_outside(self, found: dict[str, Answer]) -> dict[str, Answer]:
        """What EC2 sees of those boxes whose policy counts it, as far as their GPUs do not settle the matter."""
        wanted = {
            box.id: case
            for case, box in self.boxes
            if case.idle_policy.cpu_evidence == "use"
            and not found[box.id].silence
            and not _settles(case, _worked(case, found[box.id].series))
        }
        for signals in ((CPU,), (NETWORK, DISK)):
            try:
                found |= self._seen(wanted, signals, found)
            except Unavailable as error:
                return found | {one: replace(found[one], silence=error.detail) for one in wanted}
            wanted = {one: case for one, case in wanted.items() if not _is_busy_outside(case, found[one])}
        return found

    def _seen(
        self, wanted: Mapping[str, Case], signals: Iterable[Signal], found: Mapping[str, Answer]
    ) -> dict[str, Answer]:
        if not wanted:
            return {}
        asked = {one: {signal: metrics.outside(one, signal) for signal in signals} for one in wanted}
        longest = max(outside.window(case.idle_policy) for case in wanted.values())
        told = self._read(
            [metric for each in asked.values() for some in each.values() for metric in some],
            self.now - longest - LATE_SAMPLES,
        )
        seen: dict[str, Answer] = {}
        for one, each in asked.items():
            try:
                parts = {
                    signal.name: tuple(
                        series for metric in some if (series := _series(metric.name, metric, told)).samples
                    )
                    for signal, some in each.items()
                }
                seen[one] = replace(found[one], told={**found[one].told, **parts})
            except _Unsaid:
                seen[one] = replace(found[one], silence=DID_NOT_SAY)
        return seen

    def _read(
        self, wanted: Sequence[Metric], since: datetime
    ) -> Mapping[Metric, tuple[tuple[datetime, float], ...]]:
        if not wanted:
            return {}
        return self.services.metrics.read(self.region, wanted, since=since, until=self.now)

    @property
    def _since(self) -> datetime:
        longest = max(case.idle_policy.after for case, _ in self.boxes)
        return self.now - max(SHORTEST_WINDOW, longest) - LATE_SAMPLES


def _series(name: str, metric: Metric, told: Mapping[Metric, tuple[tuple[datetime, float], ...]]) -> Series:
    if metric not in told:
        raise _Unsaid
    return Series(source=name, samples=told[metric])


def _is_lacking(case: Case, answer: Answer) -> bool:
    """Nothing was found, or GPUs that may not be all are silent."""
    if answer.silence or _settles(case, _worked(case, answer.series)):
        return False
    return answer.gpus is not None or not any(one.samples for one in answer.series)


def _is_same(gpus: Gpus, before: Gpus | None) -> bool:
    return before is not None and set(gpus.dimensions) == set(before.dimensions)


def _is_unlisted(before: Answer, listed: Sequence[Dimensions]) -> bool:
    """A GPU that goes on sending is not in the list, so the list is not all; or another box has its name, too."""
    known = zip(before.gpus.dimensions, before.series, strict=False) if before.gpus else ()
    names = {tuple(name for name, _ in one) for one in listed}
    return any(
        series.samples
        for one, series in known
        if one not in listed and (not names or tuple(name for name, _ in one) in names)
    )


def _ordered(answer: Answer) -> Answer:
    """With the GPU in front that worked last: the next time it may settle the matter alone."""
    if answer.gpus is None or answer.silence:
        return answer
    worked = [
        max((at.timestamp() for at, percent in one.samples if percent > 0), default=0.0)
        for one in answer.series
    ]
    order = sorted(range(len(worked)), key=lambda number: -worked[number])
    gpus = replace(answer.gpus, dimensions=tuple(answer.gpus.dimensions[number] for number in order))
    return replace(answer, gpus=gpus, series=tuple(answer.series[number] for number in order))


def _name(dimensions: Dimensions) -> str:
    index = dict(dimensions).get("index")
    return f"{GPU} {index}" if index else GPU


def _is_aggregated(ways: Sequence[Dimensions]) -> bool:
    """By InstanceId alone: that was asked already."""
    return [tuple(name for name, _ in one) for one in ways] == [("InstanceId",)]


def _worked(case: Case, series: Iterable[Series]) -> list[datetime]:
    return [
        at for one in series for at, percent in one.samples if percent >= case.idle_policy.gpu_below_percent
    ]


def _settles(case: Case, worked: Sequence[datetime]) -> bool:
    """Whether work that was seen rules out a warning of idleness by itself, whatever else there is to know."""
    idle = case.idle_policy
    lasts = SHORTEST_INTERVAL + idle.after - lead(idle) if worked else timedelta(0)
    return bool(worked) and max(worked) + lasts > case.now


def _is_busy_outside(case: Case, answer: Answer) -> bool:
    """CPU shows work that settles it; or, where the GPUs say nothing, any work at all: not quiet, not idle."""
    worked = outside.work(CPU, answer.told.get(CPU.name, ()))
    knows_gpus = any(one.samples for one in answer.series)
    return bool(answer.silence) or _settles(case, worked) or (bool(worked) and not knows_gpus)
