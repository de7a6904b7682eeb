"""From what one look saw to what each lease now owns, and over which intervals it really ran.

An instance belongs to a lease by its id, by its spot request (a relaunched one can carry no tags at all) or by the
lease's own fleet. It is gone when EC2 says so, or when it has been missing for `MISSING_FOR` in a region that answered:
DescribeInstances is eventually consistent, so one empty answer proves nothing.

A run begins with LaunchTime, which is the last start and some seconds before the box is `running` and bills; where an
event tells when that was, it begins then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.instance import AT_REST, GONE, Instance, Sight, SpotRequest, StateChange
from chalicelib.domain.lease import Lease, RequestType, Run, Status
from chalicelib.domain.tags import LEASE_TAG

MISSING_FOR = timedelta(minutes=5)
SAME_START = timedelta(seconds=1)
"""LaunchTime has whole seconds: a start that is no later than this after a run's is the same one."""
GUESS = "/"
"""Stands in the names of boxes that a fleet is taken to run: no instance id has it."""
DISKS_GO_WITHIN = timedelta(minutes=2)
"""EC2 deletes a box's disks when it has terminated, some seconds after it stopped running."""
LONGEST_START = timedelta(minutes=5)
"""A later time that an event tells of `running` is not believed."""
TAGS_SHOW_WITHIN = timedelta(minutes=2)
ADDRESS_SHOWS_WITHIN = timedelta(minutes=5)
"""An address that shows up so soon after a start was there from the start on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What a lease owns, as seen now. `live`: not gone; `gone`: seen terminated; `missing`: not in the answer;
    `vanished`: missing for too long to be late."""

    live: tuple[Instance, ...]
    spot_requests: tuple[SpotRequest, ...]
    gone: tuple[str, ...]
    missing: tuple[str, ...]
    vanished: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Nothing runs, and nothing that is merely late to show up."""
        return not self.live and set(self.missing) <= set(self.vanished)


def owned_by(lease: Lease, instance: Instance) -> bool:
    """Whether an instance belongs to a lease."""
    return instance.region == lease.region and (
        instance.id in lease.instance_ids
        or (instance.spot_request_id is not None and instance.spot_request_id in lease.spot_request_ids)
        or (instance.fleet_id is not None and instance.fleet_id == lease.fleet_id)
    )


def boxes_of(lease: Lease, sight: Sight) -> tuple[Instance, ...]:
    """The instances that belong to a lease, looked up by their ids: a sweep asks that of every lease some ten times."""
    ids = (*lease.instance_ids, *lease.spot_request_ids, lease.fleet_id or "")
    return tuple(instance for instance in sight.instances_by(ids) if owned_by(lease, instance))


def is_being_launched(lease: Lease, instance: Instance) -> bool:
    """Whether an instance looks like what a launch in flight has just started, before its answer is recorded.

    The tag is believed only while the lease is `requested`: copied later, it proves nothing. A spot box of an ordered
    type that shows no tags yet is given the same time: EC2 can show a box before its tags.
    """
    if lease.status is not Status.REQUESTED or lease.region != instance.region:
        return False
    tokens = {attempt.token for attempt in lease.attempts}
    if instance.client_token in tokens or instance.tags.get(LEASE_TAG) == lease.id:
        return True
    is_new = instance.launched_at is not None and instance.launched_at >= lease.requested_at
    return is_new and _is_ordered_and_bare(lease, instance)


def is_awaited(lease: Lease, instance: Instance, now: datetime) -> bool:
    """Whether an instance that no lease owns may be a lease's all the same: of a launch in flight, or what its fleet
    has started a moment ago and EC2 shows without tags, by which it is known."""
    if is_being_launched(lease, instance):
        return True
    has_fleet = lease.request_type is RequestType.MAINTAIN and lease.fleet_id and lease.is_open
    if not has_fleet or lease.region != instance.region or instance.launched_at is None:
        return False
    return now - instance.launched_at < TAGS_SHOW_WITHIN and _is_ordered_and_bare(lease, instance)


def _is_ordered_and_bare(lease: Lease, instance: Instance) -> bool:
    is_ordered = lease.order is not None and instance.type in lease.order.instance_types
    return is_ordered and instance.is_spot and not instance.tags


def track(lease: Lease, sight: Sight, now: datetime, *, only: str | None = None) -> Lease:
    """The lease with new ids, runs opened and closed, and missing ids noted. `only`: the look was at one instance."""
    if lease.region in sight.seen_regions:
        lease = _without_guesses(lease)
    seen = boxes_of(lease, sight)
    for instance in seen:
        lease = _with_ids(lease, instance)
        lease = _with_runs(lease, instance, sight, now)
    if only is None and lease.region in sight.seen_regions:
        return _with_missing(lease, {instance.id for instance in seen}, now)
    return lease if only else _with_unseen(lease)


def holdings(lease: Lease, sight: Sight, now: datetime) -> Holdings:
    """What of a tracked lease is there now."""
    seen = boxes_of(lease, sight)
    vanished = tuple(
        instance_id for instance_id, since in lease.missing_since.items() if now - since >= MISSING_FOR
    )
    return Holdings(
        live=tuple(instance for instance in seen if not instance.is_gone),
        spot_requests=tuple(r for r in sight.spot_requests if r.id in lease.spot_request_ids),
        gone=tuple(instance.id for instance in seen if instance.state == "terminated"),
        missing=tuple(lease.missing_since),
        vanished=vanished,
    )


def _with_ids(lease: Lease, instance: Instance) -> Lease:
    if instance.id not in lease.instance_ids:
        lease = replace(lease, instance_ids=(*lease.instance_ids, instance.id))
    request_id = instance.spot_request_id
    if request_id and request_id not in lease.spot_request_ids:
        lease = replace(lease, spot_request_ids=(*lease.spot_request_ids, request_id))
    return lease


def _with_unseen(lease: Lease) -> Lease:
    """What was launched and has never been seen bills all the same: while its region does not answer it is taken to run
    since its launch, at the price its hold was made with, in no zone. The first look at it says better."""
    order = lease.order
    if order is None or lease.status is not Status.ACTIVE or lease.launched_at is None:
        return lease
    known = {run.instance_id for run in lease.runs}
    guessed: tuple[str, ...] = ()
    if lease.request_type is RequestType.MAINTAIN and not known:  # its answer names no box
        guessed = tuple(f"{lease.fleet_id}{GUESS}{number + 1}" for number in range(order.target_capacity))
    price = lease.hold.hourly_usd / order.target_capacity or order.max_price_usd_per_hour
    assumed = tuple(
        Run(
            instance_id=instance_id,
            instance_type=order.instance_types[0],
            zone=None,
            is_spot=True,
            started_at=lease.launched_at,
            max_price_usd=price,
        )
        for instance_id in guessed or lease.instance_ids
        if instance_id not in known
    )
    return replace(lease, runs=(*lease.runs, *assumed)) if assumed else lease


def _without_guesses(lease: Lease) -> Lease:
    """Without boxes that nobody has seen: the region answers, and shows what there is."""
    runs = tuple(run for run in lease.runs if GUESS not in run.instance_id)
    return lease if len(runs) == len(lease.runs) else replace(lease, runs=runs)


def _with_runs(lease: Lease, instance: Instance, sight: Sight, now: datetime) -> Lease:
    """Close the run of an instance that stopped or was restarted, open one for an instance that runs."""
    last = next((run for run in reversed(lease.runs) if run.instance_id == instance.id), None)
    if last is not None and last.zone is None and instance.zone is not None:  # it was assumed
        lease = replace(lease, runs=tuple(run for run in lease.runs if run is not last))
        last = None
    if not instance.is_running:
        return _with_end(lease, last, instance, sight, now)
    news = _news_of(instance, sight, now)
    if last is None:
        begun = _with_start(lease, instance, sight, instance.launched_at or now, now)
        return _since_it_ran(begun, instance, news)
    launched_at = instance.launched_at
    is_restart = launched_at is not None and launched_at > last.started_at + SAME_START
    if last.ended_at is None:
        if not is_restart:
            return _since_it_ran(_with_address(lease, last, instance, now), instance, news)
        lease = _replace_run(lease, last, replace(last, ended_at=launched_at))
        return _since_it_ran(_with_start(lease, instance, sight, launched_at or now, now), instance, news)
    if is_restart or launched_at is None:
        begun = _with_start(lease, instance, sight, max(launched_at or now, last.ended_at), now)
        return _since_it_ran(begun, instance, news)
    resumed = replace(last, ended_at=None, disk_ended_at=None, is_interrupted=False)
    return _replace_run(lease, last, resumed)


def _with_start(lease: Lease, instance: Instance, sight: Sight, started_at: datetime, now: datetime) -> Lease:
    run = Run(
        instance_id=instance.id,
        instance_type=instance.type,
        zone=instance.zone,
        is_spot=instance.is_spot,
        started_at=min(max(started_at, lease.requested_at), now),
        has_public_ip=instance.public_ip is not None,
        max_price_usd=_price_cap(lease, instance, sight.spot_requests),
    )
    return replace(lease, runs=(*lease.runs, run))


def _news_of(instance: Instance, sight: Sight, now: datetime) -> list[StateChange]:
    return [one for one in sight.news if one.instance_id == instance.id and one.at <= now]


def _since_it_ran(lease: Lease, instance: Instance, news: Iterable[StateChange]) -> Lease:
    """Begin the instance's last run when it was `running`, not when it was asked for."""
    last = next(run for run in reversed(lease.runs) if run.instance_id == instance.id)
    ran_since = _ran_since(instance, news)
    if ran_since is None or ran_since <= last.started_at:
        return lease
    return _replace_run(lease, last, replace(last, started_at=ran_since))


