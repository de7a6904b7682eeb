"""Fleets and groups: the gateway on localaws and the twin see and change them as AWS does."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from chalicelib.gateways.aws import ACTING, Aws, new_session
from chalicelib.gateways.ec2 import Ec2Compute
from chalicelib.gateways.ec2_controllers import to_fleet
from localaws.world import World
from tests.contract.compute_labs import AMI, REGION, WorldLab, alive, instance_of, look

ROLE = "arn:aws:iam::123456789012:role/fleet"


@pytest.fixture
def lab() -> Iterator[WorldLab]:
    with World(seed=7) as world:
        yield WorldLab(world)


def template(lab: WorldLab) -> str:
    ec2 = lab.aws.ec2(REGION)
    number = len(ec2.describe_launch_templates()["LaunchTemplates"])
    made = ec2.create_launch_template(
        LaunchTemplateName=f"gpu-{number}",
        LaunchTemplateData={"ImageId": AMI.id, "InstanceType": "g5.xlarge"},
    )
    return made["LaunchTemplate"]["LaunchTemplateId"]


def fleet(lab: WorldLab, number: int = 3, *, overrides: Any = None, **facts: Any) -> str:
    """An EC2 Fleet of spot boxes."""
    config: Any = {
        "LaunchTemplateSpecification": {"LaunchTemplateId": template(lab), "Version": "1"},
        "Overrides": overrides or [{"InstanceType": "g5.xlarge"}],
    }
    made = lab.aws.ec2(REGION).create_fleet(
        Type=facts.pop("Type", "maintain"),
        LaunchTemplateConfigs=[config],
        TargetCapacitySpecification={
            "TotalTargetCapacity": number,
            "DefaultTargetCapacityType": "spot",
            **facts,
        },
    )
    lab.wait(60)
    return made["FleetId"]


def spot_fleet(lab: WorldLab, number: int = 3) -> str:
    """A Spot Fleet by launch specifications."""
    made = lab.aws.ec2(REGION).request_spot_fleet(
        SpotFleetRequestConfig={
            "IamFleetRole": ROLE,
            "TargetCapacity": number,
            "Type": "maintain",
            "LaunchSpecifications": [
                {"ImageId": AMI.id, "InstanceType": "g5.xlarge", "WeightedCapacity": 1.0}
            ],
        }
    )
    lab.wait(60)
    return made["SpotFleetRequestId"]


def group(lab: WorldLab, number: int = 3, *, least: int = 0) -> str:
    """An Auto Scaling group of on-demand boxes."""
    client: Any = lab.aws.client("autoscaling", REGION)
    client.create_auto_scaling_group(
        AutoScalingGroupName="web",
        MinSize=least,
        MaxSize=10,
        DesiredCapacity=number,
        AvailabilityZones=[f"{REGION}a"],
        LaunchTemplate={"LaunchTemplateId": template(lab), "Version": "1"},
    )
    lab.wait(60)
    return "web"


def settle(lab: WorldLab) -> list[str]:
    """What runs after AWS has had time to replace what it replaces."""
    lab.wait(600)
    return alive(lab)


class TestLooking:
    def test_an_empty_region_costs_two_calls(self, lab: WorldLab) -> None:
        """Nothing runs there that anything could have started."""
        assert asked(lab) == ["DescribeInstances", "DescribeSpotInstanceRequests"]

    def test_a_fleet_is_seen_with_its_target_its_weights_and_its_members(self, lab: WorldLab) -> None:
        """By the tag of its boxes."""
        overrides = [{"InstanceType": "g5.xlarge", "WeightedCapacity": 2.0}]
        fleet_id = fleet(lab, 4, overrides=overrides)
        (seen,) = look(lab).fleets
        assert (seen.id, seen.type, seen.target, seen.replaces) == (fleet_id, "maintain", 4, True)
        assert (seen.weight("g5.xlarge"), seen.types) == (2, {"g5.xlarge"})
        assert set(seen.members or ()) == set(alive(lab))
        assert len(alive(lab)) == 2

    def test_a_spot_fleet_is_seen_alike(self, lab: WorldLab) -> None:
        """In its own words."""
        fleet_id = spot_fleet(lab)
        (seen,) = look(lab).fleets
        assert (seen.id, seen.type, seen.target, seen.replaces) == (fleet_id, "maintain", 3, True)
        assert len(seen.members or ()) == 3

    def test_a_group_is_seen_with_its_sizes_and_its_members(self, lab: WorldLab) -> None:
        """By the tag of its boxes."""
        group(lab, least=1)
        (seen,) = look(lab).groups
        assert (seen.name, seen.least, seen.most, seen.desired) == ("web", 1, 10, 3)
        assert {member.id for member in seen.members} == set(alive(lab))

    def test_a_box_without_tags_is_found_by_membership(self, lab: WorldLab) -> None:
        """A replacement can carry no tags at all: its fleet says that it runs it."""
        fleet_id = fleet(lab, 2)
        sfr = spot_fleet(lab, 1)
        name = group(lab, 1)
        for box in lab.world.boxes:
            box.moto.ec2_backend.tags.pop(box.id, None)
        boxes = [one for one in look(lab).instances if not one.is_gone]
        assert sorted((b.fleet_id or b.spot_fleet_id or b.group) or "" for b in boxes) == sorted(
            [fleet_id, fleet_id, sfr, name]
        )

    def test_one_box_tells_of_its_fleet_s_others(self, lab: WorldLab) -> None:
        """A look at one alone knows all that its fleet or group runs."""
        fleet(lab, 2)
        view = look(lab, only=alive(lab)[0])
        assert (len(view.instances), len(view.fleets[0].members or ()), view.is_partial) == (1, 2, True)

    def test_fleets_that_run_nothing_are_seen_when_asked_for(self, lab: WorldLab) -> None:
        """All of them, or the one that a lease owns."""
        fleet_id = fleet(lab, 0)
        assert look(lab).fleets == ()
        (whole,) = lab.compute.observe([REGION], whole=True)
        (own,) = lab.compute.observe([REGION], fleets=[(REGION, fleet_id)])
        assert [one.id for one in whole.fleets] == [one.id for one in own.fleets] == [fleet_id]

    def test_a_silent_auto_scaling_hides_no_box(self, lab: WorldLab) -> None:
        """It is lacking."""
        group(lab, 1)
        lab.world.fault(service="autoscaling", operation="DescribeAutoScalingGroups", code="Throttling")
        view = look(lab)
        assert (view.status, len(view.instances), view.groups) == ("ok", 1, ())
        assert view.lacking == (f"DescribeAutoScalingGroups {REGION}: Throttling",)


class TestDisarming:
    def test_a_shrunk_fleet_keeps_its_excess_and_replaces_nothing(self, lab: WorldLab) -> None:
        """First the target, then the box."""
        fleet_id = fleet(lab)
        ends, *kept = alive(lab)
        assert lab.compute.shrink_fleet(REGION, fleet_id, total=2, on_demand=None).accepted
        assert len(settle(lab)) == 3
        lab.compute.terminate(REGION, [ends])
        assert settle(lab) == kept

    def test_a_shrunk_spot_fleet_does_so_too(self, lab: WorldLab) -> None:
        """By ModifySpotFleetRequest."""
        fleet_id = spot_fleet(lab)
        ends, *kept = alive(lab)
        assert lab.compute.shrink_fleet(REGION, fleet_id, total=2, on_demand=None).accepted
        lab.compute.terminate(REGION, [ends])
        assert settle(lab) == kept

    def test_the_on_demand_part_shrinks_with_its_box(self, lab: WorldLab) -> None:
        """Else the fleet would start another on-demand one."""
        fleet_id = fleet(lab, OnDemandTargetCapacity=1, SpotTargetCapacity=2)
        ends = next(one for one in alive(lab) if not instance_of(lab, one).is_spot)
        lab.compute.shrink_fleet(REGION, fleet_id, total=2, on_demand=0)
        lab.compute.terminate(REGION, [ends])
        assert len(settle(lab)) == 2
        (seen,) = look(lab).fleets
        assert (seen.target, seen.on_demand_target) == (2, 0)

    @pytest.mark.parametrize("and_boxes", [True, False])
    def test_fleets_of_both_kinds_end_at_once(self, lab: WorldLab, *, and_boxes: bool) -> None:
        """With their boxes, or without; an unknown one spoils nothing."""
        ids = [fleet(lab, 2), spot_fleet(lab, 1), "fleet-00000000000000000"]
        outcomes = lab.compute.end_fleets(REGION, ids, and_boxes=and_boxes)
        assert [outcomes[one].accepted for one in ids] == [True, True, False]
        assert outcomes[ids[2]].is_absent
        assert len(settle(lab)) == (0 if and_boxes else 3)
        assert lab.compute.end_fleets(REGION, ids[:2], and_boxes=and_boxes)[ids[0]].accepted

    def test_a_fleet_that_is_not_of_type_maintain_can_not_be_shrunk(self, lab: WorldLab) -> None:
        """EC2 says so."""
        outcome = lab.compute.shrink_fleet(REGION, fleet(lab, Type="request"), total=1, on_demand=None)
        assert (outcome.accepted, outcome.answer) == (False, "InvalidParameterValue")

    def test_a_detached_box_runs_on_and_is_not_replaced(self, lab: WorldLab) -> None:
        """It is nobody's then; detached once more it is absent, and nothing shrinks again."""
        group(lab)
        ends, *kept = alive(lab)
        assert lab.compute.detach(REGION, "web", [ends])[ends].accepted
        assert len(settle(lab)) == 3
        again = lab.compute.detach(REGION, "web", [ends])[ends]
        assert (again.accepted, again.is_absent) == (False, True)
        lab.compute.terminate(REGION, [ends])
        assert settle(lab) == kept
        assert look(lab).groups[0].desired == 2

    def test_a_group_s_least_size_refuses_until_it_is_lowered(self, lab: WorldLab) -> None:
        """The answer says why."""
        group(lab, least=3)
        ends = alive(lab)[0]
        refused = lab.compute.detach(REGION, "web", [ends])[ends]
        assert (refused.accepted, refused.is_absent) == (False, False)
        assert "min size" in refused.answer
        assert lab.compute.resize_group(REGION, "web", least=2).accepted
        assert lab.compute.detach(REGION, "web", [ends])[ends].accepted

    def test_a_group_at_zero_starts_nothing(self, lab: WorldLab) -> None:
        """It is there all the same."""
        group(lab, least=2)
        assert lab.compute.resize_group(REGION, "web", least=0, most=0, desired=0).accepted
        assert settle(lab) == []
        assert not lab.compute.resize_group(REGION, "none", least=0).accepted

    def test_a_lost_answer_of_a_detachment_is_not_asked_for_again(self, lab: WorldLab) -> None:
        """botocore would detach twice."""
        group(lab)
        ends = alive(lab)[0]
        lab.world.fault(service="autoscaling", operation="DetachInstances", lost_answer=True, times=1)
        assert not lab.compute.detach(REGION, "web", [ends])[ends].accepted
        assert look(lab).groups[0].desired == 2
        assert instance_of(lab, ends).group is None


