"""Looking at EC2 where its answers have holes, and where regions do not answer."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.storage import Disk
from chalicelib.gateways.aws import ACTING, PROMPT, READING
from chalicelib.gateways.ec2_observe import observe, to_instance, to_spot_request
from localaws.world import World
from tests.contract.compute_labs import (
    AMI,
    REGION,
    WorldLab,
    an_order,
    attempts_of,
    let_finish,
    look,
    stubbed,
)


@pytest.fixture
def lab() -> Iterator[WorldLab]:
    with World(seed=7) as world:
        yield WorldLab(world)


class TestHoles:
    def test_an_answer_with_nothing_but_an_id(self) -> None:
        """A box without State, Placement, LaunchTime or Tags is seen, and taken for one that runs."""
        box = to_instance({"InstanceId": "i-1"}, REGION)
        assert (box.id, box.state, box.zone, box.launched_at) == ("i-1", "unknown", None, None)
        assert box.is_running

    def test_an_image_s_other_volumes_are_known(self) -> None:
        """The root is told from the rest, and what is on the host itself is none of EBS."""
        compute, stubber = stubbed(PROMPT)
        mappings = [
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 500, "VolumeType": "gp2"}},
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 45}},
            {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
        ]
        image = {
            "ImageId": AMI.id,
            "RootDeviceName": "/dev/xvda",
            "PlatformDetails": "Linux/UNIX",
            "BlockDeviceMappings": mappings,
        }
        stubber.add_response("describe_images", {"Images": [image]})
        found = compute.image(REGION, AMI.id)
        others = (Disk(device="/dev/sdf", gib=500, type="gp2"),)
        assert found == replace(AMI, other_disks=others, ssh_user="ec2-user")

    @pytest.mark.parametrize(
        "facts, why",
        [
            ({"PlatformDetails": "Linux/UNIX", "UsageOperation": "RunInstances"}, None),
            (
                {"PlatformDetails": "Windows", "UsageOperation": "RunInstances:0002", "Platform": "windows"},
                "its platform is Windows, billed as RunInstances:0002",
            ),
            (
                {"PlatformDetails": "Red Hat Enterprise Linux", "UsageOperation": "RunInstances:0010"},
                "its platform is Red Hat Enterprise Linux, billed as RunInstances:0010",
            ),
            (
                {
                    "PlatformDetails": "Linux/UNIX",
                    "ProductCodes": [{"ProductCodeId": "abc123", "ProductCodeType": "marketplace"}],
                },
                "its platform is Linux/UNIX with the product code abc123",
            ),
            ({}, "its platform is unknown, billed as RunInstances"),
        ],
    )
    def test_an_image_that_is_not_plain_linux_has_no_known_price(
        self, facts: dict[str, Any], why: str | None
    ) -> None:
        """Other systems, a marketplace's products, and what EC2 does not say."""
        compute, stubber = stubbed(PROMPT)
        stubber.add_response("describe_images", {"Images": [{"ImageId": AMI.id, **facts}]})
        found = compute.image(REGION, AMI.id)
        assert found is not None
        assert found.unpriced == why

    def test_a_gp3_root_keeps_what_is_provisioned_and_another_becomes_a_plain_gp3(self) -> None:
        """What is asked of EC2 is what is held, so nothing is left for it to take from the image unseen."""
        roots = [
            {"VolumeSize": 45, "VolumeType": "gp3", "Iops": 6000, "Throughput": 500},
            {"VolumeSize": 45, "VolumeType": "io2", "Iops": 6000},
        ]
        compute, stubber = stubbed(PROMPT)
        found = []
        for root in roots:
            image = {
                "ImageId": AMI.id,
                "RootDeviceName": "/dev/xvda",
                "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": root}],
            }
            stubber.add_response("describe_images", {"Images": [image]})
            found += [one.disks(100) for one in [compute.image(REGION, AMI.id)] if one]
        shape = {"device": "/dev/xvda", "gib": 100, "type": "gp3"}
        assert found == [
            (Disk(**shape, iops=6000, throughput=500),),
            (Disk(**shape, iops=3000, throughput=125),),
        ]

    @pytest.mark.parametrize(
        "ebs, why",
        [
            ({"VolumeSize": 100, "VolumeType": "io2"}, "EC2 tells no IOPS of its disk /dev/sdf"),
            ({"VolumeType": "gp2"}, "EC2 tells no size of its disk /dev/sdf"),
            ({"VolumeSize": 100, "VolumeType": "io1", "Iops": 400}, None),
            ({"VolumeSize": 100}, None),
        ],
    )
    def test_an_image_with_a_disk_of_unknown_shape_has_no_known_price(
        self, ebs: dict[str, Any], why: str | None
    ) -> None:
        """A type that EC2 does not tell has one: that of the dearest."""
        compute, stubber = stubbed(PROMPT)
        mappings = [{"DeviceName": "/dev/sdf", "Ebs": ebs}]
        image = {"ImageId": AMI.id, "PlatformDetails": "Linux/UNIX", "BlockDeviceMappings": mappings}
        stubber.add_response("describe_images", {"Images": [image]})
        found = compute.image(REGION, AMI.id)
        assert found is not None
        assert found.unpriced == why

    def test_a_request_with_nothing_but_an_id_is_armed(self) -> None:
        """A request without State may start a box: it must be cancelled."""
        assert to_spot_request({"SpotInstanceRequestId": "sir-1"}, REGION).is_armed

    @pytest.mark.parametrize(
        "raw, expected",
        [
            ({"Operator": {"Managed": True, "Principal": "eks.amazonaws.com"}}, "eks.amazonaws.com"),
            ({"Operator": {"Managed": True}}, "AWS"),
            ({"Operator": {"Managed": False}}, None),
            ({"Tags": [{"Key": "eks:nodegroup-name", "Value": "a"}]}, "EKS"),
            ({"Tags": [{"Key": "eks:eks-cluster-name", "Value": "a"}]}, "EKS"),
            ({"Tags": [{"Key": "kubernetes.io/cluster/lab", "Value": "owned"}]}, "Kubernetes"),
            (
                {
                    "Tags": [
                        {"Key": "kubernetes.io/cluster/lab", "Value": "owned"},
                        {"Key": "eks:eks-cluster-name", "Value": "lab"},
                        {"Key": "karpenter.sh/nodepool", "Value": "gpu"},
                    ]
                },
                "Karpenter",
            ),
            ({"Tags": [{"Key": "aws:elasticmapreduce:job-flow-id", "Value": "j"}]}, "EMR"),
            ({"Tags": [{"Key": "aws:batch:compute-environment", "Value": "c"}]}, "Batch"),
            ({"Tags": [{"Key": "AmazonECSManaged", "Value": ""}]}, "ECS"),
            ({"Tags": [{"Key": "team", "Value": "vision"}]}, None),
        ],
    )
    def test_says_who_manages_a_box(self, raw: dict[str, Any], expected: str | None) -> None:
        """Another AWS service's box is known by its operator or its tags."""
        assert to_instance({"InstanceId": "i-1", **raw}, REGION).managed_by == expected

    @pytest.mark.parametrize(
        "reason, state, expected",
        [
            (
                "User initiated (2026-11-23 05:09:39 GMT)",
                "stopped",
                datetime(2026, 11, 23, 5, 9, 39, tzinfo=UTC),
            ),
            ("Server.SpotInstanceTermination", "terminated", None),
            ("User initiated (2026-99-23 05:09:39 GMT)", "terminated", None),
            ("User initiated (2026-11-23 05:09:39 GMT)", "running", None),
            ("", "terminated", None),
        ],
    )
    def test_reads_the_end_out_of_words(self, reason: str, state: str, expected: datetime | None) -> None:
        """StateTransitionReason has the time, sometimes."""
        raw = {"InstanceId": "i-1", "State": {"Name": state}, "StateTransitionReason": reason}
        assert to_instance(raw, REGION).ended_at == expected

    def test_controllers_are_read_from_awss_own_tags(self) -> None:
        """Fleet, spot fleet and group."""
        keys = {
            "aws:ec2:fleet-id": "fleet-1",
            "aws:ec2spot:fleet-request-id": "sfr-1",
            "aws:autoscaling:groupName": "g",
        }
        raw = {"InstanceId": "i-1", "Tags": [{"Key": key, "Value": value} for key, value in keys.items()]}
        box = to_instance(raw, REGION)
        assert (box.fleet_id, box.spot_fleet_id, box.group) == ("fleet-1", "sfr-1", "g")

    def test_an_empty_answer_is_an_empty_region(self) -> None:
        """Not even the lists are there."""
        compute, stubber = stubbed(READING)
        stubber.add_response(
            "describe_instances", {"Reservations": [{}, {"Instances": [{}, {"InstanceId": "i-1"}]}]}
        )
        stubber.add_response("describe_spot_instance_requests", {})
        (view,) = compute.observe([REGION])
        assert (view.status, [one.id for one in view.instances]) == ("ok", ["i-1"])


