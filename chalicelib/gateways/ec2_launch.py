"""Making a recorded launch call, and finding out what an earlier one came to.

The same token again starts nothing new, so a call whose answer was lost is simply made again, by botocore or by us.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from chalicelib.domain.lease import Attempt, Refusal
from chalicelib.domain.tags import LEASE_TAG
from chalicelib.gateways.aws import (
    ASKING,
    AWS_ERRORS,
    HURRIED,
    LAUNCHING,
    Aws,
    code_of,
    explain,
    is_settled,
    unavailable,
)
from chalicelib.gateways.ec2_attempts import CREATE_FLEET
from chalicelib.gateways.ec2_observe import instances_of
from chalicelib.ports import LaunchAnswer

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

    from chalicelib.domain.instance import Instance

TEMPLATE_EXISTS = "InvalidLaunchTemplateName.AlreadyExistsException"
NO_SUCH_GROUP = "InvalidGroup.NotFound"
NO_SUCH_TEMPLATE = ("InvalidLaunchTemplateName.NotFound", "InvalidLaunchTemplateId.NotFound")
VALUES_A_FILTER = 200
MAINTAIN = "maintain"
TROUBLES = frozenset(
    {
        "allLaunchSpecsTemporarilyBlacklisted",
        "fleetProgressHalted",
        "iamFleetRoleInvalid",
        "launchSpecTemporarilyBlacklisted",
        "launchSpecUnusable",
        "spotFleetRequestConfigurationInvalid",
        "spotInstanceCountLimitExceeded",
    }
)
"""What a fleet's history calls that which keeps it from launching (botocore, EventInformation)."""
HISTORY_PAGES = 3
ZONE = re.compile(r"Availability Zone[^().]*\(([a-z0-9-]+)\)")
MOST_REFUSALS = 120
"""So many of a fleet's are kept: twenty types in six zones."""


def launch(aws: Aws, attempt: Attempt) -> LaunchAnswer:
    """Make exactly the recorded call. A fleet's takes 16 s at most (its template 3, itself 10, the look at it 3)."""
    try:
        if attempt.operation == CREATE_FLEET:
            return _launch_fleet(aws, attempt)
        return _run_instances(aws, attempt)
    except ParamValidationError as error:
        return LaunchAnswer(outcome="refused", code="ParamValidationError", detail=explain(error))
    except (ClientError, BotoCoreError) as error:
        outcome, code, detail = _outcome_of(error), code_of(error), explain(error)
        refusal = Refusal(
            instance_type=attempt.parameters.get("InstanceType"),
            zone=_zone_in(detail),
            code=code,
            detail=detail,
        )
        return LaunchAnswer(
            outcome=outcome, code=code, detail=detail, refusals=(refusal,) if outcome == "refused" else ()
        )


def _zone_in(words: str) -> str | None:
    """The zone that EC2 names as the one it was asked for; it may go on to name others."""
    found = ZONE.search(words)
    return found and found.group(1)


def _outcome_of(error: BaseException) -> str:
    """A template or security group made a moment ago can be unknown to the launch: EC2 is eventually consistent."""
    if code_of(error).startswith((*NO_SUCH_TEMPLATE, NO_SUCH_GROUP)):
        return "too-early"
    return "refused" if surely_nothing_runs(error) else "unknown"


def surely_nothing_runs(error: BaseException) -> bool:
    """Refused for what was asked; EC2's `Insufficient…Capacity` is such an answer although its status is 500."""
    return is_settled(error) or is_capacity(code_of(error))


def is_capacity(code: str) -> bool:
    """EC2 has no room for it now: `InsufficientInstanceCapacity` and its siblings."""
    return code.startswith("Insufficient") and code.endswith("Capacity")


def _launch_fleet(aws: Aws, attempt: Attempt) -> LaunchAnswer:
    hurried = aws.ec2(attempt.region, HURRIED)
    try:
        hurried.create_launch_template(**attempt.parameters["launch_template"])
    except ClientError as error:
        if code_of(error) != TEMPLATE_EXISTS:
            raise
    answer = aws.ec2(attempt.region, LAUNCHING).create_fleet(**attempt.parameters["fleet"])
    fleet_id = answer.get("FleetId") or None
    if fleet_id and attempt.parameters["fleet"]["Type"] == MAINTAIN:
        return LaunchAnswer(outcome="launched", fleet_id=fleet_id)  # its boxes come by and by
    ids = tuple(
        one for launched in answer.get("Instances") or [] for one in launched.get("InstanceIds") or []
    )
    refusals = _refusals(answer.get("Errors") or [])
    if not ids:
        code = refusals[0].code if refusals else "NoInstances"
        detail = "; ".join(map(_in_words, refusals)) or "EC2 named neither what it launched nor why not"
        outcome = "refused" if refusals else "unknown"  # a fleet without boxes or reasons may yet have some
        return LaunchAnswer(outcome=outcome, fleet_id=fleet_id, code=code, detail=detail, refusals=refusals)
    launched = LaunchAnswer(outcome="launched", instance_ids=ids, fleet_id=fleet_id, refusals=refusals)
    with suppress(*AWS_ERRORS):
        found = list(_found(hurried, attempt.region, ("instance-id", ids)))
        return replace(launched, spot_request_ids=_request_ids(found))
    return launched


