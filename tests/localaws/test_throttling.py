"""Throttling: token buckets by region and action. Every test states its rule by "the guide", which is the EC2 developer
guide's "Request throttling for the Amazon EC2 API"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localaws.world import World
from tests.localaws.conftest import IMAGE, Running

SECOND = timedelta(seconds=1)
ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})
PAGE = {"MaxResults": 5}


@pytest.fixture
def world() -> Iterator[World]:
    with World(regions=("us-east-1", "us-west-2"), seed=1, throttled=True) as opened:
        yield opened


@pytest.fixture
def ec2(world: World) -> Any:
    return world.session().client("ec2", config=ONCE)


def run(ec2: Any, count: int = 1) -> list[str]:
    answer = ec2.run_instances(ImageId=IMAGE, InstanceType="g5.xlarge", MinCount=count, MaxCount=count)
    return [one["InstanceId"] for one in answer["Instances"]]


def passed(call: Callable[[], Any], most: int) -> int:
    """How many calls in a row EC2 takes before it refuses one, at most `most`."""
    for number in range(most):
        try:
            call()
        except ClientError as problem:
            if code(problem) != ("RequestLimitExceeded", 503):
                raise
            return number
    return most


def code(problem: ClientError) -> tuple[str, int]:
    return problem.response["Error"]["Code"], problem.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    "operation, params, size",
    [
        ("describe_availability_zones", {}, 100),
        ("describe_instances", PAGE, 100),
        ("describe_instances", {}, 50),
        ("describe_volumes", {"Filters": [{"Name": "status", "Values": ["in-use"]}]}, 100),
        ("describe_volumes", {}, 50),
        ("describe_spot_fleet_requests", {}, 50),
        ("create_security_group", {"Description": "d"}, 50),
        ("cancel_spot_instance_requests", {"SpotInstanceRequestIds": ["sir-0"]}, 50),
        ("terminate_instances", {"InstanceIds": ["i-0"]}, 100),
        ("start_instances", {"InstanceIds": ["i-0"]}, 5),
    ],
)
def test_each_action_has_a_bucket_of_its_category_s_size(
    world: World, ec2: Any, operation: str, params: dict[str, Any], size: int
) -> None:
    """So many calls at one moment, then RequestLimitExceeded (the guide, "Request token bucket sizes and refill rates")."""
    number = iter(range(size + 1))

    def call() -> None:
        named = {"GroupName": f"group-{next(number)}"} if operation == "create_security_group" else {}
        try:
            getattr(ec2, operation)(**params, **named)
        except ClientError as problem:
            if "NotFound" not in code(problem)[0]:
                raise

    assert passed(call, size + 1) == size


def test_a_bucket_refills_at_its_rate_and_no_further_than_its_size(world: World, ec2: Any) -> None:
    """An empty bucket of 100 that refills 20 a second passes 20 calls a second later and 100 a minute later (the guide,
    "Request rate limiting")."""

    def call() -> None:
        ec2.describe_instances(**PAGE)

    assert passed(call, 101) == 100
    world.advance(SECOND)
    assert passed(call, 101) == 20
    world.advance(60 * SECOND)
    assert passed(call, 101) == 100


def test_actions_and_regions_have_their_own_buckets(world: World, ec2: Any) -> None:
    """An action that is throttled leaves the others alone, and so does a region (the guide, "Request rate limiting": per
    account and Region, per API)."""
    assert passed(lambda: ec2.describe_instances(**PAGE), 101) == 100
    ec2.describe_spot_instance_requests(**PAGE)
    world.session("us-west-2").client("ec2", config=ONCE).describe_instances(**PAGE)


def test_a_call_without_filter_or_page_takes_from_the_smaller_bucket(ec2: Any) -> None:
    """DescribeInstances as such is throttled after 50 calls, with MaxResults not yet (the guide, "Unfiltered and unpaginated
    non-mutating actions")."""
    assert passed(ec2.describe_instances, 51) == 50
    assert passed(lambda: ec2.describe_instances(**PAGE), 101) == 100


def test_a_throttled_call_has_no_effect_and_takes_no_tokens(world: World, ec2: Any) -> None:
    """The sixth launch at a moment starts nothing, however often it is tried, and two are there a second later (the guide:
    RunInstances has a request bucket of 5 that refills 2 a second)."""
    assert passed(lambda: run(ec2), 6) == 5
    assert passed(lambda: run(ec2), 3) == 0
    assert len(list(world.boxes)) == 5
    world.advance(SECOND)
    assert passed(lambda: run(ec2), 3) == 2


def test_launches_and_terminations_also_take_a_token_for_each_instance(world: World, ec2: Any) -> None:
    """1,000 instances at once whatever the number of calls, then two launches or 20 terminations a second (the guide,
    "Resource token bucket sizes and refill rates")."""
    ids = run(ec2, 600)
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        run(ec2, 401)
    ids += run(ec2, 400)
    world.advance(SECOND)
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        run(ec2, 3)
    run(ec2, 2)
    ec2.terminate_instances(InstanceIds=ids)
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        ec2.terminate_instances(InstanceIds=ids[:1])
    world.advance(SECOND)
    ec2.terminate_instances(InstanceIds=ids[:20])
    assert len(list(world.boxes)) == 1002


def test_what_happens_behind_the_api_is_not_throttled(world: World, ec2: Any) -> None:
    """Launches by others than the account's callers, and calls that a fault fails, take no tokens (the guide: API requests
    are what is limited)."""
    for _ in range(10):
        world.start_box("g5.xlarge")
    world.fault(operation="RunInstances", code="InternalError", times=10)
    for _ in range(10):
        with pytest.raises(ClientError, match="InternalError"):
            run(ec2)
    assert passed(lambda: run(ec2), 6) == 5


def test_throttling_can_be_switched_off_and_on(world: World, ec2: Any) -> None:
    """Off nothing is counted; on again the buckets are full."""
    assert passed(lambda: run(ec2), 6) == 5
    world.set_throttling(on=False)
    assert passed(lambda: run(ec2), 6) == 6
    world.set_throttling(on=True)
    assert passed(lambda: run(ec2), 6) == 5


def test_with_a_stopwatch_real_time_refills_too() -> None:
    """On a clock that stands still a client is not starved: tokens come back as real seconds pass."""
    real = [0.0]
    with World(seed=1, throttled=True, stopwatch=lambda: real[0]) as world:
        ec2 = world.session().client("ec2", config=ONCE)
        assert passed(lambda: run(ec2), 6) == 5
        real[0] += 1.5
        assert passed(lambda: run(ec2), 6) == 3


def test_a_world_in_process_does_not_throttle_unless_asked() -> None:
    """Tests and simulations start thousands of boxes at one moment."""
    with World(seed=1) as world:
        ec2 = world.session().client("ec2", config=ONCE)
        assert passed(lambda: run(ec2), 20) == 20


def test_the_server_throttles_until_it_is_told_not_to(server: Running) -> None:
    """`PUT /_world/throttling` switches it, the truth shows it, and anything but true or false is refused."""
    assert server.world("GET").body["throttled"] is True
    assert server.world("PUT", "/throttling", {"on": False}).body == {"on": False}
    assert server.world("GET").body["throttled"] is False
    refused = server.world("PUT", "/throttling", {"on": "no"})
    assert (refused.status, refused.body["field"]) == (422, "on")
    server.world("DELETE")
    assert server.world("GET").body["throttled"] is True
