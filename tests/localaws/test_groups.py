"""Auto Scaling groups: what they launch, what they replace, how they are made smaller and ended."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.model import Box
from localaws.world import World
from tests.localaws.conftest import IMAGE

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]


@pytest.fixture
def autoscaling(world: World) -> Any:
    return world.session().client("autoscaling")


def template(ec2: Any, **data: Any) -> dict[str, str]:
    made = ec2.create_launch_template(
        LaunchTemplateName="t", LaunchTemplateData={"ImageId": IMAGE, "InstanceType": "g5.xlarge", **data}
    )
    return {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "$Latest"}


def group(autoscaling: Any, desired: int = 1, name: str = "g", **options: Any) -> None:
    sizes = {"MinSize": 0, "MaxSize": 10, "DesiredCapacity": desired}
    zones = {} if "VPCZoneIdentifier" in options else {"AvailabilityZones": ZONES}
    autoscaling.create_auto_scaling_group(AutoScalingGroupName=name, **{**sizes, **zones, **options})


def mixed(spec: dict[str, str], types: list[str], **distribution: Any) -> dict[str, Any]:
    overrides = [{"InstanceType": one} for one in types]
    return {
        "LaunchTemplate": {"LaunchTemplateSpecification": spec, "Overrides": overrides},
        "InstancesDistribution": distribution,
    }


def live(world: World) -> list[Box]:
    return [box for box in world.boxes if box.live]


def desired(autoscaling: Any) -> int:
    (shown,) = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    return int(shown["DesiredCapacity"])


def listed(autoscaling: Any) -> set[str]:
    (shown,) = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    return {one["InstanceId"] for one in shown["Instances"]}


def test_a_group_replaces_a_terminated_instance(world: World, ec2: Any) -> None:
    """TerminateInstances does not lower the desired capacity: another box with the group's tag is started (Auto Scaling
    guide, "Health checks for instances in an Auto Scaling group").
    """
    first = world.start_box("g5.xlarge", market="asg")
    world.advance(MINUTE)
    ec2.terminate_instances(InstanceIds=[first.id])
    world.advance(2 * MINUTE)
    (second,) = live(world)
    row = world.row(second.id)
    assert (row["market"], row["group"], row["relaunched_by"], row["relaunch_of"]) == (
        "asg",
        first.group,
        first.group,
        first.id,
    )
    assert row["tags"]["aws:autoscaling:groupName"] == first.group


def test_a_group_ends_and_replaces_a_stopped_instance(world: World, ec2: Any) -> None:
    """A member that does not run is unhealthy: stopping it has it terminated and another one started (Auto Scaling
    guide, "Health checks for instances in an Auto Scaling group").
    """
    first = world.start_box("g5.xlarge", market="asg")
    world.advance(MINUTE)
    ec2.stop_instances(InstanceIds=[first.id])
    world.advance(5 * MINUTE)
    (second,) = live(world)
    assert (world.row(first.id)["ended_by"], second.relaunch_of) == ("AutoScaling", first.id)


def test_terminating_in_the_group_with_decrement_replaces_nothing(world: World, autoscaling: Any) -> None:
    """TerminateInstanceInAutoScalingGroup(ShouldDecrementDesiredCapacity=True) is the end of it (botocore)."""
    box = world.start_box("g5.xlarge", market="asg")
    answer = autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=box.id, ShouldDecrementDesiredCapacity=True
    )
    assert answer["Activity"]["AutoScalingGroupName"] == box.group
    world.advance(HOUR)
    assert live(world) == []
    assert desired(autoscaling) == 0


def test_the_least_size_of_a_group_refuses_the_decrement(world: World, autoscaling: Any) -> None:
    """ValidationError when the desired capacity equals the minimum; without decrement the instance is replaced
    (botocore, TerminateInstanceInAutoScalingGroup).
    """
    box = world.start_box("g5.xlarge", market="asg")
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=box.group, MinSize=1)
    with pytest.raises(ClientError, match=r"ValidationError.*min size"):
        autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=box.id, ShouldDecrementDesiredCapacity=True
        )
    autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=box.id, ShouldDecrementDesiredCapacity=False
    )
    world.advance(2 * MINUTE)
    assert [one.group for one in live(world)] == [box.group]


def test_the_desired_capacity_launches_and_ends_boxes(world: World, ec2: Any, autoscaling: Any) -> None:
    """SetDesiredCapacity and UpdateAutoScalingGroup scale out and in, and what they end is not replaced (botocore,
    SetDesiredCapacity).
    """
    group(autoscaling, LaunchTemplate=template(ec2))
    autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=4)
    assert listed(autoscaling) == {box.id for box in live(world)}
    assert len(live(world)) == 4
    world.advance(MINUTE)
    autoscaling.update_auto_scaling_group(AutoScalingGroupName="g", DesiredCapacity=1)
    world.advance(HOUR)
    assert len(live(world)) == 1
    assert listed(autoscaling) == {box.id for box in live(world)}
    assert [box.state for box in world.boxes if not box.live] == ["terminated"] * 3


def test_sizes_bound_the_desired_capacity(ec2: Any, autoscaling: Any) -> None:
    """ValidationError outside MinSize and MaxSize; a new bound moves the desired capacity with it (botocore,
    UpdateAutoScalingGroup).
    """
    group(autoscaling, desired=2, LaunchTemplate=template(ec2))
    for call, wrong in (
        (autoscaling.set_desired_capacity, {"DesiredCapacity": 11}),
        (autoscaling.update_auto_scaling_group, {"DesiredCapacity": 3, "MaxSize": 2}),
        (autoscaling.update_auto_scaling_group, {"MinSize": 20}),
    ):
        with pytest.raises(ClientError, match="ValidationError"):
            call(AutoScalingGroupName="g", **wrong)
    autoscaling.update_auto_scaling_group(AutoScalingGroupName="g", MinSize=3)
    assert desired(autoscaling) == 3
    autoscaling.update_auto_scaling_group(AutoScalingGroupName="g", MinSize=0, MaxSize=1)
    assert (desired(autoscaling), len(listed(autoscaling))) == (1, 1)


def test_a_group_launches_where_it_has_fewest(world: World, ec2: Any, autoscaling: Any) -> None:
    """Boxes are spread evenly over the zones, and taken from the fullest one again (Auto Scaling guide, "Distribute
    instances across Availability Zones").
    """
    group(autoscaling, desired=4, LaunchTemplate=template(ec2))
    zones = [box.zone for box in live(world)]
    assert sorted(zones.count(zone) for zone in ZONES) == [1, 1, 2]
    autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=3)
    assert sorted(box.zone for box in live(world)) == ZONES


def test_protected_instances_are_not_scaled_in(world: World, ec2: Any, autoscaling: Any) -> None:
    """SetInstanceProtection shields a member from a scale-in, not from TerminateInstances (botocore)."""
    group(autoscaling, desired=2, LaunchTemplate=template(ec2))
    kept = live(world)[0]
    autoscaling.set_instance_protection(
        AutoScalingGroupName="g", InstanceIds=[kept.id], ProtectedFromScaleIn=True
    )
    autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
    assert live(world) == [kept]
    ec2.terminate_instances(InstanceIds=[kept.id])
    world.advance(HOUR)
    assert live(world) == []


def test_a_group_with_instances_is_deleted_only_by_force(world: World, ec2: Any, autoscaling: Any) -> None:
    """ResourceInUse with members, ScalingActivityInProgress while they end, and ForceDelete ends them with the group
    (botocore, DeleteAutoScalingGroup).
    """
    group(autoscaling, desired=2, LaunchTemplate=template(ec2))
    world.advance(MINUTE)
    with pytest.raises(ClientError, match="ResourceInUse"):
        autoscaling.delete_auto_scaling_group(AutoScalingGroupName="g")
    assert len(live(world)) == 2
    autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
    autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
    with pytest.raises(ClientError, match="ScalingActivityInProgress"):
        autoscaling.delete_auto_scaling_group(AutoScalingGroupName="g")
    world.advance(MINUTE)
    autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=2)
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="g", ForceDelete=True)
    world.advance(HOUR)
    assert live(world) == []
    assert autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []


def test_an_empty_group_is_deleted_without_force(ec2: Any, autoscaling: Any) -> None:
    """Nothing stands in its way (botocore, DeleteAutoScalingGroup)."""
    group(autoscaling, desired=0, LaunchTemplate=template(ec2))
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="g")
    assert autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []


@pytest.mark.parametrize("decrement, members", [(True, 1), (False, 2)])
def test_a_detached_instance_lives_on_and_is_replaced_unless_fewer_are_wanted(
    world: World, ec2: Any, autoscaling: Any, *, decrement: bool, members: int
) -> None:
    """It loses the group's tag; ending it later concerns the group no more (botocore, DetachInstances)."""
    group(autoscaling, desired=2, LaunchTemplate=template(ec2))
    world.advance(MINUTE)
    box = live(world)[0]
    autoscaling.detach_instances(
        AutoScalingGroupName="g", InstanceIds=[box.id], ShouldDecrementDesiredCapacity=decrement
    )
    world.advance(MINUTE)
    assert (box.state, desired(autoscaling), len(listed(autoscaling))) == ("running", members, members)
    assert "aws:autoscaling:groupName" not in world.row(box.id)["tags"]
    assert (box.group, box.id in listed(autoscaling)) == (None, False)
    ec2.terminate_instances(InstanceIds=[box.id])
    world.advance(HOUR)
    assert len(live(world)) == members


def test_detaching_below_the_least_size_is_refused(world: World, ec2: Any, autoscaling: Any) -> None:
    """ValidationError, and the instance stays a member (botocore, DetachInstances)."""
    group(autoscaling, desired=1, MinSize=1, LaunchTemplate=template(ec2))
    (box,) = live(world)
    with pytest.raises(ClientError, match="ValidationError"):
        autoscaling.detach_instances(
            AutoScalingGroupName="g", InstanceIds=[box.id], ShouldDecrementDesiredCapacity=True
        )
    assert listed(autoscaling) == {box.id}


def test_an_attached_instance_is_a_member_from_then_on(world: World, ec2: Any, autoscaling: Any) -> None:
    """The group wants one more, and replaces it when it ends (botocore, AttachInstances)."""
    group(autoscaling, desired=0, LaunchTemplate=template(ec2))
    box = world.start_box("g5.xlarge")
    world.advance(MINUTE)
    autoscaling.attach_instances(AutoScalingGroupName="g", InstanceIds=[box.id])
    assert (desired(autoscaling), listed(autoscaling)) == (1, {box.id})
    ec2.terminate_instances(InstanceIds=[box.id])
    world.advance(2 * MINUTE)
    assert [one.relaunch_of for one in live(world)] == [box.id]


def test_an_instance_on_standby_counts_for_nothing(world: World, ec2: Any, autoscaling: Any) -> None:
    """EnterStandby with decrement launches no other, and stopping it there has no consequences (Auto Scaling guide,
    "Temporarily remove instances from your Auto Scaling group").
    """
    group(autoscaling, LaunchTemplate=template(ec2))
    world.advance(MINUTE)
    (box,) = live(world)
    autoscaling.enter_standby(
        AutoScalingGroupName="g", InstanceIds=[box.id], ShouldDecrementDesiredCapacity=True
    )
    ec2.stop_instances(InstanceIds=[box.id])
    world.advance(HOUR)
    assert [(one.id, one.state) for one in live(world)] == [(box.id, "stopped")]


def test_a_suspended_launch_replaces_nothing_until_it_is_resumed(
    world: World, ec2: Any, autoscaling: Any
) -> None:
    """What was terminated meanwhile is replaced at once on ResumeProcesses (Auto Scaling guide, "How suspended processes
    affect other processes").
    """
    group(autoscaling, LaunchTemplate=template(ec2))
    world.advance(MINUTE)
    autoscaling.suspend_processes(AutoScalingGroupName="g", ScalingProcesses=["Launch"])
    (first,) = live(world)
    ec2.terminate_instances(InstanceIds=[first.id])
    autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=2)
    world.advance(HOUR)
    assert live(world) == []
    autoscaling.resume_processes(AutoScalingGroupName="g", ScalingProcesses=["Launch"])
    assert len(live(world)) == 2


