"""GPU use as the gateway reads it, on localaws and where CloudWatch answers in part."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.evidence import Series
from chalicelib.domain.guard import Item
from chalicelib.domain.instance import Instance
from chalicelib.domain.metrics import Dimensions, gpu, gpus_of, outside
from chalicelib.domain.outside import MIB, SIGNALS
from chalicelib.gateways.aws import Aws, new_session
from chalicelib.gateways.cloudwatch import CloudWatchMetrics
from chalicelib.gateways.ledger import MemoryLedger, watch
from localaws.world import World
from tests.contract.compute_labs import REGION, aws_of
from tests.doubles.memory_ports import MemoryMetrics

HOUR = timedelta(hours=1)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def world() -> Iterator[World]:
    with World(seed=7) as found:
        yield found


@pytest.fixture
def metrics(world: World) -> CloudWatchMetrics:
    return CloudWatchMetrics(aws_of(world))


@pytest.fixture
def stubbed() -> tuple[CloudWatchMetrics, Stubber]:
    session = new_session()
    session.set_credentials("testing", "testing")
    aws = Aws(REGION, session=session)
    stubber = Stubber(aws.cloudwatch(REGION))
    stubber.activate()
    return CloudWatchMetrics(aws), stubber


def samples(found: Any, instance_id: str) -> list[float]:
    (series,) = found[instance_id]
    return [value for _, value in series.samples]


def test_reads_every_minute_of_the_window(world: World, metrics: CloudWatchMetrics) -> None:
    """An hour of one-minute samples, in order."""
    box = world.start_box(gpu=80)
    world.advance(2 * HOUR)
    found = metrics.gpu_use(REGION, [box.id], since=world.now - HOUR, until=world.now)
    (series,) = found[box.id]
    assert samples(found, box.id) == [80.0] * 60
    assert series.samples == tuple(sorted(series.samples))
    assert world.now - HOUR <= series.samples[0][0] < series.samples[-1][0] < world.now


def test_an_agent_that_reports_every_five_minutes(world: World, metrics: CloudWatchMetrics) -> None:
    """Samples as often as there are, none made up."""
    box = world.start_box(gpu=5, period=300)
    world.advance(2 * HOUR)
    assert (
        samples(metrics.gpu_use(REGION, [box.id], since=world.now - HOUR, until=world.now), box.id)
        == [5.0] * 12
    )


def test_one_busy_gpu_of_several_counts(world: World, metrics: CloudWatchMetrics) -> None:
    """The highest of all GPUs, not their average."""
    box = world.start_box("g5.12xlarge", gpu=[0, 0, 91, 0])
    world.advance(HOUR)
    found = metrics.gpu_use(REGION, [box.id], since=world.now - HOUR / 2, until=world.now)
    assert set(samples(found, box.id)) == {91.0}


def test_a_silent_box_has_no_series(world: World, metrics: CloudWatchMetrics) -> None:
    """No samples is no series: silence is never zero."""
    silent, loud = world.start_box(gpu=None), world.start_box(gpu=0)
    world.advance(HOUR)
    found = metrics.gpu_use(
        REGION, [silent.id, loud.id, "i-00000000000000bad"], since=world.now - HOUR, until=world.now
    )
    assert found[silent.id] == found["i-00000000000000bad"] == ()
    assert set(samples(found, loud.id)) == {0.0}


def test_an_empty_window_asks_nothing(world: World, metrics: CloudWatchMetrics) -> None:
    """A window that has not begun has no samples."""
    assert metrics.gpu_use(REGION, ["i-1"], since=world.now, until=world.now) == {}


def test_nothing_answered_is_unavailable(world: World, metrics: CloudWatchMetrics) -> None:
    """The whole answer missing is told."""
    world.fault(service="cloudwatch", code="InternalServiceFault")
    with pytest.raises(Unavailable, match="CloudWatch in us-east-1: InternalServiceFault"):
        metrics.gpu_use(REGION, ["i-1"], since=world.now - HOUR, until=world.now)


def test_500_boxes_a_call_and_what_fails_is_left_out(stubbed: tuple[CloudWatchMetrics, Stubber]) -> None:
    """Of 501 boxes one is in the second call; when that call fails the others are known all the same."""
    metrics, stubber = stubbed
    ids = [f"i-{number:03}" for number in range(501)]
    stubber.add_response("get_metric_data", {"MetricDataResults": [result("m7", [1.0])]})
    stubber.add_client_error("get_metric_data", "AccessDenied", http_status_code=403)
    found = metrics.gpu_use(REGION, ids, since=NOON - HOUR, until=NOON)
    assert found["i-007"] == (Series(source="GPU", samples=((NOON, 1.0),)),)
    assert found["i-499"] == ()
    assert "i-500" not in found
    stubber.assert_no_pending_responses()


def test_pages_and_partial_results_are_joined(stubbed: tuple[CloudWatchMetrics, Stubber]) -> None:
    """A box whose samples come in two pages has them all; a result nobody asked for is passed over."""
    metrics, stubber = stubbed
    stubber.add_response(
        "get_metric_data",
        {"NextToken": "more", "MetricDataResults": [{**result("m0", [1.0]), "StatusCode": "PartialData"}]},
    )
    more = {"MetricDataResults": [result("m0", [2.0]), result("m9", [3.0]), {"Id": "m1"}]}
    asked = dict.fromkeys(("MetricDataQueries", "StartTime", "EndTime", "ScanBy"), ANY)
    stubber.add_response("get_metric_data", more, {**asked, "NextToken": "more"})
    found = metrics.gpu_use(REGION, ["i-1", "i-2"], since=NOON - HOUR, until=NOON)
    assert samples(found, "i-1") == [1.0, 2.0]
    assert found["i-2"] == ()


@pytest.mark.parametrize("code", ["InternalError", "Forbidden"])
def test_a_metric_that_was_not_answered_is_not_told_as_silent(
    stubbed: tuple[CloudWatchMetrics, Stubber], code: str
) -> None:
    """It has no entry, while the one that has no samples has an empty one."""
    metrics, stubber = stubbed
    unanswered = {**result("m0", []), "StatusCode": code}
    stubber.add_response("get_metric_data", {"MetricDataResults": [unanswered, result("m1", [])]})
    assert metrics.gpu_use(REGION, ["i-1", "i-2"], since=NOON - HOUR, until=NOON) == {"i-2": ()}


def result(query_id: str, values: list[float]) -> dict[str, Any]:
    return {"Id": query_id, "Timestamps": [NOON] * len(values), "Values": values, "StatusCode": "Complete"}


def gateway(world: World, box: str, **load: Any) -> CloudWatchMetrics:
    world.set_load(box, **load)
    world.advance(2 * HOUR)
    return CloudWatchMetrics(aws_of(world))


def twin(world: World, box: str, **load: Any) -> MemoryMetrics:
    world.advance(2 * HOUR)
    metrics = MemoryMetrics()
    metrics.load(
        box, load["gpu"], since=world.now - 2 * HOUR, until=world.now, every=timedelta(seconds=load["period"])
    )
    return metrics


@pytest.mark.parametrize("make", [gateway, twin])
@pytest.mark.parametrize("period", [60, 300])
def test_the_twin_answers_as_the_gateway(world: World, make: Callable[..., Any], period: int) -> None:
    """The same window gives the same samples."""
    box = world.start_box(gpu=0).id
    metrics = make(world, box, gpu=42, period=period)
    found = metrics.gpu_use(REGION, [box, "i-00000000000000bad"], since=world.now - HOUR, until=world.now)
    assert found["i-00000000000000bad"] == ()
    (series,) = found[box]
    assert series.source == "GPU"
    assert series.samples == tuple(
        (world.now - HOUR + timedelta(seconds=offset), 42.0) for offset in range(0, 3600, period)
    )


def listed(metrics: CloudWatchMetrics, world: World, *boxes: str) -> dict[str, tuple[Dimensions, ...]]:
    """The metrics of boxes' GPUs, as Curfew finds them."""
    names = {raw.id: str(raw.moto.private_dns_name) for raw in world.boxes}
    seen = [Instance(id=one, region=REGION, type="any", private_dns=names[one]) for one in boxes]
    return dict(gpus_of(metrics.list_gpus(REGION), seen))


