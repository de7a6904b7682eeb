"""Instances: states, pages, filters, and who may end them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.world import World
from tests.localaws.conftest import IMAGE

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def run(ec2: Any, kind: str = "g5.xlarge", **options: Any) -> dict[str, Any]:
    launched = ec2.run_instances(
        **{"ImageId": IMAGE, "InstanceType": kind, "MinCount": 1, "MaxCount": 1, **options}
    )
    instance: dict[str, Any] = launched["Instances"][0]
    return instance


def shown(ec2: Any, **options: Any) -> list[dict[str, Any]]:
    return [one for row in ec2.describe_instances(**options)["Reservations"] for one in row["Instances"]]


def reservations(ec2: Any) -> dict[str, set[str]]:
    """The instances of each launch."""
    return {
        row["ReservationId"]: {one["InstanceId"] for one in row["Instances"]}
        for row in ec2.describe_instances()["Reservations"]
    }


def states(ec2: Any) -> list[str]:
    return [instance["State"]["Name"] for instance in shown(ec2)]


def test_an_instance_is_pending_for_some_seconds_and_then_running(world: World, ec2: Any) -> None:
    """A launch answers `pending`; the instance runs within half a minute and its LaunchTime is the launch (EC2 guide,
    "Amazon EC2 instance state changes")."""
    launched = run(ec2)
    assert launched["State"]["Name"] == "pending"
    world.advance(30 * SECOND)
    assert states(ec2) == ["running"]
    assert shown(ec2)[0]["LaunchTime"] == launched["LaunchTime"] == world.now - 30 * SECOND


def test_a_terminated_instance_shuts_down_and_stays_visible_for_an_hour(world: World, ec2: Any) -> None:
    """`shutting-down`, then `terminated` with the reason and its time, then gone from every answer after an hour
    (botocore, TerminateInstances)."""
    box_id = run(ec2)["InstanceId"]
    world.advance(MINUTE)
    change = ec2.terminate_instances(InstanceIds=[box_id])["TerminatingInstances"][0]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "shutting-down")
    world.advance(MINUTE)
    instance = shown(ec2)[0]
    assert instance["State"]["Name"] == "terminated"
    assert instance["StateTransitionReason"] == "User initiated (2026-03-02 09:01:00 GMT)"
    assert instance["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    world.advance(58 * MINUTE)
    assert states(ec2) == ["terminated"]
    world.advance(3 * MINUTE)
    assert states(ec2) == []
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        ec2.describe_instances(InstanceIds=[box_id])


def test_terminating_a_terminated_instance_succeeds(world: World, ec2: Any) -> None:
    """TerminateInstances is idempotent: the second call answers and changes nothing (botocore, TerminateInstances)."""
    box_id = run(ec2)["InstanceId"]
    ec2.terminate_instances(InstanceIds=[box_id])
    world.advance(MINUTE)
    again = ec2.terminate_instances(InstanceIds=[box_id])["TerminatingInstances"][0]
    assert again["CurrentState"]["Name"] == "terminated"


def test_one_unknown_id_fails_the_whole_terminate_call(world: World, ec2: Any) -> None:
    """InvalidInstanceID.NotFound names the unknown id, and the known one lives on (botocore, TerminateInstances)."""
    box_id = run(ec2)["InstanceId"]
    world.advance(MINUTE)
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound.*i-00000000000000000"):
        ec2.terminate_instances(InstanceIds=[box_id, "i-00000000000000000"])
    assert states(ec2) == ["running"]


def test_a_protected_instance_shields_its_whole_zone(world: World, ec2: Any) -> None:
    """OperationNotPermitted; the instances of the other zone are terminated all the same (botocore, TerminateInstances)."""
    placed = {"a": {"AvailabilityZone": "us-east-1a"}, "b": {"AvailabilityZone": "us-east-1b"}}
    protected = run(ec2, Placement=placed["a"], DisableApiTermination=True)["InstanceId"]
    neighbour = run(ec2, Placement=placed["a"])["InstanceId"]
    elsewhere = run(ec2, Placement=placed["b"])["InstanceId"]
    world.advance(MINUTE)
    with pytest.raises(ClientError, match=f"OperationNotPermitted.*{protected}"):
        ec2.terminate_instances(InstanceIds=[protected, neighbour, elsewhere])
    states_by_id = {one["InstanceId"]: one["State"]["Name"] for one in shown(ec2)}
    assert states_by_id == {protected: "running", neighbour: "running", elsewhere: "shutting-down"}


def test_protection_can_be_lifted_and_is_refused_for_spot(world: World, ec2: Any) -> None:
    """ModifyInstanceAttribute lifts DisableApiTermination; spot instances can't have it (EC2 guide, "Change instance
    termination protection")."""
    protected = run(ec2, DisableApiTermination=True)["InstanceId"]
    ec2.modify_instance_attribute(InstanceId=protected, DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[protected])
    spot = world.start_box("g5.xlarge", market="one-time").id
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        ec2.modify_instance_attribute(InstanceId=spot, DisableApiTermination={"Value": True})


