"""Security groups: the gateway on localaws, and the twin in memory."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.errors import Refused, Unavailable
from chalicelib.domain.lease import RequestType
from chalicelib.domain.network import Rule
from chalicelib.gateways.ec2_security_groups import Ec2SecurityGroups
from chalicelib.ports import SecurityGroups
from localaws.world import World
from tests.contract.compute_labs import REGION, WorldLab, alive, an_order, attempts_of, aws_of
from tests.doubles.memory_security_groups import MemorySecurityGroups

SSH = Rule(protocol="tcp", first_port=22, last_port=22, source="203.0.113.7/32")
JUPYTER = Rule(protocol="tcp", first_port=8888, last_port=8888, source="203.0.113.7/32")
OVER_IPV6 = Rule(protocol="tcp", first_port=22, last_port=22, source="2001:db8::/64")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(seed=7) as opened:
        yield opened


@pytest.fixture
def ec2(world: World) -> Any:
    return world.session().client("ec2", region_name=REGION)


@pytest.fixture(params=["ec2", "memory"])
def groups(request: pytest.FixtureRequest) -> SecurityGroups:
    if request.param == "memory":
        return MemorySecurityGroups()
    return Ec2SecurityGroups(aws_of(request.getfixturevalue("world")))


def made(groups: SecurityGroups, name: str) -> str:
    vpc_id = groups.default_vpc(REGION)
    assert vpc_id is not None
    group_id = groups.make(REGION, vpc_id=vpc_id, name=name, cidr="203.0.113.7/32", owner="ann")
    assert group_id is not None
    return group_id


def test_a_group_is_made_once_and_opens_what_it_is_told(groups: SecurityGroups) -> None:
    """It opens nothing before; the same name again makes none; rules that are there already stay."""
    group_id = made(groups, "curfew once")
    vpc_id = groups.default_vpc(REGION) or ""
    assert groups.make(REGION, vpc_id=vpc_id, name="curfew once", cidr="x", owner="bob") is None
    assert groups.open(REGION, group_id, [SSH])
    assert groups.open(REGION, group_id, [SSH, JUPYTER, OVER_IPV6])
    assert groups.open(REGION, group_id, [SSH])
    group = groups.named(REGION, vpc_id, "curfew once")
    assert group is not None
    assert (group.id, group.region, group.vpc_id, group.owner) == (group_id, REGION, vpc_id, "ann")
    assert group.is_tagged
    assert set(group.rules) == {SSH, JUPYTER, OVER_IPV6}
    assert groups.named(REGION, vpc_id, "curfew twice") is None
    assert [one.id for one in groups.tagged(REGION) if one.id == group_id] == [group_id]
    assert groups.tagged("eu-west-1") == ()


def test_groups_are_described_by_id(groups: SecurityGroups) -> None:
    """Without those that are not there, and none where none is asked for."""
    group_id = made(groups, "curfew described")
    found = groups.described(REGION, [group_id, "sg-0123456789abcdef0"])
    assert [one.name for one in found] == ["curfew described"]
    assert groups.described("eu-west-1", [group_id]) == ()
    assert groups.described(REGION, []) == ()


def test_a_group_that_is_not_there_opens_nothing(groups: SecurityGroups) -> None:
    """It may be too new for EC2 to know."""
    assert not groups.open(REGION, "sg-0123456789abcdef0", [SSH])


def test_what_nothing_uses_is_removed(groups: SecurityGroups) -> None:
    """And what is gone already is gone."""
    group_id = made(groups, "curfew removed")
    assert groups.users(REGION, [group_id]) == {}
    assert groups.delete(REGION, group_id)
    assert groups.delete(REGION, group_id)
    assert groups.described(REGION, [group_id]) == ()


def test_an_unknown_subnet_has_no_vpc(groups: SecurityGroups) -> None:
    """And no region."""
    assert groups.vpc_of(REGION, "subnet-0123456789abcdef0") is None
    assert groups.regions_with_subnet("subnet-0123456789abcdef0", ["eu-west-1", REGION]) == ()


def test_a_subnet_is_found_in_its_region_and_vpc(world: World, ec2: Any) -> None:
    """Other regions don't have it."""
    groups = Ec2SecurityGroups(aws_of(world))
    subnet = ec2.describe_subnets()["Subnets"][0]
    assert groups.vpc_of(REGION, subnet["SubnetId"]) == subnet["VpcId"] == groups.default_vpc(REGION)
    assert groups.vpc_of("eu-west-1", subnet["SubnetId"]) is None
    assert groups.regions_with_subnet(subnet["SubnetId"], ["eu-west-1", REGION]) == (REGION,)


