"""What EC2's refusals of a launch mean, and what mends each.

EC2 tells many mistakes by one code, and a fleet wraps the codes of its boxes in its own (`UnfulfillableCapacity`), so
its words are read as well. Sources: EC2 API, "Error codes"; botocore, CreateFleetError; answers that people posted.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from chalicelib.domain.errors import NoCapacity, Refused
from chalicelib.domain.lease import Attempt, LaunchOrder, Refusal, RequestType
from chalicelib.domain.spot_quotas import quota_of, quotas_of, vcpus_of

NOTHING = "Nothing runs and nothing is held"
NO_CAPACITY_CODES = frozenset(
    {
        "InsufficientInstanceCapacity",
        "InsufficientCapacity",
        "InsufficientCapacityOnOutpost",
        "UnfulfillableCapacity",
        "Unsupported",
    }
)
QUOTA_CODES = frozenset(
    {
        "MaxSpotInstanceCountExceeded",
        "VcpuLimitExceeded",
        "InstanceLimitExceeded",
        "spotInstanceCountLimitExceeded",
    }
)
"""The last one is what a fleet's history says (botocore, EventInformation)."""
QUOTA_WORDS = re.compile(r"max spot instance count exceeded|vcpu limit|\bvcpu capacity\b", re.IGNORECASE)
ROLE_CODE = "AuthFailure.ServiceLinkedRoleCreationNotPermitted"
ROLE_WORDS = re.compile(r"service[- ]linked role", re.IGNORECASE)
ROLES = {
    "spot.amazonaws.com": "AWSServiceRoleForEC2Spot",
    "ec2fleet.amazonaws.com": "AWSServiceRoleForEC2Fleet",
    "spotfleet.amazonaws.com": "AWSServiceRoleForEC2SpotFleet",
}
DENIED_CODES = frozenset({"UnauthorizedOperation", "AuthFailure", "OptInRequired"})
PRICE_CODE = "SpotMaxPriceTooLow"
PRICE_WORDS = "minimum required Spot request fulfillment price"
NO_IMAGE = ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidAMIID.Malformed")
NO_KEY = "InvalidKeyPair.NotFound"
ARCHITECTURE_WORDS = re.compile(
    r"architecture '([^']*)' of the specified instance type does not match the architecture '([^']*)'"
)
VOLUME_WORDS = re.compile(r"smaller than snapshot.*?expect size >= ?(\d+)", re.DOTALL)
NO_SUBNET = ("InvalidSubnetID.NotFound", "InvalidSubnetId.NotFound", "InvalidSubnetID.Malformed")
NO_VPC = (
    "VPCIdNotSpecified",
    "DefaultVpcDoesNotExist",
    "No default VPC",
    "No subnets found for the default VPC",
)
"""What EC2 says where a launch names no subnet and there is no default one."""
HAND_ROLE_ON = "iam:PassRole"
PROFILE_WORDS = re.compile(r"iam ?instance ?profile|NoSuchEntity.*instance profile", re.IGNORECASE)
"""What EC2 says of a profile that is not there, and IAM."""
SHOWN = 6
"""So many of the ways that were tried stand in a sentence; `tried` has all of them."""


def what_was_tried(attempts: Iterable[Attempt]) -> tuple[Refusal, ...]:
    """Each type and zone that EC2 refused, with its reason. Of an attempt that has none of them, its own code."""
    return tuple(
        refusal
        for one in attempts
        if one.outcome == "refused" or one.refusals
        for refusal in one.refusals or (Refusal(code=one.code, detail=one.detail),)
    )


def nothing_started(order: LaunchOrder, attempts: Sequence[Attempt]) -> Refused:
    """Every attempt was refused: for a reason that the caller can mend, else for want of capacity. A mistake in any of
    the ways goes before want of capacity in the others: it stays when there is room again."""
    tried = what_was_tried(attempts)
    members: dict[str, Any] = {"tried": [asdict(one) for one in tried]}
    for judge in MISTAKES:
        refusal = judge(order, tried, members)
        if refusal is not None:
            return refusal
    what = f"{', '.join(order.instance_types)} in {order.region}"
    if all(_is_capacity(one) for one in tried):
        return NoCapacity(
            f"EC2 has no spot capacity for {what} within the price cap{_left_out(order, attempts)}: {_shown(tried)}. "
            f"{NOTHING}. Allow more instance_types, another region or a later time",
            **members,
        )
    first = next(one for one in tried if not _is_capacity(one))
    return Refused(
        f"EC2 refused to launch {what}: {_told(first)}. {NOTHING}{_mend(order, first)}",
        slug="launch-refused",
        **members,
    )


def with_fix(order: LaunchOrder, trouble: str) -> str:
    """What keeps a fleet from launching, as its history tells it, and what mends that where it is known."""
    code, _, detail = trouble.partition(": ")
    told = [Refusal(code=code, detail=detail)]
    found = next((refusal for judge in MISTAKES if (refusal := judge(order, told, {}))), None)
    if found is None:
        return trouble
    return f"{trouble.removesuffix('.')}. That is: {found.detail.replace(f'{NOTHING}. ', '')}"