def test_at_most_a_thousand_ids_can_be_terminated_at_once(ec2: Any) -> None:
    """1,001 ids are refused as a whole (botocore, TerminateInstancesRequest.InstanceIds)."""
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ec2.terminate_instances(InstanceIds=[f"i-{number:017x}" for number in range(1001)])


def test_describe_instances_pages_from_5_to_1000(world: World, ec2: Any) -> None:
    """MaxResults outside 5 to 1,000 is refused; without it a page holds 1,000; tokens lead through all of them (EC2 API
    reference, "DescribeInstances")."""
    for _ in range(1003):
        world.start_box("g5.xlarge")
    for wrong in (4, 1001):
        with pytest.raises(ClientError, match="InvalidParameterValue"):
            ec2.describe_instances(MaxResults=wrong)
    first = ec2.describe_instances()
    assert sum(len(row["Instances"]) for row in first["Reservations"]) == 1000
    assert (
        sum(
            len(row["Instances"])
            for row in ec2.describe_instances(NextToken=first["NextToken"])["Reservations"]
        )
        == 3
    )
    pages = ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 400})
    ids = {one["InstanceId"] for page in pages for row in page["Reservations"] for one in row["Instances"]}
    assert len(ids) == 1003


def test_filters_are_joined_by_and_and_their_values_by_or(world: World, ec2: Any) -> None:
    """State, type, lifecycle, tag, tag key, request and token filters work, with wildcards; an unknown one is refused
    (botocore, DescribeInstancesRequest.Filters; EC2 guide, "Filter your resources")."""
    spot = world.start_box("g5.xlarge", market="one-time", tags={"team": "vision"})
    token = run(ec2, "p3.2xlarge", ClientToken="tok-1")["InstanceId"]
    world.advance(MINUTE)
    assert spot.request_id is not None

    def ids(**filters: list[str]) -> list[str]:
        wanted = [{"Name": name.replace("_", "-"), "Values": values} for name, values in filters.items()]
        return [one["InstanceId"] for one in shown(ec2, Filters=wanted)]

    assert ids(instance_lifecycle=["spot"]) == [spot.id]
    assert ids(instance_type=["p3.*"]) == [token]
    assert ids(client_token=["tok-1"]) == [token]
    assert ids(spot_instance_request_id=[spot.request_id]) == [spot.id]
    assert ids(tag_key=["team"]) == [spot.id]
    assert [
        one["InstanceId"] for one in shown(ec2, Filters=[{"Name": "tag:team", "Values": ["v?sion"]}])
    ] == [spot.id]
    assert ids(instance_state_name=["running"], instance_type=["g5.xlarge", "g4dn.xlarge"]) == [spot.id]
    assert ids(instance_state_name=["stopped"]) == []
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ids(colour=["red"])


def test_a_filter_takes_at_most_200_values(ec2: Any) -> None:
    """FilterLimitExceeded for more (EC2 guide, "Filter your resources"; EC2 API error codes)."""
    ids = [f"i-{number:017x}" for number in range(201)]
    assert shown(ec2, Filters=[{"Name": "instance-id", "Values": ids[:200]}]) == []
    with pytest.raises(ClientError, match="FilterLimitExceeded"):
        ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": ids}])


def test_ids_of_an_answer_can_be_asked_for_and_one_unknown_fails_the_call(ec2: Any) -> None:
    """DescribeInstances by id answers these; an unknown one is InvalidInstanceID.NotFound (botocore, DescribeInstances)."""
    first, _ = run(ec2)["InstanceId"], run(ec2)["InstanceId"]
    assert [one["InstanceId"] for one in shown(ec2, InstanceIds=[first])] == [first]
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        ec2.describe_instances(InstanceIds=[first, "i-00000000000000000"])


@pytest.mark.parametrize("kind", ["p3.2xlarge", "g4ad.xlarge", "p2.xlarge", "dl1.24xlarge", "zz9.plural"])
def test_types_that_moto_does_not_know_launch_all_the_same(ec2: Any, kind: str) -> None:
    """A simulator that knows fewer types than AWS must not hide boxes of the others."""
    assert run(ec2, kind)["InstanceType"] == kind


