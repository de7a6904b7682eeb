"""Due times: CloudWatch is asked seldom, and every verdict comes at the minute at which it came if it were asked always."""

import csv
import gzip
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.case import Effect, Verdict
from chalicelib.domain.decide import decide
from chalicelib.domain.due import LATE_SAMPLES
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.evidence import Beat, Evidence, Series, Use
from chalicelib.domain.learned import Learned
from chalicelib.domain.lease import Charge, Lease
from chalicelib.domain.meter import Cost
from chalicelib.domain.metrics import Dimensions, Metric
from chalicelib.domain.plan import plan
from chalicelib.domain.policy import Policy
from chalicelib.usecases import report
from chalicelib.usecases.evidence import remember, with_evidence
from tests.builders import (
    BOX,
    HOUR,
    MINUTE,
    REGION,
    Stage,
    adopted,
    at,
    box,
    budget,
    case,
    idle_since,
    lease,
    minutes,
    policy,
    state,
    usd,
    with_order,
)
from tests.doubles.memory_ports import START
from tests.doubles.memory_store import MemoryStore

DATA = Path(__file__).parents[2] / os.environ.get("CURFEW_DATA_DIR", "../shared/data")
DUTY = DATA / "gpu-duty" / "gpu_duty_1min.csv.gz"
Story = list[tuple[Effect, bool]]
NOTHING = Cost()


class Forgetful(MemoryStore):
    """A table that keeps no evidence, so that every sweep asks."""

    def learned(self) -> tuple[Learned, ...]:
        return ()


@dataclass
class Trace:
    """The samples of one box, each with the moment from which CloudWatch shows it: of all of its GPUs together, or, with
    `gpus` of them, of each alone, the last of which is the one that works. `cpu`: the same of its CPU."""

    samples: Sequence[tuple[datetime, float, datetime]] = ()
    gpus: int = 0
    cpu: Sequence[tuple[datetime, float, datetime]] = ()
    clock: datetime = START
    asked: int = 0

    def gpu_use(
        self, region: str, instance_ids: Collection[str], *, since: datetime, until: datetime
    ) -> Mapping[str, tuple[Series, ...]]:
        del region
        self.asked += len(instance_ids)
        seen = () if self.gpus else self._shown(self.samples, since, until)
        return dict.fromkeys(instance_ids, (Series(source="GPU", samples=seen),) if seen else ())

    def read(
        self, region: str, wanted: Collection[Metric], *, since: datetime, until: datetime
    ) -> Mapping[Metric, tuple[tuple[datetime, float], ...]]:
        del region
        self.asked += len(wanted)
        return {metric: self._of(metric, since, until) for metric in wanted}

    def list_gpus(self, region: str) -> tuple[Dimensions, ...]:
        del region
        is_sent = any(shown_at <= self.clock for _, _, shown_at in self.samples)
        return tuple((("InstanceId", BOX), ("index", str(n))) for n in range(self.gpus)) if is_sent else ()

    def _of(self, metric: Metric, since: datetime, until: datetime) -> tuple[tuple[datetime, float], ...]:
        if metric.namespace == "AWS/EC2":
            told = self._shown(self.cpu, since, until)
            return told if metric.name == "CPUUtilization" else tuple((t, 0.0) for t, _ in told)
        told = self._shown(self.samples, since, until)
        is_last = dict(metric.dimensions)["index"] == str(self.gpus - 1)
        return told if is_last else tuple((t, 0.0) for t, _ in told)

    def _shown(
        self, samples: Sequence[tuple[datetime, float, datetime]], since: datetime, until: datetime
    ) -> tuple[tuple[datetime, float], ...]:
        return tuple(
            (t, value) for t, value, shown_at in samples if since <= t < until and shown_at <= self.clock
        )


@dataclass
class Life:
    """What happens to a box: its samples, when it starts again, how the policy changes, and who keeps it by link from
    which minute for how long."""

    samples: Sequence[tuple[datetime, float, datetime]]
    length: int
    starts: Mapping[int, datetime] = field(default_factory=dict)
    policies: Mapping[int, Policy] = field(default_factory=dict)
    own_after: timedelta | None = None
    offset: timedelta = timedelta(0)
    gpus: int = 0
    cpu: Sequence[tuple[datetime, float, datetime]] = ()
    beats: Sequence[Beat] = ()
    snoozes: Mapping[int, timedelta] = field(default_factory=dict)


