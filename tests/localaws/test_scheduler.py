"""EventBridge Scheduler: what it takes, when it fires, what it calls, and what comes of a failure."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localaws.model import Box
from localaws.world import World
from tests.localaws.conftest import IMAGE

ROLE = "arn:aws:iam::123456789012:role/timers"
TERMINATE = "arn:aws:scheduler:::aws-sdk:ec2:terminateInstances"
EXPIRE = "arn:aws:lambda:us-east-1:123456789012:function:expire"
OFF = {"Mode": "OFF"}
MINUTE = timedelta(minutes=1)
AT_TEN_PAST = "at(2026-03-02T09:10:00)"


def scheduler(world: World, region: str = "us-east-1") -> Any:
    return world.session(region).client("scheduler", config=Config(retries={"total_max_attempts": 1}))


def order(
    name: str = "end-box", *, arn: str = TERMINATE, what: Any = None, retry: Any = None, **more: Any
) -> dict[str, Any]:
    """CreateSchedule's parameters."""
    target: dict[str, Any] = {"Arn": arn, "RoleArn": ROLE}
    if what is not None:
        target["Input"] = what if isinstance(what, str) else json.dumps(what)
    if retry is not None:
        target["RetryPolicy"] = retry
    target |= more.pop("target", {})
    return {
        "Name": name,
        "ScheduleExpression": AT_TEN_PAST,
        "FlexibleTimeWindow": OFF,
        "Target": target,
        **more,
    }


def ending(box: Box, name: str = "end-box", **more: Any) -> dict[str, Any]:
    return order(name, what={"InstanceIds": [box.id]}, **more)


def row(world: World, name: str = "end-box") -> dict[str, Any]:
    """What the truth says of a schedule."""
    found: list[dict[str, Any]] = [one for one in world.truth()["timers"] if one["name"] == name]
    assert len(found) == 1
    return found[0]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def refused(call: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**params)
    return str(caught.value.response["Error"]["Code"])


# When it fires


def test_a_one_time_schedule_fires_within_the_minute_of_its_time(world: World) -> None:
    """Between 09:10:00 and 09:10:59, not before (EventBridge Scheduler guide, "Schedule types")."""
    boxes = [world.start_box("g5.xlarge") for _ in range(20)]
    for number, box in enumerate(boxes):
        scheduler(world).create_schedule(**ending(box, f"end-{number}"))
    world.advance_to(at("2026-03-02T09:09:59Z"))
    assert {box.state for box in boxes} == {"running"}
    world.advance_to(at("2026-03-02T09:10:59Z"))
    assert not {box.state for box in boxes} & {"running", "pending"}
    fired = {row(world, f"end-{number}")["fired_at"] for number in range(20)}
    assert len(fired) > 5
    assert all("2026-03-02T09:10:00Z" <= moment <= "2026-03-02T09:10:59Z" for moment in fired)


def test_the_time_is_that_of_its_time_zone(world: World) -> None:
    """04:10 in New York is 09:10 UTC in winter (EventBridge Scheduler guide, "Schedule types", time zones)."""
    box = world.start_box("g5.xlarge")
    scheduler(world).create_schedule(
        **ending(
            box,
            ScheduleExpression="at(2026-03-02T04:10:00)",
            ScheduleExpressionTimezone="America/New_York",
        )
    )
    assert row(world)["due_at"] == "2026-03-02T09:10:00Z"


def test_a_one_time_schedule_in_the_past_is_refused(world: World) -> None:
    """With a ValidationException, so that nothing waits for ever (DefangLabs/pulumi-defang pull request 425)."""
    box = world.start_box("g5.xlarge")
    client = scheduler(world)
    past = {"ScheduleExpression": "at(2026-03-02T08:59:59)"}
    assert refused(client.create_schedule, **ending(box, **past)) == "ValidationException"
    client.create_schedule(**ending(box, ScheduleExpression="at(2026-03-02T09:00:00)"))
    assert refused(client.update_schedule, **ending(box, **past)) == "ValidationException"
    world.advance(MINUTE)
    assert box.ended_by == "TerminateInstances"


