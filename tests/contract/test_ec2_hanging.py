"""EC2 that takes the call and never answers, and one id that spoils the answer for all: nobody else waits or is lost."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config

from chalicelib.gateways.aws import ACTING, HURRIED, PROMPT, READING, Aws
from chalicelib.gateways.ec2 import Ec2Compute
from chalicelib.gateways.ec2_controllers import FLEETS_A_CALL
from chalicelib.gateways.ec2_controllers import look as look_up
from chalicelib.gateways.ec2_observe import PATIENCE_SECONDS
from chalicelib.usecases.launch import BEGIN_WITHIN_SECONDS
from chalicelib.usecases.teardown import PATIENCE_SECONDS as TEARDOWN_PATIENCE_SECONDS
from localaws.world import World
from tests.contract.compute_labs import AMI, REGION, WorldLab, an_order, attempts_of, aws_of
from tests.doubles.faulty_client import refused

SWEEP_SECONDS = 60
PRICES_DISKS_AND_METRICS_SECONDS = 4 + 5 + 5
BACKOFF_SECONDS = 1


@pytest.fixture
def world() -> Iterator[World]:
    with World(seed=7) as world:
        yield world


class PatienceOf(Aws):
    """Clients as ever; `asked` has the patience of each."""

    def __init__(self, aws: Aws) -> None:
        super().__init__(aws.home_region, session=aws._session)
        self.asked: list[Config] = []

    def client(self, service: str, region: str, config: Config = READING) -> Any:
        self.asked.append(config)
        return super().client(service, region, config)


class Fleets:
    """DescribeFleets that has forgotten some ids, and refuses every call that names one."""

    def __init__(self, forgotten: set[str], code: str = "InvalidFleetId.NotFound") -> None:
        self.forgotten = forgotten
        self.code = code
        self.calls = 0

    def describe_fleets(self, *, FleetIds: list[str]) -> dict[str, Any]:  # noqa: N803 (AWS's name)
        self.calls += 1
        if self.forgotten.intersection(FleetIds):
            raise refused(self.code)
        return {"Fleets": [{"FleetId": one, "Type": "instant"} for one in FleetIds]}


class ClientOf(Aws):
    """One client, whatever is asked for."""

    def __init__(self, client: Any) -> None:
        super().__init__(REGION)
        self.given = client

    def client(self, service: str, region: str, config: Config = READING) -> Any:
        del service, region, config
        return self.given


def longest(config: Any) -> int:
    """The seconds that a call without an answer takes."""
    tries = config.retries["total_max_attempts"]
    return int(tries * (config.connect_timeout + config.read_timeout) + (tries - 1) * BACKOFF_SECONDS)


def test_regions_are_asked_for_in_a_hurry(world: World) -> None:
    """A home region that hangs costs a sweep 3 s, not the half minute that its ends need."""
    aws = PatienceOf(aws_of(world))
    Ec2Compute(aws).regions()
    assert [longest(config) for config in aws.asked] == [longest(HURRIED)] == [3]


def test_disk_sizes_are_asked_for_in_a_hurry(world: World) -> None:
    """An adoption assumes a size rather than keep the ends waiting."""
    aws = PatienceOf(aws_of(world))
    Ec2Compute(aws).volumes(REGION, ["i-00000000000000000"])
    assert [longest(config) for config in aws.asked] == [5]


def test_a_launch_is_answered_within_its_time(world: World) -> None:
    """What it has to know first, then the last calls that it may begin, each unanswered."""
    lab, aws = WorldLab(world), PatienceOf(aws_of(world))
    compute = Ec2Compute(aws)
    compute.image(REGION, AMI.id)
    assert [longest(config) for config in aws.asked] == [longest(PROMPT)] == [7]
    aws.asked.clear()
    (attempt,) = attempts_of(lab, an_order())
    assert compute.launch(attempt).outcome == "launched"
    template, fleet = (longest(config) for config in aws.asked)
    assert (template, fleet) == (3, 10)
    the_look_by_the_templates_client = template
    assert BEGIN_WITHIN_SECONDS + template + fleet + the_look_by_the_templates_client <= 25


def test_a_sweep_with_a_region_that_hangs_has_time_to_tell() -> None:
    """Regions, look, prices, disks, metrics and ends together leave a quarter of a minute for records and messages."""
    waits = longest(HURRIED) + PATIENCE_SECONDS + PRICES_DISKS_AND_METRICS_SECONDS + TEARDOWN_PATIENCE_SECONDS
    assert waits <= SWEEP_SECONDS - 15
    assert longest(ACTING) <= TEARDOWN_PATIENCE_SECONDS


@pytest.mark.parametrize("number", [1, FLEETS_A_CALL, 3 * FLEETS_A_CALL])
def test_a_forgotten_fleet_hides_no_other(number: int) -> None:
    """EC2 refuses the call that names it: the others are asked for without it, in few calls, and it starts nothing."""
    ids = {f"fleet-{each:03}" for each in range(number)}
    fleets = Fleets({"fleet-000"})
    seen = look_up(ClientOf(fleets), REGION, [], [], own=ids, whole=False, is_partial=False)
    assert {fleet.id for fleet in seen.fleets} == ids
    assert {fleet.id for fleet in seen.fleets if fleet.state == "forgotten"} == {"fleet-000"}
    assert not any(fleet.can_launch for fleet in seen.fleets if fleet.id == "fleet-000")
    assert fleets.calls <= 2 + 14


def test_fleets_that_must_not_be_asked_about_are_asked_once() -> None:
    """A denial is nobody's fault: nothing is split, and it is lacking."""
    fleets = Fleets({"fleet-000"}, code="UnauthorizedOperation")
    ids = {f"fleet-{each:03}" for each in range(FLEETS_A_CALL)}
    seen = look_up(ClientOf(fleets), REGION, [], [], own=ids, whole=False, is_partial=False)
    assert (seen.fleets, seen.lacking) == ((), (f"DescribeFleets {REGION}: UnauthorizedOperation",))
    assert fleets.calls == 1