def test_a_stopped_instance_starts_again_with_a_new_launch_time(world: World, ec2: Any) -> None:
    """running → stopping → stopped → pending → running; LaunchTime is the last start (botocore, Instance.LaunchTime)."""
    box_id = run(ec2)["InstanceId"]
    world.advance(MINUTE)
    ec2.stop_instances(InstanceIds=[box_id])
    assert states(ec2) == ["stopping"]
    world.advance(MINUTE)
    assert states(ec2) == ["stopped"]
    assert "PublicIpAddress" not in shown(ec2)[0]
    ec2.start_instances(InstanceIds=[box_id])
    started = world.now
    assert states(ec2) == ["pending"]
    world.advance(MINUTE)
    assert (states(ec2), shown(ec2)[0]["LaunchTime"]) == (["running"], started)


@pytest.mark.parametrize("behaviour, state", [("terminate", "terminated"), ("stop", "stopped")])
def test_a_guest_shutdown_does_what_the_instance_initiated_behaviour_says(
    world: World, ec2: Any, behaviour: str, state: str
) -> None:
    """`shutdown -h` inside ends the instance or stops it, whichever was asked for at launch (EC2 guide, "Change instance
    initiated shutdown behavior")."""
    box_id = run(ec2, InstanceInitiatedShutdownBehavior=behaviour)["InstanceId"]
    world.advance(MINUTE)
    world.guest_shutdown(box_id)
    world.advance(MINUTE)
    assert states(ec2) == [state]


def test_the_root_volume_goes_with_the_box_and_other_volumes_stay(world: World, ec2: Any) -> None:
    """DeleteOnTermination is true for the root volume and false for the others unless said otherwise (EC2 guide,
    "Preserve data when an instance is terminated")."""
    devices = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 50}}]
    box_id = run(ec2, BlockDeviceMappings=devices)["InstanceId"]
    assert sorted(volume["Size"] for volume in ec2.describe_volumes()["Volumes"]) == [8, 50]
    ec2.terminate_instances(InstanceIds=[box_id])
    world.advance(MINUTE)
    assert [volume["Size"] for volume in ec2.describe_volumes()["Volumes"]] == [50]


def test_launch_template_data_is_under_the_parameters_of_a_launch(world: World, ec2: Any) -> None:
    """The template gives what the call leaves out, tags of both are joined, and AWS adds its two own tags (botocore,
    RunInstancesRequest.LaunchTemplate)."""
    template = ec2.create_launch_template(
        LaunchTemplateName="training",
        LaunchTemplateData={
            "ImageId": IMAGE,
            "InstanceType": "g5.xlarge",
            "InstanceInitiatedShutdownBehavior": "terminate",
            "TagSpecifications": [
                {"ResourceType": "instance", "Tags": [{"Key": "from", "Value": "template"}]}
            ],
        },
    )["LaunchTemplate"]
    launched = ec2.run_instances(
        LaunchTemplate={"LaunchTemplateName": "training"},
        InstanceType="g5.2xlarge",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "also", "Value": "call"}]}],
    )["Instances"][0]
    tags = {tag["Key"]: tag["Value"] for tag in launched["Tags"]}
    assert launched["InstanceType"] == "g5.2xlarge"
    assert tags == {
        "from": "template",
        "also": "call",
        "aws:ec2launchtemplate:id": template["LaunchTemplateId"],
        "aws:ec2launchtemplate:version": "1",
    }


def test_what_moto_does_with_instances_still_works(world: World, ec2: Any) -> None:
    """Tags, images, addresses and volumes of moto find the same instance."""
    box_id = run(ec2)["InstanceId"]
    world.advance(MINUTE)
    ec2.create_tags(Resources=[box_id], Tags=[{"Key": "curfew:lease", "Value": "lease-1"}])
    assert shown(ec2)[0]["Tags"] == [{"Key": "curfew:lease", "Value": "lease-1"}]
    assert ec2.create_image(InstanceId=box_id, Name="saved")["ImageId"].startswith("ami-")
    assert ec2.describe_instance_status(InstanceIds=[box_id])["InstanceStatuses"][0]["InstanceId"] == box_id
    address = ec2.allocate_address(Domain="vpc")
    ec2.associate_address(InstanceId=box_id, AllocationId=address["AllocationId"])
    assert ec2.describe_addresses()["Addresses"][0]["InstanceId"] == box_id