def test_a_one_time_schedule_fires_once(world: World) -> None:
    """It stays, having fired, unless it says otherwise (EventBridge Scheduler guide, "Deleting a schedule")."""
    scheduler(world).create_schedule(**order(arn=EXPIRE))
    world.advance(timedelta(days=2))
    assert invoked(world) == ["expire"]
    told = scheduler(world).get_schedule(Name="end-box")
    assert (told["State"], told["ActionAfterCompletion"]) == ("ENABLED", "NONE")


def invoked(world: World) -> list[str]:
    names = []
    while (invocation := world.take_invocation()) is not None:
        names.append(invocation.function)
    return names


def test_a_schedule_goes_after_its_completion_where_it_says_so(world: World) -> None:
    """ActionAfterCompletion DELETE, after the one invocation (EventBridge Scheduler guide, "Deleting a schedule")."""
    scheduler(world).create_schedule(**order(arn=EXPIRE, ActionAfterCompletion="DELETE"))
    world.advance_to(at("2026-03-02T09:09:00Z"))
    scheduler(world).get_schedule(Name="end-box")
    world.advance(2 * MINUTE)
    assert refused(scheduler(world).get_schedule, Name="end-box") == "ResourceNotFoundException"
    assert invoked(world) == ["expire"]
    assert row(world)["state"] == "DELETED"
    scheduler(world).create_schedule(**order(arn=EXPIRE, ScheduleExpression="at(2026-03-02T10:00:00)"))


def test_a_disabled_schedule_does_not_fire_until_it_is_enabled(world: World) -> None:
    """State is as of its time (botocore, CreateScheduleInput.State)."""
    client = scheduler(world)
    client.create_schedule(**order(arn=EXPIRE, State="DISABLED"))
    client.create_schedule(**order("other", arn=EXPIRE, State="DISABLED"))
    world.advance(5 * MINUTE)
    client.update_schedule(**order("other", arn=EXPIRE, State="ENABLED"))
    world.advance(10 * MINUTE)
    assert invoked(world) == ["expire"]
    assert (row(world)["fired_at"], row(world, "other")["fired_at"] is not None) == (None, True)


def test_an_updated_schedule_fires_at_its_new_time_only(world: World) -> None:
    """Also to later, and in the minute in which it would have fired (botocore, UpdateSchedule: values are overridden)."""
    client = scheduler(world)
    client.create_schedule(**order(arn=EXPIRE))
    world.advance_to(at("2026-03-02T09:10:00Z"))
    client.update_schedule(**order(arn=EXPIRE, ScheduleExpression="at(2026-03-02T11:00:00)"))
    world.advance(timedelta(hours=1))
    assert invoked(world) == []
    world.advance(timedelta(hours=1))
    assert invoked(world) == ["expire"]


def test_a_deleted_schedule_never_fires(world: World) -> None:
    """Deletion holds from the call on (botocore, DeleteSchedule)."""
    client = scheduler(world)
    client.create_schedule(**order(arn=EXPIRE))
    client.delete_schedule(Name="end-box")
    world.advance(timedelta(hours=1))
    assert invoked(world) == []
    assert refused(client.delete_schedule, Name="end-box") == "ResourceNotFoundException"


def test_a_rate_fires_at_once_and_then_at_its_period(world: World) -> None:
    """Unless StartDate says otherwise (EventBridge Scheduler guide, "Schedule types", rate-based schedules)."""
    client = scheduler(world)
    client.create_schedule(**order("now", arn=EXPIRE, ScheduleExpression="rate(10 minutes)"))
    client.create_schedule(
        **order(
            "later",
            arn=EXPIRE,
            ScheduleExpression="rate(10 minutes)",
            StartDate=at("2026-03-02T09:35:00Z"),
            EndDate=at("2026-03-02T09:55:00Z"),
        )
    )
    fired: dict[str, list[str]] = {"now": [], "later": []}
    for _ in range(59):
        world.advance(MINUTE)
        for name, moments in fired.items():
            moment = row(world, name)["fired_at"]
            if moment and moment not in moments:
                moments.append(moment)
    assert [moment[11:16] for moment in fired["now"]] == [
        "09:00",
        "09:10",
        "09:20",
        "09:30",
        "09:40",
        "09:50",
    ]
    assert [moment[11:16] for moment in fired["later"]] == ["09:35", "09:45", "09:55"]