def lived(life: Life, store: MemoryStore) -> tuple[Story, int]:
    """A sweep a minute, as far as idleness goes: each minute's effect and whether a warning stands, and what was asked."""
    trace = Trace(life.samples, life.gpus, life.cpu)
    services = replace(Stage(store=store).services, metrics=trace)
    its_lease: Lease = with_order(lease(expires_at=at("09:00", day=9)), idle_after=life.own_after)
    policy_now, started_at = Policy(), START
    story: Story = []
    for number in range(life.length):
        now = trace.clock = START + number * MINUTE + life.offset
        policy_now = life.policies.get(number, policy_now)
        started_at = life.starts.get(number, started_at)
        if number in life.snoozes:
            others = {rule: at for rule, at in its_lease.warned_at.items() if rule != "idle"}
            its_lease = replace(its_lease, snoozed_until=now + life.snoozes[number], warned_at=others)
        heard = tuple(one for one in life.beats if one.heard_at <= now)
        seen = case(
            now,
            lease=its_lease,
            policy=policy_now,
            instances=(box(launched_at=started_at),),
            cost=NOTHING,
            beats={BOX: heard} if heard else {},
        )
        (asked,), _ = with_evidence(services, (seen,), ask=True)
        verdict = decide(asked)
        intent = plan((verdict,), policy_now)
        warned = dict(its_lease.warned_at)
        for _, finding in intent.taken_back:
            warned.pop(finding.rule)
        warned |= {finding.rule: now for _, finding in intent.warnings}
        if warned != its_lease.warned_at:
            its_lease = replace(its_lease, warned_at=warned)
        remember(services, (verdict,), now)
        story.append((verdict.effect, "idle" in warned))
        if verdict.effect is Effect.END:
            break
    return story, trace.asked


def same_at_every_minute(life: Life) -> tuple[int, int]:
    """Lives it twice; how often CloudWatch was asked lazily, and every minute."""
    lazy, asked = lived(life, MemoryStore())
    always, polled = lived(life, Forgetful())
    assert lazy == always
    return asked, polled


Kind = tuple[str, int]
stretches: st.SearchStrategy[list[Kind]] = st.lists(
    st.tuples(st.sampled_from(["busy", "silent", "away", "patchy"]), st.integers(1, 90)),
    min_size=1,
    max_size=8,
)


def sampled(
    told: Sequence[Kind], random: Random, *, interval: int, latest: int, busy: float = 80.0
) -> list[tuple[datetime, float, datetime]]:
    """The samples of work, silence and holes, up to so many minutes late."""
    samples, minute = [], 0
    for kind, length in told:
        for _ in range(length):
            minute += 1
            is_sent = (
                kind != "away" and minute % interval == 0 and (kind != "patchy" or random.random() < 0.7)
            )
            if is_sent:
                shown_at = START + (minute + 1 + random.random() * latest) * MINUTE
                samples.append((START + minute * MINUTE, busy if kind == "busy" else 0.0, shown_at))
    return samples