def _ran_since(instance: Instance, news: Iterable[StateChange]) -> datetime | None:
    """The first moment of this start at which an event says that it was running."""
    if instance.launched_at is None:
        return None
    latest = instance.launched_at + LONGEST_START
    told = [one.at for one in news if one.state == "running" and instance.launched_at <= one.at <= latest]
    return min(told, default=None)


def _with_end(lease: Lease, last: Run | None, instance: Instance, sight: Sight, now: datetime) -> Lease:
    """Close its run, also one that came and went between two looks; a box that has terminated has no disks either."""
    if lease.is_storage and last is None:
        return _without_disks(lease, instance.id, now) if instance.state == "terminated" else lease
    if last is None:
        known_end = instance.ended_at or (None if lease.is_adopted else now)
        if instance.launched_at is None or known_end is None or known_end <= lease.requested_at:
            return lease  # it was over before the lease began
        lease = _with_start(lease, instance, sight, instance.launched_at, now)
        last = lease.runs[-1]
    ended_at = last.ended_at or _ended_at(last, instance, _news_of(instance, sight, now), now)
    disk_ended_at = last.disk_ended_at
    if instance.state == "terminated" and disk_ended_at is None:
        disk_ended_at = min(now, max(instance.ended_at or now, ended_at) + DISKS_GO_WITHIN)
    over = replace(
        last,
        ended_at=ended_at,
        disk_ended_at=disk_ended_at,
        is_interrupted=instance.was_interrupted if last.ended_at is None else last.is_interrupted,
    )
    return lease if over == last else _replace_run(lease, last, over)