@pytest.mark.parametrize("agent", ["by-gpu", "by-host"])
def test_gpus_with_metrics_of_their_own_are_found_and_read(
    world: World, metrics: CloudWatchMetrics, agent: str
) -> None:
    """With exactly the dimensions that their agent gives them; by InstanceId alone there is nothing."""
    box, other = (world.start_box("g5.12xlarge", gpu=[0, 0, 91, 0], agent=agent).id for _ in range(2))
    world.advance(HOUR)
    assert metrics.gpu_use(REGION, [box], since=world.now - HOUR, until=world.now)[box] == ()
    ways = listed(metrics, world, box, other)
    assert [dict(one)["index"] for one in ways[box]] == ["0", "1", "2", "3"]
    wanted = [gpu(one) for one in ways[box]]
    told = metrics.read(REGION, wanted, since=world.now - HOUR / 2, until=world.now)
    assert [{value for _, value in told[one]} for one in wanted] == [{0.0}, {0.0}, {91.0}, {0.0}]


def test_a_box_that_also_sends_all_of_its_gpus_together_is_asked_for_that(
    world: World, metrics: CloudWatchMetrics
) -> None:
    """One metric instead of four."""
    box = world.start_box("g5.12xlarge", gpu=5).id
    world.advance(HOUR)
    assert listed(metrics, world, box)[box] == ((("InstanceId", box),),)


