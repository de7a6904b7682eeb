"""Eventual consistency: for some seconds EC2's answers do not show yet what has happened.

Sources: EC2 developer guide, "Eventual consistency in the Amazon EC2 API" (a new id may be unknown to DescribeInstances
and TerminateInstances alike); boto3 issue 4386 (an instance described in the state before the one its event told of).
Only EC2's answers are late: events come at once, and the truth shows everything.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from localaws.model import Box, Moment, SpotRequest

AT_ONCE = timedelta(0)
AT_ONCE_FOR_EACH_LATER = 1 / 3
"""One thing in four shows at once, and the other three evenly over the lag."""


@dataclass(frozen=True, slots=True)
class TagChange:
    """A tag that was set or taken away; `before` is None where there was none."""

    at: datetime
    key: str
    before: str | None


class Consistency:
    """What EC2 shows by now. Everything has its own share of `lag`, which the seed and its name alone decide."""

    def __init__(self, seed: int, now: Callable[[], datetime], lag: timedelta = AT_ONCE) -> None:
        self.lag = lag
        self._seed = seed
        self._now = now
        self._tag_changes: dict[str, list[TagChange]] = {}

    def shows_box(self, box: Box) -> bool:
        """Whether its id is known already."""
        return not self._is_late(box.launched_at, box.id)

    def shows_request(self, request: SpotRequest) -> bool:
        """Whether its id is known already."""
        return not self._is_late(request.created_at, request.id)

    def seen(self, box: Box) -> Moment:
        """The newest state of a box that shows already."""
        last = len(box.moments) - 1
        for number in range(last, 0, -1):
            if not self._is_late(box.moments[number].at, f"{box.id}/{number}"):
                return box.moments[number]
        return box.moments[0]

    def note_tags(self, resource_id: str, tags: Mapping[str, str], keys: Collection[str]) -> None:
        """These keys are about to change; `tags` are those before the change."""
        if not self.lag:
            return
        now = self._now()
        changes = [change for change in self._tag_changes.get(resource_id, ()) if change.at + self.lag > now]
        changes += [TagChange(now, key, tags.get(key)) for key in keys]
        self._tag_changes[resource_id] = changes

    def tags(self, resource_id: str, tags: Mapping[str, str]) -> Mapping[str, str]:
        """Its tags as they show, from those it has."""
        if not self.lag or resource_id not in self._tag_changes:
            return tags
        shown = dict(tags)
        for change in reversed(self._tag_changes[resource_id]):
            if not self._is_late(change.at, f"{resource_id}/{change.key}"):
                continue
            if change.before is None:
                shown.pop(change.key, None)
            else:
                shown[change.key] = change.before
        return shown

    def _is_late(self, since: datetime, name: str) -> bool:
        if not self.lag:
            return False
        share = random.Random(f"{self._seed}/lag/{name}").uniform(-AT_ONCE_FOR_EACH_LATER, 1)
        return self._now() < since + share * self.lag
