"""EventBridge Scheduler's API: schedules and their groups.

Sources: botocore's service model of scheduler (parameters, errors, idempotency by ClientToken); its guide, "Schedule
types". That a one-time schedule in the past is refused is told by its users (DefangLabs/pulumi-defang pull request
425), and StartDate's five minutes by moto pull request 8172.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from localaws.errors import AwsError, LocalAwsError
from localaws.events.plans import Plan, aware
from localaws.events.schedules import At, Cron, Rate, parse
from localaws.events.targets import invalid, target_of
from localaws.events.timers import DEFAULT_GROUP, RETRY_DEFAULTS, Group, Schedule
from localaws.operations import Call, operation
from localaws.protocol import constraints
from localaws.protocol.paging import page

START_MAY_BE_PAST = timedelta(minutes=5)
SHOWN = (
    "Description EndDate FlexibleTimeWindow KmsKeyArn ScheduleExpression ScheduleExpressionTimezone StartDate State "
    "Target ActionAfterCompletion"
).split()


@operation("scheduler", "CreateSchedule")
def create_schedule(call: Call) -> dict[str, Any]:
    """The same ClientToken is the same schedule; another one for a name that is taken is a conflict (botocore)."""
    _check(call, "CreateSchedule")
    group, name = _group(call), call.params["Name"]
    params = dict(call.params)
    token = params.pop("ClientToken", "")
    call.world.timers.group(call.region, group)
    known = call.world.timers.known(call.region, group, name)
    if known is not None and known.token == (token, params):
        return {"ScheduleArn": known.arn}
    if known is not None:
        raise AwsError("ConflictException", f"Schedule {name} already exists.", status=409)
    schedule = call.world.timers.add(call.region, group, name, _plan(call), (token, params))
    return {"ScheduleArn": schedule.arn}


@operation("scheduler", "UpdateSchedule")
def update_schedule(call: Call) -> dict[str, Any]:
    """What a call leaves out goes back to its default (botocore, UpdateSchedule)."""
    _check(call, "UpdateSchedule")
    schedule = _schedule(call)
    call.world.timers.change(schedule, _plan(call))
    return {"ScheduleArn": schedule.arn}


@operation("scheduler", "GetSchedule")
def get_schedule(call: Call) -> dict[str, Any]:
    _check(call, "GetSchedule")
    schedule = _schedule(call)
    params = schedule.plan.params
    return {
        "Arn": schedule.arn,
        "GroupName": schedule.group,
        "Name": schedule.name,
        "CreationDate": schedule.created_at,
        "LastModificationDate": schedule.modified_at,
        **{name: params[name] for name in SHOWN if params.get(name) is not None},
    }


@operation("scheduler", "DeleteSchedule")
def delete_schedule(call: Call) -> dict[str, Any]:
    _check(call, "DeleteSchedule")
    call.world.timers.delete(_schedule(call))
    return {}


@operation("scheduler", "ListSchedules")
def list_schedules(call: Call) -> dict[str, Any]:
    _check(call, "ListSchedules")
    params, prefix = call.params, call.params.get("NamePrefix") or ""
    if params.get("GroupName"):
        call.world.timers.group(call.region, params["GroupName"])
    found = [
        schedule
        for schedule in call.world.timers.of(call.region)
        if schedule.name.startswith(prefix)
        and params.get("GroupName") in (None, schedule.group)
        and params.get("State") in (None, schedule.plan.params["State"])
    ]
    return _listed(call, "Schedules", [_summary(one) for one in found])


@operation("scheduler", "CreateScheduleGroup")
def create_schedule_group(call: Call) -> dict[str, Any]:
    _check(call, "CreateScheduleGroup")
    tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags") or []}
    group = call.world.timers.add_group(call.region, call.params["Name"], tags)
    return {"ScheduleGroupArn": group.arn}


@operation("scheduler", "GetScheduleGroup")
def get_schedule_group(call: Call) -> dict[str, Any]:
    return _group_row(call.world.timers.group(call.region, call.params["Name"]))


@operation("scheduler", "DeleteScheduleGroup")
def delete_schedule_group(call: Call) -> dict[str, Any]:
    """Its schedules go with it (botocore, DeleteScheduleGroup); here at once."""
    name = call.params["Name"]
    if name == DEFAULT_GROUP:
        raise invalid("The default schedule group can not be deleted.")
    call.world.timers.delete_group(call.world.timers.group(call.region, name))
    return {}


@operation("scheduler", "ListScheduleGroups")
def list_schedule_groups(call: Call) -> dict[str, Any]:
    _check(call, "ListScheduleGroups")
    prefix = call.params.get("NamePrefix") or ""
    groups = [group for group in call.world.timers.groups(call.region) if group.name.startswith(prefix)]
    return _listed(call, "ScheduleGroups", [_group_row(group) for group in groups])


@operation("scheduler", "ListTagsForResource")
def list_tags_for_resource(call: Call) -> dict[str, Any]:
    tags = _tagged(call).tags
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


@operation("scheduler", "TagResource")
def tag_resource(call: Call) -> dict[str, Any]:
    _tagged(call).tags.update({tag["Key"]: tag["Value"] for tag in call.params["Tags"]})
    return {}


@operation("scheduler", "UntagResource")
def untag_resource(call: Call) -> dict[str, Any]:
    group = _tagged(call)
    group.tags = {key: value for key, value in group.tags.items() if key not in call.params["TagKeys"]}
    return {}


def _check(call: Call, name: str) -> None:
    constraints.check("scheduler", name, call.params)


def _group(call: Call) -> str:
    return str(call.params.get("GroupName") or DEFAULT_GROUP)


def _schedule(call: Call) -> Schedule:
    return call.world.timers.find(call.region, _group(call), call.params["Name"])


def _tagged(call: Call) -> Group:
    """Only groups have tags (botocore, TagResource)."""
    arn = str(call.params["ResourceArn"])
    if not re.fullmatch(r"arn:aws[\w-]*:scheduler:[a-z0-9-]+:\d{12}:schedule-group/[\w.-]+", arn):
        raise invalid(f"{arn} is not the ARN of a schedule group.")
    return call.world.timers.group(call.region, arn.rpartition("/")[2])


def _plan(call: Call) -> Plan:
    """What the call asks for, with the service's defaults. Raises a ValidationException."""
    params = dict(call.params)
    target = dict(params["Target"])
    target["RetryPolicy"] = {**RETRY_DEFAULTS, **(target.get("RetryPolicy") or {})}
    params["Target"] = target
    params["State"] = params.get("State") or "ENABLED"
    params["ActionAfterCompletion"] = params.get("ActionAfterCompletion") or "NONE"
    params["ScheduleExpressionTimezone"] = params.get("ScheduleExpressionTimezone") or "UTC"
    params["StartDate"], params["EndDate"] = aware(params.get("StartDate")), aware(params.get("EndDate"))
    expression, zone = _expression(params["ScheduleExpression"]), _zone(params["ScheduleExpressionTimezone"])
    _check_times(call, params, expression, zone)
    window = params["FlexibleTimeWindow"]
    if (window["Mode"] == "FLEXIBLE") != ("MaximumWindowInMinutes" in window):
        raise invalid(
            "MaximumWindowInMinutes goes with a FlexibleTimeWindow of mode FLEXIBLE, and only with it."
        )
    recurs = not isinstance(expression, At)
    return Plan(
        params=params,
        expression=expression,
        zone=zone,
        target=target_of(target["Arn"], target.get("Input")),
        start=params["StartDate"] if recurs else None,
        end=params["EndDate"] if recurs else None,
    )