def test_a_suspended_terminate_scales_nothing_in_but_force_deletes(
    world: World, ec2: Any, autoscaling: Any
) -> None:
    """The desired capacity falls and the instances stay, until the group is deleted by force (Auto Scaling guide,
    "Considerations for suspending processes").
    """
    group(autoscaling, desired=2, LaunchTemplate=template(ec2))
    world.advance(MINUTE)
    autoscaling.suspend_processes(AutoScalingGroupName="g", ScalingProcesses=["Terminate"])
    autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
    world.advance(HOUR)
    assert len(live(world)) == 2
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="g", ForceDelete=True)
    assert live(world) == []


def test_a_stopped_member_is_left_alone_while_health_checks_are_suspended(
    world: World, ec2: Any, autoscaling: Any
) -> None:
    """Nothing marks it unhealthy then (Auto Scaling guide, "How suspended processes affect other processes")."""
    group(autoscaling, LaunchTemplate=template(ec2))
    world.advance(MINUTE)
    autoscaling.suspend_processes(AutoScalingGroupName="g", ScalingProcesses=["HealthCheck"])
    ec2.stop_instances(InstanceIds=[live(world)[0].id])
    world.advance(HOUR)
    assert [box.state for box in live(world)] == ["stopped"]


def test_a_group_stays_at_what_capacity_allows(world: World, ec2: Any, autoscaling: Any) -> None:
    """Without capacity it launches nothing and goes on trying; zones that have some are used (Auto Scaling guide,
    "Distribute instances across Availability Zones").
    """
    world.set_capacity("us-east-1a", "*", available=False)
    world.set_capacity("us-east-1b", "*", available=False)
    world.set_capacity("us-east-1c", "*", available=False)
    group(autoscaling, desired=2, LaunchTemplate=template(ec2))
    world.advance(HOUR)
    assert (live(world), desired(autoscaling)) == ([], 2)
    world.set_capacity("us-east-1b", "*", available=True)
    world.advance(2 * MINUTE)
    assert [box.zone for box in live(world)] == ["us-east-1b", "us-east-1b"]


