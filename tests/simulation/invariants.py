"""What must hold at every moment, counted in what localaws bills and does, not in what Curfew says.

Each is a function from the town and its leases to the violations it finds. `wrong`: something was ended that was not to
be. `missed`: something runs, or can, that was to be ended. `over`: dollars beyond what was promised. `books`: the
records don't agree. What a bound allows beside its own terms is only the time in which Curfew was hindered.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.lease import Lease, OnEnd, Origin, RequestType, Status
from chalicelib.gateways.dynamodb_holds import BudgetPeriod, kept, taken
from localaws.model import Box
from tests.simulation.endings import OF_ENDS
from tests.simulation.money import billed_between, dearest_hourly
from tests.simulation.town import MINUTE, Town, runs
from tests.simulation.truths import (
    Leases,
    Violation,
    braked_for,
    ended_by_curfew,
    ends_by_its_hour,
    gone_by,
    hindered_for,
    is_braked,
    is_curfews,
    owned,
    saving_for,
    spared_until,
)

CENT = Decimal("0.01")
PERIOD = MINUTE
"""Of the scheduled sweep."""
MINIMUM = MINUTE
"""What AWS bills at least for a start."""
SLACK = 2 * MINUTE
"""The sweep that decides, and the one that may find the first one's minute begun."""


def hold_is_kept(town: Town, leases: Leases) -> Iterator[Violation]:
    """What Curfew launched never costs more than was held for it.

    One that ends by its hour ends without Curfew as well: only calls of AWS that fail for longer than the margin add to
    it. One that money ends waits for a hindered Curfew, until its hour at the latest.
    """
    for lease in leases:
        if lease.origin is not Origin.LAUNCHED:
            continue
        boxes = owned(town, lease)
        billed, held = town.billed(boxes), lease.hold.total_usd
        until = lease.closed_at or town.now
        beyond = hindered_for(town, lease, boxes, until)
        if ends_by_its_hour(lease) and all(gone_by(town, lease, box) for box in boxes):
            beyond = town.failures.within(lease.requested_at, until)
        beyond -= lease.margin(town.policy.teardown.margin)
        if beyond > timedelta(0):
            held += sum((_hours(beyond) * dearest_hourly(town, box) for box in boxes), Decimal(0))
        if billed > held:
            yield Violation(
                "over", f"{lease.id}:hold", f"AWS billed {billed}, {held} was held", billed - held
            )


def adopted_boxes_are_seen_in_time(town: Town, leases: Leases) -> Iterator[Violation]:
    """The first term of an adopted box's overrun: from its start to its adoption one sweep passes."""
    for lease in leases:
        if lease.origin is not Origin.ADOPTED or not lease.runs:
            continue
        first = lease.runs[0]
        box = town.world.boxes.of(first.instance_id)
        if box.id in town.protected:
            continue
        going = (run for run in box.runs if run.start <= first.started_at < (run.end or town.now))
        started = max((run.start for run in going), default=first.started_at)
        late = first.started_at - started - town.outages.within(started, first.started_at)
        if late > PERIOD + SLACK:
            yield Violation("missed", f"{lease.id}:seen", f"it ran for {late} before it was adopted")


def adopted_boxes_stay_near_their_hold(town: Town, leases: Leases) -> Iterator[Violation]:
    """The second term: once seen, an adopted box passes its hold by grace + sweep + 60 s + retries at most."""
    for lease in leases:
        boxes = owned(town, lease)
        if lease.origin is not Origin.ADOPTED or lease.is_storage:
            continue  # what is at rest holds nothing
        if any(box.id in town.protected for box in boxes):
            continue
        until = lease.closed_at or town.now
        billed = sum((billed_between(town, box, lease.requested_at, until) for box in boxes), Decimal(0))
        longest = town.policy.unleased.grace + PERIOD + MINIMUM + SLACK
        longest += hindered_for(town, lease, boxes, until)
        longest += saving_for(town, lease) + braked_for(lease, leases, town.now)
        allowed = lease.hold.total_usd + sum(
            (_hours(longest) * dearest_hourly(town, box) for box in boxes), Decimal(0)
        )
        if billed > allowed:
            yield Violation(
                "over",
                f"{lease.id}:adopted",
                f"AWS billed {billed} since, {allowed} at most",
                billed - allowed,
            )


def no_box_outlives_its_lease(town: Town, leases: Leases) -> Iterator[Violation]:
    """With Curfew alive and allowed to act, a box is gone within a sweep of its lease's end."""
    for lease in leases:
        boxes = [box for box in owned(town, lease) if runs(box)]
        if not boxes or not lease.is_open:
            continue
        due = lease.expires_at
        if lease.is_storage:  # it was started again: it is adopted anew at once
            due = max((box.runs[-1].start for box in boxes if box.runs), default=town.now)
        elif lease.is_adopted:
            due = spared_until(town, boxes, max(due, lease.requested_at + town.policy.unleased.grace))
            due = max(due, *(box.launched_at + braked_for(lease, leases, town.now) for box in boxes))
        late = town.now - due - town.outages.within(due, town.now) - saving_for(town, lease)
        if late > PERIOD + SLACK:
            ids = [box.id for box in boxes]
            yield Violation("missed", f"{lease.id}:expired", f"{late} past {due} {ids} run")


