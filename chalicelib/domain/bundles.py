"""Similar messages as one: people who are told of ten launches at once read one message, not ten."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.notices import Kind, Notice

TOGETHER = timedelta(minutes=1)
MOST = 10
"""In one message: Slack takes 50 blocks, and nobody reads more."""
ALONE = frozenset({Kind.DIGEST})
NAMES = {
    Kind.LAUNCHED: "launches",
    Kind.ADOPTED: "boxes adopted",
    Kind.WARNED: "warnings",
    Kind.TAKEN_BACK: "warnings taken back",
    Kind.KEPT: "boxes kept",
    Kind.ENDED: "ends",
    Kind.REPORTED: "reports",
    Kind.STUCK: "boxes that could not be ended and go on billing",
    Kind.INCOMPLETE: "looks that are incomplete",
    Kind.BUDGET: "budget thresholds passed",
    Kind.OPEN_TO_WORLD: "ports opened to the world",
    Kind.CAME_BACK: "ALARMS: boxes came back after their end",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A channel that fails: since when, why, whether nobody but people can mend it, and until when it asks to be left
    alone."""

    since: datetime
    why: str
    is_for_good: bool = False
    quiet_until: datetime | None = None


def bundles(waiting: Iterable[Notice]) -> list[tuple[Notice, ...]]:
    """The notices by kind, those within a minute together, in the order of what happened first. What happened to one
    lease stays in its order: a warning is never told after it was taken back."""
    groups: list[tuple[Notice, ...]] = []
    for notice in waiting:
        number = _place(groups, notice)
        if number is None:
            groups.append((notice,))
        else:
            groups[number] = (*groups[number], notice)
    return groups


def _place(groups: Sequence[tuple[Notice, ...]], notice: Notice) -> int | None:
    """The group that it joins; None where none is like it, or its lease was told of in a later one."""
    for number in reversed(range(len(groups))):
        group = groups[number]
        if len(group) < MOST and _belong_together(group[0], notice):
            return number
        if notice.lease_id and any(one.lease_id == notice.lease_id for one in group):
            return None
    return None


def _belong_together(first: Notice, other: Notice) -> bool:
    return first.kind is other.kind and first.kind not in ALONE and other.at - first.at < TOGETHER


def as_one(notices: tuple[Notice, ...]) -> Notice:
    """One message of all of them; a single one as it is."""
    first = notices[0]
    if len(notices) == 1:
        return first
    name = NAMES.get(first.kind, f"messages: {first.kind}")
    return Notice(id=first.id, kind=first.kind, at=first.at, title=f"{len(notices)} {name}", parts=notices)


def instead(notice: Notice, trouble: Trouble | None) -> Notice:
    """The same for whoever is told because the first channel fails."""
    if trouble is None:
        return notice
    why = f"You are told here because Slack fails since {trouble.since:%Y-%m-%d %H:%M} UTC: {trouble.why}."
    return replace(notice, lines=(why, *notice.lines))
