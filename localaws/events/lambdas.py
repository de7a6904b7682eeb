"""The application's Lambda functions, run from its own declarations.

app.py says what is scheduled and what listens to which queue (`app.event_sources`); this calls the same handlers
with the events that AWS would send.
"""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from chalice.app import Chalice, CloudWatchEventConfig, ScheduledEventConfig, SQSEventConfig
from chalice.local import Clock, LambdaContext

from localaws.errors import LocalAwsError
from localaws.events.bus import ACCOUNT, Event
from localaws.events.containers import Containers
from localaws.events.delivery import EventQueue, Message
from localaws.events.invocations import Invocation
from localaws.events.patterns import matches
from localaws.events.schedules import IsDue, is_due, period
from localaws.mortality import LambdaDied
from localaws.template import Template

if TYPE_CHECKING:
    from localaws.world import World

EC2_EVENTS_FUNCTION = "on_ec2_event"
TIMEOUT_SECONDS = 60


class RealClock(Clock):
    """Time left counts in real seconds: the virtual clock jumps while a function runs."""

    def time(self) -> float:
        return time.monotonic()


class FunctionFailed(Exception):
    """A function raised, or died; what that means depends on who has invoked it."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    name: str
    expression: str
    due: IsDue


def load_app(app_dir: Path) -> Chalice:
    """`app` of app.py in this folder."""
    if not (app_dir / "app.py").exists():
        raise LocalAwsError(f"there is no app.py in {app_dir}: start localaws in the repository")
    sys.path.insert(0, str(app_dir))
    app = importlib.import_module("app").app
    if not isinstance(app, Chalice):
        raise LocalAwsError(f"`app` in {app_dir / 'app.py'} is no Chalice application")
    return app


class Lambdas:
    """Invokes functions; one that fails prints its traceback and stops nothing."""

    def __init__(self, world: World, app: Chalice, template: Template) -> None:
        self._world = world
        self._app = app
        self._template = template
        self._containers = Containers(world)
        self._queue_source = next(
            (
                source
                for source in app.event_sources
                if isinstance(source, SQSEventConfig) and source.name == EC2_EVENTS_FUNCTION
            ),
            None,
        )
        world.functions = frozenset(app.handler_map)
        self.start_over(world.now)

    def start_over(self, began: datetime) -> None:
        """As just deployed: rates count from now on, and the queue is empty."""
        self._queue = EventQueue(self._world, self._template.queue_of(EC2_EVENTS_FUNCTION))
        self.schedules = [
            Scheduled(source.name, _expression(source), is_due(_expression(source), began))
            for source in self._app.event_sources
            if isinstance(source, ScheduledEventConfig)
        ]

    def run_due(self, now: datetime) -> None:
        """Invoke every schedule that fires in this minute."""
        for schedule in self.schedules:
            if schedule.due(now) and not self._containers.skips(schedule.name):
                self._run(Invocation(schedule.name, self._schedule_event(schedule.name, now), now))

    def run_every_minute_ones(self, now: datetime) -> None:
        """Invoke what runs each minute once, outside its turn."""
        for schedule in self.schedules:
            if period(schedule.expression) == timedelta(minutes=1):
                self._run(Invocation(schedule.name, self._schedule_event(schedule.name, now), now))

    def work_off(self) -> bool:
        """Do the next of what waits: a batch of messages, or an invocation. False: nothing waits."""
        while (event := self._world.take_event()) is not None:
            self._route(event)
        with self._world.lock:
            messages = self._queue.receive(self._queue_source.batch_size) if self._queue_source else []
        if messages:
            self._deliver(messages)
            return True
        invocation = self._world.take_invocation()
        if invocation is not None:
            self._run(invocation)
        return invocation is not None

    def _route(self, event: Event) -> None:
        """To the functions that the home region's rules lead to."""
        for source in self._app.event_sources:
            if isinstance(source, CloudWatchEventConfig) and matches(source.event_pattern, event):
                self._world.invoke(source.name, event)
        if self._queue_source is not None and self._template.wants(event):
            with self._world.lock:
                self._queue.send(event)

    def _deliver(self, messages: list[Message]) -> None:
        event = self._queue.as_lambda_event(messages, self._world.home_region)
        try:
            answer = self._call(EC2_EVENTS_FUNCTION, event)
            failed = self._queue.failed_of(messages, answer)
        except FunctionFailed:
            failed = messages
        with self._world.lock:
            self._queue.give_back(failed)

    def _run(self, invocation: Invocation) -> None:
        """Run it; what failed is run again after one minute, then after two, as far as its rule goes.

        Source: Lambda guide, "How Lambda handles errors and retries with asynchronous invocation".
        """
        try:
            self._call(invocation.function, invocation.event)
        except FunctionFailed:
            rule = self._template.retry_rule(invocation.function)
            again = self._world.now + timedelta(minutes=invocation.attempt)
            if invocation.attempt <= rule.retries and again - invocation.accepted_at <= rule.max_age:
                self._world.invoke_later(again, replace(invocation, attempt=invocation.attempt + 1))

    def _call(self, name: str, event: Any) -> Any:
        context = context_for(name)
        try:
            return self._containers.run(name, lambda: self._app.handler_map[name](event, context))
        except LambdaDied:
            raise FunctionFailed from None
        except (
            Exception
        ) as problem:  # as Lambda: whatever a function raises is its failure, never the service's
            print(f"localaws: the function {name} failed", file=sys.stderr)
            traceback.print_exc()
            sys.stderr.flush()
            raise FunctionFailed from problem

    def _schedule_event(self, name: str, now: datetime) -> dict[str, Any]:
        region = self._world.home_region
        return {
            "version": "0",
            "id": str(uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT,
            "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": region,
            "resources": [f"arn:aws:events:{region}:{ACCOUNT}:rule/{name}"],
            "detail": {},
        }


def context_for(name: str) -> LambdaContext:
    """A Lambda context whose remaining time is real."""
    context = LambdaContext(name, 512, TIMEOUT_SECONDS * 1000, time_source=RealClock())
    context.invoked_function_arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
    return context


def _expression(source: ScheduledEventConfig) -> str:
    expression = source.schedule_expression
    return expression if isinstance(expression, str) else str(expression.to_string())
