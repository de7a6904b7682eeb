"""Launching where EC2 refuses, is throttled, or does not answer."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from botocore.stub import Stubber

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import Attempt
from chalicelib.gateways.aws import ACTING, HURRIED, LAUNCHING, Aws, new_session
from chalicelib.gateways.ec2 import Ec2Compute
from localaws.world import World
from tests.contract.compute_labs import REGION, WorldLab, alive, an_order, attempts_of, stubbed


@pytest.fixture
def lab() -> Iterator[WorldLab]:
    with World(seed=7) as world:
        yield WorldLab(world)


def stubbed_launch() -> tuple[Ec2Compute, Stubber, Stubber]:
    """The gateway with answers put into its clients: for what is asked in a hurry, and for the launch itself."""
    session = new_session()
    session.set_credentials("testing", "testing")
    aws = Aws(REGION, session=session)
    hurried, launching = (Stubber(aws.ec2(REGION, config)) for config in (HURRIED, LAUNCHING))
    hurried.activate()
    launching.activate()
    return Ec2Compute(aws), hurried, launching


class TestLaunchErrors:
    @pytest.mark.parametrize(
        "code, outcome",
        [
            ("InsufficientInstanceCapacity", "refused"),
            ("SpotMaxPriceTooLow", "refused"),
            ("MaxSpotInstanceCountExceeded", "refused"),
            ("UnauthorizedOperation", "refused"),
            ("InvalidKeyPair.NotFound", "refused"),
            ("Unsupported", "refused"),
            ("InvalidLaunchTemplateName.NotFoundException", "too-early"),
            ("InvalidLaunchTemplateId.NotFound", "too-early"),
            ("InvalidGroup.NotFound", "too-early"),
            ("RequestLimitExceeded", "unknown"),
            ("InternalError", "unknown"),
            ("ServiceUnavailable", "unknown"),
        ],
    )
    def test_only_a_plain_no_is_a_refusal(self, lab: WorldLab, code: str, outcome: str) -> None:
        """Refused where surely nothing runs; too early where EC2 has yet to see the template or the group; unknown where
        it may run."""
        attempt = attempts_of(lab, an_order())[0]
        lab.world.fault(service="ec2", operation="CreateFleet", code=code)
        answer = lab.compute.launch(attempt)
        assert (answer.outcome, answer.code) == (outcome, code)
        assert answer.detail.count(code) == 1

    def test_a_template_that_exists_already_is_used(self, lab: WorldLab) -> None:
        """A crash between template and fleet is made good by the same call."""
        attempt = attempts_of(lab, an_order())[0]
        lab.world.fault(service="ec2", operation="CreateFleet", code="InternalError")
        assert lab.compute.launch(attempt).outcome == "unknown"
        lab.world.clear_faults()
        assert lab.compute.launch(attempt).outcome == "launched"
        assert len(alive(lab)) == 1

    def test_a_template_name_taken_is_no_obstacle(self) -> None:
        """EC2's answer once the token is forgotten; the fleet is asked all the same and what it refuses is told."""
        compute, hurried, launching = stubbed_launch()
        hurried.add_client_error(
            "create_launch_template", "InvalidLaunchTemplateName.AlreadyExistsException", http_status_code=400
        )
        overrides = {"InstanceType": "g5.xlarge", "AvailabilityZone": "us-east-1a"}
        error = {
            "LaunchTemplateAndOverrides": {"Overrides": overrides},
            "ErrorCode": "InsufficientInstanceCapacity",
            "ErrorMessage": "none left",
        }
        launching.add_response("create_fleet", {"FleetId": "fleet-1", "Errors": [error, error]})
        answer = compute.launch(fleet_attempt())
        assert (answer.outcome, answer.code) == ("refused", "InsufficientInstanceCapacity")
        assert answer.detail == "g5.xlarge in us-east-1a: InsufficientInstanceCapacity none left"

    def test_a_fleet_without_boxes_or_reasons_is_unknown(self) -> None:
        """Its boxes may be yet to show up: only a reason is a refusal."""
        compute, hurried, launching = stubbed_launch()
        hurried.add_response("create_launch_template", {})
        launching.add_response("create_fleet", {"FleetId": "fleet-1"})
        assert compute.launch(fleet_attempt()).outcome == "unknown"

    def test_a_box_whose_request_is_not_known_yet_is_launched(self) -> None:
        """Reading the request's id is best effort."""
        compute, hurried, launching = stubbed_launch()
        hurried.add_response("create_launch_template", {})
        launching.add_response(
            "create_fleet", {"FleetId": "fleet-1", "Instances": [{"InstanceIds": ["i-1"]}]}
        )
        hurried.add_client_error("describe_instances", "UnauthorizedOperation", http_status_code=403)
        answer = compute.launch(fleet_attempt())
        assert (answer.outcome, answer.instance_ids, answer.spot_request_ids) == ("launched", ("i-1",), ())

    def test_looking_up_an_attempt_can_fail(self, lab: WorldLab) -> None:
        """Not knowing is not the same as nothing."""
        lab.world.fault(service="ec2", operation="DescribeInstances", code="InternalError")
        with pytest.raises(Unavailable, match="lease-1"):
            lab.compute.find_launched(REGION, lease_id="lease-1", tokens=["0" * 32])

    def test_a_template_deleted_before_is_fine(self) -> None:
        """Absent is fine, anything else is told."""
        compute, stubber = stubbed(ACTING)
        stubber.add_client_error("delete_launch_template", "InvalidLaunchTemplateName.NotFoundException")
        compute.delete_launch_template(REGION, "lease-1")
        stubber.add_client_error("delete_launch_template", "UnauthorizedOperation")
        with pytest.raises(Unavailable, match="curfew-lease-1"):
            compute.delete_launch_template(REGION, "lease-1")


def fleet_attempt() -> Attempt:
    """A recorded fleet call, as short as EC2's model allows."""
    fleet = {
        "TargetCapacitySpecification": {"TotalTargetCapacity": 1},
        "LaunchTemplateConfigs": [],
        "Type": "instant",
    }
    template = {"LaunchTemplateName": "curfew-lease-1", "LaunchTemplateData": {"ImageId": "ami-1"}}
    return Attempt(
        token="0" * 32,
        operation="CreateFleet",
        region=REGION,
        parameters={"launch_template": template, "fleet": fleet},
        started_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
