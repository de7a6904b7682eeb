"""The calls that end boxes: every request of a lease is cancelled, then what nothing would replace is terminated."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from chalicelib.domain.disarm import holding_back, is_seen
from chalicelib.domain.instance import Sight
from chalicelib.domain.lease import Lease
from chalicelib.domain.policy import Policy
from chalicelib.domain.rescue import held_back
from chalicelib.domain.steps import CALLS, CANCEL, STOP, TERMINATE, is_rehearsed, pending
from chalicelib.ports import Outcome, Services
from chalicelib.usecases.answers import answered
from chalicelib.usecases.gather import Facts

PROTECTED = "OperationNotPermitted"
LIFT = "ModifyInstanceAttribute DisableApiTermination=false"
SURELY_KNOWN_AFTER = timedelta(minutes=5)
"""By then EC2 knows a request by its id everywhere: `NotFound` of an older one is the truth."""


def cancel_and_terminate(
    services: Services, facts: Facts, region: str, leases: Sequence[Lease]
) -> list[Lease]:
    """Cancel every request, then terminate the instances that nothing would replace; but neither what waits to be
    saved, nor what is stopped for it."""
    held = frozenset[str]().union(*(held_back(lease, facts.owned(lease)) for lease in leases))
    cancelling = [target for target in _targets(leases, CANCEL) if target not in held]
    answers = services.compute.cancel_spot_requests(region, cancelling)
    now = services.clock.now()
    cancelled = [
        answered(lease, CANCEL, answers, now, partial(_is_cancelled, lease, facts.now)) for lease in leases
    ]
    return _terminated(services, facts, region, cancelled, held)


def _terminated(
    services: Services, facts: Facts, region: str, leases: Sequence[Lease], held: frozenset[str]
) -> list[Lease]:
    """The leases after every box was terminated that is free to go."""
    leaving = {instance.id for instance in facts.sight.instances if instance.is_gone}
    free = {
        lease.id: [
            target
            for target in pending(lease, TERMINATE)
            if target not in leaving | held
            and (is_rehearsed(lease) or not _is_held_back(lease, target, facts.sight))
        ]
        for lease in leases
    }
    ids = dict.fromkeys(target for targets in free.values() for target in targets)
    outcomes = dict(services.compute.terminate(region, list(ids)))
    for instance_id in [i for i, outcome in outcomes.items() if outcome.answer == PROTECTED]:
        outcomes[instance_id] = _unshield(services, region, instance_id, facts.policy)
    now = services.clock.now()
    return [
        answered(
            lease,
            TERMINATE,
            {target: outcomes[target] for target in free[lease.id] if target in outcomes},
            now,
            _is_terminated,
        )
        for lease in leases
    ]


def _is_held_back(lease: Lease, instance_id: str, sight: Sight) -> bool:
    """Ended now, another box would be started in its place; or it is not known whether one would."""
    return holding_back(lease, instance_id, sight) is not None or not is_seen(lease, instance_id, sight)


def _unshield(services: Services, region: str, instance_id: str, policy: Policy) -> Outcome:
    """A box whose termination is refused: protection is lifted if the policy says so, else the box is stopped."""
    if policy.teardown.lift_termination_protection:
        lifted = services.compute.lift_termination_protection(region, instance_id)
        if not lifted.accepted:
            return replace(lifted, call=f"{CALLS[TERMINATE]}, {LIFT}")
        outcome = services.compute.terminate(region, [instance_id])[instance_id]
        return replace(outcome, call=f"{CALLS[TERMINATE]}, {LIFT}, {CALLS[TERMINATE]}")
    stopped = services.compute.stop(region, [instance_id])[instance_id]
    word = "stopped instead" if stopped.accepted else f"could not be stopped either ({stopped.answer})"
    return Outcome(
        accepted=False,
        answer=f"{PROTECTED}: termination protection is on, {word}; set teardown.lift_termination_protection "
        "or switch it off",
        call=f"{CALLS[TERMINATE]}, {CALLS[STOP]}",
    )


def _targets(leases: Iterable[Lease], action: str) -> list[str]:
    return list(dict.fromkeys(target for lease in leases for target in pending(lease, action)))


def _is_cancelled(lease: Lease, now: datetime, outcome: Outcome) -> bool:
    """CancelSpotInstanceRequests answers with the state it left the request in; an unknown id can start nothing, once
    it is too old to be unknown for being new."""
    began_at = lease.requested_at - lease.ran_before_for
    return outcome.accepted or (outcome.is_absent and now - began_at >= SURELY_KNOWN_AFTER)


def _is_terminated(outcome: Outcome) -> bool:
    """Only `terminated` is proof; `shutting-down` no longer bills but is waited for, and an unknown id may be a box
    that is too new to be seen."""
    return outcome.accepted and outcome.answer == "terminated"