def test_a_recurring_schedule_with_an_end_goes_after_its_last_invocation(world: World) -> None:
    """Without an EndDate it is never deleted (EventBridge Scheduler guide, "Deleting a schedule")."""
    client = scheduler(world)
    hourly = {"arn": EXPIRE, "ScheduleExpression": "cron(30 * * * ? *)", "ActionAfterCompletion": "DELETE"}
    client.create_schedule(**order("ends", EndDate=at("2026-03-02T11:00:00Z"), **hourly))
    client.create_schedule(**order("goes-on", **hourly))
    world.advance(timedelta(hours=4))
    assert row(world, "ends")["state"] == "DELETED"
    assert (row(world, "goes-on")["state"], row(world, "goes-on")["attempts"]) == ("ENABLED", 4)
    assert row(world, "ends")["attempts"] == 2


def test_a_cron_schedule_follows_its_time_zone_through_daylight_saving(world: World) -> None:
    """A time that is skipped is skipped, one that comes twice counts once (EventBridge Scheduler guide, "Schedule types",
    daylight savings time)."""
    client = scheduler(world)
    zone = {"arn": EXPIRE, "ScheduleExpressionTimezone": "America/New_York"}
    client.create_schedule(**order("nine", ScheduleExpression="cron(0 9 * * ? *)", **zone))
    client.create_schedule(**order("half-past-two", ScheduleExpression="cron(30 2 * * ? *)", **zone))
    world.advance_to(at("2026-03-07T15:00:00Z"))
    assert row(world, "nine")["due_at"] == "2026-03-08T13:00:00Z"
    assert row(world, "half-past-two")["due_at"] == "2026-03-09T06:30:00Z"


def test_a_flexible_window_spreads_invocations_over_it(world: World) -> None:
    """Within the window after the time (botocore, FlexibleTimeWindow)."""
    for number in range(20):
        window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 30}
        scheduler(world).create_schedule(**order(f"t-{number}", arn=EXPIRE, FlexibleTimeWindow=window))
    world.advance_to(at("2026-03-02T09:11:30Z"))
    assert len(invoked(world)) < 10
    world.advance_to(at("2026-03-02T09:40:00Z"))
    assert all(row(world, f"t-{number}")["fired_at"] for number in range(20))


# What it calls


def test_a_universal_target_is_a_call_in_the_schedules_own_region(world: World) -> None:
    """A box of another region is unknown there (EventBridge Scheduler guide, "Using universal targets")."""
    east, west = world.start_box("g5.xlarge"), world.start_box("g5.xlarge", region="us-west-2")
    scheduler(world, "us-west-2").create_schedule(**ending(west, "right"))
    scheduler(world, "us-west-2").create_schedule(**ending(east, "wrong"))
    world.advance(15 * MINUTE)
    assert (east.state, west.state, west.ended_by) == ("running", "terminated", "TerminateInstances")
    assert row(world, "wrong")["code"] == "InvalidInstanceID.NotFound"
    calls = {one["by"]: one for one in world.truth()["calls"]}
    assert (calls["right"]["operation"], calls["right"]["ids"]) == ("TerminateInstances", [west.id])
    assert (calls["right"]["region"], calls["right"]["code"]) == ("us-west-2", None)
    assert calls["wrong"]["code"] == "InvalidInstanceID.NotFound"


def test_other_calls_are_nobodys_timers(world: World, ec2: Any) -> None:
    """`by` is None for what clients do (localaws's own promise)."""
    ec2.terminate_instances(InstanceIds=[world.start_box("g5.xlarge").id])
    assert [one["by"] for one in world.truth()["calls"]] == [None]


def test_the_calls_that_end_things_can_be_universal_targets(world: World, ec2: Any) -> None:
    """Cancel a request, stop a box, delete a fleet (EventBridge Scheduler guide, "Using universal targets")."""
    spot = world.start_box("g5.xlarge", market="persistent")
    box = world.start_box("g5.xlarge")
    fleet_box = world.start_box("g5.xlarge", market="maintain")
    sdk = "arn:aws:scheduler:::aws-sdk:ec2:"
    for action, what in (
        ("cancelSpotInstanceRequests", {"SpotInstanceRequestIds": [spot.request_id]}),
        ("stopInstances", {"InstanceIds": [box.id]}),
        ("deleteFleets", {"FleetIds": [fleet_box.fleet_id], "TerminateInstances": True}),
    ):
        scheduler(world).create_schedule(**order(action, arn=sdk + action, what=what))
    world.advance(15 * MINUTE)
    request = world.spot.find(spot.request_id)
    assert request is not None
    assert (request.state, spot.state, box.state, fleet_box.state) == (
        "cancelled",
        "running",
        "stopped",
        "terminated",
    )


