"""What EC2's refusals of a launch are told as, and what mends each."""

from typing import Any

import pytest

from chalicelib.domain.errors import NoCapacity, Refused
from chalicelib.domain.launch_refusals import nothing_started, with_fix
from chalicelib.domain.lease import Attempt, Refusal, RequestType
from chalicelib.domain.spot_quotas import quota_of, vcpus_of
from chalicelib.web.problems import TITLES
from tests.builders import AMI, REGION, START, TYPE, Stage, order, usd

FULL = Refusal(instance_type=TYPE, zone="us-east-1a", code="InsufficientInstanceCapacity", detail="none left")


def refused(*refusals: Refusal, **wishes: Any) -> Refused:
    """What a launch is told that had these."""
    attempt = Attempt(token="t", operation="CreateFleet", region=REGION, parameters={}, started_at=START)
    return nothing_started(order(**wishes), [attempt.settled("refused", refusals=refusals)])


MISTAKES: list[tuple[str, str, dict[str, Any], str, list[str]]] = [
    (
        "MaxSpotInstanceCountExceeded",
        "Max spot instance count exceeded",
        {},
        "spot-quota",
        [
            "All G and VT Spot Instance Requests",
            "L-3819A6DF",
            "g5.xlarge takes 4",
            "https://us-east-1.console.aws.amazon.com/servicequotas/home/services/ec2/quotas/L-3819A6DF",
        ],
    ),
    (
        "VcpuLimitExceeded",
        "You have requested more vCPU capacity than your current vCPU limit of 0 allows",
        {"target_capacity": 3},
        "spot-quota",
        ["g5.xlarge takes 12"],
    ),
    (
        "UnfulfillableCapacity",
        "Unable to fulfill capacity: Max spot instance count exceeded",
        {},
        "spot-quota",
        ["L-3819A6DF"],
    ),
    (
        "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
        "The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances.",
        {},
        "service-linked-role",
        [
            "AWSServiceRoleForEC2Spot,",
            "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
        ],
    ),
    (
        "UnfulfillableCapacity",
        "The provided credentials do not have permission to create the service-linked role for EC2 Fleet.",
        {},
        "service-linked-role",
        ["AWSServiceRoleForEC2Fleet", "--aws-service-name ec2fleet.amazonaws.com"],
    ),
    (
        "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
        "not permitted",
        {},
        "service-linked-role",
        ["--aws-service-name spot.amazonaws.com ; ", "--aws-service-name ec2fleet.amazonaws.com"],
    ),
    (
        "SpotMaxPriceTooLow",
        "Your Spot request price of 0.1 is lower than the minimum required Spot request fulfillment price of 0.4.",
        {"max_price_usd_per_hour": usd("0.1")},
        "price-too-low",
        ["max_price_usd_per_hour 0.1", "price of 0.4", "Raise max_price_usd_per_hour"],
    ),
    (
        "SpotMaxPriceTooLow",
        "",
        {},
        "price-too-low",
        ["the on-demand price", "Send max_price_usd_per_hour"],
    ),
    ("InvalidAMIID.NotFound", "", {}, "image-not-found", [AMI, "GET /images?region=us-east-1"]),
    (
        "InvalidParameterValue",
        "The architecture 'arm64' of the specified instance type does not match the architecture 'x86_64' of the AMI.",
        {},
        "image-architecture",
        [AMI, "for x86_64", "g5.xlarge (arm64)", "image: deep-learning"],
    ),
    (
        "InvalidKeyPair.NotFound",
        "The key pair 'laptop' does not exist",
        {"key_name": "laptop"},
        "key-not-found",
        ["'laptop'", "POST /key-pairs"],
    ),
    (
        "InvalidBlockDeviceMapping",
        "Volume of size 8GB is smaller than snapshot 'snap-1', expect size >= 45GB",
        {"volume_gib": 8},
        "volume-too-small",
        ["volume_gib 8", "45 or more"],
    ),
    ("VPCIdNotSpecified", "No default VPC for this user", {}, "no-default-vpc", ["create-default-vpc"]),
]


@pytest.mark.parametrize("code, detail, wishes, slug, parts", MISTAKES)
def test_a_mistake_has_its_own_problem_that_names_the_fix(
    code: str, detail: str, wishes: dict[str, Any], slug: str, parts: list[str]
) -> None:
    """Also where another type or zone had no capacity, which passes while the mistake stays; all of it is in `tried`."""
    mistake = Refusal(instance_type=TYPE, zone="us-east-1b", code=code, detail=detail)
    for refusal in (refused(mistake, **wishes), refused(FULL, mistake, **wishes)):
        assert refusal.slug == slug
        assert slug in TITLES
        assert "nothing is held" in refusal.detail
        for part in parts:
            assert part in refusal.detail
    assert refusal.extra["tried"] == [
        {"instance_type": TYPE, "zone": "us-east-1a", "code": FULL.code, "detail": "none left"},
        {"instance_type": TYPE, "zone": "us-east-1b", "code": code, "detail": detail},
    ]


@pytest.mark.parametrize(
    "code, detail, fix",
    [
        (
            "UnauthorizedOperation",
            "not authorized to perform: iam:PassRole on resource: role/trainer",
            "InstanceRoles",
        ),
        (
            "InvalidParameterValue",
            "Value (trainer) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
            "list-instance-profiles",
        ),
        ("NoSuchEntity", "Instance profile trainer not found", "list-instance-profiles"),
    ],
)
def test_a_profile_that_a_box_can_t_have_is_named_with_the_fix(code: str, detail: str, fix: str) -> None:
    """One that is not there, and one whose role Curfew may not hand on."""
    told = refused(Refusal(code=code, detail=detail), instance_profile="trainer").detail
    assert "instance_profile trainer" in told
    assert fix in told
    assert "nothing is held" in told
    assert "instance_profile" not in refused(Refusal(code=code, detail=detail)).detail


