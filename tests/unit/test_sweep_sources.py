"""Sweeps over boxes whose GPUs have metrics of their own, that count CPU, or of which nobody knows anything."""

from dataclasses import replace

from chalicelib.domain.lease import Lease
from chalicelib.domain.metrics import GPU_METRIC, Metric, gpu, outside
from chalicelib.domain.notices import Notice
from chalicelib.domain.outside import CPU, SIGNALS
from tests.builders import HOUR, REGION, START, Stage, at, minutes
from tests.unit.sweep_kit import gpus, named


def outside_of(stage: Stage, lease: Lease, percent: float, *, since: str, until: str) -> None:
    """CPU at a percentage, with network and disk quiet."""
    count = (at(until) - at(since)) // minutes(5)
    for signal in SIGNALS:
        for metric in outside(lease.instance_ids[0], signal)[:1]:
            value = percent if signal is CPU else 0.0
            stage.metrics.load_metric(metric, [value] * count, since=at(since))


def asked(stage: Stage) -> list[Metric]:
    return [metric for _, wanted in stage.metrics.read_calls for metric in wanted]


def test_a_box_whose_gpus_are_all_silent_ends() -> None:
    """Its metrics are found by a list, and their silence is believed an hour later."""
    stage = Stage()
    silent = stage.launch()
    gpus(stage, silent, 0, 0, 0, 0)
    stage.until(at("10:00"))
    assert stage.receipt(silent.id).cause == "idle"


def test_one_busy_gpu_of_four_keeps_a_box() -> None:
    """The maximum over all of them, never the first alone."""
    stage = Stage()
    working = stage.launch()
    gpus(stage, working, 0, 0, 0, 60)
    stage.until(at("12:00"))
    assert stage.alive == list(working.instance_ids)


def test_a_working_box_of_eight_gpus_costs_one_metric_a_question() -> None:
    """Found once by a list and asked for all, then the GPU that worked last settles it alone."""
    stage = Stage()
    working = stage.launch()
    gpus(stage, working, 0, 0, 0, 0, 0, 90, 0, 0)
    stage.until(at("13:30"))
    assert stage.metrics.listings == [REGION]
    assert [dict(one.dimensions).get("index") for one in asked(stage)[8:]] == ["5"] * 4
    assert all(one.name == GPU_METRIC for one in asked(stage))


def test_a_gpu_that_was_not_listed_at_first_is_found_before_any_silence_is_believed() -> None:
    """CloudWatch lists new metrics late: the one that works may be missing, so silence asks for the list again."""
    stage = Stage()
    working = stage.launch()
    gpus(stage, working, 0)
    stage.until(at("09:51"))
    stage.metrics.load_metric(gpu(named(working, 1)), [70] * 600, since=at("09:00"))
    stage.until(at("12:00"))
    assert stage.alive == list(working.instance_ids)


def test_metrics_that_began_a_moment_ago_may_not_be_all() -> None:
    """With `idle.after` of ten minutes: silence of GPUs that have sent for less than fifteen is not believed."""
    stage = Stage()
    stage.put_policy(idle={"after": "PT10M", "warn_before": "PT0S", "after_launch": "PT0S"})
    silent = stage.launch()
    gpus(stage, silent, 0, 0)
    stage.until(at("09:14"))
    assert stage.alive == list(silent.instance_ids)
    stage.until(at("09:20"))
    assert stage.alive == []


def test_lists_that_fail_end_nothing_and_are_told() -> None:
    """What may not be all says nothing; time goes on."""
    stage = Stage()
    silent = stage.launch()
    gpus(stage, silent, 0, 0)
    stage.until(at("09:51"))
    stage.metrics.failing_lists.add(REGION)
    record = stage.until(at("10:20"))
    assert any("us-east-1" in lack for lack in record.lacking)
    assert stage.alive == list(silent.instance_ids)
    stage.metrics.failing_lists.clear()
    stage.until(at("10:31"))
    assert stage.alive == []


def test_cpu_is_no_evidence_unless_the_policy_says_so() -> None:
    """Neither is it asked for, nor does it keep a box whose GPUs are silent."""
    stage = Stage()
    silent = stage.launch()
    stage.works(silent.instance_ids[0], 0, since=START, until=at("20:00"))
    outside_of(stage, silent, 90, since="09:00", until="20:00")
    stage.until(at("10:00"))
    assert stage.receipt(silent.id).cause == "idle"
    assert asked(stage) == []


def test_a_busy_cpu_keeps_a_box_whose_gpus_are_silent_where_it_counts() -> None:
    """The sources disagree, and its lease says so."""
    stage = Stage()
    stage.put_policy(idle={"cpu_evidence": "use"})
    working = stage.launch()
    stage.works(working.instance_ids[0], 0, since=START, until=at("20:00"))
    outside_of(stage, working, 90, since="09:00", until="20:00")
    stage.until(at("12:00"))
    assert stage.alive == list(working.instance_ids)
    assert {one.name for one in asked(stage)} == {"CPUUtilization"}


def test_cpu_network_and_disk_that_are_quiet_for_six_hours_end_a_box_without_gpu_metrics() -> None:
    """After a warning, as everywhere; five hours of quiet end nothing."""
    stage = Stage()
    stage.put_policy(idle={"cpu_evidence": "use"})
    quiet = stage.launch()
    outside_of(stage, quiet, 1, since="09:00", until="20:00")
    stage.until(at("14:59"))
    assert stage.alive == list(quiet.instance_ids)
    stage.until(at("15:30"))
    assert stage.receipt(quiet.id).cause == "idle"


def notices(stage: Stage) -> list[Notice]:
    everything = (*stage.notifier.sent, *stage.store.outbox())
    return [one for one in everything if one.id.endswith(":unseen")]


def test_a_box_of_which_nobody_knows_is_told_of_once() -> None:
    """After three times `idle.after`: why, what it costs, and the command that installs the agent."""
    stage = Stage()
    unseen = stage.launch()
    stage.until(at("11:59"))
    assert notices(stage) == []
    stage.until(at("15:00"))
    (told,) = notices(stage)
    text = " ".join((told.title, *told.lines))
    assert "no GPU metric" in text
    assert "name=AmazonCloudWatchAgent" in text
    assert unseen.instance_ids[0] in text
    assert at("12:00") <= told.at < at("12:15")


def test_a_box_whose_silence_or_work_is_known_is_not_told_of() -> None:
    """What was known in between begins the time anew."""
    stage = Stage()
    seen = stage.launch()
    stage.works(seen.instance_ids[0], 90, since=at("10:00"), until=at("11:30"))
    stage.until(at("13:30"))
    assert notices(stage) == []


def test_a_box_that_should_send_heartbeats_is_told_of_as_one() -> None:
    """The notice says what a box needs to reach Curfew."""
    stage = Stage()
    lease = stage.launch()
    stage.store.save_lease(replace(stage.lease(lease.id), heartbeat_key="k" * 64))
    stage.until(START + 3 * HOUR + minutes(30))
    (told,) = notices(stage)
    assert any("heartbeats" in line for line in told.lines)