def _is_capacity(one: Refusal) -> bool:
    return one.code in NO_CAPACITY_CODES


def _says(one: Refusal) -> str:
    return f"{one.code} {one.detail}"


def _role(order: LaunchOrder, tried: Sequence[Refusal], members: dict[str, Any]) -> Refused | None:
    found = [one for one in tried if one.code == ROLE_CODE or ROLE_WORDS.search(one.detail)]
    if not found:
        return None
    services = _services_named(found) or (
        ["spot.amazonaws.com"]
        if order.request_type is RequestType.PERSISTENT
        else ["spot.amazonaws.com", "ec2fleet.amazonaws.com"]
    )
    commands = [f"aws iam create-service-linked-role --aws-service-name {service}" for service in services]
    return Refused(
        f"the account lacks the service-linked role {' or '.join(ROLES[one] for one in services)}, and Curfew's "
        f"function was not let make it. {NOTHING}. Once for the account, as somebody who may: {' ; '.join(commands)}",
        slug="service-linked-role",
        commands=commands,
        **members,
    )


def _services_named(found: Iterable[Refusal]) -> list[str]:
    words = " ".join(one.detail for one in found)
    named = {"Spot Fleet": "spotfleet", "EC2 Fleet": "ec2fleet", "EC2 Spot Instances": "spot"}
    services = [f"{service}.amazonaws.com" for name, service in named.items() if name in words]
    return services + [one for one in ROLES if one in words and one not in services]


def _quota(order: LaunchOrder, tried: Sequence[Refusal], members: dict[str, Any]) -> Refused | None:
    found = [one for one in tried if one.code in QUOTA_CODES or QUOTA_WORDS.search(one.detail)]
    if not found:
        return None
    types = list(dict.fromkeys(one.instance_type for one in found if one.instance_type)) or [
        *order.instance_types
    ]
    quotas = [
        {
            "name": quota.name,
            "code": quota.code,
            "url": quota.url(order.region),
            "instance_types": [name for name in types if quota_of(name) == quota],
        }
        for quota in quotas_of(types)
    ]
    links = "; ".join(
        f"{one['name']!r} ({one['code'] or 'look for it in the list'}): {one['url']}" for one in quotas
    )
    needs = [f"{name} takes {vcpus}" for name in types[:SHOWN] if (vcpus := _vcpus(order, name))]
    says = f" ({', '.join(needs)})" if needs else ""
    return Refused(
        f"the spot quota of {order.region} has no room for {', '.join(types)}. It counts vCPUs{says}, what "
        f"runs among them, and is 0 in a new account. {NOTHING}. Ask AWS for more of {links}",
        slug="spot-quota",
        quotas=quotas,
        **members,
    )


def _vcpus(order: LaunchOrder, instance_type: str) -> int | None:
    vcpus = vcpus_of(instance_type)
    return vcpus and vcpus * order.target_capacity


def _network(order: LaunchOrder, tried: Sequence[Refusal], members: dict[str, Any]) -> Refused | None:
    """EC2 says so by codes of its own, and where the default VPC has lost its subnets in words alone."""
    if not any(word in _says(one) for one in tried for word in NO_VPC):
        return None
    return Refused(
        f"{order.region} has no default VPC, or that has no subnet, and the launch names none. {NOTHING}. Give "
        "subnet_id, a subnet of yours in that region (aws ec2 describe-subnets), or make the default VPC again: "
        f"aws ec2 create-default-vpc --region {order.region}",
        slug="no-default-vpc",
        **members,
    )


def _image(order: LaunchOrder, tried: Sequence[Refusal], members: dict[str, Any]) -> Refused | None:
    if not any(
        one.code.startswith(NO_IMAGE) or any(code in one.detail for code in NO_IMAGE) for one in tried
    ):
        return None
    return Refused(
        f"{order.region} has no image {order.image} that this account may use. {NOTHING}. AMI ids differ by region: "
        f"GET /images?region={order.region} lists what there is",
        slug="image-not-found",
        **members,
    )


def _architecture(order: LaunchOrder, tried: Sequence[Refusal], members: dict[str, Any]) -> Refused | None:
    found = next((words for one in tried if (words := ARCHITECTURE_WORDS.search(one.detail))), None)
    if found is None:
        return None
    of_type, of_image = found.groups()
    return wrong_architecture(order.image, of_image, dict.fromkeys(order.instance_types, of_type), **members)


def wrong_architecture(image: str, of_image: str, of_types: dict[str, str], **members: object) -> Refused:
    """The refusal of an image that is made for other processors than its types have."""
    types = ", ".join(f"{name} ({processor})" for name, processor in of_types.items())
    return Refused(
        f"image {image} is for {of_image}, which {types} can't run. {NOTHING}. Name an image for that processor, or "
        f"image: deep-learning, which is chosen by the types; or types with {of_image}",
        slug="image-architecture",
        architecture=of_image,
        **members,
    )


