"""Functions as AWS invokes them: from the queue, from schedules, again after a failure."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from chalice import Chalice, Rate

from localaws.events.lambdas import Lambdas
from localaws.mortality import watched_process
from localaws.template import Template
from localaws.world import World
from tests.localaws.conftest import ROOT

MINUTE = timedelta(minutes=1)
VISIBILITY = timedelta(seconds=360)
"""What .chalice/resources.json says; five receives, then the dead-letter queue."""


class Guard:
    """An application with one function of each kind, which do as they are told and note how they were called."""

    def __init__(self, world: World, template: Template) -> None:
        self.batches: list[list[Any]] = []
        self.swept: list[str] = []
        self.expired: list[Any] = []
        self.reported: list[str] = []
        self.answer: Callable[[list[Any]], Any] = lambda _: None
        self.fails = False
        self._world = world
        app = Chalice(app_name="guard")
        app.on_sqs_message(queue="ec2-events", name="on_ec2_event", batch_size=10)(self._on_event)
        app.schedule(Rate(5, unit=Rate.MINUTES), name="sweep")(self._sweep)
        app.schedule(Rate(1, unit=Rate.HOURS), name="report")(self._report)
        app.lambda_function(name="expire")(self._expire)
        self.lambdas = Lambdas(world, app, template)

    def work(self) -> None:
        """Run what waits."""
        while self.lambdas.work_off():
            pass

    def minutes(self, count: int) -> None:
        """Let time pass as the server does, a minute at a time."""
        for _ in range(count):
            self._world.advance(MINUTE)
            self.lambdas.run_due(self._world.now)
            self.work()

    def _on_event(self, event: Any) -> Any:
        records = event.to_dict()["Records"]
        self.batches.append(records)
        if self.fails:
            raise RuntimeError("this function fails")
        return self.answer(records)

    def _sweep(self, event: Any) -> None:
        self.swept.append(event.time)
        if self.fails:
            raise RuntimeError("this sweep fails")

    def _report(self, event: Any) -> None:
        self.reported.append(f"{self._world.now:%H:%M}")
        if self.fails:
            raise RuntimeError("this report fails")

    def _expire(self, event: Any, context: Any) -> None:
        self.expired.append((event, context.function_name))


@pytest.fixture
def guard(world: World) -> Guard:
    return Guard(world, Template(ROOT))


def subjects(batch: list[Any]) -> list[str]:
    return [json.loads(record["body"])["detail"]["instance-id"] for record in batch]


def test_messages_that_wait_together_come_in_one_batch(world: World, guard: Guard) -> None:
    """Up to `batch_size` of them (Lambda guide, "Using Lambda with Amazon SQS")."""
    started = [world.start_box("g5.xlarge").id for _ in range(12)]
    guard.work()
    assert [len(batch) for batch in guard.batches] == [10, 2]
    assert subjects(guard.batches[0] + guard.batches[1]) == started


def test_a_record_is_as_sqs_hands_it_to_lambda(world: World, guard: Guard) -> None:
    """The event is its body, text in JSON (Lambda guide, "Using Lambda with Amazon SQS")."""
    world.start_box("g5.xlarge")
    guard.work()
    ((record,),) = guard.batches
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == "arn:aws:sqs:us-east-1:123456789012:CurfewEc2Events"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["attributes"]["SentTimestamp"] == str(round(world.now.timestamp() * 1000))
    assert json.loads(record["body"])["source"] == "aws.ec2"


def test_a_failed_delivery_comes_again_after_the_visibility_timeout(world: World, guard: Guard) -> None:
    """The whole batch, counted up (SQS guide, "Amazon SQS visibility timeout"; Lambda guide, "Handling errors for an SQS
    event source in Lambda")."""
    guard.fails = True
    box = world.start_box("g5.xlarge")
    guard.work()
    guard.fails = False
    world.advance(VISIBILITY - timedelta(seconds=1))
    guard.work()
    first_id = guard.batches[0][0]["messageId"]
    assert [r["messageId"] for batch in guard.batches[1:] for r in batch].count(first_id) == 0
    world.advance(timedelta(seconds=1))
    guard.work()
    (again,) = guard.batches[-1]
    assert (again["messageId"], again["attributes"]["ApproximateReceiveCount"]) == (first_id, "2")
    assert subjects([again]) == [box.id]
    world.advance(3 * VISIBILITY)
    guard.work()
    assert guard.batches[-1] == [again]


def test_a_message_that_keeps_failing_ends_in_the_dead_letter_queue(world: World, guard: Guard) -> None:
    """Received maxReceiveCount times, it is moved (SQS guide, "Using dead-letter queues in Amazon SQS")."""
    guard.fails = True
    box = world.start_box("g5.xlarge")
    guard.work()
    message_id = guard.batches[0][0]["messageId"]
    for _ in range(8):
        world.advance(VISIBILITY)
        guard.work()
    received = [record for batch in guard.batches for record in batch if record["messageId"] == message_id]
    assert [r["attributes"]["ApproximateReceiveCount"] for r in received] == ["1", "2", "3", "4", "5"]
    dead = [row for row in world.truth()["dead_letters"] if row["body"]["detail"]["state"] == "pending"]
    assert [(row["queue"], row["receive_count"]) for row in dead] == [("CurfewEc2EventsDead", 5)]
    assert (dead[0]["body"]["detail"]["instance-id"], dead[0]["at"]) == (box.id, "2026-03-02T09:30:00Z")


def partial(tmp_path: Path, *, declared: bool) -> Template:
    """The repository's template, with or without partial batch responses."""
    content = json.loads((ROOT / ".chalice" / "resources.json").read_text())
    source = content["Resources"]["OnEc2Event"]["Properties"]["Events"]["OnEc2EventSqsEventSource"]
    source["Properties"]["FunctionResponseTypes"] = ["ReportBatchItemFailures"] if declared else []
    (tmp_path / ".chalice").mkdir()
    (tmp_path / ".chalice" / "resources.json").write_text(json.dumps(content))
    return Template(tmp_path)


def second_only(records: list[Any]) -> Any:
    return {"batchItemFailures": [{"itemIdentifier": records[1]["messageId"]}] if len(records) > 1 else []}


@pytest.mark.parametrize("declared", [True, False])
def test_a_batch_fails_in_part_where_the_event_source_asks_for_it(
    world: World, tmp_path: Path, *, declared: bool
) -> None:
    """Only the messages it names come again; without ReportBatchItemFailures the answer means nothing (Lambda guide,
    "Implementing partial batch responses")."""
    guard = Guard(world, partial(tmp_path, declared=declared))
    guard.answer = second_only
    boxes = [world.start_box("g5.xlarge") for _ in range(3)]
    guard.work()
    guard.answer = lambda _: None
    count = len(guard.batches)
    world.advance(VISIBILITY)
    guard.work()
    again = [
        r
        for batch in guard.batches[count:]
        for r in batch
        if r["attributes"]["ApproximateReceiveCount"] == "2"
    ]
    assert subjects(again) == ([boxes[1].id] if declared else [])


def test_a_batch_fails_whole_where_it_names_a_message_that_is_not_in_it(world: World, tmp_path: Path) -> None:
    """An unknown itemIdentifier is a complete failure (Lambda guide, "Implementing partial batch responses")."""
    guard = Guard(world, partial(tmp_path, declared=True))
    guard.answer = lambda _: {"batchItemFailures": [{"itemIdentifier": "who is that"}]}
    for _ in range(3):
        world.start_box("g5.xlarge")
    guard.work()
    guard.answer = lambda _: None
    world.advance(VISIBILITY)
    guard.work()
    again = [r for batch in guard.batches for r in batch if r["attributes"]["ApproximateReceiveCount"] == "2"]
    assert len(again) == 3


def test_a_rate_counts_from_its_deployment(world: World, guard: Guard) -> None:
    """Also after the account was started over between two of its turns (EventBridge guide, "Setting a schedule pattern":
    a rate starts when its rule is created)."""
    guard.minutes(7)
    world.start_over()
    guard.lambdas.start_over(world.now)
    guard.swept.clear()
    guard.minutes(11)
    assert [moment[11:16] for moment in guard.swept] == ["09:12", "09:17"]


def test_an_asynchronous_invocation_that_fails_is_made_again_twice(world: World, guard: Guard) -> None:
    """After one minute, and two more (Lambda guide, "How Lambda handles errors and retries with asynchronous
    invocation")."""
    guard.fails = True
    guard.minutes(70)
    assert guard.reported == ["10:00", "10:01", "10:03"]


def test_what_the_function_says_of_its_retries_holds(world: World, guard: Guard) -> None:
    """`sweep` has EventInvokeConfig with no retry (Lambda API, PutFunctionEventInvokeConfig)."""
    guard.fails = True
    guard.minutes(14)
    assert [moment[11:16] for moment in guard.swept] == ["09:05", "09:10"]


def test_an_invocation_asked_for_is_run_with_its_event(world: World, guard: Guard) -> None:
    """A function that nothing triggers is invoked by name (Lambda guide, "Invoking a Lambda function asynchronously")."""
    world.invoke("expire", {"lease": "l-1"})
    guard.work()
    assert guard.expired == [({"lease": "l-1"}, "expire")]


def test_a_function_that_dies_has_failed(world: World, guard: Guard) -> None:
    """Its messages come again (Lambda guide, "Handling errors for an SQS event source in Lambda")."""
    world.fault(service="lambda", operation="on_ec2_event", dies_at=1, times=1)
    ec2 = world.session().client("ec2")
    with watched_process():
        guard.answer = lambda _: ec2.describe_instances() and None
        world.start_box("g5.xlarge")
        guard.work()
        world.advance(VISIBILITY)
        guard.work()
    counts = [r["attributes"]["ApproximateReceiveCount"] for batch in guard.batches for r in batch]
    assert "2" in counts
    assert world.faults.as_dicts()[0]["hits"] == 1


def test_a_scheduled_invocation_may_not_happen(world: World, guard: Guard) -> None:
    """EventBridge is late or broken: nothing runs, and nothing makes up for it (localaws's own fault)."""
    world.fault(service="lambda", operation="sweep", code="skipped", times=2)
    guard.minutes(15)
    assert [moment[11:16] for moment in guard.swept] == ["09:15"]


def test_the_world_knows_which_functions_there_are(world: World, guard: Guard) -> None:
    """Those of the application's own declarations (chalice, `handler_map`)."""
    assert world.functions is not None
    assert {"sweep", "report", "on_ec2_event", "expire"} <= world.functions
