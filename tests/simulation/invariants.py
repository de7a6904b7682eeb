"""What must hold after every step, counted in what localaws bills and does, not in what Curfew says.

Each is a function that raises AssertionError with the case in its message. `MARGIN` terms are the product's own: a
sweep period, the 60 s minimum, the retries.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from chalicelib.domain.lease import Lease, Origin, Status
from localaws.model import Box
from tests.simulation.town import MINUTE, Town

CENT = Decimal("0.01")


def no_launched_lease_costs_more_than_its_hold(town: Town) -> None:
    """What Curfew launched never costs more than was held for it, in billed cents."""
    for lease in all_leases(town):
        if lease.origin is Origin.LAUNCHED:
            billed, held = town.billed(owned(town, lease)), lease.hold.total_usd
            assert billed <= held, f"{lease.id}: AWS billed {billed}, {held} was held"


def no_box_outlives_its_lease(town: Town, *, within: timedelta) -> None:
    """With Curfew alive and allowed to act, a box is gone `within` its lease's end."""
    for lease in all_leases(town):
        late = [box for box in owned(town, lease) if _runs(box) and town.now > lease.expires_at + within]
        assert not late, f"{lease.id} expired at {lease.expires_at}, at {town.now} {late} still run"


def nothing_ended_runs_again(town: Town) -> None:
    """Of a closed lease nothing runs, and no request of it can start anything."""
    for lease in all_leases(town):
        if lease.status is not Status.CLOSED or _is_at_rest(lease):
            continue
        running = [box.id for box in owned(town, lease) if _runs(box)]
        assert not running, f"{lease.id} is closed and {running} run"
        armed = [
            request.id
            for request in town.world.spot
            if request.id in lease.spot_request_ids and request.state in ("open", "active", "disabled")
        ]
        assert not armed, f"{lease.id} is closed and {armed} can start boxes"


def no_busy_box_was_ended_for_idleness(town: Town) -> None:
    """Whatever ended as idle had samples in its window and none of them at work."""
    store = town.services.store
    for lease in all_leases(town):
        receipt = store.receipt(lease.id) if lease.status is Status.CLOSED else None
        if receipt is None or receipt.cause != "idle":
            continue
        window = town.policy.idle.after
        for box in owned(town, lease):
            if (
                box.ended_at is None
                or box.ended_at < receipt.decided_at
                or box.ended_by != "TerminateInstances"
            ):
                continue  # people ended it, before
            levels = [
                level
                for _, level in box.load.samples(receipt.decided_at - window, receipt.decided_at, box.runs)
            ]
            known = [level.busiest_gpu for level in levels if level.busiest_gpu is not None]
            assert known, f"{lease.id} ended as idle without a sample"
            assert max(known) < town.policy.idle.gpu_below_percent, f"{lease.id} was busy: {known}"


def every_end_has_one_receipt_and_is_told(town: Town) -> None:
    """A closed lease that owned anything has its one receipt, and people were told.

    Told again, if a Lambda died between sending and noting that it had sent: better twice than never.
    """
    told = {notice.id for notice in town.mailbox.notices}
    for lease in all_leases(town):
        if lease.status is Status.CLOSED and lease.instance_ids:
            receipt = town.services.store.receipt(lease.id)
            assert receipt is not None, f"{lease.id} is closed without a receipt"
            assert receipt.status == "done"
            assert f"{lease.id}:ended" in told or _is_at_rest(lease), f"nobody was told that {lease.id} ended"


def the_books_balance(town: Town) -> None:
    """What is left of a budget is its limit less open holds and closed costs, to the micro-dollar."""
    book = town.services.store.budgets(town.now)
    leases = all_leases(town)
    for state in book.states:
        used = Decimal(0)
        for lease in leases:
            for charge in lease.charges:
                if state.charged_by(charge):
                    used += charge.amount_usd if lease.is_open else lease.final_usd or Decimal(0)
        assert abs(state.budget.limit_usd - state.left_usd - used) < CENT, (
            f"budget {state.budget.name}: left {state.left_usd}, open holds and closed costs are {used}"
        )


def sweeping_again_does_nothing(town: Town) -> None:
    """A second sweep in the same minute calls nothing that changes AWS."""
    town.sweep()
    before = len(town.world.calls.as_dicts())
    town.sweep()
    again = [row for row in town.world.calls.as_dicts()[before:] if row["operation"] != "StopInstances"]
    assert not again, f"the second sweep did {again}"


def everything_running_is_watched(town: Town) -> None:
    """After a complete sweep each box that runs longer than two minutes has an open lease."""
    known = {one for lease in all_leases(town) if lease.is_open for one in lease.instance_ids}
    for box in town.alive:
        if box.launched_at <= min(town.now, town.last_whole_sweep) - 2 * MINUTE:
            assert box.id in known, f"{box.id} runs since {box.launched_at} without a lease"


def all_leases(town: Town) -> tuple[Lease, ...]:
    """Open and closed."""
    store = town.services.store
    closed = store.closed_leases(since=town.now - timedelta(days=400))
    return (*store.open_leases(), *closed)


def owned(town: Town, lease: Lease) -> list[Box]:
    """The boxes of a lease in the truth, also those it has not seen yet: by id and by spot request."""
    return [
        box
        for box in town.boxes
        if box.id in lease.instance_ids
        or (box.request_id is not None and box.request_id in lease.spot_request_ids)
    ]


def _is_at_rest(lease: Lease) -> bool:
    """Closed because its owner had stopped it, which ends nothing: started again it is adopted anew."""
    return lease.ending is not None and lease.ending.cause == "stopped"


def _runs(box: Box) -> bool:
    return box.state in ("pending", "running")
