"""EC2's events, as the queue brings them. An event only says which instance to look at; its own time and state are
never believed, because events come late, twice and out of order."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from chalicelib.web import logs

_INSTANCE = re.compile(r"i-[0-9a-f]{1,32}")

Subject = tuple[str, str]
"""Region and instance id."""


class EventsFailed(Exception):
    """Some events could not be worked off: raised so that the queue brings them again."""


def work_off(bodies: Iterable[str], look_at: Callable[[Subject], object]) -> int:
    """Look once at each instance that the messages name; how many. One failure hides no other: all are tried first,
    then EventsFailed is raised."""
    subjects = list(dict.fromkeys(subject for body in bodies if (subject := subject_of(body)) is not None))
    failed = []
    for subject in subjects:
        try:
            look_at(subject)
        except Exception as error:  # noqa: BLE001 (logged, and raised for all below)
            logs.failure("event failed", error, region=subject[0], instance_id=subject[1])
            failed.append("/".join(subject))
    if failed:
        raise EventsFailed(f"{len(failed)} of {len(subjects)} events failed: {', '.join(failed)}")
    return len(subjects)


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
