"""Be the only one who acts on what several leases of a region share: its fleets and groups.

A lease's claim keeps two writers off one lease; two leases of one fleet would still each set its size by what they saw.
So sizes are set under a lock of the region, on a look that was taken under it, and each call asks first whether the
lock is still the caller's: a process that was frozen half way finds that it is not.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.instance import Sight
from chalicelib.domain.plan import CLAIM_FOR
from chalicelib.domain.tracking import track
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts

WAIT = timedelta(seconds=4)
"""For so long another's calls are waited for; then what needs them waits for the next sweep."""
STEP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Alone:
    """A lock that is held, and the facts as they are under it."""

    services: Services
    facts: Facts
    region: str
    fence: int

    @property
    def is_still_so(self) -> bool:
        """Whether nobody has taken the lock since: asked right before each call."""
        try:
            return self.services.store.holds_lock(
                _name(self.region), self.fence, now=self.services.clock.now()
            )
        except Unavailable:
            return False


@contextmanager
def alone_in(services: Services, facts: Facts, region: str) -> Iterator[Alone | None]:
    """The region's lock, for as long as the block runs and 55 s at most; None where another does not give it back, or
    the table does not answer."""
    fence = _taken(services, region)
    if fence is None:
        yield None
        return
    try:
        yield Alone(services, _read_anew(services, facts, region), region, fence)
    finally:
        with suppress(Unavailable):
            services.store.unlock(_name(region), fence)


def _name(region: str) -> str:
    return f"REGION#{region}"


def _taken(services: Services, region: str) -> int | None:
    for _ in range(1 + int(WAIT.total_seconds() / STEP_SECONDS)):
        try:
            fence = services.store.lock(_name(region), now=services.clock.now(), hold_for=CLAIM_FOR)
        except Unavailable:
            return None
        if fence is not None:
            return fence
        services.clock.sleep(STEP_SECONDS)
    return None


def _read_anew(services: Services, facts: Facts, region: str) -> Facts:
    """The facts with the region and its leases as they are by now; as they were where they can't be had: what must end
    does not wait for a look."""
    view = services.compute.observe([region])[0]
    if view.status != "ok":
        return facts
    try:
        stored = services.store.open_leases()
    except Unavailable:
        return facts
    views = (view, *(other for other in facts.sight.views if other.region != region))
    sight = Sight(views, facts.sight.news)
    others = tuple(lease for lease in facts.leases if lease.region != region)
    own = tuple(track(lease, sight, facts.now) for lease in stored if lease.region == region)
    return replace(facts, sight=sight, leases=(*others, *own))
