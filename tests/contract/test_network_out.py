"""What boxes have sent, as CloudWatch tells it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from botocore.stub import Stubber

from chalicelib.domain.errors import Unavailable
from chalicelib.gateways.aws import Aws, new_session
from chalicelib.gateways.cloudwatch import CloudWatchMetrics
from localaws.world import World
from tests.contract.compute_labs import REGION, aws_of

HOUR = timedelta(hours=1)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
IDS = [f"i-{number:03}" for number in range(501)]


@pytest.fixture
def stubbed() -> Iterator[tuple[CloudWatchMetrics, Stubber]]:
    session = new_session()
    session.set_credentials("testing", "testing")
    aws = Aws(REGION, session=session)
    with Stubber(aws.cloudwatch(REGION)) as stubber:
        yield CloudWatchMetrics(aws), stubber


def test_what_was_sent_between_two_moments() -> None:
    """Bytes of the whole window, zero for a box that is silent or unknown."""
    with World(seed=7) as world:
        metrics = CloudWatchMetrics(aws_of(world))
        busy, silent = world.start_box(), world.start_box()
        world.advance(HOUR)
        began = world.now
        world.egress(busy.id, 3)
        world.advance(HOUR)
        world.egress(busy.id, 5)
        world.advance(HOUR)
        ids = [busy.id, silent.id, "i-00000000000000bad"]
        sent = metrics.network_out(REGION, ids, since=began, until=world.now)
        assert sent == {busy.id: 8 * 2**30, silent.id: 0, "i-00000000000000bad": 0}
        assert metrics.network_out(REGION, ids, since=began, until=began + HOUR)[busy.id] == 3 * 2**30
        assert metrics.network_out(REGION, ids, since=began, until=began) == {}


def test_pages_are_added_up(stubbed: tuple[CloudWatchMetrics, Stubber]) -> None:
    """500 boxes a call; what a box sent may come in two pages, and a result nobody asked for is passed over."""
    metrics, stubber = stubbed
    pages = [[("m7", [1.0, 2.0]), ("e1", [9.0])], [("m0", [4.0]), ("m500", [9.0])]]
    for page in pages:
        results = [{"Id": name, "Values": values} for name, values in page]
        stubber.add_response("get_metric_data", {"MetricDataResults": results})
    sent = metrics.network_out(REGION, IDS, since=NOON - HOUR, until=NOON)
    assert {one: size for one, size in sent.items() if size} == {"i-007": 3, "i-500": 4}


def test_what_was_sent_is_known_whole_or_not_at_all(stubbed: tuple[CloudWatchMetrics, Stubber]) -> None:
    """A part that fails is not taken for nothing."""
    metrics, stubber = stubbed
    stubber.add_response("get_metric_data", {"MetricDataResults": [{"Id": "m7", "Values": [1.0]}]})
    stubber.add_client_error("get_metric_data", "AccessDenied", http_status_code=403)
    with pytest.raises(Unavailable, match="what was sent: AccessDenied"):
        metrics.network_out(REGION, IDS, since=NOON - HOUR, until=NOON)


def test_a_box_that_cloudwatch_could_not_answer_for_is_not_known(
    stubbed: tuple[CloudWatchMetrics, Stubber],
) -> None:
    """An answer may fail for one metric alone."""
    metrics, stubber = stubbed
    failed = {"Id": "m0", "StatusCode": "InternalError", "Values": []}
    stubber.add_response("get_metric_data", {"MetricDataResults": [failed]})
    with pytest.raises(Unavailable, match="what was sent: InternalError"):
        metrics.network_out(REGION, ["i-1"], since=NOON - HOUR, until=NOON)