def test_a_queue_can_be_sent_to_by_name_or_as_a_call(world: World) -> None:
    """Templated and universal (EventBridge Scheduler guide, "Using templated targets")."""
    sqs = world.session().client("sqs")
    url = sqs.create_queue(QueueName="notes")["QueueUrl"]
    scheduler(world).create_schedule(
        **order("templated", arn="arn:aws:sqs:us-east-1:123456789012:notes", what="hello")
    )
    scheduler(world).create_schedule(
        **order(
            "universal",
            arn="arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
            what={"QueueUrl": url, "MessageBody": "<aws.scheduler.scheduled-time>"},
        )
    )
    world.advance(15 * MINUTE)
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert {message["Body"] for message in messages} == {"hello", "2026-03-02T09:10:00Z"}


def test_a_function_is_invoked_with_the_input(world: World) -> None:
    """As its event, in the form of its JSON (EventBridge Scheduler guide, "Using templated targets", Lambda)."""
    scheduler(world).create_schedule(**order(arn=EXPIRE, what={"lease": "l-1"}))
    scheduler(world).create_schedule(
        **order("plain", arn=EXPIRE, ScheduleExpression="at(2026-03-02T09:20:00)")
    )
    world.advance(25 * MINUTE)
    first, second = world.take_invocation(), world.take_invocation()
    assert first is not None
    assert second is not None
    assert (first.function, first.event) == ("expire", {"lease": "l-1"})
    assert (second.event["source"], second.event["time"]) == ("aws.scheduler", "2026-03-02T09:20:00Z")


def test_a_function_that_is_not_there_can_not_be_invoked(world: World) -> None:
    """The target answers ResourceNotFoundException, and trying again would not help (Lambda API, Invoke)."""
    world.functions = frozenset({"sweep"})
    scheduler(world).create_schedule(**order(arn=EXPIRE))
    world.advance(15 * MINUTE)
    assert (invoked(world), row(world)["code"], row(world)["attempts"]) == (
        [],
        "ResourceNotFoundException",
        1,
    )


def test_a_function_that_can_not_take_more_is_asked_again(world: World) -> None:
    """Lambda refuses for now (Lambda API, Invoke, TooManyRequestsException); what the function itself makes of its event
    is not the schedule's business (Lambda guide, "Invoking a Lambda function asynchronously")."""
    world.fault(service="lambda", operation="Invoke", code="TooManyRequestsException", times=2)
    scheduler(world).create_schedule(**order(arn=EXPIRE, what={}))
    world.advance(15 * MINUTE)
    assert (invoked(world), row(world)["attempts"]) == (["expire"], 3)


# Failures


def test_a_call_that_fails_for_now_is_made_again_with_growing_pauses(world: World) -> None:
    """After 1, 2 and 4 seconds of virtual time here (botocore, RetryPolicy: exponential backoff)."""
    box = world.start_box("g5.xlarge")
    world.fault(service="ec2", operation="TerminateInstances", code="RequestLimitExceeded", times=3)
    scheduler(world).create_schedule(**ending(box))
    world.advance(15 * MINUTE)
    calls = [one for one in world.truth()["calls"] if one["by"] == "end-box"]
    assert [one["code"] for one in calls] == ["RequestLimitExceeded"] * 3 + [None]
    moments = [at(one["at"]) for one in calls]
    assert [(b - a).seconds for a, b in pairwise(moments)] == [1, 2, 4]
    assert (box.state, row(world)["code"], row(world)["attempts"]) == ("terminated", None, 4)