def no_idle_box_is_left_running(town: Town, leases: Leases) -> Iterator[Violation]:
    """A box that is known to be silent for the window, the warning and a sweep has ended."""
    policy = town.policy.idle
    for lease in leases:
        boxes = [box for box in owned(town, lease) if runs(box)]
        if lease.status is not Status.ACTIVE or not boxes or any(box.id in town.protected for box in boxes):
            continue
        if is_braked(lease, leases, town.now):
            continue
        since = [_quiet_since(box, town.now, float(policy.gpu_below_percent)) for box in boxes]
        known = [one for one in since if one is not None]
        if len(known) < len(since):
            continue
        started = max((box.runs[-1].start for box in boxes if box.runs), default=town.now)
        start = max(*known, started, lease.requested_at)
        window = max(
            policy.after,
            policy.after_launch,
            town.policy.unleased.grace if lease.is_adopted else policy.after,
        )
        sampling = 2 * timedelta(seconds=max(box.load.latest.period for box in boxes))
        due = max(start + window, town.policy_since) + policy.warn_before + sampling
        late = town.now - due - town.outages.within(start, town.now)
        if late > PERIOD + SLACK:
            yield Violation(
                "missed", f"{lease.id}:idle", f"silent since {start} and still there at {town.now}"
            )


def everything_running_is_watched(town: Town, leases: Leases) -> Iterator[Violation]:
    """Each box that has run for longer than two sweeps has an open lease."""
    known = {one for lease in leases if lease.is_open for one in lease.instance_ids}
    for box in town.alive:
        # One whose last run is over is on its way up again, and was seen at rest.
        if box.id in known or not is_curfews(town, box) or not box.runs or box.runs[-1].end is not None:
            continue
        since = spared_until(town, [box], box.runs[-1].start)
        late = town.now - since - town.outages.within(since, town.now)
        if late > PERIOD + SLACK:
            yield Violation("missed", f"{box.id}:unleased", f"it runs since {since} without a lease")


def nothing_ended_runs_again(town: Town, leases: Leases) -> Iterator[Violation]:
    """Of a closed lease nothing runs, and no request or fleet of it can start anything; what is kept, its owner can."""
    for lease in leases:
        if lease.status is not Status.CLOSED or _is_at_rest(lease) or _is_kept(lease):
            continue
        running = [box.id for box in owned(town, lease) if runs(box)]
        if running:
            yield Violation("missed", f"{lease.id}:again", f"it is closed and {running} run")
        armed = [
            request.id
            for request in town.world.spot
            if request.id in lease.spot_request_ids and request.state in ("open", "active", "disabled")
        ]
        if lease.request_type is RequestType.MAINTAIN and lease.fleet_id:
            fleet = town.world.fleets.find(lease.fleet_id)
            armed += [fleet.id] if fleet is not None and fleet.state == "active" else []
        if armed:
            yield Violation("missed", f"{lease.id}:armed", f"it is closed and {armed} can start boxes")


def no_busy_box_is_ended_for_idleness(town: Town, leases: Leases) -> Iterator[Violation]:
    """Whatever ended as idle had samples in its window and none of them at work."""
    for lease in leases:
        ending = lease.ending
        if ending is None or ending.cause != "idle":
            continue
        idle = town.policy_at(ending.decided_at).idle
        window = min(idle.after, _own_window(lease))
        for box in owned(town, lease):
            if box.ended_at is None or box.ended_at < ending.decided_at or not ended_by_curfew(town, box):
                continue  # people ended it, before
            samples = box.load.samples(ending.decided_at - window, ending.decided_at, box.runs)
            known = [level.busiest_gpu for _, level in samples if level.busiest_gpu is not None]
            if not known:
                yield Violation("wrong", f"{lease.id}:unseen", "ended as idle without a sample")
            elif max(known) >= idle.gpu_below_percent:
                yield Violation("wrong", f"{lease.id}:busy", f"ended as idle, and was at {max(known)} %")


