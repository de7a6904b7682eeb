"""Read the host keys of new boxes off their consoles, for people who log in for the first time.

After everything that ends something and under a deadline, a few boxes a sweep and a few times a box.
"""

from dataclasses import replace

from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.host_keys import fingerprints, is_due
from chalicelib.domain.lease import Status
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts

PATIENCE_SECONDS = 4.0
NEEDED_SECONDS = 7.0
"""The last console that is begun with may hang for 3 s more: with less left, a later sweep asks."""
A_SWEEP = 8


def find_host_keys(services: Services, facts: Facts) -> str | None:
    """Keep the fingerprints of what was found. Answers what is lacking."""
    due = [
        (lease.id, box)
        for lease in facts.leases
        for box in facts.owned(lease).live
        if is_due(lease, box, facts.now)
    ]
    if services.patience(NEEDED_SECONDS) < NEEDED_SECONDS:
        return None
    until = services.clock.elapsed() + PATIENCE_SECONDS
    for lease_id, box in due[:A_SWEEP]:
        if services.clock.elapsed() >= until:
            return None
        try:
            found = fingerprints(services.compute.console(box.region, box.id))
            if found:
                _keep(services, lease_id, box.id, found)
        except Unavailable as error:
            return f"GetConsoleOutput {box.region}: {error.detail}"
    return None


def _keep(services: Services, lease_id: str, instance_id: str, found: tuple[str, ...]) -> None:
    lease = services.store.lease(lease_id)
    if lease is None or lease.status is not Status.ACTIVE:
        return
    try:
        services.store.save_lease(replace(lease, host_keys={**lease.host_keys, instance_id: found}))
    except Stale:
        return  # somebody changed it meanwhile: it is asked again minutes later