def test_a_call_whose_answer_is_lost_is_made_again(world: World) -> None:
    """Its effect is there twice, so it has to be idempotent (EventBridge Scheduler guide, "What is EventBridge
    Scheduler": at-least-once delivery)."""
    box = world.start_box("g5.xlarge")
    world.fault(service="ec2", operation="TerminateInstances", lost_answer=True, code="drop", times=1)
    scheduler(world).create_schedule(**ending(box))
    world.advance(15 * MINUTE)
    calls = [one for one in world.truth()["calls"] if one["by"] == "end-box"]
    assert [one["lost"] for one in calls] == [True, False]


def test_a_call_that_is_refused_is_not_made_again(world: World) -> None:
    """A denial does not pass (EventBridge guide, "How EventBridge retries delivering events")."""
    box = world.start_box("g5.xlarge")
    world.fault(service="ec2", operation="TerminateInstances", code="UnauthorizedOperation")
    scheduler(world).create_schedule(**ending(box))
    world.advance(timedelta(hours=1))
    assert (box.state, row(world)["attempts"]) == ("running", 1)


def dead_letters(world: World, name: str) -> list[Any]:
    sqs = world.session().client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found: list[Any] = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages", [])
    return found


@pytest.mark.parametrize(
    "retry, limit, tries",
    [
        ({"MaximumRetryAttempts": 2}, "MaximumRetryAttempts", 3),
        ({"MaximumEventAgeInSeconds": 60}, "MaximumEventAgeInSeconds", 6),
        ({"MaximumRetryAttempts": 0}, "MaximumRetryAttempts", 1),
    ],
)
def test_what_the_retry_policy_gives_up_goes_to_the_dead_letter_queue(
    world: World, *, retry: dict[str, int], limit: str, tries: int
) -> None:
    """With what went wrong in its attributes (EventBridge Scheduler guide, "Configuring a schedule's dead-letter
    queue")."""
    world.session().client("sqs").create_queue(QueueName="dead")
    box = world.start_box("g5.xlarge")
    world.fault(service="ec2", operation="TerminateInstances", code="InternalError")
    dead = {"DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:123456789012:dead"}}
    scheduler(world).create_schedule(**ending(box, retry=retry, target=dead, ActionAfterCompletion="DELETE"))
    world.advance(15 * MINUTE)
    (letter,) = dead_letters(world, "dead")
    said = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert json.loads(letter["Body"]) == {"InstanceIds": [box.id]}
    assert (said["ERROR_CODE"], said["EXHAUSTED_RETRY_CONDITION"]) == ("InternalError", limit)
    assert (said["RETRY_ATTEMPTS"], said["SCHEDULED_TIME"]) == (str(tries - 1), "2026-03-02T09:10:00Z")
    assert (said["TARGET_ARN"], said["SCHEDULE_ARN"].rpartition("/")[2]) == (TERMINATE, "end-box")
    assert (row(world)["attempts"], row(world)["state"]) == (tries, "DELETED")
    assert [one["queue"] for one in world.truth()["dead_letters"]] == ["dead"]


def test_all_the_retries_there_may_be_fit_into_a_day(world: World) -> None:
    """185 of them by default, over 24 hours (botocore, RetryPolicy; EventBridge Scheduler guide, "Managing a
    schedule")."""
    world.fault(service="ec2", operation="TerminateInstances", code="InternalError")
    scheduler(world).create_schedule(**ending(world.start_box("g5.xlarge")))
    world.advance(timedelta(hours=26))
    assert row(world)["attempts"] == 186