def test_a_group_whose_template_asks_for_spot_starts_spot_instances(
    world: World, ec2: Any, autoscaling: Any
) -> None:
    """InstanceMarketOptions of the launch template make a linked one-time request for each instance of the group, with
    its cap (Auto Scaling guide, "Request Spot Instances for fault-tolerant and flexible applications").
    """
    market = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.95"}}
    group(autoscaling, LaunchTemplate=template(ec2, InstanceMarketOptions=market))
    (box,) = live(world)
    (request,) = ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert (box.spot, box.market, request["InstanceId"], request["State"]) == (True, "asg", box.id, "active")
    assert (request["Type"], request["SpotPrice"]) == ("one-time", "0.950000")
    instance = ec2.describe_instances(InstanceIds=[box.id])["Reservations"][0]["Instances"][0]
    assert instance["SpotInstanceRequestId"] == request["SpotInstanceRequestId"]
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="g", ForceDelete=True)
    world.advance(HOUR)
    assert live(world) == []
    (request,) = ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert request["State"] == "closed"


def test_an_interrupted_instance_of_a_group_is_replaced(world: World, ec2: Any, autoscaling: Any) -> None:
    """EC2 takes a spot member back, the group starts another (Auto Scaling guide, "Health checks for instances in an Auto
    Scaling group").
    """
    group(autoscaling, LaunchTemplate=template(ec2, InstanceMarketOptions={"MarketType": "spot"}))
    world.advance(MINUTE)
    (first,) = live(world)
    world.interrupt(first.id)
    world.advance(5 * MINUTE)
    assert [(box.spot, box.relaunch_of) for box in live(world)] == [(True, first.id)]