class TestRegions:
    @pytest.mark.parametrize(
        "code", ["UnauthorizedOperation", "OptInRequired", "AuthFailure", "AccessDenied"]
    )
    def test_a_denied_region_is_denied(self, lab: WorldLab, code: str) -> None:
        """What policy forbids will not answer next time either; the others are seen."""
        lab.world.fault(service="ec2", region="us-west-2", code=code)
        denied, seen = lab.compute.observe(["us-west-2", REGION])
        assert (denied.status, seen.status) == ("denied", "ok")
        assert code in (denied.error or "")

    @pytest.mark.parametrize("operation", ["DescribeInstances", "DescribeSpotInstanceRequests"])
    def test_half_an_answer_is_a_failed_region(self, lab: WorldLab, operation: str) -> None:
        """A region is seen in full or not at all, so that nothing is taken for gone that is not."""
        lab.start(market="persistent")
        lab.world.fault(service="ec2", operation=operation, code="InternalError", region=REGION)
        failed, seen = lab.compute.observe([REGION, "us-west-2"])
        assert (failed.status, failed.instances, seen.status) == ("failed", (), "ok")
        assert failed.error is not None
        assert failed.error.startswith("InternalError: ")

    def test_one_error_in_passing_is_not_noticed(self, lab: WorldLab) -> None:
        """botocore asks again."""
        lab.world.fault(service="ec2", operation="DescribeInstances", code="RequestLimitExceeded", times=1)
        assert look(lab).status == "ok"

    def test_a_fleet_that_cannot_be_asked_is_left_out(self, lab: WorldLab) -> None:
        """The box is seen; its fleet's type is not known."""
        lab.compute.launch(attempts_of(lab, an_order())[0])
        lab.world.fault(service="ec2", operation="DescribeFleets", code="UnauthorizedOperation")
        view = look(lab)
        assert (view.status, len(view.instances), view.fleets) == ("ok", 1, ())
        assert view.lacking == (f"DescribeFleets {REGION}: UnauthorizedOperation",)

    def test_a_silent_region_keeps_nobody_waiting(self, lab: WorldLab) -> None:
        """Past the deadline a region is failed."""
        with lab.world.lock:  # the world answers nobody while it is held
            (view,) = observe(lab.aws, [REGION], patience=0.05)
        let_finish("observe")
        assert (view.status, view.error) == ("failed", "no answer within 0.05 s")

    def test_many_boxes_come_in_pages(self, lab: WorldLab) -> None:
        """More than one page of boxes is seen whole."""
        ec2 = lab.aws.ec2(REGION, ACTING)
        for _ in range(6):
            ec2.run_instances(ImageId=AMI.id, InstanceType="g5.xlarge", MinCount=200, MaxCount=200)
        view = look(lab)
        assert (len(view.instances), view.pages) == (1200, 2)

    def test_the_last_known_regions_stand_in(self, lab: WorldLab) -> None:
        """When EC2 does not list them now, the sweep goes on with those it knew."""
        lab.world.fault(service="ec2", operation="DescribeRegions", code="InternalError")
        with pytest.raises(Unavailable, match="listing regions: InternalError"):
            lab.compute.regions()
        lab.world.clear_faults()
        known = lab.compute.regions()
        lab.world.fault(service="ec2", operation="DescribeRegions", code="InternalError")
        assert lab.compute.regions() == known
