"""Sweeps over evidence that could be another box's, is not all there is, or is older than it looks."""

from datetime import datetime
from decimal import Decimal

from chalicelib.domain.guard import Item, month_of
from chalicelib.domain.lease import Lease
from chalicelib.domain.metrics import Dimensions, gpu
from tests.builders import HOUR, MINUTE, REGION, START, Stage, at
from tests.unit.sweep_kit import gpus, named

HOST = "ip-172-31-0-5"


def of_host(index: int = 0) -> Dimensions:
    return (("host", HOST), ("index", str(index)), ("name", "NVIDIA L4"))


def with_hosts(*types: str) -> tuple[Stage, list[str]]:
    """Boxes with one and the same private name, as in several VPCs with the same addresses."""
    stage = Stage()
    ids = [stage.compute.start(one, private_dns=f"{HOST}.ec2.internal") for one in types]
    stage.metrics.load_metric(gpu(of_host()), [0] * 660, since=START)
    return stage, ids


def works(stage: Stage, instance_id: str, percent: float, *, since: datetime = START) -> None:
    stage.works(instance_id, percent, since=since, until=at("20:00"))


def test_a_host_name_that_another_box_has_is_nobodys_also_while_that_one_is_not_asked_about() -> None:
    """One that works under the same name needs no question: its neighbour's metrics are not taken for the other's."""
    stage, ids = with_hosts("g5.xlarge", "g5.12xlarge")
    works(stage, ids[1], 90)
    stage.until(at("12:00"))
    assert stage.alive == ids


def test_a_host_name_of_one_box_alone_tells_of_it() -> None:
    """The agent adds no InstanceId: its silence still ends the box."""
    stage, _ = with_hosts("g5.xlarge")
    stage.until(at("10:05"))
    assert stage.alive == []


def test_what_the_list_no_longer_shows_is_not_known_to_be_all() -> None:
    """An empty list beside metrics that go on: CloudWatch lists late or not all, and silence is not believed."""
    stage = Stage()
    lease = stage.launch()
    gpus(stage, lease, 0)
    stage.until(at("09:51"))
    stage.metrics.unlisted.add(named(lease, 0))
    stage.until(at("10:20"))
    assert stage.alive == list(lease.instance_ids)
    stage.metrics.unlisted.clear()
    stage.until(at("10:31"))
    assert stage.alive == []


def test_nothing_is_ended_on_an_answer_that_is_remembered_because_questions_are_dear() -> None:
    """Once Curfew has cost too much cheap boxes are asked about less often: before an end each is asked all the same."""
    stage = Stage()
    stage.put_policy(idle={"cpu_evidence": "use"})
    stage.prices.set_spot(f"{REGION}a", "g5.xlarge", "0.0001")
    lease = stage.launch()
    stage.store.add_usage(month_of(START), {Item.METRICS_READ: Decimal(10**9)}, since=START - HOUR)
    number = 40
    gpus(stage, lease, *[0.0] * number, until="09:53")
    gpus(stage, lease, *[90.0] * number, since=at("09:53"))
    stage.until(at("09:52") + 20 * MINUTE)
    assert stage.alive == list(lease.instance_ids)


def questions(stage: Stage) -> int:
    """How many metrics were asked for."""
    asked = [ids for _, ids in stage.metrics.calls] + [some for _, some in stage.metrics.read_calls]
    return sum(map(len, asked))


def asked_in_two_hours(stage: Stage, lease: Lease) -> int:
    """Of a box of eight silent GPUs that nothing ends, long after its warning."""
    gpus(stage, lease, *[0.0] * 8)
    stage.until(at("11:00"))
    before = questions(stage)
    stage.until(at("13:00"))
    assert stage.alive == list(lease.instance_ids)
    return questions(stage) - before


def test_a_dry_run_that_has_said_it_would_end_a_box_asks_each_quarter_of_an_hour() -> None:
    """Every minute would be $4 a month for each idle box of eight GPUs, for weeks of rehearsal."""
    stage = Stage()
    lease = stage.launch()
    stage.is_dry_run = True
    assert asked_in_two_hours(stage, lease) <= 8 * 8


def test_an_idle_box_that_is_protected_is_asked_about_each_quarter_of_an_hour() -> None:
    """And as soon as its protection is over it ends, on a fresh answer."""
    stage = Stage()
    lease = stage.launch()
    stage.compute.box(lease.instance_ids[0]).tags["curfew:protect"] = at("13:05").isoformat()
    assert asked_in_two_hours(stage, lease) <= 8 * 8
    before = questions(stage)
    stage.until(at("13:06"))
    assert questions(stage) > before
    assert stage.receipt(lease.id).cause == "idle"


def test_work_of_a_protected_box_still_takes_its_warning_back() -> None:
    """Within a quarter of an hour: it is not ended when its protection is over."""
    stage = Stage()
    lease = stage.launch()
    stage.compute.box(lease.instance_ids[0]).tags["curfew:protect"] = at("11:05").isoformat()
    gpus(stage, lease, 0, until="10:50")
    gpus(stage, lease, 90, since=at("10:50"))
    stage.until(at("11:10"))
    assert "idle" not in stage.lease(lease.id).warned_at
    stage.until(at("12:00"))
    assert stage.alive == list(lease.instance_ids)
