"""The schedules of EventBridge Scheduler: kept by region, group and name, and fired on the world's clock.

Sources: botocore's service model of scheduler; EventBridge Scheduler guide, "Deleting a schedule" (after its last
invocation).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from localaws.errors import AwsError
from localaws.events.bus import ACCOUNT
from localaws.events.firing import Delivery, Firing
from localaws.events.plans import Plan

if TYPE_CHECKING:
    from localaws.world import World

DEFAULT_GROUP = "default"
RETRY_DEFAULTS = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
Key = tuple[str, str, str]


@dataclass(slots=True, eq=False)
class Schedule:
    """One schedule, from its creation to the end of time."""

    region: str
    group: str
    name: str
    plan: Plan
    created_at: datetime
    modified_at: datetime
    token: tuple[str, dict[str, Any]]
    """The ClientToken it was made with, and what came with it."""
    due_at: datetime | None = None
    fired_at: datetime | None = None
    attempts: int = 0
    code: str | None = None
    """How its last call ended; None: well, or not at all yet."""
    deleted_at: datetime | None = None
    version: int = 0
    """Counts changes, so that what was planned before one does nothing."""

    @property
    def arn(self) -> str:
        return f"arn:aws:scheduler:{self.region}:{ACCOUNT}:schedule/{self.group}/{self.name}"


@dataclass(slots=True)
class Group:
    """A schedule group."""

    region: str
    name: str
    created_at: datetime
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:scheduler:{self.region}:{ACCOUNT}:schedule-group/{self.name}"


class Timers:
    """Every schedule there is, in every region, and for the truth those that were."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = random.Random(f"{world.seed}/timers")
        self._firing = Firing(world)
        self._schedules: dict[Key, Schedule] = {}
        self._all: list[Schedule] = []
        self._groups: dict[tuple[str, str], Group] = {}

    # Schedules

    def find(self, region: str, group: str, name: str) -> Schedule:
        self.group(region, group)
        try:
            return self._schedules[region, group, name]
        except KeyError:
            raise _not_found(f"Schedule {name}") from None

    def known(self, region: str, group: str, name: str) -> Schedule | None:
        return self._schedules.get((region, group, name))

    def of(self, region: str) -> list[Schedule]:
        """A region's schedules by name."""
        return [self._schedules[key] for key in sorted(self._schedules) if key[0] == region]

    def add(
        self, region: str, group: str, name: str, plan: Plan, token: tuple[str, dict[str, Any]]
    ) -> Schedule:
        now = self._world.now
        schedule = Schedule(region, group, name, plan, now, now, token)
        self._schedules[region, group, name] = schedule
        self._all.append(schedule)
        self._arm_first(schedule)
        return schedule

    def change(self, schedule: Schedule, plan: Plan) -> None:
        """From now on it does this instead; nothing that was planned before happens."""
        schedule.plan, schedule.modified_at = plan, self._world.now
        schedule.version += 1
        self._arm_first(schedule)

    def delete(self, schedule: Schedule) -> None:
        schedule.version += 1
        schedule.due_at = None
        schedule.deleted_at = self._world.now
        del self._schedules[schedule.region, schedule.group, schedule.name]

    # Groups

    def group(self, region: str, name: str) -> Group:
        """A group; the default one is there from the start."""
        if name == DEFAULT_GROUP:
            return self._groups.setdefault((region, name), Group(region, name, self._world.now))
        try:
            return self._groups[region, name]
        except KeyError:
            raise _not_found(f"Schedule group {name}") from None

    def groups(self, region: str) -> list[Group]:
        self.group(region, DEFAULT_GROUP)
        return [self._groups[key] for key in sorted(self._groups) if key[0] == region]

    def add_group(self, region: str, name: str, tags: dict[str, str]) -> Group:
        if (region, name) in self._groups or name == DEFAULT_GROUP:
            raise AwsError("ConflictException", f"Schedule group {name} already exists.", status=409)
        group = self._groups[region, name] = Group(region, name, self._world.now, tags)
        return group

    def delete_group(self, group: Group) -> None:
        """With everything in it."""
        for schedule in [one for one in self.of(group.region) if one.group == group.name]:
            self.delete(schedule)
        del self._groups[group.region, group.name]

    # Time

    def _arm(self, schedule: Schedule, due: datetime | None) -> None:
        """Let it fire when it is due, and late within its window."""
        schedule.due_at = due
        if due is not None:
            version = schedule.version
            late = timedelta(seconds=self._rng.randrange(int(schedule.plan.window.total_seconds())))
            self._world.at(due + late, lambda: self._fire(schedule, version, due))

    def _arm_first(self, schedule: Schedule) -> None:
        plan = schedule.plan
        self._arm(schedule, plan.first(self._world.now) if plan.enabled else None)

    def _fire(self, schedule: Schedule, version: int, due: datetime) -> None:
        if schedule.version != version:
            return
        schedule.fired_at = self._world.now
        self._arm(schedule, schedule.plan.next(due))
        delivery = Delivery(
            schedule_arn=schedule.arn,
            by=schedule.name,
            region=schedule.region,
            target=schedule.plan.target,
            params=schedule.plan.params["Target"],
            due=due,
            began=self._world.now,
        )
        self._firing.start(
            delivery, lambda: self._note(schedule, delivery), lambda: self._done(schedule, version)
        )

    def _note(self, schedule: Schedule, delivery: Delivery) -> None:
        schedule.attempts += 1
        schedule.code = delivery.failure.code if delivery.failure else None

    def _done(self, schedule: Schedule, version: int) -> None:
        """It was the last one of a schedule that is to go with it."""
        if schedule.plan.goes_when_done and schedule.due_at is None and schedule.version == version:
            self.delete(schedule)

    # The truth

    def rows(self) -> Iterator[dict[str, Any]]:
        for schedule in self._all:
            params = schedule.plan.params
            yield {
                "name": schedule.name,
                "group": schedule.group,
                "region": schedule.region,
                "expression": params["ScheduleExpression"],
                "time_zone": params["ScheduleExpressionTimezone"],
                "target": params["Target"]["Arn"],
                "input": params["Target"].get("Input"),
                "state": "DELETED" if schedule.deleted_at else params["State"],
                "created_at": schedule.created_at,
                "due_at": schedule.due_at,
                "fired_at": schedule.fired_at,
                "attempts": schedule.attempts,
                "code": schedule.code,
                "deleted_at": schedule.deleted_at,
            }


def _not_found(what: str) -> AwsError:
    return AwsError("ResourceNotFoundException", f"{what} does not exist.", status=404)