def test_regions_do_not_see_each_other(world: World, ec2: Any) -> None:
    """An instance of one region is unknown in another (EC2 guide, "Regions and Zones")."""
    world.start_box("g5.xlarge", region="us-west-2")
    assert shown(ec2) == []
    assert len(shown(world.session("us-west-2").client("ec2"))) == 1


def test_a_launch_with_an_unknown_profile_starts_nothing(world: World, ec2: Any) -> None:
    """The instance profile is checked before the launch; a known one is shown on the instance (botocore, RunInstances)."""
    with pytest.raises(ClientError):
        run(ec2, IamInstanceProfile={"Name": "curfew-unknown"})
    assert shown(ec2) == []
    iam = world.session().client("iam")
    iam.create_instance_profile(InstanceProfileName="curfew-box")
    launched = run(ec2, IamInstanceProfile={"Name": "curfew-box"})
    assert launched["IamInstanceProfile"]["Arn"].endswith("instance-profile/curfew-box")


@pytest.mark.parametrize("market", [{}, {"InstanceMarketOptions": {"MarketType": "spot"}}])
def test_the_instances_of_one_launch_share_its_reservation(ec2: Any, market: dict[str, Any]) -> None:
    """The answer and DescribeInstances show one reservation for a launch of three, another for the next (botocore,
    Reservation)."""
    launch = {"ImageId": IMAGE, "InstanceType": "g5.xlarge", **market}
    three = ec2.run_instances(**launch, MinCount=3, MaxCount=3)
    one = ec2.run_instances(**launch, MinCount=1, MaxCount=1)
    ids = {box["InstanceId"] for box in three["Instances"]}
    assert len(ids) == 3
    assert reservations(ec2) == {
        three["ReservationId"]: ids,
        one["ReservationId"]: {one["Instances"][0]["InstanceId"]},
    }
    (row,) = ec2.describe_instances(Filters=[{"Name": "reservation-id", "Values": [three["ReservationId"]]}])[
        "Reservations"
    ]
    assert (row["OwnerId"], "RequesterId" in row) == ("123456789012", False)


def test_a_fleet_launches_each_pool_under_one_reservation(ec2: Any) -> None:
    """What a fleet starts of one type in one zone shares a reservation (botocore, Reservation: "a launch request for one or
    more instances")."""
    data = {"ImageId": IMAGE, "InstanceType": "g5.xlarge"}
    template = ec2.create_launch_template(LaunchTemplateName="pool", LaunchTemplateData=data)
    ec2.create_fleet(
        Type="instant",
        LaunchTemplateConfigs=[
            {
                "LaunchTemplateSpecification": {
                    "LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"],
                    "Version": "1",
                },
                "Overrides": [{"AvailabilityZone": "us-east-1a"}],
            }
        ],
        TargetCapacitySpecification={"TotalTargetCapacity": 3, "DefaultTargetCapacityType": "spot"},
    )
    assert [len(ids) for ids in reservations(ec2).values()] == [3]


def test_auto_scaling_is_the_requester_of_what_it_launches(world: World, ec2: Any) -> None:
    """RequesterId names who launched on the account's behalf (botocore, Reservation.RequesterId)."""
    world.start_box("g5.xlarge", market="asg")
    assert [row["RequesterId"] for row in ec2.describe_instances()["Reservations"]] == ["940372691376"]


def test_an_ordinary_instance_is_managed_by_nobody(ec2: Any) -> None:
    """Operator.Managed is false unless a service provider manages the instance (botocore, OperatorResponse)."""
    run(ec2)
    assert [one["Operator"] for one in shown(ec2)] == [{"Managed": False}]


def test_ids_and_pages_exclude_each_other(ec2: Any) -> None:
    """MaxResults beside InstanceIds is refused, and so is a token that no page gave (botocore,
    DescribeInstancesRequest.MaxResults)."""
    box_id = run(ec2)["InstanceId"]
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        ec2.describe_instances(InstanceIds=[box_id], MaxResults=5)
    for wrong in ("page-x", "5", "page--5"):
        with pytest.raises(ClientError, match="InvalidParameterValue"):
            ec2.describe_instances(NextToken=wrong)


