"""Evidence of several sources: any sign of work is busy, silence is unknown, and each source by itself can say idle."""

import csv
import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.beats import of_beats
from chalicelib.domain.case import Case, Effect
from chalicelib.domain.decide import decide
from chalicelib.domain.evidence import Beat, Evidence, Series, Use, of_box, unknown, weigh
from chalicelib.domain.metrics import Dimensions, gpus_of
from chalicelib.domain.outside import CPU, DISK, MIB, NETWORK, SIGNALS, Signal, of_outside, quiet_at, window
from chalicelib.domain.policy import IdlePolicy
from tests.builders import (
    HOUR,
    MINUTE,
    START,
    at,
    box,
    busy_at,
    case,
    effect_of,
    idle_since,
    lease,
    minutes,
    policy,
    samples,
)

NOW = at("18:00")
REAL = Path(__file__).parents[2] / os.environ.get("CURFEW_DATA_DIR", "../shared/data") / "cloudwatch"
FIVE = minutes(5)


def beat(since: str, until: str, *, busy: bool = False, heard: str | None = None) -> Beat:
    return Beat(since=at(since), until=at(until), is_busy=busy, heard_at=at(heard or until))


def told(*beats: Beat, now: datetime = NOW, since: str = "09:00", **keys: object) -> Evidence:
    return of_beats(beats, idle=IdlePolicy(**keys), running_since=at(since), now=now)  # type: ignore[arg-type]


# -- heartbeats ------------------------------------------------------------------------------------------------------------


def test_an_hour_of_silence_that_a_box_tells_of_is_idle() -> None:
    """Since its last work, or since the window began; with the time at which it last said so."""
    seen = told(beat("16:00", "17:30"), beat("17:30", "17:50"))
    assert (seen.use, seen.since, seen.heard_at) == (Use.IDLE, at("17:00"), at("17:50"))
    seen = told(beat("16:30", "17:10", busy=True), beat("17:10", "17:55"))
    assert (seen.use, seen.since, seen.worked_at) == (Use.IDLE, at("17:10"), at("17:10"))


def test_a_post_may_be_eighteen_minutes_old() -> None:
    """Fifteen minutes between two posts and three for one that is repeated; what is older is unknown."""
    assert told(beat("16:00", "17:42")).use is Use.IDLE
    late = told(beat("16:00", "17:20", busy=True), beat("17:20", "17:41"))
    assert (late.use, late.worked_at) == (Use.UNKNOWN, at("17:20"))


def test_minutes_that_nobody_told_of_are_not_silence() -> None:
    """Ten hours of holes are unknown, and overlapping stretches count once."""
    assert told(beat("17:00", "17:10"), beat("17:00", "17:10"), beat("17:50", "18:00")).use is Use.UNKNOWN
    assert told(beat("17:00", "17:10"), beat("17:20", "18:00")).use is Use.IDLE
    assert told().use is Use.UNKNOWN
    assert told(beat("09:00", "12:00")).use is Use.UNKNOWN


def test_where_both_are_told_of_one_time_work_wins() -> None:
    """A box that says both is busy."""
    assert told(beat("16:00", "18:00"), beat("17:55", "18:00", busy=True)).use is Use.BUSY


def test_a_box_that_has_just_started_is_judged_on_its_own_time() -> None:
    """Nothing is expected from before its start."""
    seen = told(beat("17:40", "17:58"), since="17:40")
    assert (seen.use, seen.since) == (Use.IDLE, at("17:40"))


# -- CPU, network and disk -------------------------------------------------------------------------------------------------


def quiet(hours: float = 7, **busy: Series) -> dict[str, tuple[Series, ...]]:
    count = int(hours * 12)
    calm = samples(NOW - count * FIVE, [0.5] * count, every=FIVE)
    return {signal.name: (busy.get(signal.name.lower(), calm),) for signal in SIGNALS}