def _refusals(errors: Iterable[Mapping[str, Any]]) -> tuple[Refusal, ...]:
    """Each type and zone with the reason it was not launched there, once."""
    found: dict[Refusal, None] = {}
    for error in errors:
        overrides = (error.get("LaunchTemplateAndOverrides") or {}).get("Overrides") or {}
        detail = str(error.get("ErrorMessage") or "")
        refusal = Refusal(
            instance_type=overrides.get("InstanceType"),
            zone=overrides.get("AvailabilityZone") or _zone_in(detail),
            code=str(error.get("ErrorCode") or "Unknown"),
            detail=detail,
        )
        found[refusal] = None
    return tuple(found)[:MOST_REFUSALS]


def _in_words(one: Refusal) -> str:
    what = " in ".join(part for part in (one.instance_type, one.zone) if part) or "any type"
    return f"{what}: {one.code} {one.detail}".strip()


def _run_instances(aws: Aws, attempt: Attempt) -> LaunchAnswer:
    answer = aws.ec2(attempt.region, LAUNCHING).run_instances(**attempt.parameters)
    found = list(instances_of({"Reservations": [answer]}, attempt.region))
    return _launched(found, code="NoInstances")


def find_launched(
    aws: Aws, region: str, *, lease_id: str, tokens: Collection[str], maintains: bool = False
) -> LaunchAnswer:
    """What recorded attempts have started. A token proves it; the lease tag does only on a fleet's own instances and,
    with `maintains`, on a fleet itself, which may have no instance yet."""
    ec2 = aws.ec2(region, ASKING)
    try:
        fleet_id = _own_fleet(ec2, lease_id, tokens) if maintains else None
        by_token = list(_found(ec2, region, ("client-token", tokens))) if tokens else []
        by_tag = [
            one
            for one in _found(ec2, region, (f"tag:{LEASE_TAG}", [lease_id]))
            if one.fleet_id and not one.is_gone
        ]
    except AWS_ERRORS as error:
        raise unavailable(f"looking for what lease {lease_id} started in {region}", error) from error
    found = list({one.id: one for one in (*by_token, *by_tag)}.values())
    if fleet_id is None:
        return _launched(found, code="NotFound")
    boxes = [one for one in found if one.fleet_id == fleet_id]
    return LaunchAnswer(
        outcome="launched",
        instance_ids=tuple(one.id for one in boxes),
        spot_request_ids=_request_ids(boxes),
        fleet_id=fleet_id,
    )


def _own_fleet(ec2: EC2Client, lease_id: str, tokens: Collection[str]) -> str | None:
    """The maintaining fleet that an attempt has made. DescribeFleets filters by type, and by neither tag nor token."""
    pages = ec2.get_paginator("describe_fleets").paginate(Filters=[{"Name": "type", "Values": [MAINTAIN]}])
    for page in pages:
        for fleet in page.get("Fleets") or []:
            tags = {tag.get("Key"): tag.get("Value") for tag in fleet.get("Tags") or []}
            if fleet.get("FleetId") and (
                fleet.get("ClientToken") in tokens or tags.get(LEASE_TAG) == lease_id
            ):
                return fleet["FleetId"]
    return None


def fleet_problem(aws: Aws, region: str, fleet_id: str, *, since: datetime) -> str | None:
    """What a fleet's history told last of what keeps it from its target; the newest of a few pages."""
    ec2, token, told = aws.ec2(region, HURRIED), "", list[Any]()
    try:
        for _ in range(HISTORY_PAGES):
            more: Any = {"NextToken": token} if token else {}
            answer = ec2.describe_fleet_history(FleetId=fleet_id, StartTime=since, **more)
            told += answer.get("HistoryRecords") or []
            token = answer.get("NextToken") or ""
            if not token:
                break
    except AWS_ERRORS as error:
        raise unavailable(f"looking for what keeps fleet {fleet_id} from launching", error) from error
    found = [(one.get("Timestamp") or since, one.get("EventInformation") or {}) for one in told]
    troubles = [(at, what) for at, what in found if what.get("EventSubType") in TROUBLES]
    if not troubles:
        return None
    _, last = max(troubles, key=lambda one: one[0])
    return f"{last['EventSubType']}: {last.get('EventDescription') or 'EC2 does not say more'}"


def _launched(found: Collection[Instance], *, code: str) -> LaunchAnswer:
    if not found:
        return LaunchAnswer(outcome="refused", code=code, detail="nothing was launched")
    return LaunchAnswer(
        outcome="launched",
        instance_ids=tuple(one.id for one in found),
        spot_request_ids=_request_ids(found),
        fleet_id=next((one.fleet_id for one in found if one.fleet_id), None),
    )


def _request_ids(found: Iterable[Instance]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.spot_request_id for one in found if one.spot_request_id))


def _found(ec2: EC2Client, region: str, narrow: tuple[str, Collection[str]]) -> Iterator[Instance]:
    name, values = narrow[0], list(narrow[1])
    paginator = ec2.get_paginator("describe_instances")
    for start in range(0, len(values), VALUES_A_FILTER):
        for page in paginator.paginate(
            Filters=[{"Name": name, "Values": values[start : start + VALUES_A_FILTER]}]
        ):
            yield from instances_of(page, region)
