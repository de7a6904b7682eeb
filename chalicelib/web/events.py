"""EC2's events, as the queue brings them. An event only says which instance to look at: it may come late, twice and out
of order. Its own time is believed for one thing, which the meter needs and no Describe call tells: when the instance
entered a state."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from chalicelib.domain.instance import StateChange
from chalicelib.web import logs

_INSTANCE = re.compile(r"i-[0-9a-f]{1,32}")

Subject = tuple[str, str]
"""Region and instance id."""


class EventsFailed(Exception):
    """Some events could not be worked off: raised so that the queue brings them again."""


def work_off(bodies: Iterable[str], look_at: Callable[[Subject, Sequence[StateChange]], object]) -> int:
    """Look once at each instance that the messages name, with what they tell of it; how many. One failure hides no
    other: all are tried first, then EventsFailed is raised."""
    subjects: dict[Subject, list[StateChange]] = {}
    for body in bodies:
        subject = subject_of(body)
        if subject is not None:
            subjects.setdefault(subject, []).extend(changes_of(body))
    failed = []
    for subject, news in subjects.items():
        try:
            look_at(subject, news)
        except Exception as error:  # noqa: BLE001 (logged, and raised for all below)
            logs.failure("event failed", error, region=subject[0], instance_id=subject[1])
            failed.append("/".join(subject))
    if failed:
        raise EventsFailed(f"{len(failed)} of {len(subjects)} events failed: {', '.join(failed)}")
    return len(subjects)


def changes_of(body: str) -> tuple[StateChange, ...]:
    """The change of state that a message of an instance tells, if it is such a one and has its time."""
    event: Any = json.loads(body)
    state, at = event["detail"].get("state"), event.get("time")
    if not isinstance(state, str) or not isinstance(at, str):
        return ()
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return ()
    if moment.tzinfo is None:
        return ()
    return (StateChange(instance_id=event["detail"]["instance-id"], state=state, at=moment),)


def subject_of(body: str) -> Subject | None:
    """The instance that a message is about; None, with a log line, for anything else.

    Read from the detail: an interruption warning's ARN has a zone in place of region and account.
    """
    try:
        event: Any = json.loads(body)
        region, instance_id = event["region"], event["detail"]["instance-id"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        logs.line("event skipped", reason=f"{type(error).__name__} in its shape")
        return None
    if (
        not isinstance(region, str)
        or not isinstance(instance_id, str)
        or not _INSTANCE.fullmatch(instance_id)
    ):
        logs.line("event skipped", reason="it names no instance")
        return None
    return region, instance_id
