"""Eventual consistency: EC2's answers are behind what happened, by no more than the lag. Off unless asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.world import World
from tests.localaws.conftest import IMAGE, Running

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
LAG = 10 * SECOND
LAUNCH = {"ImageId": IMAGE, "InstanceType": "g5.xlarge", "MinCount": 1, "MaxCount": 1}


@pytest.fixture
def world() -> Iterator[World]:
    with World(regions=("us-east-1",), seed=1, lag=LAG) as opened:
        yield opened


@pytest.fixture
def ec2(world: World) -> Any:
    return world.session().client("ec2")


def launch(ec2: Any, **options: Any) -> str:
    instance_id: str = ec2.run_instances(**LAUNCH, **options)["Instances"][0]["InstanceId"]
    return instance_id


def shown(ec2: Any, **options: Any) -> dict[str, str]:
    """The instances that DescribeInstances shows, with their states."""
    rows = ec2.describe_instances(**options)["Reservations"]
    return {one["InstanceId"]: one["State"]["Name"] for row in rows for one in row["Instances"]}


def seconds_until(world: World, is_there: Any) -> int:
    """How many virtual seconds pass until something shows."""
    for number in range(int(LAG.total_seconds()) + 1):
        if is_there():
            return number
        world.advance(SECOND)
    pytest.fail("it does not show after the lag either")


def test_a_new_instance_may_be_missing_from_describe_for_some_seconds(world: World, ec2: Any) -> None:
    """Each instance shows after its own time, none later than the lag (EC2 developer guide, "Eventual consistency in the
    Amazon EC2 API")."""
    ids = {launch(ec2) for _ in range(20)}
    seen = []
    for _ in range(11):
        seen.append(len(shown(ec2)))
        world.advance(SECOND)
    assert seen[0] < 20
    assert seen == sorted(seen)
    assert len(set(seen)) > 5
    assert shown(ec2).keys() == ids


def test_an_instance_that_does_not_show_yet_is_not_found_by_its_id(world: World, ec2: Any) -> None:
    """InvalidInstanceID.NotFound of DescribeInstances, TerminateInstances and StopInstances, although it runs (EC2 developer
    guide, "Eventual consistency in the Amazon EC2 API")."""
    box_id = next(box_id for box_id in (launch(ec2) for _ in range(20)) if box_id not in shown(ec2))
    for call in (ec2.describe_instances, ec2.terminate_instances, ec2.stop_instances):
        with pytest.raises(ClientError, match=rf"InvalidInstanceID\.NotFound.*{box_id}"):
            call(InstanceIds=[box_id])
    world.advance(LAG)
    assert list(shown(ec2, InstanceIds=[box_id])) == [box_id]
    ec2.terminate_instances(InstanceIds=[box_id])


def test_an_end_that_does_not_find_the_instance_does_not_end_it(world: World, ec2: Any) -> None:
    """After InvalidInstanceID.NotFound of TerminateInstances the instance may still run (EC2 developer guide, "Eventual
    consistency in the Amazon EC2 API")."""
    box_id = next(box_id for box_id in (launch(ec2) for _ in range(20)) if box_id not in shown(ec2))
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        ec2.terminate_instances(InstanceIds=[box_id])
    world.advance(MINUTE)
    assert shown(ec2)[box_id] == "running"


def test_the_spot_request_of_a_launch_may_be_missing_too(world: World, ec2: Any) -> None:
    """Its id is unknown to DescribeSpotInstanceRequests and CancelSpotInstanceRequests until it shows (EC2 developer guide,
    "Eventual consistency in the Amazon EC2 API")."""
    market = {"InstanceMarketOptions": {"MarketType": "spot"}}
    made = {ec2.run_instances(**LAUNCH, **market)["Instances"][0]["SpotInstanceRequestId"] for _ in range(20)}

    def requests() -> set[str]:
        answer = ec2.describe_spot_instance_requests()
        return {one["SpotInstanceRequestId"] for one in answer["SpotInstanceRequests"]}

    missing = made - requests()
    assert 0 < len(missing) <= 20
    for call in (ec2.describe_spot_instance_requests, ec2.cancel_spot_instance_requests):
        with pytest.raises(ClientError, match=r"InvalidSpotInstanceRequestID\.NotFound"):
            call(SpotInstanceRequestIds=[min(missing)])
    world.advance(LAG)
    assert requests() == made


def test_a_changed_state_may_show_as_the_old_one_for_some_seconds(world: World, ec2: Any) -> None:
    """TerminateInstances answers `shutting-down` at once, DescribeInstances `running` for up to the lag, by filter too (boto3
    issue 4386)."""
    ids = [launch(ec2) for _ in range(20)]
    world.advance(MINUTE)
    assert set(shown(ec2).values()) == {"running"}
    changes = ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"]
    assert {change["CurrentState"]["Name"] for change in changes} == {"shutting-down"}
    assert set(shown(ec2).values()) == {"running", "shutting-down"}
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    assert set(shown(ec2, Filters=running).values()) == {"running"}
    world.advance(LAG)
    assert "running" not in shown(ec2).values()


def test_states_show_in_their_order(world: World, ec2: Any) -> None:
    """However late, an instance never goes back to a state that it has left (EC2 guide, "Amazon EC2 instance state
    changes")."""
    world.set_lag(2 * MINUTE)
    ids = [launch(ec2) for _ in range(10)]
    order = ["pending", "running", "stopping", "stopped", "shutting-down", "terminated"]
    last: dict[str, str] = {}
    for second in range(0, 360, 5):
        if second == 120:
            ec2.stop_instances(InstanceIds=ids)
        if second == 130:
            ec2.terminate_instances(InstanceIds=ids)
        for box_id, state in shown(ec2).items():
            assert order.index(state) >= order.index(last.get(box_id, "pending"))
            last[box_id] = state
        world.advance(5 * SECOND)
    assert set(last.values()) == {"terminated"}


def test_a_new_tag_may_be_missing_and_a_deleted_one_there_for_some_seconds(world: World, ec2: Any) -> None:
    """Tags set later show later, by filter too; those of the launch are there with the instance (EC2 developer guide,
    "Eventual consistency in the Amazon EC2 API")."""
    named = [{"ResourceType": "instance", "Tags": [{"Key": "from", "Value": "launch"}]}]
    ids = [launch(ec2, TagSpecifications=named) for _ in range(20)]
    world.advance(MINUTE)

    def tagged(key: str) -> int:
        return len(shown(ec2, Filters=[{"Name": "tag-key", "Values": [key]}]))

    assert tagged("from") == 20
    ec2.create_tags(Resources=ids, Tags=[{"Key": "new", "Value": "tag"}])
    ec2.delete_tags(Resources=ids, Tags=[{"Key": "from"}])
    assert tagged("new") < 20
    assert tagged("from") > 0
    world.advance(LAG)
    assert (tagged("new"), tagged("from")) == (20, 0)


def test_a_value_that_was_overwritten_shows_until_the_new_one_does(world: World, ec2: Any) -> None:
    """CreateTags on a key that is there replaces its value, later (botocore, CreateTags)."""
    box_id = launch(ec2)
    world.advance(MINUTE)

    def value() -> str | None:
        (row,) = ec2.describe_instances()["Reservations"]
        return next((tag["Value"] for tag in row["Instances"][0].get("Tags", [])), None)

    for new in ("1", "2", "3"):
        before = value()
        ec2.create_tags(Resources=[box_id], Tags=[{"Key": "lease", "Value": new}])
        assert value() in (before, new)
        seconds_until(world, lambda new=new: value() == new)


def test_events_and_the_truth_are_never_late(world: World, ec2: Any) -> None:
    """EventBridge tells of a state before DescribeInstances shows it (boto3 issue 4386)."""
    ids = {launch(ec2) for _ in range(20)}
    assert {row["id"] for row in world.truth()["instances"]} == ids
    told = set()
    while (event := world.take_event()) is not None:
        told.add(event["detail"]["instance-id"])
    assert told == ids
    assert shown(ec2).keys() < ids


def test_what_is_late_is_decided_by_the_seed() -> None:
    """The same world with the same calls shows the same at each second."""

    def history(seed: int) -> list[int]:
        with World(seed=seed, lag=LAG) as world:
            ec2 = world.session().client("ec2")
            for _ in range(10):
                launch(ec2)
            seen = []
            for _ in range(10):
                seen.append(len(shown(ec2)))
                world.advance(SECOND)
            return seen

    assert history(1) == history(1)
    assert history(1) != history(2)


def test_without_a_lag_everything_shows_at_once() -> None:
    """The default, for who plays with a clock that stands still."""
    with World(seed=1) as world:
        ec2 = world.session().client("ec2")
        ids = {launch(ec2) for _ in range(20)}
        assert shown(ec2).keys() == ids
        ec2.terminate_instances(InstanceIds=sorted(ids))
        assert set(shown(ec2).values()) == {"shutting-down"}


def test_the_server_takes_a_lag_over_http(server: Running) -> None:
    """`PUT /_world/consistency` sets it, the truth shows it, what is no number of seconds is refused."""
    assert server.world("GET").body["lag_seconds"] == 0
    assert server.world("PUT", "/consistency", {"lag_seconds": 7}).body == {"lag_seconds": 7}
    assert server.world("GET").body["lag_seconds"] == 7
    for wrong in (-1, "7", True, None):
        refused = server.world("PUT", "/consistency", {"lag_seconds": wrong})
        assert (refused.status, refused.body["field"]) == (422, "lag_seconds")