def _without_disks(lease: Lease, instance_id: str, at: datetime) -> Lease:
    """The lease of a box that was at rest until it went, and most of its disks with it."""
    volumes = tuple(
        replace(one, until=max(at, one.since))
        if one.instance_id == instance_id and one.until is None and not one.outlives_box
        else one
        for one in lease.volumes
    )
    return lease if volumes == lease.volumes else replace(lease, volumes=volumes)


def _ended_at(run: Run, instance: Instance, news: Iterable[StateChange], now: datetime) -> datetime:
    """When EC2 says that a run ended, else when an event told so, else now."""
    told = [one.at for one in news if one.state in GONE | AT_REST]
    known = [at for at in (instance.ended_at, *sorted(told)) if at and run.started_at <= at <= now]
    return known[0] if known else now


def _with_address(lease: Lease, run: Run, instance: Instance, now: datetime) -> Lease:
    """Whether it has a public address now. One shows up seconds after the start, and bills for the whole run."""
    if instance.public_ip is None:
        if instance.state != "running" or not run.has_public_ip or run.ip_lost_at is not None:
            return lease
        return _replace_run(lease, run, replace(run, ip_lost_at=now))
    if not run.has_public_ip:
        late = now - run.started_at if now - run.started_at > ADDRESS_SHOWS_WITHIN else timedelta(0)
        return _replace_run(lease, run, replace(run, has_public_ip=True, without_ip_for=late))
    if run.ip_lost_at is not None:
        without = run.without_ip_for + (now - run.ip_lost_at)
        return _replace_run(lease, run, replace(run, ip_lost_at=None, without_ip_for=without))
    return lease


def _price_cap(lease: Lease, instance: Instance, requests: Iterable[SpotRequest]) -> Decimal | None:
    """What the request says; where it is not shown, what a launch has sent."""
    cap = next((r.max_price for r in requests if r.id == instance.spot_request_id and r.max_price), None)
    if cap:
        return Decimal(cap)
    return lease.order.max_price_usd_per_hour if lease.order else None


def _replace_run(lease: Lease, old: Run, new: Run) -> Lease:
    return replace(lease, runs=tuple(new if run is old else run for run in lease.runs))


def _with_missing(lease: Lease, seen_ids: set[str], now: datetime) -> Lease:
    """Note since when an id is missing; forget it when it shows up; close the run of one missing for too long."""
    missing: Mapping[str, datetime] = {
        instance_id: lease.missing_since.get(instance_id, now)
        for instance_id in lease.instance_ids
        if instance_id not in seen_ids
    }
    vanished = {one: since for one, since in missing.items() if now - since >= MISSING_FOR}
    runs = tuple(
        _over(lease, run, vanished[run.instance_id]) if run.instance_id in vanished else run
        for run in lease.runs
    )
    if lease.is_storage:
        for instance_id, since in vanished.items():
            lease = _without_disks(lease, instance_id, since)
    if missing == lease.missing_since and runs == lease.runs:
        return lease
    return replace(lease, missing_since=missing, runs=runs)


def _over(lease: Lease, run: Run, since: datetime) -> Run:
    """The run of an instance that is no longer there, missing `since`: nobody has seen when it went.

    EC2 stops no spot box of a one-time request (EC2 guide, "Stop a Spot Instance"): where one is known to have ended
    it was terminated, and its disks went with it.
    """
    gone_at = max(since, run.started_at)
    is_terminated = run.ended_at is not None and run.is_spot and lease.request_type is RequestType.ONE_TIME
    disks_went_at = (
        min(gone_at, run.ended_at + DISKS_GO_WITHIN) if is_terminated and run.ended_at else gone_at
    )
    return replace(run, ended_at=run.ended_at or gone_at, disk_ended_at=run.disk_ended_at or disks_went_at)
