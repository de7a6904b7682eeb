"""Take up launches that a crash or a lost answer left half done: keep what they started, or give the hold back."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain import notices
from chalicelib.domain.errors import NoCapacity, Refused, Stale, Unavailable
from chalicelib.domain.launch_refusals import nothing_started
from chalicelib.domain.lease import Lease, RequestType, Status
from chalicelib.domain.tracking import track
from chalicelib.ports import LaunchAnswer, Services
from chalicelib.usecases.gather import Facts

PATIENCE = timedelta(seconds=30)
"""A sweep that is as old as this leaves the rest to the next one: a write may be tried for 20 s."""
LAUNCH_MAY_TAKE = timedelta(seconds=60)
"""An HTTP call lives 30 s at most: a lease that is `requested` for longer has lost its launcher."""
SURELY_VISIBLE_AFTER = timedelta(minutes=5)
"""By then what a lost call started shows up in DescribeInstances, which is eventually consistent."""


def recover_launches(services: Services, facts: Facts) -> Facts:
    """The facts with every abandoned launch resolved, where that can be known by now; one that the table would not
    take is lacking, and keeps no other waiting for long."""
    if facts.only is not None:
        return facts
    resolved: dict[str, Lease | None] = {}
    lacking: list[str] = []
    for lease in facts.leases:
        has_time = services.clock.now() - facts.now < PATIENCE and services.patience(1) > 0
        if _is_abandoned(lease, facts) and has_time:
            try:
                resolved[lease.id] = _recover(services, facts, lease)
            except Unavailable as error:
                lacking.append(f"Recovery {lease.id}: {error.detail}")
    leases = [resolved.get(lease.id, lease) for lease in facts.leases]
    return replace(
        facts,
        leases=tuple(lease for lease in leases if lease),
        stored={**facts.stored, **{lease.id: lease for lease in resolved.values() if lease}},
        lacking=(*facts.lacking, *lacking),
    )


def is_unanswered(lease: Lease) -> bool:
    """Whether an attempt is recorded whose answer is not: it may have started something."""
    return any(attempt.outcome is None for attempt in lease.attempts)


def with_what_started(services: Services, lease: Lease, now: datetime) -> Lease:
    """The lease with what its unanswered attempts turn out to have started.

    They stay unanswered while that can't be known: a lease must not be closed over a box that is yet to show up.
    """
    if not is_unanswered(lease):
        return lease
    try:
        found = _find(services, lease)
    except Unavailable:
        return lease
    if found.outcome == "launched":
        return launched(lease, found)
    return _answered(lease, "lost") if now - _last_try(lease) >= SURELY_VISIBLE_AFTER else lease


def _find(services: Services, lease: Lease) -> LaunchAnswer:
    tokens = [attempt.token for attempt in lease.attempts]
    maintains = lease.request_type is RequestType.MAINTAIN
    return services.compute.find_launched(lease.region, lease_id=lease.id, tokens=tokens, maintains=maintains)


def _last_try(lease: Lease) -> datetime:
    return max([lease.requested_at, *(attempt.started_at for attempt in lease.attempts)])


def _is_abandoned(lease: Lease, facts: Facts) -> bool:
    return lease.status is Status.REQUESTED and facts.now - _last_try(lease) >= LAUNCH_MAY_TAKE


def _recover(services: Services, facts: Facts, lease: Lease) -> Lease | None:
    """The lease as it goes on; None once it is closed because nothing was started."""
    if lease.region not in facts.sight.seen_regions:
        return lease
    try:
        found = _find(services, lease)
    except Unavailable:
        return lease
    if found.outcome == "launched":
        return _keep(services, facts, lease, found)
    if is_unanswered(lease) and facts.now - _last_try(lease) < SURELY_VISIBLE_AFTER:
        return lease
    return give_up(services, lease, _why_nothing_runs(lease), facts)


def _why_nothing_runs(lease: Lease) -> Refused:
    """EC2's own reasons where it refused every attempt; else the answer was lost, or the call never made."""
    if lease.order and lease.attempts and all(one.outcome == "refused" for one in lease.attempts):
        return nothing_started(lease.order, lease.attempts)
    return Refused(
        "its launch was cut off: nothing of it has shown up, and nothing is held. What shows up within an hour all the "
        "same is ended at once. Ask again with a new Idempotency-Key",
        slug="launch-lost",
    )


def raise_failure(lease: Lease) -> None:
    """Raise the refusal that a launch which started nothing was closed with; other leases have none."""
    if lease.failure is None:
        return
    members = {key: value for key, value in lease.failure.items() if key not in {"slug", "detail"}}
    kind = NoCapacity if lease.failure["slug"] == NoCapacity.slug else Refused
    raise kind(str(lease.failure["detail"]), slug=str(lease.failure["slug"]), **members)


def _keep(services: Services, facts: Facts, lease: Lease, found: LaunchAnswer) -> Lease:
    kept = track(launched(lease, found), facts.sight, facts.now)
    try:
        return services.store.save_lease(kept, notices=[notices.launched(kept, facts.now)])
    except Stale:
        return lease


def launched(lease: Lease, answer: LaunchAnswer) -> Lease:
    """The lease as owner of what its attempts started: active, unless it is ending already."""
    return replace(
        _answered(lease, "launched"),
        status=Status.ACTIVE if lease.status is Status.REQUESTED else lease.status,
        launched_at=lease.launched_at or lease.requested_at,
        instance_ids=_joined(lease.instance_ids, answer.instance_ids),
        spot_request_ids=_joined(lease.spot_request_ids, answer.spot_request_ids),
        fleet_id=answer.fleet_id or lease.fleet_id,
    )


def give_up(services: Services, lease: Lease, refusal: Refused, facts: Facts | None = None) -> Lease | None:
    """Close a lease whose launch started nothing: the whole hold goes back. None; the lease where that was too late."""
    if lease.status is not Status.REQUESTED:
        return lease
    now = facts.now if facts else services.clock.now()
    failure = {"slug": refusal.slug, "detail": refusal.detail, **refusal.extra}
    closed = replace(
        lease, status=Status.CLOSED, closed_at=now, final_usd=lease.hold.total_usd * 0, failure=failure
    )
    with suppress(Unavailable):  # before the close: nobody comes back to a closed lease
        services.compute.delete_launch_template(lease.region, lease.id)
    try:
        services.store.close_lease(closed, receipt=None)
    except Stale:
        return lease
    return None


def _answered(lease: Lease, outcome: str) -> Lease:
    """The lease with every unanswered attempt settled."""
    attempts = [one if one.outcome else one.settled(outcome) for one in lease.attempts]
    return replace(lease, attempts=tuple(attempts))


def _joined(known: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*known, *new]))