def asked(lab: WorldLab) -> list[str]:
    """The calls of one look, in order of their names."""
    calls: list[str] = []
    session = lab.aws._session
    assert session is not None
    session.register("before-call", lambda model, **_: calls.append(model.name))
    Ec2Compute(lab.aws).observe([REGION])
    return sorted(calls)


def test_a_fleet_that_is_filled_with_on_demand_boxes_by_default_is_shrunk_as_such() -> None:
    """Told only a total, its part would be taken for spot: a shrink that sets it so would start as many spot boxes."""
    sizes = {"TotalTargetCapacity": 3, "OnDemandTargetCapacity": 0, "DefaultTargetCapacityType": "on-demand"}
    seen = to_fleet({"FleetId": "fleet-1", "TargetCapacitySpecification": sizes}, REGION)
    assert (seen.target, seen.on_demand_target) == (3, 3)
    spot = {**sizes, "DefaultTargetCapacityType": "spot"}
    assert to_fleet({"FleetId": "f", "TargetCapacitySpecification": spot}, REGION).on_demand_target == 0


def test_the_parts_that_a_fleet_is_shrunk_to_add_up_to_its_target() -> None:
    """EC2 refuses a target whose parts are more than it, and the fleet would go on replacing what ends."""
    session = new_session()
    session.set_credentials("testing", "testing")
    aws = Aws(REGION, session=session)
    with Stubber(aws.ec2(REGION, ACTING)) as stubber:
        stubber.add_response(
            "modify_fleet",
            {"Return": True},
            {
                "FleetId": "fleet-1",
                "ExcessCapacityTerminationPolicy": "no-termination",
                "TargetCapacitySpecification": {
                    "TotalTargetCapacity": 5,
                    "OnDemandTargetCapacity": 2,
                    "SpotTargetCapacity": 3,
                },
            },
        )
        assert Ec2Compute(aws).shrink_fleet(REGION, "fleet-1", total=5, on_demand=2).accepted
        stubber.assert_no_pending_responses()
