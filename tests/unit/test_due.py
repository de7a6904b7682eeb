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
from chalicelib.domain.evidence import Evidence, Series, Use
from chalicelib.domain.learned import Learned
from chalicelib.domain.lease import Charge, Lease
from chalicelib.domain.meter import Cost
from chalicelib.domain.metrics import Dimensions
from chalicelib.domain.plan import plan
from chalicelib.domain.policy import Policy
from chalicelib.usecases import report
from chalicelib.usecases.evidence import remember, with_evidence
from tests.builders import (
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


class Forgetful(MemoryStore):
    """A table that keeps no evidence, so that every sweep asks."""

    def learned(self) -> tuple[Learned, ...]:
        return ()


@dataclass
class Trace:
    """The samples of one box, each with the moment from which CloudWatch shows it."""

    samples: Sequence[tuple[datetime, float, datetime]] = ()
    clock: datetime = START
    asked: int = 0

    def gpu_use(
        self, region: str, instance_ids: Collection[str], *, since: datetime, until: datetime
    ) -> Mapping[str, tuple[Series, ...]]:
        del region
        self.asked += len(instance_ids)
        seen = tuple(
            (t, gpu) for t, gpu, shown_at in self.samples if since <= t < until and shown_at <= self.clock
        )
        return dict.fromkeys(instance_ids, (Series(source="GPU", samples=seen),) if seen else ())


    def list_gpus(self, region: str) -> tuple[Dimensions, ...]:
        del region
        return ()


@dataclass
class Life:
    """What happens to a box: its samples, when it starts again, and how the policy changes."""

    samples: Sequence[tuple[datetime, float, datetime]]
    length: int
    starts: Mapping[int, datetime] = field(default_factory=dict)
    policies: Mapping[int, Policy] = field(default_factory=dict)
    own_after: timedelta | None = None
    offset: timedelta = timedelta(0)


def lived(life: Life, store: MemoryStore) -> tuple[Story, int]:
    """A sweep a minute, as far as idleness goes: each minute's effect and whether a warning stands, and what was asked."""
    trace = Trace(life.samples)
    services = replace(Stage(store=store).services, metrics=trace)
    its_lease: Lease = with_order(lease(expires_at=at("09:00", day=9)), idle_after=life.own_after)
    policy_now, started_at = Policy(), START
    story: Story = []
    for number in range(life.length):
        now = trace.clock = START + number * MINUTE + life.offset
        policy_now = life.policies.get(number, policy_now)
        started_at = life.starts.get(number, started_at)
        seen = case(
            now, lease=its_lease, policy=policy_now, instances=(box(launched_at=started_at),), cost=Cost()
        )
        (asked,), _ = with_evidence(services, (seen,), ask=True)
        verdict = decide(asked)
        intent = plan((verdict,), policy_now)
        warned = dict(its_lease.warned_at)
        for _, finding in intent.taken_back:
            warned.pop(finding.rule)
        warned |= {finding.rule: now for _, finding in intent.warnings}
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


stretches = st.lists(
    st.tuples(st.sampled_from(["busy", "silent", "away", "patchy"]), st.integers(1, 90)),
    min_size=1,
    max_size=8,
)


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Some hours of work, silence and holes, at any interval, with samples that come late."""
    random = draw(st.randoms(use_true_random=False))
    interval = draw(st.sampled_from([1, 1, 2, 5]))
    latest = draw(st.sampled_from([0, 2, 5])) * MINUTE
    samples, minute = [], 0
    for kind, length in draw(stretches):
        for _ in range(length):
            minute += 1
            is_sent = (
                kind != "away" and minute % interval == 0 and (kind != "patchy" or random.random() < 0.7)
            )
            if is_sent:
                shown_at = START + (minute + 1) * MINUTE + random.random() * latest
                samples.append((START + minute * MINUTE, 80.0 if kind == "busy" else 0.0, shown_at))
    length = minute + 90
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
    )


@given(life=lives())
@settings(max_examples=60, deadline=None)
def test_asking_only_when_due_decides_as_asking_every_minute(life: Life) -> None:
    """The same effect, and the same warning, in each minute, whatever comes late, is missing, starts again or changes."""
    asked, polled = same_at_every_minute(life)
    assert asked <= polled


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
    assert [one.verdict.case.evidence for one in report.instances(stage.services).items] == [verdict.case.evidence]
    return verdict.case.evidence


@given(
    spent=st.tuples(st.integers(0, 40), st.integers(0, 30)),
    rate=st.tuples(st.decimals(0, 8, places=2), st.decimals(0, 4, places=2)),
    when=st.tuples(st.integers(0, 1000), st.integers(1, 600)),
    make=st.sampled_from([lease, adopted]),
)
@settings(max_examples=100, deadline=None)
def test_no_verdict_changes_before_it_is_due(
    spent: tuple[int, int], rate: tuple[Decimal, Decimal], when: tuple[int, int], make: Callable[..., Lease]
) -> None:
    """While nothing happens but time and money, each rule says the same until the verdict's `due_at`."""
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
    for after in range(min(1200, int((first.due_at - begin) / MINUTE - 0.001)) + 1):
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
