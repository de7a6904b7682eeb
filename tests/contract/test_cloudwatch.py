"""GPU use as the gateway reads it, on localaws and where CloudWatch answers in part."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.session import Session
from botocore.stub import ANY, Stubber

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.evidence import Series
from chalicelib.gateways.aws import Aws
from chalicelib.gateways.cloudwatch import CloudWatchMetrics
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
    session = Session()
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
