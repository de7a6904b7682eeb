"""A box tells of its work: it is checked whose, what it tells is kept, and it is told its end and when to tell again.

One post costs three reads and one write of the table; AWS is not asked. It changes no lease: the sweep judges.
"""

from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.errors import Stale
from chalicelib.domain.heartbeats import Report, believe, each_minute_from, taken
from chalicelib.domain.lease import Lease
from chalicelib.domain.rescue import guest_end
from chalicelib.ports import Services

TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a box is told: when it is to shut itself down (None: others end it), and from when on to report each minute
    (None: not before it has stopped working)."""

    lease: Lease
    deadline: datetime | None
    each_minute_from: datetime | None


def receive(services: Services, report: Report, *, raw: bytes, signature: str | None) -> Told:
    """Keep what a box reports. Raises Forged, Refused; Unavailable where the table does not answer: it is repeated."""
    now = services.clock.now()
    lease = believe(
        report, raw=raw, signature=signature, lease=services.store.lease(report.lease_id), now=now
    )
    idle = services.store.policy()[0].idle.tightened(lease.order.idle_after if lease.order else None)
    for _ in range(TRIES):
        before = services.store.heard_of(report.instance_id)
        heard = taken(before, report, idle=idle, now=now)
        try:
            services.store.keep_heard(heard, over=before)
        except Stale:
            continue
        return Told(
            lease=lease,
            deadline=_deadline(lease),
            each_minute_from=each_minute_from(heard, lease, idle=idle, now=now),
        )
    raise Stale(f"other reports of {report.instance_id} kept coming in at the same time; nothing was kept")


def _deadline(lease: Lease) -> datetime | None:
    """The end its box should know: of one that a PATCH is moving the earlier, as its tag has it."""
    if lease.guest_deadline is None:
        return None
    return min(guest_end(lease), guest_end(lease, lease.moving_to or lease.expires_at))