def _check_times(call: Call, params: Mapping[str, Any], expression: At | Rate | Cron, zone: tzinfo) -> None:
    now, start, end = call.world.now, params["StartDate"], params["EndDate"]
    if isinstance(expression, At):
        if expression.moment(zone) < now:
            raise invalid(f"Invalid Schedule Expression {params['ScheduleExpression']}: it is in the past.")
        return  # both dates are ignored for one-time schedules
    if start is not None and start < now - START_MAY_BE_PAST:
        raise invalid("The StartDate you specify cannot be earlier than 5 minutes ago.")
    if end is not None and end <= max(now, start or now):
        raise invalid("The EndDate you specify must be in the future, and after the StartDate.")


def _expression(text: str) -> At | Rate | Cron:
    try:
        return parse(text)
    except LocalAwsError as problem:
        raise invalid(f"Invalid Schedule Expression {text}. ({problem})") from problem


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # without the machine's own list of zones
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as problem:
        raise invalid(f"Invalid Schedule Expression Timezone {name}.") from problem


def _listed(call: Call, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    items, token = page(rows, call.params.get("NextToken"), call.params.get("MaxResults"), least=1, most=100)
    return {name: items, **({"NextToken": token} if token else {})}


def _summary(schedule: Schedule) -> dict[str, Any]:
    return {
        "Arn": schedule.arn,
        "Name": schedule.name,
        "GroupName": schedule.group,
        "State": schedule.plan.params["State"],
        "CreationDate": schedule.created_at,
        "LastModificationDate": schedule.modified_at,
        "Target": {"Arn": schedule.plan.params["Target"]["Arn"]},
    }


def _group_row(group: Group) -> dict[str, Any]:
    return {
        "Arn": group.arn,
        "Name": group.name,
        "State": "ACTIVE",
        "CreationDate": group.created_at,
        "LastModificationDate": group.created_at,
    }