def test_a_mixed_instances_policy_shares_between_on_demand_and_spot(
    world: World, ec2: Any, autoscaling: Any
) -> None:
    """The base and the share above it, rounded up, are on-demand of the first type; the rest is spot, each box with its
    one-time request (botocore, InstancesDistribution).
    """
    policy = mixed(
        template(ec2),
        ["g5.2xlarge", "g4dn.xlarge"],
        OnDemandBaseCapacity=1,
        OnDemandPercentageAboveBaseCapacity=25,
        SpotAllocationStrategy="lowest-price",
    )
    group(autoscaling, desired=4, MixedInstancesPolicy=policy)
    kinds = sorted((box.spot, box.type) for box in live(world))
    assert kinds == [(False, "g5.2xlarge")] * 2 + [(True, "g4dn.xlarge")] * 2
    requests = ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert {row["InstanceId"] for row in requests} == {box.id for box in live(world) if box.spot}
    assert {row["Type"] for row in requests} == {"one-time"}
    autoscaling.update_auto_scaling_group(AutoScalingGroupName="g", MaxSize=12)
    autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=6)
    assert sum(box.spot for box in live(world)) == 3


def test_the_maximum_price_of_a_policy_holds_spot_back(world: World, ec2: Any, autoscaling: Any) -> None:
    """No spot instance is launched over SpotMaxPrice; the group waits for the price (botocore, InstancesDistribution)."""
    policy = mixed(template(ec2), ["g5.xlarge"], OnDemandPercentageAboveBaseCapacity=0, SpotMaxPrice="0.05")
    group(autoscaling, MixedInstancesPolicy=policy, AvailabilityZones=["us-east-1a"])
    world.advance(HOUR)
    assert live(world) == []
    world.set_price("us-east-1a", "g5.xlarge", Decimal("0.04"))
    world.advance(2 * MINUTE)
    assert [box.cap_usd for box in live(world)] == [Decimal("0.05")]