def test_a_group_in_use_stays(world: World, ec2: Any) -> None:
    """It names what uses it, until that is gone."""
    groups = Ec2SecurityGroups(aws_of(world))
    group_id = made(groups, "curfew used")
    box = ec2.run_instances(
        ImageId="ami-0123456789abcdef0",
        InstanceType="g5.xlarge",
        MinCount=1,
        MaxCount=1,
        SecurityGroupIds=[group_id],
    )["Instances"][0]["InstanceId"]
    assert groups.users(REGION, [group_id]) == {group_id: (box,)}
    assert not groups.delete(REGION, group_id)
    ec2.terminate_instances(InstanceIds=[box])
    world.advance(timedelta(minutes=5))
    assert groups.users(REGION, [group_id]) == {}
    assert groups.delete(REGION, group_id)


@pytest.mark.parametrize("kind", [RequestType.ONE_TIME, RequestType.PERSISTENT, RequestType.MAINTAIN])
def test_every_kind_of_launch_starts_in_its_group(world: World, kind: RequestType) -> None:
    """Also what a fleet starts by its template."""
    lab = WorldLab(world)
    groups = Ec2SecurityGroups(lab.aws)
    group_id = made(groups, f"curfew {kind}")
    (attempt,) = attempts_of(lab, an_order(kind, own_group_id=group_id), lease_id=f"lease-{kind}")
    assert lab.compute.launch(attempt).outcome == "launched"
    lab.wait()
    (box,) = groups.users(REGION, [group_id])[group_id]
    assert box in alive(lab)


def test_rules_of_others_are_seen_whatever_their_source(world: World, ec2: Any) -> None:
    """Other groups, all protocols: so that nothing opened further passes for Curfew's."""
    groups = Ec2SecurityGroups(aws_of(world))
    group_id = made(groups, "curfew widened")
    ec2.authorize_security_group_ingress(
        GroupId=group_id,
        IpPermissions=[
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group_id}]},
            {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 9, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        ],
    )
    (group,) = groups.described(REGION, [group_id])
    assert {(one.protocol, one.source) for one in group.rules} == {
        ("all protocols", group_id),
        ("tcp", "0.0.0.0/0"),
    }


def test_a_refusal_and_a_silence_are_told_apart(world: World) -> None:
    """What EC2 refuses is refused again; what it does not answer is asked again."""
    groups = Ec2SecurityGroups(aws_of(world))
    world.fault(service="ec2", operation="CreateSecurityGroup", code="SecurityGroupLimitExceeded", times=1)
    with pytest.raises(Refused, match="SecurityGroupLimitExceeded") as told:
        made(groups, "curfew refused")
    assert told.value.slug == "security-group-refused"
    world.fault(service="ec2", operation="CreateSecurityGroup", lost_answer=True, times=1)
    with pytest.raises(Unavailable):
        made(groups, "curfew lost")
    assert groups.named(REGION, groups.default_vpc(REGION) or "", "curfew lost") is not None
    for operation in ("DescribeSecurityGroups", "CreateSecurityGroup"):
        world.fault(service="ec2", operation=operation, code="UnauthorizedOperation", times=1)
        with pytest.raises(Unavailable) as denied:
            groups.tagged(REGION) if operation.startswith("D") else made(groups, "curfew denied")
        assert denied.value.extra["code"] == "UnauthorizedOperation"
