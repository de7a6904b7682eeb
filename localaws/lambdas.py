"""The application's Lambda functions, run from its own declarations.

app.py says what is scheduled and what listens to which queue (`app.event_sources`); this calls the same handlers
with the events that AWS would send.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from chalice.app import Chalice, CloudWatchEventConfig, ScheduledEventConfig, SQSEventConfig
from chalice.local import Clock, LambdaContext

from localaws.errors import LocalAwsError
from localaws.events import ACCOUNT, Event
from localaws.patterns import matches
from localaws.schedules import IsDue, is_due, period
from localaws.template import Template

EC2_EVENTS_FUNCTION = "on_ec2_event"
TIMEOUT_SECONDS = 60


class RealClock(Clock):
    """Time left counts in real seconds: the virtual clock jumps while a function runs."""

    def time(self) -> float:
        return time.monotonic()


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

    def __init__(self, app: Chalice, template: Template, region: str, began: datetime) -> None:
        self._app = app
        self._template = template
        self._region = region
        self.schedules = [
            Scheduled(source.name, _expression(source), is_due(_expression(source), began))
            for source in app.event_sources
            if isinstance(source, ScheduledEventConfig)
        ]

    def run_due(self, now: datetime) -> None:
        """Invoke every schedule that fires in this minute."""
        for schedule in self.schedules:
            if schedule.due(now):
                self._invoke(schedule.name, self._schedule_event(schedule.name, now))

    def run_every_minute_ones(self, now: datetime) -> None:
        """Invoke what runs each minute once, outside its turn."""
        for schedule in self.schedules:
            if period(schedule.expression) == timedelta(minutes=1):
                self._invoke(schedule.name, self._schedule_event(schedule.name, now))

    def deliver(self, event: Event) -> None:
        """Hand an EC2 event to the functions that its rules lead to."""
        for source in self._app.event_sources:
            if isinstance(source, CloudWatchEventConfig) and matches(source.event_pattern, event):
                self._invoke(source.name, event)
            elif (
                isinstance(source, SQSEventConfig)
                and source.name == EC2_EVENTS_FUNCTION
                and self._template.wants(event)
            ):
                self._invoke(source.name, self._queue_event(event))

    def _invoke(self, name: str, event: dict[str, Any]) -> None:
        context = context_for(name)
        try:
            self._app.handler_map[name](event, context)
        except Exception:  # noqa: BLE001 a function's failure is its own, as on Lambda
            print(f"localaws: the function {name} failed", file=sys.stderr)
            traceback.print_exc()
            sys.stderr.flush()

    def _schedule_event(self, name: str, now: datetime) -> dict[str, Any]:
        return {
            "version": "0",
            "id": str(uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT,
            "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._region,
            "resources": [f"arn:aws:events:{self._region}:{ACCOUNT}:rule/{name}"],
            "detail": {},
        }

    def _queue_event(self, event: Event) -> dict[str, Any]:
        return {
            "Records": [
                {
                    "messageId": event["id"],
                    "receiptHandle": event["id"],
                    "body": json.dumps(event),
                    "attributes": {"ApproximateReceiveCount": "1", "SenderId": "events.amazonaws.com"},
                    "messageAttributes": {},
                    "eventSource": "aws:sqs",
                    "eventSourceARN": f"arn:aws:sqs:{self._region}:{ACCOUNT}:{EC2_EVENTS_FUNCTION}",
                    "awsRegion": self._region,
                }
            ]
        }


def context_for(name: str) -> LambdaContext:
    """A Lambda context whose remaining time is real."""
    context = LambdaContext(name, 512, TIMEOUT_SECONDS * 1000, time_source=RealClock())
    context.invoked_function_arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
    return context


def _expression(source: ScheduledEventConfig) -> str:
    expression = source.schedule_expression
    return expression if isinstance(expression, str) else str(expression.to_string())