def test_what_ec2_sees_of_a_box(world: World, metrics: CloudWatchMetrics) -> None:
    """CPU at its highest, network and disk added up over five minutes; what the type has not is empty."""
    box = world.start_box(cpu=7, network_mib=2, disk_mib=3).id
    world.advance(HOUR)
    wanted = {each.name: each for signal in SIGNALS for each in outside(box, signal)}
    until = world.now - timedelta(minutes=world.now.minute % 5, seconds=world.now.second)
    told = metrics.read(REGION, list(wanted.values()), since=until - HOUR / 2, until=until)
    seen = {name: {value for _, value in told[metric]} for name, metric in wanted.items()}
    assert seen == {
        "CPUUtilization": {7.0},
        "NetworkIn": {10.0 * MIB},
        "NetworkOut": {0.0},
        "EBSReadBytes": {0.0},
        "EBSWriteBytes": {15.0 * MIB},
        "DiskReadBytes": set(),
        "DiskWriteBytes": set(),
    }


def test_lists_come_in_pages_and_are_asked_for_what_is_recent(
    stubbed: tuple[CloudWatchMetrics, Stubber],
) -> None:
    """All pages, each metric's dimensions sorted by name; a refusal is Unavailable."""
    metrics, stubber = stubbed
    asked = {"Namespace": "CWAgent", "MetricName": "nvidia_smi_utilization_gpu", "RecentlyActive": "PT3H"}
    one = {"Dimensions": [{"Name": "index", "Value": "0"}, {"Name": "InstanceId", "Value": "i-1"}]}
    stubber.add_response("list_metrics", {"Metrics": [one], "NextToken": "more"}, asked)
    stubber.add_response("list_metrics", {"Metrics": [{}]}, {**asked, "NextToken": "more"})
    assert metrics.list_gpus(REGION) == ((("InstanceId", "i-1"), ("index", "0")), ())
    stubber.add_client_error("list_metrics", "AccessDenied", http_status_code=403)
    with pytest.raises(Unavailable, match="which GPUs send metrics"):
        metrics.list_gpus(REGION)


def test_lists_and_metrics_are_counted_at_their_price(world: World) -> None:
    """A request for a list costs as much as a metric that is asked for."""
    ledger = MemoryLedger()
    aws = aws_of(world)
    watch(aws.cloudwatch(REGION), "cloudwatch", ledger)
    metrics = CloudWatchMetrics(aws)
    metrics.list_gpus(REGION)
    metrics.read(
        REGION,
        [gpu((("InstanceId", "i-1"), ("index", str(n)))) for n in range(8)],
        since=NOON,
        until=NOON + HOUR,
    )
    counted = ledger.hand_over(NOON, every=HOUR)
    assert counted == {Item.METRICS_LISTED: 1, Item.METRICS_READ: 8}