def _key(order: LaunchOrder, tried: Sequence[Refusal], members: dict[str, Any]) -> Refused | None:
    if not any(NO_KEY in _says(one) for one in tried):
        return None
    return Refused(
        f"{order.region} has no key pair {order.key_name!r}. {NOTHING}. Key pairs are a region's own: POST /key-pairs "
        "imports a public key there",
        slug="key-not-found",
        **members,
    )


def _volume(order: LaunchOrder, tried: Sequence[Refusal], members: dict[str, Any]) -> Refused | None:
    found = [int(words.group(1)) for one in tried if (words := VOLUME_WORDS.search(one.detail))]
    if not found:
        return None
    return too_small(order, least_gib=max(found), **members)


def too_small(order: LaunchOrder, *, least_gib: int, **members: object) -> Refused:
    """The refusal of a root volume that does not hold its image's snapshot."""
    return Refused(
        f"volume_gib {order.volume_gib} is smaller than the image's root volume of {least_gib} GiB. {NOTHING}. Ask for "
        f"{least_gib} or more, or leave volume_gib out",
        slug="volume-too-small",
        least_gib=least_gib,
        **members,
    )


def _price(order: LaunchOrder, tried: Sequence[Refusal], members: dict[str, Any]) -> Refused | None:
    """Without the market's prices, which whoever asks may add."""
    if not any(is_price(one) for one in tried):
        return None
    cap = order.max_price_usd_per_hour
    which = (
        "the on-demand price, the cap where none is sent,"
        if cap is None
        else f"max_price_usd_per_hour {cap:f}"
    )
    return Refused(
        f"{which} is below what spot costs in {order.region} now: {_shown([one for one in tried if is_price(one)])}. "
        f"{NOTHING}. {'Send' if cap is None else 'Raise'} max_price_usd_per_hour above that, or take another region or "
        "type",
        slug="price-too-low",
        **members,
    )


def is_price(one: Refusal) -> bool:
    """Whether a way was refused for its price cap."""
    return one.code == PRICE_CODE or PRICE_WORDS in one.detail


def _region(order: LaunchOrder, tried: Sequence[Refusal], members: dict[str, Any]) -> Refused | None:
    """AWS let the region be looked at, and denies the launch: by a policy of the organisation, as a rule."""
    denied = [one for one in tried if one.code in DENIED_CODES and "iam:" not in one.detail]
    return region_denied(order.region, _told(denied[0]), **members) if denied else None


def region_denied(region: str, told: str, **members: object) -> Refused:
    """The refusal of a region that the account may not use."""
    said = told.removesuffix(".")
    return Refused(
        f"AWS denies {region} to Curfew: {said}. {NOTHING}. Take another region; or switch it on for the account (aws "
        f"account enable-region --region-name {region}; aws ec2 describe-regions --all-regions shows which there are), "
        "have the organisation's service control policy allow it, or the function's role",
        slug="region-denied",
        region=region,
        **members,
    )


Judge = Callable[[LaunchOrder, Sequence[Refusal], dict[str, Any]], Refused | None]
MISTAKES: tuple[Judge, ...] = (_role, _quota, _network, _image, _architecture, _key, _volume, _price, _region)
"""What a person can mend, in the order in which it has to be."""


def _shown(tried: Sequence[Refusal]) -> str:
    shown = list(dict.fromkeys(_told(one) for one in tried))
    more = f"; and {len(shown) - SHOWN} more in tried" if len(shown) > SHOWN else ""
    return "; ".join(shown[:SHOWN]) + more


def _told(one: Refusal) -> str:
    """Where, EC2's code and its words, which may begin with the code already."""
    detail = one.detail.strip().removesuffix(".")
    told = detail if one.code in detail else f"{one.code}: {detail}".removesuffix(": ")
    place = " in ".join(part for part in (one.instance_type, one.zone) if part)
    return f"{place}: {told}" if place else told


def _mend(order: LaunchOrder, one: Refusal) -> str:
    """The field to change, where EC2's code tells which."""
    if one.code in NO_SUBNET and order.subnet_id:
        return (
            f". subnet_id {order.subnet_id} is none of this account's in {order.region}: name one that is there (aws "
            f"ec2 describe-subnets --region {order.region}), or leave subnet_id out for the default VPC's"
        )
    if order.instance_profile and HAND_ROLE_ON in one.detail:
        return (
            f". instance_profile {order.instance_profile}: Curfew hands boxes the roles that the stack's parameter "
            "InstanceRoles names (curfew-* where nobody has changed it). Take one of those, or leave it out"
        )
    if order.instance_profile and PROFILE_WORDS.search(_says(one)):
        return (
            f". instance_profile {order.instance_profile}: name one that is there (aws iam list-instance-profiles), or "
            "leave it out"
        )
    return ""


def _left_out(order: LaunchOrder, attempts: Sequence[Attempt]) -> str:
    """What the time did not allow: a persistent request takes a call for each type."""
    left = len(set(order.instance_types)) - len(attempts)
    if order.request_type is not RequestType.PERSISTENT or left <= 0:
        return ""
    return f", and there was no time to try {left} of these types"