def test_weights_count_towards_the_desired_capacity(world: World, ec2: Any, autoscaling: Any) -> None:
    """Boxes are launched until their units reach it (botocore, LaunchTemplateOverrides.WeightedCapacity)."""
    policy = mixed(template(ec2), ["g5.12xlarge"])
    policy["LaunchTemplate"]["Overrides"][0]["WeightedCapacity"] = "4"
    group(autoscaling, desired=6, MixedInstancesPolicy=policy)
    assert [box.type for box in live(world)] == ["g5.12xlarge"] * 2


def test_a_group_launches_into_its_subnets(world: World, ec2: Any, autoscaling: Any) -> None:
    """Each box goes to a subnet of VPCZoneIdentifier (botocore, CreateAutoScalingGroup)."""
    subnets = [one for one in ec2.describe_subnets()["Subnets"] if one["AvailabilityZone"] in ZONES[:2]]
    ids = ",".join(one["SubnetId"] for one in subnets)
    group(autoscaling, desired=2, LaunchTemplate=template(ec2), VPCZoneIdentifier=ids)
    shown = [one for row in ec2.describe_instances()["Reservations"] for one in row["Instances"]]
    assert sorted(one["SubnetId"] for one in shown) == sorted(ids.split(","))


def test_a_launch_configuration_with_a_spot_price_launches_spot(
    world: World, ec2: Any, autoscaling: Any
) -> None:
    """SpotPrice is the cap of each request (botocore, CreateLaunchConfiguration)."""
    autoscaling.create_launch_configuration(
        LaunchConfigurationName="old",
        ImageId=IMAGE,
        InstanceType="g5.xlarge",
        SpotPrice="0.9",
        KeyName="me",
    )
    tag = {"Key": "team", "Value": "vision", "PropagateAtLaunch": True}
    group(autoscaling, LaunchConfigurationName="old", Tags=[tag])
    (box,) = live(world)
    assert (box.spot, box.cap_usd, world.row(box.id)["tags"]["team"]) == (True, Decimal("0.9"), "vision")


def test_a_name_is_given_once(world: World, ec2: Any, autoscaling: Any) -> None:
    """AlreadyExists, and the first group keeps its boxes (botocore, CreateAutoScalingGroup)."""
    spec = template(ec2)
    group(autoscaling, LaunchTemplate=spec)
    with pytest.raises(ClientError, match="AlreadyExists"):
        group(autoscaling, LaunchTemplate=spec)
    assert len(live(world)) == 1


def test_an_unknown_group_is_a_validation_error(autoscaling: Any) -> None:
    """ValidationError names it, whatever the call (botocore)."""
    for call in (autoscaling.delete_auto_scaling_group, autoscaling.suspend_processes):
        with pytest.raises(ClientError, match="ValidationError"):
            call(AutoScalingGroupName="nobody")


def test_a_box_that_finds_no_capacity_leaves_no_group_behind(world: World) -> None:
    """Nothing is left to launch it later on its own."""
    world.set_capacity("*", "*", available=False)
    for market in ("asg", "maintain", "spot-fleet"):
        with pytest.raises(Exception, match="no capacity"):
            world.start_box("g5.xlarge", market=market)  # type: ignore[arg-type]
    world.set_capacity("*", "*", available=True)
    world.advance(HOUR)
    assert live(world) == []


def test_boxes_start_behind_curfews_back_also_where_templates_were_deleted(world: World) -> None:
    """The name of each one's template is one that nobody has now."""
    ec2 = world.session().client("ec2")
    first = ec2.create_launch_template(
        LaunchTemplateName="gone", LaunchTemplateData={"InstanceType": "g5.xlarge"}
    )
    world.start_box("g5.xlarge", market="maintain")
    ec2.delete_launch_template(LaunchTemplateId=first["LaunchTemplate"]["LaunchTemplateId"])
    for market in ("asg", "maintain", "spot-fleet"):
        world.start_box("g5.xlarge", market=market)  # type: ignore[arg-type]
    assert len(live(world)) == 4