# What it takes


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"ScheduleExpression": "at(2026-03-02 09:10)"}, "no schedule"),
    ({"ScheduleExpression": "at(2026-02-30T09:10:00)"}, "no such time"),
    ({"ScheduleExpression": "rate(0 minutes)"}, "rate"),
    ({"ScheduleExpression": "cron(0 9 * * * *)"}, "must be ?"),
    ({"ScheduleExpressionTimezone": "Mars/Olympus"}, "Timezone"),
    ({"FlexibleTimeWindow": {"Mode": "SOMETIMES"}}, "enum"),
    ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "MaximumWindowInMinutes"),
    ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1441}}, "less than or equal"),
    ({"Name": "no spaces"}, "regular expression"),
    ({"State": "SLEEPING"}, "enum"),
    (
        {"ScheduleExpression": "rate(1 hour)", "StartDate": datetime(2026, 3, 2, 8, tzinfo=UTC)},
        "5 minutes ago",
    ),
    ({"ScheduleExpression": "rate(1 hour)", "EndDate": datetime(2026, 3, 2, 8, tzinfo=UTC)}, "EndDate"),
    ({"retry": {"MaximumRetryAttempts": 186}}, "less than or equal"),
    ({"target": {"RoleArn": "somebody"}}, "regular expression"),
    ({"target": {"DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:123456789012:dead.fifo"}}}, "pattern"),
    ({"arn": "arn:aws:scheduler:::aws-sdk:ec2:describeInstances"}, "only reads"),
    ({"arn": "arn:aws:scheduler:::aws-sdk:ec2:TerminateInstances"}, "not supported"),
    ({"arn": "arn:aws:scheduler:::aws-sdk:ec2:endEverything"}, "not a supported api"),
    ({"arn": "arn:aws:scheduler:::aws-sdk:ec3:terminateInstances"}, "not a supported service"),
    ({"what": {"instanceIds": ["i-1"]}}, r"missing the following field\(s\): InstanceIds"),
    ({"what": {"InstanceIds": ["i-1"], "Colour": "red"}}, "Unknown field"),
    ({"what": "InstanceIds"}, "not well-formed"),
]


@pytest.mark.parametrize("wrong, said", WRONG, ids=[said for _, said in WRONG])
def test_what_is_wrong_is_refused_when_the_schedule_is_made(
    world: World, wrong: dict[str, Any], said: str
) -> None:
    """A ValidationException that says what (botocore's model of scheduler; EventBridge Scheduler guide, "Using universal
    targets"; field names as "Invalid RequestJson provided" tells them)."""
    with pytest.raises(ClientError, match=said) as caught:
        scheduler(world).create_schedule(**order(**{"what": {"InstanceIds": ["i-1"]}, **wrong}))
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert world.truth()["timers"] == []


def test_a_name_is_taken_once_in_a_group_of_a_region(world: World) -> None:
    """ConflictException (botocore, CreateSchedule)."""
    client = scheduler(world)
    client.create_schedule_group(Name="other")
    client.create_schedule(**order(arn=EXPIRE))
    assert refused(client.create_schedule, **order(arn=EXPIRE)) == "ConflictException"
    client.create_schedule(**order(arn=EXPIRE, GroupName="other"))
    scheduler(world, "us-west-2").create_schedule(**order(arn=EXPIRE))
    assert (
        refused(client.create_schedule, **order(arn=EXPIRE, GroupName="none")) == "ResourceNotFoundException"
    )


def test_the_same_client_token_is_the_same_schedule(world: World) -> None:
    """Sent again it changes nothing; with other parameters it is a conflict (botocore, CreateScheduleInput.ClientToken)."""
    client = scheduler(world)
    first = client.create_schedule(**order(arn=EXPIRE, ClientToken="t-1"))
    assert (
        client.create_schedule(**order(arn=EXPIRE, ClientToken="t-1"))["ScheduleArn"] == first["ScheduleArn"]
    )
    other = order(arn=EXPIRE, ClientToken="t-1", Description="other")
    assert refused(client.create_schedule, **other) == "ConflictException"
    assert refused(client.create_schedule, **order(arn=EXPIRE, ClientToken="t-2")) == "ConflictException"
    world.advance(15 * MINUTE)
    assert invoked(world) == ["expire"]


def test_a_schedule_whose_making_got_no_answer_is_there(world: World) -> None:
    """And the same call with the same token finds it (botocore, CreateScheduleInput.ClientToken)."""
    client = scheduler(world)
    world.fault(service="scheduler", operation="CreateSchedule", lost_answer=True, times=1)
    assert refused(client.create_schedule, **order(arn=EXPIRE, ClientToken="t-1")) == "InternalError"
    client.create_schedule(**order(arn=EXPIRE, ClientToken="t-1"))
    assert len(world.truth()["timers"]) == 1