def test_want_of_capacity_names_each_type_and_zone() -> None:
    """EC2's code and its words for each, the first few in the sentence and all of them in `tried`."""
    ways = [
        Refusal(instance_type=name, zone=f"us-east-1{zone}", code=FULL.code, detail="none left")
        for name in (TYPE, "g6.xlarge")
        for zone in "abcd"
    ]
    refusal = refused(*ways, instance_types=(TYPE, "g6.xlarge"))
    assert isinstance(refusal, NoCapacity)
    assert "g5.xlarge in us-east-1a: InsufficientInstanceCapacity: none left" in refusal.detail
    assert "and 2 more in tried" in refusal.detail
    assert [(one["instance_type"], one["zone"]) for one in refusal.extra["tried"]] == [
        (one.instance_type, one.zone) for one in ways
    ]


@pytest.mark.parametrize(
    "trouble, parts",
    [
        ("spotInstanceCountLimitExceeded: EC2 does not say more", ["L-3819A6DF", "g5.xlarge takes 4"]),
        (
            "launchSpecUnusable: 0.1 is lower than the minimum required Spot request fulfillment price of 0.4.",
            ["the on-demand price", "price of 0.4"],
        ),
        (
            "iamFleetRoleInvalid: no permission to create the service-linked role for EC2 Fleet",
            ["--aws-service-name ec2fleet.amazonaws.com"],
        ),
    ],
)
def test_what_keeps_a_fleet_from_launching_is_told_with_its_fix(trouble: str, parts: list[str]) -> None:
    """It holds its money all the same, and that is not denied."""
    told = with_fix(order(), trouble)
    assert told.startswith(trouble.removesuffix("."))
    assert "nothing is held" not in told
    for part in parts:
        assert part in told


def test_what_nobody_can_mend_is_told_as_it_is() -> None:
    """Want of capacity passes."""
    trouble = "launchSpecTemporarilyBlacklisted: InsufficientInstanceCapacity"
    assert with_fix(order(), trouble) == trouble


def test_an_answer_without_types_is_told_by_its_code() -> None:
    """The call itself was refused."""
    refusal = refused(Refusal(code="InvalidParameterValue", detail="Value (x) for parameter y is invalid."))
    assert refusal.slug == "launch-refused"
    assert "InvalidParameterValue: Value (x) for parameter y is invalid. Nothing runs" in refusal.detail


def test_each_quota_is_told_with_the_types_that_count_on_it() -> None:
    """G and P types have quotas of their own; of a family that AWS's list lacks the console's list is linked."""
    ways = [
        Refusal(instance_type=name, code="MaxSpotInstanceCountExceeded")
        for name in ("g5.xlarge", "p3.2xlarge")
    ]
    refusal = refused(*ways, instance_types=("g5.xlarge", "p3.2xlarge"))
    quotas: Any = refusal.extra["quotas"]
    assert [(one["code"], one["instance_types"]) for one in quotas] == [
        ("L-3819A6DF", ["g5.xlarge"]),
        ("L-7212CCBC", ["p3.2xlarge"]),
    ]
    assert quota_of("p6-b200.48xlarge").code is None
    assert quota_of("p6-b200.48xlarge").url(REGION).endswith("/services/ec2/quotas")


@pytest.mark.parametrize(
    "name, code",
    [
        ("g4dn.xlarge", "L-3819A6DF"),
        ("gr6.4xlarge", "L-3819A6DF"),
        ("vt1.3xlarge", "L-3819A6DF"),
        ("p4de.24xlarge", "L-7212CCBC"),
        ("p5en.48xlarge", "L-C4BD4855"),
        ("inf2.xlarge", "L-B5D1601B"),
        ("trn1.2xlarge", "L-6B0D517C"),
        ("dl1.24xlarge", "L-85EED4F7"),
        ("f2.6xlarge", "L-88CF9481"),
        ("x2gd.large", "L-E3A00192"),
        ("t3.micro", "L-34B43A08"),
        ("im4gn.large", "L-34B43A08"),
    ],
)
def test_types_count_on_the_quota_of_their_letters(name: str, code: str) -> None:
    """P has several, by generation."""
    assert quota_of(name).code == code


@pytest.mark.parametrize(
    "name, vcpus",
    [("g5.xlarge", 4), ("p5.48xlarge", 192), ("g6f.large", 2), ("g4dn.metal", None), ("t3.micro", None)],
)
def test_a_size_tells_its_vcpus(name: str, vcpus: int | None) -> None:
    """Where it does not, nothing is said."""
    assert vcpus_of(name) == vcpus


@pytest.mark.parametrize("kind", [RequestType.ONE_TIME, RequestType.PERSISTENT])
def test_a_launch_says_which_types_had_no_room(kind: RequestType) -> None:
    """One call for all of them, or one for each: `tried` has every type either way."""
    stage = Stage()
    stage.compute.ec2.no_capacity = {(REGION, TYPE), (REGION, "g4dn.xlarge")}
    with pytest.raises(NoCapacity) as told:
        stage.launch(request_type=kind, instance_types=(TYPE, "g4dn.xlarge"))
    tried: Any = told.value.extra["tried"]
    assert {(one["instance_type"], one["zone"], one["code"]) for one in tried} == {
        (name, "us-east-1a", "InsufficientInstanceCapacity") for name in (TYPE, "g4dn.xlarge")
    }