def no_lease_ends_before_its_time(town: Town, leases: Leases) -> Iterator[Violation]:
    """What ended by its time had reached it; what ended for its money had cost its hold less what ending costs."""
    for lease in leases:
        ending = lease.ending
        if ending is None:
            continue
        if ending.cause == "expired" and ending.decided_at < lease.expires_at:
            yield Violation("wrong", f"{lease.id}:early", f"ended at {ending.decided_at}, before its time")
        if ending.cause == "over_budget" and not {"budget", "limit_usd"} & ending.figures.keys():
            limit = Decimal(str(ending.figures["ends_at_usd"]))
            boxes = owned(town, lease)
            billed = sum(
                (billed_between(town, box, lease.requested_at, ending.decided_at) for box in boxes),
                Decimal(0),
            )
            # The meter counts from LaunchTime, some seconds before EC2 bills, and each start as a minute at least.
            counted = billed + sum((_hours(2 * MINUTE) * dearest_hourly(town, box) for box in boxes), CENT)
            if counted < limit:
                yield Violation("wrong", f"{lease.id}:cheap", f"ended at {limit}, AWS had billed {billed}")


def every_end_has_one_receipt_and_is_told(town: Town, leases: Leases) -> Iterator[Violation]:
    """A closed lease that owned anything has its one receipt, and people were told.

    Told again, if a Lambda died between sending and noting that it had sent: better twice than never.
    """
    told = {notice.id for notice in town.mailbox.notices}
    for lease in leases:
        if lease.status is not Status.CLOSED or not lease.instance_ids:
            continue
        receipt = town.services.store.receipt(lease.follows or lease.id)
        if receipt is None or receipt.status != "done":
            yield Violation("books", f"{lease.id}:receipt", f"it is closed and its receipt is {receipt}")
        if f"{lease.id}:ended" not in told and not _is_at_rest(lease):
            yield Violation("books", f"{lease.id}:told", "nobody was told that it ended")


def the_books_balance(town: Town, leases: Leases) -> Iterator[Violation]:
    """What is left of a budget in a period is its limit less what open leases hold there, closed ones cost there and the
    bill has beyond the meter, to the cent; `leases` are all there are."""
    carried: dict[BudgetPeriod, Decimal] = {}
    for lease in leases:
        for period, usd in (taken(lease.charges) if lease.is_open else kept(lease)).items():
            carried[period] = carried.get(period, Decimal(0)) + usd
    for state in town.services.store.budgets(town.now).states:
        used = carried.get(
            BudgetPeriod(state.budget.name, state.period_key, state.budget.generation), Decimal(0)
        )
        gap = state.budget.limit_usd - state.left_usd - state.billed_usd - used
        if abs(gap) >= CENT:
            about = f"budget {state.budget.name} {state.period_key}"
            yield Violation("books", about, f"left {state.left_usd}, open holds and closed costs are {used}")


def sweeping_again_does_nothing(town: Town) -> Iterator[Violation]:
    """A second sweep in the same minute calls nothing that changes AWS."""
    town.sweep()
    before = len(town.world.calls.as_dicts())
    town.sweep()
    again = [row for row in town.world.calls.as_dicts()[before:] if row["operation"] != "StopInstances"]
    if again:
        yield Violation("books", f"again at {town.now}", f"the second sweep did {again}")


ALWAYS = (
    hold_is_kept,
    adopted_boxes_are_seen_in_time,
    adopted_boxes_stay_near_their_hold,
    no_box_outlives_its_lease,
    no_idle_box_is_left_running,
    everything_running_is_watched,
    nothing_ended_runs_again,
    no_busy_box_is_ended_for_idleness,
    no_lease_ends_before_its_time,
    *OF_ENDS,
)
"""What holds after every step, of the leases that are open and of those that closed lately."""

AT_REST = (every_end_has_one_receipt_and_is_told, the_books_balance)
"""What holds of all leases there ever were once nothing is broken."""


def leases_since(town: Town, closed_since: datetime) -> tuple[Lease, ...]:
    """Every open lease, and those that were closed since then."""
    store = town.services.store
    return (*store.open_leases(), *store.closed_leases(since=closed_since))


def all_leases(town: Town) -> tuple[Lease, ...]:
    """Open and closed."""
    return leases_since(town, town.now - timedelta(days=400))


def _is_at_rest(lease: Lease) -> bool:
    """Closed because its owner had stopped it or started it again, which ends nothing: it is adopted anew."""
    return lease.ending is not None and lease.ending.cause in {"stopped", "started"}


def _is_kept(lease: Lease) -> bool:
    """Its boxes were stopped and left to their owner, who may start them again."""
    return lease.ending is not None and lease.ending.on_end is OnEnd.STOP


def _own_window(lease: Lease) -> timedelta:
    own = lease.order.idle_after if lease.order else None
    return own if own is not None else timedelta.max


def _quiet_since(box: Box, now: datetime, threshold: float) -> datetime | None:
    """From when on its samples came and were all below the threshold; None where they are not."""
    since = None
    for at, level in reversed(box.load.changes):
        if at > now:
            continue
        if level.busiest_gpu is None or level.busiest_gpu >= threshold:
            break
        since = at
    return since


def _hours(length: timedelta) -> Decimal:
    return Decimal(length / timedelta(hours=1))