def test_get_tells_what_was_asked_for_and_the_defaults(world: World) -> None:
    """185 retries within a day, UTC, enabled, kept (botocore, GetScheduleOutput; moto's scheduler for the retries)."""
    client = scheduler(world)
    client.create_schedule(**order(arn=EXPIRE, what={"a": 1}, StartDate=at("2026-03-02T10:00:00Z")))
    told = client.get_schedule(Name="end-box")
    assert told["Arn"] == "arn:aws:scheduler:us-east-1:123456789012:schedule/default/end-box"
    assert told["Target"] == {
        "Arn": EXPIRE,
        "RoleArn": ROLE,
        "Input": '{"a": 1}',
        "RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185},
    }
    assert (told["State"], told["ScheduleExpressionTimezone"], told["GroupName"]) == (
        "ENABLED",
        "UTC",
        "default",
    )
    assert (told["StartDate"], told["CreationDate"]) == (at("2026-03-02T10:00:00Z"), world.now)
    assert "Description" not in told


def test_an_update_resets_what_it_leaves_out(world: World) -> None:
    """To the default (botocore, UpdateSchedule)."""
    client = scheduler(world)
    client.create_schedule(
        **order(arn=EXPIRE, Description="mine", ActionAfterCompletion="DELETE", State="DISABLED")
    )
    world.advance(MINUTE)
    client.update_schedule(**order(arn=EXPIRE))
    told = client.get_schedule(Name="end-box")
    assert (told["ActionAfterCompletion"], told["State"], "Description" in told) == ("NONE", "ENABLED", False)
    assert told["LastModificationDate"] - told["CreationDate"] == MINUTE
    assert refused(client.update_schedule, **order("none", arn=EXPIRE)) == "ResourceNotFoundException"


def test_schedules_are_listed_by_group_prefix_and_state_in_pages(world: World) -> None:
    """Only those of the region (botocore, ListSchedules)."""
    client = scheduler(world)
    client.create_schedule_group(Name="other")
    for name in ("a-1", "a-2", "a-3", "b-1"):
        client.create_schedule(**order(name, arn=EXPIRE))
    client.create_schedule(**order("a-9", arn=EXPIRE, GroupName="other", State="DISABLED"))
    scheduler(world, "us-west-2").create_schedule(**order("west", arn=EXPIRE))

    def names(**wanted: Any) -> list[str]:
        pages = client.get_paginator("list_schedules").paginate(**wanted)
        return [row["Name"] for page in pages for row in page["Schedules"]]

    assert names(MaxResults=2) == ["a-1", "a-2", "a-3", "b-1", "a-9"]
    assert names(NamePrefix="a-", GroupName="default") == ["a-1", "a-2", "a-3"]
    assert names(State="DISABLED") == ["a-9"]
    assert refused(client.list_schedules, GroupName="none") == "ResourceNotFoundException"


def test_a_group_goes_with_its_schedules(world: World) -> None:
    """The default group stays (botocore, DeleteScheduleGroup)."""
    client = scheduler(world)
    arn = client.create_schedule_group(Name="other", Tags=[{"Key": "team", "Value": "vision"}])[
        "ScheduleGroupArn"
    ]
    assert refused(client.create_schedule_group, Name="other") == "ConflictException"
    client.create_schedule(**order(arn=EXPIRE, GroupName="other"))
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "7"}])
    client.untag_resource(ResourceArn=arn, TagKeys=["team"])
    assert client.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "cost", "Value": "7"}]
    assert [group["Name"] for group in client.list_schedule_groups()["ScheduleGroups"]] == [
        "default",
        "other",
    ]
    client.delete_schedule_group(Name="other")
    assert refused(client.get_schedule_group, Name="other") == "ResourceNotFoundException"
    assert refused(client.delete_schedule_group, Name="default") == "ValidationException"
    world.advance(15 * MINUTE)
    assert invoked(world) == []


def test_a_timer_works_without_an_application(world: World, ec2: Any) -> None:
    """Universal targets call AWS itself: what was armed ends while Curfew is down (EventBridge Scheduler guide, "Using
    universal targets")."""
    launched = ec2.run_instances(ImageId=IMAGE, InstanceType="g5.xlarge", MinCount=1, MaxCount=1)
    (box,) = world.boxes
    assert launched["Instances"][0]["InstanceId"] == box.id
    scheduler(world).create_schedule(**ending(box, ActionAfterCompletion="DELETE"))
    world.advance(timedelta(hours=1))
    assert (box.state, world.truth()["timers"][0]["state"]) == ("terminated", "DELETED")