def seen_outside(known: dict[str, tuple[Series, ...]], since: str = "09:00", **keys: object) -> Evidence:
    return of_outside(known, idle=IdlePolicy(**keys), running_since=at(since), now=NOW)  # type: ignore[arg-type]


def test_all_three_quiet_for_six_windows_are_idle() -> None:
    """Six hours by default; an hour less is unknown, and so is a box that runs for less."""
    assert window(IdlePolicy()) == 6 * HOUR
    assert seen_outside(quiet()).use is Use.IDLE
    assert seen_outside(quiet(4)).use is Use.UNKNOWN
    assert seen_outside(quiet(), since="12:01").use is Use.UNKNOWN


@pytest.mark.parametrize(
    "name, value",
    [("cpu", 5.0), ("network", 5.0 * MIB), ("disk", 20.0 * MIB)],
    ids=["cpu", "network", "disk"],
)
def test_any_of_the_three_at_work_is_work(name: str, value: float) -> None:
    """Now: busy. Some hours ago: not quiet for long enough, and nobody knows more."""
    count = 84
    now = samples(NOW - count * FIVE, [0.0] * (count - 1) + [value], every=FIVE)
    before = samples(NOW - count * FIVE, [0.0] * (count - 37) + [value] + [0.0] * 36, every=FIVE)
    assert seen_outside(quiet(**{name: now})).use is Use.BUSY
    past = seen_outside(quiet(**{name: before}))
    assert (past.use, past.worked_at) == (Use.UNKNOWN, at("15:00"))


def test_a_signal_without_any_metric_is_unknown() -> None:
    """Two of three prove nothing."""
    assert seen_outside({**quiet(), DISK.name: ()}).use is Use.UNKNOWN


@given(st.data())
@settings(max_examples=60)
def test_nothing_is_quiet_before_quiet_at(data: st.DataObject) -> None:
    """Whatever samples come later, CPU, network and disk say idle at the earliest when it says."""
    idle = IdlePolicy(after=minutes(data.draw(st.sampled_from([10, 20]))))
    values = data.draw(st.lists(st.sampled_from([0.0, 0.0, 0.0, None, 60.0]), min_size=30, max_size=60))
    every = [(START + n * FIVE, value) for n, value in enumerate(values) if value is not None]

    def known(now: datetime) -> dict[str, tuple[Series, ...]]:
        since = now - window(idle) - FIVE
        shown = tuple(one for one in every if since <= one[0] <= now - FIVE)
        return {signal.name: (Series(source="x", samples=shown),) if shown else () for signal in SIGNALS}

    asked = START + data.draw(st.integers(0, 120)) * MINUTE
    due = quiet_at(known(asked), idle=idle, running_since=START, now=asked)
    for number in range(1, 180):
        now = asked + number * MINUTE
        if now < due:
            told_then = of_outside(known(now), idle=idle, running_since=START, now=now)
            assert told_then.use is not Use.IDLE