def test_stop_protection_keeps_the_api_from_stopping_and_terminating(world: World, ec2: Any) -> None:
    """OperationNotPermitted for both while DisableApiStop is set, and a shutdown in the guest passes (EC2 guide, "Enable
    stop protection for your EC2 instances")."""
    box_id = run(ec2, DisableApiStop=True)["InstanceId"]
    world.advance(MINUTE)
    with pytest.raises(ClientError, match=r"OperationNotPermitted.*may not be stopped.*disableApiStop"):
        ec2.stop_instances(InstanceIds=[box_id])
    with pytest.raises(ClientError, match=r"OperationNotPermitted.*may not be terminated.*disableApiStop"):
        ec2.terminate_instances(InstanceIds=[box_id])
    world.guest_shutdown(box_id)
    world.advance(MINUTE)
    assert states(ec2) == ["stopped"]
    ec2.modify_instance_attribute(InstanceId=box_id, DisableApiStop={"Value": False})
    ec2.terminate_instances(InstanceIds=[box_id])
    assert states(ec2) == ["shutting-down"]


def test_stop_protection_is_refused_for_spot(world: World, ec2: Any) -> None:
    """Spot instances can't have it, neither at launch nor later (EC2 guide, "Enable stop protection for your EC2
    instances")."""
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        run(ec2, DisableApiStop=True, InstanceMarketOptions={"MarketType": "spot"})
    spot = world.start_box("g5.xlarge", market="one-time").id
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        ec2.modify_instance_attribute(InstanceId=spot, DisableApiStop={"Value": True})


def test_termination_protection_blocks_neither_a_stop_nor_the_guest(world: World, ec2: Any) -> None:
    """StopInstances works, and so does a shutdown in the guest whose behaviour is `terminate` (EC2 guide, "Change instance
    termination protection")."""
    stopped = run(ec2, DisableApiTermination=True)["InstanceId"]
    ended = run(ec2, DisableApiTermination=True, InstanceInitiatedShutdownBehavior="terminate")["InstanceId"]
    world.advance(MINUTE)
    ec2.stop_instances(InstanceIds=[stopped])
    world.guest_shutdown(ended)
    world.advance(MINUTE)
    assert {one["InstanceId"]: one["State"]["Name"] for one in shown(ec2)} == {
        stopped: "stopped",
        ended: "terminated",
    }


def test_a_guest_shutdown_ends_a_one_time_spot_instance_whatever_its_behaviour(
    world: World, ec2: Any
) -> None:
    """A one-time request's instance can't be stopped, so `stop` ends it too (EC2 guide, "Manage your Spot Instances")."""
    box_id = run(ec2, InstanceInitiatedShutdownBehavior="stop", InstanceMarketOptions={"MarketType": "spot"})[
        "InstanceId"
    ]
    world.advance(MINUTE)
    world.guest_shutdown(box_id)
    world.advance(MINUTE)
    assert states(ec2) == ["terminated"]


def test_a_guest_shutdown_that_stops_disables_a_persistent_request(world: World, ec2: Any) -> None:
    """The request waits as `disabled` for its stopped instance; nothing is started in its place (EC2 guide, "Manage your Spot
    Instances")."""
    box = world.start_box("g5.xlarge", market="persistent")
    world.advance(MINUTE)
    world.guest_shutdown(box.id)
    world.advance(HOUR)
    (request,) = ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert (states(ec2), request["State"]) == (["stopped"], "disabled")


def test_a_way_down_passes_through_its_own_state(world: World, ec2: Any) -> None:
    """`stopping` and `shutting-down` last some seconds, and can't be started from (EC2 guide, "Amazon EC2 instance state
    changes")."""
    stopped, ended = run(ec2)["InstanceId"], run(ec2)["InstanceId"]
    world.advance(MINUTE)
    ec2.stop_instances(InstanceIds=[stopped])
    ec2.terminate_instances(InstanceIds=[ended])
    world.advance(5 * SECOND)
    assert states(ec2) == ["stopping", "shutting-down"]
    for box_id in (stopped, ended):
        with pytest.raises(ClientError, match="IncorrectInstanceState"):
            ec2.start_instances(InstanceIds=[box_id])
    ec2.terminate_instances(InstanceIds=[stopped])
    world.advance(MINUTE)
    assert states(ec2) == ["terminated", "terminated"]


def test_the_first_start_is_the_attach_time_of_the_first_interface(world: World, ec2: Any) -> None:
    """AttachTime of the primary interface stays at the launch while LaunchTime follows each start (botocore,
    Instance.LaunchTime)."""
    first = run(ec2)["LaunchTime"]
    box_id = shown(ec2)[0]["InstanceId"]
    for _ in range(2):
        world.advance(MINUTE)
        ec2.stop_instances(InstanceIds=[box_id])
        world.advance(MINUTE)
        ec2.start_instances(InstanceIds=[box_id])
    (instance,) = shown(ec2)
    assert instance["LaunchTime"] == world.now
    assert instance["NetworkInterfaces"][0]["Attachment"]["AttachTime"] == first