def beaten(told: Sequence[Kind]) -> list[Beat]:
    """What a box posts of work and silence: at each change and every 15 minutes, nothing while it is away."""
    beats, minute = [], 0
    for kind, length in told:
        for since in range(minute, minute + length, 15):
            until = START + min(since + 15, minute + length) * MINUTE
            if kind != "away":
                beats.append(
                    Beat(since=START + since * MINUTE, until=until, is_busy=kind == "busy", heard_at=until)
                )
        minute += length
    return beats


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Some hours of work, silence and holes, at any interval, with samples that come late."""
    random = draw(st.randoms(use_true_random=False))
    told = draw(stretches)
    samples = sampled(
        told, random, interval=draw(st.sampled_from([1, 1, 2, 5])), latest=draw(st.sampled_from([0, 2, 5]))
    )
    length = sum(length for _, length in told) + 90
    afters = st.sampled_from([policy(idle={"after": f"PT{n}M"}) for n in (10, 20, 60, 90)])
    coverages = st.sampled_from(
        [policy(idle={"coverage": c, "gpu_below_percent": p}) for c in (0, 0.5, 1) for p in (1, 90)]
    )
    leads = st.sampled_from([policy(idle={"warn_before": "PT0S"}), policy(idle={"after_launch": "PT2H"})])
    whens = st.integers(0, length)
    restarts = draw(st.lists(whens, max_size=2))
    return Life(
        samples=samples,
        length=length,
        starts={number: START + number * MINUTE for number in restarts},
        policies=draw(st.dictionaries(whens, afters | coverages | leads, max_size=3)),
        own_after=draw(st.none() | st.integers(5, 60).map(minutes)),
        offset=timedelta(seconds=draw(st.integers(0, 59))),
        snoozes=draw(st.dictionaries(whens, st.sampled_from([HOUR, 4 * HOUR]), max_size=2)),
    )


@st.composite
def told_lives(draw: st.DrawFn) -> Life:
    """The same of a box of several sources, each with work, silence and holes of its own."""
    life = draw(lives())
    random = draw(st.randoms(use_true_random=False))
    cpu = draw(st.none() | stretches)
    heard = draw(st.none() | stretches)
    keys = [{"after": f"PT{n}M", "cpu_evidence": use} for n in (10, 20, 60) for use in ("use", "ignore")]
    first = policy(idle=draw(st.sampled_from(keys)) | draw(st.sampled_from([{}, {"warn_before": "PT0S"}])))
    return replace(
        life,
        gpus=draw(st.sampled_from([0, 1, 3])),
        cpu=sampled(cpu, random, interval=5, latest=5, busy=50.0) if cpu else (),
        beats=beaten(heard) if heard else (),
        policies={0: first, **life.policies},
    )


@given(life=lives())
@settings(max_examples=40)
def test_asking_only_when_due_decides_as_asking_every_minute(life: Life) -> None:
    """The same effect, and the same warning, in each minute, whatever comes late, is missing, starts again or changes."""
    asked, polled = same_at_every_minute(life)
    assert asked <= polled


@given(life=told_lives())
@settings(max_examples=40)
def test_asking_several_sources_only_when_due_decides_as_asking_every_minute(life: Life) -> None:
    """Also with metrics a GPU, CPU, network and disk, and what the box tells itself."""
    same_at_every_minute(life)


def test_a_box_that_works_is_asked_about_once_an_idle_window() -> None:
    """Work seen now rules a warning out for 50 min: 5 questions in five hours instead of 250."""
    working = tuple((at("09:00") + n * MINUTE, 80.0, at("09:00") + (n + 1) * MINUTE) for n in range(300))
    asked, polled = same_at_every_minute(Life(working, 300))
    assert (asked, polled) == (5, 250)


def test_a_box_without_metrics_is_asked_about_until_its_window_could_be_covered() -> None:
    """An agent may be installed at any time: as soon as what it sends could prove silence, it is asked."""
    asked, polled = same_at_every_minute(Life((), 300))
    assert (asked, polled) == (18, 250)


def test_work_after_a_warning_is_seen_at_once_though_the_samples_stopped_between() -> None:
    """While a warning stands every minute is asked about, also when all that is known says it could wait."""
    silent = [(at("09:00") + n * MINUTE, 0.0, at("09:01") + n * MINUTE) for n in range(55)]
    back = [(at("10:40") + n * MINUTE, 80.0, at("10:41") + n * MINUTE) for n in range(30)]
    story, _ = lived(Life([*silent, *back], 130), MemoryStore())
    assert [is_warned for _, is_warned in story].index(True) == 50
    assert [is_warned for _, is_warned in story][50:].index(False) == 51
    same_at_every_minute(Life([*silent, *back], 130))


def test_a_table_that_keeps_nothing_costs_questions_and_no_verdict() -> None:
    """Neither reading nor writing what is remembered may fail a sweep."""
    stage = Stage()
    idle = stage.launch()
    stage.works(idle.instance_ids[0], 0, since=at("09:00"), until=at("20:00"))
    for _ in range(99):
        stage.store.inject("learned", Unavailable("gone"))
        stage.store.inject("learn", Unavailable("gone"))
    stage.until(at("10:00"))
    assert stage.receipt(idle.id).cause == "idle"


def test_what_could_not_be_asked_is_asked_again_in_a_minute() -> None:
    """No answer is no evidence, also where a longer silence was known."""
    stage = Stage()
    working = stage.launch()
    stage.works(working.instance_ids[0], 80, since=at("09:00"), until=at("20:00"))
    stage.metrics.fail(REGION)
    stage.until(at("09:55"))
    assert len(stage.metrics.calls) == 6
    stage.metrics.failing.clear()
    stage.until(at("10:30"))
    assert len(stage.metrics.calls) == 7


def test_a_view_asks_nothing_and_says_when_the_sweep_did() -> None:
    """Polled a hundred times, it costs nothing; before the first sweep that asks, it says so."""
    stage = Stage()
    working = stage.launch()
    stage.works(working.instance_ids[0], 80, since=at("09:00"), until=at("20:00"))
    stage.until(at("09:49"))
    stage.clock.advance(MINUTE)
    assert "not asked yet" in evidence_shown(stage, working).reason
    stage.sweep()
    asked = list(stage.metrics.calls)
    stage.clock.advance(5 * MINUTE)
    for _ in range(100):
        shown = evidence_shown(stage, working)
    assert (shown.use, shown.asked_at) == (Use.BUSY, at("09:50"))
    assert stage.metrics.calls == asked


def evidence_shown(stage: Stage, of: Lease) -> Evidence:
    verdict = report.lease(stage.services, of.id).verdict
    assert verdict is not None
    assert [one.verdict.case.evidence for one in report.instances(stage.services).items] == [
        verdict.case.evidence
    ]
    return verdict.case.evidence


@given(
    spent=st.tuples(st.integers(0, 40), st.integers(0, 30)),
    rate=st.tuples(st.decimals(0, 8, places=2), st.decimals(0, 4, places=2)),
    when=st.tuples(st.integers(0, 1000), st.integers(1, 600)),
    make=st.sampled_from([lease, adopted]),
)
@settings(max_examples=100)
def test_no_verdict_changes_before_it_is_due(
    spent: tuple[int, int], rate: tuple[Decimal, Decimal], when: tuple[int, int], make: Callable[..., Lease]
) -> None:
    """While nothing happens but time and money, each rule says the same until the verdict's `due_at`: every seventh minute,
    and each of the last twenty."""
    (own, others), (hourly, dearer), (now, expires_in) = spent, rate, when
    begin = START + now * MINUTE
    its_lease = make(expires_at=begin + expires_in * MINUTE, requested_at=begin)
    of = budget(limit=60)
    its_lease = replace(
        its_lease, charges=(Charge(budget=of.name, period_key="2026-11", amount_usd=usd(10)),)
    )

    def judged(after: int) -> Verdict:
        accrued = usd(own) / 4 + hourly * after / 60
        return decide(
            case(
                begin + after * MINUTE,
                lease=its_lease,
                cost=Cost(compute_usd=accrued, hourly_usd=hourly, ceiling_usd=hourly + dearer),
                budgets=(state(of),),
                spent_usd={of.name: usd(others) + accrued},
                burning_usd={of.name: hourly + dearer},
                evidence=replace(idle_since(begin), due_at=begin + 50 * MINUTE),
            )
        )

    first = judged(0)
    assert first.due_at is not None
    last = min(1200, int((first.due_at - begin) / MINUTE - 0.001))
    for after in {*range(0, last, 7), *range(max(0, last - 20), last + 1)}:
        if begin + after * MINUTE < first.due_at:
            assert effects(judged(after)) == effects(first)


def effects(verdict: Verdict) -> list[tuple[str, Effect]]:
    return [(finding.rule, finding.effect) for finding in verdict.findings]


def test_what_ends_is_due_now_and_what_is_spared_when_its_shield_lapses() -> None:
    """A protected box is looked at again when its protection is over."""
    ending = decide(case(at("17:00")))
    assert (ending.effect, ending.due_at) == (Effect.END, at("17:00"))
    protected = box(tags={"curfew:protect": at("12:00").isoformat()})
    silent = lease(warned_at={"idle": at("10:00")})
    spared = decide(case(at("11:00"), lease=silent, instances=(protected,), evidence=idle_since(at("09:00"))))
    assert (spared.effect, spared.due_at) == (Effect.WARN, at("12:00"))


@pytest.mark.skipif(not DUTY.exists(), reason="no real duty cycles at CURFEW_DATA_DIR")
@pytest.mark.parametrize("number", range(0, 143, 29))
def test_real_boxes_are_judged_at_the_same_minute(number: int) -> None:
    """Real duty cycles, with their holes, for half a day each."""
    duty: dict[str, list[tuple[int, float]]] = defaultdict(list)
    with gzip.open(DUTY, "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            duty[row["pod"]].append((int(row["minute"]), float(row["percent"])))
    random = Random(number)
    pod = sorted(duty)[number % len(duty)]
    samples = [
        (START + m * MINUTE, gpu, START + (m + 1) * MINUTE + random.random() * LATE_SAMPLES)
        for m, gpu in duty[pod]
    ]
    asked, polled = same_at_every_minute(Life(samples, 12 * 60))
    assert asked <= polled