@pytest.mark.skipif(not REAL.exists(), reason="no real metrics at CURFEW_DATA_DIR")
@pytest.mark.parametrize(
    "file, of", [("ec2_cpu_utilization_77c1ca.csv", CPU), ("ec2_network_in_5abac7.csv", NETWORK)]
)
def test_real_metrics_with_duplicates_and_gaps_are_judged_whatever_their_order(file: str, of: Signal) -> None:
    """A day is the same in any order; after the last sample nothing is known, and in a hole nothing is idle."""
    with (REAL / file).open(encoding="utf-8") as lines:
        rows = [
            (datetime.fromisoformat(row["timestamp"] + "+00:00"), float(row["value"]))
            for row in csv.DictReader(lines)
        ]
    first, last = rows[0][0], rows[-1][0]
    judged = set()
    for number in range((last - first) // HOUR):
        now = first + number * HOUR
        shown = tuple(one for one in rows if now - 7 * HOUR <= one[0] <= now)
        seen = [
            of_outside(
                {signal.name: (metric(told, is_quiet=signal is not of),) for signal in SIGNALS},
                idle=IdlePolicy(),
                running_since=first,
                now=now,
            )
            for told in (shown, shown[::-1], shown + shown)
        ]
        assert seen[0] == seen[1] == seen[2]
        judged.add(seen[0].use)
        if seen[0].use is Use.IDLE:
            assert now - max(t for t, _ in shown) <= 3 * FIVE
    assert judged == {Use.BUSY, Use.IDLE, Use.UNKNOWN}


def metric(told: tuple[tuple[datetime, float], ...], *, is_quiet: bool) -> Series:
    return Series(source="real", samples=tuple((t, 0.0 if is_quiet else value) for t, value in told))


# -- sources together ------------------------------------------------------------------------------------------------------


def test_one_source_that_knows_is_enough_and_one_that_sees_work_decides() -> None:
    """Silence of one vetoes none that speaks; work seen by any puts the start of idleness off."""
    idle, busy, none = idle_since(at("17:00")), busy_at(at("17:59")), unknown("no metric")
    assert weigh([idle, none]).use is Use.IDLE
    assert weigh([none, idle, busy]).use is Use.BUSY
    assert weigh([none, none]).use is Use.UNKNOWN
    assert weigh([]).use is Use.UNKNOWN
    worked = replace(none, worked_at=at("17:40"))
    assert weigh([idle, worked]).since == at("17:40")


def test_only_where_nothing_but_heartbeats_says_idle_it_counts_when_they_came() -> None:
    """A metric that says the same needs no confirmation."""
    heard = replace(idle_since(at("17:00")), heard_at=at("17:55"))
    assert weigh([heard, unknown("no metric")]).heard_at == at("17:55")
    assert weigh([heard, idle_since(at("17:00"))]).heard_at is None


def test_sources_that_disagree_give_a_finding() -> None:
    """Work wins, and the finding says which source has been silent; within fifteen minutes they only lag."""
    against = weigh([busy_at(at("17:59")), idle_since(at("17:00"))])
    assert against.use is Use.BUSY
    (finding,) = [one for one in decide(case(NOW, evidence=against)).findings if one.rule == "contradicted"]
    assert finding.effect is Effect.KEEP
    assert ", but " in finding.reason
    assert weigh([busy_at(at("17:59")), idle_since(at("17:50"))]).contradiction is None


def heard_idle(now: str, heard: str, *, warned: str | None, warn_before: str = "PT10M") -> Case:
    evidence = replace(idle_since(at("10:00")), heard_at=at(heard))
    its_lease = lease(warned_at={"idle": at(warned)} if warned else {})
    return case(at(now), lease=its_lease, evidence=evidence, policy=policy(idle={"warn_before": warn_before}))


def test_an_end_that_rests_on_heartbeats_needs_one_after_the_warning() -> None:
    """Without it, or with none of the last two minutes, the warning stands; with `warn_before` 0 it needs no warning."""
    assert effect_of("idle", heard_idle("11:00", "10:50", warned="10:50")) is Effect.WARN
    assert effect_of("idle", heard_idle("11:00", "10:57:59", warned="10:50")) is Effect.WARN
    assert effect_of("idle", heard_idle("11:00", "10:58", warned="10:50")) is Effect.END
    assert effect_of("idle", heard_idle("11:00", "10:57:59", warned=None, warn_before="PT0S")) is Effect.KEEP
    assert effect_of("idle", heard_idle("11:00", "10:58", warned=None, warn_before="PT0S")) is Effect.END


@pytest.mark.parametrize("heard, effect", [("10:59", Effect.WARN), ("10:59:30", Effect.END)])
def test_a_heartbeat_from_before_a_late_warning_confirms_nothing(heard: str, effect: Effect) -> None:
    """However new it is: what the box has done since people were warned is not known."""
    assert effect_of("idle", heard_idle("11:00", heard, warned="10:59", warn_before="PT1M")) is effect


moments = st.integers(0, 119)


@st.composite
def evidence_of(draw: st.DrawFn) -> tuple[tuple[Series, ...], tuple[Beat, ...]]:
    """Two GPUs' samples and some stretches of heartbeats, over two hours before NOW."""
    start = NOW - 2 * HOUR
    gpus = tuple(
        Series(
            source=f"GPU {number}",
            samples=tuple(
                (start + n * MINUTE, 90.0 if n in work else 0.0)
                for n in range(120)
                if n not in draw(st.just(holes))
            ),
        )
        for number, work, holes in [
            (n, draw(st.sets(moments, max_size=3)), draw(st.sets(moments, max_size=40))) for n in range(2)
        ]
    )
    beats = tuple(
        Beat(
            since=start + n * MINUTE,
            until=start + (n + 10) * MINUTE,
            is_busy=busy,
            heard_at=start + (n + 10) * MINUTE,
        )
        for n, busy in draw(st.lists(st.tuples(st.integers(0, 110), st.booleans()), max_size=14))
    )
    return gpus, beats


def effect(gpus: tuple[Series, ...], beats: tuple[Beat, ...], after: timedelta) -> Effect:
    idle = IdlePolicy(after=after)
    parts = [of_box(gpus, idle=idle, running_since=START, now=NOW)]
    parts += [of_beats(beats, idle=idle, running_since=START, now=NOW)] if beats else []
    keys = {"after": after, "warn_before": timedelta(0), "after_launch": timedelta(0)}
    silent = policy().model_copy(update={"idle": IdlePolicy(**keys)})  # type: ignore[arg-type]
    seen = case(NOW, policy=silent, evidence=weigh(parts), lease=lease(expires_at=NOW + HOUR))
    return decide(seen).effect


@given(evidence_of(), moments, st.sampled_from([None, 0, 1]), st.sampled_from([20, 60]))
@settings(max_examples=150)
def test_more_evidence_of_work_never_ends_anything(
    known: tuple[tuple[Series, ...], tuple[Beat, ...]], minute: int, where: int | None, after: int
) -> None:
    """A sample that shows work instead of none, or a stretch of work told beside all else, turns no keep into an end."""
    gpus, beats = known
    before = effect(gpus, beats, minutes(after))
    moment = NOW - 2 * HOUR + minute * MINUTE
    if where is None:
        beats = (*beats, Beat(since=moment, until=moment + MINUTE, is_busy=True, heard_at=moment + MINUTE))
    else:
        shown = tuple((t, 90.0 if t == moment else value) for t, value in gpus[where].samples)
        gpus = (*gpus[:where], replace(gpus[where], samples=shown), *gpus[where + 1 :])
    assert effect(gpus, beats, minutes(after)) <= before


# -- the metrics of GPUs ---------------------------------------------------------------------------------------------------


def named(**names: str) -> Dimensions:
    return tuple(sorted(names.items()))


def test_the_fewest_metrics_that_cover_every_gpu_are_asked() -> None:
    """All together where the agent adds them up, else one a GPU; never a mixture."""
    each = [named(InstanceId="i-1", index=str(n), name="T4", arch="x") for n in range(4)]
    assert gpus_of(each, [box("i-1")])["i-1"] == tuple(each)
    together = named(InstanceId="i-1")
    assert gpus_of([*each, together], [box("i-1")])["i-1"] == (together,)
    assert "i-2" not in gpus_of(each, [box("i-2")])


def test_a_box_is_known_by_its_host_s_name_only_while_no_other_has_it() -> None:
    """An agent that adds no InstanceId names the host; of two boxes of one name nobody knows whose it is."""
    each = named(host="ip-10-0-0-7", index="0", name="T4", arch="x")
    one = box("i-1", private_dns="ip-10-0-0-7.ec2.internal")
    two = box("i-2", private_dns="IP-10-0-0-7.us-west-2.compute.internal")
    assert gpus_of([each], [one]) == {"i-1": (each,)}
    assert gpus_of([each], [one, two]) == {}
    assert gpus_of([each], [box("i-3")]) == {}
